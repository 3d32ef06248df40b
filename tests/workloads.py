"""A namespace with a workload of each kind on a real API server, for the tests."""

import uuid
from contextlib import suppress
from datetime import timedelta

from kbackup.backup import BackupEngine
from kbackup.errors import ItemNotFoundError
from kbackup.models import BackupSpec

TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]},
}
SECONDS_OF_WATCHING = timedelta(seconds=3)
MADE_OR_RESTORED = (
    ("v1", "Pod"),
    ("apps/v1", "ReplicaSet"),
    ("apps/v1", "ControllerRevision"),
    ("v1", "Secret"),
    ("v1", "PersistentVolumeClaim"),
    ("batch/v1", "Job"),
)
INGRESS = {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}


def objects(namespace):
    """A workload of each kind, and what it is configured by."""
    selector = {"matchLabels": {"app": "web"}}
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    job = {
        "metadata": {"labels": {"app": "job"}},
        "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"},
    }
    bodies = {
        ("v1", "ConfigMap", "settings"): {"data": {"mode": "fast"}},
        ("v1", "Secret", "key"): {"data": {"key": "bm90LXJlYWw="}},
        ("v1", "ServiceAccount", "runner"): {},
        ("networking.k8s.io/v1", "Ingress", "web"): {"spec": INGRESS},
        ("v1", "Service", "web"): {
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}
        },
        ("apps/v1", "Deployment", "web"): {
            "spec": {"replicas": 2, "selector": selector, "template": TEMPLATE}
        },
        ("apps/v1", "StatefulSet", "db"): {
            "spec": {
                "replicas": 1,
                "serviceName": "db",
                "selector": selector,
                "template": TEMPLATE,
                "volumeClaimTemplates": [claim],
            }
        },
        ("batch/v1", "Job", "work"): {"spec": {"template": job}},
    }
    return [
        {
            "apiVersion": version,
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace},
            **body,
        }
        for (version, kind, name), body in bodies.items()
    ]


def create(cluster, namespace, objects):
    """Create a namespace and objects in it."""
    discovery = cluster.discover()
    body = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace, "labels": {"team": "shop"}},
    }
    cluster.create(discovery.by_kind("v1", "Namespace"), body)
    for item in objects:
        resource = discovery.by_kind(item["apiVersion"], item["kind"])
        cluster.create(resource, item, namespace=namespace)


def names(cluster, version, kind, namespace):
    """The names of the objects of a kind."""
    resource = cluster.discover().by_kind(version, kind)
    return sorted(item.name for item in cluster.list(resource, namespace=namespace))


def is_settled(cluster, namespace):
    """Whether the controllers made every Pod."""
    return len(names(cluster, "v1", "Pod", namespace)) >= 4


def is_current(cluster, namespace):
    """Whether the controller of each workload has done what it says."""
    discovery = cluster.discover()
    for kind in ("Deployment", "ReplicaSet", "StatefulSet"):
        resource = discovery.by_kind("apps/v1", kind)
        for item in cluster.list(resource, namespace=namespace):
            body = cluster.get(resource, item.name, namespace=namespace).content
            status = body["status"]
            if status.get("observedGeneration") != body["metadata"]["generation"]:
                return False
            if status.get("replicas", 0) != body["spec"]["replicas"]:
                return False
    return is_settled(cluster, namespace)


def come_to_rest(cluster, namespace, wait_for):
    """Wait until the controllers, and then the garbage collector, have been there.

    The collector removes what has an owner that is nowhere: once such an object is gone,
    it has looked at those that came before.
    """
    wait_for("what controllers make", lambda: is_current(cluster, namespace))
    resource = cluster.discover().by_kind("v1", "ConfigMap")
    nobody = {"apiVersion": "v1", "kind": "ConfigMap", "name": "nobody"}
    owner = {**nobody, "uid": str(uuid.uuid4())}
    metadata = {"name": "orphan", "namespace": namespace, "ownerReferences": [owner]}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    cluster.create(resource, body, namespace=namespace)
    wait_for(
        "the garbage collector",
        lambda: "orphan" not in names(cluster, "v1", "ConfigMap", namespace),
    )


def delete(cluster, namespace):
    """Delete a namespace, if it is there; it goes when it goes."""
    resource = cluster.discover().by_kind("v1", "Namespace")
    with suppress(ItemNotFoundError):
        cluster.delete(resource, namespace)


def drop(cluster, namespace, wait_for):
    """Delete a namespace and wait until it is gone."""
    delete(cluster, namespace)
    wait_for(
        f"the end of {namespace}",
        lambda: namespace not in names(cluster, "v1", "Namespace", ""),
    )


def back_up(source, namespace, store, wait_for):
    """Make a namespace with workloads and back it up once it is settled."""
    create(source, namespace, objects(namespace))
    wait_for("all Pods", lambda: is_settled(source, namespace))
    spec = BackupSpec(included_namespaces=[namespace])
    result = BackupEngine(source, store).run("b-1", spec)
    assert result.results.errors == ()


def watched(cluster, namespace, since, what, side_by_side):
    """Watch a namespace for a while; tell of what it was that *what* happened since."""

    def events(kind):
        return list(
            cluster.watch(
                cluster.discover().by_kind(*kind),
                namespace=namespace,
                resource_version=since,
                timeout=SECONDS_OF_WATCHING,
            )
        )

    return [
        f"{event.item['kind']}/{event.item['metadata']['name']}"
        for found in side_by_side(events, MADE_OR_RESTORED)
        for event in found
        if event.type == what
    ]


def check_workloads(cluster, namespace):
    """Every workload has exactly its replicas, each Pod one controller."""
    kind = cluster.discover().by_kind("v1", "Pod").group_resource
    pods = cluster.reader().list(kind, namespace=namespace)
    owners = [
        f"{owner['kind']}"
        for pod in pods
        for owner in pod["metadata"]["ownerReferences"]
        if owner["controller"]
    ]
    assert sorted(owners) == ["Job", "ReplicaSet", "ReplicaSet", "StatefulSet"]
    assert len(names(cluster, "apps/v1", "ReplicaSet", namespace)) == 1
    assert len(names(cluster, "apps/v1", "ControllerRevision", namespace)) == 1
