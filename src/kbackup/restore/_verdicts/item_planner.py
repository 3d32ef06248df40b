"""The verdict on one item: create, update, unchanged, skip, conflict or unknown.

Called by the planner with the item and the live object of the same name; writes
nothing. What one item means for others (who is present, which claims there are) is
kept in `PlanState`; who is left to its controller, `Makers` says.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from kbackup._kits.controlled import (
    FREE,
    Role,
    finished,
    is_mid_rollout,
    ownership,
)
from kbackup._kits.kinds import group_kind
from kbackup.archive import ArchiveContents
from kbackup.catalog.engine import (
    ENDPOINTS_ROW,
    SNAPSHOTS_ROW,
    SystemRow,
    is_endpoints_of_selector,
)
from kbackup.errors import ActionError, ArchiveCorruptError, KBackupError
from kbackup.hooks import NO_COMMANDS
from kbackup.models import GroupResource, Item, ResourceIdentifier, well_known
from kbackup.plugins.engine import ODD, oddity, plugin_of
from kbackup.restore._making.desired import Desired, DesiredMaker, digest_of, is_wanted
from kbackup.restore._making.readiness import as_waiting
from kbackup.restore._notices.notices import NoticeBook
from kbackup.restore._owners.dependents import Dependent
from kbackup.restore._owners.owners import STILL_OWNERLESS
from kbackup.restore._plan.claims import (
    ClaimVerdict,
    class_problems,
    with_class,
    with_volume_of_class,
)
from kbackup.restore._plan.state import PlanState
from kbackup.restore._plan_entry import (
    ALONG,
    BY_SECOND,
    PlanAction,
    PlanEntry,
)
from kbackup.restore._request.filters import keeps_despite_where
from kbackup.restore._request.request import RestoreRequest
from kbackup.restore._request.settings import CHANGE_STORAGE_CLASS
from kbackup.restore._target.converting import ConvertedItem, with_conversion
from kbackup.restore._target.field_managers import wants_managers
from kbackup.restore._target.seen import FoundObject, LiveObject, TypeView
from kbackup.restore._target.serving import has_served_twin
from kbackup.restore._target.types import takes_new
from kbackup.restore._verdicts.adoption import (
    runs_pods,
)
from kbackup.restore._verdicts.foreign import ForeignChanges
from kbackup.restore._verdicts.hooked_pods import made_despite, with_hooks
from kbackup.restore._verdicts.item_case import ItemCase
from kbackup.restore._verdicts.makers import Makers
from kbackup.restore._verdicts.namespaces import is_terminating
from kbackup.restore._verdicts.taken_places import TakenPlaces
from kbackup.restore._verdicts.undone import Undone
from kbackup.restore._volumes.class_changes import ClassChanges
from kbackup.restore._volumes.volume_planner import Refusal, VolumePlanner

_SERVED = "its type is served: left as it is, and whether it differs is not known"
_decode = msgspec.json.decode


class ItemPlanner:
    """Decides about the items of one restore."""

    def __init__(
        self,
        request: RestoreRequest,
        contents: ArchiveContents,
        maker: DesiredMaker,
        state: PlanState,
        book: NoticeBook,
        *,
        foreign: ForeignChanges,
    ) -> None:
        self._request = request
        self._contents = contents
        self._maker = maker
        self._state = state
        self._book = book
        self._foreign = foreign
        self._makers = Makers(request, state, book)
        self._undone = Undone(request, book)
        self._taken = TakenPlaces(request, maker)
        self._volumes = VolumePlanner(request, contents, state, book)
        self._classes = ClassChanges(request, state, book)
        self._selects = bool(request.filters.selectors or request.options.where)
        # Asked for every item: to look them up each time adds up.
        self._target, self._row_for = request.filters.target, request.system.row_for
        self._managed_fields = request.options.managed_fields
        self._converts = bool(request.conversions.by_head)

    def plan(
        self, item: Item, view: TypeView, live: LiveObject | None, *, additional: bool
    ) -> PlanEntry | None:
        """Decide about one item; None: the selection leaves it out, or it must wait.

        Args:
            item: Of the backup.
            view: Its type.
            live: The target's object of that name.
            additional: An action asked for it: selectors do not apply.
        """
        try:
            content = item.content
            if (
                self._selects
                and not additional
                and not self._is_selected(item, content)
            ):
                return None
        except (ActionError, ArchiveCorruptError) as exc:
            unreachable = self.plan_unreachable(item.identifier, str(exc))
            return replace(unreachable, failed_by=plugin_of(exc))
        except ODD as exc:
            return self.plan_unreachable(item.identifier, oddity(exc))
        target = self._target(item.identifier)
        try:
            if live is None and view.is_plain and not self._converts:
                entry = self._decide_plain(item, content, view, target)
            else:
                entry = self._decide(ItemCase(item, content, view, live, target))
        except ODD as exc:
            return self.plan_unreachable(item.identifier, oddity(exc))
        if entry is None:
            return None
        if self._converts and isinstance(item, ConvertedItem):
            entry = with_conversion(entry, item)
        self._state.remember(entry)
        return entry

    def plan_unreachable(self, ref: ResourceIdentifier, reason: str) -> PlanEntry:
        """The line of an item that cannot be looked at."""
        target = self._request.filters.target(ref)
        return PlanEntry(
            identifier=ref, target=target, action=PlanAction.CONFLICT, reason=reason
        )

    # --- selection --------------------------------------------------------------------

    def _is_selected(self, item: Item, content: Mapping[str, Any]) -> bool:
        labels = content["metadata"].get("labels") or {}
        if not self._request.filters.wants_labels(labels):
            return False
        where = self._request.options.where
        if where is None or keeps_despite_where(item.identifier.group_resource):
            return True
        if is_wanted(where, item, content, hide=self._request.hides(item)):
            return True
        self._state.left_out += 1
        return False

    # --- the verdict ------------------------------------------------------------------

    def _decide_plain(
        self,
        item: Item,
        content: dict[str, Any],
        view: TypeView,
        target: ResourceIdentifier,
    ) -> PlanEntry | None:
        """Decide about what most items are: the user's own, touched by nobody, in no way.

        What `_decide` would say, without the questions that have one answer for them:
        a third of the time that a plan takes into an empty namespace.
        """
        body = None
        if self._row_for(item.identifier, content) is None:
            second_write = wants_managers(content, self._managed_fields)
            had_status = bool(content.get("status"))
            if ownership(content) is FREE:
                body = self._maker.make_untouched(item, content, target)
        if body is None:
            return self._decide(ItemCase(item, content, view, None, target))
        entry = PlanEntry(
            identifier=item.identifier,
            target=target,
            action=PlanAction.CREATE,
            wave=view.wave,
            digest=digest_of(body),
            cluster_wide=_is_cluster_wide(target),
            second_write=second_write,
            api_version=item.api_version,
            kind=item.kind,
        )
        self._book.see(
            entry,
            content,
            body=body,
            had_status=had_status,
            status_apart=view.status_apart,
        )
        return entry

    def _decide(self, case: ItemCase) -> PlanEntry | None:
        reason = self._belongs_to_cluster(case) or finished(case.content)
        if case.view.newer is not None:
            reason = reason or self._is_twin(case.ref, case.view.newer)
        if reason:
            return case.entry(PlanAction.SKIP, reason)
        case.owned = ownership(case.content)
        if case.owned is not FREE:
            follows = case.owned.is_of_pods or case.owned.is_of_nodes
            if follows and not self._state.pods_planned:
                self._wait_for_pods(case)
                return None
            left = self._left_to_maker(case)
            if left is not None:
                return left
        if case.view.is_claim or case.view.is_volume or self._converts:
            refused = self._refused_at_once(case)
            if refused is not None:
                return refused
        return self._decide_own(case)

    def _refused_at_once(self, case: ItemCase) -> PlanEntry | None:
        """The line of a claim, a volume or what needs a conversion, if it cannot come."""
        if case.view.is_claim:
            case.line = self._volumes.line_of(
                case.ref, case.content, case.target, live=case.staying
            )
            if case.line.verdict is ClaimVerdict.CONFLICT:
                return case.entry(PlanAction.CONFLICT, case.line.text)
        elif case.view.is_volume:
            refused = self._volumes.refused_at_once(
                case.ref, case.content, exists=case.live is not None
            )
            if refused is not None:
                return case.entry(*refused)
        return case.unconverted()

    def _left_to_maker(self, case: ItemCase) -> PlanEntry | None:
        """The line of an item that something else makes; None: it is written."""
        owned, target = case.owned, case.target
        is_owned = owned.role is Role.OWNED
        case.relinks = is_owned and self._request.options.relink_owners
        reason = self._makers.left_to(owned, target, lives=case.lives)
        if not reason:
            case.orphan = self._makers.is_orphan(owned, target.namespace)
            return None
        if owned.role is Role.MADE or owned.role is Role.NEVER:
            self._ask_for_more(case)
        kind = group_kind(case.item.api_version, case.item.kind)
        self._state.left.add((kind, target.namespace, target.name))
        if target.group_resource == well_known.PODS:
            self._book.see_left_pod(target, case.content)
        return case.entry(PlanAction.SKIP, reason)

    def _wait_for_pods(self, case: ItemCase) -> None:
        """What Pods or Nodes own is decided about when it is known which come."""
        live = case.live
        if live is not None:  # a copy: it is a slice of a whole page
            body = bytes(live.json())
            live = FoundObject(name=live.name, deleting=live.deleting, body=body)
        self._state.waiting.append((case.ref, live))

    def _decide_own(self, case: ItemCase) -> PlanEntry:
        """Decide about an item that is the user's own."""
        case.had_status = bool(case.content.get("status"))
        case.mid_rollout = case.had_status and is_mid_rollout(case.content)
        case.second_write = wants_managers(case.content, self._managed_fields)
        line = case.line
        facts = None if line is None else self._volumes.facts
        waits = () if facts is None else class_problems(case.content, facts)
        try:
            desired = self._make(case)
        except KBackupError as exc:
            by = plugin_of(exc)
            return case.entry(PlanAction.CONFLICT, str(exc), failed_by=by)
        if line is not None and facts is not None:
            line = with_class(line, waits, class_problems(desired.content, facts))
            line = with_volume_of_class(line, desired.content, facts)
            case.line = self._state.lines[case.ref] = line
        for wanted, action in desired.additional:
            self._state.want(case.ref, wanted, action)
        is_changed = desired.skip or desired.changed_by
        if is_changed and (refused := self._refused_as_made(desired)):
            return case.entry(*refused)
        if desired.status is not None:
            case.status = BY_SECOND if case.view.status_apart else ALONG
        entry = self._place(case, desired)
        entry = self._with_others(case, entry, desired)
        desired = case.unhooked or desired
        if line is not None or case.untied:
            entry = self._as_placed(case, entry)
        if desired.rules or desired.changed_by:
            entry = self._as_changed(case, entry, desired)
        if case.owned is not FREE:
            self._note_kin(case, entry, desired)
        if entry.action.writes:
            self._tell(case, entry, desired)
        return entry

    def _make(self, case: ItemCase) -> Desired:
        """The item as it would be written, were its place free."""
        try:
            return self._maker.make(case.item, case.content, case.line, case.target)
        except ActionError as exc:
            return made_despite(exc, self._maker, case)

    def _with_others(
        self, case: ItemCase, entry: PlanEntry, desired: Desired
    ) -> PlanEntry:
        """The line that says who waits before the write, and what is run after it."""
        if desired.commands is NO_COMMANDS and not desired.awaits:  # most items
            return entry
        entry = with_hooks(case, entry, desired, self._request.recorded)
        return as_waiting(entry, desired.awaits)

    def _as_changed(
        self, case: ItemCase, entry: PlanEntry, desired: Desired
    ) -> PlanEntry:
        """The line that says what others and the user changed, and what they could not."""
        self._state.rules.update(desired.rules)
        if desired.changed_by and not entry.only_second_writes:
            entry = self._foreign.shown(entry, case.item, desired, case.line)
        return replace(entry, errors=desired.errors) if desired.errors else entry

    def _refused_as_made(self, desired: Desired) -> Refusal | None:
        """Why what was made of an item is not written anywhere; None: it may be."""
        if desired.skip:
            return PlanAction.SKIP, desired.skip
        if CHANGE_STORAGE_CLASS in desired.changed_by:
            lacking = self._classes.lacking(desired.content)
            return (PlanAction.CONFLICT, lacking) if lacking else None
        return None

    def _tell(self, case: ItemCase, entry: PlanEntry, desired: Desired) -> None:
        """Note what to know of an item that is written."""
        if case.met is not None and entry.only_second_writes:
            return  # it was told when the item was created
        if case.mid_rollout and entry.action is PlanAction.CREATE:
            self._book.see_mid_rollout(entry.target)
        self._book.see(
            entry,
            desired.content,
            body=desired.body,
            live=None if case.met is None or entry.action.makes else case.met,
            owners=() if case.owned is FREE else case.lost_owners,
            had_status=case.had_status,
            status_apart=case.view.status_apart,
            converted=bool(case.view.conversion),
        )
        if case.met is not None:
            self._undone.see(entry, case.item, desired.content, case.met)

    def _note_kin(self, case: ItemCase, entry: PlanEntry, desired: Desired) -> None:
        """Note who has owners, and who would run before its owner comes."""
        owners = case.owned.owners
        if entry.action.makes and case.relinks:
            self._state.owned[entry.identifier] = owners
        elif not entry.action.makes and case.owned.role is Role.OWNED:
            digest = desired.digest if case.relinks else ""
            found = Dependent(owners, digest, case.tied_earlier)
            self._state.dependents[entry.identifier] = found
        if entry.adopter and runs_pods(desired.content):
            self._state.active_sets.add(entry.identifier)

    def _place(self, case: ItemCase, desired: Desired) -> PlanEntry:
        """Hold the desired item against what the target has at its place."""
        if case.view.problem:
            return case.entry(PlanAction.CONFLICT, case.view.problem)
        seen: Mapping[str, Any] | None = None
        unreadable = case.view.unreadable
        moved = desired.target is not case.target  # comparing all of it is dear
        if moved and desired.target != case.target:  # a transform moved it
            first = self._state.taken.setdefault(desired.target, case.ref)
            if first != case.ref:
                reason = f"{first} becomes {desired.target.qualified_name} as well"
                return case.entry(PlanAction.CONFLICT, reason)
            case.target = desired.target
            found = self._request.reader.find(desired.target)
            seen, unreadable = found.content, found.unreadable
            if is_terminating(self._request.reader, desired.target.namespace):
                seen = None  # it will be gone by then
        elif case.live is not None:
            seen = _decode(case.live.json())
        if case.view.is_volume and (refused := self._refused(case, desired, seen)):
            return case.entry(*refused)
        if seen is not None:
            return self._taken.meet(case, desired, dict(seen))
        if unreadable and self._is_served(case.target):
            return case.entry(PlanAction.SKIP, f"{_SERVED}; {unreadable}")
        view, item, target = case.view, case.item, case.target
        action = PlanAction.UNKNOWN if unreadable else PlanAction.CREATE
        return PlanEntry(  # not by case.entry(): most lines of most plans are made here
            identifier=item.identifier,
            target=target,
            action=action,
            wave=view.wave,
            reason=case.reason(action, unreadable),
            digest=desired.digest,
            cluster_wide=_is_cluster_wide(target),
            second_write=case.second_write,
            status=case.status,
            api_version=item.api_version,
            kind=item.kind,
            adopter="" if case.owned is FREE else case.adopter,
        )

    def _refused(
        self, case: ItemCase, desired: Desired, live: Mapping[str, Any] | None
    ) -> Refusal | None:
        existed = case.live is not None
        return self._volumes.refused(
            case.ref, case.content, desired, live, existed=existed
        )

    def _as_placed(self, case: ItemCase, entry: PlanEntry) -> PlanEntry:
        """What the item's place adds to what its user is warned of."""
        line = case.line
        if line is not None and line.loses_data and line.target != case.target:
            self._volumes.move(line, case.target, case.met)
        if not case.untied:
            return entry
        # An earlier run made it without an owner, which may have come since. What exists
        # is not changed for that: it is said.
        self._book.see_still_ownerless(entry.target)
        lost = f"without owner {', '.join(case.untied)}; {STILL_OWNERLESS}"
        reason = "; ".join(part for part in (entry.reason, lost) if part)
        return replace(entry, reason=reason)

    def _is_served(self, target: ResourceIdentifier) -> bool:
        """Whether an unseen CRD need not be written: the target has its type."""
        if (
            target.group_resource != well_known.CRDS
            or self._request.policies.of(target).update_cluster
        ):
            return False
        served = self._request.discovery.get(GroupResource.parse(target.name))
        return served is not None and takes_new(served)

    def _is_twin(self, ref: ResourceIdentifier, newer: GroupResource) -> str:
        """Why an object is left to its twin under a newer group; empty: it is not."""
        if not self._request.filters.wants_type(newer):
            return ""
        served = has_served_twin(ref, self._contents, self._request.discovery)
        return f"the same object as in {newer}" if served else ""

    # --- what the item is -------------------------------------------------------------

    def _belongs_to_cluster(self, case: ItemCase) -> str:
        row = self._row_for(case.item.identifier, case.content)
        if row is None and case.view.is_endpoints:
            row = self._endpoints_row(case.ref)
        if row is SNAPSHOTS_ROW:
            self._book.see_snapshot(case.target)
        return "" if row is None else row.reason

    def _endpoints_row(self, ref: ResourceIdentifier) -> SystemRow | None:
        if self._request.system.include:
            return None
        service = ResourceIdentifier(well_known.SERVICES, ref.namespace, ref.name)
        stored = self._contents.get(service)
        found: Mapping[str, Any] | None
        if stored is not None:
            found = stored.content
        else:
            target = self._request.filters.target(service)
            answer = self._request.reader.find(target)
            found = answer.content
            if answer.unreadable:
                self._book.see_unreadable(target)
        return ENDPOINTS_ROW if is_endpoints_of_selector(found) else None

    def _ask_for_more(self, case: ItemCase) -> None:
        """What a controller makes anew still needs its claims."""
        try:
            desired = self._maker.make(case.item, case.content, hooked=False)
        except KBackupError:
            return  # it is not written: what an action thinks of it does not matter
        for wanted, action in desired.additional:
            self._state.want(case.ref, wanted, action)


def _is_cluster_wide(target: ResourceIdentifier) -> bool:
    return not target.namespace and target.group_resource != well_known.NAMESPACES
