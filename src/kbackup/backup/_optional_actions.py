"""Item actions that run only where they are asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kbackup._kits.words import nearest, suggestion
from kbackup.errors import InvalidSpecError
from kbackup.models import BackupOptions
from kbackup.plugins import BackupItemAction
from kbackup.plugins.engine import is_built_in

_REMAP = "velero.io/crd-remap-version"


def runs_only_if_asked(action: BackupItemAction) -> bool:
    """Whether an action of our own waits to be named in the options."""
    return is_built_in(action) and getattr(action, "asked_for_only", False)


def refuse_unknown(actions: Iterable[BackupItemAction], asked: Sequence[str]) -> None:
    """Refuse names of actions that do not wait to be asked for: they may be slips.

    Raises:
        InvalidSpecError: With each of them.
    """
    waiting = _waiting(actions)
    if unknown := [name for name in asked if name not in waiting]:
        raise InvalidSpecError(
            [f"enable_actions: no {name} waits to be asked for" for name in unknown],
            hint=suggestion("action", (nearest(name, waiting) for name in unknown)),
        )


def wanted_actions(
    actions: Iterable[BackupItemAction], asked: Iterable[str]
) -> tuple[BackupItemAction, ...]:
    """Return the actions that run in a backup: all but those that nobody asked for."""
    found = tuple(actions)
    left_out = _waiting(found).difference(asked)
    return tuple(action for action in found if action.name not in left_out)


def _waiting(actions: Iterable[BackupItemAction]) -> set[str]:
    return {action.name for action in actions if runs_only_if_asked(action)}


def action_violations(options: BackupOptions) -> list[str]:
    """Return what is wrong with the actions that are asked for, in any cluster."""
    if options.enable_api_group_versions and _REMAP in options.enable_actions:
        fact = f"enable_actions: {_REMAP} has no place beside enable_api_group_versions"
        return [f"{fact}, which stores every version of a definition"]
    return []
