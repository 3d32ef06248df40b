"""The verdict on one item: create, update, unchanged, skip, conflict or unknown.

Called by the planner with the item and the live object of the same name; writes
nothing. What one item means for others (who is present, which claims there are) is
kept in `PlanState`.
"""

from collections.abc import Mapping
from typing import Any

import attrs
import msgspec

from kbackup.archive import ArchiveContents
from kbackup.errors import ActionError, KBackupError
from kbackup.models import GroupResource, Item, ResourceIdentifier
from kbackup.restore._claims import (
    VOLUMES,
    ClaimLine,
    ClaimVerdict,
    VolumeFacts,
    plan_claim,
    plan_volume,
)
from kbackup.restore._controlled import (
    FREE,
    Owner,
    Ownership,
    Role,
    finished,
    ownership,
)
from kbackup.restore._desired import Desired, DesiredMaker, is_wanted
from kbackup.restore._existing import decide
from kbackup.restore._filters import keeps_despite_where
from kbackup.restore._namespaces import is_terminating
from kbackup.restore._notices import NoticeBook
from kbackup.restore._plan import PlanAction, PlanEntry, Precondition
from kbackup.restore._priorities import NAMESPACES
from kbackup.restore._request import RestoreRequest
from kbackup.restore._seen import LiveObject, TypeView, cleaned
from kbackup.restore._system import (
    ENDPOINTS_ROW,
    SystemRow,
    is_endpoints_of_selector,
)

ENDPOINTS = GroupResource.parse("endpoints")
SERVICES = GroupResource.parse("services")
TWINS = {
    # One object that the API server shows under two groups.
    GroupResource.parse("ingresses.extensions"): GroupResource.parse(
        "ingresses.networking.k8s.io"
    ),
}
_NEVER_OWNERS = frozenset({"Secret", "ConfigMap"})
_decode = msgspec.json.decode


@attrs.define
class PlanState:
    """What the items planned so far mean for those that follow.

    Attributes:
        entries: The lines of the plan, in the order of planning.
        present: (kind, namespace, name) of what the target will have.
        lines: What becomes of each claim, by its identity in the backup.
        edges: (item, additional item that it asked for), in the backup.
        wanted: Additional items, each with who asked for it.
        facts: The target's volumes, for the claims; None until a claim is met.
        left_out: How many items the user's function left out.
        taken: Targets of items that were renamed or merged into one namespace.
        owned: Items that are created and tied to their owners again.
    """

    entries: list[PlanEntry] = attrs.field(factory=list)
    present: set[tuple[str, str, str]] = attrs.field(factory=set)
    lines: dict[ResourceIdentifier, ClaimLine] = attrs.field(factory=dict)
    edges: list[tuple[ResourceIdentifier, ResourceIdentifier]] = attrs.field(
        factory=list
    )
    wanted: dict[ResourceIdentifier, ResourceIdentifier] = attrs.field(factory=dict)
    facts: VolumeFacts | None = None
    left_out: int = 0
    taken: dict[ResourceIdentifier, ResourceIdentifier] = attrs.field(factory=dict)
    owned: dict[ResourceIdentifier, tuple[Owner, ...]] = attrs.field(factory=dict)

    def want(self, asks: ResourceIdentifier, wanted: ResourceIdentifier) -> None:
        """Note that *asks* needs *wanted* written before it."""
        self.edges.append((asks, wanted))
        self.wanted.setdefault(wanted, asks)


