"""What people call the types of what is in an archive."""

import json

import msgspec
import pytest

from kbackup.archive import TypeWords, without_twins
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


def words_of(*items):
    """The words of an archive with these items."""
    words = TypeWords()
    for each in items:
        words.learn(each)
    return words


DEPLOYMENT = item("deployments.apps", "Deployment")


@pytest.mark.parametrize(
    "word",
    ["deployments", "Deployment", "deploy", "deployments.apps", "deploy.apps"],
)
def test_words_for_a_type(word):
    """A type is called by its plural, kind or short name, with or without its group."""
    assert words_of(DEPLOYMENT).meant_by(word) == {DEPLOYMENT.identifier.group_resource}


@pytest.mark.parametrize("word", ["", "web", "deployments.extensions", "pods"])
def test_words_for_no_type(word):
    """Another group's, or another word, means nothing."""
    assert words_of(DEPLOYMENT).meant_by(word) == set()


def test_core_types_have_short_names():
    """What has no group is meant by its short name as well."""
    assert words_of(item("configmaps", "ConfigMap")).meant_by("cm")


def test_custom_types_take_no_short_names_of_others():
    """A definition's type with a well-known plural is not meant by its short name."""
    custom = item("deployments.example.com", "Deployment")

    assert words_of(custom).meant_by("deploy") == set()


CRDS = "customresourcedefinitions.apiextensions.k8s.io"
WIDGET = item("widgets.example.com", "Widget", name="blue")


def definition(**names):
    """The definition of widgets."""
    content = {
        "kind": "CustomResourceDefinition",
        "spec": {"group": "example.com", "names": {"plural": "widgets", **names}},
    }
    return with_body(content)


def with_body(content):
    """A definition with this body."""
    made = item(CRDS, "CustomResourceDefinition")
    return msgspec.structs.replace(made, raw=json.dumps(content).encode())


@pytest.mark.parametrize("word", ["wd", "WD", "wd.example.com", "widgetlet", "thing"])
def test_a_definition_in_the_archive_names_its_type(word):
    """Short names, the singular and a kind are a definition's to choose."""
    defined = definition(shortNames=["wd"], singular="widgetlet", kind="Thing")

    for order in ([WIDGET, defined], [defined, WIDGET]):
        assert words_of(*order).meant_by(word) == {WIDGET.identifier.group_resource}


@pytest.mark.parametrize("spec", [{}, {"names": None}, {"group": "x.com", "names": {}}])
def test_a_definition_that_says_nothing(spec):
    """What stands in somebody's archive need not be a whole definition."""
    words = words_of(with_body({"spec": spec}), WIDGET)

    assert words.meant_by("widget") == {WIDGET.identifier.group_resource}


@pytest.mark.parametrize(
    ("slip", "near"),
    [("widgts", "widgets.example.com"), ("secrit", "secrets"), ("frobnicate", "")],
)
def test_the_nearest_type(slip, near):
    """A slip of the pen leads to the type that is in the archive."""
    assert words_of(WIDGET, item("secrets", "Secret")).near(slip) == near


@pytest.mark.parametrize("items", [[NEW, OLD], [OLD, NEW]])
def test_twins_are_one_object(items):
    """Of one object under two groups the newer group's is meant."""
    assert without_twins(items) == [NEW]


def test_two_objects_are_no_twins():
    """Objects of two groups that only have their name in common are two."""
    other = item("ingresses.example.com", "Ingress", uid="2")

    assert without_twins([NEW, other]) == [NEW, other]
