"""What shows is whole, whatever line the writer dies at."""

import subprocess
import sys
import uuid
from pathlib import Path

import attrs
import catalog_samples as samples
import pytest

from kbackup.catalog import BackupStore, EntryState, ManifestObject
from kbackup.errors import (
    BackupExistsError,
    BackupInProgressError,
    StoreFullError,
    StoreUnavailableError,
)
from kbackup.models import Backup as BackupModel
from kbackup.models import BackupPhase, load_json
from kbackup_plugins_local import open_local_store

PROGRAM = Path(samples.__file__)
WRITES = 11  # location, claim, six files, manifest, record, and the claim's end


def test_published_backup_is_whole(store):
    """A published backup lists as complete, verifies, and its record is what we got."""
    record = samples.make(store, "shop")

    (entry,) = store.list()
    assert (entry.state, entry.manifest, entry.reason) == ("complete", True, "")
    assert store.get("shop") == record
    report = store.verify("shop")
    assert (report.problems, report.objects, report.items) == ((), 8, 2)


def test_order_of_writes(objects, root):
    """Location and claim, archive, side files, manifest, record, then the claim goes."""
    writes = []
    watched = samples.Watched(objects, lambda verb, key: writes.append((verb, key)))

    samples.make(BackupStore(watched), "shop")

    claim = "plugins/kbackup.io/claims/shop.json"
    assert writes[:3] == [
        ("put", "plugins/kbackup.io/location.json"),
        ("put", claim),
        ("put", "backups/shop/shop.tar.gz"),
    ]
    assert writes[-3:] == [
        ("put", "backups/shop/kbackup-manifest.json"),
        ("put", "backups/shop/velero-backup.json"),
        ("delete", claim),
    ]
    assert len(writes) == len(set(writes)) == WRITES


@pytest.mark.parametrize("number", range(1, WRITES + 2))
def test_killed_at_every_write(root, number):
    """After a kill at any write the list is whole, and the name can be used again."""
    root.mkdir()
    killed = subprocess.run(
        [sys.executable, PROGRAM, "kill", root, str(number)], check=False
    )
    store = BackupStore(open_local_store({"path": str(root)}))
    entries = store.list()

    assert killed.returncode == (9 if number <= WRITES else 0)
    for entry in entries:
        assert entry.state in {EntryState.COMPLETE, EntryState.INCOMPLETE}
        if entry.state is EntryState.COMPLETE:
            assert store.verify(entry.name).problems == ()
    if number >= WRITES:
        assert [entry.state for entry in entries] == ["complete"]
        store.delete("shop")
    (root / "backups/shop").mkdir(parents=True, exist_ok=True)
    (root / "backups/shop/shop-volumeinfo.json.gz").write_bytes(b"of the dead run")
    record = samples.make(store, "shop")
    assert store.get("shop").metadata.uid == record.metadata.uid
    assert store.verify("shop").problems == ()
    names = {path.name for path in (root / "backups/shop").iterdir()}
    assert names == {
        *samples.files_of("shop"),
        "velero-backup.json",
        "kbackup-manifest.json",
    }


def fail_at_write(objects, number):
    """Make backup ``shop`` in a store that fails at its n-th write."""
    seen = []

    def fail(verb, key):
        """Fail the write of this number."""
        seen.append(key)
        if len(seen) == number:
            raise StoreUnavailableError(key, "gone for a moment")

    with pytest.raises(StoreUnavailableError):
        samples.make(BackupStore(samples.Watched(objects, fail)), "shop")


@pytest.mark.parametrize("number", range(1, WRITES))
def test_failing_at_every_write(objects, root, number):
    """A store that fails at any write makes the run fail, and nothing shows."""
    fail_at_write(objects, number)

    store = BackupStore(objects)
    assert [entry.state for entry in store.list()] in ([], ["incomplete"])
    assert not list((root / "plugins").rglob("shop.json"))
    samples.make(store, "shop")
    assert store.verify("shop").problems == ()


@pytest.mark.parametrize("number", range(4, WRITES - 1))
def test_what_was_written_before_a_failure_goes(objects, root, number):
    """A run that fails before its record leaves no file of the backup behind."""
    fail_at_write(objects, number)

    assert list(objects.list("backups/")) == []


