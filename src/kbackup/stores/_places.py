"""Which store an error is about: said once, where a call leaves the store.

Whoever runs several locations, or reads a log, knows it from nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import attrs

from kbackup.errors import StoreError

P = ParamSpec("P")
T = TypeVar("T")


@attrs.frozen
class Place:
    """A store, as an error names it; no secret is in it.

    Attributes:
        location: Its address, such as ``s3://bucket``.
        server: Where it is reached, if the address does not say it.
    """

    location: str
    server: str = ""


class Placed(Protocol):
    """What has a place."""

    @property
    def place(self) -> Place:
        """Where it is."""


S = TypeVar("S", bound=Placed)


def names_place(
    method: Callable[Concatenate[S, P], T],
) -> Callable[Concatenate[S, P], T]:
    """Let the errors that leave a method of a store name its place."""

    @wraps(method)
    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except StoreError as exc:
            exc.at(self.place.location, self.place.server)
            raise

    return call


def naming_place(place: Place, found: Iterator[T]) -> Iterator[T]:
    """Yield what a list yields, and let its errors name the place."""
    try:
        yield from found
    except StoreError as exc:
        exc.at(place.location, place.server)
        raise
