"""Removing a backup: its record first, so that half a backup is never offered.

Only the files of a backup go: what somebody else put beside them is not ours.

DeleteItemActions clean up first what they know of. What else a backup owns outside its
directory - snapshots, data in repositories, pending operations - cannot be removed from
here, and must not be forgotten.

The records of its restores go last. Whoever is killed before the last of them is gone
deletes the backup again.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import attrs

from kbackup._kits.arguments import given_or_new, require_able
from kbackup._kits.clock import Clock
from kbackup._kits.words import first_few, plural
from kbackup._kits.workers import Cancelled, CancelToken
from kbackup.catalog._archives import Archives
from kbackup.catalog._claim import BackupClaim
from kbackup.catalog._claim_record import BACKUPS, read_claims
from kbackup.catalog._claim_to_delete import delete_claimed, look
from kbackup.catalog._cleanup import Cleanup
from kbackup.catalog._fetch import UnreadableError
from kbackup.catalog._journal import Journal
from kbackup.catalog._owned import Inside, look_inside, require_nothing_owned
from kbackup.catalog._restores_of import (
    RestoresOf,
    delete_restores,
    find_restores_of,
)
from kbackup.catalog._side_files import SHOWN, strangers
from kbackup.catalog._trust import Record, fetch_record, is_foreign
from kbackup.catalog._unended import unended, unended_objects
from kbackup.errors import (
    BackupNotFoundError,
    InvalidSpecError,
    ObjectNotFoundError,
    RunCancelledError,
)
from kbackup.models import EngineSettings
from kbackup.plugins import ObjectInfo, ObjectStore, PluginManager, Run
from kbackup.plugins.engine import ActingCluster
from kbackup.stores import BackupFiles, layout


@attrs.frozen(kw_only=True)
class DeletionPlan:
    """What deleting a backup does before its files go.

    Attributes:
        name: The backup.
        actions: The DeleteItemActions that run, in their order, and on how many items.
        restores: Those whose records and files go with it.
        unended: Why its other restores stay, by name: they run, or were killed.
    """

    name: str
    actions: Mapping[str, int] = attrs.field(factory=dict)
    restores: tuple[str, ...] = ()
    unended: Mapping[str, str] = attrs.field(factory=dict)

    def __str__(self) -> str:
        acts = [f"run {a} on {plural(n, 'item')}" for a, n in self.actions.items()]
        acts.append("delete its files")
        if self.restores:
            acts.append(f"delete what is on record of restore {_listed(self.restores)}")
        if self.unended:
            acts.append(f"leave restore {_listed(self.unended)}, which has not ended")
        return f"{self.name}: {', '.join(acts)}"

    def to_json(self) -> dict[str, Any]:
        """Return the plan as documents have it."""
        runs = [{"name": name, "items": n} for name, n in self.actions.items()]
        return {
            "name": self.name,
            "actions": runs,
            "restores": list(self.restores),
            "unendedRestores": dict(self.unended),
        }


@attrs.frozen(kw_only=True)
class DeletionReport:
    """What deleting a backup has done.

    Attributes:
        name: The backup.
        restores: Those whose records and files went with it.
        unended: Why its other restores stayed, by name.
        left: Keys of what lay beside its files, or beside those of its restores, is
            none of them, and stayed.
    """

    name: str
    restores: tuple[str, ...] = ()
    unended: Mapping[str, str] = attrs.field(factory=dict)
    left: tuple[str, ...] = ()


class Deletion:
    """One way to delete backups: with what is to clean up after them, or without.

    Args:
        store: Where.
        archives: Of that store.
        plugins: Whose DeleteItemActions count.
        clock: For the claim that keeps others from writing a name meanwhile.
        files_only: Leave behind what a backup owns outside its directory; nothing is
            run.
        cluster: For the actions to act in.
        settings: How long one may take.
        cancel: Asked between items, and between files.
    """

    def __init__(
        self,
        store: ObjectStore,
        archives: Archives,
        plugins: PluginManager,
        clock: Clock,
        *,
        files_only: bool = False,
        cluster: ActingCluster | None = None,
        settings: EngineSettings | None = None,
        cancel: CancelToken | None = None,
    ) -> None:
        if cluster is not None:
            require_able("cluster", cluster, "Cluster", to="for_run")
        self._store = store
        self._archives = archives
        self._actions = () if files_only else plugins.delete_item_actions()
        self._releases = {} if files_only else plugins.releases()
        self._clock = clock
        self._files_only = files_only
        self._cluster = cluster
        self._settings = given_or_new("settings", settings, EngineSettings)
        self._cancel = given_or_new("cancel", cancel, CancelToken)

    def plan(self, name: str) -> DeletionPlan:
        """Find what deleting a backup would do; raises as `run`."""
        found = self._look(name)
        cleanup = self._cleanup(name)
        inside = look_inside(self._store, name)
        plan = DeletionPlan(
            name=name, restores=tuple(found.ended), unended=found.unended
        )
        if self._files_only or inside.record is None:
            return plan
        require_nothing_owned(name, inside)
        actions = cleanup.plan(name, inside.manifest, inside.begun)
        return attrs.evolve(plan, actions=actions)

    def run(self, name: str) -> DeletionReport:
        """Remove all of a backup's objects, then what is on record of its restores.

        What a dead run left of a backup counts as one, and so do the restores of one
        that is gone.

        Raises:
            BackupNotFoundError: There is nothing of that name, not even a run that has
                not ended, or nothing of a backup.
            BackupInProgressError: A run is writing it, or has just written it anew.
            BackupOwnsDataError: It owns something that nobody cleans up.
            BackupDamagedError: Its items cannot be told to those who clean up.
            BackupCleanupError: They failed; nothing was removed.
            RunCancelledError: The deletion was to stop.
        """
        seen = look(self._store, BackupFiles(name).metadata)
        found = self._look(name)
        cleanup = self._cleanup(name)
        inside = look_inside(self._store, name)
        if not self._files_only:
            require_nothing_owned(name, inside)

        def clean_up() -> None:
            self._cancel.check()
            if inside.record is not None and not self._files_only:
                cleanup.run(inside.record.backup, inside.manifest, inside.begun)
            self._cancel.check()  # of a cancel while the last item was cleaned up after

        try:
            left = self._delete(name, inside, seen, clean_up)
            return self._delete_restores(name, found, left)
        except Cancelled as exc:
            raise RunCancelledError(exc.reason) from exc

    def _look(self, name: str) -> RestoresOf:
        """Return the restores of a backup; refuse a name of which there is nothing."""
        layout.validate_name(name)
        found = find_restores_of(self._store, name, self._clock.now())
        _require_backup(self._store, BackupFiles(name), found)
        return found

    def _delete_restores(
        self, name: str, found: RestoresOf, left: tuple[str, ...]
    ) -> DeletionReport:
        """Remove the restores of a backup that is gone."""
        deleted, strange, kept = delete_restores(
            self._store, found, clock=self._clock, ask=self._cancel.check
        )
        return DeletionReport(
            name=name, restores=tuple(deleted), unended=kept, left=(*left, *strange)
        )

    def _delete(
        self,
        name: str,
        inside: Inside,
        seen: bytes | None,
        clean_up: Callable[[], None],
    ) -> tuple[str, ...]:
        """Remove a backup that may go, after *clean_up*; the rest as `run`."""
        store, files = self._store, BackupFiles(name)
        manifest = inside.manifest
        named = [each.name for each in manifest.objects] if manifest is not None else []

        def ours() -> list[ObjectInfo]:
            found = list(store.list(files.directory))
            others = _others(files, found, named)
            mine = [info for info in found if info.key not in others]
            return mine + unended_objects(store, name)

        delete_claimed(
            BackupClaim,
            store,
            name,
            record=files.metadata,
            seen=seen,
            files=ours,
            clock=self._clock,
            first=clean_up,
            ask=self._cancel.check,
        )
        if inside.record is not None:
            _remove_journal(store, inside.record)
        return _others(files, store.list(files.directory), named)

    def _cleanup(self, name: str) -> Cleanup:
        """Return what cleans up after a backup; nothing does with `files_only`."""
        run = Run(
            uid=str(uuid.uuid4()),
            kind="deletion",
            name=name,
            settings=self._settings,
            clock=self._clock,
            cancel=self._cancel,
            releases=self._releases,
        )
        return Cleanup(self._store, self._archives, self._actions, self._cluster, run)


def _others(
    files: BackupFiles, found: Iterable[ObjectInfo], named: Collection[str]
) -> tuple[str, ...]:
    """Return the keys of what lies in a backup's directory and is none of its files."""
    others = strangers(files.name, (info.key for info in found), named)
    return tuple(files.directory + each for each in others)


