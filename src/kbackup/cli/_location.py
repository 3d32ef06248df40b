"""``kbackup location``: validate and prepare places for backups."""

from __future__ import annotations

import click

from kbackup.cli._options import global_options
from kbackup.cli._output import document, print_document, say
from kbackup.cli._session import Session
from kbackup.errors import UnsupportedCapabilityError


@click.group()
@global_options
def location() -> None:
    """Validate and prepare places for backups."""


@location.command()
@global_options
@click.pass_obj
def validate(session: Session) -> int:
    """Check that the location can be listed, written, read and deleted from."""
    store = session.store()
    problems = store.validate()
    content = document("LocationReport", location=store.url, problems=list(problems))

    def table() -> None:
        if not problems:
            click.echo(f"{store.url} is available: listed, written, read, deleted")
        for problem in problems:
            click.echo(f"{store.url}: {problem}")

    print_document(session, content, table)
    return 1 if problems else 0


@location.command()
@global_options
@click.pass_obj
def init(session: Session) -> None:
    """Prepare the directories of a mirrored location, or of a new single one.

    A directory without the location's mark is taken for an unmounted disk and never
    written; this makes the mark.
    """
    from kbackup.stores import PreparableStore  # noqa: PLC0415 - on demand

    with session.object_store() as store:
        if not isinstance(store, PreparableStore):
            raise UnsupportedCapabilityError("", "it needs no preparation")
        store.initialise()
    say("Prepared. Next: kbackup location validate")


@location.command()
@global_options
@click.pass_obj
def repair(session: Session) -> None:
    """Copy what is missing in one directory of a mirrored location from another."""
    from kbackup.stores import RepairableStore  # noqa: PLC0415 - on demand

    with session.object_store() as store:
        if not isinstance(store, RepairableStore):
            raise UnsupportedCapabilityError("", "it keeps one copy only")
        store.repair()
    say("Repaired. Next: kbackup backup get")
