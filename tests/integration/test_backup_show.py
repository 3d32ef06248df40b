"""``backup ls`` and ``backup show`` of what a real API server held."""

import json

import pytest

from definitions import definition
from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.cli._app import run
from kbackup.cluster import Cluster
from kbackup.models import BackupSpec

pytestmark = pytest.mark.integration

LABELS = {"app": "web"}
TEMPLATE = {
    "metadata": {"labels": LABELS},
    "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]},
}
SPECS = {
    ("networking.k8s.io/v1", "Ingress"): {
        "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}
    },
    ("apps/v1", "Deployment"): {
        "selector": {"matchLabels": LABELS},
        "template": TEMPLATE,
    },
}


@pytest.fixture(name="cluster")
def fixture_cluster(real_cluster, namespace):
    """The real cluster with an Ingress and a Deployment in a namespace."""
    with Cluster.connect(real_cluster.kubeconfig) as cluster:
        discovery = cluster.discover()
        spaces = discovery.by_kind("v1", "Namespace")
        meta = {"name": namespace}
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
        cluster.create(spaces, made)
        for (version, kind), spec in SPECS.items():
            head = {"apiVersion": version, "kind": kind, "metadata": {"name": "web"}}
            resource = discovery.by_kind(version, kind)
            cluster.create(resource, {**head, "spec": spec}, namespace=namespace)
        yield cluster
        cluster.delete(spaces, namespace)


@pytest.fixture(name="kbackup")
def fixture_kbackup(cluster, namespace, tmp_path, monkeypatch, capsys):
    """The command line beside a backup of the namespace."""
    with BackupStore.open(tmp_path / "store") as store:
        spec = BackupSpec(included_namespaces=[namespace])
        assert BackupEngine(cluster, store).run("b-1", spec).exit_code == 0
    monkeypatch.setenv("KBACKUP_LOCATION", str(tmp_path / "store"))

    def call(*words):
        capsys.readouterr()
        code = run([*words, "-o", "json"])
        out, err = capsys.readouterr()
        assert code == 0, err
        return json.loads(out)

    return call


def test_object_of_two_groups_is_shown_once(kbackup, namespace, cluster):
    """What a real server serves under two groups is printed in its newer version."""
    listed = kbackup("backup", "ls", "b-1", "--resources", "ing")["items"]
    shown = kbackup("backup", "show", "b-1", f"ingresses/{namespace}/web")

    kind = cluster.discover().by_kind("extensions/v1beta1", "Ingress")
    assert len(listed) == (1 if kind is None else 2)
    assert shown["apiVersion"] == "networking.k8s.io/v1"
    assert kbackup("backup", "show", "b-1", f"deploy/{namespace}/web")["kind"] == (
        "Deployment"
    )


@pytest.fixture(name="widget")
def fixture_widget(cluster, namespace, wait_for_versions):
    """A custom object in a backup, with the definition that has a short name for it."""
    group = f"{namespace}.example.com"
    made = definition(group, "widgets", "Widget", names={"shortNames": ["wd"]})
    crds = cluster.discover().by_kind("apiextensions.k8s.io/v1", made["kind"])
    cluster.create(crds, made)
    wait_for_versions(cluster, group, "v1")
    head = {"apiVersion": f"{group}/v1", "kind": "Widget"}
    served = cluster.discover().by_kind(*head.values())
    cluster.create(served, {**head, "metadata": {"name": "blue"}}, namespace=namespace)
    yield
    cluster.delete(crds, made["metadata"]["name"])
    wait_for_versions(cluster, group)


@pytest.mark.usefixtures("widget")
def test_custom_object_is_shown_by_the_short_name_of_its_type(
    cluster, namespace, tmp_path, monkeypatch, capsys
):
    """A definition in the backup tells what its type is called, without a cluster."""
    with BackupStore.open(tmp_path / "store") as store:
        spec = BackupSpec(included_namespaces=[namespace])
        assert BackupEngine(cluster, store).run("b-2", spec).exit_code == 0
    monkeypatch.setenv("KBACKUP_LOCATION", str(tmp_path / "store"))

    shown = run(["backup", "show", "b-2", f"wd/{namespace}/blue", "-o", "json"])

    assert shown == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "Widget"
    assert run(["backup", "show", "b-2", f"wdx/{namespace}/blue"]) == 1
    assert "no type wdx in backup b-2" in capsys.readouterr().err
