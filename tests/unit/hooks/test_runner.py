"""Commands around something: in order, bounded, and afterwards in any case."""

import threading
from datetime import timedelta

import pytest

from kbackup._kits.workers import Cancelled, CancelToken
from kbackup.cluster import Cluster
from kbackup.errors import HookFailedError, HookTimeoutError
from kbackup.hooks import HookPhase, HookRunner, PodHook, PodHooks
from kbackup.models import HookErrorMode, ResourceIdentifier, well_known
from kbackup.plugins import HookEnded, HookStarted, Run
from kbackup.testing import SimulatedCluster

POD = ResourceIdentifier(well_known.PODS, "shop", "db")
OTHER = ResourceIdentifier(well_known.PODS, "shop", "web")


class Scene:
    """A Pod in a simulated cluster whose commands are functions of the test.

    Attributes:
        ran: The commands that were run, in order.
        events: What the observer was told.
    """

    def __init__(self, server, cluster):
        self.ran, self.events = [], []
        self.answers = {}
        self.cancel = CancelToken()
        self.run = Run(
            uid="u",
            kind="backup",
            name="b",
            cancel=self.cancel,
            observer=self.events.append,
        )
        self.runner = HookRunner(self.run, cluster)
        server.on_exec(self._answer)

    def _answer(self, call):
        self.ran.append(call.command[0])
        return self.answers.get(call.command[0], lambda _: 0)(call)

    def around(self, *, pre=(), post=(), body=None, **more):
        """Run hooks around *body*; return whether the Pod counted as quiesced."""
        hooks = PodHooks(
            pod=POD,
            pre=[hook(HookPhase.PRE, each, **more) for each in pre],
            post=[hook(HookPhase.POST, each, **more) for each in post],
        )
        with self.runner.around([hooks]) as failed:
            self.ran.append("body")
            if body is not None:
                body()
        return not failed

    @property
    def errors(self):
        """The errors of the run, as text."""
        return [str(entry.message) for entry in self.run.results.errors]


def hook(phase, word, **more):
    """A hook named for its command."""
    more = {"container": "main", "name": word, "command": (word,)} | more
    return PodHook(phase=phase, **more)


@pytest.fixture(scope="module")
def server():
    """A simulated cluster with one Pod."""
    with SimulatedCluster() as server:
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "db", "namespace": "shop"},
            "spec": {"containers": [{"name": "main"}]},
        }
        other = {**pod, "metadata": {"name": "web", "namespace": "shop"}}
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
        server.load([space, pod, other])
        yield server


@pytest.fixture
def scene(server):
    """A run against it."""
    with server.connect() as cluster:
        yield Scene(server, cluster)


def test_hooks_stand_around_what_is_done(scene):
    """All pre hooks, the body, all post hooks, each in the order given."""
    quiesced = scene.around(pre=["a", "b"], post=["c", "d"])

    assert scene.ran == ["a", "b", "body", "c", "d"]
    assert quiesced is True
    assert scene.errors == []
    assert scene.runner.status.hooks_attempted == 4
    assert scene.runner.status.hooks_failed == 0


def test_a_failing_pre_hook_that_is_heeded(scene):
    """Later pre hooks are not run, the volumes are not to be taken, post hooks are run."""
    scene.answers["a"] = lambda call: call.stderr.write(b"why\nno such disk\n") and 3

    quiesced = scene.around(pre=["a", "b"], post=["c"])

    assert scene.ran == ["a", "body", "c"]
    assert quiesced is False
    (entry,) = scene.run.results.errors
    assert entry.message == (
        "pre hook a in container main of Pod shop/db failed: exit code 3: no such disk; "
        "the data of its volumes are not stored"
    )
    assert entry.item == POD
    assert scene.runner.status.hooks_failed == 1


def test_a_failing_hook_that_is_not_heeded(scene):
    """With Continue it is an error all the same, and everything goes on."""
    scene.answers["a"] = lambda _: 1

    quiesced = scene.around(pre=["a", "b"], post=["c"], on_error=HookErrorMode.CONTINUE)

    assert scene.ran == ["a", "b", "body", "c"]
    assert quiesced is True
    assert scene.errors == [
        "pre hook a in container main of Pod shop/db failed: exit code 1"
    ]


