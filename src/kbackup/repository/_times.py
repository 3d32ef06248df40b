"""Instants to the nanosecond, as Go writes them: RFC 3339 in the zone of the machine.

Source: Go ``time.RFC3339Nano``. What `datetime` holds ends at microseconds.
"""

from __future__ import annotations

import functools
import re
import time
from datetime import UTC, datetime

_SECOND = 1_000_000_000
_TEXT = re.compile(r"(.{19})(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)")
_QUARTER = 15 * 60  # seconds: no zone changes within one
_FIRST, _LAST = -62_167_219_200, 253_402_300_799  # the years 0 to 9999, in seconds


def format_nanoseconds(instant: int) -> str:
    """Write nanoseconds since 1970; years that RFC 3339 cannot say are those next to them."""
    seconds, rest = divmod(instant, _SECOND)
    whole, zone = _whole(seconds)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{whole}{fraction}{zone}"


@functools.lru_cache(maxsize=1 << 12)  # what is made together has its second in common
def _whole(seconds: int) -> tuple[str, str]:
    """Return for a second: what stands before the fraction, and the zone."""
    seconds = min(max(seconds, _FIRST + 366 * 86400), _LAST - 86400)
    quarter, inside = divmod(seconds, _QUARTER)
    hour, minute, zone = _quarter(quarter)
    more, second = divmod(inside, 60)
    return f"{hour}{minute + more:02d}:{second:02d}", zone


@functools.lru_cache(maxsize=1 << 12)
def _quarter(quarter: int) -> tuple[str, int, str]:
    """Return for a quarter of an hour: up to the hour, the minute, the zone."""
    local = time.localtime(quarter * _QUARTER)
    offset = local.tm_gmtoff
    sign, offset = ("-", -offset) if offset < 0 else ("+", offset)
    zone = f"{sign}{offset // 3600:02d}:{offset // 60 % 60:02d}" if offset else "Z"
    day = f"{local.tm_year:04d}-{local.tm_mon:02d}-{local.tm_mday:02d}"
    return f"{day}T{local.tm_hour:02d}:", local.tm_min, zone


def parse_nanoseconds(text: str) -> int:
    """Read an instant as Go writes it; return nanoseconds since 1970.

    Raises:
        ValueError: It is none.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no time")
    whole, fraction, zone = match.groups()
    return _seconds(whole, zone) * _SECOND + int((fraction or "").ljust(9, "0"))


@functools.lru_cache(maxsize=1 << 12)
def _seconds(whole: str, zone: str) -> int:
    """Return the seconds since 1970 of what is told without a fraction."""
    if whole.startswith("0000"):  # Go's calendar has it, Python's begins a year later
        return _FIRST
    moment = datetime.fromisoformat(whole + ("+00:00" if zone == "Z" else zone))
    past = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return past.days * 86400 + past.seconds
