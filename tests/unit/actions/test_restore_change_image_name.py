"""Workloads come back with images that the target can pull."""

import pytest

from kbackup.actions._restore_change_image_name import ChangeImageNameAction
from kbackup.testing import restore_input

HEAD = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "w"}}
WRAPS = {
    "pods": lambda spec: {"spec": spec},
    "replicationcontrollers": lambda spec: {"spec": {"template": {"spec": spec}}},
    "deployments.apps": lambda spec: {"spec": {"template": {"spec": spec}}},
    "statefulsets.apps": lambda spec: {"spec": {"template": {"spec": spec}}},
    "daemonsets.apps": lambda spec: {"spec": {"template": {"spec": spec}}},
    "replicasets.apps": lambda spec: {"spec": {"template": {"spec": spec}}},
    "jobs.batch": lambda spec: {"spec": {"template": {"spec": spec}}},
    "cronjobs.batch": lambda spec: {
        "spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}
    },
}


def spec(image, init=None):
    """A Pod spec with a container, and perhaps an init container."""
    containers = {"containers": [{"name": "web", "image": image, "tty": True}]}
    return containers | (
        {"initContainers": [{"name": "init", "image": init}]} if init else {}
    )


def changed(resource, item, settings):
    """What the action makes of an item."""
    given = restore_input(resource, item, settings=settings)
    return ChangeImageNameAction().execute(given).item


@pytest.mark.parametrize("resource", WRAPS)
def test_each_workload(resource):
    """Containers and init containers of every type that makes Pods are changed."""
    wrap = WRAPS[resource]
    item = {**HEAD, **wrap(spec("1.1.1.1:5000/abc:test", "1.1.1.1:5000/init"))}

    after = changed(resource, item, {"case1": "1.1.1.1:5000,2.2.2.2:3000"})

    assert after == {**HEAD, **wrap(spec("2.2.2.2:3000/abc:test", "2.2.2.2:3000/init"))}


@pytest.mark.parametrize(
    ("settings", "image"),
    [
        ({"a": "5000,3000"}, "1.1.1.1:3000/abc:test"),
        ({"a": "abc:test,edf:test"}, "1.1.1.1:5000/edf:test"),
        ({"a": " abc:test , edf:test "}, "1.1.1.1:5000/edf:test"),
        ({"a": "1.,9."}, "9.9.9.1:5000/abc:test"),
        ({"b": "abc,xyz", "a": "test,prod"}, "1.1.1.1:5000/abc:prod"),
        ({"a": "none,prod", "b": "abc,xyz"}, "1.1.1.1:5000/xyz:test"),
        ({"a": "abc,a,b"}, "1.1.1.1:5000/a,b:test"),
        ({"a": "no such,other"}, "1.1.1.1:5000/abc:test"),
    ],
)
def test_what_is_replaced(settings, image):
    """Every occurrence of the part, by the first setting by key that finds its own."""
    item = {**HEAD, "spec": spec("1.1.1.1:5000/abc:test")}

    assert changed("pods", item, settings) == {**HEAD, "spec": spec(image)}


@pytest.mark.parametrize("settings", [{}, {"a": "no such,other"}, {"a": "web,web"}])
def test_nothing_to_change(settings):
    """Where no setting changes an image the item is the very one that was given."""
    item = {**HEAD, "spec": spec("web:1")}
    given = restore_input("pods", item, settings=settings)

    assert ChangeImageNameAction().execute(given).item is given.item


@pytest.mark.parametrize("value", ["old", "old,", ",new", " , ", ""])
def test_half_a_setting(value):
    """A value without both parts is refused by its key: an empty part is in all images."""
    (fault,) = ChangeImageNameAction().settings_violations({"case1": value})

    assert fault.startswith("case1: expected OLD,NEW")
