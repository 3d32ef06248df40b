"""The object store of one container, by the requests of Azure's Blob service.

Source: Azure Storage REST API, "Blob service".
"""

from __future__ import annotations

import io
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from kbackup.errors import (
    ObjectExistsError,
    ObjectNotFoundError,
    StoreAccessError,
    StoreError,
    StoreUnavailableError,
    UnsupportedCapabilityError,
)
from kbackup.plugins import Capability, ObjectInfo
from kbackup.stores import (
    PartWorkers,
    Place,
    RemoteObjectStore,
    bounded,
    translate_store_errors,
)
from kbackup_plugins_azure._account import BlobAccount

T = TypeVar("T")
_File = io.FileIO | io.BytesIO
_Reader = Callable[[int, memoryview], None]  # given where it begins, and what to fill

_SENT_AT_ONCE = 256 << 10  # of a body; a socket has a few seconds for it
_MAX_BLOCKS = 45_000  # Azure allows 50,000
_SKEW = timedelta(minutes=10)  # a signed address is valid before now, as Velero's
_LONGEST_DELEGATION = timedelta(days=7)
_SHORTER = "the source became shorter while it was read"
_FORBIDDEN = 403
# What only the service's own names tell apart.
_NO_SUCH_RANGE = "InvalidRange"
_NO_CONTAINER = {"ContainerNotFound", "ContainerBeingDeleted", "ContainerDisabled"}
_A_DIRECTORY = "DirectoryIsNotEmpty"


