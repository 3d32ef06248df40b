"""Instants are read from RFC 3339 and written as Kubernetes writes them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbackup._kits.times import format_time, parse_time


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-01T02:00:03Z", datetime(2024, 5, 1, 2, 0, 3, tzinfo=UTC)),
        ("2024-05-01t02:00:03z", datetime(2024, 5, 1, 2, 0, 3, tzinfo=UTC)),
        ("2024-05-01T04:00:03+02:00", datetime(2024, 5, 1, 2, 0, 3, tzinfo=UTC)),
        (
            "2024-05-01T02:00:03.123456789Z",
            datetime(2024, 5, 1, 2, 0, 3, 123456, tzinfo=UTC),
        ),
    ],
)
def test_parse(text, expected):
    """Every spelling of an instant is read as that instant in UTC."""
    assert parse_time(text) == expected
    assert parse_time(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text", ["", "2024-05-01", "2024-05-01 02:00:03Z", "yesterday"]
)
def test_parse_refuses(text):
    """A text without date, time and zone is no instant."""
    with pytest.raises(ValueError, match="RFC 3339"):
        parse_time(text)


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
)
def test_beyond_the_calendar(text):
    """An instant that its zone moves out of the calendar is no instant."""
    with pytest.raises(ValueError, match="beyond the times"):
        parse_time(text)


@given(st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis wants naive bounds
def test_round_trip(instant):
    """Whole seconds survive writing and reading."""
    assert parse_time(format_time(instant)) == instant.replace(microsecond=0)
