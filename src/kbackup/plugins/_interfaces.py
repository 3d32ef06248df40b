"""Stores, snapshotters and the cluster as plugins see them: Protocols and values.

Nothing here depends on pluggy. A Protocol's method set grows only with a new version of
the Protocol; what a plugin is *given* grows by fields with defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Protocol, runtime_checkable

import attrs

from kbackup.models import (
    APIResource,
    BackupStorageLocationSpec,
    GroupResource,
    ResourceIdentifier,
    ServerVersion,
)

# --- stores ---------------------------------------------------------------------------


class Capability(StrEnum):
    """What an object store may be able to do beyond the plain operations."""

    ATOMIC_CREATE = "atomic-create"  # put(create=True) has one winner among many
    RETENTION = "retention"  # put(retain_until=...) locks the object
    SIGNED_URL = "signed-url"
    RANGE = "range"  # get(start=, length=) transfers only that part


@attrs.frozen
class Digest:
    """The SHA-256 of an object's bytes.

    Attributes:
        hex: 64 lower-case hexadecimal digits.
    """

    hex: str = attrs.field(validator=attrs.validators.matches_re(r"[0-9a-f]{64}"))

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read ``sha256:<hex>``.

        Raises:
            ValueError: *text* is written otherwise.
        """
        algorithm, _, value = text.partition(":")
        if algorithm != "sha256":
            raise ValueError(f"{text!r} is not written sha256:<hex>")
        return cls(value)

    def __str__(self) -> str:
        return f"sha256:{self.hex}"


@attrs.frozen(kw_only=True)
class ObjectInfo:
    """One object in a store.

    Attributes:
        key: Below the store's root; never absolute.
        size: Bytes.
        modified: When it was last written, where the store tells.
        etag: The store's own version mark, or empty.
    """

    key: str
    size: int
    modified: datetime | None = None
    etag: str = ""