def _listed(names: Iterable[str]) -> str:
    return first_few(list(names))


def _require_backup(
    store: ObjectStore, files: BackupFiles, restores: RestoresOf
) -> None:
    """Refuse a directory that nobody's backup is in."""
    name = files.name
    keys = [info.key for info in store.list(files.directory)]
    if not keys:
        if any(read_claims(store, BACKUPS, name.__eq__)):
            return  # a run has begun it; whether that still lives its claim decides
        if unended(store, name) is not None:
            return
        if restores.ended:
            return  # a deletion was broken off before the last of them was gone
        raise BackupNotFoundError(name)
    others = strangers(name, keys)
    if len(others) == len(keys):
        named = first_few(others, SHOWN)
        raise BackupNotFoundError(
            name, f"{files.directory} holds no file of a backup: {named}"
        )
    if files.metadata in keys and _is_foreign(store, name):
        raise BackupNotFoundError(
            name, f"its {layout.METADATA} is that of something else"
        )


def _is_foreign(store: ObjectStore, name: str) -> bool:
    try:
        return is_foreign(fetch_record(store, name))
    except (ObjectNotFoundError, UnreadableError):
        return False  # gone, or damaged: that is said later


def _remove_journal(store: ObjectStore, record: Record) -> None:
    try:
        Journal(store, record.backup.metadata.uid).remove()
    except InvalidSpecError:
        return  # a uid that names no journal of ours
