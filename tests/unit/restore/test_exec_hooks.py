"""Commands of hooks in restored Pods: planned, run once, waited for, or told of."""

import json
import threading
from datetime import timedelta

import attrs
import pytest
from msgspec.structs import replace
from plan_samples import namespace

from kbackup._kits.workers import CancelToken
from kbackup.catalog import Journal
from kbackup.cluster import Cluster
from kbackup.errors import ForbiddenError, RunCancelledError, StoreUnavailableError
from kbackup.models import (
    EngineSettings,
    ExecRestoreHook,
    ExistingResourcePolicy,
    LabelSelector,
    RestoreHooks,
    RestoreOptions,
    RestorePhase,
    RestoreResourceHook,
    RestoreResourceHookSpec,
    RestoreSpec,
    well_known,
)
from kbackup.plugins import HookEnded, ItemRestored, WaitingFor
from kbackup.restore import PlanAction, RestoreEngine, RestorePlan
from kbackup.testing import sample_shop

POST = "post.hook.restore.velero.io/"
PLAIN = RestoreSpec(backup_name="shop-1")
SHORT = timedelta(milliseconds=300)
MANY = 40


def pod(name="db", annotations=None, *, image="db:1"):
    """A Pod with two containers that nobody makes anew."""
    metadata = {"name": name, "namespace": "shop", "labels": {"app": name}}
    if annotations:
        metadata["annotations"] = annotations
    containers = [{"name": each, "image": image} for each in ("main", "other")]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": containers},
    }


def stated(*command, **more):
    """Annotations with a command."""
    keys = {key.replace("_", "-"): value for key, value in more.items()}
    given = {"command": json.dumps(command or ["warm", "--all"])} | keys
    return {f"{POST}{key}": value for key, value in given.items()}


def wish(*hooks, name="warm", label_selector=None, **more):
    """A spec with one entry that has these hooks."""
    entry = RestoreResourceHookSpec(
        name=name,
        post_hooks=[RestoreResourceHook(exec=hook) for hook in hooks],
        label_selector=label_selector,
    )
    hooks = RestoreHooks(resources=[entry])
    return RestoreSpec(backup_name="shop-1", hooks=hooks, **more)


def run(program, **more):
    """A hook that runs a program."""
    return ExecRestoreHook(command=[program], **more)


def status(*containers, ready=True, phase="Running"):
    """The status of a Pod in which these containers run."""
    found = [
        {"name": each, "ready": ready, "state": {"running": {}}} for each in containers
    ]
    return {"status": {"phase": phase, "containerStatuses": found}}


class Scene:
    """A target in which Pods run as soon as they are restored, unless a test wants else.

    Attributes:
        ran: The commands that were run: Pod, container, program.
        starts: By Pod, what it becomes; None: nothing.
        answers: By program, what it does.
    """

    def __init__(self, make_shop):
        self._make = make_shop
        self.ran, self.events = [], []
        self.starts, self.answers = {}, {}
        self.cancel = CancelToken()
        self.shop = None

    def load(self, *pods, **settings):
        """Put Pods into the backup."""
        self.shop = self._make(
            [namespace(), *pods],
            observer=self.observe,
            settings=EngineSettings(**settings),
        )
        self.shop.simulated.on_exec(self._answer)
        self.pods = self.shop.cluster.discover().resolve("pods")

    def watch_with(self, observer):
        """Let another observer see what happens."""
        engine = RestoreEngine(self.shop.cluster, self.shop.store, observer=observer)
        self.shop = attrs.evolve(self.shop, engine=engine)

    def _answer(self, call):
        self.ran.append((call.pod, call.container, call.command[0]))
        return self.answers.get(call.command[0], lambda _: 0)(call)

    def observe(self, event):
        """Let a Pod that was made run."""
        self.events.append(event)
        is_made = isinstance(event, ItemRestored) and event.action == "created"
        if is_made and event.identifier.group_resource == well_known.PODS:
            body = self.starts.get(event.identifier.name, status("main", "other"))
            if body is not None:
                self.become(event.identifier.name, body)

    def become(self, name, body):
        """Give a Pod a status."""
        self.shop.cluster.patch(
            self.pods, name, body, namespace="shop", subresource="status"
        )

    def restore(self, spec=PLAIN, name="try-1", options=None, **more):
        """Plan, save and load the plan, apply it."""
        plan = self.shop.engine.plan(name, spec, options)
        loaded = RestorePlan.from_json(
            json.dumps(plan.to_json()),
            transforms=(options or RestoreOptions()).transforms,
        )
        assert loaded.entries == plan.entries
        return self.shop.engine.apply(loaded, cancel=self.cancel, **more)

    def plan(self, spec=PLAIN, name="try-1", options=None):
        """Plan."""
        return self.shop.engine.plan(name, spec, options)

    def programs(self):
        """The programs that were run."""
        return [each[2] for each in self.ran]


