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


# --- the other kind of globs that Velero has ------------------------------------------

_GLOB_PART = re.compile(
    r"""
    (?P<stars>\*+) | (?P<any>\?) | \\(?P<literal>.)
    | \[(?P<not>!?)(?P<set>[^\]]+)\] | (?P<open>\{) | (?P<close>\}) | (?P<comma>,)
    | (?P<odd>[\[\\]) | (?P<text>.)
    """,
    re.VERBOSE | re.DOTALL,
)


def glob_with_groups(text: str, separator: str = "") -> re.Pattern[str]:
    """Compile a glob in which ``{a,b}`` is one of several, for whole names.

    Source: github.com/gobwas/glob, which Velero's resource modifiers are matched with.

    Args:
        text: ``*`` and ``?`` stop at the separator, ``**`` does not; ``[abc]``,
            ``[a-z]``, ``[!a]``; a backslash takes the meaning of what follows.
        separator: One character, or nothing.

    Raises:
        ValueError: A bracket or a brace has no counterpart, or a range no members.
    """
    other = f"[^{re.escape(separator)}]" if separator else "."
    depth, parts = 0, []
    for match in _GLOB_PART.finditer(text):
        kind, found = str(match.lastgroup), match[0]
        depth += (kind == "open") - (kind == "close")
        if kind == "odd" or depth < 0:
            raise ValueError(f"{text!r} has a {found!r} without its counterpart")
        parts.append(_regex_of(match, kind, depth, other))
    if depth:
        raise ValueError(f"{text!r} has a '{{' without its counterpart")
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error as exc:
        raise ValueError(f"{text!r} is no pattern: {exc}") from exc


def _regex_of(match: re.Match[str], kind: str, depth: int, other: str) -> str:
    if kind == "set":
        letters = re.sub(r"([\\\[\]^&|~])", r"\\\1", match["set"])
        return f"[{'^' if match['not'] else ''}{letters}]"
    if kind == "literal":
        return re.escape(match["literal"])
    if kind == "stars":
        return f"{other}*" if match[0] == "*" else ".*"
    signs = {"any": other, "open": "(?:", "close": ")"}
    if kind == "comma" and depth:
        return "|"
    return signs.get(kind) or re.escape(match[0])
