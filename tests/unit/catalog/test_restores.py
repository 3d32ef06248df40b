"""Records of restores: written last, once, and never over another run's."""

import json
from datetime import timedelta

import catalog_samples as samples
import pytest

from kbackup._kits.streams import compress
from kbackup.catalog import BackupStore, RestoreFile
from kbackup.errors import (
    RestoreDamagedError,
    RestoreExistsError,
    RestoreInProgressError,
    RestoreNotFoundError,
    StoreError,
    StoreUnavailableError,
)
from kbackup.models import (
    ObjectMeta,
    Restore,
    RestorePhase,
    RestoreSpec,
    RestoreStatus,
    dump_json,
)


def restore_of(name, uid="run-1", started=samples.START):
    """Return the record of a restore that ended."""
    return Restore(
        metadata=ObjectMeta(name=name, uid=uid),
        spec=RestoreSpec(backup_name="shop"),
        status=RestoreStatus(phase=RestorePhase.COMPLETED, start_timestamp=started),
    )


def files_of(name):
    """Return the files of a restore."""
    return {
        f"restore-{name}-logs.gz": compress(b"line one\nline two\n"),
        f"restore-{name}-results.gz": compress(
            json.dumps({"errors": {"cluster": ["e"]}, "warnings": {}}).encode()
        ),
    }


def test_record_and_files(store):
    """What was put is read back."""
    store.put_restore(restore_of("try"), files_of("try"))

    assert store.get_restore("try") == restore_of("try")
    assert list(store.restore_logs("try")) == ["line one", "line two"]
    assert [entry.message for entry in store.restore_results("try").errors] == ["e"]
    assert store.restore_file("try", RestoreFile.RESOURCE_LIST) is None
    assert list(store.restore_logs("nothing")) == []


def test_record_is_last_and_journal_goes(objects, root):
    """Files come before the record, and nothing of the journal stays."""
    writes = []
    watched = samples.Watched(objects, lambda verb, key: writes.append(key))

    BackupStore(watched).put_restore(restore_of("try"), files_of("try"))

    below = [key for key in writes if key.startswith("restores/")]
    assert below[-1] == "restores/try/kbackup-restore.json"
    assert not list((root / "plugins").rglob("*.json"))


def test_a_record_that_appears_at_the_last_moment_stays(store, objects):
    """Of two runs that hold no claim the one that is recorded first is the record."""
    other, key = restore_of("try", "run-2"), "restores/try/kbackup-restore.json"

    def overtake(verb, written):
        """Put the other run's record before the first one's."""
        if (verb, written) == ("put", key):
            objects.put(key, dump_json(other))

    watched = BackupStore(samples.Watched(objects, overtake))
    with pytest.raises(RestoreExistsError):
        watched.put_restore(restore_of("try"), files_of("try"))

    assert store.get_restore("try") == other


def test_newest_first(store, root):
    """Restores come newest first; Velero's, without a record, are left out."""
    for n in range(3):
        started = samples.START + timedelta(hours=n)
        store.put_restore(restore_of(f"r{n}", f"u{n}", started), {})
    path = root / "restores/veleros/restore-veleros-logs.gz"
    path.parent.mkdir()
    path.write_bytes(b"")

    assert [r.metadata.name for r in store.list_restores()] == ["r2", "r1", "r0"]


def test_name_of_another_run(store, root):
    """A name that another run has used is refused, recorded or not."""
    store.put_restore(restore_of("try", "run-1"), {})
    path = root / "restores/veleros/restore-veleros-logs.gz"
    path.parent.mkdir()
    path.write_bytes(b"its log")

    for name in ("try", "veleros"):
        with pytest.raises(RestoreExistsError):
            store.check_restore(name, "run-2")
        with pytest.raises(RestoreExistsError):
            store.put_restore(restore_of(name, "run-2"), files_of(name))
    assert path.read_bytes() == b"its log"
    store.check_restore("try", "run-1")
    store.check_restore("new", "run-2")


def test_two_runs_of_one_name_at_once(objects, store, root):
    """Of two that both found the name free, the second removes nothing of the first."""

    def meanwhile(verb, key):
        """Let another run end between our look and our first file."""
        if key.startswith("plugins/kbackup.io/journal/run-2/") and verb == "put":
            store.put_restore(restore_of("try", "run-1"), files_of("try"))

    late = BackupStore(samples.Watched(objects, meanwhile))

    for _ in range(2):
        with pytest.raises(RestoreExistsError):
            late.put_restore(restore_of("try", "run-2"), files_of("try"))
    assert store.get_restore("try").metadata.uid == "run-1"
    assert list(store.restore_logs("try")) == ["line one", "line two"]
    assert not list((root / "plugins").rglob("*.json"))


def test_same_run_is_recorded_once(store):
    """The record of a run that ended is not written again."""
    store.put_restore(restore_of("try"), {})

    with pytest.raises(RestoreExistsError, match="recorded already"):
        store.put_restore(restore_of("try"), files_of("try"))


