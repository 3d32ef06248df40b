"""The restores of one location: `BackupStore` offers them beside its backups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kbackup._kits.clock import Clock
from kbackup.catalog import _restores as restores
from kbackup.catalog._claim import RestoreClaim
from kbackup.catalog._claim_record import ClaimRecord
from kbackup.catalog._publish import Content
from kbackup.catalog._side_files import RestoreFile
from kbackup.errors import ReadOnlyLocationError
from kbackup.models import BackupStorageLocation, ItemOperation, Restore, Results
from kbackup.plugins import ObjectStore
from kbackup.stores import layout


class RestoreRecords:
    """What is kept of restores in one location.

    Attributes:
        location: Where it is.
    """

    location: BackupStorageLocation
    _store: ObjectStore
    _clock: Clock

    @property
    def read_only(self) -> bool:
        """Whether nothing may be written here."""
        return self.location.spec.read_only

    def check_restore(self, name: str, uid: str, *, from_backup: str = "") -> None:
        """Refuse a name that a run other than *uid* has used: `RestoreExistsError`.

        Also one under which a restore of another backup than *from_backup* was killed.
        """
        restores.check_name(self._store, name, uid)
        restores.check_dead_claims(self._store, name, from_backup, self._clock)

    def claim_restore(
        self,
        name: str,
        *,
        run_uid: str,
        clock: Clock | None = None,
        from_backup: str = "",
    ) -> RestoreClaim:
        """Make the name of a restore ours, for as long as it runs; see `claim`.

        Args:
            name: Of the restore.
            run_uid: Who claims it.
            clock: For heartbeats; None: the store's.
            from_backup: The backup that is restored, for whoever lists or deletes it.

        Raises:
            RestoreInProgressError: Another run is restoring under it.
            RestoreExistsError: A restore of another backup was killed under it.
            ReadOnlyLocationError: Nothing may be written here.
        """
        self._require_writable(layout.RESTORES)
        clock = clock or self._clock
        return restores.claim_restore(
            self._store, name, run_uid=run_uid, clock=clock, from_backup=from_backup
        )

    def put_restore(
        self,
        restore: Restore,
        files: Mapping[str, Content],
        claim: RestoreClaim | None = None,
    ) -> None:
        """Write a restore's files, then its record; neither is written again.

        Args:
            restore: The record, in its last phase.
            files: Paths or bytes by file name.
            claim: On its name, looked at first and before the record; None: unclaimed.

        Raises:
            RestoreExistsError: The name is taken, or this very run is on record.
            RestoreInProgressError: The claim was lost; the record was not written.
            ReadOnlyLocationError: Nothing may be written here.
        """
        self._require_writable(layout.RESTORES)
        restores.put_restore(self._store, restore, files, claim)

    def begun_operations(self, name: str, uid: str) -> Sequence[ItemOperation]:
        """Return what earlier processes of a restore have begun, as last heard of."""
        return restores.begun_operations(self._store, name, uid)

    def unended_restores(self) -> Sequence[ClaimRecord]:
        """Return the claims of restores that run, or were killed and can be completed."""
        return restores.unended_restores(self._store)

    def list_restores(self) -> list[Restore]:
        """Return the restores that can be read, also Velero's, newest first."""
        return restores.list_restores(self._store)

    def get_restore(self, name: str) -> Restore:
        """Return a restore.

        Velero keeps no record in the store: its restores have no uid, and of their spec
        the backup's name at most.

        Raises:
            RestoreNotFoundError: There is none.
            RestoreDamagedError: It cannot be read.
        """
        return restores.get_restore(self._store, name)

    def delete_restore(self, name: str) -> tuple[str, ...]:
        """Remove a restore's record and files; the cluster is not touched.

        Returns:
            What lies beside them, is no file of a restore and was left: keys.

        Raises:
            RestoreNotFoundError: There is nothing of that name, or nothing of a restore.
            RestoreInProgressError: A run is restoring under it.
            ReadOnlyLocationError: Nothing may be written here.
        """
        self._require_writable(layout.RESTORES)
        return restores.delete_restore(self._store, name, clock=self._clock)

    def restore_file(self, name: str, file: RestoreFile) -> Any:
        """Return a restore's file as JSON, or None; raises `RestoreDamagedError`."""
        return restores.read_file(self._store, name, file)

    def restore_results(self, name: str) -> Results:
        """Return the warnings and errors of a restore; raises as `restore_file`."""
        return restores.read_results(self._store, name)

    def restore_logs(self, name: str) -> Iterator[str]:
        """Yield the lines of a restore's log, if any; raises as `restore_file`."""
        return restores.read_logs(self._store, name)

    def _require_writable(self, key: str) -> None:
        if self.read_only:
            raise ReadOnlyLocationError(key)
