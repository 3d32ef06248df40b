"""Kubernetes' quantities as numbers."""

from fractions import Fraction

import pytest

from kbackup._kits.quantities import QuantityError, parse_quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("10Gi", 10 * 1024**3),
        ("1.5Gi", 1536 * 1024**2),
        ("10G", 10**10),
        ("1Ei", 1024**6),
        ("1k", 1000),
        ("1e3", 1000),
        ("2E6", 2_000_000),
        ("2E", 2 * 10**18),
        ("+5M", 5_000_000),
        (".5Ki", 512),
        ("500m", Fraction(1, 2)),
        ("1n", Fraction(1, 10**9)),
        ("128974848", 128974848),
    ],
    ids=str,
)
def test_quantities_are_exact(text, number):
    """A size means what Kubernetes takes it for, to the last byte."""
    assert parse_quantity(text) == number


@pytest.mark.parametrize(
    "text",
    ["", "x", "10 Gi", "10gi", "-1Gi", "1Ki2", "1e999999999", "9" * 100, "1_000"],
)
def test_what_is_no_quantity(text):
    """A slip is refused, and no number is so large that reading it takes a while."""
    with pytest.raises(QuantityError, match="not a quantity"):
        parse_quantity(text)
