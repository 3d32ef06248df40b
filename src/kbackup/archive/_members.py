"""The plain bytes of a gzip, member by member.

A gzip may have any number of members. kbackup's archives hold a large body as a member
of its own, and that twice, byte for byte: under its type, and under its version. Called
by the scan.
"""

from __future__ import annotations

import attrs

from kbackup._kits.streams import GZIP_ERRORS, inflater
from kbackup.archive._files import Cursor

_OURS = b"\x1f\x8b\x08" + bytes(5)  # gzip, deflate, no name, no time
_READ = 1 << 17
_STEP = 1 << 18  # larger blocks leave the processor's cache
_LITTLE = 1 << 12  # at most so much is lost before a damaged place
_SMALLEST_KEPT, _LARGEST_KEPT = 1 << 16, 1 << 22
_HEAD = 64
_PART = 1 << 16  # larger pieces are mapped anew each time


@attrs.frozen
class _Kept:
    """The last large member.

    Attributes:
        start: Where it begins in the archive.
        size: Its compressed bytes.
        head: The first of them.
        plain: What it holds.
    """

    start: int
    size: int
    head: bytes
    plain: bytes


class Members:
    """Inflates a gzip; a large member that comes once more is not inflated again.

    That saves a third of the time where the items are large. Where what is damaged is to
    be passed over, nearly all is given before an error, and the next call goes on at the
    next member that begins as ours do.

    Args:
        source: The archive, from its beginning.
        salvage: Go on behind what is damaged.
    """

    def __init__(self, source: Cursor, *, salvage: bool = False) -> None:
        self._source = source
        self._salvage = salvage
        # A whole block at a time is fast; where it ends in an error, all of it is lost.
        self._step = _LITTLE if salvage else _STEP
        self._data = b""  # compressed, and not yet looked at
        self._is_lost = False
        self._kept = _Kept(0, 0, b"", b"")
        self._begin()

    def read(self) -> bytes:
        """Return some plain bytes, or none at the end.

        Raises one of `GZIP_ERRORS` where the gzip is damaged or ends too early.
        """
        if self._is_lost and not self._find_member():
            return b""
        while self._data or self._refill():
            if self._inflater.eof:
                if not self._skip_padding():
                    continue
                if plain := self._take_again():
                    return plain
                self._begin()
            if plain := self._inflate():
                return plain
        if self._inflater.eof:
            return b""
        if (
            plain := self._inflate()
        ):  # it may hold some back when it has all of the data
            return plain
        raise EOFError("it ends before its end mark")

    def _inflate(self) -> bytes:
        try:
            plain: bytes = self._inflater.decompress(self._data, self._step)
        except GZIP_ERRORS:
            self._is_lost = self._salvage
            raise
        # Of these two one is always empty.
        self._data = self._inflater.unconsumed_tail or self._inflater.unused_data
        self._keep(plain)
        return plain

    def _refill(self) -> bool:
        more = self._source.read(_READ)
        self._data += more
        return bool(more)

    # --- member after member ----------------------------------------------------------

    def _skip_padding(self) -> bool:
        """Go to the next member; False where only padding has come so far."""
        self._data = self._data.lstrip(b"\0")
        return bool(self._data)

    def _begin(self) -> None:
        self._inflater = inflater()
        self._start = self._source.position - len(self._data)
        self._pieces: list[bytes] = []
        self._size = 0

    def _find_member(self) -> bool:
        """Skip to where a member begins as ours do; False where none does."""
        self._data = self._data[1:]  # what was damaged may have begun right here
        while (at := self._data.find(_OURS)) < 0:
            self._data = self._data[1 - len(_OURS) :]
            if not self._refill():
                return False
        self._data = self._data[at:]
        self._is_lost = False
        self._begin()
        return True

    # --- the same once more -----------------------------------------------------------

    def _keep(self, plain: bytes) -> None:
        """Remember a large member once all of it was inflated, and found right."""
        self._size += len(plain)
        if self._size > _LARGEST_KEPT:
            self._pieces.clear()
            return
        self._pieces.append(plain)
        if not self._inflater.eof or self._size < _SMALLEST_KEPT:
            return
        size = self._source.position - len(self._data) - self._start
        head = self._source.peek(self._start, min(size, _HEAD))
        self._kept = _Kept(self._start, size, head, b"".join(self._pieces))

    def _take_again(self) -> bytes:
        """Return what the kept member holds, if it comes again; nothing if not."""
        kept, head = self._kept, self._data[:_HEAD]
        if not kept.size or not kept.head.startswith(head):
            return b""
        here = self._source.position - len(self._data)
        for done in range(0, kept.size, _PART):
            size = min(_PART, kept.size - done)
            before = self._source.peek(kept.start + done, size)
            if self._source.peek(here + done, size) != before:
                return b""
        self._source.position, self._data = here + kept.size, b""
        return kept.plain
