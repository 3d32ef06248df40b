"""Polynomials over two elements: the secret that the cuts of a repository depend on.

restic opens no repository without an irreducible one of degree 53 in its config, though
only restic itself cuts with it. A polynomial is an int, each bit a coefficient.
Source: restic ``doc/design.rst``, "Backups and Deduplication"; M. O. Rabin,
"Probabilistic algorithms in finite fields", for the test.
"""

from __future__ import annotations

import secrets

DEGREE = 53
_MOST_TRIES = 1 << 20  # one in 53 is irreducible


def random_irreducible() -> int:
    """Return an irreducible polynomial of degree 53, drawn from all of them."""
    for _ in range(_MOST_TRIES):
        # Without its last term a polynomial is divisible by x.
        drawn = secrets.randbits(DEGREE) | 1 << DEGREE | 1
        if is_irreducible(drawn):
            return drawn
    raise AssertionError("the source of random numbers gives none")  # pragma: no cover


def is_irreducible(polynomial: int) -> bool:
    """Tell whether a polynomial of degree 53 has no divisor; of others it is False.

    Of a prime degree n it has none if it divides ``x^(2^n) - x`` and has nothing in
    common with ``x^2 - x``.
    """
    if polynomial.bit_length() != DEGREE + 1:
        return False
    power = 2  # x
    for _ in range(DEGREE):
        power = _remainder(_square(power), polynomial)
    return power == 2 and _common(polynomial, 0b110) == 1  # noqa: PLR2004 - x


def _square(polynomial: int) -> int:
    """Square: each coefficient goes to twice its place."""
    return int(f"{polynomial:b}".replace("", "0")[1:-1], 2)


def _remainder(dividend: int, divisor: int) -> int:
    size = divisor.bit_length()
    while (excess := dividend.bit_length() - size) >= 0:
        dividend ^= divisor << excess
    return dividend


def _common(one: int, other: int) -> int:
    """Return the greatest common divisor."""
    while other:
        one, other = other, _remainder(one, other)
    return one
