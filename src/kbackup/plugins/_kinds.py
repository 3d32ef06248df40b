"""The families of what a plugin can offer."""

from enum import StrEnum


class PluginKind(StrEnum):
    """The families of what a plugin can offer, spelled as Velero's plugin kinds."""

    OBJECT_STORE = "ObjectStore"
    VOLUME_SNAPSHOTTER = "VolumeSnapshotter"
    BACKUP_ITEM_ACTION = "BackupItemAction"
    RESTORE_ITEM_ACTION = "RestoreItemAction"
    DELETE_ITEM_ACTION = "DeleteItemAction"
    ITEM_BLOCK_ACTION = "ItemBlockAction"
    OBSERVER = "Observer"
    UNKNOWN = ""  # of a plugin that could not be loaded
