"""How results are printed: tables for people, JSON and YAML for programs.

What was asked for goes to stdout; messages, questions and progress go to stderr.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import click

from kbackup.cli._session import Session
from kbackup.models import Results, dump_yaml

API_VERSION = "kbackup.io/v1"
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_WIDE = 10_000  # columns where nobody looks: a program must not read cut lines


def document(kind: str, **fields: Any) -> dict[str, Any]:
    """Return a document of ours, with its kind and version in front."""
    return {"apiVersion": API_VERSION, "kind": kind, **fields}


def print_document(
    session: Session, content: Mapping[str, Any], table: Callable[[], None]
) -> None:
    """Print *content* in the chosen format; *table* prints it for people."""
    if session.output == "json":
        click.echo(json.dumps(content, indent=2, default=str))
    elif session.output == "yaml":
        click.echo(dump_yaml(content), nl=False)
    else:
        table()


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns as kubectl does, cut to nothing but a terminal's width."""
    from rich.console import Console  # noqa: PLC0415 - costs 50 ms
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for header in headers:
        table.add_column(header, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    width = None if sys.stdout.isatty() else _WIDE
    console = Console(width=width, highlight=False)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def print_results(results: Results) -> None:
    """Print every warning and error of a run, errors last."""
    for word, entries in (("warning", results.warnings), ("error", results.errors)):
        for entry in entries:
            about = f"{entry.item}: " if entry.item is not None else ""
            click.echo(f"  {word}: {about}{entry.message}", err=True)


def age(instant: datetime | None, now: datetime) -> str:
    """Return how long ago *instant* is, in its largest unit, such as ``3d``."""
    if instant is None:
        return "n/a"
    return span(now - instant)


def span(duration: timedelta) -> str:
    """Return *duration* in its largest whole unit, such as ``3d`` or ``40s``."""
    seconds = int(duration.total_seconds())
    for size, unit in _UNITS:
        if abs(seconds) >= size:
            return f"{seconds // size}{unit}"
    return "0s"


def plural(number: int, word: str) -> str:
    """Return ``1 item``, ``2 items``."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def say(message: str = "") -> None:
    """Tell the person something that is not the result."""
    click.echo(message, err=True)
