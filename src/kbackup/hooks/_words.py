"""What is told of a command's end: little, because a command may print a password. Pure.

A command is never quoted, and of what it writes an error has the last line of stderr
only; everything else goes to the host's own log, where that wants debug records.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kbackup._kits.words import printable

_LONGEST = 200  # characters
_NAMES_A_SECRET = re.compile(r"pass|pwd|secret|token|key|credential", re.IGNORECASE)
_MASK = "***"


def last_line(written: bytes, command: Sequence[str]) -> str:
    """Return the last line that says something, without what `masked` hides."""
    lines = written.decode(errors="replace").splitlines()
    told = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return masked(told, command)


def masked(text: str, command: Sequence[str]) -> str:
    """Return *text* on one line, cut, without those parts of *command* that may be secret.

    These are arguments with a blank, such as a script or a whole command line that was
    given as one word (a container runtime quotes it), and words that name a secret.
    """
    for word in sorted(_sensitive(command), key=len, reverse=True):
        text = text.replace(word, _MASK)
    text = printable(" ".join(text.split()))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _sensitive(command: Sequence[str]) -> Iterator[str]:
    for argument in command:
        words = argument.split()
        if len(words) > 1:
            yield argument
        yield from (word for word in words if _NAMES_A_SECRET.search(word))
