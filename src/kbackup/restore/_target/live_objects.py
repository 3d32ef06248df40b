"""What lives in the target, LIST after LIST, some of them begun before they are asked for.

To plan what a LIST brings takes about as long as the server takes for it. Asked one
after the other, each would wait for the other half of the time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import NamedTuple, Self

from kbackup._kits.workers import WorkerPool
from kbackup.cluster import Cluster, ListedItem, ListPage
from kbackup.models import APIResource


class Place(NamedTuple):
    """A type and a namespace of it, or all of it where it has none."""

    resource: APIResource
    namespace: str


class Expected(NamedTuple):
    """A place that will be asked for, and how many objects at first; 0: nobody knows."""

    place: Place
    limit: int


class LiveObjects:
    """Lists the objects of one target; for one thread, with others ahead of it.

    Args:
        cluster: The target.
        expected: The places in the order in which they will be asked for, as far as
            that is known; taken as they are needed.
        ahead: How many LISTs are begun before they are asked for.
    """

    def __init__(
        self, cluster: Cluster, expected: Iterable[Expected] = (), ahead: int = 0
    ) -> None:
        self._cluster = cluster
        self._ahead = ahead
        self._pool: WorkerPool | None = None
        self._expected = iter(expected)
        self._coming: deque[tuple[Place, _Pages]] = deque()

    def of(self, place: Place) -> Iterator[ListedItem]:
        """Yield what lives in a place.

        Raises:
            ClusterError: The list cannot be read, or not to its end.
        """
        pages = self._taken(place)
        while (page := pages.coming.result()) is not None:
            pages.coming = self._workers().submit(next, pages.rest, None)
            yield from page.items

    def _taken(self, place: Place) -> _Pages:
        """The LIST that is on its way already, or a new one; those after it begin."""
        self._look_ahead()
        pages = None
        if any(place == coming for coming, _ in self._coming):
            while pages is None:  # what was expected before it is not asked for
                coming, begun = self._coming.popleft()
                pages = begun if coming == place else None
        elif len(self._coming) == self._ahead > 0:
            self._coming.popleft()  # or nothing would come after what nobody asks for
        pages = pages or self._begun(Expected(place, 0))
        self._look_ahead()
        return pages

    def _look_ahead(self) -> None:
        while len(self._coming) < self._ahead:
            expected = next(self._expected, None)
            if expected is None:
                return
            self._coming.append((expected.place, self._begun(expected)))

    def _begun(self, expected: Expected) -> _Pages:
        resource, namespace = expected.place
        listing = self._cluster.list(
            resource, namespace=namespace, limit=expected.limit
        )
        pages = listing.pages()
        return _Pages(pages, self._workers().submit(next, pages, None))

    def _workers(self) -> WorkerPool:
        if self._pool is None:
            self._pool = WorkerPool(1 + self._ahead, "kbackup-ahead")
        return self._pool

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.close(wait=False)  # a LIST that nobody waits for may take long
            self._pool = None


class _Pages:
    """A LIST under way: what is still to come of it, and the page that is coming."""

    def __init__(
        self, rest: Iterator[ListPage], coming: Future[ListPage | None]
    ) -> None:
        self.rest = rest
        self.coming = coming
