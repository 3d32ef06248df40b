"""What one call of the engine works with, and what it was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Self

import attrs

from kbackup._kits.workers import Cancelled, CancelToken
from kbackup.archive import ArchiveContents
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.errors import RunCancelledError
from kbackup.models import RestoreOptions, RestoreSpec
from kbackup.plugins import Run
from kbackup.plugins.engine import Equipment
from kbackup.restore._request.modifier_source import LoadedModifiers
from kbackup.restore._request.settings import FoundSettings
from kbackup.restore._request.version_priority import FoundPriority


@attrs.frozen(kw_only=True)
class Session(Equipment[Cluster, BackupStore]):
    """What one call of the engine works with.

    Attributes:
        kept: Archives that were read, by the backup's uid, to be used again within this
            call; whoever made the session closes them. None: nothing is kept.
    """

    cancel: CancelToken
    kept: dict[str, ArchiveContents] | None = None

    @classmethod
    def of(cls, given: Equipment[Cluster, BackupStore], cancel: CancelToken) -> Self:
        """Return the session of one call of an engine that has this equipment."""
        return cls(
            cluster=given.cluster,
            store=given.store,
            plugins=given.plugins,
            observer=given.observer,
            settings=given.settings,
            clock=given.clock,
            cancel=cancel,
        )

    def bound(self, run: Run) -> Cluster:
        """The cluster on behalf of a run."""
        return self.cluster.for_run(
            self.cancel, settings=self.settings, count=run.count, waits=run.waits
        )

    def reading(self) -> Cluster:
        """The cluster, before there is a run."""
        waits = self.run("", "").waits  # who observes is told all the same
        return self.cluster.for_run(self.cancel, settings=self.settings, waits=waits)

    def run(self, name: str, uid: str) -> Run:
        """Make the run that belongs to a restore."""
        return self.new_run("restore", name, uid, self.cancel)


@attrs.frozen(kw_only=True)
class Asked:
    """What a restore is, before it is resolved against backup and target.

    Attributes:
        name: The restore's.
        uid: Of this very restore; see `restore_uid`.
        spec: With the name of the backup that is meant.
        options: What only kbackup knows.
        target_uid: Of the cluster that is written to; empty: it is not readable.
        modifiers: The user's rules; None: there are none.
        settings: Those of the item actions, which the options have already; None: as
            they are in the options.
        priority: The user's list of versions; alike.
    """

    name: str
    uid: str
    spec: RestoreSpec
    options: RestoreOptions
    target_uid: str
    modifiers: LoadedModifiers | None = None
    settings: FoundSettings | None = None
    priority: FoundPriority | None = None


@contextmanager
def cancel_as_error() -> Iterator[None]:
    """Raise `RunCancelledError` where a cancel ends what is inside."""
    try:
        yield
    except Cancelled as exc:
        raise RunCancelledError(exc.reason) from exc


def now(session: Session) -> datetime:
    """The time, as records write it."""
    return session.clock.now().replace(microsecond=0)
