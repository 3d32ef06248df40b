"""What actions ask for at a restore: the filters decide, labels do not."""

import threading
from datetime import timedelta

import pytest
from plan_samples import config_map, namespace

from kbackup.models import (
    EngineSettings,
    GroupResource,
    LabelSelector,
    ResourceIdentifier,
    ResourceSelector,
    RestorePhase,
    RestoreSpec,
)
from kbackup.plugins import PluginManager, RestoreOutput, hookimpl

MAPS = GroupResource("", "configmaps")


def _claim():
    """A claim."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "shop"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


def _pod():
    """A Pod that mounts the claim."""
    mounted = {"name": "d", "persistentVolumeClaim": {"claimName": "data"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"containers": [{"name": "c", "image": "i"}], "volumes": [mounted]},
    }


def _planned(shop, **spec):
    """The objects that a restore would create."""
    plan = shop.engine.plan("try-1", RestoreSpec(backup_name="shop-1", **spec))
    return plan, {e.kind for e in plan.entries if e.action == "create"}


@pytest.mark.parametrize(
    ("spec", "comes"),
    [
        ({"included_resources": ("pods",)}, False),
        ({"excluded_resources": ("pvc",)}, False),
        ({"included_resources": ("pods", "pvc")}, True),
    ],
    ids=str,
)
def test_types_are_filtered_once_more(make_shop, spec, comes):
    """Who restores Pods alone gets no claims, though each Pod asks for its own."""
    shop = make_shop([namespace(), _claim(), _pod()])

    _, created = _planned(shop, **spec)

    assert "Pod" in created
    assert ("PersistentVolumeClaim" in created) is comes


@pytest.mark.parametrize("mapping", [{}, {"shop": "copy"}], ids=str)
def test_what_neither_backup_nor_target_has_is_told(make_shop, mapping):
    """A claim that a Pod needs and nobody has: told before, and a warning afterwards."""
    shop = make_shop([namespace(), _pod()])
    where = mapping.get("shop", "shop")

    plan, created = _planned(shop, namespace_mapping=mapping)
    first = shop.engine.apply(plan)
    again = shop.engine.run("try-2", plan.spec)

    needs = (
        f"needs persistentvolumeclaims/{where}/data (says velero.io/add-pvc-from-pod)"
    )
    told = f"{needs}, which neither the backup nor the target has"
    assert "Pod" in created
    assert f"{told}: pods/{where}/web" in [str(notice) for notice in plan.notices]
    assert f"pods/{where}/web: {told}" in [str(x) for x in first.results.warnings]
    assert not [x for x in again.results.warnings if told in str(x)]


def test_what_the_target_has_is_not_missed(make_shop):
    """A claim that only the target has is what the Pod will mount: nothing is told."""
    shop = make_shop([namespace(), _pod()])
    shop.simulated.load([namespace(), _claim()])

    plan, _ = _planned(shop)

    assert not [x for x in plan.notices if "the target has" in x.what]


def test_a_claim_does_without_its_volume(make_shop):
    """A volume that nobody has is not missed: the claim's own line says what comes."""
    bound = _claim()
    bound["spec"]["volumeName"] = "pv-1"
    bound["status"] = {"phase": "Bound"}
    shop = make_shop([namespace(), bound], as_is=True)

    plan, _ = _planned(shop)
    result = shop.engine.apply(plan)

    assert not [x for x in plan.notices if "the target has" in x.what]
    (line,) = plan.claims
    assert [x.message for x in result.results.warnings] == [line.text]


# --- actions of others ----------------------------------------------------------------


def _plugins(answer):
    """Plugins with an action that asks, about a ConfigMap, for what *answer* names."""

    class Action:
        """Asks."""

        name = "example.com/asks"
        applies_to = ResourceSelector(included_resources=("configmaps",))

        @staticmethod
        def execute(given):
            """Ask by the item's name."""
            names = answer(given.identifier.name)
            asked = (ResourceIdentifier(MAPS, "shop", name) for name in names)
            return RestoreOutput(item=given.item, additional_items=tuple(asked))

    class Module:
        """A plugin."""

        __name__ = "test_plugin"

        @staticmethod
        @hookimpl
        def kbackup_register_restore_item_actions():
            return {Action.name: Action()}

    return PluginManager(plugins=[Module])


def _labelled(name):
    """The one ConfigMap that the selector selects."""
    first = config_map(name)
    first["metadata"]["labels"] = {"app": "web"}
    return first


def _restored(shop):
    """The names of what comes back with the one that is labelled."""
    spec = RestoreSpec(
        backup_name="shop-1", label_selector=LabelSelector.parse("app=web")
    )
    result = shop.engine.run("try-1", spec)
    assert result.results.errors == ()
    assert result.restore.status.phase is RestorePhase.COMPLETED
    return shop.names("configmaps", "shop")


def test_items_that_ask_for_each_other(make_shop):
    """A circle ends, also that of an item with itself: each of it is restored once."""
    asks = {"a": "ab", "b": "c", "c": "a", "d": ""}
    objects = [namespace(), _labelled("a"), *map(config_map, "bcd")]
    shop = make_shop(objects, plugins=_plugins(asks.__getitem__))

    assert _restored(shop) == ["a", "b", "c"]


def test_who_asks_for_what_is_nowhere(make_shop):
    """The action is named that wants it, in the plan and in the warning."""
    asks = {"a": ("gone",)}
    plugins = _plugins(lambda name: asks.get(name, ()))
    shop = make_shop([namespace(), config_map("a")], plugins=plugins)

    plan, _ = _planned(shop)
    result = shop.engine.apply(plan)

    told = "needs configmaps/shop/gone (says example.com/asks), which neither"
    assert any(told in str(notice) for notice in plan.notices)
    assert any(told in str(warning) for warning in result.results.warnings)


def test_a_thousand_items(make_shop):
    """However many one item asks for, each comes back."""
    names = [f"c{number:04}" for number in range(1000)]
    objects = [namespace(), _labelled("a"), *map(config_map, names)]
    answer = {"a": names}
    plugins = _plugins(lambda name: answer.get(name, ()))

    assert _restored(make_shop(objects, plugins=plugins)) == ["a", *names]


def test_an_action_that_hangs(make_shop):
    """It costs its item, by its name and the item's, and is not asked again."""
    release = threading.Event()

    def answer(name):
        if name == "b":
            release.wait(30)
        return ()

    shop = make_shop(
        [namespace(), *map(config_map, "abc")],
        plugins=_plugins(answer),
        settings=EngineSettings(action_timeout=timedelta(seconds=0.2)),
    )
    result = shop.engine.run("try-1", RestoreSpec(backup_name="shop-1"))
    release.set()

    told = {each.item.name: str(each) for each in result.results.errors}
    assert set(told) == {"b", "c"}
    assert "example.com/asks did not come back" in told["b"]
    assert "not called again" in told["c"]
    assert "example.com/asks" in told["c"]
    assert shop.names("configmaps", "shop") == ["a"]
