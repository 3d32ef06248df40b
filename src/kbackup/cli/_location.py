"""``kbackup location``: validate and prepare places for backups."""

from __future__ import annotations

import click

from kbackup.cli._options import Group, global_options
from kbackup.cli._output import document, print_document, say_next
from kbackup.cli._session import Session
from kbackup.errors import UnsupportedCapabilityError


@click.group(cls=Group)
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
            done = "listed" if store.read_only else "listed, written, read, deleted"
            click.echo(f"{store.url} is available: {done}")
        for problem in problems:
            click.echo(f"{store.url}: {problem}")

    print_document(session, content, table)
    if problems:
        never_made = any("never made" in problem for problem in problems)
        verb = "init" if never_made else "validate"
        say_next(session, f"kbackup location {verb} --help")
    else:
        say_next(session, "kbackup backup get")
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
    _print_done(session, "prepared")
    say_next(session, "kbackup location validate")


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
    _print_done(session, "repaired")
    say_next(session, "kbackup backup get")


def _print_done(session: Session, what: str) -> None:
    content = document("LocationReport", action=what, problems=[])
    print_document(session, content, lambda: click.echo(f"The location is {what}"))
