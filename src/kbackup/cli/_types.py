"""The words that mean a type of object, where only an archive is at hand."""

from __future__ import annotations

from collections.abc import Sequence

from kbackup._kits.kinds import is_built_in
from kbackup.models import Item

# Source: Kubernetes, `kubectl api-resources` of a server without custom resources.
_SHORT_NAMES = {
    "certificatesigningrequests": ("csr",),
    "configmaps": ("cm",),
    "cronjobs": ("cj",),
    "customresourcedefinitions": ("crd", "crds"),
    "daemonsets": ("ds",),
    "deployments": ("deploy",),
    "endpoints": ("ep",),
    "events": ("ev",),
    "horizontalpodautoscalers": ("hpa",),
    "ingresses": ("ing",),
    "limitranges": ("limits",),
    "namespaces": ("ns",),
    "networkpolicies": ("netpol",),
    "nodes": ("no",),
    "persistentvolumeclaims": ("pvc",),
    "persistentvolumes": ("pv",),
    "poddisruptionbudgets": ("pdb",),
    "podsecuritypolicies": ("psp",),
    "pods": ("po",),
    "priorityclasses": ("pc",),
    "replicasets": ("rs",),
    "replicationcontrollers": ("rc",),
    "resourcequotas": ("quota",),
    "serviceaccounts": ("sa",),
    "services": ("svc",),
    "statefulsets": ("sts",),
    "storageclasses": ("sc",),
}


def words_for(item: Item) -> set[str]:
    """Return the words that mean the item's type, each also with its group.

    They are its plural, its kind in lower case, and the short names that every cluster
    knows.
    """
    type_ = item.identifier.group_resource
    words = {type_.resource, item.kind.lower()}
    if is_built_in(type_.group):
        words.update(_SHORT_NAMES.get(type_.resource, ()))
    return words | {f"{word}.{type_.group}" for word in words if type_.group}


def without_twins(items: Sequence[Item]) -> Sequence[Item]:
    """Of one object that was stored under several groups keep the newest group's."""
    uids = {item.content.get("metadata", {}).get("uid") for item in items}
    if len(items) < 2 or len(uids) != 1 or None in uids:  # noqa: PLR2004 - several
        return items
    return [min(items, key=_age_of_group)]


def _age_of_group(item: Item) -> tuple[bool, bool]:
    """Return what is greater for a group that others have replaced."""
    group = item.identifier.group_resource.group
    return group == "extensions", not group
