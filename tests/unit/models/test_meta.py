"""Types, identities and selectors of Kubernetes objects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbackup.models import (
    APIResource,
    GroupResource,
    GroupVersionResource,
    Item,
    LabelRequirement,
    LabelSelector,
    ResourceIdentifier,
    ResourceSelector,
)

DEPLOYMENTS = GroupResource("apps", "deployments")


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("pods", GroupResource("", "pods")),
        ("deployments.apps", DEPLOYMENTS),
        ("things.a.b.c", GroupResource("a.b.c", "things")),
    ],
)
def test_a_type_splits_at_its_first_dot(text, parsed):
    """Groups hold dots, resources hold none; both ways are the same."""
    assert GroupResource.parse(text) == parsed
    assert str(parsed) == text


def test_versions_are_those_of_the_body():
    """The core group has no name in an apiVersion."""
    core = GroupVersionResource("", "v1", "pods")
    apps = GroupVersionResource("apps", "v1", "deployments")

    assert (core.api_version, apps.api_version) == ("v1", "apps/v1")
    assert apps.group_resource == DEPLOYMENTS
    assert str(apps) == "deployments.apps (v1)"


def test_an_identity_reads_as_people_write_it():
    """Cluster-scoped objects have no namespace between type and name."""
    web = ResourceIdentifier(DEPLOYMENTS, "shop", "web")
    shop = ResourceIdentifier(GroupResource("", "namespaces"), "", "shop")

    assert str(web) == "deployments.apps/shop/web"
    assert str(shop) == "namespaces/shop"


def test_a_served_type_tells_what_it_can_do():
    """All of the verbs asked for must be there."""
    resource = APIResource(
        group="apps",
        version="v1",
        resource="deployments",
        kind="Deployment",
        namespaced=True,
        verbs=frozenset({"get", "list"}),
    )

    assert resource.supports("get", "list")
    assert not resource.supports("get", "create")
    assert resource.api_version == "apps/v1"
    assert str(resource) == "deployments.apps"


@pytest.mark.parametrize(
    ("query", "labels", "selected"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a==b", {"a": "c"}, False),
        ("a!=b", {}, True),
        ("a!=b", {"a": "b"}, False),
        ("a in (b, c)", {"a": "c"}, True),
        ("a in (b,c)", {}, False),
        ("a notin (b,c)", {}, True),
        ("a notin (b,c)", {"a": "b"}, False),
        ("a", {"a": ""}, True),
        ("!a", {"a": ""}, False),
        ("! a", {}, True),
        ("x.io/a=b,c,!d,e in (f)", {"x.io/a": "b", "c": "1", "e": "f"}, True),
        ("x.io/a=b,c,!d,e in (f)", {"x.io/a": "b", "c": "1", "e": "g"}, False),
    ],
)
def test_a_selector_selects_as_the_api_server_does(query, labels, selected):
    """Kubectl's notation, read here, means what it means there."""
    selector = LabelSelector.parse(query)

    assert selector.matches(labels) is selected
    assert LabelSelector.parse(selector.to_query()) == selector


@pytest.mark.parametrize("query", ["a b", "a=b=c", "a in ()b", "=", "a,,b", "-a=b"])
def test_what_is_no_selector_is_refused(query):
    """A selector that was misread would select other objects."""
    with pytest.raises(ValueError, match="is not a label selector"):
        LabelSelector.parse(query)


@given(
    st.lists(
        st.builds(
            LabelRequirement,
            key=st.from_regex(r"[a-z]{1,4}", fullmatch=True),
            operator=st.sampled_from(["In", "NotIn"]),
            values=st.lists(
                st.from_regex(r"[a-z0-9]{0,3}", fullmatch=True), min_size=1, max_size=3
            ),
        ),
        max_size=3,
    )
)
def test_a_query_reads_back_as_its_selector(requirements):
    """What is sent to the server is what was meant."""
    selector = LabelSelector(match_expressions=requirements)

    read = LabelSelector.parse(selector.to_query())

    assert read == selector


def test_a_selector_takes_lists_and_no_string():
    """One resource given as text is not taken for a list of letters."""
    with pytest.raises(TypeError, match="'pods'"):
        ResourceSelector(included_resources="pods")


def test_an_item_shows_no_content():
    """The body may be a Secret; each reader gets a copy of its own."""
    identifier = ResourceIdentifier(GroupResource("", "secrets"), "shop", "key")
    raw = b'{"metadata":{"name":"key"},"data":{"a":"c2VjcmV0"}}'
    item = Item(identifier=identifier, raw=raw, api_version="v1", kind="Secret")

    item.content["data"].clear()

    assert item.content["data"] == {"a": "c2VjcmV0"}
    assert "c2VjcmV0" not in repr(item)
    assert "secrets/shop/key" in repr(item)


def test_two_values_of_one_label_select_nothing():
    """``a=b,a=c`` asks for both, which no object has; the last does not win."""
    selector = LabelSelector.parse("a=b,a=c")

    assert not selector.matches({"a": "c"})
    assert not selector.matches({"a": "b"})
    assert selector.to_query() == "a=b,a in (c)"
