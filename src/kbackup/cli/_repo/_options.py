"""The options that the verbs of `kbackup repo` share; names and meanings are restic's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import click

from kbackup._kits.sizes import parse_size
from kbackup.cli._options import Emptyable, global_options
from kbackup.cli._session import Session
from kbackup.cli._types import Duration

if TYPE_CHECKING:
    from kbackup.repository import GroupBy, SnapshotFilter

F = TypeVar("F", bound=Callable[..., Any])


class TagList(click.ParamType):  # type: ignore[type-arg, unused-ignore] # generic since 8.5
    """Tags between commas, all of which are meant; an empty one means: without tags."""

    name = "tags"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,  # noqa: ARG002 - click's
        ctx: click.Context | None,  # noqa: ARG002 - click's
    ) -> tuple[str, ...]:
        """Split at the commas."""
        if isinstance(value, tuple):
            return value
        return tuple(tag.strip() for tag in value.split(","))


class Size(click.ParamType):  # type: ignore[type-arg, unused-ignore] # generic since 8.5
    """So many bytes, or with ``k``, ``M``, ``G``, ``T`` so many times 1024 of them."""

    name = "size"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read it."""
        if isinstance(value, int):
            return value
        size = parse_size(value)
        if size is None:
            self.fail(f"{value!r} is no size such as 500M", param, ctx)
        return size


def _remember(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """Return a callback that keeps the value among those of the repository."""

    def keep(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        if value not in (None, False):
            setattr(ctx.ensure_object(Session).repository, name, value)

    return keep


def _as_json(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's
    if value:
        ctx.ensure_object(Session).output = "json"


_FILE = click.Path(path_type=Path, dir_okay=False)
_SHARED = (
    click.option(
        "-r",
        "--repo",
        metavar="DIRECTORY|URL",
        expose_value=False,
        callback=_remember("place"),
        help="Where the repository is; default $KBACKUP_REPOSITORY.",
    ),
    click.option(
        "--repository-file",
        type=_FILE,
        expose_value=False,
        callback=_remember("place_file"),
        help="File that says where the repository is.",
    ),
    click.option(
        "-p",
        "--password-file",
        type=_FILE,
        expose_value=False,
        callback=_remember("password_file"),
        help="File with the password; default $KBACKUP_REPO_PASSWORD, then a question.",
    ),
    click.option(
        "--password-command",
        metavar="COMMAND",
        expose_value=False,
        callback=_remember("password_command"),
        help="Command that prints the password; no shell reads it.",
    ),
    click.option(
        "--retry-lock",
        type=Duration(),
        expose_value=False,
        callback=_remember("lock_patience"),
        help="How long to wait while others work in it alone; default not at all.",
    ),
    click.option(
        "--no-lock",
        is_flag=True,
        expose_value=False,
        callback=_remember("no_lock"),
        help="Take no lock: to read where nothing may be written.",
    ),
    click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=_as_json,
        help="Print what restic prints with it; -o json is the same.",
    ),
    click.option(
        "-q",
        "--quiet",
        is_flag=True,
        expose_value=False,
        callback=_remember("quiet"),
        help="No progress, and no more than was asked for.",
    ),
)


def repository_options(command: F) -> F:
    """Add what every verb takes, before or after it: the global options, too."""
    command = global_options(command)
    for option in reversed(_SHARED):
        command = option(command)
    return command


@attrs.frozen(kw_only=True)
class Choice:
    """Which snapshots the options choose.

    Attributes:
        tags: Of each list all; one of the lists.
    """

    hosts: tuple[str, ...] = ()
    tags: tuple[tuple[str, ...], ...] = ()
    paths: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything was chosen by."""
        return bool(self.hosts or self.tags or self.paths)

    def filter(self) -> SnapshotFilter:
        """Return it as the library takes it; relative paths are from here on."""
        from kbackup.repository import SnapshotFilter  # noqa: PLC0415 - on demand

        paths = tuple(map(os.path.abspath, self.paths))  # as they were backed up
        return SnapshotFilter(hosts=self.hosts, tags=self.tags, paths=paths)


def choice_options(*, short_host: bool = True) -> Callable[[F], F]:
    """Return what adds the options that choose snapshots; `choice_of` takes them out.

    Args:
        short_host: ``-H`` means the host, which it does not where hours are kept.
    """
    host = ("-H", "--host") if short_host else ("--host",)
    options = (
        click.option(
            *host, "hosts", multiple=True, metavar="HOST", help="Made by this host."
        ),
        click.option(
            "--tag",
            "tags",
            cls=Emptyable,
            type=TagList(),
            multiple=True,
            metavar="TAG,...",
            help="With all of these tags; '' means without tags.",
        ),
        click.option(
            "--path",
            "paths",
            multiple=True,
            metavar="PATH",
            help="Of this path, as it was backed up.",
        ),
    )

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def choice_of(flags: dict[str, Any]) -> Choice:
    """Take the choice of snapshots out of the flags of a command."""
    return Choice(
        hosts=flags.pop("hosts"), tags=flags.pop("tags"), paths=flags.pop("paths")
    )


def group_by_option(default: str | None) -> Callable[[F], F]:
    """Return the option that says which snapshots are a series."""
    shown = f"default {default}" if default else "default all in one list"
    return click.option(
        "-g",
        "--group-by",
        cls=Emptyable,
        default=default,
        metavar="host,paths,tags",
        help=f"What a series has in common; {shown}; '' means nothing.",
    )


def grouping(text: str) -> GroupBy:
    """Read ``--group-by``; raises `InvalidSpecError`."""
    from kbackup.repository import GroupBy  # noqa: PLC0415 - on demand

    return GroupBy.parse(text)


dry_run_option = click.option(
    "-n", "--dry-run", is_flag=True, help="Only show what would be done."
)
yes_option = click.option("--confirm", "--yes", "yes", is_flag=True, help="Do not ask.")
compact_option = click.option(
    "-c", "--compact", is_flag=True, help="Without paths and sizes."
)
