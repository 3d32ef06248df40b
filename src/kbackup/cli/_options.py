"""Options that commands share, and how their texts are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kbackup._kits.words import nearest
from kbackup.cli._session import Session
from kbackup.cli._types import (
    ActionSetting,
    CommaSeparated,
    Duration,
    KeyValues,
    Selector,
    Selectors,
)

if TYPE_CHECKING:
    from kbackup.models import RestoreStatusSpec

F = TypeVar("F", bound=Callable[..., Any])
_TRUTHS = frozenset({"true", "false", "t", "f", "1", "0", "yes", "no", "y", "n"})
_UNCUT = 1000  # letters of a command's short help


class Switch(click.Option):
    """An option of three states: absent, ``--x`` for true, ``--x=false``."""


class Emptyable(click.Option):
    """An option whose empty value has a meaning of its own."""


def _refuse_empty(
    params: Iterable[click.Parameter], args: Sequence[str], ctx: click.Context
) -> None:
    """Refuse an option with an empty value: mostly a variable that is not set.

    As no value it would mean all namespaces, any cluster, the place of the original.
    """
    names = {name: param for param in params for name in param.opts}
    for word, after in pairwise([*args, " "]):
        if word == "--":
            return
        name, sign, text = word.partition("=")
        param = names.get(name)
        takes_a_word = (
            isinstance(param, click.Option)
            and not param.is_flag
            and not isinstance(param, Emptyable)
        )
        if param is not None and takes_a_word and (text if sign else after) == "":
            raise click.BadParameter("it is empty", ctx, param, param_hint=name)


def _spell_out(
    params: Iterable[click.Parameter], args: Sequence[str], ctx: click.Context
) -> Iterator[str]:
    """Yield *args*, each switch without a value with the one it means.

    A word after it that is no truth value may be a slip or the next argument. Taken for
    the latter, ``--x flas`` would be true and make a restore of the name "flas".
    """
    switches = {name: p for p in params if isinstance(p, Switch) for name in p.opts}
    words = iter(pairwise([*args, ""]))
    for word, after in words:
        if word == "--":
            yield from (word, *(rest for rest, _ in words))
        elif word not in switches or after.lower() in _TRUTHS:
            yield word
        elif not after or after.startswith("-"):
            yield f"{word}=true"
        else:
            raise click.BadParameter(
                f"{after!r} is neither true nor false; before another word write "
                f"{word}=true",
                ctx,
                switches[word],
                param_hint=word,
            )


class Command(click.Command):
    """A command whose switches have a value, or none before an option or the end."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give a bare switch its value, then parse."""
        _refuse_empty(self.params, args, ctx)
        return super().parse_args(ctx, list(_spell_out(self.params, args, ctx)))


class Group(click.Group):
    """A group of such commands."""

    command_class = Command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what stands before the verb."""
        _refuse_empty(self.params, args, ctx)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the one that may be meant, in every click."""
        name, known = args[0], self.list_commands(ctx)
        if name in known or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        near = nearest(name, known)
        meant = f" Did you mean {near!r}?" if near else ""
        raise click.UsageError(f"No such command {name!r}.{meant}", ctx)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """List the commands with their whole first sentences."""
        found = [
            (name, self.get_command(ctx, name)) for name in self.list_commands(ctx)
        ]
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, command.get_short_help_str(_UNCUT))
                    for name, command in found
                    if command is not None
                ]
            )


def operations_option(command: F) -> F:
    """Add Velero's limit for what item actions begin."""
    return click.option(
        "--item-operation-timeout",
        type=Duration(),
        help="For each thing that a plugin began; default 4h.",
    )(command)


def _as_tuple(
    _ctx: click.Context, _param: click.Parameter, value: tuple[tuple[Any, ...], ...]
) -> tuple[Any, ...]:
    return tuple(chain.from_iterable(value))


def list_option(
    *names: str,
    text: str,
    metavar: str = "NAME,...",
    callback: Callable[..., Any] = _as_tuple,
) -> Callable[[F], F]:
    """Return an option that takes a list, comma-separated and repeatable."""
    return click.option(
        *names,
        type=CommaSeparated(),
        multiple=True,
        metavar=metavar,
        help=text,
        callback=callback,
    )


def pairs_option(
    *names: str,
    text: str,
    separator: str = "=",
) -> Callable[[F], F]:
    """Return an option that takes pairs, comma-separated and repeatable."""
    return click.option(
        *names,
        type=KeyValues(separator),
        multiple=True,
        metavar=f"KEY{separator}VALUE,...",
        help=text,
        callback=_as_mapping,
    )


