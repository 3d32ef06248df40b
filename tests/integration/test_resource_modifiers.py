"""Resource modifiers on a real API server: what they are to do is what it would do."""

import copy
import json
import os
import subprocess
import sys
from contextlib import suppress

import pytest

import workloads
from kbackup._kits._strategic import is_set, merge_key
from kbackup._kits.patches import json_patch, merge_patch, strategic_merge
from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.errors import AlreadyExistsError, ItemNotFoundError, PlanOutdatedError
from kbackup.models import (
    BackupSpec,
    ResourceModifiers,
    RestoreOptions,
    RestoreSpec,
    TypedLocalObjectReference,
)
from kbackup.restore import RestoreEngine, RestorePlan

pytestmark = pytest.mark.integration

JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
RULES = """\
version: v1
resourceModifierRules:
- conditions:
    groupResource: deployments.apps
    resourceNameRegex: ^web$
    namespaces: [{namespace}]
  patches:
  - {{operation: test, path: /spec/replicas, value: 2}}
  - {{operation: replace, path: /spec/replicas, value: 1}}
  - {{operation: add, path: /metadata/labels/restored, value: '"true"'}}
- conditions:
    groupResource: configmaps
    matches: [{{path: /data/mode, value: fast}}]
  mergePatches:
  - patchData: |
      data: {{mode: slow, most: null}}
- conditions: {{groupResource: "*.apps"}}
  strategicPatches:
  - patchData: |
      spec:
        template:
          spec:
            containers:
            - {{name: web, image: "example.com/web:2"}}
            - {{name: side, image: "example.com/side:1"}}
- conditions: {{groupResource: services}}
  patches:
  - {{operation: remove, path: /spec/nothing}}
"""


def _objects(namespace):
    """A workload, what it is configured by, and a Secret."""
    labels = {"app": "web"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]},
    }
    bodies = {
        ("v1", "ConfigMap", "settings"): {"data": {"mode": "fast", "most": "7"}},
        ("v1", "ConfigMap", "limits"): {"data": {"mode": "slow", "most": "7"}},
        ("v1", "Service", "web"): {
            "spec": {"selector": labels, "ports": [{"port": 80}]}
        },
        ("apps/v1", "Deployment", "web"): {
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "template": template,
            }
        },
    }
    return [
        {
            "apiVersion": version,
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            **body,
        }
        for (version, kind, name), body in bodies.items()
    ]


@pytest.fixture(name="store")
def fixture_store(cluster, namespace, tmp_path):
    """A backup of a namespace, which is left with its copy when the test ends."""
    workloads.create(cluster, namespace, _objects(namespace))
    with BackupStore.open(tmp_path / "store") as store:
        spec = BackupSpec(included_namespaces=[namespace])
        assert BackupEngine(cluster, store).run("b-1", spec).exit_code == 0
        yield store
    namespaces = cluster.discover().by_kind("v1", "Namespace")
    for name in (namespace, f"{namespace}-b"):
        with suppress(ItemNotFoundError):
            cluster.delete(namespaces, name)


@pytest.fixture(name="named")
def fixture_named(cluster, namespace):
    """Puts rules into a ConfigMap beside the target's Velero; returns its name."""
    discovery = cluster.discover()
    maps = discovery.by_kind("v1", "ConfigMap")
    velero = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "velero"}}
    with suppress(AlreadyExistsError):
        cluster.create(discovery.by_kind("v1", "Namespace"), velero)

    def put(text):
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": namespace, "namespace": "velero"},
            "data": {"rules.yaml": text},
        }
        with suppress(ItemNotFoundError):
            cluster.delete(maps, namespace, namespace="velero")
        cluster.create(maps, body, namespace="velero")
        return namespace

    yield put
    with suppress(ItemNotFoundError):
        cluster.delete(maps, namespace, namespace="velero")


def _live(cluster, version, kind, name, namespace):
    """An object of the cluster."""
    resource = cluster.discover().by_kind(version, kind)
    return cluster.get(resource, name, namespace).content


