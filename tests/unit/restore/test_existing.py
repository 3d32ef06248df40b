"""What becomes of an object that the target has already."""

import copy

import pytest

from kbackup._kits.patches import merge_patch
from kbackup.restore._comparing.existing import (
    ExistingRules,
    decide,
    update_patch,
)
from kbackup.restore._comparing.merging import merged_account
from kbackup.restore._plan_entry import PlanAction, Precondition

UPDATE = ExistingRules(update=True, update_cluster=True)
SEEN = Precondition("8d", "41")


def _item(version, kind, namespace="shop", **body):
    """An object of the backup or of the cluster."""
    metadata = {"name": "x", "labels": {"app": "web"}}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": version, "kind": kind, "metadata": metadata} | body


def _action(desired, live, rules=UPDATE):
    """What is decided."""
    return decide(desired, live, rules).action


def test_equal_objects_are_unchanged():
    """What is equal but for what the server writes is left alone."""
    desired = _item("v1", "ConfigMap", data={"a": "1"})
    live = copy.deepcopy(desired) | {"status": {"x": 1}}
    live["metadata"] |= {"uid": "8d", "resourceVersion": "4"}

    assert _action(desired, live) is PlanAction.UNCHANGED


def test_without_policy_a_different_object_is_left():
    """By default an object that exists and differs is skipped, with the difference."""
    verdict = decide(
        _item("v1", "ConfigMap", data={"a": "1"}),
        _item("v1", "ConfigMap", data={"a": "2"}),
        ExistingRules(),
    )

    assert verdict.action is PlanAction.SKIP
    assert [x.path for x in verdict.differences] == ["data.a"]


def test_with_update_a_different_object_is_changed():
    """The difference goes from the live object to the backup's, removals included."""
    verdict = decide(
        _item("v1", "ConfigMap", data={"a": "1"}),
        _item("v1", "ConfigMap", data={"a": "2", "b": "3"}),
        UPDATE,
    )

    assert verdict.action is PlanAction.UPDATE
    assert [(x.op, x.path) for x in verdict.differences] == [
        ("change", "data.a"),
        ("remove", "data.b"),
    ]


def test_cluster_scoped_objects_have_their_own_policy():
    """`update` for namespaced objects leaves cluster-scoped ones alone."""
    desired = _item("storage.k8s.io/v1", "StorageClass", "", allowVolumeExpansion=True)
    live = _item("storage.k8s.io/v1", "StorageClass", "", allowVolumeExpansion=False)

    assert _action(desired, live, ExistingRules(update=True)) is PlanAction.SKIP
    assert _action(desired, live, ExistingRules(update_cluster=True)) is (
        PlanAction.UPDATE
    )


def test_a_namespace_is_never_changed():
    """A Namespace that exists is skipped under every policy."""
    desired = _item("v1", "Namespace", "")
    live = copy.deepcopy(desired)
    live["metadata"]["labels"] = {"other": "1"}

    assert _action(desired, live) is PlanAction.SKIP


@pytest.mark.parametrize("kind", ["Namespace", "CustomResourceDefinition"])
def test_a_kind_of_another_group_is_changed(kind):
    """A custom resource that is only called a Namespace is one like all others."""
    desired = _item("example.com/v1", kind, "", spec={"versions": [{"name": "v2"}]})
    live = copy.deepcopy(desired) | {"status": {"storedVersions": ["v1"]}}
    live["spec"]["versions"][0]["served"] = True

    assert _action(desired, live) is PlanAction.UPDATE


