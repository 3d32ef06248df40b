"""Which CustomResourceDefinitions belong to what was stored. Pure.

Custom resources without their definition cannot be restored anywhere, so it is added
whenever nothing but a missing include stands against it. (Velero 1.18 counts a missing
include as an exclude there, and stores custom resources without their definition.)
"""

from __future__ import annotations

from collections.abc import Iterable

from kbackup._kits.kinds import is_built_in
from kbackup.models import GroupResource, ResourceIdentifier, well_known


def definitions_of(
    stored: Iterable[GroupResource],
) -> tuple[ResourceIdentifier, ...]:
    """Return the definitions that the stored types may have, by name."""
    return tuple(
        ResourceIdentifier(well_known.CRDS, "", str(group_resource))
        for group_resource in sorted(set(stored), key=str)
        if not is_built_in(group_resource.group)
    )
