"""Several names in one command: what is not there keeps nothing else from being done."""

import json
import os

import pytest

from kbackup import BackupStore
from kbackup.errors import BackupOwnsDataError

LISTS = {"describe": "BackupDescriptionList", "verify": "VerifyReportList"}


@pytest.fixture(name="killed")
def fixture_killed(restored, directory):
    """The command line beside a backup and a restore whose runs died long ago."""
    with (
        BackupStore.open(directory) as store,
        store.claim("killed", run_uid="7" * 8),
        store.claim_restore("killed", run_uid="7" * 8, from_backup="shop-1"),
    ):
        paths = (directory / "plugins/kbackup.io").rglob("killed.json")
        claims = {path: json.loads(path.read_text()) for path in paths}
    for path, claim in claims.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({**claim, "heartbeat": "2001-01-01T00:00:00Z"}))
        os.utime(path, (1, 1))
    return restored


@pytest.mark.parametrize("verb", ["get", "describe", "verify"])
def test_backups_of_which_some_are_not_there(backed_up, verb):
    """Each name that is not there is told, the others are done, and the exit code is 1."""
    done = backed_up("backup", verb, "nope", "shop-1", "gone")

    assert done.code == 1
    assert "shop-1" in done.out
    assert "Error: backup nope: not found\nError: backup gone: not found\n" in done.err
    assert done.err.count("Location: ") == done.err.count("Next: ") == 1
    assert done.next == "Next: kbackup backup get"


@pytest.mark.parametrize("verb", ["get", "describe"])
def test_restores_of_which_one_is_not_there(restored, verb):
    """Restores are looked up by the same rule."""
    done = restored("restore", verb, "nope", "copy-1")

    assert done.code == 1
    assert "copy-1" in done.out
    assert "Error: restore nope: not found\n" in done.err
    assert done.next == "Next: kbackup restore get"


@pytest.mark.parametrize("verb", LISTS)
def test_documents_of_several(backed_up, verb):
    """A program that asks for several gets a list, also of the only one that is there."""
    done = backed_up("backup", verb, "nope", "shop-1", "-o", "json")
    none = backed_up("backup", verb, "nope", "gone", "-o", "json")

    document = json.loads(done.out)
    assert document["kind"] == LISTS[verb]
    assert len(document["items"]) == 1
    assert (done.code, none.code, none.out) == (1, 1, "")


def test_several_restores(restored):
    """Several restores are described one below the other."""
    restored("restore", "create", "again", "--from-backup", "shop-1", "--yes")

    done = restored("restore", "describe", "copy-1", "again")

    assert done.code == 0
    assert done.out.count("Name:         ") == 2
    assert done.next == "Next: kbackup restore logs again"


def test_name_that_cannot_be_one(backed_up):
    """A name that no backup can have is wrong use, and the others are done."""
    done = backed_up("backup", "describe", "a/b", "shop-1")

    assert done.code == 2
    assert "Error: 'a/b' is no name of a backup" in done.err
    assert "Name:         shop-1" in done.out


def test_latest_of_several(offline):
    """Where there is no latest, the other names are told of all the same."""
    done = offline("backup", "get", "latest", "nope")

    assert done.code == 1
    assert "Error: backup latest: not found" in done.err
    assert "Error: backup nope: not found" in done.err


def test_store_that_cannot_be_read(offline, directory):
    """A fault of the store is told once, not for every name."""
    directory.write_text("no directory")

    done = offline("backup", "describe", "a", "b")

    assert done.code == 1
    assert done.err.count("Error: ") == 1
    assert done.next == "Next: kbackup location validate"


