"""A namespace with something of everything on the real cluster, and a store beside it."""

import json
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import attrs
import pytest

from kbackup import BackupEngine, BackupSpec, BackupStore, Cluster, RestoreEngine
from kbackup._kits.normalise import differences, normalise
from kbackup.errors import UnsupportedByServerError
from kbackup.models import load_all_yaml

HERE = Path(__file__).parent
MERGE = "application/merge-patch+json"
RICH = HERE / "rich_namespace.yaml"
DYING = "deletionTimestamp"


def pytest_collection_modifyitems(items):
    """Let other tests run in the minute for which a round trip is looked at."""
    places = [n for n, item in enumerate(items) if item.path.parent == HERE]
    own = sorted((items[n] for n in places), key=lambda x: "trip" in x.fixturenames)
    for place, item in zip(places, own, strict=True):
        items[place] = item


# Made by controllers of the target out of what is restored, or plain noise.
NOT_COMPARED = frozenset(
    {
        "controllerrevisions.apps",
        "endpointslices.discovery.k8s.io",
        "events",
        "events.events.k8s.io",
        "leases.coordination.k8s.io",
        "ingresses.extensions",  # the twin of ingresses.networking.k8s.io
    }
)


@attrs.frozen
class World:
    """One cluster, as a test sees it.

    Attributes:
        real: The control plane, for plain HTTP.
        cluster: The library's connection to it.
    """

    real: object
    cluster: Cluster

    def path(self, api_version, kind, namespace="", name=""):
        """Return the URL path of a type, a namespace's collection or an object."""
        resource = self.served(api_version, kind)
        version = resource.api_version
        root = "/api/v1" if version == "v1" else f"/apis/{version}"
        where = f"/namespaces/{namespace}" if namespace else ""
        return f"{root}{where}/{resource.resource}" + (f"/{name}" if name else "")

    def served(self, api_version, kind):
        """Return a type in the version asked for, or in the one that is served instead.

        What an old API server serves as a beta, a current one serves as stable only.
        """
        group = api_version.rpartition("/")[0]
        deadline = time.monotonic() + 20
        discovery = self.cluster.discover()
        while True:
            if found := discovery.by_kind(api_version, kind):
                return found
            for other in discovery.resources:
                if (other.group, other.kind) == (group, kind):
                    return other
            assert time.monotonic() < deadline, f"{api_version} {kind} is not served"
            time.sleep(0.2)
            discovery = self.cluster.discover(refresh=True)

    def path_of(self, item):
        """Return the URL path of an object."""
        metadata = item["metadata"]
        return self.path(
            item["apiVersion"],
            item["kind"],
            metadata.get("namespace", ""),
            metadata["name"],
        )

    def create(self, item, *, retry_for=20):
        """Create an object; a type or an account may be a moment late."""
        version = self.served(item["apiVersion"], item["kind"]).api_version
        item = {**item, "apiVersion": version}
        collection = self.path_of(item).rpartition("/")[0]
        deadline = time.monotonic() + retry_for
        while True:
            status, answer = self.real.request("POST", collection, item)
            if status == 201:
                return answer
            late = status in {403, 404, 500} and time.monotonic() < deadline
            assert late, (status, answer.get("message"), item["metadata"])
            time.sleep(0.2)

    def get(self, item):
        """Return an object as it is now, or None."""
        status, answer = self.real.request("GET", self.path_of(item))
        return answer if status == 200 else None

    def patch(self, item, patch, subresource=""):
        """Change an object by a merge patch."""
        path = self.path_of(item) + (f"/{subresource}" if subresource else "")
        status, answer = self.real.request("PATCH", path, patch, content_type=MERGE)
        assert status == 200, answer
        return answer

    def delete(self, item, **options):
        """Delete an object; one that is gone is fine."""
        status, answer = self.real.request("DELETE", self.path_of(item), options)
        assert status in {200, 202, 404}, answer

    def items(self, api_version, kind, namespace=""):
        """Return the objects of a type."""
        path = self.path(api_version, kind, namespace)
        status, answer = self.real.request("GET", path)
        assert status == 200, answer
        return answer["items"]

    def pods(self, namespace, **labels):
        """Return the living Pods of a namespace that have these labels."""
        return [
            pod
            for pod in self.items("v1", "Pod", namespace)
            if DYING not in pod["metadata"]
            and labels.items() <= (pod["metadata"].get("labels") or {}).items()
        ]

    def objects(self, namespace):
        """Return everything in a namespace: (type, name) to the whole object."""
        found = {}
        for resource in self.cluster.discover(refresh=True).resources:
            name = str(resource.group_resource)
            if not resource.namespaced or not resource.supports("list"):
                continue
            with suppress(UnsupportedByServerError):  # its CRD has just gone
                for item in self.cluster.list(resource, namespace=namespace):
                    found[name, item.name] = json.loads(item.json())
        return found

    def remove_namespace(self, namespace, *, wait=True):
        """Delete a namespace with all that is in it and wait until it is gone."""
        body = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace},
        }
        for (name, _), item in self.objects(namespace).items():
            if item["metadata"].get("finalizers") and not name.startswith("persistent"):
                self.patch(item, {"metadata": {"finalizers": None}})
        self.delete(body)
        if not wait:
            return
        deadline = time.monotonic() + 60
        while self.get(body) is not None:
            assert time.monotonic() < deadline, self.get(body)["status"]
            time.sleep(0.2)

    def watched(self):
        """Return a watch of all types, from now on."""
        return Watched(self)

    def backup(self, store, name, *namespaces, **spec):
        """Back up namespaces, mostly one."""
        spec = BackupSpec(included_namespaces=namespaces, **spec)
        return BackupEngine(self.cluster, store).run(name, spec)

    def restorer(self, store):
        """Return an engine that restores into this cluster."""
        return RestoreEngine(self.cluster, store)


