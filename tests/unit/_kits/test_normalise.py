"""What counts as a difference: everything that the closed table does not name."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from kbackup._kits.differences import HIDDEN, changes
from kbackup._kits.normalise import (
    CONTROLLER_UID_LABELS,
    IGNORED_BY_KIND,
    IGNORED_EVERYWHERE,
    differences,
    normalise,
    same,
)

METADATA = {
    "name": "web",
    "namespace": "shop",
    "uid": "0c7e9a3f",
    "resourceVersion": "812",
    "generation": 3,
    "creationTimestamp": "2024-05-01T02:00:00Z",
    "selfLink": "/api/v1/x",
    "managedFields": [{"manager": "kubectl", "operation": "Update"}],
    "labels": {
        "app": "web",
        "velero.io/backup-name": "shop-1",
        "velero.io/restore-name": "try-1",
    },
    "annotations": {"example.com/note": "keep"},
    "finalizers": ["example.com/guard"],
    "ownerReferences": [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "root", "uid": "77aa"}
    ],
}
POD_SPEC = {
    "serviceAccountName": "runner",
    "nodeName": "node-1",
    "priority": 0,
    "restartPolicy": "Always",
    "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}],
    "containers": [
        {
            "name": "web",
            "image": "nginx:1.25",
            "args": ["-g", "daemon off;"],
            "env": [{"name": "MODE", "value": "fast"}],
            "ports": [{"containerPort": 80, "protocol": "TCP"}],
            "volumeMounts": [
                {"name": "data", "mountPath": "/data"},
                {"name": "runner-token-x2x4z", "mountPath": "/var/run/secrets"},
            ],
        }
    ],
    "volumes": [
        {"name": "data", "emptyDir": {"medium": "Memory"}},
        {"name": "runner-token-x2x4z", "secret": {"secretName": "runner-token-x2x4z"}},
        {"name": "kube-api-access-x2x4z", "projected": {"defaultMode": 420}},
    ],
}
TEMPLATE = {
    "metadata": {
        "labels": {"app": "web", "controller-uid": "8d", "job-name": "web"},
    },
    "spec": POD_SPEC,
}


def _item(version: str, kind: str, **body: Any) -> dict[str, Any]:
    """An object of *kind* with full metadata."""
    metadata = copy.deepcopy(METADATA)
    return {"apiVersion": version, "kind": kind, "metadata": metadata} | body


def _objects() -> dict[str, dict[str, Any]]:
    """Objects as a cluster gives them, one of each kind that matters."""
    claim = _item(
        "v1",
        "PersistentVolumeClaim",
        spec={
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "standard",
            "volumeName": "pvc-77aa",
            "volumeMode": "Filesystem",
        },
    )
    claim["metadata"]["annotations"] |= {
        "pv.kubernetes.io/bind-completed": "yes",
        "pv.kubernetes.io/bound-by-controller": "yes",
        "volume.kubernetes.io/selected-node": "node-1",
        "velero.io/data-upload-name": "velero/b-1",
        "velero.io/volume-snapshot-name": "velero-data-x",
        "backup.velero.io/must-include-additional-items": "true",
        "backup.velero.io/skipped-no-csi-pv": "true",
    }
    service = _item(
        "v1",
        "Service",
        spec={
            "clusterIP": "10.0.0.7",
            "clusterIPs": ["10.0.0.7"],
            "type": "NodePort",
            "selector": {"app": "web"},
            "healthCheckNodePort": 31999,
            "ports": [
                {"name": "http", "port": 80, "targetPort": 8080, "nodePort": 30080},
                {"name": "tls", "port": 443, "targetPort": 8443, "nodePort": 30443},
            ],
        },
    )
    applied = {"spec": {"ports": [{"name": "tls", "port": 443, "nodePort": 30443}]}}
    key = "kubectl.kubernetes.io/last-applied-configuration"
    service["metadata"]["annotations"][key] = json.dumps(applied)
    secret = _item("v1", "Secret", type="Opaque", data={"password": "c2VjcmV0"})
    secret["metadata"]["labels"]["kubernetes.io/legacy-token-last-used"] = "never"
    token = _item(
        "v1",
        "Secret",
        type="kubernetes.io/service-account-token",
        data={"token": "YWJj", "ca.crt": "ZGVm"},
    )
    token["metadata"]["annotations"]["kubernetes.io/service-account.uid"] = "99"
    token["metadata"]["labels"]["kubernetes.io/legacy-token-last-used"] = "2024-05-01"
    job = _item(
        "batch/v1",
        "Job",
        spec={
            "completions": 2,
            "selector": {"matchLabels": {"controller-uid": "8d", "app": "web"}},
            "template": TEMPLATE,
        },
    )
    job["metadata"]["labels"]["controller-uid"] = "8d"
    volume = _item(
        "v1",
        "PersistentVolume",
        spec={
            "capacity": {"storage": "1Gi"},
            "hostPath": {"path": "/mnt/disk1"},
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {
                "kind": "PersistentVolumeClaim",
                "namespace": "shop",
                "name": "data",
                "uid": "12",
                "resourceVersion": "4",
            },
        },
    )
    pod = _item("v1", "Pod", spec=POD_SPEC, status={"phase": "Running"})
    pod["metadata"]["labels"] |= {
        "topology.kubernetes.io/zone": "eu-1a",
        "topology.kubernetes.io/region": "eu-1",
    }
    return {
        "Service": service,
        "PersistentVolumeClaim": claim,
        "PersistentVolume": volume,
        "Secret": secret,
        "token Secret": token,
        "ServiceAccount": _item(
            "v1",
            "ServiceAccount",
            secrets=[{"name": "web-token-x2x4z"}, {"name": "registry"}],
            imagePullSecrets=[{"name": "registry"}],
        ),
        "Pod": pod,
        "Job": job,
        "ConfigMap": _item("v1", "ConfigMap", data={"mode": "fast"}),
        "Deployment": _item(
            "apps/v1",
            "Deployment",
            spec={
                "replicas": 2,
                "selector": {"matchLabels": {"app": "web"}},
                "template": TEMPLATE,
            },
            status={"replicas": 2},
        ),
        "a foreign Service": _item(
            "serving.knative.dev/v1", "Service", spec={"clusterIP": "10.0.0.7"}
        ),
        "Widget": _item(
            "example.com/v1", "Widget", spec={"size": 1.5, "on": True, "tags": ["a"]}
        ),
    }


OBJECTS = _objects()


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all leaves."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*path, index))
    else:
        yield path


def _changed(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return f"{value}-changed"


def _with(item: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A copy of *item* with another leaf."""
    result = copy.deepcopy(item)
    place = result
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return result


