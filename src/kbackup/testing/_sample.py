"""A small shop as Kubernetes objects, for the demo and for tests.

What a web shop has in a real cluster: a Deployment with the ReplicaSet and the Pods
that controllers made of it, a Service, configuration, a volume, a custom resource with
its definition, and rights.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from kbackup._kits.arguments import require_able
from kbackup.models import APIResource, load_all_yaml

if TYPE_CHECKING:
    from kbackup.cluster import Cluster


def sample_shop() -> list[dict[str, Any]]:
    """Return the objects of the shop, each after those that it names by UID."""
    text = files(__package__).joinpath("sample_shop.yaml").read_text()
    return [dict(document) for document in load_all_yaml(text)]


def load_sample_shop(cluster: Cluster) -> int:
    """Create the shop in *cluster* as it looks once the controllers have worked.

    *cluster* is a connection, such as `SimulatedCluster.connect` returns.
    Owners and the volume's claim are linked by their new UIDs, and what a controller or
    a kubelet would report goes to the status sub-resource: a server does not take it
    with the object. Returns the number of objects.

    Raises:
        TypeError: *cluster* is no connection, but the simulated cluster itself, say.
    """
    require_able("cluster", cluster, "Cluster", to="discover")
    uids: dict[tuple[str, str], str] = {}
    shop = sample_shop()
    for item in shop:
        for reference in _references(item):
            reference["uid"] = uids[reference["kind"], reference["name"]]
        resource = _resource_of(item, cluster)
        name, namespace = (
            item["metadata"]["name"],
            item["metadata"].get("namespace", ""),
        )
        made = cluster.create(resource, item, namespace=namespace)
        uids[item["kind"], name] = made["metadata"]["uid"]
        if "status" in item:
            status = {"status": item["status"]}
            cluster.patch(
                resource, name, status, namespace=namespace, subresource="status"
            )
    return len(shop)


def _references(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The references of an object that name another one by its UID."""
    claim = item.get("spec", {}).get("claimRef")
    owners: list[dict[str, Any]] = item["metadata"].get("ownerReferences", [])
    return [*owners, claim] if claim else owners


def _resource_of(item: Mapping[str, Any], cluster: Cluster) -> APIResource:
    kind = (item["apiVersion"], item["kind"])
    resource = cluster.discover().by_kind(*kind)
    if resource is None:  # its definition was created a moment ago
        resource = cluster.discover(refresh=True).by_kind(*kind)
    if resource is None:
        raise LookupError(f"the cluster does not serve {item['kind']}")
    return resource
