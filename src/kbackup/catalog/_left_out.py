"""What a comparison leaves out: what the cluster makes and changes by itself.

Nobody put it there, so nobody misses it, and it is never as it was. Reads only; asked
about every object that is not the same on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from kbackup._kits.controlled import Owner, Role, ownership
from kbackup.catalog._system import (
    SYSTEM_NAMESPACES,
    SystemObjects,
    is_endpoints_of_selector,
)
from kbackup.models import GroupResource, ResourceIdentifier, well_known

Content = Mapping[str, Any]

_MADE = frozenset({Role.MADE, Role.NEVER, Role.ADOPTED})


class Surroundings(Protocol):
    """What lies around the objects of one side: on that side first, then on the other."""

    def find(self, ref: ResourceIdentifier) -> Content | None:
        """What there is of a name; None: nothing, or nothing that can be read."""
        ...

    def type_of(self, api_version: str, kind: str) -> tuple[GroupResource, bool] | None:
        """The type of a kind, and whether it lies in namespaces; None: nobody knows."""
        ...

    def has_twin(self, ref: ResourceIdentifier) -> bool:
        """Whether the same object is compared under a newer type, too."""
        ...


class LeftOut:
    """Tells what of one side is not compared; for one thread.

    Args:
        around: The side.
        named: Types that the user named one by one: they are compared.
    """

    def __init__(
        self, around: Surroundings, named: frozenset[GroupResource] = frozenset()
    ) -> None:
        self._around = around
        # What lives in kube-system is compared like anything else: a restore has no
        # business there, but somebody put it there. So are snapshots.
        self._system = SystemObjects(
            named_types=named,
            named_namespaces=frozenset(SYSTEM_NAMESPACES),
            snapshots=True,
        )
        self.covers_type = self._system.covers_type

    def covers(self, ref: ResourceIdentifier, content: Content) -> bool:
        """Whether an object is not compared.

        What a controller made counts where there is nothing, on neither side, that it
        could be made of.
        """
        if self.is_systems(ref, content) or self._around.has_twin(ref):
            return True
        return is_made(ref, content) and self._is_known(
            ownership(content).maker, ref.namespace
        )

    def is_systems(self, ref: ResourceIdentifier, content: Content) -> bool:
        """Whether an object belongs to the cluster itself."""
        if self._system.row_for(ref, content) is not None:
            return True
        if ref.group_resource != well_known.ENDPOINTS:
            return False
        service = ResourceIdentifier(well_known.SERVICES, ref.namespace, ref.name)
        return is_endpoints_of_selector(self._around.find(service))

    def _is_known(self, maker: Owner | None, namespace: str) -> bool:
        if maker is None:
            return False
        found = self._around.type_of(maker.api_version, maker.kind)
        if found is None:
            return False
        resource, namespaced = found
        where = namespace if namespaced else ""
        ref = ResourceIdentifier(resource, where, maker.name)
        return self._around.find(ref) is not None


def is_made(ref: ResourceIdentifier, content: Content) -> bool:
    """Whether a controller made an object; a claim it keeps holds somebody's data."""
    role = ownership(content).role
    is_claim = ref.group_resource == well_known.PERSISTENT_VOLUME_CLAIMS
    return role in _MADE and not (role is Role.ADOPTED and is_claim)
