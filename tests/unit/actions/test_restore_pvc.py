"""Claims are restored without the source's binding; Pods bring their claims."""

import pytest

from kbackup.actions._restore_add_pvc_from_pod import AddPVCFromPodAction
from kbackup.actions._restore_pvc import PVCAction
from kbackup.models import RestoreSpec
from kbackup.testing import restore_input

NOTES = [
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
    "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/selected-node",
    "velero.io/volume-snapshot-name",
    "velero.io/data-upload-name",
    "backup.velero.io/must-include-additional-items",
    "backup.velero.io/skipped-no-csi-pv",
]


def claim(annotations=(), phase="Bound", volume="pv-1"):
    """A claim with these annotations."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "data",
            "namespace": "shop",
            "annotations": dict.fromkeys(annotations, "x"),
        },
        "spec": {"volumeName": volume},
        "status": {"phase": phase},
    }


def execute(item):
    """What the action answers for a claim."""
    return PVCAction().execute(restore_input("persistentvolumeclaims", item))


def test_notes_of_the_source_go():
    """Every note about the old binding and node is dropped, the user's stay."""
    item = execute(claim([*NOTES, "mine"])).item

    assert item["metadata"]["annotations"] == {"mine": "x"}
    assert item["spec"] == {"volumeName": "pv-1"}


def test_bound_claim_brings_its_volume():
    """The volume is asked for by what the backup says, where the status still is."""
    (volume,) = execute(claim()).additional_items

    assert str(volume) == "persistentvolumes/pv-1"


@pytest.mark.parametrize("item", [claim(phase="Pending"), claim(volume="")])
def test_unbound_claim_brings_nothing(item):
    """A claim that was not bound has no volume to ask for."""
    assert execute(item).additional_items == ()


def test_pod_brings_its_claims_by_their_source_names():
    """Claims are asked for in the source namespace, under a mapping as well."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
        },
    }
    spec = RestoreSpec(backup_name="nightly", namespace_mapping={"shop": "copy"})

    output = AddPVCFromPodAction().execute(restore_input("pods", pod, spec=spec))

    assert [str(found) for found in output.additional_items] == [
        "persistentvolumeclaims/shop/data"
    ]
