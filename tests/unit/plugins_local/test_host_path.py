"""Snapshots of directories keep all that a volume holds, or show nothing at all."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import stat
from pathlib import Path

import jsonschema
import pytest

from kbackup.errors import (
    InvalidConfigError,
    SnapshotterAccessError,
    SnapshotterError,
)
from kbackup.plugins import PluginManager, VolumeDescription
from kbackup.testing import persistent_volume
from kbackup_plugins_local import _copy_tree, open_host_path_snapshotter
from kbackup_plugins_local._host_path_config import read_host_path_config
from odd_tree import make_odd_tree, seen

ANY = VolumeDescription()
SCHEMA = Path(__file__).parents[3] / "docs/formats/schemas/host-path-snapshot.json"


@pytest.fixture
def volume(tmp_path):
    """A directory with everything that a file system can hold."""
    path = tmp_path / "volumes" / "data"
    path.mkdir(parents=True)
    make_odd_tree(path)
    path.chmod(0o2711)
    os.utime(path, ns=(3, 1_111_111_111_000_000_000))
    return path


@pytest.fixture
def snapshots(tmp_path):
    """Where snapshots are kept."""
    return tmp_path / "snapshots"


@pytest.fixture
def snapshotter(snapshots):
    """A snapshotter of the node that volumes here are on."""
    return open_host_path_snapshotter({"snapshots": str(snapshots), "node": "node-1"})


def _names(directory):
    return (
        sorted(path.name for path in directory.iterdir()) if directory.exists() else []
    )


def _root_of(path):
    found = os.lstat(path)
    return oct(found.st_mode), found.st_uid, found.st_gid, found.st_mtime_ns


def test_it_is_offered():
    """The provider opens it under its own name, and under that of another plugin."""
    plugins = PluginManager()

    for name in ("kbackup.io/local", "csdz.io/local"):
        assert plugins.volume_snapshotter(name).open is open_host_path_snapshotter


def test_everything_is_kept(snapshotter, volume):
    """A volume from a snapshot has names, bytes, links, owners, modes, times as before."""
    before = seen(volume)

    snapshot = snapshotter.create_snapshot(str(volume), "", {})
    shutil.rmtree(volume / "directory")
    made = Path(snapshotter.create_volume(snapshot, ANY, ""))

    assert before
    assert seen(made) == before
    assert _root_of(made)[0] == oct(stat.S_IFDIR | 0o2711)
    assert _root_of(made)[3] == 1_111_111_111_000_000_000
    assert made.parent == volume.parent
    assert made.name.startswith("data-")


def test_the_record_of_a_snapshot(snapshotter, volume, snapshots):
    """What a snapshot is of stands beside it, as its schema says."""
    snapshot = snapshotter.create_snapshot(str(volume), "", {"velero.io/pv": "pvc-1"})

    record = json.loads((snapshots / snapshot / "snapshot.json").read_text())
    jsonschema.validate(record, json.loads(SCHEMA.read_text()))
    assert record["volume"] == str(volume)


def test_holes_stay_holes(snapshotter, volume):
    """Holes before, between and behind the bytes of a file take no room in a copy."""
    with (volume / "holes").open("wb") as file:
        for offset in (16 << 20, 32 << 20):
            file.seek(offset)
            file.write(b"bytes")
        file.truncate(64 << 20)
    before = seen(volume)
    snapshot = snapshotter.create_snapshot(str(volume), "", {})
    made = Path(snapshotter.create_volume(snapshot, ANY, ""))

    assert seen(made) == before
    assert (made / "holes").stat().st_blocks * 512 < 1 << 20


def test_a_directory_with_an_acl(snapshotter, volume):
    """Attributes of the system, as a default ACL is one, come along and are not inherited."""
    acl = bytes.fromhex(  # user::rwx,user:1234:r-x,group::r-x,mask::r-x,other::---
        "02000000"
        "01000700ffffffff"
        "02000500d2040000"
        "04000500ffffffff"
        "10000500ffffffff"
        "20000000ffffffff"
    )
    name = "system.posix_acl_default"
    try:
        os.setxattr(volume / "sticky", name, acl)
    except OSError as exc:
        pytest.skip(f"the file system of the tests has no ACLs: {exc}")
    (volume / "sticky" / "plain").touch()
    os.removexattr(volume / "sticky" / "plain", "system.posix_acl_access")
    made = Path(
        snapshotter.create_volume(
            snapshotter.create_snapshot(str(volume), "", {}), ANY, ""
        )
    )

    assert os.getxattr(made / "sticky", name) == acl
    assert os.listxattr(made / "sticky" / "plain") == []


def test_reflinks_are_asked_for(snapshotter, volume, monkeypatch):
    """Where the file system shares blocks, no byte is copied."""
    cloned = []

    def ioctl(writing, request, reading):
        cloned.append(request)
        os.write(writing, b"shared")
        return 0

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    monkeypatch.setattr(_copy_tree, "_copy_data", None)  # nobody calls it

    snapshotter.create_snapshot(str(volume), "", {})

    files = [
        path for path in volume.rglob("*") if path.is_file() and not path.is_symlink()
    ]
    assert set(cloned) == {0x40049409}
    assert len(cloned) == len({path.stat().st_ino for path in files})


def test_a_reflink_that_fails_is_told(snapshotter, volume, monkeypatch):
    """A full disk is not taken for a file system without reflinks."""

    def ioctl(*_):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(fcntl, "ioctl", ioctl)

    with pytest.raises(SnapshotterError, match=f"{volume}.*no space left"):
        snapshotter.create_snapshot(str(volume), "", {})


@pytest.mark.parametrize("failure", [OSError(errno.EIO, "disk"), KeyboardInterrupt()])
def test_what_breaks_off_shows_nothing(
    snapshotter, volume, snapshots, monkeypatch, failure
):
    """Neither a snapshot nor a volume is there in part, nor what was begun of it."""
    whole = snapshotter.create_snapshot(str(volume), "", {})

    def fail(*_):
        raise failure

    monkeypatch.setattr(_copy_tree, "sync_directory", fail)

    for call in (
        lambda: snapshotter.create_snapshot(str(volume), "", {}),
        lambda: snapshotter.create_volume(whole, ANY, ""),
    ):
        with pytest.raises((SnapshotterError, KeyboardInterrupt)):
            call()

    assert _names(snapshots) == [whole]
    assert _names(volume.parent) == ["data"]


def test_a_copy_is_on_the_disk_before_it_has_its_name(
    snapshotter, volume, snapshots, monkeypatch
):
    """Every file and directory is brought to the disk while nobody sees them."""
    synced = []
    fsync = os.fsync

    def record(descriptor):
        synced.append(os.fstat(descriptor).st_ino)
        visible.extend(name for name in _names(snapshots) if name.startswith("snap-"))
        fsync(descriptor)

    visible = []
    monkeypatch.setattr(os, "fsync", record)
    snapshot = snapshotter.create_snapshot(str(volume), "", {})
    monkeypatch.undo()

    everything = [snapshots / snapshot, *(snapshots / snapshot).rglob("*")]
    wanted = {
        path.stat().st_ino
        for path in everything
        if not path.is_symlink() and (path.is_file() or path.is_dir())
    }
    assert wanted <= set(synced)
    assert synced[-1] == snapshots.stat().st_ino
    assert visible == [snapshot]  # only while its directory was synced, at the end


def test_a_link_in_the_place_of_a_directory(
    snapshotter, volume, tmp_path, snapshots, monkeypatch
):
    """Who can write to a volume cannot have other files of the machine copied."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("not yours")
    opened = os.open

    def swap(path, *args, **options):
        victim = volume / "directory"
        if path == str(victim) and not victim.is_symlink():
            shutil.rmtree(victim)
            victim.symlink_to(secret)
        return opened(path, *args, **options)

    monkeypatch.setattr(os, "open", swap)
    snapshot = snapshotter.create_snapshot(str(volume), "", {})

    assert (volume / "directory" / "key").exists()  # it was swapped
    assert not list((snapshots / snapshot).rglob("key"))