def _is_ignored(name: str, path: tuple[Any, ...]) -> bool:
    """The table of the safety rules, written down a second time, by hand."""
    keys = tuple("*" if isinstance(key, int) else key for key in path)
    metadata = {"uid", "resourceVersion", "generation", "creationTimestamp", "selfLink"}
    if keys[0] == "status" or keys[:2] == ("metadata", "managedFields"):
        return True
    if keys[0] == "metadata" and (
        keys[1] in metadata
        or keys[1:] == ("ownerReferences", "*", "uid")
        or keys[2:] in {("velero.io/backup-name",), ("velero.io/restore-name",)}
    ):
        return True
    own: dict[str, set[tuple[Any, ...]]] = {
        "Service": {
            ("spec", "clusterIP"),
            ("spec", "clusterIPs", 0),
            ("spec", "ports", 0, "nodePort"),
            ("spec", "healthCheckNodePort"),
        },
        "PersistentVolumeClaim": {
            ("spec", "volumeName"),
            ("metadata", "annotations", "pv.kubernetes.io/bind-completed"),
            ("metadata", "annotations", "pv.kubernetes.io/bound-by-controller"),
            ("metadata", "annotations", "volume.kubernetes.io/selected-node"),
            ("metadata", "annotations", "velero.io/data-upload-name"),
            ("metadata", "annotations", "velero.io/volume-snapshot-name"),
            (
                "metadata",
                "annotations",
                "backup.velero.io/must-include-additional-items",
            ),
            ("metadata", "annotations", "backup.velero.io/skipped-no-csi-pv"),
        },
        "PersistentVolume": {
            ("spec", "claimRef", "uid"),
            ("spec", "claimRef", "resourceVersion"),
        },
        "token Secret": {
            ("data", "token"),
            ("data", "ca.crt"),
            ("metadata", "annotations", "kubernetes.io/service-account.uid"),
            ("metadata", "labels", "kubernetes.io/legacy-token-last-used"),
        },
        "Pod": {
            ("spec", "nodeName"),
            ("spec", "priority"),
            ("metadata", "labels", "topology.kubernetes.io/zone"),
            ("metadata", "labels", "topology.kubernetes.io/region"),
            ("spec", "containers", 0, "volumeMounts", 1, "mountPath"),
            ("spec", "volumes", 1, "secret", "secretName"),
            ("spec", "volumes", 2, "projected", "defaultMode"),
        },
        "Job": {
            ("metadata", "labels", "controller-uid"),
            ("spec", "selector", "matchLabels", "controller-uid"),
            ("spec", "template", "metadata", "labels", "controller-uid"),
        },
    }
    return path in own.get(name, set())


