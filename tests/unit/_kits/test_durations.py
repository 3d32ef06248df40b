"""Go durations are read and written as Go does."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbackup._kits.durations import (
    LONGEST,
    DurationError,
    format_duration,
    parse_duration,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("720h0m0s", 720 * 3600),
        ("1h30m", 5400),
        ("300ms", 0.3),
        ("1.5s", 1.5),
        ("-2m", -120),
        ("+10s", 10),
        ("0", 0),
        (".5s", 0.5),
        ("1.s", 1),
        ("15us", 15e-6),
        ("15µs", 15e-6),
        ("1000ns", 1e-6),
    ],
)
def test_parse(text, seconds):
    """What Go's parser accepts is read with Go's meaning."""
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "1", "h", "1x", "-", "1h 2m", "1d", "9999999h"])
def test_parse_refuses(text):
    """What Go's parser refuses is refused, with the text in the message."""
    with pytest.raises(DurationError, match=r"duration|292 years"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(hours=720), "720h0m0s"),
        (timedelta(minutes=10), "10m0s"),
        (timedelta(seconds=30), "30s"),
        (timedelta(0), "0s"),
        (timedelta(milliseconds=1500), "1.5s"),
        (timedelta(milliseconds=250), "250ms"),
        (timedelta(microseconds=7), "7µs"),
        (timedelta(hours=-1), "-1h0m0s"),
    ],
)
def test_format(duration, text):
    """A duration is printed as Go prints it."""
    assert format_duration(duration) == text


@given(st.timedeltas(min_value=timedelta(days=-9000), max_value=timedelta(days=9000)))
def test_round_trip(duration):
    """What is written is read back as the same duration."""
    assert parse_duration(format_duration(duration)) == duration


def test_the_longest_that_is_written_is_read():
    """What specifications may hold comes back as it was; a microsecond more is refused."""
    assert parse_duration(format_duration(LONGEST)) == LONGEST
    with pytest.raises(DurationError, match="292 years"):
        parse_duration(format_duration(LONGEST + timedelta(microseconds=1)))
