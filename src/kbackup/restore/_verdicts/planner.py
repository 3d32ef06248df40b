"""Makes a RestorePlan: the whole archive against what the target has, type by type.

Reads only. The archive's index and the target's LISTs are joined page by page, so that
neither the backup nor the cluster is ever held in memory. Called by `_prepare`.
"""

from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any

import attrs
from msgspec.structs import replace

from kbackup.archive import ArchiveContents
from kbackup.errors import ClusterError
from kbackup.models import (
    APIResource,
    GroupResource,
    Item,
    ResourceIdentifier,
    well_known,
)
from kbackup.plugins import ItemsProgressed, Run
from kbackup.restore._making.desired import DesiredMaker
from kbackup.restore._notices.kept_first import told_before
from kbackup.restore._notices.notices import NoticeBook
from kbackup.restore._notices.scope_notice import left_by_scope
from kbackup.restore._owners.dependents import tie_dependents
from kbackup.restore._owners.live_dependents import LiveDependents, Taken
from kbackup.restore._owners.owners import link_plan
from kbackup.restore._plan.claims import ClaimVerdict
from kbackup.restore._plan.state import PlanState
from kbackup.restore._plan_entry import PlanAction, PlanEntry, Precondition
from kbackup.restore._request.priorities import pull_forward, type_waves
from kbackup.restore._request.request import RestoreRequest
from kbackup.restore._target.converting import told_conversions
from kbackup.restore._target.live_objects import LiveObjects, Place
from kbackup.restore._target.reads import bears_on_everything
from kbackup.restore._target.seen import LiveObject, TypeView, find
from kbackup.restore._verdicts.adoption import IdleSets
from kbackup.restore._verdicts.expected_lists import expected_lists
from kbackup.restore._verdicts.foreign import ForeignChanges
from kbackup.restore._verdicts.item_groups import FEW, ItemGroups
from kbackup.restore._verdicts.item_planner import ItemPlanner
from kbackup.restore._verdicts.namespaces import (
    is_absent,
    is_terminating,
    plan_namespaces,
    waiting_for,
)
from kbackup.restore._verdicts.views import TypeViews
from kbackup.restore._volumes.rebinding import rebind_digest
from kbackup.restore._volumes.volume_facts import learn_volumes

_REBIND = "reattach: offered again to claim"
_VOLUMES = well_known.PERSISTENT_VOLUMES
_SECONDS_BETWEEN_EVENTS = 0.2
_ENTRIES_BETWEEN_LOOKS = 64
_LISTS_AHEAD = 3  # each waits for the interpreter while what another brought is planned
_PLANNING_ORDER = {
    # Whoever is asked about is planned first: makers before what they make, claims
    # before their volumes.
    well_known.CRDS: 0,
    well_known.NAMESPACES: 0,
    well_known.STORAGE_CLASSES: 0,
    well_known.JOBS: 2,
    well_known.REPLICA_SETS: 2,
    well_known.CONTROLLER_REVISIONS: 2,
    well_known.SECRETS: 2,
    well_known.ENDPOINTS: 2,
    well_known.PODS: 3,
    well_known.PERSISTENT_VOLUME_CLAIMS: 4,
    well_known.PERSISTENT_VOLUMES: 5,
}


@attrs.frozen(kw_only=True)
class Planned:
    """What planning yields; the engine adds the head.

    Attributes:
        entries: In the order of writing.
        state: Claims and what else was learned.
        book: The notices.
    """

    entries: tuple[PlanEntry, ...]
    state: PlanState
    book: NoticeBook


