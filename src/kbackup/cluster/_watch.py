"""Watches that go on: over ended connections, expired versions and quiet hours.

Called by the facade. A watch without a version begins with what exists, as ``ADDED``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import attrs
import msgspec
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from kbackup._kits.words import qualified
from kbackup.cluster._bodies import MOST_OF_EVENT, too_long
from kbackup.cluster._errors import Subject, error_from_answer
from kbackup.cluster._lists import ItemList
from kbackup.cluster._paths import path_of
from kbackup.cluster._transport import Bound, Call, Transport
from kbackup.errors import GoneError
from kbackup.models import APIResource

# Each connection is ended by the server after so long, which is how soon a cancel
# token is noticed while nothing happens. Going on costs one request.
_SECONDS = 10
_GRACE = 5.0
_PAUSE = 0.5  # after a connection that ended early
_CHUNK = 64 * 1024
_GONE = 410

_Key = tuple[str, str]


@attrs.frozen
class WatchEvent:
    """What happened to one object.

    Attributes:
        type: ``ADDED``, ``MODIFIED`` or ``DELETED``.
        item: The object; of one whose deletion was missed only its head.
    """

    type: str
    item: Mapping[str, Any] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class WatchRequest:
    """What to watch; an empty *resource_version* begins with what exists."""

    resource: APIResource
    namespace: str = ""
    name: str = ""
    label_selector: str = ""
    resource_version: str = ""
    timeout: timedelta | None = None

    @property
    def field_selector(self) -> str:
        """The selector for one object by name, or nothing."""
        return f"metadata.name={self.name}" if self.name else ""


class Watcher:
    """One watch; for one thread."""

    def __init__(
        self,
        transport: Transport,
        bound: Bound,
        request: WatchRequest,
        relist: Callable[[], ItemList],
    ) -> None:
        self._transport = transport
        self._bound = bound
        self._request = request
        self._relist = relist
        self._version = request.resource_version
        self._known: dict[_Key, str] = {}  # to resourceVersion
        self._deadline: float | None = None
        if request.timeout is not None:
            self._deadline = time.monotonic() + request.timeout.total_seconds()
        self._subject = Subject(
            "watch", str(request.resource), qualified(request.namespace, request.name)
        )

    def events(self) -> Iterator[WatchEvent]:
        """Yield what happens until the time is over; without one, for ever.

        Raises:
            ClusterError: The server refuses the watch.
            Cancelled: The run is to stop.
        """
        while not self._is_over():
            if not self._version:
                yield from self._list()
            try:
                yield from self._connection()
            except GoneError:
                self._version = ""

    def _is_over(self) -> bool:
        self._bound.cancel.check()
        return self._deadline is not None and time.monotonic() >= self._deadline

    def _list(self) -> Iterator[WatchEvent]:
        """Tell the difference between what was known and what is there."""
        listing, gone = self._relist(), dict(self._known)
        for item in listing:
            key = (item.namespace, item.name)
            before = gone.pop(key, None)
            self._known[key] = item.resource_version
            if before != item.resource_version:
                kind = "ADDED" if before is None else "MODIFIED"
                yield WatchEvent(kind, msgspec.json.decode(item.json()))
        for namespace, name in gone:
            del self._known[namespace, name]
            yield WatchEvent("DELETED", self._head(namespace, name))
        self._version = listing.resource_version

    def _head(self, namespace: str, name: str) -> dict[str, Any]:
        resource = self._request.resource
        metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
        return {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": metadata,
        }

    def _connection(self) -> Iterator[WatchEvent]:
        response = self._transport.open(self._call(), self._bound)
        try:
            for line in _lines(response, self._subject):
                event = self._take(msgspec.json.decode(line))
                if event is not None:
                    yield event
                if self._is_over():
                    return
        except (HTTPError, OSError, msgspec.DecodeError):
            # Broken, silent, or cut in the middle of a line: go on from the last
            # version seen, which repeats nothing and leaves nothing out.
            self._bound.cancel.wait(_PAUSE)
        finally:
            response.close()

    def _call(self) -> Call:
        request, seconds = self._request, float(_SECONDS)
        if self._deadline is not None:
            seconds = min(seconds, max(1.0, self._deadline - time.monotonic()))
        return Call(
            method="GET",
            path=path_of(request.resource, request.namespace),
            query=[
                ("watch", "true"),
                ("allowWatchBookmarks", "true"),
                ("timeoutSeconds", str(int(seconds))),
                ("resourceVersion", self._version),
                ("labelSelector", request.label_selector),
                ("fieldSelector", request.field_selector),
            ],
            subject=self._subject,
            read_timeout=seconds + _GRACE,
        )

    def _take(self, event: dict[str, Any]) -> WatchEvent | None:
        kind, item = str(event.get("type")), event.get("object") or {}
        if kind == "ERROR":
            code = int(item.get("code") or 500)
            raise error_from_answer(self._subject, code, {}, msgspec.json.encode(item))
        metadata = item.get("metadata") or {}
        self._version = metadata.get("resourceVersion") or self._version
        if kind == "BOOKMARK":
            return None
        key = (metadata.get("namespace") or "", metadata.get("name") or "")
        if kind == "DELETED":
            self._known.pop(key, None)
        else:
            self._known[key] = self._version
        return WatchEvent(kind, item)


def _lines(response: BaseHTTPResponse, subject: Subject) -> Iterator[bytes]:
    """Yield the lines of a stream as soon as each is whole.

    Raises:
        TooLongAnswerError: One has no end.
    """
    rest = b""
    for chunk in response.stream(_CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line.strip())
        if len(rest) > MOST_OF_EVENT:
            raise too_long(subject, MOST_OF_EVENT)
