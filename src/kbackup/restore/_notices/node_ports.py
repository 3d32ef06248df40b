"""The node ports that a restore asks for, and whether other Services have them.

A Service whose user chose its node ports keeps them, and a cluster has each only once:
a copy beside its original is refused. The notices show every item that would be written,
the planner asks at the end, and only where ports are asked for.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from kbackup.errors import ClusterError
from kbackup.models import ResourceIdentifier, well_known
from kbackup.restore._plan_entry import PlanEntry
from kbackup.restore._target.reads import MemoReader, bears_on_everything

Content = Mapping[str, Any]


class NodePorts:
    """Collects, while a plan is made, which Services ask for which ports."""

    def __init__(self) -> None:
        self._asked: dict[ResourceIdentifier, frozenset[int]] = {}

    def see(self, entry: PlanEntry, content: Content) -> None:
        """Look at an item that would be written; *content* as it would be."""
        is_service = entry.target.group_resource == well_known.SERVICES
        if not is_service or not entry.action.makes:
            return
        if ports := _ports_of(content):
            self._asked[entry.target] = ports

    def taken(self, reader: MemoReader) -> Iterator[ResourceIdentifier]:
        """Name the items of which another Service has a port.

        Args:
            reader: Of the target; what it may not read is not known to be taken.
        """
        if not self._asked:
            return
        try:
            services = list(reader.list(well_known.SERVICES))
        except ClusterError as exc:
            if bears_on_everything(exc):
                raise
            return
        owners = {port: _place(live) for live in services for port in _held_by(live)}
        for target, ports in self._asked.items():
            place = (target.namespace, target.name)
            if any(owners.get(port, place) != place for port in ports):
                yield target


def _held_by(live: Content) -> frozenset[int]:
    """The ports of a live Service; one that is going gives them back."""
    going = live["metadata"].get("deletionTimestamp")
    return frozenset() if going else _ports_of(live)


def _ports_of(service: Content) -> frozenset[int]:
    spec = service.get("spec") or {}
    asked = [port.get("nodePort") for port in spec.get("ports") or ()]
    asked.append(spec.get("healthCheckNodePort"))
    return frozenset(port for port in asked if isinstance(port, int) and port)


def _place(service: Content) -> tuple[str, str]:
    metadata = service["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