@pytest.fixture
def scene(make_shop):
    """A scene without a backup yet."""
    return Scene(make_shop)


def errors(result):
    """The errors of a result, as text."""
    return [entry.message for entry in result.results.errors]


def counted(result):
    """How many hooks there were, and how many failed."""
    found = result.restore.status.hook_status
    return found.hooks_attempted, found.hooks_failed


def line(plan, name="db"):
    """The line of a Pod."""
    (entry,) = [x for x in plan.entries if (x.kind, x.target.name) == ("Pod", name)]
    return entry


def notices(plan, word):
    """The notices with a word in them, as they are printed."""
    return [str(notice) for notice in plan.notices if word in str(notice)]


def test_a_command_is_run_once_the_container_runs(scene):
    """The plan shows which; the record counts it; observers are told."""
    scene.load(pod("db", stated("psql", "-p", "hunter2")), pod("web"))

    plan = scene.plan()
    result = scene.restore()

    assert line(plan).hooks == ("hook <from-annotation> in container main: psql",)
    assert line(plan, "web").hooks == ()
    assert "            > hook <from-annotation> in container main: psql" in str(plan)
    assert "hunter2" not in str(plan) + json.dumps(plan.to_json())
    assert notices(plan, "commands") == [
        (
            "has commands of hooks run in it; the restore waits for its containers: "
            "pods/shop/db"
        )
    ]
    assert scene.ran == [("db", "main", "psql")]
    assert errors(result) == []
    assert counted(result) == (1, 0)
    assert scene.shop.store.get_restore("try-1").status.hook_status.hooks_attempted == 1
    (ended,) = [x for x in scene.events if isinstance(x, HookEnded)]
    assert (ended.phase, ended.pod.name, ended.error) == ("restore", "db", "")


def test_without_hooks_nothing_is_counted(scene):
    """A restore without hooks has no numbers of them, and watches no Pod."""
    scene.load(pod("db"))

    result = scene.restore()

    assert result.restore.status.hook_status is None
    assert "watch pods" not in result.report.calls


def test_the_spec_and_annotations(scene):
    """Hooks run one after the other in their order; a Pod's own beats the spec's."""
    scene.load(pod("db"), pod("own", stated("mine")))
    spec = wish(run("a"), run("b", container="other"), run("c"))

    scene.restore(spec)

    assert [x for x in scene.ran if x[0] == "db"] == [
        ("db", "main", "a"),
        ("db", "main", "c"),
        ("db", "other", "b"),
    ]
    assert [x for x in scene.ran if x[0] == "own"] == [("own", "main", "mine")]


def test_labels_that_a_transform_gives_count(scene):
    """What the Pod is as it is written decides which hooks it gets."""
    scene.load(pod("db"))

    def relabelled(item):
        if item["kind"] == "Pod":
            item["metadata"]["labels"]["tier"] = "data"
        return item

    spec = wish(run("a"), label_selector=LabelSelector.parse("tier=data"))
    scene.restore(spec, options=RestoreOptions(transforms=[relabelled]))

    assert scene.programs() == ["a"]


