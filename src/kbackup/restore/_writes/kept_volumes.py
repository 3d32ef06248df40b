"""A claim that keeps its old volume is written once that volume waits for it.

Between the plan and the write somebody else may take the volume, or delete it, and its own
write may fail. A claim that named it all the same would wait for ever, and look restored.
Asked by the writer's threads.
"""

from collections.abc import Iterable, Mapping

import msgspec

from kbackup._kits.nested import mapping_at
from kbackup.cluster import Cluster
from kbackup.models import ResourceIdentifier, well_known
from kbackup.restore._attempt import FAILED, Attempt
from kbackup.restore._plan.claims import ClaimLine
from kbackup.restore._plan_entry import PlanEntry
from kbackup.restore._target.seen import find
from kbackup.restore._volumes.rebinding import is_offered

_VOLUMES = well_known.PERSISTENT_VOLUMES


class KeptVolumes:
    """The volumes that claims of one restore keep.

    Args:
        cluster: The target.
        lines: What the plan says of its claims.
        entries: Of the plan.
    """

    def __init__(
        self,
        cluster: Cluster,
        lines: Iterable[ClaimLine],
        entries: Iterable[PlanEntry],
    ) -> None:
        self._cluster = cluster
        self._lines: Mapping[ResourceIdentifier, ClaimLine] = {
            line.claim: line for line in lines if line.keeps_volume
        }
        self._coming = {
            entry.target.name
            for entry in entries
            if entry.target.group_resource == _VOLUMES and entry.action.writes
        }

    def note(self, entry: PlanEntry, attempt: Attempt) -> None:
        """Take note of what became of an entry: a volume's may be waited for."""
        if attempt.is_over and entry.target.group_resource == _VOLUMES:
            self._coming.discard(entry.target.name)

    def before(self, entry: PlanEntry) -> Attempt | None:
        """What comes of a claim whose volume is not there for it; None: it is written.

        Raises:
            ClusterError: The volume cannot be read.
        """
        line = self._lines.get(entry.identifier)
        if line is None:
            return None
        if line.volume in self._coming:
            return Attempt(reason=f"its volume {line.volume} is not there for it yet")
        lacking = self._lacking(line)
        return Attempt(action=FAILED, reason=lacking) if lacking else None

    def _lacking(self, line: ClaimLine) -> str:
        """Why a volume is not there for its claim; empty: it is."""
        resource = self._cluster.discover().get(_VOLUMES)
        found = find(self._cluster, resource, line.volume, "") if resource else None
        if found is None:
            return f"its volume {line.volume} is not there"
        volume = msgspec.json.decode(found.json())
        reference = mapping_at(volume, "spec", "claimRef")
        if not reference or is_offered(volume, line.target):
            return ""
        holder = f"{reference.get('namespace')}/{reference.get('name')}"
        if holder == line.target.qualified_name:
            return f"its volume {line.volume} was not offered to it again"
        return f"its volume {line.volume} is that of claim {holder}"
