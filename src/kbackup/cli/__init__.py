"""The command line: a thin user of the library.

A command parses, calls an engine or a store once, prints, and ends with an exit code:
0 done, 1 not done, 2 wrong use, 3 ended with failed items, 130 cancelled. The only room
that reads environment variables and installs signal handlers, and the only one that
opens click and rich.
"""

from kbackup.cli._app import main

__all__ = ["main"]
