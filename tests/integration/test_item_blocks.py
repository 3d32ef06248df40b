"""Pods that share a claim, on a real API server: one block between all their commands."""

import json

import pytest

from kbackup import BackupEngine, BackupSpec, BackupStore, Cluster, actions
from kbackup.models import BackupPhase, EngineSettings, LabelSelector, ResourceSelector
from kbackup.plugins import BackupOutput
from offered_actions import plugins_offering

pytestmark = pytest.mark.integration

PRE, POST = "pre.hook.backup.velero.io/command", "post.hook.backup.velero.io/command"


class Scribe:
    """An item action that writes into the diary of a namespace what is stored when."""

    name = "example.com/scribe"
    applies_to = ResourceSelector(
        included_resources=("pods", "persistentvolumeclaims", "persistentvolumes")
    )

    def __init__(self, diary):
        self._diary = diary

    def execute(self, given):
        """Write that the item is stored."""
        self._write("store", given)
        return BackupOutput(item=given.item, wants_begin=True)

    def begin(self, given, cluster):
        """Write that something began on it."""
        self._write("begin", given)

    def _write(self, word, given):
        kind = given.item["kind"].removeprefix("Persistent")
        with self._diary.open("a") as diary:
            diary.write(f"{word} {kind} {given.identifier.name}\n")


class Scene:
    """A namespace with two claims, and Pods that mount them."""

    def __init__(self, cluster, namespace, kubelet, store):
        self.cluster, self.namespace, self.store = cluster, namespace, store
        self._directory = kubelet.directory / namespace
        self._directory.mkdir(parents=True, exist_ok=True)
        self.diary = self._directory / "order"
        self._find = cluster.discover().resolve

    def create(self, resource, name, spec, **metadata):
        """Create an object of the namespace, or of the cluster."""
        type_ = self._find(resource)
        where = self.namespace if type_.namespaced else ""
        body = {"metadata": {"name": name, **metadata}, "spec": spec}
        self.cluster.create(type_, body, namespace=where)

    def claim(self, name):
        """Create a claim and a volume for it."""
        volume = f"{self.namespace}-{name}"
        size, modes = {"storage": "1Gi"}, ["ReadWriteMany"]
        shared = {"accessModes": modes, "storageClassName": self.namespace}
        path = {"path": f"/tmp/kbackup-test-{volume}"}  # noqa: S108 - never used
        self.create(
            "persistentvolumes", volume, {**shared, "capacity": size, "hostPath": path}
        )
        wanted = {**shared, "volumeName": volume, "resources": {"requests": size}}
        self.create("persistentvolumeclaims", name, wanted)

    def pod(self, name, *claims, hooks=True, fails=False):
        """Create a Pod whose hooks write into the diary too."""
        scripts = {
            PRE: f"echo freeze {name} >>../order",
            POST: f"echo thaw {name} >>../order",
        }
        if fails:
            scripts[PRE] += "; exit 1"
        stated = {
            key: json.dumps(["sh", "-c", script]) for key, script in scripts.items()
        }
        volumes = [
            {"name": claim, "persistentVolumeClaim": {"claimName": claim}}
            for claim in claims
        ]
        containers = [{"name": "main", "image": "example.com/any:1"}]
        self.create(
            "pods",
            name,
            {"containers": containers, "volumes": volumes},
            labels={"app": name},
            annotations=stated if hooks else {},
        )

    def phases(self):
        """In which phase each Pod and claim is."""
        return {
            json.loads(item.json())["status"].get("phase")
            for resource in ("pods", "persistentvolumeclaims")
            for page in self.cluster.list(
                self._find(resource), namespace=self.namespace
            ).pages()
            for item in page.items
        }

    def back_up(self, **spec):
        """Back up the namespace, one block at a time; return result and diary."""
        engine = BackupEngine(
            self.cluster,
            self.store,
            plugins=plugins_offering(actions, backup=[Scribe(self.diary)]),
            settings=EngineSettings(item_block_worker_count=1),
        )
        wanted = BackupSpec(included_namespaces=[self.namespace], **spec)
        result = engine.run("b", wanted)
        return result, self.diary.read_text().splitlines()


@pytest.fixture
def scene(real_cluster, kubelet, namespace, tmp_path):
    """An empty namespace on the real cluster, and a store in a directory."""
    with (
        Cluster.connect(real_cluster.kubeconfig) as cluster,
        BackupStore.open(tmp_path / "store") as store,
    ):
        find = cluster.discover().resolve
        cluster.create(find("namespaces"), {"metadata": {"name": namespace}})
        scene = Scene(cluster, namespace, kubelet, store)
        for name in ("data", "own"):
            scene.claim(name)
        yield scene
        cluster.delete(find("namespaces"), namespace)
        for name in ("data", "own"):
            cluster.delete(find("persistentvolumes"), f"{namespace}-{name}")


def without_begins(diary):
    """What the diary has, but for what begins."""
    return [line for line in diary if not line.startswith("begin")]


def test_pods_that_share_a_claim(scene, wait_for):
    """Both are frozen before anything of the block is stored, and thawed after all of it."""
    scene.pod("db", "data")
    scene.pod("web", "data", "own")
    scene.pod("lone")
    scene.pod("quiet", "data", hooks=False)
    wait_for("Pods and claims", lambda: scene.phases() == {"Running", "Bound"})

    result, diary = scene.back_up()

    assert result.results.errors == ()
    assert result.backup.status.hook_status.hooks_attempted == 6
    word = scene.namespace
    assert without_begins(diary) == [
        *("freeze db", "freeze web"),
        *("store Pod db", "store VolumeClaim data", f"store Volume {word}-data"),
        "store Pod quiet",
        *("store Pod web", "store VolumeClaim own", f"store Volume {word}-own"),
        *("thaw db", "thaw web"),
        *("freeze lone", "store Pod lone", "thaw lone"),
    ]
    lists = {str(each.resource): each for each in result.report.lists}
    assert (lists["pods"].listed, lists["pods"].stored) == (4, 4)
    assert lists["persistentvolumeclaims"].stored == 2


def test_a_pod_that_the_selection_does_not_name(scene, wait_for):
    """It shares the claim of one that is selected: it comes along, between its commands."""
    scene.pod("db", "data")
    scene.pod("web", "data", hooks=False)
    wait_for("Pods and claims", lambda: scene.phases() == {"Running", "Bound"})

    result, diary = scene.back_up(label_selector=LabelSelector.parse("app=web"))

    assert result.results.errors == ()
    assert without_begins(diary) == [
        *("freeze db", "store Pod web", "store VolumeClaim data"),
        *(f"store Volume {scene.namespace}-data", "store Pod db", "thaw db"),
    ]


def test_a_command_that_fails_in_one_pod(scene, wait_for):
    """What it shares is stored and not acted on; the other's own claim is."""
    scene.pod("db", "data", fails=True)
    scene.pod("web", "data", "own")
    wait_for("Pods and claims", lambda: scene.phases() == {"Running", "Bound"})

    result, diary = scene.back_up()

    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    assert [line for line in diary if line.startswith("begin")] == [
        *("begin Pod web", "begin VolumeClaim own"),
        f"begin Volume {scene.namespace}-own",
    ]
    assert {"thaw db", "thaw web"} <= set(diary)
