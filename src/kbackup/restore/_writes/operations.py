"""What a restore's actions begin, kept so that the same restore, run again, follows it.

An operation is kept before its object is written: whoever is killed between the two
begins it again, whoever is killed later finds it in the journal. A store that cannot be
written keeps nobody from restoring; then nothing is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from kbackup.catalog.engine import operation_entry
from kbackup.errors import PluginNotFoundError, StoreError
from kbackup.models import Backup, ItemOperation, Restore
from kbackup.plugins import PluginManager, Run
from kbackup.plugins.engine import Operations
from kbackup.restore._writes.record import Place


class RestoreJournal:
    """The journal of a restore; an `OperationsKeeper`.

    Attributes:
        place: Where the record goes; None: nothing is kept, nor without a claim there.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._warned = False
        self.place: Place | None = None

    def keep(self, operation: ItemOperation) -> None:
        """Keep an operation that has begun, or has ended."""
        if self.place is None or self.place.claim is None:
            return
        run = self._run
        try:
            self.place.journal.append(operation_entry("restore", run.name, operation))
        except StoreError as exc:
            if not self._warned:
                self._warned = True
                run.warning(
                    "what actions begin cannot be kept: if this run is killed, nobody "
                    f"follows it: {exc}"
                )

    def check(self) -> None:
        """Refuse to follow what another process of the restore follows.

        Raises:
            RestoreInProgressError: The claim was lost.
        """
        if self.place is not None and self.place.claim is not None:
            with suppress(StoreError):
                self.place.claim.check()

    def recall(
        self,
        operations: Operations,
        plugins: PluginManager,
        *,
        backup: Backup,
        restore: Restore,
        hide: bool,
    ) -> None:
        """Take over what earlier processes of this restore have begun.

        With *hide* nothing is told that might quote an item.

        Raises:
            PluginNotFoundError: Who began it is not installed; nothing was written.
        """
        begun = self._begun()
        known = {action.name: action for action in plugins.restore_item_actions()}
        for operation in begun:
            name = operation.spec.restore_item_action
            if name not in known:
                raise PluginNotFoundError(
                    f"restore {self._run.name} cannot be completed: no installed plugin "
                    f"offers {name}, which began operations of it",
                    plugin=name,
                    hint="install the plugin here, or run the restore under another name",
                )
        operations.resume(begun, known, backup=backup, restore=restore, hide=hide)

    def _begun(self) -> Sequence[ItemOperation]:
        if self.place is None or self.place.claim is None:
            return ()
        try:
            return self.place.store.begun_operations(self._run.name, self._run.uid)
        except StoreError as exc:
            self._run.warning(f"what an earlier run has begun cannot be read: {exc}")
            return ()
