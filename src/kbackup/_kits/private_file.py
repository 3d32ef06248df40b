"""A file that appears whole or not at all, for its owner alone."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_NO_FSYNC = {errno.EINVAL, errno.ENOTSUP, errno.EACCES}  # as SMB, or not to be read


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """Write *path* anew (0600): at the end of the context it is there, on the disk.

    What is written lies beside it until then. Whoever reads an older file of that name
    meanwhile reads that one to its end; where the context fails, it stays as it is.

    Raises:
        OSError: The directory does not take the file; also at the end of the context.
            Where only the disk fails, after the file has its name.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".kbackup-")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    """Bring a directory's names to the disk, where the system can."""
    if os.name == "nt":  # directories cannot be opened there
        return
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as exc:
        if exc.errno not in _NO_FSYNC:
            raise
