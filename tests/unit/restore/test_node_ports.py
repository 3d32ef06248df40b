"""A Service that asks for a node port which another one has."""

import json

import pytest

from kbackup.models import RestoreOptions, RestoreSpec
from kbackup.restore import quiesce

SHOP = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
TOLD = "asks for a node port that another Service of the target has"
COPY = {"namespace_mapping": {"shop": "shop-copy"}}


def service(namespace, name, port, *, asked=True):
    """A Service of type NodePort, with the port in what kubectl applied or not."""
    spec = {"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]}
    applied = {"spec": spec} if asked else {"spec": {"ports": [{"port": 80}]}}
    annotations = {
        "kubectl.kubernetes.io/last-applied-configuration": json.dumps(applied)
    }
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": spec,
    }


def told(shop, options=None, **spec):
    """The Services of which the plan says that their port is taken."""
    spec = RestoreSpec(backup_name="shop-1", **spec)
    plan = shop.engine.plan("try-1", spec, options)
    found = [notice for notice in plan.notices if notice.what.startswith(TOLD)]
    return [item.qualified_name for notice in found for item in notice.items]


def test_a_copy_beside_its_original(make_shop):
    """The plan says of a copy that the server will refuse it while the original lives."""
    shop = make_shop([SHOP, service("shop", "web", 30080)])
    shop.simulated.load([SHOP, service("shop", "web", 30080)])

    assert told(shop, **COPY) == ["shop-copy/web"]


@pytest.mark.parametrize(
    ("stored", "live", "how"),
    [
        (service("shop", "web", 30080, asked=False), ("shop", "web", 30080), COPY),
        (service("shop", "web", 30080), ("shop", "web", 30081), COPY),
        (service("shop", "web", 30080), ("shop", "web", 30080), {}),
    ],
    ids=["a port that was given out", "another port", "its own port"],
)
def test_a_port_that_is_free(make_shop, stored, live, how):
    """Of a port that nobody else has there is nothing to tell."""
    shop = make_shop([SHOP, stored])
    shop.simulated.load([SHOP, service(*live)])

    assert told(shop, **how) == []


def test_a_quiesced_copy(make_shop):
    """A copy that is held still asks for no node port."""
    shop = make_shop([SHOP, service("shop", "web", 30080)])
    shop.simulated.load([SHOP, service("shop", "web", 30080)])

    assert told(shop, RestoreOptions(transforms=(quiesce,)), **COPY) == []
