"""A small shop as Kubernetes objects, for the demo and for tests.

What a web shop has in a real cluster: a Deployment with the ReplicaSet and the Pods
that controllers made of it, a Service, configuration, a volume, a custom resource with
its definition, and rights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from kbackup.models import load_all_yaml

Create = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def sample_shop() -> list[dict[str, Any]]:
    """Return the objects of the shop, owners before what they own."""
    text = files(__package__).joinpath("sample_shop.yaml").read_text()
    return [dict(document) for document in load_all_yaml(text)]


def load_sample_shop(create: Create) -> int:
    """Create the shop with *create*, link owners by their new UIDs; return the number.

    Args:
        create: Takes an object and returns it as the server stored it.
    """
    uids: dict[tuple[str, str], str] = {}
    shop = sample_shop()
    for item in shop:
        for owner in item["metadata"].get("ownerReferences", []):
            owner["uid"] = uids[owner["kind"], owner["name"]]
        made = create(item)
        uids[item["kind"], item["metadata"]["name"]] = made["metadata"]["uid"]
    return len(shop)
