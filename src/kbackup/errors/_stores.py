"""What an object store refuses or fails."""

from __future__ import annotations

from typing import ClassVar, Self

from kbackup.errors._base import KBackupError


def _sentence(*parts: str) -> str:
    return ": ".join(part for part in parts if part)


class StoreError(KBackupError):
    """The object store failed.

    Attributes:
        key: The object it was about, below the store's root.
        reason: What the store said.
        location: Which store it was, as its address; empty where that is not known.
        server: Where the store is reached, if its address does not say it.
    """

    fact: ClassVar[str] = "the store failed"

    def __init__(self, key: str, reason: str = "", *, hint: str = "") -> None:
        super().__init__(f"{key or 'store'}: {self.fact}", reason, hint=hint)
        self.key, self.reason = key, reason
        self.location = self.server = ""

    def __str__(self) -> str:
        if not self.location:
            return self.without_location
        place = f"{self.location} at {self.server}" if self.server else self.location
        thing = f"{self.key} in {place}" if self.key else place
        return _sentence(thing, self.fact, self.reason)

    @property
    def without_location(self) -> str:
        """See `KBackupError.without_location`."""
        return super().__str__()

    def at(self, location: str, server: str = "") -> Self:
        """Say where it happened, unless that is known already; return the error."""
        if not self.location:
            self.location, self.server = location, server
        return self


class ObjectNotFoundError(StoreError):
    """The store has no object under this key."""

    fact = "no such object"


class ObjectExistsError(StoreError):
    """A create-only put found the key taken; what was there is untouched."""

    fact = "exists already"


class ObjectDamagedError(StoreError):
    """An object ends before the bytes that were asked for, or its medium fails there."""

    fact = "damaged"


class StoreAccessError(StoreError):
    """The store refuses the caller."""

    fact = "access refused"


class StoreUnavailableError(StoreError):
    """The store does not answer, or not in time."""

    retryable = True
    fact = "the store does not answer"


class StoreFullError(StoreError):
    """The store has no room left."""

    fact = "no space left"


class DigestMismatchError(StoreError):
    """The bytes are not those that were written."""

    fact = "differs from what was written"


class ReadOnlyLocationError(StoreError):
    """The location was opened, or is declared, read-only."""

    fact = "the location is read-only"


class UnsupportedCapabilityError(StoreError):
    """The store cannot do what was asked of it."""

    fact = "not supported by this store"
