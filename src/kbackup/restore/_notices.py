"""What a restore does beyond the objects themselves: the sentences above the table.

Pure: the planner shows every item that would be written, `NoticeBook.notices` says
what its user should know before agreeing.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from kbackup._kits.controlled import Owner
from kbackup._kits.kinds import GroupKind, group_kind, is_built_in
from kbackup.hooks import ExecHooks, InitHooks
from kbackup.models import (
    APIResource,
    ResourceIdentifier,
    ServerVersion,
    labels,
    well_known,
)
from kbackup.restore._backends import WEBHOOK_KINDS, Backends
from kbackup.restore._claims import ClaimLine
from kbackup.restore._default_classes import DefaultClasses
from kbackup.restore._elsewhere import Elsewhere
from kbackup.restore._hook_notices import HookNotices
from kbackup.restore._node_ports import NodePorts
from kbackup.restore._owners import STILL_OWNERLESS
from kbackup.restore._plan import Notice
from kbackup.restore._plan_entry import ALONG, PlanAction, PlanEntry
from kbackup.restore._quiesce import QUIET_CLASS, QUIET_NODE
from kbackup.restore._reads import MemoReader
from kbackup.restore._statuses import has_odd_wish

Content = Mapping[str, Any]

_CLUSTER_WIDE = "changes something that is not confined to a namespace"
_RECREATED = "deleted and created anew: in between it is not there; what it owns stays"
_RBAC = "grants rights (RBAC)"
_RBAC_CHANGED = "changes rights (RBAC)"
_TRAFFIC = "changes what the network lets through"
_WEBHOOK = "lets a webhook see or refuse what others write"
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
_BALANCER = "asks the cloud for a load balancer"
_INGRESS = "claims host names (Ingress)"
_DNS = "claims DNS names (annotation)"
_STARTS = "starts work (Jobs, CronJobs that are not suspended, what was kept still)"
_NOT_HELD = (
    "suspended in the backup, and runs at once: this server drops spec.suspend of Jobs"
)
_FINALIZER = "custom resources with a finalizer: without its controller they cannot go"
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
    _CLUSTER_WIDE,
    _RBAC,
    _RBAC_CHANGED,
    _TRAFFIC,
    _WEBHOOK,
    _UNANSWERED,
    _PORT_TAKEN,
    _BALANCER,
    _INGRESS,
    _DNS,
    _STARTS,
    _NOT_HELD,
    _FINALIZER,
    _CONVERTED,
    _ELSEWHERE,
    _OWNERLESS,
    _STILL_OWNERLESS,
    _UNTIED,
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
_TWICE = frozenset({_PORT_TAKEN, _BALANCER, _INGRESS, _DNS, _STARTS, _NOT_HELD})
# Before 1.21 API servers do not know it, and 1.21 has it behind a gate that is closed.
_FIRST_MINOR_TO_SUSPEND_JOBS = 22
# OpenShift shows roles and bindings under a group of its own, and a backup has both.
_RBAC_GROUPS = frozenset({"rbac.authorization.k8s.io", "authorization.openshift.io"})
_SERVICE = ("", "Service")
_POLICIES = frozenset(
    (group, "NetworkPolicy")
    for group in (
        "networking.k8s.io",
        "crd.antrea.io",
        "crd.projectcalico.org",
        "projectcalico.org",
    )
)
_INGRESS_KIND = ("networking.k8s.io", "Ingress")
_JOB, _CRON_JOB = ("batch", "Job"), ("batch", "CronJob")
_DNS_ANNOTATION = "external-dns.alpha.kubernetes.io/hostname"


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
        self._suspends_jobs = _suspends_jobs(version or ServerVersion())
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
        live: Content | None = None,
        owners: Iterable[Owner] = (),
        had_status: bool = False,
        resource: APIResource | None = None,
        converted: bool = False,
    ) -> None:
        """Look at an item that would be written.

        Args:
            entry: The line of the plan.
            content: As it would be written.
            live: The object that is updated, where there is one: what it does already
                is nothing new.
            owners: Whom the backup names as its owners and the restore never does.
            had_status: The backup has a status for it.
            resource: Its type in the target, where it is served.
            converted: A webhook has to convert it to the version that is stored.
        """
        target = entry.target
        for sentence in _of_line(entry):
            self._note(sentence, target)
        if any(owners):
            self._note(_OWNERLESS, target)
        if converted:
            self._note(_CONVERTED, target)
        if target.group_resource == well_known.SECRETS:
            return  # says nothing beyond itself: most of a big backup
        if self._originals.is_named_in(content):
            self._note(_ELSEWHERE, target)
        if target.group_resource == well_known.CONFIG_MAPS:
            return
        self._hooks.see(entry, content)
        self._backends.see(entry, content)
        self._node_ports.see(entry, content)
        self._defaults.see(entry, content, live or {})
        if had_status:
            self._see_status(entry, content, resource)
        for sentence in _sentences(entry, content, live or {}):
            self._note(sentence, target)
        if not self._suspends_jobs and _is_job_to_hold(entry, _spec_of(content)):
            self._note(_NOT_HELD, target)

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
        self, target: ResourceIdentifier, wanted: ResourceIdentifier
    ) -> None:
        """Note that what an item needs is nowhere."""
        what = f"needs {wanted}, {ABSENT}"
        self._named.append(Notice(what=what, items=(target,)))

    def see_unreadable(self, target: ResourceIdentifier) -> None:
        """Note an object that a decision hung on and that may not be read."""
        if target not in self._found.get(_UNREADABLE, ()):
            self._note(_UNREADABLE, target)

    def see_claims(self, lines: Iterable[ClaimLine], *, same_cluster: bool) -> None:
        """Look at what becomes of the claims."""
        for line in lines:
            if line.loses_data:
                self._note(_EMPTY, line.target)
            elif line.keeps_volume and not same_cluster:
                self._note(_SOURCE_DISK, line.target)

    def notices(self) -> tuple[Notice, ...]:
        """Everything that was found, the far-reaching first."""
        found = [
            Notice(what=sentence, items=tuple(self._found[sentence]))
            for sentence in _ORDER
            if sentence in self._found
        ]
        found += [*self._hooks.notices(), *self._named]
        if self._copy and not _TWICE.isdisjoint(self._found):
            found.append(Notice(what=self._copy))
        return (*(Notice(what=sentence) for sentence in self._plain), *found)

    def _see_status(
        self, entry: PlanEntry, content: Content, resource: APIResource | None
    ) -> None:
        """Look at what becomes of the status that the backup has."""
        if entry.status:
            self._note(
                _STATUS_ALONG if entry.status == ALONG else _STATUS, entry.target
            )
        elif resource is not None and "status" not in resource.subresources:
            self._note(_NO_STATUS, entry.target)
        if has_odd_wish(content):
            self._note(_ODD_WISH, entry.target)

    def _note(self, sentence: str, item: ResourceIdentifier) -> None:
        self._found.setdefault(sentence, []).append(item)


def _of_line(entry: PlanEntry) -> Iterable[str]:
    if entry.action is PlanAction.RECREATE:
        yield _RECREATED
    if entry.cluster_wide:
        yield _CLUSTER_WIDE


def _sentences(entry: PlanEntry, content: Content, live: Content) -> Iterable[str]:
    kind, spec, before = _kind(entry), _spec_of(content), _spec_of(live)
    if kind[0] in _RBAC_GROUPS:
        yield from _rights(entry)
    elif kind in _POLICIES:
        yield from _traffic(entry)
    elif kind in WEBHOOK_KINDS:
        yield _WEBHOOK
    elif kind == _SERVICE and _is_balanced(spec) and not _is_balanced(before):
        yield _BALANCER
    elif kind == _INGRESS_KIND and _hosts(spec) - _hosts(before):
        yield _INGRESS
    elif _starts(entry, spec, before):
        yield _STARTS
    if _dns_names(content) not in ("", _dns_names(live)):
        yield _DNS
    is_custom = not is_built_in(entry.target.group_resource.group)
    if content["metadata"].get("finalizers") and is_custom:
        yield _FINALIZER


def _rights(entry: PlanEntry) -> Iterable[str]:
    """An update may give rights or take them; which of them, its differences show."""
    if entry.action is not PlanAction.UPDATE:
        yield _RBAC
    elif any(_bears_on_rights(entry.kind, x.path) for x in entry.differences):
        yield _RBAC_CHANGED


def _bears_on_rights(kind: str, path: str) -> bool:
    """Whether a field decides who may what: a label may add a role to another one."""
    is_label = kind == "ClusterRole" and path.startswith("metadata.labels")
    return is_label or not path.startswith("metadata.")


def _traffic(entry: PlanEntry) -> Iterable[str]:
    """A policy that comes with its Pods is nothing new; one that is updated is."""
    if any(x.path.partition(".")[0] == "spec" for x in entry.differences):
        yield _TRAFFIC


def _starts(entry: PlanEntry, spec: Content, before: Content) -> bool:
    if entry.action is PlanAction.UPDATE:
        return _is_still(before) and not _is_still(spec)
    if not entry.action.makes:
        return False
    return _kind(entry) in (_JOB, _CRON_JOB) and not spec.get("suspend")


def _suspends_jobs(version: ServerVersion) -> bool:
    """Whether an API server keeps ``spec.suspend`` of a Job; an unknown one does."""
    minor = version.minor.rstrip("+")
    is_old = version.major == "1" and minor.isdecimal()
    return not (is_old and int(minor) < _FIRST_MINOR_TO_SUSPEND_JOBS)


def _is_job_to_hold(entry: PlanEntry, spec: Content) -> bool:
    """Whether nothing but `suspend` keeps a Job that would be made from running."""
    is_made = entry.action is not PlanAction.UPDATE and _kind(entry) == _JOB
    return is_made and bool(spec.get("suspend")) and spec.get("parallelism") != 0


def _is_still(spec: Content) -> bool:
    """Whether a workload of any kind runs nothing, as `quiesce` leaves it."""
    nodes = _spec_of(spec.get("template")).get("nodeSelector") or {}
    idle = 0 in (spec.get("replicas"), spec.get("parallelism"))
    return bool(spec.get("suspend")) or idle or QUIET_NODE in nodes


def _kind(entry: PlanEntry) -> GroupKind:
    return group_kind(entry.api_version, entry.kind)


def _spec_of(content: Any) -> Content:
    spec = content.get("spec") if isinstance(content, Mapping) else None
    return spec if isinstance(spec, Mapping) else {}


def _is_balanced(service: Content) -> bool:
    return bool(service.get("type") == "LoadBalancer")


def _hosts(ingress: Content) -> set[str]:
    """The hosts that an Ingress claims; empty text: all that nobody else has."""
    if not ingress or ingress.get("ingressClassName") == QUIET_CLASS:
        return set()  # there is none, or no controller looks at it
    hosts = {str(rule.get("host") or "") for rule in ingress.get("rules") or ()}
    return hosts or {""}


def _dns_names(content: Content) -> str:
    annotations = (content.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(_DNS_ANNOTATION, ""))
