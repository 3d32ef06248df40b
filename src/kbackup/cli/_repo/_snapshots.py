"""``kbackup repo snapshots``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from kbackup._kits.words import plural
from kbackup.cli._options import Command
from kbackup.cli._output import echo, print_table, say_next
from kbackup.cli._repo._opening import opened
from kbackup.cli._repo._options import (
    choice_of,
    choice_options,
    compact_option,
    group_by_option,
    grouping,
    repository_options,
)
from kbackup.cli._repo._shapes import (
    group_json,
    series_title,
    snapshot_headers,
    snapshot_json,
    snapshot_row,
)
from kbackup.cli._repo._telling import is_json, print_json, tell
from kbackup.cli._session import Session
from kbackup.cli._several import Named, each_named

if TYPE_CHECKING:
    from kbackup.repository import GroupKey, Snapshot

_SERIES = "host,paths"


@click.command(cls=Command)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@choice_options()
@click.option(
    "--latest",
    type=click.IntRange(min=1),
    metavar="N",
    help="Only the newest N of each host and paths, or of each series.",
)
@group_by_option(None)
@compact_option
@repository_options
@click.pass_obj
def snapshots(session: Session, /, ids: tuple[str, ...], **flags: Any) -> int:
    """List the snapshots, the oldest first; by IDs only those."""
    from kbackup.repository import find_snapshot  # noqa: PLC0415 - on demand

    choice, group_by = choice_of(flags), flags["group_by"]
    by = grouping(_SERIES if group_by is None else group_by)
    with opened(session) as repository:
        known = repository.list()
    errors: Sequence[Any] = ()
    if ids:
        named = each_named(ids, lambda text: find_snapshot(known, text))
        found, errors = [*dict.fromkeys(named.found)], named.errors
    else:
        meant = choice.filter()
        found = [each for each in known if meant.matches(each)]
    groups = _newest(found, by, flags["latest"])
    if errors and not found:
        pass  # of nothing nothing is printed
    elif group_by is None:
        _print_list(session, _together(groups), compact=flags["compact"])
    else:
        _print_groups(session, groups, compact=flags["compact"])
    if not known:
        say_next(session, "kbackup repo backup PATH")
    return Named(found, errors).told(session)


def _newest(
    found: Sequence[Snapshot], by: Any, latest: int | None
) -> dict[GroupKey, list[Snapshot]]:
    """Return the series, each with its newest last."""
    from kbackup.repository import group_snapshots  # noqa: PLC0415 - on demand

    groups = group_snapshots(found, by)
    return {key: each[:latest][::-1] for key, each in groups.items()}


def _together(groups: dict[GroupKey, list[Snapshot]]) -> list[Snapshot]:
    everything = [snapshot for each in groups.values() for snapshot in each]
    return sorted(everything, key=lambda each: (each.time, each.id))


def _print_list(session: Session, found: list[Snapshot], *, compact: bool) -> None:
    if is_json(session):
        print_json([snapshot_json(each) for each in found])
        return
    rows = (snapshot_row(each, compact=compact) for each in found)
    print_table(snapshot_headers(compact=compact), rows)
    tell(session, plural(len(found), "snapshot"))


def _print_groups(
    session: Session, groups: dict[GroupKey, list[Snapshot]], *, compact: bool
) -> None:
    if is_json(session):
        shapes = [
            {"group_key": group_json(key), "snapshots": [*map(snapshot_json, each)]}
            for key, each in groups.items()
        ]
        print_json(shapes)
        return
    for key, each in groups.items():
        echo(series_title(key))
        _print_list(session, each, compact=compact)
