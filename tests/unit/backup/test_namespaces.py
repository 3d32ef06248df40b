"""Which Namespace objects are stored."""

import pytest

from kbackup.backup._filters import Filters
from kbackup.backup._namespaces import NamespaceObject, Namespaces, chosen_objects
from kbackup.models import BackupSpec, LabelSelector

SHOP = LabelSelector.parse("app=shop")


def _chosen(objects, *, spec=None, selectors=(), in_use=()):
    """Return the names that are chosen, and the reasons against the others."""
    found = Namespaces(objects={each.name: each for each in objects})
    filters = Filters(spec or BackupSpec(), lambda text: None)
    chosen, skipped = chosen_objects(found, filters, selectors, frozenset(in_use))
    return [each.name for each in chosen], skipped


def _namespace(name, **more):
    """Return a Namespace object."""
    return NamespaceObject(name=name, body=b"{}", **more)


def test_all_namespaces_without_a_filter():
    """Where everything is wanted, every Namespace is stored."""
    assert _chosen([_namespace("b"), _namespace("a")]) == (["a", "b"], {})


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"deleting": True}, "being deleted"),
        ({"labels": {"velero.io/exclude-from-backup": "true"}}, "excluded by label"),
    ],
    ids=str,
)
def test_namespaces_that_are_never_stored(more, reason):
    """One that goes away or that its owner keeps out is not stored, even in use."""
    chosen, skipped = _chosen([_namespace("a", **more)], in_use=["a"])

    assert chosen == []
    assert skipped == {reason: 1}


def test_selectors_decide_where_all_namespaces_are_wanted():
    """One that no selector fits is stored only when something in it was."""
    objects = [
        _namespace("fits", labels={"app": "shop"}),
        _namespace("used"),
        _namespace("idle"),
    ]

    chosen, skipped = _chosen(objects, selectors=(SHOP,), in_use=["used"])

    assert chosen == ["fits", "used"]
    assert skipped == {"not selected by label": 1}


def test_a_named_namespace_is_stored_whatever_its_labels():
    """Selectors are about what is in a named namespace, not about itself."""
    spec = BackupSpec(included_namespaces=["shop"])

    chosen, skipped = _chosen(
        [_namespace("shop"), _namespace("bank")], spec=spec, selectors=(SHOP,)
    )

    assert chosen == ["shop"]
    assert skipped == {"namespace not selected": 1}
