"""What the built-in item block actions relate to Pods, claims and accounts."""

import pytest

from kbackup.actions._block_pod import PodBlockAction
from kbackup.actions._block_pvc import PVCBlockAction
from kbackup.actions._block_service_account import ServiceAccountBlockAction
from kbackup.errors import ClusterUnreachableError, ForbiddenError
from kbackup.models import BackupSpec
from kbackup.plugins import Run
from kbackup.testing import StaticClusterReader, backup_input

GROUP = "velero.io/volume-group"


def made(kind, name, api_version="v1", *, labels=None, **parts):
    """An object of the namespace shop."""
    metadata = {"name": name, "namespace": "shop", "labels": labels or {}}
    metadata.update(parts.pop("metadata", {}))
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts}


def pod(name, *claims, phase="Running", node="node-1", **more):
    """A Pod that mounts claims."""
    volumes = [
        {"name": claim, "persistentVolumeClaim": {"claimName": claim}}
        for claim in claims
    ]
    spec = {"nodeName": node, "volumes": volumes, **more.pop("spec", {})}
    return made("Pod", name, spec=spec, status={"phase": phase}, **more)


def claim(name, *, phase="Bound", **more):
    """A claim with a volume."""
    spec = {"volumeName": f"pv-{name}"}
    kind = "PersistentVolumeClaim"
    return made(kind, name, spec=spec, status={"phase": phase}, **more)


TYPES = {
    "Pod": "pods",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "ClusterRoleBinding": "clusterrolebindings.rbac.authorization.k8s.io",
}


def by_type(objects):
    """The objects by the full name of their type."""
    return {
        name: [each for each in objects if each["kind"] == kind]
        for kind, name in TYPES.items()
    }


def related(action, resource, item, *objects, **more):
    """What an action relates to an item in a cluster with these objects."""
    cluster = StaticClusterReader(by_type(objects))
    given = backup_input(resource, item, cluster=cluster, **more)
    return [str(each) for each in action.related_items(given)]


def test_a_pod():
    """Its PriorityClass, then its claims in the order of the volumes, each once."""
    item = pod("a", "two", "one", "two", spec={"priorityClassName": "high"})

    assert related(PodBlockAction(), "pods", item) == [
        "priorityclasses.scheduling.k8s.io/high",
        "persistentvolumeclaims/shop/two",
        "persistentvolumeclaims/shop/one",
    ]
    assert related(PodBlockAction(), "pods", pod("b")) == []


def test_a_claim_that_pods_share():
    """Its volume, and the running Pods of its namespace that mount it."""
    leaving = {"deletionTimestamp": "2024-05-01T02:00:00Z"}
    others = [
        pod("a", "data"),
        pod("b", "other", "data"),
        pod("c", "other"),
        pod("ended", "data", phase="Succeeded"),
        pod("unplaced", "data", node=""),
        pod("leaving", "data", metadata=leaving),
        pod("elsewhere", "data", metadata={"namespace": "bank"}),
    ]

    found = related(PVCBlockAction(), "persistentvolumeclaims", claim("data"), *others)

    assert found == ["persistentvolumes/pv-data", "pods/shop/a", "pods/shop/b"]


def test_a_claim_that_is_not_bound():
    """It has no data that anybody could share."""
    item = claim("data", phase="Pending", labels={GROUP: "db"})
    others = [pod("a", "data"), claim("more", labels={GROUP: "db"})]

    assert related(PVCBlockAction(), "persistentvolumeclaims", item, *others) == []


@pytest.mark.parametrize(
    ("key", "expected"), [(GROUP, ["more"]), ("example.com/other", []), ("", [])]
)
def test_a_claim_of_a_volume_group(key, expected):
    """The claims with the same value of the label that the specification names."""
    item = claim("data", labels={GROUP: "db"})
    others = [
        item,
        claim("more", labels={GROUP: "db"}),
        claim("another", labels={GROUP: "web"}),
    ]
    spec = BackupSpec(volume_group_snapshot_label_key=key)

    found = related(
        PVCBlockAction(), "persistentvolumeclaims", item, *others, spec=spec
    )

    assert found[1:] == [f"persistentvolumeclaims/shop/{name}" for name in expected]


class _Refusing(StaticClusterReader):
    """A cluster that lists nothing."""

    def __init__(self, error):
        super().__init__({})
        self.error = error

    def list(self, *_, **__):
        """Fail."""
        raise self.error


def test_pods_are_listed_once_a_namespace():
    """However many claims it has."""
    cluster = StaticClusterReader(by_type([pod("a", "one"), pod("b", "two")]))
    run, action = Run(uid="u", kind="backup", name="b"), PVCBlockAction()

    for name in ("one", "two", "three"):
        given = backup_input(
            "persistentvolumeclaims", claim(name), cluster=cluster, run=run
        )
        action.related_items(given)

    assert cluster.lists == {"pods": 1}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ForbiddenError("list", "pods", reason="no"), "warnings"),
        (ClusterUnreachableError("list", "pods", reason="gone"), "errors"),
    ],
    ids=["forbidden", "unreachable"],
)
def test_pods_that_cannot_be_listed(error, kind):
    """That is told once, with the namespace, and the claim goes with its volume."""
    cluster, run = _Refusing(error), Run(uid="u", kind="backup", name="b")
    action = PVCBlockAction()

    for name in ("one", "two"):
        given = backup_input(
            "persistentvolumeclaims", claim(name), cluster=cluster, run=run
        )
        assert len(action.related_items(given)) == 1

    (told,) = getattr(run.results, kind)
    assert told.namespace == "shop"
    assert "without the Pods that share their data" in told.message
    assert len(run.results.errors) + len(run.results.warnings) == 1


def test_an_account():
    """The ClusterRoleBindings that name it, each with its role."""
    rbac = "rbac.authorization.k8s.io"
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "web-reads"},
        "roleRef": {"kind": "ClusterRole", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "web", "namespace": "shop"}],
    }
    item, action = made("ServiceAccount", "web"), ServiceAccountBlockAction()

    assert related(action, "serviceaccounts", item, binding) == [
        f"clusterrolebindings.{rbac}/web-reads",
        f"clusterroles.{rbac}/reader",
    ]
    spec = BackupSpec(include_cluster_resources=False)
    assert related(action, "serviceaccounts", item, binding, spec=spec) == []
