"""What a backup refers to and does not hold, and what looking for that costs."""

import pytest

from kbackup.backup import BackupEngine
from kbackup.models import BackupSpec
from kbackup.plugins import PluginManager

NEEDS_KEYS = {
    "spec": {
        "containers": [
            {"name": "c", "image": "i", "envFrom": [{"secretRef": {"name": "keys"}}]}
        ]
    }
}
LABELS = {"metadata": {"labels": {"app": "web"}}}
SELECTOR = {"selector": {"matchLabels": {"app": "web"}}}


def _deployment(scene):
    """A Deployment that is scaled to nothing and will need a Secret."""
    spec = {**SELECTOR, "replicas": 0, "template": {**LABELS, **NEEDS_KEYS}}
    return scene.made("Deployment", "web", "shop", api_version="apps/v1", spec=spec)


def _missing(scene):
    """Return what the manifest says is missing, as text."""
    return [str(each.refers_to) for each in scene.store.manifest("b").missing]


@pytest.mark.parametrize("types", [["deployments"], ["deployments", "secrets"]])
def test_what_a_workload_without_pods_will_need(scene, types):
    """A Secret that the filters leave out is missed before a Pod needs it."""
    scene.load(_deployment(scene), scene.secret("keys"))

    result = scene.back_up(included_namespaces=["shop"], included_resources=types)

    gaps = [] if "secrets" in types else ["secrets/shop/keys"]
    assert _missing(scene) == gaps
    told = [str(each) for each in result.results.warnings if "keys" in str(each)]
    assert len(told) == len(gaps)
    assert result.backup.status.phase == "Completed"


def test_what_refers_is_stored_as_it_is(scene):
    """Looking for references leaves an object as the server sent it."""
    scene.load(_deployment(scene))
    found = scene.cluster.discover().resolve("deployments")
    sent = scene.cluster.get(found, "web", "shop").content

    scene.back_up(included_namespaces=["shop"], included_resources=["deployments"])

    assert scene.item("deployments.apps/shop/web") == sent


def test_claims_and_pods_that_no_action_looks_at(scene):
    """Without the built-in actions too, volumes without data are told."""
    claim = {
        "volumeName": "pv-1",
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    }
    scene.load(
        scene.made("PersistentVolumeClaim", "data", "shop", spec=claim),
        scene.made("Pod", "a", "shop", **NEEDS_KEYS),
    )
    plugins = PluginManager(disable=["velero.io/pod", "velero.io/pv"])
    engine = BackupEngine(scene.cluster, scene.store, plugins=plugins)

    result = engine.run("b", BackupSpec(included_namespaces=["shop"]))

    assert "secrets/shop/keys" in _missing(scene)
    assert [each.claim for each in scene.store.manifest("b").volumes] == ["shop/data"]
    told = " ".join(str(each) for each in result.results.warnings)
    assert "1 volume has no data in this backup" in told
