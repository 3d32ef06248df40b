"""Commands in Pods while a backup runs: around the Pod and what belongs to it."""

import copy
import gzip
import io
import os
import signal
import threading
import time
from collections import Counter

import pytest
from pod_samples import PRE, bound_claim, frozen, pod

from kbackup import actions
from kbackup._kits.workers import CancelToken
from kbackup.backup._block_backupper import BlockBackupper
from kbackup.catalog import SideFile
from kbackup.errors import RunCancelledError, SpoolError
from kbackup.models import (
    BackupHooks,
    BackupOptions,
    BackupPhase,
    BackupResourceHook,
    BackupResourceHookSpec,
    BackupSpec,
    EngineSettings,
    ExecHook,
    GroupResource,
    HookErrorMode,
    LabelSelector,
    ResourceIdentifier,
)
from offered_actions import plugins_offering


@pytest.fixture
def hooked(spied):
    """A scene whose commands are noted, and answered by functions of the test."""
    spied.plugins = plugins_offering(actions, backup=[spied.spy])
    return spied


def spec_hooks(*, pre="", post="", name="quiesce", on_error=None, **filters):
    """Hooks as a specification states them."""

    def hooks(command):
        hook = ExecHook(command=[command], on_error=on_error)
        return [BackupResourceHook(exec=hook)] if command else []

    entry = BackupResourceHookSpec(
        name=name, pre=hooks(pre), post=hooks(post), **filters
    )
    return BackupHooks(resources=[entry])


def commands(scene):
    """The commands that were run, and where, by name."""
    return sorted(x for x in scene.seen if not x.startswith(("execute", "begin")))


def told(result):
    """The errors of a result, as text."""
    return [str(entry) for entry in result.results.errors]


def test_the_pod_its_claims_and_volumes_are_between_its_commands(hooked):
    """Frozen first; then the Pod, its claim and its volume; then thawed."""
    hooked.load(frozen(hooked, "db", "data"), *bound_claim(hooked, "data"))
    hooked.set_phase("persistentvolumeclaims", "data", "Bound")

    result = hooked.back_up()

    assert hooked.seen == [
        "freeze db",
        "execute db",
        "begin db",
        "execute data",
        "begin data",
        "execute pv-data",
        "begin pv-data",
        "thaw db",
    ]
    status = result.backup.status
    assert status.phase is BackupPhase.COMPLETED
    assert status.hook_status.hooks_attempted == 2
    assert status.hook_status.hooks_failed == 0
    assert hooked.store.get("b").status.hook_status == status.hook_status
    kept = {"pods/shop/db", "persistentvolumeclaims/shop/data"}
    assert kept | {"persistentvolumes/pv-data"} <= set(hooked.stored())
    assert hooked.sums_hold(result)


def test_what_was_stored_with_a_pod_is_stored_once(hooked):
    """Its type's list comes later, and counts the claim as stored."""
    hooked.load(
        frozen(hooked, "db", "data"),
        pod(hooked, "web", "other"),
        *bound_claim(hooked, "data"),
        *bound_claim(hooked, "other"),
    )

    result = hooked.back_up()

    lists = {str(each.resource): each for each in result.report.lists}
    claims = lists["persistentvolumeclaims"]
    assert (claims.listed, claims.stored, dict(claims.skipped)) == (2, 2, {})
    with hooked.store.open_archive("b") as archive:
        names = Counter(str(item.identifier) for item in archive)
    assert set(names.values()) == {1}
    assert result.backup.status.progress.items_backed_up == len(names)


def test_pods_that_are_to_be_stored_first(hooked):
    """One after the other, in the order asked for, each between its commands, and once."""
    hooked.load(*(frozen(hooked, name) for name in ("a", "b", "c")))

    result = hooked.back_up(ordered_resources={"pods": "shop/c,shop/b"})

    assert [x for x in hooked.seen if not x.startswith(("execute", "begin"))] == [
        f"{command} {name}" for name in "cba" for command in ("freeze", "thaw")
    ]
    (pods,) = [each for each in result.report.lists if str(each.resource) == "pods"]
    assert (pods.listed, pods.stored, dict(pods.skipped)) == (3, 3, {})
    assert result.backup.status.progress.items_backed_up == len(hooked.stored())


