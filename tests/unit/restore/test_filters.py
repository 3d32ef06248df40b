"""Selection follows Velero's rules: source namespaces, scope, labels."""

import pytest

from kbackup.models import (
    GroupResource,
    LabelSelector,
    ResourceIdentifier,
    RestoreSpec,
)
from kbackup.restore._request.filters import (
    TypeNames,
    keeps_despite_where,
    make_filters,
    named_types,
)

STORED = [
    GroupResource.parse(name)
    for name in ("pods", "deployments.apps", "widgets.example.com", "namespaces")
]
SERVED = {
    "po": GroupResource.parse("pods"),
    "deploy": GroupResource.parse("deployments.apps"),
}


def _filters(**spec):
    """The filters of a spec."""
    return make_filters(
        RestoreSpec(backup_name="shop", **spec), TypeNames(SERVED, STORED)
    )


def _ref(kind, name, namespace=""):
    """An identifier, from text."""
    return ResourceIdentifier(GroupResource.parse(kind), namespace, name)


@pytest.mark.parametrize(
    ("name", "served", "stored", "meant"),
    [
        # Kubernetes' own before one of a definition, whichever comes first by name.
        ("deployments", "deployments.apps", "acme.com apps", "deployments.apps"),
        ("deployments", "", "acme.com apps", "deployments.apps"),
        ("services", "services", "serving.knative.dev", "services"),
        ("services.serving.knative.dev", "", "serving.knative.dev", ""),
        # One type that went from group to group.
        (
            "ingresses",
            "ingresses.networking.k8s.io",
            "extensions",
            "ingresses.extensions",
        ),
        ("widgets", "widgets.b.com", "a.com", "widgets.a.com"),
        ("widgets", "widgets.b.com", "a.com b.com", "widgets.b.com"),
        ("widgets", "", "", "widgets"),
    ],
)
def test_a_plural_that_two_groups_have(name, served, stored, meant):
    """A plural means what it means in the target, as far as the backup has that."""
    plural = name.partition(".")[0]
    types = [GroupResource(group, plural) for group in stored.split()]
    names = TypeNames({name: GroupResource.parse(served)} if served else {}, types)

    assert str(names.resolve(name)) == (meant or name)


@pytest.mark.parametrize("name", ["deploy", "deployments", "deployments.apps"], ids=str)
def test_types_by_every_name(name):
    """Short, plain and full names mean the same type."""
    filters = _filters(included_resources=(name,))

    assert filters.wants_type(GroupResource.parse("deployments.apps"))
    assert not filters.wants_type(GroupResource.parse("pods"))


def test_a_type_that_only_the_backup_has():
    """The plain name of a type whose CRD the target lacks is found in the backup."""
    filters = _filters(included_resources=("widgets",))

    assert filters.wants_type(GroupResource.parse("widgets.example.com"))


def test_excludes_win():
    """An excluded type is not restored, whatever is included."""
    filters = _filters(excluded_resources=("po",))

    assert not filters.wants_type(GroupResource.parse("pods"))
    assert filters.wants_type(GroupResource.parse("deployments.apps"))


@pytest.mark.parametrize(
    ("spec", "collected", "additional"),
    [
        ({}, True, True),
        ({"included_namespaces": ("shop",)}, False, True),
        ({"excluded_namespaces": ("x",)}, False, True),
        ({"include_cluster_resources": False}, False, False),
        (
            {"include_cluster_resources": True, "included_namespaces": ("shop",)},
            True,
            True,
        ),
    ],
)
def test_cluster_scope(spec, collected, additional):
    """The three states of includeClusterResources, for additional items too."""
    filters = _filters(**spec)
    ref = _ref("persistentvolumes", "pv-1")

    assert filters.wants_scope(ref) is collected
    assert filters.wants_scope(ref, additional=True) is additional


def test_namespaces_are_those_of_the_source():
    """The filter looks at the source namespace, globs included."""
    filters = _filters(
        included_namespaces=("shop-*",), namespace_mapping={"shop-1": "other"}
    )

    assert filters.wants_scope(_ref("pods", "x", "shop-1"))
    assert not filters.wants_scope(_ref("pods", "x", "other"))


def test_any_of_several_selectors():
    """An item with the labels of one selector is wanted."""
    filters = _filters(
        or_label_selectors=(LabelSelector.parse("a=1"), LabelSelector.parse("b=2"))
    )

    assert filters.wants_labels({"b": "2"})
    assert not filters.wants_labels({"b": "1"})


def test_target_follows_the_mapping():
    """Namespaced items move, the Namespace itself is renamed, the rest stays."""
    filters = _filters(namespace_mapping={"shop": "copy"})

    assert filters.target(_ref("pods", "x", "shop")) == _ref("pods", "x", "copy")
    assert filters.target(_ref("namespaces", "shop")) == _ref("namespaces", "copy")
    assert filters.target(_ref("pods", "x", "b")) == _ref("pods", "x", "b")
    volume = _ref("persistentvolumes", "shop")
    assert filters.target(volume) == volume


def test_a_function_never_drops_the_ground():
    """CRDs and namespaces stay when items are selected by a function."""
    crds = GroupResource.parse("customresourcedefinitions.apiextensions.k8s.io")

    assert keeps_despite_where(crds)
    assert keeps_despite_where(GroupResource.parse("namespaces"))
    assert not keeps_despite_where(GroupResource.parse("pods"))


def test_what_counts_as_named():
    """A type that a wildcard takes in was not asked for by its name."""
    spec = RestoreSpec(
        backup_name="shop", included_resources=("deploy", "*.example.com", "*")
    )

    found = named_types(spec, TypeNames(SERVED, STORED))

    assert found == {GroupResource.parse("deployments.apps")}
