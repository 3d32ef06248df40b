"""The lines of a plan as people read them: in their order, long runs as one."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from kbackup._kits.views import Row
from kbackup._kits.words import and_more, inside
from kbackup.restore._plan.claims import ClaimLine
from kbackup.restore._plan_entry import ACTION_WIDTH, PlanAction, PlanEntry, row_of

_SHOWN = {PlanAction.SKIP: 3, PlanAction.UNCHANGED: 20}  # one by one, of each run


def rows(entries: Sequence[PlanEntry]) -> Iterator[Row]:
    """The table; long runs of what is left as it is become one row each."""
    runs = Counter(_run_key(entry) for entry in entries)
    told: set[Any] = set()
    for entry in entries:
        key = _run_key(entry)
        if key is None or runs[key] <= _SHOWN[entry.action]:
            yield row_of(entry)
        elif key not in told:
            told.add(key)
            where = inside(entry.target.namespace)
            what = f"{runs[key]} {entry.target.group_resource}{where}"
            yield Row(entry.action, what, entry.reason)


def texts(found: Iterable[Row]) -> list[str]:
    """The rows as lines of text, each with what stands below it."""
    return [
        line
        for row in found
        for line in (
            row.text(width=ACTION_WIDTH),
            *(f"            {detail}" for detail in row.details),
        )
    ]


def first_texts(entries: Sequence[PlanEntry], most: int) -> list[str]:
    """The first of *entries* as lines of text, and how many more there are."""
    lines = texts(map(row_of, entries[:most]))
    more = and_more(entries, most)
    return [*lines, f"          {more}"] if more else lines


def claim_cells(line: ClaimLine) -> tuple[str, str]:
    """Which claim it is, and what becomes of its data."""
    return line.target.qualified_name, "; ".join([line.text, *line.problems])


def _run_key(entry: PlanEntry) -> tuple[Any, ...] | None:
    """What entries have in common that may be told in one row; None: it needs its own."""
    shows_more = entry.differences or entry.changes or entry.errors or entry.hooks
    if entry.action not in _SHOWN or shows_more:
        return None
    target = entry.target
    return entry.action, target.group_resource, target.namespace, entry.reason