def test_a_container_that_is_not_ready(scene):
    """A hook that waits for that is not run before; one that does not is."""
    scene.load(pod("db"))
    scene.starts["db"] = status("main", "other", ready=False)
    running, ready = threading.Event(), []
    scene.answers["a"] = lambda _: running.set()
    scene.answers["b"] = lambda _: ready.append(running.is_set())
    spec = wish(run("b", wait_for_ready=True), run("a", container="other"))

    def make_ready():
        running.wait(30)
        scene.become("db", status("main", "other"))

    helper = threading.Thread(target=make_ready)
    helper.start()
    result = scene.restore(spec)
    helper.join()

    assert errors(result) == []
    assert scene.programs() == ["a", "b"]
    assert ready == [True]


@pytest.mark.parametrize(
    ("mode", "ran", "failed"),
    [("Continue", ["a", "b", "c"], 1), (None, ["a", "b", "c"], 1), ("Fail", ["a"], 3)],
)
def test_a_command_that_fails(scene, mode, ran, failed):
    """With Fail no other hook of its Pod is run; by default they are, as Velero has it."""
    scene.load(pod("db"))
    scene.answers["a"] = lambda call: call.stderr.write(b"no such table\n") and 3
    hooks = [run("a", on_error=mode), run("b"), run("c", container="other")]

    result = scene.restore(wish(*hooks))

    assert scene.programs() == ran
    first, *others = errors(result)
    assert first == (
        "restore hook warm in container main of Pod shop/db failed: exit code 3: no such "
        "table"
    )
    assert result.results.errors[0].item.name == "db"
    reason = (
        "it was not run: restore hook warm in container main failed, with onError Fail"
    )
    assert all(each.endswith(reason) for each in others)
    assert counted(result) == (3, failed)
    assert len(others) == failed - 1
    assert result.restore.status.phase is RestorePhase.PARTIALLY_FAILED


def test_a_failure_is_no_concern_of_other_pods(scene):
    """They get their hooks all the same, where Velero gives up those that wait."""
    scene.load(pod("a", stated("bad", on_error="Fail")), pod("b", stated("good")))
    scene.starts["b"] = None
    scene.answers["bad"] = lambda _: scene.become("b", status("main")) or 1

    result = scene.restore()

    assert sorted(scene.programs()) == ["bad", "good"]
    assert counted(result) == (2, 1)


def test_a_container_that_does_not_come(scene):
    """After the longest time that any of its hooks waits, each is an error by name."""
    scene.load(pod("db"), pod("web"))
    scene.starts["db"] = status("other")
    spec = wish(
        run("a", wait_timeout=SHORT, wait_for_ready=True),
        run("b", wait_timeout=timedelta(microseconds=1)),
        label_selector=LabelSelector.parse("app=db"),
    )

    result = scene.restore(spec)

    assert scene.ran == []
    assert (
        errors(result)
        == [
            (
                "restore hook warm in container main of Pod shop/db failed: it was not run: "
                "within 300ms container main was not ready"
            )
        ]
        * 2
    )
    assert counted(result) == (2, 2)


def test_a_hook_whose_own_time_is_over(scene):
    """It is not run though its Pod came in time for another one, which is."""
    scene.load(pod("db"))
    brief = timedelta(microseconds=1)
    spec = wish(run("a", wait_timeout=brief), run("b"))

    result = scene.restore(spec)

    assert scene.programs() == ["b"]
    assert errors(result) == [
        (
            "restore hook warm in container main of Pod shop/db failed: it was not run: its "
            "waitTimeout of 1µs was over"
        )
    ]
    assert counted(result) == (2, 1)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended(scene, phase):
    """Nothing can be run in it: an error that says so."""
    scene.load(pod("db", stated()))
    scene.starts["db"] = {"status": {"phase": phase}}

    result = scene.restore()

    (error,) = errors(result)
    assert error.endswith(f"it was not run: the Pod has ended ({phase})")
    assert counted(result) == (1, 1)


