"""What a restore does beyond the objects themselves: the sentences above the table.

Pure: the planner shows every item that would be written, `NoticeBook.notices` says
what its user should know before agreeing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from kbackup._kits.controlled import Owner
from kbackup._kits.kinds import group_kind
from kbackup._kits.words import first_few
from kbackup.hooks import ExecHooks, InitHooks
from kbackup.models import (
    GroupResource,
    ResourceIdentifier,
    ServerVersion,
    labels,
    well_known,
)
from kbackup.restore._notices.backends import BACKED_KINDS, Backends
from kbackup.restore._notices.default_classes import CLASSES, DefaultClasses
from kbackup.restore._notices.elsewhere import Elsewhere
from kbackup.restore._notices.hook_notices import HookNotices
from kbackup.restore._notices.item_notices import (
    BALANCER,
    DNS,
    ENDPOINTS_GO,
    FINALIZER,
    INGRESS,
    JOB,
    RBAC,
    RBAC_CHANGED,
    STARTS,
    TRAFFIC,
    WEBHOOK,
    Teller,
    is_job_to_hold,
    suspends_jobs,
    tellers_of,
)
from kbackup.restore._notices.node_ports import NodePorts
from kbackup.restore._owners.owners import STILL_OWNERLESS
from kbackup.restore._plan.claims import ClaimLine
from kbackup.restore._plan.plan import Notice
from kbackup.restore._plan_entry import ALONG, PlanAction, PlanEntry
from kbackup.restore._request.statuses import has_odd_wish
from kbackup.restore._target.reads import MemoReader

Content = Mapping[str, Any]

_CLUSTER_WIDE = "changes something that is not confined to a namespace"
_RECREATED = "deleted and created anew: in between it is not there; what it owns stays"
_UNANSWERED = (
    "its Service is neither in this restore nor in the target: what it is asked about "
    "fails"
)
_PORT_TAKEN = (
    "asks for a node port that another Service of the target has: it is not written "
    "while that is so"
)
_DEFAULT = "becomes a default class"
_UNNAMED = "what names no class may get this one, or none"
_NOT_HELD = (
    "suspended in the backup, and runs at once: this server drops spec.suspend of Jobs"
)
_CONVERTED = "needs a conversion webhook that answers"
_STILL = (
    "does the same: --quiesce, or the transform kbackup.restore.quiesce, keeps a copy "
    "still"
)
_COPY = f"the original in this cluster {_STILL}"
_MAYBE_COPY = f"the original, which may be in this cluster, {_STILL}"
_TAKEN = "as in the backup now, and changed for the copy's namespace: the original may lose it"
_ELSEWHERE = "still names the namespace that it was copied from"
_STILL_OWNERLESS = f"without an owner that the backup names; {STILL_OWNERLESS}"
_UNTIED = (
    "stays, and is no longer tied to its owner, which is created anew: name both, or add "
    "the reference"
)
_TAKEN_ALONG = (
    "goes with its Pod, which is created anew: the same restore, run again, creates what "
    "nobody made anew for that"
)
_TAKEN_OUTSIDE = (
    "goes with its Pod, which is created anew, and is no part of this restore"
)
_GOES_UNREAD = (
    "deleted with what it owns, and whether that is anything of types that cannot be read "
    "is not known"
)
_NO_STATUS = (
    "its status is not restored: the type has no status sub-resource; "
    "--status-include-resources restores it"
)
_STATUS_ALONG = "its status goes with the create: the type has no status sub-resource"
_STATUS = "gets the status of the backup, until a controller writes another one"
_ODD_WISH = (
    f"annotation {labels.RESTORE_STATUS} is neither true nor false: not regarded"
)
_OWNERLESS = "created without the owner that the backup names"
_SNAPSHOT = "snapshots of volumes, which this version does not restore"
_MID_ROLLOUT = (
    "was in the middle of a rollout: all of its Pods come back in the newer version"
)
_EMPTY = "comes back empty where its source had data"
_UNREADABLE = "whether it is there cannot be read"
ABSENT = "which neither the backup nor the target has"
"""The end of what is said of an item that needs another one."""
_SOURCE_DISK = "uses the original disk: the source may still be writing to it"

_ORDER = (
    _TAKEN,
    _RECREATED,
    ENDPOINTS_GO,
    _CLUSTER_WIDE,
    RBAC,
    RBAC_CHANGED,
    TRAFFIC,
    WEBHOOK,
    _UNANSWERED,
    _PORT_TAKEN,
    BALANCER,
    INGRESS,
    DNS,
    STARTS,
    _NOT_HELD,
    FINALIZER,
    _CONVERTED,
    _ELSEWHERE,
    _OWNERLESS,
    _STILL_OWNERLESS,
    _UNTIED,
    _TAKEN_ALONG,
    _TAKEN_OUTSIDE,
    _NO_STATUS,
    _STATUS_ALONG,
    _STATUS,
    _ODD_WISH,
    _MID_ROLLOUT,
    _SNAPSHOT,
    _EMPTY,
    _SOURCE_DISK,
    _UNREADABLE,
)
# What an original beside its copy already does.
_TWICE = frozenset({_PORT_TAKEN, BALANCER, INGRESS, DNS, STARTS, _NOT_HELD})


class NoticeBook:
    """Collects, while a plan is made, what reaches beyond the namespace.

    Args:
        copied: Namespaces that are restored under another name.
        version: Of the target's API server.
        hooks: The init containers that are asked for.
        commands: The commands in Pods that are asked for.
    """

    def __init__(
        self,
        copied: Iterable[str] = (),
        version: ServerVersion | None = None,
        hooks: InitHooks | None = None,
        commands: ExecHooks | None = None,
    ) -> None:
        self._originals = Elsewhere(copied)
        self._backends = Backends()
        self._node_ports = NodePorts()
        self._defaults = DefaultClasses()
        self._hooks = HookNotices(hooks, commands)
        self._suspends_jobs = suspends_jobs(version or ServerVersion())
        self._last = _KindFacts()
        self._found: dict[str, list[ResourceIdentifier]] = {}
        self._plain: list[str] = []
        self._named: list[Notice] = []
        self._copy = ""

    def say(self, sentence: str) -> None:
        """Add a notice that is about no item."""
        if sentence not in self._plain:
            self._plain.append(sentence)

    def see(
        self,
        entry: PlanEntry,
        content: Content,
        *,
        body: bytes | None = None,
        live: Content | None = None,
        owners: Sequence[Owner] = (),
        had_status: bool = False,
        status_apart: bool = True,
        converted: bool = False,
    ) -> None:
        """Look at an item that would be written.

        Args:
            entry: The line of the plan.
            content: As it would be written.
            body: The same as JSON, which is searched faster.
            live: The object that is updated, where there is one: what it does already
                is nothing new.
            owners: Whom the backup names as its owners and the restore never does.
            had_status: The backup has a status for it.
            status_apart: A status is written by a request of its own, if any is.
            converted: A webhook has to convert it to the version that is stored.
        """
        target = entry.target
        if entry.action is PlanAction.RECREATE:
            self._note(_RECREATED, target)
        if entry.cluster_wide:
            self._note(_CLUSTER_WIDE, target)
        if owners:
            self._note(_OWNERLESS, target)
        if converted:
            self._note(_CONVERTED, target)
        kind = self._kind_of(entry)
        if kind.is_secret:
            return  # says nothing beyond itself: most of a big backup
        if self._originals.is_named_in(content, target.namespace, body):
            self._note(_ELSEWHERE, target)
        if kind.is_config_map:
            return
        if had_status:
            self._see_status(entry, content, apart=status_apart)
        self._see_as(kind, entry, content, live or {})

    def _see_as(
        self, kind: "_KindFacts", entry: PlanEntry, content: Content, live: Content
    ) -> None:
        """Look at what objects of a kind say, by themselves or beside others."""
        for tell in kind.tellers:
            if sentence := tell(entry, content, live):
                self._note(sentence, entry.target)
        if kind.is_pod:
            self._hooks.see(entry, content)
        elif kind.is_backed:
            self._backends.see(entry, content)
        elif kind.is_service:
            self._node_ports.see(entry, content)
        elif kind.is_class:
            self._defaults.see(entry, content, live)
        elif kind.is_job and not self._suspends_jobs and is_job_to_hold(entry, content):
            self._note(_NOT_HELD, entry.target)

    def _kind_of(self, entry: PlanEntry) -> "_KindFacts":
        """What holds for all items of a kind; the last answer is kept."""
        known, resource = self._last, entry.target.group_resource
        if known.resource is resource and known.head == (entry.api_version, entry.kind):
            return known
        self._last = _KindFacts.of(entry)
        return self._last

    def see_left_pod(self, target: ResourceIdentifier, content: Content) -> None:
        """Look at a Pod that is left to its controller, which makes it without hooks."""
        self._hooks.see_left(target, content)

    def see_hooks(self, entries: Iterable[PlanEntry]) -> None:
        """Note in which Pods commands are run, once all is planned."""
        self._hooks.see_planned(entries)

    def see_original(self, *, sure: bool = True) -> None:
        """Note that what is restored is a copy beside its original, or may be."""
        self._copy = _COPY if sure else _MAYBE_COPY

    def see_ownerless(self, target: ResourceIdentifier) -> None:
        """Note an item that loses an owner, because that one does not come along."""
        self._note(_OWNERLESS, target)

    def see_still_ownerless(self, target: ResourceIdentifier) -> None:
        """Note an item that an earlier run of the restore made without its owner."""
        self._note(_STILL_OWNERLESS, target)

    def see_untied(self, target: ResourceIdentifier) -> None:
        """Note an item that stays while its owner is deleted and created anew."""
        self._note(_UNTIED, target)

    def see_taken_along(
        self, target: ResourceIdentifier, *, outside: bool = False
    ) -> None:
        """Note what the deletion of its owner takes along, be it part of the restore."""
        self._note(_TAKEN_OUTSIDE if outside else _TAKEN_ALONG, target)

    def see_unread_dependents(
        self, target: ResourceIdentifier, types: Sequence[str]
    ) -> None:
        """Note what is deleted with all it owns, some of which may not be read."""
        what = f"{_GOES_UNREAD}: {first_few(types)}"
        self._named.append(Notice(what=what, items=(target,)))

    def take_back(self, target: ResourceIdentifier) -> None:
        """Forget what was noted of an item that is not written after all."""
        for found in self._found.values():
            found[:] = [each for each in found if each != target]

    def see_services(self, entries: Iterable[PlanEntry], reader: MemoReader) -> None:
        """Note what lacks a Service, and what one keeps out, once all is planned."""
        for target in self._backends.unanswered(entries, reader):
            self._note(_UNANSWERED, target)
        for target in self._node_ports.taken(reader):
            self._note(_PORT_TAKEN, target)

    def see_defaults(self, reader: MemoReader) -> None:
        """Note what becomes a default beside the target's own, once all is planned."""
        for target, other in self._defaults.doubled(reader):
            what = f"{_DEFAULT}, as {other} of the target is: {_UNNAMED}"
            self._named.append(Notice(what=what, items=(target,)))

    def see_taken(self, target: ResourceIdentifier) -> None:
        """Note an object that a copy would change though it is as in the backup."""
        self._note(_TAKEN, target)

    def see_scaled(
        self, target: ResourceIdentifier, autoscaler: str, change: str
    ) -> None:
        """Note an update of the replicas that an autoscaler of the target chose."""
        what = f"scaled by HorizontalPodAutoscaler {autoscaler}: {change}"
        self._named.append(Notice(what=what, items=(target,)))

    def see_mid_rollout(self, target: ResourceIdentifier) -> None:
        """Note what is created as it was to be, and not as it was."""
        self._note(_MID_ROLLOUT, target)

    def see_snapshot(self, target: ResourceIdentifier) -> None:
        """Note a snapshot that is left out, whoever asked for it."""
        self._note(_SNAPSHOT, target)

    def see_absent(
        self, target: ResourceIdentifier, wanted: ResourceIdentifier, action: str
    ) -> None:
        """Note that what an item needs, as an action says, is nowhere."""
        what = f"needs {wanted} (says {action}), {ABSENT}"
        self._named.append(Notice(what=what, items=(target,)))

    def see_unreadable(self, target: ResourceIdentifier) -> None:
        """Note an object that a decision hung on and that may not be read."""
        if target not in self._found.get(_UNREADABLE, ()):
            self._note(_UNREADABLE, target)

    def see_claims(self, lines: Iterable[ClaimLine], *, same_cluster: bool) -> None:
        """Look at what becomes of the claims."""
        lacking: dict[str, list[ResourceIdentifier]] = {}
        for line in lines:
            for problem in line.problems:
                lacking.setdefault(problem, []).append(line.target)
            if line.loses_data:
                self._note(_EMPTY, line.target)
            elif line.keeps_volume and not same_cluster:
                self._note(_SOURCE_DISK, line.target)
        for problem, targets in lacking.items():
            self._named.append(Notice(what=problem, items=tuple(targets)))

    def notices(self) -> tuple[Notice, ...]:
        """Everything that was found, the far-reaching first."""
        found = [
            Notice(what=sentence, items=tuple(self._found[sentence]))
            for sentence in _ORDER
            if self._found.get(sentence)
        ]
        found += [*self._hooks.notices(), *self._named]
        if self._copy and any(self._found.get(sentence) for sentence in _TWICE):
            found.append(Notice(what=self._copy))
        return (*(Notice(what=sentence) for sentence in self._plain), *found)

    def _see_status(self, entry: PlanEntry, content: Content, *, apart: bool) -> None:
        """Look at what becomes of the status that the backup has."""
        if entry.status:
            self._note(
                _STATUS_ALONG if entry.status == ALONG else _STATUS, entry.target
            )
        elif not apart:
            self._note(_NO_STATUS, entry.target)
        if has_odd_wish(content):
            self._note(_ODD_WISH, entry.target)

    def _note(self, sentence: str, item: ResourceIdentifier) -> None:
        self._found.setdefault(sentence, []).append(item)


@attrs.frozen(kw_only=True)
class _KindFacts:
    """What holds for all items of one kind: who looks at them.

    Attributes:
        head: Version and kind, as its items have them.
        is_backed: A Service may have to answer for one.
        is_class: One may be the default of the target.
    """

    resource: GroupResource | None = None
    head: tuple[str, str] = ("", "")
    is_secret: bool = False
    is_config_map: bool = False
    is_pod: bool = False
    is_backed: bool = False
    is_service: bool = False
    is_class: bool = False
    is_job: bool = False
    tellers: tuple[Teller, ...] = ()

    @classmethod
    def of(cls, entry: PlanEntry) -> "_KindFacts":
        """Find out for all items like that of a line."""
        resource = entry.target.group_resource
        kind = group_kind(entry.api_version, entry.kind)
        return cls(
            resource=resource,
            head=(entry.api_version, entry.kind),
            is_secret=resource == well_known.SECRETS,
            is_config_map=resource == well_known.CONFIG_MAPS,
            is_pod=resource == well_known.PODS,
            is_backed=kind in BACKED_KINDS,
            is_service=resource == well_known.SERVICES,
            is_class=resource in CLASSES,
            is_job=kind == JOB,
            tellers=tellers_of(kind, resource.group),
        )
