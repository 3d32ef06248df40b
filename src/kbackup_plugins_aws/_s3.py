"""The object store of one bucket: what S3 knows better than a filesystem.

Talks to S3 by s3fs's own calls, because its filesystem methods list whole prefixes,
answer for directories that do not exist, and cannot say which version of an object a
part belongs to.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import suppress
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
    Place,
    StoreProfile,
    Timeouts,
    UnfinishedWrite,
    validate_key,
)
from kbackup_plugins_aws._faults import Reached, explained
from kbackup_plugins_aws._upload import Upload

T = TypeVar("T")

_CHECKSUM_OF_LOCKS = "CRC32"  # S3 wants one with a lock
_NOT_IMPLEMENTED = ("(NotImplemented)", "(501)")
_CLOSING = 5.0  # seconds

_log = logging.getLogger("kbackup.stores")
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
        bundle: Path | None = None,
    ) -> None:
        super().__init__(
            filesystem,
            bucket,
            capabilities=capabilities,
            timeouts=timeouts,
            put_options=put_options,
        )
        self.lock_for = lock_for
        self._checksum = checksum
        self._lock_mode = lock_mode
        self._adapted = False
        self._signer = signer
        self._reached = reached
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
        self._remove_bundle()

    # --- what the server turned out to be ---------------------------------------------

    def sent_checksum(self) -> str:
        """Return what goes along with an upload; see `AdaptableStore`."""
        return self._checksum

    def adapt(self, profile: StoreProfile) -> None:
        """Do without what the server does not do; see `AdaptableStore`."""
        self._adapted = True
        self.capabilities -= profile.lacks
        if self._checksum in profile.refused_checksums:
            self._checksum = ""

    def is_adapted(self) -> bool:
        """Tell whether that was done; see `AdaptableStore`."""
        return self._adapted

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
        """Put in one request, or in parts of which four are on their way at once."""
        send = partial(self._send_source, key, source, retain_until=retain_until)
        if create and Capability.ATOMIC_CREATE in self.capabilities:
            try:
                send(seconds, create=True)
            except StoreError as exc:
                if not exc.reason.endswith(_NOT_IMPLEMENTED):
                    raise
                # Nothing was written; where something else is not implemented, the
                # second try says so.
                self.capabilities -= {Capability.ATOMIC_CREATE}
                _log.warning("%s: the server refuses conditional puts", self._root)
            else:
                return
        if create:
            self._refuse_existing(key, seconds)
        send(seconds, create=False)

    def _send_source(
        self,
        key: str,
        source: Path | bytes,
        seconds: float,
        *,
        create: bool,
        retain_until: datetime | None,
    ) -> None:
        self._path(key)  # looks at the key
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        upload = Upload(
            call=self._fs._call_s3,  # noqa: SLF001 - call_s3 is for other threads
            bucket=self._root,
            key=key,
            options={**self._put_options, **self._lock(retain_until)},
            checksum=self._checksum or (_CHECKSUM_OF_LOCKS if retain_until else ""),
            create=create,
        )
        self._await(key, seconds, upload.send, source, size)

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
        try:
            return self._await(info.key, seconds, self._get, wanted)[1]
        except ObjectExistsError as exc:  # the precondition: it is another version now
            raise StoreUnavailableError(
                info.key, "it was replaced while it was read"
            ) from exc

    def _stat(self, key: str, seconds: float) -> ObjectInfo:
        found = self._ask(key, seconds, "head_object", Key=key)
        return self._info(key, {**found, "size": found["ContentLength"]})

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
        try:
            return super()._await(key, seconds, function, *args, **kwargs)
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

    def _refuse_existing(self, key: str, seconds: float) -> None:
        """Raise `ObjectExistsError` for a key that is taken just now."""
        with suppress(ObjectNotFoundError):
            self._stat(key, seconds)
            raise ObjectExistsError(key)

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
