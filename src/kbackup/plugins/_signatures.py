"""Can a plugin's function be called as it will be? If not, how is it to look?"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from kbackup.plugins._interfaces import ObjectStore, VolumeSnapshotter
from kbackup.plugins._item_actions import (
    AwaitsAdditionalItems,
    BackupItemAction,
    BeginsBackup,
    BeginsRestore,
    DeleteItemAction,
    FollowsOperations,
    ItemBlockAction,
    RestoreItemAction,
)
from kbackup.plugins._kinds import PluginKind

_Methods = Mapping[str, Callable[..., Any]]

_FOLLOWING: _Methods = {
    "progress": FollowsOperations.progress,
    "cancel": FollowsOperations.cancel,
}
# The first of each is the one that an action must have.
_METHODS: Mapping[PluginKind, _Methods] = {
    PluginKind.BACKUP_ITEM_ACTION: {
        "execute": BackupItemAction.execute,
        "begin": BeginsBackup.begin,
        **_FOLLOWING,
    },
    PluginKind.RESTORE_ITEM_ACTION: {
        "execute": RestoreItemAction.execute,
        "begin": BeginsRestore.begin,
        "are_additional_items_ready": AwaitsAdditionalItems.are_additional_items_ready,
        **_FOLLOWING,
    },
    PluginKind.DELETE_ITEM_ACTION: {"execute": DeleteItemAction.execute},
    PluginKind.ITEM_BLOCK_ACTION: {"related_items": ItemBlockAction.related_items},
}

_OPENED: Mapping[PluginKind, type] = {
    PluginKind.OBJECT_STORE: ObjectStore,
    PluginKind.VOLUME_SNAPSHOTTER: VolumeSnapshotter,
}


def missing_methods(kind: PluginKind, opened: object) -> tuple[str, ...]:
    """Return the methods of a family's Protocol that what was opened lacks, by name."""
    methods = (
        name
        for name, value in vars(_OPENED[kind]).items()
        if inspect.isfunction(value) and not name.startswith("_")
    )
    missing = (name for name in methods if not callable(getattr(opened, name, None)))
    return tuple(sorted(missing))


def methods_fault(kind: PluginKind, name: str, action: object) -> str:
    """Say which method of an action is missing or cannot be called as it will be."""
    required, *_ = _METHODS[kind]
    for method, model in _METHODS[kind].items():
        function = getattr(action, method, None)
        if function is None and method != required:
            continue
        own, *given = inspect.signature(model).parameters  # without self
        expected = _spelled(method, inspect.signature(model), own)
        fault = call_fault(
            name, method, function, arguments=len(given), expected=expected
        )
        if fault:
            return fault
    return ""


def call_fault(
    name: str, method: str, function: object, *, arguments: int, expected: str
) -> str:
    """Say why a function cannot be called with so many arguments, or nothing.

    Args:
        name: What is offered.
        method: Its function.
        function: What was found there.
        arguments: All of them positional.
        expected: How it is to look.
    """
    if function is None:
        return f"{name} has no method {method}; expected is {expected}"
    if not callable(function):
        found = f"a {type(function).__name__}"  # its value may hold credentials
        return (
            f"{name}.{method} is {found} and cannot be called; expected is {expected}"
        )
    if inspect.iscoroutinefunction(function):
        return f"{name}.{method} is async; kbackup calls it from a thread of its own"
    try:
        signature = inspect.signature(function)
        signature.bind(*[object()] * arguments)
    except ValueError:  # written in C without a signature: the call will tell
        return ""
    except TypeError:
        count = "one argument" if arguments == 1 else f"{arguments} arguments"
        found = f"{name}.{method}{signature}"
        return f"{found} cannot be called with {count}; expected is {expected}"
    return ""


def _spelled(method: str, signature: inspect.Signature, own: str) -> str:
    """Write a method as its Protocol has it, without quotes and ``self``."""
    parameters = [each for name, each in signature.parameters.items() if name != own]
    return f"{method}{signature.replace(parameters=parameters)}".replace("'", "")
