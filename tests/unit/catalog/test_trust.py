"""The record is the root of trust: nothing of a backup changes unseen."""

import json

import catalog_samples as samples
import pytest

from kbackup.catalog import BackupStore, SideFile
from kbackup.errors import BackupDamagedError, BackupNotFoundError
from kbackup.models import dump_json
from kbackup.testing import MemoryStore

MANIFEST = "backups/shop/kbackup-manifest.json"
RECORD = "backups/shop/velero-backup.json"
ARCHIVE = "backups/shop/shop.tar.gz"


@pytest.fixture
def shop(store):
    """A whole backup."""
    return samples.make(store, "shop")


def refuses(store, words):
    """Check that neither manifest nor archive nor side files are handed out."""
    for read in (store.manifest, store.open_archive, store.logs):
        with pytest.raises(BackupDamagedError, match=words):
            read("shop")
    with pytest.raises(BackupDamagedError, match=words):
        store.side_file("shop", SideFile.RESULTS)
    assert any(words in problem for problem in store.verify("shop").problems)


def test_manifest_removed(shop, store, root):
    """A record that names a manifest is nothing without it."""
    (root / MANIFEST).unlink()

    refuses(store, "kbackup-manifest.json is missing")
    assert store.entry("shop").state == "damaged"


def test_manifest_altered(shop, store, root):
    """A manifest whose digest is another is refused."""
    path = root / MANIFEST
    path.write_bytes(path.read_bytes().replace(b'"items": 2', b'"items": 3'))

    refuses(store, "not the one that its record names")


def test_manifest_of_another_backup(shop, store, root):
    """The manifest of another backup is refused although its digest is right."""
    samples.make(store, "other")
    record = json.loads((root / RECORD).read_bytes())
    other = store.get("other").metadata.annotations
    record["metadata"]["annotations"] = dict(other)
    (root / RECORD).write_bytes(json.dumps(record).encode())
    (root / MANIFEST).write_bytes(
        (root / "backups/other/kbackup-manifest.json").read_bytes()
    )

    refuses(store, "is that of backup 'other'")


def test_manifest_of_an_older_run(shop, store, root):
    """The manifest of an earlier run of the same name is refused by its uid."""
    old_manifest = (root / MANIFEST).read_bytes()
    old_annotations = shop.metadata.annotations
    store.delete("shop")
    samples.make(store, "shop")
    record = json.loads((root / RECORD).read_bytes())
    record["metadata"]["annotations"] = dict(old_annotations)
    (root / RECORD).write_bytes(json.dumps(record).encode())
    (root / MANIFEST).write_bytes(old_manifest)

    refuses(store, "with uid")


def test_record_altered(shop, store, root):
    """A record that says something else than was written is refused."""
    path = root / RECORD
    path.write_bytes(path.read_bytes().replace(b"Completed", b"PartiallyFailed"))

    refuses(store, "velero-backup.json is not the one that was written")


def test_annotation_removed(shop, store, root):
    """A record that lost its annotation does not pass for one of Velero's."""
    path = root / RECORD
    path.write_bytes(path.read_bytes().replace(b"kbackup.io/manifest", b"example.io/x"))

    refuses(store, "does not name the kbackup-manifest.json")


def test_annotation_that_is_no_digest(shop, store, root):
    """An annotation in another notation is damage, not absence."""
    path = root / RECORD
    path.write_bytes(path.read_bytes().replace(b"sha256:", b"md5:"))

    refuses(store, "annotation kbackup.io/manifest")


def test_archive_replaced(shop, store, root):
    """An archive that is not the manifest's is never handed out."""
    (root / ARCHIVE).write_bytes(samples.archive_bytes(mtime=1))

    with pytest.raises(BackupDamagedError, match="not what its manifest says"):
        store.open_archive("shop")
    with pytest.raises(BackupDamagedError, match="not what its manifest says"):
        store.download("shop", root / "copy")
    assert not (root / "copy").exists()


def test_side_file_missing_or_replaced(shop, store, root):
    """A side file that the manifest names must be there and be the same."""
    path = root / "backups/shop/shop-results.gz"
    content = path.read_bytes()

    path.write_bytes(content + b"x")
    with pytest.raises(BackupDamagedError, match="not what its manifest says"):
        store.results("shop")
    path.unlink()
    with pytest.raises(BackupDamagedError, match="is missing"):
        store.results("shop")


def test_extra_file_is_not_read_and_is_reported(shop, store, root):
    """A file that the manifest does not name is not read, and verify reports it."""
    path = root / "backups/shop/shop-volumeinfo.json.gz"
    path.write_bytes(samples.compress(b"[{}]\n"))

    assert store.side_file("shop", SideFile.VOLUME_INFO) is None
    assert store.verify("shop").problems == (
        "shop-volumeinfo.json.gz is not named by the manifest and is not read",
    )


def test_every_flipped_byte_is_found():
    """Verify finds each flipped byte of each object of a whole backup."""
    memory = MemoryStore()
    store = BackupStore(memory)
    samples.make(store, "shop")
    keys = [key for key in memory.objects if key.startswith("backups/shop/")]
    unseen = []

    for key in keys:
        content = memory.objects[key]
        for at in range(len(content)):
            flipped = bytearray(content)
            flipped[at] ^= 1 << (at % 8)
            memory.objects[key] = bytes(flipped)
            if not store.verify("shop").problems:
                unseen.append((key, at))
        memory.objects[key] = content

    assert len(keys) == 8
    assert unseen == []
    assert store.verify("shop").problems == ()


def test_salvage_reads_a_damaged_backup(shop, store, root):
    """With salvage the archive of a damaged backup is read as far as it goes."""
    (root / MANIFEST).unlink()

    with store.open_archive("shop", salvage=True) as reader:
        assert len(list(reader)) == 2
        assert reader.damage == ()


def test_salvage_without_an_archive(shop, store, root):
    """Of a backup whose archive is gone nothing is readable, and that is said of it."""
    (root / MANIFEST).unlink()
    (root / "backups/shop/shop.tar.gz").unlink()

    with pytest.raises(BackupDamagedError, match=r"shop: .*its archive is missing"):
        store.open_archive("shop", salvage=True)


def test_not_found(store):
    """A backup that is not there is not found, by every way to read it."""
    for read in (store.get, store.manifest, store.open_archive, store.archive_digest):
        with pytest.raises(BackupNotFoundError):
            read("nothing")
    for act in (store.verify, store.delete, store.entry, store.results):
        with pytest.raises(BackupNotFoundError):
            act("nothing")


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(("name", "near"), [("shpo", "shop"), ("nothing", "")])
def test_the_nearest_name(store, name, near):
    """Whoever mistypes a name is told what is on record beside it."""
    for read in (store.get, store.entry, store.open_archive):
        with pytest.raises(BackupNotFoundError) as caught:
            read(name)

        assert caught.value.hint == (f"the nearest name is {near}" if near else "")


def test_record_of_another_name(store, root):
    """A directory that was renamed is damaged, not another backup."""
    directory = root / "backups/copy"
    directory.mkdir(parents=True)
    record = dump_json(samples.record_of("shop", "u"))
    (directory / "velero-backup.json").write_bytes(record)

    with pytest.raises(BackupDamagedError, match="'shop'"):
        store.get("copy")
