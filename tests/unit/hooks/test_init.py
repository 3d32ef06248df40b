"""Which init containers a Pod gets: a table of annotations and specifications."""

import re
from datetime import timedelta

import pytest

from kbackup.errors import ActionError
from kbackup.hooks import (
    InitHooks,
    has_init_containers,
    init_oddities,
)
from kbackup.models import (
    InitRestoreHook,
    LabelSelector,
    ResourceIdentifier,
    RestoreHooks,
    RestoreResourceHook,
    RestoreResourceHookSpec,
    well_known,
)

INIT = "init.hook.restore.velero.io/"
IMAGE, NAME, COMMAND = (
    f"{INIT}container-image",
    f"{INIT}container-name",
    f"{INIT}command",
)
UID = "0b3c2d1e-0000-5000-8000-000000000001"
NO_LIMIT = f"annotation {INIT}timeout has no effect: init containers have no time limit"
NO_LIST = (
    f"annotation {COMMAND} begins as a JSON list and is none of texts: taken as the name "
    "of one program"
)
DEFAULTS = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}


def pod(annotations=None, *, labels=None, init=(), **lists):
    """A Pod with one container and these init containers."""
    spec = {"containers": [{"name": "main"}], "initContainers": list(init), **lists}
    return {"metadata": {"annotations": annotations, "labels": labels}, "spec": spec}


def place(name="db", namespace="shop"):
    """A Pod's place in the target."""
    return ResourceIdentifier(well_known.PODS, namespace, name)


def container(name, image="tools:1", **more):
    """An init container of a spec."""
    return {"name": name, "image": image, **more}


def entry(name, *containers, timeout=None, **more):
    """An entry of a spec."""
    init = InitRestoreHook(init_containers=containers, timeout=timeout)
    return RestoreResourceHookSpec(
        name=name, post_hooks=[RestoreResourceHook(init=init)], **more
    )


def hooks(*entries, uid=UID):
    """The hooks of a restore."""
    return InitHooks(RestoreHooks(resources=entries), uid)


def names(found):
    """The names of containers."""
    return [each["name"] for each in found]


def added(content, *containers):
    """A Pod to which an entry of the spec adds these init containers."""
    asked = hooks(entry("e", *containers))
    found, names_added = asked.add_to(content, place())
    assert names_added == tuple(names(containers))
    return found


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ('["sh", "-c", "rm -f /data/lock"]', ["sh", "-c", "rm -f /data/lock"]),
        ("/bin/prepare --all", ["/bin/prepare --all"]),
        ('["sh", 1]', ['["sh", 1]']),
        ("[]", None),
        ("", None),
        (None, None),
    ],
    ids=["list", "word", "no list of texts", "empty list", "empty", "absent"],
)
def test_a_command_is_a_json_list_or_one_program(text, command):
    """Text that is no JSON list names one program; without any the image's own is run."""
    content = pod({IMAGE: "tools:1", NAME: "prepare", COMMAND: text})

    (found,) = hooks().of(place(), content)

    stated = {"name": "prepare", "image": "tools:1"}
    stated |= {} if command is None else {"command": command}
    assert found == {**stated, "imagePullPolicy": "IfNotPresent", **DEFAULTS}


def test_an_annotation_takes_the_place_of_the_spec():
    """A Pod that states an image gets that one container, and none of the spec's."""
    asked = hooks(entry("spec", container("a")))

    found = asked.of(place(), pod({IMAGE: "tools:1", NAME: "own"}))

    assert names(found) == ["own"]


def test_containers_of_the_spec_are_complete_and_in_order():
    """Every entry that fits adds all of its containers, as an API server stores them."""
    port, variable = {"containerPort": 1}, {"fieldRef": {"fieldPath": "metadata.name"}}
    first = container(
        "a",
        "registry:5000/tools",
        args=["x"],
        imagePullPolicy="Never",
        ports=[port],
        env=[{"name": "N", "valueFrom": variable}],
    )
    asked = hooks(entry("one", first, container("b")), entry("two", container("c")))

    found = asked.of(place(), pod())

    assert names(found) == ["a", "b", "c"]
    assert found[0] == {
        **first,
        **DEFAULTS,
        "ports": [{"containerPort": 1, "protocol": "TCP"}],
        "env": [
            {
                "name": "N",
                "valueFrom": {
                    "fieldRef": {"fieldPath": "metadata.name", "apiVersion": "v1"}
                },
            }
        ],
    }
    assert "protocol" not in port


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("tools", "Always"),
        ("tools:latest", "Always"),
        ("registry:5000/tools", "Always"),
        ("registry:5000/tools:1", "IfNotPresent"),
        ("tools@sha256:00", "IfNotPresent"),
        ("tools:latest@sha256:00", "Always"),
    ],
)
def test_when_an_image_is_pulled(image, policy):
    """The pull policy is the one that an API server takes by default."""
    (found,) = hooks(entry("e", container("a", image))).of(place(), pod())

    assert found["imagePullPolicy"] == policy


