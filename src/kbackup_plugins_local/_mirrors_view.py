"""What the directories of a mirrored location look like at one moment.

Reads only; `MirroredLocalStore` takes a fresh view for every operation, because a mount
can come and go between two of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

import attrs

from kbackup.errors import (
    ObjectNotFoundError,
    StoreAccessError,
    StoreError,
    StoreUnavailableError,
)
from kbackup.plugins import Digest, ObjectInfo
from kbackup.stores import DirectoryState, ReadOnlyStore, common_prefixes, layout
from kbackup_plugins_local._directory import Peeked
from kbackup_plugins_local._local import Glance, LocalStore, deliver, digest_of
from kbackup_plugins_local._tombstones import Tombstone, Tombstones

_PATIENCE = 60.0  # seconds for which a directory that hung is not asked again
_RECENT = timedelta(seconds=10)


@attrs.frozen
class Mirror:
    """One directory of the location, and the tombstones in it."""

    store: LocalStore
    tombstones: Tombstones

    @property
    def path(self) -> str:
        """The directory, for messages."""
        return str(self.store.root)


@attrs.frozen
class Held:
    """One directory's copy of an object.

    Attributes:
        content: Its bytes, where they are few and were asked for.
    """

    mirror: Mirror
    info: ObjectInfo
    content: bytes | None = attrs.field(default=None, repr=False)

    @property
    def is_recent(self) -> bool:
        """Whether it was written only now, so that another copy may follow."""
        modified = self.info.modified
        return modified is not None and abs(datetime.now(UTC) - modified) < _RECENT

    def digest(self, start: int = 0, length: int | None = None) -> Digest:
        """Return what it is, or what a part of it is."""
        if self.content is None:
            store = self.mirror.store
            return store.digest(self.info.key, start=start, length=length)
        return digest_of(_part(self.content, start, length))

    def deliver(
        self, target: BinaryIO, start: int, length: int | None, expect: Digest | None
    ) -> ObjectInfo:
        """Write it, or a part of it, to *target*; see `ObjectStore.get`."""
        key = self.info.key
        if self.content is None:
            store = self.mirror.store
            return store.get(key, target, start=start, length=length, expect=expect)
        deliver(key, _part(self.content, start, length), target, expect)
        return self.info


@attrs.frozen(kw_only=True)
class View:
    """The directories that are there.

    Attributes:
        mirrors: Those, in the configured order; at least one.
        away: The states of the others.
        tombstones: All that lie in any of the directories.
        deleted: The same, as the digests that do not count any more, by key.
        peeked: The object that was asked for with the view, by directory.
    """

    mirrors: tuple[Mirror, ...]
    away: tuple[DirectoryState, ...]
    tombstones: frozenset[Tombstone]
    deleted: Mapping[str, frozenset[Digest]]
    peeked: Mapping[str, Peeked | StoreError | None]

    def mirror(self, path: str) -> Mirror:
        """Return the directory at *path*; raises `StoreUnavailableError`."""
        for mirror in self.mirrors:
            if mirror.path == path:
                return mirror
        raise StoreUnavailableError("", f"{path} is away")

    def find(self, mirror: Mirror, key: str) -> Held | None:
        """Return a directory's copy of an object unless it was deleted."""
        try:
            found = self.peeked.get(mirror.path)
            if isinstance(found, StoreError):
                raise found
            if found is not None and found[0].key == key:
                held = Held(mirror, *found)
            else:
                held = Held(mirror, mirror.store.stat(key))
            is_deleted = key in self.deleted and held.digest() in self.deleted[key]
        except ObjectNotFoundError:
            return None
        return None if is_deleted else held

    def is_deleted(self, mirror: Mirror, key: str) -> bool:
        """Tell whether a directory's copy is one that a tombstone speaks of."""
        digests = self.deleted.get(key)
        return digests is not None and mirror.store.digest(key) in digests


