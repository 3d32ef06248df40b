"""Documents as Velero writes them, rewritten here byte for byte.

The values are invented; keys, their order and what is there although it is empty are
those of Velero 1.8 and 1.18.
"""

from datetime import UTC, datetime, timedelta

import attrs
import pytest

import kbackup.models
from kbackup.models import (
    Backup,
    BackupPhase,
    BackupStorageLocation,
    DataUpload,
    DeleteBackupRequest,
    ExistingResourcePolicy,
    GroupResource,
    HookErrorMode,
    ItemOperation,
    NativeSnapshot,
    ObjectMeta,
    ObjectStorage,
    OperationPhase,
    PodVolumeBackup,
    ResourceIdentifier,
    ResourceModifiers,
    ResourcePolicies,
    Restore,
    RestoreSpec,
    Schedule,
    VolumeInfo,
    VolumeMethod,
    dump_json,
    dump_yaml,
    load_json,
    load_json_list,
    load_objects,
    load_yaml,
    to_json,
)
from kbackup.models._codec import _layout

BACKUP_1_8 = b"""{
  "kind": "Backup",
  "apiVersion": "velero.io/v1",
  "metadata": {
    "name": "books-20230917041500",
    "namespace": "velero",
    "uid": "0d6b1c3a-54f7-4c39-8f60-2f3a9b7e6c11",
    "resourceVersion": "4711",
    "generation": 5,
    "creationTimestamp": "2023-09-17T04:15:00Z",
    "labels": {
      "velero.io/schedule-name": "books",
      "velero.io/storage-location": "main"
    },
    "annotations": {
      "velero.io/source-cluster-k8s-gitversion": "v1.23.5",
      "velero.io/source-cluster-k8s-major-version": "1",
      "velero.io/source-cluster-k8s-minor-version": "23"
    },
    "managedFields": [
      {
        "manager": "velero-server",
        "fieldsV1": {
          "f:status": {}
        }
      }
    ]
  },
  "spec": {
    "metadata": {},
    "includedNamespaces": [
      "books"
    ],
    "ttl": "240h0m0s",
    "hooks": {},
    "storageLocation": "main",
    "volumeSnapshotLocations": [
      "cloud"
    ],
    "defaultVolumesToRestic": false
  },
  "status": {
    "version": 1,
    "formatVersion": "1.1.0",
    "expiration": "2023-09-27T04:15:00Z",
    "phase": "Completed",
    "startTimestamp": "2023-09-17T04:15:00Z",
    "completionTimestamp": "2023-09-17T04:16:02Z",
    "volumeSnapshotsAttempted": 2,
    "volumeSnapshotsCompleted": 2,
    "progress": {
      "totalItems": 87,
      "itemsBackedUp": 87
    }
  }
}"""

BACKUP_1_18 = b"""{
  "kind": "Backup",
  "apiVersion": "velero.io/v1",
  "metadata": {
    "name": "tools",
    "namespace": "velero",
    "uid": "7c1f2a90-3d5e-4f0b-9a88-6e1d0c5b4a32",
    "creationTimestamp": "2026-02-03T10:00:00Z"
  },
  "spec": {
    "metadata": {},
    "includedNamespaces": [
      "*"
    ],
    "excludedResources": [
      "volumesnapshots.snapshot.storage.k8s.io",
      "volumesnapshotcontents.snapshot.storage.k8s.io"
    ],
    "orLabelSelectors": [
      {
        "matchLabels": {
          "app": "ci"
        }
      },
      {
        "matchExpressions": [
          {
            "key": "tier",
            "operator": "In",
            "values": [
              "a",
              "b"
            ]
          }
        ]
      }
    ],
    "ttl": "720h0m0s",
    "volumeGroupSnapshotLabelKey": "velero.io/volume-group",
    "hooks": {
      "resources": [
        {
          "name": "quiet",
          "includedNamespaces": [
            "ci"
          ],
          "pre": [
            {
              "exec": {
                "container": "db",
                "command": [
                  "/bin/sync"
                ],
                "onError": "Fail",
                "timeout": "45s"
              }
            }
          ]
        }
      ]
    },
    "storageLocation": "main",
    "defaultVolumesToFsBackup": true,
    "orderedResources": {
      "pods": "ci/one,ci/two"
    },
    "csiSnapshotTimeout": "10m0s",
    "itemOperationTimeout": "4h0m0s",
    "resourcePolicy": {
      "kind": "configmap",
      "name": "volumes"
    },
    "snapshotMoveData": false,
    "uploaderConfig": {
      "parallelFilesUpload": 4
    }
  },
  "status": {
    "version": 1,
    "formatVersion": "1.1.0",
    "expiration": "2026-03-05T10:00:00Z",
    "phase": "PartiallyFailed",
    "startTimestamp": "2026-02-03T10:00:00Z",
    "completionTimestamp": "2026-02-03T10:02:00Z",
    "warnings": 1,
    "errors": 2,
    "progress": {
      "totalItems": 12,
      "itemsBackedUp": 10
    },
    "csiVolumeSnapshotsAttempted": 1,
    "csiVolumeSnapshotsCompleted": 1,
    "backupItemOperationsAttempted": 1,
    "backupItemOperationsFailed": 1,
    "hookStatus": {
      "hooksAttempted": 1
    }
  }
}"""


