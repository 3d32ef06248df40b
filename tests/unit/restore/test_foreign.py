"""What plugins and transforms change in an item is shown before it is done."""

import json

import attrs
import pytest
from shop_samples import COPY, NAMESPACE, SECRET, SETTINGS, WEB

from kbackup._kits.differences import HIDDEN, Difference
from kbackup.models import (
    ResourceModifiers,
    ResourceSelector,
    RestoreOptions,
    RestoreSpec,
)
from kbackup.plugins import PluginManager, RestoreOutput, hookimpl
from kbackup.restore import PlanAction, RestorePlan, quiesce
from kbackup.restore._verdicts.foreign import ForeignChanges

SPEC = RestoreSpec(backup_name="shop-1")
UPDATE = RestoreSpec(backup_name="shop-1", existing_resource_policy="update")
IMAGE = Difference(
    path="spec.template.spec.containers[web].image",
    op="change",
    left="web:1",
    right="mirror/web:1",
)


@attrs.define
class Acting:
    """An action of a plugin, made of a function."""

    function: object
    kinds: tuple = ()
    name: str = "acme.io/images"

    @property
    def applies_to(self):
        """Every type, or the given ones."""
        return ResourceSelector(included_resources=self.kinds)

    def execute(self, given):
        """Answer what the function makes of the item."""
        return RestoreOutput(item=self.function(given.item))

    @hookimpl
    def kbackup_register_restore_item_actions(self):
        """Offer itself."""
        return {self.name: self}


def mirrored(item):
    """Take the images from elsewhere, in a copy of the item."""
    if item["kind"] != "Deployment":
        return item
    copied = json.loads(json.dumps(item))
    for container in copied["spec"]["template"]["spec"]["containers"]:
        container["image"] = f"mirror/{container['image']}"
    return copied


def mirrored_in_place(item):
    """The same, as nobody is to do it."""
    item["spec"] = mirrored(item)["spec"]
    return item


def labelled(item):
    """Label what comes."""
    labels = {**item["metadata"].get("labels", {}), "team": "a"}
    return {**item, "metadata": {**item["metadata"], "labels": labels}}


def unlabelled(item):
    """Take the label back."""
    labels = {k: v for k, v in item["metadata"]["labels"].items() if k != "team"}
    return {**item, "metadata": {**item["metadata"], "labels": labels}}


def keyed(item):
    """Put another value into a Secret or a ConfigMap."""
    return {**item, "data": {"key": "bmV3"}} if "data" in item else item


def entry_of(plan, kind):
    """The one line about a kind."""
    (entry,) = [entry for entry in plan.entries if entry.kind == kind]
    return entry


def actions(*acting):
    """What to make an engine with."""
    return {"plugins": PluginManager(acting)}


@pytest.mark.parametrize("function", [mirrored, mirrored_in_place])
def test_a_plugin_that_changes_what_is_created(make_shop, function):
    """The line shows the image that will run, the one it was, and which plugin did it."""
    acting = Acting(function, ("deployments",))
    shop = make_shop([NAMESPACE, WEB, SETTINGS], **actions(acting))

    plan = shop.engine.plan("try-1", COPY)
    shop.engine.apply(plan)

    entry = entry_of(plan, "Deployment")
    assert (entry.action, entry.reason) == ("create", "changed by acme.io/images")
    assert entry.changes == (IMAGE,)
    assert f"~ {IMAGE.path}: 'web:1' -> 'mirror/web:1'" in str(plan)
    assert entry_of(plan, "ConfigMap").changes == ()
    live = shop.object("deployments.apps", "copy", "web")["spec"]["template"]["spec"]
    assert live["containers"][0]["image"] == "mirror/web:1"


def test_a_copy_that_is_kept_still(make_shop):
    """With --quiesce the line says that nothing will run, and what ran before."""
    shop = make_shop([NAMESPACE, WEB, SETTINGS])

    plan = shop.engine.plan("try-1", COPY, RestoreOptions(transforms=[quiesce]))

    entry = entry_of(plan, "Deployment")
    assert entry.reason == "changed by kbackup.restore.quiesce"
    assert "~ spec.replicas: 3 -> 0" in str(plan)
    assert entry_of(plan, "ConfigMap").reason == ""


