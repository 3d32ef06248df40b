"""What a killed process left of a snapshot is removed, and nothing that anybody works on."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from kbackup.plugins import VolumeDescription
from kbackup_plugins_local import _workspaces, open_host_path_snapshotter

ANY = VolumeDescription()

# Stops in the middle of a copy, says so, and goes on when it is told to.
_PROGRAM = """
import sys
from kbackup.plugins import VolumeDescription
from kbackup_plugins_local import _copy_tree, open_host_path_snapshotter

snapshots, act, thing = sys.argv[1:]
copy = _copy_tree._copy_file

def stopping(*given):
    copy(*given)
    print("copying", flush=True)
    sys.stdin.readline()

_copy_tree._copy_file = stopping
snapshotter = open_host_path_snapshotter({"snapshots": snapshots, "node": "node-1"})
if act == "snapshot":
    snapshotter.create_snapshot(thing, "", {})
else:
    snapshotter.create_volume(thing, VolumeDescription(), "")
"""


@pytest.fixture
def volume(tmp_path):
    """A directory with a file, whose parent holds nothing else."""
    path = tmp_path / "volumes" / "data"
    path.mkdir(parents=True)
    (path / "file").write_bytes(b"x" * 1000)
    return path


@pytest.fixture
def snapshots(tmp_path):
    """Where snapshots are kept."""
    return tmp_path / "snapshots"


@pytest.fixture
def snapshotter(snapshots):
    """A snapshotter of the node that volumes here are on."""
    return open_host_path_snapshotter({"snapshots": str(snapshots), "node": "node-1"})


@contextmanager
def copying(snapshots, act, thing):
    """Another process that is in the middle of a copy."""
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, snapshots, act, thing],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "copying\n"
        yield process
        process.kill()


def left(directory):
    """The workspaces in a directory."""
    return [
        path for path in directory.iterdir() if path.name.startswith(".kbackup-tmp-")
    ]


def kill(process):
    """End a process as the system does when memory is short."""
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_what_a_killed_snapshot_left(snapshotter, volume, snapshots):
    """The next snapshot removes what one left that was killed in the middle."""
    with copying(snapshots, "snapshot", volume) as process:
        kill(process)
    (dead,) = left(snapshots)
    assert list(dead.rglob("file"))

    snapshot = snapshotter.create_snapshot(str(volume), "", {})

    assert [path.name for path in snapshots.iterdir()] == [snapshot]


def test_what_a_killed_volume_left(snapshotter, volume, snapshots):
    """The next volume removes what one left beside it that was killed in the middle."""
    snapshot = snapshotter.create_snapshot(str(volume), "", {})
    with copying(snapshots, "volume", snapshot) as process:
        kill(process)
    assert len(left(volume.parent)) == 1

    made = Path(snapshotter.create_volume(snapshot, ANY, ""))

    assert set(volume.parent.iterdir()) == {volume, made}
    assert (made / "file").read_bytes() == b"x" * 1000


def test_what_somebody_works_on_is_left(snapshotter, volume, snapshots):
    """A snapshot that another process makes meanwhile is not disturbed."""
    with copying(snapshots, "snapshot", volume) as process:
        first = snapshotter.create_snapshot(str(volume), "", {})
        assert len(left(snapshots)) == 1
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.wait() == 0

    made = {path.name for path in snapshots.iterdir()}
    assert len(made) == 2
    assert first in made
    assert all(snapshotter.snapshot_state(each).complete for each in made)


@pytest.mark.parametrize(
    ("mark", "removed"),
    [
        ("another-boot\nnode-1\n", True),  # this node was started anew since
        ("another-boot\nnode-2\n", False),  # on a shared disk
        ("", False),
    ],
    ids=["rebooted", "another node", "no mark"],
)
def test_whose_it_was(snapshotter, volume, snapshots, mark, removed):
    """What an earlier boot of this node left is removed, another node's is not."""
    snapshots.mkdir()
    dead = snapshots / f".kbackup-tmp-{'0' * 32}"
    dead.mkdir()
    (dead / "owner").write_text(mark)

    snapshotter.create_snapshot(str(volume), "", {})

    assert dead.exists() is not removed


def test_machines_without_a_name(volume, snapshots):
    """Two machines may both be called localhost: that is no sign of a restart."""
    snapshots.mkdir()
    dead = snapshots / f".kbackup-tmp-{'0' * 32}"
    dead.mkdir()
    (dead / "owner").write_text("another-boot\nlocalhost\n")
    snapshotter = open_host_path_snapshotter(
        {"snapshots": str(snapshots), "node": "localhost"}
    )

    snapshotter.create_snapshot(str(volume), "", {})

    assert dead.exists()


def test_what_only_looks_like_one_is_left(snapshotter, volume, snapshots, tmp_path):
    """Links, files and other names are nobody's leftovers."""
    snapshots.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    boot = _workspaces._boot()
    (elsewhere / "owner").write_text(f"{boot}\nnode-1\n")
    (snapshots / f".kbackup-tmp-{'1' * 32}").symlink_to(elsewhere)
    (snapshots / f".kbackup-tmp-{'2' * 32}").write_text("a file")
    other = snapshots / ".kbackup-tmp-mine"
    other.mkdir()
    (other / "owner").write_text(f"{boot}\nnode-1\n")

    snapshotter.create_snapshot(str(volume), "", {})

    assert len(left(snapshots)) == 3
    assert (elsewhere / "owner").exists()


def test_without_locks_everything_is_left(snapshotter, volume, snapshots, monkeypatch):
    """Where nothing tells the boot, nobody's workspace is judged, and ours has no lock."""
    with copying(snapshots, "snapshot", volume) as process:
        kill(process)
    monkeypatch.setattr(_workspaces, "_BOOT", Path("/not/there"))

    snapshotter.create_snapshot(str(volume), "", {})

    assert len(left(snapshots)) == 1
