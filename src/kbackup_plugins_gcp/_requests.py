"""Requests to Google Cloud Storage, each by the thread that asks.

By its JSON API over urllib3. The vendor's own library tries again inside each of our
attempts, and holds what it sends; gcsfs sends everything from one event loop, which
stops at what one core does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import attrs

from kbackup.errors import StoreUnavailableError
from kbackup_plugins_gcp._credentials import Credentials
from kbackup_plugins_gcp._pool import CONNECT_SECONDS, READ_SECONDS

_NO_BUCKET = (
    "bucket does not exist"  # Google has one reason for it and a missing object
)
# What each method needs, of an object; Google names it in most refusals, not in all.
_PERMISSIONS = {"GET": "get", "POST": "create", "PUT": "create", "DELETE": "delete"}
_RATE_REASONS = {"rateLimitExceeded", "userRateLimitExceeded", "backendError"}


class AnswerError(Exception):
    """The server refused a request.

    Args:
        status: Of HTTP.
        reason: Google's own word for it, such as ``conditionNotMet``; may be empty.
        message: Its sentence, which names a permission that is missing.
        bucket: Of the request, where its lack is the reason.
    """

    def __init__(
        self, status: int, reason: str, message: str, *, bucket: str = ""
    ) -> None:
        super().__init__(message or reason or f"HTTP {status}")
        self.status = status
        code = "NoSuchBucket" if bucket else reason
        # The form in which `translate_store_errors` knows the answers of servers.
        self.response = {
            "Error": {"Code": code, "BucketName": bucket},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }


@attrs.frozen
class Answer:
    """What came back: headers by lower-case name, and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body read as JSON; nothing is an empty object."""
        return json.loads(self.body) if self.body else {}


@attrs.frozen
class Body:
    """What goes with a request, block by block.

    Attributes:
        size: In bytes, of all blocks together.
        blocks: Makes them anew for each time that the request is sent; one is sent
            before the next is taken.
    """

    size: int
    blocks: Callable[[], Iterable[bytes | memoryview]]

    def __iter__(self) -> Iterator[bytes | memoryview]:
        return iter(self.blocks())


class Connection:
    """Sends the requests about one bucket.

    Shared by threads.

    Args:
        pool: The connections to the server; see `open_pool`.
        endpoint: The address of the server.
        bucket: Its name.
        credentials: Whose requests they are; the token is renewed by the caller.
    """

    def __init__(
        self, pool: Any, endpoint: str, bucket: str, credentials: Credentials
    ) -> None:
        self.endpoint = endpoint
        self._pool = pool
        self._bucket = bucket
        self._credentials = credentials

    def close(self) -> None:
        """Close the connections that nobody uses; the others after their request."""
        self._pool.clear()

    def objects(self, method: str, **options: Any) -> Answer:
        """Ask for the objects of the bucket; see `send`."""
        return self.send(method, f"{self._bucket_path()}/o", **options)

    def one(self, method: str, key: str, **options: Any) -> Answer:
        """Ask about one object; see `send`."""
        path = f"{self._bucket_path()}/o/{_quoted(key)}"
        return self.send(method, path, key=key, **options)

    def upload(self, **options: Any) -> Answer:
        """Begin, or do, an upload of an object; see `send`."""
        path = f"/upload{self._bucket_path()}/o"
        return self.send("POST", path, **options)

    def send(
        self,
        method: str,
        path: str,
        *,
        key: str = "",
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | Body = b"",
    ) -> Answer:
        """Send one request and return its answer.

        Args:
            method: Of HTTP.
            path: On the server, quoted; or a whole address that the server gave.
            key: The object it is about; a 404 of any other request means the bucket.
            params: Of the query.
            headers: Beside those of the credentials.
            data: The body.

        Raises:
            AnswerError: The server refused it.
        """
        url = path if "://" in path else f"{self.endpoint}{path}"
        if params:
            url = f"{url}?{urlencode(params, quote_via=quote)}"
        asked = {"Accept-Encoding": "identity", **(headers or {})}
        if isinstance(data, Body):
            asked["Content-Length"] = str(data.size)
        self._credentials.apply(asked)
        answer = self._exchange(key, method, url, headers=asked, body=data or None)
        # 308 tells how much of an upload is there.
        if answer.status >= 300 and answer.status != 308:  # noqa: PLR2004 - of HTTP
            is_list = method == "GET" and not key
            needed = f"storage.objects.{'list' if is_list else _PERMISSIONS[method]}"
            raise _refusal(
                answer.status,
                answer.body,
                self._bucket,
                is_object=bool(key),
                needed=needed,
            )
        return answer

    def _exchange(self, key: str, method: str, url: str, **options: Any) -> Answer:
        import ssl  # noqa: PLC0415 - loaded with the pool

        import urllib3  # noqa: PLC0415 - loaded with the pool

        try:
            answer = self._pool.urlopen(
                method,
                url,
                redirect=False,  # a token goes nowhere else
                retries=False,
                # As it is stored: an object that was stored with an encoding stays so.
                decode_content=False,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
                **options,
            )
        except urllib3.exceptions.SSLError as exc:
            # One class for a certificate that is refused, and a connection cut short.
            if any(isinstance(each, ssl.SSLCertVerificationError) for each in exc.args):
                raise
            raise StoreUnavailableError(key, str(exc)) from exc
        found = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status, found, answer.data)

    def _bucket_path(self) -> str:
        return f"/storage/v1/b/{_quoted(self._bucket)}"


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _refusal(
    status: int, body: bytes, bucket: str, *, is_object: bool, needed: str
) -> AnswerError:
    """Return what the server meant.

    Args:
        status: Of HTTP.
        body: Of the answer.
        bucket: Of the request.
        is_object: Whether it was about an object, not the bucket.
        needed: The permission that the request takes.

    Source: Cloud Storage JSON API, "HTTP status and error codes".
    """
    reason, message = _said(body)
    if reason in _RATE_REASONS:  # with 403, too
        return AnswerError(status, "SlowDown", message or reason)
    if status == 403 and needed not in message:  # noqa: PLR2004 - of HTTP
        message = f"{message or reason}: {needed} is not allowed".removeprefix(": ")
    is_bucket = status == 404 and (not is_object or _NO_BUCKET in message)  # noqa: PLR2004 - of HTTP
    return AnswerError(status, reason, message, bucket=bucket if is_bucket else "")


def _said(body: bytes) -> tuple[str, str]:
    """Return Google's word and sentence for an error; a proxy may say anything."""
    try:
        error = json.loads(body)["error"]
        first = (error.get("errors") or [{}])[0]
        return str(first.get("reason") or ""), str(error.get("message") or "")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return "", body.decode(errors="replace")
