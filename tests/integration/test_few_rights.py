"""A user with rights in two namespaces and none in the cluster, on a real API server."""

from contextlib import ExitStack

import attrs
import pytest

from definitions import definition
from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.models import BackupSpec, RestoreOptions, RestoreSpec
from kbackup.plugins import WaitingFor
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


def move_in(world, admin, user, namespace, wait_for):
    """Make the namespaces of a user and what is in the first, until all of it is there."""
    copy = f"{namespace}-copy"
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


def assert_names_what_cannot_be_read(plan, namespace):
    """Hold a plan to what it says of the cluster-scoped objects of `of_the_cluster`."""
    said = "\n".join(map(str, plan.notices))
    assert "whether it is there cannot be read" in said
    assert f"persistentvolumes/{namespace}" in said
    assert f"priorityclasses.scheduling.k8s.io/{namespace}" in said
    assert "the target's volumes are not readable" in said


def test_backup_and_restore(real_cluster, namespace, store, wait_for):
    """No restore could be planned of a bound claim, or of a Pod with a PriorityClass."""
    user, copy = f"owner-of-{namespace}", f"{namespace}-copy"
    with ExitStack() as stack:
        admin = stack.enter_context(Cluster.connect(real_cluster.kubeconfig))
        world = World(admin, stack)
        move_in(world, admin, user, namespace, wait_for)
        limited = stack.enter_context(
            Cluster.connect(real_cluster.kubeconfig, as_user=user)
        )

        spec = BackupSpec(included_namespaces=[namespace])
        backup = BackupEngine(limited, store).run("b-1", spec)
        engine = RestoreEngine(limited, store)
        wanted = attrs.evolve(
            into_the_copy(namespace), included_namespaces=(namespace,)
        )
        plan = engine.plan("r-1", wanted)
        result = engine.apply(plan)

        assert backup.results.errors == ()
        assert_names_what_cannot_be_read(plan, namespace)
        assert result.results.errors == ()
        actions = {(x.kind, x.target.name): str(x.action) for x in plan.entries}
        for item in of_the_user(copy):
            resource = world.type_of(item)
            name = item["metadata"]["name"]
            assert admin.get(resource, name, copy).content["metadata"]["name"] == name
            assert actions[item["kind"], name] == "create"


def test_a_slip_in_the_name_of_a_namespace(real_cluster, namespace, store):
    """It was a Completed backup: who has few rights is not told that it is not there."""
    user, absent = f"owner-of-{namespace}", f"{namespace}-absent"
    with ExitStack() as stack:
        admin = stack.enter_context(Cluster.connect(real_cluster.kubeconfig))
        for item in namespace_for(user, namespace):
            World(admin, stack).make(item)
        limited = stack.enter_context(
            Cluster.connect(real_cluster.kubeconfig, as_user=user)
        )
        engine = BackupEngine(limited, store)

        beside = engine.run("b-1", BackupSpec(included_namespaces=[namespace, absent]))
        alone = engine.run("b-2", BackupSpec(included_namespaces=[absent]))

    for result in (beside, alone):
        assert str(result.backup.status.phase) == "PartiallyFailed"
        told = [str(each) for each in result.results.errors]
        assert len(told) == 1
        assert absent in told[0]


def rights_on(group, user, namespace):
    """The right to do everything with the orders of one namespace."""
    rule = {"apiGroups": [group], "resources": ["orders"], "verbs": ["*"]}
    subject = {"kind": "User", "apiGroup": RBAC, "name": user}
    role = {"apiGroup": RBAC, "kind": "Role", "name": "orders"}
    more = {"roleRef": role, "subjects": [subject]}
    return [
        thing(f"{RBAC}/v1", "Role", "orders", namespace, rules=[rule]),
        thing(f"{RBAC}/v1", "RoleBinding", "orders", namespace, **more),
    ]


class Waits(list):
    """An observer that keeps what a restore waited for."""

    def __call__(self, event):
        """Take one event."""
        if isinstance(event, WaitingFor):
            self.append(event.what)