@pytest.mark.parametrize("document", [BACKUP_1_8, BACKUP_1_18], ids=["1.8", "1.18"])
def test_a_backup_record_is_rewritten_byte_for_byte(document):
    """Key order, indentation and what is there though empty are Velero's."""
    assert dump_json(load_json(Backup, document)) == document


def test_a_backup_record_says_what_it_says():
    """The record's fields arrive with their types."""
    backup = load_json(Backup, BACKUP_1_8)

    assert backup.name == "books-20230917041500"
    assert backup.metadata.creation_timestamp == datetime(
        2023, 9, 17, 4, 15, tzinfo=UTC
    )
    assert backup.metadata.extra["managedFields"][0]["manager"] == "velero-server"
    assert backup.spec.included_namespaces == ("books",)
    assert backup.spec.ttl == timedelta(days=10)
    assert backup.spec.default_volumes_to_restic is False
    assert backup.spec.snapshot_volumes is None
    assert backup.status.phase is BackupPhase.COMPLETED
    assert backup.status.progress.items_backed_up == 87


def test_selectors_and_hooks_of_a_record_are_values():
    """What nests in lists is typed as well."""
    spec = load_json(Backup, BACKUP_1_18).spec

    assert [s.to_query() for s in spec.or_label_selectors] == [
        "app=ci",
        "tier in (a,b)",
    ]
    (hook,) = spec.hooks.resources[0].pre
    assert hook.exec.on_error is HookErrorMode.FAIL
    assert hook.exec.timeout == timedelta(seconds=45)


def test_an_empty_backup_has_the_structs_that_go_never_leaves_out():
    """A writer that leaves them out would differ from Velero in each record."""
    assert to_json(Backup(metadata=ObjectMeta(name="b"))) == {
        "kind": "Backup",
        "apiVersion": "velero.io/v1",
        "metadata": {"name": "b", "creationTimestamp": None},
        "spec": {"metadata": {}, "hooks": {}},
        "status": {},
    }


NATIVE_SNAPSHOTS = (
    b'[{"spec":{"backupName":"books","backupUID":"0d6b","location":"cloud",'
    b'"PersistentVolumeName":"pvc-31","providerVolumeID":"vol-7","volumeType":"gp3",'
    b'"volumeAZ":"zone-b","volumeIOPS":3000},'
    b'"status":{"providerSnapshotID":"snap-7","phase":"Completed"}},'
    b'{"spec":{"backupName":"books","backupUID":"0d6b","location":"cloud",'
    b'"PersistentVolumeName":"pvc-32","providerVolumeID":"vol-8","volumeType":""},'
    b'"status":{"phase":"Failed"}}]\n'
)

