"""Item actions that run only where they are asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from kbackup._kits.words import nearest, suggestion
from kbackup.errors import InvalidSpecError
from kbackup.models import BackupOptions
from kbackup.plugins import BackupItemAction
from kbackup.plugins.engine import is_built_in

_REMAP = "velero.io/crd-remap-version"


def runs_only_if_asked(action: BackupItemAction) -> bool:
    """Whether an action of our own waits to be named in the options."""
    return is_built_in(action) and getattr(action, "asked_for_only", False)


def wanted_actions(
    actions: Iterable[BackupItemAction], options: BackupOptions
) -> tuple[BackupItemAction, ...]:
    """Return the actions that run in a backup.

    Raises:
        InvalidSpecError: One is asked for that does not wait for that.
    """
    found = tuple(actions)
    waiting = {action.name for action in found if runs_only_if_asked(action)}
    unknown = [name for name in options.enable_actions if name not in waiting]
    if unknown:
        raise InvalidSpecError(
            [f"enable_actions: no {name} waits to be asked for" for name in unknown],
            hint=suggestion("action", (nearest(name, waiting) for name in unknown)),
        )
    left_out = waiting.difference(options.enable_actions)
    return tuple(action for action in found if action.name not in left_out)


def action_violations(options: BackupOptions) -> list[str]:
    """Return what is wrong with the actions that are asked for, in any cluster."""
    if options.enable_api_group_versions and _REMAP in options.enable_actions:
        fact = f"enable_actions: {_REMAP} has no place beside enable_api_group_versions"
        return [f"{fact}, which stores every version of a definition"]
    return []
