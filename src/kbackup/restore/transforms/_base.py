"""What the transforms share: names that say everything, and a cheap way out. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, ClassVar, Self

import attrs

from kbackup._kits.kinds import GroupKind, kind_of
from kbackup.errors import InvalidConfigError
from kbackup.models import qualified_name

Content = Mapping[str, Any]
Pairs = tuple[tuple[str, str], ...]
"""A mapping that can be hashed, in the order of its keys."""

DOOR = "kbackup.restore.transforms"


@attrs.frozen(slots=False, repr=False)
class Transform(ABC):
    """A function from item to item whose parameters are its identity.

    Attributes:
        factory: The function that makes it.
        kinds: Those that it may change; all others it returns as they are.
    """

    factory: ClassVar[str]
    kinds: ClassVar[frozenset[GroupKind]] = frozenset()
    _words: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        """Keep the kinds' words: for most items these alone say no."""
        cls._words = frozenset(word for _, word in cls.kinds)

    def __attrs_post_init__(self) -> None:
        """Name the object itself, as a function is named: by where it is called."""
        call = f"{self.factory}({self._arguments()})"
        vars(self).update(__module__=DOOR, __qualname__=call)

    def __repr__(self) -> str:
        """Return the call that makes an equal one."""
        return qualified_name(self)

    def __call__(self, item: Content) -> Content | None:
        """Return *item* as it is to be, sharing what did not change; None: left out."""
        return self._change(item) if self.concerns(item) else item

    def concerns(self, item: Content) -> bool:
        """Tell cheaply of most items that they will not be changed."""
        return item.get("kind") in self._words and kind_of(item) in self.kinds

    @abstractmethod
    def _arguments(self) -> str:
        """The parameters as they are written in a call."""

    @abstractmethod
    def _change(self, item: Content) -> Content | None:
        """The item, one of its kinds, as it is to be; None: left out."""


@attrs.frozen(slots=False, repr=False)
class Renaming(Transform):
    """A transform that puts new names in the place of old ones."""

    names: Pairs

    def _arguments(self) -> str:
        return repr(self.new_names)

    @cached_property
    def new_names(self) -> dict[str, str]:
        """The new names by the old ones."""
        return dict(self.names)

    def renaming_by(self, names: dict[str, str]) -> Self:
        """Return an equal transform that looks names up in an equal dictionary."""
        found = attrs.evolve(self)
        vars(found)["new_names"] = names
        return found


def pairs_of(names: Mapping[str, str], where: str) -> Pairs:
    """Keep a mapping of texts; nothing may be empty or hold white space.

    Args:
        names: Old to new.
        where: The function that they were given to, for the message.

    Raises:
        InvalidConfigError: They are none, or none that can be meant.
    """
    given: Any = names
    if not isinstance(given, Mapping) or not given:
        raise InvalidConfigError(f"{where}: expected old names and new ones in a dict")
    for name in (*names.keys(), *names.values()):
        check_word(name, where)
    return tuple(sorted(names.items()))


def words_of(words: Iterable[str], where: str) -> tuple[str, ...]:
    """Keep a set of texts; one text is not a set of its letters.

    Raises:
        InvalidConfigError: Something in it is none, empty, or has white space.
    """
    if isinstance(words, str) or not isinstance(words, Iterable):
        raise InvalidConfigError(f"{where}: expected a list, got {words!r}")
    kept = list(words)
    for word in kept:
        check_word(word, where)
    return tuple(sorted(set(kept)))


def check_word(word: Any, where: str) -> None:
    """Refuse what is no name.

    Raises:
        InvalidConfigError: It is no text, is empty or has white space in it.
    """
    if not isinstance(word, str) or not word or not word.isprintable() or " " in word:
        raise InvalidConfigError(f"{where}: {word!r} is no name")
