"""Stock restic's check calls damaged what kbackup's does, and whole what is whole there."""

import os
import subprocess

import pytest

from damages import DAMAGES, PASSWORD, Sample


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    """A repository of two snapshots that is whole."""
    directory = tmp_path_factory.mktemp("intact")
    return Sample.make(directory / "repository", directory / "source")


@pytest.mark.parametrize(
    "damage",
    [damage for damage in DAMAGES if damage.restic],
    ids=lambda damage: damage.name,
)
def test_restic_says_the_same(need_tool, intact, tmp_path, damage):
    """Its exit code tells."""
    sample = intact.copy(tmp_path / "repository")
    damage.act(sample)

    done = subprocess.run(
        [need_tool("restic"), "--repo", sample.place, "--no-cache", *damage.restic],
        env=os.environ | {"RESTIC_PASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ("no errors were found" in done.stdout) is damage.is_whole, done.stderr
    assert (done.returncode == 0) is damage.is_whole
