"""A cluster for those who may not need one: `kbackup backup delete` works without."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:  # heavy rooms are imported by the command that needs them
    from kbackup._kits.workers import CancelToken
    from kbackup.cluster import Cluster
    from kbackup.plugins import ClusterReader
    from kbackup.plugins.engine import RevocableWriter


@attrs.frozen
class ClusterOnDemand:
    """The chosen cluster, connected to when it is first asked for anything.

    Args:
        connect: Connects, once.
        cancel: Of the run that it is for.
    """

    connect: Callable[[], Cluster]
    cancel: CancelToken | None = None

    def for_run(self, cancel: CancelToken) -> ClusterOnDemand:
        """Return the cluster under another token."""
        return ClusterOnDemand(self.connect, cancel)

    def reader(self) -> ClusterReader:
        """Return what reads it."""
        return self._bound().reader()

    def writer(self) -> RevocableWriter:
        """Return what may write to it until it is revoked."""
        return self._bound().writer()

    def _bound(self) -> Cluster:
        cluster = self.connect()
        return cluster if self.cancel is None else cluster.for_run(self.cancel)
