"""What the objects of a backup need of a cluster that is not in the backup itself.

Read from the archive alone; called by ``doctor --from-backup``. Which types are missing
is for the restore room, which decides about them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from kbackup._kits.storage_classes import storage_class_of
from kbackup.models import well_known

if TYPE_CHECKING:
    from kbackup.archive import ArchiveContents
    from kbackup.cluster import Cluster

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


@attrs.frozen(kw_only=True)
class Needs:
    """What a restore would look for in its target.

    Attributes:
        storage_classes: Named by claims, without those in the backup.
        default_class: Whether a claim names none and so needs the default one.
    """

    storage_classes: frozenset[str]
    default_class: bool

    def missing_in(self, cluster: Cluster) -> list[str]:
        """Return what the cluster lacks."""
        resource = cluster.discover().get(well_known.STORAGE_CLASSES)
        there = [_json(item) for item in cluster.list(resource)] if resource else []
        names = {each["metadata"]["name"] for each in there}
        missing = sorted(self.storage_classes - names)
        if self.default_class and not any(map(_is_default, there)):
            missing.append("a default storage class")
        return missing


def needs_of(contents: ArchiveContents) -> Needs:
    """Collect what the items of a backup need."""
    claims = contents.items(well_known.PERSISTENT_VOLUME_CLAIMS)
    wanted = {storage_class_of(claim.content) for claim in claims}
    in_backup = {ref.name for ref in contents.identifiers(well_known.STORAGE_CLASSES)}
    return Needs(
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