CASES = [(name, path) for name, item in OBJECTS.items() for path in _leaves(item)]


@pytest.mark.parametrize(
    ("name", "path"), CASES, ids=[f"{n}:{'.'.join(map(str, p))}" for n, p in CASES]
)
def test_every_leaf_counts_unless_the_table_names_it(name, path):
    """Changing any field of a real object is seen, but for the ignored ones."""
    item = OBJECTS[name]
    place: Any = item
    for key in path:
        place = place[key]
    changed = _with(item, path, _changed(place))

    seen = differences(item, changed)

    assert bool(seen) is not _is_ignored(name, path)
    assert same(item, changed) is not bool(seen)


@pytest.mark.parametrize("name", OBJECTS)
def test_normalise_changes_nothing_it_was_given(name):
    """The object that is normalised stays as it is."""
    item = copy.deepcopy(OBJECTS[name])

    normalise(item)

    assert item == OBJECTS[name]


@pytest.mark.parametrize("name", OBJECTS)
def test_normalise_is_idempotent(name):
    """What is normalised has nothing left to ignore."""
    once = normalise(OBJECTS[name])

    assert same(once, OBJECTS[name])


def test_a_claim_that_names_no_volume_takes_any():
    """A volume that was newly provisioned for a claim is no difference."""
    restored = copy.deepcopy(OBJECTS["PersistentVolumeClaim"])
    del restored["spec"]["volumeName"]
    restored["metadata"]["annotations"] = {"example.com/note": "keep"}

    assert same(OBJECTS["PersistentVolumeClaim"], restored)


def test_claims_that_name_two_volumes_differ():
    """A claim that asked for a volume and got another is a difference."""
    left = _item("v1", "PersistentVolumeClaim", spec={"volumeName": "pv-a"})
    right = _item("v1", "PersistentVolumeClaim", spec={"volumeName": "pv-b"})

    assert [x.path for x in differences(left, right)] == ["spec.volumeName"]


def test_what_is_only_called_a_claim():
    """Of a custom resource of that kind every field counts."""
    left = _item("example.com/v1", "PersistentVolumeClaim", spec={"volumeName": "a"})
    right = _item("example.com/v1", "PersistentVolumeClaim", spec={})

    assert [x.path for x in differences(left, right)] == ["spec.volumeName"]


def test_headless_is_no_address():
    """A headless Service and one with an address differ."""
    left = _item("v1", "Service", spec={"clusterIP": "None"})
    right = _item("v1", "Service", spec={"clusterIP": "10.0.0.7"})

    assert [x.path for x in differences(left, right)] == ["spec.clusterIP"]


def test_node_ports_count_when_they_are_preserved():
    """With preserved node ports another port is a difference."""
    path = ("spec", "ports", 0, "nodePort")
    other = _with(OBJECTS["Service"], path, 30099)

    found = differences(OBJECTS["Service"], other, keep_node_ports=True)

    assert [x.path for x in found] == ["spec.ports[http].nodePort"]


def test_secret_values_are_hidden():
    """A difference in a Secret names the key and shows neither value."""
    left = _item("v1", "Secret", data={"password": "c2VjcmV0", "old": "MQ=="})
    right = _item("v1", "Secret", data={"password": "b3RoZXI=", "new": "Mg=="})
    key = "kubectl.kubernetes.io/last-applied-configuration"
    right["metadata"]["annotations"] = {key: '{"data":{"password":"b3RoZXI="}}'}

    found = differences(left, right)

    paths = {x.path: (x.op, x.left, x.right) for x in found}
    assert paths["data.password"] == ("change", HIDDEN, HIDDEN)
    assert paths["data.new"] == ("add", None, HIDDEN)
    assert paths["data.old"] == ("remove", HIDDEN, None)
    assert "b3RoZXI=" not in repr(found)
    assert "c2VjcmV0" not in repr(found)


def test_changes_of_what_no_server_has_seen_ignore_nothing():
    """Before an object is written, an address or a volume in it was not chosen by it."""
    before = _item("v1", "Service", spec={"clusterIP": "10.0.0.1"})
    after = _item("v1", "Service", spec={"clusterIP": "10.0.0.2"}, status={"a": 1})

    found = [x.path for x in changes(before, after)]

    assert found == ["spec.clusterIP", "status"]
    assert differences(before, after) == []
    [hidden] = changes({"kind": "Secret", "data": {"a": 1}}, {"kind": "Secret"})
    assert hidden.left == {"a": HIDDEN}