POD_VOLUME_BACKUPS = (
    b'[{"kind":"PodVolumeBackup","apiVersion":"velero.io/v1","metadata":'
    b'{"name":"books-x7k2p","generateName":"books-","namespace":"velero","uid":"u-1",'
    b'"resourceVersion":"99","creationTimestamp":"2023-09-17T04:15:09Z",'
    b'"labels":{"velero.io/backup-name":"books","velero.io/pvc-uid":"u-2"},'
    b'"annotations":{"velero.io/pvc-name":"data"},"ownerReferences":[{'
    b'"apiVersion":"velero.io/v1","kind":"Backup","name":"books","uid":"0d6b",'
    b'"controller":true}]},"spec":{"node":"n7","pod":{"kind":"Pod",'
    b'"namespace":"books","name":"db-0","uid":"u-3"},"volume":"data",'
    b'"backupStorageLocation":"main","repoIdentifier":"gs:b:/restic/books",'
    b'"tags":{"backup":"books","volume":"data"}},"status":{"phase":"Completed",'
    b'"path":"/host_pods/u-3/data","snapshotID":"5e6f7a8b",'
    b'"startTimestamp":"2023-09-17T04:15:10Z",'
    b'"completionTimestamp":"2023-09-17T04:15:30Z",'
    b'"progress":{"totalBytes":2048,"bytesDone":2048}}},'
    b'{"kind":"PodVolumeBackup","apiVersion":"velero.io/v1","metadata":'
    b'{"creationTimestamp":null},"spec":{"node":"","pod":{},"volume":"",'
    b'"backupStorageLocation":"","repoIdentifier":""},'
    b'"status":{"phase":"Failed","progress":{}}}]\n'
)

ITEM_OPERATIONS = (
    b'[{"spec":{"backupName":"books","backupUID":"0d6b",'
    b'"backupItemAction":"velero.io/csi-pvc-backupper","resourceIdentifier":'
    b'{"Group":"","Resource":"persistentvolumeclaims","Namespace":"books",'
    b'"Name":"data"},"operationID":"du-0d6b.u-2","postOperationItems":[{'
    b'"Group":"velero.io","Resource":"datauploads","Namespace":"velero",'
    b'"Name":"books-q"}]},"status":{"phase":"InProgress","nCompleted":10,'
    b'"nTotal":2048,"operationUnits":"Bytes","description":"moving",'
    b'"created":"2023-09-17T04:15:15Z","started":"2023-09-17T04:15:16Z",'
    b'"updated":"2023-09-17T04:15:20Z"}}]\n'
)

VOLUME_INFOS = (
    b'[{"pvcName":"data","pvcNamespace":"books","pvName":"pvc-31",'
    b'"backupMethod":"PodVolumeBackup","snapshotDataMoved":false,'
    b'"preserveLocalSnapshot":false,"skipped":false,'
    b'"startTimestamp":"2023-09-17T04:15:10Z",'
    b'"completionTimestamp":"2023-09-17T04:15:30Z","result":"succeeded",'
    b'"pvbInfo":{"snapshotHandle":"k1","size":2048,"uploaderType":"kopia",'
    b'"volumeName":"data","podName":"db-0","podNamespace":"books",'
    b'"nodeName":"n7","Phase":"Completed"},'
    b'"pvInfo":{"reclaimPolicy":"Retain","labels":null}},'
    b'{"snapshotDataMoved":true,"preserveLocalSnapshot":false,"skipped":false,'
    b'"csiSnapshotInfo":{"snapshotHandle":"unknown","size":0,"driver":"d",'
    b'"vscName":"unknown","operationID":"unknown","ReadyToUse":null},'
    b'"snapshotDataMovementInfo":{"dataMover":"velero","uploaderType":"kopia",'
    b'"snapshotHandle":"h","operationID":"du","size":0,"Phase":"Completed"},'
    b'"nativeSnapshotInfo":{"snapshotHandle":"s","volumeType":"gp3",'
    b'"volumeAZ":"zone-b","iops":"0","Phase":"Completed"},'
    b'"pvInfo":{"reclaimPolicy":"Delete","labels":{"a":"b"}}},'
    b'{"pvName":"pvc-33","snapshotDataMoved":false,"preserveLocalSnapshot":false,'
    b'"skipped":true,"skippedReason":"policy"}]\n'
)


