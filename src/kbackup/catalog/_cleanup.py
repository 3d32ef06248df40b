"""The DeleteItemActions of one backup: which of its items they want, and calling them.

They run before anything of a backup is removed: whoever repeats a deletion that failed
finds all of it. Nothing here writes to the store. Called by `_delete`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import attrs

from kbackup._kits.words import plural
from kbackup.archive import ArchiveContents
from kbackup.catalog._archives import Archives
from kbackup.catalog._fetch import exists
from kbackup.catalog._manifest import Manifest
from kbackup.catalog._selected_types import TypeNames
from kbackup.errors import (
    ActionError,
    ActionTimeoutError,
    ArchiveError,
    BackupCleanupError,
    BackupDamagedError,
    BackupOwnsDataError,
    PluginError,
)
from kbackup.models import Backup, GroupResource, Item, ResourceIdentifier
from kbackup.plugins import DeleteInput, DeleteItemAction, ObjectStore, Run
from kbackup.plugins.engine import ActingCluster, ActionIndex, execute_delete_action
from kbackup.stores import BackupFiles

Wish = tuple[Item, tuple[DeleteItemAction, ...]]
Begun = tuple[str, ResourceIdentifier]  # the action that began it, and on which item

_SHOWN = 3  # failures in a message; the error has them all
_AGAIN = (
    "nothing of it was removed: delete it again, which runs them again; --files-only "
    "leaves behind what they clean up"
)
_FILES_ONLY = "--files-only removes its files without running them"
_CLUSTERLESS = "give the cluster, or --files-only, which leaves that behind"


class Cleanup:
    """The DeleteItemActions that are there when a backup is deleted.

    Args:
        store: Where the backup is.
        archives: Of that store.
        actions: In the order in which they run; none: they are not wanted.
        cluster: In which they clean up; None: only what wants no item can be deleted.
        run: The deletion: who did not come back, how long to wait, whether to stop.
    """

    def __init__(
        self,
        store: ObjectStore,
        archives: Archives,
        actions: Sequence[DeleteItemAction],
        cluster: ActingCluster | None,
        run: Run,
    ) -> None:
        self._store = store
        self._archives = archives
        self._actions = tuple(actions)
        self._cluster = cluster.for_run(run.cancel) if cluster is not None else None
        self._run = run

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the actions, in their order."""
        return tuple(action.name for action in self._actions)

    def plan(
        self, name: str, manifest: Manifest | None, begun: Collection[Begun]
    ) -> Mapping[str, int]:
        """Return on how many items each action would run, without those that want none.

        Args:
            name: The backup.
            manifest: Its own.
            begun: What actions of these names began when it was made.

        Raises:
            BackupDamagedError: Its archive is damaged: nobody can tell.
            BackupOwnsDataError: An action here would not see an item on which one of
                its name began something.
        """
        counts: Counter[str] = Counter()
        with self._wishes(name, manifest) as wishes:
            _require_cleaned(name, begun, wishes)
            for _, actions in wishes:
                counts.update(action.name for action in actions)
        return {each: counts[each] for each in self.names if counts[each]}

    def run(
        self, backup: Backup, manifest: Manifest | None, begun: Collection[Begun]
    ) -> None:
        """Run every action on each item that it wants, item by item.

        Raises:
            BackupCleanupError: One failed; the others ran all the same.
            BackupDamagedError: As `plan`; no action was run.
            BackupOwnsDataError: As `plan`, or there is no cluster to clean up in.
            Cancelled: The deletion is to stop.
        """
        name = backup.metadata.name
        failures: list[PluginError] = []
        unasked: Counter[str] = Counter()
        with self._wishes(name, manifest) as wishes:
            _require_cleaned(name, begun, wishes)
            for item, actions in wishes:
                for action in actions:
                    if action.name in self._run.stuck:
                        unasked[action.name] += 1
                        continue
                    try:
                        self._call(action, item, backup)
                    except (ActionError, ActionTimeoutError) as exc:
                        failures.append(exc)
        failures += [_not_asked(each, count) for each, count in unasked.items()]
        if failures:
            raise _failed(name, failures, self._run)

    def _call(self, action: DeleteItemAction, item: Item, backup: Backup) -> None:
        """Let one action clean up after one item; its writer ends with the call."""
        if self._cluster is None:
            raise BackupOwnsDataError(
                backup.metadata.name,
                f"{action.name} cleans up after {item.identifier}, and no cluster was "
                "given to do it in",
                hint=_CLUSTERLESS,
            )
        writer = self._cluster.writer()
        given = DeleteInput(
            item=item.content,  # parsed anew: what one changes no other sees
            identifier=item.identifier,
            backup=backup,
            cluster=writer,
            logger=self._run.logger,
        )
        try:
            execute_delete_action(self._run, action, given)
        finally:
            writer.revoke()

    # --- which items ------------------------------------------------------------------

    @contextmanager
    def _wishes(self, name: str, manifest: Manifest | None) -> Iterator[Iterable[Wish]]:
        """Open the archive, if any action may want something of it, for that long."""
        if not self._actions or not self._may_want(name, manifest):
            yield ()
            return
        try:
            place = self._archives.spool_directory
            with self._archives.contents(name, manifest, place) as contents:
                yield _Wishes(contents, self._index(name, contents.resources()))
        except (ArchiveError, BackupDamagedError) as exc:
            fault = exc.reason if isinstance(exc, BackupDamagedError) else str(exc)
            listed = ", ".join(self.names)
            reason = f"{fault}; {listed} cannot clean up after what it holds"
            raise BackupDamagedError(name, reason, hint=_FILES_ONLY) from exc

    def _may_want(self, name: str, manifest: Manifest | None) -> bool:
        """Tell whether reading the archive can be of any use.

        Without a manifest it is Velero's, which stores none for a backup that failed.
        """
        if manifest is None:
            return exists(self._store, BackupFiles(name).archive)
        types = _stored_types(manifest)
        if types is None:
            return True
        index = self._index(name, types)
        return any(index.for_type(each) for each in types)

    def _index(
        self, name: str, types: Collection[GroupResource]
    ) -> ActionIndex[DeleteItemAction]:
        names = TypeNames(name, types, self._cluster)
        return ActionIndex(self._actions, names.resolve)


