"""The plain bytes of a gzip, member by member.

A gzip may have any number of members. kbackup's archives hold a large body as a member
of its own, and that twice, byte for byte: under its type, and under its version. Called
by the scan.
"""

from __future__ import annotations

import attrs

from kbackup._kits.streams import GZIP_ERRORS, Readable, inflater

_OURS = b"\x1f\x8b\x08" + bytes(5)  # gzip, deflate, no name, no time
_READ = 1 << 17
_STEP = 1 << 18  # larger blocks leave the processor's cache
_LITTLE = 1 << 12  # at most so much is lost before a damaged place
_SMALLEST_KEPT, _LARGEST_KEPT = 1 << 16, 1 << 23  # bytes, compressed and plain


@attrs.frozen
class _Kept:
    """The last large member: as it lies in the archive, and what it holds."""

    packed: bytes
    plain: bytes


class Members:
    """Inflates a gzip; a large member that comes once more is not inflated again.

    That saves a third of the time where the items are large. Where what is damaged is to
    be passed over, nearly all is given before an error, and the next call goes on at the
    next member that begins as ours do.

    Args:
        source: The archive, from its beginning.
        salvage: Go on behind what is damaged.

    Attributes:
        taken: Compressed bytes that were read so far.
    """

    def __init__(self, source: Readable, *, salvage: bool = False) -> None:
        self._source = source
        self.taken = 0
        self._salvage = salvage
        # A whole block at a time is fast; where it ends in an error, all of it is lost.
        self._step = _LITTLE if salvage else _STEP
        self._data = b""  # compressed, and not yet looked at
        self._ahead = memoryview(b"")  # what was fetched behind it, to be compared
        self._is_lost = False
        self._kept = _Kept(b"", b"")
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
        packed = self._data
        try:
            plain: bytes = self._inflater.decompress(packed, self._step)
        except GZIP_ERRORS:
            self._is_lost = self._salvage
            raise
        # Of these two one is always empty.
        self._data = self._inflater.unconsumed_tail or self._inflater.unused_data
        self._keep(packed[: len(packed) - len(self._data)], plain)
        return plain

    def _refill(self) -> bool:
        more = bytes(self._ahead[:_READ]) or self._fetch(_READ)
        self._ahead = self._ahead[_READ:]
        self._data += more
        return bool(more)

    def _fetch(self, size: int) -> bytes:
        more = self._source.read(size)
        self.taken += len(more)
        return more

    # --- member after member ----------------------------------------------------------

    def _skip_padding(self) -> bool:
        """Go to the next member; False where only padding has come so far."""
        self._data = self._data.lstrip(b"\0")
        return bool(self._data)

    def _begin(self) -> None:
        self._inflater = inflater()
        self._packed: list[bytes] = []
        self._plain: list[bytes] = []
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

    def _keep(self, packed: bytes, plain: bytes) -> None:
        """Remember a large member once all of it was inflated, and found right."""
        self._size += len(packed) + len(plain)
        if self._size > _LARGEST_KEPT:
            self._packed.clear()
            self._plain.clear()
            return
        self._packed.append(packed)
        self._plain.append(plain)
        if not self._inflater.eof or self._size < _SMALLEST_KEPT:
            return
        if whole := b"".join(self._plain):
            self._kept = _Kept(b"".join(self._packed), whole)

    def _take_again(self) -> bytes:
        """Return what the kept member holds, if it comes again; nothing if not."""
        packed = self._kept.packed
        if not packed or not packed.startswith(self._data[: len(packed)]):
            return b""
        if (missing := len(packed) - len(self._data)) > 0:
            if not self._agrees(packed[-missing:]):
                return b""
            self._ahead = self._ahead[missing:]
        self._data = self._data[len(packed) :]
        return self._kept.plain

    def _agrees(self, packed: bytes) -> bool:
        """Whether what follows the data is *packed*; it is not taken."""
        while (missing := len(packed) - len(self._ahead)) > 0:
            more = self._fetch(missing)
            if not more:
                return False
            self._ahead = memoryview(bytes(self._ahead) + more)
        return bytes(self._ahead[: len(packed)]) == packed
