"""Every label and annotation name that kbackup writes or reads.

Names end in ``_PREFIX`` where something is appended to them. After each constant: on
what it stands, who writes it, who reads it. Public as ``kbackup.models.labels``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

_LONGEST = 63  # characters of a label value, by Kubernetes' rule
_KEPT, _HASHED = 57, 6  # together the longest

# --- labels ---------------------------------------------------------------------------

# Restored objects, PodVolumeBackups, DataUploads, requests: written by us and Velero,
# read to find what belongs to a backup. Value: `label_value` of the backup's name.
BACKUP_NAME = "velero.io/backup-name"
# PodVolumeBackups, DataUploads, requests: the backup's uid, verbatim.
BACKUP_UID = "velero.io/backup-uid"
# Restored objects, PodVolumeRestores: `label_value` of the restore's name; by it a
# restore that is run again knows its own objects.
RESTORE_NAME = "velero.io/restore-name"
# PodVolumeRestores, ConfigMaps of moved data: the restore's uid.
RESTORE_UID = "velero.io/restore-uid"
# Backups: the schedule that made them, verbatim; read when restoring from a schedule.
SCHEDULE_NAME = "velero.io/schedule-name"
# Backups and repositories: the name of the location; written at import into a cluster.
STORAGE_LOCATION = "velero.io/storage-location"
# PodVolumeRestores: uid of the Pod in the target.
POD_UID = "velero.io/pod-uid"
# PodVolumeBackups, PodVolumeRestores, DataUploads: uid of the claim.
PVC_UID = "velero.io/pvc-uid"
# Repositories: the namespace whose volumes they hold.
VOLUME_NAMESPACE = "velero.io/volume-namespace"
# BackupRepositories: kopia or restic.
REPOSITORY_TYPE = "velero.io/repository-type"
# Maintenance Jobs and their Pods: the repository they look after.
REPOSITORY_NAME = "velero.io/repo-name"
# Any object, by its owner: "true" keeps it out of every backup; on a Namespace, all
# that is in it.
EXCLUDE_FROM_BACKUP = "velero.io/exclude-from-backup"
# ConfigMaps, by administrators: configuration of the plugin named by another label.
PLUGIN_CONFIG = "velero.io/plugin-config"
# VolumeSnapshotClasses by administrators; annotation of a claim by its owner.
CSI_SNAPSHOT_CLASS = "velero.io/csi-volumesnapshot-class"
# Claims, as label and as annotation: the VolumeSnapshot made for them.
VOLUME_SNAPSHOT_NAME = "velero.io/volume-snapshot-name"
# DataUploads, DataDownloads: the id of their operation.
ASYNC_OPERATION_ID = "velero.io/async-operation-id"
# ConfigMaps of moved data: `label_value` of <namespace>.<claim>.
PVC_NAMESPACE_NAME = "velero.io/pvc-namespace-name"
# ConfigMaps of moved data: what they are for.
RESOURCE_USAGE = "velero.io/resource-usage"
# Pods that move data: the object they work for.
DATA_UPLOAD = "velero.io/data-upload"
DATA_DOWNLOAD = "velero.io/data-download"
POD_VOLUME_BACKUP = "velero.io/pod-volume-backup"
POD_VOLUME_RESTORE = "velero.io/pod-volume-restore"
# ConfigMaps: what must be known to delete moved snapshots.
DATA_UPLOAD_SNAPSHOT_INFO = "velero.io/data-upload-snapshot-info"
# Claims, by their owner: which are snapshotted together.
VOLUME_GROUP = "velero.io/volume-group"
# VolumeGroupSnapshotClasses: the default of their driver.
CSI_GROUP_SNAPSHOT_CLASS = "velero.io/csi-volumegroupsnapshot-class"
# Volumes and claims while a data mover fills them.
DYNAMIC_PV_RESTORE = "velero.io/dynamic-pv-restore"
# Backups: why garbage collection cannot remove them.
GC_FAILURE = "velero.io/gc-failure"
# Everything that an installation makes, with the value "velero".
COMPONENT = "component"

# --- annotations ----------------------------------------------------------------------

# Backups: the version of the cluster they were made of.
SOURCE_CLUSTER_GIT_VERSION = "velero.io/source-cluster-k8s-gitversion"
SOURCE_CLUSTER_MAJOR_VERSION = "velero.io/source-cluster-k8s-major-version"
SOURCE_CLUSTER_MINOR_VERSION = "velero.io/source-cluster-k8s-minor-version"
# Backups: the server's timeout for one resource, for plugins to see.
RESOURCE_TIMEOUT = "velero.io/resource-timeout"
# Backups and restores, by users: how long Pod volumes may take, a Go duration.
POD_VOLUME_TIMEOUT = "velero.io/pod-volume-timeout"
# Pods, by their owners: comma lists of volumes to back up, or not to, file by file.
BACKUP_VOLUMES = "backup.velero.io/backup-volumes"
BACKUP_VOLUMES_EXCLUDES = "backup.velero.io/backup-volumes-excludes"
# PodVolumeBackups: the claim behind the volume.
PVC_NAME = "velero.io/pvc-name"
# Pods of before Velero 1.0: the restic snapshot of the volume that is appended.
POD_SNAPSHOT_PREFIX = "snapshot.velero.io/"
# Restored volumes that got a new name: the old one.
ORIGINAL_PV_NAME = "velero.io/original-pv-name"
# Pods, by their owners: commands of backups and restores. Appended to the first three:
# container, command, on-error, timeout; to the fourth: container-image,
# container-name, command, timeout; to the last: container, command, on-error,
# exec-timeout, wait-timeout, wait-for-ready.
PRE_BACKUP_HOOK_PREFIX = "pre.hook.backup.velero.io/"
POST_BACKUP_HOOK_PREFIX = "post.hook.backup.velero.io/"
LEGACY_BACKUP_HOOK_PREFIX = "hook.backup.velero.io/"  # means the one before
INIT_RESTORE_HOOK_PREFIX = "init.hook.restore.velero.io/"
POST_RESTORE_HOOK_PREFIX = "post.hook.restore.velero.io/"
# Backups, by users: the snapshot class for the driver that is appended.
CSI_SNAPSHOT_CLASS_PREFIX = "velero.io/csi-volumesnapshot-class_"
# Claims, by their owners: the class of their group's snapshots.
CSI_PVC_GROUP_SNAPSHOT_CLASS = "velero.io/csi-volume-group-snapshot-class"
# Backups, by users: the group snapshot class for the driver that is appended.
CSI_GROUP_SNAPSHOT_CLASS_PREFIX = "velero.io/csi-volumegroupsnapshot-class_"
# VolumeSnapshots in archives: what is needed to make their contents again.
CSI_SNAPSHOT_HANDLE = "velero.io/csi-volumesnapshot-handle"
CSI_DRIVER_NAME = "velero.io/csi-driver-name"
CSI_DELETION_POLICY = "velero.io/csi-vsc-deletion-policy"
CSI_GROUP_SNAPSHOT_HANDLE = "velero.io/csi-volumegroupsnapshot-handle"
CSI_RESTORE_SIZE = "velero.io/csi-volumesnapshot-restore-size"
# Claims in archives: <namespace>/<DataUpload> whose data they get.
DATA_UPLOAD_NAME = "velero.io/data-upload-name"
# Any object, by its owner: "true" or "false" overrules the restore about its status.
RESTORE_STATUS = "velero.io/restore-status"
# Items that actions of Velero return: not to be stored; additional items whatever the
# filters say; seen by the CSI action. The last two are also found in archives.
SKIP_FROM_BACKUP = "velero.io/skip-from-backup"
MUST_INCLUDE_ADDITIONAL_ITEMS = "backup.velero.io/must-include-additional-items"
SKIPPED_NO_CSI_PV = "backup.velero.io/skipped-no-csi-pv"
# Backups, by kbackup: the digest of the manifest, which makes the record the root of
# trust; read whenever the backup is.
MANIFEST_ANNOTATION = "kbackup.io/manifest"
# Backups, by kbackup: the restore that deletes or changes what they hold; read where the
# latest backup is asked for, which they are not.
BEFORE_RESTORE = "kbackup.io/before-restore"
# Restores, by kbackup, read to describe them: the server they wrote to and the uid of
# its cluster; as JSON how many items ended how, and the options that are no defaults.
TARGET_SERVER = "kbackup.io/target-server"
TARGET_CLUSTER = "kbackup.io/target-cluster"
OUTCOMES = "kbackup.io/outcomes"
OPTIONS = "kbackup.io/options"
# Workloads, Jobs and CronJobs of a quiesced restore, by kbackup: what their fields were.
ORIGINAL_REPLICAS = "kbackup.io/original-replicas"
ORIGINAL_SUSPEND = "kbackup.io/original-suspend"
ORIGINAL_PARALLELISM = "kbackup.io/original-parallelism"

# --- tags of native snapshots ---------------------------------------------------------

SNAPSHOT_TAG_BACKUP = "velero.io/backup"
SNAPSHOT_TAG_VOLUME = "velero.io/pv"


def label_value(name: str) -> str:
    """Return the label value that stands for *name*, which may be too long for one.

    Up to 63 characters it is the name; beyond, the first 57 and the first 6 hexadecimal
    digits of the name's SHA-256, as Velero has it.
    """
    if len(name) <= _LONGEST:
        return name
    return name[:_KEPT] + hashlib.sha256(name.encode()).hexdigest()[:_HASHED]


def is_excluded(given: Any) -> bool:
    """Tell whether an object with these labels is to stay out of every backup."""
    # The type first: to ask an abstract class takes several times as long.
    if type(given) is not dict and not isinstance(given, Mapping):
        return False
    return bool(given.get(EXCLUDE_FROM_BACKUP) == "true")
