"""Plans in files: written whole and for their owner alone, read and refused by name."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from kbackup._kits.private_file import private_file
from kbackup.errors import InvalidConfigError, InvalidPlanError

if TYPE_CHECKING:
    from kbackup.models import ItemTransform, ResourceModifiers
    from kbackup.restore import RestorePlan

# What may stand beside a plan that has the rest; of modifiers it has the digest.
_BESIDE = frozenset({"plan", "yes", "resource_modifiers_file"})
_MODIFIERS = "give --resource-modifiers-file as when the plan was made"


def refuse_unwritable(path: Path) -> None:
    """Refuse, before anything is planned, a file that cannot be written.

    Raises:
        BadParameter: Its directory is not there, or is not the caller's to write.
    """
    fault = ""
    if not path.parent.is_dir():
        fault = "is no directory"
    elif not os.access(path.parent, os.W_OK | os.X_OK):
        fault = "may not be written"
    if fault:
        raise click.BadParameter(f"{path.parent} {fault}", param_hint="--save")


def save_plan(path: Path, content: Mapping[str, Any]) -> None:
    """Write a plan's document; it appears whole or not at all, mode 0600."""
    pieces = json.JSONEncoder(indent=2).iterencode(content)  # a plan may be large
    with private_file(path) as file:
        file.writelines(piece.encode() for piece in pieces)
        file.write(b"\n")


def load_plan(path: Path, modifiers: ResourceModifiers | None) -> RestorePlan:
    """Read a plan; of functions it may name those of `kbackup.restore.transforms`.

    Args:
        path: Of its file.
        modifiers: Those of the command line, which must be those of the plan.

    Raises:
        InvalidPlanError: The file, which it names, holds none, one that was changed, or
            one that names other functions or modifiers.
    """
    from kbackup.restore import RestorePlan  # noqa: PLC0415 - on demand

    text = path.read_bytes()
    try:
        return RestorePlan.from_json(
            text, transforms=_transforms_of(text), resource_modifiers=modifiers
        )
    except InvalidPlanError as exc:
        hint = _MODIFIERS if "resource_modifiers: named" in str(exc) else exc.hint
        raise InvalidPlanError(f"{path}: {exc}", hint=hint) from exc


def _transforms_of(text: bytes) -> tuple[ItemTransform, ...]:
    """Return the transforms that a plan names, if they are all of kbackup's own.

    Of anything else the reader complains.
    """
    from kbackup.restore import transforms  # noqa: PLC0415 - on demand

    try:
        names = json.loads(text)["options"]["transforms"]
        return tuple(transforms.from_name(name) for name in names)
    except (ValueError, LookupError, TypeError, RecursionError, InvalidConfigError):
        return ()


def refuse_beside_plan(context: click.Context) -> None:
    """Refuse what a plan has already: name, specification and options are its own.

    Raises:
        UsageError: Something of it was given as well.
    """
    given = [
        max(param.opts, key=len) if isinstance(param, click.Option) else "NAME"
        for param in context.command.params
        if param.expose_value
        and param.name not in _BESIDE
        and context.get_parameter_source(param.name or "")
        is ParameterSource.COMMANDLINE
    ]
    if given:
        names = ", ".join(given)
        raise click.UsageError(f"the plan has its own; leave out: {names}", context)
