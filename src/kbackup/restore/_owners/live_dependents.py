"""What objects of the target own there, whoever made it: it may go with its owner.

The backup does not know of it, so the target's own lists are read: all types of a
namespace, once, and only where an owner is deleted with what it owns. Asked by the planner,
and again by the writer just before such a delete.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence

import attrs
import msgspec

from kbackup._kits.kinds import GroupKind, group_kind
from kbackup._kits.words import first_few
from kbackup.cluster import Cluster, Discovery, ListedItem
from kbackup.errors import ClusterError
from kbackup.models import APIResource, ResourceIdentifier, well_known
from kbackup.restore._plan_entry import PlanEntry
from kbackup.restore._target.answers import may_pass
from kbackup.restore._target.reads import bears_on_everything

_POD: GroupKind = ("", "Pod")
_JOB: GroupKind = ("batch", "Job")
# What the garbage collector of Kubernetes looks at, too.
_VERBS = ("list", "watch", "delete")
_OWNED = b'"ownerReferences"'


@attrs.frozen
class Taken:
    """What goes with an object that is deleted.

    Attributes:
        kept: What must not: all that is not made for Pods, and every claim.
        others: What a Pod has beside that.
        unreadable: The types of which nobody knows.
    """

    kept: tuple[ResourceIdentifier, ...] = ()
    others: tuple[ResourceIdentifier, ...] = ()
    unreadable: tuple[str, ...] = ()


class LiveDependents:
    """Looks up what is owned; may be asked from any thread.

    Args:
        cluster: The target.
        discovery: Which types it has.
        is_late: It is the last moment: what may be answered later is no answer.
    """

    def __init__(
        self, cluster: Cluster, discovery: Discovery, *, is_late: bool = False
    ) -> None:
        self._cluster = cluster
        self._discovery = discovery
        self._is_late = is_late
        self._known: dict[str, _Namespace] = {}
        self._asking = threading.Lock()

    def of(self, entry: PlanEntry) -> Taken:
        """What goes with the object of an entry that is deleted.

        Of a Job that is what it owns beside its Pods, and the claims of those. What has
        another owner beside it counts as well: whether that lives is not looked up.

        Raises:
            ClusterError: Nothing can be read, or not now.
        """
        seen, kind = entry.precondition, group_kind(entry.api_version, entry.kind)
        if seen is None or kind not in (_POD, _JOB):
            return Taken()  # what others own stays
        with self._asking:
            where = self._read(entry.target.namespace)
        owned = where.owned.get(seen.uid, ())
        if kind == _POD:
            kept = tuple(ref for ref, _ in owned if _is_claim(ref))
            others = tuple(ref for ref, _ in owned if not _is_claim(ref))
            return Taken(kept, others, where.unreadable)
        pods = [uid for ref, uid in owned if _is_pod(ref)]
        of_pods = [ref for uid in pods for ref, _ in where.owned.get(uid, ())]
        kept = (
            *(ref for ref, _ in owned if not _is_pod(ref)),
            *filter(_is_claim, of_pods),
        )
        return Taken(kept=kept, unreadable=where.unreadable)

    def _read(self, namespace: str) -> "_Namespace":
        """Read a namespace once."""
        known = self._known.get(namespace)
        if known is not None:
            return known
        owned: dict[str, list[tuple[ResourceIdentifier, str]]] = {}
        unreadable = [failure.group_version for failure in self._discovery.failures]
        seen: set[str] = set()  # an object may be served under two groups
        for resource in self._discovery.resources:
            if not resource.namespaced or not resource.supports(*_VERBS):
                continue
            try:
                for item in self._cluster.list(resource, namespace=namespace):
                    if item.uid not in seen:
                        seen.add(item.uid)
                        _note(owned, resource, item)
            except ClusterError as exc:
                if bears_on_everything(exc) or (self._is_late and may_pass(exc)):
                    raise
                unreadable.append(str(resource.group_resource))
        found = _Namespace(owned, tuple(unreadable))
        self._known[namespace] = found
        return found


def why_kept(dependents: Sequence[ResourceIdentifier]) -> str:
    """Why an object is not deleted that has such dependents."""
    return f"not deleted: what it owns would go with it: {first_few(dependents)}"


@attrs.frozen
class _Namespace:
    """What is owned in a namespace, by the owner's UID: each with its own UID."""

    owned: Mapping[str, Sequence[tuple[ResourceIdentifier, str]]]
    unreadable: tuple[str, ...]


class _Owner(msgspec.Struct):
    uid: str = ""


class _Metadata(msgspec.Struct, rename="camel"):
    owner_references: list[_Owner] | None = None


class _Head(msgspec.Struct):
    metadata: _Metadata


_decode = msgspec.json.Decoder(_Head).decode


def _note(
    owned: dict[str, list[tuple[ResourceIdentifier, str]]],
    resource: APIResource,
    item: ListedItem,
) -> None:
    for uid in _owners_of(item):
        ref = ResourceIdentifier(resource.group_resource, item.namespace, item.name)
        owned.setdefault(uid, []).append((ref, item.uid))


def _owners_of(item: ListedItem) -> Iterator[str]:
    """The UIDs of an object's owners; most objects have none and are not parsed."""
    body = bytes(item.raw)
    if _OWNED in body:
        for owner in _decode(body).metadata.owner_references or ():
            yield owner.uid


def _is_pod(ref: ResourceIdentifier) -> bool:
    return ref.group_resource == well_known.PODS


def _is_claim(ref: ResourceIdentifier) -> bool:
    return ref.group_resource == well_known.PERSISTENT_VOLUME_CLAIMS
