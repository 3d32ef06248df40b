"""What the built-in item actions do, told by a real API server and its controllers.

The objects are made as old clients made them, through the betas that the server still
has, or are given something by its controllers that no other cluster would take.
"""

import json
from contextlib import ExitStack

import attrs
import pytest

from kbackup import BackupEngine, BackupSpec, BackupStore, Cluster, RestoreEngine
from kbackup.errors import InvalidItemError, ItemNotFoundError
from kbackup.models import BackupOptions, RestoreSpec

pytestmark = pytest.mark.integration

RBAC = "rbac.authorization.k8s.io"
CRD, HOOKS = "CustomResourceDefinition", "ValidatingWebhookConfiguration"
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
CONTAINERS = [{"name": "web", "image": "example.com/web:1"}]


def thing(version, kind, name, namespace="", **body):
    """An object; annotations and labels among *body* go into its metadata."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    for field in ("annotations", "labels"):
        if field in body:
            metadata[field] = body.pop(field)
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **body}


def of_the_cluster(word):
    """What is cluster-scoped and used in the namespace *word*, or belongs to it."""
    account = {"kind": "ServiceAccount", "name": "runner", "namespace": word}
    rule = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}
    volume = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": word,
        "hostPath": {"path": f"/tmp/kbackup-test-{word}"},  # noqa: S108 - never used
    }
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": word}
    return [
        thing("scheduling.k8s.io/v1", "PriorityClass", word, value=5),
        thing(
            "storage.k8s.io/v1", "StorageClass", word, provisioner="example.com/none"
        ),
        thing("v1", "PersistentVolume", word, spec=volume),
        thing(f"{RBAC}/v1", "ClusterRole", word, rules=[rule]),
        thing(
            f"{RBAC}/v1", "ClusterRoleBinding", word, roleRef=role, subjects=[account]
        ),
    ]


def of_old_clients(word):
    """A definition that keeps every field, and a webhook whose effects v1 refuses."""
    schema = {
        "type": "object",
        "properties": {
            "spec": {"type": "object", "properties": {"size": {"type": "integer"}}}
        },
    }
    names = {"plural": "widgets", "kind": "Widget"}
    hook = {
        "name": "w.example.com",
        "rules": [],
        "clientConfig": {"url": "https://127.0.0.1:9/"},
        "sideEffects": "Some",
        "failurePolicy": "Ignore",
    }
    return [
        thing(
            "apiextensions.k8s.io/v1beta1",
            CRD,
            f"widgets.{word}.example.com",
            spec={
                "group": f"{word}.example.com",
                "version": "v1",
                "scope": "Namespaced",
                "names": names,
                "preserveUnknownFields": True,
                "validation": {"openAPIV3Schema": schema},
            },
        ),
        thing("admissionregistration.k8s.io/v1beta1", HOOKS, word, webhooks=[hook]),
    ]


def of_the_namespace(word, token):
    """One object for each built-in action that looks at namespaced ones.

    The Pod mounts a token of its account, as every Pod of an old cluster does.
    """
    ported = {"type": "NodePort", "ports": [{"port": 80}]}
    balanced = {**ported, "type": "LoadBalancer", "externalTrafficPolicy": "Local"}
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": word,
        "resources": {"requests": {"storage": "1Gi"}},
    }
    mount = {
        "name": token,
        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
    }
    pod = {
        "priorityClassName": word,
        "serviceAccountName": "runner",
        "containers": [{**CONTAINERS[0], "volumeMounts": [mount]}],
        "initContainers": [{"name": "restore-wait", "image": "velero/velero:v1"}],
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": token, "secret": {"secretName": token}},
        ],
    }
    job = {"template": {"spec": {"restartPolicy": "Never", "containers": CONTAINERS}}}
    account = {"kind": "ServiceAccount", "name": "runner", "namespace": word}
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": word}
    return [
        thing(f"{RBAC}/v1", "RoleBinding", "r", word, roleRef=role, subjects=[account]),
        thing("v1", "PersistentVolumeClaim", "data", word, spec=claim),
        thing("v1", "Pod", "bare", word, spec=pod),
        thing("batch/v1", "Job", "count", word, spec=job),
        thing("v1", "Service", "any", word, spec=ported),
        thing("v1", "Service", "asked", word, spec=ported),
        thing("v1", "Service", "none", word, spec={"clusterIP": "None"}),
        thing("v1", "Service", "balanced", word, spec=balanced),
        thing(
            f"{word}.example.com/v1",
            "Widget",
            "w",
            word,
            spec={"size": 1, "colour": {"deep": "red"}},
        ),
    ]


@attrs.frozen
class World:
    """A real cluster with all of these objects in it.

    Attributes:
        cluster: A connection with all rights.
        name: Of the namespace, and of what is cluster-scoped.
        stack: Undoes what tests do to the cluster.
    """

    cluster: Cluster
    name: str
    stack: ExitStack

    def served(self, item):
        """How the type of an object is served, once it is."""
        version, kind = item["apiVersion"], item["kind"]
        found = self.cluster.discover().by_kind(version, kind)
        return found or self.cluster.discover(refresh=True).by_kind(version, kind)

    def make(self, item):
        """Create one object, and remove it in the end."""
        namespace = item["metadata"].get("namespace", "")
        self.cluster.create(self.served(item), item, namespace=namespace)
        if not namespace:
            self.stack.callback(self.remove, item)

    def remove(self, item):
        """Delete one object."""
        try:
            self.cluster.delete(self.served(item), item["metadata"]["name"])
        except ItemNotFoundError:
            return

    def get(self, kind, name, namespace="", version="v1"):
        """Return an object, or None."""
        resource = self.cluster.discover().by_kind(version, kind)
        try:
            return self.cluster.get(resource, name, namespace).content
        except ItemNotFoundError:
            return None


@pytest.fixture
def world(real_cluster, namespace, wait_for):
    """A real server in which everything of `of_the_namespace` is there and settled."""
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster.connect(real_cluster.kubeconfig))
        found = World(cluster, namespace, stack)
        found.make(thing("v1", "Namespace", namespace))
        for item in (*of_the_cluster(namespace), *of_old_clients(namespace)):
            found.make(item)
        found.make(thing("v1", "ServiceAccount", "runner", namespace))
        token = wait_for("the token of the account", lambda: _token(found, "runner"))
        *others, widget = of_the_namespace(namespace, token)
        wait_for("the type of widgets", lambda: found.served(widget))
        for item in (*others, widget):
            found.make(item)
        _apply(found, "asked")
        wait_for(
            "the claim to be bound",
            lambda: (
                found.get("PersistentVolumeClaim", "data", namespace)["status"]["phase"]
                == "Bound"
            ),
        )
        yield found


def _apply(world, name):
    """Note on a Service, as kubectl does, that its node port was asked for."""
    live = world.get("Service", name, world.name)
    applied = {"spec": {"ports": live["spec"]["ports"]}}
    note = {"metadata": {"annotations": {APPLIED: json.dumps(applied)}}}
    resource = world.cluster.discover().by_kind("v1", "Service")
    world.cluster.patch(resource, name, note, namespace=world.name)


def _token(world, account, namespace=""):
    """The name of the token that the controllers made for an account, or nothing."""
    found = world.get("ServiceAccount", account, namespace or world.name) or {}
    return next((x["name"] for x in found.get("secrets", ())), "")


@pytest.fixture
def store(tmp_path):
    """A store in a directory."""
    with BackupStore.open(tmp_path / "store") as opened:
        yield opened


def test_what_comes_along_with_a_namespace(world, store):
    """A Pod brings its class, a claim its volume, an account what it is granted."""
    result = BackupEngine(world.cluster, store).run(
        "b-1", BackupSpec(included_namespaces=[world.name])
    )

    assert result.results.errors == ()
    with store.open_archive("b-1") as archive:
        stored = {str(x.identifier): x.content for x in archive}
    assert {text for text in stored if text.count("/") == 1} == {
        f"clusterrolebindings.{RBAC}/{world.name}",
        f"clusterroles.{RBAC}/{world.name}",
        f"customresourcedefinitions.apiextensions.k8s.io/widgets.{world.name}.example.com",
        f"namespaces/{world.name}",
        f"persistentvolumes/{world.name}",
        f"priorityclasses.scheduling.k8s.io/{world.name}",
    }


@pytest.fixture
def restored(world, store, wait_for):
    """The namespace under another name, after the original and all that it used went."""
    word, copy = world.name, f"{world.name}-copy"

    def of_this_test(item):
        name = item["metadata"]["name"]
        own = word in (name, item["metadata"].get("namespace"))
        return own or name == f"v1.{word}.example.com"

    spec = BackupSpec(included_namespaces=[word], include_cluster_resources=True)
    engine = BackupEngine(world.cluster, store)
    made = engine.run("b-1", spec, BackupOptions(where=of_this_test))
    assert made.results.errors == ()
    before = {
        "any": world.get("Service", "any", word),
        "asked": world.get("Service", "asked", word),
        "balanced": world.get("Service", "balanced", word),
        "count": world.get("Job", "count", word, "batch/v1"),
        "token": _token(world, "runner"),
    }
    for item in (
        thing("v1", "Namespace", word),
        *of_the_cluster(word),
        *of_old_clients(word),
    ):
        world.remove(item)
    wait_for("the namespace to go", lambda: world.get("Namespace", word) is None)
    wait_for(
        "the definition to go",
        lambda: (
            world.get(CRD, f"widgets.{word}.example.com", "", "apiextensions.k8s.io/v1")
            is None
        ),
    )
    world.stack.callback(world.remove, thing("v1", "Namespace", copy))
    spec = RestoreSpec(
        backup_name="b-1",
        namespace_mapping={word: copy},
        included_namespaces=(word,),
        include_cluster_resources=True,
    )
    result = RestoreEngine(world.cluster, store).run("r-1", spec)
    return copy, before, result


def test_what_comes_back(world, restored, wait_for):
    """Each object is taken by the server, and says nothing of the old cluster."""
    copy, before, result = restored

    assert [str(x) for x in result.results.errors] == []
    _services(world, copy, before)
    _workloads(world, copy, before, wait_for)
    _rights(world, copy, before, wait_for)
    _old_clients(world, copy)
    _api_services(world, result)


def _services(world, copy, before):
    """Addresses are new, and of the node ports only the one that was applied is old."""
    names = ("any", "asked", "none", "balanced")
    live = {x: world.get("Service", x, copy)["spec"] for x in names}
    assert live["none"]["clusterIP"] == "None"
    old = {x: before[x]["spec"]["ports"][0]["nodePort"] for x in ("any", "asked")}
    assert live["asked"]["ports"][0]["nodePort"] == old["asked"]
    assert live["any"]["ports"][0]["nodePort"] not in (None, 0, old["any"])
    checked = before["balanced"]["spec"]["healthCheckNodePort"]
    assert live["balanced"]["healthCheckNodePort"] not in (None, 0, checked)


def _workloads(world, copy, before, wait_for):
    """Pod, claim and Job are the target's: its token, its volume, its selector."""
    pod = world.get("Pod", "bare", copy)["spec"]
    assert pod["priorityClassName"] == world.name
    assert "initContainers" not in pod
    assert [x["name"] for x in pod["volumes"]] == ["data"]
    assert "volumeMounts" not in pod["containers"][0]
    claim = world.get("PersistentVolumeClaim", "data", copy)
    assert claim["spec"].get("volumeName") != world.name
    job = world.get("Job", "count", copy, "batch/v1")
    uid = job["metadata"]["uid"]
    assert uid != before["count"]["metadata"]["uid"]
    assert job["spec"]["selector"]["matchLabels"] == {"controller-uid": uid}
    wait_for("the Pod of the Job", lambda: _active(world, copy))


