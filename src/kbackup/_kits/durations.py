"""Go's duration strings (``720h0m0s``) to `timedelta` and back.

Source: Go ``time.ParseDuration`` and ``time.Duration.String``. Nanoseconds are cut to
microseconds, which is what `timedelta` holds.
"""

from __future__ import annotations

import re
from datetime import timedelta
from fractions import Fraction

_MICROSECONDS = {
    "ns": Fraction(1, 1000),
    "us": Fraction(1),
    "µs": Fraction(1),  # micro sign
    "μs": Fraction(1),  # Greek mu
    "ms": Fraction(1000),
    "s": Fraction(1_000_000),
    "m": Fraction(60_000_000),
    "h": Fraction(3_600_000_000),
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_MILLISECOND, _SECOND, _MINUTE = 1000, 1_000_000, 60_000_000  # in microseconds
_LARGEST = 2**63 // 1000  # microseconds in Go's int64 of nanoseconds: about 292 years
LONGEST = timedelta(microseconds=_LARGEST)
"""What is longer nobody reads: neither Velero nor `parse_duration`."""


class DurationError(ValueError):
    """A text is not a Go duration."""


def parse_duration(text: str) -> timedelta:
    """Read a Go duration such as ``1h30m`` or ``-1.5s``; a bare ``0`` is zero.

    Raises:
        DurationError: *text* is no Go duration, or beyond about 292 years.
    """
    sign, body = (-1, text[1:]) if text[:1] == "-" else (1, text.removeprefix("+"))
    if body == "0":
        return timedelta(0)
    total, position = Fraction(0), 0
    while position < len(body) and (part := _PART.match(body, position)):
        total += Fraction(part[1].rstrip(".")) * _MICROSECONDS[part[2]]
        position = part.end()
    if not body or position != len(body):
        raise DurationError(f"{text!r} is not a duration such as 1h30m or 45s")
    if total > _LARGEST:
        raise DurationError(f"{text!r} is longer than 292 years")
    return timedelta(microseconds=sign * int(total))


def format_duration(duration: timedelta) -> str:
    """Write *duration* as Go prints it: ``720h0m0s``, ``1m30.5s``, ``250ms``, ``0s``."""
    micros = duration // timedelta(microseconds=1)
    if micros == 0:
        return "0s"
    sign, micros = ("-", -micros) if micros < 0 else ("", micros)
    if micros < _MILLISECOND:
        return f"{sign}{micros}µs"
    if micros < _SECOND:
        return f"{sign}{_decimal(micros, _MILLISECOND)}ms"
    minutes, rest = divmod(micros, _MINUTE)
    hours, minutes = divmod(minutes, 60)
    seconds = _decimal(rest, _SECOND)
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}s"
    return f"{sign}{minutes}m{seconds}s" if minutes else f"{sign}{seconds}s"


def _decimal(number: int, unit: int) -> str:
    """Write ``number / unit`` without trailing zeros; *unit* is a power of ten."""
    whole, fraction = divmod(number, unit)
    digits = str(fraction).rjust(len(str(unit)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
