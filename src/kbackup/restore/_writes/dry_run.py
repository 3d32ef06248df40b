"""A plan held against the server: each write tried without being stored.

A plan is a prediction from reading; admission and validation are known only to the
server. Asked for by ``RestoreOptions(validate=True)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from kbackup._kits.workers import map_ordered
from kbackup.models import well_known
from kbackup.restore._attempt import FAILED
from kbackup.restore._plan_entry import BY_SECOND, PlanAction, PlanEntry
from kbackup.restore._target.answers import untried
from kbackup.restore._writes.object_writer import ObjectWriter

NOT_TRIED = "items were not tried: their namespace or type is not there yet"
STATUS_NOT_TRIED = "statuses were not tried: their objects are not there yet"


def validate_entries(
    entries: Sequence[PlanEntry], writer: ObjectWriter, *, workers: int
) -> tuple[list[PlanEntry], int]:
    """Try every write; what the server refuses becomes a conflict.

    Where a webhook keeps it from being tried, the entry stays and says so.

    Args:
        entries: Of the plan.
        writer: One that only asks.
        workers: At the same time.

    Returns:
        The entries, and how many of them could not be tried.
    """
    waiting = set(_not_yet_there(entries))

    def check(entry: PlanEntry) -> PlanEntry:
        if not entry.action.writes or id(entry) in waiting:
            return entry
        attempt = writer.write(entry)
        if attempt.action != FAILED:
            return entry
        if words := untried(attempt.reason):
            reason = "; ".join(filter(None, (entry.reason, f"not tried: {words}")))
            return replace(entry, reason=reason)
        reason = attempt.reason
        return replace(entry, action=PlanAction.CONFLICT, reason=reason, digest="")

    checked = map_ordered(check, entries, workers=workers, name="kbackup-dry-run")
    return list(checked), len(waiting)


def statuses_untried(entries: Iterable[PlanEntry]) -> int:
    """How many statuses follow a create: without an object none can be tried."""
    return sum(
        entry.status == BY_SECOND and entry.action is not PlanAction.UPDATE
        for entry in entries
        if entry.action.writes
    )


def _not_yet_there(entries: Sequence[PlanEntry]) -> Iterable[int]:
    """The entries whose namespace or type this very restore has to make first."""
    made = {
        (entry.target.group_resource, entry.target.name)
        for entry in entries
        if entry.action is PlanAction.CREATE
        and entry.target.group_resource in (well_known.NAMESPACES, well_known.CRDS)
    }
    for entry in entries:
        target = entry.target
        needs = (
            (well_known.NAMESPACES, target.namespace),
            (well_known.CRDS, str(target.group_resource)),
        )
        if entry.action.writes and not made.isdisjoint(needs):
            yield id(entry)
