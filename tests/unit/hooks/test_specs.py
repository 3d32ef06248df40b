"""Which commands a Pod gets: a table of annotations and specifications."""

from datetime import timedelta

import pytest

from kbackup.hooks import HookRules
from kbackup.models import (
    APIResource,
    BackupHooks,
    BackupResourceHook,
    BackupResourceHookSpec,
    ExecHook,
    HookErrorMode,
    LabelSelector,
    ResourceIdentifier,
    well_known,
)

PRE, POST = "pre.hook.backup.velero.io/", "post.hook.backup.velero.io/"
LEGACY = "hook.backup.velero.io/"
PODS = APIResource(group="", version="v1", resource="pods", kind="Pod", namespaced=True)
MARKED = b'{"metadata":{"annotations":{"pre.hook.backup.velero.io/command":"x"}}}'


def resolve(text):
    """Know Pods under all their names, and nothing else."""
    return PODS if text in {"po", "pod", "pods", "Pod"} else None


def pod(annotations=None, *, phase="Running", labels=None, sidecars=()):
    """A Pod with two containers, and init containers of these restart policies."""
    names = {"initContainers": [{"name": n, "restartPolicy": p} for n, p in sidecars]}
    containers = [{"name": "main"}, {"name": "other"}]
    return {
        "metadata": {"annotations": annotations, "labels": labels or {"app": "db"}},
        "spec": {"containers": containers, **names},
        "status": {"phase": phase},
    }


def spec(name, *, pre=("pre",), post=(), **more):
    """An entry of a backup's hooks whose commands are single words."""

    def hooks(commands):
        return [BackupResourceHook(exec=ExecHook(command=[c])) for c in commands]

    return BackupResourceHookSpec(name=name, pre=hooks(pre), post=hooks(post), **more)


def rules(*specs):
    """The rules of a backup."""
    return HookRules(BackupHooks(resources=specs), resolve)


def hooks_of(found, *specs, namespace="shop"):
    """The hooks of a Pod."""
    identifier = ResourceIdentifier(well_known.PODS, namespace, "db")
    return rules(*specs).of(identifier, found)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ('["/bin/sh", "-c", "sync; true"]', ("/bin/sh", "-c", "sync; true")),
        ("sync", ("sync",)),
        ("fsfreeze --freeze /data", ("fsfreeze --freeze /data",)),
        ('["broken', ('["broken',)),
        ("[1, 2]", ("[1, 2]",)),
        ('{"a": 1}', ('{"a": 1}',)),
        (' ["a"]', (' ["a"]',)),
    ],
    ids=["list", "word", "words", "broken", "numbers", "object", "blank"],
)
def test_a_command_is_a_json_list_or_one_program(text, command):
    """Without a shell, what is no JSON list of texts is the name of one program."""
    (hook,) = hooks_of(pod({f"{PRE}command": text})).pre

    assert hook.command == command


def test_what_annotations_leave_open():
    """First container, 30 seconds, and Fail: an empty onError is Fail, as documented."""
    (hook,) = hooks_of(pod({f"{POST}command": "x"})).post

    assert hook.container == "main"
    assert hook.timeout == timedelta(seconds=30)
    assert hook.on_error is HookErrorMode.FAIL
    assert hook.name == "<from-annotation>"
    assert not hook.fault


def test_what_annotations_state():
    """Container, onError and timeout are taken from beside the command."""
    stated = {"command": "x", "container": "other", "on-error": "Continue"}
    stated["timeout"] = "1m30s"

    (hook,) = hooks_of(pod({f"{PRE}{key}": text for key, text in stated.items()})).pre

    assert hook.container == "other"
    assert hook.on_error is HookErrorMode.CONTINUE
    assert hook.timeout == timedelta(seconds=90)


@pytest.mark.parametrize(
    ("annotations", "pre", "post"),
    [
        ({f"{PRE}command": "a", f"{POST}command": "b"}, ["a"], ["b"]),
        ({f"{LEGACY}command": "old"}, ["old"], ["c", "d"]),
        ({f"{LEGACY}command": "old", f"{PRE}command": "a"}, ["a"], ["c", "d"]),
        ({f"{PRE}command": ""}, ["a", "b"], ["c", "d"]),
        ({}, ["a", "b"], ["c", "d"]),
        (None, ["a", "b"], ["c", "d"]),
    ],
    ids=["both", "legacy-is-pre", "legacy-loses", "empty", "none", "null"],
)
def test_an_annotation_takes_the_place_of_the_spec_for_its_phase(
    annotations, pre, post
):
    """One hook of the Pod's own, or else all that match, in the order of the spec."""
    hooks = hooks_of(
        pod(annotations), spec("one", pre="a", post="c"), spec("two", pre="b", post="d")
    )

    if annotations == {f"{PRE}command": "a", f"{POST}command": "b"}:
        assert [hook.name for hook in hooks.pre] == ["<from-annotation>"]
    assert [hook.command for hook in hooks.pre] == [(each,) for each in pre]
    assert [hook.command for hook in hooks.post] == [(each,) for each in post]


