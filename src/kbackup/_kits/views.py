"""What a value shows in a notebook: its lines and its tables as HTML, never pages.

A value's text and its HTML are made of the same lines and rows. All of it is escaped:
names and messages come from archives, clusters and plugins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import attrs

from kbackup._kits.words import and_more, first_few, printable

_LINES = 50
_OF_EACH = 20  # rows that begin with the same word: many creates hide no conflict
_ROWS = 200
_DETAILS = 10  # of a row
_CHARACTERS = 2000  # of a cell or a line
# Notebooks typeset what stands between dollar signs, links to scripts included.
_OPEN = '<div class="tex2jax_ignore mathjax_ignore">'
# Notebooks align the cells of a table to the right, and run its lines together.
_STYLE = ' style="text-align: left; white-space: pre-wrap"'


class Row(NamedTuple):
    """One thing that is told, as text and as a row of a table.

    Attributes:
        kind: What is done or found; one word.
        what: The item.
        why: The reason, or nothing.
        details: A line for each, such as a field that differs.
    """

    kind: str
    what: str
    why: str = ""
    details: Sequence[str] = ()

    def text(self, *, width: int = 0) -> str:
        """Return the line without the details; *width* is that of the first column."""
        why = f": {self.why}" if self.why else ""
        return f"{self.kind:<{width}} {self.what}{why}"

    def cells(self) -> tuple[str, str, str]:
        """Return three cells, with the first details in the last one."""
        more = and_more(self.details, _DETAILS)
        told = [self.why, *self.details[:_DETAILS], more]
        return self.kind, self.what, "\n".join(filter(None, told))


@attrs.frozen
class Table:
    """Rows that are shown below headers.

    Attributes:
        headers: One for each column.
        rows: The first cell says what kind of row it is; of each kind the first are
            shown. A cell may have several lines.
    """

    headers: Sequence[str]
    rows: Iterable[Sequence[str]]


def html_of(title: str, *parts: Sequence[str] | Table) -> str:
    """Return the HTML of a title, and of lines and tables; empty ones are left out."""
    shown = [_OPEN, f"<p><strong>{_escaped(title)}</strong></p>"]
    for part in parts:
        shown += _table(part) if isinstance(part, Table) else _lines(part)
    return "\n".join([*shown, "</div>"])


def _lines(lines: Sequence[str]) -> Iterator[str]:
    if lines:
        more = and_more(lines, _LINES)
        text = "\n".join(map(_escaped, [*lines[:_LINES], *filter(None, [more])]))
        yield f"<pre>{text}</pre>"


def _table(table: Table) -> Iterator[str]:
    """Yield a table and, where it was cut, how many rows of which kind are not in it."""
    shown: list[Sequence[str]] = []
    met: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for row in table.rows:
        met[row[0]] += 1
        if met[row[0]] > _OF_EACH or len(shown) >= _ROWS:
            left[row[0]] += 1
        else:
            shown.append(row)
    if not shown:
        return
    yield f"<table>\n<thead>{_row('th', table.headers)}</thead>\n<tbody>"
    yield from (_row("td", row) for row in shown)
    yield "</tbody>\n</table>"
    if left:
        counts = [f"{number} {kind}" for kind, number in left.items()]
        yield f"<p>and more: {_escaped(first_few(counts))}</p>"


def _row(tag: str, cells: Iterable[str]) -> str:
    texts = (f"<{tag}{_STYLE}>{_escaped(cell)}</{tag}>" for cell in cells)
    return f"<tr>{''.join(texts)}</tr>"


def _escaped(text: str) -> str:
    from html import escape  # noqa: PLC0415 - in notebooks only

    cut = text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}..."
    return escape(printable(cut))
