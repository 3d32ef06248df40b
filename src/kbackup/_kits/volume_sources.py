"""What a volume may come from, by the names that resource policies have for it.

Source: Kubernetes, ``Volume`` and ``PersistentVolumeSpec``. A claim is no source of its
own: what it is bound to is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VOLUME_SOURCES = (
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    "hostPath",
    "image",
    "iscsi",
    "local",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "projected",
    "quobyte",
    "rbd",
    "scaleIO",
    "secret",
    "storageOS",
    "vsphereVolume",
)
_FIELDS = {name: name for name in VOLUME_SOURCES} | {"storageOS": "storageos"}


def volume_source_of(spec: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the source in a Pod's volume or a PersistentVolume's spec, and its fields.

    The name is empty where there is none that is known, as for a claim.
    """
    for name, field in _FIELDS.items():
        detail = spec.get(field)
        if isinstance(detail, Mapping):
            return name, detail
    return "", {}
