"""Objects of 64 KiB and more on a real API server: whole, salvaged, on record."""

import base64
import os
import re

import pytest

from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.errors import RestoreExistsError
from kbackup.models import BackupSpec, RestoreOptions, RestorePhase, RestoreSpec
from kbackup.restore import RestoreEngine

pytestmark = pytest.mark.integration

SIZES = {"a": 100, "b": 70_000, "c": 200_000, "d": 100, "e": 90_000, "f": 100}


def _secrets(cluster, namespace):
    """Return the data of the Secrets of the test, by name."""
    kind = cluster.discover().by_kind("v1", "Secret").group_resource
    found = cluster.reader().list(kind, namespace=namespace)
    return {
        each["metadata"]["name"]: each["data"]
        for each in found
        if each["metadata"]["name"] in SIZES
    }


@pytest.fixture
def store(cluster, namespace, tmp_path):
    """A store with a backup of large Secrets."""
    discovery = cluster.discover()
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    cluster.create(discovery.by_kind("v1", "Namespace"), body)
    for name, size in SIZES.items():
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "data": {"x": base64.b64encode(os.urandom(size)).decode()},
        }
        cluster.create(discovery.by_kind("v1", "Secret"), body, namespace=namespace)
    with BackupStore.open(f"file://{tmp_path}/store") as opened:
        spec = BackupSpec(included_namespaces=[namespace])
        result = BackupEngine(cluster, opened).run("b-1", spec)
        assert result.results.errors == ()
        yield opened
    namespaces = discovery.by_kind("v1", "Namespace")
    for name in (namespace, f"{namespace}-1", f"{namespace}-2"):
        if any(item.name == name for item in cluster.list(namespaces)):
            cluster.delete(namespaces, name)


def test_large_objects_are_verified_restored_and_salvaged(
    cluster, store, namespace, tmp_path
):
    """A sound backup of large objects is whole; of a damaged one nearly all comes."""
    engine = RestoreEngine(cluster, store)
    first = RestoreSpec(
        backup_name="b-1", namespace_mapping={namespace: f"{namespace}-1"}
    )
    second = RestoreSpec(
        backup_name="b-1", namespace_mapping={namespace: f"{namespace}-2"}
    )

    assert store.verify("b-1").problems == ()
    whole = engine.run("r-1", first)
    with pytest.raises(RestoreExistsError):
        engine.run("r-1", second)
    path = tmp_path / "store/backups/b-1/b-1.tar.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    assert store.verify("b-1").problems
    salvaged = engine.run("r-2", second, RestoreOptions(salvage=True))

    live = _secrets(cluster, namespace)
    assert whole.results.errors == ()
    assert _secrets(cluster, f"{namespace}-1") == live
    assert salvaged.restore.status.phase is RestorePhase.PARTIALLY_FAILED
    saved = _secrets(cluster, f"{namespace}-2")
    assert len(saved) >= len(live) - 1
    assert all(live[name] == data for name, data in saved.items())
    log = list(store.restore_logs("r-1"))
    assert any(re.search(r"secrets: \d+ created", line) for line in log)
    assert "Completed: " in log[-1]


def test_a_large_object_need_not_be_sent_back(cluster, namespace):
    """A server that is asked for metadata only answers with them, and stores it all."""
    discovery = cluster.discover()
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    cluster.create(discovery.by_kind("v1", "Namespace"), body)
    secrets = discovery.by_kind("v1", "Secret")
    data = {"x": base64.b64encode(os.urandom(SIZES["c"])).decode()}
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "c"},
        "data": data,
    }

    answer = cluster.create(secrets, body, namespace=namespace, metadata_only=True)

    assert answer["kind"] == "PartialObjectMetadata"
    assert "data" not in answer
    stored = cluster.get(secrets, "c", namespace).content
    assert stored["data"] == data
    assert stored["metadata"]["uid"] == answer["metadata"]["uid"]
    cluster.delete(discovery.by_kind("v1", "Namespace"), namespace)