@pytest.mark.parametrize(
    ("version", "kind", "path"),
    [
        ("apps/v1", "Deployment", ("selector", {"matchLabels": {"a": "1"}})),
        ("apps/v1", "StatefulSet", ("serviceName", "other")),
        ("batch/v1", "Job", ("completions", 5)),
        ("v1", "PersistentVolumeClaim", ("storageClassName", "other")),
        ("v1", "Pod", ("restartPolicy", "Never")),
        ("v1", "ResourceQuota", ("scopes", ["BestEffort"])),
    ],
)
def test_immutable_fields_are_conflicts(version, kind, path):
    """What the server would refuse to change is a conflict that names the field."""
    key, value = path
    desired = _item(version, kind, spec={key: value})
    live = _item(version, kind, spec={key: "before"})

    verdict = decide(desired, live, UPDATE)

    assert verdict.action is PlanAction.CONFLICT
    assert verdict.reason.startswith(f"immutable field spec.{key}")


def test_the_family_of_an_endpoint_slice():
    """IPv4 does not become IPv6: the plan says so, and not the server afterwards."""
    version = "discovery.k8s.io/v1"
    desired = _item(version, "EndpointSlice", addressType="IPv6")
    live = _item(version, "EndpointSlice", addressType="IPv4")

    assert decide(desired, live, UPDATE).reason == "immutable field addressType"


def test_the_kind_of_a_custom_resource_definition():
    """No server gives the objects that it has another kind."""
    version, kind = "apiextensions.k8s.io/v1", "CustomResourceDefinition"
    desired = _item(version, kind, "", spec={"names": {"kind": "Widget"}})
    live = _item(version, kind, "", spec={"names": {"kind": "Gadget"}})

    verdict = decide(desired, live, ExistingRules(update_cluster=True))

    assert verdict.reason == "immutable field spec.names.kind"


@pytest.mark.parametrize(
    ("before", "after"),
    [("10.0.0.5", "None"), ("None", "10.0.0.5"), ("None", None)],
)
def test_a_service_stays_headless_or_not(before, after):
    """A Service with an address cannot become headless, nor the other way round."""
    desired = _item("v1", "Service", spec={"clusterIP": after} if after else {})
    live = _item("v1", "Service", spec={"clusterIP": before, "clusterIPs": [before]})

    verdict = decide(desired, live, UPDATE)

    assert verdict.action is PlanAction.CONFLICT
    assert verdict.reason.startswith("immutable field spec.clusterIP")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"type": "ExternalName", "externalName": "a.b"}, {"clusterIP": "None"}),
        ({"clusterIP": "None"}, {"type": "ExternalName", "externalName": "a.b"}),
        ({"clusterIP": "10.0.0.5"}, {"clusterIP": "10.0.0.6", "x": 1}),
    ],
    ids=["from an alias", "to an alias", "another address"],
)
def test_a_service_that_may_change(before, after):
    """An alias has no address, and an address of the old cluster is nobody's wish."""
    desired, live = (_item("v1", "Service", spec=spec) for spec in (after, before))

    assert _action(desired, live) is PlanAction.UPDATE


@pytest.mark.parametrize(
    ("version", "kind", "before", "after"),
    [
        ("apps/v1", "StatefulSet", {"replicas": 1}, {"replicas": 2}),
        (
            "v1",
            "PersistentVolumeClaim",
            {"resources": {"requests": {"storage": "1Gi"}}},
            {"resources": {"requests": {"storage": "2Gi"}}},
        ),
        (
            "v1",
            "Pod",
            {"containers": [{"name": "a", "image": "x"}]},
            {"containers": [{"name": "a", "image": "y"}]},
        ),
    ],
)
def test_mutable_parts_are_updated(version, kind, before, after):
    """The parts that the server lets change are changed."""
    desired = _item(version, kind, spec=after)

    assert _action(desired, _item(version, kind, spec=before)) is PlanAction.UPDATE


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
def test_an_immutable_secret_or_config_map(kind):
    """A live object that is marked immutable is a conflict."""
    live = _item("v1", kind, data={"a": "MQ=="}, immutable=True)
    desired = _item("v1", kind, data={"a": "Mg=="}, immutable=True)

    assert _action(desired, live) is PlanAction.CONFLICT


