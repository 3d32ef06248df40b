"""What one call of the engine works with, and what it was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import attrs

from kbackup._kits.clock import Clock
from kbackup._kits.workers import Cancelled, CancelToken
from kbackup.archive import ArchiveContents
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.errors import RunCancelledError
from kbackup.models import EngineSettings, RestoreOptions, RestoreSpec
from kbackup.plugins import Observer, PluginManager, Run
from kbackup.restore._modifier_source import LoadedModifiers
from kbackup.restore._settings import FoundSettings
from kbackup.restore._version_priority import FoundPriority


@attrs.frozen(kw_only=True)
class Session:
    """What one call of the engine works with.

    Attributes:
        kept: Archives that were read, by the backup's uid, to be used again within this
            call; whoever made the session closes them. None: nothing is kept.
    """

    cluster: Cluster
    store: BackupStore
    plugins: PluginManager
    observer: Observer | None
    settings: EngineSettings
    clock: Clock
    cancel: CancelToken
    kept: dict[str, ArchiveContents] | None = None

    def bound(self, run: Run) -> Cluster:
        """The cluster on behalf of a run."""
        return self.cluster.for_run(
            self.cancel, settings=self.settings, count=run.count
        )

    def reading(self) -> Cluster:
        """The cluster, before there is a run."""
        return self.cluster.for_run(self.cancel, settings=self.settings)

    def run(self, name: str, uid: str) -> Run:
        """Make the run that belongs to a restore."""
        return Run(
            uid=uid,
            kind="restore",
            name=name,
            settings=self.settings,
            clock=self.clock,
            cancel=self.cancel,
            observer=self.observer,
            broadcast=self.plugins.emit if self.plugins.observed else None,
        )


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
