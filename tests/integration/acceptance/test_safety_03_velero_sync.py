"""Safety check 3: what we store is accepted by Velero's own types, nothing pruned.

Velero's sync creates a Backup for each ``velero-backup.json`` it finds in a bucket and a
PodVolumeBackup for each entry of ``<b>-podvolumebackups.json.gz``. Done here on a real
API server with CRDs whose structural schemas name Velero 1.18's fields: whatever it does
not know would be pruned without a word.
"""

import gzip
import json
from datetime import timedelta

import pytest

from definitions import definition, served_version
from kbackup import LabelSelector, RestoreSpec
from kbackup.models import (
    DataProgress,
    ObjectMeta,
    ObjectReference,
    PodVolumeBackup,
    PodVolumeBackupSpec,
    PodVolumeBackupStatus,
    to_json,
)

TEXT, NUMBER, FLAG = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
TIME = {"type": "string", "format": "date-time", "nullable": True}
TEXTS = {"type": "array", "items": TEXT, "nullable": True}
TEXT_BY_NAME = {"type": "object", "additionalProperties": TEXT, "nullable": True}
PHASES = (
    "New FailedValidation InProgress WaitingForPluginOperations Finalizing Completed"
    " WaitingForPluginOperationsPartiallyFailed FinalizingPartiallyFailed"
    " PartiallyFailed Failed Deleting Queued ReadyToStart"
)


def record(**properties):
    """Return the schema of an object with these properties and no others."""
    return {"type": "object", "properties": properties}


CHOICE = {**FLAG, "nullable": True}
REQUIREMENT = record(key=TEXT, operator=TEXT, values=TEXTS)
SELECTOR = {
    **record(
        matchLabels=TEXT_BY_NAME,
        matchExpressions={"type": "array", "items": REQUIREMENT},
    ),
    "nullable": True,
}
BACKUP_SPEC = record(
    metadata=record(labels=TEXT_BY_NAME),
    **dict.fromkeys(
        (
            "includedNamespaces",
            "excludedNamespaces",
            "includedResources",
            "excludedResources",
            "includedClusterScopedResources",
            "excludedClusterScopedResources",
            "includedNamespaceScopedResources",
            "excludedNamespaceScopedResources",
            "volumeSnapshotLocations",
        ),
        TEXTS,
    ),
    labelSelector=SELECTOR,
    orLabelSelectors={"type": "array", "items": SELECTOR, "nullable": True},
    snapshotVolumes=CHOICE,
    includeClusterResources=CHOICE,
    defaultVolumesToRestic=CHOICE,
    defaultVolumesToFsBackup=CHOICE,
    snapshotMoveData=CHOICE,
    **dict.fromkeys(
        (
            "ttl",
            "storageLocation",
            "volumeGroupSnapshotLabelKey",
            "csiSnapshotTimeout",
            "itemOperationTimeout",
            "datamover",
        ),
        TEXT,
    ),
    hooks=record(
        resources={"type": "array", "nullable": True, "items": record(name=TEXT)}
    ),
    orderedResources=TEXT_BY_NAME,
    resourcePolicy=record(apiGroup=TEXT, kind=TEXT, name=TEXT),
    uploaderConfig=record(parallelFilesUpload=NUMBER),
)
BACKUP_STATUS = record(
    **dict.fromkeys(
        (
            "version",
            "warnings",
            "errors",
            "volumeSnapshotsAttempted",
            "volumeSnapshotsCompleted",
            "csiVolumeSnapshotsAttempted",
            "csiVolumeSnapshotsCompleted",
            "backupItemOperationsAttempted",
            "backupItemOperationsCompleted",
            "backupItemOperationsFailed",
            "queuePosition",
        ),
        NUMBER,
    ),
    formatVersion=TEXT,
    failureReason=TEXT,
    validationErrors=TEXTS,
    **dict.fromkeys(("expiration", "startTimestamp", "completionTimestamp"), TIME),
    phase={"type": "string", "enum": PHASES.split()},
    progress={**record(totalItems=NUMBER, itemsBackedUp=NUMBER), "nullable": True},
    hookStatus=record(hooksAttempted=NUMBER, hooksFailed=NUMBER),
)
LONG = {"type": "integer", "format": "int64"}
VOLUME_SPEC = record(
    **dict.fromkeys(
        ("node", "volume", "backupStorageLocation", "repoIdentifier", "uploaderType"),
        TEXT,
    ),
    pod=record(
        kind=TEXT,
        namespace=TEXT,
        name=TEXT,
        uid=TEXT,
        apiVersion=TEXT,
        resourceVersion=TEXT,
        fieldPath=TEXT,
    ),
    tags=TEXT_BY_NAME,
    uploaderSettings=TEXT_BY_NAME,
    cancel=FLAG,
)
VOLUME_STATUS = record(
    **dict.fromkeys(("phase", "path", "snapshotID", "message"), TEXT),
    **dict.fromkeys(
        ("startTimestamp", "completionTimestamp", "acceptedTimestamp"), TIME
    ),
    progress=record(totalBytes=LONG, bytesDone=LONG),
    incrementalBytes=LONG,
)


