"""The objects of `mixed.py`: 20 kinds of Kubernetes, and of as many CRDs as are wanted."""

import base64
import os
import time
from concurrent.futures import ThreadPoolExecutor

from control_plane import make_namespace, make_pool, post

NAMESPACES = [f"mixed-{number}" for number in range(5)]
LABELS = {"app": "bench"}
CUSTOM = 0.3  # of all objects
GROUP = "bench.example.com"
WRITERS = 32
POD = {
    "metadata": {"labels": LABELS},
    "spec": {
        "containers": [
            {
                "name": "web",
                "image": "registry.example.com/shop/web:1.2.3",
                "env": [{"name": "MODE", "value": "bench"}],
                "ports": [{"containerPort": 8080}],
                "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
            }
        ],
    },
}
JOB = {"template": {**POD, "spec": {**POD["spec"], "restartPolicy": "Never"}}}
WORKLOAD = {"selector": {"matchLabels": LABELS}, "template": POD}
CLAIM = {
    "accessModes": ["ReadWriteOnce"],
    "storageClassName": "none",
    "resources": {"requests": {"storage": "1Gi"}},
}
RBAC = "rbac.authorization.k8s.io"
SERVICE = {"name": "web", "port": {"number": 80}}
RULE = {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": SERVICE}}]}

# kind: its path, how many of a hundred, what it is beside its metadata
KINDS = {
    "ConfigMap": ("api/v1/configmaps", 20, {"data": {"key": "value" * 40}}),
    "Secret": ("api/v1/secrets", 20, {}),
    "Pod": ("api/v1/pods", 20, {"spec": POD["spec"]}),
    "Service": ("api/v1/services", 1, {"spec": {"ports": [{"port": 80}]}}),
    "ServiceAccount": ("api/v1/serviceaccounts", 5, {}),
    "PersistentVolumeClaim": ("api/v1/persistentvolumeclaims", 2, {"spec": CLAIM}),
    "ReplicationController": (
        "api/v1/replicationcontrollers",
        1,
        {"spec": {"selector": LABELS, "template": POD}},
    ),
    "PodTemplate": ("api/v1/podtemplates", 1, {"template": POD}),
    "LimitRange": (
        "api/v1/limitranges",
        1,
        {
            "spec": {
                "limits": [{"type": "PersistentVolumeClaim", "max": {"storage": "1Ti"}}]
            }
        },
    ),
    "Deployment": ("apis/apps/v1/deployments", 8, {"spec": WORKLOAD}),
    "StatefulSet": (
        "apis/apps/v1/statefulsets",
        2,
        {"spec": {**WORKLOAD, "serviceName": "web"}},
    ),
    "DaemonSet": ("apis/apps/v1/daemonsets", 1, {"spec": WORKLOAD}),
    "Job": ("apis/batch/v1/jobs", 3, {"spec": JOB}),
    "CronJob": (
        "apis/batch/v1beta1/cronjobs",
        2,
        {"spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": JOB}}},
    ),
    "Ingress": (
        "apis/networking.k8s.io/v1/ingresses",
        3,
        {"spec": {"rules": [{"host": "shop.example.com", "http": RULE}]}},
    ),
    "NetworkPolicy": (
        "apis/networking.k8s.io/v1/networkpolicies",
        2,
        {"spec": {"podSelector": {"matchLabels": LABELS}}},
    ),
    "Role": (
        f"apis/{RBAC}/v1/roles",
        3,
        {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
    ),
    "RoleBinding": (
        f"apis/{RBAC}/v1/rolebindings",
        3,
        {
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "reader"},
            "subjects": [{"kind": "User", "apiGroup": RBAC, "name": "somebody"}],
        },
    ),
    "PodDisruptionBudget": (
        "apis/policy/v1beta1/poddisruptionbudgets",
        1,
        {"spec": {"minAvailable": 1, "selector": {"matchLabels": LABELS}}},
    ),
    "HorizontalPodAutoscaler": (
        "apis/autoscaling/v1/horizontalpodautoscalers",
        1,
        {
            "spec": {
                "maxReplicas": 3,
                "scaleTargetRef": {"kind": "Deployment", "name": "web"},
            }
        },
    ),
}


def custom(number):
    """The kind and the path of one of the custom types."""
    return f"Bench{number:02}", f"apis/{GROUP}/v1/bench{number:02}s"


def paths(crds):
    """The path of every type by its kind."""
    built_in = {kind: path for kind, (path, _, _) in KINDS.items()}
    return built_in | dict(custom(number) for number in range(crds))


def objects(items, crds):
    """Yield each object with the path of its type; all names differ."""
    of_crds = int(items * CUSTOM) if crds else 0
    weights = sum(weight for _, weight, _ in KINDS.values())
    for kind, (path, weight, parts) in KINDS.items():
        for number in range(max(1, (items - of_crds) * weight // weights)):
            yield path, _object(path, kind, number, parts)
    for number in range(of_crds):
        kind, path = custom(number % crds)
        yield path, _object(path, kind, number, {"spec": {"size": number, "mode": "a"}})


def _object(path, kind, number, parts):
    group = path.removeprefix("apis/").removeprefix("api/").rpartition("/")[0]
    namespace = NAMESPACES[number % len(NAMESPACES)]
    name = f"{kind.lower()}-{number:06}"
    if kind == "Secret":
        parts = {"data": {"value": base64.b64encode(os.urandom(200)).decode()}}
    metadata = {"name": name, "namespace": namespace, "labels": LABELS}
    return {"apiVersion": group, "kind": kind, "metadata": metadata, **parts}


def populate(url, items, crds):
    """Create all of it."""
    pool = make_pool(WRITERS)
    for name in NAMESPACES:
        make_namespace(pool, url, name)
    for number in range(crds):
        post(
            pool,
            f"{url}/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            definition(number),
        )
    for number in range(crds):
        await_served(pool, f"{url}/{custom(number)[1]}")

    def make(pair):
        path, content = pair
        post(pool, located(url, path, content["metadata"]["namespace"]), content)

    with ThreadPoolExecutor(WRITERS) as workers:
        list(workers.map(make, objects(items, crds)))


def definition(number):
    """One of the CRDs."""
    kind, path = custom(number)
    plural = path.rpartition("/")[2]
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "size": {"type": "integer"},
                    "mode": {"type": "string"},
                },
            }
        },
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind},
            "versions": [version],
        },
    }


def await_served(pool, address):
    """Wait until a new type is served."""
    while pool.request("GET", address).status != 200:
        time.sleep(0.1)


def located(url, path, namespace):
    """The address of a type in a namespace; without one, of all of it."""
    head, _, plural = path.rpartition("/")
    return (
        f"{url}/{head}/namespaces/{namespace}/{plural}"
        if namespace
        else (f"{url}/{path}")
    )
