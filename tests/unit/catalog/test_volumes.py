"""What a backup holds of its volumes' data, by whichever file tells it."""

import json

import catalog_samples as samples
import pytest

from kbackup._kits.streams import compress
from kbackup.catalog import VolumeRecord
from kbackup.errors import BackupDamagedError
from kbackup.models import dump_json

DIRECTORY = "backups/shop"


@pytest.fixture
def velero(root):
    """Write a backup as Velero does, with side files."""

    def write(**sides):
        """Write record, archive and side files by the end of their names."""
        directory = root / DIRECTORY
        directory.mkdir(parents=True)
        record = dump_json(samples.record_of("shop", "uid"))
        (directory / "velero-backup.json").write_bytes(record)
        (directory / "shop.tar.gz").write_bytes(samples.archive_bytes())
        for side, content in sides.items():
            name = f"shop-{side.replace('_', '-')}.json.gz"
            body = compress(json.dumps(content).encode())
            (directory / name).write_bytes(body)

    return write


def summary(method, **more):
    """One element of the volume infos."""
    return {
        "pvcName": "data",
        "pvcNamespace": "shop",
        "pvName": "pv-1",
        "backupMethod": method,
        "skipped": False,
        **more,
    }


FS = {"pvbInfo": {"snapshotHandle": "1a2b", "Phase": "Completed"}}


@pytest.mark.parametrize(
    ("info", "data"),
    [
        (summary("PodVolumeBackup", result="succeeded", **FS), "fs"),
        (summary("NativeSnapshot"), "native"),
        (summary("CSISnapshot", snapshotDataMoved=True), "csi"),
        (summary("PodVolumeBackup", result="failed", **FS), "none"),
        (summary("PodVolumeBackup", pvbInfo={"Phase": "Completed"}), "none"),
        (summary("CSISnapshot", skipped=True), "none"),
        (summary("Telepathy"), "none"),
    ],
    ids=["fs", "native", "csi", "failed", "empty", "skipped", "a newer way"],
)
def test_summary_of_a_volume(store, velero, info, data):
    """Since 1.13 one file tells in which way each volume's data were kept."""
    velero(volumeinfo=[info])

    (record,) = store.volumes("shop")

    assert record == VolumeRecord(claim="shop/data", volume="pv-1", data=data)


def pod_volume(claim="data", snapshot="1a2b"):
    """A PodVolumeBackup as it lies beside the archive."""
    annotations = {"velero.io/pvc-name": claim} if claim else None
    return {
        "metadata": {"name": "shop-1-x", "annotations": annotations},
        "spec": {"pod": {"namespace": "shop", "name": "db-0"}, "volume": "data"},
        "status": {"phase": "Completed", "snapshotID": snapshot},
    }


def test_files_of_before_the_summary(store, velero):
    """Up to 1.12 each way has a file; the name of a volume may be capitalised."""
    native = {"status": {"providerSnapshotID": "snap-1", "phase": "Completed"}}
    velero(
        podvolumebackups=[pod_volume(), pod_volume("empty", ""), pod_volume("")],
        volumesnapshots=[
            {"spec": {"PersistentVolumeName": "pv-2"}, **native},
            {"spec": {"persistentVolumeName": "pv-3"}, "status": {"phase": "Failed"}},
        ],
        csi_volumesnapshots=[
            {
                "metadata": {"namespace": "shop"},
                "spec": {"source": {"persistentVolumeClaimName": "logs"}},
            }
        ],
    )

    found = {each.claim or each.volume: each.data for each in store.volumes("shop")}

    assert found == {
        "shop/data": "fs",
        "shop/empty": "none",
        "pv-2": "native",
        "pv-3": "none",
        "shop/logs": "csi",
    }


LISTED = {"v1/PersistentVolumeClaim": ["shop/data", "shop/logs"], "v1/Pod": ["shop/a"]}