def _assert_modified(cluster, namespace):
    """Hold the copy to what the rules say."""
    web = _live(cluster, "apps/v1", "Deployment", "web", namespace)
    assert web["spec"]["replicas"] == 1
    assert web["metadata"]["labels"]["restored"] == "true"
    containers = web["spec"]["template"]["spec"]["containers"]
    assert [(x["name"], x["image"]) for x in containers] == [
        ("web", "example.com/web:2"),
        ("side", "example.com/side:1"),
    ]
    settings = _live(cluster, "v1", "ConfigMap", "settings", namespace)
    assert settings["data"] == {"mode": "slow"}
    limits = _live(cluster, "v1", "ConfigMap", "limits", namespace)
    assert limits["data"] == {"mode": "slow", "most": "7"}
    service = _live(cluster, "v1", "Service", "web", namespace)
    assert service["spec"]["ports"][0]["port"] == 80


def _assert_one_error(errors, namespace):
    """The one rule that does not fit is the one error of the restore."""
    (error,) = errors
    assert error["item"] == f"services/{namespace}/web"
    assert error["message"].startswith(
        "resource modifier rule 4 is not applied: remove"
    )


def test_rules_of_a_config_map(cluster, store, named, namespace):
    """One rule of each kind, from the cluster: it then has what the plan showed."""
    copy_of = f"{namespace}-b"
    reference = TypedLocalObjectReference(
        kind="configmap", name=named(RULES.format(namespace=namespace))
    )
    spec = RestoreSpec(
        backup_name="b-1",
        namespace_mapping={namespace: copy_of},
        resource_modifier=reference,
    )
    engine = RestoreEngine(cluster, store)

    plan = engine.plan("r-1", spec)
    named(RULES.format(namespace="another"))
    with pytest.raises(PlanOutdatedError, match="not those of the plan"):
        engine.apply(plan)
    named(RULES.format(namespace=namespace))
    result = engine.apply(RestorePlan.from_json(json.dumps(plan.to_json())))

    changed = {str(x.target): x.changed_by for x in plan.entries if x.changed_by}
    one, two, three = (f"resource modifier rule {number}" for number in (1, 2, 3))
    assert changed[f"deployments.apps/{copy_of}/web"] == (one, three)
    assert changed[f"configmaps/{copy_of}/settings"] == (two,)
    assert f"configmaps/{copy_of}/limits" not in changed
    _assert_modified(cluster, copy_of)
    assert result.exit_code == 3
    assert not [x for x in engine.plan("r-1", spec).entries if x.action.writes]


