"""The object store of one container, by the requests of Azure's Blob service.

Source: Azure Storage REST API, "Blob service".
"""

from __future__ import annotations

import asyncio
import io
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
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
from kbackup.stores import FsspecObjectStore, Place, validate_key
from kbackup_plugins_azure._account import BlobAccount

T = TypeVar("T")

_ONE_PUT = 1 << 20  # more than that aiohttp does not like to send at once
_BLOCKS_AT_ONCE = 4
_IN_MEMORY = 64 << 20  # of one upload; a block that is larger goes alone
_MAX_BLOCKS = 45_000  # Azure allows 50,000
_CLOSING = 5.0  # seconds
_SKEW = timedelta(minutes=10)  # a signed address is valid before now, as Velero's
_LONGEST_DELEGATION = timedelta(days=7)
_FORBIDDEN = 403
# What only the service's own names tell apart.
_NO_SUCH_RANGE = "InvalidRange"
_NO_CONTAINER = {"ContainerNotFound", "ContainerBeingDeleted", "ContainerDisabled"}
_A_DIRECTORY = "DirectoryIsNotEmpty"


class BlobObjectStore(FsspecObjectStore):
    """An object store in a container of Azure; see `FsspecObjectStore`.

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
        super().__init__(
            account,
            settings.container,
            capabilities=capabilities,
            timeouts=settings.timeouts,
        )
        self._account = account
        self._settings = settings
        self.lock_for = settings.lock_for  # for whoever writes a backup

    @property
    def place(self) -> Place:
        """The container, and where its account is."""
        return Place(f"az://{self._root}", self._settings.url)

    def delete(self, key: str) -> None:
        """Remove an object; see `ObjectStore.delete`."""
        validate_key(key)
        with suppress(ObjectNotFoundError):
            self._request(lambda left: self._remove(key, left))

    def close(self) -> None:
        """Close the connections; closing twice is fine."""
        if not self._closed:
            with suppress(StoreError):  # they are given up in any case
                self._await("", _CLOSING, self._account.close)
        super().close()

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
        """Put in one request, or in blocks of which a few are on their way at once."""
        _check_name(key)
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        options = {**_condition(create=create), **self._lock(retain_until)}

        async def put(container: Any) -> None:
            blob = container.get_blob_client(key)
            opened = (
                io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
            )
            with opened as file:
                if size <= min(_ONE_PUT, self._settings.block_size):
                    data = await asyncio.to_thread(file.read)
                    await blob.upload_blob(
                        data, length=len(data), overwrite=not create, **options
                    )
                else:
                    await self._put_blocks(blob, file, size, options)

        self._ask(key, seconds, "write it", put)

    async def _put_blocks(
        self, blob: Any, file: BinaryIO, size: int, options: dict[str, Any]
    ) -> None:
        from azure.storage.blob import BlobBlock  # noqa: PLC0415 - the SDK

        block = max(self._settings.block_size, -(-size // _MAX_BLOCKS))
        # Names of their own: two writers of one object must not mix their blocks.
        mark = uuid.uuid4().hex
        names = [f"{mark}{number:05}" for number in range(-(-size // block))]
        waiting = iter(enumerate(names))
        lock = threading.Lock()

        def read(number: int) -> bytes:
            with lock:
                file.seek(number * block)
                return file.read(block)

        async def send() -> None:
            for number, name in waiting:
                data = await asyncio.to_thread(read, number)
                await blob.stage_block(name, io.BytesIO(data), length=len(data))

        at_once = min(_BLOCKS_AT_ONCE, max(1, _IN_MEMORY // block))
        await _all_or_none([send() for _ in range(at_once)])
        await blob.commit_block_list([BlobBlock(name) for name in names], **options)

    def _begin(
        self, key: str, start: int, most: int, seconds: float
    ) -> tuple[ObjectInfo, bytes]:
        """Describe and read in one request: a list of backups is of small objects."""
        _check_name(key)
        if most > 0:

            async def read(container: Any) -> tuple[Any, bytes]:
                blob = container.get_blob_client(key)
                answer = await blob.download_blob(offset=start, length=most)
                return answer.properties, bytes(await answer.readall())

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

        async def read(container: Any) -> bytes:
            blob = container.get_blob_client(info.key)
            answer = await blob.download_blob(
                offset=start,
                length=end - start,
                etag=f'"{info.etag}"',
                match_condition=MatchConditions.IfNotModified,
            )
            return bytes(await answer.readall())

        try:
            return self._ask(info.key, seconds, "read it", read)
        except ObjectExistsError as exc:  # the precondition: it is another version now
            raise StoreUnavailableError(
                info.key, "it was replaced while it was read"
            ) from exc

    def _stat(self, key: str, seconds: float) -> ObjectInfo:
        _check_name(key)

        async def describe(container: Any) -> Any:
            return await container.get_blob_client(key).get_blob_properties()

        return self._described(key, self._ask(key, seconds, "describe it", describe))

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

        async def signer(container: Any) -> tuple[str, dict[str, Any]]:
            url = container.get_blob_client(key).url
            if account_key := await self._account.account_key():
                return url, {"account_key": account_key}
            if end - begin > _LONGEST_DELEGATION:
                raise UnsupportedCapabilityError(
                    key, "what an identity signs is valid for less than 7 days"
                )
            service = await self._account.service()
            lent = await service.get_user_delegation_key(begin, end)
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

    def _remove(self, key: str, seconds: float) -> None:
        _check_name(key)

        async def remove(container: Any) -> None:
            await container.get_blob_client(key).delete_blob()

        try:
            self._ask(key, seconds, "delete it", remove)
        except StoreError as exc:
            if _code(exc) != _A_DIRECTORY:  # of a hierarchical namespace: no object
                raise

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
        async def ask(container: Any) -> tuple[list[Any], str | None]:
            pages = getattr(container, method)(name_starts_with=prefix, **options)
            pages = pages.by_page(token)
            try:
                page = await anext(pages)
            except StopAsyncIteration:
                return [], None
            return [entry async for entry in page], pages.continuation_token

        return self._ask(prefix, seconds, "list the container", ask)

    def _ask(
        self,
        key: str,
        seconds: float,
        deed: str,
        function: Callable[[Any], Awaitable[T]],
    ) -> T:
        """Run a coroutine over the container's client; its request ends with the time.

        Args:
            key: What it is about.
            seconds: What it may take.
            deed: For the error where that is refused.
            function: Given the client.
        """

        async def run() -> T:
            try:
                async with asyncio.timeout(seconds):
                    return await function(await self._account.container())
            except TimeoutError as exc:
                raise StoreUnavailableError(
                    key, f"no answer within {seconds:g} s"
                ) from exc

        try:
            return self._await(key, seconds + _CLOSING, run)
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


async def _all_or_none(coroutines: list[Any]) -> None:
    """Await all; where one fails the others are cancelled and it is raised."""
    tasks = [asyncio.ensure_future(each) for each in coroutines]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
