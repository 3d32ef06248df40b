"""Which types of a backup show one moment, and how far off the others are. Pure.

A type is read at its newest where the server no longer has the moment of the backup, or
knows no moments: then the manifest says so of that list, and here is what it comes to.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import attrs

from kbackup._kits.words import inside, plural
from kbackup.models import GroupResource, ListRecord


@attrs.frozen(kw_only=True)
class Drift:
    """A list that was read at another moment than the backup's.

    Attributes:
        resource: The type.
        namespace: Empty: the whole cluster.
        resource_version: At which it was read; empty: the server did not say.
        revisions: How many later that is, where both are numbers and it is later. An
            aggregated API may count for itself: then it means nothing.
        elapsed: From the beginning of the first list to the end of this one, in whole
            seconds.
    """

    resource: GroupResource
    namespace: str = ""
    resource_version: str = ""
    revisions: int | None = None
    elapsed: timedelta | None = None

    def __str__(self) -> str:
        told = f"{self.resource}{inside(self.namespace)}: "
        told += f"at {self.resource_version or 'an unknown resourceVersion'}"
        parts = []
        if self.revisions is not None:
            parts.append(plural(self.revisions, "revision"))
        if self.elapsed is not None:
            parts.append(f"{int(self.elapsed.total_seconds())} s")
        return f"{told}, up to {' and '.join(parts)} later" if parts else told

    def to_json(self) -> dict[str, Any]:
        """Return it as the manifest has it."""
        elapsed = self.elapsed
        return {
            "resource": str(self.resource),
            "namespace": self.namespace,
            "resourceVersion": self.resource_version,
            "revisions": self.revisions,
            "seconds": None if elapsed is None else int(elapsed.total_seconds()),
        }


@attrs.frozen(kw_only=True)
class Consistency:
    """What a backup says about the moment that it shows.

    Attributes:
        resource_version: That its lists share; empty: they share none.
        resources: The types of which every list was read at it.
        drifts: The lists that were not.
    """

    resource_version: str = ""
    resources: tuple[GroupResource, ...] = ()
    drifts: tuple[Drift, ...] = ()

    @classmethod
    def of(cls, lists: Sequence[ListRecord]) -> Consistency:
        """Read it from the lists of a backup."""
        exact = [each for each in lists if each.exact and each.resource_version]
        version = exact[0].resource_version if exact else ""
        off = [each for each in lists if not each.exact]
        drifted = {each.resource for each in off}
        return cls(
            resource_version=version,
            resources=tuple(sorted({each.resource for each in exact} - drifted)),
            drifts=tuple(_drift(each, version, lists) for each in off),
        )

    def __str__(self) -> str:
        if not self.resource_version and not self.drifts:
            return "not known"
        drifted = len({each.resource for each in self.drifts})
        same, all_ = len(self.resources), len(self.resources) + drifted
        if not self.resource_version:
            return f"none of {plural(all_, 'type')} at a resourceVersion of the others"
        many = (
            f"all {plural(all_, 'type')}" if not drifted else f"{same} of {all_} types"
        )
        return f"{many} at resourceVersion {self.resource_version}"

    def to_json(self) -> dict[str, Any]:
        """Return it as the manifest has it."""
        return {
            "resourceVersion": self.resource_version,
            "resources": [str(each) for each in self.resources],
            "drifts": [each.to_json() for each in self.drifts],
        }


def _drift(record: ListRecord, version: str, lists: Sequence[ListRecord]) -> Drift:
    began = [each.started_at for each in lists if each.started_at is not None]
    elapsed = None
    if began and record.ended_at is not None:
        elapsed = max(record.ended_at - min(began), timedelta())
    return Drift(
        resource=record.resource,
        namespace=record.namespace,
        resource_version=record.resource_version,
        revisions=_revisions(version, record.resource_version),
        elapsed=elapsed,
    )


def _revisions(first: str, later: str) -> int | None:
    """How many later one is than the other; None: that cannot be told."""
    if not first.isdecimal() or not later.isdecimal() or int(later) < int(first):
        return None
    return int(later) - int(first)
