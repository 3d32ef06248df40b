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
from kbackup.restore._plan.disks import LiveDisks, disk_of

Content = Mapping[str, Any]


class DiskWatch:
    """Reads the target's volumes once, before the first one with a disk is written."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._reading = threading.Lock()
        self._seen: tuple[Mapping[str, Content], LiveDisks] | None = None

    def in_use(self, resource: APIResource, name: str, volume: Content) -> str:
        """Why a volume is not created: another one has its disk; empty: none has.

        Args:
            resource: The type of volumes.
            name: Of the volume, which may live already.
            volume: As it would be written.
        """
        if disk_of(volume) is None:
            return ""
        return self._read(resource)[1].in_use(volume, name)

    def in_use_beside(self, resource: APIResource, name: str) -> str:
        """The same of a volume that lives; empty as well where it went."""
        live, disks = self._read(resource)
        return disks.in_use(live.get(name, {}), name)

    def _read(self, resource: APIResource) -> tuple[Mapping[str, Content], LiveDisks]:
        with self._reading:
            if self._seen is None:
                found = self._cluster.list(resource)
                live = {x.name: msgspec.json.decode(x.raw) for x in found}
                self._seen = live, LiveDisks(live)
            return self._seen
