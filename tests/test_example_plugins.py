"""The example plugins can be installed, are found, and pass their own tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
OFFERS = {
    "03-provider-plugin": "example.com/sqlite",
    "04-item-action": "example.com/registry-mirror",
}
LIST_AVAILABLE = """
from kbackup.plugins import PluginManager
print(*(info.name for info in PluginManager().list_plugins() if info.available))
"""


def python(*arguments, cwd, path=""):
    """Run this interpreter and return what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("example", "name"), OFFERS.items())
def test_installed_example_is_found(example, name, tmp_path):
    """The wheel of the project has the entry point by which hosts find it."""
    python(
        "-m",
        "hatchling",
        "build",
        "-t",
        "wheel",
        "-d",
        tmp_path,
        cwd=EXAMPLES / example,
    )
    (wheel,) = tmp_path.glob("*.whl")

    found = python("-c", LIST_AVAILABLE, cwd=tmp_path, path=str(wheel))

    assert name in found.split()


@pytest.mark.parametrize("example", OFFERS)
def test_example_passes_its_own_tests(example):
    """The tests that come with the example pass."""
    python("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=EXAMPLES / example)
