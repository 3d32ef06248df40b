"""A webhook, an APIService or a definition without the Service that answers for it."""

import pytest

from kbackup.models import GroupResource, ResourceIdentifier, RestoreSpec
from kbackup.restore import PlanAction, PlanEntry
from kbackup.restore._notices.notices import NoticeBook
from kbackup.restore._target.reads import MemoReader

GUARD = {"name": "guard", "namespace": "shop"}
TOLD = "its Service is neither in this restore nor in the target"
SHOP = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": dict(GUARD),
    "spec": {"ports": [{"port": 443}]},
}


def webhook(**client):
    """A webhook for Pods."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "guard"},
        "webhooks": [
            {
                "name": "guard.example.com",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "clientConfig": client or {"service": dict(GUARD)},
            }
        ],
    }


API = {
    "apiVersion": "apiregistration.k8s.io/v1",
    "kind": "APIService",
    "metadata": {"name": "v1.example.com"},
    "spec": {"group": "example.com", "version": "v1", "service": dict(GUARD)},
}
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "carts.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "carts", "kind": "Cart"},
        "versions": [{"name": "v1", "served": True, "storage": True}],
        "conversion": {
            "strategy": "Webhook",
            "webhook": {"clientConfig": {"service": dict(GUARD)}},
        },
    },
}


def told(shop, **spec):
    """The items of which the plan says that nothing will answer for them."""
    plan = shop.engine.plan("try-1", RestoreSpec(backup_name="shop-1", **spec))
    found = [notice for notice in plan.notices if TOLD in notice.what]
    return [item.name for notice in found for item in notice.items]


@pytest.mark.parametrize(
    ("item", "is_told"),
    [
        (webhook(), True),
        (API, True),
        (DEFINITION, True),
        (webhook(url="https://guard.example.com"), False),
        ({**API, "apiVersion": "example.com/v1"}, False),
    ],
    ids=["webhook", "APIService", "definition", "webhook by address", "other group"],
)
def test_what_counts_on_a_service(simulated, item, is_told):
    """What nobody in the cluster will answer for is told; an address needs no Service."""
    ref = ResourceIdentifier(GroupResource.parse("x.example.com"), "", "guard")
    entry = PlanEntry(
        identifier=ref,
        target=ref,
        action=PlanAction.CREATE,
        api_version=item["apiVersion"],
        kind=item["kind"],
    )
    book = NoticeBook()

    book.see(entry, item)
    with simulated.connect() as cluster:
        book.see_services([entry], MemoReader(cluster.reader()))

    assert any(TOLD in notice.what for notice in book.notices()) == is_told


def test_a_service_that_is_left_out(make_shop):
    """A Service that is in the backup, and not in this restore, answers for nothing."""
    shop = make_shop([SHOP, SERVICE, DEFINITION])

    assert told(shop, excluded_resources=["services"]) == ["carts.example.com"]


def test_a_service_that_comes_along(make_shop):
    """With its Service in the restore there is nothing to tell."""
    assert told(make_shop([SHOP, SERVICE, DEFINITION])) == []


def test_a_service_that_lives_in_the_target(make_shop):
    """With its Service in the target there is nothing to tell."""
    shop = make_shop([DEFINITION])
    shop.simulated.load([SHOP, SERVICE])

    assert told(shop) == []
