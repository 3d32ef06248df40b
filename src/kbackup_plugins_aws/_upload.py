"""An upload to S3: in one request, or in parts of which few are on their way at once.

s3fs's own calls for it send no checksum with a part, without which S3 does not complete
an upload that was begun with one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import attrs

from kbackup_plugins_aws._checksums import checksum_of

PART = 8 << 20  # with four at once: 134 MiB for 512 MiB; s3fs's defaults took 1,070
PARTS_AT_ONCE = 4
_MAX_PARTS = 9_000  # S3 allows 10,000


@attrs.frozen(kw_only=True)
class Upload:
    """One object on its way.

    Attributes:
        call: Sends a request: the method's name, then its parameters.
        bucket: Name or ARN.
        key: Of the object.
        options: Parameters of the request that begins, such as encryption and tags.
        checksum: The algorithm of each part's checksum, or empty.
        create: Whether to fail where the key is taken.
    """

    call: Callable[..., Awaitable[Mapping[str, Any]]]
    bucket: str
    key: str
    options: Mapping[str, Any]
    checksum: str = ""
    create: bool = False

    async def send(self, source: Path | bytes, size: int) -> None:
        """Put *source*, of *size* bytes; after a failure no part of it is kept."""
        if isinstance(source, bytes):
            await self._put(source)
            return
        with source.open("rb") as file:
            if size < 2 * PART:
                await self._put(file.read())
            else:
                await self._put_parts(file, max(PART, -(-size // _MAX_PARTS)))

    async def _put(self, body: bytes) -> None:
        await self.call(
            "put_object",
            **self._named,
            Body=body,
            **self.options,
            **self._algorithm,
            **checksum_of(self.checksum, body),
            **self._condition,
        )

    async def _put_parts(self, file: BinaryIO, size: int) -> None:
        begun = await self.call(
            "create_multipart_upload", **self._named, **self.options, **self._algorithm
        )
        named = {**self._named, "UploadId": begun["UploadId"]}
        try:
            await self.call(
                "complete_multipart_upload",
                **named,
                MultipartUpload={"Parts": await self._send_parts(named, file, size)},
                **self._condition,
            )
        except Exception:  # a cancelled one is left to `location repair`
            with suppress(Exception):  # as is what cannot be aborted
                await self.call("abort_multipart_upload", **named)
            raise

    async def _send_parts(
        self, named: Mapping[str, str], file: BinaryIO, size: int
    ) -> list[dict[str, Any]]:
        """Send the parts and return what completes them."""
        import asyncio  # noqa: PLC0415 - costs 20 ms; loaded with the filesystem

        done: list[dict[str, Any]] = []
        while True:
            bodies = [file.read(size) for _ in range(PARTS_AT_ONCE)]
            sending = [
                self._send_part(named, number, body)
                for number, body in enumerate(bodies, len(done) + 1)
                if body
            ]
            if not sending:
                return done
            # All have ended before the first failure is told: none may come after
            # the upload was aborted.
            for sent in await asyncio.gather(*sending, return_exceptions=True):
                if isinstance(sent, BaseException):
                    raise sent
                done.append(sent)

    async def _send_part(
        self, named: Mapping[str, str], number: int, body: bytes
    ) -> dict[str, Any]:
        checksum = checksum_of(self.checksum, body)
        answer = await self.call(
            "upload_part",
            **named,
            PartNumber=number,
            Body=body,
            **self._algorithm,
            **checksum,
        )
        return {"PartNumber": number, "ETag": answer["ETag"], **checksum}

    @property
    def _named(self) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.key}

    @property
    def _algorithm(self) -> dict[str, str]:
        return {"ChecksumAlgorithm": self.checksum} if self.checksum else {}

    @property
    def _condition(self) -> dict[str, str]:
        return {"IfNoneMatch": "*"} if self.create else {}
