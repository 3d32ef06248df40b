"""An upload to S3: in one request, or in parts of which some are on their way at once.

s3fs's own calls for it send no checksum with a part, without which S3 does not complete
an upload that was begun with one.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from kbackup.errors import (
    ObjectNotFoundError,
    StoreError,
    StoreUnavailableError,
)
from kbackup.stores import PartWorkers
from kbackup_plugins_aws._checksums import checksum_of

PART = 8 << 20
_SMALL = 1 << 20
_SHORTER = "the source became shorter while it was read"
_MAX_PARTS = 9_000  # S3 allows 10,000


@attrs.frozen(kw_only=True)
class Upload:
    """One object on its way.

    Attributes:
        ask: Sends a request about the bucket: the method's name, then its parameters.
        ask_in_thread: The same for a part, from the thread that calls it.
        workers: The threads that send parts.
        key: Of the object.
        options: Parameters of the request that begins, such as encryption and tags.
        checksum: The algorithm of each part's checksum, or empty.
        create: Whether to fail where the key is taken.
    """

    ask: Callable[..., Mapping[str, Any]]
    ask_in_thread: Callable[..., Mapping[str, Any]]
    workers: PartWorkers
    key: str
    options: Mapping[str, Any]
    checksum: str = ""
    create: bool = False

    def send(self, source: Path | bytes, size: int) -> None:
        """Put *source*, of *size* bytes; after a failure no part of it is kept."""
        if size <= _SMALL:
            self._put(source, size)
            return
        if size <= PART:  # by the same threads, so that as few are in memory
            self.workers.send([size], partial(self._put, source))
            return
        if isinstance(source, bytes):
            self._put_parts(io.BytesIO(source), size)
            return
        with source.open("rb") as file:
            self._put_parts(file, size)

    def _whole(self, source: Path | bytes, size: int) -> bytes:
        if isinstance(source, bytes):
            return source
        with source.open("rb") as file:
            body = file.read(size)
        if len(body) != size:
            raise StoreError(self.key, _SHORTER)
        return body

    def _put(self, source: Path | bytes, size: int) -> None:
        body = self._whole(source, size)
        self.ask(
            "put_object",
            **self._named,
            Body=body,
            **self.options,
            **self._algorithm,
            **checksum_of(self.checksum, body),
            **self._condition,
        )

    def _put_parts(self, file: io.BufferedReader | io.BytesIO, size: int) -> None:
        begun = self.ask(
            "create_multipart_upload", **self._named, **self.options, **self._algorithm
        )
        named = {**self._named, "UploadId": begun["UploadId"]}
        try:
            parts = self._send_parts(named, file, size)
            self.ask(
                "complete_multipart_upload",
                **named,
                MultipartUpload={"Parts": parts},
                **self._condition,
            )
        except ObjectNotFoundError as exc:  # NoSuchUpload: somebody has aborted it
            raise StoreUnavailableError(self.key, "the upload is gone") from exc
        except Exception:  # a cancelled one is left to `location repair`
            with suppress(Exception):  # as is what cannot be aborted
                self.ask("abort_multipart_upload", **named)
            raise

    def _send_parts(
        self, named: Mapping[str, str], file: io.BufferedReader | io.BytesIO, size: int
    ) -> list[dict[str, Any]]:
        """Send the parts and return what completes them."""
        length = max(PART, -(-size // _MAX_PARTS))
        reading = threading.Lock()

        def send(number: int) -> dict[str, Any]:
            begin = number * length
            # Not bytes, which botocore copies behind the headers.
            body = bytearray(min(length, size - begin))
            with reading:
                file.seek(begin)
                if file.readinto(body) != len(body):
                    raise StoreError(self.key, _SHORTER)
            checksum = checksum_of(self.checksum, body)
            answer = self.ask_in_thread(
                "upload_part",
                **named,
                PartNumber=number + 1,
                Body=body,
                **self._algorithm,
                **checksum,
            )
            return {"PartNumber": number + 1, "ETag": answer["ETag"], **checksum}

        return self.workers.send(range(-(-size // length)), send)

    @property
    def _named(self) -> dict[str, str]:
        return {"Key": self.key}

    @property
    def _algorithm(self) -> dict[str, str]:
        return {"ChecksumAlgorithm": self.checksum} if self.checksum else {}

    @property
    def _condition(self) -> dict[str, str]:
        return {"IfNoneMatch": "*"} if self.create else {}
