"""Which packs are read where not all of them are, in restic's notation.

Pure. Source: restic ``doc/045_working_with_repos.rst``, "Checking integrity".
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Self

import attrs

from kbackup._kits.sizes import parse_size
from kbackup.errors import InvalidSpecError
from kbackup.repository._ids import PackID

_PART = re.compile(r"(?P<part>\d{1,3})/(?P<parts>\d{1,3})")
_PERCENT = re.compile(r"(?P<percent>\d{1,3}(?:\.\d+)?)%")
_MOST_PARTS, _ALL = 256, 100


@attrs.frozen(kw_only=True)
class Subset:
    """Some of all packs; without anything set, all of them.

    Attributes:
        part: One of so many parts, the first is 1: all parts together are all packs.
        parts: How many there are, up to 256.
        percent: So many of a hundred packs, chosen at random, one at least.
        bytes: Packs chosen at random that have so many bytes together.
    """

    part: int = 1
    parts: int = 1
    percent: float | None = None
    bytes: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``2/5``, ``10%`` or ``500M`` (of 1024 x 1024 bytes).

        Raises:
            InvalidSpecError: It is none of these.
        """
        if found := _PART.fullmatch(text):
            part, parts = int(found["part"]), int(found["parts"])
            if 1 <= part <= parts <= _MOST_PARTS:
                return cls(part=part, parts=parts)
        elif found := _PERCENT.fullmatch(text):
            if 0 < float(found["percent"]) <= _ALL:
                return cls(percent=float(found["percent"]))
        elif size := parse_size(text):
            return cls(bytes=size)
        raise InvalidSpecError(
            [f"{text[:80]!r} is no part of a repository: such as 2/5, 10% or 500M"]
        )

    def choose(self, sizes: Mapping[PackID, int]) -> list[PackID]:
        """Return which packs are meant, in the order of their names.

        Args:
            sizes: All packs, with their bytes.
        """
        names = sorted(sizes)
        if self.percent is not None:
            count = max(1, round(len(names) * self.percent / _ALL))
            return sorted(random.sample(names, min(count, len(names))))
        if self.bytes is not None:
            return sorted(self._up_to(names, sizes, self.bytes))
        return [name for name in names if name[0] % self.parts == self.part - 1]

    @staticmethod
    def _up_to(
        names: list[PackID], sizes: Mapping[PackID, int], most: int
    ) -> list[PackID]:
        """Choose at random until the next one would be too much; one at least."""
        chosen: list[PackID] = []
        for name in random.sample(names, len(names)):
            if chosen and most < sizes[name]:
                break
            chosen.append(name)
            most -= sizes[name]
        return chosen
