"""What holds for every built-in restore action, whatever a test asks it."""

import pytest

from kbackup.actions import kbackup_register_restore_item_actions

_QUICK = {
    type(action)
    for action in kbackup_register_restore_item_actions().values()
    if hasattr(action, "concerns")
}


@pytest.fixture(autouse=True)
def never_wrongly_unconcerned(monkeypatch):
    """An action that says an item is not its concern would have left it as it is."""
    for kind in _QUICK:
        monkeypatch.setattr(kind, "execute", _checked(kind.execute))


def _checked(execute):
    def checked(self, given):
        output = execute(self, given)
        if not self.concerns(given.item):
            assert output.item == given.item
            assert not output.additional_items
            assert not output.skip
        return output

    return checked
