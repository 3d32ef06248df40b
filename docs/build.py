"""Build the site of the documentation; whatever the tools complain of is an error.

``zensical build --strict`` fails for a link or an anchor that leads nowhere. What it only
prints is read here: docstrings that do not fit their signatures, names that are not found.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
COMMAND = (sys.executable, "-m", "zensical", "build", "--strict", "--clean")
COMPLAINT = re.compile(
    r"^(griffe|mkdocstrings|mkdocs_autorefs|zensical): ", re.MULTILINE
)


def main() -> int:
    """Build into build/docs; 1 where there was anything to complain of."""
    done = subprocess.run(  # noqa: S603 - ours
        COMMAND,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    sys.stdout.write(done.stdout)
    return int(done.returncode != 0 or COMPLAINT.search(done.stdout) is not None)


if __name__ == "__main__":
    sys.exit(main())
