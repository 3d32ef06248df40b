"""Strip from an item what the old cluster wrote into it.

Pure; run on every item of the backup before anything else looks at it, and on live
objects before they are compared with one.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from kbackup._kits.kinds import is_of
from kbackup._kits.normalise import AUTOSCALER_STATUS, METADATA_NAME
from kbackup._kits.service_tokens import ACCOUNT_UID, TOKEN_NOTES, is_token
from kbackup.models import ResourceIdentifier, labels

_REMOVED = frozenset(
    {
        "generateName",
        "selfLink",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "ownerReferences",
        "managedFields",
    }
)
_PUT_BACK = _REMOVED - {"ownerReferences"}
_OLD_DELETIONS = frozenset({"foregroundDeletion", "orphan"})


def reset(content: dict[str, Any]) -> dict[str, Any]:
    """Remove in place what belongs to the old cluster; return *content*.

    Finalizers stay, but for those of a deletion that was under way: an object created
    with them could never be deleted in the ordinary way.
    """
    content.pop("status", None)
    metadata = content["metadata"]
    for field in _REMOVED:  # of every item: an intersection takes a third longer
        if field in metadata:
            del metadata[field]
    finalizers = metadata.get("finalizers")
    if finalizers is not None:
        kept = [x for x in finalizers if x not in _OLD_DELETIONS]
        if kept:
            metadata["finalizers"] = kept
        else:
            del metadata["finalizers"]
    if is_token(content):
        _reset_token(content)
        return content
    annotations = metadata.get("annotations")
    if annotations and is_of(content, ("autoscaling", "HorizontalPodAutoscaler")):
        _reset_autoscaler(annotations)
    return content


def drop_server_set(content: dict[str, Any]) -> None:
    """Remove in place what only a server sets, whoever has set it here.

    With a resourceVersion nothing can be created, and a uid is compared with another.
    Owners stay: whoever gives an item one has found it in the target.
    """
    metadata = content["metadata"]
    for field in metadata.keys() & _PUT_BACK:
        metadata.pop(field, None)


def reset_again(content: dict[str, Any], old_owners: Iterable[Any]) -> None:
    """Remove in place what an action has put back, having begun with the stored item.

    What has an owner of the old cluster is deleted by the new one at once. Owners that
    an action found in the target stay.
    """
    drop_server_set(content)
    metadata = content["metadata"]
    given = metadata.get("ownerReferences")
    if not isinstance(given, list):
        return
    old = [_uid_of(each) for each in old_owners]
    kept = [each for each in given if _uid_of(each) not in old]
    if kept:
        metadata["ownerReferences"] = kept
    else:
        del metadata["ownerReferences"]


def _uid_of(reference: Any) -> Any:
    return reference.get("uid") if isinstance(reference, Mapping) else None


def settle(content: dict[str, Any], target: ResourceIdentifier) -> None:
    """Give an item its place in the target, in place."""
    metadata = content["metadata"]
    metadata["name"] = target.name
    if target.namespace:
        metadata["namespace"] = target.namespace
        return
    metadata.pop("namespace", None)
    if is_of(content, ("", "Namespace")):
        given = metadata.get("labels")
        if given and METADATA_NAME in given:
            given[METADATA_NAME] = target.name


def label(content: dict[str, Any], marks: Mapping[str, str]) -> None:
    """Give an item, in place, the labels that say where it came from."""
    if not marks:
        return
    metadata = content["metadata"]
    given = metadata.get("labels")
    if given is None:
        metadata["labels"] = dict(marks)
    else:
        given.update(marks)


def is_labelled(content_labels: Mapping[str, str] | None, restore: str) -> bool:
    """Whether an object carries the label of this restore."""
    return bool(content_labels) and (
        (content_labels or {}).get(labels.RESTORE_NAME) == restore
    )


def _reset_autoscaler(annotations: dict[str, Any]) -> None:
    """In autoscaling/v1 part of the status stands in annotations; no server takes it."""
    for name in AUTOSCALER_STATUS:
        annotations.pop(name, None)


def _reset_token(secret: dict[str, Any]) -> None:
    """The target's token controller fills it anew, or deletes it with a foreign uid.

    With the note that it is invalid the new token would be refused, too.
    """
    given = secret["metadata"].get("labels")
    if given:
        for name in TOKEN_NOTES:
            given.pop(name, None)
    annotations = secret["metadata"].get("annotations")
    if annotations:
        annotations.pop(ACCOUNT_UID, None)
    data = secret.get("data")
    if data:
        for key in ("token", "ca.crt", "namespace"):
            data.pop(key, None)


def cleaned(live: dict[str, Any]) -> dict[str, Any]:
    """A live object as it is compared: reset like the desired one, in place.

    The status stays: a CRD's tells in which versions objects are stored.
    """
    status = live.get("status")
    reset(live)
    if status is not None:
        live["status"] = status
    return live
