"""How results are printed: tables for people, JSON and YAML for programs.

What was asked for goes to stdout; messages, questions and progress go to stderr. All of
it goes through `echo`: what a store, a file or a cluster says may be anybody's.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import IO, TYPE_CHECKING, Any, TextIO

import attrs
import click

from kbackup._kits.words import first_few, one_line, plural, printable

if TYPE_CHECKING:
    from kbackup.cli._session import Session
    from kbackup.models import ResultEntry, Results

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_FOLDED = 5  # as many items of which the same is said have a line each
_NAMED = 3  # of more
_GAP = "   "  # between columns, as kubectl


def echo(
    text: str = "", *, bold: bool = False, err: bool = False, nl: bool = True
) -> None:
    """Print text of anybody; nothing is printed in another way.

    What a command does, it does whoever listens; see `bearing_loss`.
    """
    stream = sys.stderr if err else sys.stdout
    text = _encodable(printable(text), stream)
    with bearing_loss(stream):
        click.echo(click.style(text, bold=True) if bold else text, err=err, nl=nl)


@contextmanager
def bearing_loss(stream: IO[Any]) -> Iterator[None]:
    """Let what *stream* does not take end nowhere, and the command go on.

    A reader such as head has seen enough. Any other fault of stdout is told, and the
    session remembers that the command was not wholly done; of stderr it cannot be told.
    """
    try:
        yield
    except BrokenPipeError:
        _silence(stream)
    except OSError as exc:
        _silence(stream)
        if stream not in (sys.stdout, getattr(sys.stdout, "buffer", None)):
            return
        context = click.get_current_context(silent=True)
        session: Session | None = context.obj if context is not None else None
        if session is not None:
            session.unwritten = True
        say(f"Error: the output could not be written: {exc.strerror or exc}")


def _encodable(text: str, stream: TextIO | None) -> str:
    """Write what the encoding of a stream does not have as JSON does, or nearly."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    if encoding.lower() in {"utf-8", "ascii"}:  # click takes the one for the other
        return text
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _silence(stream: IO[Any]) -> None:
    """Let a stream end nowhere from now on; Python flushes it at exit as well."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a person is at the other end; nobody is where it was closed."""
    return stream is not None and stream.isatty()


def document(kind: str, **fields: Any) -> dict[str, Any]:
    """Return a document of ours, with its kind and version in front."""
    from kbackup.models import API_VERSION  # noqa: PLC0415 - with what is printed

    return {"apiVersion": API_VERSION, "kind": kind, **fields}


def print_document(
    session: Session, content: Mapping[str, Any], table: Callable[[], None] | None
) -> None:
    """Print *content* in the chosen format; *table* prints it for people, else YAML."""
    text = json.dumps(content, indent=2, default=str)
    if session.output == "json":
        echo(text)
    elif session.output == "yaml" or table is None:
        from kbackup.models import dump_yaml  # noqa: PLC0415 - costs 20 ms

        echo(dump_yaml(json.loads(text)), nl=False)  # plain values only
    else:
        table()


def print_lines(
    session: Session, lines: Iterable[str], *, kind: str, name: str
) -> None:
    """Print the lines of a log as they come, or as one document."""
    if session.output == "table":
        for line in lines:
            echo(line.rstrip("\r\n"))
        return
    kept = [line.rstrip("\n") for line in lines]
    print_document(session, document(kind, name=name, lines=kept), None)


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print columns as kubectl does, cut to nothing; without rows nothing."""
    cells = [tuple(headers), *(tuple(map(one_line, row)) for row in rows)]
    if len(cells) == 1:
        return
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for number, row in enumerate(cells):
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        echo(_GAP.join(padded).rstrip(), bold=number == 0)


def print_results(results: Results) -> None:
    """Print the warnings and errors of a run, errors last; what is said of many once."""
    for word, entries in (("warning", results.warnings), ("error", results.errors)):
        for text in _folded(entries):
            echo(f"  {word}: {text}", err=True)


def _folded(entries: Iterable[ResultEntry]) -> Iterator[str]:
    """Yield a line for each entry, and one for many items of which the same is said."""
    alike: dict[tuple[str, ...], list[ResultEntry]] = {}
    for entry in entries:
        own = "" if entry.item is not None else str(len(alike))  # folds with none
        key = (entry.message, entry.cause, entry.plugin, own)
        alike.setdefault(key, []).append(entry)
    for same in alike.values():
        if len(same) <= _FOLDED:
            yield from map(str, same)
            continue
        several = attrs.evolve(same[0], item=None)
        refs = [entry.item for entry in same]
        yield f"{plural(len(same), 'item')}: {several}: {first_few(refs, _NAMED)}"


def ago(instant: datetime | None, now: datetime) -> str:
    """Return how long ago *instant* is, in its largest unit, such as ``3d ago``.

    Another machine wrote it, whose clock may be ahead: nothing is minutes ago then.
    """
    if instant is None:
        return "unknown"
    if instant > now:
        return f"{span(instant - now)} ahead of this clock"
    return f"{span(now - instant)} ago"


def span(duration: timedelta) -> str:
    """Return *duration* in its largest whole unit, such as ``3d`` or ``40s``."""
    seconds = int(duration.total_seconds())
    for size, unit in _UNITS:
        if abs(seconds) >= size:
            return f"{seconds // size}{unit}"
    return "0s"


def results_json(results: Results) -> dict[str, Any]:
    """Return every warning and error with what it is about."""
    return {
        word: [
            {
                "message": entry.message,
                "area": entry.area,
                "namespace": entry.namespace,
                "item": str(entry.item) if entry.item is not None else "",
                "plugin": entry.plugin,
                "pluginRelease": entry.release,
                "cause": entry.cause,
            }
            for entry in entries
        ]
        for word, entries in (
            ("warnings", results.warnings),
            ("errors", results.errors),
        )
    }


def say_next(session: Session, command: str) -> None:
    """Tell a person what to type next, with the global options of this call."""
    session.told_next = True
    if session.is_for_programs:
        return
    echo(f"Next: {session.complete(command)}", err=True)


def say_once_mended(session: Session, command: str) -> None:
    """Tell what to type after what no command of ours can do."""
    say("Once that is mended:")
    say_next(session, command)


def say(message: str = "") -> None:
    """Tell the person something that is not the result."""
    echo(message, err=True)
