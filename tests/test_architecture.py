"""The house is as its plan says: layers, doors, sizes."""

import ast
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "src").rglob("*.py"))
MOST_LINES_IN_A_MODULE = 500
MOST_LINES_IN_A_FUNCTION = 50


def test_rooms_keep_to_their_layers():
    """Every import contract of pyproject.toml is kept."""
    linter = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as c; c()",
    ]

    done = subprocess.run(linter, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_rooms_are_entered_through_their_doors():
    """No room imports an underscored module of another room."""
    graph = grimp.build_graph("kbackup", cache_dir=None)
    broken = []

    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            room, *inner = imported.split(".")[1:] or [""]
            if room != "_kits" and importer.split(".")[1:2] != [room]:
                broken += [(importer, imported)] * any(p.startswith("_") for p in inner)

    assert broken == []


@pytest.mark.parametrize(
    "path", SOURCES, ids=lambda p: str(p.relative_to(ROOT / "src"))
)
def test_modules_stay_readable(path):
    """A module says what it is for and stays small, and so does each function."""
    text = path.read_text()
    tree = ast.parse(text)

    functions = [
        node
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    long_ones = [
        f.name for f in functions if f.end_lineno - f.lineno > MOST_LINES_IN_A_FUNCTION
    ]

    assert ast.get_docstring(tree)
    assert text.count("\n") <= MOST_LINES_IN_A_MODULE
    assert long_ones == []
