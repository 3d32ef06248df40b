"""A server that takes only a part of an object says nothing: the answer tells."""

import copy

import pytest

from kbackup.models import GroupResource
from kbackup.restore._writes.dropped import dropped_fields, is_taken_whole

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {
        "initContainers": [{"name": "proxy", "restartPolicy": "Always"}],
        "containers": [{"name": "web", "image": "web:1", "env": []}],
        "hostNetwork": False,
        "nodeSelector": {},
    },
}


def _stored(change):
    """The Pod as a server stored it, after *change*."""
    stored = copy.deepcopy(POD)
    stored["metadata"]["uid"] = "u"
    change(stored)
    return stored


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (lambda pod: None, []),
        (
            lambda pod: pod["spec"]["initContainers"][0].pop("restartPolicy"),
            ["spec.initContainers[0].restartPolicy"],
        ),
        (lambda pod: pod["metadata"].pop("labels"), ["metadata.labels"]),
        (lambda pod: pod["spec"].pop("containers"), ["spec.containers"]),
        (lambda pod: pod["spec"]["containers"][0].update(image="other"), []),
        (lambda pod: pod["spec"]["containers"].append({"name": "injected"}), []),
        (lambda pod: pod["spec"].pop("nodeSelector"), []),
        (lambda pod: pod["spec"].pop("hostNetwork"), []),
        (lambda pod: pod["spec"]["containers"][0].pop("env"), []),
    ],
    ids=[
        "all there",
        "an unknown field",
        "labels",
        "a list",
        "changed",
        "injected",
        "an empty map",
        "false",
        "an empty list",
    ],
)
def test_what_was_dropped(change, fields):
    """Fields that hold something and are gone are named; changed and empty ones are not."""
    assert dropped_fields(POD, _stored(change)) == fields


def test_the_status_is_not_missed():
    """A status has a request of its own: that a create drops it is known."""
    assert dropped_fields({"status": {"phase": "Running"}}, {}) == []


def test_of_metadata_that_came_back_alone_the_rest_is_not_missed():
    """An answer without the object tells of labels that were dropped, of nothing else."""
    sent = {
        "kind": "Secret",
        "metadata": {"labels": {"app": "web"}},
        "data": {"x": "eA=="},
    }
    answer = {"kind": "PartialObjectMetadata", "metadata": {"uid": "u"}}

    assert dropped_fields(sent, answer) == ["metadata.labels"]
    assert dropped_fields(sent, answer | {"kind": "Secret"}) == [
        "metadata.labels",
        "data",
    ]


LARGE = b'{"kind":"Secret","data":{"x":"' + b"e" * (1 << 16) + b'"}}'


@pytest.mark.parametrize(
    ("resource", "body", "expected"),
    [
        ("secrets", LARGE, True),
        ("configmaps", LARGE, True),
        ("secrets", LARGE[:-1] + b',"immutable":true}', False),
        ("secrets", LARGE[-100:], False),
        ("secrets", {"data": {}}, False),
        ("secrets.example.com", LARGE, False),
        ("pods", LARGE, False),
    ],
)
def test_only_what_every_server_takes_whole_need_not_come_back(
    resource, body, expected
):
    """Large Secrets and ConfigMaps, with fields that every server has; all else is looked at."""
    assert is_taken_whole(GroupResource.parse(resource), body) is expected
