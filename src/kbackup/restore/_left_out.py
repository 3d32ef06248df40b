"""What a comparison leaves out: what the cluster makes and changes by itself.

Nobody put it there, so nobody misses it, and it is never as it was. Reads only; asked
about every item of the backup, and about every object that only the cluster has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kbackup.archive import TWINS, ArchiveContents
from kbackup.cluster import Discovery
from kbackup.errors import ClusterError
from kbackup.models import ResourceIdentifier, labels, well_known
from kbackup.plugins import ClusterReader
from kbackup.restore._controlled import Owner, Ownership, Role, ownership
from kbackup.restore._serving import has_served_twin
from kbackup.restore._system import (
    SYSTEM_NAMESPACES,
    SystemObjects,
    is_endpoints_of_selector,
)

Content = Mapping[str, Any]

_OF_EVERY_CLUSTER = frozenset({"default", *SYSTEM_NAMESPACES})
_MADE = frozenset({Role.MADE, Role.NEVER, Role.ADOPTED})


class LeftOut:
    """Tells what of one backup and one cluster is not compared; for one thread."""

    def __init__(
        self, contents: ArchiveContents, discovery: Discovery, reader: ClusterReader
    ) -> None:
        self._contents = contents
        self._discovery = discovery
        self._reader = reader
        # What lives in kube-system is compared like anything else: a restore has no
        # business there, but somebody put it there. So are snapshots.
        self._system = SystemObjects(
            named_namespaces=frozenset(SYSTEM_NAMESPACES), snapshots=True
        )
        self.covers_type = self._system.covers_type

    def in_backup(self, ref: ResourceIdentifier, content: Content) -> bool:
        """Whether an item of the backup is not compared.

        What a controller made counts where there is nothing, neither in the backup nor
        in the cluster, that it could be made of.
        """
        if self._is_systems(ref, content):
            return True
        if has_served_twin(ref, self._contents, self._discovery):
            return True
        owned = ownership(content)
        return _is_made(ref, owned) and self._is_known(owned.maker, ref.namespace)

    def in_cluster(self, ref: ResourceIdentifier, content: Content) -> bool:
        """Whether an object that only the cluster has is not new.

        What it was made of lives, too, or it would soon be gone.
        """
        if (
            ref.group_resource == well_known.NAMESPACES
            and ref.name in _OF_EVERY_CLUSTER
        ):
            return True
        if ref.namespace and self._is_kept_out(ref.namespace):
            return True
        newer = TWINS.get(ref.group_resource)
        if newer is not None and self._discovery.get(newer) is not None:
            return True
        return self._is_systems(ref, content) or _is_made(ref, ownership(content))

    def _is_systems(self, ref: ResourceIdentifier, content: Content) -> bool:
        if self._system.row_for(ref, content) is not None:
            return True
        if ref.group_resource != well_known.ENDPOINTS:
            return False
        service = ResourceIdentifier(well_known.SERVICES, ref.namespace, ref.name)
        return is_endpoints_of_selector(self._find(service))

    def _is_kept_out(self, namespace: str) -> bool:
        """Whether a label keeps a namespace, with all that is in it, out of backups."""
        found = (
            self._find(ResourceIdentifier(well_known.NAMESPACES, "", namespace)) or {}
        )
        given = (found.get("metadata") or {}).get("labels") or {}
        return labels.is_excluded(given)

    def _is_known(self, maker: Owner | None, namespace: str) -> bool:
        if maker is None:
            return False
        resource = self._discovery.by_kind(maker.api_version, maker.kind)
        if resource is None:
            return False
        where = namespace if resource.namespaced else ""
        ref = ResourceIdentifier(resource.group_resource, where, maker.name)
        return ref in self._contents or self._find(ref) is not None

    def _find(self, ref: ResourceIdentifier) -> Content | None:
        """What the backup has of that name, or else the cluster."""
        stored = self._contents.get(ref)
        if stored is not None:
            return stored.content
        try:
            return self._reader.get(ref)
        except ClusterError:  # not readable: then nothing speaks against comparing
            return None


def _is_made(ref: ResourceIdentifier, owned: Ownership) -> bool:
    """Whether a controller made an object; a claim it keeps holds somebody's data."""
    if (
        owned.role is Role.ADOPTED
        and ref.group_resource == well_known.PERSISTENT_VOLUME_CLAIMS
    ):
        return False
    return owned.role in _MADE