@pytest.mark.parametrize(
    "words",
    [
        *(("backup", verb, "killed") for verb in ("describe", "logs", "verify")),
        *(("backup", verb, "killed") for verb in ("ls", "download")),
        ("backup", "ls", "killed", "--damaged"),
        ("backup", "show", "killed", "pod/a"),
        ("restore", "plan", "--from-backup", "killed"),
        ("restore", "create", "--from-backup", "killed", "--yes"),
        *(("restore", verb, "killed") for verb in ("get", "describe", "logs")),
    ],
    ids=" ".join,
)
def test_what_has_not_ended_is_told_by_every_verb(killed, words):
    """Whatever asks for what a run has begun and not ended tells which run, and what next."""
    done = killed(*words)

    assert done.code == 1
    assert "not found: begun and not ended by run 77777777 on " in done.err
    assert "the same " in done.err.partition("Hint: ")[2]


def test_what_a_killed_run_left_is_listed_and_deleted(killed, directory):
    """Who lists backups sees what was begun and not ended, and can delete it."""
    listed = killed("backup", "get")
    unasked = killed("backup", "delete", "killed")
    deleted = killed("backup", "delete", "killed", "--yes")

    assert "killed   incomplete: begun and not ended by run 77777777 on " in listed.out
    assert unasked.code == 2
    assert (deleted.code, deleted.out) == (0, "Deleted killed\n")
    assert not list((directory / "plugins/kbackup.io/claims").glob("*"))
    assert "killed" not in killed("backup", "get").out


def test_a_killed_restore_is_listed(killed):
    """The name of a restore that was killed is not lost, though it was made up."""
    listed = killed("restore", "get")
    as_json = json.loads(killed("restore", "get", "-o", "json").out)

    assert "killed   shop-1   incomplete  " in listed.out
    assert max(map(len, listed.out.splitlines())) < 80
    assert "killed has not ended: begun by run 77777777 on " in listed.err
    assert "One that was killed is completed by the same restore" in listed.err
    assert [each["metadata"]["name"] for each in as_json["items"]] == ["copy-1"]
    [told] = as_json["unended"]
    assert (told["name"], told["backup"], told["state"], told["run"]) == (
        "killed",
        "shop-1",
        "incomplete",
        "77777777",
    )
    assert told["heartbeat"] == "2001-01-01T00:00:00Z"


def test_a_running_restore_is_listed(restored, directory):
    """A restore that lives is in progress, and none is listed twice once it has a record."""
    with (
        BackupStore.open(directory) as store,
        store.claim_restore("runs", run_uid="1" * 8),
        store.claim_restore("copy-1", run_uid="2" * 8),
    ):
        listed = restored("restore", "get")

    assert "runs     unknown   in_progress  " in listed.out
    assert "runs has not ended: begun by run 11111111 on " in listed.err
    assert listed.out.count("copy-1") == 1


def test_nothing_is_deleted_where_a_name_is_mistyped(backed_up, directory):
    """Whoever mistypes one name may mean no other either: all slips are told first."""
    done = backed_up("backup", "delete", "shop-1", "nope", "gone", "--yes")

    assert done.code == 1
    assert done.out == ""
    assert done.err.startswith("Nothing was deleted.\nError: backup nope: not found\n")
    assert "Error: backup gone: not found\n" in done.err
    assert (directory / "backups/shop-1/velero-backup.json").exists()


def test_delete_of_a_name_that_was_typed_twice(backed_up):
    """A name that is given twice is deleted once, which is no error."""
    done = backed_up("backup", "delete", "shop-1", "shop-1", "--yes")

    assert done.code == 0
    assert done.out == "Deleted shop-1\n"


@pytest.mark.parametrize("output", ["table", "json"])
def test_delete_goes_on_after_one_that_is_refused(backed_up, monkeypatch, output):
    """What was agreed to is done for the others, and what was deleted is told."""
    backed_up("backup", "create", "two", "--include-namespaces", "shop")
    delete = BackupStore.delete

    def refusing(store, name, **options):
        if name == "two":
            raise BackupOwnsDataError(name, "1 native snapshot", hint="see to it")
        return delete(store, name, **options)

    monkeypatch.setattr(BackupStore, "delete", refusing)

    done = backed_up("backup", "delete", "two", "shop-1", "--yes", "-o", output)

    assert done.code == 1
    assert "shop-1" in done.out
    assert "two" not in done.out
    assert "Error: backup two: owns data outside the store" in done.err
