"""Pages of Pods, cut between namespaces: Pods that share a claim come in one page.

A Pod with hooks is to be stored with those that write to the same volumes, also where the
server's page ended between them. What is kept for that is bounded; a namespace that is
larger is parted like others, and its blocks take what was not stored yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from kbackup.cluster import ListedItem

_MOUNTS_A_CLAIM = b'"persistentVolumeClaim"'
_MOST = 16 * 2**20  # bytes of Pods that are kept for the next page


def whole_namespaces(pages: Iterable[list[ListedItem]]) -> Iterator[list[ListedItem]]:
    """Yield the Pods in the same order, in other pages.

    Kept are the last ones of a page, from the first that mounts a claim, while the next
    page may have more of their namespace.
    """
    kept: list[ListedItem] = []
    for page in pages:
        items = [*kept, *page]
        cut = _cut(items)
        kept = [
            # Not a part of the page any more, whose memory goes with it.
            msgspec.structs.replace(each, raw=each.raw.copy())
            for each in items[cut:]
        ]
        del page[:]
        yield items[:cut]
        del items
    if kept:
        yield kept


def _cut(items: list[ListedItem]) -> int:
    """Return how many of *items* need not wait for the next page."""
    begin = len(items)
    while begin and items[begin - 1].namespace == items[-1].namespace:
        begin -= 1
    bodies = [bytes(each.raw) for each in items[begin:]]
    for index, body in enumerate(bodies):
        if _MOUNTS_A_CLAIM in body:
            much = sum(map(len, bodies[index:])) > _MOST
            return len(items) if much else begin + index
    return len(items)