@runtime_checkable
class ObjectStore(Protocol):
    """Bytes by key in one bucket; every method may be called from any thread.

    Keys use ``/`` and are never absolute. Objects are written and read whole. Every
    call ends within the time that the location's configuration allows.
    """

    api_version: ClassVar[int]  # 1
    capabilities: frozenset[Capability]

    def put(
        self,
        key: str,
        source: Path | bytes,
        *,
        create: bool = False,
        retain_until: datetime | None = None,
    ) -> ObjectInfo:
        """Write an object; readers see the whole of it or nothing.

        Args:
            key: Where.
            source: A file, or the bytes. A file that is changed while it is read, be it
                that it grows, is an error.
            create: Fail where the key is taken, and leave what is there. Without
                `Capability.ATOMIC_CREATE` several of those who write at the same moment
                may succeed, though at least one does: look before you write.
            retain_until: Lock the object against change and deletion until then.

        Raises:
            ObjectExistsError: *create* was given and the key is taken.
            UnsupportedCapabilityError: *retain_until* without the capability.
            StoreError: Anything else; whether the object was written is unknown.
        """
        ...

    def get(
        self,
        key: str,
        target: BinaryIO,
        *,
        start: int = 0,
        length: int | None = None,
        expect: Digest | None = None,
    ) -> ObjectInfo:
        """Write an object's bytes, or a part of them, to *target*.

        Raises:
            ObjectNotFoundError: There is no such object.
            DigestMismatchError: The whole object read is not what *expect* says;
                *target* then holds bytes that must not be used.
        """
        ...

    def stat(self, key: str) -> ObjectInfo:
        """Return what the store knows of an object, or raise `ObjectNotFoundError`."""
        ...

    def list(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose key starts with *prefix*, ascending, past *after*."""
        ...

    def list_prefixes(self, prefix: str, delimiter: str = "/") -> Iterator[str]:
        """Yield each distinct key beginning up to *delimiter*, ascending, with both."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; removing what is gone is success."""
        ...

    def signed_url(self, key: str, ttl: timedelta) -> str:
        """Return an address that serves the object for *ttl* without credentials."""
        ...

    def close(self) -> None:
        """Release connections; the store is not used afterwards."""
        ...


ANY_SCHEME = "*"
"""Among the schemes of a factory: addresses that no other plugin claims."""


@attrs.frozen(kw_only=True)
class ObjectStoreFactory:
    """How to open the stores of one provider.

    Attributes:
        open: From a configuration to a store bound to its bucket. The mapping holds the
            location's own ``config`` and, where set, ``bucket``, ``prefix`` (told for
            information, keys never contain it twice), ``caCert`` (PEM text) and
            ``credentialsFile`` (a path). It must not be changed. It is called with no
            network touched before the first operation.
        from_url: From an address such as ``s3://bucket/prefix`` to a location.
        to_url: From a location to an address that may be shown, without secrets;
            without it that is made of the first scheme, the bucket and the prefix.
        schemes: The schemes of the addresses that `from_url` understands; `ANY_SCHEME`
            for all that no other plugin claims, where it raises `UnknownLocationError`
            for what it does not know either.
        aliases: Other provider names that mean this one.
        requires: Names of the importable packages it needs.
        extra: The extra of kbackup that installs those; a plugin of others says what
            pip is to install, such as ``kbackup-their[sdk]``.
        api_version: Of the Protocol that its stores are written for.
        capabilities: What its stores can do, for lists; a store that is open decides.
    """

    open: Callable[[Mapping[str, str]], ObjectStore]
    from_url: Callable[[str], BackupStorageLocationSpec] | None = None
    to_url: Callable[[BackupStorageLocationSpec], str] | None = None
    schemes: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    extra: str = ""
    api_version: int = 1
    capabilities: frozenset[Capability] = frozenset()


# --- volumes --------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class VolumeDescription:
    """What a snapshotter knows of a volume, and is asked to make.

    Attributes:
        volume_type: The provider's word, such as ``gp3``; empty: its default.
        iops: Provisioned operations a second, or None.
        throughput: Provisioned MiB a second, or None.
    """

    volume_type: str = ""
    iops: int | None = None
    throughput: int | None = None


@attrs.frozen(kw_only=True)
class SnapshotState:
    """How far a provider is with a snapshot.

    Attributes:
        complete: Volumes can be made from it.
        percent: How much of it is there, where the provider tells.
    """

    complete: bool
    percent: int | None = None


@runtime_checkable
class VolumeSnapshotter(Protocol):
    """Snapshots of a provider's volumes; every method may be called from any thread.

    A PersistentVolume comes and goes as JSON of Kubernetes and is never changed. Ids
    may come from a backup that somebody else wrote: what is no id is refused, and leads
    to nothing else of the provider's. *zone* is that of the volume, or empty where
    nothing tells it. Every request ends within the time that the location's
    configuration allows, and is tried again after the provider has asked for patience.
    """

    api_version: ClassVar[int]  # 1

    def volume_id(self, volume: Mapping[str, Any]) -> str:
        """Return the provider's id of a PersistentVolume, or empty: not ours.

        Raises:
            VolumeError: It is of the provider, but its id is none.
        """
        ...

    def with_volume_id(
        self, volume: Mapping[str, Any], volume_id: str
    ) -> Mapping[str, Any]:
        """Return the PersistentVolume pointed at another volume, else as it was.

        Raises:
            VolumeError: It is not one of the provider, or *volume_id* is no id.
        """
        ...

    def describe(self, volume_id: str, zone: str) -> VolumeDescription:
        """Return type and speed of a volume.

        Raises:
            VolumeNotFoundError: There is no such volume.
        """
        ...

    def create_snapshot(
        self, volume_id: str, zone: str, tags: Mapping[str, str]
    ) -> str:
        """Snapshot a volume and return the snapshot's id, at once.

        What is written to the volume afterwards is not part of the snapshot, so that
        applications can go on. The provider may need hours more: see `snapshot_state`.

        Args:
            volume_id: Of the volume.
            zone: Of the volume.
            tags: To be found on the snapshot, next to those that it takes over from
                the volume; these win.

        Raises:
            VolumeNotFoundError: There is no such volume.
            SnapshotterUnavailableError: Whether one was made is unknown; it carries
                *tags* if it was. It is only tried again here where the provider makes
                one snapshot of two such requests.
        """
        ...

    def snapshot_state(self, snapshot_id: str) -> SnapshotState:
        """Return how far a snapshot is; never waits.

        Raises:
            NativeSnapshotNotFoundError: There is no such snapshot.
            SnapshotFailedError: It will never be complete.
        """
        ...

    def create_volume(
        self, snapshot_id: str, description: VolumeDescription, zone: str
    ) -> str:
        """Make a volume from a complete snapshot, wait until it is there, return its id.

        It is as large as the volume was, carries the snapshot's tags, and stays when
        the snapshot is deleted. What the provider cannot set for the type is passed over.

        Raises:
            NativeSnapshotNotFoundError: There is no such snapshot.
            SnapshotterError: It is not complete, or no volume came of it.
        """
        ...

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Remove a snapshot; removing what is gone is success."""
        ...

    def close(self) -> None:
        """Release connections; the snapshotter is not used afterwards."""
        ...


@attrs.frozen(kw_only=True)
class VolumeSnapshotterFactory:
    """How to open the snapshotter of one provider; fields as `ObjectStoreFactory`.

    Attributes:
        open: From a configuration to a snapshotter. The mapping holds the location's
            own ``config`` and, where set, ``credentialsFile`` (a path). It must not be
            changed. It is called with no network touched before the first operation.
        aliases: Other provider names that mean this one.
        requires: Names of the importable packages it needs.
        extra: What installs those.
    """

    open: Callable[[Mapping[str, str]], VolumeSnapshotter]
    aliases: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    extra: str = ""
    api_version: int = 1


# --- what actions may ask of a cluster ------------------------------------------------


class ClusterReader(Protocol):
    """The cluster, for reading."""

    def get(
        self, identifier: ResourceIdentifier, *, version: str = ""
    ) -> Mapping[str, Any] | None:
        """Return one object, or None where there is none or no such type.

        Without *version*, such as ``v1beta1``, in the one that the server prefers.
        """
        ...

    def list(
        self,
        group_resource: GroupResource,
        *,
        namespace: str = "",
        label_selector: str = "",
    ) -> Iterable[Mapping[str, Any]]:
        """Yield the objects of a type; without *namespace* those of all namespaces."""
        ...

    def resolve(self, text: str) -> APIResource | None:
        """Return the type that a plural, short, singular or full name means."""
        ...

    def server_version(self) -> ServerVersion:
        """Return what the API server reports."""
        ...


class ClusterWriter(ClusterReader, Protocol):
    """The cluster, for reading and writing; given where an action acts.

    That is in `begin`, `cancel` and the `execute` of a DeleteItemAction.

    It is revoked as soon as the call that it was given to returns or takes too long,
    or the run is cancelled: every later use is a `ClusterError`.
    """

    def create(self, item: Mapping[str, Any]) -> Mapping[str, Any]:
        """Create an object and return what the server stored."""
        ...

    def patch(
        self, identifier: ResourceIdentifier, patch: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Send a merge patch and return what the server stored."""
        ...

    def delete(self, identifier: ResourceIdentifier) -> None:
        """Delete an object; deleting what is gone is success."""
        ...
