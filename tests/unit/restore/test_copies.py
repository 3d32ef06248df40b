"""A copy beside its original, in one cluster: it takes nothing from the original."""

import json

import attrs
import pytest

from kbackup.models import RestoreOptions, RestoreSpec
from kbackup.restore import PlanAction, RestorePlan

RBAC = "rbac.authorization.k8s.io"
BINDINGS = f"clusterrolebindings.{RBAC}"
COPY = RestoreSpec(
    backup_name="shop-1",
    namespace_mapping={"shop": "shop-copy"},
    existing_resource_policy="update",
    include_cluster_resources=True,
)
UPDATE = RestoreOptions(existing_cluster_resource_policy="update")
TAKEN = "the original may lose it"


def _subject(name="web", namespace="shop"):
    """A ServiceAccount in a binding."""
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def _binding(*subjects, namespace="", role="reader", **metadata):
    """A binding, cluster-wide unless a namespace is given."""
    metadata |= {"name": "nodes"} | ({"namespace": namespace} if namespace else {})
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": list(subjects),
    }


def _namespace(name):
    """A Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _line(plan, name):
    """The line of one item."""
    return next(entry for entry in plan.entries if entry.target.name == name)


def _told(plan, words):
    """The items of the notice that has these words."""
    found = [notice for notice in plan.notices if words in notice.what]
    return [str(item) for notice in found for item in notice.items]


def test_the_original_keeps_its_rights(make_shop):
    """A binding that both need binds both, and the plan shows just what is added."""
    shop = make_shop([_namespace("shop"), _binding(_subject())])
    shop.simulated.load([_binding(_subject())])

    plan = shop.engine.plan("try-1", COPY, UPDATE)
    result = shop.engine.apply(RestorePlan.from_json(json.dumps(plan.to_json())))

    line = _line(plan, "nodes")
    assert line.action is PlanAction.UPDATE
    assert [(x.op, x.path) for x in line.differences] == [("add", "subjects[1]")]
    assert _told(plan, TAKEN) == []
    assert result.results.errors == ()
    live = shop.object(BINDINGS, "", "nodes")
    assert live["subjects"] == [_subject(), _subject(namespace="shop-copy")]
    assert shop.engine.plan("try-2", COPY, UPDATE).is_empty


def test_a_merged_binding_that_is_there_is_done(make_shop):
    """The same plan a second time, as after a kill, finds the subject added already."""
    shop = make_shop([_namespace("shop"), _binding(_subject())])
    shop.simulated.load([_binding(_subject())])
    plan = shop.engine.plan("try-1", COPY, UPDATE)
    shop.engine.apply(plan)

    result = shop.engine.apply(plan)

    [outcome] = [x for x in result.outcomes if x.identifier.name == "nodes"]
    assert (outcome.action, outcome.reason) == ("unchanged", "done already")
    assert result.exit_code == 0


def test_a_binding_of_another_namespace_keeps_its_subjects(make_shop):
    """A RoleBinding outside the copied namespace is given the copy's accounts as well."""
    shop = make_shop([_namespace("shop"), _binding(_subject(), namespace="ops")])
    live = _binding(_subject(), _subject("more"), namespace="ops")
    shop.simulated.load([_namespace("ops"), live])

    result = shop.engine.run("try-1", COPY)

    assert result.results.errors == ()
    found = shop.object(f"rolebindings.{RBAC}", "ops", "nodes")["subjects"]
    assert found == [_subject(), _subject("more"), _subject(namespace="shop-copy")]


@pytest.mark.parametrize(
    ("subjects", "namespace", "reason"),
    [
        (
            [_subject()],
            "",
            (
                "subject ServiceAccount shop-copy/web: it is left as it is; "
                "--existing-cluster-resource-policy update adds it"
            ),
        ),
        (
            [_subject(), _subject("till"), {"kind": "User", "name": "ann"}],
            "ops",
            (
                "subjects ServiceAccount shop-copy/web, ServiceAccount shop-copy/till, "
                "User ann: it is left as it is; --existing-resource-policy update adds them"
            ),
        ),
    ],
    ids=["cluster-wide", "in a namespace"],
)
def test_a_copy_that_lacks_a_grant_is_told(make_shop, subjects, namespace, reason):
    """Where a binding is left as it is, a warning says whom it does not bind, and how."""
    backup = _binding(*subjects, namespace=namespace)
    live = _binding(_subject(), namespace=namespace)
    shop = make_shop([_namespace("shop"), backup])
    shop.simulated.load([_namespace("ops"), live])

    result = shop.engine.run("try-1", attrs.evolve(COPY, existing_resource_policy=None))

    told = [each.message for each in result.results.warnings]
    assert told == [f"not restored: exists without {reason}"]


