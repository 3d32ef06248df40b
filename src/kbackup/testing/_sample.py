"""A small shop as Kubernetes objects, for the demo and for tests.

What a web shop has in a real cluster: a Deployment with the ReplicaSet and the Pods
that controllers made of it, a Service, configuration, a volume, a custom resource with
its definition, and rights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from kbackup.models import load_all_yaml

if TYPE_CHECKING:
    from kbackup.cluster import Cluster

Create = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def sample_shop() -> list[dict[str, Any]]:
    """Return the objects of the shop, owners before what they own."""
    text = files(__package__).joinpath("sample_shop.yaml").read_text()
    return [dict(document) for document in load_all_yaml(text)]


def load_sample_shop(target: Cluster | Create) -> int:
    """Create the shop, link owners by their new UIDs; return the number of objects.

    Args:
        target: A cluster, or a function that takes an object and returns it as the
            server stored it.
    """
    create = target if callable(target) else _creator(target)
    uids: dict[tuple[str, str], str] = {}
    shop = sample_shop()
    for item in shop:
        for owner in item["metadata"].get("ownerReferences", []):
            owner["uid"] = uids[owner["kind"], owner["name"]]
        made = create(item)
        uids[item["kind"], item["metadata"]["name"]] = made["metadata"]["uid"]
    return len(shop)


def _creator(cluster: Cluster) -> Create:
    """Return a function that creates an object in *cluster*."""

    def create(item: Mapping[str, Any]) -> Mapping[str, Any]:
        kind = (item["apiVersion"], item["kind"])
        resource = cluster.discover().by_kind(*kind)
        if resource is None:  # its definition was created a moment ago
            resource = cluster.discover(refresh=True).by_kind(*kind)
        if resource is None:
            raise LookupError(f"the cluster does not serve {item['kind']}")
        namespace = item["metadata"].get("namespace", "")
        return cluster.create(resource, item, namespace=namespace)

    return create
