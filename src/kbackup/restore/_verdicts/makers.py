"""Which items of a backup are left to what makes them, in this restore and this target.

`_kits.controlled` tells how an item stands to its owners; here that is held against what is
planned so far and what lives in the target. Reads only; asked by the item planner.
"""

from enum import Enum, auto

from kbackup._kits.controlled import Owner, Ownership, Role
from kbackup.models import ResourceIdentifier, well_known
from kbackup.restore._notices.notices import NoticeBook
from kbackup.restore._owners.owners import Key
from kbackup.restore._plan.state import PlanState
from kbackup.restore._request.request import RestoreRequest
from kbackup.restore._verdicts.namespaces import is_terminating


class _Presence(Enum):
    """Whether an owner lives in the target."""

    LIVES = auto()
    UNREADABLE = auto()
    ABSENT = auto()


class Makers:
    """Answers for the items of one restore."""

    def __init__(
        self, request: RestoreRequest, state: PlanState, book: NoticeBook
    ) -> None:
        self._request = request
        self._state = state
        self._book = book

    def left_to(
        self, owned: Ownership, target: ResourceIdentifier, *, lives: bool
    ) -> str:
        """Why an item is left to what makes it; empty: it is not.

        Args:
            owned: How it stands to its owners.
            target: Where it would be written.
            lives: The target has it already.
        """
        maker, where = owned.maker, target.namespace
        if owned.is_of_pods:
            return self._made_for(owned, where)
        if owned.is_of_nodes:
            asked = self._request.system.is_asked_for(target.group_resource)
            return "" if asked else self._made_for(owned, where)
        if maker is None or owned.role is Role.OWNED:
            return ""
        if owned.role is Role.ADOPTED:
            is_data = target.group_resource == well_known.PERSISTENT_VOLUME_CLAIMS
            return "" if lives or is_data else self._left_to_keeper(maker, where)
        return self._made_by(maker, owned.role, target)

    def is_orphan(self, owned: Ownership, namespace: str) -> bool:
        """Whether an item is created whose controller will not be there to take it."""
        if owned.maker is None or owned.role not in (Role.ADOPTED, Role.MADE):
            return False
        if self._is_planned(owned.maker, namespace):
            return False
        return self._presence_of(owned.maker, namespace) is _Presence.ABSENT

    def _made_by(self, maker: Owner, role: Role, target: ResourceIdentifier) -> str:
        """Leave a Pod or a Job to its controller, wherever that is."""
        made, where = f"made by {maker}", target.namespace
        if role is Role.NEVER:
            return made
        is_pod = target.group_resource == well_known.PODS
        if is_pod and self._request.options.controlled == "adopt":
            return ""
        is_left = (maker.group_kind, where, maker.name) in self._state.left
        if is_left or self._is_planned(maker, where):
            return made
        return _reason(self._presence_of(maker, where), made)

    def _left_to_keeper(self, keeper: Owner, namespace: str) -> str:
        """Leave an old ReplicaSet to a Deployment that lives.

        It would start Pods of the old version beside those of the new one.
        """
        keys = _keys(keeper, namespace)
        if not self._state.living.isdisjoint(keys):
            presence = _Presence.LIVES
        elif not self._state.unsure.isdisjoint(keys):
            presence = _Presence.UNREADABLE
        elif self._is_planned(keeper, namespace):
            return ""
        else:
            presence = self._presence_of(keeper, namespace)
        left = f"left to {keeper}"
        return _reason(presence, left, lives=", which lives in the target")

    def _made_for(self, owned: Ownership, namespace: str) -> str:
        """What belongs to a Pod or Node that is made anew is made anew with it."""
        if any(self._is_planned(owner, namespace) for owner in owned.owners):
            return ""
        return f"made for {', '.join(str(owner) for owner in owned.owners)}"

    def _is_planned(self, owner: Owner, namespace: str) -> bool:
        return not self._state.present.isdisjoint(_keys(owner, namespace))

    def _presence_of(self, owner: Owner, namespace: str) -> _Presence:
        resource = self._request.discovery.by_kind(owner.api_version, owner.kind)
        if resource is None:
            return _Presence.ABSENT
        where = namespace if resource.namespaced else ""
        ref = ResourceIdentifier(resource.group_resource, where, owner.name)
        found = self._request.reader.find(ref)
        if found.unreadable:
            self._book.see_unreadable(ref)
            return _Presence.UNREADABLE
        live = found.content
        if live is None or live["metadata"].get("deletionTimestamp"):
            return _Presence.ABSENT
        goes = is_terminating(self._request.reader, where)
        return _Presence.ABSENT if goes else _Presence.LIVES


def _reason(presence: _Presence, reason: str, *, lives: str = "") -> str:
    """Why an item is left to an owner that lives, or may; empty: the owner does not.

    Args:
        presence: Of the owner.
        reason: What holds in both cases.
        lives: What is added where the owner is known to live.
    """
    if presence is _Presence.UNREADABLE:
        return f"{reason}, if it is there: that cannot be read"
    return f"{reason}{lives}" if presence is _Presence.LIVES else ""


def _keys(owner: Owner, namespace: str) -> tuple[Key, Key]:
    """What an owner is known by: in its item's namespace, or cluster-scoped."""
    kind = owner.group_kind
    return (kind, namespace, owner.name), (kind, "", owner.name)