def _active(world, copy):
    """How many Pods the Job has."""
    status = world.get("Job", "count", copy, "batch/v1").get("status") or {}
    return status.get("active") == 1


def _rights(world, copy, before, wait_for):
    """Bindings name the account of the copy, which has a token of its own."""
    version = f"{RBAC}/v1"
    for kind, name, namespace in (
        ("RoleBinding", "r", copy),
        ("ClusterRoleBinding", world.name, ""),
    ):
        (subject,) = world.get(kind, name, namespace, version)["subjects"]
        assert subject["namespace"] == copy
    token = wait_for("a token of its own", lambda: _token(world, "runner", copy))
    assert token != before["token"]
    assert world.get("Secret", before["token"], copy) is None


def _old_clients(world, copy):
    """What only the betas took is there through v1, and no field was lost."""
    v1 = "apiextensions.k8s.io/v1"
    live = world.get(CRD, f"widgets.{world.name}.example.com", "", v1)
    assert not live["spec"].get("preserveUnknownFields")
    widget = world.get("Widget", "w", copy, f"{world.name}.example.com/v1")
    assert widget["spec"] == {"size": 1, "colour": {"deep": "red"}}
    hooks = world.get(HOOKS, world.name, "", "admissionregistration.k8s.io/v1")
    assert [x["sideEffects"] for x in hooks["webhooks"]] == ["None"]


