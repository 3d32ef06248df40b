"""The page of Velero's features names, row by row, a test that exists."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = "reference/velero-parity.md"
HEAD = ["feature", "Velero", "kbackup", "test"]
OPEN = "not yet"
CLOSED = re.compile(r"not for a library: \S.*")
AT_MOST_CLOSED = 10


def _tables():
    """The cells of each row of the page, by the heading that the row stands under."""
    tables, heading = {}, ""
    for line in (ROOT / "docs" / PAGE).read_text().splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("|") and not line.startswith("|---"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            tables.setdefault(heading, []).append(cells)
    return tables


TABLES = _tables()
ROWS = [
    pytest.param(row, id=f"{heading}: {row[0]}")
    for heading, (_, *rows) in TABLES.items()
    for row in rows
]


@cache
def _tests_of(path):
    """The names of the tests in a file, which is read and not imported."""
    found = ast.walk(ast.parse((ROOT / path).read_text()))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = {node.name for node in found if isinstance(node, kinds)}
    return {name for name in names if name.startswith("test_")}


@pytest.mark.parametrize("heading", TABLES)
def test_every_table_has_the_same_columns(heading):
    """Each section is one table of four columns, and no feature stands in it twice."""
    head, *rows = TABLES[heading]

    assert head == HEAD
    assert rows
    assert {len(row) for row in rows} == {len(HEAD)}
    assert len({row[0] for row in rows}) == len(rows)


@pytest.mark.parametrize("row", ROWS)
def test_every_row_is_proven_or_says_that_it_is_open(row):
    """A row names tests, all of which exist, or says why there is none."""
    *told, tests = row

    assert all(told)
    if tests == OPEN or CLOSED.fullmatch(tests):
        return
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", tests)
    assert ", ".join(f"`{path}::{name}`" for path, name in named) == tests
    for path, name in named:
        assert name in _tests_of(path), f"{path} has no {name}"


def test_few_rows_are_closed_without_a_test():
    """That something is not for a library is said of a handful of rows at most."""
    rows = [row for _, *rows in TABLES.values() for row in rows]

    assert sum(bool(CLOSED.fullmatch(row[-1])) for row in rows) <= AT_MOST_CLOSED


def test_the_page_is_in_the_navigation():
    """Who reads the documentation finds the page among the reference."""
    site = tomllib.loads((ROOT / "zensical.toml").read_text())

    (reference,) = [x["Reference"] for x in site["project"]["nav"] if "Reference" in x]
    assert {"Velero parity": PAGE} in reference