@pytest.mark.parametrize(
    ("live", "options"),
    [
        (_binding(_subject(), role="admin"), RestoreOptions()),
        (
            _binding(_subject(namespace="shop-copy"), labels={"a": "b"}),
            RestoreOptions(),
        ),
        (_binding(_subject()), RestoreOptions(redact=[BINDINGS])),
    ],
    ids=["another role", "nothing is lacking", "hidden"],
)
def test_no_grant_is_promised_where_none_would_be_added(make_shop, live, options):
    """A binding that differs in another way, or is hidden, just differs."""
    shop = make_shop([_namespace("shop"), _binding(_subject())])
    shop.simulated.load([live])

    plan = shop.engine.plan("try-1", COPY, options)

    assert _line(plan, "nodes").reason == "exists and differs; it is left as it is"


def test_under_its_own_name_a_binding_becomes_as_in_the_backup(make_shop):
    """Without a mapping, policy update takes away the subjects that came since."""
    shop = make_shop([_namespace("shop"), _binding(_subject())])
    shop.simulated.load([_binding(_subject(), _subject("later"))])
    spec = RestoreSpec(backup_name="shop-1", include_cluster_resources=True)

    shop.engine.run("try-1", spec, UPDATE)

    assert shop.object(BINDINGS, "", "nodes")["subjects"] == [_subject()]


def test_another_role_is_a_conflict(make_shop):
    """To a binding of another role no subject is added: that would be another grant."""
    shop = make_shop([_namespace("shop"), _binding(_subject())])
    shop.simulated.load([_binding(_subject(), role="admin")])

    plan = shop.engine.plan("try-1", COPY, UPDATE)

    assert _line(plan, "nodes").action is PlanAction.CONFLICT
    assert "roleRef" in _line(plan, "nodes").reason


def _volume(claim_namespace="shop", **metadata):
    """A volume that is bound to a claim."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "disk", **metadata},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/srv/disk"},
            "claimRef": {"namespace": claim_namespace, "name": "orders"},
        },
    }


@pytest.mark.parametrize(
    ("live", "mapping", "action", "told"),
    [
        (_volume(), {"shop": "shop-copy"}, PlanAction.CONFLICT, "shop/orders"),
        (_volume("far"), {"shop": "shop-copy"}, PlanAction.CONFLICT, "far/orders"),
        (_volume("far"), {}, PlanAction.CONFLICT, "far/orders"),
        (_volume(labels={"a": "b"}), {}, PlanAction.UPDATE, ""),
        (_volume("shop-copy"), {"shop": "shop-copy"}, PlanAction.UNCHANGED, ""),
    ],
    ids=["the original's", "another's", "another's, no copy", "its own", "the copy's"],
)
def test_a_volume_is_not_taken_from_its_claim(make_shop, live, mapping, action, told):
    """No update of volumes gives the disk of one claim to another one."""
    shop = make_shop([_namespace("shop"), _volume()])
    shop.simulated.load([live])
    spec = RestoreSpec(
        backup_name="shop-1", namespace_mapping=mapping, include_cluster_resources=True
    )

    plan = shop.engine.plan("try-1", spec, UPDATE)
    shop.engine.apply(plan)

    line = _line(plan, "disk")
    assert line.action is action
    assert (f"it belongs to claim {told}" in line.reason) is bool(told)
    kept = shop.object("persistentvolumes", "", "disk")["spec"]["claimRef"]
    assert kept == live["spec"]["claimRef"]


def _storage_class(tier):
    """A StorageClass of a tier."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "fast", "labels": {"tier": tier}},
        "provisioner": "disks.example.com",
    }


def _for_the_copy(item):
    """A transform: the copy's class is of another tier."""
    if item["kind"] == "StorageClass":
        item["metadata"]["labels"]["tier"] = "copy"
    return item


@pytest.mark.parametrize(
    ("live", "mapping", "told"),
    [
        ("a", {"shop": "shop-copy"}, ["storageclasses.storage.k8s.io/fast"]),
        ("a", {}, []),
        ("b", {"shop": "shop-copy"}, []),
    ],
    ids=["as in the backup", "under its own name", "not the original's"],
)
def test_what_only_the_copy_changes_is_told(make_shop, live, mapping, told):
    """A cluster-wide object that the original uses is named before a copy changes it."""
    shop = make_shop([_namespace("shop"), _storage_class("a")])
    shop.simulated.load([_storage_class(live)])
    spec = RestoreSpec(
        backup_name="shop-1", namespace_mapping=mapping, include_cluster_resources=True
    )
    options = attrs.evolve(UPDATE, transforms=[_for_the_copy])

    plan = shop.engine.plan("try-1", spec, options)

    assert _line(plan, "fast").action is PlanAction.UPDATE
    assert _told(plan, TAKEN) == told
