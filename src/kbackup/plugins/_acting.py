"""What operations need of a run: a cluster to act in, and who keeps what was begun."""

from __future__ import annotations

from typing import Protocol

from kbackup._kits.workers import CancelToken
from kbackup.models import ItemOperation
from kbackup.plugins._interfaces import ClusterReader, ClusterWriter


class RevocableWriter(ClusterWriter, Protocol):
    """A `ClusterWriter` as the run sees it."""

    def revoke(self) -> None:
        """Refuse every use from now on."""
        ...


class ActingCluster(Protocol):
    """The cluster on behalf of the run."""

    def reader(self) -> ClusterReader:
        """Return what reads it anew each time."""
        ...

    def writer(self) -> RevocableWriter:
        """Return what may write to it until it is revoked."""
        ...

    def for_run(self, cancel: CancelToken) -> ActingCluster:
        """Return the cluster under another token."""
        ...


class OperationsKeeper(Protocol):
    """Keeps what was begun where another process finds it; any thread may call."""

    def keep(self, operation: ItemOperation) -> None:
        """Keep an operation that has begun, or has ended.

        Raises:
            StoreError: One that has begun cannot be kept: it is to be cancelled.
        """
        ...

    def check(self) -> None:
        """Raise a `KBackupError` if another process follows the operations now."""
        ...
