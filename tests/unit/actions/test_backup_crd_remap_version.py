"""CRDs in a backup: in the version through which they were made."""

import logging

import pytest

from definitions import definition, served_version
from kbackup.actions._backup_crd_remap_version import CRDRemapVersionAction
from kbackup.testing import StaticClusterReader, backup_input

CRDS = "customresourcedefinitions.apiextensions.k8s.io"
BETA = {
    "apiVersion": "apiextensions.k8s.io/v1beta1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.example.com"},
    "spec": {"group": "example.com", "version": "v1"},
}


def made(*versions, conditions=(), **spec):
    """What a server of today shows of a definition."""
    found = definition("example.com", "things", "Thing", *versions, **spec)
    return {**found, "status": {"conditions": list(conditions)}}


def execute(item, *served, **more):
    """What the action answers where the cluster shows *served*."""
    cluster = StaticClusterReader({CRDS: [item, *served]}, **more)
    return CRDRemapVersionAction().execute(backup_input(CRDS, item, cluster=cluster))


@pytest.mark.parametrize(
    "item",
    [
        made({"name": "v1", "served": True, "storage": True}),
        made(served_version(), preserveUnknownFields=True),
        made(conditions=[{"type": "NonStructuralSchema", "status": "True"}]),
    ],
    ids=["no schema", "unknown fields kept", "no structural schema"],
)
def test_what_was_made_through_v1beta1(item):
    """It is stored as v1beta1 shows it, for v1 would not take it back."""
    assert execute(item, BETA).item == BETA


@pytest.mark.parametrize(
    "item",
    [
        made(),
        made(preserveUnknownFields=False),
        made(conditions=[{"type": "NonStructuralSchema", "status": "False"}]),
        made(served_version(), {"name": "v2"}),
    ],
    ids=["of today", "unknown fields dropped", "structural", "second has no schema"],
)
def test_what_v1_takes_back(item):
    """A definition of which v1 wants nothing else is stored as it is."""
    assert execute(item, BETA).item is item


def test_what_no_v1beta1_shows():
    """Where the cluster does not serve v1beta1 the definition stays in v1."""
    item = made(preserveUnknownFields=True)

    assert execute(item).item is item


def test_what_is_of_v1beta1_already():
    """A cluster that prefers v1beta1 has given the item in it."""
    assert execute(BETA).item is BETA


def test_definition_that_may_not_be_read_alone(caplog):
    """The item is not lost for that: it is stored in v1."""
    item = made(preserveUnknownFields=True)
    caplog.set_level(logging.WARNING)

    assert execute(item, BETA, forbidden=[CRDS]).item is item
