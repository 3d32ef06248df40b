"""Items again, after their operations: into the archive before anything is published.

Source: Velero's ``FinalizeBackup``: each post-operation item of every operation, ended
well or not, is read again, its actions are asked, and it replaces what the archive has
of it. Filters are not asked, no hook is run, nothing begins. Actions see by the backup's
phase that it is being finalized.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import attrs

from kbackup._kits.words import first_few
from kbackup.archive import ArchiveWriter, NewItem, rewrite
from kbackup.backup import _coverage as coverage
from kbackup.backup._action_runner import ActionRunners
from kbackup.backup._claims import Claims
from kbackup.backup._draft import Draft, with_archive
from kbackup.backup._item_backupper import ItemBackupper
from kbackup.backup._ledger import Ledger, Tally
from kbackup.backup._optional_actions import wanted_actions
from kbackup.backup._reads import Answer, Reads
from kbackup.backup._references import References
from kbackup.backup._versions import at_storage_versions
from kbackup.catalog import MissingReference, NotCovered
from kbackup.cluster import Cluster, Discovery
from kbackup.errors import ClusterError, ItemNotFoundError
from kbackup.models import (
    Backup,
    BackupOptions,
    BackupPhase,
    Item,
    ItemOperation,
    ResourceIdentifier,
)
from kbackup.plugins import BackupItemAction, ItemFailed, PluginManager, Run
from kbackup.plugins.engine import ActionIndex

Wanted = Mapping[ResourceIdentifier, str]  # and the action that wants it stored again


def finalize(
    run: Run,
    draft: Draft,
    operations: Sequence[ItemOperation],
    archive: Path,
    *,
    cluster: Cluster,
    plugins: PluginManager,
) -> tuple[Draft, Sequence[ItemOperation]]:
    """Store once more what operations that have ended want.

    Args:
        run: Gets warnings and errors: an item that cannot be stored again is one by
            name, and what the archive has of it stays.
        draft: The backup so far; its ledger is carried on.
        operations: All have ended.
        archive: Replaced where there is something to store.
        cluster: Bound to the run.
        plugins: Whose item actions are asked.

    Returns:
        The draft of the final archive; the operations, each with those of its items
        that the archive holds: a reader looks for them.

    Raises:
        Cancelled: The run is to stop.
        KBackupError: There is no room for the archive.
    """
    if not operations:
        return draft, operations
    failed = bool(run.results.errors)
    phase = _FINALIZING_PARTIALLY_FAILED if failed else _FINALIZING
    with run.phase(str(phase)):
        wanted = _wanted(operations)
        if wanted:
            asked = draft.manifest.options.get("enable_actions") or ()
            record = _in_phase(draft.record, phase)
            again = _Again(run, record, draft.ledger, asked=asked)
            again.store(wanted, cluster, plugins)
            draft = again.added_to(draft, archive)
    return draft, [_trimmed(each, draft.ledger) for each in operations]


def _wanted(operations: Sequence[ItemOperation]) -> Wanted:
    return {
        item.identifier: operation.spec.backup_item_action
        for operation in operations
        for item in operation.spec.post_operation_items
    }


def _in_phase(record: Backup, phase: BackupPhase) -> Backup:
    return attrs.evolve(record, status=attrs.evolve(record.status, phase=phase))


def _trimmed(operation: ItemOperation, ledger: Ledger) -> ItemOperation:
    spec = operation.spec
    held = [
        item
        for item in spec.post_operation_items
        if _is_stored(item.identifier, ledger)
    ]
    spec = attrs.evolve(spec, post_operation_items=held)
    return attrs.evolve(operation, spec=spec)


def _is_stored(item: ResourceIdentifier, ledger: Ledger) -> bool:
    return ledger.has(item.group_resource, item.namespace, item.name)


class _Collected:
    """Takes items as an archive does, and keeps them; the last of a name counts."""

    def __init__(self) -> None:
        self.items: list[NewItem] = []

    def add(
        self,
        *,
        resource: str,
        version: str,
        namespace: str,
        name: str,
        body: bytes,
        preferred: bool = True,
    ) -> None:
        """Keep one item."""
        item = NewItem(
            resource=resource,
            version=version,
            namespace=namespace,
            name=name,
            body=body,
            preferred=preferred,
        )
        self.items.append(item)


class _Again:
    """What is read and stored once more, with books of its own.

    Args:
        run: Gets warnings and errors.
        backup: As actions are to see it.
        stored: The books of the archive so far.
        asked: The actions that run only where they are asked for, and were.
    """

    def __init__(
        self, run: Run, backup: Backup, stored: Ledger, *, asked: Iterable[str] = ()
    ) -> None:
        self._asked = tuple(asked)
        self._run = run
        self._backup = backup
        self._stored = stored
        self._ledger = Ledger()
        self._sink = _Collected()
        self._references = References()
        self._claims = Claims(None)

    # --- reading ----------------------------------------------------------------------

    def store(self, wanted: Wanted, cluster: Cluster, plugins: PluginManager) -> None:
        """Read and keep what is wanted, and what actions ask for on that."""
        try:
            discovery = at_storage_versions(cluster, cluster.discover(refresh=True))
        except ClusterError as exc:
            for item, action in wanted.items():
                self._lose(item, exc, action)
            return
        found = wanted_actions(plugins.backup_item_actions(), self._asked)
        actions = ActionIndex(found, discovery.resolve)
        runners = ActionRunners(self._run, self._backup, cluster.reader(), actions)
        try:
            self._store_all(wanted, cluster, discovery, actions, runners)
        finally:
            runners.close()

    def _store_all(
        self,
        wanted: Wanted,
        cluster: Cluster,
        discovery: Discovery,
        actions: ActionIndex[BackupItemAction],
        runners: ActionRunners,
    ) -> None:
        reads = Reads(cluster, discovery, self._run)
        backupper = self._backupper(actions, runners)
        tried: set[ResourceIdentifier] = set()
        while wanted:
            placed = self._placed(wanted, discovery)
            for identifier, answer in reads.each(sorted(placed.keys() - tried)):
                self._run.cancel.check()
                self._store_one(backupper, reads, identifier, answer, placed)
            tried |= placed.keys()
            wanted = dict.fromkeys(self._ledger.wanted, "")
            self._ledger.wanted = {}
        coverage.report_passed_over(runners.passed_over, self._run)
        coverage.report_overlong(backupper.overlong, self._run)

    def _backupper(
        self, actions: ActionIndex[BackupItemAction], runners: ActionRunners
    ) -> ItemBackupper:
        return ItemBackupper(
            run=self._run,
            sink=self._sink,
            ledger=self._ledger,
            references=self._references,
            claims=self._claims,
            actions=actions,
            runners=runners,
            operations=None,  # nothing begins any more
            options=BackupOptions(),
        )

    def _placed(self, wanted: Wanted, discovery: Discovery) -> Wanted:
        """Return what the cluster serves; what is cluster-scoped without a namespace."""
        placed = {}
        for item, action in wanted.items():
            resource = discovery.get(item.group_resource)
            if resource is None:
                self._lose(item, "the cluster serves no such type", action)
                continue
            namespace = item.namespace if resource.namespaced else ""
            key = ResourceIdentifier(item.group_resource, namespace, item.name)
            placed[key] = action
        return placed

    def _store_one(
        self,
        backupper: ItemBackupper,
        reads: Reads,
        identifier: ResourceIdentifier,
        answer: Answer,
        placed: Wanted,
    ) -> None:
        if isinstance(answer, Item):
            tally = Tally()
            backupper.back_up_item(reads.resource(identifier), answer, tally=tally)
            if tally.failed:
                self._note_gap(
                    identifier, "failed, for the reason that the results give"
                )
            if tally.skipped and not _is_stored(identifier, self._stored):
                why = first_few(sorted(tally.skipped))
                self._run.warning(
                    f"not stored after its operation: {why}", item=identifier
                )
        elif isinstance(answer, ItemNotFoundError):
            self._lose(identifier, "it does not exist", placed[identifier])
        else:
            self._lose(identifier, answer, placed[identifier])

    def _lose(
        self, item: ResourceIdentifier, why: ClusterError | str, action: str
    ) -> None:
        """Record an item that could not be read; the archive keeps what it has of it."""
        message = f"not stored after its operation: {why}"
        if _is_stored(item, self._stored):
            message += "; it is in the backup as it was before"
        self._note_gap(item, str(why))
        self._run.error(message, item=item, plugin=action)
        self._run.emit(ItemFailed(identifier=item, message=message))

    def _note_gap(self, item: ResourceIdentifier, why: str) -> None:
        if _is_stored(item, self._stored):
            return
        gap = NotCovered(
            resource=item.group_resource,
            namespace=item.namespace,
            reason=f"{item.name}: {why}",
        )
        self._ledger.not_covered.append(gap)

    # --- writing ----------------------------------------------------------------------

    def added_to(self, draft: Draft, archive: Path) -> Draft:
        """Return the draft with what was kept; the archive is made anew."""
        known = {each.claim: each for each in draft.manifest.volumes}
        fresh = {each.claim: each for each in self._claims.records()}
        self._ledger.volumes = [fresh[c] for c in fresh.keys() - known.keys()]
        coverage.report_volumes(draft.record.spec, self._ledger, self._run)
        for claim, volume in fresh.items():
            policy = known[claim].policy if claim in known else ""
            known[claim] = attrs.evolve(volume, policy=policy)
        ledger = draft.ledger
        ledger.absorb(self._ledger)
        manifest = attrs.evolve(
            draft.manifest,
            volumes=[known[claim] for claim in sorted(known)],
            missing=self._missing(draft),
        )
        draft = attrs.evolve(draft, manifest=manifest)
        return self._rewritten(draft, archive) if self._sink.items else draft

    def _missing(self, draft: Draft) -> tuple[MissingReference, ...]:
        """Return what is referred to and not in the archive, by now."""
        has = draft.ledger.has
        before = [
            each
            for each in draft.manifest.missing
            if not _is_stored(each.refers_to, draft.ledger)
            and not _is_stored(each.item, self._ledger)
        ]
        told = {each.refers_to for each in before}
        now = self._references.missing(has)
        return (*before, *(each for each in now if each.refers_to not in told))

    def _rewritten(self, draft: Draft, archive: Path) -> Draft:
        started = draft.record.status.start_timestamp or self._run.clock.now()
        final = archive.with_name(f"final-{archive.name}")
        with (
            archive.open("rb") as source,
            self._run.temporary_file(final) as out,
            ArchiveWriter(out, mtime=int(started.timestamp())) as writer,
        ):
            rewrite(source, writer, self._sink.items)
        final.replace(archive)
        return attrs.evolve(
            draft, manifest=with_archive(draft.manifest, writer, draft.ledger)
        )


_FINALIZING = BackupPhase.FINALIZING
_FINALIZING_PARTIALLY_FAILED = BackupPhase.FINALIZING_PARTIALLY_FAILED