@pytest.mark.parametrize(
    ("cls", "document"),
    [
        (NativeSnapshot, NATIVE_SNAPSHOTS),
        (PodVolumeBackup, POD_VOLUME_BACKUPS),
        (ItemOperation, ITEM_OPERATIONS),
        (VolumeInfo, VOLUME_INFOS),
    ],
    ids=["volumesnapshots", "podvolumebackups", "itemoperations", "volumeinfo"],
)
def test_a_side_file_is_rewritten_byte_for_byte(cls, document):
    """Capital names, nulls and empty objects of the side files are Velero's."""
    assert dump_json(load_json_list(cls, document), pretty=False) == document


def test_an_operation_names_its_items_as_the_rest_of_kbackup_does():
    """The capitalised references are the identifiers that every room uses."""
    (operation,) = load_json_list(ItemOperation, ITEM_OPERATIONS)
    claim = ResourceIdentifier(
        GroupResource("", "persistentvolumeclaims"), "books", "data"
    )

    assert operation.spec.resource_identifier.identifier == claim
    assert operation.status.phase is OperationPhase.IN_PROGRESS
    spec = attrs.evolve(operation.spec, resource_identifier=claim)
    assert spec == operation.spec


def test_a_volume_info_says_how_the_data_were_kept():
    """Method and skipping are values, not words to compare."""
    copied, moved, skipped = load_json_list(VolumeInfo, VOLUME_INFOS)

    assert copied.backup_method is VolumeMethod.POD_VOLUME_BACKUP
    assert copied.pv_info.labels is None
    assert moved.csi_snapshot_info.ready_to_use is None
    assert (skipped.skipped, skipped.backup_method) == (True, None)


LOCATION = """\
kind: BackupStorageLocation
apiVersion: velero.io/v1
metadata:
  name: main
  namespace: velero
  creationTimestamp: null
spec:
  provider: aws
  config:
    region: eu-west-1
    s3ForcePathStyle: "true"
  credential:
    name: cloud
    key: keys
  objectStorage:
    bucket: backups
    prefix: prod
    caCert: UEVN
  default: true
  accessMode: ReadOnly
  backupSyncPeriod: 1m0s
status:
  phase: Available
  lastSyncedTime: "2026-02-03T10:00:00Z"
"""


def test_a_location_is_read_from_the_yaml_that_kubectl_takes():
    """Certificates are bytes, periods are times, the access mode is an answer."""
    (location,) = load_objects(LOCATION, BackupStorageLocation)

    assert location.name == "main"
    assert location.spec.object_storage == ObjectStorage(
        bucket="backups", prefix="prod", ca_cert=b"PEM"
    )
    assert location.spec.read_only
    assert location.spec.backup_sync_period == timedelta(minutes=1)
    assert load_yaml(dump_yaml(location)) == load_yaml(LOCATION)


def test_a_location_shows_no_configuration():
    """Whatever people put into a location's config does not reach a log."""
    (location,) = load_objects(LOCATION, BackupStorageLocation)

    assert "eu-west-1" not in repr(location)


def test_a_restore_is_read_and_written():
    """A restore of 1.18 with all its switches survives."""
    text = """\
kind: Restore
apiVersion: velero.io/v1
metadata: {name: r, creationTimestamp: null}
spec:
  backupName: b
  namespaceMapping: {shop: shop-copy}
  restorePVs: true
  restoreStatus: {includedResources: [workflows]}
  preserveNodePorts: false
  existingResourcePolicy: update
  resourceModifier: {kind: configmap, name: m}
  uploaderConfig: {writeSparseFiles: true, parallelFilesDownload: 2}
  hooks:
    resources:
    - name: h
      postHooks:
      - exec: {command: [/bin/true], execTimeout: 5s, waitTimeout: 1m0s,
               waitForReady: true}
      - init: {initContainers: [{name: i, image: busybox}], timeout: 1m0s}
status:
  phase: FinalizingPartiallyFailed
  progress: {totalItems: 3, itemsRestored: 2}
  restoreItemOperationsAttempted: 1
"""

    (restore,) = load_objects(text, Restore)

    assert restore.spec.existing_resource_policy is ExistingResourcePolicy.UPDATE
    assert restore.name == "r"
    assert restore.spec.restore_pvs is True
    assert restore.spec.hooks.resources[0].post_hooks[1].init.init_containers == (
        {"name": "i", "image": "busybox"},
    )
    assert to_json(restore) == load_yaml(text)


