"""What the verbs of a repository print: restic's JSON for programs, words for people."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from kbackup.cli._output import echo, say

if TYPE_CHECKING:
    from kbackup.cli._session import Session


def is_json(session: Session) -> bool:
    """Tell whether a program reads what is printed."""
    return session.output == "json"


def print_json(value: Any) -> None:
    """Print one document, or one message of several, in one line."""
    echo(json.dumps(value))


def tell(session: Session, text: str) -> None:
    """Print how something ended, to people who want to know."""
    if not is_json(session) and not session.repository.quiet:
        echo(text)


def warn(session: Session, what: str, reason: str, *, during: str) -> None:
    """Tell on stderr of one thing that failed while the rest went on.

    Args:
        session: Says for whom.
        what: Mostly a path.
        reason: What went wrong.
        during: What was done, as restic calls it: ``archival``, ``restore``.
    """
    if is_json(session):
        error = {"message": reason}
        message = {"message_type": "error", "error": error, "during": during}
        say(json.dumps(message | {"item": what}))
    else:
        say(f"warning: {what}: {reason}")


def path_of(name: bytes) -> str:
    """Return a path from the snapshot's root, with a slash in front, as restic has it."""
    return "/" + os.fsdecode(name).strip("/")
