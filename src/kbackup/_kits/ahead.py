"""Pages, read one ahead of whoever looks at them: those of a LIST, which take their time."""

from collections.abc import Iterator
from typing import TypeVar

from kbackup._kits.workers import WorkerPool

T = TypeVar("T")

_AT_ONCE = 2  # pages; most lists have no more, and a thread costs 0.1 ms


def read_ahead(pages: Iterator[T]) -> Iterator[T]:
    """Yield *pages*; from the third on, the next one comes while one is looked at.

    The server is at work meanwhile.
    """
    for _ in range(_AT_ONCE):
        page = next(pages, None)
        if page is None:
            return
        yield page
    with WorkerPool(1, "kbackup-ahead") as pool:
        coming = pool.submit(next, pages, None)
        while (page := coming.result()) is not None:
            coming = pool.submit(next, pages, None)
            yield page
