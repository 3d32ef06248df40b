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
_STATUS, _IN_STATUS = "status", "f:status"


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


def names_status(field: _Field) -> bool:
    """Whether a manager manages something of the status: it has written it.

    Before 1.22 servers note that among the other fields, in one entry with them.
    """
    return field.get("subresource") == _STATUS or _IN_STATUS in _tree(field)


def ownership_patch(item: Item, live: Mapping[str, Any]) -> dict[str, Any]:
    """A merge patch by which the managers of the backup manage their fields again.

    Whoever manages something of the live object by now goes on to; what kbackup has
    from making it is given away, the status as well where the backup names a manager of
    it. Where it does not, kbackup stays that of the status that it has written.

    Args:
        item: Of the backup.
        live: The object that was made of it, before it is reset.
    """
    metadata = live["metadata"]
    fields = metadata.get("managedFields") or ()
    ours = [field for field in fields if _is_from_making(field, live)]
    kept = [field for field in fields if not _is_from_making(field, live)]
    # A server that does not know them would take the two of one manager for the same.
    parts = {field.get("subresource", "") for field in ours} | {""}
    there = {_manager(field) for field in kept}
    given = [
        field
        for field in item.content["metadata"].get("managedFields") or ()
        if field.get("subresource", "") in parts and _manager(field) not in there
    ]
    if not any(map(names_status, given)):
        kept += [_only_status(field) for field in ours if names_status(field)]
    return {"metadata": {"uid": metadata["uid"], "managedFields": [*given, *kept]}}


def _fields(content: Mapping[str, Any]) -> list[_Field]:
    """Who manages what of an object itself, not of its status or scale."""
    fields = content["metadata"].get("managedFields") or ()
    return [field for field in fields if not field.get("subresource")]


def _manager(field: _Field) -> tuple[Any, Any, Any]:
    return field.get("manager"), field.get("operation"), field.get("subresource", "")


def _tree(field: _Field) -> Mapping[str, Any]:
    return field.get("fieldsV1") or {}


def _only_status(field: _Field) -> _Field:
    """The entry of a manager without what is not of the status."""
    if field.get("subresource"):
        return field
    return {**field, "fieldsV1": {_IN_STATUS: _tree(field)[_IN_STATUS]}}


def _is_from_making(field: _Field, live: Mapping[str, Any]) -> bool:
    """Whether kbackup has it since it created the object, or wrote its status then."""
    wrote_status = _manager(field) == (*_CREATOR, _STATUS)
    return wrote_status or _is_from_creation(field, live)


def _is_from_creation(field: _Field, live: Mapping[str, Any]) -> bool:
    """Whether kbackup has it since it created the object: an update is later.

    So is the status, which it writes of nothing but what it has just created.
    """
    if _manager(field) != (*_CREATOR, ""):
        return False
    created = str(live["metadata"].get("creationTimestamp") or "")
    # Both in UTC, to the second.
    return str(field.get("time") or "") <= created or names_status(field)
