"""A claim that has no volume yet waits for its source, which may not be there."""

import pytest

from kbackup.models import RestoreSpec
from kbackup.restore._volumes.claim_sources import ClaimSource, source_of

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
SNAPSHOT = {
    "apiGroup": "snapshot.storage.k8s.io",
    "kind": "VolumeSnapshot",
    "name": "nightly",
}


def claim(name="data", **spec):
    """A claim that was never bound."""
    body = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        **spec,
    }
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": body,
        "status": {"phase": "Pending"},
    }


def clone_of(name):
    """What a claim says that copies another one."""
    return {"dataSource": {"kind": "PersistentVolumeClaim", "name": name}}


def problems(shop, **more):
    """What the claims of the backup will wait for, by name."""
    plan = shop.engine.plan("try-1", RestoreSpec(backup_name="shop-1", **more))
    return {line.target.name: line.problems for line in plan.claims}


@pytest.mark.parametrize("field", ["dataSource", "dataSourceRef"])
def test_a_snapshot_that_the_target_lacks(make_shop, field):
    """The claim was announced as a new volume, and stayed Pending for ever."""
    shop = make_shop([claim(**{field: SNAPSHOT})], as_is=True)

    found = problems(shop)

    words = "waits for VolumeSnapshot nightly, which is not there"
    assert found == {"data": (words,)}


def test_the_result_warns_of_it(make_shop):
    """What the plan said is a warning by name when it is done."""
    shop = make_shop([claim(dataSource=SNAPSHOT)], as_is=True)

    result = shop.engine.run("try-1", RestoreSpec(backup_name="shop-1"))

    assert any(
        "VolumeSnapshot nightly" in str(each) for each in result.results.warnings
    )


def test_a_claim_that_is_copied_from_another_one(make_shop):
    """The other claim is in the restore or in the target, whatever their order."""
    items = [claim("a", **clone_of("z")), claim("b", **clone_of("there")), claim("z")]
    shop = make_shop(items, as_is=True)
    shop.simulated.load([NAMESPACE, claim("there")])

    assert problems(shop) == {"a": (), "b": (), "z": ()}


def test_a_copy_under_another_name(make_shop):
    """The source is looked for in the namespace that the claim is restored into."""
    items = [claim("a", **clone_of("z")), claim("b", **clone_of("there")), claim("z")]
    shop = make_shop(items, as_is=True)
    shop.simulated.load([NAMESPACE, claim("there")])

    found = problems(shop, namespace_mapping={"shop": "copy"})

    words = "waits for PersistentVolumeClaim there, which is not there"
    assert found == {"a": (), "b": (words,), "z": ()}


def test_a_claim_of_another_namespace(make_shop):
    """One of the same name beside it is not what it is copied from."""
    far = {"kind": "PersistentVolumeClaim", "name": "z", "namespace": "far"}
    shop = make_shop([claim("a", dataSourceRef=far), claim("z")], as_is=True)

    found = problems(shop)

    assert found["a"] == ("waits for PersistentVolumeClaim z, which is not there",)


@pytest.mark.parametrize(
    ("spec", "source"),
    [
        ({}, None),
        ({"dataSource": None}, None),
        ({"dataSource": {"kind": "VolumeSnapshot"}}, None),
        ({"dataSource": "odd"}, None),
        (
            {"dataSource": SNAPSHOT},
            ClaimSource("snapshot.storage.k8s.io", "VolumeSnapshot", "nightly", "ns"),
        ),
        (
            {"dataSourceRef": {**SNAPSHOT, "namespace": "far"}, "dataSource": {}},
            ClaimSource("snapshot.storage.k8s.io", "VolumeSnapshot", "nightly", "far"),
        ),
    ],
)
def test_what_a_claim_is_filled_from(spec, source):
    """The newer field goes first, and may name another namespace."""
    assert source_of({"spec": spec}, "ns") == source
