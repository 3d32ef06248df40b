"""Arguments that are something else than they have to be are refused by name, at the door."""

from __future__ import annotations

from typing import TypeVar

_T = TypeVar("_T")


def require(name: str, value: object, wanted: type) -> None:
    """Refuse an argument of another type; the value itself is not shown.

    Raises:
        TypeError: With the argument's name, what was expected and what came.
    """
    if not isinstance(value, wanted):
        raise _wrong(name, wanted.__name__, value)


def given_or_new(name: str, value: _T | None, default: type[_T]) -> _T:
    """Return an optional argument, or a new one of its type where None was given.

    Raises:
        TypeError: As `require` does.
    """
    if value is None:
        return default()
    require(name, value, default)
    return value


def require_able(name: str, value: object, wanted: str, *, to: str) -> None:
    """Refuse an argument without a method; what wraps the type that is meant has it.

    Args:
        name: Of the argument.
        value: That was given.
        wanted: The name of the type that is meant.
        to: The method.

    Raises:
        TypeError: As `require` does.
    """
    if not callable(getattr(value, to, None)):
        raise _wrong(name, wanted, value)


def _wrong(name: str, wanted: str, value: object) -> TypeError:
    came = "None" if value is None else f"a {type(value).__name__}"
    return TypeError(f"{name}: expected a {wanted}, got {came}")
