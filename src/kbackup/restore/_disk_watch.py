"""Whether a disk got another volume between the plan and its writes.

A plan that was saved may be days old. Asked by the writer's threads before a volume is
created or bound again.
"""

import threading
from collections.abc import Mapping
from typing import Any

import msgspec

from kbackup.cluster import Cluster
from kbackup.models import APIResource
from kbackup.restore._disks import disk_in_use, disk_of

Content = Mapping[str, Any]


class DiskWatch:
    """Reads the target's volumes once, before the first one with a disk is written."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._reading = threading.Lock()
        self._volumes: Mapping[str, Content] | None = None

    def in_use(self, resource: APIResource, name: str, volume: Content) -> str:
        """Why a volume is not created: another one has its disk; empty: none has.

        Args:
            resource: The type of volumes.
            name: Of the volume, which may live already.
            volume: As it would be written.
        """
        if disk_of(volume) is None:
            return ""
        return disk_in_use(volume, name, self._live(resource))

    def in_use_beside(self, resource: APIResource, name: str) -> str:
        """The same of a volume that lives; empty as well where it went."""
        live = self._live(resource)
        return disk_in_use(live.get(name, {}), name, live)

    def _live(self, resource: APIResource) -> Mapping[str, Content]:
        with self._reading:
            if self._volumes is None:
                found = self._cluster.list(resource)
                self._volumes = {x.name: msgspec.json.decode(x.raw) for x in found}
            return self._volumes
