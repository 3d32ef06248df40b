"""The object store of one bucket, by requests of Cloud Storage's JSON API."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any

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
from kbackup_plugins_gcp._config import GcsConfig
from kbackup_plugins_gcp._credentials import Credentials
from kbackup_plugins_gcp._requests import Answer, AnswerError, Connection
from kbackup_plugins_gcp._uploads import (
    SINGLE,
    File,
    Upload,
    multipart,
    properties,
)

_FIELDS = "name,size,updated,generation"
_NO_SUCH_RANGE = 416  # of an empty object, or past its end
_UNAUTHORISED = 401
_LONGEST = timedelta(days=7)  # of a V4 signature


class GcsObjectStore(RemoteObjectStore):
    """An object store in a bucket of Cloud Storage; see `RemoteObjectStore`.

    An upload that was broken off leaves nothing: Google forgets it after a week, and
    until then it is neither listed nor paid for. So there is nothing to tidy.

    Attributes:
        lock_for: How long the location wants the objects of a backup locked; None: not.

    Args:
        settings: Of the location.
        capabilities: What the bucket can do.
        credentials: Whose requests they are.
        connection: To the bucket.
    """

    def __init__(
        self,
        settings: GcsConfig,
        *,
        capabilities: frozenset[Capability],
        credentials: Credentials,
        connection: Connection,
    ) -> None:
        super().__init__(
            settings.bucket,
            capabilities=capabilities,
            timeouts=settings.timeouts,
            workers=PartWorkers(),
        )
        self.lock_for = settings.lock_for
        self._settings = settings
        self._credentials = credentials
        self._connection = connection

    @property
    def place(self) -> Place:
        """The bucket, and a server that is not Google's usual one."""
        return Place(f"gs://{self._root}", self._settings.endpoint)

    def close(self) -> None:
        """Close the connections; closing twice is fine."""
        super().close()
        self._connection.close()

    # --- writing ----------------------------------------------------------------------

    def _write(
        self,
        key: str,
        source: Path | bytes,
        seconds: float,
        *,
        create: bool,
        retain_until: datetime | None,
    ) -> None:
        """Put in one request, or in pieces of which each can be sent again."""
        params = self._put_params(key, create=create)
        described = properties(key, self._settings.retention_mode, retain_until)
        with _opened(key, source) as (file, size):
            if size > SINGLE:
                upload = Upload(self._connection, key, file, size)
                self._run_upload(upload, seconds, described, params)
                return
            headers, body = multipart(key, described, file, size)
            ask = partial(
                self._connection.upload,
                params={**params, "uploadType": "multipart"},
                headers=headers,
                data=body,
            )
            self._send(key, seconds, ask)

    def _put_params(self, key: str, *, create: bool) -> dict[str, str]:
        params = {"name": key, "fields": _FIELDS}
        if self._settings.kms_key:
            params["kmsKeyName"] = self._settings.kms_key
        if create:
            params["ifGenerationMatch"] = "0"
        return params

    def _run_upload(
        self,
        upload: Upload,
        seconds: float,
        described: Mapping[str, Any],
        params: Mapping[str, str],
    ) -> None:
        """Begin an upload and send its pieces, each tried again by itself."""
        key = upload.key
        self._send(key, seconds, partial(upload.begin, described, params))

        def attempt(left: float) -> None:
            try:
                self._send(key, left, upload.send_next)
            except ObjectNotFoundError as exc:
                raise StoreUnavailableError(key, "the upload is gone") from exc

        deadline = self._deadline(seconds)
        while not upload.is_complete:
            self._retry.run(deadline(), attempt)

    def _delete(self, key: str, seconds: float) -> None:
        self._one(key, seconds, "DELETE")

    # --- reading ----------------------------------------------------------------------

    def _begin(
        self, key: str, start: int, most: int, seconds: float
    ) -> tuple[ObjectInfo, bytes]:
        """Describe and read in one request: a list of backups is of small objects."""
        if most > 0:
            try:
                answer = self._media(key, start, start + most, seconds)
            except StoreError as exc:
                if _status(exc) != _NO_SUCH_RANGE:
                    raise
            else:
                size = answer.headers.get("content-range", "").rpartition("/")[2]
                generation = answer.headers.get("x-goog-generation", "")
                if size.isdecimal() and generation:
                    modified = _http_date(answer.headers.get("last-modified", ""))
                    info = ObjectInfo(
                        key=key, size=int(size), modified=modified, etag=generation
                    )
                    return info, answer.body
        return super()._begin(key, start, most, seconds)

    def _read(self, info: ObjectInfo, start: int, end: int, seconds: float) -> bytes:
        """Read a part of the very generation that was described."""
        try:
            return self._media(info.key, start, end, seconds, info.etag).body
        except ObjectExistsError as exc:  # the precondition: it is another one now
            raise StoreUnavailableError(
                info.key, "it was replaced while it was read"
            ) from exc

    def _media(
        self, key: str, start: int, end: int, seconds: float, generation: str = ""
    ) -> Answer:
        params = {"alt": "media"}
        if generation:
            params["ifGenerationMatch"] = generation
        # With gzip accepted, Google sends what is stored, whatever its encoding.
        headers = {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "gzip"}
        return self._one(key, seconds, "GET", params=params, headers=headers)

    def _stat(self, key: str, seconds: float) -> ObjectInfo:
        return _info(self._one(key, seconds, "GET", params={"fields": _FIELDS}).json())

    def _lock_of(self, key: str, seconds: float) -> datetime | None:
        described = self._one(
            key, seconds, "GET", params={"fields": "retention"}
        ).json()
        until = described.get("retention", {}).get("retainUntilTime")
        return datetime.fromisoformat(until) if until else None

    # --- lists ------------------------------------------------------------------------

    def _list(self, prefix: str, after: str) -> Iterator[ObjectInfo]:
        """List page by page; nothing beyond one page is held."""
        past = {"startOffset": after} if after else {}
        fields = f"items({_FIELDS}),nextPageToken"
        for page in self._pages(prefix, {"prefix": prefix, "fields": fields, **past}):
            for entry in page.get("items", ()):
                if entry["name"] > after:  # the offset itself is listed, too
                    yield _info(entry)

    def _list_prefixes(self, prefix: str, delimiter: str) -> Iterator[str]:
        fields = "prefixes,nextPageToken"
        asked = {"prefix": prefix, "delimiter": delimiter, "fields": fields}
        for page in self._pages(prefix, asked):
            yield from page.get("prefixes", ())

    def _pages(self, prefix: str, params: Mapping[str, str]) -> Iterator[Any]:
        token: dict[str, str] = {}
        while True:
            page = self._request(partial(self._list_page, prefix, {**params, **token}))
            yield page
            if not page.get("nextPageToken"):
                return
            token = {"pageToken": page["nextPageToken"]}

    def _list_page(self, prefix: str, params: Mapping[str, str], seconds: float) -> Any:
        ask = partial(self._connection.objects, "GET", params=params)
        return self._send(prefix, seconds, ask).json()

    # --- signing ----------------------------------------------------------------------

    def _sign(self, key: str, ttl: timedelta, seconds: float) -> str:
        if ttl > _LONGEST:
            raise UnsupportedCapabilityError(
                key, "an address of Cloud Storage can be signed for 7 days at most"
            )
        self._check_open(key)
        return self._credentials.sign_address(
            key, self._root, self._connection.endpoint, ttl, seconds
        )

    # --- inside -----------------------------------------------------------------------

    def _one(self, key: str, seconds: float, method: str, **options: Any) -> Answer:
        """Send a request about one object; see `Connection.one`."""
        ask = partial(self._connection.one, method, key, **options)
        return self._send(key, seconds, ask)

    def _send(self, key: str, seconds: float, ask: Callable[[], Answer]) -> Answer:
        """Send one request; after a refused token once more, with a new one."""
        deadline = self._deadline(seconds)
        self._credentials.prepare(key, seconds)
        try:
            return self._bounded(key, deadline(), ask)
        except StoreAccessError as exc:
            if _status(exc) != _UNAUTHORISED or not self._credentials.refused():
                raise
        self._credentials.prepare(key, deadline())
        return self._bounded(key, deadline(), ask)

    def _bounded(self, key: str, seconds: float, ask: Callable[[], Answer]) -> Answer:
        self._check_open(key)
        with translate_store_errors(key):
            return bounded(key, seconds, ask)

    @staticmethod
    def _deadline(seconds: float) -> Callable[[], float]:
        """Return a function that tells how many of *seconds* are left."""
        end = time.monotonic() + seconds
        return lambda: max(end - time.monotonic(), 0.001)


def _status(exc: StoreError) -> int | None:
    """Return the HTTP status of the answer that an error is about, if there was one."""
    answer = exc.__cause__
    return answer.status if isinstance(answer, AnswerError) else None


def _info(entry: Mapping[str, Any]) -> ObjectInfo:
    """Return what an object's resource says; the generation is its etag.

    An etag of Cloud Storage changes with the metadata, a generation with the bytes.
    """
    updated = entry.get("updated")
    return ObjectInfo(
        key=entry["name"],
        size=int(entry["size"]),
        modified=datetime.fromisoformat(updated) if updated else None,
        etag=str(entry.get("generation", "")),
    )


def _http_date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None


@contextmanager
def _opened(key: str, source: Path | bytes) -> Iterator[tuple[File, int]]:
    """Yield the bytes of an object to read, and how many there are.

    Closed at the end: a request that was given up, and goes on, then sends no more.
    """
    with translate_store_errors(key):  # it may be gone by now
        file = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    with file:
        yield file, file.seek(0, io.SEEK_END)
