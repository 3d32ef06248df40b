"""Two restores of one name on a real API server: two processes, and one killed."""

import signal
import subprocess
import sys
import textwrap

import pytest

from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.errors import RestoreInProgressError
from kbackup.models import BackupSpec, RestoreSpec
from kbackup.restore import RestoreEngine

pytestmark = pytest.mark.integration

ITEMS = 40
# Restores, tells when the first object is there, and goes on when it is told to.
PROGRAM = textwrap.dedent("""
    import sys
    from kbackup import BackupStore, Cluster, RestoreEngine, RestoreSpec
    from kbackup.plugins import ItemRestored

    kubeconfig, place, source, copy = sys.argv[1:]
    told = []

    def wait(event):
        if isinstance(event, ItemRestored) and not told:
            told.append(event)
            print("writing", flush=True)
            sys.stdin.readline()

    spec = RestoreSpec(backup_name="one", namespace_mapping={source: copy})
    with Cluster.connect(kubeconfig) as cluster, BackupStore.open(place) as store:
        print(RestoreEngine(cluster, store, observer=wait).run("back", spec).exit_code)
""")


def _config_maps(api, namespace):
    """Return name and uid of the ConfigMaps of the test in a namespace."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    items = api.request("GET", path)[1].get("items", [])
    found = {each["metadata"]["name"]: each["metadata"]["uid"] for each in items}
    return {name: uid for name, uid in found.items() if name.startswith("c-")}


def test_two_processes_and_one_name(real_cluster, namespace, tmp_path):
    """The second writes nothing; killed, the first is completed at once by the next."""
    api = real_cluster.api()
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    for n in range(ITEMS):
        body = {"metadata": {"name": f"c-{n:02}"}, "data": {"n": str(n)}}
        api.request("POST", f"/api/v1/namespaces/{namespace}/configmaps", body)
    copy, other, place = f"{namespace}-copy", f"{namespace}-other", tmp_path / "store"
    same = RestoreSpec(backup_name="one", namespace_mapping={namespace: copy})
    another = RestoreSpec(backup_name="one", namespace_mapping={namespace: other})
    with (
        Cluster.connect(real_cluster.kubeconfig) as cluster,
        BackupStore.open(place) as store,
    ):
        BackupEngine(cluster, store).run(
            "one", BackupSpec(included_namespaces=[namespace])
        )
        engine = RestoreEngine(cluster, store)
        command = [sys.executable, "-c", PROGRAM, real_cluster.kubeconfig, place]
        with subprocess.Popen(
            [*command, namespace, copy], stdin=-1, stdout=-1, text=True
        ) as first:
            assert first.stdout.readline() == "writing\n"
            for spec in (same, another):
                with pytest.raises(RestoreInProgressError) as caught:
                    engine.run("back", spec)
                assert f"(process {first.pid})" in str(caught.value)
            assert api.request("GET", f"/api/v1/namespaces/{other}")[0] == 404
            first.send_signal(signal.SIGKILL)
            assert first.stdout.read() == ""  # it is dead, and nobody has waited for it
            before = _config_maps(api, copy)
            assert [each.name for each in store.unended_restores()] == ["back"]

            result = engine.run("back", same)

        after = _config_maps(api, copy)
        assert [each.name for each in store.list_restores()] == ["back"]
        assert store.unended_restores() == []
    assert result.exit_code == 0
    assert len(after) == ITEMS
    assert {name: after[name] for name in before} == before
    assert not list(place.rglob("restore-claims/*.json"))