def test_role_reference_is_a_conflict():
    """A binding cannot be pointed at another role."""
    group = "rbac.authorization.k8s.io/v1"
    desired = _item(group, "RoleBinding", roleRef={"name": "admin"})
    live = _item(group, "RoleBinding", roleRef={"name": "view"})

    assert _action(desired, live) is PlanAction.CONFLICT


def test_a_crd_keeps_the_versions_in_which_objects_are_stored():
    """A CRD is not changed so that a stored version vanishes."""
    group = "apiextensions.k8s.io/v1"
    desired = _item(
        group,
        "CustomResourceDefinition",
        "",
        spec={"versions": [{"name": "v1"}]},
    )
    live = _item(
        group,
        "CustomResourceDefinition",
        "",
        spec={"versions": [{"name": "v1"}, {"name": "v2"}]},
        status={"storedVersions": ["v1", "v2"]},
    )

    verdict = decide(desired, live, UPDATE)

    assert verdict.action is PlanAction.CONFLICT
    assert "v2" in verdict.reason
    live["status"]["storedVersions"] = ["v1"]
    assert _action(desired, live) is PlanAction.UPDATE


def test_a_service_account_is_merged_under_every_policy():
    """What the live account lacks is added, what it has stays, also where they differ."""
    desired = _item("v1", "ServiceAccount", imagePullSecrets=[{"name": "registry"}])
    desired["metadata"]["labels"] |= {"team": "web"}
    desired["metadata"]["annotations"] = {"role": "old", "note": "x"}
    desired["secrets"] = [{"name": "theirs"}, {"name": "mine"}]
    live = _item("v1", "ServiceAccount", secrets=[{"name": "mine"}])
    live["imagePullSecrets"] = [{"name": "mirror"}]
    live["metadata"]["labels"] = {"app": "live"}
    live["metadata"]["annotations"] = {"role": "new"}

    verdict = decide(desired, live, ExistingRules())
    merged = merged_account(desired, live)

    assert verdict.action is PlanAction.UPDATE
    assert merged["secrets"] == [{"name": "mine"}, {"name": "theirs"}]
    assert merged["imagePullSecrets"] == [{"name": "mirror"}, {"name": "registry"}]
    assert merged["metadata"]["labels"] == {"app": "live", "team": "web"}
    assert merged["metadata"]["annotations"] == {"role": "new", "note": "x"}
    assert _action(desired, merged, ExistingRules()) is PlanAction.UNCHANGED


def test_the_patch_makes_the_live_object_the_desired_one():
    """Applied to the live object, the patch leaves no difference."""
    desired = _item("v1", "ConfigMap", data={"a": "1"})
    live = _item("v1", "ConfigMap", data={"a": "2", "b": "3"})

    patch = update_patch(desired, live, SEEN, UPDATE)

    assert patch["data"] == {"a": "1", "b": None}
    assert patch["metadata"]["uid"] == "8d"
    assert patch["metadata"]["resourceVersion"] == "41"
    assert _action(desired, merge_patch(live, patch)) is PlanAction.UNCHANGED


def test_an_update_leaves_the_owners():
    """Of an owner that a transform gave the patch would say all but the UID."""
    owner = {"apiVersion": "v1", "kind": "Secret", "name": "key", "uid": "8d-1"}
    desired = _item("v1", "ConfigMap", data={"a": "1"})
    desired["metadata"]["ownerReferences"] = [owner]
    live = _item("v1", "ConfigMap", data={"a": "2"})

    patch = update_patch(desired, live, SEEN, UPDATE)

    assert patch["data"] == {"a": "1"}
    assert "ownerReferences" not in patch["metadata"]


