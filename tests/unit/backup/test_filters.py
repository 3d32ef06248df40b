"""What a specification wants: Velero's rules, old and by scope."""

import pytest

from kbackup.backup._filters import Filters
from kbackup.models import (
    APIResource,
    BackupSpec,
    GroupResource,
    LabelSelector,
    well_known,
)
from parameter_ids import told


def _type(resource, *, group="", namespaced=True, version="v1"):
    """Return a type as a cluster serves it."""
    return APIResource(
        group=group,
        version=version,
        resource=resource,
        kind=resource.capitalize(),
        namespaced=namespaced,
    )


PODS = _type("pods")
SECRETS = _type("secrets")
DEPLOYMENTS = _type("deployments", group="apps")
NAMESPACES = _type("namespaces", namespaced=False)
VOLUMES = _type("persistentvolumes", namespaced=False)
ROLES = _type("clusterroles", group="rbac.authorization.k8s.io", namespaced=False)
DEFINITIONS = _type(
    "customresourcedefinitions", group=well_known.CRDS.group, namespaced=False
)
SNAPSHOTS = _type("volumesnapshots", group="snapshot.storage.k8s.io")
SERVED = {
    "po": PODS,
    "pods": PODS,
    "secrets": SECRETS,
    "deploy": DEPLOYMENTS,
    "pv": VOLUMES,
    "persistentvolumes": VOLUMES,
    "namespaces": NAMESPACES,
    "clusterroles": ROLES,
    "crds": DEFINITIONS,
    "volumesnapshots": SNAPSHOTS,
}


def _filters(**spec):
    """Return the filters of a spec over the served types."""
    return Filters(BackupSpec(**spec), SERVED.get)


def _listed(**spec):
    """Return the names of the served types that a spec lists."""
    filters = _filters(**spec)
    every = (PODS, SECRETS, DEPLOYMENTS, NAMESPACES, VOLUMES, ROLES)
    return {each.resource for each in every if filters.lists(each)}


NAMESPACED = {"pods", "secrets", "deployments", "namespaces"}
CLUSTER = {"persistentvolumes", "clusterroles"}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, NAMESPACED | CLUSTER),
        ({"included_namespaces": ["*"]}, NAMESPACED | CLUSTER),
        ({"included_namespaces": ["shop"]}, NAMESPACED),
        ({"excluded_namespaces": ["shop"]}, NAMESPACED),
        (
            {"included_namespaces": ["shop"], "include_cluster_resources": True},
            NAMESPACED | CLUSTER,
        ),
        ({"include_cluster_resources": False}, NAMESPACED - {"namespaces"}),
        ({"included_resources": ["po", "deploy"]}, {"pods", "deployments"}),
        ({"included_resources": ["*.apps"]}, {"deployments"}),
        ({"excluded_resources": ["secrets"]}, (NAMESPACED | CLUSTER) - {"secrets"}),
        ({"included_resources": ["pv"]}, {"persistentvolumes"}),
        ({"included_resources": ["pv"], "included_namespaces": ["shop"]}, set()),
    ],
    ids=told,
)
def test_old_filters(spec, expected):
    """Cluster-scoped types come along only for all namespaces or when asked for."""
    assert _listed(**spec) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"included_namespace_scoped_resources": ["pods"]},
            {"pods", "namespaces"},
        ),
        (
            {"included_cluster_scoped_resources": ["pv"]},
            NAMESPACED | {"persistentvolumes"},
        ),
        (
            {
                "included_cluster_scoped_resources": ["*"],
                "excluded_namespace_scoped_resources": ["*"],
            },
            CLUSTER | {"namespaces"},
        ),
        ({"included_namespace_scoped_resources": ["*"]}, NAMESPACED | CLUSTER),
        (
            {
                "included_namespace_scoped_resources": ["*"],
                "included_namespaces": ["shop"],
            },
            NAMESPACED,
        ),
        ({"excluded_cluster_scoped_resources": ["clusterroles"]}, NAMESPACED),
        ({"excluded_cluster_scoped_resources": ["*"]}, NAMESPACED - {"namespaces"}),
        (
            {"excluded_namespace_scoped_resources": ["secrets"]},
            NAMESPACED - {"secrets"},
        ),
    ],
    ids=told,
)
def test_filters_by_scope(spec, expected):
    """No cluster include is none but Namespaces, no namespaced include is all."""
    assert _listed(**spec) == expected


@pytest.mark.parametrize(
    ("spec", "refused"),
    [
        ({"included_namespaces": ["shop"]}, False),
        ({"included_namespaces": ["shop"], "included_resources": ["pods"]}, True),
        (
            {
                "included_namespaces": ["shop"],
                "included_resources": ["pods"],
                "include_cluster_resources": True,
            },
            False,
        ),
        ({"include_cluster_resources": False}, True),
        ({"excluded_resources": ["pv"], "include_cluster_resources": True}, True),
        ({"included_namespace_scoped_resources": ["pods"]}, False),
        ({"excluded_cluster_scoped_resources": ["pv"]}, True),
    ],
    ids=str,
)
def test_volumes_that_claims_ask_for(spec, refused):
    """A volume asked for by its claim comes along unless a filter is against it."""
    assert bool(_filters(**spec).refusal(VOLUMES, "")) is refused


def test_additional_items_stay_in_their_namespaces():
    """What an action asks for in a namespace that is not selected is refused."""
    filters = _filters(included_namespaces=["shop"])

    assert filters.refusal(SECRETS, "bank")
    assert not filters.refusal(SECRETS, "shop")


@pytest.mark.parametrize(
    ("spec", "excluded"),
    [
        ({"included_namespaces": ["shop"], "included_resources": ["pods"]}, False),
        ({"excluded_resources": ["crds"]}, True),
        ({"include_cluster_resources": False}, True),
        ({"included_namespace_scoped_resources": ["pods"]}, False),
    ],
    ids=str,
)
def test_definitions_come_along_unless_excluded(spec, excluded):
    """A missing include is no exclude: custom resources keep their definition."""
    assert _filters(**spec).excludes_crds(DEFINITIONS) is excluded


def test_named_and_unknown_types():
    """Names are resolved; what the cluster does not serve is remembered as unknown."""
    filters = _filters(included_resources=["po", "widgets"], excluded_resources=["x"])

    assert filters.names(GroupResource("", "pods"))
    assert not filters.names(GroupResource("", "secrets"))
    assert filters.unknown == ("widgets",)


def test_misplaced_types():
    """A cluster-scoped type in the list of namespaced ones is told, not obeyed."""
    filters = _filters(included_namespace_scoped_resources=["pods", "pv"])

    assert filters.misplaced == ("pv",)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, True),
        ({"included_resources": ["pods"]}, False),
        ({"included_resources": ["pods", "widgets"]}, True),
        ({"included_resources": ["*.example.com"]}, True),
        ({"included_namespace_scoped_resources": ["pods"]}, False),
    ],
    ids=str,
)
def test_unread_groups_matter(spec, expected):
    """A group that cannot be read matters only where its types could be wanted."""
    assert _filters(**spec).wants_unnamed is expected


def test_selectors_are_queries():
    """Each of several selectors is one query; none is one empty query."""
    one, two = LabelSelector.parse("a=b"), LabelSelector.parse("c in (d)")

    assert _filters().selectors == ("",)
    assert _filters(label_selector=one).selectors == ("a=b",)
    assert _filters(or_label_selectors=[one, two]).selectors == ("a=b", "c in (d)")
