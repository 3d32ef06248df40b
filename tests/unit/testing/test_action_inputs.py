"""What tests of actions are given is what engines would give."""

import pytest

from kbackup.errors import ForbiddenError
from kbackup.models import GroupResource, ResourceIdentifier
from kbackup.testing import StaticClusterReader, restore_input

PODS = GroupResource("", "pods")


def pod(name, namespace="shop", **labels):
    """A Pod."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
    }


@pytest.fixture
def reader():
    """A cluster with three Pods that forbids Secrets."""
    pods = [pod("a", app="x"), pod("b"), pod("a", "bank")]
    return StaticClusterReader({"pods": pods}, forbidden=["secrets"], version="v1.20.2")


def test_reading_one_object(reader):
    """One object is found by namespace and name, and None is for what is not there."""
    found = reader.get(ResourceIdentifier(PODS, "bank", "a"))

    assert found == pod("a", "bank")
    assert reader.get(ResourceIdentifier(PODS, "bank", "b")) is None
    assert reader.get(ResourceIdentifier(GroupResource("x", "y"), "", "b")) is None


def test_listing(reader):
    """Lists are narrowed by namespace and labels, and counted."""
    assert len(list(reader.list(PODS))) == 3
    assert list(reader.list(PODS, namespace="shop", label_selector="app=x")) == [
        pod("a", app="x")
    ]
    assert reader.lists == {"pods": 2}


def test_refusals(reader):
    """A type can be forbidden, as a cluster may forbid it."""
    with pytest.raises(ForbiddenError):
        list(reader.list(GroupResource("", "secrets")))


def test_discovery(reader):
    """Types and the version can be asked for."""
    found = reader.resolve("pods")

    assert (found.api_version, found.kind, found.namespaced) == ("v1", "Pod", True)
    assert reader.resolve("secrets") is None
    assert reader.server_version().minor == "20"


def test_items_come_reset():
    """An action may change the item without status and source identity only."""
    stored = {**pod("a"), "status": {"phase": "Running"}}
    stored["metadata"] = {**stored["metadata"], "uid": "u-1", "managedFields": []}

    given = restore_input("pods", stored)

    assert given.item == pod("a")
    assert given.item_from_backup == stored
