"""Which CustomResourceDefinitions belong to what was stored, and what they bring. Pure.

Custom resources without their definition cannot be restored anywhere, so it is added
whenever nothing but a missing include stands against it. (Velero 1.18 counts a missing
include as an exclude there, and stores custom resources without their definition.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kbackup._kits.crds import served_versions
from kbackup._kits.kinds import is_built_in
from kbackup.models import APIResource, GroupResource, ResourceIdentifier, well_known


def definitions_of(
    stored: Iterable[GroupResource],
) -> tuple[ResourceIdentifier, ...]:
    """Return the definitions that the stored types may have, by name."""
    return tuple(
        ResourceIdentifier(well_known.CRDS, "", str(group_resource))
        for group_resource in sorted(set(stored), key=str)
        if not is_built_in(group_resource.group)
    )


def served_type(definition: Mapping[str, Any]) -> APIResource | None:
    """Return the type that a definition brings; None: the server does not serve it."""
    spec, status = definition.get("spec") or {}, definition.get("status") or {}
    conditions = {
        each.get("type"): each.get("status") for each in status.get("conditions") or ()
    }
    versions = served_versions(definition)
    if conditions.get("Established") != "True" or not versions:
        return None
    return APIResource(
        group=spec["group"],
        version=versions[0],
        resource=spec["names"]["plural"],
        kind=spec["names"]["kind"],
        namespaced=spec["scope"] == "Namespaced",
    )
