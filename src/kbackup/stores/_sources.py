"""A file that is put must stay as it is until the store has all of it.

Its bytes are read in several goes, some of them again after a failure. What is written to
it meanwhile would make an object of bytes that were never together.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kbackup.errors import StoreError
from kbackup.stores._errors import translate_store_errors


@contextmanager
def steady_source(key: str, source: Path | bytes) -> Iterator[int]:
    """Yield how many bytes *source* has; raise if it is another file afterwards.

    Args:
        key: What is made of it.
        source: A file, or bytes, which nobody can change.

    Raises:
        StoreError: It cannot be read, or it was changed meanwhile.
    """
    if isinstance(source, bytes):
        yield len(source)
        return
    with translate_store_errors(key):
        before = _mark(source)
    yield before[0]
    try:
        is_same = _mark(source) == before
    except OSError:  # gone
        is_same = False
    if not is_same:
        raise StoreError(key, "the source was changed while it was read")


def _mark(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