def _as_mapping(
    ctx: click.Context, param: click.Parameter, value: tuple[tuple[Any, ...], ...]
) -> dict[str, str]:
    """Put pairs together; a key with two values means one of them, and not which."""
    pairs: dict[str, str] = {}
    for key, text in chain.from_iterable(value):
        if pairs.setdefault(key, text) != text:
            message = f"{key} is given twice, as {pairs[key]} and as {text}"
            raise click.BadParameter(message, ctx, param)
    return pairs


def settings_option(name: str, *, text: str) -> Callable[[F], F]:
    """Return an option that takes one setting of an item action, and is repeatable."""
    return click.option(
        name,
        "action_settings",
        type=ActionSetting(),
        multiple=True,
        metavar="ACTION:KEY=VALUE",
        help=text,
        callback=_by_action,
    )


def _by_action(
    ctx: click.Context,
    param: click.Parameter,
    value: tuple[tuple[str, dict[str, str]], ...],
) -> dict[str, dict[str, str]]:
    """Put the settings of each action together, as `_as_mapping` does pairs."""
    by_action: dict[str, dict[str, str]] = {}
    for action, setting in value:
        known = by_action.setdefault(action, {})
        pairs = (tuple(known.items()), tuple(setting.items()))
        known.update(_as_mapping(ctx, param, pairs))
    return by_action


def switch_option(*names: str, text: str) -> Callable[[F], F]:
    """Return Velero's three-way switch: absent, ``--x`` (true), ``--x=false``."""
    return click.option(
        *names,
        cls=Switch,
        type=bool,
        is_flag=False,
        flag_value=True,
        default=None,
        metavar="[true|false]",
        help=f"{text} Alone it means true.",
    )


_FILTERS = (
    list_option("--include-namespaces", text="Namespaces to include; default all."),
    list_option("--exclude-namespaces", text="Namespaces to leave out."),
    list_option("--include-resources", text="Types to include, short or full names."),
    list_option("--exclude-resources", text="Types to leave out."),
    switch_option(
        "--include-cluster-resources",
        text="Cluster-scoped objects: all, none; absent: those that belong.",
    ),
    click.option("-l", "--selector", type=Selector(), help="Only with these labels."),
    click.option(
        "--or-selector",
        type=Selectors(),
        multiple=True,
        metavar="SELECTOR [or SELECTOR]...",
        help="Only with the labels of one of these.",
        callback=lambda _ctx, _param, value: tuple(v for part in value for v in part),
    ),
)


def filter_options(command: F) -> F:
    """Add the options that select objects, the same for backups and restores."""
    for option in reversed(_FILTERS):
        command = option(command)
    return command


_STATUSES = (
    list_option("--status-include-resources", text="Types whose status is restored."),
    list_option("--status-exclude-resources", text="Of those, types without it."),
)


def status_options(command: F) -> F:
    """Add the options that select whose status is restored."""
    for option in reversed(_STATUSES):
        command = option(command)
    return command


def status_types(
    included: Sequence[str], excluded: Sequence[str]
) -> RestoreStatusSpec | None:
    """Return whose status is restored: of no type unless types are included.

    Velero passes over excluded types alone: whether all others are meant nobody knows.
    """
    if excluded and not included:
        raise click.UsageError(
            "--status-exclude-resources leaves out of --status-include-resources, which "
            "is not given; '*' there means all types"
        )
    if not included:
        return None
    from kbackup.models import RestoreStatusSpec  # noqa: PLC0415 - on demand

    return RestoreStatusSpec(included_resources=included, excluded_resources=excluded)


def _remember(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """Return a callback that keeps a global option's value in the session."""

    def keep(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        session = ctx.ensure_object(Session)
        session.verb = ctx.command_path
        if value not in (None, ()):
            setattr(session, name, value)

    return keep


_GLOBALS = (
    click.option(
        "--kubeconfig",
        type=click.Path(path_type=Path, dir_okay=False),
        expose_value=False,
        callback=_remember("kubeconfig"),
        help="File with the ways to clusters; default as kubectl.",
    ),
    click.option(
        "--context",
        expose_value=False,
        callback=_remember("context"),
        metavar="NAME",
        help="Which context of the kubeconfig; default its current one.",
    ),
    click.option(
        "--location",
        multiple=True,
        expose_value=False,
        callback=_remember("locations"),
        metavar="URL|NAME",
        help="Where backups are; repeat for mirrored directories. "
        "Default $KBACKUP_LOCATION, then the file of settings.",
    ),
    click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json", "yaml"]),
        expose_value=False,
        callback=_remember("output"),
        help="How to print; default table.",
    ),
)


def global_options(command: F) -> F:
    """Add the options that every command takes, before or after the verb."""
    for option in reversed(_GLOBALS):
        command = option(command)
    return command
