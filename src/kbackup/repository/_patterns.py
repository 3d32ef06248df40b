"""Patterns that paths match, as restic has them: for what is left out, restored or found.

`Patterns` is pure; `read_patterns` reads a file of them. What is done with what matches,
those who ask decide: `_excludes` for a backup.
Source: restic ``doc/040_backup.rst``, "Excluding files"; Go ``path/filepath.Match``.
"""

from __future__ import annotations

import codecs
import os
import posixpath
import re
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import attrs

from kbackup.errors import InvalidSpecError

_ANY_DEPTH = "**"
_NAME = "[^/]"  # one sign of a name
_VARIABLE = re.compile(r"\$(?:(\w+|[*#$@!?-])|\{([^}]*)\}|\{)", re.ASCII)
_ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Patterns:
    r"""Some patterns, of which the last one that matches a path decides.

    A pattern is names joined by ``/``. In a name ``*`` stands for any signs, ``?`` for
    one, ``[a-z]`` and ``[^a-z]`` for one of some, and after ``\`` a sign is itself; the
    name ``**`` stands for any number of directories, also for none. One that begins with
    ``/`` matches from the root on, any other anywhere in a path; what lies below
    something that matches does so, too. ``!`` in front takes back what those before it
    match.

    Args:
        patterns: Empty ones are passed over.
        ignore_case: Whether ``A`` is ``a``.

    Raises:
        InvalidSpecError: Some are none; it names them.
    """

    def __init__(self, patterns: Iterable[str], *, ignore_case: bool = False) -> None:
        self._fold = _lower if ignore_case else str
        self._patterns: list[_Pattern] = []
        violations = []
        for text in filter(None, patterns):
            try:
                self._patterns.append(_parsed(text, self._fold(text)))
            except ValueError as exc:
                violations.append(f"{text!r} is no pattern: {exc}")
        if violations:
            raise InvalidSpecError(violations)

    def matches(self, path: bytes) -> bool:
        """Tell whether a path matches: one from the root, with the slash in front."""
        text, found = self._text(path), False
        for pattern in self._patterns:
            if pattern.negates == found and pattern.match(text):
                found = not pattern.negates
        return found

    def may_match_below(self, path: bytes) -> bool:
        """Tell whether something below a directory may match, so that it is looked for."""
        text, found = self._text(path), False
        names = [name for name in text.split("/") if name]
        for pattern in self._patterns:
            if not pattern.negates:
                found = found or pattern.may_match_below(names)
            elif found:
                found = not pattern.match(text)
        return found

    def _text(self, path: bytes) -> str:
        return self._fold(path.decode(errors="surrogateescape"))


def read_patterns(
    path: Path | str, *, environment: Mapping[str, str] | None = None
) -> list[str]:
    """Return the patterns in a file of lines.

    Blanks around a line, empty lines and those that begin with ``#`` are passed over.
    ``$NAME`` and ``${NAME}`` stand for variables, ``$$`` for a dollar sign. UTF-8, or
    UTF-16 with its mark.

    Args:
        path: Of the file.
        environment: The variables; None: those of this process.

    Raises:
        OSError: It cannot be read.
    """
    known = os.environ if environment is None else environment
    value_of = partial(_value, known)
    lines = map(str.strip, _decoded(Path(path).read_bytes()).split("\n"))
    return [
        _VARIABLE.sub(value_of, line)
        for line in lines
        if line and not line.startswith("#")
    ]


def _decoded(content: bytes) -> str:
    for mark, encoding in _ENCODINGS:
        if content.startswith(mark):
            return content.decode(encoding, errors="surrogateescape")
    return content.decode(errors="surrogateescape")


def _value(known: Mapping[str, str], match: re.Match[str]) -> str:
    name = match[1] or match[2] or ""
    if name == "$":
        return name
    if match[1] and name[0].isdigit():  # of the arguments of a shell: there are none
        return name[1:]
    return known.get(name, "")


def _lower(text: str) -> str:
    """Make it small sign by sign: what a sign becomes does not depend on the next."""
    return text.lower() if text.isascii() else "".join(map(str.lower, text))


# --- one pattern ----------------------------------------------------------------------


