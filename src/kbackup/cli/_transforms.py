"""The options that change what is restored, and the transforms that they mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kbackup.cli._options import list_option
from kbackup.errors import InvalidConfigError

if TYPE_CHECKING:
    from kbackup.models import ItemTransform

F = TypeVar("F", bound=Callable[..., Any])

# Names have no "=", registries have ":" before a port.
_MAPPINGS = {
    "map_registry": ("registry", "Take images from elsewhere."),
    "map_storage_class": ("storage_class", "Rename storage classes."),
    "map_ingress_host": ("ingress_hosts", "Serve under other host names."),
}


def _typed(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _mapping(
    ctx: click.Context, param: click.Parameter, value: tuple[tuple[str, ...], ...]
) -> tuple[str, ...]:
    """Check that each name is given another one, and only one."""
    pairs: dict[str, str] = {}
    for pair in (pair for part in value for pair in part):
        old, sign, new = pair.partition("=")
        if not sign or not old or not new:
            raise click.BadParameter(f"{pair!r} is not OLD=NEW", ctx, param)
        if pairs.setdefault(old, new) != new:
            message = f"{old} is given twice, as {pairs[old]} and as {new}"
            raise click.BadParameter(message, ctx, param)
    return tuple(f"{old}={new}" for old, new in pairs.items())


_OPTIONS = (
    *(
        list_option(_typed(name), text=text, metavar="OLD=NEW,...", callback=_mapping)
        for name, (_, text) in _MAPPINGS.items()
    ),
    click.option(
        "--max-replicas",
        type=click.IntRange(min=0),
        metavar="N",
        help="Bring workloads back with at most so many Pods.",
    ),
    list_option(
        "--drop-node-selectors",
        text="Labels that Pods no longer ask of nodes; * is all.",
    ),
    click.option(
        "--quiesce",
        is_flag=True,
        help="Let a copy run nothing and take no outside name or address.",
    ),
)


def transform_options(command: F) -> F:
    """Add the options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def transforms_of(flags: Mapping[str, Any]) -> tuple[ItemTransform, ...]:
    """Return the transforms that the flags mean, in the order of the options.

    Keeping still comes last: what it adds nothing takes away.

    Raises:
        BadParameter: A value is none that the option's transform takes.
    """
    return tuple(_transforms(flags))


def _transforms(flags: Mapping[str, Any]) -> Iterator[ItemTransform]:
    made: Any
    asked = {*_MAPPINGS, "drop_node_selectors", "quiesce"}
    if flags["max_replicas"] is None and not any(flags[name] for name in asked):
        return
    from kbackup.restore import transforms  # noqa: PLC0415 - on demand

    for name, (factory, _) in _MAPPINGS.items():
        if flags[name]:
            pairs = dict(pair.split("=", 1) for pair in flags[name])
            try:
                made = getattr(transforms, factory)(pairs)
            except InvalidConfigError as exc:
                raise click.BadParameter(str(exc), param_hint=_typed(name)) from exc
            yield made
    if flags["max_replicas"] is not None:
        yield transforms.replicas(at_most=flags["max_replicas"])
    if flags["drop_node_selectors"]:
        yield transforms.node_selectors(drop=flags["drop_node_selectors"])
    if flags["quiesce"]:
        yield transforms.quiesce