@pytest.mark.parametrize(
    ("chosen", "fits"),
    [
        ({}, True),
        ({"included_namespaces": ["shop"]}, True),
        ({"included_namespaces": ["sh*"]}, True),
        ({"included_namespaces": ["other"]}, False),
        ({"excluded_namespaces": ["shop"]}, False),
        ({"label_selector": LabelSelector.parse("app=db")}, True),
        ({"label_selector": LabelSelector.parse("app=web")}, False),
        ({"included_resources": ["deployments"]}, True),
    ],
    ids=str,
)
def test_whom_an_entry_of_the_spec_is_for(chosen, fits):
    """Namespaces and labels choose; types do not, for such hooks are for Pods only."""
    asked = hooks(entry("spec", container("a"), **chosen))
    content = pod(labels={"app": "db"})

    assert asked.concern(place(), content) is fits
    assert names(asked.of(place(), content)) == (["a"] if fits else [])


def test_a_generated_name_follows_from_restore_and_pod():
    """It is the same whenever the restore is run, and another one for other Pods."""
    content = pod({IMAGE: "tools:1"})
    (name,) = names(hooks().of(place(), content))

    assert re.fullmatch("velero-restore-init-[0-9a-f]{8}", name)
    assert names(hooks().of(place(), content)) == [name]
    assert names(hooks().of(place("web"), content)) != [name]
    assert names(hooks(uid="another").of(place(), content)) != [name]


@pytest.mark.parametrize("waits", ["restore-wait", "restic-wait"])
def test_where_they_are_put(waits):
    """They come after a container that fills volumes, where that is first; else first."""
    waiting = pod(init=[container(waits), container("own")])
    own_first = pod(init=[container("own"), container(waits)])

    one = added(waiting, container("a"), container("b"))
    other = added(own_first, container("a"))

    assert names(one["spec"]["initContainers"]) == [waits, "a", "b", "own"]
    assert names(other["spec"]["initContainers"]) == ["a", "own", waits]
    assert names(waiting["spec"]["initContainers"]) == [waits, "own"]


@pytest.mark.parametrize(
    "lists",
    [
        {"containers": [container("a")]},
        {"initContainers": [container("a", "other:1")]},
        {"initContainers": [container("a", command=["x"])]},
        {"ephemeralContainers": [container("a")]},
    ],
    ids=str,
)
def test_a_name_that_the_pod_has_already(lists):
    """No Pod can have two containers of one name: the item fails, and says why."""
    with pytest.raises(ActionError, match="it would have 2 containers") as caught:
        added(pod(**lists), container("a"))

    told = "velero.io/init-restore-hook failed on pods/shop/db"
    assert str(caught.value).startswith(told)
    assert "'a'" in str(caught.value)


def test_two_hooks_of_one_name():
    """That holds for two hooks as well."""
    with pytest.raises(ActionError, match="2 containers with the name 'a'"):
        added(pod(), container("a"), container("a"))


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (container("a", args=["x"]), container("a", args=["x"])),
        (container("velero-restore-init-1"), container("velero-restore-init-2")),
    ],
    ids=["of the spec", "with a generated name"],
)
def test_a_pod_that_was_restored_before(before, now):
    """What the same hook added in an earlier restore is not there twice."""
    stored = {**before, "imagePullPolicy": "Always"}

    found = added(pod(init=[stored, container("own")]), now)

    hook, own = found["spec"]["initContainers"]
    assert (hook["name"], hook["imagePullPolicy"]) == (now["name"], "IfNotPresent")
    assert own == container("own")


def test_whether_a_live_pod_has_them():
    """All of them count; a Pod without any lacks none of none."""
    live = pod(init=[container("a"), container("b")])

    assert has_init_containers(live, ("a", "b"))
    assert not has_init_containers(live, ("a", "c"))
    assert has_init_containers(pod(), ())


@pytest.mark.parametrize(
    ("annotations", "told"),
    [
        ({IMAGE: "x", NAME: "n", COMMAND: "c"}, []),
        ({COMMAND: "c"}, [f"annotations {INIT}... without {IMAGE}: no hook"]),
        ({IMAGE: 1}, [f"annotations {INIT}... without {IMAGE}: no hook"]),
        (
            {IMAGE: "x", f"{INIT}on-error": "Fail"},
            [f"annotation {INIT}on-error means nothing: passed over"],
        ),
        (
            {IMAGE: "x", f"{INIT}timeout": "5s"},
            [NO_LIMIT],
        ),
        (
            {IMAGE: "x", COMMAND: "[secret"},
            [NO_LIST],
        ),
        (None, []),
    ],
    ids=str,
)
def test_annotations_that_mean_nothing_are_told(annotations, told):
    """Each is one sentence, which never has a command in it."""
    assert list(init_oddities(pod(annotations))) == told


def test_a_timeout_of_the_spec_has_no_effect():
    """Entries that have one are named."""
    timed = entry("slow", container("a"), timeout=timedelta(seconds=5))

    assert hooks(entry("fast", container("b")), timed).timed == ("slow",)