def test_a_claim_that_cannot_be_read_with_its_pod(hooked):
    """Its list has it all the same; if the Pod is not quiesced, nothing acts on it then."""
    hooked.load(frozen(hooked, "db", "data"), *bound_claim(hooked, "data"))
    hooked.answers["freeze"] = lambda _: 1
    claims = "persistentvolumeclaims"
    hooked.server.faults.fail(verb="get", resource=claims, status=403, times=None)

    result = hooked.back_up()

    assert len(told(result)) == 1
    assert "persistentvolumeclaims/shop/data" in hooked.stored()
    assert hooked.seen == [
        *("freeze db", "execute db", "thaw db"),
        *("execute data", "execute pv-data", "begin pv-data"),
    ]


def test_a_claim_that_no_list_has_is_read_again(hooked):
    """What could not be read with its Pod is not lost for that."""
    hooked.load(frozen(hooked, "db", "data", labels={"app": "db"}))
    hooked.load(*bound_claim(hooked, "data"))
    claims = "persistentvolumeclaims"
    hooked.server.faults.fail(verb="get", resource=claims, status=403)

    result = hooked.back_up(label_selector=LabelSelector.parse("app=db"))

    assert told(result) == []
    assert hooked.seen[:4] == ["freeze db", "execute db", "begin db", "thaw db"]
    assert "persistentvolumeclaims/shop/data" in hooked.stored()


def test_a_pod_that_is_listed_twice(hooked, monkeypatch):
    """What a server lists twice in one page is frozen and stored once."""
    hooked.load(frozen(hooked, "db"))
    listed = BlockBackupper.back_up_page

    def twice(self, resource, items, tally):
        return listed(self, resource, [*items, *map(copy.copy, items)], tally)

    monkeypatch.setattr(BlockBackupper, "back_up_page", twice)
    result = hooked.back_up()

    assert commands(hooked) == ["freeze db", "thaw db"]
    (pods,) = [each for each in result.report.lists if each.stored and each.skipped]
    assert dict(pods.skipped) == {"selected twice": 1}


def test_without_hooks_nothing_is_run_nor_told(hooked):
    """A Pod that no hook concerns goes where it always went, and status has no hooks."""
    hooked.load(pod(hooked, "web"))

    result = hooked.back_up()

    assert hooked.seen == ["execute web", "begin web"]
    assert result.backup.status.hook_status is None


def test_annotations_of_a_pod_beat_the_spec(hooked):
    """Of each phase for itself."""
    hooked.load(
        pod(hooked, "db", annotations={f"{PRE}command": "own"}), pod(hooked, "web")
    )

    hooked.back_up(hooks=spec_hooks(pre="spec", post="after"))

    assert commands(hooked) == ["after db", "after web", "own db", "spec web"]


@pytest.mark.parametrize("mode", [None, HookErrorMode.FAIL, HookErrorMode.CONTINUE])
def test_a_failing_pre_hook(hooked, mode):
    """The Pod is stored all the same; what acts on its volumes is not begun with Fail."""
    hooked.load(pod(hooked, "db", "data"))
    hooked.load(*bound_claim(hooked, "data"))
    hooked.set_phase("persistentvolumeclaims", "data", "Bound")
    hooked.answers["sync"] = lambda call: call.stderr.write(b"disk is gone\n") and 5
    hooks = spec_hooks(pre="sync", post="done", on_error=mode)

    result = hooked.back_up(hooks=hooks)

    (error,) = told(result)
    assert "pre hook quiesce in container main of Pod shop/db failed" in error
    assert "exit code 5: disk is gone" in error
    assert ("its volumes are not stored" in error) is (mode != HookErrorMode.CONTINUE)
    assert result.results.errors[0].item.name == "db"
    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    assert result.exit_code == 3
    assert result.backup.status.hook_status.hooks_failed == 1
    assert "pods/shop/db" in hooked.stored()
    assert "persistentvolumeclaims/shop/data" in hooked.stored()
    begun = {each for each in hooked.seen if each.startswith("begin")}
    expected = {"begin db", "begin data", "begin pv-data"}
    assert begun == (expected if mode == HookErrorMode.CONTINUE else set())
    assert "done db" in hooked.seen


