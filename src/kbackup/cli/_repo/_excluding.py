"""The options of a backup that leave something out; names and meanings are restic's."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kbackup.cli._repo._options import Size

if TYPE_CHECKING:
    from kbackup.repository import Excludes

F = TypeVar("F", bound=Callable[..., Any])

_FILE = click.Path(exists=True, dir_okay=False)
_OPTIONS = (
    click.option(
        "-e",
        "--exclude",
        multiple=True,
        metavar="PATTERN",
        help="Leave out what matches, and what lies in it.",
    ),
    click.option(
        "--iexclude", multiple=True, metavar="PATTERN", help="The same, A being a."
    ),
    click.option(
        "--exclude-file", type=_FILE, multiple=True, help="With a pattern in each line."
    ),
    click.option(
        "--iexclude-file", type=_FILE, multiple=True, help="The same, A being a."
    ),
    click.option(
        "--exclude-caches",
        is_flag=True,
        help="What is in directories that a CACHEDIR.TAG calls caches.",
    ),
    click.option(
        "--exclude-if-present",
        multiple=True,
        metavar="NAME[:BEGINNING]",
        help="What is in directories with such a file, which may have to begin so.",
    ),
    click.option("--exclude-larger-than", type=Size(), help="Files of more bytes."),
)


def exclude_options(command: F) -> F:
    """Add what says what is left out; `excludes_of` takes it out."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def excludes_of(flags: dict[str, Any]) -> Excludes:
    """Take what is left out from the flags of a command.

    Raises:
        InvalidSpecError: A pattern is none.
        OSError: A file of patterns cannot be read.
    """
    from kbackup.repository import Excludes, read_patterns  # noqa: PLC0415 - on demand

    def patterns(name: str) -> tuple[str, ...]:
        files = flags.pop(f"{name}_file")
        return (*flags.pop(name), *chain.from_iterable(map(read_patterns, files)))

    return Excludes(
        patterns=patterns("exclude"),
        ignore_case=patterns("iexclude"),
        caches=flags.pop("exclude_caches"),
        if_present=flags.pop("exclude_if_present"),
        larger_than=flags.pop("exclude_larger_than"),
    )
