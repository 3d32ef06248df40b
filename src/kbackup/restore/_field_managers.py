"""Managers of fields, as the backup names them: whether and how an object gets them back.

What kbackup creates has kbackup as its only manager, until a second write. Pure: the
planner asks whether there is to be one, and, of an object that an earlier run of the
restore created, whether there was.
"""

from collections.abc import Mapping
from typing import Any, Literal

from kbackup.models import Item

_Field = Mapping[str, Any]

_CREATOR = ("kbackup", "Update")


def wants_managers(
    content: Mapping[str, Any], wish: Literal["auto", "restore", "drop"]
) -> bool:
    """Whether an item's managers are to have their fields back.

    Args:
        content: Of the backup.
        wish: ``RestoreOptions.managed_fields``.
    """
    fields = content["metadata"].get("managedFields")
    if not fields or wish == "drop":
        return False
    if wish == "restore":
        return True
    for field in fields:  # noqa: SIM110 - any() takes twice as long for most items
        if field.get("operation") == "Apply":
            return True
    return False


def lacks_managers(item: Item, live: Mapping[str, Any]) -> bool:
    """Whether a live object is as it was created, before its managers had anything.

    Where kbackup manages nothing from its creation on there was a second write; what
    the server made of it is not asked for again.

    Args:
        item: Of the backup.
        live: As the target has it, before it is reset.
    """
    fields = _fields(live)
    if not any(_is_from_creation(field, live) for field in fields):
        return False
    managers = {_manager(field) for field in fields}
    return any(_manager(field) not in managers for field in _fields(item.content))


def ownership_patch(item: Item, live: Mapping[str, Any]) -> dict[str, Any]:
    """A merge patch by which the managers of the backup manage their fields again.

    Whoever manages something of the live object by now goes on to; what kbackup has
    from the creation is given away.

    Args:
        item: Of the backup.
        live: The object that was made of it, before it is reset.
    """
    metadata = live["metadata"]
    kept = [
        field
        for field in metadata.get("managedFields") or ()
        if not _is_from_creation(field, live)
    ]
    managers = {_manager(field) for field in kept if not field.get("subresource")}
    given = [x for x in _fields(item.content) if _manager(x) not in managers]
    return {"metadata": {"uid": metadata["uid"], "managedFields": [*given, *kept]}}


def _fields(content: Mapping[str, Any]) -> list[_Field]:
    """Who manages what of an object itself, not of its status or scale."""
    fields = content["metadata"].get("managedFields") or ()
    return [field for field in fields if not field.get("subresource")]


def _manager(field: _Field) -> tuple[Any, Any]:
    return field.get("manager"), field.get("operation")


def _is_from_creation(field: _Field, live: Mapping[str, Any]) -> bool:
    """Whether kbackup has it since it created the object: an update is later."""
    if field.get("subresource") or _manager(field) != _CREATOR:
        return False
    created = str(live["metadata"].get("creationTimestamp") or "")
    return str(field.get("time") or "") <= created  # both in UTC, to the second
