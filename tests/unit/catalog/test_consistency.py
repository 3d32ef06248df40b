"""A backup tells which types show one moment, and how far off the others are."""

from datetime import UTC, datetime, timedelta

import pytest

from kbackup.catalog import Manifest
from kbackup.models import GroupResource, ListRecord

START = datetime(2026, 5, 1, 2, tzinfo=UTC)


def record(name, version="100", *, exact=True, namespace="", second=0):
    """How a type was read, a second long."""
    return ListRecord(
        resource=GroupResource.parse(name),
        namespace=namespace,
        resource_version=version,
        started_at=START + timedelta(seconds=second),
        ended_at=START + timedelta(seconds=second + 1),
        exact=exact,
    )


def test_all_at_one_moment():
    """Where every list was read at one resourceVersion, that is one line."""
    found = Manifest(lists=[record("secrets"), record("pods", second=5)]).consistency

    assert str(found) == "all 2 types at resourceVersion 100"
    assert found.drifts == ()


def test_one_type_that_was_read_later():
    """Its drift is told in revisions and in time since the first list began."""
    lists = [
        record("secrets"),
        record("pods", namespace="a"),
        record("pods", "103", exact=False, namespace="b", second=8),
    ]

    found = Manifest(lists=lists).consistency

    assert str(found) == "1 of 2 types at resourceVersion 100"
    assert found.resources == (GroupResource.parse("secrets"),)
    [drift] = found.drifts
    assert str(drift) == "pods in b: at 103, up to 3 revisions and 9 s later"


@pytest.mark.parametrize("version", ["7", "", "opaque"])
def test_versions_that_cannot_be_compared(version):
    """What another server counted, or nobody, is not given as a number of revisions."""
    lists = [record("secrets"), record("nodes.metrics.k8s.io", version, exact=False)]

    [drift] = Manifest(lists=lists).consistency.drifts

    assert drift.revisions is None
    assert "revisions" not in str(drift)
    assert str(drift).endswith("up to 1 s later")


def test_no_moment_at_all():
    """A backup whose lists share nothing says so."""
    lists = [record("secrets", "1", exact=False), record("pods", "2", exact=False)]

    found = Manifest(lists=lists).consistency

    assert str(found) == "none of 2 types at a resourceVersion of the others"
    assert str(Manifest().consistency) == "not known"


def test_the_manifest_has_it_and_is_read_without_it():
    """The document says it for whoever has no kbackup; it follows from the lists."""
    lists = [record("secrets"), record("pods", "103", exact=False, second=8)]
    manifest = Manifest(lists=lists)
    document = manifest.to_json()

    assert document["consistency"] == {
        "resourceVersion": "100",
        "resources": ["secrets"],
        "drifts": [
            {
                "resource": "pods",
                "namespace": "",
                "resourceVersion": "103",
                "revisions": 3,
                "seconds": 9,
            }
        ],
    }
    del document["consistency"]  # as an earlier version wrote it
    assert Manifest.from_json(document).consistency == manifest.consistency
