"""Everything before the first decision: what was asked for, held against both sides.

Called by `_planning`, `_pipeline` and `_approval`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cache, partial
from itertools import chain

import attrs

from kbackup._kits.workers import WorkerPool
from kbackup.archive import ArchiveContents
from kbackup.catalog import Manifest
from kbackup.catalog.engine import SystemObjects, lost_items
from kbackup.cluster import Cluster, Discovery
from kbackup.errors import TargetMismatchError
from kbackup.models import (
    Backup,
    ObjectMeta,
    Restore,
    RestoreOptions,
    RestoreSpec,
    RestoreStatusSpec,
    well_known,
)
from kbackup.plugins import Run
from kbackup.plugins.engine import ActionIndex, Operations, is_built_in
from kbackup.restore._making.desired import DesiredMaker
from kbackup.restore._making.readiness import Readiness
from kbackup.restore._making.unmet import Mappings, unmet_namespaces, unmet_policies
from kbackup.restore._notices.refusals import refusals
from kbackup.restore._owners.earlier_ties import EarlierTies
from kbackup.restore._owners.live_dependents import LiveDependents
from kbackup.restore._owners.owners import OwnerLinks
from kbackup.restore._plan.claims import ClaimLine
from kbackup.restore._plan_entry import PlanEntry
from kbackup.restore._request.filters import TypeNames, make_filters, named_types
from kbackup.restore._request.modifier_source import LoadedModifiers, load_modifiers
from kbackup.restore._request.policies import make_policies, type_of
from kbackup.restore._request.priorities import SEPARATOR, Priorities
from kbackup.restore._request.redaction import make_redaction
from kbackup.restore._request.request import RestoreRequest
from kbackup.restore._request.selection import check_selection
from kbackup.restore._request.settings import needs_settings
from kbackup.restore._request.statuses import make_status_rules
from kbackup.restore._request.version_priority import FoundPriority
from kbackup.restore._session import Asked, Session, now
from kbackup.restore._source import opened, read_digest, read_manifest, read_volumes
from kbackup.restore._target.api_versions import (
    PlanVersions,
    choose_versions,
    versions_of,
    without_effect,
)
from kbackup.restore._target.converting import Conversions, needed_conversions
from kbackup.restore._target.reads import MemoReader
from kbackup.restore._target.types import ServedTypes
from kbackup.restore._verdicts.foreign import ForeignChanges
from kbackup.restore._verdicts.planner import Planned, Planner
from kbackup.restore._writes.before import read_earlier_ties
from kbackup.restore._writes.dry_run import (
    NOT_TRIED,
    STATUS_NOT_TRIED,
    statuses_untried,
    validate_entries,
)
from kbackup.restore._writes.gate import Gate
from kbackup.restore._writes.kept_volumes import KeptVolumes
from kbackup.restore._writes.object_writer import ObjectWriter
from kbackup.restore._writes.record import is_on_record, why_no_record
from kbackup.restore._writes.saved import SavedObjects


def look(
    session: Session, run: Run, backup: Backup, *, asked: Asked
) -> tuple[RestoreRequest, Planned]:
    """Read backup and target and decide about every item."""
    with _both_read(session, run, backup, asked.options) as (read, served):
        request = resolve(session, run, backup, read, asked=asked, discovery=served)
        request, contents, notices = _in_chosen_versions(request, read, asked)
        told = check_selection(
            request.spec,
            contents,
            request.discovery,
            lenient=asked.options.salvage,
            moved=request.conversions.moved.values(),
            priorities=request.options.priorities or (),
        )
        items = request.conversions.applied_to(contents)
        with run.phase("plan", total=len(contents)):
            mappings = Mappings.of(request.options)
            maker = make_maker(session, request, run, mappings=mappings)
            plain = make_maker(session, request, run, plain=True)
            foreign = ForeignChanges(request, plain)
            planned = Planner(request, items, maker, run, foreign=foreign).plan()
        if asked.options.validate:
            with run.phase("validate", total=len(planned.entries)):
                planned = _validated(session, run, request, items, planned)
                # In namespaces that are not there yet no write can be tried.
                if refused := refusals(request.cluster, planned.entries):
                    planned.book.say(refused)
        named = (
            *unmet_namespaces(request.spec.namespace_mapping, planned.entries),
            *unmet_policies(request.policies.objects, planned.entries),
        )
        for sentence in (*told, *notices, *named, *mappings.sentences()):
            planned.book.say(sentence)
        if asked.settings is not None and asked.settings.unreadable:
            planned.book.say(asked.settings.unreadable)
        if reason := why_no_record(session.store, asked.name, asked.uid):
            planned.book.say(reason)
        if asked.options.salvage and (lost := lost_items(contents, request.manifest)):
            planned.book.say(lost)
        for damage in contents.damage:
            planned.book.say(f"the backup is damaged: {damage}")
    return request, planned


@contextmanager
def _both_read(
    session: Session, run: Run, backup: Backup, options: RestoreOptions
) -> Iterator[tuple[ArchiveContents, Discovery]]:
    """The archive, and what the target serves: store and server are asked at once."""
    with WorkerPool(1, "kbackup-ahead") as ahead:
        served = ahead.submit(session.bound(run).discover, refresh=True)
        with opened(session, run, backup, options) as contents:
            yield contents, served.result()


def _in_chosen_versions(
    request: RestoreRequest, contents: ArchiveContents, asked: Asked
) -> tuple[RestoreRequest, ArchiveContents, list[str]]:
    """Choose versions where that is asked for; return also what to know about it."""
    options = request.options
    if not options.enable_api_group_versions:
        return request, contents, []
    priority = options.restore_resources_version_priority or {}
    types = tuple(filter(request.filters.wants_type, contents.resources()))
    discovery, found = request.discovery, asked.priority or FoundPriority()
    reader, convert = request.reader, options.convert
    chosen = choose_versions(
        contents, types, discovery, reader, priority, convert=convert
    )
    notices = [*filter(None, [found.notice])]
    notices += without_effect(contents, discovery, priority)
    versions = PlanVersions(chosen=chosen, source=found.source)
    contents = contents.in_versions(versions_of(chosen))
    conversions = request.conversions
    if chosen and convert:  # what was chosen needs others, or none
        conversions = needed_conversions(contents, discovery)
    request = attrs.evolve(request, versions=versions, conversions=conversions)
    return request, contents, notices


def check_target(cluster: Cluster, options: RestoreOptions) -> str:
    """Return the uid of the target; empty where it may not be read.

    Raises:
        TargetMismatchError: Another cluster was expected.
    """
    uid = cluster.uid()
    expected = options.expect_cluster
    if expected and expected not in (uid, cluster.context):
        found = uid or "a cluster whose uid is not readable"
        raise TargetMismatchError(
            "write to",
            cluster.server,
            reason=f"expected {expected}, found {found} (context {cluster.context})",
            hint="choose the context that is meant, or leave out the expectation",
        )
    return uid


def find_modifiers(
    session: Session, spec: RestoreSpec, options: RestoreOptions
) -> LoadedModifiers | None:
    """Read the resource modifiers that a restore has.

    Raises:
        InvalidSpecError: They are not there, or cannot be applied.
        ClusterError: The ConfigMap that has them cannot be read.
    """
    return load_modifiers(session.reading().reader(), spec, options)


def resolve(
    session: Session,
    run: Run,
    backup: Backup,
    contents: ArchiveContents,
    *,
    asked: Asked,
    memory: MemoReader | None = None,
    discovery: Discovery | None = None,
) -> RestoreRequest:
    """Hold what was asked for against backup and target.

    *memory* and *discovery* are what was read of the target already, if anything.
    """
    spec, options, cluster = asked.spec, asked.options, session.bound(run)
    discovery = discovery or cluster.discover(refresh=True)  # CRDs come and go
    convert = options.convert
    conversions = needed_conversions(contents, discovery) if convert else Conversions()
    names = _type_names(spec, options, discovery, contents, conversions)
    filters = make_filters(spec, names)
    manifest = read_manifest(session, backup, options)
    reader = memory or MemoReader(cluster.reader())
    reader.rebind(cluster.reader())
    return RestoreRequest(
        restore=_record_of(session, asked),
        options=options,
        backup=backup,
        manifest=manifest,
        volumes=read_volumes(session, backup, manifest),
        archive_digest=read_digest(session, backup, options),
        cluster=cluster,
        discovery=discovery,
        reader=reader,
        target_uid=asked.target_uid,
        target_version=cluster.version(),
        same_cluster=_is_same(manifest, asked.target_uid),
        filters=filters,
        system=SystemObjects(
            include=options.include_system,
            named_types=named_types(spec, names),
            named_namespaces=frozenset(spec.included_namespaces),
        ),
        priorities=Priorities.of(_in_full(options.priorities, names)),
        policies=make_policies(spec, options, names),
        redaction=make_redaction(options.redact, names),
        statuses=make_status_rules(spec, names),
        modifiers=asked.modifiers,
        conversions=conversions,
        recorded=cache(partial(is_on_record, session.store, asked.name, asked.uid)),
        earlier_ties=_earlier_ties(session, asked),
    )


def _is_same(manifest: Manifest | None, target_uid: str) -> bool | None:
    """Whether the target is the cluster of the backup; None: not known."""
    source_uid = manifest.cluster_uid if manifest is not None else ""
    return source_uid == target_uid if source_uid and target_uid else None


def _earlier_ties(session: Session, asked: Asked) -> Callable[[], EarlierTies]:
    """Tell of earlier runs, where such a restore deletes anything."""
    if "recreate" not in asked.options.existing_policies.values():
        return dict
    return cache(partial(read_earlier_ties, session.store, asked.name))


def _record_of(session: Session, asked: Asked) -> Restore:
    """The record of a restore that has just begun."""
    metadata = ObjectMeta(
        name=asked.name,
        uid=asked.uid,
        creation_timestamp=now(session),
        namespace=well_known.VELERO_NAMESPACE,
    )
    return Restore(metadata=metadata, spec=asked.spec)


def _type_names(
    spec: RestoreSpec,
    options: RestoreOptions,
    discovery: Discovery,
    contents: ArchiveContents,
    conversions: Conversions,
) -> TypeNames:
    """What the types that the user names mean, in the target and in the backup."""
    served = {}
    status = spec.restore_status or RestoreStatusSpec()
    listed = (
        spec.included_resources,
        spec.excluded_resources,
        status.included_resources,
        status.excluded_resources,
        options.redact,
        options.priorities or (),
        map(type_of, options.existing_policies),
    )
    for text in chain.from_iterable(listed):
        found = discovery.resolve(text)
        if found is not None:
            served[text] = found.group_resource
    return TypeNames(served, contents.resources(), conversions.moved)


def _in_full(
    priorities: tuple[str, ...] | None, names: TypeNames
) -> tuple[str, ...] | None:
    """Each type of the user's order by its full name, as the order compares them."""
    if priorities is None:
        return None
    full = (
        text if text == SEPARATOR else str(names.resolve(text)) for text in priorities
    )
    return tuple(full)