def test_every_post_hook_is_run(scene):
    """One that fails keeps no other from releasing what it has to release."""
    scene.answers["c"] = lambda _: 1

    scene.around(post=["c", "d"])

    assert scene.ran == ["body", "c", "d"]
    assert len(scene.errors) == 1
    assert "volumes" not in scene.errors[0]


@pytest.mark.parametrize("error", [RuntimeError, Cancelled, KeyboardInterrupt])
def test_post_hooks_are_run_whatever_happened(scene, error):
    """A database must not stay frozen because a backup went wrong."""

    def fail():
        raise error("stop")

    with pytest.raises(error):
        scene.around(pre=["a"], post=["c"], body=fail)

    assert scene.ran == ["a", "body", "c"]


def test_post_hooks_of_a_cancelled_run(scene):
    """A cancel between the commands does not keep the second one from running."""
    scene.around(pre=["a"], post=["c"], body=scene.cancel.cancel)

    assert scene.ran == ["a", "body", "c"]
    assert scene.errors == []


def test_a_cancel_in_the_middle_of_a_pre_hook(scene):
    """It is left, the body is not begun, and post hooks are run: it may have worked."""
    left = threading.Event()

    def hang(_):
        scene.cancel.cancel()
        left.wait(30)

    scene.answers["a"] = hang
    with pytest.raises(Cancelled):
        scene.around(pre=["a", "b"], post=["c"])
    left.set()

    assert scene.ran == ["a", "c"]
    ended = [(e.name, e.error) for e in scene.events if isinstance(e, HookEnded)]
    assert ended == [("a", "left: cancelled"), ("c", "")]


def test_a_run_that_was_cancelled_begins_nothing(scene):
    """What is not quiesced need not be released."""
    scene.cancel.cancel()

    with pytest.raises(Cancelled):
        scene.around(pre=["a"], post=["c"])

    assert scene.ran == []


def test_post_hooks_of_a_cancelled_run_have_an_end(server, monkeypatch):
    """However long they may take otherwise: a run that is to stop is over some day."""
    monkeypatch.setattr(HookRunner, "GRACE", timedelta(seconds=0.1))
    left = threading.Event()
    with server.connect() as cluster:
        scene = Scene(server, cluster)
        scene.answers["c"] = lambda _: left.wait(30) and None

        scene.around(
            pre=["a"],
            post=["c", "d"],
            body=scene.cancel.cancel,
            timeout=timedelta(hours=1),
        )
        left.set()

    assert [("did not end in time" in each) for each in scene.errors] == [True, True]


def test_a_command_that_does_not_end(scene):
    """It is left after its time, and the error says that it may go on."""
    left = threading.Event()
    scene.answers["a"] = lambda _: left.wait(30) and None

    quiesced = scene.around(pre=["a"], timeout=timedelta(seconds=0.1))
    left.set()

    (entry,) = scene.run.results.errors
    assert quiesced is False
    assert "did not end in time: it may go on after its 0.1 s" in entry.message


def test_a_hook_that_cannot_be_run_is_not_sent(scene):
    """An unknown container fails as the command would, and counts as tried."""
    quiesced = scene.around(pre=["a"], fault="the Pod has no container 'x', it has: y")

    assert scene.ran == ["body"]
    assert quiesced is False
    assert "failed: the Pod has no container 'x', it has: y" in scene.errors[0]
    assert scene.runner.status.hooks_attempted == 1
    assert scene.runner.status.hooks_failed == 1