def velero_definition(plural, kind, spec, status):
    """Return one of Velero's CRDs."""
    schema = record(
        apiVersion=TEXT,
        kind=TEXT,
        metadata={"type": "object"},
        spec=spec,
        status=status,
    )
    return definition("velero.io", plural, kind, served_version(schema=schema))


@pytest.fixture(scope="module", name="velero")
def fixture_velero(target, wait_for_versions):
    """The target cluster with Velero's CRDs and its namespace."""
    definitions = [
        velero_definition("backups", "Backup", BACKUP_SPEC, BACKUP_STATUS),
        velero_definition(
            "podvolumebackups", "PodVolumeBackup", VOLUME_SPEC, VOLUME_STATUS
        ),
    ]
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "velero"}}
    for item in (*definitions, space):
        target.create(item)
    yield target
    target.remove_namespace("velero", wait=False)
    for item in definitions:
        target.delete(item)
    wait_for_versions(target.cluster, "velero.io")


def synced(world, document):
    """Create a stored document as Velero's sync does; return what the server keeps."""
    metadata = {
        key: value
        for key, value in document["metadata"].items()
        if key not in {"uid", "resourceVersion", "creationTimestamp", "generation"}
    }
    kept = world.create({**document, "metadata": {**metadata, "namespace": "velero"}})
    return {
        "labels": kept["metadata"].get("labels"),
        "annotations": kept["metadata"].get("annotations"),
        "spec": kept["spec"],
        "status": kept.get("status"),
    }


def parts(document):
    """Return what the server must keep of a document."""
    return {
        "labels": document["metadata"].get("labels"),
        "annotations": document["metadata"].get("annotations"),
        "spec": document["spec"],
        "status": document.get("status"),
    }


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {
            "excluded_resources": ["events"],
            "ttl": timedelta(days=30),
            "include_cluster_resources": True,
            "label_selector": LabelSelector.parse("app in (a,b),tier=web"),
            "ordered_resources": {"pods": "x/a,x/b"},
            "snapshot_volumes": False,
            "item_operation_timeout": timedelta(hours=4),
            "storage_location": "default",
        },
        {"or_label_selectors": [LabelSelector.parse("a=b")]},
    ],
    ids=["plain", "everything", "or"],
)
def test_record_is_accepted_whole(  # noqa: PLR0917 - fixtures
    velero, source, store, tmp_path, namespace, wish
):
    """``velero-backup.json`` becomes a Backup of Velero and loses no field."""
    source.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    )
    source.backup(store, namespace, namespace, **wish)
    path = tmp_path / "store" / "backups" / namespace / "velero-backup.json"
    document = json.loads(path.read_bytes())

    assert synced(velero, document) == parts(document)


def test_record_of_a_failed_backup_is_accepted_whole(
    velero, source, store, tmp_path, namespace
):
    """Errors and warnings of a PartiallyFailed backup are Velero's numbers, too."""
    source.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    )
    wish = {"included_resources": ["nonsense", "serviceaccounts"]}
    result = source.backup(store, namespace, namespace, "never-there", **wish)
    assert result.results.errors
    assert result.results.warnings
    path = tmp_path / "store" / "backups" / namespace / "velero-backup.json"
    document = json.loads(path.read_bytes())

    assert synced(velero, document) == parts(document)


def test_pod_volume_backups_are_accepted_whole(velero, source, store, tmp_path):
    """Each entry of the list of file backups becomes a PodVolumeBackup, unpruned."""
    source.backup(store, "volumes", "default")
    name = "backups/volumes/volumes-podvolumebackups.json.gz"
    stored = json.loads(gzip.decompress((tmp_path / "store" / name).read_bytes()))
    assert stored in ([], None)  # this version stores no files of volumes
    document = to_json(
        PodVolumeBackup(
            metadata=ObjectMeta(
                name="volumes-x1", labels={"velero.io/backup-name": "volumes"}
            ),
            spec=PodVolumeBackupSpec(
                node="n1",
                pod=ObjectReference(kind="Pod", namespace="shop", name="db-0"),
                volume="data",
                backup_storage_location="default",
                repo_identifier="s3:x/restic/shop",
                tags={"backup": "volumes"},
                uploader_type="restic",
            ),
            status=PodVolumeBackupStatus(
                phase="Completed",
                path="/host_pods/x",
                snapshot_id="abcd",
                progress=DataProgress(total_bytes=10, bytes_done=10),
            ),
        )
    )
    document |= {"apiVersion": "velero.io/v1", "kind": "PodVolumeBackup"}

    assert synced(velero, document) == parts(document)


def test_backup_of_veleros_own_objects(velero, store, namespace):
    """A cluster with Velero's objects in it is backed up and planned like any other."""
    result = velero.backup(store, "all", "velero")
    plan = velero.restorer(store).plan("over", RestoreSpec(backup_name="all"))

    assert result.results.errors == ()
    assert not [entry for entry in plan.entries if entry.action.writes]