def test_a_failing_post_hook(hooked):
    """The Pod stays, and the backup is PartiallyFailed."""
    hooked.load(frozen(hooked, "db"))
    hooked.answers["thaw"] = lambda _: 1

    result = hooked.back_up()

    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    assert "post hook <from-annotation>" in told(result)[0]
    assert "begin db" in hooked.seen
    assert "pods/shop/db" in hooked.stored()


@pytest.mark.parametrize("name", ["db", "data"])
def test_post_hooks_are_run_if_an_action_failed(hooked, name):
    """On the Pod, or on its claim."""
    hooked.load(frozen(hooked, "db", "data"), *bound_claim(hooked, "data"))
    hooked.spy.fails_on = name

    result = hooked.back_up()

    assert hooked.seen[0] == "freeze db"
    assert "thaw db" in hooked.seen
    assert len(told(result)) == 1
    assert name in told(result)[0]
    assert hooked.sums_hold(result)


@pytest.mark.parametrize(
    "how",
    [
        {"labels": {"velero.io/exclude-from-backup": "true"}},
        {"phase": "Succeeded"},
        {"spec": {"label_selector": LabelSelector.parse("app=no")}},
        {"where": True},
        {"spec": {"excluded_namespaces": ["shop"]}},
        {"spec": {"included_resources": ["secrets"]}},
    ],
    ids=["label", "finished", "selector", "where", "namespace", "type"],
)
def test_a_pod_that_is_not_backed_up_is_left_alone(hooked, how):
    """No command in a Pod that the filters leave out, nor in one that has ended."""
    annotations, labels = {f"{PRE}command": "freeze"}, how.get("labels", {})
    made = pod(hooked, "db", annotations=annotations, labels=labels)
    hooked.load(made, hooked.secret("s"))
    if "phase" in how:
        hooked.set_phase("pods", "db", how["phase"])
    options = BackupOptions()
    if "where" in how:
        options = BackupOptions(where=lambda item: item["kind"] != "Pod")

    result = hooked.back_up(options=options, **how.get("spec", {}))

    assert "freeze db" not in hooked.seen
    assert told(result) == []
    assert result.backup.status.hook_status is None


def test_a_pod_that_an_action_asks_for(hooked):
    """One that the lists left out comes along with its commands."""
    hooked.load(
        frozen(hooked, "db", labels={"app": "db"}),
        frozen(hooked, "web", labels={"app": "web"}),
    )
    pods = GroupResource("", "pods")
    hooked.spy.asks = {"web": [ResourceIdentifier(pods, "shop", "db")]}
    hooked.back_up(label_selector=LabelSelector.parse("app=web"))

    assert hooked.seen == [
        *("freeze web", "execute web", "begin web", "thaw web"),
        *("freeze db", "execute db", "begin db", "thaw db"),
    ]
    assert {"pods/shop/web", "pods/shop/db"} <= set(hooked.stored())


def test_a_plan_runs_nothing_and_tells_of_the_hooks(hooked):
    """Nothing is frozen for a look at what would happen."""
    hooked.load(frozen(hooked, "db", "data"), *bound_claim(hooked, "data"))
    hooked.load(pod(hooked, "web"))

    plan = hooked.engine().plan(BackupSpec())

    assert not [each for each in hooked.seen if each.startswith(("freeze", "begin"))]
    assert plan.hooked_pods == 1
    assert "hooks would run in 1 Pod" in str(plan)
    hooked.back_up()
    assert plan.total == len(hooked.stored())