class ItemPlanner:
    """Decides about the items of one restore."""

    def __init__(
        self,
        request: RestoreRequest,
        contents: ArchiveContents,
        maker: DesiredMaker,
        state: PlanState,
        book: NoticeBook,
    ) -> None:
        self._request = request
        self._contents = contents
        self._maker = maker
        self._state = state
        self._book = book
        self._selects = bool(request.filters.selectors or request.options.where)

    def plan(
        self, item: Item, view: TypeView, live: LiveObject | None, *, additional: bool
    ) -> PlanEntry | None:
        """Decide about one item; None: the selection leaves it out.

        Args:
            item: Of the backup.
            view: Its type.
            live: The target's object of that name.
            additional: An action asked for it: selectors do not apply.
        """
        content = item.content
        try:
            if (
                self._selects
                and not additional
                and not self._is_selected(item, content)
            ):
                return None
        except ActionError as exc:  # of the user's function
            return self.plan_unreachable(item.identifier, str(exc))
        target = self._request.filters.target(item.identifier)
        entry = self._decide(_Case(item, content, view, live, target))
        self._remember(entry)
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

    def _decide(self, case: "_Case") -> PlanEntry:
        reason = self._belongs_to_cluster(case) or finished(case.content)
        if case.view.newer is not None:
            reason = reason or self._is_twin(case.ref, case.view.newer)
        if reason:
            return case.entry(PlanAction.SKIP, reason)
        case.owned = ownership(case.content)
        if case.owned is not FREE:
            is_owned = case.owned.role is Role.OWNED
            case.relinks = is_owned and self._request.options.relink_owners
            made = self._made_by_controller(case.owned, case.target)
            if made:
                self._ask_for_more(case)
                return case.entry(PlanAction.SKIP, made)
        if case.view.is_claim:
            case.line = self._claim_line(case)
            if case.line.verdict is ClaimVerdict.CONFLICT:
                return case.entry(PlanAction.CONFLICT, case.line.text)
        elif case.view.is_volume:
            verdict = self._volume_verdict(case)
            if verdict is not None:
                return verdict
        return self._decide_own(case)

    def _decide_own(self, case: "_Case") -> PlanEntry:
        """Decide about an item that is the user's own."""
        case.had_status = bool(case.content.get("status"))
        case.second_write = self._wants_second_write(case)
        try:
            desired = self._maker.make(
                case.item, case.content, case.line, target=case.target
            )
        except KBackupError as exc:
            return case.entry(PlanAction.CONFLICT, str(exc))
        for wanted in desired.additional:
            self._state.want(case.ref, wanted)
        if desired.skip:
            return case.entry(PlanAction.SKIP, desired.skip)
        entry = self._place(case, desired)
        if case.relinks and entry.action is PlanAction.CREATE:
            self._state.owned[entry.identifier] = case.owned.owners
        if entry.action.writes:
            self._book.see(
                entry,
                desired.content,
                owners=case.lost_owners,
                had_status=case.had_status,
                resource=case.view.resource,
                converted=bool(case.view.conversion),
            )
        return entry

    def _place(self, case: "_Case", desired: Desired) -> PlanEntry:
        """Hold the desired item against what the target has at its place."""
        if case.view.problem:
            return case.entry(PlanAction.CONFLICT, case.view.problem)
        seen: Mapping[str, Any] | None = None
        moved = desired.target is not case.target  # comparing all of it is dear
        if moved and desired.target != case.target:  # a transform moved it
            first = self._state.taken.setdefault(desired.target, case.ref)
            if first != case.ref:
                reason = f"{first} becomes {desired.target.qualified_name} as well"
                return case.entry(PlanAction.CONFLICT, reason)
            case.target = desired.target
            seen = self._request.reader.get(desired.target)
            if is_terminating(self._request.reader, desired.target.namespace):
                seen = None  # it will be gone by then
        elif case.live is not None:
            seen = _decode(case.live.json())
        if seen is not None:
            return self._meet(case, desired, dict(seen))
        view, item, target = case.view, case.item, case.target
        action = PlanAction.UNKNOWN if view.unreadable else PlanAction.CREATE
        return PlanEntry(  # not by case.entry(): most lines of most plans are made here
            identifier=item.identifier,
            target=target,
            action=action,
            wave=view.wave,
            reason=case.reason(action, view.unreadable),
            digest=desired.digest,
            cluster_wide=not target.namespace and target.group_resource != NAMESPACES,
            second_write=case.second_write,
            api_version=item.api_version,
            kind=item.kind,
        )

    def _meet(self, case: "_Case", desired: Desired, live: dict[str, Any]) -> PlanEntry:
        """Decide about an item whose place is taken."""
        metadata = live["metadata"]
        if metadata.get("deletionTimestamp"):
            reason = "the live one is being deleted: written when it is gone"
            return case.entry(
                PlanAction.CREATE,
                case.reason(PlanAction.CREATE, reason),
                digest=desired.digest,
            )
        seen = Precondition(
            metadata.get("uid", ""), metadata.get("resourceVersion", "")
        )
        is_kept = case.owned.role is Role.ADOPTED and not case.view.is_claim
        keeper = ownership(live).maker if is_kept else None
        rules, hide = self._request.rules, self._request.hides(case.item)
        verdict = decide(desired.content, cleaned(live), rules, hide=hide)
        if verdict.action is PlanAction.UNCHANGED:
            return case.entry(verdict.action, verdict.reason, precondition=seen)
        writes = verdict.action.writes
        if keeper is not None:
            # To scale a live Deployment's ReplicaSet is to work against the Deployment.
            reason = f"exists; it is left to {keeper}"
            return case.entry(PlanAction.SKIP, reason, precondition=seen)
        return case.entry(
            verdict.action,
            case.reason(verdict.action, verdict.reason) if writes else verdict.reason,
            differences=verdict.differences,
            digest=desired.digest if writes else "",
            precondition=seen,
            cluster_wide=writes and not case.target.namespace,
        )

    def _is_twin(self, ref: ResourceIdentifier, newer: GroupResource) -> str:
        """Why an object is left to its twin under a newer group; empty: it is not."""
        if not self._request.filters.wants_type(newer):
            return ""
        twin = self._contents.get(ResourceIdentifier(newer, ref.namespace, ref.name))
        if twin is None:
            return ""
        served = self._request.discovery.by_kind(twin.api_version, twin.kind)
        return f"the same object as in {newer}" if served is not None else ""

    # --- claims and volumes -----------------------------------------------------------

    def _claim_line(self, case: "_Case") -> ClaimLine:
        ref, content, target = case.ref, case.content, case.target
        if case.live is not None and not case.live.deleting:
            text = "exists in the target; its volume stays"
            verdict = ClaimVerdict.EXISTS
            line = ClaimLine(claim=ref, target=target, verdict=verdict, text=text)
        else:
            facts = self._state.facts or VolumeFacts()
            name = (content.get("spec") or {}).get("volumeName", "")
            archived = self._archived_volume(name) if name else None
            line = plan_claim(content, ref, target, archived, facts)
            if line.verdict is ClaimVerdict.REUSE:
                self._state.want(ref, ResourceIdentifier(VOLUMES, "", name))
        self._state.lines[ref] = line
        return line

    def _archived_volume(self, name: str) -> Mapping[str, Any] | None:
        """A claim's volume in the backup, unless the selection leaves it out."""
        ref = ResourceIdentifier(VOLUMES, "", name)
        filters = self._request.filters
        allowed = filters.wants_type(VOLUMES)
        if not allowed or not filters.wants_scope(ref, additional=True):
            return None
        item = self._contents.get(ref)
        return item.content if item is not None else None

    def _volume_verdict(self, case: "_Case") -> PlanEntry | None:
        """Why a volume of the backup is not written; None: it may be."""
        if case.live is not None:
            if self._request.rules.update_cluster:
                return None
            return case.entry(PlanAction.SKIP, "exists; it is left as it is")
        if self._request.spec.restore_pvs is False:
            return case.entry(PlanAction.SKIP, "restorePVs is false")
        facts = self._state.facts or VolumeFacts()
        lines = tuple(self._state.lines.values())
        reason = plan_volume(case.content, case.ref.name, facts, lines)
        if not reason:
            return None
        conflict = reason.startswith("conflict")
        return case.entry(PlanAction.CONFLICT if conflict else PlanAction.SKIP, reason)

    # --- what the item is -------------------------------------------------------------

    def _belongs_to_cluster(self, case: "_Case") -> str:
        row = self._request.system.row_for(case.ref, case.content)
        if row is None and case.view.is_endpoints:
            row = self._endpoints_row(case.ref)
        return f"belongs to the cluster: {row.why}" if row is not None else ""

    def _endpoints_row(self, ref: ResourceIdentifier) -> SystemRow | None:
        if self._request.system.include:
            return None
        service = ResourceIdentifier(SERVICES, ref.namespace, ref.name)
        stored = self._contents.get(service)
        found: Mapping[str, Any] | None
        if stored is not None:
            found = stored.content
        else:
            found = self._request.reader.get(self._request.filters.target(service))
        return ENDPOINTS_ROW if is_endpoints_of_selector(found) else None

    def _made_by_controller(self, owned: Ownership, target: ResourceIdentifier) -> str:
        maker = owned.maker
        if maker is None or owned.role not in (Role.MADE, Role.NEVER):
            return ""
        if owned.role is Role.NEVER:
            return f"made by {maker}"
        if self._request.options.controlled == "adopt" and _is_pod(target):
            return ""
        return f"made by {maker}" if self._is_present(maker, target.namespace) else ""

    def _is_present(self, owner: Owner, namespace: str) -> bool:
        """Whether an owner is in the restore or lives in the target."""
        key = (owner.kind, namespace, owner.name)
        if key in self._state.present or (owner.kind, "", owner.name) in (
            self._state.present
        ):
            return True
        resource = self._request.discovery.by_kind(owner.api_version, owner.kind)
        if resource is None:
            return False
        where = namespace if resource.namespaced else ""
        ref = ResourceIdentifier(resource.group_resource, where, owner.name)
        live = self._request.reader.get(ref)
        if live is None or live["metadata"].get("deletionTimestamp"):
            return False
        return not is_terminating(self._request.reader, where)

    def _ask_for_more(self, case: "_Case") -> None:
        """What a controller makes anew still needs its claims."""
        try:
            desired = self._maker.make(case.item, case.content)
        except KBackupError:
            return  # it is not written: what an action thinks of it does not matter
        for wanted in desired.additional:
            self._state.want(case.ref, wanted)

    def _wants_second_write(self, case: "_Case") -> bool:
        wish = self._request.options.managed_fields
        fields = case.content["metadata"].get("managedFields")
        if not fields or wish == "drop":
            return False
        if wish == "restore":
            return True
        return any(field.get("operation") == "Apply" for field in fields)

    def _remember(self, entry: PlanEntry) -> None:
        if entry.kind in _NEVER_OWNERS:
            return
        there = entry.action.writes or entry.action is PlanAction.UNCHANGED
        if there or entry.precondition is not None:
            target = entry.target
            self._state.present.add((entry.kind, target.namespace, target.name))


