"""HTML for a notebook: escaped, bounded, and made of the rows that the text has."""

from html.parser import HTMLParser

import pytest

from kbackup._kits.views import Row, Table, html_of

HEADERS = ("KIND", "ITEM", "WHY")


def tags_of(html):
    """The tags that a browser would open."""
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append(tag)
    parser.feed(html)
    return set(found)


def test_nothing_is_markup_but_our_own():
    """A title, a line, a header or a cell of anybody's opens no tag in a notebook."""
    evil = "<script>alert('x')</script>\"><img src=x>"

    html = html_of(evil, [evil], Table((evil,), [(evil,)]))

    assert tags_of(html) == {
        *("div", "p", "strong", "pre"),
        *("table", "thead", "tbody", "tr", "th", "td"),
    }
    assert html.count("&lt;script&gt;alert(&#x27;x&#x27;)") == 4


def test_what_cannot_be_sent_is_written_out():
    """A name with half a character or a control character breaks no notebook."""
    html = html_of("t", Table(HEADERS, [("create", "\ud800\x00", "")]))

    assert "\\ud800\\u0000" in html
    html.encode()


def test_many_rows_of_one_kind_hide_no_other():
    """Of a thousand creates the first are shown, then the conflict, then how many more."""
    rows = [("create", f"item-{number}", "") for number in range(1000)]

    html = html_of("t", Table(HEADERS, [*rows, ("conflict", "the-one", "why")]))

    assert html.count("item-") == 20
    assert "the-one" in html
    assert html.endswith("<p>and more: 980 create</p>\n</div>")


def test_many_kinds_are_bounded_too():
    """A table whose rows are all of another kind ends as well, and says so."""
    html = html_of("t", Table(HEADERS, [(f"k{n}", "x", "") for n in range(10_000)]))

    assert html.count("<tr>") == 201
    assert "and 9795 more" in html


def test_long_texts_are_cut():
    """A message of a megabyte, or a thousand lines, does not fill the page."""
    html = html_of("t" * 10**6, ["line"] * 1000, Table(HEADERS, [("a", "b" * 10**6)]))

    assert len(html) < 10_000
    assert "and 950 more" in html


def test_what_is_empty_is_left_out():
    """Without lines and rows there is the title alone."""
    html = html_of("t", [], Table(HEADERS, ()))

    assert html.splitlines()[1:-1] == ["<p><strong>t</strong></p>"]


def test_nothing_is_typeset_as_a_formula():
    """A value such as ``$(HOME)`` stays as it is: notebooks leave this part alone."""
    html = html_of("t", ["$\\href{javascript:alert(1)}{x}$"])

    assert html.startswith('<div class="tex2jax_ignore mathjax_ignore">')
    assert html.endswith("</div>")


@pytest.mark.parametrize(
    ("row", "text", "cells"),
    [
        (Row("skip", "a"), "skip   a", ("skip", "a", "")),
        (Row("skip", "a", "why"), "skip   a: why", ("skip", "a", "why")),
        (Row("skip", "a", "why", ["x"]), "skip   a: why", ("skip", "a", "why\nx")),
        (Row("skip", "a", "", ["x", "y"]), "skip   a", ("skip", "a", "x\ny")),
    ],
)
def test_text_and_cells_say_the_same(row, text, cells):
    """A row as a line has kind, item and reason; its last cell has the details too."""
    assert row.text(width=6) == text
    assert row.cells() == cells


def test_many_details_are_counted():
    """Of an object that differs in a hundred fields the first ten are in its cell."""
    (*_, last) = Row("update", "a", details=[f"f{n}" for n in range(100)]).cells()

    assert last.splitlines()[-2:] == ["f9", "and 90 more"]
