"""Leave objects out by their kind. Pure."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import attrs

from kbackup._kits.kinds import is_built_in, kind_of
from kbackup.errors import InvalidConfigError
from kbackup.restore.transforms._base import Content, Transform, words_of


@attrs.frozen(slots=False, repr=False)
class _Drop(Transform):
    factory = "drop"

    names: tuple[str, ...]

    @cached_property
    def words(self) -> frozenset[str]:
        """The kinds without their groups: for most items these alone say no."""
        return frozenset(name.partition(".")[0] for name in self.names)

    def concerns(self, item: Content) -> bool:
        """Tell whether it is left out."""
        if item.get("kind") not in self.words:
            return False
        group, kind = kind_of(item)
        if is_built_in(group) and kind in self.names:
            return True
        return f"{kind}.{group}" in self.names

    def _arguments(self) -> str:
        return ", ".join(map(repr, self.names))

    def _change(self, item: Content) -> None:  # noqa: ARG002 - whatever it is
        return None


def drop(*kinds: str) -> Transform:
    """Return a transform that leaves objects of some kinds out.

    Where types are known by name, `RestoreSpec.excluded_resources` does the same earlier,
    and of those nothing is read.

    Args:
        kinds: Those of Kubernetes itself by their kind alone, as in ``Secret``; those of
            custom resources with their group, as in ``Widget.example.com``.

    Raises:
        InvalidConfigError: A name is no kind. A plural such as ``secrets`` is none:
            which kind that is only a server knows.
    """
    names: tuple[Any, ...] = kinds
    for name in names:
        if not isinstance(name, str) or not name[:1].isupper():
            raise InvalidConfigError(
                f"drop: {name!r} is no kind",
                hint="such as Secret, or Widget.example.com; types by their plural are "
                "left out by RestoreSpec.excluded_resources",
            )
    if not kinds:
        raise InvalidConfigError("drop: no kind is named")
    return _Drop(words_of(kinds, _Drop.factory))
