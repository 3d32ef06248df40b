"""Deleting backups: `BackupStore` offers it beside what it keeps of restores."""

from __future__ import annotations

from collections.abc import Callable

from kbackup._kits.workers import CancelToken
from kbackup.catalog._delete import Deletion, DeletionPlan, DeletionReport
from kbackup.catalog._restore_records import RestoreRecords
from kbackup.models import EngineSettings
from kbackup.plugins.engine import ActingCluster
from kbackup.stores import BackupFiles


class DeletableBackups(RestoreRecords):
    """What can be deleted of one location."""

    _deletion: Callable[..., Deletion]

    def plan_deletion(
        self,
        name: str,
        *,
        files_only: bool = False,
        cluster: ActingCluster | None = None,
    ) -> DeletionPlan:
        """Find what deleting a backup would do; nothing is done.

        Its archive is read only where an action may want something of it. Arguments and
        errors are those of `delete`; without a cluster it is told all the same what
        the archive alone can tell.
        """
        deletion = self._deletion(files_only=files_only, cluster=cluster)
        return deletion.plan(name)

    def delete(
        self,
        name: str,
        *,
        files_only: bool = False,
        cluster: ActingCluster | None = None,
        settings: EngineSettings | None = None,
        cancel: CancelToken | None = None,
    ) -> DeletionReport:
        """Remove a backup, its record first, and then the records of its restores.

        Before anything is removed the DeleteItemActions among the store's plugins run,
        each on every item of the archive that it wants. Where one fails nothing is
        removed, and the next call runs them all once more. A restore that has not ended
        is not touched. What was broken off the next call completes, also where nothing
        but restores is left.

        Args:
            name: The backup, or what a dead run left of one.
            files_only: Leave behind what it owns outside the store, and run nothing.
            cluster: A `Cluster`, for the actions to act in; needed if one wants an item.
            settings: How long an action may take.
            cancel: Asked between items and between files.

        Raises:
            BackupNotFoundError: There is nothing of that name, or nothing of a backup.
            BackupInProgressError: It is being written.
            BackupOwnsDataError: It owns something outside that no action cleans up, or
                there is no cluster to do it in, and *files_only* is False.
            BackupDamagedError: Its items cannot be read, and an action may want them.
            BackupCleanupError: An action failed; its `failures` are all there were.
            RunCancelledError: *cancel* was used; what is left can be deleted again.
            ReadOnlyLocationError: Nothing may be written here.
        """
        self._require_writable(BackupFiles(name).metadata)
        deletion = self._deletion(
            files_only=files_only, cluster=cluster, settings=settings, cancel=cancel
        )
        return deletion.run(name)