def _is_pod(target: ResourceIdentifier) -> bool:
    return str(target.group_resource) == "pods"


class _Case(msgspec.Struct):
    """One item while it is decided about; a msgspec value as `PlanEntry`."""

    item: Item
    content: dict[str, Any]
    view: TypeView
    live: LiveObject | None
    target: ResourceIdentifier
    owned: Ownership = FREE
    line: ClaimLine | None = None
    had_status: bool = False
    second_write: bool = False
    relinks: bool = False

    @property
    def ref(self) -> ResourceIdentifier:
        """The item in the backup."""
        return self.item.identifier

    @property
    def lost_owners(self) -> tuple[Owner, ...]:
        """Owners that the item will not have again, whatever else the plan has."""
        if self.relinks or self.owned.role is not Role.OWNED:
            return ()
        return self.owned.owners

    def entry(self, action: PlanAction, reason: str = "", **more: Any) -> PlanEntry:
        """The line of the plan."""
        return PlanEntry(
            identifier=self.item.identifier,
            target=self.target,
            action=action,
            reason=reason,
            wave=self.view.wave,
            api_version=self.item.api_version,
            kind=self.item.kind,
            **more,
        )

    def reason(self, action: PlanAction, first: str) -> str:
        """What to know about an item that is written."""
        conversion = self.view.conversion
        if self.line is None and not self.owned.owners and not conversion:
            return first
        parts = [part for part in (first, conversion) if part]
        if self.line is not None:
            parts += [self.line.text, *self.line.problems]
        if self.owned.owners and action is PlanAction.CREATE and not self.relinks:
            named = ", ".join(str(owner) for owner in self.owned.owners)
            adopted = self.owned.role in (Role.ADOPTED, Role.MADE)
            parts.append(
                f"without owner, adopted by {named}"
                if adopted
                else f"without owner {named}"
            )
        return "; ".join(parts)
