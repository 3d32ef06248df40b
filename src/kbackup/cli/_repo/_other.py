"""The other repository of a command that has two: where it is, and what opens it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from kbackup.cli._repository_choice import RepositoryChoice
from kbackup.cli._session import Session
from kbackup.errors import RepositoryNotFoundError, SnapshotNotFoundError

_Function = TypeVar("_Function", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path, dir_okay=False)
_OPTIONS = (
    click.option(
        "--from-repo",
        default="",
        metavar="DIRECTORY|URL",
        help="The other repository; default $KBACKUP_FROM_REPOSITORY.",
    ),
    click.option(
        "--from-repository-file", type=_FILE, help="File that says where it is."
    ),
    click.option(
        "--from-password-file",
        type=_FILE,
        help="File with its password; default $KBACKUP_FROM_REPO_PASSWORD, then a question.",
    ),
    click.option(
        "--from-password-command",
        default="",
        metavar="COMMAND",
        help="Command that prints its password.",
    ),
)


def from_options(function: _Function) -> _Function:
    """Give a command the options that name the other repository; see `source_of`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def source_of(session: Session, flags: Mapping[str, Any]) -> RepositoryChoice:
    """Return what these options say."""
    return RepositoryChoice(
        place=flags["from_repo"],
        place_file=flags["from_repository_file"],
        password_file=flags["from_password_file"],
        password_command=flags["from_password_command"],
        lock_patience=session.repository.lock_patience,
        no_lock=session.repository.no_lock,
    )


@contextmanager
def telling_of(session: Session, source: RepositoryChoice) -> Iterator[None]:
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