def test_another_directory_in_its_place(
    snapshotter, volume, tmp_path, snapshots, monkeypatch
):
    """A way that leads to another directory by now is not gone."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "nested").mkdir(parents=True)
    (elsewhere / "nested" / "key").write_text("not yours")
    (volume / "directory" / "nested").mkdir()
    opened = os.open

    def swap(path, *args, **options):
        victim = volume / "directory"
        if path == str(victim / "nested") and not victim.is_symlink():
            victim.rename(tmp_path / "away")
            victim.symlink_to(elsewhere)
        return opened(path, *args, **options)

    monkeypatch.setattr(os, "open", swap)
    snapshot = snapshotter.create_snapshot(str(volume), "", {})

    assert (volume / "directory" / "nested" / "key").exists()
    assert not list((snapshots / snapshot).rglob("key"))


def test_what_vanishes_is_left_out(snapshotter, volume, snapshots, monkeypatch):
    """A file that is deleted between two looks at it costs only itself."""
    copied = _copy_tree._copy_file

    def vanish(descriptor, name, target, found):
        (volume / "empty file").unlink(missing_ok=True)
        copied(descriptor, name, target, found)

    monkeypatch.setattr(_copy_tree, "_copy_file", vanish)
    snapshot = snapshotter.create_snapshot(str(volume), "", {})

    data = snapshots / snapshot / "data"
    assert seen(data) == seen(volume)
    assert not (data / "empty file").exists()


def test_owners_that_may_not_be_given(snapshotter, volume, snapshots, monkeypatch):
    """A copy with other owners would be another volume: refused, with what to do."""
    if os.geteuid() != 0:
        pytest.skip("only root makes files of others")

    def refuse(*_, **__):
        raise PermissionError(errno.EPERM, "not permitted")

    monkeypatch.setattr(os, "chown", refuse)

    with pytest.raises(SnapshotterAccessError) as caught:
        snapshotter.create_snapshot(str(volume), "", {})

    assert "root" in caught.value.hint
    assert _names(snapshots) == []


def test_snapshots_within_the_volume(volume):
    """A snapshot of itself has no end; one of the others neither."""
    inside = open_host_path_snapshotter({"snapshots": str(volume / "snapshots")})
    around = open_host_path_snapshotter({"snapshots": str(volume.parent)})

    for snapshotter in (inside, around):
        with pytest.raises(SnapshotterError, match="in the other"):
            snapshotter.create_snapshot(str(volume), "", {})


def test_what_is_no_directory(snapshotter, volume):
    """A file is no volume."""
    with pytest.raises(SnapshotterError, match="no directory"):
        snapshotter.create_snapshot(str(volume / "plain"), "", {})


def test_where_volumes_are_made(volume, snapshots, tmp_path):
    """With `volumes` they are made there, also where the first one's place is gone."""
    config = {"snapshots": str(snapshots)}
    beside = open_host_path_snapshotter(config)
    snapshot = beside.create_snapshot(str(volume), "", {})
    shutil.rmtree(volume.parent)
    there = open_host_path_snapshotter({**config, "volumes": str(tmp_path)})

    assert Path(there.create_volume(snapshot, ANY, "")).parent == tmp_path
    with pytest.raises(SnapshotterError, match=snapshot) as caught:
        beside.create_volume(snapshot, ANY, "")
    assert "volumes:" in caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "[]", '{"volume": "../etc"}', "{}"])