def test_lost_answer_of_the_record(objects):
    """A record that was written although the answer was lost counts as published."""

    class Losing(samples.Watched):
        """Writes the record and then says that it failed."""

        def put(self, key, source, **options):
            """Write; lose the answer of the record."""
            done = super().put(key, source, **options)
            if key.endswith("velero-backup.json"):
                raise StoreUnavailableError(key, "timed out")
            return done

    store = BackupStore(Losing(objects, lambda verb, key: None))

    record = samples.make(store, "shop")

    assert BackupStore(objects).get("shop") == record


def test_disk_that_is_full_at_the_record(objects, root):
    """Where there is no room for the record, the room of all else is given back."""

    def fill(verb, key):
        """Refuse the record."""
        if verb == "put" and key.endswith("velero-backup.json"):
            raise StoreFullError(key)

    with pytest.raises(StoreFullError):
        samples.make(BackupStore(samples.Watched(objects, fill)), "shop")

    assert not (root / "backups").exists()


def test_claim_lost_while_writing(store, objects, root):
    """A run whose claim was taken over publishes nothing and touches nothing."""
    uid = str(uuid.uuid4())
    claim = store.claim("shop", run_uid=uid)
    (root / "plugins/kbackup.io/claims/shop.json").unlink()
    other = samples.make(BackupStore(objects), "shop")

    with pytest.raises((BackupInProgressError, BackupExistsError)):
        store.publish(
            claim,
            samples.record_of("shop", uid),
            samples.files_of("shop"),
            samples.manifest_of(),
        )

    assert store.get("shop") == other
    assert store.verify("shop").problems == ()


def test_files_from_paths(store, tmp_path):
    """Files given as paths, also under their whole keys, are stored as bytes are."""
    files = {}
    for name, content in samples.files_of("shop").items():
        path = tmp_path / name
        path.write_bytes(content)
        files[f"backups/shop/{name}"] = path

    samples.make(store, "shop", files=files)

    assert store.verify("shop").problems == ()


def test_known_digests_are_taken(store, tmp_path):
    """A digest that the writer of a file knows is not computed again."""
    path = tmp_path / "a.tar.gz"
    path.write_bytes(samples.archive_bytes())
    known = ManifestObject(
        name="shop.tar.gz", size=path.stat().st_size, sha256="b" * 64
    )
    files = {**samples.files_of("shop"), "shop.tar.gz": path}

    samples.make(
        store, "shop", files=files, manifest=samples.manifest_of(objects=[known])
    )

    assert store.archive_digest("shop") == "b" * 64
    assert any("shop.tar.gz" in p for p in store.verify("shop").problems)


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "", "velero-backup.json", "kbackup-manifest.json"]
)
def test_files_that_are_not_the_callers(store, name):
    """A file elsewhere, or one of the catalog's own, is a slip of the caller."""
    with (
        store.claim("shop", run_uid="u") as claim,
        pytest.raises(ValueError, match="cannot be a file"),
    ):
        store.publish(
            claim, samples.record_of("shop", "u"), {name: b""}, samples.manifest_of()
        )


@pytest.mark.parametrize("phase", [BackupPhase.IN_PROGRESS, BackupPhase.FINALIZING])
def test_unfinished_phases(store, phase):
    """A phase that is not the last one is never written."""
    record = samples.record_of("shop", "u", phase=phase)

    with (
        store.claim("shop", run_uid="u") as claim,
        pytest.raises(ValueError, match="not that of a run that ended"),
    ):
        store.publish(claim, record, {}, samples.manifest_of())


def test_record_is_veleros(store, root):
    """The record begins as Velero's decoder needs it and ends without a newline."""
    record = samples.make(store, "shop")

    content = (root / "backups/shop/velero-backup.json").read_bytes()
    assert content.startswith(
        b'{\n  "kind": "Backup",\n  "apiVersion": "velero.io/v1",\n  "metadata": {'
    )
    assert content.endswith(b"}")
    assert load_json(BackupModel, content) == attrs.evolve(record)
