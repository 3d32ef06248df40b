"""The two ways of an object into a bucket: in one request, or piece by piece.

Source: Cloud Storage JSON API, "Uploads and downloads": "Multipart upload",
"Resumable uploads".
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from kbackup.errors import StoreError, StoreUnavailableError
from kbackup_plugins_gcp._requests import Answer, Connection

SINGLE = 8 << 20
"""Up to which size an object goes in one request; that holds it in memory twice."""

_PIECE = 16 << 20  # a multiple of 256 KiB, as the API wants; what an upload holds
_CONTENT = "application/octet-stream"
_INCOMPLETE = 308


def properties(
    key: str, retention_mode: str, retain_until: datetime | None
) -> dict[str, Any]:
    """Return what describes a new object.

    Source: Cloud Storage JSON API, "Objects", ``retention``.
    """
    described: dict[str, Any] = {"name": key, "contentType": _CONTENT}
    if retain_until is not None:
        until = retain_until.astimezone(UTC).isoformat(timespec="milliseconds")
        described["retention"] = {
            "mode": retention_mode,
            "retainUntilTime": until.replace("+00:00", "Z"),
        }
    return described


def multipart(
    described: Mapping[str, Any], data: bytes
) -> tuple[dict[str, str], bytes]:
    """Return headers and body of an upload in one request.

    The mark between the parts is drawn anew each time: data cannot hold it.
    """
    mark = secrets.token_hex(16).encode()
    body = b"".join(
        (
            b"--%b\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n" % mark,
            json.dumps(described).encode(),
            b"\r\n--%b\r\nContent-Type: %b\r\n\r\n" % (mark, _CONTENT.encode()),
            data,
            b"\r\n--%b--\r\n" % mark,
        )
    )
    return {"Content-Type": f"multipart/related; boundary={mark.decode()}"}, body


class Upload:
    """An upload in pieces; after a failure it goes on where the server has got to.

    Args:
        connection: To the bucket.
        key: What is written.
        size: In bytes, above zero.
    """

    def __init__(self, connection: Connection, key: str, size: int) -> None:
        self.key = key
        self.is_complete = False
        self._connection = connection
        self._size = size
        self._source: Path | bytes = b""
        self._file: BinaryIO | None = None
        self._session = ""
        self._offset = 0
        self._is_sure = True  # of the offset

    @contextmanager
    def reading(self, source: Path | bytes) -> Iterator[None]:
        """Hold the source open."""
        self._source = source
        if isinstance(source, bytes):
            yield
            return
        with source.open("rb") as self._file:
            yield

    async def begin(
        self, described: Mapping[str, Any], params: Mapping[str, str]
    ) -> Answer:
        """Ask where the pieces are to go; a condition holds for the end, too."""
        answer = await self._connection.upload(
            params={**params, "uploadType": "resumable"},
            headers={
                "Content-Type": "application/json; charset=UTF-8",
                "X-Upload-Content-Type": _CONTENT,
                "X-Upload-Content-Length": str(self._size),
            },
            data=json.dumps(described).encode(),
        )
        self._session = answer.headers.get("location", "")
        if not self._session:
            raise StoreUnavailableError(self.key, "the server began no upload")
        return answer

    async def send_next(self) -> Answer:
        """Send the next piece; after a failure ask first how far the server has got."""
        import asyncio  # noqa: PLC0415 - costs 20 ms; loaded with the filesystem

        if not self._is_sure:
            answer = await self._put(b"", f"bytes */{self._size}")
            self._take(answer)
            if self.is_complete:
                return answer
        self._is_sure = False
        begin = self._offset
        piece = await asyncio.to_thread(self._piece)  # the loop is everybody's
        last = begin + len(piece) - 1
        answer = await self._put(piece, f"bytes {begin}-{last}/{self._size}")
        self._take(answer)
        if not self.is_complete and not begin < self._offset < self._size:
            raise StoreUnavailableError(self.key, "the server took no piece of it")
        return answer

    # --- inside -----------------------------------------------------------------------

    async def _put(self, piece: bytes, content_range: str) -> Answer:
        return await self._connection.send(
            "PUT",
            self._session,
            key=self.key,
            headers={"Content-Range": content_range, "Content-Type": _CONTENT},
            data=piece,
        )

    def _take(self, answer: Answer) -> None:
        """Note how far the server has got."""
        self._is_sure = True
        if answer.status != _INCOMPLETE:
            self.is_complete = True
            return
        # "bytes=0-1234"; nothing is there yet where it is missing.
        held = answer.headers.get("range", "").rpartition("-")[2]
        self._offset = int(held) + 1 if held.isdecimal() else 0

    def _piece(self) -> bytes:
        end = min(self._offset + _PIECE, self._size)
        if isinstance(self._source, bytes):
            return self._source[self._offset : end]
        assert self._file is not None  # noqa: S101 - see `reading`
        self._file.seek(self._offset)
        piece = self._file.read(end - self._offset)
        if len(piece) != end - self._offset:
            raise StoreError(self.key, "the source became shorter while it was read")
        return piece
