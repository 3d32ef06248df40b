"""``kbackup repo backup``.

What is backed up is a `Source`: `_source` makes the one that the flags mean.
"""

from __future__ import annotations

import os
import sys
import time as clock
from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from kbackup._kits.sizes import format_size
from kbackup._kits.words import plural
from kbackup.cli._options import Command
from kbackup.cli._output import say
from kbackup.cli._repo._excluding import exclude_options, excludes_of
from kbackup.cli._repo._opening import opened
from kbackup.cli._repo._options import TagList, repository_options
from kbackup.cli._repo._progress import show_progress
from kbackup.cli._repo._shapes import short, summary_json
from kbackup.cli._repo._telling import is_json, print_json, tell, warn
from kbackup.cli._session import Session
from kbackup.errors import InvalidConfigError, SourceNotFoundError

if TYPE_CHECKING:
    from io import BufferedReader

    from kbackup.repository import BackUpResult, Snapshot, Source

_TIME = "%Y-%m-%d %H:%M:%S"
_SOME_FAILED = 3


@click.command(cls=Command)
@click.argument("paths", nargs=-1)
@click.option(
    "--tag",
    "tags",
    type=TagList(),
    multiple=True,
    metavar="TAG,...",
    help="Words to find it by.",
)
@click.option("-H", "--host", default="", help="Instead of this host's name.")
@click.option(
    "--time",
    metavar="'YYYY-MM-DD HH:MM:SS'",
    help="When it is to have been, in local time; default now.",
)
@click.option(
    "--parent",
    metavar="ID",
    help="Files as this snapshot has them are not read; default the newest alike.",
)
@click.option("-f", "--force", is_flag=True, help="Read every file.")
@click.option(
    "-x", "--one-file-system", is_flag=True, help="Pass over what is mounted below."
)
@exclude_options
@click.option("--stdin", is_flag=True, help="Save what comes in there, as one file.")
@click.option(
    "--stdin-filename",
    default="stdin",
    metavar="PATH",
    help="Where that lies in the snapshot; default stdin.",
)
@click.option(
    "--compression",
    type=click.Choice(["auto", "off", "max"]),
    default="auto",
    help="Of what is new, in a repository of version 2.",
)
@repository_options
@click.pass_obj
def backup(session: Session, /, paths: tuple[str, ...], **flags: Any) -> int:
    """Save files and directories, and make a snapshot of them.

    A relative path is kept as it is, without the ../ in front, as in restic; where one
    of several is absolute, or goes up elsewhere, all of them are kept whole. Exit code 3
    if something could not be read: the rest is saved.
    """
    from kbackup.repository import Compression  # noqa: PLC0415 - on demand

    _require_one(paths, stdin=flags["stdin"])
    begun = clock.monotonic()
    when = _instant(flags["time"])
    there = [] if flags["stdin"] else _existing(paths)
    missing = [] if flags["stdin"] else [path for path in paths if path not in there]
    for path in missing:
        warn(session, path, "it does not exist", during="scan")
    source = _stream(flags) if flags["stdin"] else _source(there, flags)
    with (
        opened(session, compression=Compression(flags["compression"])) as repository,
        show_progress(session, messages=True) as told,
    ):
        result = repository.back_up(
            source,
            hostname=flags["host"],
            tags=tuple(filter(None, chain(*flags["tags"]))),
            time=when,
            parent=flags["parent"],
            read_all=flags["force"],
            told=told,
        )
    _tell_result(session, result, clock.monotonic() - begun)
    return _SOME_FAILED if missing else result.exit_code


def _require_one(paths: Sequence[str], *, stdin: bool) -> None:
    """Refuse to back up nothing, or two things at once."""
    if stdin and paths:
        raise click.UsageError("--stdin is saved, or paths: not both")
    if not stdin and not paths:
        raise click.UsageError("Missing argument 'PATHS...', or --stdin.")


def _existing(paths: Sequence[str]) -> list[str]:
    """Return those of *paths* that are there.

    Raises:
        SourceNotFoundError: None is.
    """
    there = [path for path in paths if os.path.lexists(path)]
    if not there:
        raise SourceNotFoundError(", ".join(paths))
    return there


def _source(paths: Sequence[str], flags: dict[str, Any]) -> Source:
    """Return what is backed up."""
    from kbackup.repository import DirectorySource  # noqa: PLC0415 - on demand

    # As Go cleans paths: what goes up is taken away with what it goes up from.
    clean = map(os.path.abspath, paths)
    return DirectorySource(
        *clean,
        base=_base(paths),
        one_file_system=flags["one_file_system"],
        excludes=excludes_of(flags),
    )


def _stream(flags: dict[str, Any]) -> Source:
    """Return what comes in, as one file."""
    from kbackup.repository import StreamSource  # noqa: PLC0415 - on demand

    if sys.stdin is None:
        raise click.UsageError("there is no stdin to save")
    stream = cast("BufferedReader", sys.stdin.buffer)
    return StreamSource(stream, flags["stdin_filename"])


def _base(paths: Sequence[str]) -> Path | None:
    """Return the directory from which names are kept; None: the root.

    As in restic, what a relative path goes up by is no part of its name. restic does so
    for each path; a snapshot of ours has one base, so that all have to agree.
    """
    ways_up = {_way_up(os.path.normpath(path)) for path in paths}
    way_up = ways_up.pop()
    return None if ways_up or way_up is None else Path(os.path.abspath(way_up))  # noqa: PTH100 - as above


def _way_up(path: str) -> str | None:
    """Return the ``../..`` that a path begins with; None: it is absolute."""
    if Path(path).is_absolute():
        return None
    return "/".join([".", *(part for part in Path(path).parts if part == "..")])


def _instant(text: str | None) -> datetime | None:
    if text is None or text == "now":
        return None
    try:
        return datetime.strptime(text, _TIME).astimezone()
    except ValueError as exc:
        raise InvalidConfigError(
            f"--time {text[:80]!r} is no time such as '2026-02-28 13:00:00'"
        ) from exc


def _tell_result(session: Session, result: BackUpResult, seconds: float) -> None:
    for each in result.unreadable:
        warn(session, os.fsdecode(each.path), each.reason, during="archival")
    if is_json(session):
        print_json(summary_json(result.snapshot, seconds))
        return
    if result.unreadable:
        say(f"{plural(len(result.unreadable), 'thing')} could not be saved")
    for line in _lines(result.snapshot):
        tell(session, line)


def _lines(snapshot: Snapshot) -> list[str]:
    """Say what a backup did."""
    counted = snapshot.summary
    if counted is None:
        return []
    files = (counted.files_new, counted.files_changed, counted.files_unmodified)
    dirs = (counted.dirs_new, counted.dirs_changed, counted.dirs_unmodified)
    stored = format_size(counted.data_added_packed)
    processed = (
        f"{plural(counted.total_files_processed, 'file')}, "
        f"{format_size(counted.total_bytes_processed)}"
    )
    words = "{} new, {} changed, {} unmodified"
    return [
        f"Files: {words.format(*files)}",
        f"Directories: {words.format(*dirs)}",
        f"Added: {format_size(counted.data_added)}, stored as {stored}",
        f"Snapshot {short(snapshot.id)}: {processed}",
    ]
