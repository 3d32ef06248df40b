"""USTAR headers of regular files, from a template.

Our own code because it was measured: `tarfile` takes ten times as long for a header.
What does not fit USTAR goes through `tarfile` with a PAX header. Property tests hold
both to `tarfile`. Called by the writer.
"""

from __future__ import annotations

import tarfile
import zlib

BLOCK = 512
_NAME, _PREFIX = 100, 155  # bytes of the two fields that hold a path
_SIZE_AT, _MTIME_AT, _SUM_AT, _TYPE_AT = 124, 136, 148, 156
_PREFIX_AT, _PAD_AT = 345, 500
_LARGEST = 8**11  # what eleven octal digits cannot hold
_MODE = 0o755  # of every entry that Velero writes


class HeaderTemplate:
    """Makes the headers of one archive.

    Args:
        mtime: Of every entry, in whole seconds since 1970.
    """

    def __init__(self, mtime: int) -> None:
        self._mtime = mtime
        blank = self._tar_info("", 0).tobuf(tarfile.USTAR_FORMAT)
        self._mode = blank[_NAME:_SIZE_AT]
        self._time = blank[_MTIME_AT:_SUM_AT]
        self._rest = blank[_TYPE_AT:_PREFIX_AT]
        self._end = blank[_PAD_AT:]
        fixed = self._mode + b"\0" + self._time + self._rest + self._end
        # A header's sum counts its own eight bytes as spaces.
        self._sum = sum(fixed) + 8 * ord(" ")
        self._no_prefix = bytes(_PREFIX)

    def header(self, path: str, size: int) -> bytes:
        """Return the header of a regular file; several blocks where PAX is needed."""
        if len(path) <= _NAME:
            prefix, name = b"", path.encode()
        else:
            # As tarfile: the first slash that leaves a name that fits.
            cut = path.find("/", len(path) - _NAME - 1)
            if cut < 1 or cut > _PREFIX:
                return self._extended(path, size)
            prefix, name = path[:cut].encode(), path[cut + 1 :].encode()
        if size >= _LARGEST or not path.isascii() or not name:
            return self._extended(path, size)
        digits = b"%011o" % size
        # The low half of Adler-32 is one more than the sum of the bytes, modulo 65521;
        # 255 ASCII bytes and eleven digits stay below that.
        total = self._sum + (zlib.adler32(name + digits + prefix) & 0xFFFF) - 1
        return b"".join(
            (
                name.ljust(_NAME, b"\0"),
                self._mode,
                digits,
                b"\0",
                self._time,
                b"%06o\0 " % total,
                self._rest,
                prefix.ljust(_PREFIX, b"\0") if prefix else self._no_prefix,
                self._end,
            )
        )

    def _extended(self, path: str, size: int) -> bytes:
        return self._tar_info(path, size).tobuf(tarfile.PAX_FORMAT, encoding="utf-8")

    def _tar_info(self, path: str, size: int) -> tarfile.TarInfo:
        info = tarfile.TarInfo(path)
        info.size = size
        info.mode = _MODE
        info.mtime = self._mtime
        return info


PADDING = tuple(bytes(-size % BLOCK) for size in range(BLOCK))
"""What follows a body whose size modulo a block is the index."""

END = bytes(2 * BLOCK)
"""The end mark of an archive."""
