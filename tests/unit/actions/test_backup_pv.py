"""Claims in a backup: their volume, and what would hinder a new one."""

import pytest

from kbackup.actions._backup_pv import PVAction
from kbackup.models import GroupResource, ResourceIdentifier
from kbackup.testing import backup_input

PV = ResourceIdentifier(GroupResource("", "persistentvolumes"), "", "pv-1")


def claim(*, phase="Bound", labels=None, **spec):
    """A claim bound to ``pv-1`` unless told otherwise."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "shop", "labels": labels or {}},
        "spec": {"volumeName": "pv-1", "storageClassName": "fast", **spec},
        "status": {"phase": phase},
    }


def execute(item):
    """What the action answers for a claim."""
    return PVAction().execute(backup_input("persistentvolumeclaims", item))


def test_bound_claim_brings_its_volume():
    """The volume of a bound claim is asked for, and the claim is kept as it is."""
    item = claim()

    output = execute(item)

    assert output.additional_items == (PV,)
    assert output.item is item


@pytest.mark.parametrize(
    "item", [claim(phase="Pending"), claim(phase="Lost"), claim(volumeName="")]
)
def test_claim_that_is_not_bound(item):
    """A claim without a bound volume brings nothing and keeps everything."""
    item = {**item, "spec": {**item["spec"], "dataSource": {"kind": "X"}}}

    output = execute(item)

    assert output.additional_items == ()
    assert output.item is item


def test_sources_of_the_volume_go():
    """A bound claim is stored without what its volume was once made from."""
    item = claim(
        dataSource={"kind": "VolumeSnapshot"},
        dataSourceRef={"kind": "VolumeSnapshot"},
        selector={"matchLabels": {"disk": "a"}},
        accessModes=["ReadWriteOnce"],
    )

    assert execute(item).item == claim(accessModes=["ReadWriteOnce"])


def test_selector_of_a_static_claim_stays():
    """With the empty storage class the selector chooses the volume: it stays."""
    labels = {"disk": "a", "velero.io/dynamic-pv-restore": "shop.data.x"}
    item = claim(storageClassName="", selector={"matchLabels": labels})

    selector = execute(item).item["spec"]["selector"]

    assert selector == {"matchLabels": {"disk": "a"}}


def test_selector_of_a_claim_without_a_class_goes():
    """A claim without the field uses the default class: it is provisioned for."""
    item = claim(selector={"matchLabels": {"disk": "a"}})
    del item["spec"]["storageClassName"]

    assert "selector" not in execute(item).item["spec"]


def test_marks_of_earlier_runs_go():
    """Labels of earlier backups and restores go; this backup's and the user's stay."""
    stale = {
        "velero.io/restore-name": "old",
        "velero.io/volume-snapshot-name": "old",
        "velero.io/backup-name": "older",
    }
    kept = {"app": "web", "velero.io/volume-group": "g"}

    assert execute(claim(labels={**stale, **kept})).item == claim(labels=kept)
    own = claim(labels={"velero.io/backup-name": "nightly"})
    assert execute(own).item == own