def test_a_pod_that_goes(scene):
    """One that is deleted while it is waited for is not waited for any more."""
    scene.load(pod("db", stated()), pod("web", stated("b")))
    scene.starts["db"] = status()
    scene.answers["b"] = lambda _: scene.shop.cluster.delete(
        scene.pods, "db", namespace="shop"
    )

    result = scene.restore()

    (error,) = errors(result)
    assert error.endswith("Pod shop/db failed: it was not run: the Pod is gone")


def test_a_command_that_hangs(scene):
    """It is left after its time, and what comes after it is run."""
    scene.load(pod("db"))
    leave = threading.Event()
    scene.answers["a"] = lambda _: leave.wait(30) and None

    result = scene.restore(wish(run("a", exec_timeout=SHORT), run("b")))
    leave.set()

    assert scene.programs() == ["a", "b"]
    assert errors(result) == [
        (
            "restore hook warm in container main of Pod shop/db did not end in time: it may "
            "go on after its 0.3 s"
        )
    ]


def test_hooks_that_cannot_be_run_are_told(scene):
    """A container that is not there is a warning by its Pod, in the plan and at the end."""
    scene.load(pod("db", stated(container="nowhere")))
    fault = (
        "restore hook <from-annotation> in container nowhere is not run: the Pod has no "
        "container 'nowhere', it has: main, other"
    )

    plan = scene.plan()
    result = scene.restore()

    assert line(plan).hooks == (fault,)
    assert [(x.message, x.item.name) for x in result.results.warnings] == [
        (fault, "db")
    ]
    assert result.restore.status.phase is RestorePhase.COMPLETED


def test_annotations_that_cannot_be_read_are_told(scene):
    """The plan names annotation and Pod, and what is done instead."""
    scene.load(pod("db", stated(wait_timeout="soon")))

    (told,) = notices(scene.plan(), "wait-timeout")

    assert told == (
        f"annotation {POST}wait-timeout: 'soon' is no time such as 5m: waits for ever: "
        "pods/shop/db"
    )


@pytest.mark.parametrize("policy", [None, ExistingResourcePolicy.UPDATE])
def test_pods_that_exist_get_none(scene, policy):
    """Whether they are left as they are or updated."""
    scene.load(pod("db", stated(), image="db:2"), pod("web", stated()))
    scene.shop.simulated.load(
        [namespace(), pod("db", image="db:1"), pod("web", stated())]
    )
    spec = attrs.evolve(PLAIN, existing_resource_policy=policy)

    plan = scene.plan(spec)
    scene.restore(spec)

    assert (line(plan).hooks, line(plan, "web").hooks) == ((), ())
    assert notices(plan, "commands") == []
    assert scene.ran == []


def test_pods_that_appear_meanwhile_get_none(scene):
    """A Pod of that name that somebody made after the plan is not the restore's."""
    scene.load(pod("db", stated()))
    plan = scene.plan()
    scene.shop.simulated.load([namespace(), pod("db", image="db:3")])

    result = scene.shop.engine.apply(plan)

    assert scene.ran == []
    assert counted(result) == (0, 0)


def test_pods_that_a_controller_makes_are_named(make_shop):
    """They come without the commands, which nobody would know otherwise."""
    shop = make_shop(sample_shop())
    spec = wish(run("a"))

    (told,) = notices(shop.engine.plan("try-1", spec), "without the commands")

    assert "its controller makes it anew" in told
    assert "pods/shop/" in told


def test_many_pods(scene):
    """All at once, no more commands than workers, and one watch for all of them."""
    scene.load(*(pod(f"p-{n:02}", stated()) for n in range(MANY)), workers=4)
    running, most, counting = [], [], threading.Lock()

    def count(_):
        with counting:
            running.append(1)
            most.append(len(running))
        threading.Event().wait(0.01)
        with counting:
            running.pop()

    scene.answers["warm"] = count
    result = scene.restore()

    assert errors(result) == []
    assert counted(result) == (MANY, 0)
    assert len(scene.ran) == len(set(scene.ran)) == MANY
    assert max(most) <= 4
    assert result.report.calls["watch pods"] <= 3
    assert result.report.calls.get("get pods", 0) == 0


