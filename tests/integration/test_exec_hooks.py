"""Commands in restored Pods through a real API server and a kubelet: they really run."""

import json
import threading

import pytest

from kbackup._kits.workers import CancelToken
from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.errors import ItemNotFoundError, RunCancelledError
from kbackup.models import (
    BackupSpec,
    EngineSettings,
    RestoreOptions,
    RestorePhase,
    RestoreSpec,
    from_json,
)
from kbackup.plugins import HookEnded, WaitingFor
from kbackup.restore import PlanAction, RestoreEngine, RestorePlan

pytestmark = pytest.mark.integration

POST = "post.hook.restore.velero.io/"
CONTAINERS = [
    {"name": each, "image": "example.com/any:1"} for each in ("main", "other")
]
MANY = 30
NOT_HERE = {"example.com/disk": "fast"}  # of a Pod that no node runs


def shell(script):
    """A command as an annotation states it."""
    return json.dumps(["sh", "-c", script])


def warm(script='echo "$CONTAINER" >>diary', **more):
    """Annotations with a command."""
    keys = {key.replace("_", "-"): value for key, value in more.items()}
    return {f"{POST}{key}": x for key, x in ({"command": shell(script)} | keys).items()}


def hooks(*execs, app):
    """Hooks of a spec for the Pods of an application."""
    entry = {
        "name": "warm",
        "labelSelector": {"matchLabels": {"app": app}},
        "postHooks": [{"exec": each} for each in execs],
    }
    return {"resources": [entry]}


def script(text, **more):
    """A hook of a spec."""
    return {"command": ["sh", "-c", text], **more}


class KilledError(BaseException):
    """The process is gone."""


class Scene:
    """A namespace of the real cluster is backed up and restored as another one."""

    def __init__(self, cluster, store, kubelet, namespace):
        self.cluster, self.store = cluster, store
        self.source, self.copy = namespace, f"{namespace}-copy"
        self.directory = kubelet.directory
        self.find = cluster.discover().resolve

    def pods(self, names, annotations=None, **spec):
        """Create Pods and back them up."""
        for name in names:
            metadata = {"name": name, "labels": {"app": name}}
            body = {
                "metadata": metadata | {"annotations": annotations or {}},
                "spec": {"containers": CONTAINERS, **spec},
            }
            self.cluster.create(self.find("pods"), body, namespace=self.source)

    def back_up(self):
        """Back up the source."""
        spec = BackupSpec(included_namespaces=[self.source])
        BackupEngine(self.cluster, self.store).run("b", spec)

    def plan(self, *, hooks=None, cluster=None, options=None, **engine):
        """Plan, as another process would load the plan."""
        engine = RestoreEngine(cluster or self.cluster, self.store, **engine)
        mapping = {self.source: self.copy}
        spec = {"backupName": "b", "namespaceMapping": mapping, "hooks": hooks or {}}
        plan = engine.plan("r", from_json(RestoreSpec, spec), options)
        return engine, RestorePlan.from_json(json.dumps(plan.to_json()))

    def restore(self, *, cancel=None, **more):
        """Plan and apply."""
        engine, plan = self.plan(**more)
        return engine.apply(plan, cancel=cancel)

    def diary(self, name="db"):
        """What was done in a Pod of the copy."""
        path = self.directory / self.copy / name / "diary"
        return path.read_text().split() if path.exists() else []


@pytest.fixture
def scene(real_cluster, kubelet, namespace, tmp_path):
    """An empty namespace on the real cluster, and a store in a directory."""
    with (
        Cluster.connect(real_cluster.kubeconfig) as cluster,
        BackupStore.open(tmp_path / "store") as store,
    ):
        scene = Scene(cluster, store, kubelet, namespace)
        spaces = scene.find("namespaces")
        cluster.create(spaces, {"metadata": {"name": namespace}})
        yield scene
        for name in (namespace, scene.copy):
            try:
                cluster.delete(spaces, name)
            except ItemNotFoundError:
                continue


