"""Waiting for containers of restored Pods: what is seen, remembered and bounded."""

import threading
from datetime import timedelta

import pytest

from kbackup._kits.workers import Cancelled, CancelToken
from kbackup.cluster import Cluster
from kbackup.errors import ClusterUnreachableError
from kbackup.hooks import (
    HookNote,
    HookPhase,
    HookWaiter,
    PodHook,
    RestoreCommand,
    note_key,
)
from kbackup.hooks._pod_watch import PodState, state_of
from kbackup.models import EngineSettings, ResourceIdentifier, well_known
from kbackup.plugins import Run
from kbackup.testing import SimulatedCluster

LABEL = {"velero.io/restore-name": "r"}
MANY = 12


def ref(name):
    """A Pod's identity."""
    return ResourceIdentifier(well_known.PODS, "shop", name)


def command(program, *, container="main", **more):
    """A command for a container."""
    hook = PodHook(
        name=program,
        phase=HookPhase.RESTORE,
        container=container,
        command=(program,),
    )
    return RestoreCommand(hook=hook, **more)


class Scene:
    """A cluster with Pods that run already, and what is done in them.

    Attributes:
        diary: Notes and commands, in the order in which they came.
    """

    def __init__(self, server, cluster, names):
        self.diary, self.cancel = [], CancelToken()
        self.run = Run(
            uid="u",
            kind="restore",
            name="r",
            cancel=self.cancel,
            settings=EngineSettings(workers=2),
        )
        self.waiter = HookWaiter(
            self.run,
            cluster,
            selector="velero.io/restore-name=r",
            pods=[ref(name) for name in names],
            note=self._take,
        )
        self.answer = lambda _: 0
        server.on_exec(self._execute)

    def _take(self, note):
        self.diary.append(note)

    def _execute(self, call):
        self.diary.append(f"{call.pod} {call.command[0]}")
        return self.answer(call)

    def notes(self):
        """What was to be remembered."""
        return [each for each in self.diary if isinstance(each, HookNote)]

    def errors(self):
        """The errors of the run."""
        return [str(entry.message) for entry in self.run.results.errors]


def pod(name):
    """A Pod of the restore in which one container runs."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "labels": LABEL},
        "spec": {"containers": [{"name": "main"}, {"name": "late"}]},
    }


@pytest.fixture
def make_scene():
    """Makes a scene with Pods of these names."""
    with SimulatedCluster() as server, server.connect() as cluster:
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
        server.load([space])
        pods = cluster.discover().resolve("pods")

        def make(*names):
            server.load(pod(name) for name in names)
            running = {"name": "main", "ready": True, "state": {"running": {}}}
            body = {"status": {"phase": "Running", "containerStatuses": [running]}}
            for name in names:
                cluster.patch(pods, name, body, namespace="shop", subresource="status")
            return Scene(server, cluster, names)

        yield make


def test_what_is_begun_is_remembered_first(make_scene):
    """Whoever is killed while a command runs has said before that it would."""
    scene = make_scene("db")

    scene.waiter.add(ref("db"), [command("a"), command("b")])
    scene.waiter.finish()

    key = note_key(ref("db"), "main")
    assert scene.diary == [
        HookNote(begun=(key,)),
        "db a",
        "db b",
        HookNote(ended=((key, 0),)),
    ]


def test_little_is_remembered_ahead(make_scene):
    """Of many Pods no more than twice the workers are said to be begun and are not."""
    names = [f"p-{n:02}" for n in range(MANY)]
    scene = make_scene(*names)
    seen = []

    def answer(call):
        begun = sum(len(note.begun) for note in scene.notes())
        ran = len(scene.diary) - len(scene.notes())
        seen.append(begun - ran)

    scene.answer = answer
    for name in names:
        scene.waiter.add(ref(name), [command("a")])
    scene.waiter.finish()

    assert max(seen) <= 4
    assert sum(len(note.begun) for note in scene.notes()) == MANY
    assert len(scene.notes()) < MANY


def test_what_was_not_begun_after_all(make_scene):
    """A cancel leaves what was said to be begun; that is taken back, but for the one."""
    scene = make_scene("a", "b", "c")
    leave = threading.Event()

    def answer(_):
        scene.cancel.cancel("enough")
        leave.wait(30)

    scene.answer = answer
    for name in "abc":
        scene.waiter.add(ref(name), [command("x"), command("late", container="late")])
    with pytest.raises(Cancelled):
        scene.waiter.finish()
    leave.set()

    begun = {key for note in scene.notes() for key in note.begun}
    left = {key for note in scene.notes() for key in note.left}
    ran = {each.split()[0] for each in scene.diary if isinstance(each, str)}
    assert begun - left == {note_key(ref(name), "main") for name in ran}
    assert not any(note.ended for note in scene.notes())
    assert scene.waiter.status.hooks_attempted == 6
    assert scene.waiter.status.hooks_failed == 6
    assert len(scene.errors()) == 6


def test_a_server_that_cannot_be_asked_for_a_while(make_scene, monkeypatch):
    """The Pods are watched again, and their commands run."""
    scene = make_scene("db")
    known, asked = Cluster.watch, []

    def watch(self, *args, **how):
        asked.append(how)
        if len(asked) == 1:
            raise ClusterUnreachableError("watch", "pods", "shop", "no route")
        return known(self, *args, **how)

    monkeypatch.setattr(Cluster, "watch", watch)
    scene.waiter.add(ref("db"), [command("a")])
    scene.waiter.finish()

    assert "db a" in scene.diary
    assert scene.errors() == []
    assert len(asked) > 1


def test_time_that_goes_by_while_another_command_runs(make_scene):
    """What is left of a Pod is given up when its time was over meanwhile."""
    scene = make_scene("db")
    wait = timedelta(milliseconds=400)
    scene.answer = lambda _: threading.Event().wait(0.6) and None

    scene.waiter.add(
        ref("db"),
        [
            command("a", wait_timeout=wait),
            command("b", container="late", wait_timeout=wait),
        ],
    )
    scene.waiter.finish()

    (error,) = scene.errors()
    assert error.endswith("it was not run: within 400ms container late was not running")


def test_stopping(make_scene):
    """A restore that failed lets nothing go on, and tells what was not run."""
    scene = make_scene("db")

    scene.waiter.add(ref("db"), [command("b", container="late")])
    scene.waiter.stop("the restore failed")

    (error,) = scene.errors()
    assert error.endswith("it was not run: the run is over: the restore failed")


def test_what_matters_of_a_pod():
    """Its uid, its end, and what runs or is ready; odd values are none of that."""
    main = {"name": "main", "state": {"running": {"startedAt": "x"}}, "ready": False}
    side = {"name": "side", "state": {"running": {}}, "ready": True}
    odd = [None, {"name": 3}, {"name": "x", "state": {"running": None}, "ready": "yes"}]
    status = {
        "phase": "Running",
        "containerStatuses": [main, *odd],
        "initContainerStatuses": [side],
    }

    assert state_of({"metadata": {"uid": "u"}, "status": status}) == PodState(
        uid="u", running=frozenset({"main", "side"}), ready=frozenset({"side"})
    )
    assert state_of({"status": {"phase": "Failed"}}).ended == "Failed"
    assert state_of({"status": 5}) == PodState()
