"""Is an archive as large as it was when it was stored? Told without reading it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from kbackup.catalog._trust import read_manifest, read_record
from kbackup.errors import ObjectNotFoundError, StoreError
from kbackup.plugins import ObjectStore
from kbackup.stores import BackupFiles, directories_of


def size_fault(store: ObjectStore, name: str) -> str:
    """Return what the size of a backup's archive tells against it; empty: nothing.

    Of mirrored copies one that is right is enough: it is the one that is read. Without
    a manifest nobody knows the size, but that it is something.

    Raises:
        BackupDamagedError: Record or manifest cannot be trusted.
        StoreError: The store cannot be read.
    """
    key = BackupFiles(name).archive
    manifest = read_manifest(store, read_record(store, name))
    expected = manifest.object(f"{name}.tar.gz") if manifest is not None else None
    sizes = set(_sizes(store, key))
    if not sizes:
        return "its archive is missing"
    if expected is None:
        return "" if max(sizes) else "its archive is empty"
    if expected.size in sizes:
        return ""
    found = " and ".join(map(str, sorted(sizes)))
    return f"its archive has {found} bytes, not the {expected.size} of the manifest"


def _sizes(store: ObjectStore, key: str) -> Iterator[int]:
    """Yield the size of each copy that can be seen."""
    mirrors = directories_of(store)
    if not mirrors:
        with suppress(ObjectNotFoundError):
            yield store.stat(key).size
    for each in mirrors:
        with suppress(StoreError):  # one that fails is told by others
            yield each.store.stat(key).size
