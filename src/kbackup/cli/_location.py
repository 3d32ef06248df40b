"""``kbackup location``: validate and prepare places for backups."""

from __future__ import annotations

import click

from kbackup.cli._options import global_options
from kbackup.cli._output import document, print_document
from kbackup.cli._session import Session


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
