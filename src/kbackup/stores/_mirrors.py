"""What a store that keeps several copies can tell, beyond the Protocol of all stores.

The catalog asks through the functions here, which give an answer for every store.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import attrs

from kbackup.errors import ObjectNotFoundError
from kbackup.plugins import Digest, ObjectStore


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
        marked: False where it was looked at and lacks the location's mark: it is not
            mounted, or was never made.
    """

    path: str
    present: bool
    reason: str = ""
    uuid: str = ""
    marked: bool = True

    def __str__(self) -> str:
        if self.present:
            return f"{self.path} is there"
        return f"{self.path} is away: {self.reason}"


@attrs.frozen(kw_only=True)
class LocationState:
    """The directories of a location; none for a store that has none."""

    directories: tuple[DirectoryState, ...] = ()

    @property
    def away(self) -> tuple[DirectoryState, ...]:
        """The directories that cannot be used."""
        return tuple(state for state in self.directories if not state.present)


@attrs.frozen
class DirectoryStore:
    """One of a location's directories, as a store of its own.

    Attributes:
        path: The directory.
        store: What lies in it, less what was deleted in the others; for reading, and
            not to be closed.
    """

    path: str
    store: ObjectStore


@attrs.frozen
class PendingDeletion:
    """A copy that was deleted elsewhere while its directory was away.

    Attributes:
        path: The directory.
        key: The object.
    """

    path: str
    key: str


@runtime_checkable
class MirroredStore(Protocol):
    """An `ObjectStore` that may keep several copies has these methods as well."""

    def copies(self, key: str) -> Copies:
        """Count the copies of an object, without reading them."""
        ...

    def location_state(self) -> LocationState:
        """Look at the directories now; never raises for one that is away."""
        ...

    def directories(self) -> tuple[DirectoryStore, ...]:
        """Return those that are there now, in order; none where there is but one."""
        ...

    def problems(self) -> tuple[str, ...]:
        """Return what kept copies from being written or read since the store opened.

        Sentences, each once, oldest first; of very many the newest. An operation that
        succeeded in one directory at least succeeds; what the others missed is told here.
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
    """A `MirroredStore` that can make its directories equal again.

    It decides nothing: which copy is right is known to whoever reads manifests.
    """

    def pending_deletions(self) -> tuple[PendingDeletion, ...]:
        """Return what `apply_deletions` would remove."""
        ...

    def apply_deletions(self) -> None:
        """Remove what was deleted while its directory was away; ahead of any copy."""
        ...

    def make_copy(self, key: str, digest: Digest, path: str) -> bool:
        """Give a directory its copy of an object, in place of a damaged one.

        Args:
            key: The object.
            digest: What it must be; it is read from a directory that holds just that.
            path: The directory, one of `MirroredStore.directories`.

        Returns:
            Whether anything was written: not where the copy is right already, or the
            object was deleted in the meantime.

        Raises:
            StoreError: The directory is away or full, or no copy has that digest.
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


def directories_of(store: ObjectStore) -> tuple[DirectoryStore, ...]:
    """Return the directories of any store that are there; none for most."""
    return store.directories() if isinstance(store, MirroredStore) else ()
