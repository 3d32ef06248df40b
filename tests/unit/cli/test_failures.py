"""Every failure says the fact and the command that goes on from there."""

import pytest

from kbackup import errors
from kbackup.cli._failures import explain


@pytest.mark.parametrize(
    ("error", "command"),
    [
        (errors.BackupExistsError("shop-1"), "kbackup backup describe shop-1"),
        (errors.BackupNotFoundError("shop-1"), "kbackup backup get"),
        (errors.BackupDamagedError("shop-1", "x"), "kbackup backup verify shop-1"),
        (errors.ClusterUnreachableError("get", "version"), "kbackup doctor"),
        (errors.StoreFullError("backups/x"), "kbackup location validate"),
        (errors.UnknownLocationError("x"), "kbackup plugin get"),
        (errors.InvalidSpecError(["a"]), "kbackup backup create --help"),
        (errors.RunCancelledError("stopped"), "kbackup backup create x --ttl 1h"),
        (errors.KBackupError("x"), "kbackup doctor"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_next_command(error, command):
    """The last line is the command that continues or explains."""
    text = explain(error, ["backup", "create", "x", "--ttl", "1h"])

    if isinstance(error, errors.InvalidSpecError):
        text = explain(error, ["backup", "create"])
    assert text.startswith(f"Error: {error}")
    assert text.endswith(f"Next: {command}")


def test_hint_is_shown():
    """Advice that comes with an error stands between the fact and the command."""
    error = errors.PluginLoadError("s3fs is missing", hint="pip install 'kbackup[aws]'")

    lines = explain(error, []).splitlines()

    assert lines[1] == "Hint: pip install 'kbackup[aws]'"


def test_each_violation_has_a_line():
    """A specification that breaks several rules is told all of them."""
    text = explain(errors.InvalidSpecError(["first rule", "second rule"]), [])

    assert "\n  - first rule\n  - second rule\n" in text