def test_a_moved_volume_belongs_to_the_other_api_version():
    """Data mover objects are of v2alpha1, and no others are taken for them."""
    assert to_json(DataUpload())["apiVersion"] == "velero.io/v2alpha1"


def test_a_signed_address_is_not_shown():
    """Whoever sees the address could read the backup."""
    status = kbackup.models.DownloadRequestStatus(download_url="https://x/?sig=s3cr3t")

    assert "s3cr3t" not in repr(status)


def test_policies_of_a_configmap_are_values():
    """A file of resource policies as the documentation of Velero has them."""
    text = """\
version: v1
volumePolicies:
- conditions:
    capacity: 0,100Gi
    csi: {driver: ebs.csi.aws.com}
    storageClass: [gp2, gp3]
    nfs: {}
    pvcPhase: [Pending]
  action: {type: skip}
- conditions: {volumeTypes: [emptyDir], pvcLabels: {a: b}}
  action: {type: fs-backup, parameters: {x: 1}}
includeExcludePolicy: {includedClusterScopedResources: [storageclasses]}
"""

    policies = kbackup.models.from_json(ResourcePolicies, load_yaml(text))

    first, second = policies.volume_policies
    assert first.conditions.storage_class == ("gp2", "gp3")
    assert first.conditions.nfs is not None
    assert second.action.type == "fs-backup"
    assert to_json(policies) == load_yaml(text)


def test_modifiers_of_a_configmap_are_values():
    """All three kinds of patch are read, ``from`` included."""
    text = """\
version: v1
resourceModifierRules:
- conditions:
    namespaces: [a]
    groupResource: persistentvolumeclaims
    resourceNameRegex: ^db
    matches: [{path: /spec/storageClassName, value: gp2}]
  patches:
  - {operation: move, from: /a, path: /b}
  - {operation: replace, path: /spec/x, value: '5'}
- conditions: {groupResource: pods}
  mergePatches: [{patchData: 'metadata: {}'}]
- conditions: {groupResource: deployments.apps}
  strategicPatches: [{patchData: '{}'}]
"""

    modifiers = kbackup.models.from_json(ResourceModifiers, load_yaml(text))

    assert modifiers.resource_modifier_rules[0].patches[0].from_ == "/a"
    assert to_json(modifiers) == load_yaml(text)


