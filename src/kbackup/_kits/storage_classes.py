"""Which storage class a claim or a volume names. Pure."""

from collections.abc import Mapping
from typing import Any

from kbackup._kits.nested import mapping_at

_BEFORE_THE_FIELD = "volume.beta.kubernetes.io/storage-class"


def storage_class_of(item: Mapping[str, Any]) -> str | None:
    """Return the class that a PersistentVolumeClaim or PersistentVolume names.

    The annotation that was there before the field still wins, as in Kubernetes; many
    a StatefulSet has it.

    Returns:
        Empty where no class is wanted, None where nothing is said.
    """
    named = mapping_at(item, "metadata", "annotations").get(_BEFORE_THE_FIELD)
    if named is None:
        named = mapping_at(item, "spec").get("storageClassName")
    return named if isinstance(named, str) else None
