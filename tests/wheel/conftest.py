"""The environments that ``make test-wheel`` makes, and how programs run in them."""

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

ENVIRONMENTS = Path(__file__).parents[2] / "build/wheel"
SCRIPTS = Path(sysconfig.get_path("scripts")).name


@pytest.fixture
def run_in(tmp_path):
    """A function that runs a program of an environment and returns what it says."""

    def run(environment, program, *arguments, **variables):
        done = subprocess.run(
            [ENVIRONMENTS / environment / SCRIPTS / program, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONWARNINGS": "error", **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