# What the format's tables name, so that nothing is forgotten and nothing misspelt.
FIELDS = {
    "BackupSpec": """
        metadata includedNamespaces excludedNamespaces includedResources
        excludedResources includedClusterScopedResources excludedClusterScopedResources
        includedNamespaceScopedResources excludedNamespaceScopedResources labelSelector
        orLabelSelectors snapshotVolumes ttl volumeGroupSnapshotLabelKey
        includeClusterResources hooks storageLocation volumeSnapshotLocations
        defaultVolumesToRestic defaultVolumesToFsBackup orderedResources
        csiSnapshotTimeout itemOperationTimeout resourcePolicy snapshotMoveData
        datamover uploaderConfig""",
    "BackupStatus": """
        version formatVersion expiration phase queuePosition validationErrors
        startTimestamp completionTimestamp volumeSnapshotsAttempted
        volumeSnapshotsCompleted failureReason warnings errors progress
        csiVolumeSnapshotsAttempted csiVolumeSnapshotsCompleted
        backupItemOperationsAttempted backupItemOperationsCompleted
        backupItemOperationsFailed hookStatus""",
    "BackupResourceHookSpec": """
        name includedNamespaces excludedNamespaces includedResources excludedResources
        labelSelector pre post""",
    "ExecHook": "container command onError timeout",
    "HookStatus": "hooksAttempted hooksFailed",
    "Progress": "totalItems itemsBackedUp",
    "BackupUploaderConfig": "parallelFilesUpload",
    "TypedLocalObjectReference": "apiGroup kind name",
    "RestoreSpec": """
        backupName scheduleName includedNamespaces excludedNamespaces includedResources
        excludedResources namespaceMapping labelSelector orLabelSelectors restorePVs
        restoreStatus preserveNodePorts includeClusterResources hooks
        existingResourcePolicy itemOperationTimeout resourceModifier uploaderConfig""",
    "RestoreStatus": """
        phase validationErrors warnings errors failureReason startTimestamp
        completionTimestamp progress restoreItemOperationsAttempted
        restoreItemOperationsCompleted restoreItemOperationsFailed hookStatus""",
    "RestoreResourceHookSpec": """
        name includedNamespaces excludedNamespaces includedResources excludedResources
        labelSelector postHooks""",
    "ExecRestoreHook": """
        container command onError execTimeout waitTimeout waitForReady""",
    "InitRestoreHook": "initContainers timeout",
    "RestoreUploaderConfig": "writeSparseFiles parallelFilesDownload",
    "RestoreProgress": "totalItems itemsRestored",
    "BackupStorageLocationSpec": """
        provider config credential objectStorage default accessMode backupSyncPeriod
        validationFrequency""",
    "ObjectStorage": "bucket prefix caCert caCertRef",
    "BackupStorageLocationStatus": """
        phase lastSyncedTime lastValidationTime message lastSyncedRevision
        accessMode""",
    "VolumeSnapshotLocationSpec": "provider config credential",
    "ScheduleSpec": "template schedule useOwnerReferencesInBackup paused skipImmediately",
    "ScheduleStatus": "phase lastBackup lastSkipped validationErrors",
    "DeleteBackupRequestStatus": "phase errors",
    "DownloadTarget": "kind name",
    "DownloadRequestStatus": "phase downloadURL expiration",
    "PodVolumeBackupSpec": """
        node pod volume backupStorageLocation repoIdentifier uploaderType tags
        uploaderSettings cancel""",
    "PodVolumeBackupStatus": """
        phase path snapshotID message startTimestamp completionTimestamp progress
        incrementalBytes acceptedTimestamp""",
    "PodVolumeRestoreSpec": """
        pod volume backupStorageLocation repoIdentifier uploaderType snapshotID
        sourceNamespace uploaderSettings cancel snapshotSize""",
    "PodVolumeRestoreStatus": """
        phase message startTimestamp completionTimestamp progress acceptedTimestamp
        node""",
    "DataProgress": "totalBytes bytesDone",
    "BackupRepositorySpec": """
        volumeNamespace backupStorageLocation repositoryType resticIdentifier
        maintenanceFrequency repositoryConfig""",
    "BackupRepositoryStatus": """
        phase message lastMaintenanceTime recentMaintenance""",
    "RepositoryMaintenance": "result startTimestamp completeTimestamp message",
    "ServerStatusRequestStatus": "phase processedTimestamp serverVersion plugins",
    "DataUploadSpec": """
        snapshotType csiSnapshot sourcePVC datamover backupStorageLocation
        sourceNamespace dataMoverConfig cancel operationTimeout""",
    "CSISnapshotSpec": "volumeSnapshot storageClass snapshotClass driver",
    "DataUploadStatus": """
        phase path snapshotID dataMoverResult message startTimestamp
        completionTimestamp progress incrementalBytes node nodeOS acceptedByNode
        acceptedTimestamp""",
    "DataDownloadSpec": """
        targetVolume backupStorageLocation datamover snapshotID sourceNamespace
        dataMoverConfig cancel operationTimeout nodeOS snapshotSize""",
    "TargetVolume": "pvc pv namespace",
    "NativeSnapshotSpec": """
        backupName backupUID location PersistentVolumeName providerVolumeID volumeType
        volumeAZ volumeIOPS""",
    "ItemReference": "Group Resource Namespace Name",
    "ItemOperationSpec": """
        backupName backupUID backupItemAction restoreName restoreUID restoreItemAction
        resourceIdentifier operationID postOperationItems""",
    "OperationStatus": """
        phase error nCompleted nTotal operationUnits description created started
        updated""",
    "VolumeInfo": """
        pvcName pvcNamespace pvName backupMethod snapshotDataMoved
        preserveLocalSnapshot skipped skippedReason startTimestamp completionTimestamp
        result csiSnapshotInfo snapshotDataMovementInfo nativeSnapshotInfo pvbInfo
        pvInfo""",
    "RestoreVolumeInfo": """
        pvcName pvcNamespace pvName restoreMethod snapshotDataMoved csiSnapshotInfo
        snapshotDataMovementInfo nativeSnapshotInfo pvrInfo""",
    "CSISnapshotInfo": """
        snapshotHandle size driver vscName operationID ReadyToUse
        volumeGroupSnapshotHandle""",
    "SnapshotDataMovementInfo": """
        dataMover uploaderType retainedSnapshot snapshotHandle operationID size
        incrementalSize Phase""",
    "NativeSnapshotInfo": "snapshotHandle volumeType volumeAZ iops Phase",
    "PodVolumeInfo": """
        snapshotHandle size incrementalSize uploaderType volumeName podName
        podNamespace nodeName Phase""",
    "PVInfo": "reclaimPolicy labels",
    "VolumeConditions": """
        capacity storageClass nfs csi volumeTypes pvcLabels pvcPhase""",
    "ModifierConditions": """
        namespaces groupResource resourceNameRegex labelSelector matches""",
    "JSONPatch": "operation from path value",
    "ResourceModifierRule": "conditions patches mergePatches strategicPatches",
}


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_a_model_has_the_fields_of_the_format(name):
    """Every field of Velero 1.8 and of 1.18 is there, so spelt and in this order."""
    cls = getattr(kbackup.models, name)

    assert [field.name for field in _layout(cls).fields] == FIELDS[name].split()


