"""An object as it would be under another namespace's name, to be compared with one there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kbackup._kits.kinds import is_of

Content = Mapping[str, Any]

_BINDINGS = tuple(
    ("rbac.authorization.k8s.io", kind)
    for kind in ("RoleBinding", "ClusterRoleBinding")
)


def moved(content: Content, names: Mapping[str, str]) -> dict[str, Any]:
    """Return *content* with the namespaces in it renamed as a restore renames them.

    These are its own, that of the accounts that a binding names, and that of the claim
    that a volume is bound to. *content* itself is not changed.

    Args:
        content: The object.
        names: Old to new.
    """
    metadata = dict(content["metadata"])
    if namespace := metadata.get("namespace"):
        metadata["namespace"] = names.get(namespace, namespace)
    elif is_of(content, ("", "Namespace")):
        metadata["name"] = names.get(metadata["name"], metadata["name"])
    result = {**content, "metadata": metadata}
    if any(is_of(content, kind) for kind in _BINDINGS):
        given = content.get("subjects") or ()
        if given:
            result["subjects"] = [_renamed(subject, names) for subject in given]
    elif is_of(content, ("", "PersistentVolume")):
        spec = content.get("spec") or {}
        if "claimRef" in spec:
            claim = _renamed(spec["claimRef"], names)
            result["spec"] = {**spec, "claimRef": claim}
    return result


def _renamed(reference: Content, names: Mapping[str, str]) -> Content:
    namespace = names.get(reference.get("namespace", ""))
    return {**reference, "namespace": namespace} if namespace else reference
