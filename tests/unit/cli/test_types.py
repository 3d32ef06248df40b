"""What people call the types of what is in an archive."""

import json

import pytest

from kbackup.cli._types import without_twins, words_for
from kbackup.models import GroupResource, Item, ResourceIdentifier


def item(type_, kind, uid="1", name="web"):
    """An object of a type."""
    content = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "uid": uid}}
    return Item(
        identifier=ResourceIdentifier(GroupResource.parse(type_), "shop", name),
        raw=json.dumps(content).encode(),
        api_version="v1",
        kind=kind,
    )


NEW = item("ingresses.networking.k8s.io", "Ingress")
OLD = item("ingresses.extensions", "Ingress")


@pytest.mark.parametrize(
    "word",
    ["deployments", "deployment", "deploy", "deployments.apps", "deploy.apps"],
)
def test_words_for_a_type(word):
    """A type is called by its plural, kind or short name, with or without its group."""
    assert word in words_for(item("deployments.apps", "Deployment"))


def test_core_types_have_short_names():
    """What has no group is meant by its short name as well."""
    assert "cm" in words_for(item("configmaps", "ConfigMap"))


def test_custom_types_take_no_short_names_of_others():
    """A definition's type with a well-known plural is not meant by its short name."""
    assert "deploy" not in words_for(item("deployments.example.com", "Deployment"))


@pytest.mark.parametrize("items", [[NEW, OLD], [OLD, NEW]])
def test_twins_are_one_object(items):
    """Of one object under two groups the newer group's is meant."""
    assert without_twins(items) == [NEW]


def test_two_objects_are_no_twins():
    """Objects of two groups that only have their name in common are two."""
    other = item("ingresses.example.com", "Ingress", uid="2")

    assert without_twins([NEW, other]) == [NEW, other]
