"""Keep a claim, its volume, the Pods that write to it and its group in one block."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from kbackup._kits.nested import mapping_at, text_at
from kbackup.actions._references import claims_of_pod, volume_of_claim
from kbackup.errors import ClusterError, ForbiddenError
from kbackup.models import ResourceIdentifier, ResourceSelector, well_known
from kbackup.plugins import BackupInput, Run

_Related = tuple[ResourceIdentifier, ...]
_Read = Callable[[BackupInput], Mapping[str, _Related]]


class PVCBlockAction:
    """Relate what shares the data of a bound claim (``velero.io/pvc``).

    These are its volume, the running Pods of its namespace that mount it, and the claims
    that carry the same value of the backup's label of volume groups. The Pods of a
    namespace, and the claims of a group, are listed once a run; where that fails it is
    told once, and the block goes without them.
    """

    name = "velero.io/pvc"
    applies_to = ResourceSelector(included_resources=("persistentvolumeclaims",))

    def __init__(self) -> None:
        self._opening = threading.Lock()
        self._runs: WeakKeyDictionary[Run, _ListsOfRun] = WeakKeyDictionary()

    def related_items(self, given: BackupInput) -> _Related:
        """Name volume, Pods and group; of a claim that is not bound nothing."""
        volume = volume_of_claim(given.item)
        if not volume:
            return ()
        lists = self._of_run(given.run)
        pods = lists.read("Pods", given, _pods_by_claim)
        return volume + pods.get(given.identifier.name, ()) + _group(given, lists)

    def _of_run(self, run: Run | None) -> _ListsOfRun:
        if run is None:
            return _ListsOfRun()
        with self._opening:
            return self._runs.setdefault(run, _ListsOfRun())


class _ListsOfRun:
    """What was listed in one run, by what and namespace."""

    def __init__(self) -> None:
        self._reading = threading.Lock()
        self._known: dict[tuple[str, str], Mapping[str, _Related]] = {}

    def read(
        self, what: str, given: BackupInput, read: _Read
    ) -> Mapping[str, _Related]:
        """Return what *read* makes of a namespace; empty where it may not be listed."""
        key = (what, given.identifier.namespace)
        failure = None
        with self._reading:
            if key not in self._known:
                self._known[key] = {}
                try:
                    self._known[key] = read(given)
                except ClusterError as exc:
                    failure = exc
            found = self._known[key]
        if failure is not None:  # told outside the lock: observers hear it
            _tell(what, given, failure)
        return found


def _tell(what: str, given: BackupInput, failure: ClusterError) -> None:
    if given.run is None:
        raise failure
    run, forbidden = given.run, isinstance(failure, ForbiddenError)
    (run.warning if forbidden else run.error)(
        f"claims are backed up without the {what} that share their data: {failure}",
        namespace=given.identifier.namespace,
        plugin=PVCBlockAction.name,
        cause=failure,
    )


def _pods_by_claim(given: BackupInput) -> Mapping[str, _Related]:
    """Return the running Pods of the claim's namespace by the claims they mount."""
    namespace = given.identifier.namespace
    mounting: dict[str, list[ResourceIdentifier]] = defaultdict(list)
    for pod in given.cluster.list(well_known.PODS, namespace=namespace):
        if not _is_running(pod):
            continue
        name = text_at(pod, "metadata", "name")
        identifier = ResourceIdentifier(well_known.PODS, namespace, name)
        for claim in claims_of_pod(pod, namespace):
            mounting[claim.name].append(identifier)
    return {claim: tuple(pods) for claim, pods in mounting.items()}


def _is_running(pod: Mapping[str, Any]) -> bool:
    """Whether a Pod is running stably, as Velero has it."""
    on_a_node = bool(text_at(pod, "spec", "nodeName"))
    leaving = "deletionTimestamp" in mapping_at(pod, "metadata")
    return on_a_node and not leaving and text_at(pod, "status", "phase") == "Running"


def _group(given: BackupInput, lists: _ListsOfRun) -> _Related:
    """Return the other claims of the same volume group, if there is one."""
    key = given.backup.spec.volume_group_snapshot_label_key
    group = text_at(mapping_at(given.item, "metadata", "labels"), key) if key else ""
    if not group:
        return ()

    def read(given: BackupInput) -> Mapping[str, _Related]:
        return {"": tuple(_claims_labelled(given, f"{key}={group}"))}

    listed = lists.read(f"claims of group {group}", given, read).get("", ())
    return tuple(claim for claim in listed if claim != given.identifier)


def _claims_labelled(given: BackupInput, query: str) -> Iterator[ResourceIdentifier]:
    namespace, claims = given.identifier.namespace, well_known.PERSISTENT_VOLUME_CLAIMS
    found = given.cluster.list(claims, namespace=namespace, label_selector=query)
    for claim in found:
        yield ResourceIdentifier(claims, namespace, text_at(claim, "metadata", "name"))