def make_object_writer(
    session: Session,
    run: Run,
    request: RestoreRequest,
    contents: ArchiveContents,
    *,
    types: ServedTypes,
    claims: Collection[ClaimLine],
    entries: Collection[PlanEntry],
    operations: Operations | None = None,
    readiness: Readiness | None = None,
    saved: SavedObjects = SavedObjects(),  # noqa: B008 - frozen
    dry_run: bool = False,
) -> ObjectWriter:
    """Make what writes the single entries of a plan."""
    return ObjectWriter(
        cluster=request.cluster,
        types=types,
        contents=contents,
        maker=make_maker(session, request, run),
        lines={line.claim: line for line in claims},
        policies=request.policies,
        redaction=request.redaction,
        restore_label=request.restore_label,
        gate=Gate(
            writers_of(session, request),
            clock=session.clock,
            cancel=session.cancel,
            per_second=session.settings.max_writes_per_second,
        ),
        run=run,
        owners=OwnerLinks(request.cluster, types.by_kind, entries),
        dependents=LiveDependents(request.cluster, request.discovery, is_late=True),
        operations=operations,
        readiness=readiness,
        saved=saved,
        kept=None if dry_run else KeptVolumes(request.cluster, claims, entries),
        dry_run=dry_run,
    )


def writers_of(session: Session, request: RestoreRequest) -> int:
    """How many writes may be under way at once."""
    return min(request.options.max_in_flight, session.settings.workers)


