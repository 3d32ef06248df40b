"""What an item that is written tells by itself: rights, hosts, work that starts. Pure.

Which of it a kind can tell at all is decided once for each kind: of most objects little
is looked at. Asked by the `NoticeBook`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kbackup._kits.kinds import GroupKind, is_built_in
from kbackup.models import ServerVersion
from kbackup.restore._notices.backends import WEBHOOK_KINDS
from kbackup.restore._plan_entry import PlanAction, PlanEntry
from kbackup.restore.transforms._quiesce import QUIET_CLASS, QUIET_NODE

Content = Mapping[str, Any]
Teller = Callable[[PlanEntry, Content, Content], str]
"""Says something of an item, or nothing: the line, the item, the live one or nothing."""

RBAC = "grants rights (RBAC)"
RBAC_CHANGED = "changes rights (RBAC)"
TRAFFIC = "changes what the network lets through"
WEBHOOK = "lets a webhook see or refuse what others write"
BALANCER = "asks the cloud for a load balancer"
INGRESS = "claims host names (Ingress)"
DNS = "claims DNS names (annotation)"
STARTS = "starts work (Jobs, CronJobs that are not suspended, what was kept still)"
ENDPOINTS_GO = (
    "has no selector: with the live one the target deletes its Endpoints, which a second "
    "run of the restore brings back"
)
FINALIZER = "custom resources with a finalizer: without its controller they cannot go"

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
JOB: GroupKind = ("batch", "Job")
_MADE_TO_RUN = (JOB, ("batch", "CronJob"))
_DNS_ANNOTATION = "external-dns.alpha.kubernetes.io/hostname"
# Before 1.21 API servers do not know it, and 1.21 has it behind a gate that is closed.
_FIRST_MINOR_TO_SUSPEND_JOBS = 22


def tellers_of(kind: GroupKind, group: str) -> tuple[Teller, ...]:
    """Return what is asked about each object of a kind.

    Args:
        kind: What the objects are.
        group: Of their type: what is custom has a group of its own.
    """
    tellers = [_of_kind(kind), _dns]
    if kind == _SERVICE:
        tellers.append(_endpoints)
    if not is_built_in(group):
        tellers.append(_finalizer)
    return tuple(tellers)


def suspends_jobs(version: ServerVersion) -> bool:
    """Whether an API server keeps ``spec.suspend`` of a Job; an unknown one does."""
    minor = version.minor.rstrip("+")
    is_old = version.major == "1" and minor.isdecimal()
    return not (is_old and int(minor) < _FIRST_MINOR_TO_SUSPEND_JOBS)


def is_job_to_hold(entry: PlanEntry, job: Content) -> bool:
    """Whether nothing but `suspend` keeps a Job that would be made from running."""
    spec = _spec_of(job)
    is_held = bool(spec.get("suspend")) and spec.get("parallelism") != 0
    return is_held and entry.action is not PlanAction.UPDATE


def _of_kind(kind: GroupKind) -> Teller:
    """What matters most about objects of a kind."""
    if kind[0] in _RBAC_GROUPS:
        return _rights
    if kind in _POLICIES:
        return _traffic
    if kind in WEBHOOK_KINDS:
        return _webhook
    if kind == _SERVICE:
        return _balancer
    if kind == _INGRESS_KIND:
        return _claims_hosts
    return _begins if kind in _MADE_TO_RUN else _goes_on


def _rights(entry: PlanEntry, _content: Content, _live: Content) -> str:
    """An update may give rights or take them; which of them, its differences show."""
    if entry.action is not PlanAction.UPDATE:
        return RBAC
    changed = any(_bears_on_rights(entry.kind, x.path) for x in entry.differences)
    return RBAC_CHANGED if changed else ""


def _bears_on_rights(kind: str, path: str) -> bool:
    """Whether a field decides who may what: a label may add a role to another one."""
    is_label = kind == "ClusterRole" and path.startswith("metadata.labels")
    return is_label or not path.startswith("metadata.")


def _traffic(entry: PlanEntry, _content: Content, _live: Content) -> str:
    """A policy that comes with its Pods is nothing new; one that is updated is."""
    changed = any(x.path.partition(".")[0] == "spec" for x in entry.differences)
    return TRAFFIC if changed else ""


def _webhook(_entry: PlanEntry, _content: Content, _live: Content) -> str:
    return WEBHOOK


def _balancer(_entry: PlanEntry, content: Content, live: Content) -> str:
    is_new = _is_balanced(content) and not _is_balanced(live)
    return BALANCER if is_new else ""


def _endpoints(entry: PlanEntry, content: Content, _live: Content) -> str:
    """A Service without a selector has Endpoints that somebody else wrote.

    Source: Kubernetes, ``pkg/controller/endpoint``: they go with the Service.
    """
    spec = _spec_of(content)
    stays = entry.action is not PlanAction.RECREATE
    if stays or spec.get("selector") or spec.get("type") == "ExternalName":
        return ""
    return ENDPOINTS_GO


def _claims_hosts(_entry: PlanEntry, content: Content, live: Content) -> str:
    return INGRESS if _hosts(content) - _hosts(live) else ""


def _begins(entry: PlanEntry, content: Content, live: Content) -> str:
    """A Job or CronJob that is made runs, unless it is held."""
    if not entry.action.makes:
        return _goes_on(entry, content, live)
    return "" if _spec_of(content).get("suspend") else STARTS


def _goes_on(entry: PlanEntry, content: Content, live: Content) -> str:
    """What was kept still runs again."""
    if entry.action is not PlanAction.UPDATE:
        return ""
    return STARTS if _is_still(live) and not _is_still(content) else ""


def _dns(_entry: PlanEntry, content: Content, live: Content) -> str:
    names = _dns_names(content)
    return DNS if names and names != _dns_names(live) else ""


def _finalizer(_entry: PlanEntry, content: Content, _live: Content) -> str:
    return FINALIZER if content["metadata"].get("finalizers") else ""


def _spec_of(content: Any) -> Content:
    spec = content.get("spec") if isinstance(content, Mapping) else None
    return spec if isinstance(spec, Mapping) else {}


def _is_balanced(service: Content) -> bool:
    return bool(_spec_of(service).get("type") == "LoadBalancer")


def _hosts(ingress: Content) -> set[str]:
    """The hosts that an Ingress claims; empty text: all that nobody else has."""
    spec = _spec_of(ingress)
    if not spec or spec.get("ingressClassName") == QUIET_CLASS:
        return set()  # there is none, or no controller looks at it
    hosts = {str(rule.get("host") or "") for rule in spec.get("rules") or ()}
    return hosts or {""}


def _is_still(workload: Content) -> bool:
    """Whether a workload of any kind runs nothing, as `quiesce` leaves it."""
    spec = _spec_of(workload)
    nodes = _spec_of(spec.get("template")).get("nodeSelector") or {}
    idle = 0 in (spec.get("replicas"), spec.get("parallelism"))
    return bool(spec.get("suspend")) or idle or QUIET_NODE in nodes


def _dns_names(content: Content) -> str:
    annotations = (content.get("metadata") or {}).get("annotations")
    return str(annotations.get(_DNS_ANNOTATION, "")) if annotations else ""
