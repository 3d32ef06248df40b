"""What actions ask for at a restore: the filters decide, labels do not."""

import pytest
from plan_samples import namespace

from kbackup.models import RestoreSpec


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

    needs = f"needs persistentvolumeclaims/{where}/data"
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