def test_a_cancel_between_the_commands(hooked):
    """The Pod is thawed before the run is given up; nothing is published."""
    hooked.load(*(frozen(hooked, f"db-{n}") for n in range(3)))
    token = CancelToken()
    hooked.answers["freeze"] = lambda _: token.cancel("enough")
    engine = hooked.engine(settings=EngineSettings(workers=1))

    with pytest.raises(RunCancelledError, match="enough"):
        engine.run("b", BackupSpec(), cancel=token)

    assert commands(hooked) == ["freeze db-0", "thaw db-0"]
    assert hooked.store.list() == []


def test_a_cancelled_run_waits_for_what_it_owes(hooked):
    """It ends after the last Pod was thawed, not before."""
    hooked.load(frozen(hooked, "db"), frozen(hooked, "slow"))
    token, thawing, thawed = CancelToken(), threading.Event(), []

    def freeze(call):
        if call.pod == "db":
            assert thawing.wait(30)
            token.cancel("enough")

    def thaw(call):
        if call.pod == "slow":
            thawing.set()
            time.sleep(1)
        thawed.append(call.pod)

    hooked.answers = {"freeze": freeze, "thaw": thaw}

    with pytest.raises(RunCancelledError):
        hooked.engine().run("b", BackupSpec(), cancel=token)

    assert sorted(thawed) == ["db", "slow"]


def test_an_interrupt_between_the_commands(hooked):
    """Ctrl-C in a program that handles no signals thaws the Pod as well."""
    hooked.load(*(frozen(hooked, f"db-{n}") for n in range(3)))

    def interrupt(_):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.5)  # until it has come

    hooked.answers["freeze"] = interrupt
    with pytest.raises(KeyboardInterrupt):
        hooked.engine(settings=EngineSettings(workers=1)).run("b", BackupSpec())

    assert commands(hooked) == ["freeze db-0", "thaw db-0"]
    assert hooked.store.list() == []


def test_a_store_that_fails_between_the_commands(hooked, monkeypatch):
    """The frozen Pod is thawed and no other is frozen; then that is raised."""
    hooked.load(*(frozen(hooked, f"db-{n}") for n in range(3)))

    def full(*_, **__):
        raise SpoolError("/tmp", "no space left")  # noqa: S108 - only a name

    monkeypatch.setattr("kbackup.archive.ArchiveWriter.add", full)
    with pytest.raises(SpoolError):
        hooked.engine(settings=EngineSettings(workers=1)).run("b", BackupSpec())

    assert commands(hooked) == ["freeze db-0", "thaw db-0"]


def test_records_of_claims_are_in_order(hooked):
    """Whichever Pod was done first: the manifest is the same from run to run."""
    thawed = threading.Event()
    hooked.load(frozen(hooked, "a", "a"), frozen(hooked, "b", "b"))
    hooked.load(*bound_claim(hooked, "a"), *bound_claim(hooked, "b"))
    hooked.answers = {
        "freeze": lambda call: call.pod == "a" and not thawed.wait(30),
        "thaw": lambda call: call.pod == "b" and thawed.set(),
    }

    hooked.back_up()

    records = hooked.store.manifest("b").volumes
    assert hooked.seen.index("execute b") < hooked.seen.index("execute a")
    assert [each.claim for each in records] == ["shop/a", "shop/b"]


def test_pods_are_done_at_once(hooked):
    """Their commands run side by side: four that wait for each other all end."""
    met = threading.Barrier(4, timeout=30)
    hooked.answers["freeze"] = lambda _: met.wait() and None
    hooked.load(*(frozen(hooked, f"db-{n}") for n in range(4)))

    result = hooked.back_up()

    assert told(result) == []
    assert result.backup.status.hook_status.hooks_attempted == 8


