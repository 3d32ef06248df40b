"""``kbackup plugin``: what is installed, and what is broken."""

from __future__ import annotations

import click

from kbackup.cli._options import Group, global_options
from kbackup.cli._output import document, print_document, print_table
from kbackup.cli._session import Session


@click.group(cls=Group)
@global_options
def plugin() -> None:
    """Show which plugins are installed."""


@plugin.command()
@global_options
@click.pass_obj
def get(session: Session) -> None:
    """List every plugin by name and kind, the unavailable ones with their cause."""
    infos = session.plugins.list_plugins()
    rows = [
        {
            "name": info.name,
            "kind": info.kind,
            "distribution": info.distribution,
            "version": info.version,
            "entryPoint": info.entry_point,
            "available": info.available,
            "cause": info.cause,
        }
        for info in infos
    ]

    def table() -> None:
        print_table(
            ("NAME", "KIND", "FROM", "STATUS"),
            (
                (
                    info.name,
                    info.kind,
                    f"{info.distribution} {info.version}".strip(),
                    "available" if info.available else f"unavailable: {info.cause}",
                )
                for info in infos
            ),
        )

    print_document(session, document("PluginList", items=rows), table)
