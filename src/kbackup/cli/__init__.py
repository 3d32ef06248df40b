"""The command line: a thin user of the library.

A command parses, calls an engine or a store once, prints, and ends with an exit code:
0 done, 1 not done, 2 wrong use, 3 ended with failed items, 130 cancelled. The only room
that reads environment variables and installs signal handlers, and the only one that
opens click and rich.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]

_CANCELLED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Ctrl-C ends it with 130 and without a traceback from here on: loading what the rest
    needs takes most of the time of a short command, so nothing is loaded before.
    """
    try:
        from kbackup.cli._app import run  # noqa: PLC0415 - see above

        code = run(arguments)
    except KeyboardInterrupt:
        code = _CANCELLED
    sys.exit(code)
