"""How an engine works, as opposed to what it is asked to do."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import attrs
from attrs import validators

_MEBIBYTE = 1024 * 1024


def _positive(_: object, attribute: attrs.Attribute[timedelta], value: object) -> None:
    if not isinstance(value, timedelta):
        raise TypeError(f"{attribute.name}: expected a timedelta, got {value!r}")
    if value <= timedelta(0):
        raise ValueError(f"{attribute.name}: expected a time above zero, got {value}")


@attrs.frozen(kw_only=True)
class EngineSettings:
    """The settings of an engine and of the connections that it makes.

    Attributes:
        workers: Requests to the API server in flight at most.
        page_bytes: The size towards which pages of a list are kept.
        connect_timeout: For one connection to the API server.
        read_timeout: For the head of an answer, and between two bytes of its body.
        retry_budget: How long one request may be tried again.
        max_writes_per_second: To the API server; None: as many as it takes.
        action_timeout: After this time an item action is given up.
        spool_directory: For temporary files; None: the system's.
    """

    workers: int = attrs.field(default=32, validator=validators.ge(1))
    page_bytes: int = attrs.field(default=8 * _MEBIBYTE, validator=validators.ge(1024))
    connect_timeout: timedelta = attrs.field(
        default=timedelta(seconds=5), validator=_positive
    )
    read_timeout: timedelta = attrs.field(
        default=timedelta(seconds=60), validator=_positive
    )
    retry_budget: timedelta = attrs.field(
        default=timedelta(minutes=10), validator=_positive
    )
    max_writes_per_second: float | None = attrs.field(
        default=None, validator=validators.optional(validators.gt(0))
    )
    action_timeout: timedelta = attrs.field(
        default=timedelta(minutes=5), validator=_positive
    )
    spool_directory: Path | None = attrs.field(
        default=None, converter=attrs.converters.optional(Path)
    )
