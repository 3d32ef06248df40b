"""What a run keeps in the store while it waits, so that another process can go on.

Nothing is kept of a run whose actions begin nothing. Of another one each operation is,
and once all items are read the archive, the log and the books: see
``docs/formats/manifest.md``, "Journals".
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kbackup._kits.streams import sha256_of
from kbackup._kits.workers import Cancelled
from kbackup.backup._draft import Draft
from kbackup.catalog import BackupClaim, BackupStore, UnendedBackup
from kbackup.catalog.engine import (
    ARCHIVE,
    BOOKS,
    LOG,
    kept_entry,
    operation_entry,
)
from kbackup.errors import (
    BackupExistsError,
    BackupInProgressError,
    KBackupError,
    StoreError,
)
from kbackup.models import ItemOperation, OperationPhase, Results
from kbackup.plugins import Digest, Run

_ENDED = (OperationPhase.COMPLETED, OperationPhase.FAILED)


class RunJournal:
    """The journal of one run of a backup; an `OperationsKeeper`.

    Args:
        store: Where the backup goes.
        claim: On its name.
        run: Of its uid the journal is.
        unended: What the journal holds already, for a run that goes on with another.
    """

    def __init__(
        self,
        store: BackupStore,
        claim: BackupClaim,
        run: Run,
        unended: UnendedBackup | None = None,
    ) -> None:
        self._journal = store.journal(run.uid)
        self._claim = claim
        self._run = run
        self._is_used = self._is_kept = self._may_go_on = unended is not None
        self._is_touched = False
        self._kept = unended.kept if unended is not None else {}

    # --- while operations go on -------------------------------------------------------

    def keep(self, operation: ItemOperation) -> None:
        """Keep an operation that has begun, or has ended.

        Raises:
            StoreError: It has begun, and the store fails.
        """
        self._is_used = True
        entry = operation_entry("backup", self._run.name, operation)
        if operation.status.phase not in _ENDED:
            self._journal.append(entry)
            return
        try:  # whoever goes on asks for its progress again
            self._journal.append(entry)
        except StoreError as exc:
            self._run.logger.warning("the end of an operation is not kept: %s", exc)

    def check(self) -> None:
        """Refuse to go on with what another process has taken over.

        Raises:
            BackupInProgressError: The claim was lost.
        """
        with suppress(StoreError):  # the claim's heartbeat bears that as well
            self._claim.check()

    def keep_draft(self, draft: Draft, archive: Path, log: bytes) -> None:
        """Keep what another process needs to go on, and say at last that it is there.

        Raises:
            StoreError: The store fails.
            BackupInProgressError: The claim was lost.
        """
        with archive.open("rb") as file:
            digests = {ARCHIVE: Digest(sha256_of(file))}
        books = draft.encode(self._run.results)
        for name, content in ((LOG, log), (BOOKS, books)):
            self._journal.put_file(name, content)
            digests[name] = Digest(hashlib.sha256(content).hexdigest())
        self._journal.put_file(ARCHIVE, archive)
        self._claim.check()
        self._journal.append(kept_entry(self._run.name, digests))
        self._is_kept = True

    # --- by another process -----------------------------------------------------------

    def load(self, archive: Path) -> tuple[Draft, Results, bytes]:
        """Return draft, results and log that were kept; write the archive to a file.

        Raises:
            KBackupError: They cannot be read, or there is no room for them.
        """
        journal, kept = self._journal, self._kept
        draft, results = Draft.decode(journal.get_json(BOOKS, expect=kept[BOOKS]))
        log = io.BytesIO()
        journal.get_file(LOG, log, expect=kept[LOG])
        with self._run.temporary_file(archive) as out:
            journal.get_file(ARCHIVE, out, expect=kept[ARCHIVE])
        return draft, results, log.getvalue()

    # --- the end ----------------------------------------------------------------------

    @contextmanager
    def following(self) -> Iterator[None]:
        """Follow operations meanwhile: left by an error, they are cancelled."""
        self._may_go_on, self._is_touched = False, True
        yield
        self._may_go_on = self._is_kept

    @contextmanager
    def until_published(self) -> Iterator[None]:
        """Remove the journal at the end, unless somebody can go on with it.

        That is another process which has the name by now, or anybody, where all
        operations have ended, or were not touched, and the rest failed. A cancelled run
        is given up.
        """
        try:
            yield
        except BackupInProgressError:
            raise
        except BaseException as exc:
            is_given_up = isinstance(exc, Cancelled) and self._is_touched
            is_given_up = is_given_up or isinstance(exc, BackupExistsError)
            if is_given_up or not self._may_go_on:
                self._remove()
            elif isinstance(exc, KBackupError):
                hint = f"`kbackup backup resume {self._run.name}` goes on with it"
                exc.hint = f"{exc.hint}; {hint}" if exc.hint else hint
            raise
        self._remove()

    def _remove(self) -> None:
        if not self._is_used:
            return
        try:
            self._journal.remove()
        except StoreError as exc:
            self._run.logger.warning("the journal of the run stays behind: %s", exc)