def _api_services(world, result):
    """What the server keeps itself is skipped: it has made its own for the definition."""
    name = f"v1.{world.name}.example.com"
    (outcome,) = [x for x in result.outcomes if x.identifier.name == name]
    assert str(outcome.identifier) == f"apiservices.apiregistration.k8s.io/{name}"
    assert outcome.action == "skipped"
    live = world.get("APIService", name, "", "apiregistration.k8s.io/v1")
    assert "velero.io/restore-name" not in live["metadata"]["labels"]


@pytest.mark.parametrize(
    ("kind", "field"),
    [(CRD, "preserveUnknownFields"), (HOOKS, "sideEffects")],
    ids=["definition", "webhook"],
)
def test_what_v1_refuses_unmended(world, kind, field):
    """The server itself does not take what it gives, so something has to mend it."""
    word = f"x{world.name}"
    group = "apiextensions" if kind == CRD else "admissionregistration"
    name = f"widgets.{world.name}.example.com" if kind == CRD else world.name
    item = world.get(kind, name, version=f"{group}.k8s.io/v1")
    item.pop("status", None)
    item["metadata"] = {"name": name.replace(world.name, word)}
    if kind == CRD:
        item["spec"]["group"] = f"{word}.example.com"

    with pytest.raises(InvalidItemError, match=field):
        world.cluster.create(world.served(item), item, dry_run=True)
