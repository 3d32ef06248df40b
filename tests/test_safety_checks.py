"""The page of the safety checks names tests that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference" / "safety-checks.md"
ROWS = {
    int(found[1]): line
    for line in PAGE.read_text().splitlines()
    if (found := re.match(r"\| (\d+) \|", line))
}


def test_there_are_twelve():
    """Each of the twelve checks has a row."""
    assert sorted(ROWS) == list(range(1, 13))


@pytest.mark.parametrize("number", ROWS)
def test_named_tests_exist(number):
    """Each row names at least one test, and each named file holds it."""
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", ROWS[number])

    assert named
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text())
        functions = {
            node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
        }
        tests = {each for each in functions if each.startswith("test_")}
        assert name in tests if name else tests


def test_every_test_of_a_check_is_named():
    """A module that is called after a safety check stands on the page."""
    page = PAGE.read_text()
    for path in (ROOT / "tests").rglob("test_safety_[0-9]*.py"):
        assert str(path.relative_to(ROOT)) in page