def test_hooks_of_several_namespaces(scene):
    """One watch does for them, and each of its own where the cluster's is forbidden."""
    elsewhere = pod("db", stated())
    elsewhere["metadata"]["namespace"] = "other"
    scene.load(pod("db", stated()), namespace("other"), elsewhere)
    scene.starts["db"] = None
    known, asked = Cluster.watch, []

    def watch(self, resource, *, namespace="", **how):
        asked.append(namespace)
        if not namespace:
            raise ForbiddenError("watch", "pods", "", "not you")
        return known(self, resource, namespace=namespace, **how)

    def start(event):
        if isinstance(event, WaitingFor) and "hooks" in event.what:
            for space in ("shop", "other"):
                scene.shop.cluster.patch(
                    scene.pods,
                    "db",
                    status("main"),
                    namespace=space,
                    subresource="status",
                )

    scene.watch_with(start)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cluster, "watch", watch)
        result = scene.restore()

    assert errors(result) == []
    assert counted(result) == (2, 0)
    assert sorted(asked) == ["", "other", "shop"]


def test_without_the_right_to_watch(scene, monkeypatch):
    """Each hook is an error that says which rights are wanted."""
    scene.load(pod("db", stated()))

    def watch(*_, **__):
        raise ForbiddenError("watch", "pods", "", "not you")

    monkeypatch.setattr(Cluster, "watch", watch)
    result = scene.restore()

    (error,) = errors(result)
    assert "it was not run: cannot watch pods: forbidden" in error
    assert "waiting for Pods needs the rights list and watch of pods" in error


# --- cancelled, killed, run again -----------------------------------------------------


def test_a_cancel_while_it_waits(scene):
    """The waiting ends at once, what was not run is told, and a next run does it."""
    scene.load(pod("db", stated()))
    scene.starts["db"] = None
    known, token = scene.observe, scene.cancel

    def observe(event):
        known(event)
        if isinstance(event, WaitingFor) and "hooks" in event.what:
            token.cancel("enough")

    scene.watch_with(observe)
    with pytest.raises(RunCancelledError) as caught:
        scene.restore()

    result = caught.value.result
    assert errors(result) == [
        (
            "restore hook <from-annotation> in container main of Pod shop/db failed: it was "
            "not run: the run is over: enough"
        )
    ]
    assert counted(result) == (1, 1)
    (waiting, *_) = [x for x in scene.events if isinstance(x, WaitingFor)]
    assert (waiting.what, waiting.seconds_left) == ("hooks of Pods shop/db", None)

    scene.cancel = CancelToken()
    scene.become("db", status("main"))
    plan = scene.plan()
    again = scene.restore()

    assert (line(plan).action, len(line(plan).hooks)) == (PlanAction.UNCHANGED, 1)
    assert not plan.is_empty
    assert "commands of hooks that were not begun then" in str(plan)
    assert scene.ran == [("db", "main", "warm")]
    assert errors(again) == []
    assert counted(again) == (1, 0)


def test_a_cancel_while_a_command_runs(scene):
    """It is left, and told of; run again, it is not run a second time unnoticed."""
    scene.load(pod("db"))
    leave = threading.Event()

    def hang(_):
        scene.cancel.cancel("enough")
        leave.wait(30)

    scene.answers["a"] = hang
    spec = wish(run("a"), run("b"), run("c", container="other"))
    with pytest.raises(RunCancelledError) as caught:
        scene.restore(spec)
    leave.set()

    left, *unrun = errors(caught.value.result)
    assert left.endswith("it was left, and may go on: enough")
    assert [
        each.endswith("it was not run: the run is over: enough") for each in unrun
    ] == [
        True,
        True,
    ]

    scene.cancel = CancelToken()
    again = scene.restore(spec)

    assert scene.programs() == ["a", "c"]
    assert all(
        "an earlier run of this restore may have run it" in x for x in errors(again)
    )
    assert counted(again) == (3, 2)


class KilledError(BaseException):
    """As if the process ended."""


