"""Temporary files of one run: only the owner may read them, and they are removed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from kbackup.errors import KBackupError

_HINT = "EngineSettings(spool_directory=...) names another place"


@contextmanager
def spool_directory(parent: Path | None) -> Iterator[Path]:
    """Make a directory of the run's own (0700) and remove it with all that is in it.

    Raises:
        KBackupError: It cannot be made.
    """
    try:
        path = Path(tempfile.mkdtemp(prefix="kbackup-", dir=parent))
    except OSError as exc:
        raise _error(parent, exc) from exc
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def spool_file(path: Path) -> Iterator[BinaryIO]:
    """Write a new file that only its owner may read (0600).

    Raises:
        KBackupError: It cannot be written, such as for want of space.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            yield out
    except OSError as exc:
        raise _error(path.parent, exc) from exc


def _error(where: Path | None, cause: OSError) -> KBackupError:
    place = where if where is not None else Path(tempfile.gettempdir())
    reason = cause.strerror or str(cause)
    return KBackupError(
        f"cannot write temporary files in {place}: {reason}", hint=_HINT
    )
