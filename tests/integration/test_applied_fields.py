"""Server-side apply of what a backup has, and what the plan says of it, on a real server."""

import json

import pytest

from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.models import BackupSpec, RestoreOptions, RestoreSpec
from kbackup.restore import PlanAction, RestoreEngine

pytestmark = pytest.mark.integration

APPLY = RestoreOptions(existing_policies={"*": "apply"})
FORCE = RestoreOptions(existing_policies={"*": "apply"}, force_conflicts=True)
APPLIED = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
META = {"name": "web", "annotations": {"tier": "front"}}
SCALER = "kube-controller-manager"


def _objects():
    """A Deployment, a Service and a ConfigMap, as a team has them in its files."""
    labels = {"app": "web"}
    web = {
        "name": "web",
        "image": "example.com/web:1",
        "ports": [{"containerPort": 80, "protocol": "TCP"}],
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [web]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    port = {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}
    return {
        "apis/apps/v1/deployments": ("apps/v1", "Deployment", {"spec": spec}),
        "api/v1/services": (
            "v1",
            "Service",
            {"spec": {"selector": labels, "ports": [port]}},
        ),
        "api/v1/configmaps": ("v1", "ConfigMap", {"data": {"a": "1", "b": "2"}}),
    }


class Place:
    """A namespace of the server, spoken to by several managers."""

    def __init__(self, real, namespace):
        self.real = real
        self.namespace = namespace

    def path(self, collection, manager=""):
        """The path of the one object of a type."""
        root, _, plural = collection.rpartition("/")
        query = f"?fieldManager={manager}&force=true" if manager else ""
        return f"/{root}/namespaces/{self.namespace}/{plural}/web{query}"

    def apply(self, manager, collection, version, kind, body):
        """Apply fields on the server."""
        body = {"apiVersion": version, "kind": kind, "metadata": META} | body
        path = self.path(collection, manager)
        status, answer = self.real.request("PATCH", path, body, content_type=APPLIED)
        assert status in {200, 201}, answer

    def merge(self, manager, collection, patch):
        """Change fields as an ordinary client does."""
        path = self.path(collection, manager).replace("&force=true", "")
        status, answer = self.real.request("PATCH", path, patch, content_type=MERGE)
        assert status == 200, answer

    def get(self, collection):
        """The object as it is."""
        return self.real.request("GET", self.path(collection))[1]


DEPLOYMENTS, SERVICES, CONFIG_MAPS = _objects()


@pytest.fixture(name="place")
def fixture_place(quiet_cluster, namespace):
    """What a team applied, and a scaler scaled."""
    quiet_cluster.request(
        "POST", "/api/v1/namespaces", {"metadata": {"name": namespace}}
    )
    place = Place(quiet_cluster, namespace)
    for collection, given in _objects().items():
        place.apply("team", collection, *given)
    place.merge(SCALER, DEPLOYMENTS, {"spec": {"replicas": 5}})
    return place


@pytest.fixture(name="engine")
def fixture_engine(quiet_cluster, place, tmp_path):
    """What restores its backup, ``b``."""
    with (
        Cluster.connect(quiet_cluster.kubeconfig) as cluster,
        BackupStore.open(tmp_path) as store,
    ):
        spec = BackupSpec(included_namespaces=[place.namespace])
        result = BackupEngine(cluster, store).run("b", spec)
        assert result.results.errors == ()
        yield RestoreEngine(cluster, store)


def _lines(plan):
    """The lines of the three objects by kind."""
    return {x.kind: x for x in plan.entries if x.target.name == "web"}


def _drift(place):
    """Others change what is there, and add to it."""
    proxy = {"name": "proxy", "image": "example.com/proxy:1"}
    spec = {"template": {"spec": {"containers": [proxy]}}}
    place.apply("injector", DEPLOYMENTS, "apps/v1", "Deployment", {"spec": spec})
    place.merge(SCALER, DEPLOYMENTS, {"spec": {"replicas": 7}})
    metrics = {"name": "metrics", "port": 90, "protocol": "TCP"}
    place.apply("monitor", SERVICES, "v1", "Service", {"spec": {"ports": [metrics]}})
    place.merge("ops", CONFIG_MAPS, {"data": {"b": None, "own": "1"}})
    for collection in (DEPLOYMENTS, SERVICES):
        place.merge("ops", collection, {"metadata": {"annotations": {"tier": None}}})


def test_what_others_added_stays(place, engine):
    """What is missing comes back; a side-car, a port and the replicas of others stay."""
    _drift(place)

    plan = engine.plan("r", RestoreSpec(backup_name="b"), APPLY)
    result = engine.apply(plan)

    lines = _lines(plan)
    assert {x.apply for x in lines.values()} == {"apply"}
    assert [(x.op, x.path) for x in lines["ConfigMap"].differences] == [
        ("add", "data.b")
    ]
    for kind in ("Deployment", "Service"):
        added = [(x.op, x.path) for x in lines[kind].differences]
        assert added == [("add", "metadata.annotations")]
    assert result.results.errors == ()
    deployment, service = place.get(DEPLOYMENTS)["spec"], place.get(SERVICES)["spec"]
    names = [x["name"] for x in deployment["template"]["spec"]["containers"]]
    assert (sorted(names), deployment["replicas"]) == (["proxy", "web"], 7)
    assert sorted(x["port"] for x in service["ports"]) == [80, 90]
    assert place.get(CONFIG_MAPS)["data"] == {"a": "1", "b": "2", "own": "1"}
    fields = place.get(CONFIG_MAPS)["metadata"]["managedFields"]
    ours = [x for x in fields if (x["manager"], x["operation"]) == ("kbackup", "Apply")]
    assert set(ours[0]["fieldsV1"]["f:data"]) == {"f:a", "f:b"}
    again = engine.plan("again", RestoreSpec(backup_name="b"), APPLY)
    differing = [
        (path.path)
        for x in _lines(again).values()
        for path in x.differences
        if not path.path.startswith("metadata.labels")
    ]
    assert differing == []


def _change(place):
    """Others set the team's fields otherwise."""
    web = {
        "name": "web",
        "image": "example.com/web:2",
        "ports": [{"containerPort": 80, "protocol": "TCP"}],
    }
    template = {"spec": {"containers": [web]}}
    change = {"spec": {"template": template}}
    place.apply("rollout", DEPLOYMENTS, "apps/v1", "Deployment", change)
    port = {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 9090}
    place.apply("rollout", SERVICES, "v1", "Service", {"spec": {"ports": [port]}})
    place.merge("ops", CONFIG_MAPS, {"data": {"a": "7"}})


CLASHES = {
    "Deployment": "spec.template.spec.containers[web].image is managed by rollout",
    "Service": "spec.ports[80,TCP].targetPort is managed by rollout",
    "ConfigMap": "data.a is managed by ops",
}


def test_conflicts_are_those_of_the_server(place, engine):
    """The plan, which only reads, names what the server would: field and manager."""
    _change(place)

    plan = engine.plan("r", RestoreSpec(backup_name="b"), APPLY)
    result = engine.apply(plan)

    lines = _lines(plan)
    assert {x.action for x in lines.values()} == {PlanAction.CONFLICT}
    assert {k: x.reason.partition(";")[0] for k, x in lines.items()} == CLASHES
    assert len(result.results.errors) == len(CLASHES)
    for collection, (version, kind, given) in _objects().items():
        body = {
            "apiVersion": version,
            "kind": kind,
            "metadata": {"name": "web"},
        } | given
        path = place.path(collection) + "?fieldManager=kbackup&dryRun=All"
        status, answer = place.real.request("PATCH", path, body, content_type=APPLIED)
        (cause,) = answer["details"]["causes"]
        assert (status, cause["reason"]) == (409, "FieldManagerConflict")
        assert json.dumps(cause["message"]).count(CLASHES[kind].split()[-1]) == 1


def test_conflicts_are_forced_where_that_is_asked_for(place, engine):
    """Who loses a field stands in the plan, and the scaler keeps its replicas."""
    _change(place)
    place.merge(SCALER, DEPLOYMENTS, {"spec": {"replicas": 7}})

    plan = engine.plan("r", RestoreSpec(backup_name="b"), FORCE)
    result = engine.apply(plan)

    lines = _lines(plan)
    assert {x.apply for x in lines.values()} == {"force"}
    assert all(CLASHES[kind] in x.reason for kind, x in lines.items())
    assert result.results.errors == ()
    deployment = place.get(DEPLOYMENTS)["spec"]
    (web,) = deployment["template"]["spec"]["containers"]
    assert (web["image"], deployment["replicas"]) == ("example.com/web:1", 7)
    assert place.get(SERVICES)["spec"]["ports"][0]["targetPort"] == 8080
    assert place.get(CONFIG_MAPS)["data"]["a"] == "1"


def test_who_writes_in_between_keeps_its_field(place, engine):
    """The request is for the version that was looked at: nothing else is taken."""
    _drift(place)
    plan = engine.plan("r", RestoreSpec(backup_name="b"), FORCE)
    place.merge("late", CONFIG_MAPS, {"data": {"b": "8"}})

    result = engine.apply(plan)

    assert place.get(CONFIG_MAPS)["data"]["b"] == "8"
    assert any("changed since the plan" in w.message for w in result.results.warnings)


def test_validate_tries_what_is_applied(place, engine):
    """The server is asked with a dry run, and nothing is stored."""
    _drift(place)
    before = place.get(CONFIG_MAPS)
    options = RestoreOptions(existing_policies={"*": "apply"}, validate=True)

    plan = engine.plan("r", RestoreSpec(backup_name="b"), options)

    assert {x.apply for x in _lines(plan).values()} == {"apply"}
    assert place.get(CONFIG_MAPS) == before