class OneDirectory(ReadOnlyStore):
    """What lies in one directory, less what had been deleted when it was looked at."""

    def __init__(self, view: View, mirror: Mirror) -> None:
        super().__init__(mirror.store)
        self._view = view
        self._mirror = mirror

    def list(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        """List objects; see `ObjectStore.list`."""
        for info in super().list(prefix, after=after):
            with suppress(ObjectNotFoundError):  # gone since it was listed
                if not self._view.is_deleted(self._mirror, info.key):
                    yield info

    def list_prefixes(self, prefix: str, delimiter: str = "/") -> Iterator[str]:
        """List beginnings of keys; see `ObjectStore.list_prefixes`."""
        return common_prefixes(self.list(prefix), prefix, delimiter)

    def close(self) -> None:
        """Leave the directory open: it is the location's."""

    def _inner(self, key: str) -> str:
        if self._view.is_deleted(self._mirror, key):
            raise ObjectNotFoundError(key)
        return super()._inner(key)


@attrs.frozen
class _Hung:
    """A directory that did not answer is not asked again for a while.

    Attributes:
        until: By the monotonic clock.
        reason: What it was away for when it was asked.
    """

    until: float
    reason: str


class Viewer:
    """Looks at the directories; shared between threads.

    Args:
        mirrors: All directories of the location.
    """

    def __init__(self, mirrors: Sequence[Mirror]) -> None:
        self._mirrors = tuple(mirrors)
        self._hung: dict[str, _Hung] = {}

    def states(self) -> list[DirectoryState]:
        """Describe every directory, in the configured order."""
        return [self._glance(mirror)[0] for mirror in self._mirrors]

    def look(self, key: str = "") -> View:
        """Return what is there.

        Args:
            key: An object to look at as well.

        Raises:
            StoreUnavailableError: No directory is there.
            StoreAccessError: Two of them belong to different locations.
        """
        found = [(mirror, *self._glance(mirror, key)) for mirror in self._mirrors]
        present = [each for each in found if each[1].present]
        away = [state for _, state, _ in found if not state.present]
        if len({state.uuid for _, state, _ in present}) > 1:
            owners = ", ".join(f"{s.path} to {s.uuid}" for _, s, _ in present)
            raise StoreAccessError(
                "", f"the directories belong to different locations: {owners}"
            )
        if not present:
            raise _nothing_there(away)
        tombstones = {
            tombstone
            for mirror, _, glance in present
            for tombstone in mirror.tombstones.read(glance.tombstones)
        }
        peeked = {mirror.path: glance.peeked for mirror, _, glance in present}
        return _view([mirror for mirror, _, _ in present], away, tombstones, peeked)

    def is_present(self, mirror: Mirror) -> bool:
        """Tell whether a directory is still the location's."""
        return self._glance(mirror)[0].present

    def _glance(self, mirror: Mirror, key: str = "") -> tuple[DirectoryState, Glance]:
        """Return a directory's state, and what was seen there."""

        def away(reason: str, *, marked: bool = True) -> tuple[DirectoryState, Glance]:
            state = DirectoryState(
                path=mirror.path, present=False, reason=reason, marked=marked
            )
            return state, Glance(None, ())

        hung = self._hung.get(mirror.path)
        if hung is not None and time.monotonic() < hung.until:
            return away(hung.reason)
        try:
            glance = mirror.store.glance(key)
        except StoreError as exc:
            if isinstance(exc, StoreUnavailableError):
                self._hung[mirror.path] = _Hung(
                    time.monotonic() + _PATIENCE, exc.without_location
                )
            return away(exc.without_location)
        if glance.record is None:
            reason = f"it has no {layout.LOCATION}: not mounted, or never made"
            return away(reason, marked=False)
        state = DirectoryState(path=mirror.path, present=True, uuid=glance.record.uuid)
        return state, glance


def are_equal(copies: Sequence[Held]) -> bool:
    """Tell whether copies that were read at once are the same bytes."""
    first = copies[0].content
    return first is not None and all(held.content == first for held in copies)


def right_copies(
    digests: Sequence[tuple[Held, Digest]], expect: Digest | None
) -> Sequence[Held]:
    """Decide which copies may be read; none where nothing tells the right one.

    Args:
        digests: What each copy is.
        expect: What the caller knows of the object; without it only equal copies are
            right.
    """
    if expect is not None:
        return [held for held, digest in digests if digest == expect]
    if len({digest for _, digest in digests}) == 1:
        return [held for held, _ in digests]
    return []


def _view(
    mirrors: Sequence[Mirror],
    away: Sequence[DirectoryState],
    tombstones: set[Tombstone],
    peeked: Mapping[str, Peeked | StoreError | None],
) -> View:
    deleted: dict[str, set[Digest]] = {}
    for tombstone in tombstones:
        deleted.setdefault(tombstone.key, set()).add(tombstone.digest)
    return View(
        mirrors=tuple(mirrors),
        away=tuple(away),
        tombstones=frozenset(tombstones),
        deleted={key: frozenset(digests) for key, digests in deleted.items()},
        peeked=peeked,
    )


def _nothing_there(away: Sequence[DirectoryState]) -> StoreUnavailableError:
    reasons = "; ".join(f"{state.path}: {state.reason}" for state in away)
    return StoreUnavailableError(
        "",
        f"none of the location's {len(away)} directories is there: {reasons}",
        hint="mount them, or make a new location with: kbackup location init",
    )


def _part(content: bytes, start: int, length: int | None) -> bytes:
    return content[start : None if length is None else start + length]
