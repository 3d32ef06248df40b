"""The questions that a command asks, and whether there is anybody to answer them."""

from __future__ import annotations

import sys
from contextlib import suppress

import click

from kbackup._kits.words import printable
from kbackup.cli._output import is_terminal


class NobodyToAskError(click.UsageError):
    """A command would have to ask, and there is no terminal.

    Attributes:
        option: What spares the question.
        first: The command that shows what would be done; empty: there is none.
        shown_by: The option that does so with the same command; empty: there is none.
    """

    def __init__(self, option: str, first: str = "", shown_by: str = "") -> None:
        super().__init__(f"there is no terminal to ask on: give {option}")
        self.option = option
        self.first = first
        self.shown_by = shown_by


def require_somebody_to_ask(*, yes: bool, first: str = "", shown_by: str = "") -> None:
    """Refuse to begin what will have to ask where nobody can answer.

    Args:
        yes: Whether the question was answered beforehand.
        first: The command that shows what the question would have shown.
        shown_by: Or the option that does so with the same command.

    Raises:
        NobodyToAskError: There is no terminal and *yes* was not given.
    """
    if not yes and not somebody_to_ask():
        raise NobodyToAskError("--yes", first, shown_by)


def somebody_to_ask() -> bool:
    """Tell whether a person sits there, who sees a question and can answer it."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def asked_password(question: str, *, twice: bool = False) -> str:
    """Ask for a password, which the terminal does not show.

    Args:
        question: Without the colon.
        twice: It is a new one, and a slip would lock its owner out.
    """
    _forget_typed_ahead()
    again = "Once more" if twice else False
    answer: str = click.prompt(
        printable(question), hide_input=True, confirmation_prompt=again, err=True
    )
    return answer


def agreed(question: str, *, yes: bool) -> bool:
    """Ask on a terminal, unless *yes* was given beforehand.

    What was typed before the question stood there is no answer to it.
    """
    if yes:
        return True
    _forget_typed_ahead()
    return click.confirm(printable(question), err=True)


def _forget_typed_ahead() -> None:
    """Throw away what the terminal holds and nobody has read."""
    try:
        import termios  # noqa: PLC0415 - Windows has none
    except ImportError:
        return
    with suppress(termios.error, OSError, ValueError):  # no terminal's descriptor
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
