"""Restores by somebody who may not make everything that the backup has."""

import pytest

from definitions import definition
from kbackup.models import (
    APIResource,
    ExistingResourcePolicy,
    RestoreOptions,
    RestoreSpec,
)
from kbackup.plugins import WaitingFor
from kbackup.restore._target.types import takes_new

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
SPEC = RestoreSpec(backup_name="shop-1")
TRIED = RestoreOptions(validate=True)
CRDS = "customresourcedefinitions.apiextensions.k8s.io"
WIDGETS = "widgets.example.com"
REVIEWS = "create selfsubjectaccessreviews.authorization.k8s.io"
DEFINITION = definition("example.com", "widgets", "Widget")


def widget(name):
    """A custom resource."""
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": name, "namespace": "shop"},
    }


def owned(name, owner):
    """A ConfigMap of a custom resource."""
    reference = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "name": owner,
        "uid": "of the old cluster",
    }
    metadata = {"name": name, "namespace": "shop", "ownerReferences": [reference]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


class Waits(list):
    """An observer that keeps what a restore waited for."""

    def __call__(self, event):
        """Take one event."""
        if isinstance(event, WaitingFor):
            self.append(event.what)


@pytest.fixture
def waits():
    """What a restore waited for."""
    return Waits()


@pytest.fixture(name="shop")
def fixture_shop(make_shop, waits):
    """Two widgets and what one of them owns, and a target with their namespace."""
    items = [NAMESPACE, DEFINITION, widget("child"), widget("parent")]
    shop = make_shop([*items, owned("of", "parent")], as_is=True, observer=waits)
    shop.simulated.load([NAMESPACE])
    return shop


def lines(plan):
    """``Kind/name`` to the plan's line."""
    return {f"{e.kind}/{e.target.name}": e for e in plan.entries}


def said(plan):
    """The notices as one text."""
    return "\n".join(map(str, plan.notices))


def failed(result):
    """The names of what failed."""
    return sorted(x.identifier.name for x in result.outcomes if x.action == "failed")


def test_a_definition_that_is_served_and_may_not_be_read(shop, waits):
    """Custom resources came back after ten minutes as errors: their type was there."""
    shop.simulated.load([DEFINITION])
    shop.simulated.faults.forbid(resource=CRDS)

    plan = shop.engine.plan("try-1", SPEC)
    result = shop.engine.apply(plan)

    line = lines(plan)[f"CustomResourceDefinition/{WIDGETS}"]
    assert line.action == "skip"
    assert "its type is served: left as it is" in line.reason
    assert f"cannot get {CRDS}" in line.reason
    assert result.results.errors == ()
    assert shop.names(WIDGETS, "shop") == ["child", "parent"]
    metadata = shop.object("configmaps", "shop", "of")["metadata"]
    assert [x["name"] for x in metadata["ownerReferences"]] == ["parent"]
    assert waits == []


def test_a_definition_that_is_missing_and_may_not_be_made(shop, waits):
    """What cannot come is told at once, and once: its definition was an error twice."""
    shop.simulated.faults.forbid(resource=CRDS)

    plan = shop.engine.plan("try-1", SPEC)
    result = shop.engine.apply(plan)

    assert lines(plan)[f"CustomResourceDefinition/{WIDGETS}"].action == "unknown"
    assert failed(result) == ["child", "parent", WIDGETS]
    told = [x.item.name for x in result.results.errors]
    assert sorted(told) == ["child", "parent", WIDGETS]
    assert shop.names("configmaps", "shop") == ["of"]
    assert waits == []


def test_a_definition_that_may_not_be_updated(shop, waits):
    """That an update was refused does not keep the custom resources out."""
    shop.simulated.load([DEFINITION])
    shop.simulated.faults.forbid(resource=CRDS)
    update = RestoreOptions(
        existing_cluster_resource_policy=ExistingResourcePolicy.UPDATE
    )

    result = shop.engine.run("try-1", SPEC, update)

    assert failed(result) == [WIDGETS]
    assert [x.item.name for x in result.results.errors] == [WIDGETS]
    assert shop.names(WIDGETS, "shop") == ["child", "parent"]
    assert waits == []


def test_a_definition_that_may_be_made_and_not_be_read(shop, waits):
    """Nobody waits to read what may not be read; the custom resources come."""
    shop.simulated.faults.forbid(verb="get", resource=CRDS)

    result = shop.engine.run("try-1", SPEC)

    assert result.results.errors == ()
    assert shop.names(WIDGETS, "shop") == ["child", "parent"]
    assert waits == []


def test_a_type_that_is_going_takes_nothing_new():
    """While its definition is deleted, a type is served without the verb create."""
    served = APIResource(
        group="example.com",
        version="v1",
        resource="widgets",
        kind="Widget",
        namespaced=True,
        verbs=frozenset({"get", "list", "delete"}),
    )

    assert not takes_new(served)


def test_a_namespace_that_may_not_be_made(make_shop, waits):
    """Nobody waits for a namespace that the server refuses to make."""
    shop = make_shop([NAMESPACE, owned("of", "none")], as_is=True, observer=waits)
    shop.simulated.faults.forbid(verb="create")

    result = shop.engine.run("try-1", SPEC)

    assert failed(result) == ["of", "shop"]
    assert waits == []


def test_a_namespace_that_may_be_neither_read_nor_made(shop, waits):
    """Everything failed for the want of a namespace that was there, unseen."""
    shop.simulated.faults.forbid(resource="namespaces")

    result = shop.engine.run("try-1", SPEC)

    assert failed(result) == ["shop"]
    assert shop.names("configmaps", "shop") == ["of"]
    assert waits == []


def test_a_look_that_fails_is_told_of_what_was_looked_at(shop):
    """The line of each object cites itself, and not the one that was looked at first."""
    shop.simulated.load([DEFINITION])
    shop.simulated.faults.forbid(verb="get", resource=WIDGETS)

    found = lines(shop.engine.plan("try-1", SPEC))

    assert f"cannot get {WIDGETS} shop/child" in found["Widget/child"].reason
    assert f"cannot get {WIDGETS} shop/parent" in found["Widget/parent"].reason


def test_only_what_may_not_be_read_is_unknown(shop):
    """That one object may not be read does not make its neighbours unknown."""
    shop.simulated.load([DEFINITION])
    shop.simulated.faults.fail(
        verb="get", resource=WIDGETS, name="child", status=403, times=None
    )

    found = lines(shop.engine.plan("try-1", SPEC))

    assert found["Widget/child"].action == "unknown"
    assert found["Widget/parent"].action == "create"


def test_a_plan_says_what_the_account_may_not_write(make_shop):
    """Of what cannot be tried, for want of its namespace, the rights tell already."""
    shop = make_shop([NAMESPACE, owned("of", "none")], as_is=True)
    shop.simulated.faults.forbid(verb="create", resource="configmaps")

    text = said(shop.engine.plan("try-1", SPEC, TRIED))

    assert "this account may not create configmaps in shop" in text


def test_who_may_do_everything_is_asked_about_once(shop):
    """A plan of somebody with all rights costs one review and says nothing of it."""
    plan = shop.engine.plan("try-1", SPEC, TRIED)

    assert "may not" not in said(plan)
    assert shop.simulated.calls[REVIEWS] == 1


def test_a_plan_that_writes_nothing_asks_for_no_rights(shop):
    """Where all is as in the backup nobody needs a right to write."""
    shop.engine.run("try-1", SPEC)
    before = shop.simulated.calls[REVIEWS]

    shop.engine.plan("try-2", SPEC, TRIED)

    assert shop.simulated.calls[REVIEWS] == before


def test_a_server_that_answers_no_reviews_does_not_fail_the_plan(shop):
    """Without reviews nothing is known of the rights, and nothing said."""
    shop.simulated.faults.forbid(verb="create")
    shop.simulated.faults.forbid(resource="selfsubjectaccessreviews")

    plan = shop.engine.plan("try-1", SPEC, TRIED)

    assert "this account" not in said(plan)


def test_a_big_plan_asks_for_some_rights_and_says_so(make_shop):
    """Hundreds of namespaces do not make hundreds of reviews."""
    items = [owned("of", "none") for _ in range(40)]
    for number, item in enumerate(items):
        item["metadata"] |= {"namespace": f"n{number:02}"}
    shop = make_shop(items, as_is=True)
    shop.simulated.faults.forbid(verb="create", resource="configmaps")

    text = said(shop.engine.plan("try-1", SPEC, TRIED))

    assert "create configmaps in n00" in text
    assert "9 more types and namespaces were not asked about" in text
    assert shop.simulated.calls[REVIEWS] == 33
