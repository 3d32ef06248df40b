"""The numbers that a plan and its restore print, held against a real API server.

What was created, updated, deleted and created anew, or left alone, the server tells by
the uid and the resourceVersion of each object before and after.
"""

import json
import os
import re
import subprocess
import sys

import pytest

from kbackup.backup import BackupEngine
from kbackup.models import BackupSpec

pytestmark = pytest.mark.integration

# Which controllers write meanwhile, or which are there because of what is restored.
NOISE = frozenset({"endpoints", "endpointslices", "events"})


def config_map(name, value, **more):
    """A ConfigMap with one value."""
    metadata = {"name": name}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    return body | {"data": {"value": value}} | more


def secret(name, value):
    """A Secret with one value."""
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
    return body | {"stringData": {"value": value}}


STORED = [
    *(config_map(name, "old") for name in ("lost-1", "lost-2", "same", "drifted")),
    *(config_map(name, "old", immutable=True) for name in ("anew", "fixed")),
    secret("drifted", "old"),
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "lost"},
        "spec": {"ports": [{"port": 80}]},
    },
]
LOST = [("configmaps", "lost-1"), ("configmaps", "lost-2"), ("services", "lost")]
IMMUTABLE = ("anew", "fixed")
LATER = ("later",)


def seen(item):
    """What tells an object, and its state, from any other."""
    return item["metadata"]["uid"], item["metadata"]["resourceVersion"]


class Scene:
    """A namespace of the real cluster that has moved on since its backup."""

    def __init__(self, cluster, namespace):
        self.cluster, self.namespace = cluster, namespace
        self.find = cluster.discover().resolve

    def create(self, item):
        """Create one object."""
        resource = self.cluster.discover().by_kind("v1", item["kind"])
        self.cluster.create(resource, item, namespace=self.namespace)

    def delete(self, resource, name):
        """Delete one object."""
        self.cluster.delete(self.find(resource), name, namespace=self.namespace)

    def patch(self, resource, name, change):
        """Change one object."""
        self.cluster.patch(self.find(resource), name, change, namespace=self.namespace)

    def move_on(self):
        """Lose, change, replace and add objects."""
        for resource, name in LOST:
            self.delete(resource, name)
        self.patch("configmaps", "drifted", {"data": {"value": "new", "more": "x"}})
        self.patch("secrets", "drifted", {"stringData": {"value": "new"}})
        for name in IMMUTABLE:
            self.delete("configmaps", name)
            self.create(config_map(name, "new", immutable=True))
        for name in LATER:
            self.create(config_map(name, "new"))

    def objects(self):
        """Return (type, name) to uid and resourceVersion of a namespace and all in it."""
        live = self.cluster.get(self.find("namespaces"), self.namespace).content
        found = {("namespaces", self.namespace): seen(live)}
        for resource in self.cluster.discover().resources:
            listed = resource.namespaced and resource.supports("list")
            if listed and resource.resource not in NOISE:
                for item in self.cluster.list(resource, namespace=self.namespace):
                    found[str(resource), item.name] = seen(json.loads(item.json()))
        return found


@pytest.fixture
def scene(cluster, store, namespace, wait_for):
    """The namespace, backed up, and moved on since."""
    scene = Scene(cluster, namespace)
    cluster.create(scene.find("namespaces"), {"metadata": {"name": namespace}})
    # Only then nothing is made here but by the test.
    wait_for(
        "what controllers make of a namespace",
        lambda: (
            {kind for kind, _ in scene.objects()}
            >= {"configmaps", "secrets", "serviceaccounts"}
        ),  # and the account's token
    )
    for item in STORED:
        scene.create(item)
    spec = BackupSpec(included_namespaces=[namespace])
    assert BackupEngine(cluster, store).run("b-1", spec).exit_code == 0
    scene.move_on()
    yield scene
    cluster.delete(scene.find("namespaces"), namespace)


@pytest.fixture
def kbackup(real_cluster, tmp_path):
    """The command line, each call a process of its own; what it prints."""
    (tmp_path / "home").mkdir()
    environment = {
        "HOME": str(tmp_path / "home"),
        "PATH": os.environ["PATH"],
        "KUBECONFIG": str(real_cluster.kubeconfig),
        "KBACKUP_LOCATION": str(tmp_path / "store"),
    }

    def call(*words):
        done = subprocess.run(
            [sys.executable, "-m", "kbackup", *map(str, words)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode in (0, 3), done.stderr
        return done.stdout

    return call


def numbers(text):
    """Return what a line such as ``3 create, 1 skip`` counts."""
    return {word: int(count) for count, word in re.findall(r"(\d+) ([a-z]+)", text)}


def changes(before, after):
    """Return how many objects the server has anew, in another state, or as they were."""
    both = before.keys() & after.keys()
    replaced = {key for key in both if before[key][0] != after[key][0]}
    updated = {key for key in both - replaced if before[key] != after[key]}
    return {
        "created": len(after.keys() - before.keys()),
        "deleted": len(before.keys() - after.keys()),
        "recreated": len(replaced),
        "updated": len(updated),
        "untouched": len(both - replaced - updated),
    }


def test_what_is_printed_is_what_the_cluster_shows(scene, kbackup, tmp_path):
    """A plan says it before, the restore after; both are what the server then has."""
    asked = (
        *("r-1", "--from-backup", "b-1", "--existing-resource-policy", "update"),
        *("--existing-policies", f"configmaps/{scene.namespace}/anew=recreate"),
    )
    file = tmp_path / "plan.json"
    before = scene.objects()

    planned = numbers(
        kbackup("restore", "plan", *asked, "--save", file).splitlines()[-1]
    )
    untouched = scene.objects()
    printed = kbackup("restore", "create", "--plan", file, "--yes").splitlines()[-1]
    shown = changes(before, scene.objects())

    assert untouched == before
    done = numbers(printed.partition(", ")[2])
    assert (planned["create"], planned["update"], planned["recreate"]) == (3, 2, 1)
    assert planned["conflict"] == 1  # an immutable one that nobody said to recreate
    assert done == {
        "created": planned["create"],
        "updated": planned["update"],
        "recreated": planned["recreate"],
        "unchanged": planned["unchanged"],
        "skipped": planned["skip"],
        "failed": planned["conflict"],
    }
    assert {key: shown[key] for key in ("created", "updated", "recreated")} == {
        key: done[key] for key in ("created", "updated", "recreated")
    }
    assert shown["deleted"] == 0
    left = done["unchanged"] + done["skipped"] + done["failed"]
    assert shown["untouched"] == left + len(LATER)  # of which the backup does not know
