"""Provider ``kbackup.io/memory``: buckets in this process's memory, by name.

For tests, notebooks and trying things out: what is in a bucket lives as long as the
process and is shared by all who open it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kbackup.errors import InvalidConfigError
from kbackup.models import BackupStorageLocationSpec, ObjectStorage
from kbackup.plugins import Capability, ObjectStoreFactory, hookimpl
from kbackup.stores._fsspec import FsspecObjectStore, open_filesystem
from kbackup.stores._timeouts import Timeouts

PROVIDER = "kbackup.io/memory"

_ROOT = "/kbackup.io"  # the host may use fsspec's memory filesystem for its own things
_WRITING = threading.Lock()


class _MemoryObjectStore(FsspecObjectStore):
    """fsspec's memory filesystem, whose create-only write is made atomic by a lock."""

    def _write(
        self,
        key: str,
        source: Path | bytes,
        seconds: float,
        *,
        create: bool,
        retain_until: datetime | None,
    ) -> None:
        with _WRITING:
            super()._write(
                key, source, seconds, create=create, retain_until=retain_until
            )


_CAPABILITIES = frozenset({Capability.ATOMIC_CREATE, Capability.RANGE})


def open_memory_store(config: Mapping[str, str]) -> FsspecObjectStore:
    """Return the bucket named in *config*; it needs not exist before."""
    bucket = config.get("bucket", "")
    if not bucket:
        raise InvalidConfigError("the memory store needs the name of a bucket")
    return _MemoryObjectStore(
        open_filesystem("memory"),
        f"{_ROOT}/{bucket}",
        capabilities=_CAPABILITIES,
        timeouts=Timeouts.from_config(config),
    )


def memory_spec(url: str) -> BackupStorageLocationSpec:
    """Return the location of ``memory://bucket/prefix``."""
    parts = urlsplit(url)
    return BackupStorageLocationSpec(
        provider=PROVIDER,
        object_storage=ObjectStorage(
            bucket=unquote(parts.netloc), prefix=unquote(parts.path).strip("/")
        ),
    )


@hookimpl
def kbackup_register_object_stores() -> Mapping[str, ObjectStoreFactory]:
    """Offer stores in memory."""
    factory = ObjectStoreFactory(
        open=open_memory_store,
        from_url=memory_spec,
        schemes=("memory",),
        capabilities=_CAPABILITIES,
    )
    return {PROVIDER: factory}