def test_a_begin_that_takes_long_holds_no_other_pod_up(hooked):
    """Frozen Pods and their claims are stored while an action begins for another."""
    met = threading.Barrier(4, timeout=30)
    begin = hooked.spy.begin

    def begin_together(given, cluster):
        met.wait()
        return begin(given, cluster)

    hooked.spy.begin = begin_together
    for n in range(4):
        hooked.load(frozen(hooked, f"db-{n}", f"c-{n}"))
        hooked.load(*bound_claim(hooked, f"c-{n}"))
        hooked.set_phase("persistentvolumeclaims", f"c-{n}", "Bound")

    result = hooked.back_up()

    assert told(result) == []
    journeys = [x for x in hooked.seen if x.startswith(("begin", "thaw"))]
    for n in range(4):
        for name in (f"db-{n}", f"c-{n}", f"pv-c-{n}"):
            assert journeys.index(f"begin {name}") < journeys.index(f"thaw db-{n}")
    assert len(hooked.store.side_file("b", SideFile.ITEM_OPERATIONS)) == 12


def test_no_more_at_once_than_workers(hooked):
    """The settings say how many Pods may be quiesced together."""
    busy, most = set(), []

    def freeze(call):
        busy.add(call.pod)
        most.append(len(busy))

    hooked.answers = {"freeze": freeze, "thaw": lambda call: busy.discard(call.pod)}
    hooked.load(*(frozen(hooked, f"db-{n}") for n in range(6)))

    hooked.engine(settings=EngineSettings(workers=2)).run("b", BackupSpec())

    assert max(most) <= 2
    assert not busy


def test_slips_are_told(hooked):
    """What annotations and the specification say in vain is a warning."""
    found = {f"{PRE}command": "x", f"{PRE}timeout": "soon"}
    hooked.load(pod(hooked, "db", annotations=found))
    hooks = spec_hooks(pre="x", name="web", included_resources=["deployments"])

    result = hooked.back_up(hooks=hooks)

    warnings = " ".join(str(each) for each in result.results.warnings)
    assert f"{PRE}timeout: 'soon' is no time" in warnings
    assert "hooks 'web' are for no Pods" in warnings


def test_an_unknown_container(hooked):
    """The error names it, and the containers that there are."""
    found = {f"{PRE}command": "freeze", f"{PRE}container": "nowhere"}
    hooked.load(pod(hooked, "db", annotations=found))

    result = hooked.back_up()

    assert "no container 'nowhere', it has: main" in told(result)[0]
    assert "freeze db" not in hooked.seen
    assert "pods/shop/db" in hooked.stored()


def test_the_stored_log_has_nothing_that_commands_print(hooked, caplog):
    """Not even where the host asks for debug records."""
    caplog.set_level("DEBUG", logger="kbackup")
    hooked.load(frozen(hooked, "db"))
    hooked.answers["freeze"] = lambda call: call.stdout.write(b"hunter2") and None

    hooked.back_up()

    log = _log(hooked)
    assert "ended with exit code 0" in log
    assert "hunter2" not in log
    assert "hunter2" in caplog.text


def _log(scene):
    """The log of backup b, as text."""
    target = io.BytesIO()
    scene.objects.get("backups/b/b-logs.gz", target)
    return gzip.decompress(target.getvalue()).decode()


@pytest.mark.parametrize(
    ("entry", "is_told"),
    [
        ({"included_namespaces": ["shpo"]}, True),
        ({"label_selector": LabelSelector.parse("app=dbb")}, True),
        ({"included_namespaces": ["shop"]}, False),
    ],
    ids=["namespace", "labels", "meant"],
)
def test_hooks_for_no_pod(hooked, entry, is_told):
    """A slip in whom they are for leaves everything unquiesced: that is told."""
    hooked.load(pod(hooked, "db", {f"{PRE}command": "own"}))

    result = hooked.back_up(hooks=spec_hooks(pre="x", name="freeze", **entry))

    told_of = "hooks 'freeze': none of the Pods is meant: nothing is run"
    assert (told_of in [x.message for x in result.results.warnings]) is is_told