def test_the_patch_leaves_what_the_target_chose():
    """An address or a bound volume of the live object is not taken away."""
    desired = _item("v1", "Service", spec={"type": "ClusterIP", "selector": {"a": "1"}})
    live = _item("v1", "Service", spec={"type": "ClusterIP", "clusterIP": "10.0.0.7"})

    patch = update_patch(desired, live, SEEN, UPDATE)

    assert patch["spec"] == {"selector": {"a": "1"}}


def test_the_patch_says_which_restore_it_was():
    """An updated object carries the labels of backup and restore."""
    desired = _item("v1", "ConfigMap", data={"a": "1"})
    desired["metadata"]["labels"] |= {
        "velero.io/backup-name": "shop-1",
        "velero.io/restore-name": "try-1",
    }
    live = _item("v1", "ConfigMap", data={"a": "2"})

    patch = update_patch(desired, live, SEEN, UPDATE)

    assert patch["metadata"]["labels"]["velero.io/restore-name"] == "try-1"


def test_an_object_that_had_no_labels_loses_the_live_ones():
    """Labels put on since the backup go, also where the backup has none at all."""
    desired = _item("v1", "ConfigMap", data={"a": "1"})
    desired["metadata"]["labels"] = {"velero.io/restore-name": "try-1"}
    live = _item("v1", "ConfigMap", data={"a": "1"})

    patch = update_patch(desired, live, SEEN, UPDATE)
    patched = merge_patch(live, patch)

    assert patched["metadata"]["labels"] == {"velero.io/restore-name": "try-1"}
    assert _action(desired, patched) is PlanAction.UNCHANGED


def test_what_the_control_plane_notes_on_a_token_stays():
    """Labels go with an update, but not the day on which a token was last used."""
    used = {"kubernetes.io/legacy-token-last-used": "2024-05-01"}
    token = {"type": "kubernetes.io/service-account-token"}
    desired = _item("v1", "Secret", **token)
    desired["metadata"]["labels"] = {"velero.io/restore-name": "try-1"}
    live = _item("v1", "Secret", **token)
    live["metadata"]["labels"] = {"app": "live", **used}

    patch = update_patch(desired, live, SEEN, UPDATE)

    assert patch["metadata"]["labels"] == {
        "app": None,
        "velero.io/restore-name": "try-1",
    }
    live["metadata"]["labels"] = used
    assert _action(desired, live) is PlanAction.UNCHANGED


def _pod(**spec):
    """A Pod with what may change of its spec."""
    return _item("v1", "Pod", spec={"containers": [{"name": "c"}]} | spec)


_NOT_READY = {"key": "not-ready", "operator": "Exists", "tolerationSeconds": 300}


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        ({"tolerations": []}, {"tolerations": [_NOT_READY]}),
        (
            {"tolerations": [_NOT_READY | {"key": "other"}]},
            {"tolerations": [_NOT_READY]},
        ),
        ({}, {"activeDeadlineSeconds": 5}),
        ({"activeDeadlineSeconds": 6}, {"activeDeadlineSeconds": 5}),
    ],
    ids=["removed", "replaced", "no deadline", "later"],
)
def test_what_a_pod_does_not_take(wanted, there):
    """The server refuses it, so that the plan does not promise it."""
    verdict = decide(_pod(**wanted), _pod(**there), UPDATE)

    assert verdict.action is PlanAction.CONFLICT
    assert verdict.reason.startswith("spec.")


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        ({"tolerations": [_NOT_READY, {"operator": "Exists"}]}, {}),
        (
            {"tolerations": [_NOT_READY]},
            {"tolerations": [_NOT_READY | {"tolerationSeconds": 5}]},
        ),
        ({"activeDeadlineSeconds": 5}, {}),
        ({"activeDeadlineSeconds": 5}, {"activeDeadlineSeconds": 6}),
    ],
    ids=["added", "longer", "deadline", "earlier"],
)
def test_what_a_pod_takes(wanted, there):
    """More tolerations, for another time, and an earlier end."""
    assert _action(_pod(**wanted), _pod(**there)) is PlanAction.UPDATE
