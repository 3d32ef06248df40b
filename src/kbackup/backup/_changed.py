"""What is written of an item that its actions have changed: its name and its bytes. Pure.

As in Velero, an action decides on name and namespace too, and the type stays. What no
reader could find again, or nothing could be restored from, is refused here: a backup
that holds it would be damaged from its first day.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kbackup.errors import ActionError
from kbackup.models import ResourceIdentifier

_LONGEST_NAME = 253  # of a Kubernetes object
_NO_JSON = (TypeError, ValueError, RecursionError, msgspec.MsgspecError)


def is_as_given(item: Mapping[str, Any], body: bytes) -> bool:
    """Tell whether an item is still what *body* says: an action may have changed it in place."""
    try:
        return bool(msgspec.json.decode(body) == item)
    except RecursionError:  # so deep that no action can have gone through it
        return True


def changed_item(
    identifier: ResourceIdentifier, item: Mapping[str, Any], action: str
) -> tuple[ResourceIdentifier, bytes]:
    """Return under which name an item is stored, and its bytes.

    Args:
        identifier: The item as it was before.
        item: As its actions left it.
        action: The last of them that changed it.

    Raises:
        ActionError: It cannot be stored.
    """
    try:
        body = msgspec.json.encode(item)
    except _NO_JSON as exc:
        text = "what it returned is no JSON"
        raise ActionError(action, str(identifier), text) from exc
    metadata = item["metadata"]
    namespace, name = metadata.get("namespace", ""), metadata["name"]
    if (namespace, name) == (identifier.namespace, identifier.name):
        return identifier, body
    if fault := _fault(identifier, namespace, name):
        raise ActionError(action, str(identifier), fault)
    return ResourceIdentifier(identifier.group_resource, namespace, name), body


def _fault(identifier: ResourceIdentifier, namespace: str, name: str) -> str:
    """Say why an item cannot have another name or place; empty: it can."""
    if bool(namespace) != bool(identifier.namespace):
        return "it added or removed the namespace, and the type's scope stays"
    for text in (namespace, name):
        if len(text) > _LONGEST_NAME or not text.isprintable():
            return "the name that it gave is none of a Kubernetes object"
    return ""
