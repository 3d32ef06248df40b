"""The transform `quiesce`: a restored copy that acts on nothing outside itself. Pure.

A copy beside its original, or a drill, brings back CronJobs that mail, Services that
order load balancers, and host names that are the original's. One table says by kind what
keeps it still; what is of no kind in it is restored as it is.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

from kbackup.models import labels

Content = dict[str, Any]

# A class of Ingresses and Gateways, and a label of nodes, that nobody has.
QUIET_CLASS = "quiesced.kbackup.io"
QUIET_NODE = "kbackup.io/quiesced"

# Who makes DNS records: external-dns, kops' dns-controller, Gardener, Azure's own.
_DNS_PREFIXES = (
    "external-dns.alpha.kubernetes.io/",
    "external-dns.kubernetes.io/",
    "dns.alpha.kubernetes.io/",
    "dns.gardener.cloud/",
    "service.beta.kubernetes.io/azure-dns-label-name",
)
_INGRESS_CLASS = "kubernetes.io/ingress.class"  # excludes ingressClassName
_OUTSIDE = (
    "allocateLoadBalancerNodePorts",
    "externalIPs",
    "externalTrafficPolicy",
    "healthCheckNodePort",
    "loadBalancerClass",
    "loadBalancerIP",
    "loadBalancerSourceRanges",
)


def quiesce(item: Content) -> Mapping[str, Any] | None:
    """Return *item* so that it runs nothing and is reached from nowhere outside.

    For `RestoreOptions.transforms`, and callable on any object; None leaves it out.
    What was changed to stop work is noted in annotations ``kbackup.io/original-...``.
    """
    key = str(item.get("apiVersion", "")).rpartition("/")[0], str(item.get("kind"))
    if key in LEFT_OUT:
        return None
    rule = RULES.get(key)
    names = [x for x in _annotations_of(item) if x.startswith(_DNS_PREFIXES)]
    if rule is None and not names:
        return item
    quiet = copy.deepcopy(item)
    for name in names:
        del quiet["metadata"]["annotations"][name]
    if rule is not None:
        rule(quiet)
    return quiet


# Plans name transforms by where they are imported from, and that is the room's door.
quiesce.__module__ = "kbackup.restore"


# --- nothing runs ---------------------------------------------------------------------


def _scale_down(item: Content) -> None:
    _set(item, "replicas", to=0, otherwise=1, note=labels.ORIGINAL_REPLICAS)


def _suspend(item: Content) -> None:
    _set(item, "suspend", to=True, otherwise=False, note=labels.ORIGINAL_SUSPEND)


def _hold(job: Content) -> None:
    """Suspend a Job; before 1.22 servers drop that field, but they know parallelism."""
    _suspend(job)
    _set(job, "parallelism", to=0, otherwise=1, note=labels.ORIGINAL_PARALLELISM)


def _match_no_node(daemon_set: Content) -> None:
    template = _spec_of(daemon_set).get("template")
    pod = _spec_of(template) if isinstance(template, dict) else {}
    pod["nodeSelector"] = {**(pod.get("nodeSelector") or {}), QUIET_NODE: "true"}


# --- nobody comes in ------------------------------------------------------------------


def _keep_inside(service: Content) -> None:
    spec = _spec_of(service)
    before = spec.get("type")
    if before == "ExternalName":
        return
    for field in _OUTSIDE:
        spec.pop(field, None)
    for port in spec.get("ports") or ():
        port.pop("nodePort", None)
    if before in ("LoadBalancer", "NodePort"):
        spec["type"] = "ClusterIP"
    if before == "LoadBalancer":
        _free(service)


def _claim_no_hosts(ingress: Content) -> None:
    """Without hosts a rule would match all of them: so nobody is to serve it either."""
    spec = _spec_of(ingress)
    for rule in spec.get("rules") or ():
        rule.pop("host", None)
    for tls in spec.get("tls") or ():
        tls.pop("hosts", None)
    secrets = [tls for tls in spec.pop("tls", None) or () if tls]
    if secrets:
        spec["tls"] = secrets
    _annotations_of(ingress).pop(_INGRESS_CLASS, None)
    spec["ingressClassName"] = QUIET_CLASS
    _free(ingress)


def _open_no_gateway(gateway: Content) -> None:
    _spec_of(gateway)["gatewayClassName"] = QUIET_CLASS
    _free(gateway)


def _detach(route: Content) -> None:
    """Let a route belong to no Gateway: without host names it would match them all."""
    _spec_of(route).pop("parentRefs", None)


def _claim_no_names(route: Content) -> None:
    _detach(route)
    _spec_of(route).pop("hostnames", None)


# --- the table ------------------------------------------------------------------------

_GATEWAY = "gateway.networking.k8s.io"
RULES: Mapping[tuple[str, str], Callable[[Content], None]] = {
    ("", "ReplicationController"): _scale_down,
    ("", "Service"): _keep_inside,
    ("apps", "DaemonSet"): _match_no_node,
    ("apps", "Deployment"): _scale_down,
    ("apps", "ReplicaSet"): _scale_down,
    ("apps", "StatefulSet"): _scale_down,
    ("batch", "CronJob"): _suspend,
    ("batch", "Job"): _hold,
    ("extensions", "DaemonSet"): _match_no_node,
    ("extensions", "Deployment"): _scale_down,
    ("extensions", "Ingress"): _claim_no_hosts,
    ("extensions", "ReplicaSet"): _scale_down,
    ("networking.k8s.io", "Ingress"): _claim_no_hosts,
    (_GATEWAY, "Gateway"): _open_no_gateway,
    (_GATEWAY, "GRPCRoute"): _claim_no_names,
    (_GATEWAY, "HTTPRoute"): _claim_no_names,
    (_GATEWAY, "TCPRoute"): _detach,
    (_GATEWAY, "TLSRoute"): _detach,  # needs its host names
    (_GATEWAY, "UDPRoute"): _detach,
}
# A Pod has no switch: it runs or is not there. A DNSEndpoint is nothing but names.
LEFT_OUT = frozenset({("", "Pod"), ("externaldns.k8s.io", "DNSEndpoint")})


# --- tools ----------------------------------------------------------------------------


def _set(
    item: Content, field: str, *, to: object, otherwise: object, note: str
) -> None:
    """Set a field of the spec, and note what it was where it was different.

    Args:
        item: Is changed.
        field: Of the spec.
        to: Its new value.
        otherwise: What the field means where it is absent.
        note: The annotation that keeps the old value, as YAML has it.
    """
    spec = _spec_of(item)
    before = spec.get(field)
    before = otherwise if before is None else before
    spec[field] = to
    if before != to:
        noted = {**_annotations_of(item), note: str(before).lower()}
        item["metadata"]["annotations"] = noted


def _free(item: Content) -> None:
    """Drop finalizers: who would clean up after a copy does not look at it."""
    item["metadata"].pop("finalizers", None)


def _spec_of(item: Content) -> Content:
    """The spec, to be changed; of what has none a blank."""
    spec = item.get("spec")
    return spec if isinstance(spec, dict) else {}


def _annotations_of(item: Content) -> dict[str, str]:
    return (item.get("metadata") or {}).get("annotations") or {}
