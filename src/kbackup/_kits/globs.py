"""Includes and excludes with wildcards, by Velero's rules.

An empty list of includes, or ``*`` alone, stands for everything; excludes win. A name
may hold ``*``, ``?`` and ``[...]``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import translate
from functools import cached_property

import attrs

_MAGIC = frozenset("*?[")
_UNSUPPORTED = ("**", "|", "(", ")", "!", "{", "}", ",")


def is_glob(text: str) -> bool:
    """Tell whether *text* holds a wildcard."""
    return not _MAGIC.isdisjoint(text)


def _names(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(values)


@attrs.frozen(slots=False)  # cached_property needs a dict
class IncludesExcludes:
    """Which names are wanted.

    Attributes:
        includes: Names and globs; none, or ``*`` alone, is everything.
        excludes: Names and globs that are not wanted whatever the includes say.
    """

    includes: tuple[str, ...] = attrs.field(default=(), converter=_names)
    excludes: tuple[str, ...] = attrs.field(default=(), converter=_names)

    @property
    def includes_everything(self) -> bool:
        """Whether no name at all is left out."""
        return not self.excludes and self._all_included

    def wants(self, name: str) -> bool:
        """Tell whether *name* is included and not excluded."""
        if self._excluded is not None and self._excluded(name):
            return False
        return self._all_included or self._included(name) is not None

    def expand(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return those of *names* that are wanted, in their order."""
        return tuple(name for name in names if self.wants(name))

    def violations(self, what: str) -> list[str]:
        """Return the rules broken, as sentences about *what*, such as ``namespaces``."""
        broken = []
        if "*" in self.includes and len(self.includes) > 1:
            broken.append(f"included {what}: '*' must stand alone")
        if "*" in self.excludes:
            broken.append(f"excluded {what}: '*' would exclude everything")
        both = sorted(set(self.includes) & set(self.excludes) - {"*"})
        broken += [f"{what}: {name!r} is both included and excluded" for name in both]
        for name in (*self.includes, *self.excludes):
            bad = next((sign for sign in _UNSUPPORTED if sign in name), None)
            if bad:
                broken.append(f"{what}: {name!r} holds {bad!r}, which no pattern may")
        return broken

    @property
    def _all_included(self) -> bool:
        return not self.includes or self.includes == ("*",)

    @cached_property
    def _included(self) -> Callable[[str], object]:
        return _any_of(self.includes).fullmatch

    @cached_property
    def _excluded(self) -> Callable[[str], object] | None:
        return _any_of(self.excludes).fullmatch if self.excludes else None


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    """Compile one pattern that matches what any of *patterns* does."""
    return re.compile("|".join(translate(pattern) for pattern in patterns))
