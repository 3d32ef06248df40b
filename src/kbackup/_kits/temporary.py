"""Private directories for temporary files that do not outlive their process for long.

Each holds a locked file while its process lives; the system unlocks it however that
ends. Who makes a directory removes those beside it whose lock nobody holds.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

with suppress(ImportError):  # Windows; it tells no boot either, so nothing is locked
    import fcntl

_LOCK = ".lock"
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def place_of(parent: Path | None) -> Path:
    """Return where temporary files lie; None is the system's place."""
    if parent is not None:
        return parent
    try:
        return Path(tempfile.gettempdir())
    except OSError:  # every place that the system knows is full
        return Path("TMPDIR")


@contextmanager
def private_directory(parent: Path | None, prefix: str) -> Iterator[Path]:
    """Make a directory (0700), and remove it at the end with all that is in it.

    Those of the same account and prefix whose process was killed are removed as well. A
    forked child that leaves the context leaves the directory to its parent.

    Raises:
        OSError: It cannot be made.
    """
    with suppress(OSError):  # to tidy up is no reason to fail
        _remove_dead(place_of(parent), prefix)
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    lock, maker = -1, os.getpid()
    try:
        lock = _lock(path)
        yield path
    finally:
        if os.getpid() == maker:
            shutil.rmtree(path, ignore_errors=True)
        if lock >= 0:
            os.close(lock)


def _boot() -> bytes:
    """Return what tells this boot of this machine from others; empty: not known.

    A directory on a shared disk may be another machine's, whose locks do not show here.
    """
    try:
        return _BOOT.read_bytes()
    except OSError:
        return b""


def _lock(path: Path) -> int:
    """Lock a directory for this process; return the descriptor that holds it, or -1."""
    boot = _boot()
    if not boot:
        return -1
    new = path / f"{_LOCK}.new"  # what has the last name is locked already
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, boot)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        new.rename(path / _LOCK)
    except OSError:  # a file system without locks: it is left to its owner
        os.close(descriptor)
        return -1
    return descriptor


def _remove_dead(parent: Path, prefix: str) -> None:
    if not (boot := _boot()):
        return
    for path in parent.glob(f"{prefix}*"):
        with suppress(OSError):
            if _is_ours(path):
                _remove_if_dead(path, boot)


def _is_ours(path: Path) -> bool:
    found = path.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _remove_if_dead(path: Path, boot: bytes) -> None:
    """Remove a directory if its lock can be had; raises `OSError` where not."""
    descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.read(descriptor, len(boot) + 1) == boot:
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(descriptor)
