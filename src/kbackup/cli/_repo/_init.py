"""``kbackup repo init``."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import click

from kbackup.cli._options import Command
from kbackup.cli._output import say, say_next
from kbackup.cli._repo._opening import meant, opened_as, refuse_yaml
from kbackup.cli._repo._options import repository_options
from kbackup.cli._repo._other import from_options, source_of, telling_of
from kbackup.cli._repo._password import new_password
from kbackup.cli._repo._place import backend_at, place_of, shown
from kbackup.cli._repo._telling import is_json, print_json, tell
from kbackup.cli._repo._ways import FROM
from kbackup.cli._session import Session
from kbackup.cli._signals import cancel_on_signal
from kbackup.errors import InvalidSpecError

_VERSIONS = {"1": 1, "2": 2, "stable": 2, "latest": 2}


@click.command(cls=Command)
@click.option(
    "--repository-version",
    type=click.Choice(list(_VERSIONS)),
    default="stable",
    help="1 for restic before 0.14; default 2, which compresses.",
)
@click.option(
    "--copy-chunker-params",
    "cuts_alike",
    is_flag=True,
    help="Cut files as the repository of --from-repo does, to copy between the two.",
)
@from_options
@repository_options
@click.pass_obj
def init(
    session: Session, /, *, repository_version: str, cuts_alike: bool, **flags: Any
) -> None:
    """Make a repository: a directory is made, a bucket must be there.

    Without the password nobody ever reads what is in it.
    """
    from kbackup.repository import Repository  # noqa: PLC0415 - on demand

    refuse_yaml(session)
    if not cuts_alike and any(flags.values()):
        raise InvalidSpecError(["--from-repo goes with --copy-chunker-params"])
    place = place_of(session.repository)
    password = new_password(session.repository, place)
    version = _VERSIONS[repository_version]
    with ExitStack() as stack:
        other = None
        if cuts_alike:
            source = source_of(session, flags)
            stack.enter_context(telling_of(session, source))
            token = stack.enter_context(cancel_on_signal())
            origin = opened_as(session, meant(session, source, FROM), token)
            other = stack.enter_context(origin)
        backend = stack.enter_context(backend_at(session, place))
        made = Repository.init(backend, password, version=version, cuts_of=other)
        name = stack.enter_context(made).id
    if is_json(session):
        said = {"message_type": "initialized", "id": name, "repository": shown(place)}
        print_json(said)
    tell(session, f"Made repository {name[:10]} of version {version} in {shown(place)}")
    if not session.repository.quiet:
        say("Keep its password: without it everything in there is lost.")
    say_next(session, "kbackup repo backup PATH")
