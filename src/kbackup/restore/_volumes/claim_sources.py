"""What a claim that was never bound is to be filled from, and whether that is there.

A claim waits for its source for ever where that does not exist: a snapshot of another
cluster, say. Asked by the item planner; reads only.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from kbackup.archive import ArchiveContents
from kbackup.models import ResourceIdentifier, well_known
from kbackup.restore._notices.notices import NoticeBook
from kbackup.restore._plan.state import PlanState
from kbackup.restore._request.request import RestoreRequest

Content = Mapping[str, Any]


@attrs.frozen
class ClaimSource:
    """What a claim names as the source of its data.

    Attributes:
        group: The API group; empty: the core group.
        kind: Such as ``VolumeSnapshot`` or ``PersistentVolumeClaim``.
        name: Its name.
        namespace: In the target; the claim's own unless it names another.
    """

    group: str
    kind: str
    name: str
    namespace: str


def source_of(claim: Content, namespace: str) -> ClaimSource | None:
    """Return the data source of a claim in *namespace*, if it names one."""
    spec = claim.get("spec") or {}
    found = spec.get("dataSourceRef") or spec.get("dataSource")
    if not isinstance(found, Mapping) or not found.get("name"):
        return None
    return ClaimSource(
        group=str(found.get("apiGroup") or ""),
        kind=str(found.get("kind", "")),
        name=str(found["name"]),
        namespace=str(found.get("namespace") or namespace),
    )


class ClaimSources:
    """Answers for the claims of one restore."""

    def __init__(
        self,
        request: RestoreRequest,
        contents: ArchiveContents,
        state: PlanState,
        book: NoticeBook,
    ) -> None:
        self._request = request
        self._contents = contents
        self._state = state
        self._book = book

    def problems(
        self, claim: Content, ref: ResourceIdentifier, target: ResourceIdentifier
    ) -> Iterator[str]:
        """Say what a claim that has no volume yet will wait for.

        Args:
            claim: As it is in the backup.
            ref: Its identity in the backup.
            target: Its identity in the target.
        """
        source = source_of(claim, target.namespace)
        if source is not None and not self._comes(source, ref, target):
            yield f"waits for {source.kind} {source.name}, which is not there"

    def _comes(
        self, source: ClaimSource, ref: ResourceIdentifier, target: ResourceIdentifier
    ) -> bool:
        """Whether a source will be there, as far as anybody may know."""
        kind = (source.group, source.kind)
        if (kind, source.namespace, source.name) in self._state.present:
            return True
        if kind == ("", "PersistentVolumeClaim"):
            # Claims are planned one after the other: it may be this one's turn first.
            sibling = ResourceIdentifier(
                well_known.PERSISTENT_VOLUME_CLAIMS, ref.namespace, source.name
            )
            if source.namespace == target.namespace and sibling in self._contents:
                return True
        return self._lives(source)

    def _lives(self, source: ClaimSource) -> bool:
        for resource in self._request.discovery.resources:
            if (resource.group, resource.kind) != (source.group, source.kind):
                continue
            where = source.namespace if resource.namespaced else ""
            wanted = ResourceIdentifier(resource.group_resource, where, source.name)
            found = self._request.reader.find(wanted)
            if found.unreadable:
                self._book.see_unreadable(wanted)
                return True  # the notice says all that is known
            return found.content is not None
        return False
