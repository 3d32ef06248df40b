"""How fields are spelt in documents: camelCase, with the exceptions Velero made.

Kubernetes' spelling is known here and in `_codec`, nowhere else.
"""

from __future__ import annotations

# Words that Go writes in capitals when they do not come first.
_CAPITALS = {
    "az": "AZ",
    "id": "ID",
    "iops": "IOPS",
    "os": "OS",
    "pvc": "PVC",
    "pvs": "PVs",
    "uid": "UID",
    "url": "URL",
}

# Fields whose Go declaration has no tag, or a malformed one, are written as the Go
# field is called. Readers match names without regard to case, so nobody noticed.
_EXCEPTIONS = {
    ("CSISnapshotInfo", "ready_to_use"): "ReadyToUse",
    ("ItemReference", "group"): "Group",
    ("ItemReference", "name"): "Name",
    ("ItemReference", "namespace"): "Namespace",
    ("ItemReference", "resource"): "Resource",
    ("NativeSnapshotInfo", "phase"): "Phase",
    # Velero 0.11 to 1.10; later ones write it small and read either.
    ("NativeSnapshotSpec", "persistent_volume_name"): "PersistentVolumeName",
    ("PodVolumeInfo", "phase"): "Phase",
    ("SnapshotDataMovementInfo", "phase"): "Phase",
}


def document_name(model: str, attribute: str) -> str:
    """Return how *attribute* of the class named *model* is spelt in documents."""
    exception = _EXCEPTIONS.get((model, attribute))
    if exception is not None:
        return exception
    first, *others = attribute.rstrip("_").split("_")
    return first + "".join(_CAPITALS.get(word, word.title()) for word in others)
