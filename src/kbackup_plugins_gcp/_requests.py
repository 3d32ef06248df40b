"""Requests to Google Cloud Storage on the session of a gcsfs filesystem.

gcsfs makes the session and the addresses. What it makes of an answer is not used: it
tries six times inside each of our attempts, and drops what the server says of a 404,
without which a missing bucket is a missing object.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import attrs

from kbackup_plugins_gcp._credentials import Credentials

_CONNECT_SECONDS = 5
_READ_SECONDS = 60  # of one read; what a call takes in all is for Timeouts
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


class Connection:
    """Sends the requests about one bucket.

    Args:
        filesystem: A gcsfs filesystem; its session is opened by the first request.
        bucket: Its name.
        credentials: Whose requests they are; the token is renewed by the caller.
        ssl_context: What is trusted, if not what the system trusts.
    """

    def __init__(
        self,
        filesystem: Any,
        bucket: str,
        credentials: Credentials,
        ssl_context: Any = None,
    ) -> None:
        self._fs = filesystem
        self._bucket = bucket
        self._credentials = credentials
        self._tls = {} if ssl_context is None else {"ssl": ssl_context}

    @property
    def endpoint(self) -> str:
        """The address of the server."""
        return str(self._fs._location)  # noqa: SLF001 - it has no public name

    async def objects(self, method: str, **options: Any) -> Answer:
        """Ask for the objects of the bucket; see `send`."""
        return await self.send(method, f"{self._bucket_path()}/o", **options)

    async def one(self, method: str, key: str, **options: Any) -> Answer:
        """Ask about one object; see `send`."""
        path = f"{self._bucket_path()}/o/{_quoted(key)}"
        return await self.send(method, path, key=key, **options)

    async def upload(self, **options: Any) -> Answer:
        """Begin, or do, an upload of an object; see `send`."""
        path = f"/upload{self._bucket_path()}/o"
        return await self.send("POST", path, **options)

    async def send(
        self,
        method: str,
        path: str,
        *,
        key: str = "",
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes = b"",
    ) -> Answer:
        """Send one request on the filesystem's loop and return its answer.

        Args:
            method: Of HTTP.
            path: On the server, quoted; or a whole address that the server gave.
            key: The object it is about; a 404 of any other request means the bucket.
            params: Of the query.
            headers: Beside those of the credentials.
            data: The body; empty: none.

        Raises:
            AnswerError: The server refused it.
        """
        from aiohttp import ClientTimeout  # noqa: PLC0415 - the SDK
        from yarl import URL  # noqa: PLC0415 - comes with aiohttp

        session = await self._fs._set_session()  # noqa: SLF001 - has no public name
        url = path if "://" in path else f"{self.endpoint}{path}"
        asked = {"Accept-Encoding": "identity", **(headers or {})}
        self._credentials.apply(asked)
        # As it is: a key's %2F would be read again, as a slash.
        address = URL(url, encoded=True)
        async with session.request(
            method,
            address.update_query(params) if params else address,
            headers=asked,
            data=io.BytesIO(data) if data else None,  # sent bit by bit, unlike bytes
            allow_redirects=False,  # a token goes nowhere else
            timeout=ClientTimeout(
                total=None, sock_connect=_CONNECT_SECONDS, sock_read=_READ_SECONDS
            ),
            **self._tls,
        ) as answer:
            body = await answer.read()
            found = {name.lower(): value for name, value in answer.headers.items()}
        # 308 tells how much of an upload is there.
        if answer.status >= 300 and answer.status != 308:  # noqa: PLR2004 - of HTTP
            is_list = method == "GET" and not key
            needed = f"storage.objects.{'list' if is_list else _PERMISSIONS[method]}"
            raise _refusal(
                answer.status, body, self._bucket, is_object=bool(key), needed=needed
            )
        return Answer(answer.status, found, body)

    def _bucket_path(self) -> str:
        return f"/storage/v1/b/{_quoted(self._bucket)}"


def session_options() -> dict[str, Any]:
    """Return how gcsfs is to make its session.

    Bodies come as they are stored: an object that was stored with an encoding is not
    unpacked on its way. Proxies are those of the environment, as for every SDK.
    """
    return {"trust_env": True, "auto_decompress": False}


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
