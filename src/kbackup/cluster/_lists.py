"""LISTs: paged by bytes, read at one resourceVersion, whole also across 410 Gone.

Pages are taken apart by msgspec into a head and raw slices; of an object only what
filters and sorting need is decoded. Called by the facade.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import attrs
import msgspec

from kbackup._kits.words import qualified
from kbackup.cluster._bodies import TooLongAnswerError
from kbackup.cluster._errors import Subject
from kbackup.cluster._paths import path_of
from kbackup.cluster._transport import Bound, Call, Transport, is_of_other_etcd
from kbackup.errors import (
    ClusterError,
    GoneError,
    InvalidItemError,
    ServerFaultError,
)
from kbackup.models import APIResource, GroupResource, ListRecord

# Nothing goes on while the first page comes. With 200 Secrets of 1 MiB a first page of
# 100 took twice the memory (214 MiB against 111) and half as much time again.
_FIRST_LIMIT = 25
_NO_END = "it does not go on: the server gave the same continue token twice"
_GROWTH = 4  # a page of small objects says little about the next ones
_LARGEST_LIMIT = 5000
_SHRINKAGE = 16  # of a page that is far too large: a few tries tell an endless answer
_RESTARTS_WITHOUT_PROGRESS = 5


class _ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _Page(msgspec.Struct, kw_only=True):
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)
    # Go writes null for none; without the key it is something else, such as a Status.
    items: list[msgspec.Raw] | None


class _ObjectMeta(msgspec.Struct, rename="camel", gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] | None = None
    deletion_timestamp: str | None = None


class _Head(msgspec.Struct, rename="camel", gc=False):
    metadata: _ObjectMeta
    api_version: str = ""
    kind: str = ""


_NO_LIST = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_decode_page = msgspec.json.Decoder(_Page).decode
_decode_head = msgspec.json.Decoder(_Head).decode


class ListedItem(msgspec.Struct, frozen=True, gc=False):
    """One object of a list: its head, and its body as the server sent it.

    Attributes:
        labels: None when it has none.
        deleting: Whether it has a deletion timestamp.
        raw: The body; `json` is the one with ``apiVersion`` and ``kind``.
        prefix: What `json` puts in front; empty where the body has it.
    """

    name: str
    namespace: str
    uid: str
    resource_version: str
    labels: dict[str, str] | None
    deleting: bool
    raw: msgspec.Raw
    prefix: bytes

    def json(self) -> bytes:
        """Return the whole object, with ``apiVersion`` and ``kind``."""
        if not self.prefix:
            return bytes(self.raw)
        return b"".join((self.prefix, memoryview(self.raw)[1:]))

    def __repr__(self) -> str:  # never the body: it may be a Secret
        return f"ListedItem({qualified(self.namespace, self.name)})"


@attrs.frozen(kw_only=True)
class ListPage:
    """What one request brought."""

    items: list[ListedItem] = attrs.field(repr=False)
    resource_version: str = ""


@attrs.frozen(kw_only=True)
class ListRequest:
    """What to list.

    Attributes:
        resource_version: To read at exactly; empty: the newest.
        exact_possible: Whether the type's server knows resourceVersions of the others:
            an aggregated API may count its own.
        limit: How many objects to ask for at first; 0: nobody knows how many fit.
    """

    resource: APIResource
    namespace: str = ""
    label_selector: str = ""
    field_selector: str = ""
    resource_version: str = ""
    exact_possible: bool = True
    limit: int = 0


class ItemList:
    """One LIST, read once, page by page; for one thread at a time.

    `record` tells what was read; it is whole after the last page.

    Args:
        unversioned: Takes the type, where its server does not know the versions of the
            others; the next list of it need not ask.
    """

    def __init__(
        self,
        transport: Transport,
        bound: Bound,
        request: ListRequest,
        *,
        unversioned: set[GroupResource] | None = None,
    ) -> None:
        self._transport = transport
        self._bound = bound
        self._request = request
        self._unversioned = set() if unversioned is None else unversioned
        wanted = request.resource_version
        self._wanted = wanted if request.exact_possible else ""
        self._exact = not wanted or request.exact_possible
        self._refused = False  # at the wanted version, in a way that stays
        self._version = ""
        self._token = ""
        self._limit = request.limit or _FIRST_LIMIT
        self._delivered = array("q")  # hashes of names: eight bytes an object
        self._known: set[int] = set()  # the same, once the list began again
        self._restarts = self._stuck = 0
        self._started: datetime | None = None
        self._ended: datetime | None = None
        resource = request.resource
        self._prefix = (
            b'{"apiVersion":'
            + msgspec.json.encode(resource.api_version)
            + b',"kind":'
            + msgspec.json.encode(resource.kind)
            + b","
        )

    @property
    def resource_version(self) -> str:
        """That of the first page; empty before it."""
        return self._version

    @property
    def record(self) -> ListRecord:
        """What was read so far."""
        resource = self._request.resource
        return ListRecord(
            resource=resource.group_resource,
            version=resource.version,
            namespace=self._request.namespace,
            resource_version=self._version,
            started_at=self._started,
            ended_at=self._ended,
            listed=len(self._delivered),
            restarts=self._restarts,
            exact=self._exact,
        )

    def __iter__(self) -> Iterator[ListedItem]:
        for page in self.pages():
            yield from page.items

    def pages(self) -> Iterator[ListPage]:
        """Yield page after page; an object is in one of them, once.

        Raises:
            ClusterError: The list cannot be read, or not to its end.
        """
        self._started = datetime.now(UTC)
        while True:
            data = self._fetch()
            if data is None:
                continue
            page = self._take(data)
            items = self._items(page.items or [])
            if items or not page.metadata.continue_:
                yield ListPage(items=items, resource_version=self._version)
            before, self._token = self._token, page.metadata.continue_
            if self._token and self._token == before:  # for ever, then
                subject = self._call().subject
                raise ServerFaultError(subject.verb, subject.resource, "", _NO_END)
            if not self._token:
                self._ended = datetime.now(UTC)
                return

    # --- requests ---------------------------------------------------------------------

    def _fetch(self) -> bytes | None:
        """Ask for the next page; None: the list begins again, or goes on elsewhere.

        Large objects after many small ones are asked for again, fewer at a time.
        """
        try:
            answer = self._transport.send(self._call(), self._bound)
        except GoneError as exc:
            self._after_gone(exc)
            return None
        except TooLongAnswerError:
            if self._limit == 1:
                raise
            self._limit = max(1, self._limit // _SHRINKAGE)
            return None
        except (InvalidItemError, ServerFaultError) as exc:
            if not self._wanted or self._token or not _is_about_version(exc):
                raise
            self._refused = isinstance(exc, InvalidItemError) or is_of_other_etcd(exc)
            self._read_newest()
            return None
        if self._refused:  # for the version, then, and not for a selector
            self._unversioned.add(self._request.resource.group_resource)
        return answer.data

    def _call(self) -> Call:
        request = self._request
        query = [
            ("limit", str(self._limit)),
            ("labelSelector", request.label_selector),
            ("fieldSelector", request.field_selector),
            ("continue", self._token),
        ]
        if self._wanted and not self._token:  # a token holds its own version
            query += [
                ("resourceVersion", self._wanted),
                ("resourceVersionMatch", "Exact"),
            ]
        resource = request.resource
        return Call(
            method="GET",
            path=path_of(resource, request.namespace),
            query=query,
            subject=Subject("list", str(resource), request.namespace),
        )

    def _after_gone(self, error: ClusterError) -> None:
        """The version is no longer kept: go on at the newest one.

        A server of Kubernetes gives a token with which the list goes on after the last
        key; without one the list begins again and leaves out what was delivered.
        """
        if not self._token and not self._wanted:
            raise error
        self._stuck += 1
        if self._stuck > _RESTARTS_WITHOUT_PROGRESS:
            raise error
        if self._delivered:
            self._restarts += 1
            self._known.update(self._delivered)
        self._read_newest()
        metadata: Any = (error.body or {}).get("metadata") or {}
        if self._delivered and isinstance(metadata.get("continue"), str):
            self._token = metadata["continue"]

    def _read_newest(self) -> None:
        self._exact = False
        self._wanted = self._token = ""

    # --- pages ------------------------------------------------------------------------

    def _take(self, data: bytes) -> _Page:
        try:
            if not data.isascii():
                data.decode()  # what is no UTF-8 could not be read again
            page = _decode_page(data)
        except _NO_LIST as exc:
            raise self._malformed() from exc
        version = page.metadata.resource_version
        if not self._version:
            self._version = version
            if self._wanted and version and version != self._wanted:
                self._exact = False  # the server read what it liked
        if page.items:
            mean = len(data) / len(page.items)
            self._limit = next_limit(self._limit, mean, self._bound.settings.page_bytes)
        return page

    def _items(self, raws: list[msgspec.Raw]) -> list[ListedItem]:
        try:
            heads = [_decode_head(raw) for raw in raws]
        except _NO_LIST as exc:
            raise self._malformed() from exc
        items = []
        known, delivered, prefix = self._known, self._delivered, self._prefix
        for head, raw in zip(heads, raws, strict=True):
            meta = head.metadata
            key = hash((meta.namespace, meta.name))
            if known and key in known:
                continue
            delivered.append(key)
            items.append(
                ListedItem(
                    meta.name,
                    meta.namespace,
                    meta.uid,
                    meta.resource_version,
                    meta.labels,
                    meta.deletion_timestamp is not None,
                    raw,
                    b"" if head.kind and head.api_version else prefix,
                )
            )
        if items:
            self._stuck = 0
        return items

    def _malformed(self) -> ClusterError:
        request = self._request
        return ServerFaultError(
            "list", str(request.resource), request.namespace, "the answer is no list"
        )


def next_limit(limit: int, mean_size: float, page_bytes: int) -> int:
    """Return how many objects to ask for, so that a page has about *page_bytes*."""
    fits = int(page_bytes / max(1.0, mean_size))
    return max(1, min(fits, limit * _GROWTH, _LARGEST_LIMIT))


def _is_about_version(error: ClusterError) -> bool:
    """Whether a server refused only to read at the version that was asked.

    One that is ahead of the server's own is answered as a timeout, one that an
    aggregated API cannot read, or a parameter that it does not know, as invalid.
    """
    if isinstance(error, InvalidItemError):
        return True
    return "resource version" in error.reason.lower() or is_of_other_etcd(error)
