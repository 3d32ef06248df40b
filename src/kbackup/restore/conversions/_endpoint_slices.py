"""EndpointSlices of ``discovery.k8s.io/v1beta1``, as v1 has them.

Source: Kubernetes, deprecation guide for 1.25 and ``pkg/apis/discovery/v1beta1``. That v1
throws away ``deprecatedTopology`` in what is written: ``pkg/registry/discovery``.
"""

from __future__ import annotations

from kbackup.restore.conversions._base import Body, Lose, each

HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"

OTHER_TOPOLOGY = "v1 drops it without a word: it keeps nodeName and zone only"
ADDRESS_TYPE = "v1 knows IPv4, IPv6 and FQDN"
REFUSES = {
    "endpoints[].topology": OTHER_TOPOLOGY,
    "addressType": ADDRESS_TYPE,
}
MOVES = (
    (
        f"`topology[{HOSTNAME}]` becomes `nodeName` where that is not set; one that differs from "
        "it has no home"
    ),
    f"`topology[{ZONE}]` becomes `zone`",
)
_ADDRESS_TYPES = ("IPv4", "IPv6", "FQDN")


def endpoint_slice(body: Body, lose: Lose) -> None:
    """Let fields say where endpoints are."""
    if body.get("addressType") not in _ADDRESS_TYPES:
        lose("addressType", ADDRESS_TYPE)
    for where, endpoint in each(body, "endpoints"):
        topology = dict(endpoint.pop("topology", None) or {})
        if ZONE in topology:
            endpoint["zone"] = topology.pop(ZONE)
        node = endpoint.get("nodeName")
        if HOSTNAME in topology and node in (None, topology[HOSTNAME]):
            endpoint["nodeName"] = topology.pop(HOSTNAME)
        for key in sorted(topology):
            lose(f"{where}.topology[{key}]", OTHER_TOPOLOGY)
