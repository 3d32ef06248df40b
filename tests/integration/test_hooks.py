"""Hooks of a backup through a real API server and a kubelet: commands really run."""

import json
import threading
from collections import Counter

import pytest

from kbackup import actions
from kbackup._kits.workers import CancelToken
from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.errors import RunCancelledError
from kbackup.models import (
    BackupPhase,
    BackupSpec,
    EngineSettings,
    ResourceSelector,
    from_json,
)
from kbackup.plugins import BackupOutput, HookEnded
from offered_actions import plugins_offering

pytestmark = pytest.mark.integration

PRE, POST = "pre.hook.backup.velero.io/", "post.hook.backup.velero.io/"
MANY = 50


def shell(script):
    """A command as an annotation states it."""
    return json.dumps(["sh", "-c", script])


# What each Pod's directory has while it is frozen, and a diary of what was done there.
FREEZE = "touch frozen; echo freeze >>diary"
THAW = "rm frozen; echo thaw >>diary"
QUIESCE = {f"{PRE}command": shell(FREEZE), f"{POST}command": shell(THAW)}


class Look:
    """An action on Pods and claims that notes whether the Pod ``db`` is frozen."""

    name = "example.com/look"
    applies_to = ResourceSelector(included_resources=("pods", "persistentvolumeclaims"))

    def __init__(self, directory):
        self.directory = directory
        self.seen = {}
        self.then = lambda: None

    def execute(self, given):
        """Look for the file that the hooks make and remove."""
        frozen = (
            self.directory / given.identifier.namespace / "db" / "frozen"
        ).exists()
        self.seen[given.identifier.name] = frozen
        self.then()
        return BackupOutput(item=given.item)


class Scene:
    """A namespace on the real cluster whose Pods are backed up."""

    def __init__(self, cluster, namespace, kubelet, store, wait_for):
        self.cluster, self.namespace, self.store = cluster, namespace, store
        self.directory = kubelet.directory
        self.look = Look(kubelet.directory)
        self._wait_for = wait_for
        self._find = cluster.discover().resolve

    def create(self, resource, name, spec, annotations=None):
        """Create an object."""
        metadata = {"name": name, "annotations": annotations or {}}
        body = {"metadata": metadata, "spec": spec}
        self.cluster.create(self._find(resource), body, namespace=self.namespace)

    def pods(self, names, annotations=None, *, claim=""):
        """Create Pods with two containers, and wait until they run."""
        containers = [
            {"name": each, "image": "example.com/any:1"} for each in ("main", "other")
        ]
        volume = {"name": "v", "persistentVolumeClaim": {"claimName": claim}}
        spec = {"containers": containers, "volumes": [volume] if claim else []}
        for name in names:
            self.create("pods", name, spec, annotations)
        self._wait_for("the Pods", lambda: self._running() >= set(names))

    def _running(self):
        pages = self.cluster.list(self._find("pods"), namespace=self.namespace).pages()
        found = [json.loads(item.json()) for page in pages for item in page.items]
        return {
            each["metadata"]["name"]
            for each in found
            if each["status"]["phase"] == "Running"
        }

    def back_up(self, *, hooks=None, cluster=None, cancel=None, **more):
        """Back up the namespace; *hooks* as a specification's JSON has them."""
        plugins = plugins_offering(actions, backup=[self.look])
        engine = BackupEngine(
            cluster or self.cluster, self.store, plugins=plugins, **more
        )
        spec = {"includedNamespaces": [self.namespace], "hooks": hooks or {}}
        return engine.run("b", from_json(BackupSpec, spec), cancel=cancel)

    def diary(self, name="db"):
        """What was done in a Pod."""
        path = self.directory / self.namespace / name / "diary"
        return path.read_text().split() if path.exists() else []

    def stored(self):
        """The names of the Pods in the backup."""
        with self.store.open_archive("b") as archive:
            found = [item.identifier for item in archive]
        return {each.name for each in found if each.group_resource.resource == "pods"}


@pytest.fixture
def scene(real_cluster, kubelet, namespace, tmp_path, wait_for):
    """An empty namespace on the real cluster, and a store in a directory."""
    with (
        Cluster.connect(real_cluster.kubeconfig) as cluster,
        BackupStore.open(tmp_path / "store") as store,
    ):
        spaces = cluster.discover().resolve("namespaces")
        cluster.create(spaces, {"metadata": {"name": namespace}})
        yield Scene(cluster, namespace, kubelet, store, wait_for)
        cluster.delete(spaces, namespace)


def spec_hooks(*, pre="", post="", **how):
    """Hooks of a specification with one entry, as JSON."""

    def hooks(script):
        exec_ = {"command": ["sh", "-c", script], **how}
        return [{"exec": exec_}] if script else []

    return {"resources": [{"name": "spec", "pre": hooks(pre), "post": hooks(post)}]}


def errors(result):
    """The errors of a result, as text."""
    return [str(entry) for entry in result.results.errors]


