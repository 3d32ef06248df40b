"""A user with rights in two namespaces and none in the cluster, on a real API server."""

from contextlib import ExitStack

import pytest

from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.models import BackupSpec, RestoreSpec
from kbackup.restore import RestoreEngine

pytestmark = pytest.mark.integration

RBAC = "rbac.authorization.k8s.io"


def thing(version, kind, name, namespace="", **body):
    """An object."""
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **body}


def namespace_for(user, name):
    """A namespace and the right to do everything in it."""
    subject = {"kind": "User", "apiGroup": RBAC, "name": user}
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "admin"}
    binding = thing(
        f"{RBAC}/v1", "RoleBinding", "owner", name, roleRef=role, subjects=[subject]
    )
    return [thing("v1", "Namespace", name), binding]


def of_the_cluster(word):
    """What the user may neither read nor write, and refers to."""
    volume = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": word,
        "hostPath": {"path": f"/tmp/kbackup-test-{word}"},  # noqa: S108 - never used
    }
    controller = {"controller": "example.com/ingress"}
    account = {"kind": "ServiceAccount", "name": "runner", "namespace": word}
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"}
    return [
        thing("scheduling.k8s.io/v1", "PriorityClass", word, value=5),
        thing(
            "storage.k8s.io/v1", "StorageClass", word, provisioner="example.com/none"
        ),
        thing("networking.k8s.io/v1", "IngressClass", word, spec=controller),
        thing("v1", "PersistentVolume", word, spec=volume),
        thing(
            f"{RBAC}/v1", "ClusterRoleBinding", word, roleRef=role, subjects=[account]
        ),
    ]


def of_the_user(namespace):
    """A claim that gets bound, a bare Pod, an account with a role, an Ingress."""
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": namespace,
        "resources": {"requests": {"storage": "1Gi"}},
    }
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    pod = {
        "priorityClassName": namespace,
        "serviceAccountName": "runner",
        "containers": [{"name": "web", "image": "example.com/web:1"}],
        "volumes": volumes,
    }
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    account = {"kind": "ServiceAccount", "name": "runner", "namespace": namespace}
    ingress = {
        "ingressClassName": namespace,
        "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}},
    }
    role = {"apiGroup": RBAC, "kind": "Role", "name": "reader"}
    return [
        thing("v1", "ConfigMap", "settings", namespace, data={"mode": "fast"}),
        thing("v1", "ServiceAccount", "runner", namespace),
        thing(f"{RBAC}/v1", "Role", "reader", namespace, rules=[rule]),
        thing(
            f"{RBAC}/v1",
            "RoleBinding",
            "reader",
            namespace,
            roleRef=role,
            subjects=[account],
        ),
        thing("v1", "PersistentVolumeClaim", "data", namespace, spec=claim),
        thing("networking.k8s.io/v1", "Ingress", "web", namespace, spec=ingress),
        thing("v1", "Pod", "bare", namespace, spec=pod),
    ]


class World:
    """Objects that are made by somebody with all rights, and removed again."""

    def __init__(self, cluster, stack):
        """Make them with *cluster*; *stack* removes them."""
        self._cluster = cluster
        self._stack = stack

    def make(self, item):
        """Create one object."""
        resource = self.type_of(item)
        metadata = item["metadata"]
        namespace = metadata.get("namespace", "")
        self._cluster.create(resource, item, namespace=namespace)
        if not namespace:
            self._stack.callback(self._cluster.delete, resource, metadata["name"])

    def type_of(self, item):
        """How it is served."""
        return self._cluster.discover().by_kind(item["apiVersion"], item["kind"])


@pytest.fixture
def store(tmp_path):
    """An open store in a directory."""
    with BackupStore.open(tmp_path / "store") as found:
        yield found


def test_backup_and_restore(real_cluster, namespace, store, wait_for):
    """No restore could be planned of a bound claim, or of a Pod with a PriorityClass."""
    user, copy = f"owner-of-{namespace}", f"{namespace}-copy"
    with ExitStack() as stack:
        admin = stack.enter_context(Cluster.connect(real_cluster.kubeconfig))
        world = World(admin, stack)
        for item in (
            *of_the_cluster(namespace),
            *namespace_for(user, namespace),
            *namespace_for(user, copy),
        ):
            world.make(item)
        accounts = admin.discover().by_kind("v1", "ServiceAccount")
        wait_for(
            "the default accounts",
            lambda: all(
                any(x.name == "default" for x in admin.list(accounts, namespace=each))
                for each in (namespace, copy)
            ),
        )
        for item in of_the_user(namespace):
            world.make(item)
        claims = admin.discover().by_kind("v1", "PersistentVolumeClaim")
        wait_for(
            "the claim to be bound",
            lambda: (
                admin.get(claims, "data", namespace).content["status"].get("phase")
                == "Bound"
            ),
        )
        limited = stack.enter_context(
            Cluster.connect(real_cluster.kubeconfig, as_user=user)
        )

        spec = BackupSpec(included_namespaces=[namespace])
        backup = BackupEngine(limited, store).run("b-1", spec)
        engine = RestoreEngine(limited, store)
        wanted = RestoreSpec(
            backup_name="b-1",
            included_namespaces=[namespace],
            namespace_mapping={namespace: copy},
        )
        plan = engine.plan("r-1", wanted)
        result = engine.apply(plan)

        said = "\n".join(map(str, plan.notices))
        assert backup.results.errors == ()
        assert "whether it is there cannot be read" in said
        assert f"persistentvolumes/{namespace}" in said
        assert f"priorityclasses.scheduling.k8s.io/{namespace}" in said
        assert "the target's volumes are not readable" in said
        assert result.results.errors == ()
        actions = {(x.kind, x.target.name): str(x.action) for x in plan.entries}
        for item in of_the_user(copy):
            resource = world.type_of(item)
            name = item["metadata"]["name"]
            assert admin.get(resource, name, copy).content["metadata"]["name"] == name
            assert actions[item["kind"], name] == "create"