@attrs.frozen
class _Pattern:
    """A pattern that was read.

    Attributes:
        whole: Finds it in a path.
        names: What finds each of its names, None for ``**``; of one that matches
            anywhere, none at all.
        negates: Whether it takes back what matched.
    """

    whole: re.Pattern[str]
    names: list[re.Pattern[str] | None]
    negates: bool

    def match(self, text: str) -> bool:
        return self.whole.search(text) is not None

    def may_match_below(self, names: list[str]) -> bool:
        for pattern, name in zip(self.names, names, strict=False):
            if pattern is None:
                return True
            if not pattern.fullmatch(name):
                return False
        return True


def _parsed(text: str, folded: str) -> _Pattern:
    """Read a pattern; raise `ValueError` where it is none."""
    negates = text.startswith("!")
    clean = posixpath.normpath(folded[1:] if negates else folded)
    is_anchored = clean.startswith("/")
    names = [name for name in clean.split("/") if name]
    found = [None if name == _ANY_DEPTH else _translated(name) for name in names]
    whole = re.compile(_joined(found, is_anchored=is_anchored), re.DOTALL)
    each = [None if name is None else re.compile(name, re.DOTALL) for name in found]
    return _Pattern(whole, each if is_anchored else [], negates)


def _joined(names: list[str | None], *, is_anchored: bool) -> str:
    """Return what finds names one after the other, whole ones.

    Each brings the slash in front of it, so that any depth may be none. Where a path
    begins without one, the first name does, too.
    """
    if is_anchored and not names:
        return r"\A/"
    if all(name is None for name in names):  # nothing is said of any name
        return r"\A/" if is_anchored else _NAME
    parts = [f"(?:/{_NAME}+)*" if name is None else f"/{name}" for name in names]
    if is_anchored:
        return rf"\A{''.join(parts)}(?=/|\Z)"
    while names[0] is None:
        names, parts = names[1:], parts[1:]
    parts[0] = rf"(?:\A|/){names[0]}"
    return rf"{''.join(parts)}(?=/|\Z)"


def _translated(name: str) -> str:
    """Return the regular expression of one name of a pattern.

    Between two stars the first place that fits is as good as any later one: tried are
    no others, or a few stars would take hours.
    """
    chunks, at = [""], 0
    while at < len(name):
        sign = name[at]
        at += 1
        if sign == "*":
            chunks.append("")
        elif sign == "?":
            chunks[-1] += _NAME
        elif sign == "[":
            part, at = _class(name, at)
            chunks[-1] += part
        else:
            if sign == "\\":
                sign, at = _following(name, at), at + 1
            chunks[-1] += re.escape(sign)
    first, *rest = chunks
    if not rest:
        return first
    between = "".join(f"(?>{_NAME}*?{chunk})" for chunk in rest[:-1] if chunk)
    return f"{first}{between}{_NAME}*{rest[-1]}"


def _class(name: str, at: int) -> tuple[str, int]:
    """Read what comes after ``[``; return its expression, and where it has ended."""
    negates = name[at : at + 1] == "^"
    at += negates
    ranges: list[str] = []
    while not ranges or name[at : at + 1] != "]":
        first, at = _member(name, at)
        last = first
        if name[at : at + 1] == "-":
            last, at = _member(name, at + 1)
        # One that ends before it begins has nothing in it.
        is_empty = first > last
        ranges.append("" if is_empty else f"{re.escape(first)}-{re.escape(last)}")
    inside = "".join(ranges)
    if not inside:
        return (_NAME if negates else "(?!)"), at + 1
    return f"(?!/)[{'^' if negates else ''}{inside}]", at + 1


def _member(name: str, at: int) -> tuple[str, int]:
    """Read a sign of a class; return it, and where the next one is."""
    sign = _following(name, at)
    if sign in "-]":
        raise ValueError("a '[' has no member in its place, or no end")
    if sign == "\\":
        return _following(name, at + 1), at + 2
    return sign, at + 1


def _following(name: str, at: int) -> str:
    if at >= len(name):
        raise ValueError("it ends in the middle of '[' or '\\'")
    return name[at]
