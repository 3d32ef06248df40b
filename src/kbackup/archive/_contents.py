"""The items of an archive by name: an index in memory, the bodies in a file.

Made by `ArchiveReader.index`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from kbackup.archive._files import PositionedFile, temporary_file
from kbackup.archive._items import ItemFactory, check_body
from kbackup.archive._layout import (
    PREFERRED_SUFFIX,
    Key,
    keep_best,
    version_rank,
)
from kbackup.errors import ArchiveCorruptError, ArchiveError
from kbackup.models import GroupResource, Item, ResourceIdentifier

_Place = int  # offset << 32 | size: one integer, as there may be 300,000 of them

_SIZE_BITS = 32
_SIZE_MASK = (1 << _SIZE_BITS) - 1
_WRITE_AT = 1 << 20
_TYPICAL_BLOCK = 1 << 20  # bodies that lie side by side are read together


class ArchiveContents:
    """The items of one archive, by type, namespace and name.

    May be shared by threads. Closing it frees the temporary file with the bodies.
    """

    def __init__(
        self,
        places: Mapping[str, dict[tuple[str, str], _Place]],
        versions: Mapping[str, set[str]],
        spool: PositionedFile,
        damage: Callable[[], tuple[str, ...]],
    ) -> None:
        self._factory = ItemFactory()
        types = sorted((self._factory.type_of(name), name) for name in places)
        self._places = {
            kind: dict(sorted(places[name].items())) for kind, name in types
        }
        self._keys = {kind: list(held) for kind, held in self._places.items()}
        self._versions = {
            kind: tuple(_in_order(versions.get(name, set()))) for kind, name in types
        }
        self._spool = spool
        self._damage = damage

    def resources(self) -> tuple[GroupResource, ...]:
        """Return the types of which there are items, sorted."""
        return tuple(self._places)

    def namespaces(self) -> tuple[str, ...]:
        """Return the namespaces in which there are items, sorted."""
        found = {ns for keys in self._keys.values() for ns, _ in keys}
        return tuple(sorted(found - {""}))

    def versions(self, group_resource: GroupResource) -> tuple[str, ...]:
        """Return the versions in which a type is stored, the preferred one first."""
        if group_resource not in self._places:
            return ()
        if stored := self._versions[group_resource]:
            return stored
        bodies = {item.api_version for item in self.items(group_resource)}
        return tuple(_in_order({version.rpartition("/")[2] for version in bodies}))

    @property
    def sizes(self) -> Mapping[GroupResource, int]:
        """The bytes of the items of each type."""
        return {
            kind: sum(place & _SIZE_MASK for place in places.values())
            for kind, places in self._places.items()
        }

    @property
    def damage(self) -> tuple[str, ...]:
        """What could not be read, where reading was to pass over it."""
        return self._damage()

    def identifiers(
        self, group_resource: GroupResource, namespace: str | None = None
    ) -> Iterator[ResourceIdentifier]:
        """Yield the identities of a type, by namespace and name, from memory.

        Args:
            group_resource: The type.
            namespace: Only in this one; empty: cluster-scoped; None: all.
        """
        for ns, name in self._range(group_resource, namespace):
            yield ResourceIdentifier(group_resource, ns, name)

    def items(
        self, group_resource: GroupResource, namespace: str | None = None
    ) -> Iterator[Item]:
        """Yield the items of a type, by namespace and name; arguments as above."""
        places = self._places.get(group_resource, {})
        block, start = b"", 0
        for ns, name in self._range(group_resource, namespace):
            offset, size = _split(places[ns, name])
            if not start <= offset <= offset + size <= start + len(block):
                start, block = offset, self._read(offset, max(size, _TYPICAL_BLOCK))
            at = offset - start
            body = block[at : at + size]
            yield self._factory.make(group_resource, ns, name, body)

    def get(self, identifier: ResourceIdentifier) -> Item | None:
        """Return one item, or None where the archive has none of that name."""
        places = self._places.get(identifier.group_resource, {})
        place = places.get((identifier.namespace, identifier.name))
        if place is None:
            return None
        body = self._read(*_split(place))
        return self._factory.make(
            identifier.group_resource, identifier.namespace, identifier.name, body
        )

    def close(self) -> None:
        """Free the temporary file."""
        self._spool.close()

    def _read(self, offset: int, size: int) -> bytes:
        try:
            return self._spool.read_at(offset, size)
        except (OSError, ValueError) as exc:  # ValueError: it was closed
            raise ArchiveError(f"the spooled archive cannot be read: {exc}") from exc

    def _range(
        self, group_resource: GroupResource, namespace: str | None
    ) -> list[tuple[str, str]]:
        keys = self._keys.get(group_resource, [])
        if namespace is None:
            return keys
        start = bisect_left(keys, (namespace, ""))
        end = bisect_right(keys, namespace, key=lambda key: key[0])
        return keys[start:end]

    def __contains__(self, identifier: ResourceIdentifier) -> bool:
        places = self._places.get(identifier.group_resource, {})
        return (identifier.namespace, identifier.name) in places

    def __len__(self) -> int:
        return sum(map(len, self._places.values()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class IndexBuilder:
    """What `ArchiveReader.index` fills while it reads.

    Args:
        directory: Where the bodies' file lies.
        report: Told of every item that is not what its path says.
    """

    def __init__(
        self,
        directory: Path | None,
        report: Callable[[ArchiveCorruptError], None],
    ) -> None:
        try:
            self._file = temporary_file(directory)
        except OSError as exc:
            raise ArchiveError(f"the archive cannot be spooled: {exc}") from exc
        self._report = report
        self._places: dict[str, dict[tuple[str, str], _Place]] = {}
        self._versions: dict[str, set[str]] = {}
        self._last_version = ("", "")
        self._postponed: dict[Key, str] = {}
        self._end = self._written = 0
        self._waiting: list[bytes] = []

    def add(self, resource: str, namespace: str, name: str, body: bytes) -> None:
        """Keep an item; a later one of the same name takes its place."""
        try:
            check_body(resource, namespace, name, body)
        except ArchiveCorruptError as exc:
            self._report(exc)
            return
        places = self._places.get(resource)
        if places is None:
            places = self._places[resource] = {}
        size = len(body)
        places[namespace, name] = self._end << _SIZE_BITS | size
        self._end += size
        self._waiting.append(body)
        if self._end - self._written >= _WRITE_AT:
            self._flush()

    def add_version(
        self, resource: str, version: str, namespace: str, name: str
    ) -> None:
        """Note a versioned copy; its body counts only where no other one does."""
        if (resource, version) != self._last_version:
            self._last_version = (resource, version)
            self._versions.setdefault(resource, set()).add(version)
        if not self._has(resource, namespace, name):
            keep_best(self._postponed, (resource, namespace, name), version)

    def postponed(self) -> dict[Key, str]:
        """Return the items that have only versioned copies, and the best of those."""
        return {k: v for k, v in self._postponed.items() if not self._has(*k)}

    def _has(self, resource: str, namespace: str, name: str) -> bool:
        return (namespace, name) in self._places.get(resource, ())

    def finish(self, damage: Callable[[], tuple[str, ...]]) -> ArchiveContents:
        """Return the index; the builder is not used afterwards."""
        self._flush()
        try:
            self._file.flush()
        except OSError as exc:
            raise ArchiveError(f"the archive cannot be spooled: {exc}") from exc
        spool = PositionedFile(self._file)
        return ArchiveContents(self._places, self._versions, spool, damage)

    def close(self) -> None:
        """Drop what was kept."""
        self._file.close()

    def _flush(self) -> None:
        try:
            self._file.write(b"".join(self._waiting))
        except OSError as exc:
            raise ArchiveError(f"the archive cannot be spooled: {exc}") from exc
        self._waiting.clear()
        self._written = self._end


def _split(place: _Place) -> tuple[int, int]:
    return place >> _SIZE_BITS, place & _SIZE_MASK


def _in_order(directories: set[str]) -> list[str]:
    """Return the versions of directories, the preferred one first."""
    ordered = sorted(directories, key=version_rank, reverse=True)
    return list(dict.fromkeys(d.removesuffix(PREFERRED_SUFFIX) for d in ordered))
