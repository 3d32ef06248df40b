"""A plan that is saved in a file, and carried out by another process on a real server."""

import json
import os
import subprocess
import sys
from contextlib import suppress

import pytest

import workloads
from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.errors import ItemNotFoundError
from kbackup.models import BackupSpec

pytestmark = pytest.mark.integration

MOVED = "the live object changed since the plan was made"


def _objects(namespace):
    """A workload, what it is configured by, and a Secret."""
    labels = {"app": "web"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]},
    }
    bodies = {
        ("v1", "ConfigMap", "settings"): {"data": {"mode": "fast"}},
        ("v1", "ConfigMap", "limits"): {"data": {"most": "7"}},
        ("v1", "Secret", "key"): {"data": {"key": "bm90LXJlYWw="}},
        ("v1", "Service", "web"): {
            "spec": {"selector": labels, "ports": [{"port": 80}]}
        },
        ("networking.k8s.io/v1", "Ingress", "web"): {
            "spec": {
                "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}
            }
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
            "metadata": {"name": name, "namespace": namespace},
            **body,
        }
        for (version, kind, name), body in bodies.items()
    ]


@pytest.fixture(name="kbackup")
def fixture_kbackup(cluster, real_cluster, namespace, tmp_path):
    """The command line, each call a process of its own, beside a backup."""
    workloads.create(cluster, namespace, _objects(namespace))
    directory = tmp_path / "store"
    with BackupStore.open(directory) as store:
        spec = BackupSpec(included_namespaces=[namespace])
        assert BackupEngine(cluster, store).run("b-1", spec).exit_code == 0
    (tmp_path / "home").mkdir()
    environment = {
        "HOME": str(tmp_path / "home"),
        "PATH": os.environ["PATH"],
        "KUBECONFIG": str(real_cluster.kubeconfig),
        "KBACKUP_LOCATION": str(directory),
    }

    def call(*words, code=0):
        done = subprocess.run(
            [sys.executable, "-m", "kbackup", *map(str, words), "-o", "json"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    yield call
    namespaces = cluster.discover().by_kind("v1", "Namespace")
    for name in (namespace, f"{namespace}-b"):
        with suppress(ItemNotFoundError):  # not every test restores
            cluster.delete(namespaces, name)


def _actions(lines, key):
    """Item to action."""
    return {line[key]: line["action"] for line in lines}


def _assert_done_as_planned(result, plan, namespace):
    """Hold a result to its plan, but for what controllers make meanwhile."""
    done = {"create": "created", "skip": "skipped", "unchanged": "unchanged"}
    expected = _actions(plan["entries"], "target")
    assert "create" in expected.values()
    found = _actions(result["outcomes"], "item")
    for made in ("serviceaccounts", "default"), ("configmaps", "kube-root-ca.crt"):
        target = f"{made[0]}/{namespace}/{made[1]}"
        expected.pop(target, None)
        found.pop(target, None)
    assert found == {item: done[action] for item, action in expected.items()}
    assert result["results"]["errors"] == []


def _changed(result):
    """Namespace and name of each item that is not unchanged to its action and reason."""
    return {
        outcome["item"].partition("/")[2]: (outcome["action"], outcome["reason"])
        for outcome in result["outcomes"]
        if outcome["action"] != "unchanged"
    }


def test_saved_plans_are_carried_out(cluster, kbackup, namespace, wait_for, tmp_path):
    """What was planned is done by another process; what moved meanwhile is not."""
    where, file = {"namespace": f"{namespace}-b"}, tmp_path / "plan.json"
    backup = (
        "--from-backup",
        "b-1",
        "--namespace-mappings",
        f"{namespace}:{namespace}-b",
    )
    maps = cluster.discover().by_kind("v1", "ConfigMap")
    deployments = cluster.discover().by_kind("apps/v1", "Deployment")

    plan = kbackup("restore", "plan", "r-1", *backup, "--save", file)
    result = kbackup("restore", "create", "--plan", file, "--yes")

    _assert_done_as_planned(result, plan, **where)

    cluster.patch(maps, "settings", {"data": {"mode": "slow"}}, **where)
    cluster.patch(maps, "limits", {"data": {"most": "9"}}, **where)
    cluster.patch(deployments, "web", {"spec": {"replicas": 3}}, **where)
    update = ("--existing-resource-policy", "update", "--save", file, "--force")
    kbackup("restore", "plan", "r-2", *backup, *update)
    cluster.patch(maps, "settings", {"data": {"mode": "slower"}}, **where)
    wait_for(
        "the controller",
        lambda: (
            cluster.get(deployments, "web", **where).content["status"].get("replicas")
            == 3
        ),
    )
    result = kbackup("restore", "create", "--plan", file, "--yes", code=3)

    changed = _changed(result)
    assert changed[f"{namespace}-b/settings"] == ("skipped", MOVED)
    assert changed[f"{namespace}-b/limits"] == ("updated", "")
    assert changed[f"{namespace}-b/web"] == ("updated", "")
    assert MOVED in str(result["results"]["warnings"])
    live = {
        name: cluster.get(maps, name, **where).content
        for name in ("settings", "limits")
    }
    assert live["settings"]["data"] == {"mode": "slower"}
    assert live["limits"]["data"] == {"most": "7"}
    assert cluster.get(deployments, "web", **where).content["spec"]["replicas"] == 2