class BlobObjectStore(RemoteObjectStore):
    """An object store in a container of Azure; see `RemoteObjectStore`.

    Blocks of an upload that was broken off are in no list; Azure removes them after a
    week by itself, so there is nothing for `TidyStore`.

    Args:
        account: What reaches the container.
        capabilities: What it can do.
    """

    def __init__(
        self, account: BlobAccount, *, capabilities: frozenset[Capability]
    ) -> None:
        settings = account.settings
        self._block_workers = PartWorkers()
        super().__init__(
            settings.container,
            capabilities=capabilities,
            timeouts=settings.timeouts,
            workers=self._block_workers,
        )
        self._account = account
        self._settings = settings
        self.lock_for = settings.lock_for  # for whoever writes a backup

    @property
    def place(self) -> Place:
        """The container, and where its account is."""
        return Place(f"az://{self._root}", self._settings.url)

    def close(self) -> None:
        """Close the connections; closing twice is fine."""
        if not self._closed:
            super().close()
            self._account.close()

    # --- what Azure knows better ------------------------------------------------------

    def _write(
        self,
        key: str,
        source: Path | bytes,
        seconds: float,
        *,
        create: bool,
        retain_until: datetime | None,
    ) -> None:
        """Put in one request, or in blocks of which some are on their way at once."""
        _check_name(key)
        options = {**_condition(create=create), **self._lock(retain_until)}
        with translate_store_errors(key), _opened(source) as file:
            size = file.seek(0, io.SEEK_END)
            read = _reader(key, file)
            if size > self._settings.block_size:
                self._put_blocks(key, read, size, seconds, options)
                return

            def put(container: Any) -> None:
                blob, body = container.get_blob_client(key), _Body(read, 0, size)
                # The SDK would hold a body that it is given whole.
                hook = {"raw_request_hook": body.send_instead}
                blob.upload_blob(b"", overwrite=not create, **options, **hook)

            self._ask(key, seconds, "write it", put)

    def _put_blocks(
        self,
        key: str,
        read: _Reader,
        size: int,
        seconds: float,
        options: dict[str, Any],
    ) -> None:
        """Put blocks, of which one that fails is sent again by itself."""
        from azure.storage.blob import BlobBlock  # noqa: PLC0415 - the SDK

        deadline = time.monotonic() + seconds
        length = max(self._settings.block_size, -(-size // _MAX_BLOCKS))
        # Names of their own: two writers of one object must not mix their blocks.
        mark = uuid.uuid4().hex
        names = [f"{mark}{number:05}" for number in range(-(-size // length))]

        def send(number: int) -> None:
            def stage(container: Any) -> None:
                begin = number * length
                block = _Body(read, begin, min(begin + length, size))
                blob = container.get_blob_client(key)
                blob.stage_block(names[number], block, length=len(block))

            self._retry.run(
                deadline - time.monotonic(),
                lambda left: self._ask(key, left, "write it", stage),
            )

        def commit(container: Any) -> None:
            blob = container.get_blob_client(key)
            blob.commit_block_list([BlobBlock(name) for name in names], **options)

        self._block_workers.send(range(len(names)), send)
        self._ask(key, max(deadline - time.monotonic(), 0.001), "write it", commit)

    def _begin(
        self, key: str, start: int, most: int, seconds: float
    ) -> tuple[ObjectInfo, bytes]:
        """Describe and read in one request: a list of backups is of small objects."""
        _check_name(key)
        if most > 0:

            def read(container: Any) -> tuple[Any, bytes]:
                blob = container.get_blob_client(key)
                answer = blob.download_blob(offset=start, length=most)
                return answer.properties, _all_of(answer)

            try:
                found, body = self._ask(key, seconds, "read it", read)
            except StoreError as exc:
                if _code(exc) != _NO_SUCH_RANGE:  # it is empty, or ends before
                    raise
            else:
                size = int(found.content_range.rpartition("/")[2])
                return self._described(key, found, size=size), body
        return super()._begin(key, start, most, seconds)

    def _read(self, info: ObjectInfo, start: int, end: int, seconds: float) -> bytes:
        """Read a part of the very version that was described."""
        from azure.core import MatchConditions  # noqa: PLC0415 - the SDK

        def read(container: Any) -> bytes:
            blob = container.get_blob_client(info.key)
            answer = blob.download_blob(
                offset=start,
                length=end - start,
                etag=f'"{info.etag}"',
                match_condition=MatchConditions.IfNotModified,
            )
            return _all_of(answer)

        try:
            return self._ask(info.key, seconds, "read it", read)
        except ObjectExistsError as exc:  # the precondition: it is another version now
            raise StoreUnavailableError(
                info.key, "it was replaced while it was read"
            ) from exc

    def _stat(self, key: str, seconds: float) -> ObjectInfo:
        return self._described(key, self._properties(key, seconds))

    def _lock_of(self, key: str, seconds: float) -> datetime | None:
        found = self._properties(key, seconds).immutability_policy
        until: datetime | None = found.expiry_time
        return until

    def _properties(self, key: str, seconds: float) -> Any:
        _check_name(key)

        def describe(container: Any) -> Any:
            return container.get_blob_client(key).get_blob_properties()

        return self._ask(key, seconds, "describe it", describe)

    def _delete(self, key: str, seconds: float) -> None:
        _check_name(key)

        def delete(container: Any) -> None:
            container.get_blob_client(key).delete_blob()

        try:
            self._ask(key, seconds, "delete it", delete)
        except StoreError as exc:
            if _code(exc) != _A_DIRECTORY:  # of a hierarchical namespace: no object
                raise

    def _list(self, prefix: str, after: str) -> Iterator[ObjectInfo]:
        """List page by page; nothing beyond one page is held.

        Azure begins each list at its prefix, so what is not past *after* is passed over
        here.
        """
        last = ""
        for entry in self._pages(prefix, "list_blobs", include=["metadata"]):
            if _is_directory(entry):
                continue
            if entry.name <= last:  # who joins sorted lists would lose objects
                raise StoreError(
                    prefix,
                    f"the container lists {entry.name!r} behind {last!r}",
                    hint="an account without a hierarchical namespace lists by key",
                )
            last = entry.name
            if entry.name > after:
                yield self._described(entry.name, entry)

    def _list_prefixes(self, prefix: str, delimiter: str) -> Iterator[str]:
        for entry in self._pages(prefix, "walk_blobs", delimiter=delimiter):
            # A prefix is a kind of container of blobs; a blob has an ETag.
            if not getattr(entry, "etag", None):
                yield entry.name

    def _sign(self, key: str, ttl: timedelta, seconds: float) -> str:
        """Sign by the account's key, else by one that Azure lends to the identity."""
        from azure.storage.blob import generate_blob_sas  # noqa: PLC0415 - the SDK

        now = datetime.now(UTC)
        begin, end = now - _SKEW, now + ttl

        def signer(container: Any) -> tuple[str, dict[str, Any]]:
            url = container.get_blob_client(key).url
            if account_key := self._account.account_key():
                return url, {"account_key": account_key}
            if end - begin > _LONGEST_DELEGATION:
                raise UnsupportedCapabilityError(
                    key, "what an identity signs is valid for less than 7 days"
                )
            lent = self._account.service().get_user_delegation_key(begin, end)
            return url, {"user_delegation_key": lent}

        url, signed_by = self._ask(key, seconds, "get a key to sign with", signer)
        scheme = urlsplit(url).scheme
        token = generate_blob_sas(
            self._settings.account,
            self._settings.container,
            key,
            permission="r",
            start=begin,
            expiry=end,
            protocol="https" if scheme == "https" else None,
            **signed_by,
        )
        return f"{url}?{token}"

    # --- inside -----------------------------------------------------------------------

    def _pages(self, prefix: str, method: str, **options: Any) -> Iterator[Any]:
        """Yield the entries of a list; each page is asked for when it is needed."""
        token = None
        while True:
            ask = partial(self._list_page, prefix, method, token, options)
            entries, token = self._request(ask)
            yield from entries
            if not token:
                return

    def _list_page(
        self,
        prefix: str,
        method: str,
        token: str | None,
        options: dict[str, Any],
        seconds: float,
    ) -> tuple[list[Any], str | None]:
        def ask(container: Any) -> tuple[list[Any], str | None]:
            pages = getattr(container, method)(name_starts_with=prefix, **options)
            pages = pages.by_page(token)
            page = next(pages, ())
            return list(page), pages.continuation_token

        return self._ask(prefix, seconds, "list the container", ask)

    def _ask(
        self, key: str, seconds: float, deed: str, function: Callable[[Any], T]
    ) -> T:
        """Call what sends a request, on another thread, for *seconds* at most.

        Args:
            key: What it is about.
            seconds: What it may take.
            deed: For the error where that is refused.
            function: Given the container's client.
        """
        self._check_open(key)
        try:
            with translate_store_errors(key):
                return bounded(
                    key, seconds, lambda: function(self._account.container())
                )
        except StoreError as exc:
            raise self._explained(exc, deed) from exc.__cause__

    def _explained(self, exc: StoreError, deed: str) -> StoreError:
        """Name the container that is not there, or what is refused."""
        if _code(exc) in _NO_CONTAINER:
            reason = (
                f"{self._settings.container} in {self._settings.url} ({_code(exc)})"
            )
            return type(exc)(exc.key, reason, hint=exc.hint)
        refused = getattr(exc.__cause__, "status_code", None) == _FORBIDDEN
        if refused and isinstance(exc, StoreAccessError):
            return type(exc)(exc.key, f"to {deed}: {exc.reason}", hint=exc.hint)
        return exc

    def _lock(self, retain_until: datetime | None) -> dict[str, Any]:
        if retain_until is None:
            return {}
        from azure.storage.blob import ImmutabilityPolicy  # noqa: PLC0415 - the SDK

        policy = ImmutabilityPolicy(
            expiry_time=retain_until.astimezone(UTC),
            policy_mode=self._settings.immutability_mode,
        )
        return {"immutability_policy": policy}

    def _described(self, key: str, found: Any, size: int | None = None) -> ObjectInfo:
        if _is_directory(found):
            raise ObjectNotFoundError(key)
        return ObjectInfo(
            key=key,
            size=int(found.size if size is None else size),
            modified=found.last_modified,
            etag=str(found.etag or "").strip('"'),
        )


class _Body:
    """A file or a part of one, read while it is sent: none is in memory whole."""

    def __init__(self, read: _Reader, begin: int, end: int) -> None:
        self._read = read
        self._begin = begin
        self._end = end

    def __len__(self) -> int:
        return self._end - self._begin

    def __iter__(self) -> Iterator[memoryview]:
        # One buffer for all of it: to get memory takes longer than to read.
        buffer = memoryview(bytearray(min(_SENT_AT_ONCE, len(self))))
        for begin in range(self._begin, self._end, _SENT_AT_ONCE):
            part = buffer[: self._end - begin]
            self._read(begin, part)
            yield part

    def send_instead(self, request: Any) -> None:
        """Become the body of a request that is not signed yet."""
        request.http_request.data = self
        request.http_request.headers["Content-Length"] = str(len(self))


def _reader(key: str, file: _File) -> _Reader:
    """Return what fills a buffer from a place in a file, for one thread at a time."""
    reading = threading.Lock()

    def read(begin: int, wanted: memoryview) -> None:
        with reading:
            file.seek(begin)
            count = file.readinto(wanted)
        if count != len(wanted):
            raise StoreError(key, _SHORTER)

    return read


def _opened(source: Path | bytes) -> _File:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    return source.open("rb", buffering=0)


def _all_of(answer: Any) -> bytes:
    """Return the bytes of an answer; the SDK's own ``readall`` copies them twice."""
    return b"".join(answer.chunks())


def _condition(*, create: bool) -> dict[str, Any]:
    """Return what makes a write fail where the key is taken: ``If-None-Match: *``."""
    if not create:
        return {}
    from azure.core import MatchConditions  # noqa: PLC0415 - the SDK

    return {"match_condition": MatchConditions.IfMissing}


def _is_directory(found: Any) -> bool:
    """Tell a directory of a hierarchical namespace, which shows as an empty blob."""
    return (found.metadata or {}).get("hdi_isfolder") == "true"


def _check_name(key: str) -> None:
    """Refuse what Azure would store under another name.

    Source: "Naming and referencing containers, blobs, and metadata".
    """
    if "\\" in key or any(part.endswith(".") for part in key.split("/")):
        raise StoreAccessError(
            key,
            "not a key of an object in Azure: a part ends with '.', or it has a '\\'",
        )


def _code(exc: StoreError) -> str:
    given = getattr(exc.__cause__, "error_code", None) or ""
    return str(getattr(given, "value", given))  # text, or a member of an enum