def test_values_of_any_object_can_be_hidden():
    """Asked to hide, a comparison names paths and shows no value of any kind."""
    left = _item("v1", "ConfigMap", data={"password": "pw-1", "old": "pw-1"})
    right = _item("v1", "ConfigMap", data={"password": "pw-2", "new": {"a": ["pw-2"]}})

    found = differences(left, right, hide=True)

    assert [(x.path, x.op) for x in found] == [
        ("data.new", "add"),
        ("data.old", "remove"),
        ("data.password", "change"),
    ]
    assert "pw-" not in f"{found}"


def test_a_whole_missing_part_of_a_secret_shows_its_keys_only():
    """Where all data is new, its keys are named and its values hidden."""
    left = _item("v1", "Secret")
    right = _item("v1", "Secret", data={"password": "c2VjcmV0"})

    [found] = differences(left, right)

    assert found.right == {"password": HIDDEN}


@pytest.mark.parametrize(
    "source",
    [
        {"dataSource": {"kind": "VolumeSnapshot", "name": "s"}},
        {"dataSourceRef": {"kind": "VolumeSnapshot", "name": "s"}},
        {"selector": {"matchLabels": {"tier": "fast"}}},
    ],
    ids=str,
)
def test_where_a_bound_claim_came_from(source):
    """What a claim was made of counts until it is bound: a backup keeps it no longer."""
    kind, size = ("v1", "PersistentVolumeClaim"), {"storageClassName": "fast"}
    bound = _item(*kind, spec={**size, **source, "volumeName": "pv-1"})

    assert same(bound, _item(*kind, spec=size))
    assert same(bound, _item(*kind, spec={**size, **source}))
    assert not same(_item(*kind, spec={**size, **source}), _item(*kind, spec=size))


def test_lists_of_named_elements_are_compared_by_name():
    """An added container is one addition, not a change of all that follow."""
    left = _item("v1", "Pod", spec={"containers": [{"name": "b", "image": "x"}]})
    both = [{"name": "a", "image": "y"}, {"name": "b", "image": "x"}]
    right = _item("v1", "Pod", spec={"containers": both})

    [found] = differences(left, right)

    assert (found.op, found.path) == ("add", "spec.containers[a]")


def test_order_counts():
    """Two containers that change places are a difference."""
    one = [{"name": "a"}, {"name": "b"}]
    left = _item("v1", "Pod", spec={"containers": one})
    right = _item("v1", "Pod", spec={"containers": one[::-1]})

    [found] = differences(left, right)

    assert found.path == "spec.containers"


def test_empty_labels_are_no_labels():
    """A server leaves out empty labels; that is no difference."""
    left = _item("v1", "ConfigMap")
    left["metadata"]["labels"] = {"velero.io/restore-name": "x"}
    right = _item("v1", "ConfigMap")
    del right["metadata"]["labels"]

    assert same(left, right)


def test_a_job_selector_of_nothing_else_is_no_selector():
    """A Job whose selector the server made equals the one that asks for none."""
    labels = dict.fromkeys(CONTROLLER_UID_LABELS, "8d")
    left = _item("batch/v1", "Job", spec={"selector": {"matchLabels": labels}})
    right = _item("batch/v1", "Job", spec={"selector": {"matchLabels": {}}})
    bare = _item("batch/v1", "Job", spec={})

    assert same(left, right)
    assert same(left, bare)


def test_the_rules_of_an_aggregated_role_are_a_controllers():
    """What other roles add to an aggregated one is no difference; its own rules are."""
    selector = {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}
    version, kind = "rbac.authorization.k8s.io/v1", "ClusterRole"
    ours = _item(version, kind, aggregationRule=selector, rules=[])
    live = _item(version, kind, aggregationRule=selector, rules=[{"verbs": ["get"]}])

    assert same(ours, live)
    assert not same(_item(version, kind, rules=[]), _item(version, kind, rules=[{}]))


def test_a_name_that_was_generated_is_a_name_like_another():
    """A restored object has its name and is not asked how it came by it."""
    left, right = _item("v1", "ConfigMap"), _item("v1", "ConfigMap")
    left["metadata"]["generateName"] = "web-"

    assert same(left, right)


def test_a_namespace_labelled_with_its_name_is_the_same():
    """What API servers write on every namespace since 1.21 is no difference."""
    left, right = _item("v1", "Namespace"), _item("v1", "Namespace")
    left["metadata"]["labels"] = {"kubernetes.io/metadata.name": "web"}
    del right["metadata"]["labels"]

    assert same(left, right)


def test_the_table_is_closed():
    """No kind has rows beyond those that the safety rules allow."""
    assert {kind for _, kind in IGNORED_BY_KIND} == {
        "ClusterRole",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Job",
        "Namespace",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "Pod",
        "ReplicaSet",
        "Secret",
        "Service",
        "ServiceAccount",
    }
    assert len(IGNORED_EVERYWHERE) == 11
