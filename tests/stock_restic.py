"""Stock restic on one repository, as its users call it."""

import json
import os
import subprocess


class StockRestic:
    """Runs restic on one repository.

    Args:
        program: Where it is.
        place: A directory, or what else restic takes for ``--repo``.
        password: Of the repository.
        environment: More variables, such as credentials.
    """

    def __init__(self, program, place, password, environment=None):
        self.place = place
        self._program, self._password = program, password
        self._environment = os.environ | (environment or {})

    def __call__(self, *arguments, expect=(0,), cwd=None):
        """Run a command; return what it printed. Asserts its exit code."""
        done = subprocess.run(
            [self._program, "--repo", self.place, "--no-cache", *arguments],
            env=self._environment | {"RESTIC_PASSWORD": self._password},
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=300,
            check=False,
            cwd=cwd,
        )
        assert done.returncode in expect, done.stdout + done.stderr
        return done.stdout

    def json(self, *arguments, **more):
        """Run a command with ``--json``; return the last document that it printed."""
        return json.loads(self(*arguments, "--json", **more).splitlines()[-1])

    def check(self):
        """Read every byte of it; assert that nothing is wrong."""
        assert "no errors were found" in self("check", "--read-data")