def test_a_pod_and_its_claim_are_backed_up_while_it_is_frozen(scene):
    """Actions on both see the file that the pre hook made; afterwards it is gone."""
    scene.create(
        "persistentvolumeclaims",
        "data",
        {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    )
    scene.pods(["db"], QUIESCE, claim="data")

    result = scene.back_up()

    assert errors(result) == []
    assert scene.look.seen == {"db": True, "data": True}
    assert scene.diary() == ["freeze", "thaw"]
    status = result.backup.status
    assert status.phase is BackupPhase.COMPLETED
    assert (status.hook_status.hooks_attempted, status.hook_status.hooks_failed) == (
        2,
        0,
    )
    assert scene.stored() == {"db"}


def test_annotations_beat_the_spec(scene):
    """The Pod's own hook is run instead of the spec's; other Pods get the spec's."""
    scene.pods(["db"], {f"{PRE}command": shell("echo own >>diary")})
    scene.pods(["web"])

    result = scene.back_up(
        hooks=spec_hooks(pre="echo spec >>diary", post="echo after >>diary")
    )

    assert errors(result) == []
    assert scene.diary("db") == ["own", "after"]
    assert scene.diary("web") == ["spec", "after"]


@pytest.mark.parametrize(
    ("mode", "diary"),
    [("Continue", ["more", "thaw"]), ("Fail", ["thaw"]), (None, ["thaw"])],
)
def test_a_command_that_fails(scene, mode, diary):
    """With Fail, and without a word, nothing further is run before; afterwards always."""
    scene.pods(["db"])
    how = {"onError": mode} if mode else {}
    hooks = spec_hooks(
        pre="echo no such disk >&2; exit 7", post="echo thaw >>diary", **how
    )
    more = {"exec": {"command": ["sh", "-c", "echo more >>diary"]}}
    hooks["resources"][0]["pre"].append(more)

    result = scene.back_up(hooks=hooks)

    (error,) = errors(result)
    assert (
        f"pre hook spec in container main of Pod {scene.namespace}/db failed" in error
    )
    assert "exit code 7: no such disk" in error
    assert scene.diary() == diary
    assert scene.stored() == {"db"}
    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    assert result.backup.status.hook_status.hooks_failed == 1


def test_a_command_that_hangs(scene):
    """It is left after its timeout, and the Pod is stored and released."""
    stated = {**QUIESCE, f"{PRE}command": shell("sleep 20"), f"{PRE}timeout": "500ms"}
    stated[f"{POST}command"] = shell("echo thaw >>diary")
    scene.pods(["db"], stated)

    result = scene.back_up()

    (error,) = errors(result)
    assert "did not end in time: it may go on after its 0.5 s" in error
    assert scene.diary() == ["thaw"]
    assert scene.stored() == {"db"}


def test_containers(scene):
    """The one that is named, or an error that names those there are."""
    stated = {f"{PRE}command": shell('echo "$CONTAINER" >>diary')}
    scene.pods(["db"], {**stated, f"{PRE}container": "other"})
    scene.pods(["web"], {**stated, f"{PRE}container": "nowhere"})
    scene.pods(["api"], {f"{PRE}command": "sync --all data"})

    result = scene.back_up()

    assert scene.diary("db") == ["other"]
    assert scene.diary("web") == []
    by_name = {entry.item.name: str(entry) for entry in result.results.errors}
    assert "no container 'nowhere', it has: main, other" in by_name["web"]
    assert "exit code 127" in by_name["api"]
    assert set(by_name) == {"web", "api"}
    assert scene.stored() == {"db", "web", "api"}


def test_a_cancel_between_the_commands(scene):
    """The frozen Pod is thawed, then the run is given up; nothing is published."""
    scene.pods(["db"], QUIESCE)
    token = CancelToken()
    scene.look.then = lambda: token.cancel("enough")

    with pytest.raises(RunCancelledError, match="enough"):
        scene.back_up(cancel=token)

    assert scene.look.seen["db"] is True
    assert scene.diary() == ["freeze", "thaw"]
    assert scene.store.list() == []


def test_a_cancel_while_a_command_runs(scene):
    """It is not waited for, and what it may have frozen is thawed."""
    hang = shell("touch frozen; echo freeze >>diary; sleep 20")
    scene.pods(["db"], {**QUIESCE, f"{PRE}command": hang})
    token = CancelToken()
    timer = threading.Timer(1.5, token.cancel)
    timer.start()

    with pytest.raises(RunCancelledError):
        scene.back_up(cancel=token)

    timer.join()
    assert scene.diary() == ["freeze", "thaw"]


def test_many_pods_at_once(scene):
    """Fifty Pods are frozen and thawed, each once, several at a time, and all stored."""
    names = [f"p-{n:02}" for n in range(MANY)]
    scene.pods(names, QUIESCE)
    events = []

    result = scene.back_up(observer=events.append, settings=EngineSettings(workers=16))

    assert errors(result) == []
    assert scene.stored() == set(names)
    assert {tuple(scene.diary(name)) for name in names} == {("freeze", "thaw")}
    assert result.backup.status.hook_status.hooks_attempted == 2 * MANY
    ended = Counter((e.pod.name, e.phase) for e in events if isinstance(e, HookEnded))
    assert len(ended) == 2 * MANY
    assert set(ended.values()) == {1}


def test_without_the_right_to_run_commands(scene, real_cluster):
    """Who may read Pods and not run commands in them is told which rights are wanted."""
    scene.pods(["db"], QUIESCE)
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}]
    rules.append({"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["list"]})
    rules[0]["resources"] = ["pods", "namespaces", "customresourcedefinitions"]
    name, group = scene.namespace, "rbac.authorization.k8s.io"
    find = scene.cluster.discover().resolve
    role = {"metadata": {"name": name}, "rules": rules}
    scene.cluster.create(find("roles"), role, namespace=name)
    binding = {
        "metadata": {"name": name},
        "subjects": [{"kind": "User", "name": "ann", "apiGroup": group}],
        "roleRef": {"kind": "Role", "name": name, "apiGroup": group},
    }
    scene.cluster.create(find("rolebindings"), binding, namespace=name)

    with Cluster.connect(real_cluster.kubeconfig, as_user="ann") as limited:
        result = scene.back_up(cluster=limited)

    told = [each for each in errors(result) if "hook" in each]
    assert len(told) == 2
    assert all("forbidden" in each for each in told)
    assert all("needs the rights get and create of pods/exec" in each for each in told)
    assert scene.stored() == {"db"}
