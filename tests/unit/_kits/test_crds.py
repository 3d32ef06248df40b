"""What a CustomResourceDefinition says of its versions."""

import pytest

from kbackup._kits.crds import (
    conversion_webhook,
    has_status,
    served_versions,
    storage_version,
)

VERSIONS = [{"name": "v2", "storage": False}, {"name": "v1", "storage": True}]
SERVICE = {"service": {"namespace": "shop", "name": "hook"}}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({"versions": VERSIONS}, "v1", id="several"),
        pytest.param({"version": "v2", "versions": VERSIONS}, "v1", id="v1beta1, both"),
        pytest.param({"version": "v1"}, "v1", id="v1beta1, only one"),
        pytest.param({}, "", id="nothing"),
    ],
)
def test_storage_version(spec, expected):
    """It is the marked one of the list, or the single one of an old definition."""
    assert storage_version({"spec": spec}) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(
            {
                "versions": [
                    {"name": "v2", "served": False},
                    {"name": "v1", "served": True},
                ]
            },
            ("v1",),
            id="several",
        ),
        pytest.param({"version": "v1"}, ("v1",), id="v1beta1, only one"),
        pytest.param({}, (), id="nothing"),
    ],
)
def test_served_versions(spec, expected):
    """They are those of the list that say so, or the single one of an old definition."""
    assert served_versions({"spec": spec}) == expected


@pytest.mark.parametrize(
    ("conversion", "expected"),
    [
        pytest.param(
            {"strategy": "Webhook", "webhook": {"clientConfig": SERVICE}},
            "shop/hook",
            id="v1",
        ),
        pytest.param(
            {"strategy": "Webhook", "webhookClientConfig": SERVICE},
            "shop/hook",
            id="v1beta1",
        ),
        pytest.param(
            {"strategy": "Webhook", "webhookClientConfig": {"url": "https://hook/"}},
            "https://hook/",
            id="url",
        ),
        pytest.param(
            {"strategy": "None", "webhookClientConfig": SERVICE}, "", id="none"
        ),
        pytest.param(None, "", id="nothing"),
    ],
)
def test_conversion_webhook(conversion, expected):
    """Who converts is named where, and only where, the strategy is Webhook."""
    assert conversion_webhook({"spec": {"conversion": conversion}}) == expected


@pytest.mark.parametrize(
    ("spec", "has"),
    [
        ({"versions": [{"name": "v1", "subresources": {"status": {}}}]}, True),
        ({"versions": [{"name": "v1", "subresources": {"scale": {}}}]}, False),
        ({"versions": [{"name": "v2", "subresources": {"status": {}}}]}, False),
        ({"versions": [{"name": "v1"}]}, False),
        ({"versions": [{"name": "v1"}], "subresources": {"status": {}}}, True),
        ({"version": "v1", "subresources": {"status": {}}}, True),
        ({}, False),
    ],
    ids=["own", "another", "other version", "none", "of all", "before lists", "empty"],
)
def test_whether_the_status_is_a_sub_resource(spec, has):
    """Each version says so itself, or in v1beta1 the definition for all of them."""
    assert has_status({"spec": spec}, "v1") is has


@pytest.mark.parametrize(
    "spec",
    [
        [],
        {"versions": [[]], "conversion": []},
        {"versions": "v1", "conversion": {"strategy": "Webhook", "webhook": "x"}},
        {"versions": [{}], "subresources": ["status"]},
    ],
    ids=range(4),
)
def test_what_no_server_has(spec):
    """An odd definition in an archive says nothing, and ends no plan."""
    definition = {"spec": spec}

    assert storage_version(definition) == ""
    assert set(served_versions(definition)) == set()
    assert not has_status(definition, "v1")
    assert conversion_webhook(definition) in ("", "that it does not name")
