"""Restore Pods free of what the source cluster put into them."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from kbackup._kits.edit import JSONObject, each_changed, with_list, without
from kbackup._kits.nested import mapping_at, objects_at, text_at
from kbackup._kits.normalise import TOPOLOGY_LABELS
from kbackup.actions._references import priority_class_of_pod
from kbackup.models import ResourceSelector
from kbackup.plugins import RestoreInput, RestoreOutput

# The node and the number of the priority are the target's to choose. Debug containers
# cannot be part of a Pod that is created: the API server refuses it.
_OF_THE_SOURCE = ("nodeName", "priority", "ephemeralContainers")

_LOOKED_AT = frozenset({*_OF_THE_SOURCE, "volumes", "priorityClassName"})
_CONTAINERS = ("containers", "initContainers")


class PodAction:
    """Let the target schedule the Pod and give it a token (``velero.io/pod``)."""

    name = "velero.io/pod"
    applies_to = ResourceSelector(included_resources=("pods",))

    def concerns(self, item: JSONObject) -> bool:
        """Tell whether `execute` may do anything."""
        labels = mapping_at(item, "metadata", "labels")
        zoned = not labels.keys().isdisjoint(TOPOLOGY_LABELS)
        return zoned or not mapping_at(item, "spec").keys().isdisjoint(_LOOKED_AT)

    def execute(self, given: RestoreInput) -> RestoreOutput:
        """Drop node, zone, priority and token volumes; ask for the PriorityClass."""
        item = without(given.item, ("spec",), _OF_THE_SOURCE)
        item = without(item, ("metadata", "labels"), TOPOLOGY_LABELS)
        return RestoreOutput(
            item=_without_volumes(item, _token_volumes(item)),
            additional_items=priority_class_of_pod(item),
        )


def _token_volumes(pod: JSONObject) -> frozenset[str]:
    """Return the names of the volumes that the source mounted for its token.

    Until Kubernetes 1.21 each Pod got a volume named as its account's token Secret. A
    volume of such a name that is not that Secret is the user's own.
    """
    prefix = f"{text_at(pod, 'spec', 'serviceAccountName') or 'default'}-token-"
    return frozenset(
        text_at(volume, "name")
        for volume in objects_at(pod, "spec", "volumes")
        if text_at(volume, "name").startswith(prefix)
        and text_at(volume, "secret", "secretName").startswith(prefix)
    )


def _without_volumes(pod: JSONObject, names: AbstractSet[str]) -> JSONObject:
    if not names:
        return pod
    kept = [v for v in objects_at(pod, "spec", "volumes") if v.get("name") not in names]
    pod = with_list(pod, ("spec", "volumes"), kept)
    for containers in _CONTAINERS:
        pod = each_changed(
            pod, ("spec", containers), lambda c: _without_mounts(c, names)
        )
    return pod


def _without_mounts(container: JSONObject, names: AbstractSet[str]) -> JSONObject:
    mounts = objects_at(container, "volumeMounts")
    kept = [mount for mount in mounts if mount.get("name") not in names]
    if len(kept) == len(mounts):
        return container
    return with_list(container, ("volumeMounts",), kept)