def _validated(
    session: Session,
    run: Run,
    request: RestoreRequest,
    contents: ArchiveContents,
    planned: Planned,
) -> Planned:
    """The plan after the server was asked about each write."""
    writer = make_object_writer(
        session,
        run,
        request,
        contents,
        types=ServedTypes(request.cluster, request.discovery, run),
        claims=planned.state.lines.values(),
        entries=planned.entries,
        dry_run=True,
    )
    workers = writers_of(session, request)
    entries, untried = validate_entries(planned.entries, writer, workers=workers)
    if untried:
        planned.book.say(f"{untried} {NOT_TRIED}")
    if later := statuses_untried(entries):
        planned.book.say(f"{later} {STATUS_NOT_TRIED}")
    return attrs.evolve(planned, entries=tuple(entries))


def make_maker(
    session: Session,
    request: RestoreRequest,
    run: Run,
    *,
    plain: bool = False,
    mappings: Mappings | None = None,
) -> DesiredMaker:
    """Make what makes items; a plain one does without what is others' or the user's."""
    actions, options = session.plugins.restore_item_actions(), request.options
    loaded = request.modifiers
    if plain:
        actions = tuple(action for action in actions if is_built_in(action))
        options = attrs.evolve(options, transforms=(), action_settings={})
        loaded = None
    actions = tuple(
        action
        for action in actions
        if options.action_settings.get(action.name) or not needs_settings(action)
    )
    return DesiredMaker(
        restore=request.restore,
        backup=request.backup,
        options=options,
        filters=request.filters,
        actions=ActionIndex(actions, request.discovery.resolve),
        cluster=request.reader,
        run=run,
        redaction=request.redaction,
        statuses=request.statuses,
        modifiers=loaded.modifiers if loaded is not None else None,
        hooks=None if plain else request.init_hooks,
        mappings=mappings,
        commands=None if plain else request.exec_hooks,
    )
