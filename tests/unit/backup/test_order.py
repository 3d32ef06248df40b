"""Which types are listed, and in which order."""

import pytest

from kbackup.backup._filters import Filters
from kbackup.backup._order import other_versions, plan_types
from kbackup.models import APIResource, BackupSpec

_ALL = frozenset({"list", "get", "create", "delete"})


def _type(text, *, verbs=_ALL, namespaced=True, version="v1"):
    """Return a type from ``resource.group``."""
    resource, _, group = text.partition(".")
    return APIResource(
        group=group,
        version=version,
        resource=resource,
        kind=resource,
        namespaced=namespaced,
        verbs=verbs,
    )


def _planned(served, **spec):
    """Return the names of the planned types, in order."""
    filters = Filters(BackupSpec(**spec), lambda text: None)
    return [str(each) for each in plan_types(served, filters)]


def test_order_of_groups():
    """Pods, claims and volumes lead the core group; extensions is the last group."""
    names = [
        "secrets",
        "persistentvolumes",
        "ingresses.extensions",
        "pods",
        "persistentvolumeclaims",
        "deployments.apps",
        "services",
    ]

    planned = _planned([_type(name) for name in names])

    assert planned == [
        "pods",
        "persistentvolumeclaims",
        "persistentvolumes",
        "secrets",
        "services",
        "deployments.apps",
        "ingresses.extensions",
    ]


@pytest.mark.parametrize(
    "twins",
    [
        ("deployments.extensions", "deployments.apps"),
        ("daemonsets.extensions", "daemonsets.apps"),
        ("replicasets.extensions", "replicasets.apps"),
        ("events.events.k8s.io", "events"),
        ("networkpolicies.networking.k8s.io", "networkpolicies.extensions"),
    ],
    ids=str,
)
def test_twins_are_stored_once(twins):
    """Of the same objects under two groups one is stored; extensions are met last."""
    stored = [
        _planned([_type(name) for name in order]) for order in (twins, twins[::-1])
    ]

    assert [len(names) for names in stored] == [1, 1]
    old = next((name for name in twins if name.endswith(".extensions")), None)
    first = [
        next(name for name in order if name != old) for order in (twins, twins[::-1])
    ]
    assert [names[0] for names in stored] == first


def test_a_twin_that_is_excluded_does_not_hide_the_other():
    """Filters come first: an excluded twin leaves the other one."""
    served = [_type("deployments.apps"), _type("deployments.extensions")]

    planned = _planned(served, excluded_resources=["deployments.apps"])

    assert planned == ["deployments.extensions"]


@pytest.mark.parametrize("verb", sorted(_ALL))
def test_views_are_not_stored(verb):
    """What cannot be listed, read, created or deleted is a view and is not listed."""
    served = [_type("pods.metrics.k8s.io", verbs=_ALL - {verb}), _type("pods")]

    assert _planned(served) == ["pods"]


def test_namespaces_are_left_to_the_end():
    """Namespace objects are chosen by what was stored in them, so not listed here."""
    assert _planned([_type("namespaces", namespaced=False)]) == []


def test_other_versions_of_what_is_listed():
    """Those that can be stored, of the types that are, in the server's order."""
    things, volumes = (
        _type("things.x"),
        _type("volumesnapshots.snapshot.storage.k8s.io"),
    )
    served = [
        things,
        _type("things.x", version="v2"),
        _type("things.x", version="v3", verbs={"list"}),
        _type("things.x", version="v1beta1"),
        _type("others.x", version="v2"),
        _type(str(volumes), version="v1beta1"),
    ]

    found = other_versions([things, volumes], served)

    assert {str(t): [x.version for x in each] for t, each in found.items()} == {
        "things.x": ["v2", "v1beta1"]
    }