def test_a_damaged_record(snapshotter, volume, snapshots, text):
    """What a snapshot is of is read with care."""
    snapshot = snapshotter.create_snapshot(str(volume), "", {})
    (snapshots / snapshot / "snapshot.json").write_text(text)

    with pytest.raises(SnapshotterError):
        snapshotter.create_volume(snapshot, ANY, "")


def test_snapshots_are_for_nobody_else(snapshotter, volume, snapshots):
    """A volume that everybody reads is not read by everybody in its snapshot."""
    snapshot = snapshotter.create_snapshot(str(volume), "", {})

    assert stat.S_IMODE(snapshots.stat().st_mode) == 0o700
    assert stat.S_IMODE((snapshots / snapshot).stat().st_mode) == 0o700


def test_nothing_is_left_of_a_deleted_snapshot(snapshotter, volume, snapshots):
    """Deleting leaves no file."""
    snapshotter.delete_snapshot(snapshotter.create_snapshot(str(volume), "", {}))

    assert _names(snapshots) == []


def _bound(operator, values):
    volume = persistent_volume("local", path="/mnt/disks/1")
    wanted = {"key": "kubernetes.io/hostname", "operator": operator, "values": values}
    other = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]}
    terms = [{"matchExpressions": [other, wanted]}]
    volume["spec"]["nodeAffinity"] = {"required": {"nodeSelectorTerms": terms}}
    return volume


@pytest.mark.parametrize(
    ("volume", "ours"),
    [
        (_bound("In", ["node-1"]), "/mnt/disks/1"),
        (_bound("In", ["node-2"]), ""),
        (_bound("NotIn", ["node-1"]), ""),
        (_bound("NotIn", ["node-2"]), "/mnt/disks/1"),
        (persistent_volume("hostPath", path="/data/"), "/data"),
        (
            persistent_volume("hostPath", path="/data", type="DirectoryOrCreate"),
            "/data",
        ),
        (persistent_volume("hostPath", path="/dev/sda", type="BlockDevice"), ""),
        (persistent_volume("hostPath", path="/run/x.sock", type="Socket"), ""),
        ({"spec": {"local": {"path": "/dev/sdb"}, "volumeMode": "Block"}}, ""),
    ],
)
def test_volumes_of_this_node(snapshotter, volume, ours):
    """Directories that may be on this node are ours; those of others and devices are not."""
    assert snapshotter.volume_id(volume) == ours


@pytest.mark.parametrize("path", ["", "relative", "/a/../etc", "/"])
def test_paths_that_cannot_be_meant(snapshotter, path):
    """A PersistentVolume that leads out of its place is an error, not somebody else's."""
    with pytest.raises(SnapshotterError):
        snapshotter.volume_id(persistent_volume("hostPath", path=path))


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({}, "snapshots"),
        ({"snapshots": "relative"}, "snapshots"),
        ({"snapshots": "/"}, "snapshots"),
        ({"snapshots": "/s", "volumes": "v"}, "volumes"),
        ({"snapshots": "/s", "path": "/p"}, "path"),
    ],
)
def test_what_has_no_meaning(config, told):
    """A configuration that cannot be meant is refused, with the key."""
    with pytest.raises(InvalidConfigError, match=told):
        read_host_path_config(config)


def test_the_node_is_this_machine_by_default(monkeypatch):
    """As kubelet names a node: the hostname in lower case."""
    monkeypatch.setattr("socket.gethostname", lambda: "Node-7")

    assert read_host_path_config({"snapshots": "/s"}).node == "node-7"
