"""What is wrong with a volume's data, or with the provider that snapshots it."""

from __future__ import annotations

from typing import ClassVar

from kbackup.errors._base import KBackupError


class VolumeError(KBackupError):
    """A volume's data could not be handled."""


class SnapshotFailedError(VolumeError):
    """A native or CSI snapshot was not made."""


class NoSnapshotterError(VolumeError):
    """No plugin can snapshot this volume."""


class DataMoverError(VolumeError):
    """A volume's data could not be moved."""


class SnapshotterError(VolumeError):
    """The provider of a volume or of a native snapshot failed.

    Attributes:
        thing: The provider's id of the volume or snapshot that it was about.
        reason: What the provider said.
        retry_after: Seconds that it asks to wait, or None.
    """

    fact: ClassVar[str] = "the volume snapshotter failed"

    def __init__(
        self,
        thing: str,
        reason: str = "",
        *,
        hint: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{thing or 'volumes'}: {self.fact}", reason, hint=hint)
        self.thing, self.reason = thing, reason
        self.retry_after = retry_after


class VolumeNotFoundError(SnapshotterError):
    """The provider has no volume of this id."""

    fact = "no such volume"


class NativeSnapshotNotFoundError(SnapshotterError):
    """The provider has no snapshot of this id."""

    fact = "no such snapshot"


class SnapshotterAccessError(SnapshotterError):
    """The provider refuses the caller."""

    fact = "access refused"


class SnapshotterThrottledError(SnapshotterError):
    """The provider asks for patience; it did nothing."""

    retryable = True
    fact = "throttled"


class SnapshotterUnavailableError(SnapshotterError):
    """No answer came, or that the provider failed; what it did is unknown."""

    retryable = True
    fact = "the provider does not answer"