def errors(result):
    """The errors of a result, as text."""
    return [entry.message for entry in result.results.errors]


def counted(result):
    """How many hooks there were, and how many failed."""
    found = result.restore.status.hook_status
    return found.hooks_attempted, found.hooks_failed


def test_commands_run_in_restored_pods(scene):
    """An annotation's in its container, the spec's in their order, none in the source."""
    scene.pods(["db"], warm(container="other", wait_for_ready="true", on_error="Fail"))
    scene.pods(["web"])
    scene.back_up()
    spec = hooks(
        script("echo one >>diary"),
        script("echo two >>diary", waitForReady=True, waitTimeout="2m"),
        app="web",
    )

    _, plan = scene.plan(hooks=spec)
    result = scene.restore(hooks=spec)

    lines = {x.target.name: x.hooks for x in plan.entries if x.kind == "Pod"}
    assert lines["db"] == (
        "hook <from-annotation> in container other, once it is ready: sh",
    )
    assert [each.partition(" in ")[0] for each in lines["web"]] == ["hook warm"] * 2
    assert errors(result) == []
    assert scene.diary("db") == ["other"]
    assert scene.diary("web") == ["one", "two"]
    assert not (scene.directory / scene.source / "db").exists()
    assert counted(result) == (3, 0)
    assert scene.store.get_restore("r").status.hook_status.hooks_attempted == 3


@pytest.mark.parametrize(
    ("mode", "diary", "failed"),
    [("Continue", ["more"], 1), ("Fail", [], 2), ("", ["more"], 1)],
)
def test_a_command_that_fails(scene, mode, diary, failed):
    """With Fail the Pod's other commands are not run; without a word they are."""
    scene.pods(["db"])
    scene.back_up()
    how = {"onError": mode} if mode else {}
    spec = hooks(
        script("echo no such table >&2; exit 7", **how),
        script("echo more >>diary", container="other"),
        app="db",
    )

    result = scene.restore(hooks=spec)

    assert errors(result)[0] == (
        f"restore hook warm in container main of Pod {scene.copy}/db failed: exit code 7: "
        "no such table"
    )
    assert scene.diary() == diary
    assert counted(result) == (2, failed)
    assert result.restore.status.phase is RestorePhase.PARTIALLY_FAILED


def test_a_pod_that_never_runs(scene):
    """After the time that its hook waits it is an error by name."""
    scene.pods(["db"], warm(wait_timeout="1500ms"), nodeSelector=NOT_HERE)
    scene.back_up()

    result = scene.restore()

    (error,) = errors(result)
    assert error.endswith("within 1.5s container main was not running")
    assert f"Pod {scene.copy}/db" in error
    assert counted(result) == (1, 1)


def test_a_pod_that_is_deleted_meanwhile(scene):
    """It is waited for no more, though its hook would wait for ever."""
    scene.pods(["db"], warm(), nodeSelector=NOT_HERE)
    scene.back_up()

    def delete(event):
        if isinstance(event, WaitingFor) and "hooks" in event.what:
            scene.cluster.delete(scene.find("pods"), "db", namespace=scene.copy)

    result = scene.restore(observer=delete)

    (error,) = errors(result)
    assert error.endswith("it was not run: the Pod is gone")


def test_a_cancel_and_another_run(scene):
    """What was not begun is told and due; what was begun is not run again unnoticed."""
    scene.pods(["db"], warm("echo begun >>diary; sleep 20"))
    scene.pods(["web"], warm("echo web >>diary", wait_for_ready="true"))
    scene.back_up()
    token = CancelToken()

    def stop():
        while not scene.diary("db"):
            threading.Event().wait(0.05)
        token.cancel("enough")

    helper = threading.Thread(target=stop)
    helper.start()
    settings = EngineSettings(workers=1)
    with pytest.raises(RunCancelledError) as caught:
        scene.restore(cancel=token, settings=settings)
    helper.join()
    told = errors(caught.value.result)
    ran_web = bool(scene.diary("web"))

    _, plan = scene.plan()
    again = scene.restore()

    assert any("it was left, and may go on: enough" in each for each in told)
    pods = {x.target.name: x for x in plan.entries if x.kind == "Pod"}
    assert pods["db"].action is PlanAction.UNCHANGED
    assert pods["db"].hooks
    (error,) = errors(again)
    assert "an earlier run of this restore may have run it" in error
    assert scene.diary("db") == ["begun"]
    assert scene.diary("web") == ["web"]
    assert len(told) == (1 if ran_web else 2)
    assert counted(again) == (2, 1)


