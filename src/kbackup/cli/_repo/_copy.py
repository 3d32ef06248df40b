"""``kbackup repo copy``: snapshots of another repository, into this one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kbackup._kits.words import plural
from kbackup.cli._options import Command
from kbackup.cli._output import echo
from kbackup.cli._repo._opening import FROM, meant, opened_as
from kbackup.cli._repo._options import choice_of, choice_options, repository_options
from kbackup.cli._repo._progress import show_progress
from kbackup.cli._repo._shapes import short
from kbackup.cli._repo._telling import is_json, print_json, tell
from kbackup.cli._repository_choice import RepositoryChoice
from kbackup.cli._session import Session
from kbackup.cli._signals import cancel_on_signal
from kbackup.errors import RepositoryNotFoundError, SnapshotNotFoundError

if TYPE_CHECKING:
    from kbackup.repository import Copied

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(cls=Command)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option(
    "--from-repo",
    default="",
    metavar="DIRECTORY|URL",
    help="From where; default $KBACKUP_FROM_REPOSITORY.",
)
@click.option("--from-repository-file", type=_FILE, help="File that says from where.")
@click.option(
    "--from-password-file",
    type=_FILE,
    help="File with its password; default $KBACKUP_FROM_REPO_PASSWORD, then a question.",
)
@click.option(
    "--from-password-command",
    default="",
    metavar="COMMAND",
    help="Command that prints its password.",
)
@choice_options()
@repository_options
@click.pass_obj
def copy(session: Session, /, ids: tuple[str, ...], **flags: Any) -> None:
    """Copy snapshots of another repository into this one; all of them without IDs.

    What is there already, or was copied before, is not copied again.
    """
    choice = choice_of(flags)
    source = RepositoryChoice(
        place=flags["from_repo"],
        place_file=flags["from_repository_file"],
        password_file=flags["from_password_file"],
        password_command=flags["from_password_command"],
        lock_patience=session.repository.lock_patience,
    )
    into = meant(session, session.repository)
    with _telling_of(session, source):
        other = meant(session, source, FROM)
    with (
        cancel_on_signal() as token,
        opened_as(session, into, token) as target,
        _telling_of(session, source),
        opened_as(session, other, token) as origin,
        show_progress(session) as told,
    ):
        copied = origin.copy(target, ids, filter=choice.filter(), told=told)
    for each in copied:
        _tell_copied(session, each)
    new = sum(each.is_new for each in copied)
    there = len(copied) - new
    tell(session, f"Copied {plural(new, 'snapshot')}; {there} there already")


@contextmanager
def _telling_of(session: Session, source: RepositoryChoice) -> Iterator[None]:
    """Let what follows a failure be about the other repository, where the failure is.

    Raises:
        RepositoryNotFoundError: It is not there: nobody wants a new one to copy from.
    """
    try:
        yield
    except RepositoryNotFoundError:
        session.again = f"{session.verb} --help"
        raise
    except SnapshotNotFoundError:
        session.repository = source
        raise


def _tell_copied(session: Session, copied: Copied) -> None:
    old, new = copied.snapshot.id, copied.copy.id
    if is_json(session):
        names = {"snapshot": old.hex(), "copy": new.hex()}
        print_json({"message_type": "copied", **names, "is_new": copied.is_new})
    elif copied.is_new:
        echo(f"{short(old)} is {short(new)} now")
    else:
        tell(session, f"{short(old)} is there already")
