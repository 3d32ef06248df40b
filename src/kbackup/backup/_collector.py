"""What exists and is wanted: one LIST after the other, read ahead on worker threads.

A `Listing` is one LIST of one type in one namespace (or in the whole cluster). `collect`
yields the listings in order, each with its pages; while the pages of one are written
to the archive, the next pages and the next listings are being fetched. All LISTs are
read at the resourceVersion of the first one, where the server still has it.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType

import attrs

from kbackup._kits.workers import Cancelled, WorkerPool
from kbackup.backup._namespaces import Namespaces
from kbackup.cluster import Cluster, ItemList, ListedItem
from kbackup.errors import KBackupError
from kbackup.models import APIResource, GroupResource, ListRecord

# Lists in flight: enough to hide the latency of many small ones; each holds at most two
# pages, so memory stays bounded by four times twice the page size.
_READ_AHEAD = 4
_POLL = 0.25  # seconds between looks whether anybody still waits for a page


@attrs.frozen(kw_only=True)
class ListTask:
    """One LIST to make.

    Attributes:
        namespace: Empty: the whole cluster.
        selector: A label query, or empty.
        name: Of the one object that is to be stored before its type is listed; empty:
            this is the list of the type.
        is_of_copies: It is of another version than the one in which the type is stored.
    """

    resource: APIResource
    namespace: str = ""
    selector: str = ""
    name: str = ""
    is_of_copies: bool = False

    @property
    def group_resource(self) -> GroupResource:
        """The type."""
        return self.resource.group_resource


@attrs.frozen
class _End:
    """The end of a listing: its record, or what it failed with."""

    record: ListRecord | None = None
    error: BaseException | None = None


_Message = list[ListedItem] | _End


class Listing:
    """One LIST while it is read.

    Attributes:
        task: What is listed.
        record: Set once the pages have ended.
        error: What the LIST failed with, perhaps after some pages.
        started: Set when the first page is there, or the end.
    """

    def __init__(self, task: ListTask) -> None:
        self.task = task
        self.record: ListRecord | None = None
        self.error: KBackupError | None = None
        self._messages: queue.Queue[_Message] = queue.Queue(maxsize=1)

    def pages(self) -> Iterator[list[ListedItem]]:
        """Yield the pages; afterwards `record` or `error` is set.

        Raises:
            Cancelled: The run is to stop.
        """
        while True:
            message = self._messages.get()
            if not isinstance(message, _End):
                yield message
                del message  # the page's memory goes before the next one is asked for
                continue
            self.record = message.record
            if isinstance(message.error, KBackupError):
                self.error = message.error
            elif message.error is not None:
                raise message.error
            return

    def feed(self, listing: ItemList, stop: threading.Event) -> None:
        """Read the pages on a worker thread, one ahead of the consumer."""
        try:
            for page in listing.pages():
                if not self._put(page.items, stop):
                    return
            end = _End(record=listing.record)
        except (Exception, Cancelled) as exc:  # noqa: BLE001 - raised where it is read
            end = _End(record=listing.record, error=exc)
        self._put(end, stop)

    def _put(self, message: _Message, stop: threading.Event) -> bool:
        while not stop.is_set():
            with suppress(queue.Full):
                self._messages.put(message, timeout=_POLL)
                return True
        return False


def plan_lists(
    types: Iterable[APIResource],
    namespaces: Namespaces,
    selectors: Sequence[str],
    first: Mapping[GroupResource, Sequence[tuple[str, str]]] = MappingProxyType({}),
    others: Mapping[GroupResource, Sequence[APIResource]] = MappingProxyType({}),
) -> tuple[ListTask, ...]:
    """Return the LISTs to make, in their order. Pure.

    Args:
        types: In their order.
        namespaces: Those of the backup.
        selectors: Label queries.
        first: By type, namespaces and names of what comes before everything else of it.
        others: By type, the versions in which it is listed once more.
    """
    tasks: list[ListTask] = []
    for resource in types:
        scopes: tuple[str, ...] = ("",)
        if resource.namespaced and namespaces.listed is not None:
            scopes = namespaces.listed
        everywhere = scopes == ("",)
        tasks += (
            ListTask(resource=resource, namespace=scope, selector=selector, name=name)
            for scope, name in first.get(resource.group_resource, ())
            if everywhere or scope in scopes
            for selector in selectors
        )
        versions = (resource, *others.get(resource.group_resource, ()))
        tasks += (
            ListTask(
                resource=version,
                namespace=scope,
                selector=selector,
                is_of_copies=version is not resource,
            )
            for version in versions
            for scope in scopes
            for selector in selectors
        )
    return tuple(tasks)


def collect(
    cluster: Cluster,
    tasks: Sequence[ListTask],
    *,
    resource_version: str,
    exact: bool,
) -> Generator[Listing]:
    """Yield a listing for each task, in order; each must be read to its end.

    Args:
        cluster: Bound to the run.
        tasks: What to list.
        resource_version: At which all are read; empty: that of the first list.
        exact: Whether to keep to one resourceVersion at all.
    """
    waiting = deque(tasks)
    stop = threading.Event()
    pool = WorkerPool(min(_READ_AHEAD, max(1, len(tasks))), "kbackup-lists")
    ahead: deque[Listing] = deque()

    def begin(version: str) -> None:
        task = waiting.popleft()
        listing = Listing(task)
        source = cluster.list(
            task.resource,
            namespace=task.namespace,
            label_selector=task.selector,
            field_selector=f"metadata.name={task.name}" if task.name else "",
            resource_version=version if exact else "",
        )
        pool.submit(listing.feed, source, stop)
        ahead.append(listing)

    try:
        while waiting or ahead:
            if exact and not resource_version and waiting:
                # Alone: its resourceVersion is what the others are read at.
                begin("")
                listing = ahead.popleft()
                yield listing
                if listing.record is not None:
                    resource_version = listing.record.resource_version
                continue
            while waiting and len(ahead) < _READ_AHEAD:
                begin(resource_version)
            yield ahead.popleft()
    finally:
        stop.set()
        pool.close(wait=False)
