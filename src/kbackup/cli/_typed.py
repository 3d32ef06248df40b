"""The options of a call as they would be typed again: for what is said to come next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from kbackup._kits.durations import format_duration

if TYPE_CHECKING:
    from kbackup.cli._session import Session


def as_typed(session: Session, flags: Mapping[str, Any]) -> str:
    """Return the options of this call as they would be typed again."""
    words: list[str] = [flags["name"]] if flags["name"] else []
    for param in click.get_current_context().command.params:
        value = flags.get(param.name or "")
        if not isinstance(param, click.Option) or value in (None, (), {}):
            continue
        if session.backup and param.name == "allow_partially_failed":
            continue  # it has chosen the backup that is named now
        if session.backup and param.name in ("from_backup", "from_schedule"):
            words += ["--from-backup", session.backup]
            continue
        if value == param.default or (param.is_flag and not value):
            continue
        option = max(param.opts, key=len)
        if param.name == "action_settings":
            each = _typed_settings(flags[param.name])
            words += [word for setting in each for word in (option, setting)]
        elif value is False:
            words.append(f"{option}=false")
        else:
            separator = "=" if param.name == "existing_policies" else ":"
            words += [option, *typed_value(value, separator)]
    return shlex.join(words)


def _typed_settings(settings: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return what is typed after the option, once for each setting."""
    return [
        f"{action}:{setting}"
        for action, each in settings.items()
        for setting in [f"{key}={text}" for key, text in each.items()] or [""]
    ]


def typed_value(value: Any, separator: str) -> list[str]:
    """Return an option's value as it is typed; none for a flag."""
    if value is True:
        return []
    if isinstance(value, dict):
        return [",".join(f"{key}{separator}{text}" for key, text in value.items())]
    if isinstance(value, tuple):
        selectors = [v.to_query() for v in value if hasattr(v, "to_query")]
        return [" or ".join(selectors) if selectors else ",".join(map(str, value))]
    if isinstance(value, timedelta):
        return [format_duration(value)]
    return [value.to_query() if hasattr(value, "to_query") else str(value)]
