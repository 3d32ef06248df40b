"""RFC 3339 instants as Kubernetes writes them: UTC, whole seconds, ``Z``."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_RFC3339 = re.compile(
    r"(?P<whole>\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2})"
    r"(?:\.(?P<fraction>\d{1,9}))?"
    r"(?P<zone>[Zz]|[+-]\d{2}:\d{2})"
)
_MICROSECOND_DIGITS = 6


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 instant; nanoseconds are cut to microseconds.

    Raises:
        ValueError: *text* is no RFC 3339 instant.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an RFC 3339 time")
    fraction = (match["fraction"] or "")[:_MICROSECOND_DIGITS]
    zone = "+00:00" if match["zone"] in "Zz" else match["zone"]
    micros = fraction.ljust(_MICROSECOND_DIGITS, "0")
    whole = match["whole"].upper()
    try:
        return datetime.fromisoformat(f"{whole}.{micros}{zone}").astimezone(UTC)
    except OverflowError as exc:  # at either end of the calendar, by its zone
        raise ValueError(f"{text!r} is beyond the times that there are") from exc


def format_time(instant: datetime) -> str:
    """Write *instant* as Kubernetes does: UTC, fractions cut off, ``Z``."""
    # Not strftime, which writes the years before 1000 (Go's zero time) without zeros.
    utc = instant.astimezone(UTC).replace(tzinfo=None)
    return f"{utc.isoformat(timespec='seconds')}Z"
