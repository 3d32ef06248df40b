"""Where a snapshot or a volume grows before it has its name, and is taken apart after.

A workspace is a directory ``.kbackup-tmp-<32 digits>`` with the lock of the process that
works in it. The lock goes with the process, however that ends, so that whoever works there
next can tell what nobody works on any more.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kbackup_plugins_local._copy_tree import sync_directory
from kbackup_plugins_local._directory import TEMPORARY

_NAME = re.compile(re.escape(TEMPORARY) + "[0-9a-f]{32}")
_LOCK = "owner"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NO_NAME = "localhost"  # that of every machine without one
_MOST = 1 << 12  # bytes of a mark


@contextmanager
def workspace(parent: Path, node: str) -> Iterator[Path]:
    """Make a directory in *parent* that is ours alone, and remove it with what is in it.

    Args:
        parent: On the file system where things are to be.
        node: The Kubernetes node that this machine is.
    """
    path = parent / f"{TEMPORARY}{uuid.uuid4().hex}"
    path.mkdir(mode=0o700)
    descriptor = _lock(path, node)
    try:
        yield path
    finally:
        with suppress(OSError):  # the next one tries again
            remove_tree(path)
        if descriptor >= 0:
            os.close(descriptor)


def remove_dead(parent: Path, node: str) -> None:
    """Remove the workspaces in *parent* whose process has ended; failures are passed over.

    That is known of a workspace of this boot of this machine, whose lock can be had, and
    of one of this node from an earlier boot. One of another machine on a shared disk is
    left to that machine, and so is every workspace where a file system or a system has no
    locks.
    """
    boot = _boot()
    if not boot:
        return
    with suppress(OSError):
        for path in sorted(parent.iterdir()):
            if _NAME.fullmatch(path.name):
                with suppress(OSError):
                    _remove_if_dead(path, boot, node)


def remove_tree(path: Path) -> None:
    """Remove a directory that is ours alone by now, with what its modes forbid."""
    try:
        shutil.rmtree(path)
    except PermissionError:
        for below, directories, _ in os.walk(path):
            for name in (".", *directories):
                with suppress(OSError):
                    os.chmod(os.path.join(below, name), 0o700, follow_symlinks=False)  # noqa: PTH118, PTH101
        shutil.rmtree(path)


def rename_new(old: Path, new: Path) -> None:
    """Give something its name, and bring that to the disk."""
    old.rename(new)
    sync_directory(str(new.parent))


def _boot() -> str:
    """Return what tells this boot of this machine from all others; empty: unknown."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _lock(path: Path, node: str) -> int:
    """Leave our mark in a workspace, locked; return the descriptor, or -1: no locks."""
    boot = _boot()
    if not boot:
        return -1
    import fcntl  # noqa: PLC0415 - not on Windows

    new = path / f"{_LOCK}.new"  # what has the last name is locked already
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, f"{boot}\n{node}\n".encode())
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        new.rename(path / _LOCK)
    except OSError:  # a file system without locks: it is left to its owner
        os.close(descriptor)
        return -1
    return descriptor


def _remove_if_dead(path: Path, boot: str, node: str) -> None:
    """Remove a workspace if its lock can be had; raises `OSError` where not."""
    import fcntl  # noqa: PLC0415 - not on Windows

    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return
    descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        of_boot, _, of_node = (
            os.read(descriptor, _MOST).decode().strip().partition("\n")
        )
        rebooted = of_node == node and not node.startswith(_NO_NAME)
        if of_boot == boot or rebooted:
            remove_tree(path)
    finally:
        os.close(descriptor)