def test_claims_that_no_file_names(store, velero):
    """Up to 1.12 a claim without data is known by the list of resources alone."""
    velero(resource_list=LISTED, podvolumebackups=[pod_volume()])

    found = {each.claim: each.data for each in store.volumes("shop")}

    assert found == {"shop/data": "fs", "shop/logs": "none"}


def test_a_claim_that_was_made_for_a_pod(store, velero):
    """A Pod's volume that names no claim may have one of its own, which then has data."""
    listed = {"v1/PersistentVolumeClaim": ["shop/data", "shop/db-0-data"]}
    velero(resource_list=listed, podvolumebackups=[pod_volume("")])

    found = {each.claim: each.data for each in store.volumes("shop")}

    assert found == {"shop/data": "none", "shop/db-0-data": "fs"}


def test_a_volume_without_a_claim(store, velero):
    """What was kept of a Pod's scratch volume is no data of any claim, nor hides a lack."""
    velero(resource_list=LISTED, podvolumebackups=[pod_volume(""), pod_volume("logs")])

    found = {each.claim: each.data for each in store.volumes("shop")}

    assert found == {"shop/data": "none", "shop/logs": "fs"}


def moving(name, phase, resource="persistentvolumeclaims", group=""):
    """An asynchronous operation of Velero on an item."""
    about = {"Group": group, "Resource": resource, "Namespace": "shop", "Name": name}
    return {"spec": {"resourceIdentifier": about}, "status": {"phase": phase}}


def test_data_that_were_moved(store, velero):
    """Velero 1.12 tells by its operations alone which claims' data it moved."""
    velero(
        resource_list=LISTED,
        itemoperations=[
            moving("data", "Completed"),
            moving("logs", "Failed"),
            moving("snapshot", "Completed", "volumesnapshots.snapshot.storage.k8s.io"),
            moving("other", "Completed", group="example.com"),
        ],
    )

    found = {each.claim: each.data for each in store.volumes("shop")}

    assert found == {"shop/data": "csi", "shop/logs": "none"}


def test_claims_beside_a_snapshot(store, velero):
    """No claim is said to have no data where a snapshot may be its own."""
    native = {"spec": {"PersistentVolumeName": "pv-2"}, "status": {"phase": "Failed"}}
    velero(resource_list=LISTED, volumesnapshots=[native])

    assert store.volumes("shop") == (VolumeRecord(claim="", volume="pv-2"),)


@pytest.mark.parametrize("listed", [None, [7], {"v1/PersistentVolumeClaim": {}}])
def test_an_odd_list_of_resources(store, velero, listed):
    """A list of resources in another form tells of no claim."""
    velero(resource_list=listed)

    assert store.volumes("shop") == ()


def test_the_summary_is_enough(store, velero):
    """Where there is a summary the older files are not asked."""
    velero(volumeinfo=[], podvolumebackups=[pod_volume()], resource_list=LISTED)

    assert store.volumes("shop") == ()


def test_files_that_say_null(store, velero):
    """Velero writes ``null`` where there is nothing to tell."""
    velero(podvolumebackups=None, volumesnapshots=None, csi_volumesnapshots=None)

    assert store.volumes("shop") == ()


def test_odd_elements_tell_nothing(store, velero):
    """What is no object, or has other types than it should, is passed over."""
    velero(volumeinfo=[7, {"pvcName": 1}, {"pvName": "pv-1", "backupMethod": []}])

    assert store.volumes("shop") == (VolumeRecord(claim="", volume="pv-1"),)


def test_a_file_that_cannot_tell(store, velero):
    """A file that is no list, or no gzip, is a damage of the backup."""
    velero(volumeinfo={})

    with pytest.raises(BackupDamagedError, match="is no list"):
        store.volumes("shop")


def test_a_backup_of_our_own(store):
    """The manifest tells, and no other file is asked."""
    volume = VolumeRecord(claim="shop/data", volume="pv-1")
    samples.make(store, "shop", manifest=samples.manifest_of(volumes=(volume,)))

    assert store.volumes("shop") == (volume,)
