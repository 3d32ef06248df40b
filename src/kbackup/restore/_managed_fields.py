"""Who owns the fields of a restored object by server-side apply. Pure."""

from typing import Any

from kbackup.models import Item


def ownership_patch(item: Item | None, uid: str) -> dict[str, Any] | None:
    """The second write: the managers of the backup own their fields again.

    Args:
        item: Of the backup.
        uid: Of the object that was made of it.

    Returns:
        A merge patch; None where nobody owned anything.
    """
    fields = item.content["metadata"].get("managedFields") if item else None
    if not fields:
        return None
    of_object = [x for x in fields if not x.get("subresource")]
    return {"metadata": {"uid": uid, "managedFields": of_object}}
