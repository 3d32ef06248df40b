"""An action of our own is trusted to come back and to answer rightly, not to be faultless."""

from types import SimpleNamespace

import pytest

from kbackup.errors import ActionError
from kbackup.plugins import RestoreOutput, Run
from kbackup.plugins.engine import execute_own_action
from kbackup.testing import restore_input


def _given(resource, kind, run):
    """What an action is asked about."""
    metadata = {"name": "settings", "namespace": "shop"}
    item = {"apiVersion": "v1", "kind": kind, "metadata": metadata}
    return restore_input(resource, item, run=run)


def _failing(_):
    """Quote a value, as a fault may."""
    raise ValueError("no number: 'hunter2'")


@pytest.mark.parametrize(
    ("resource", "kind", "hide", "is_quoted"),
    [
        ("configmaps", "ConfigMap", False, True),
        ("configmaps", "ConfigMap", True, False),
        ("secrets", "Secret", False, False),
    ],
    ids=["plain", "hidden", "Secret"],
)
def test_what_it_raises(resource, kind, hide, is_quoted):
    """The error names it and the item; what may quote a hidden value is not repeated."""
    run = Run(uid="u-1", kind="restore", name="try-1")
    action = SimpleNamespace(name="velero.io/pod", execute=_failing)

    with pytest.raises(ActionError) as caught:
        execute_own_action(run, action, _given(resource, kind, run), hide=hide)

    told = str(caught.value)
    assert "velero.io/pod" in told
    assert "shop/settings" in told
    assert "ValueError" in told
    assert ("hunter2" in told) is is_quoted
    assert isinstance(caught.value.__cause__, ValueError)
    assert "velero.io/pod" in run.report().plugin_seconds


def test_what_it_answers():
    """The answer is taken as it is, and the time that it took is counted."""
    run = Run(uid="u-1", kind="restore", name="try-1")
    given = _given("configmaps", "ConfigMap", run)
    answer = RestoreOutput(item=given.item)
    action = SimpleNamespace(name="velero.io/pod", execute=lambda _: answer)

    assert execute_own_action(run, action, given) is answer
    assert "velero.io/pod" in run.report().plugin_seconds
