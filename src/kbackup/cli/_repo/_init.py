"""``kbackup repo init``."""

from __future__ import annotations

import click

from kbackup.cli._options import Command
from kbackup.cli._output import say, say_next
from kbackup.cli._repo._opening import (
    backend_at,
    new_password,
    place_of,
    refuse_yaml,
    shown,
)
from kbackup.cli._repo._options import repository_options
from kbackup.cli._repo._telling import is_json, print_json, tell
from kbackup.cli._session import Session

_VERSIONS = {"1": 1, "2": 2, "stable": 2, "latest": 2}


@click.command(cls=Command)
@click.option(
    "--repository-version",
    type=click.Choice(list(_VERSIONS)),
    default="stable",
    help="1 for restic before 0.14; default 2, which compresses.",
)
@repository_options
@click.pass_obj
def init(session: Session, *, repository_version: str) -> None:
    """Make a repository: a directory is made, a bucket must be there.

    Without the password nobody ever reads what is in it.
    """
    from kbackup.repository import Repository  # noqa: PLC0415 - on demand

    refuse_yaml(session)
    place = place_of(session.repository)
    password = new_password(session.repository, place)
    version = _VERSIONS[repository_version]
    with (
        backend_at(session, place) as backend,
        Repository.init(backend, password, version=version) as repository,
    ):
        name = repository.id
    if is_json(session):
        said = {"message_type": "initialized", "id": name, "repository": shown(place)}
        print_json(said)
    tell(session, f"Made repository {name[:10]} of version {version} in {shown(place)}")
    if not session.repository.quiet:
        say("Keep its password: without it everything in there is lost.")
    say_next(session, "kbackup repo backup PATH")
