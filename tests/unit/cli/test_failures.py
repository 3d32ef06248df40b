"""Every failure says the fact and the command that goes on from there."""

import pytest

from kbackup import errors
from kbackup.cli._config import NoLocationError
from kbackup.cli._failures import explain
from kbackup.cli._session import Session
from kbackup.models import (
    GroupResource,
    ItemOutcome,
    ObjectMeta,
    ResourceIdentifier,
    Restore,
    RestoreProgress,
    RestoreResult,
    RestoreSpec,
    RestoreStatus,
)

CREATE = Session(verb="kbackup backup create")


@pytest.mark.parametrize(
    ("error", "command"),
    [
        (errors.BackupExistsError("shop-1"), "kbackup backup describe shop-1"),
        (errors.BackupNotFoundError("shop-1"), "kbackup backup get"),
        (errors.BackupDamagedError("shop-1", "x"), "kbackup backup verify shop-1"),
        (errors.RestoreDamagedError("r-1", "x"), "kbackup restore get"),
        (errors.ClusterUnreachableError("get", "version"), "kbackup doctor"),
        (errors.StoreFullError("backups/x"), "kbackup location validate"),
        (errors.UnknownLocationError("x"), "kbackup plugin get"),
        (errors.InvalidSpecError(["a"]), "kbackup backup create --help"),
        (errors.RunCancelledError("stopped"), "kbackup backup create x --ttl 1h"),
        (errors.SpoolError("/spool", "full"), "kbackup backup create x --ttl 1h"),
        (errors.KBackupError("x"), "kbackup doctor"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_next_command(error, command):
    """The last line is the command that continues or explains."""
    text = explain(error, ["backup", "create", "x", "--ttl", "1h"], CREATE)

    assert text.startswith(f"Error: {error}")
    assert text.endswith(f"Next: {command}")


def test_no_location_was_given():
    """The same command with a location is what goes on."""
    text = explain(NoLocationError("none"), ["backup", "create", "x"], CREATE)

    assert text.endswith("Next: kbackup backup create x --location URL")


def test_hint_is_shown():
    """Advice that comes with an error stands between the fact and the command."""
    error = errors.PluginLoadError("s3fs is missing", hint="pip install 'kbackup[aws]'")

    lines = explain(error, [], Session()).splitlines()

    assert lines[1] == "Hint: pip install 'kbackup[aws]'"


def test_each_violation_has_a_line():
    """A specification that breaks several rules is told all of them."""
    text = explain(errors.InvalidSpecError(["first rule", "second rule"]), [], CREATE)

    assert "\n  - first rule\n  - second rule\n" in text


def test_next_command_names_the_same_location():
    """A command that needs a location repeats the one that was given."""
    session = Session(verb="kbackup backup create", locations=("s3://b/p", "./c d"))

    text = explain(errors.BackupExistsError("a"), [], session)

    assert text.endswith(
        "Next: kbackup backup describe a --location s3://b/p --location './c d'"
    )


def test_password_in_an_address_is_not_repeated():
    """What may hold a password is left to be filled in."""
    session = Session(locations=("s3://key:password@host/b",))

    text = explain(errors.BackupNotFoundError("a"), [], session)

    assert "password" not in text
    assert text.endswith("--location URL")


def test_context_is_repeated_where_a_cluster_is_asked(tmp_path):
    """The doctor looks at the cluster that failed."""
    session = Session(kubeconfig=tmp_path / "k", context="staging")

    text = explain(errors.ClusterUnreachableError("get", "version"), [], session)

    assert text.endswith(f"--kubeconfig {tmp_path}/k --context staging")


def cancelled(*actions, total):
    """The error of a cancelled restore that did so much of its plan."""
    error = errors.RunCancelledError("stopped by SIGINT")
    item = ResourceIdentifier(GroupResource("", "configmaps"), "shop", "a")
    error.result = RestoreResult(
        restore=Restore(
            metadata=ObjectMeta(name="r"),
            spec=RestoreSpec(backup_name="shop-1"),
            status=RestoreStatus(progress=RestoreProgress(total_items=total)),
        ),
        outcomes=[ItemOutcome(identifier=item, action=action) for action in actions],
    )
    return error


def test_cancelled_restore_says_what_it_wrote():
    """After Ctrl-C it is told how many objects are there, and what completes the rest."""
    session = Session(again="kbackup restore create r --from-backup shop-1 --yes")
    error = cancelled("created", "skipped", "updated", total=7)

    lines = explain(error, ["restore", "create"], session).splitlines()

    assert lines[1].startswith("Written: 2 of the plan's 7 items; they stay")
    assert lines[-1] == f"Next: {session.again}"


def test_cancelled_restore_says_what_it_may_have_written():
    """A write that the server was still at is not counted as written, nor as not."""
    text = explain(cancelled("created", "unknown", total=7), ["restore"], Session())

    assert "Written: 1 of the plan's 7 items; they stay; 1 more may have been" in text


def test_cancelled_before_the_first_write():
    """A restore that was ended before it wrote says nothing of objects."""
    text = explain(cancelled(total=7), ["restore", "create"], Session())

    assert "Written" not in text