@pytest.mark.parametrize(
    ("cls", "phases"),
    [
        (
            BackupPhase,
            (
                "New Queued ReadyToStart FailedValidation InProgress Uploading "
                "UploadingPartialFailure WaitingForPluginOperations "
                "WaitingForPluginOperationsPartiallyFailed Finalizing "
                "FinalizingPartiallyFailed Completed PartiallyFailed Failed Deleting"
            ),
        ),
        (
            kbackup.models.RestorePhase,
            (
                "New FailedValidation InProgress WaitingForPluginOperations "
                "WaitingForPluginOperationsPartiallyFailed Finalizing "
                "FinalizingPartiallyFailed Completed PartiallyFailed Failed"
            ),
        ),
        (
            kbackup.models.DataPhase,
            "New Accepted Prepared InProgress Canceling Canceled Completed Failed",
        ),
    ],
    ids=["backup", "restore", "data"],
)
def test_phases_are_those_of_the_format(cls, phases):
    """A phase that is missing would make a record unreadable."""
    assert [str(phase) for phase in cls] == phases.split()


def test_only_an_ended_backup_is_terminal():
    """Everything else found in a store is incomplete."""
    assert {phase for phase in BackupPhase if phase.is_terminal} == {
        BackupPhase.COMPLETED,
        BackupPhase.FAILED,
        BackupPhase.FAILED_VALIDATION,
        BackupPhase.PARTIALLY_FAILED,
    }


def test_a_schedule_and_a_deletion_have_their_kinds():
    """The kind of a document is the name of its class."""
    assert to_json(Schedule())["spec"] == {
        "template": {"metadata": {}, "hooks": {}},
        "schedule": "",
    }
    assert to_json(DeleteBackupRequest())["kind"] == "DeleteBackupRequest"
    assert to_json(RestoreSpec(backup_name="b")) == {"backupName": "b", "hooks": {}}
