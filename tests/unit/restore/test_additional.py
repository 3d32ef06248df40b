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


def test_what_neither_backup_nor_target_has_is_told(make_shop):
    """A claim that a Pod needs and nobody has is named with the Pod, which comes."""
    shop = make_shop([namespace(), _pod()])

    plan, created = _planned(shop)

    assert "Pod" in created
    asked = "pods/shop/web needs persistentvolumeclaims/shop/data"
    told = f"{asked}, which the backup does not have"
    assert told in [notice.what for notice in plan.notices]


def test_what_the_target_has_is_not_missed(make_shop):
    """A claim that only the target has is what the Pod will mount: nothing is told."""
    shop = make_shop([namespace(), _pod()])
    shop.simulated.load([namespace(), _claim()])

    plan, _ = _planned(shop)

    assert not [x for x in plan.notices if "which the backup does not have" in x.what]
