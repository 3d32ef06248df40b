"""What a plan looks at in the target: types, and live objects as far as anyone asks.

Values; filled by the planner, read by whoever decides about an item.
"""

from typing import Protocol

import attrs

from kbackup.cluster import Cluster
from kbackup.errors import ItemNotFoundError
from kbackup.models import APIResource, GroupResource, Item


class LiveObject(Protocol):
    """An object of the target, not parsed unless somebody asks (a `ListedItem`)."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def deleting(self) -> bool:
        """Whether it is being deleted."""
        ...

    def json(self) -> bytes:
        """The whole object."""
        ...


@attrs.frozen(kw_only=True)
class FoundObject:
    """A `LiveObject` that was read by itself."""

    name: str
    deleting: bool
    body: bytes = attrs.field(repr=False)

    @classmethod
    def of(cls, item: Item) -> "FoundObject":
        """Wrap what a GET gave."""
        metadata = item.content["metadata"]
        deleting = bool(metadata.get("deletionTimestamp"))
        return cls(name=metadata["name"], deleting=deleting, body=item.raw)

    def json(self) -> bytes:
        """The whole object."""
        return self.body


def find(
    cluster: Cluster, resource: APIResource, name: str, namespace: str
) -> FoundObject | None:
    """Read one object by itself; None: there is none."""
    try:
        return FoundObject.of(cluster.get(resource, name, namespace))
    except ItemNotFoundError:
        return None


@attrs.frozen(kw_only=True)
class TypeView:
    """One type of the backup as the target sees it.

    Attributes:
        resource: How the target serves it, in the backup's version; None: it does not.
        wave: When its items are written.
        problem: Why its items cannot be written; empty: they can.
        unreadable: Why its live objects are not known; empty: they are.
        is_claim: The type is PersistentVolumeClaim.
        is_volume: The type is PersistentVolume.
        is_endpoints: The type is Endpoints.
        conversion: What a webhook has to do to store its items; empty: nothing.
        newer: The type under which the API server shows the same objects again.
        status_apart: A status is written by a request of its own; taken for granted
            where nobody knows.
        is_plain: Of most of its items nothing is to be asked: the target serves it, and
            neither it nor its kind is one that is looked at more closely.
    """

    resource: APIResource | None
    wave: int
    problem: str = ""
    unreadable: str = ""
    is_claim: bool = False
    is_volume: bool = False
    is_endpoints: bool = False
    conversion: str = ""
    newer: GroupResource | None = None
    status_apart: bool = True
    is_plain: bool = False
