"""``kbackup repo restore`` and ``dump``: what a snapshot has, written here."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Collection, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from kbackup._kits.sizes import format_size
from kbackup._kits.words import one_line, plural
from kbackup.cli._asking import agreed, require_somebody_to_ask
from kbackup.cli._options import Command
from kbackup.cli._output import bearing_loss, echo, say
from kbackup.cli._repo._opening import opened
from kbackup.cli._repo._options import (
    Choice,
    choice_of,
    choice_options,
    repository_options,
    yes_option,
)
from kbackup.cli._repo._progress import show_progress
from kbackup.cli._repo._shapes import short
from kbackup.cli._repo._telling import (
    is_json,
    path_of,
    print_json,
    tell,
    warn,
)
from kbackup.cli._session import Session
from kbackup.cli._signals import ending_at_once

if TYPE_CHECKING:
    from kbackup.repository import Repository, Restored, Selection

_NOT_ALL = 1  # as restic
_REFUSED = 1  # the answer was no, as everywhere
_FILE = click.Path(exists=True, dir_okay=False)


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
@click.option(
    "--include-file",
    type=_FILE,
    multiple=True,
    help="With such a pattern in each line.",
)
@click.option(
    "--exclude-file",
    type=_FILE,
    multiple=True,
    help="With such a pattern in each line.",
)
@click.option(
    "--delete",
    is_flag=True,
    help="Remove what the directory has and the snapshot has not, as far as it is meant.",
)
@click.option(
    "-n", "--dry-run", is_flag=True, help="Only show what --delete would remove."
)
@yes_option
@choice_options()
@repository_options
@click.pass_obj
def restore(session: Session, /, snapshot: str, *, target: Path, **flags: Any) -> int:
    """Restore a snapshot, by its ID or as 'latest'; with :PATH what lies in that.

    What is right in the directory already is not written again, and nothing is removed
    from it without --delete, which shows what would go before it asks. The options
    choose among which the latest is looked for. Exit code 1 if something could not be
    restored: the rest is, and nothing is removed.
    """
    delete, dry_run, yes = flags.pop("delete"), flags.pop("dry_run"), flags.pop("yes")
    choice, selection = choice_of(flags), _selection(**flags)
    require_meant(target, selection, delete=delete, dry_run=dry_run)
    if delete and not dry_run:
        require_somebody_to_ask(yes=yes, shown_by="--dry-run")
    begun = time.monotonic()
    with opened(session) as repository:
        which = chosen(session, repository, snapshot, choice)
        if delete:
            going = frozenset(repository.extraneous(which, target, selection=selection))
            _show_going(session, going, is_needed=dry_run or not yes)
            if dry_run:
                return 0
            if not _is_agreed(going, target, yes=yes):
                say("Nothing was restored, and nothing removed.")
                return _REFUSED
            selection = attrs.evolve(selection, delete=going)
        with show_progress(session, messages=True) as told:
            restored = repository.restore(which, target, selection=selection, told=told)
    return _tell_restored(session, restored, target, time.monotonic() - begun)


def require_meant(
    target: Path, selection: Selection, *, delete: bool, dry_run: bool
) -> None:
    """Refuse what shows nothing, and what would leave only a snapshot of a system."""
    if dry_run and not delete:
        raise click.UsageError("--dry-run shows what --delete would remove: give both")
    is_all = selection.include is None and selection.exclude is None
    if delete and is_all and target.resolve() == target.resolve().parent:
        raise click.UsageError(
            "--delete in the root directory needs --include or --exclude"
        )


def _show_going(session: Session, going: Collection[bytes], *, is_needed: bool) -> None:
    """Print what would be removed: to programs as restic does, for people a line each."""
    for path in sorted(going) if is_needed else ():
        if is_json(session):
            message = {"message_type": "verbose_status", "action": "deleted"}
            print_json(message | {"item": path_of(path), "size": 0})
        else:
            echo(f"remove {one_line(path_of(path))}")
    if is_needed and not going:
        tell(session, "Nothing to remove")


def _is_agreed(going: Collection[bytes], target: Path, *, yes: bool) -> bool:
    """Ask, where there is something to remove."""
    if not going:
        return True
    what = f"{plural(len(going), 'path')}, and all that lies below,"
    with ending_at_once():
        return agreed(f"Restore, and remove {what} from {target} for good?", yes=yes)


def _tell_restored(
    session: Session, restored: Restored, target: Path, seconds: float
) -> int:
    for problem in restored.problems:
        warn(session, os.fsdecode(problem.path), problem.reason, during="restore")
    removed = len(restored.removed)
    if is_json(session):
        print_json(
            {
                "message_type": "summary",
                "seconds_elapsed": int(seconds),
                "total_files": restored.files + len(restored.problems),
                "files_restored": restored.files,
                "total_bytes": restored.bytes,
                "bytes_restored": restored.written,
                **({"files_deleted": removed} if removed else {}),
            }
        )
    tell(
        session,
        f"Restored {plural(restored.files, 'file')}, {format_size(restored.bytes)} "
        f"({format_size(restored.written)} written), to {target}",
    )
    if removed:
        tell(session, f"Removed {plural(removed, 'path')} that the snapshot has not")
    if restored.problems:
        tell(
            session, f"{plural(len(restored.problems), 'thing')} could not be restored"
        )
        return _NOT_ALL
    return 0


def _selection(**flags: Sequence[str]) -> Selection:
    """Return what of a snapshot is restored.

    Raises:
        InvalidSpecError: A pattern is none.
        OSError: A file of patterns cannot be read.
    """
    from kbackup.repository import Patterns, Selection, read_patterns  # noqa: PLC0415 - on demand

    def patterns(name: str) -> list[str]:
        files = flags[f"{name}_file"]
        return [*flags[name], *chain.from_iterable(map(read_patterns, files))]

    included, excluded = patterns("include"), patterns("exclude")
    is_part = flags["include"] or flags["include_file"]  # an empty file means nothing
    return Selection(
        include=Patterns(included) if is_part else None,
        exclude=Patterns(excluded) if any(excluded) else None,
    )


def chosen(session: Session, repository: Repository, text: str, choice: Choice) -> str:
    """Return the whole ID of the snapshot that is meant, with its ``:PATH``, if any.

    Raises:
        SnapshotNotFoundError: There is none.
    """
    from kbackup.repository import find_snapshot  # noqa: PLC0415 - on demand

    wanted, colon, path = text.partition(":")
    found = find_snapshot(repository.list(), wanted, filter=choice.filter())
    session.snapshot = short(found.id)
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
        which = chosen(session, repository, snapshot, choice)
        if target is not None:
            with target.open("wb") as file:
                repository.dump(which, path, file, archive=archive)
            return
        stream = sys.stdout.buffer
        with bearing_loss(stream):
            repository.dump(which, path, stream, archive=archive)
            stream.flush()
