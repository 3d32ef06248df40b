"""``kbackup plugin``: what is installed, what is broken, and what authors need."""

from __future__ import annotations

import click

from kbackup.cli._options import Group, global_options
from kbackup.cli._output import document, print_document, print_table
from kbackup.cli._plugin_check import check
from kbackup.cli._plugin_new import new
from kbackup.cli._session import Session


@click.group(cls=Group)
@global_options
def plugin() -> None:
    """List, check and begin plugins."""


plugin.add_command(check)
plugin.add_command(new)


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
            "protocolVersion": info.api_version,
            "capabilities": list(info.capabilities),
            "state": info.state,
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
                    info.release,
                    "available" if info.available else f"unavailable: {info.cause}",
                )
                for info in infos
            ),
        )

    print_document(session, document("PluginList", items=rows), table)
