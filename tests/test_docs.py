"""The documentation says what the code does."""

import pkgutil
import re
import runpy
import tomllib
from pathlib import Path

import pytest

import kbackup
from kbackup import actions
from kbackup.plugins import PluginManager, hookspecs
from kbackup.restore import transforms
from kbackup.restore.transforms import _quiesce

DOCS = Path(__file__).parent.parent / "docs"

PAGES = sorted(
    str(page.relative_to(DOCS))
    for page in DOCS.rglob("*.md")
    if "changelog.d" not in page.parts
)
PRIVATE_ROOMS = {"actions", "cli"}
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
    offered = (
        *manager.backup_item_actions(),
        *manager.item_block_actions(),
        *manager.restore_item_actions(),
    )

    page = (DOCS / "plugins" / "built-in-actions.md").read_text()

    rows = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(action.name for action in offered)


def test_every_quiesced_kind_is_documented():
    """The page about copies has each kind that quiesce changes or leaves out."""
    page = (DOCS / "how-to" / "restore-a-copy.md").read_text()
    table = page[page.index("## What is changed") : page.index("## What is not")]

    kinds = {kind for _, kind in (*_quiesce.RULES, *_quiesce.LEFT_OUT)}
    assert sorted(kind for kind in kinds if kind not in table) == []


def test_every_transform_is_documented():
    """The page of the transforms has one row for each of them, and no other."""
    page = (DOCS / "reference" / "transforms.md").read_text()

    rows = re.findall(r"^\| `(\w+)[`(]", page, re.MULTILINE)
    assert sorted([*rows, "from_name"]) == sorted(transforms.__all__)


@pytest.mark.parametrize("page", ["api-conversions.md", "cli.md", "settings.md"])
def test_generated_page_is_current(page):
    """The pages of conversions, commands and settings are what the code says now."""
    script = runpy.run_path(str(DOCS / "generate_reference.py"))

    written = (DOCS / "reference" / page).read_text()

    assert written == script["PAGES"][page](), "run docs/generate_reference.py"


@pytest.mark.parametrize("room", ["catalog", "restore"])
def test_modules_of_the_largest_rooms_are_placed(room):
    """The page of the architecture says of each part of a large room where it belongs."""
    page = (DOCS / "concepts" / "architecture.md").read_text()
    section = page.split(f"\n**`{room}`**, ")[1].split("\n\n|")[1].split("\n\n")[0]
    package = Path(kbackup.__file__).parent / room

    placed = re.findall(r"`(_\w+)`", section)

    parts = {path.stem for path in package.glob("_[a-z]*")}
    assert sorted(placed) == sorted(parts), "see Two rooms from the inside"


def leaves(nav):
    """The pages of a navigation, in its order."""
    for entry in nav:
        for value in entry.values():
            yield from [value] if isinstance(value, str) else leaves(value)


def test_every_page_is_in_the_navigation():
    """The site's navigation leads to every page, once, and to none that is not there."""
    site = tomllib.loads((DOCS.parent / "zensical.toml").read_text())

    assert sorted(leaves(site["project"]["nav"])) == PAGES


def test_every_page_is_on_the_index():
    """The index links to every other page."""
    linked = re.findall(r"\]\(([^)#]+)\)", (DOCS / "index.md").read_text())

    assert sorted({*linked, "index.md"}) == PAGES


def test_every_public_room_has_an_api_page():
    """What is public is on the pages of the API, and nothing private is."""
    shown = {
        module
        for page in (DOCS / "reference" / "api").glob("*.md")
        for module in re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE)
    }
    rooms = {room.name for room in pkgutil.iter_modules(kbackup.__path__)}
    public = {room for room in rooms - PRIVATE_ROOMS if not room.startswith("_")}

    assert shown >= {"kbackup", *(f"kbackup.{room}" for room in public)}
    assert not any("._" in module for module in shown)
    assert shown.isdisjoint(f"kbackup.{room}" for room in PRIVATE_ROOMS)


def test_every_api_page_says_what_it_promises():
    """Every page of the API says whether what is on it is stable or provisional."""
    for page in (DOCS / "reference" / "api").glob("*.md"):
        text = page.read_text()
        assert ("\nStable: " in text) != ("\nProvisional: " in text), page.name


WRITTEN = [
    path
    for folder in (DOCS, DOCS.parent / "examples")
    for path in folder.rglob("*")
    if path.suffix in {".md", ".ipynb"}
]


@pytest.mark.parametrize("path", WRITTEN, ids=lambda p: str(p.relative_to(DOCS.parent)))
def test_no_other_kbackup_is_installed(path):
    """Nobody is told to install from the index: what has this name there is not ours."""
    assert not re.search(r"pip install [^`\n#]*['\" ]kbackup\b", path.read_text())