def test_plugin_and_transform(make_shop):
    """Everybody who changed an item is named, in order; who only looked is not."""
    looking = Acting(dict, name="acme.io/looking")
    shop = make_shop(
        [NAMESPACE, WEB], **actions(Acting(mirrored, ("deploy",)), looking)
    )
    options = RestoreOptions(transforms=[dict, quiesce, labelled])

    plan = shop.engine.plan("try-1", COPY, options)

    by = f"acme.io/images, kbackup.restore.quiesce, {__name__}.labelled"
    entry = entry_of(plan, "Deployment")
    assert entry.reason == f"changed by {by}"
    assert [change.path for change in entry.changes] == [
        "metadata.annotations",
        "metadata.labels.team",
        "spec.replicas",
        IMAGE.path,
    ]


def of_another_version(item):
    """Make an object of a version that is nobody's."""
    return {**item, "apiVersion": "v2"}


def of_another_kind(item):
    """Make a Secret of it, in place."""
    item["kind"] = "Secret"
    return item


def of_no_namespace(item):
    """Forget the namespace."""
    name = item["metadata"]["name"]
    return {**item, "metadata": {"name": name}}


@pytest.mark.parametrize(
    "function", [of_another_version, of_another_kind, of_no_namespace]
)
def test_a_transform_that_makes_something_else(make_shop, function):
    """What could never be written as planned is a conflict of the plan, by name."""

    def changing(item):
        return function(item) if item["kind"] == "ConfigMap" else item

    shop = make_shop([NAMESPACE, SETTINGS])

    plan = shop.engine.plan("try-1", SPEC, RestoreOptions(transforms=[changing]))

    (entry,) = [x for x in plan.entries if x.identifier.name == "settings"]
    assert entry.action == "conflict"
    assert "changing failed on configmaps/shop/settings: it changed apiV" in (
        entry.reason
    )


def test_an_action_that_makes_another_version(make_shop):
    """The same of a plugin's action."""
    acting = Acting(of_another_version, ("configmaps",))
    shop = make_shop([NAMESPACE, SETTINGS], **actions(acting))

    entry = entry_of(shop.engine.plan("try-1", SPEC), "ConfigMap")

    assert entry.action == "conflict"
    assert entry.reason == (
        "acme.io/images failed on configmaps/shop/settings: it changed apiVersion"
    )


SERVER_SET = {
    "uid": "8d",
    "resourceVersion": "7",
    "generation": 3,
    "managedFields": [],
    "creationTimestamp": "2026-01-01T00:00:00Z",
}


def server_set(item):
    """Set what only a server sets, and one thing more."""
    item["metadata"] |= SERVER_SET
    item["metadata"]["annotations"] = {"seen": "yes"}
    return item


@pytest.mark.parametrize("by", ["transform", "rule", "action"])
def test_what_only_a_server_sets(make_shop, by):
    """It is taken out again, whoever set it; the rest of the change is shown and done."""
    acting, options = (), RestoreOptions()
    if by == "action":
        acting = (Acting(server_set, ("configmaps",)),)
    elif by == "transform":
        options = RestoreOptions(transforms=[server_set])
    else:
        patch = {"metadata": SERVER_SET | {"annotations": {"seen": "yes"}}}
        text = json.dumps(
            {
                "version": "v1",
                "resourceModifierRules": [
                    {
                        "conditions": {"groupResource": "configmaps"},
                        "mergePatches": [{"patchData": json.dumps(patch)}],
                    }
                ],
            }
        )
        options = RestoreOptions(resource_modifiers=ResourceModifiers.from_yaml(text))
    shop = make_shop([NAMESPACE, SETTINGS], **actions(*acting))

    plan = shop.engine.plan("try-1", SPEC, options)
    result = shop.engine.apply(plan)

    entry = entry_of(plan, "ConfigMap")
    assert [x.path for x in entry.changes] == ["metadata.annotations"]
    assert result.results.errors == ()
    metadata = shop.object("configmaps", "shop", "settings")["metadata"]
    assert metadata["annotations"] == {"seen": "yes"}
    assert metadata["uid"] != "8d"
    assert shop.engine.plan("try-2", SPEC, options).is_empty


@pytest.mark.parametrize("spec", [SPEC, UPDATE], ids=["none", "update"])
def test_a_transform_that_gives_an_owner(make_shop, spec):
    """A second restore finds the object as the first one made it, owner and all."""
    owner = {"apiVersion": "v1", "kind": "Secret", "name": "key", "uid": "8d-1"}

    def owned(item):
        if item["kind"] == "ConfigMap":
            item["metadata"]["ownerReferences"] = [owner]
        return item

    shop = make_shop([NAMESPACE, SETTINGS])
    options = RestoreOptions(transforms=[owned])
    shop.engine.run("try-1", spec, options)

    again = shop.engine.plan("try-2", spec, options)

    assert entry_of(again, "ConfigMap").action == "unchanged"
    (settings,) = shop.simulated.objects("configmaps", "shop")
    assert settings["metadata"]["ownerReferences"] == [owner]