class Planner:
    """Plans one restore; used once, by one thread."""

    def __init__(
        self,
        request: RestoreRequest,
        contents: ArchiveContents,
        maker: DesiredMaker,
        run: Run,
        *,
        foreign: ForeignChanges,
    ) -> None:
        self._request = request
        self._contents = contents
        self._maker = maker
        self._run = run
        self._state = PlanState()
        self._book = NoticeBook(
            request.spec.namespace_mapping,
            version=request.target_version,
            hooks=request.init_hooks,
            commands=request.exec_hooks,
        )
        self._bodies = contents.in_order()
        self._foreign = foreign
        self._items = ItemPlanner(
            request, contents, maker, self._state, self._book, foreign=foreign
        )
        self._stored = tuple(contents.resources())
        self._waves = type_waves(
            {
                *self._stored,
                well_known.CRDS,
                well_known.NAMESPACES,
                well_known.PERSISTENT_VOLUMES,
            },
            request.priorities,
        )
        self._views = TypeViews(request, contents, self._state, self._waves)
        self._groups = ItemGroups(request, contents, self._state.wanted, self._collide)
        self._live = LiveObjects(request.cluster)
        self._seen: set[ResourceIdentifier] = set()
        self._told = 0.0

    def plan(self) -> Planned:
        """Look at everything that is wanted and decide about it."""
        self._plan_types()
        self._plan_waiting()
        self._plan_additional()
        self._plan_rebinding()
        wave = self._waves[well_known.NAMESPACES]
        self._state.entries += plan_namespaces(
            self._state,
            self._request,
            self._contents,
            self._maker,
            foreign=self._foreign,
            book=self._book,
            wave=wave,
        )
        self._link_owners()
        sets = IdleSets(self._request, self._contents, self._maker)
        sets.hold(self._state.entries, self._state.active_sets)
        self._finish_notices()
        entries = self._in_order()
        return Planned(entries=entries, state=self._state, book=self._book)

    # --- type by type -----------------------------------------------------------------

    def _plan_types(self) -> None:
        wanted = filter(self._request.filters.wants_type, self._stored)
        types = sorted(wanted, key=_planning_rank)
        settings = self._run.settings
        expected = expected_lists(
            self._request, self._contents, types, settings.page_bytes
        )
        ahead = min(_LISTS_AHEAD, settings.workers - 1)
        with LiveObjects(self._request.cluster, expected, ahead) as self._live:
            for resource in types:
                self._run.cancel.check()
                self._plan_type(resource)

    def _plan_type(self, resource: GroupResource) -> None:
        if resource == well_known.PERSISTENT_VOLUME_CLAIMS:
            self._learn_volumes()
        is_covered = self._request.system.covers_type(resource)
        plan_group = self._skip_group if is_covered else self._plan_group
        for group in self._groups.of(resource):
            plan_group(group)

    def _skip_group(self, names: Mapping[str, ResourceIdentifier]) -> None:
        """Skip what belongs to the cluster as a type, unread: events may be many."""
        if self._request.filters.selectors or self._request.options.where:
            return  # most of them were not selected; none is restored anyway
        item = self._contents.get(next(iter(names.values())))
        if item is None:
            return
        row = self._request.system.row_for(item.identifier, item.content)
        reason = row.reason if row is not None else ""
        wave = self._waves[item.identifier.group_resource]
        for ref in names.values():
            entry = PlanEntry(
                identifier=ref,
                target=self._request.filters.target(ref),
                action=PlanAction.SKIP,
                wave=wave,
                reason=reason,
                api_version=item.api_version,
                kind=item.kind,
            )
            self._keep(entry)

    def _collide(self, ref: ResourceIdentifier, first: ResourceIdentifier) -> None:
        target = self._request.filters.target(ref)
        reason = f"{first} becomes {target.qualified_name} as well"
        self._keep(self._items.plan_unreachable(ref, reason))

    def _plan_group(self, names: dict[str, ResourceIdentifier]) -> None:
        """Join the items of one namespace with the live objects of their names."""
        first = next(iter(names.values()))
        item = self._contents.get(first)
        if item is None:
            return
        view = self._views.of(item)
        namespace = self._request.filters.target(first).namespace
        parts = [names]
        if len(names) <= FEW:  # each is looked at by a GET of its own
            parts = [{name: ref} for name, ref in names.items()]
        for part in parts:
            self._plan_part(item, view, namespace, part)

    def _plan_part(
        self,
        like: Item,
        view: TypeView,
        namespace: str,
        names: dict[str, ResourceIdentifier],
    ) -> None:
        """Plan the items of *names*, which one look is to tell about."""
        if view.resource is not None:
            try:
                self._join(view.resource, namespace, names)
            except ClusterError as exc:
                if bears_on_everything(exc):
                    raise
                unknown = attrs.evolve(
                    view, unreadable=f"not readable: {exc}", is_plain=False
                )
                self._views.use(like, unknown)
        for ref in names.values():
            absent = self._bodies.get(ref)
            if absent is not None:
                self._plan_item(absent, None)
        self._views.use(like, view)

    def _join(
        self,
        resource: APIResource,
        namespace: str,
        names: dict[str, ResourceIdentifier],
    ) -> None:
        """Plan what the target has, and take it out of *names*."""
        if is_terminating(self._request.reader, namespace):
            self._book.say(waiting_for(self._request, namespace))
            return  # what lives there now will not when this is written
        if is_absent(self._request.reader, namespace):
            return  # a LIST for each of its types would find nothing
        for live in self._living(resource, namespace, names):
            ref = names.pop(live.name, None)
            item = self._bodies.get(ref) if ref is not None else None
            if item is not None:
                self._plan_item(item, live)

    def _living(
        self, resource: APIResource, namespace: str, names: Mapping[str, Any]
    ) -> Iterator[LiveObject]:
        """The live objects of a namespace, or just those of a few names."""
        if len(names) > FEW:
            yield from self._live.of(Place(resource, namespace))
            return
        for name in tuple(names):
            found = find(self._request.cluster, resource, name, namespace)
            if found is not None:
                yield found

    def _plan_item(self, item: Item, live: LiveObject | None) -> None:
        ref, wanted = item.identifier, self._state.wanted
        view = self._views.of(item)
        additional = bool(wanted) and ref in wanted
        entry = self._items.plan(item, view, live, additional=additional)
        if entry is not None:
            self._keep(entry)

    def _keep(self, entry: PlanEntry) -> None:
        self._state.entries.append(entry)
        if len(self._state.entries) % _ENTRIES_BETWEEN_LOOKS:
            return
        self._run.cancel.check()
        now = self._run.clock.monotonic()
        if now - self._told > _SECONDS_BETWEEN_EVENTS:
            self._told = now
            done, current = len(self._state.entries), entry.target.group_resource
            self._run.emit(ItemsProgressed(done=done, current=current))

    # --- what follows from the items --------------------------------------------------

    def _learn_volumes(self) -> None:
        """Read once what the claims' verdicts depend on."""
        if self._state.facts is None:
            self._state.facts = learn_volumes(
                self._request, self._book, self._state.present
            )

    def _plan_waiting(self) -> None:
        """Plan what Pods or Nodes own: now it is known which of them come."""
        self._state.pods_planned = True
        for ref, live in self._state.waiting:
            item = self._contents.get(ref)
            if item is not None:
                self._plan_item(item, live)

    def _plan_additional(self) -> None:
        """Plan what actions asked for and the filters had not collected."""
        while pending := self._pending():
            for ref in sorted(pending, key=_ref_rank):
                self._seen.add(ref)
                self._plan_wanted(ref)

    def _pending(self) -> list[ResourceIdentifier]:
        if not self._state.wanted:
            return []
        planned = {entry.identifier for entry in self._state.entries}
        return [
            ref
            for ref in self._state.wanted
            if ref not in planned and ref not in self._seen
        ]

    def _plan_wanted(self, ref: ResourceIdentifier) -> None:
        filters = self._request.filters
        allowed = filters.wants_type(ref.group_resource)
        if not allowed or not filters.wants_scope(ref, additional=True):
            return
        item = self._contents.get(ref)
        if item is None:
            self._see_absent(ref)
            return
        if ref.group_resource == well_known.PERSISTENT_VOLUME_CLAIMS:
            self._learn_volumes()
        self._plan_group({filters.target(ref).name: ref})

    def _see_absent(self, ref: ResourceIdentifier) -> None:
        """Look for what an item needs and the backup does not have.

        A claim does without its volume: what becomes of it is said in a line of its own.
        """
        target = self._request.filters.target(ref)
        found = self._request.reader.find(target)
        if found.unreadable:
            self._book.see_unreadable(target)
        elif found.content is None and ref.group_resource != _VOLUMES:
            asker, action = self._state.wanted[ref]
            self._book.see_absent(self._request.filters.target(asker), target, action)

    def _plan_rebinding(self) -> None:
        """Offer each Released volume that is asked for to its claim again."""
        facts = self._state.facts
        for line in self._state.lines.values():
            if line.verdict is not ClaimVerdict.REATTACH or facts is None:
                continue
            live = facts.volumes[line.volume]
            ref = ResourceIdentifier(well_known.PERSISTENT_VOLUMES, "", line.volume)
            self._drop_entry(ref)
            if not ((live.get("spec") or {}).get("claimRef") or {}).get("uid"):
                continue  # an unbound volume takes the claim that names it
            metadata = live["metadata"]
            entry = PlanEntry(
                identifier=ref,
                target=ref,
                action=PlanAction.UPDATE,
                wave=self._waves[well_known.PERSISTENT_VOLUMES],
                reason=f"{_REBIND} {line.target.qualified_name}",
                digest=rebind_digest(line.target),
                precondition=Precondition(metadata["uid"], metadata["resourceVersion"]),
                cluster_wide=True,
                api_version="v1",
                kind="PersistentVolume",
            )
            self._state.entries.append(entry)
            self._state.edges.append((line.claim, ref))
            self._book.see(entry, live)

    def _drop_entry(self, ref: ResourceIdentifier) -> None:
        entries = self._state.entries
        entries[:] = [entry for entry in entries if entry.identifier != ref]

    def _link_owners(self) -> None:
        """Let what is owned know whether its owners come along, and come after them."""
        entries = self._state.entries
        recreated = [x for x in entries if x.action is PlanAction.RECREATE]
        if recreated or self._state.dependents:
            self._tie_dependents(self._going_along(recreated))
        if not self._state.owned:
            return
        linked = link_plan(self._state.entries, self._state.owned)
        self._state.entries[:] = linked.entries
        self._state.edges += linked.edges
        for target in linked.ownerless:
            self._book.see_ownerless(target)

    def _tie_dependents(self, live: Mapping[ResourceIdentifier, Taken]) -> None:
        """Let what stays know whether its owners are created anew."""
        tied = tie_dependents(self._state.entries, self._state.dependents, live)
        self._state.entries[:] = tied.entries
        self._state.edges += tied.edges
        for target in tied.untied:
            self._book.see_untied(target)
        for target in tied.taken:
            self._book.see_taken_along(target)
        for target in tied.outside:
            self._book.see_taken_along(target, outside=True)
        for target in tied.refused:
            self._book.take_back(target)

    def _going_along(
        self, recreated: Iterable[PlanEntry]
    ) -> Mapping[ResourceIdentifier, Taken]:
        """What goes in the target with what is deleted, as far as that can be read."""
        lists = LiveDependents(self._request.cluster, self._request.discovery)
        live: dict[ResourceIdentifier, Taken] = {}
        for entry in recreated:
            found = live[entry.identifier] = lists.of(entry)
            if found.unreadable and not found.kept:
                self._book.see_unread_dependents(entry.target, found.unreadable)
        return live

    def _finish_notices(self) -> None:
        lines = self._state.lines.values()
        request = self._request
        if request.same_cluster is not False and request.spec.namespace_mapping:
            self._book.see_original(sure=request.same_cluster is True)
        self._book.see_claims(lines, same_cluster=self._request.same_cluster is True)
        self._book.see_services(self._state.entries, request.reader)
        self._book.see_defaults(request.reader)
        self._book.see_hooks(self._state.entries)
        for sentence in left_by_scope(self._contents, request, self._state.entries):
            self._book.say(sentence)
        if request.conversions.by_head:
            for sentence in told_conversions(self._state.entries):
                self._book.say(sentence)
        if request.modifiers is not None:
            for sentence in request.modifiers.modifiers.unmet(self._state.rules):
                self._book.say(sentence)
        if told := told_before(request.restore.name, self._state.entries):
            self._book.say(told)
        if self._state.left_out:
            self._book.say(f"{self._state.left_out} items are left out by a function")

    def _in_order(self) -> tuple[PlanEntry, ...]:
        """The entries by wave, with what others asked for before those."""
        entries = self._state.entries
        if self._state.edges:
            asked = {ref for edge in self._state.edges for ref in edge}
            waves = {x.identifier: x.wave for x in entries if x.identifier in asked}
            moved = pull_forward(waves, self._state.edges)
            for index, entry in enumerate(entries if moved else ()):
                if entry.identifier in moved:
                    wave = moved[entry.identifier]
                    entries[index] = replace(entry, wave=wave)
        entries.sort(key=attrgetter("wave"))
        return tuple(entries)


def _planning_rank(resource: GroupResource) -> tuple[int, str]:
    return _PLANNING_ORDER.get(resource, 1), str(resource)


def _ref_rank(ref: ResourceIdentifier) -> tuple[int, str, str]:
    return *_planning_rank(ref.group_resource), ref.qualified_name