def test_saved_plans_with_a_file(cluster, store, real_cluster, namespace, tmp_path):
    """Another process carries the plan out, given the same file, and no other file."""
    saved, file, other = (tmp_path / name for name in ("plan.json", "a.yaml", "b.yaml"))
    file.write_text(RULES.format(namespace=namespace))
    other.write_text(RULES.format(namespace="another"))
    (tmp_path / "home").mkdir()
    environment = {
        "HOME": str(tmp_path / "home"),
        "PATH": os.environ["PATH"],
        "KUBECONFIG": str(real_cluster.kubeconfig),
        "KBACKUP_LOCATION": str(tmp_path / "store"),
    }

    def kbackup(*words, code):
        done = subprocess.run(
            [sys.executable, "-m", "kbackup", "restore", *map(str, words)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done

    mapping = ("--namespace-mappings", f"{namespace}:{namespace}-b")
    by_file = ("--resource-modifiers-file", file)
    backup = ("--from-backup", "b-1", *mapping)
    kbackup("plan", "r-1", *backup, *by_file, "--save", saved, code=0)
    by_plan = ("create", "--plan", saved, "--yes", "-o", "json")
    refused = kbackup(*by_plan, "--resource-modifiers-file", other, code=2)
    done = kbackup(*by_plan, *by_file, code=3)

    assert "resource_modifiers: named is sha256:" in refused.stderr
    assert file.read_text() not in saved.read_text()
    _assert_modified(cluster, f"{namespace}-b")
    errors = json.loads(done.stdout)["results"]["errors"]
    _assert_one_error(errors, f"{namespace}-b")
    assert store.get_restore("r-1").status.errors == 1


# --- patches are what the server makes of them ----------------------------------------


def _pod_spec(**fields):
    """A patch of what is in a Deployment's Pods."""
    return {"spec": {"template": {"spec": fields}}}


def _named_images(*names):
    return [{"name": name, "image": f"example.com/{name}:2"} for name in names]


CONTAINERS = "/spec/template/spec/containers"
PATCHES = {
    "change one": (STRATEGIC, _pod_spec(containers=_named_images("b"))),
    "add one": (STRATEGIC, _pod_spec(containers=_named_images("x"))),
    "before": (STRATEGIC, _pod_spec(containers=_named_images("x", "c"))),
    "behind": (STRATEGIC, _pod_spec(containers=_named_images("a", "x"))),
    "another order": (STRATEGIC, _pod_spec(containers=_named_images("c", "a"))),
    "stated order": (
        STRATEGIC,
        _pod_spec(
            **{
                "$setElementOrder/containers": [{"name": x} for x in "xcab"],
                "containers": _named_images("x"),
            }
        ),
    ),
    "delete one": (
        STRATEGIC,
        _pod_spec(containers=[{"name": "a", "$patch": "delete"}]),
    ),
    "replace all": (
        STRATEGIC,
        _pod_spec(containers=[{"$patch": "replace"}, *_named_images("x")]),
    ),
    "nested": (
        STRATEGIC,
        _pod_spec(
            containers=[
                {
                    "name": "a",
                    "env": [{"name": "NEW", "value": "1"}, {"name": "B", "value": "9"}],
                    "ports": [{"containerPort": 8080, "name": "http"}],
                    "args": ["-x"],
                }
            ]
        ),
    ),
    "atomic": (STRATEGIC, _pod_spec(tolerations=[{"key": "x", "operator": "Exists"}])),
    "volumes": (STRATEGIC, _pod_spec(volumes=[{"name": "v", "emptyDir": None}])),
    "retained": (
        STRATEGIC,
        {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}},
    ),
    "map": (
        STRATEGIC,
        _pod_spec(nodeSelector={"$patch": "replace", "disk": "ssd"}),
    ),
    "finalizers": (STRATEGIC, {"metadata": {"finalizers": ["example.com/c"]}}),
    "not those": (
        STRATEGIC,
        {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/a"]}},
    ),
    "merge": (MERGE, _pod_spec(containers=_named_images("x"), nodeSelector=None)),
    "json": (
        JSON_PATCH,
        [
            {"op": "test", "path": f"{CONTAINERS}/2/name", "value": "c"},
            {"op": "replace", "path": f"{CONTAINERS}/2/image", "value": "e:1"},
            {"op": "move", "from": f"{CONTAINERS}/0", "path": f"{CONTAINERS}/-"},
            {
                "op": "copy",
                "from": f"{CONTAINERS}/0/image",
                "path": f"{CONTAINERS}/1/image",
            },
            {"op": "add", "path": "/metadata/labels/example.com~1x", "value": "y"},
            {"op": "remove", "path": "/spec/template/spec/nodeSelector"},
        ],
    ),
}
OURS = {STRATEGIC: strategic_merge, MERGE: merge_patch, JSON_PATCH: json_patch}


@pytest.fixture(name="deployment")
def fixture_deployment(real_cluster, namespace):
    """The path of a Deployment with much to patch, and the Deployment."""
    api = real_cluster.api()
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    containers = [
        {
            "name": name,
            "image": f"example.com/{name}:1",
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
            "ports": [{"containerPort": 80}],
            "args": ["-v"],
        }
        for name in "abc"
    ]
    labels = {"app": "web"}
    body = {
        "metadata": {
            "name": "web",
            "labels": labels,
            "finalizers": ["example.com/a", "example.com/b"],
        },
        "spec": {
            "replicas": 0,
            "paused": True,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": containers,
                    "volumes": [{"name": "v", "emptyDir": {}}],
                    "nodeSelector": {"zone": "a"},
                },
            },
        },
    }
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    status, made = api.request("POST", path, body)
    assert status == 201, made
    yield f"{path}/web", made
    none = {"metadata": {"finalizers": None}}
    api.request("PATCH", f"{path}/web", none, content_type=MERGE)
    api.request("DELETE", f"/api/v1/namespaces/{namespace}")