def test_what_comes_to_nothing_is_not_told(make_shop):
    """An item that ends as it would have been anyway is like all others."""
    shop = make_shop([NAMESPACE, WEB])
    options = RestoreOptions(transforms=[labelled, unlabelled])

    plan = shop.engine.plan("try-1", COPY, options)

    entry = entry_of(plan, "Deployment")
    assert (entry.reason, entry.changes) == ("", ())


def test_what_a_server_would_choose_counts(make_shop):
    """A Service that is given an address or a node port shows it: nobody chose it yet."""
    ports = [{"port": 80, "nodePort": 30080}]
    service = {"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 80}]}}
    service["metadata"] = {"name": "web", "namespace": "shop"}
    acting = Acting(
        lambda item: {**item, "spec": {**item["spec"], "ports": ports}}, ("services",)
    )
    shop = make_shop([NAMESPACE, service], **actions(acting))

    entry = entry_of(shop.engine.plan("try-1", COPY), "Service")

    assert "spec.ports[0].nodePort" in [change.path for change in entry.changes]


def test_a_namespace_that_is_made_for_what_is_in_it(make_shop):
    """A Namespace that the selection left out and a plugin labels is shown as well."""
    shop = make_shop(
        [NAMESPACE, SETTINGS], **actions(Acting(labelled, ("namespaces",)))
    )
    spec = attrs.evolve(COPY, included_resources=("configmaps",))

    entry = entry_of(shop.engine.plan("try-1", spec), "Namespace")

    assert entry.reason == "changed by acme.io/images"
    assert [change.path for change in entry.changes] == ["metadata.labels.team"]


def test_an_update_has_its_changes_in_the_differences(make_shop):
    """Against the live object they are there once, and the line says by whom."""
    shop = make_shop([NAMESPACE, SETTINGS])
    shop.simulated.load([NAMESPACE, SETTINGS])

    plan = shop.engine.plan("try-1", UPDATE, RestoreOptions(transforms=[keyed]))

    entry = entry_of(plan, "ConfigMap")
    assert entry.action is PlanAction.UPDATE
    assert entry.reason == f"changed by {__name__}.keyed"
    assert [x.path for x in entry.differences] == ["data.colour", "data.key"]
    assert entry.changes == ()


def test_no_value_of_a_secret_is_shown(make_shop):
    """Of a Secret, and of what is redacted, only the keys come out."""
    shop = make_shop([NAMESPACE, SECRET, {**SETTINGS, "data": {"key": "b2xk"}}])
    options = RestoreOptions(transforms=[keyed], redact=["configmaps"])

    plan = shop.engine.plan("try-1", COPY, options)

    hidden = Difference(path="data.key", op="change", left=HIDDEN, right=HIDDEN)
    assert entry_of(plan, "Secret").changes == (hidden,)
    assert entry_of(plan, "ConfigMap").changes == (hidden,)
    everything = f"{plan} {plan.summary()} {json.dumps(plan.to_json())}"
    assert "b2xk" not in everything
    assert "bmV3" not in everything


def test_a_saved_plan_shows_them(make_shop):
    """Who approves a file sees what will come up, and it comes up like that."""
    shop = make_shop([NAMESPACE, WEB])
    plan = shop.engine.plan("try-1", COPY, RestoreOptions(transforms=[mirrored]))

    document = json.loads(json.dumps(plan.to_json()))
    saved = RestorePlan.from_json(document, transforms=[mirrored])

    (line,) = [x for x in document["entries"] if x.get("kind") == "Deployment"]
    assert line["changes"] == [
        {"path": IMAGE.path, "op": "change", "from": "web:1", "to": "mirror/web:1"}
    ]
    assert saved.entries == plan.entries
    assert shop.engine.apply(saved).results.errors == ()


def test_nothing_is_made_twice_where_nobody_changes(make_shop, monkeypatch):
    """A restore without foreign code pays nothing for it."""
    shop, asked = make_shop(), []
    monkeypatch.setattr(ForeignChanges, "shown", lambda *given: asked.append(given))

    plan = shop.engine.plan("try-1", SPEC)

    assert asked == []
    assert not any(entry.changed_by for entry in plan.entries)
