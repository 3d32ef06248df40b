"""Sizes are read as restic reads those of its options."""

import pytest

from kbackup._kits.sizes import format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("999999999999999", 999_999_999_999_999),
        ("7b", 7),
        ("3k", 3 << 10),
        ("500M", 500 << 20),
        ("2TB", 2 << 40),
        ("1.5g", 3 << 29),
        ("0.4", 0),
    ],
)
def test_a_size_is_read(text, size):
    """With a unit, each 1024 times the one before, and to the last byte."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "k", "-1", "1.", ".5", "1 k", "5%", "1e3", "1kk", "1P", "٣", "9" * 16]
)
def test_what_is_no_size_is_told(text):
    """Whoever asked says what it should have been."""
    assert parse_size(text) is None


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1400, "1.367 KiB"),
        (16 << 20, "16.000 MiB"),
        (3 << 50, "3072.000 TiB"),
    ],
)
def test_a_size_is_written(size, text):
    """In the largest unit of which there is one."""
    assert format_size(size) == text
