"""Kubernetes' quantities, such as ``10Gi`` or ``1500m``, as exact numbers."""

from __future__ import annotations

import re
from fractions import Fraction

# Source: Kubernetes, "Quantity". The lengths are bounds: whoever writes a number into an
# object may not make us count to it.
_QUANTITY = re.compile(
    r"\+?(?P<number>[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})"
    r"(?:(?P<suffix>[KMGTPE]i|[numkMGTPE])|[eE](?P<exponent>[-+]?[0-9]{1,2}))?"
)
_FACTORS = {
    **{
        sign: Fraction(10) ** power
        for sign, power in zip("num", (-9, -6, -3), strict=True)
    },
    **{sign: Fraction(1000) ** power for power, sign in enumerate("kMGTPE", 1)},
    **{f"{sign}i": Fraction(1024) ** power for power, sign in enumerate("KMGTPE", 1)},
}


class QuantityError(ValueError):
    """A text is no quantity, or one below zero."""


def parse_quantity(text: str) -> Fraction:
    """Return the number that *text* stands for.

    Raises:
        QuantityError: It stands for none that is zero or more.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise QuantityError(f"{text[:40]!r} is not a quantity such as 10Gi")
    factor = _FACTORS.get(match["suffix"] or "", Fraction(1))
    return (
        Fraction(match["number"]) * factor * Fraction(10) ** int(match["exponent"] or 0)
    )
