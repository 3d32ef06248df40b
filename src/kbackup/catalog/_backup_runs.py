"""What a run of a backup does to a location; `BackupStore` offers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kbackup._kits.clock import Clock
from kbackup.catalog._claim import BackupClaim
from kbackup.catalog._journal import Journal
from kbackup.catalog._manifest import Manifest
from kbackup.catalog._publish import Content, claim_backup, publish
from kbackup.catalog._restore_records import RestoreRecords
from kbackup.catalog._unended import UnendedBackup, unended
from kbackup.models import Backup
from kbackup.stores import BackupFiles, layout


class BackupRuns(RestoreRecords):
    """Claims names of backups, tells what runs wait for, publishes; restores beside."""

    def claim(
        self,
        name: str,
        *,
        run_uid: str,
        clock: Clock | None = None,
        resume: bool = False,
    ) -> BackupClaim:
        """Make a name ours, and remove what a dead run left in its directory.

        Args:
            name: Of the backup.
            run_uid: Who claims.
            clock: For the claim.
            resume: To go on with a run that was killed while it waited for operations;
                else its name is refused.

        Returns:
            A context manager; leaving it gives the name back.

        Raises:
            BackupExistsError: The name is taken, or its directory holds what is no
                file of a backup; nothing was touched.
            BackupInProgressError: Another run is writing it.
            ReadOnlyLocationError: Nothing may be written here.
        """
        self._require_writable(BackupFiles(name).metadata)
        clock = clock or self._clock
        return claim_backup(
            self._store, name, run_uid=run_uid, clock=clock, resume=resume
        )

    def publish(
        self,
        claim: BackupClaim,
        backup: Backup,
        files: Mapping[str, Content],
        manifest: Manifest,
        *,
        ask: Callable[[], None] = lambda: None,
    ) -> Backup:
        """Write a backup: archive and side files, the manifest, then the record.

        Args:
            claim: On its name; released at the end.
            backup: The record, in its last phase.
            files: Paths or bytes by file name.
            manifest: Without its objects; those given spare reading the files again.
            ask: Called before each object but the record; what it raises ends the
                run, and what was written is removed.

        Returns:
            The record as it was stored: it names the manifest.

        Raises:
            BackupInProgressError: The claim was lost.
            BackupExistsError: Another run has published the name.
        """
        return publish(
            self._store, claim, backup, files, manifest, ask=ask, clock=self._clock
        )

    def journal(self, uid: str) -> Journal:
        """Return the journal of a run."""
        return Journal(self._store, uid)

    def unended(self, name: str) -> UnendedBackup | None:
        """Return what a run of a backup has left in its journal; None: nothing.

        A run that lives has one as well, once it has begun an operation.
        """
        layout.validate_name(name)
        return unended(self._store, name)
