"""Init containers of restore hooks, as a real API server takes, completes and keeps them."""

import json

import pytest

from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.errors import ItemNotFoundError
from kbackup.models import BackupSpec, RestoreSpec, from_json
from kbackup.restore import PlanAction, RestoreEngine, RestorePlan

pytestmark = pytest.mark.integration

INIT = "init.hook.restore.velero.io/"
STATED = {
    f"{INIT}container-image": "example.com/tools:1",
    f"{INIT}command": '["/bin/prepare", "--all"]',
}
PER_POD = 2  # init containers: the hook's, and its own
CONTAINERS = [{"name": "main", "image": "example.com/any:1"}]
PREPARE = {
    "name": "prepare",
    "image": "example.com/tools",
    "args": ["--fast"],
    "ports": [{"containerPort": 80}],
    "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
}


def meta(name, annotations=None):
    """The metadata of an object that is labelled with its name."""
    return {"name": name, "labels": {"app": name}, "annotations": annotations or {}}


def hooks_of(container, *, app="web"):
    """Hooks of a spec with one init container for the Pods of an application."""
    return {
        "resources": [
            {
                "name": "prepare",
                "labelSelector": {"matchLabels": {"app": app}},
                "postHooks": [{"init": {"initContainers": [container]}}],
            }
        ]
    }


class Scene:
    """Two namespaces of the real cluster: one is backed up, it is restored as the other."""

    def __init__(self, cluster, store, namespace):
        self.cluster, self.store = cluster, store
        self.source, self.copy = namespace, f"{namespace}-copy"
        self.engine = RestoreEngine(cluster, store)
        self.find = cluster.discover().resolve

    def create(self, resource, **body):
        """Create an object in the source."""
        self.cluster.create(self.find(resource), body, namespace=self.source)

    def back_up(self, name, namespace):
        """Back up a namespace."""
        spec = BackupSpec(included_namespaces=[namespace])
        BackupEngine(self.cluster, self.store).run(name, spec)

    def plan(self, name, backup, mapping, hooks=None):
        """Plan a restore under other names, as another process would load the plan."""
        spec = {"backupName": backup, "namespaceMapping": mapping, "hooks": hooks or {}}
        plan = self.engine.plan(name, from_json(RestoreSpec, spec))
        return RestorePlan.from_json(json.dumps(plan.to_json()))

    def inits(self, name, namespace=""):
        """The init containers of a Pod."""
        pod = self.cluster.get(
            self.find("pods"), name, namespace=namespace or self.copy
        )
        return pod.content["spec"]["initContainers"]


@pytest.fixture
def scene(real_cluster, namespace, tmp_path):
    """A namespace with two Pods and a Deployment, and a store in a directory."""
    with (
        Cluster.connect(real_cluster.kubeconfig) as cluster,
        BackupStore.open(tmp_path / "store") as store,
    ):
        scene = Scene(cluster, store, namespace)
        spaces = scene.find("namespaces")
        cluster.create(spaces, {"metadata": {"name": namespace}})
        own = [{"name": "own", "image": "example.com/own:1"}]
        spec = {"initContainers": own, "containers": CONTAINERS}
        scene.create("pods", metadata=meta("db", STATED), spec=spec)
        scene.create("pods", metadata=meta("web"), spec=spec)
        yield scene
        for name in (namespace, scene.copy, f"{namespace}-again"):
            try:
                cluster.delete(spaces, name)
            except ItemNotFoundError:
                continue


def lines(plan):
    """The lines of the Pods, by name."""
    return {x.target.name: x for x in plan.entries if x.kind == "Pod"}


def names(containers):
    """The names of containers."""
    return [each["name"] for each in containers]


def test_the_containers_are_there_once(scene):
    """A server keeps what the plan showed; neither the same restore nor a next one adds."""
    mapping = {scene.source: scene.copy}
    scene.back_up("b", scene.source)

    plan = scene.plan("r", "b", mapping, hooks_of(PREPARE))
    result = scene.engine.apply(plan)
    stated, own = scene.inits("db")
    again = scene.plan("r", "b", mapping, hooks_of(PREPARE))
    scene.back_up("c", scene.copy)
    next_mapping = {scene.copy: f"{scene.source}-again"}
    scene.engine.apply(scene.plan("s", "c", next_mapping, hooks_of(PREPARE)))

    assert result.results.errors == ()
    assert (stated["image"], stated["command"]) == (
        "example.com/tools:1",
        ["/bin/prepare", "--all"],
    )
    assert own["name"] == "own"
    assert names(scene.inits("web")) == ["prepare", "own"]
    assert [each.path for each in lines(plan)["web"].changes] == [
        "spec.initContainers[prepare]"
    ]
    assert {x.action for x in lines(again).values()} == {PlanAction.UNCHANGED}
    assert names(scene.inits("web", f"{scene.source}-again")) == ["prepare", "own"]
    assert len(scene.inits("db", f"{scene.source}-again")) == PER_POD


def test_a_name_that_the_pod_has(scene):
    """Such a Pod is an error by its name, before the server refuses it; others come."""
    scene.back_up("b", scene.source)
    taken = PREPARE | {"name": "main"}

    plan = scene.plan("r", "b", {scene.source: scene.copy}, hooks_of(taken))
    result = scene.engine.apply(plan)

    (error,) = result.results.errors
    assert error.item.name == "web"
    assert "2 containers with the name 'main'" in error.message
    assert len(scene.inits("db")) == PER_POD


def test_pods_that_their_controller_makes(scene, wait_for):
    """They have no hook in the copy, and the plan has said so by their names."""
    template = {"metadata": meta("shop"), "spec": {"containers": CONTAINERS}}
    selector = {"matchLabels": {"app": "shop"}}
    scene.create(
        "deployments",
        metadata=meta("shop"),
        spec={"replicas": 1, "selector": selector, "template": template},
    )

    def pods(namespace):
        pages = scene.cluster.list(scene.find("pods"), namespace=namespace).pages()
        found = [json.loads(item.json()) for page in pages for item in page.items]
        return [x for x in found if x["metadata"]["labels"]["app"] == "shop"]

    wait_for("the Pod", lambda: pods(scene.source))
    (made,) = [x["metadata"]["name"] for x in pods(scene.source)]
    scene.back_up("b", scene.source)

    mapping = {scene.source: scene.copy}
    plan = scene.plan("r", "b", mapping, hooks_of(PREPARE, app="shop"))
    scene.engine.apply(plan)
    wait_for("its Pod", lambda: pods(scene.copy))

    (told,) = [str(x) for x in plan.notices if "controller makes" in str(x)]
    assert told.endswith(f": pods/{scene.copy}/{made}")
    assert [x["spec"].get("initContainers") for x in pods(scene.copy)] == [None]
