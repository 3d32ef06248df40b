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
    from kbackup.catalog import DeletionPlan, DeletionReport
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
        self._deleted: list[DeletionReport] = []

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
            if any(r.spec.backup_name == name for r in self._store.list_restores()):
                return  # of a deletion that was broken off: its restores can go
            raise
        if entry.state == "foreign":
            raise BackupNotFoundError(entry.name, entry.reason)

    def _plan(self, name: str) -> DeletionPlan:
        return self._store.plan_deletion(
            name, files_only=self._files_only, cluster=self._cluster
        )

    def _is_agreed(self, plans: Sequence[DeletionPlan]) -> bool:
        """Show what goes beside the files, and ask; about nothing nobody is asked."""
        for plan in plans:
            if plan.actions or plan.restores or plan.unended:
                say(str(plan))
        what = ", ".join(plan.name for plan in plans)
        question = f"Delete {what} from {self._store.url} for good?"
        return bool(plans) and agreed(question, yes=False)

    def _delete(self, token: CancelToken, name: str) -> str:
        """Delete one backup, tell what was left, return its name."""
        report = self._store.delete(
            name, files_only=self._files_only, cluster=self._cluster, cancel=token
        )
        self._deleted.append(report)
        if self._session.output == "table":
            echo(f"Deleted {name}")
            for each in report.restores:
                echo(f"Deleted what was on record of restore {each}")
        for key in report.left:
            what = "restore" if key.startswith("restores/") else "backup"
            say(f"warning: left, for it is no file of a {what}: {key}")
        for each, reason in report.unended.items():
            say(f"warning: left, restore {each}: {reason}")
        return name

    def _print_deleted(self) -> None:
        """Print the document of what went; as a table each was told when it had gone."""
        if self._session.output == "table" or not self._deleted:
            return
        content = document(
            "Deletion",
            location=self._store.url,
            deleted=[each.name for each in self._deleted],
            deletedRestores=[name for each in self._deleted for name in each.restores],
        )
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
