"""Whose status a restore brings back, and whether an object has it by now. Pure.

A status is what controllers have written about an object. It comes back only where that
is asked for: by type with the restore, by object with an annotation, which wins.
"""

from collections.abc import Mapping
from typing import Any

import attrs

from kbackup.models import GroupResource, RestoreSpec, labels, well_known
from kbackup.restore._request.filters import TypeNames, types_of
from kbackup.restore._target.field_managers import names_status

Content = Mapping[str, Any]

KEPT_BY_SERVER = frozenset({well_known.NAMESPACES, well_known.CRDS})
"""Types whose status is never restored: with it an API server decides what it serves.

Whether a namespace takes objects or is on its way out, under which names a definition
is served, in which versions this very cluster has stored its objects.
"""

_WISHES = {"true": True, "false": False}


@attrs.frozen(kw_only=True)
class StatusRules:
    """Whose status a restore was asked for.

    Attributes:
        asked: It was asked for that of types at all.
        included: These types; None for all.
        excluded: Not these, whatever is included.
    """

    asked: bool = False
    included: frozenset[GroupResource] | None = None
    excluded: frozenset[GroupResource] = frozenset()

    def wants(self, resource: GroupResource, content: Content) -> bool:
        """Whether an item gets its status back.

        Args:
            resource: Its type in the backup.
            content: As it is written: an action or a transform may set the annotation.
        """
        if resource in KEPT_BY_SERVER:
            return False
        wish = _WISHES.get(_annotation(content))
        if wish is not None:
            return wish
        if not self.asked or resource in self.excluded:
            return False
        return self.included is None or resource in self.included


def make_status_rules(spec: RestoreSpec, names: TypeNames) -> StatusRules:
    """Resolve what *spec* says of statuses for one restore."""
    asked = spec.restore_status
    if asked is None:
        return StatusRules()
    return StatusRules(
        asked=True,
        included=types_of(asked.included_resources, names),
        excluded=types_of(asked.excluded_resources, names) or frozenset(),
    )


def has_odd_wish(content: Content) -> bool:
    """Whether an object's annotation says neither yes nor no; then it says nothing.

    Source: Velero ``pkg/restore/restore.go``, ``determineRestoreStatus``.
    """
    wish = _annotation(content)
    return bool(wish) and wish not in _WISHES


def _annotation(content: Content) -> str:
    given = (content["metadata"].get("annotations") or {}).get(labels.RESTORE_STATUS)
    return "" if given is None else str(given).strip().lower()


def lacks_status(status: Any, live: Content) -> bool:
    """Whether nobody has written the status of an object since it was created.

    A server notes who wrote it: by the sub-resource from 1.22 on, among the fields
    before. One that notes nothing leaves only an object without any status to be sure of.

    Args:
        status: That it is to have.
        live: As the target has it, before it is reset.
    """
    fields = live["metadata"].get("managedFields")
    there = live.get("status")
    if not fields:
        return not there
    return not any(map(names_status, fields)) and there != status


def status_patch(
    status: Any, live: Content, *, unmoved: bool = False
) -> list[dict[str, Any]]:
    """A JSON patch after which an object has just this status.

    A merge patch would leave what a controller wrote meanwhile among it. What the patch
    tests holds for the very object that was meant: its UID, which the API server does not
    compare where a sub-resource of a custom resource is written.

    Args:
        status: That it is to have.
        live: The object.
        unmoved: Only as long as nobody has written the object since.
    """
    metadata = live["metadata"]
    patch = [{"op": "test", "path": "/metadata/uid", "value": metadata["uid"]}]
    if unmoved:
        version = metadata["resourceVersion"]
        path = "/metadata/resourceVersion"
        patch.append({"op": "add", "path": path, "value": version})
    return [*patch, {"op": "add", "path": "/status", "value": status}]
