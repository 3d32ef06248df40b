"""The tutorials and the pages of code to copy work as they stand."""

import os
import re
import subprocess
import sys
import sysconfig
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "<end of a step>"
# What is another one in every run, and how a page shows it.
PASSING = (
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID"),
    (r"\d+s (ago|old)", r"AGE \1"),
)


def blocks(page):
    """The code blocks of a page: their languages and their texts."""
    return BLOCK.findall((DOCS / page).read_text())


def constant(text):
    """A text without what is another one in every run."""
    for pattern, name in PASSING:
        text = re.sub(pattern, name, text)
    return text.strip()


def python_steps(found):
    """Each Python block, and what the page says it prints."""
    return [
        (text, output if language == "text" else "")
        for (kind, text), (language, output) in pairwise([*found, ("", "")])
        if kind == "python"
    ]


def shell_steps(found):
    """Each command of the console blocks, and what the page says it prints."""
    console = "".join(text for kind, text in found if kind == "console")
    return [
        tuple((part + "\n").split("\n", 1))
        for part in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]
    ]


@pytest.fixture(name="machine")
def fixture_machine(tmp_path):
    """The environment of a reader: sources in ~/kbackup, python3 on the PATH.

    What kbackup needs is taken from this interpreter, as there is no index here.
    """
    home = tmp_path / "home"
    home.mkdir()
    (home / "kbackup").symlink_to(ROOT)
    return {
        **os.environ,
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PIP_NO_BUILD_ISOLATION": "0",  # turns it off: pip reads this one so
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
        "PYTHONPATH": sysconfig.get_path("purelib"),
    }


def test_first_backup(machine, tmp_path):
    """Typed along, the tutorial leads from an empty directory to what it shows."""
    found = blocks("tutorials/first-backup.md")
    session = tmp_path / "session.py"
    python, shell = python_steps(found), shell_steps(found)
    session.write_text(f"\nprint({MARK!r})\n".join(text for text, _ in python))
    lines = [f"set -e; cd {tmp_path}"]
    for command, _ in shell:
        typed = f"python < {session}" if command == "python" else command
        lines += [typed, f"echo '{MARK}'"]

    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        env=machine,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    expected = []
    for command, output in shell:
        is_session = command == "python"
        expected += [text for _, text in python] if is_session else [output]
    printed = done.stdout.split(MARK)[:-1]
    assert list(map(constant, printed)) == list(map(constant, expected))
    assert {kind for kind, _ in found} == {"console", "python", "text"}


@pytest.mark.parametrize(
    ("family", "count"),
    [("backup-item", 17), ("item-block", 10), ("restore-item", 20), ("delete-item", 9)],
)
def test_item_action_of_the_page(family, count, tmp_path):
    """The module on the page of an item action passes the tests that are on it."""
    found = blocks(f"plugins/{family}-actions.md")
    assert {kind for kind, _ in found} == {"python"}
    page = tmp_path / "test_page.py"
    page.write_text("\n\n".join(text for _, text in found))

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", page],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert f"{count} passed" in done.stdout


NAMED = re.compile(
    r"`(\S+\.(?:py|toml))`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
PLUGIN_PAGE = "plugins/first-plugin.md"


def test_first_plugin(machine, tmp_path):
    """Typed along, the tutorial leads to a provider and an action that conform."""
    page = (DOCS / PLUGIN_PAGE).read_text()
    files = dict(NAMED.findall(page))
    assert list(files) == [
        *("pyproject.toml", "kbackup_attic.py", "try_it.py", "kbackup_stamp.py")
    ]
    [line] = [text for language, text in blocks(PLUGIN_PAGE) if language == "text"]
    shell = shell_steps(blocks(PLUGIN_PAGE))
    project = tmp_path / "kbackup-attic"
    lines = [f"set -e; cd {tmp_path}"]
    for number, (command, _) in enumerate(shell):
        lines += [command, f"echo '{MARK}'"]
        if command == "cd kbackup-attic":
            lines += [f"cp {tmp_path}/typed/* ."]
        if number == len(shell) - 3:  # the second entry point comes before it
            lines += [f"printf '{line.strip()}\\n' >> pyproject.toml"]
    (tmp_path / "typed").mkdir()
    for name, text in files.items():
        (tmp_path / "typed" / name).write_text(text)

    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        env=machine,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    printed = done.stdout.split(MARK)[:-1]
    assert list(map(words, printed)) == [words(output) for _, output in shell]
    provider = files["pyproject.toml"] + files["kbackup_attic.py"]
    assert len(provider.splitlines()) < 60
    assert (project / "kbackup_stamp.py").is_file()


def words(text):
    """A text without the widths of its columns."""
    return text.split()