def _told(answer):
    """What an answer says of the object, but for what moves by itself."""
    status, body = answer
    if status != 200:
        return status, body
    metadata = {
        key: body["metadata"].get(key)
        for key in ("labels", "annotations", "finalizers")
    }
    return status, metadata, body["spec"]


def test_patches_are_what_the_server_makes_of_them(real_cluster, deployment):
    """The object as patched here is to the server what its own patching makes of it."""
    api, (path, _) = real_cluster.api(), deployment
    different = {}
    for name, (kind, patch) in PATCHES.items():
        _, live = api.request("GET", path)

        ours = OURS[kind](copy.deepcopy(live), patch)
        ours["metadata"].pop("resourceVersion")
        put = _told(api.request("PUT", f"{path}?dryRun=All", ours))
        patched = _told(
            api.request("PATCH", f"{path}?dryRun=All", patch, content_type=kind)
        )

        if put != patched:
            different[name] = (put, patched)
    assert not different


# Where old servers, or the table of all kinds, have another key, and why that is well.
OTHERWISE = {
    ("ephemeralContainers", "ports"),  # keyed in newer ones; no restore creates any
    ("", "conditions"),  # of a ComponentStatus, which is nothing that is stored
    ("spec", "volumes"),  # of a PodSecurityPolicy: plain words, which are replaced
}


def _lists(definitions, name, parent, seen):
    """Yield (parent field, field, property) of the lists in a type and what is in it."""
    if (name, parent) in seen:
        return
    seen.add((name, parent))
    for field, schema in definitions[name].get("properties", {}).items():
        if field == "status":
            continue  # which no restore writes
        if schema.get("type") == "array":
            yield parent, field, schema
        inner = schema.get("items", schema).get("$ref", "")
        if inner:
            yield from _lists(definitions, inner.rpartition("/")[2], field, seen)


def test_the_keys_of_lists_are_those_of_the_server(real_cluster):
    """Each list of each type that the server has is merged by the key that it says."""
    _, document = real_cluster.request("GET", "/openapi/v2")
    definitions = document["definitions"]
    seen, different = set(), set()
    for name, definition in definitions.items():
        if not definition.get("x-kubernetes-group-version-kind"):
            continue
        if name.endswith(("List", "Options", "WatchEvent")):
            continue
        for parent, field, schema in _lists(definitions, name, "", seen):
            merged = "merge" in schema.get("x-kubernetes-patch-strategy", "")
            key = schema.get("x-kubernetes-patch-merge-key") if merged else None
            path = (parent, field) if parent else (field,)
            if (merge_key(path), is_set(path)) != (key, merged and key is None):
                different.add((name, parent, field, key))
    assert len(seen) > 400
    assert {(parent, field) for _, parent, field, _ in different} <= OTHERWISE


def test_a_rule_and_kubectl_patch_are_one(cluster, store, named, namespace):
    """What a rule makes of a restored object is what patching the restored one makes."""
    patch = _pod_spec(containers=[*_named_images("x"), {"name": "web", "tty": True}])
    rules = {
        "version": "v1",
        "resourceModifierRules": [
            {
                "conditions": {"groupResource": "deployments.apps"},
                "strategicPatches": [{"patchData": json.dumps(patch)}],
            }
        ],
    }
    modifiers = ResourceModifiers.from_yaml(json.dumps(rules))
    spec = RestoreSpec(
        backup_name="b-1", namespace_mapping={namespace: f"{namespace}-b"}
    )
    options = RestoreOptions(resource_modifiers=modifiers)

    RestoreEngine(cluster, store).run("r-1", spec, options)

    restored = _live(cluster, "apps/v1", "Deployment", "web", f"{namespace}-b")
    original = _live(cluster, "apps/v1", "Deployment", "web", namespace)
    containers = strategic_merge(original, patch)["spec"]["template"]["spec"][
        "containers"
    ]
    found = restored["spec"]["template"]["spec"]["containers"]
    assert [x["name"] for x in found] == [x["name"] for x in containers] == ["x", "web"]
    assert found[1] == containers[1]
