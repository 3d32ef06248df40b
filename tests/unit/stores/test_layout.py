"""The keys of the store are Velero's, and kbackup's below plugins/."""

from __future__ import annotations

import attrs
import pytest

from kbackup.errors import InvalidSpecError
from kbackup.stores import BackupFiles, RestoreFiles, layout


def test_files_of_a_backup():
    """Every file has the name that Velero gives it."""
    files = BackupFiles("shop-1")

    assert files.directory == "backups/shop-1/"
    assert files.metadata == "backups/shop-1/velero-backup.json"
    assert files.archive == "backups/shop-1/shop-1.tar.gz"
    assert files.logs == "backups/shop-1/shop-1-logs.gz"
    assert files.results == "backups/shop-1/shop-1-results.gz"
    assert files.volume_info == "backups/shop-1/shop-1-volumeinfo.json.gz"
    assert files.resource_list == "backups/shop-1/shop-1-resource-list.json.gz"
    assert files.pod_volume_backups == "backups/shop-1/shop-1-podvolumebackups.json.gz"
    assert files.volume_snapshots == "backups/shop-1/shop-1-volumesnapshots.json.gz"
    assert files.item_operations == "backups/shop-1/shop-1-itemoperations.json.gz"
    assert (
        files.csi_volume_snapshot_contents
        == "backups/shop-1/shop-1-csi-volumesnapshotcontents.json.gz"
    )
    assert files.manifest == "backups/shop-1/kbackup-manifest.json"


def test_files_of_a_restore():
    """The volume infos alone have no ``restore-`` in front, as in Velero."""
    files = RestoreFiles("try-1")

    assert files.logs == "restores/try-1/restore-try-1-logs.gz"
    assert files.results == "restores/try-1/restore-try-1-results.gz"
    assert files.volume_info == "restores/try-1/try-1-volumeinfo.json.gz"
    assert files.record == "restores/try-1/kbackup-restore.json"


@pytest.mark.parametrize("make", [BackupFiles, RestoreFiles, layout.claim])
@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "A",
        "a_b",
        "-a",
        "a-",
        "a..b",
        "a\n",
        "é",
        "a" * 254,
    ],
)
def test_bad_names_become_no_keys(make, name):
    """What is no DNS-1123 subdomain never becomes a part of a key."""
    with pytest.raises(InvalidSpecError):
        make(name)


@pytest.mark.parametrize("name", ["a", "a.b-c", "1", "a" * 253, "shop-20240501020003"])
def test_good_names(name):
    """A DNS-1123 subdomain of up to 253 characters is a name."""
    assert layout.is_valid_name(name)
    assert layout.backup_of(BackupFiles(name).directory) == name
    assert layout.backup_of(BackupFiles(name).archive) == name
    assert layout.restore_of(RestoreFiles(name).logs) == name


@pytest.mark.parametrize("files", [BackupFiles, RestoreFiles])
def test_longest_name(files):
    """A directory can hold every file that is written under the longest name."""
    most = layout.longest_name(files)
    older = {key for key in vars(files) if key.startswith(("csi_", "item_snapshots"))}

    def longest_file(name):
        """Return the length of the longest file's name."""
        made = files(name)
        keys = [getattr(made, key) for key in vars(files) if key not in older]
        texts = [key for key in keys if isinstance(key, str) and "." in key]
        return max(len(key.rpartition("/")[2]) for key in texts)

    assert longest_file("x" * most) == 255
    assert layout.name_violations("x" * most, files) == []
    (violation,) = layout.name_violations("x" * (most + 1), files)
    assert f"at most {most}" in violation


@pytest.mark.parametrize(
    "key", ["backups/", "backups/x", "backups/X/", "restores/x/", "backups/../", ""]
)
def test_keys_of_no_backup(key):
    """A key outside, or below a foreign directory, belongs to no backup."""
    assert layout.backup_of(key) == ""


def test_private_keys_lie_below_plugins():
    """Everything of kbackup's own is where Velero leaves it alone."""
    uid = "0b0e8a5e-0000-4000-8000-000000000000"
    keys = [
        layout.LOCATION,
        layout.claim("shop-1"),
        layout.journal(uid, 3),
        layout.probe(),
        layout.tombstone(uid),
    ]

    assert all(key.startswith("plugins/kbackup.io/") for key in keys)
    assert {key.split("/")[0] for key in keys} <= layout.TOP_LEVEL
    assert layout.journal(uid, 3).startswith(layout.journal(uid))


def test_journal_entries_list_in_their_order():
    """The keys of a journal's entries sort as their numbers do."""
    keys = [layout.journal("u", number) for number in (0, 2, 9, 10, 99, 100, 12345)]

    assert keys == sorted(keys)


def test_uids_become_no_paths():
    """A uid with a slash or dots is refused."""
    for uid in ("", "../x", "a/b", "a.b"):
        with pytest.raises(InvalidSpecError):
            layout.journal(uid)
        with pytest.raises(InvalidSpecError):
            layout.tombstone(uid)


def test_files_are_values():
    """Two of the same name are equal and cannot be changed."""
    assert BackupFiles("a") == BackupFiles("a")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        BackupFiles("a").name = "../b"
