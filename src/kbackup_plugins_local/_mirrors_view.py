"""What the directories of a mirrored location look like at one moment.

Reads only; `MirroredLocalStore` takes a fresh view for every operation, because a mount
can come and go between two of them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import attrs

from kbackup.errors import (
    ObjectNotFoundError,
    StoreAccessError,
    StoreError,
    StoreUnavailableError,
)
from kbackup.plugins import Digest
from kbackup.stores import DirectoryState, layout
from kbackup_plugins_local._local import LocalStore
from kbackup_plugins_local._tombstones import Tombstone, Tombstones

_PATIENCE = 60.0  # seconds for which a directory that hung is not asked again


@attrs.frozen
class Mirror:
    """One directory of the location, and the tombstones in it."""

    store: LocalStore
    tombstones: Tombstones

    @property
    def path(self) -> str:
        """The directory, for messages."""
        return str(self.store.root)


@attrs.frozen(kw_only=True)
class View:
    """The directories that are there.

    Attributes:
        mirrors: Those, in the configured order; at least one.
        away: The states of the others.
        tombstones: All that lie in any of the directories.
        deleted: The same, as the digests that do not count any more, by key.
    """

    mirrors: tuple[Mirror, ...]
    away: tuple[DirectoryState, ...]
    tombstones: frozenset[Tombstone]
    deleted: Mapping[str, frozenset[Digest]]

    def holds(self, mirror: Mirror, key: str) -> bool:
        """Tell whether a directory holds an object that was not deleted."""
        try:
            mirror.store.stat(key)
            return not self.is_deleted(mirror, key)
        except ObjectNotFoundError:
            return False

    def is_deleted(self, mirror: Mirror, key: str) -> bool:
        """Tell whether a directory's copy is one that a tombstone speaks of."""
        digests = self.deleted.get(key)
        return digests is not None and mirror.store.digest(key) in digests


class Viewer:
    """Looks at the directories; shared between threads.

    Args:
        mirrors: All directories of the location.
    """

    def __init__(self, mirrors: Sequence[Mirror]) -> None:
        self._mirrors = tuple(mirrors)
        self._hung_until: dict[str, float] = {}

    def states(self) -> list[DirectoryState]:
        """Describe every directory, in the configured order."""
        return [self._state(mirror) for mirror in self._mirrors]

    def look(self) -> View:
        """Return what is there.

        Raises:
            StoreUnavailableError: No directory is there.
            StoreAccessError: Two of them belong to different locations.
        """
        pairs = list(zip(self._mirrors, self.states(), strict=True))
        present = [(mirror, state) for mirror, state in pairs if state.present]
        away = [state for _, state in pairs if not state.present]
        if len({state.uuid for _, state in present}) > 1:
            owners = ", ".join(f"{s.path} to {s.uuid}" for _, s in present)
            raise StoreAccessError(
                "", f"the directories belong to different locations: {owners}"
            )
        mirrors = []
        tombstones: set[Tombstone] = set()
        for mirror, state in present:
            try:
                tombstones |= mirror.tombstones.load()
                mirrors.append(mirror)
            except StoreError as exc:
                away.append(attrs.evolve(state, present=False, reason=str(exc)))
        if not mirrors:
            raise _nothing_there(away)
        return _view(mirrors, away, tombstones)

    def is_present(self, mirror: Mirror) -> bool:
        """Tell whether a directory is still the location's."""
        return self._state(mirror).present

    def _state(self, mirror: Mirror) -> DirectoryState:
        if time.monotonic() < self._hung_until.get(mirror.path, 0.0):
            return DirectoryState(
                path=mirror.path, present=False, reason="it did not answer"
            )
        try:
            record = mirror.store.read_location()
        except StoreError as exc:
            if isinstance(exc, StoreUnavailableError):
                self._hung_until[mirror.path] = time.monotonic() + _PATIENCE
            return DirectoryState(path=mirror.path, present=False, reason=str(exc))
        if record is None:
            return DirectoryState(
                path=mirror.path,
                present=False,
                reason=f"it has no {layout.LOCATION}: not mounted, or never made",
            )
        return DirectoryState(path=mirror.path, present=True, uuid=record.uuid)


def right_copies(
    digests: Sequence[tuple[Mirror, Digest]], expect: Digest | None
) -> Sequence[Mirror]:
    """Decide which copies may be read; none where nothing tells the right one.

    Args:
        digests: What each copy is.
        expect: What the caller knows of the object; without it only equal copies are
            right.
    """
    if expect is not None:
        return [mirror for mirror, digest in digests if digest == expect]
    if len({digest for _, digest in digests}) == 1:
        return [mirror for mirror, _ in digests]
    return []


def _view(
    mirrors: Sequence[Mirror],
    away: Sequence[DirectoryState],
    tombstones: set[Tombstone],
) -> View:
    deleted: dict[str, set[Digest]] = {}
    for tombstone in tombstones:
        deleted.setdefault(tombstone.key, set()).add(tombstone.digest)
    return View(
        mirrors=tuple(mirrors),
        away=tuple(away),
        tombstones=frozenset(tombstones),
        deleted={key: frozenset(digests) for key, digests in deleted.items()},
    )


def _nothing_there(away: Sequence[DirectoryState]) -> StoreUnavailableError:
    reasons = "; ".join(f"{state.path}: {state.reason}" for state in away)
    return StoreUnavailableError(
        "",
        f"none of the location's {len(away)} directories is there: {reasons}",
        hint="mount them, or make a new location with: kbackup location init",
    )