def killed_at_the_end(restore):
    """Let a restore die just before its record."""

    def die(*_, **__):
        raise KilledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kbackup.restore._pipeline._keep", die)
        with pytest.raises(KilledError):
            restore()


def test_a_restore_that_was_killed_after_its_hooks(scene):
    """Run again it runs none of them again, and counts what had failed."""
    scene.load(pod("db", stated()), pod("web", stated("bad")))
    scene.answers["bad"] = lambda _: 1
    killed_at_the_end(scene.restore)

    again = scene.restore()

    assert sorted(scene.programs()) == ["bad", "warm"]
    assert errors(again) == [
        (
            "1 of 1 hooks in container main failed, or were not run, in an earlier run of this "
            "restore"
        )
    ]
    assert counted(again) == (2, 1)


def test_a_restore_that_ended(scene):
    """Planned again it has nothing to do: its record tells of its hooks."""
    scene.load(pod("db", stated()))
    scene.restore()

    plan = scene.plan()
    scene.restore()

    assert plan.is_empty
    assert line(plan).hooks == ()
    assert scene.programs() == ["warm"]
    assert list(scene.shop.store.journal(plan.head.restore_uid).entries()) == []


def test_a_plan_that_was_saved_is_applied_again(scene):
    """Though it says create: what the killed run had done is not done twice."""
    scene.load(pod("db", stated()))
    document = json.dumps(scene.plan().to_json())

    def apply():
        return scene.shop.engine.apply(RestorePlan.from_json(document))

    killed_at_the_end(apply)
    again = apply()

    assert scene.programs() == ["warm"]
    assert counted(again) == (1, 0)


def test_where_nothing_was_kept(scene):
    """Of a run whose journal is gone nobody knows: an error, and not a second time."""
    scene.load(pod("db", stated()))
    killed_at_the_end(scene.restore)
    scene.shop.store.journal(scene.plan().head.restore_uid).remove()

    for _ in range(2):  # and so it stays
        killed_at_the_end(scene.restore)
    again = scene.restore()

    (error,) = errors(again)
    assert "may have run it" in error or "nothing tells whether it ran it" in error
    assert scene.programs() == ["warm"]


def test_a_journal_that_cannot_be_written(scene, monkeypatch):
    """The hooks are run, and a warning says what that means for a run that is killed."""
    scene.load(pod("db", stated()))

    def refuse(*_):
        raise StoreUnavailableError("journal", "no space")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", refuse)
        result = scene.restore()

    (told,) = [x.message for x in result.results.warnings if "hooks" in x.message]
    assert "if this run is killed, the next one may run some again" in told
    assert scene.programs() == ["warm"]


def test_hooks_that_the_plan_does_not_name(scene):
    """What a plan shows is all that may be run: another command is an error."""
    scene.load(pod("db", stated()))
    plan = scene.plan()
    entries = [replace(x, hooks=("other",)) if x.hooks else x for x in plan.entries]

    result = scene.shop.engine.apply(attrs.evolve(plan, entries=tuple(entries)))

    assert errors(result) == ["its hooks are not those of the plan: none is run"]
    assert scene.ran == []


@pytest.mark.parametrize("meant", ["app=db", "app=dbb"])
def test_hooks_for_no_pod(scene, meant):
    """An entry that no created Pod fits is named in the plan: nothing of it would run."""
    scene.load(pod())
    spec = wish(run("load"), name="load", label_selector=LabelSelector.parse(meant))

    plan = scene.shop.engine.plan("try-1", spec)

    none = "hook load is for none of the Pods that this restore creates"
    assert any(x.what.startswith(none) for x in plan.notices) is (meant == "app=dbb")


def test_hooks_for_pods_that_are_there(scene):
    """Of an entry whose Pods a run before made nothing is said when it is run again."""
    scene.load(pod())
    spec = wish(run("load"), name="load")

    scene.shop.engine.run("try-1", spec)
    plan = scene.shop.engine.plan("try-1", spec)

    assert not [x for x in plan.notices if x.what.startswith("hook load")]