def test_many_pods(scene):
    """Thirty Pods get their command, each once, by one watch and a few at a time."""
    names = [f"p-{n:02}" for n in range(MANY)]
    scene.pods(names, warm())
    scene.back_up()
    events = []

    result = scene.restore(observer=events.append, settings=EngineSettings(workers=8))

    assert errors(result) == []
    assert {tuple(scene.diary(name)) for name in names} == {("main",)}
    assert counted(result) == (MANY, 0)
    ended = [x.pod.name for x in events if isinstance(x, HookEnded)]
    assert sorted(ended) == names
    assert "get pods" not in result.report.calls
    assert result.report.calls["watch pods"] < MANY / 3


def test_without_the_right_to_run_commands(scene, real_cluster):
    """Who may restore Pods and not run commands in them is told which rights are wanted."""
    scene.pods(["db"], warm())
    scene.back_up()
    space = {"metadata": {"name": scene.copy}}
    scene.cluster.create(scene.find("namespaces"), space)
    group = "rbac.authorization.k8s.io"
    rules = [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]},
        {
            "apiGroups": [""],
            "resources": ["pods"],
            "verbs": ["get", "list", "watch", "create", "patch"],
        },
    ]
    rules[0]["resources"] = ["namespaces", "serviceaccounts", "configmaps", "secrets"]
    role = {"metadata": {"name": "ann"}, "rules": rules}
    scene.cluster.create(scene.find("roles"), role, namespace=scene.copy)
    binding = {
        "metadata": {"name": "ann"},
        "subjects": [{"kind": "User", "name": "ann", "apiGroup": group}],
        "roleRef": {"kind": "Role", "name": "ann", "apiGroup": group},
    }
    scene.cluster.create(scene.find("rolebindings"), binding, namespace=scene.copy)

    with Cluster.connect(real_cluster.kubeconfig, as_user="ann") as limited:
        result = scene.restore(cluster=limited)

    told = [each for each in errors(result) if "restore hook" in each]
    assert len(told) == 1
    assert "needs the rights get and create of pods/exec" in told[0]


@pytest.mark.parametrize("kill", ["", "delete", "create"])
def test_a_pod_that_is_created_anew(scene, monkeypatch, kill):
    """Commands run in the new Pod, once, also where a run died right after a write."""
    scene.pods(["db"], warm())
    scene.back_up()
    found, space = scene.find("pods"), {"metadata": {"name": scene.copy}}
    scene.cluster.create(scene.find("namespaces"), space)
    there = {"metadata": {"name": "db"}, "spec": {"containers": CONTAINERS}}
    there["spec"] = there["spec"] | {"hostNetwork": True}
    old = scene.cluster.create(found, there, namespace=scene.copy)["metadata"]["uid"]
    options = RestoreOptions(existing_policies={"pods": "recreate"})
    engine, plan = scene.plan(options=options)
    if kill:
        act = getattr(Cluster, kill)

        def dying(self, resource, *args, dry_run=False, **how):
            done = act(self, resource, *args, dry_run=dry_run, **how)
            if resource.resource == "pods" and not dry_run:
                raise KilledError
            return done

        with monkeypatch.context() as patched:
            patched.setattr(Cluster, kill, dying)
            with pytest.raises(KilledError):
                engine.apply(plan)
    result = engine.apply(plan)

    assert errors(result) == []
    assert counted(result) == (1, 0)
    new = scene.cluster.get(found, "db", scene.copy).content["metadata"]["uid"]
    assert new != old
    assert scene.diary() == ["main"]