def test_killed_run_is_completed(objects, store):
    """The same run that died while it wrote its files writes them again."""
    for number in range(1, 5):
        seen = []

        def fail(verb, key, seen=seen, number=number):
            """Fail the write of this number."""
            seen.append(key)
            if len(seen) == number:
                raise StoreUnavailableError(key)

        name = f"try-{number}"
        broken = BackupStore(samples.Watched(objects, fail))
        with pytest.raises(StoreUnavailableError):
            broken.put_restore(restore_of(name, f"u-{number}"), files_of(name))

        store.put_restore(restore_of(name, f"u-{number}"), files_of(name))
        assert store.get_restore(name).metadata.uid == f"u-{number}"


def test_delete(store):
    """A deleted restore leaves nothing, and its name is free."""
    store.put_restore(restore_of("try"), files_of("try"))

    store.delete_restore("try")

    assert store.list_restores() == []
    store.check_restore("try", "another")
    with pytest.raises(RestoreNotFoundError):
        store.delete_restore("try")


def test_a_restore_that_ended_while_another_was_looked_at(store, objects):
    """Of a name that was restored under anew since it was looked at, the record stays."""
    store.put_restore(restore_of("try", "u1"), files_of("try"))
    came = []

    def come_first(verb, key):
        """Let another run end just before the deletion claims the name."""
        if verb == "put" and not came:
            came.append(key)
            store.delete_restore("try")
            store.put_restore(restore_of("try", "u2"), files_of("try"))

    with pytest.raises(RestoreInProgressError, match="another run has written it"):
        BackupStore(samples.Watched(objects, come_first)).delete_restore("try")

    assert store.get_restore("try").metadata.uid == "u2"


def test_damaged_record(store, root):
    """A record that cannot be read is an error of its own, and no list breaks."""
    store.put_restore(restore_of("good"), {})
    store.put_restore(restore_of("bad", "u2"), {})
    (root / "restores/bad/kbackup-restore.json").write_bytes(b"{")

    with pytest.raises(RestoreDamagedError, match=r"kbackup-restore\.json"):
        store.get_restore("bad")
    assert [r.metadata.name for r in store.list_restores()] == ["good"]


def test_record_of_another_restore(store, root):
    """A record that was copied under another name is not that restore."""
    store.put_restore(restore_of("try"), {})
    copy = root / "restores" / "copy"
    copy.mkdir()
    record = root / "restores" / "try" / "kbackup-restore.json"
    (copy / record.name).write_bytes(record.read_bytes())

    with pytest.raises(RestoreDamagedError, match="'try'"):
        store.get_restore("copy")
    assert [each.name for each in store.list_restores()] == ["try"]


def test_directories_that_are_no_restores(store, root):
    """What lies beside the restores and cannot be one is no line of the list."""
    store.put_restore(restore_of("try"), {})
    (root / "restores" / "Not_A_Name").mkdir()
    (root / "restores" / "Not_A_Name" / "x").write_bytes(b"x")

    assert [each.name for each in store.list_restores()] == ["try"]


@pytest.mark.parametrize(
    "content",
    [b"no gzip", compress(b"{"), compress(b"[1]"), compress(b'{"errors": [1]}')],
    ids=["no gzip", "no JSON", "a list", "another shape"],
)
def test_damaged_results(store, root, content):
    """Results that cannot be read are an error that names the file, never none."""
    store.put_restore(restore_of("try"), files_of("try"))
    (root / "restores/try/restore-try-results.gz").write_bytes(content)

    with pytest.raises(RestoreDamagedError, match=r"restore-try-results\.gz"):
        store.restore_results("try")


def test_damaged_log(store, root):
    """Of a log that is cut the lines before the cut come, then an error."""
    store.put_restore(restore_of("try"), files_of("try"))
    path = root / "restores/try/restore-try-logs.gz"
    path.write_bytes(path.read_bytes()[:-6])

    with pytest.raises(RestoreDamagedError, match="try"):
        list(store.restore_logs("try"))


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"entry": 1}'], ids=["cut", "a list", "no entry"]
)
def test_damaged_journal(store, root, content):
    """An entry that cannot be read is an error: what it said may have mattered."""
    journal = store.journal("run-1")
    journal.append({"n": 1})
    (root / "plugins/kbackup.io/journal/run-1/00000000.json").write_bytes(content)

    with pytest.raises(StoreError, match="00000000"):
        journal.entries()


def test_journal_that_ends_while_it_is_read(objects, store):
    """Entries that their run removes meanwhile are passed over."""
    store.journal("run-1").append({"n": 1})

    class Vanishing(samples.Watched):
        """A store in which the run ends between the list and the reading."""

        def get(self, key, target, **options):
            """Delete, then read."""
            objects.delete(key)
            return objects.get(key, target, **options)

    late = BackupStore(Vanishing(objects, lambda verb, key: None))

    assert late.journal("run-1").entries() == []


def test_journal(store, objects):
    """Entries come back in order, from any process, until they are removed."""
    journal = store.journal("run-1")
    for n in range(12):
        journal.append({"n": n})
    BackupStore(objects).journal("run-1").append({"n": 12})
    journal.append({"n": 13})

    assert [entry["n"] for entry in store.journal("run-1").entries()] == list(range(14))
    assert store.journal("run-2").entries() == []

    journal.remove()
    assert store.journal("run-1").entries() == []