@pytest.fixture(name="orders")
def fixture_orders(real_cluster, namespace, store, wait_for_versions):
    """A backup of orders and what one owns, and who has rights on a copy's namespace."""
    group, copy = f"{namespace}.example.com", f"{namespace}-copy"
    user = f"system:serviceaccount:{copy}:restorer"
    with ExitStack() as stack:
        admin = stack.enter_context(Cluster.connect(real_cluster.kubeconfig))
        world = World(admin, stack)
        stack.callback(wait_for_versions, admin, group)
        world.make(definition(group, "orders", "Order"))
        wait_for_versions(admin, group, "v1")
        copies = [*namespace_for(user, copy), *rights_on(group, user, copy)]
        for item in (thing("v1", "Namespace", namespace), *copies):
            world.make(item)
        types = admin.discover()
        of_orders = types.by_kind(f"{group}/v1", "Order")
        settings = types.by_kind("v1", "ConfigMap")
        for name in ("child", "parent"):
            item = thing(f"{group}/v1", "Order", name, namespace)
            made = admin.create(of_orders, item, namespace=namespace)
        owner = {"apiVersion": f"{group}/v1", "kind": "Order", "name": "parent"}
        item = thing("v1", "ConfigMap", "of-parent", namespace)
        item["metadata"]["ownerReferences"] = [owner | {"uid": made["metadata"]["uid"]}]
        admin.create(settings, item, namespace=namespace)
        spec = BackupSpec(included_namespaces=[namespace])
        assert BackupEngine(admin, store).run("b-1", spec).results.errors == ()
        limited = Cluster.connect(real_cluster.kubeconfig, as_user=user)
        stack.enter_context(limited)
        yield admin, limited, of_orders


def into_the_copy(namespace):
    """A restore of the whole backup into the copy's namespace."""
    mapping = {namespace: f"{namespace}-copy"}
    return RestoreSpec(backup_name="b-1", namespace_mapping=mapping)


def test_custom_resources_whose_definition_may_not_be_read(orders, namespace, store):
    """They failed after the whole deadline, though the cluster has their type."""
    admin, limited, of_orders = orders
    waits, copy = Waits(), f"{namespace}-copy"
    engine = RestoreEngine(limited, store, observer=waits)

    plan = engine.plan("r-1", into_the_copy(namespace))
    result = engine.apply(plan)

    line = next(x for x in plan.entries if x.kind == "CustomResourceDefinition")
    assert str(line.action) == "skip"
    assert "which may be this one" in str(plan)
    assert result.results.errors == ()
    assert not waits
    parent = admin.get(of_orders, "parent", copy).content["metadata"]
    settings = admin.discover().by_kind("v1", "ConfigMap")
    owned = admin.get(settings, "of-parent", copy).content["metadata"]
    assert [x["uid"] for x in owned["ownerReferences"]] == [parent["uid"]]


def test_custom_resources_whose_definition_may_not_be_made(
    orders, namespace, store, wait_for_versions
):
    """It is told at once, and once for each, that they cannot come."""
    admin, limited, of_orders = orders
    definitions = admin.discover().by_kind(
        "apiextensions.k8s.io/v1", "CustomResourceDefinition"
    )
    group, name = of_orders.group, f"orders.{of_orders.group}"
    admin.delete(definitions, name)
    wait_for_versions(admin, group)
    waits = Waits()
    engine = RestoreEngine(limited, store, observer=waits)

    plan = engine.plan("r-1", into_the_copy(namespace))
    result = engine.apply(plan)
    admin.create(definitions, definition(group, "orders", "Order"))  # as it was
    wait_for_versions(admin, group, "v1")

    told = sorted(x.item.name for x in result.results.errors)
    assert told == ["child", name, "parent"]
    assert not waits


def test_a_namespace_that_may_not_be_made(orders, namespace, real_cluster, store):
    """Who may only view sees in the plan that nothing can come, and waits for nothing."""
    admin, _, _ = orders
    viewer, waits = f"viewer-of-{namespace}", Waits()
    subject = {"kind": "User", "apiGroup": RBAC, "name": viewer}
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"}
    more = {"roleRef": role, "subjects": [subject]}
    spec = RestoreSpec(
        backup_name="b-1", namespace_mapping={namespace: f"{namespace}-x"}
    )
    with ExitStack() as stack:
        binding = thing(f"{RBAC}/v1", "ClusterRoleBinding", viewer, **more)
        World(admin, stack).make(binding)
        limited = Cluster.connect(real_cluster.kubeconfig, as_user=viewer)
        engine = RestoreEngine(stack.enter_context(limited), store, observer=waits)

        tried = engine.plan("r-1", spec, RestoreOptions(validate=True))
        result = engine.apply(engine.plan("r-1", spec))

    said = "\n".join(map(str, tried.notices))
    assert "this account may not create configmaps, orders." in said
    told = [x for x in result.results.errors if x.item.name == f"{namespace}-x"]
    assert ["forbidden" in x.message for x in told] == [True]
    assert not waits
