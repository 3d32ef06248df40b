"""What a Pod or a claim refers to.

Shared by actions of backup and restore, which follow the same references.
"""

from __future__ import annotations

from kbackup._kits.edit import JSONObject
from kbackup._kits.nested import objects_at, text_at
from kbackup.models import ResourceIdentifier, well_known


def claims_of_pod(pod: JSONObject, namespace: str) -> tuple[ResourceIdentifier, ...]:
    """Return the claims that a Pod mounts, each once, in their order."""
    names = (
        text_at(volume, "persistentVolumeClaim", "claimName")
        for volume in objects_at(pod, "spec", "volumes")
    )
    return tuple(
        ResourceIdentifier(well_known.PERSISTENT_VOLUME_CLAIMS, namespace, name)
        for name in dict.fromkeys(filter(None, names))
    )


def priority_class_of_pod(pod: JSONObject) -> tuple[ResourceIdentifier, ...]:
    """Return the PriorityClass of a Pod, if it names one."""
    name = text_at(pod, "spec", "priorityClassName")
    return (ResourceIdentifier(well_known.PRIORITY_CLASSES, "", name),) if name else ()


def volume_of_claim(claim: JSONObject) -> tuple[ResourceIdentifier, ...]:
    """Return the PersistentVolume that a claim is bound to, if it is bound."""
    name = text_at(claim, "spec", "volumeName")
    if not name or text_at(claim, "status", "phase") != "Bound":
        return ()
    return (ResourceIdentifier(well_known.PERSISTENT_VOLUMES, "", name),)
