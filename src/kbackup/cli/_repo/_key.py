"""``kbackup repo key``: which passwords open the repository."""

from __future__ import annotations

from pathlib import Path

import click

from kbackup.cli._options import Command, Group
from kbackup.cli._output import print_table
from kbackup.cli._repo._opening import meant, opened
from kbackup.cli._repo._options import repository_options
from kbackup.cli._repo._password import another_password
from kbackup.cli._repo._shapes import key_json, local_time, short
from kbackup.cli._repo._telling import is_json, print_json, tell
from kbackup.cli._session import Session

_new_password_option = click.option(
    "--new-password-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with the new password; default a question.",
)


@click.group(cls=Group)
@repository_options
def key() -> None:
    """List, add and remove passwords that open a repository, and change one."""


@key.command("list", cls=Command)
@repository_options
@click.pass_obj
def list_(session: Session) -> None:
    """List the keys, the oldest first; a star marks the one in use."""
    with opened(session) as repository:
        keys, current = repository.list_keys(), repository.key_id
    if is_json(session):
        print_json([key_json(each, current=each.id == current) for each in keys])
        return
    rows = (
        (
            f"{'*' if each.id == current else ' '}{short(each.id)}",
            each.username,
            each.hostname,
            local_time(each.created),
        )
        for each in keys
    )
    print_table((" ID", "USER", "HOST", "CREATED"), rows)


@key.command(cls=Command)
@_new_password_option
@click.option("--host", default="", help="Where it is from; default this host.")
@click.option("--user", default="", help="Whose it is; default this user's.")
@repository_options
@click.pass_obj
def add(
    session: Session, *, new_password_file: Path | None, host: str, user: str
) -> None:
    """Let another password open the repository, too."""
    which = meant(session, session.repository)  # the older one is asked for first
    password = another_password(new_password_file, which.place)
    with opened(session, which) as repository:
        made = repository.add_key(password, hostname=host, username=user)
    _tell(session, f"Added key {short(made)}", made.hex())


@key.command(cls=Command)
@click.argument("id_", metavar="ID")
@repository_options
@click.pass_obj
def remove(session: Session, *, id_: str) -> None:
    """Take a password its right to open the repository; not the one in use.

    Who knew it may have kept the repository's own key, which stays the same.
    """
    with opened(session) as repository:
        repository.remove_key(id_)
    _tell(session, f"Removed key {id_}", id_)


@key.command(cls=Command)
@_new_password_option
@repository_options
@click.pass_obj
def passwd(session: Session, *, new_password_file: Path | None) -> None:
    """Put another password in the place of the one that is given."""
    which = meant(session, session.repository)  # the older one is asked for first
    password = another_password(new_password_file, which.place)
    with opened(session, which) as repository:
        made = repository.change_password(password)
    _tell(session, f"The new password's key is {short(made)}", made.hex())


def _tell(session: Session, text: str, name: str) -> None:
    if is_json(session):
        print_json({"message_type": "summary", "id": name})
    tell(session, text)