@pytest.mark.parametrize(
    ("filters", "applies"),
    [
        ({}, True),
        ({"included_namespaces": ["shop"]}, True),
        ({"included_namespaces": ["sh*"]}, True),
        ({"included_namespaces": ["bank"]}, False),
        ({"excluded_namespaces": ["shop"]}, False),
        ({"included_resources": ["po"]}, True),
        ({"included_resources": ["pods", "deployments"]}, True),
        ({"included_resources": ["*"]}, True),
        ({"included_resources": ["deployments"]}, False),
        ({"excluded_resources": ["pod"]}, False),
        ({"label_selector": LabelSelector(match_labels={"app": "db"})}, True),
        ({"label_selector": LabelSelector(match_labels={"app": "web"})}, False),
        ({"label_selector": LabelSelector.parse("app in (db), tier!=x")}, True),
    ],
    ids=str,
)
def test_whom_an_entry_of_the_spec_is_for(filters, applies):
    """Namespaces, types under any of their names, and labels; nothing stated is all."""
    entry = spec("one", **filters)

    assert bool(hooks_of(pod(), entry)) is applies
    assert rules(entry).may_concern("shop", {"app": "db"}, b"{}") is applies


def test_only_pods_that_a_hook_may_concern_are_looked_into():
    """Without hooks in the spec, a Pod is only parsed for what annotations are named."""
    assert not rules().may_concern("shop", None, b'{"metadata":{}}')
    assert rules().may_concern("shop", None, MARKED)


def test_entries_for_other_types_are_named():
    """Hooks are for Pods: an entry that leaves them out does nothing, and is told."""
    entries = [spec("web", included_resources=["deployments"]), spec("all")]

    assert rules(*entries).idle == ("web",)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_finished_pod_gets_none(phase):
    """Nothing runs any more in which a command could be run."""
    assert not hooks_of(pod({f"{PRE}command": "x"}, phase=phase), spec("one"))


@pytest.mark.parametrize(
    ("container", "fault"),
    [
        ("other", ""),
        ("native", ""),
        ("setup", "the Pod has no container 'setup', it has: main, other, native"),
        ("nowhere", "the Pod has no container 'nowhere', it has: main, other, native"),
    ],
)
def test_containers_that_run(container, fault):
    """Native sidecars run beside the others; init containers of old have ended."""
    found = pod(
        {f"{PRE}command": "x", f"{PRE}container": container},
        sidecars=[("setup", None), ("native", "Always")],
    )

    (hook,) = hooks_of(found).pre

    assert hook.container == container
    assert hook.fault == fault


def test_an_empty_list_is_no_command():
    """What would run nothing is told instead of sent."""
    (hook,) = hooks_of(pod({f"{PRE}command": "[]"})).pre

    assert hook.fault == "it has no command"


@pytest.mark.parametrize(
    ("annotations", "told"),
    [
        ({f"{PRE}command": "x", f"{PRE}on-error": "Fail", f"{PRE}timeout": "5s"}, ""),
        ({f"{PRE}command": "x", f"{PRE}on-error": "ignore"}, "on-error: 'ignore'"),
        ({f"{PRE}command": "x", f"{PRE}timeout": "30"}, "timeout: '30' is no time"),
        ({f"{POST}command": "x", f"{POST}timeout": "-5s"}, "timeout: '-5s' is no time"),
        ({f"{PRE}command": "x", f"{PRE}timeout": "z" * 99}, f"'{'z' * 40}'"),
        ({f"{PRE}command": "x", f"{PRE}onerror": "Fail"}, "onerror means nothing"),
        ({f"{POST}container": "main"}, f"without {POST}command: no hook"),
        ({f"{LEGACY}command": '["a"'}, "begins as a JSON list"),
    ],
    ids=["none", "mode", "time", "below-zero", "long", "key", "no-command", "list"],
)
def test_annotations_that_mean_nothing_are_told(annotations, told):
    """A slip in an annotation is a warning, and the default holds."""
    hooks = hooks_of(pod(annotations))

    assert told in "; ".join(hooks.oddities)
    assert bool(hooks.oddities) is bool(told)
    assert {hook.on_error for hook in hooks.pre} <= {HookErrorMode.FAIL}


def test_a_time_of_zero_is_the_default():
    """As with Velero, a timeout of nothing is none."""
    hook = BackupResourceHook(exec=ExecHook(command=["x"], timeout=timedelta(0)))
    entry = BackupResourceHookSpec(name="one", pre=[hook])

    (found,) = hooks_of(pod(), entry).pre

    assert found.timeout == timedelta(seconds=30)


def test_a_pod_that_is_none_gets_none():
    """What is no Pod, as odd as it may be, has no annotations and no containers."""
    assert not hooks_of({"metadata": {"annotations": {f"{PRE}command": 5}}})
    (hook,) = hooks_of({"metadata": None, "spec": []}, spec("one")).pre
    assert hook.fault == "the Pod has no container '', it has: none"


def test_commands_are_in_no_repr():
    """A command may hold a password."""
    hooks = hooks_of(pod({f"{PRE}command": '["mysql", "-phunter2"]'}))

    assert "hunter2" not in repr(hooks)
