"""What ``kbackup backup delete`` does: look, show, ask, delete."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from kbackup.cli._asking import agreed
from kbackup.cli._on_demand import ClusterOnDemand
from kbackup.cli._output import document, echo, print_document, say, say_next
from kbackup.cli._several import Named, each_named
from kbackup.cli._signals import cancel_on_signal
from kbackup.errors import BackupNotFoundError, KBackupError

if TYPE_CHECKING:
    from kbackup._kits.workers import CancelToken
    from kbackup.catalog import DeletionPlan
    from kbackup.cli._session import Session


class Deleting:
    """One call of the command.

    Args:
        session: Its global options. A cluster is connected to only where a
            DeleteItemAction has something to do in it.
        files_only: Leave behind what backups own outside the store.
    """

    def __init__(self, session: Session, *, files_only: bool) -> None:
        self._session = session
        self._store = session.store()
        self._files_only = files_only
        self._cluster = ClusterOnDemand(session.cluster)
        self._deleted: list[str] = []

    def missing(self, names: Sequence[str]) -> Named[None]:
        """Tell which names are not there, or are no backup's."""
        return each_named(names, self._require_backup)

    def show(self, names: Sequence[str]) -> int:
        """Print what would be done, and do nothing."""
        plans = each_named(names, self._plan)
        shown = "\n".join(map(str, plans.found))
        content = document(
            "DeletionPlan",
            location=self._store.url,
            backups=[each.to_json() for each in plans.found],
        )
        if plans.found:
            print_document(self._session, content, lambda: echo(shown))
        return plans.told(self._session)

    def delete(self, names: Sequence[str], *, yes: bool) -> int:
        """Delete the backups, unless somebody who is asked says no."""
        self._warn_of_unrun()
        refused: Sequence[KBackupError] = ()
        if not yes:
            plans = each_named(names, self._plan)
            names, refused = [each.name for each in plans.found], plans.errors
            if not self._is_agreed(plans.found):
                say("Nothing was deleted.")
                return plans.told(self._session) or 1
        try:
            with cancel_on_signal() as token:
                done = each_named(names, partial(self._delete, token))
        finally:  # also of those that went before a signal, or the store failed
            self._print_deleted()
        if refused or done.errors:
            return Named(done.found, [*refused, *done.errors]).told(self._session)
        say_next(self._session, "kbackup backup get")
        return 0

    def _require_backup(self, name: str) -> None:
        """Refuse what is nobody's backup, or not there."""
        try:
            entry = self._store.entry(name)
        except BackupNotFoundError as exc:
            if exc.reason:  # of a run that has not ended: what it left can go
                return
            raise
        if entry.state == "foreign":
            raise BackupNotFoundError(entry.name, entry.reason)

    def _plan(self, name: str) -> DeletionPlan:
        return self._store.plan_deletion(
            name, files_only=self._files_only, cluster=self._cluster
        )

    def _is_agreed(self, plans: Sequence[DeletionPlan]) -> bool:
        """Show which actions will run, and ask; about nothing nobody is asked."""
        for plan in plans:
            if plan.actions:
                say(str(plan))
        what = ", ".join(plan.name for plan in plans)
        question = f"Delete {what} from {self._store.url} for good?"
        return bool(plans) and agreed(question, yes=False)

    def _delete(self, token: CancelToken, name: str) -> str:
        """Delete one backup, tell what of its directory was left, return its name."""
        left = self._store.delete(
            name, files_only=self._files_only, cluster=self._cluster, cancel=token
        )
        self._deleted.append(name)
        if self._session.output == "table":
            echo(f"Deleted {name}")
        for key in left:
            say(f"warning: left, for it is no file of a backup: {key}")
        return name

    def _print_deleted(self) -> None:
        """Print the document of what went; as a table each was told when it had gone."""
        if self._session.output == "table" or not self._deleted:
            return
        location, deleted = self._store.url, self._deleted
        content = document("Deletion", location=location, deleted=deleted)
        print_document(self._session, content, lambda: None)

    def _warn_of_unrun(self) -> None:
        """Say which plugins would, or might, clean up after a backup and will not."""
        from kbackup.plugins import PluginKind  # noqa: PLC0415 - on demand

        plugins = self._session.plugins
        if self._files_only:
            names = [each.name for each in plugins.delete_item_actions()]
            if names:
                say(f"warning: not run, as --files-only says: {', '.join(names)}")
            return
        may_clean_up = {PluginKind.DELETE_ITEM_ACTION, PluginKind.UNKNOWN}
        for info in plugins.list_plugins():
            if not info.available and info.kind in may_clean_up:
                say(
                    f"warning: plugin {info.name} of {info.distribution} is not run: "
                    f"{info.cause}"
                )
