"""``kbackup version``."""

from __future__ import annotations

import platform
from importlib.metadata import version as installed_version

import click

from kbackup.cli._options import global_options
from kbackup.cli._output import document, echo, print_document
from kbackup.cli._session import Session


@click.command()
@global_options
@click.pass_obj
def version(session: Session) -> None:
    """Print the version of kbackup and of Python; --version prints the first alone."""
    content = document(
        "Version",
        version=installed_version("kbackup"),
        python=platform.python_version(),
    )
    print_document(
        session,
        content,
        lambda: echo(f"kbackup {content['version']}, Python {content['python']}"),
    )
