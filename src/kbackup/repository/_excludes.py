"""What a backup of a directory leaves out.

Says of each path whether it is saved; `DirectorySource` asks, and does not walk what is
not. Nothing is remembered of a directory: the next backup may find it otherwise.
Source: restic ``doc/040_backup.rst``, "Excluding files"; https://bford.info/cachedir/.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import attrs

from kbackup.errors import InvalidSpecError
from kbackup.repository._nodes import Node, NodeType
from kbackup.repository._patterns import Patterns

_CACHE_TAG = "CACHEDIR.TAG:Signature: 8a477f597d28d172789f06886806bc55"


def _texts(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(texts)


@attrs.frozen(kw_only=True)
class Excludes:
    """What a `DirectorySource` leaves out.

    What is given to the source itself is saved all the same. Of a directory that is left
    out nothing is saved, also not what a pattern with ``!`` means.

    Attributes:
        patterns: See `Patterns`; a snapshot records them.
        ignore_case: More of them, to which ``A`` is ``a``.
        caches: Whether directories are saved without what is in them where a
            ``CACHEDIR.TAG`` with its signature is; that itself is saved.
        if_present: Other files that say so: ``NAME``, or ``NAME:BEGINNING`` where only
            one counts that begins so.
        larger_than: Bytes; files that have more are left out.

    Raises:
        InvalidSpecError: A pattern is none, or a file has no name or several.
    """

    patterns: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    ignore_case: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    caches: bool = False
    if_present: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    larger_than: int | None = None
    _matching: tuple[Patterns, ...] = attrs.field(init=False, repr=False, eq=False)
    _tags: Sequence[tuple[bytes, bytes]] = attrs.field(init=False, repr=False, eq=False)

    @_matching.default
    def _(self) -> tuple[Patterns, ...]:
        return Patterns(self.patterns), Patterns(self.ignore_case, ignore_case=True)

    @_tags.default
    def _(self) -> Sequence[tuple[bytes, bytes]]:
        caches = (_CACHE_TAG,) if self.caches else ()
        return [_tag(text) for text in (*self.if_present, *caches)]

    @property
    def texts(self) -> tuple[str, ...]:
        """All patterns, as a snapshot records them."""
        return (*self.patterns, *self.ignore_case)

    def selects(self, path: bytes, node: Node) -> bool:
        """Tell whether something is saved.

        Args:
            path: Absolute, as the system has it.
            node: What is known of it.
        """
        if any(patterns.matches(path) for patterns in self._matching):
            return False
        if self._is_too_large(node):
            return False
        directory, _, name = path.rpartition(b"/")
        return not any(
            name != tag and _begins(directory + b"/" + tag, beginning)
            for tag, beginning in self._tags
        )

    def _is_too_large(self, node: Node) -> bool:
        if self.larger_than is None or node.type == NodeType.DIRECTORY:
            return False
        # A symlink has as many bytes as the path in it.
        return max(node.size, len(node.target)) > self.larger_than


def _tag(text: str) -> tuple[bytes, bytes]:
    """Return the name of a file that keeps others out, and how it begins."""
    name, _, beginning = text.partition(":")
    if not name or "/" in name:
        raise InvalidSpecError([f"{text!r} does not begin with the name of a file"])
    return os.fsencode(name), os.fsencode(beginning)


def _begins(path: bytes, beginning: bytes) -> bool:
    """Whether there is such a file; one that cannot be read says nothing."""
    try:
        if not beginning:
            os.lstat(path)
            return True
        # NONBLOCK: it may be a FIFO that nobody writes.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return os.read(descriptor, len(beginning)) == beginning
        finally:
            os.close(descriptor)
    except OSError:
        return False
