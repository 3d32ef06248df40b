"""What a store that keeps several copies can tell, beyond the Protocol of all stores.

The catalog asks through the functions here, which give an answer for every store.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import attrs

from kbackup.errors import ObjectNotFoundError
from kbackup.plugins import ObjectStore


@attrs.frozen
class Copies:
    """How many copies of an object there are.

    Attributes:
        present: Copies that can be read now.
        expected: Copies that there would be if all was well.
    """

    present: int
    expected: int

    @property
    def missing(self) -> int:
        """How many are not there."""
        return max(self.expected - self.present, 0)

    def __str__(self) -> str:
        return f"{self.present} of {self.expected} copies"


@attrs.frozen(kw_only=True)
class DirectoryState:
    """Whether one of a location's directories can be used.

    Attributes:
        path: The directory.
        present: Whether it is there and belongs to the location.
        reason: Why it is *away*, or empty.
        uuid: The location that it belongs to, where it says so.
    """

    path: str
    present: bool
    reason: str = ""
    uuid: str = ""


@attrs.frozen(kw_only=True)
class LocationState:
    """The directories of a location; none for a store that has none."""

    directories: tuple[DirectoryState, ...] = ()

    @property
    def away(self) -> tuple[DirectoryState, ...]:
        """The directories that cannot be used."""
        return tuple(state for state in self.directories if not state.present)


@runtime_checkable
class MirroredStore(Protocol):
    """An `ObjectStore` that may keep several copies has these methods as well."""

    def copies(self, key: str) -> Copies:
        """Count the copies of an object, without reading them."""
        ...

    def location_state(self) -> LocationState:
        """Look at the directories now; never raises for one that is away."""
        ...

    def problems(self) -> tuple[str, ...]:
        """Return what kept copies from being written or read since the store opened.

        Sentences, each once, oldest first. An operation that succeeded in one directory
        at least succeeds; what the others missed is told here.
        """
        ...


@runtime_checkable
class PreparableStore(Protocol):
    """An `ObjectStore` whose place must, or can, be made by an explicit act."""

    def initialise(self) -> str:
        """Make the place, or complete it, and return the location's uuid.

        What is there stays as it is. Called by ``kbackup location init`` only.
        """
        ...


@runtime_checkable
class RepairableStore(Protocol):
    """An `ObjectStore` that can make missing copies again."""

    def repair(self) -> tuple[str, ...]:
        """Apply pending deletions, then copy what is missing.

        Returns:
            The keys that were copied. Copies that differ are left alone and told by
            `MirroredStore.problems`.
        """
        ...


def copies_of(store: ObjectStore, key: str) -> Copies:
    """Count the copies of an object in any store: 0 or 1 of 1 in most."""
    if isinstance(store, MirroredStore):
        return store.copies(key)
    try:
        store.stat(key)
    except ObjectNotFoundError:
        return Copies(0, 1)
    return Copies(1, 1)


def problems_of(store: ObjectStore) -> tuple[str, ...]:
    """Return what any store has to tell beyond errors; nothing for most."""
    return store.problems() if isinstance(store, MirroredStore) else ()


def state_of(store: ObjectStore) -> LocationState:
    """Describe the directories of any store; none for most."""
    return (
        store.location_state() if isinstance(store, MirroredStore) else LocationState()
    )
