"""``kbackup repo ls``, ``find``, ``diff`` and ``stats``: what snapshots have in them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from kbackup._kits.sizes import format_size
from kbackup._kits.words import one_line, plural
from kbackup.cli._options import Command
from kbackup.cli._output import echo
from kbackup.cli._repo._opening import opened
from kbackup.cli._repo._options import choice_of, choice_options, repository_options
from kbackup.cli._repo._shapes import (
    change_json,
    local_time,
    node_json,
    node_line,
    short,
    snapshot_json,
    stat_json,
)
from kbackup.cli._repo._telling import is_json, print_json, tell
from kbackup.cli._session import Session
from kbackup.errors import PathNotFoundError

if TYPE_CHECKING:
    from kbackup.repository import Diff, DiffCount, Entry, Match, Snapshot, Stats

_MODES = ("restore-size", "files-by-contents", "raw-data")
_RAW = "raw-data"
_long_option = click.option(
    "-l", "--long", is_flag=True, help="With permissions, owner, size and time."
)


@click.command(cls=Command)
@click.argument("snapshot", metavar="SNAPSHOT[:PATH]")
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
    from kbackup.repository import find_snapshot  # noqa: PLC0415 - on demand

    choice = choice_of(flags)
    with opened(session) as repository:
        wanted, colon, path = snapshot.partition(":")
        found = find_snapshot(repository.list(), wanted, filter=choice.filter())
        session.snapshot = short(found.id)
        if is_json(session):
            print_json(_snapshot_message(found))
        entries: Iterable[Entry] = repository.ls(f"{found.id.hex()}{colon}{path}")
        if places:
            entries = _within(places, entries, recursive=flags["recursive"])
        for entry in entries:
            if is_json(session):
                print_json(node_json(entry))
            else:
                echo(node_line(entry, long=flags["long"]))


def _within(
    places: Sequence[str], entries: Iterable[Entry], *, recursive: bool
) -> Iterator[Entry]:
    """Yield what is one of some paths or lies in it, as restic lists directories.

    Raises:
        PathNotFoundError: Nothing is at one of them.
    """
    missing = {os.fsencode(place.strip("/")): place for place in places}
    wanted = frozenset(missing)
    missing.pop(b"", None)  # the root is always there
    for entry in entries:
        missing.pop(entry.path, None)
        if entry.path in wanted or _above(entry.path, recursive=recursive) & wanted:
            yield entry
    if missing:
        raise PathNotFoundError(", ".join(missing.values()))


def _above(path: bytes, *, recursive: bool) -> frozenset[bytes]:
    """Return the directory that a path lies in, or all that it does, up to the root."""
    names = path.split(b"/")[:-1]
    first = 0 if recursive else len(names)
    return frozenset(b"/".join(names[:n]) for n in range(first, len(names) + 1))


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
        matches = repository.find(
            *patterns,
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
            echo(node_line(_entry(each), long=flags["long"]))


def _entry(match: Match) -> Entry:
    from kbackup.repository import Entry  # noqa: PLC0415 - on demand

    return Entry(match.path, match.node)


def _matches_json(matches: list[Match]) -> list[dict[str, Any]]:
    """Return the matches snapshot by snapshot, in the order in which they came."""
    found: dict[str, list[dict[str, Any]]] = {}
    for each in matches:
        content = node_json(_entry(each))
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
        found = repository.diff(one, other, metadata=metadata)
    for change in found.changes:
        if is_json(session):
            print_json(change_json(change))
        else:
            echo(one_line(str(change)))
    if is_json(session):
        print_json(_statistics_json(found, one, other))
        return
    tell(session, f"Changed: {plural(found.changed_files, 'file')}")
    tell(session, f"Added: {_counted(found.added)}")
    tell(session, f"Removed: {_counted(found.removed)}")


def _counted(stat: DiffCount) -> str:
    directories = (
        "1 directory" if stat.directories == 1 else f"{stat.directories} directories"
    )
    blobs = plural(stat.data_blobs + stat.tree_blobs, "blob")
    files = plural(stat.files, "file")
    return f"{files}, {directories}, {stat.others} others, {blobs}, {format_size(stat.bytes)}"


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
        found = repository.stats(mode, snapshots=ids, filter=choice.filter())
    if is_json(session):
        print_json(_stats_json(found))
        return
    rows = _stats_rows(found)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        echo(f"{name:<{width}}  {value}")


def _stats_rows(found: Stats) -> list[tuple[str, str]]:
    """Return what a mode counts, in words."""
    rows = [("Snapshots", str(found.snapshots))]
    if found.mode == _RAW:
        rows += [
            ("Blobs", str(found.blobs)),
            ("Uncompressed", format_size(found.plain_size)),
            ("Compression", f"{found.compression_ratio:.2f}x"),
        ]
    else:
        rows += [("Files", str(found.files))]
    return [*rows, ("Size", format_size(found.size))]


def _stats_json(found: Stats) -> dict[str, Any]:
    """Return restic's document; what a mode does not count is left out."""
    content: dict[str, Any] = {"total_size": found.size}
    if found.mode == _RAW:
        content |= {
            "total_uncompressed_size": found.plain_size,
            "compression_ratio": found.compression_ratio,
            "total_blob_count": found.blobs,
        }
    else:
        content["total_file_count"] = found.files
    return content | {"snapshots_count": found.snapshots}