class Watched:
    """Remembers every object that was deleted while it is open."""

    def __init__(self, world):
        self._world = world
        self._answers = []
        self._threads = []
        self.deleted = []

    def __enter__(self):
        """Begin to watch each type of the whole cluster."""
        for resource in self._world.cluster.discover(refresh=True).resources:
            if resource.supports("list", "watch") and resource.resource != "events":
                path = self._world.path(resource.api_version, resource.kind)
                self._begin(path)
        return self

    def __exit__(self, *args):
        """Stop."""
        for answer in self._answers:
            with suppress(AttributeError):  # its type has gone, and the watch with it
                answer.fp.raw._sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _begin(self, path):
        """Watch one type on a thread of its own."""
        _, listed = self._world.real.request("GET", f"{path}?limit=1")
        version = listed["metadata"]["resourceVersion"]
        query = f"?watch=1&resourceVersion={version}&timeoutSeconds=600"
        answer = self._world.real.api().open("GET", path + query)
        self._answers.append(answer)
        thread = threading.Thread(target=self._follow, args=(answer,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _follow(self, answer):
        with suppress(OSError, ValueError, HTTPException):
            for line in answer:
                event = json.loads(line)
                if event["type"] == "DELETED":
                    self.deleted.append(event["object"])


@pytest.fixture(scope="session")
def source(real_cluster):
    """The source cluster."""
    with Cluster.connect(real_cluster.kubeconfig) as cluster:
        yield World(real_cluster, cluster)


@pytest.fixture(scope="session")
def target(target_cluster):
    """The target cluster."""
    with Cluster.connect(target_cluster.kubeconfig) as cluster:
        yield World(target_cluster, cluster)


@pytest.fixture(scope="session")
def nodes(source, target):
    """A Node in each cluster, so that a DaemonSet has something to do."""
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node"}}
    for world in (source, target):
        world.create(node)
    yield
    for world in (source, target):
        world.delete(node)


@pytest.fixture(name="directory")
def fixture_directory(tmp_path):
    """The directory of the store."""
    return tmp_path / "store"


@pytest.fixture(name="store")
def fixture_store(directory):
    """An open store in a directory."""
    with BackupStore.open(directory) as store:
        yield store


@pytest.fixture(name="killed")
def fixture_killed(real_cluster, directory, killed_runs):
    """A function that does a run in a process which dies before its n-th write."""
    with killed_runs(real_cluster.kubeconfig, directory) as run:
        yield run


@pytest.fixture(scope="session")
def compared():
    """A function that tells in what two namespaces' objects differ."""
    return compare


def is_made_by_controller(item):
    """Tell whether a controller made this object out of another one."""
    metadata = item["metadata"]
    owners = metadata.get("ownerReferences") or ()
    kind = item["kind"]
    if any(owner.get("controller") for owner in owners) and kind in {"Pod", "Job"}:
        return True
    if kind == "Secret" and item.get("type", "").endswith("service-account-token"):
        return True
    return kind == "ConfigMap" and metadata["name"] == "kube-root-ca.crt"


def is_finished(item):
    """Tell whether a Job has ended."""
    conditions = (item.get("status") or {}).get("conditions") or ()
    return item["kind"] == "Job" and bool(conditions)


def comparable(objects, selectors=frozenset()):
    """Return the objects that a restore brings back, normalised."""
    return {
        key: normalise(item)
        for key, item in objects.items()
        if key[0] not in NOT_COMPARED
        and not is_made_by_controller(item)
        and not is_finished(item)
        and key not in selectors
    }


def selected_endpoints(objects):
    """Return the Endpoints that a controller fills."""
    return {
        ("endpoints", name)
        for (kind, name), item in objects.items()
        if kind == "services" and item["spec"].get("selector")
    }


def compare(before, after, *, namespaces=()):
    """Return the differences of two namespaces' objects as lines.

    Args:
        before: What `World.objects` gave.
        after: The same, later or elsewhere.
        namespaces: The names of both, where they differ.
    """
    if namespaces:
        old, new = namespaces
        before = json.loads(
            json.dumps({"|".join(k): v for k, v in before.items()}).replace(old, new)
        )
        before = {tuple(k.split("|")): v for k, v in before.items()}
    left = comparable(before, selected_endpoints(before))
    right = comparable(after, selected_endpoints(after))
    lines = [f"missing: {key}" for key in sorted(left.keys() - right.keys())]
    lines += [f"extra: {key}" for key in sorted(right.keys() - left.keys())]
    for key in sorted(left.keys() & right.keys()):
        lines += [f"{key}: {each}" for each in differences(left[key], right[key])]
    return lines


@pytest.fixture(scope="session", name="rich")
def fixture_rich(source, nodes, make_rich):
    """The name of a rich namespace of the source cluster, which no test changes."""
    name = f"kept-{time.time_ns() % 10**8}"
    make_rich(source, name)
    return name


@pytest.fixture(scope="session", name="make_volumes")
def fixture_make_volumes():
    """A function that makes the volumes that a rich namespace needs."""
    return make_volumes


@pytest.fixture(scope="session")
def versions_of():
    """A function that returns the resourceVersions of a namespace's objects."""
    return versions


@pytest.fixture(scope="session")
def make_rich(wait_for):
    """A function that fills a namespace of a cluster and waits until it is quiet."""

    def make(world, namespace):
        tag = tag_of(namespace)
        make_volumes(world, namespace, 6)
        text = RICH.read_text().replace("NS", namespace)
        text = text.replace("GROUP", f"g{tag}.example.com").replace("TAG", tag)
        made = {}
        for item in load_all_yaml(text):
            own_child(item, made)
            stored = world.create(item)
            made[item["kind"], item["metadata"]["name"]] = stored
        roll_out(world, made["Deployment", "web"], wait_for, namespace)
        finish(world, made["Job", "finished"], "Complete")
        finish(world, made["Job", "failed"], "Failed")
        wait_for("a quiet namespace", lambda: is_quiet(world, namespace))
        return made

    return make


def tag_of(namespace):
    """Return a word for cluster-wide names: a mapping of namespaces leaves it alone."""
    return namespace[::-1]


def make_volumes(world, namespace, count):
    """Make a class of volumes for a rich namespace, and volumes of it."""
    name = f"manual-{tag_of(namespace)}"
    world.create(storage_class(name))
    for number in range(count):
        world.create(volume(f"{tag_of(namespace)}-{number}", name))


def own_child(item, made):
    """Let the custom resource ``child`` be owned by ``parent``."""
    if (item["kind"], item["metadata"]["name"]) != ("Wish", "child"):
        return
    parent = made["Wish", "parent"]
    owner = {
        "apiVersion": parent["apiVersion"],
        "kind": "Wish",
        "name": "parent",
        "uid": parent["metadata"]["uid"],
    }
    item["metadata"]["ownerReferences"] = [owner]


def roll_out(world, deployment, wait_for, namespace):
    """Give a Deployment a second ReplicaSet, and let it reach its replicas."""
    wait_for("the first Pods", lambda: len(world.pods(namespace, app="web")) == 3, 15)
    strategy = {"type": "Recreate", "rollingUpdate": None}
    container = {"name": "web", "image": "example.com/web:2"}
    volumes = [{"name": "settings", "configMap": {"name": "settings"}}]
    pod = {"serviceAccountName": "runner", "containers": [container]}
    spec = {"strategy": strategy, "template": {"spec": {**pod, "volumes": volumes}}}
    world.patch(deployment, {"spec": spec})

    def rolled():
        images = [
            pod["spec"]["containers"][0]["image"]
            for pod in world.pods(namespace, app="web")
        ]
        return images == ["example.com/web:2"] * 3

    wait_for("the second rollout", rolled)


def finish(world, job, condition):
    """Let a Job be over, as its controller does: with the condition that precedes."""
    before = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}[condition]
    conditions = [{"type": each, "status": "True"} for each in (before, condition)]
    status = {"conditions": conditions, "active": 0, "ready": 0}
    if condition == "Complete":
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        status |= {"completionTime": now, "succeeded": 1}
    world.patch(job, {"status": status}, "status")


def is_quiet(world, namespace):
    """Tell whether controllers have made what they were going to make."""
    first = versions(world, namespace)
    time.sleep(1)
    claims = world.items("v1", "PersistentVolumeClaim", namespace)
    phases = Counter(claim["status"].get("phase") for claim in claims)
    pods = Counter(
        (pod["metadata"].get("labels") or {}).get("app")
        for pod in world.pods(namespace)
    )
    wanted = {"web": 3, "bare-set": 2, "old-set": 1, "db": 2, "lonely": 1}
    return (
        phases == {"Bound": 2, "Pending": 1}
        and wanted.items() <= pods.items()
        and first == versions(world, namespace)
    )


def versions(world, namespace):
    """Return the resourceVersion of everything in a namespace, Events aside."""
    return {
        key: item["metadata"]["resourceVersion"]
        for key, item in world.objects(namespace).items()
        if not key[0].startswith("events")
    }


def storage_class(name):
    """Return a StorageClass that provisions nothing."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": "kubernetes.io/no-provisioner",
    }


def volume(name, storage_class_name, policy="Retain"):
    """Return a PersistentVolume over a directory of its own."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": policy,
            "storageClassName": storage_class_name,
            "hostPath": {"path": f"/tmp/{name}"},  # noqa: S108 - never used
        },
    }