@attrs.frozen
class _Wishes:
    """The items that any action wants, in the archive's order, with those actions."""

    contents: ArchiveContents
    index: ActionIndex[DeleteItemAction]

    def __iter__(self) -> Iterator[Wish]:
        for group_resource in self.contents.resources():
            candidates = self.index.for_type(group_resource)
            if not candidates:
                continue
            by_label = any(each.labels is not None for each in candidates)
            for item in self.contents.items(group_resource):
                labels = _labels_of(item) if by_label else None
                namespace = item.identifier.namespace
                actions = tuple(
                    each.action for each in candidates if each.wants(namespace, labels)
                )
                if actions:
                    yield item, actions


def _labels_of(item: Item) -> Mapping[str, str]:
    labels = item.content["metadata"].get("labels")
    return labels if isinstance(labels, Mapping) else {}


def _stored_types(manifest: Manifest) -> tuple[GroupResource, ...] | None:
    """Return the types of all items in the archive; None: the lists do not say of all.

    What came along with other items is of no list.
    """
    if sum(each.stored for each in manifest.lists) != manifest.items:
        return None
    return tuple(sorted({each.resource for each in manifest.lists if each.stored}))


def _require_cleaned(
    name: str, begun: Collection[Begun], wishes: Iterable[Wish]
) -> None:
    """Refuse where an action began something on an item that it is not to see now."""
    if not begun:
        return
    seen = {
        (action.name, item.identifier) for item, actions in wishes for action in actions
    }
    if unseen := [each for each in begun if each not in seen]:
        raise BackupOwnsDataError(
            name,
            f"{plural(len(unseen), 'operation')} after which no DeleteItemAction "
            f"cleans up, such as that of {unseen[0][0]} on {unseen[0][1]}",
            hint="--files-only removes its files and leaves the rest behind",
        )


def _failed(name: str, failures: Sequence[PluginError], run: Run) -> BackupCleanupError:
    told = "; ".join(_with_release(each, run) for each in failures[:_SHOWN])
    more = f"; and {len(failures) - _SHOWN} more" if len(failures) > _SHOWN else ""
    error = BackupCleanupError(name, f"{told}{more}", hint=_AGAIN)
    error.failures = tuple(failures)
    return error


def _with_release(failure: PluginError, run: Run) -> str:
    """Say of which distribution and version the plugin is that failed."""
    release = run.release_of(failure.plugin)
    return f"{failure} ({release})" if release else str(failure)


def _not_asked(action: str, items: int) -> PluginError:
    told = f"{action} was not called for {plural(items, 'more item')}"
    return PluginError(f"{told}: it did not come back once", plugin=action)
