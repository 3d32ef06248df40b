"""What journals tell of backups that have not ended."""

import hashlib

import pytest

from kbackup.catalog import BackupStore
from kbackup.catalog.engine import ARCHIVE, FILES, kept_entry, operation_entry
from kbackup.errors import BackupExistsError, DigestMismatchError
from kbackup.models import (
    ItemOperation,
    ItemOperationSpec,
    OperationPhase,
    OperationStatus,
)
from kbackup.plugins import Digest
from kbackup.testing import MemoryStore

CONTENT = b"kept"


@pytest.fixture
def objects():
    """An object store."""
    return MemoryStore()


@pytest.fixture
def store(objects):
    """The backups in it."""
    return BackupStore(objects)


def operation(name, phase=OperationPhase.NEW):
    """An operation."""
    return ItemOperation(
        spec=ItemOperationSpec(backup_item_action="example.com/a", operation_id=name),
        status=OperationStatus(phase=phase),
    )


def keep(store, name="b", uid="run-1", *, files=FILES):
    """Write the journal of a run that waits for two operations."""
    journal = store.journal(uid)
    for each in ("o-1", "o-2"):
        journal.append(operation_entry("backup", name, operation(each)))
    digest = Digest(hashlib.sha256(CONTENT).hexdigest())
    for file in files:
        journal.put_file(file, CONTENT)
    journal.append(kept_entry(name, dict.fromkeys(files, digest)))
    return journal


def test_what_was_told_last_counts(store):
    """An operation is as its last entry says, and there once."""
    journal = keep(store)
    ended = operation("o-1", OperationPhase.COMPLETED)
    journal.append(operation_entry("backup", "b", ended))

    found = store.unended("b")

    assert (found.name, found.uid, found.can_be_resumed) == ("b", "run-1", True)
    assert [(o.spec.operation_id, o.status.phase) for o in found.operations] == [
        ("o-1", OperationPhase.COMPLETED),
        ("o-2", OperationPhase.NEW),
    ]


def test_a_file_that_is_not_there_yet(store):
    """Nothing can be resumed before all of it is kept."""
    keep(store, files=(ARCHIVE,))

    found = store.unended("b")

    assert not found.can_be_resumed
    assert "o-1" in str(found)


def test_a_removal_that_is_broken_off_leaves_nothing_to_resume(objects, store):
    """Wherever it is: what is left never says that a file is there which is gone."""
    journal = keep(store)
    keys = [info.key for info in journal.objects()]

    for key in keys[:-1]:
        objects.delete(key)
        found = store.unended("b")
        assert found is not None
        assert not found.can_be_resumed
    objects.delete(keys[-1])

    assert store.unended("b") is None


def test_of_two_runs_the_one_that_can_go_on_counts(store):
    """What died while it read does not hide what waits."""
    store.journal("aaa").append(operation_entry("backup", "b", operation("o-0")))
    keep(store, uid="bbb")

    assert store.unended("b").uid == "bbb"


def test_the_journal_of_another_is_none_of_ours(objects, store):
    """Other backups, restores, and what is no journal at all keep nobody from a name."""
    keep(store, name="other")
    store.journal("run-2").append({"restore": "b"})
    store.journal("run-3").append({"backup": ["b"]})
    objects.put("plugins/kbackup.io/journal/run-4/00000000.json", b"{")
    objects.put("plugins/kbackup.io/journal/a b/00000000.json", b"{}")

    assert store.unended("b") is None
    with store.claim("b", run_uid="run-5"):
        pass
    assert [entry.name for entry in store.list()] == ["other"]


def test_a_name_that_can_be_resumed_is_not_claimed(store):
    """But by who goes on with it; nothing is left of the refusal."""
    keep(store)

    with pytest.raises(BackupExistsError, match="2 operations waited for"):
        store.claim("b", run_uid="run-2")
    with store.claim("b", run_uid="run-3", resume=True):
        pass

    assert store.unended("b").can_be_resumed


def test_what_was_kept_is_checked(objects, store, tmp_path):
    """A file that is not what was kept is not taken for it."""
    journal = keep(store)
    digest = Digest(hashlib.sha256(b"other").hexdigest())

    with (
        (tmp_path / "archive").open("wb") as target,
        pytest.raises(DigestMismatchError),
    ):
        journal.get_file(ARCHIVE, target, expect=digest)
