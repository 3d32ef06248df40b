"""The object store of one bucket: what S3 knows better than a filesystem.

Talks to S3 by s3fs's own calls, because its filesystem methods list whole prefixes,
answer for directories that do not exist, and cannot say which version of an object a
part belongs to.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from kbackup.errors import (
    ObjectExistsError,
    ObjectNotFoundError,
    StoreAccessError,
    StoreError,
    StoreUnavailableError,
)
from kbackup.plugins import Capability, ObjectInfo
from kbackup.stores import (
    FsspecObjectStore,
    PartWorkers,
    Place,
    StoreProfile,
    Timeouts,
    UnfinishedWrite,
    translate_store_errors,
    validate_key,
)
from kbackup_plugins_aws._faults import Reached, explained
from kbackup_plugins_aws._part_client import PartClient
from kbackup_plugins_aws._upload import Upload

T = TypeVar("T")

_CHECKSUM_OF_LOCKS = "CRC32"  # S3 wants one with a lock
_NO_LOCK = ("(NoSuchObjectLockConfiguration)", "(InvalidRequest)")
_CLOSING = 5.0  # seconds

_VERSION_MARK = "?versionId="
_NO_SUCH_RANGE = ("(InvalidRange)", "(416)")  # of an empty object, or past its end


class S3ObjectStore(FsspecObjectStore):
    """An object store in an S3 bucket; see `FsspecObjectStore`.

    Args:
        filesystem: An s3fs filesystem that does not retry.
        bucket: Name or ARN.
        capabilities: What the SDK and the bucket can do.
        timeouts: Total times of the calls.
        put_options: Parameters of every upload, such as encryption.
        checksum: The algorithm of the checksum that goes with an upload, or empty.
        lock_mode: For `Capability.RETENTION`.
        lock_for: How long the objects of a backup are locked; None: they are not.
        signer: A filesystem that signs addresses; None: the first one.
        reached: How the server is reached, for the hints of errors.
        parts: Sends the parts of large objects.
        bundle: A file of certificates to remove with the store.
    """

    def __init__(
        self,
        filesystem: Any,
        bucket: str,
        *,
        capabilities: frozenset[Capability],
        timeouts: Timeouts,
        put_options: Mapping[str, Any],
        checksum: str = "",
        lock_mode: str = "",
        lock_for: timedelta | None = None,
        signer: Any = None,
        reached: Reached,
        parts: PartClient,
        bundle: Path | None = None,
    ) -> None:
        self._part_workers = PartWorkers()
        super().__init__(
            filesystem,
            bucket,
            capabilities=capabilities,
            timeouts=timeouts,
            workers=self._part_workers,
        )
        self.lock_for = lock_for
        self._put_options = put_options
        self._checksum = checksum
        self._lock_mode = lock_mode
        self._signer = signer
        self._reached = reached
        self._parts = parts
        self._remove_bundle = weakref.finalize(self, _remove, bundle)

    @property
    def place(self) -> Place:
        """The bucket, and a server that is not Amazon's."""
        return Place(f"s3://{self._root}", self._reached.url)

    def close(self) -> None:
        """Close the connections; closing twice is fine."""
        if not self._closed:
            with suppress(StoreError):  # they are given up in any case
                self._await("", _CLOSING, _close, self._fs, self._signer)
        super().close()
        self._parts.close()
        self._remove_bundle()

    # --- what the server turned out to be ---------------------------------------------

    def sent_checksum(self) -> str:
        """Return what goes along with an upload; see `AdaptableStore`."""
        return self._checksum

    def adapt(self, profile: StoreProfile) -> None:
        """Do without what the server does not do; see `AdaptableStore`."""
        super().adapt(profile)
        if self._checksum in profile.refused_checksums:
            self._checksum = ""

    # --- unfinished uploads -----------------------------------------------------------

    def unfinished(self, prefix: str) -> Iterator[UnfinishedWrite]:
        """Yield uploads whose parts are kept, and paid for, until somebody aborts them.

        Such is every upload that was cancelled or killed; see `TidyStore.unfinished`.
        """
        token: dict[str, str] = {}
        while True:
            page = self._send(prefix, "list_multipart_uploads", Prefix=prefix, **token)
            for entry in page.get("Uploads", ()):
                key, upload = entry["Key"], entry["UploadId"]
                since = self._last_part(key, upload) or entry["Initiated"]
                yield UnfinishedWrite(key=key, id=upload, since=since)
            if not page.get("IsTruncated"):
                return
            token = {
                "KeyMarker": page["NextKeyMarker"],
                "UploadIdMarker": page["NextUploadIdMarker"],
            }

    def discard(self, write: UnfinishedWrite) -> None:
        """Abort an upload; see `TidyStore.discard`."""
        validate_key(write.key)
        with suppress(ObjectNotFoundError):
            self._send(
                write.key, "abort_multipart_upload", Key=write.key, UploadId=write.id
            )

    def _last_part(self, key: str, upload: str) -> datetime | None:
        """Return when the newest part came; None: there is none, or no upload."""
        newest: datetime | None = None
        token: dict[str, int] = {}
        while True:
            try:
                page = self._send(key, "list_parts", Key=key, UploadId=upload, **token)
            except ObjectNotFoundError:  # it has just ended
                return newest
            for part in page.get("Parts", ()):
                newest = max(newest or part["LastModified"], part["LastModified"])
            if not page.get("IsTruncated"):
                return newest
            token = {"PartNumberMarker": page["NextPartNumberMarker"]}

    def _send(self, key: str, method: str, **parameters: Any) -> Any:
        """Send a request, tried again where that may help, and return the answer."""
        return self._request(lambda left: self._ask(key, left, method, **parameters))

    # --- what S3 knows better ---------------------------------------------------------

    def _write(
        self,
        key: str,
        source: Path | bytes,
        seconds: float,
        *,
        create: bool,
        retain_until: datetime | None,
    ) -> None:
        """Put in one request, or in parts of which some are on their way at once."""
        self._path(key)  # looks at the key
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        deadline = time.monotonic() + seconds
        upload = Upload(
            ask=partial(self._ask_until, deadline, key),
            ask_in_thread=partial(self._ask_in_thread, deadline, key),
            workers=self._part_workers,
            key=key,
            options={**self._put_options, **self._lock(retain_until)},
            checksum=self._checksum or (_CHECKSUM_OF_LOCKS if retain_until else ""),
            create=create,
        )
        with translate_store_errors(key):  # the source may be gone by now
            upload.send(source, size)

    def _ask_until(
        self, deadline: float, key: str, method: str, **parameters: Any
    ) -> Any:
        left = max(deadline - time.monotonic(), 0.001)
        return self._ask(key, left, method, **parameters)

    def _ask_in_thread(
        self, deadline: float, key: str, method: str, **parameters: Any
    ) -> Any:
        """Send a part of an object; one that fails is sent again by itself."""

        def attempt(left: float) -> Any:
            self._check_open(key)
            with self._explaining():
                return self._parts.send(
                    key, left, method, Bucket=self._root, **parameters
                )

        return self._retry.run(deadline - time.monotonic(), attempt)

    def _begin(
        self, key: str, start: int, most: int, seconds: float
    ) -> tuple[ObjectInfo, bytes]:
        """Describe and read in one request: a list of backups is of small objects."""
        if most > 0:
            wanted = {"Key": key, "Range": f"bytes={start}-{start + most - 1}"}
            try:
                answer, body = self._await(key, seconds, self._get, wanted)
            except StoreError as exc:
                if not exc.reason.endswith(_NO_SUCH_RANGE):
                    raise
            else:
                if "ContentRange" in answer:  # "bytes 0-99/1234"
                    size = int(answer["ContentRange"].rpartition("/")[2])
                    return self._info(key, {**answer, "size": size}), body
        return super()._begin(key, start, most, seconds)

    def _read(self, info: ObjectInfo, start: int, end: int, seconds: float) -> bytes:
        """Read a part of the very version that was described."""
        condition = {"IfMatch": f'"{info.etag}"'} if info.etag else {}
        wanted = {"Key": info.key, "Range": f"bytes={start}-{end - 1}", **condition}
        self._check_open(info.key)
        try:
            with self._explaining():
                return self._parts.read(info.key, seconds, Bucket=self._root, **wanted)
        except ObjectExistsError as exc:  # the precondition: it is another version now
            raise StoreUnavailableError(
                info.key, "it was replaced while it was read"
            ) from exc

    def _stat(self, key: str, seconds: float) -> ObjectInfo:
        found = self._ask(key, seconds, "head_object", Key=key)
        return self._info(key, {**found, "size": found["ContentLength"]})

    def _lock_of(self, key: str, seconds: float) -> datetime | None:
        """Return the lock of the current version.

        A description leaves it out for those who lack ``s3:GetObjectRetention``: they
        are refused by the second request.
        """
        found = self._ask(key, seconds, "head_object", Key=key)
        until: datetime | None = found.get("ObjectLockRetainUntilDate")
        if until is None:
            try:
                asked = self._ask(key, seconds, "get_object_retention", Key=key)
            except StoreError as exc:
                if not exc.reason.endswith(_NO_LOCK):
                    raise
            else:
                until = asked.get("Retention", {}).get("RetainUntilDate")
        return until

    def _list(self, prefix: str, after: str) -> Iterator[ObjectInfo]:
        """List page by page; nothing beyond one page is held."""
        past = {"StartAfter": after} if after else {}
        for page in self._pages(prefix, Prefix=prefix, **past):
            for entry in page.get("Contents", ()):
                if entry["Key"] > after:  # not every server knows StartAfter
                    yield self._info(entry["Key"], {**entry, "size": entry["Size"]})

    def _list_prefixes(self, prefix: str, delimiter: str) -> Iterator[str]:
        for page in self._pages(prefix, Prefix=prefix, Delimiter=delimiter):
            for entry in page.get("CommonPrefixes", ()):
                yield entry["Prefix"]

    def _path(self, key: str) -> str:
        # s3fs would cut the key there.
        if _VERSION_MARK in key:
            raise StoreAccessError(
                key, f"not a key of an object: it has {_VERSION_MARK}"
            )
        return super()._path(key)

    def _sign(self, key: str, ttl: timedelta, seconds: float) -> str:
        """Sign an address of the server that others reach; nothing is sent."""
        signer = self._signer or self._fs
        path, expires = self._path(key), int(ttl.total_seconds())
        url = self._await(key, seconds, signer._url, path, expires=expires)  # noqa: SLF001
        return str(url)

    # --- inside -----------------------------------------------------------------------

    def _await(
        self,
        key: str,
        seconds: float,
        function: Callable[..., Coroutine[Any, Any, T]],
        *args: Any,
        **kwargs: Any,
    ) -> T:
        """Send what *function* sends; an error says what S3 means by it."""
        with self._explaining():
            return super()._await(key, seconds, function, *args, **kwargs)

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except StoreError as exc:
            better = explained(exc, self._reached)
            if better is exc:
                raise
            raise better from exc

    def _ask(self, key: str, seconds: float, method: str, **parameters: Any) -> Any:
        """Send one request about the bucket and return the answer."""
        return self._call(
            key, seconds, "call_s3", method, Bucket=self._root, **parameters
        )

    def _pages(self, prefix: str, **parameters: Any) -> Iterator[Any]:
        token: dict[str, str] = {}
        while True:
            ask = partial(self._list_page, prefix, {**parameters, **token})
            page = self._request(ask)
            yield page
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def _list_page(
        self, prefix: str, parameters: Mapping[str, str], seconds: float
    ) -> Any:
        return self._ask(prefix, seconds, "list_objects_v2", **parameters)

    async def _get(
        self, parameters: Mapping[str, str]
    ) -> tuple[Mapping[str, Any], bytes]:
        answer = await self._fs._call_s3(  # noqa: SLF001 - call_s3 is for other threads
            "get_object", Bucket=self._root, **parameters
        )
        async with answer["Body"] as body:
            return answer, bytes(await body.read())

    def _lock(self, retain_until: datetime | None) -> dict[str, Any]:
        if retain_until is None:
            return {}
        return {
            "ObjectLockMode": self._lock_mode,
            "ObjectLockRetainUntilDate": retain_until.astimezone(UTC),
        }


async def _close(*filesystems: Any) -> None:
    """Close the clients that s3fs made, if it made any; it has no public way to."""
    for each in filesystems:
        if each is not None and each._s3 is not None:  # noqa: SLF001
            await each._s3.__aexit__(None, None, None)  # noqa: SLF001


def _remove(path: Path | None) -> None:
    if path is not None:
        path.unlink(missing_ok=True)
