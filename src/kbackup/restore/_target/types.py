"""How the target serves the types that are written, also those that a CRD just brought.

Shared by the writer's threads; refreshed when CRDs were written.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kbackup.archive import misfiled
from kbackup.cluster import Cluster, Discovery
from kbackup.errors import (
    ArchiveCorruptError,
    ClusterError,
    ForbiddenError,
    ItemNotFoundError,
)
from kbackup.models import APIResource
from kbackup.plugins import Run, WaitingFor
from kbackup.restore._plan_entry import PlanEntry

_PAUSE_SECONDS = 0.2
_WANTED = frozenset({"Established", "NamesAccepted"})


class ServedTypes:
    """The endpoint to which each entry is written."""

    def __init__(self, cluster: Cluster, discovery: Discovery, run: Run) -> None:
        self._cluster = cluster
        self._discovery = discovery
        self._run = run
        self._known: dict[tuple[str, str], APIResource] = {}
        self._refreshing = threading.Lock()
        self._refreshed = 0.0

    def find(self, entry: PlanEntry) -> APIResource | None:
        """The endpoint in the entry's version; None: it is not served now.

        Raises:
            ArchiveCorruptError: The entry's item is not of the type it is filed under.
        """
        found = self.by_kind(entry.api_version, entry.kind)
        stored = entry.identifier.group_resource
        if found is None:
            return None
        head = (entry.api_version, entry.kind)
        if reason := misfiled(stored, found.group_resource, head):
            raise ArchiveCorruptError(reason, entry=str(entry.identifier))
        return found

    def by_kind(self, api_version: str, kind: str) -> APIResource | None:
        """The endpoint of a type in one version; None: it is not served now."""
        key = (api_version, kind)
        known = self._known.get(key)
        if known is None:
            known = self._discovery.by_kind(*key) or self._look_again(key)
            if known is not None:
                self._known[key] = known
        return known

    def takes(self, entry: PlanEntry) -> bool:
        """Whether an entry's type takes new objects, as far as is known: nobody is asked.

        Also where this restore could not write its CRD: the target may have had one.
        """
        found = self._discovery.by_kind(entry.api_version, entry.kind)
        return found is not None and takes_new(found)

    def await_established(
        self, entries: Sequence[PlanEntry], deadline: float
    ) -> Iterator[tuple[PlanEntry, str]]:
        """Wait for the types of CRDs that were written; yield those that do not come.

        Each comes with why. Those whose CRD may not be read are not waited for: as soon
        as they are served, what is tried again finds them.
        """
        for entry in entries:
            reason = self._await_one(entry, deadline)
            if reason:
                yield entry, reason
        with self._refreshing:
            self._refresh()

    def _await_one(self, entry: PlanEntry, deadline: float) -> str:
        resource = self.by_kind(entry.api_version, entry.kind)
        reason = "CRDs are not served"
        while resource is not None:
            try:
                live = self._cluster.get(resource, entry.target.name).content
            except ItemNotFoundError:
                return ""  # its own write failed and said so
            except ForbiddenError:
                return ""
            except ClusterError as exc:
                reason = str(exc)
            else:
                missing = _missing(live)
                if not missing:
                    return ""
                reason = f"the CRD is not {' and '.join(missing)}"
            left = deadline - self._run.clock.monotonic()
            if left <= 0:
                break
            what = f"{entry.target} to be established"
            self._run.emit(WaitingFor(what=what, seconds_left=left))
            self._run.cancel.wait(_PAUSE_SECONDS)
        return reason

    def _look_again(self, key: tuple[str, str]) -> APIResource | None:
        """Discovery may be older than the type; asked for at most once a second."""
        with self._refreshing:
            if self._run.clock.monotonic() - self._refreshed > 1:
                self._refresh()
        return self._discovery.by_kind(*key)

    def _refresh(self) -> None:
        self._discovery = self._cluster.discover(refresh=True)
        self._refreshed = self._run.clock.monotonic()


def takes_new(resource: APIResource) -> bool:
    """Whether objects can be created: a CRD that is going lets nobody create any."""
    return "create" in resource.verbs


def _missing(crd: Mapping[str, Any]) -> list[str]:
    conditions: Iterable[Mapping[str, Any]] = (crd.get("status") or {}).get(
        "conditions"
    ) or ()
    true = {x.get("type") for x in conditions if x.get("status") == "True"}
    return sorted(_WANTED - true)
