"""The plain values that plugins and engines exchange."""

import hashlib

import pytest

from kbackup.actions import kbackup_register_restore_item_actions
from kbackup.plugins import Digest, RestoreItemAction


def test_digest_can_be_written_and_read():
    """A digest reads back what it writes."""
    digest = Digest(hashlib.sha256(b"x").hexdigest())

    assert str(digest).startswith("sha256:2d711642")
    assert Digest.parse(str(digest)) == digest


@pytest.mark.parametrize(
    "text", ["", "sha256:", "sha256:xyz", f"sha1:{'a' * 64}", f"sha256:{'A' * 64}"]
)
def test_digest_that_is_none(text):
    """Anything but sha256 and 64 lower-case digits is refused."""
    with pytest.raises(ValueError, match=r"sha256|must match"):
        Digest.parse(text)


def test_actions_are_recognised_by_their_form():
    """An object with name, selector and execute is an action: no base class is needed."""
    for action in kbackup_register_restore_item_actions().values():
        assert isinstance(action, RestoreItemAction)
    assert not isinstance(object(), RestoreItemAction)
