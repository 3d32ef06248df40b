"""Which blobs of a pack are read with one request, and which of them are small.

Pure. What lies between two blobs is read for nothing where asking twice would take longer.
Called by those who read many blobs: `_bringing`, in the order of the packs, and `_content`,
in that of the files.
"""

from __future__ import annotations

from collections.abc import Collection

from kbackup.repository._index import Place

SMALL = 64 << 10
"""Bytes of a blob; one of fewer takes the interpreter's lock most of the time it is opened."""

MOST_PLAIN = 8 << 20
"""Bytes of plain blobs that are in memory for one request, but for a single blob."""

_GAP = 256 << 10  # bytes that are rather read for nothing than asked around


def is_near(place: Place, first: Place, last: Place, *, most: int) -> bool:
    """Tell whether a blob is read with those from *first* to *last*.

    Args:
        place: Where it is.
        first: The one that the request begins with.
        last: The one that it ends with up to now.
        most: Bytes that are asked for at once.
    """
    gap = place.offset - (last.offset + last.length)
    whole = place.offset + place.length - first.offset
    return place.pack == first.pack and 0 <= gap <= _GAP and whole <= most


def are_small(places: Collection[Place]) -> bool:
    """Tell whether blobs are small in the mean; see `SMALL`."""
    return sum(place.length for place in places) < SMALL * len(places)
