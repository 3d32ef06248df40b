"""What is installed is what is needed: packages, data, types, entry points."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(name="wheel", scope="module")
def fixture_wheel(tmp_path_factory):
    """The wheel built from this checkout."""
    target = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", target],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (path,) = target.glob("*.whl")
    return zipfile.ZipFile(path)


def test_wheel_holds_every_source_file(wheel):
    """Every module and every data file of the packages is in the wheel."""
    sources = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert sources <= set(wheel.namelist())


@pytest.mark.parametrize(
    "package",
    [
        "kbackup",
        "kbackup_plugins_aws",
        "kbackup_plugins_azure",
        "kbackup_plugins_fsspec",
        "kbackup_plugins_gcp",
        "kbackup_plugins_local",
    ],
)
def test_packages_are_typed(wheel, package):
    """Type checkers find the marker of each package."""
    assert f"{package}/py.typed" in wheel.namelist()


def test_entry_points(wheel):
    """The command and the plugins are found after installation."""
    (name,) = (n for n in wheel.namelist() if n.endswith("entry_points.txt"))
    text = wheel.read(name).decode()

    assert "kbackup = kbackup.cli:main" in text
    for plugin in ("builtin", "stores", "local", "aws", "azure", "gcp"):
        assert f"\n{plugin} = " in text


def test_licence_and_readme(wheel):
    """The wheel carries its licence and describes itself by the README."""
    (name,) = (n for n in wheel.namelist() if n.endswith("METADATA"))
    metadata = wheel.read(name).decode()

    assert "License-Expression: Apache-2.0" in metadata
    assert "make demo" in metadata
    assert any(n.endswith("licenses/LICENSE") for n in wheel.namelist())
