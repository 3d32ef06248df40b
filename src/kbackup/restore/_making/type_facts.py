"""What holds for all items of a type: found out once, asked for every item.

Kept by whoever makes the desired items.
"""

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from kbackup.models import GroupResource
from kbackup.plugins import RestoreItemAction
from kbackup.plugins.engine import ResolvedAction, is_built_in

_Look = Callable[[Mapping[str, Any]], bool]


@attrs.frozen
class KnownAction:
    """An action, and what holds of it for all items.

    Attributes:
        looks_at: By what one of our own tells cheaply whether it may want an item; any
            other one may want them all.
    """

    action: RestoreItemAction
    is_own: bool
    wants: Callable[[str, Mapping[str, str] | None], bool]
    looks_at: _Look

    @classmethod
    def of(cls, resolved: ResolvedAction[RestoreItemAction]) -> "KnownAction":
        """Find it out."""
        action, is_own = resolved.action, is_built_in(resolved.action)
        look = getattr(action, "concerns", _at_all) if is_own else _at_all
        return cls(action, is_own, resolved.wants, look)


def _at_all(_content: Mapping[str, Any]) -> bool:
    return True


@attrs.frozen(kw_only=True)
class TypeFacts:
    """What holds for all items of one type.

    Attributes:
        marks: The labels that they get.
        is_tied: They are claims or volumes, which name each other.
        is_changed: The user's hooks, functions or rules may change some of them.
    """

    resource: GroupResource | None = None
    actions: tuple[KnownAction, ...] = ()
    is_claim: bool = False
    is_tied: bool = False
    marks: Mapping[str, str] = attrs.field(factory=dict)
    is_pod: bool = False
    is_changed: bool = False

    def asked(self, content: Mapping[str, Any]) -> tuple[KnownAction, ...]:
        """The actions from the first that may want an item: of most Secrets none does."""
        for number, known in enumerate(self.actions):
            if known.looks_at(content):
                return self.actions[number:]
        return ()
