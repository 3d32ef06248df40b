"""The classes that a restore marks as the default, and the defaults of the target.

Whoever names no class gets the default, in every namespace; of two the API server takes
the newer one, and a snapshot controller neither. The notices show every item that would
be written, the planner asks at the end, and only where a default comes along.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from kbackup._kits.nested import mapping_at
from kbackup.errors import ClusterError
from kbackup.models import GroupResource, ResourceIdentifier, well_known
from kbackup.restore._plan_entry import PlanEntry
from kbackup.restore._target.reads import MemoReader, bears_on_everything

Content = Mapping[str, Any]

_SNAPSHOT_CLASSES = GroupResource.parse("volumesnapshotclasses.snapshot.storage.k8s.io")
_MARKS: Mapping[GroupResource, tuple[str, ...]] = {
    well_known.STORAGE_CLASSES: (
        "storageclass.kubernetes.io/is-default-class",
        "storageclass.beta.kubernetes.io/is-default-class",
    ),
    well_known.INGRESS_CLASSES: ("ingressclass.kubernetes.io/is-default-class",),
    _SNAPSHOT_CLASSES: ("snapshot.storage.kubernetes.io/is-default-class",),
}
"""By type: the annotations that make a class the default."""
CLASSES = frozenset(_MARKS)
"""The types of classes of which one may be the default."""


class DefaultClasses:
    """Collects, while a plan is made, which classes become a default."""

    def __init__(self) -> None:
        self._coming: dict[ResourceIdentifier, str] = {}  # to what it is a default of

    def see(self, entry: PlanEntry, content: Content, live: Content) -> None:
        """Look at an item that would be written.

        Args:
            entry: The line of the plan.
            content: As it would be written.
            live: The object that is updated; empty: there is none.
        """
        resource = entry.target.group_resource
        if resource not in _MARKS or _is_default(resource, live):
            return
        if _is_default(resource, content):
            self._coming[entry.target] = _scope(content)

    def doubled(self, reader: MemoReader) -> Iterator[tuple[ResourceIdentifier, str]]:
        """Name the items beside which the target has a default, and that one.

        Args:
            reader: Of the target; what it may not read is not known to be one.
        """
        for target, scope in self._coming.items():
            for live in _defaults(target.group_resource, reader):
                name = live["metadata"]["name"]
                if name != target.name and _scope(live) == scope:
                    yield target, name
                    break


def _defaults(resource: GroupResource, reader: MemoReader) -> Iterator[Content]:
    """The live defaults of a type; one that is going is none."""
    try:
        found = list(reader.list(resource))
    except ClusterError as exc:
        if bears_on_everything(exc):
            raise
        return
    for live in found:
        going = live["metadata"].get("deletionTimestamp")
        if not going and _is_default(resource, live):
            yield live


def _is_default(resource: GroupResource, content: Content) -> bool:
    annotations = mapping_at(content, "metadata", "annotations")
    return any(annotations.get(mark) == "true" for mark in _MARKS[resource])


def _scope(content: Content) -> str:
    """The driver that a class of snapshots is for: each has a default of its own."""
    return str(content.get("driver", ""))
