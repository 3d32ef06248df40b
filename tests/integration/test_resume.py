"""A backup killed by ``kill -9`` while it waits, and resumed, on a real API server."""

import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

import waiting_run
from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore, EntryState, SideFile
from kbackup.cluster import Cluster
from kbackup.errors import BackupExistsError, BackupInProgressError
from kbackup.models import (
    BackupPhase,
    BackupSpec,
    GroupResource,
    ResourceIdentifier,
    RestorePhase,
)
from kbackup.restore import RestoreEngine

pytestmark = pytest.mark.integration

PROGRAM = Path(waiting_run.__file__)


@pytest.fixture
def cluster(real_cluster):
    """A real cluster."""
    with Cluster.connect(real_cluster.kubeconfig) as cluster:
        yield cluster


@pytest.fixture
def store(tmp_path):
    """A directory."""
    with BackupStore.open(tmp_path / "store") as store:
        yield store


@pytest.fixture
def space(real_cluster, namespace):
    """A namespace with a ConfigMap whose backup begins an operation."""
    api = real_cluster.api()
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    for name, labels in (("data", {"move": "yes"}), ("plain", {})):
        api.request("POST", path, {"metadata": {"name": name, "labels": labels}})
    yield namespace
    api.request("DELETE", f"/api/v1/namespaces/{namespace}")


@pytest.fixture
def waiting(real_cluster, space, tmp_path):
    """A function that runs the program until it waits, and kills it at the end."""

    @contextmanager
    def run(verb, name):
        command = [sys.executable, PROGRAM, verb, name, space]
        place = [real_cluster.kubeconfig, tmp_path / "store"]
        with subprocess.Popen([*command, *place], stdout=-1, text=True) as process:
            try:
                assert process.stdout.readline() == "waiting\n"
                yield process
            finally:
                process.send_signal(signal.SIGKILL)
                process.stdout.read()

    return run


def test_killed_and_resumed_by_another_process(cluster, store, space, waiting):
    """What was begun goes on, a killed resume too; the backup is whole and the only one."""
    engine = waiting_run.engine(cluster, store)
    job = waiting_run.job_of(space, "data")
    with (
        waiting("create", "b-1") as first,
        pytest.raises(BackupInProgressError, match=f"process {first.pid}"),
    ):
        engine.resume("b-1")
    uid = cluster.reader().get(job)["metadata"]["uid"]

    (listed,) = store.list()
    with pytest.raises(BackupExistsError, match="can be resumed"):
        engine.run("b-1", BackupSpec(included_namespaces=[space]))
    with (
        waiting("resume", "b-1") as second,
        pytest.raises(BackupInProgressError, match=f"process {second.pid}"),
    ):
        engine.resume("b-1")
    cluster.writer().patch(job, {"data": {"done": "yes"}})
    result = engine.resume("b-1")
    again = engine.resume("b-1")

    assert listed.state is EntryState.INCOMPLETE
    assert "can be resumed" in listed.reason
    status = result.backup.status
    assert status.phase is BackupPhase.COMPLETED
    assert status.backup_item_operations_completed == 1
    assert store.verify("b-1").problems == ()
    with store.open_archive("b-1") as archive:
        stored = {str(item.identifier): item.content for item in archive}
    assert stored[str(job)]["data"] == {"done": "yes"}  # as it is after its end
    assert stored[str(job)]["metadata"]["uid"] == uid  # and begun only once
    assert {f"configmaps/{space}/data", f"configmaps/{space}/plain"} <= set(stored)
    (operation,) = store.side_file("b-1", SideFile.ITEM_OPERATIONS)
    assert operation["status"]["phase"] == "Completed"
    assert again.backup == result.backup


def test_killed_and_given_up(cluster, store, space, waiting):
    """A deletion of its files frees the name; the operation is left, and said to be."""
    with waiting("create", "b-2"):
        pass

    store.delete("b-2", files_only=True)

    assert store.list() == []
    job = waiting_run.job_of(space, "data")
    assert cluster.reader().get(job) is not None


def test_restore_killed_and_run_again(cluster, store, space, waiting):
    """What the killed one began is followed, not begun again, and is in the record."""
    spec = BackupSpec(included_namespaces=[space])
    BackupEngine(cluster, store).run("b-3", spec)
    copy = f"{space}-copy"
    job = waiting_run.job_of(copy, "data")
    with waiting("restore", "b-3"):
        uid = cluster.reader().get(job)["metadata"]["uid"]
    cluster.writer().patch(job, {"data": {"done": "yes"}})

    engine = waiting_run.engine(cluster, store, RestoreEngine)
    result = waiting_run.restore(engine, "b-3", space)

    status = result.restore.status
    assert result.results.errors == ()
    assert status.phase is RestorePhase.COMPLETED
    assert status.restore_item_operations_attempted == 1
    assert status.restore_item_operations_completed == 1
    assert cluster.reader().get(job)["metadata"]["uid"] == uid
    namespaces = GroupResource("", "namespaces")
    cluster.writer().delete(ResourceIdentifier(namespaces, "", copy))
