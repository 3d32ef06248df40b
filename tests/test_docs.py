"""The documentation says what the code does."""

import runpy
from pathlib import Path

import pytest

from kbackup import actions
from kbackup.plugins import PluginManager, hookspecs
from kbackup.restore import _quiesce

DOCS = Path(__file__).parent.parent / "docs"

HOOKS_PAGE = DOCS / "plugins" / "hooks.md"
HOOKSPECS = {
    name: value
    for name, value in vars(hookspecs).items()
    if name.startswith("kbackup_") and callable(value)
}


@pytest.mark.parametrize("hookspec", HOOKSPECS)
def test_hookspec_is_documented(hookspec):
    """Every hookspec has its own section in docs/plugins/hooks.md."""
    assert f"\n## `{hookspec}`\n" in HOOKS_PAGE.read_text()


def test_no_hook_is_documented_that_is_not_there():
    """The page of the hooks has no section about a hook that does not exist."""
    sections = [
        line.removeprefix("## ").strip("`")
        for line in HOOKS_PAGE.read_text().splitlines()
        if line.startswith("## ")
    ]

    assert sorted(sections) == sorted(HOOKSPECS)


def test_built_in_actions_are_documented():
    """The page of the built-in actions has one row for each of them, and no other."""
    manager = PluginManager([actions], strict=True)
    offered = (*manager.backup_item_actions(), *manager.restore_item_actions())

    page = (DOCS / "plugins" / "built-in-actions.md").read_text()

    rows = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(action.name for action in offered)


def test_every_quiesced_kind_is_documented():
    """The page about copies has each kind that quiesce changes or leaves out."""
    page = (DOCS / "how-to" / "restore-a-copy.md").read_text()
    table = page[page.index("## What is changed") : page.index("## What is not")]

    kinds = {kind for _, kind in (*_quiesce.RULES, *_quiesce.LEFT_OUT)}
    assert sorted(kind for kind in kinds if kind not in table) == []


@pytest.mark.parametrize("page", ["cli.md", "settings.md"])
def test_generated_page_is_current(page):
    """The pages of commands and settings are what the code says now."""
    script = runpy.run_path(str(DOCS / "generate_reference.py"))

    written = (DOCS / "reference" / page).read_text()

    assert written == script["PAGES"][page](), "run docs/generate_reference.py"
