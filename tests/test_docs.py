"""The documentation says what the code does."""

from pathlib import Path

import pytest

from kbackup.plugins import hookspecs

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
