"""Which commands a restored Pod gets: annotations, the spec, containers, times."""

from datetime import timedelta

import pytest

from kbackup.hooks import ExecHooks, exec_oddities
from kbackup.models import (
    ExecRestoreHook,
    HookErrorMode,
    LabelSelector,
    ResourceIdentifier,
    RestoreHooks,
    RestoreResourceHook,
    RestoreResourceHookSpec,
    well_known,
)

POD = ResourceIdentifier(well_known.PODS, "shop", "db")
POST = "post.hook.restore.velero.io/"


def pod(annotations=None, *, labels=None, **spec):
    """A Pod with two containers and a sidecar."""
    containers = [{"name": "main"}, {"name": "other"}]
    inits = [{"name": "side", "restartPolicy": "Always"}, {"name": "first"}]
    return {
        "metadata": {"annotations": annotations or {}, "labels": labels or {}},
        "spec": {"containers": containers, "initContainers": inits, **spec},
    }


def stated(**more):
    """Annotations with a command."""
    keys = {key.replace("_", "-"): value for key, value in more.items()}
    return {f"{POST}{key}": x for key, x in ({"command": "warm"} | keys).items()}


def entry(name, *hooks, **more):
    """An entry of the spec with such hooks."""
    return RestoreResourceHookSpec(
        name=name, post_hooks=[RestoreResourceHook(exec=x) for x in hooks], **more
    )


def commands(content, *entries):
    """What a Pod gets."""
    return ExecHooks(RestoreHooks(resources=entries)).of(POD, content)


def words(found):
    """The programs of commands, in order."""
    return [each.hook.command[0] for each in found.commands]


def run(program, **more):
    """A hook of the spec."""
    return ExecRestoreHook(command=[program], **more)


def test_an_annotation_takes_the_place_of_the_spec():
    """Its command is the one hook of the Pod; without one, all entries that fit count."""
    entries = [entry("one", run("a"), run("b")), entry("two", run("c"))]

    assert words(commands(pod(stated()), *entries)) == ["warm"]
    assert words(commands(pod(), *entries)) == ["a", "b", "c"]
    assert commands(pod()).commands == ()


def test_whom_an_entry_is_for():
    """Namespaces of the target and labels decide; types make no difference."""
    app = LabelSelector.parse("app=db")
    here = entry("a", run("x"), included_namespaces=["sh*"], label_selector=app)
    types = entry("b", run("y"), included_resources=["deployments"])
    away = entry("c", run("z"), excluded_namespaces=["shop"])

    assert words(commands(pod(labels={"app": "db"}), here, types, away)) == ["x", "y"]
    assert words(commands(pod(), here, away)) == []


def test_commands_of_one_container_come_together():
    """In the order of the specification, and so do the containers."""
    found = commands(
        pod(),
        entry("e", run("a", container="other"), run("b"), run("c", container="other")),
    )

    where = [(each.hook.container, each.hook.command[0]) for each in found.commands]
    assert where == [("other", "a"), ("other", "c"), ("main", "b")]


def test_what_is_left_open():
    """The first container, Continue, 30 seconds, no end of waiting, running will do."""
    (found,) = commands(pod(), entry("e", run("a"))).commands

    assert found.hook.container == "main"
    assert found.hook.on_error is HookErrorMode.CONTINUE
    assert found.hook.timeout == timedelta(seconds=30)
    assert found.wait_timeout is None
    assert found.wait_for_ready is False


def test_all_that_an_annotation_states():
    """Each of the six annotations is read as Velero reads it."""
    content = pod(
        stated(
            command='["psql", "-c", "ANALYZE"]',
            container="side",
            on_error="Fail",
            exec_timeout="90s",
            wait_timeout="5m",
            wait_for_ready="True",
        )
    )

    (found,) = commands(content).commands

    assert found.hook.command == ("psql", "-c", "ANALYZE")
    assert found.hook.container == "side"
    assert found.hook.on_error is HookErrorMode.FAIL
    assert found.hook.timeout == timedelta(seconds=90)
    assert found.wait_timeout == timedelta(minutes=5)
    assert found.wait_for_ready is True
    assert list(exec_oddities(content)) == []


@pytest.mark.parametrize("zero", ["0", "0s"])
def test_no_time_to_wait_is_for_ever(zero):
    """Zero stands for no limit, and that is nothing odd."""
    content = pod(stated(wait_timeout=zero))

    assert commands(content).commands[0].wait_timeout is None
    assert list(exec_oddities(content)) == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"on-error": "Ignore"}, "'Ignore' is neither Fail nor Continue: Continue"),
        ({"exec-timeout": "soon"}, "'soon' is no time such as 45s: 30s"),
        ({"wait-timeout": "soon"}, "'soon' is no time such as 5m: waits for ever"),
        ({"wait-for-ready": "yes"}, "'yes' is neither true nor false: false"),
        ({"timeout": "5s"}, "means nothing: passed over"),
        ({"command": '["a", 1]'}, "taken as the name of one program"),
    ],
)
def test_annotations_that_cannot_be_read(given, told):
    """A sentence names the annotation, what it says and what is done instead."""
    content = pod(stated(**given))

    (sentence,) = exec_oddities(content)

    assert sentence.startswith(f"annotation {POST}{next(iter(given))}")
    assert sentence.endswith(told)
    assert commands(content).commands[0].hook.on_error is HookErrorMode.CONTINUE


def test_annotations_without_a_command():
    """They are no hook, and a sentence says so."""
    content = pod({f"{POST}container": "main"})

    assert not commands(content)
    assert list(exec_oddities(content)) == [
        f"annotations {POST}... without {POST}command: no hook"
    ]


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (
            {"container": "nowhere"},
            (
                "restore hook <from-annotation> in container nowhere is not run: the Pod has "
                "no container 'nowhere', it has: main, other, side"
            ),
        ),
        (
            {"command": "[]"},
            (
                "restore hook <from-annotation> in container main is not run: it has no "
                "command"
            ),
        ),
    ],
)
def test_hooks_that_cannot_be_run(given, fault):
    """A container that is not there, and an empty command, are told by hook and field."""
    found = commands(pod(stated(**given)))

    assert found.commands == ()
    assert found.faults == (fault,)


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ('["psql", "-p", "hunter2"]', "psql"),
        ("psql -p hunter2", "psql"),
        ("PGPASSWORD=hunter2 psql", "PGPASSWORD=..."),
        ('["env", "PGPASSWORD=hunter2", "psql"]', "env"),
    ],
)
def test_what_a_plan_says(command, shown):
    """Hook, container and the first word: never a password further on, nor a variable's."""
    (line,) = commands(pod(stated(command=command))).lines()

    assert line == f"hook <from-annotation> in container main: {shown}"


def test_a_plan_says_how_long_is_waited():
    """For a container that is ready, and no longer than is asked for."""
    content = pod(stated(wait_for_ready="1", wait_timeout="90s"))

    (line,) = commands(content).lines()

    assert line == (
        "hook <from-annotation> in container main, once it is ready, within 1m30s: warm"
    )
