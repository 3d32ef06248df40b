"""Statuses restored on real API servers, where nobody else writes any.

Without controllers: what they write in the source, and would write in the target, the
tests write themselves.
"""

import time

import attrs
import pytest

from definitions import definition, served_version
from kbackup import BackupEngine, BackupSpec, BackupStore, Cluster
from kbackup.cluster import PatchKind
from kbackup.models import RestorePhase, RestoreSpec, RestoreStatusSpec
from kbackup.restore import PlanAction, RestoreEngine
from kbackup.restore._writes.second_writes import Part, SecondWrites

pytestmark = pytest.mark.integration

GROUP = "status.example.com"
APART = definition(
    GROUP, "gauges", "Gauge", served_version(subresources={"status": {}})
)
ALONG = definition(GROUP, "notes", "Note")
STATUS = {"phase": "Ready", "conditions": [{"type": "Ready", "status": "True"}]}
READY = {"replicas": 3, "readyReplicas": 3, "availableReplicas": 3}
LABELS = {"app": "web"}
SPACE = {"apiVersion": "v1", "kind": "Namespace"}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "one"},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]},
        },
    },
}
BY_HAND = {"field_manager": "kubectl"}
KINDS = ("Gauge", "Note", "Deployment")


class KilledError(BaseException):
    """The process ends here."""


@pytest.fixture
def cluster(quiet_cluster):
    """A client of it."""
    with Cluster.connect(quiet_cluster.kubeconfig) as connected:
        yield connected


def served(cluster, kind):
    """A type."""
    return next(x for x in cluster.discover(refresh=True).resources if x.kind == kind)


def write_status(cluster, kind, namespace, status, manager="controller"):
    """Let a controller write a status."""
    cluster.patch(
        served(cluster, kind),
        "one",
        {"status": status},
        namespace=namespace,
        subresource="status",
        field_manager=manager,
    )


@pytest.fixture
def engine(cluster, namespace, tmp_path, wait_for_versions):
    """An engine over ``b-1``: two custom resources and a Deployment, with statuses."""
    crds = served(cluster, "CustomResourceDefinition")
    there = {item.name for item in cluster.list(crds)}
    for crd in (APART, ALONG):
        if crd["metadata"]["name"] not in there:
            cluster.create(crds, crd)
    wait_for_versions(cluster, GROUP, "v1")
    cluster.create(
        served(cluster, "Namespace"), SPACE | {"metadata": {"name": namespace}}
    )
    custom = {
        "apiVersion": f"{GROUP}/v1",
        "metadata": {"name": "one"},
        "spec": {"a": 1},
    }
    for kind in ("Gauge", "Note"):
        body = custom | {"kind": kind, "status": STATUS}
        cluster.create(served(cluster, kind), body, namespace=namespace, **BY_HAND)
    kind = served(cluster, "Deployment")
    cluster.create(kind, DEPLOYMENT, namespace=namespace, **BY_HAND)
    write_status(cluster, "Gauge", namespace, STATUS)
    write_status(cluster, "Deployment", namespace, READY)
    with BackupStore.open(f"file://{tmp_path}/store") as store:
        spec = BackupSpec(included_namespaces=[namespace])
        BackupEngine(cluster, store).run("b-1", spec)
        yield RestoreEngine(cluster, store)


def into(namespace, *types):
    """A specification of a copy beside the original, with the statuses of types."""
    return RestoreSpec(
        backup_name="b-1",
        namespace_mapping={namespace: f"{namespace}-1"},
        restore_status=RestoreStatusSpec(included_resources=types),
    )


def live(cluster, kind, namespace):
    """The restored object of a kind."""
    return cluster.get(served(cluster, kind), "one", f"{namespace}-1").content


def lines(plan):
    """Each kind to its line."""
    return {entry.kind: entry for entry in plan.entries}


def test_statuses_of_three_types(cluster, engine, namespace):
    """With and without sub-resource, and of the server's own; once more changes nothing."""
    spec = into(namespace, "gauges", "notes", "deployments")

    plan = engine.plan("try", spec)
    result = engine.apply(plan)
    again = engine.run("try", spec)

    hows = {kind: lines(plan)[kind].status for kind in KINDS}
    assert hows == {"Gauge": "second", "Note": "create", "Deployment": "second"}
    assert plan.second_writes == 2
    assert result.restore.status.phase is RestorePhase.COMPLETED
    assert [str(x) for x in result.results.warnings] == []
    assert live(cluster, "Gauge", namespace)["status"] == STATUS
    assert live(cluster, "Note", namespace)["status"] == STATUS
    assert live(cluster, "Deployment", namespace)["status"] == READY
    assert live(cluster, "Deployment", namespace)["spec"]["replicas"] == 3
    assert {x.action for x in again.outcomes} <= {"unchanged", "skipped"}


