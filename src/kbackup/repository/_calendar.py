"""Instants to the nanosecond with their zone, and durations of years, months and days.

`_snapshots` keeps instants as restic writes them, `_retention` counts back from them.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Self

import attrs

from kbackup.errors import InvalidSpecError

_INSTANT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]+))?(?:Z|([+-])([0-9]{2}):([0-5][0-9]))"
)
_NANOSECOND_DIGITS = 9
_MICROSECOND = 1000  # nanoseconds
_HOUR = 60  # minutes
_PART = re.compile(r"([0-9]{1,9})([ymdh])")  # so few digits that a sum stays a number
_MONTHS = 12


@attrs.frozen(order=True)
class Instant:
    """A point in time, and the zone in which it was told.

    Two are equal when they are the same moment, whatever their zones.

    Attributes:
        when: Aware, to the microsecond; its offset is that of a place and a season.
        nanoseconds: Those beyond the microsecond, 0 to 999.
    """

    when: datetime
    nanoseconds: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read RFC 3339 as Go does; what is finer than nanoseconds is cut off.

        Raises:
            ValueError: It is anything else, or beyond the years 1 to 9999.
        """
        match = _INSTANT.fullmatch(text)
        if match is None:
            raise ValueError(f"{text[:80]!r} is not an RFC 3339 time")
        *fields, fraction, sign, hours, minutes = match.groups()
        offset = int(sign + "1") * (_HOUR * int(hours) + int(minutes)) if sign else 0
        digits = (fraction or "")[:_NANOSECOND_DIGITS].ljust(_NANOSECOND_DIGITS, "0")
        micros, nanos = divmod(int(digits), _MICROSECOND)
        year, month, day, hour, minute, second = map(int, fields)
        zone = timezone(timedelta(minutes=offset))
        when = datetime(year, month, day, hour, minute, second, micros, zone)
        return cls(when, nanos)

    def __str__(self) -> str:
        """As Go's RFC3339Nano: no zeros at the end, ``Z`` where the offset is none."""
        whole = self.when.replace(tzinfo=None, microsecond=0).isoformat()
        nanos = self.when.microsecond * _MICROSECOND + self.nanoseconds
        fraction = f".{nanos:0{_NANOSECOND_DIGITS}}".rstrip("0") if nanos else ""
        offset = self.when.utcoffset() or timedelta()
        sign = "-" if offset < timedelta() else "+"
        # Seconds in an offset, which old places have, RFC 3339 cannot tell: Go cuts too.
        hours, minutes = divmod(abs(offset) // timedelta(minutes=1), _HOUR)
        zone = f"{sign}{hours:02}:{minutes:02}" if offset else "Z"
        return f"{whole}{fraction}{zone}"


@attrs.frozen(kw_only=True)
class CalendarDuration:
    """So many years, months, days and hours: ``1y5m7d2h``, where ``m`` means months.

    Not Go's duration. How long it is depends on where in the calendar it is counted.
    Source: restic ``doc/060_forget.rst``, "Removing snapshots according to a policy".
    """

    years: int = 0
    months: int = 0
    days: int = 0
    hours: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the parts in any order; each unit once, nothing between them.

        Raises:
            InvalidSpecError: It is anything else, such as ``-1d``, ``1w`` or ``1d2d``.
        """
        body = text.strip()
        parts = {unit: int(number) for number, unit in _PART.findall(body)}
        if _PART.sub("", body) or len(parts) != len(_PART.findall(body)):
            shown = f"{text[:80]!r} is not a duration such as 1y5m7d2h"
            raise InvalidSpecError([shown])
        years, months, days, hours = (parts.get(unit, 0) for unit in "ymdh")
        return cls(years=years, months=months, days=days, hours=hours)

    def __str__(self) -> str:
        """As restic prints it: without the units of which there is none."""
        parts = {"y": self.years, "m": self.months, "d": self.days, "h": self.hours}
        return "".join(f"{number}{unit}" for unit, number in parts.items() if number)

    def __bool__(self) -> bool:
        """Whether it is longer than nothing."""
        return any(attrs.astuple(self))

    def before(self, instant: Instant) -> Instant | None:
        """Return the instant so much earlier; None: no calendar goes back so far.

        Counted on the clock of *instant*'s own offset. What no month has runs over into
        the next one: one month before 31 March is 3 March, or 2 March in a leap year.
        restic counts so too, unless its machine is in that very zone: there a change to
        summer time in between moves the result by an hour.
        """
        when = instant.when
        months = _MONTHS * (when.year - self.years) + when.month - 1 - self.months
        year, month = divmod(months, _MONTHS)
        try:
            first = when.replace(year=year, month=month + 1, day=1)
            days = timedelta(days=when.day - 1 - self.days, hours=-self.hours)
            return Instant(first + days, instant.nanoseconds)
        except (OverflowError, ValueError):  # before the year 1
            return None
