"""What the objects of a backup need of a cluster that is not in the backup itself.

Read from the archive alone; called by ``doctor --from-backup``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from kbackup._kits.storage_classes import storage_class_of
from kbackup.models import GroupResource, Item, well_known

if TYPE_CHECKING:
    from kbackup.cluster import Cluster

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


@attrs.frozen(kw_only=True)
class Needs:
    """What a restore would look for in its target.

    Attributes:
        types: Of the items, without those that a definition in the backup brings.
        storage_classes: Named by claims, without those in the backup.
        default_class: Whether a claim names none and so needs the default one.
    """

    types: frozenset[GroupResource]
    storage_classes: frozenset[str]
    default_class: bool

    def missing_in(self, cluster: Cluster) -> Iterator[tuple[str, list[str]]]:
        """Yield each kind of need with what the cluster lacks of it."""
        discovery = cluster.discover()
        unserved = (each for each in self.types if discovery.get(each) is None)
        yield "types", sorted(map(str, unserved))
        resource = discovery.get(well_known.STORAGE_CLASSES)
        there = [_json(item) for item in cluster.list(resource)] if resource else []
        names = {each["metadata"]["name"] for each in there}
        missing = sorted(self.storage_classes - names)
        if self.default_class and not any(map(_is_default, there)):
            missing.append("a default storage class")
        yield "storage classes", missing


def needs_of(items: Iterable[Item]) -> Needs:
    """Collect what *items* need."""
    types: set[GroupResource] = set()
    brought: set[GroupResource] = set()
    wanted: set[str | None] = set()
    in_backup: set[str] = set()
    for item in items:
        group_resource = item.identifier.group_resource
        types.add(group_resource)
        if group_resource == well_known.STORAGE_CLASSES:
            in_backup.add(item.identifier.name)
        elif group_resource == well_known.CRDS:
            spec = item.content["spec"]
            brought.add(GroupResource(spec["group"], spec["names"]["plural"]))
        elif group_resource == well_known.PERSISTENT_VOLUME_CLAIMS:
            wanted.add(storage_class_of(item.content))
    return Needs(
        types=frozenset(types - brought),
        storage_classes=frozenset(name for name in wanted if name) - in_backup,
        default_class=None in wanted,
    )


def _json(item: Any) -> Mapping[str, Any]:
    import msgspec  # noqa: PLC0415 - loaded with the cluster already

    content: Mapping[str, Any] = msgspec.json.decode(item.json())
    return content


def _is_default(storage_class: Mapping[str, Any]) -> bool:
    annotations = storage_class["metadata"].get("annotations") or {}
    return annotations.get(_DEFAULT_CLASS) == "true"
