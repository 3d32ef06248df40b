"""The two ways of an object into a bucket: in one request, or piece by piece.

Source: Cloud Storage JSON API, "Uploads and downloads": "Multipart upload",
"Resumable uploads".
"""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from kbackup.errors import StoreError, StoreUnavailableError
from kbackup.stores import translate_store_errors
from kbackup_plugins_gcp._requests import Answer, Body, Connection

SINGLE = 8 << 20
"""Up to which size an object goes in one request, all of which is sent again."""

File = io.BufferedReader | io.BytesIO

_PIECE = 64 << 20  # a multiple of 256 KiB, as the API wants
_BLOCK = 1 << 20  # what an upload holds
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
    key: str, described: Mapping[str, Any], file: File, size: int
) -> tuple[dict[str, str], Body]:
    """Return headers and body of an upload in one request.

    The mark between the parts is drawn anew each time: data cannot hold it.
    """
    mark = secrets.token_hex(16).encode()
    head = b"".join(
        (
            b"--%b\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n" % mark,
            json.dumps(described).encode(),
            b"\r\n--%b\r\nContent-Type: %b\r\n\r\n" % (mark, _CONTENT.encode()),
        )
    )
    tail = b"\r\n--%b--\r\n" % mark

    def blocks() -> Iterator[bytes | memoryview]:
        yield head
        yield from _blocks(key, file, 0, size)
        yield tail

    headers = {"Content-Type": f"multipart/related; boundary={mark.decode()}"}
    return headers, Body(len(head) + size + len(tail), blocks)


class Upload:
    """An upload in pieces; after a failure it goes on where the server has got to.

    Args:
        connection: To the bucket.
        key: What is written.
        file: Its bytes; read by one thread at a time.
        size: In bytes, above zero.
    """

    def __init__(self, connection: Connection, key: str, file: File, size: int) -> None:
        self.key = key
        self.is_complete = False
        self._connection = connection
        self._file = file
        self._size = size
        self._session = ""
        self._offset = 0
        self._is_sure = True  # of the offset

    def begin(self, described: Mapping[str, Any], params: Mapping[str, str]) -> Answer:
        """Ask where the pieces are to go; a condition holds for the end, too."""
        answer = self._connection.upload(
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

    def send_next(self) -> Answer:
        """Send the next piece; after a failure ask first how far the server has got."""
        if not self._is_sure:
            answer = self._put(b"", f"bytes */{self._size}")
            self._take(answer)
            if self.is_complete:
                return answer
        self._is_sure = False
        begin, end = self._offset, min(self._offset + _PIECE, self._size)
        piece = Body(end - begin, lambda: _blocks(self.key, self._file, begin, end))
        answer = self._put(piece, f"bytes {begin}-{end - 1}/{self._size}")
        self._take(answer)
        if not self.is_complete and not begin < self._offset < self._size:
            raise StoreUnavailableError(self.key, "the server took no piece of it")
        return answer

    # --- inside -----------------------------------------------------------------------

    def _put(self, piece: bytes | Body, content_range: str) -> Answer:
        return self._connection.send(
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


def _blocks(key: str, file: File, begin: int, end: int) -> Iterator[memoryview]:
    """Read a part of a file into one buffer, again and again."""
    buffer = memoryview(bytearray(min(_BLOCK, end - begin)))
    for start in range(begin, end, _BLOCK):
        block = buffer[: end - start]
        with translate_store_errors(key):  # what is not the server's fault
            file.seek(start)
            count = file.readinto(block)
        if count != len(block):
            raise StoreError(key, "the source became shorter while it was read")
        yield block
