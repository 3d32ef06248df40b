"""Which storage class a claim or a volume names. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from kbackup._kits.nested import mapping_at, objects_at

CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
"""Where the class was named before there was a field for it."""


def storage_class_of(item: Mapping[str, Any]) -> str | None:
    """Return the class that a PersistentVolumeClaim or PersistentVolume names.

    The annotation that was there before the field still wins, as in Kubernetes; many
    a StatefulSet has it.

    Returns:
        Empty where no class is wanted, None where nothing is said.
    """
    named = mapping_at(item, "metadata", "annotations").get(CLASS_ANNOTATION)
    if named is None:
        named = mapping_at(item, "spec").get("storageClassName")
    return named if isinstance(named, str) else None


def storage_classes_of(item: Mapping[str, Any]) -> Iterator[str]:
    """Yield the classes that an item names: its own, and of its claims' templates."""
    for each in (item, *objects_at(item, "spec", "volumeClaimTemplates")):
        if named := storage_class_of(each):
            yield named