def test_types_that_the_restore_brings(cluster, engine, namespace, wait_for_versions):
    """Their definitions in the backup say how; they are asked as soon as they are served."""
    crds = served(cluster, "CustomResourceDefinition")
    for crd in (APART, ALONG):
        cluster.delete(crds, crd["metadata"]["name"])
    wait_for_versions(cluster, GROUP)
    spec = attrs.evolve(into(namespace), include_cluster_resources=True)

    plan = engine.plan("try", spec)
    result = engine.apply(plan)

    assert lines(plan)["Gauge"].status == "second"
    assert lines(plan)["Note"].status == "create"
    assert [str(x) for x in result.results.errors] == []
    assert live(cluster, "Gauge", namespace)["status"] == STATUS
    assert live(cluster, "Note", namespace)["status"] == STATUS


def test_nobody_asked_for_a_status(cluster, engine, namespace):
    """No object has one, whatever its type."""
    mapping = {namespace: f"{namespace}-1"}

    engine.run("try", RestoreSpec(backup_name="b-1", namespace_mapping=mapping))

    for kind in KINDS:
        assert not live(cluster, kind, namespace).get("status")


@pytest.fixture
def killed(cluster, engine, namespace, monkeypatch):
    """Makes a restore that was killed before the status of a kind; its specification."""

    def make(kind):
        def die(*_, **__):
            raise KilledError

        spec = into(namespace, served(cluster, kind).resource)
        with monkeypatch.context() as patched:
            patched.setattr(SecondWrites, "_write", die)
            with pytest.raises(KilledError):
                engine.run("try", spec)
        assert not live(cluster, kind, namespace).get("status")
        return spec

    return make


@pytest.mark.parametrize("kind", ["Gauge", "Deployment"])
def test_a_restore_that_was_killed_between_the_writes(
    cluster, engine, namespace, killed, kind
):
    """Run again it brings the status, says so before, and is done then."""
    spec = killed(kind)

    plan = engine.plan("try", spec)
    result = engine.run("try", spec)

    assert lines(plan)[kind].action is PlanAction.UPDATE
    assert lines(plan)[kind].reason == "its status is restored, nothing else"
    assert [str(x) for x in result.results.warnings] == []
    stored = STATUS if kind == "Gauge" else READY
    assert live(cluster, kind, namespace)["status"] == stored
    assert engine.plan("try", spec).is_empty


@pytest.mark.parametrize("kind", ["Gauge", "Deployment"])
def test_a_status_that_a_controller_has_written_since(
    cluster, engine, namespace, killed, kind
):
    """Killed and run again, a restore leaves it: it is newer than that of the backup."""
    spec = killed(kind)
    newer = {"phase": "Pending"} if kind == "Gauge" else {"replicas": 1}
    write_status(cluster, kind, f"{namespace}-1", newer)

    plan = engine.plan("try", spec)
    engine.run("try", spec)

    assert lines(plan)[kind].action is PlanAction.UNCHANGED
    assert live(cluster, kind, namespace)["status"] == newer


@pytest.mark.parametrize("killed", [None, *Part])
def test_status_and_managers_of_one_object(
    cluster, engine, namespace, monkeypatch, killed
):
    """Both come back, also where the restore ended before one, and later than it began."""
    gauges, copy = served(cluster, "Gauge"), f"{namespace}-1"
    body = {"apiVersion": f"{GROUP}/v1", "kind": "Gauge", "metadata": {"name": "one"}}
    cluster.patch(
        gauges,
        "one",
        body | {"spec": {"a": 1}},
        namespace=namespace,
        kind=PatchKind.APPLY,
        field_manager="flux",
        force=True,
    )
    backups = BackupEngine(cluster, engine._given.store)
    backups.run("b-2", BackupSpec(included_namespaces=[namespace]))
    write = SecondWrites._write

    def end_or_write(self, part, *given, **more):
        time.sleep(1.1)  # managers are told apart by the second
        if part is killed:
            raise KilledError
        return write(self, part, *given, **more)

    spec = RestoreSpec(
        backup_name="b-2",
        namespace_mapping={namespace: copy},
        included_resources=["gauges"],
        restore_status=RestoreStatusSpec(included_resources=["gauges"]),
    )
    with monkeypatch.context() as patched:
        patched.setattr(SecondWrites, "_write", end_or_write)
        try:
            engine.run("try", spec)
        except KilledError:
            assert killed
    engine.run("try", spec)

    found = live(cluster, "Gauge", namespace)
    fields = found["metadata"]["managedFields"]
    managers = {(x["manager"], x["operation"]) for x in fields}
    assert found["status"] == STATUS
    assert ("flux", "Apply") in managers
    assert ("controller", "Update") in managers
    assert "kbackup" not in {manager for manager, _ in managers}
    assert engine.plan("try", spec).is_empty
