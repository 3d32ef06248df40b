"""``kbackup repo restore`` and ``dump``: what a snapshot has, written here."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kbackup._kits.words import plural
from kbackup.cli._options import Command
from kbackup.cli._output import bearing_loss
from kbackup.cli._repo._opening import opened
from kbackup.cli._repo._options import (
    Choice,
    choice_of,
    choice_options,
    repository_options,
)
from kbackup.cli._repo._progress import show_progress
from kbackup.cli._repo._telling import is_json, print_json, sized, tell, warn
from kbackup.cli._session import Session

if TYPE_CHECKING:
    from kbackup.repository import Repository, Restored, Selection

_NOT_ALL = 1  # as restic


@click.command(cls=Command)
@click.argument("snapshot", metavar="SNAPSHOT[:PATH]")
@click.option(
    "-t",
    "--target",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory to restore to; it is made.",
)
@click.option(
    "-i", "--include", multiple=True, metavar="PATTERN", help="Only what matches."
)
@click.option(
    "-e", "--exclude", multiple=True, metavar="PATTERN", help="Not what matches."
)
@choice_options()
@repository_options
@click.pass_obj
def restore(session: Session, /, snapshot: str, *, target: Path, **flags: Any) -> int:
    """Restore a snapshot, by its ID or as 'latest'; with :PATH what lies in that.

    What is right in the directory already is not written again, and nothing is removed
    from it. The options choose among which the latest is looked for. Exit code 1 if
    something could not be restored: the rest is.
    """
    choice, selection = choice_of(flags), _selection(**flags)
    begun = time.monotonic()
    with (
        opened(session) as repository,
        show_progress(session, messages=True) as told,
    ):
        which = chosen(repository, snapshot, choice)
        restored = repository.restore(which, target, selection=selection, told=told)
    return _tell_restored(session, restored, target, time.monotonic() - begun)


def _tell_restored(
    session: Session, restored: Restored, target: Path, seconds: float
) -> int:
    for problem in restored.problems:
        warn(session, os.fsdecode(problem.path), problem.reason, during="restore")
    if is_json(session):
        print_json(
            {
                "message_type": "summary",
                "seconds_elapsed": int(seconds),
                "total_files": restored.files + len(restored.problems),
                "files_restored": restored.files,
                "total_bytes": restored.bytes,
                "bytes_restored": restored.written,
            }
        )
    tell(
        session,
        f"Restored {plural(restored.files, 'file')}, {sized(restored.bytes)} "
        f"({sized(restored.written)} written), to {target}",
    )
    if restored.problems:
        tell(
            session, f"{plural(len(restored.problems), 'thing')} could not be restored"
        )
        return _NOT_ALL
    return 0


def _selection(include: Sequence[str], exclude: Sequence[str]) -> Selection:
    """Return what of a snapshot is restored."""
    from kbackup.repository import Patterns, Selection  # noqa: PLC0415 - on demand

    return Selection(
        include=Patterns(include) if include else None,
        exclude=Patterns(exclude) if exclude else None,
    )


def chosen(repository: Repository, text: str, choice: Choice) -> str:
    """Return the whole ID of the snapshot that is meant, with its ``:PATH``, if any.

    Raises:
        SnapshotNotFoundError: There is none.
    """
    from kbackup.repository import find_snapshot  # noqa: PLC0415 - on demand

    wanted, colon, path = text.partition(":")
    found = find_snapshot(repository.list(), wanted, filter=choice.filter())
    return f"{found.id.hex()}{colon}{path}"


@click.command(cls=Command)
@click.argument("snapshot", metavar="SNAPSHOT")
@click.argument("path")
@click.option(
    "-t",
    "--target",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write to; default stdout.",
)
@click.option(
    "-a",
    "--archive",
    type=click.Choice(["tar", "zip"]),
    default="tar",
    help="How a directory is written.",
)
@choice_options()
@repository_options
@click.pass_obj
def dump(
    session: Session,
    /,
    snapshot: str,
    path: str,
    *,
    target: Path | None,
    archive: str,
    **flags: Any,
) -> None:
    """Write a file of a snapshot to stdout, or a directory as an archive."""
    choice = choice_of(flags)
    with opened(session) as repository:
        which = chosen(repository, snapshot, choice)
        if target is not None:
            with target.open("wb") as file:
                repository.dump(which, path, file, archive=archive)
            return
        stream = sys.stdout.buffer
        with bearing_loss(stream):
            repository.dump(which, path, stream, archive=archive)
            stream.flush()