def test_events_tell_of_each_hook(scene):
    """An observer sees each hook begin and end, and what it failed with."""
    scene.answers["c"] = lambda _: 2

    scene.around(pre=["a"], post=["c"])

    seen = [e for e in scene.events if isinstance(e, HookStarted | HookEnded)]
    assert [(type(e), e.phase, e.name) for e in seen] == [
        (HookStarted, "pre", "a"),
        (HookEnded, "pre", "a"),
        (HookStarted, "post", "c"),
        (HookEnded, "post", "c"),
    ]
    assert seen[0].pod == POD
    assert seen[0].container == "main"
    assert [bool(e.error) for e in seen if isinstance(e, HookEnded)] == [False, True]


def test_what_a_command_prints_is_for_the_debug_log_only(scene, caplog):
    """Neither results nor records above debug have it; that has the end of it."""
    scene.answers["a"] = lambda call: call.stdout.write(b"x" * 9000 + b"hunter2") and 1
    caplog.set_level("DEBUG", logger="kbackup")

    scene.around(pre=["a"], command=("a", "hunter3 in a script"))

    assert "hunter" not in scene.errors[0]
    told = [each for each in caplog.records if "hunter" in each.getMessage()]
    assert [each.levelname for each in told] == ["DEBUG"]
    assert len(told[0].getMessage()) < 4200
    assert "hunter3" not in caplog.text


def test_errors_say_what_they_are_of(server):
    """An error names hook and Pod as attributes, and keeps the cause."""
    with server.connect() as cluster:
        runner = HookRunner(Run(uid="u", kind="backup", name="b"), cluster)
        gone = ResourceIdentifier(well_known.PODS, "shop", "gone")

        error = runner._failure(hook(HookPhase.PRE, "a"), gone)

    assert isinstance(error, HookFailedError)
    assert not isinstance(error, HookTimeoutError)
    assert (error.hook, error.pod) == ("pre hook a in container main", "shop/gone")
    assert "not found" in error.reason
    assert error.__cause__ is not None


def test_whatever_a_command_is_lost_for(scene, monkeypatch):
    """Also a fault of ours keeps no other post hook from being run."""
    known = Cluster.exec

    def broken(self, namespace, pod, command, **how):
        if command == ("c",):
            raise ValueError("no idea")
        return known(self, namespace, pod, command, **how)

    monkeypatch.setattr(Cluster, "exec", broken)
    scene.around(pre=["a"], post=["c", "d"])

    assert scene.ran == ["a", "body", "d"]
    assert "ValueError" in scene.errors[0]


def test_pods_are_done_at_once(scene):
    """Commands of several Pods run side by side."""
    met = threading.Barrier(4, timeout=30)
    scene.answers["a"] = lambda _: met.wait() and None

    threads = [
        threading.Thread(target=scene.around, kwargs={"pre": ["a"]}) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert scene.errors == []


def block(**more):
    """Two Pods with a pre and a post hook each, named for phase and Pod."""
    return [
        PodHooks(
            pod=pod,
            pre=[hook(HookPhase.PRE, f"freeze-{pod.name}", **more)],
            post=[hook(HookPhase.POST, f"thaw-{pod.name}", **more)],
        )
        for pod in (POD, OTHER)
    ]


def test_hooks_of_a_whole_block_stand_around_it(scene):
    """All Pods are frozen before anything is done, and thawed after all of it."""
    with scene.runner.around(block()) as failed:
        scene.ran.append("body")

    assert failed == frozenset()
    assert scene.ran == ["freeze-db", "freeze-web", "body", "thaw-db", "thaw-web"]


def test_one_pod_of_a_block_fails(scene):
    """It is named, the others are frozen all the same, and all are thawed."""
    scene.answers["freeze-db"] = lambda _: 1

    with scene.runner.around(block()) as failed:
        scene.ran.append("body")

    assert failed == {POD}
    assert scene.ran == ["freeze-db", "freeze-web", "body", "thaw-db", "thaw-web"]


def test_a_cancel_between_two_pods_of_a_block(scene):
    """The second is not frozen any more, and only the first is thawed."""
    scene.answers["freeze-db"] = lambda _: scene.cancel.cancel()

    with pytest.raises(Cancelled), scene.runner.around(block()):
        scene.ran.append("body")

    assert scene.ran == ["freeze-db", "thaw-db"]
