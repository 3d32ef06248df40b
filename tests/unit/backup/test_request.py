"""From a specification to a record and a request."""

from datetime import UTC, datetime, timedelta

import pytest

from kbackup.backup._request import new_record, violations_of
from kbackup.models import (
    BackupOptions,
    BackupPhase,
    BackupSpec,
    LabelSelector,
    TemplateMetadata,
    labels,
)

NOW = datetime(2024, 5, 1, 2, 0, 0, tzinfo=UTC)


def test_all_violations_are_told_at_once():
    """Name, lists and selectors are all checked before anything is refused."""
    spec = BackupSpec(
        included_namespaces=["*", "shop"],
        included_resources=["pods"],
        excluded_resources=["pods"],
        label_selector=LabelSelector.parse("a=b"),
        or_label_selectors=[LabelSelector.parse("c=d")],
        ttl=timedelta(hours=-1),
    )

    found = " | ".join(violations_of(spec, name="Shop!"))

    for part in ("Shop!", "'*' must stand alone", "both included and excluded"):
        assert part in found
    assert "cannot be combined" in found
    assert "ttl" in found


def test_what_cannot_be_done_is_refused():
    """A specification is refused rather than followed in part."""
    spec = BackupSpec(
        included_resources=["pods"], included_cluster_scoped_resources=["nodes"]
    )

    assert any("combined" in told for told in violations_of(spec, name="shop"))


def test_a_plain_specification_is_valid():
    """Nothing is wrong with everything, nor with a plan that has no name."""
    assert violations_of(BackupSpec(), name="shop-1.x") == []
    assert violations_of(BackupSpec(included_namespaces=["shop-*"])) == []


def test_a_new_record_reads_as_one_of_velero():
    """What a Velero server fills in is filled in; the location is a label."""
    spec = BackupSpec(metadata=TemplateMetadata(labels={"team": "web"}))
    options = BackupOptions(labels={"x": "y"}, annotations={"a": "b"})

    record = new_record("shop", "uid-1", spec, options, NOW)

    assert record.metadata.namespace == "velero"
    assert record.metadata.uid == "uid-1"
    assert record.metadata.labels == {
        "team": "web",
        "x": "y",
        labels.STORAGE_LOCATION: "default",
    }
    assert record.metadata.annotations == {"a": "b"}
    assert record.spec.included_namespaces == ("*",)
    assert record.spec.csi_snapshot_timeout == timedelta(minutes=10)
    assert record.spec.item_operation_timeout == timedelta(hours=4)
    assert record.spec.volume_group_snapshot_label_key == labels.VOLUME_GROUP
    assert record.status.format_version == "1.1.0"
    assert record.status.version == 1
    assert record.status.phase is BackupPhase.IN_PROGRESS


@pytest.mark.parametrize(
    ("ttl", "expiration"),
    [
        (None, None),
        (timedelta(0), None),
        (timedelta(hours=720), datetime(2024, 5, 31, 2, 0, 0, tzinfo=UTC)),
    ],
    ids=str,
)
def test_only_a_ttl_makes_a_backup_expire(ttl, expiration):
    """Without a TTL no Velero server on the same bucket deletes the backup."""
    record = new_record("shop", "u", BackupSpec(ttl=ttl), BackupOptions(), NOW)

    assert record.status.expiration == expiration
