"""Temporary files of a run: the errors of both engines where there is no room for them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from kbackup._kits.temporary import place_of, private_directory
from kbackup.errors import SpoolError

_PREFIX = "kbackup-"
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def temporary_directory(parent: Path | None) -> Iterator[Path]:
    """Make a directory and remove it at the end; see `Run.temporary_directory`."""
    with ExitStack() as stack:
        try:
            path = stack.enter_context(private_directory(parent, _PREFIX))
        except OSError as exc:
            raise _error(parent, exc) from exc
        try:
            yield path
        except OSError as exc:
            # A write that finds no room does not say where; stores and connections have
            # errors of their own.
            if exc.errno in _NO_ROOM:
                raise _error(parent, exc) from exc
            raise


@contextmanager
def temporary_file(path: Path) -> Iterator[BinaryIO]:
    """Write a new file that only its owner may read; see `Run.temporary_file`."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            yield out
    except OSError as exc:
        raise _error(path.parent.parent, exc) from exc


def _error(where: Path | None, cause: OSError) -> SpoolError:
    return SpoolError(place_of(where), cause.strerror or str(cause))
