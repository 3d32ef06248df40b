"""``kbackup repo ls``, ``find``, ``diff`` and ``stats``: what snapshots have in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from kbackup.cli._options import Command
from kbackup.cli._output import echo
from kbackup.cli._repo import _expected
from kbackup.cli._repo._opening import opened
from kbackup.cli._repo._options import choice_of, choice_options, repository_options
from kbackup.cli._repo._restore import chosen
from kbackup.cli._repo._shapes import (
    change_json,
    local_time,
    node_json,
    node_line,
    short,
    snapshot_json,
    stat_json,
)
from kbackup.cli._repo._telling import is_json, path_of, print_json, sized, tell
from kbackup.cli._session import Session

if TYPE_CHECKING:
    from kbackup.cli._repo._expected import Diff, DiffStat, Entry, Match, Stats
    from kbackup.repository import Snapshot

_MODES = ("restore-size", "files-by-contents", "blobs-per-file", "raw-data")
_METADATA = "U"
_long_option = click.option(
    "-l", "--long", is_flag=True, help="With permissions, owner, size and time."
)


@click.command(cls=Command)
@click.argument("snapshot", metavar="SNAPSHOT")
@click.argument("places", nargs=-1, metavar="[PATH]...")
@_long_option
@click.option(
    "--recursive", is_flag=True, help="All that lies below the paths, at any depth."
)
@choice_options()
@repository_options
@click.pass_obj
def ls(
    session: Session, /, snapshot: str, places: tuple[str, ...], **flags: Any
) -> None:
    """List all that a snapshot has, or what lies in some directories of it."""
    choice = choice_of(flags)
    with opened(session) as repository:
        found = chosen(repository, snapshot, choice)
        if is_json(session):
            print_json(_snapshot_message(found))
        for place in places or ("",):
            entries = iter(_expected.of(repository).ls(found, place))
            if place and not flags["recursive"]:
                entries = _directly(place, entries)
            for entry in entries:
                if is_json(session):
                    print_json(node_json(entry.path, entry.node))
                else:
                    echo(node_line(entry.path, entry.node, long=flags["long"]))


def _directly(place: str, entries: Iterator[Entry]) -> Iterator[Entry]:
    """Yield what is a path or lies right in it, as restic lists a directory."""
    path = os.fsencode(place.strip("/"))
    for entry in entries:
        above, _, _ = entry.path.rpartition(b"/")
        if path in {entry.path, above}:
            yield entry


def _snapshot_message(snapshot: Snapshot) -> dict[str, Any]:
    kind = {"message_type": "snapshot", "struct_type": "snapshot"}
    return snapshot_json(snapshot) | kind


@click.command(cls=Command)
@click.argument("patterns", nargs=-1, required=True, metavar="PATTERN...")
@click.option("-i", "--ignore-case", is_flag=True, help="Take A for a.")
@click.option(
    "-s", "--snapshot", "ids", multiple=True, metavar="ID", help="Only in this one."
)
@_long_option
@choice_options()
@repository_options
@click.pass_obj
def find(session: Session, /, patterns: tuple[str, ...], **flags: Any) -> None:
    """Find files and directories by their names, with wildcards, in all snapshots."""
    choice = choice_of(flags)
    with opened(session) as repository:
        matches = _expected.of(repository).find(
            patterns,
            ignore_case=flags["ignore_case"],
            snapshots=flags["ids"],
            filter=choice.filter(),
        )
        if is_json(session):
            print_json(_matches_json(list(matches)))
            return
        last: Snapshot | None = None
        for each in matches:
            if each.snapshot != last:
                last = each.snapshot
                echo(f"In snapshot {short(last.id)} of {local_time(last.time.when)}:")
            echo(node_line(each.path, each.node, long=flags["long"]))


def _matches_json(matches: list[Match]) -> list[dict[str, Any]]:
    """Return the matches snapshot by snapshot, in the order in which they came."""
    found: dict[str, list[dict[str, Any]]] = {}
    for each in matches:
        content = node_json(each.path, each.node)
        del content["message_type"], content["struct_type"]
        found.setdefault(each.snapshot.id.hex(), []).append(content)
    return [
        {"matches": matched, "hits": len(matched), "snapshot": name}
        for name, matched in found.items()
    ]


@click.command(cls=Command)
@click.argument("one", metavar="SNAPSHOT")
@click.argument("other", metavar="SNAPSHOT")
@click.option("--metadata", is_flag=True, help="Also what has other metadata only.")
@repository_options
@click.pass_obj
def diff(session: Session, one: str, other: str, *, metadata: bool) -> None:
    """Compare two snapshots: + is in the second only, - in the first, M has changed.

    T is another type, and with --metadata U other metadata alone.
    """
    with opened(session) as repository:
        found = _expected.of(repository).diff(one, other)
        for change in found.changes:
            if change.kind == _METADATA and not metadata:
                continue
            if is_json(session):
                print_json(change_json(change))
            else:
                echo(f"{change.kind:<4} {path_of(change.path)}")
    if is_json(session):
        print_json(_statistics_json(found, one, other))
        return
    tell(session, f"Changed: {found.changed_files} files")
    tell(session, f"Added: {_counted(found.added)}")
    tell(session, f"Removed: {_counted(found.removed)}")


def _counted(stat: DiffStat) -> str:
    blobs = stat.data_blobs + stat.tree_blobs
    return (
        f"{stat.files} files, {stat.dirs} directories, {stat.others} others, "
        f"{blobs} blobs, {sized(stat.bytes)}"
    )


def _statistics_json(found: Diff, one: str, other: str) -> dict[str, Any]:
    return {
        "message_type": "statistics",
        "source_snapshot": one,
        "target_snapshot": other,
        "changed_files": found.changed_files,
        "added": stat_json(found.added),
        "removed": stat_json(found.removed),
    }


@click.command(cls=Command)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option(
    "--mode", type=click.Choice(_MODES), default=_MODES[0], help="What is counted."
)
@choice_options()
@repository_options
@click.pass_obj
def stats(
    session: Session, /, ids: tuple[str, ...], *, mode: str, **flags: Any
) -> None:
    """Tell what snapshots take; without IDs, all that the options choose."""
    choice = choice_of(flags)
    with opened(session) as repository:
        found = _expected.of(repository).stats(
            mode, snapshots=ids, filter=choice.filter()
        )
    if is_json(session):
        print_json(_stats_json(found, mode))
        return
    rows = _stats_rows(found, mode)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        echo(f"{name:<{width}}  {value}")


def _stats_rows(found: Stats, mode: str) -> list[tuple[str, str]]:
    """Return what a mode counts, in words."""
    rows = [("Snapshots", str(found.snapshots))]
    if mode == "raw-data":
        rows += [("Blobs", str(found.blobs)), ("Size", sized(found.raw_bytes))]
        rows += [("Uncompressed", sized(found.bytes))]
        rows += [("Compression", f"{found.compression_ratio:.2f}x")]
        return rows
    rows += [("Files", str(found.files))]
    if mode == "blobs-per-file":
        rows += [("Blobs", str(found.blobs))]
    return [*rows, ("Size", sized(found.bytes))]


def _stats_json(found: Stats, mode: str) -> dict[str, Any]:
    """Return restic's document; what a mode does not count is left out."""
    if mode == "raw-data":
        return {
            "total_size": found.raw_bytes,
            "total_uncompressed_size": found.bytes,
            "compression_ratio": found.compression_ratio,
            "total_blob_count": found.blobs,
            "snapshots_count": found.snapshots,
        }
    content = {"total_size": found.bytes, "total_file_count": found.files}
    if mode == "blobs-per-file":
        content["total_blob_count"] = found.blobs
    return content | {"snapshots_count": found.snapshots}
