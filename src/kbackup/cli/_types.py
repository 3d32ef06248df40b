"""How the texts of options are read: lists, pairs, selectors, durations."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from kbackup._kits.durations import DurationError, parse_duration

if TYPE_CHECKING:
    from kbackup.models import LabelSelector

_DAYS = re.compile(r"(\d{1,6})([dw])")  # which people write and Go does not know
_HOURS = {"d": 24, "w": 7 * 24}


class CommaSeparated(click.ParamType):  # type: ignore[type-arg, unused-ignore] # generic since 8.5
    """A list whose values stand between commas; the option may be repeated."""

    name = "list"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Split at the commas."""
        if isinstance(value, tuple):
            return value
        parts = tuple(part.strip() for part in value.split(",") if part.strip())
        if not parts:  # which would mean all of them
            self.fail(f"{value!r} names nothing", param, ctx)
        return parts


class KeyValues(click.ParamType):  # type: ignore[type-arg, unused-ignore] # generic since 8.5
    """Pairs such as ``a=b,c=d``, or with another sign than ``=`` between them."""

    name = "pairs"

    def __init__(self, separator: str = "=") -> None:
        self._separator = separator

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[tuple[str, str], ...]:
        """Split into pairs."""
        if isinstance(value, tuple):
            return value
        pairs = []
        for part in filter(None, value.split(",")):
            key, sign, text = part.partition(self._separator)
            if not sign or not key.strip():
                self.fail(f"{part!r} is not KEY{self._separator}VALUE", param, ctx)
            pairs.append((key.strip(), text.strip()))
        if not pairs:
            self.fail(f"{value!r} names nothing", param, ctx)
        return tuple(pairs)


class Ordered(click.ParamType):  # type: ignore[type-arg, unused-ignore] # generic since 8.5
    """What comes first of which type: ``pods=shop/a,shop/b;persistentvolumes=pv-1``.

    Args:
        what: Is put in order, as a message calls it.
    """

    name = "ordered"

    def __init__(self, what: str = "NAME") -> None:
        self._what = what

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, str]:
        """Split at the semicolons; the engine checks the names."""
        if isinstance(value, dict):
            return value
        ordered: dict[str, str] = {}
        for part in filter(str.strip, value.split(";")):
            key, sign, names = (piece.strip() for piece in part.partition("="))
            if not sign or not key or not names:
                self.fail(f"{part!r} is not TYPE={self._what},...", param, ctx)
            if key in ordered:
                self.fail(f"{key!r} is there twice", param, ctx)
            ordered[key] = names
        if not ordered:
            self.fail(f"{value!r} names nothing", param, ctx)
        return ordered


class ActionSetting(click.ParamType):  # type: ignore[type-arg, unused-ignore] # generic since 8.5
    """A setting of an item action, ``ACTION:KEY=VALUE``, or with ``ACTION:`` none."""

    name = "setting"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, dict[str, str]]:
        """Split at the first colon and the first sign after it; what follows may be any."""
        if isinstance(value, tuple):
            return value
        action, colon, setting = value.partition(":")
        key, sign, text = setting.partition("=")
        is_pair = bool(sign and key.strip()) or not setting
        if not colon or not action.strip() or not is_pair:
            self.fail(f"{value!r} is not ACTION:KEY=VALUE", param, ctx)
        return action.strip(), {key.strip(): text.strip()} if setting else {}


class Selector(click.ParamType):  # type: ignore[type-arg, unused-ignore] # generic since 8.5
    """A label selector in kubectl's notation."""

    name = "selector"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> LabelSelector:
        """Parse the selector."""
        from kbackup.models import LabelSelector  # noqa: PLC0415 - help needs no models

        if isinstance(value, LabelSelector):
            return value
        if not value.strip():  # which would select everything
            self.fail("a label selector is empty", param, ctx)
        try:
            return LabelSelector.parse(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


class Selectors(Selector):
    """Several selectors with `` or `` between them, as Velero takes them."""

    name = "selectors"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Parse each selector."""
        if isinstance(value, tuple):
            return value
        convert = super().convert
        return tuple(convert(part, param, ctx) for part in value.split(" or "))


class Duration(click.ParamType):  # type: ignore[type-arg, unused-ignore] # generic since 8.5
    """A Go duration such as ``720h`` or ``1h30m``."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Parse the duration."""
        if isinstance(value, timedelta):
            return value
        try:
            duration = parse_duration(value)
        except DurationError as exc:
            days = _DAYS.fullmatch(value)
            hint = f"; write {int(days[1]) * _HOURS[days[2]]}h" if days else ""
            self.fail(f"{exc}{hint}", param, ctx)
        if duration < timedelta(0):
            self.fail(f"{value} is negative", param, ctx)
        return duration
