"""A mapping that meets nothing in the backup is told in the plan, and so is a near name."""

import pytest

from kbackup.models import RestoreOptions, RestoreSpec, qualified_name
from kbackup.restore.transforms import ingress_hosts, registry, storage_class

CLASSES = "velero.io/change-storage-class"


def _object(api, kind, name, namespace="shop", **more):
    """An object."""
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **more}


OBJECTS = [
    _object("v1", "Namespace", "shop", ""),
    _object("v1", "Namespace", "other", ""),
    _object("v1", "ConfigMap", "settings", "other"),
    _object(
        "v1",
        "PersistentVolumeClaim",
        "data",
        spec={
            "storageClassName": "fast",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    ),
    _object(
        "networking.k8s.io/v1",
        "Ingress",
        "web",
        spec={"rules": [{"host": "shop.example.com"}]},
    ),
    _object(
        "apps/v1",
        "Deployment",
        "web",
        spec={
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "quay.io/acme/web:1"}]},
            },
        },
    ),
]


@pytest.fixture(name="told")
def fixture_told(make_shop):
    """Plans a restore and returns what it says about no item."""
    shop = make_shop(OBJECTS)

    def told(*transforms, spec=None, **options):
        plan = shop.engine.plan(
            "try-1",
            spec or RestoreSpec(backup_name="shop-1"),
            RestoreOptions(transforms=transforms, **options),
        )
        return [each.what for each in plan.notices if not each.items]

    return told


UNMET = {
    "class": (storage_class({"fasst": "slow"}), "storage_class", "fasst", "fast"),
    "registry": (registry({"quay.ioo": "r.io"}), "registry", "quay.ioo", "quay.io"),
    "path": (
        registry({"quay.io": "r.io", "quay.io/acmee": "r.io/x"}),
        "registry",
        "quay.io/acmee",
        "quay.io/acme",
    ),
    "host": (
        ingress_hosts({"shop.example.org": "a.b"}),
        "ingress_hosts",
        "shop.example.org",
        "shop.example.com",
    ),
    "domain": (
        ingress_hosts({"*.example.con": "*.test"}),
        "ingress_hosts",
        "*.example.con",
        "*.example.com",
    ),
}


@pytest.mark.parametrize(
    ("transform", "where", "old", "near"), UNMET.values(), ids=UNMET
)
def test_a_mapping_that_meets_nothing(told, transform, where, old, near):
    """Mistyped, it left everything as it was without a word."""
    said = [each for each in told(transform) if each.startswith(where)]

    assert said == [f"{where}: nothing has {old!r}; the nearest name is {near}"]


@pytest.mark.parametrize(
    "transform",
    [
        storage_class({"fast": "slow"}),
        registry({"quay.io": "r.io"}),
        registry({"quay.io/acme": "r.io"}),
        ingress_hosts({"shop.example.com": "a.b"}),
        ingress_hosts({"*.example.com": "*.test"}),
    ],
    ids=qualified_name,
)
def test_a_mapping_that_meets_something(told, transform):
    """Of a mapping that does what it was meant for nothing is said."""
    assert not [each for each in told(transform) if "nothing has" in each]


def test_a_name_that_has_no_near_one(told):
    """Without a name that may be meant there is no advice."""
    said = told(storage_class({"gold": "slow"}))

    assert "storage_class: nothing has 'gold'" in said


def test_settings_of_storage_classes(told):
    """The ConfigMap's way to rename classes is told of as well."""
    right = told(action_settings={CLASSES: {"fast": "slow"}})
    wrong = told(action_settings={CLASSES: {"fasst": "slow", "fast": "slow"}})

    assert not [each for each in right if "nothing has" in each]
    fact = f"{CLASSES}: nothing has 'fasst'"
    assert [each for each in wrong if "nothing has" in each] == [fact]


def test_the_plan_names_the_transform_and_can_be_carried_out(make_shop):
    """What is watched while planning is the transform that the user gave."""
    shop = make_shop(OBJECTS)
    options = RestoreOptions(transforms=[registry({"quay.io": "r.io", "x.io": "y.io"})])

    plan = shop.engine.plan("try-1", RestoreSpec(backup_name="shop-1"), options)
    shop.engine.apply(plan)

    (entry,) = [each for each in plan.entries if each.kind == "Deployment"]
    assert entry.changed_by == (qualified_name(options.transforms[0]),)
    assert plan.options.transforms == options.transforms
    pod = shop.object("deployments.apps", "shop", "web")["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "r.io/acme/web:1"


def test_a_mapped_namespace_that_is_not_selected(told):
    """A mapping beside which the filters leave nothing does nothing, and one is told."""
    spec = RestoreSpec(
        backup_name="shop-1",
        included_namespaces=["other"],
        namespace_mapping={"shop": "copy", "other": "copy-2"},
    )

    said = [each for each in told(spec=spec) if each.startswith("namespace mapping")]

    assert said == ["namespace mapping: nothing of 'shop' is selected"]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("deploy/shop/webb", "deployments.apps/shop/web"),
        ("ingress/shop/web", ""),
        ("cm/nowhere/x", ""),
    ],
)
def test_an_object_with_a_policy_that_is_not_restored(told, name, near):
    """Mistyped, its policy was that of all others without a word."""
    policies = {name: "recreate", "deployments": "none"}
    said = told(existing_policies=policies)

    found = [each for each in said if each.startswith("existing policies")]
    fact = f"existing policies: nothing of this restore is {name}"
    if name.startswith("ingress"):
        assert not found  # it is there
    else:
        assert found == [f"{fact}; the nearest object is {near}" if near else fact]


def test_an_object_with_a_policy_in_a_copy(told):
    """Policies are for objects of the target: the name in the backup is no match."""
    spec = RestoreSpec(backup_name="shop-1", namespace_mapping={"shop": "shop-2"})
    wrong = told(spec=spec, existing_policies={"deploy/shop/web": "recreate"})
    right = told(spec=spec, existing_policies={"deploy/shop-2/web": "recreate"})

    near = "the nearest object is deployments.apps/shop-2/web"
    assert (
        f"existing policies: nothing of this restore is deploy/shop/web; {near}"
        in wrong
    )
    assert not [each for each in right if each.startswith("existing policies")]
