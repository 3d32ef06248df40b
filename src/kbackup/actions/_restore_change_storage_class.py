"""Restore claims and volumes under the storage classes that the target has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kbackup._kits.edit import JSONObject, Path, each_changed, replaced
from kbackup._kits.nested import text_at
from kbackup._kits.storage_classes import CLASS_ANNOTATION
from kbackup.models import ResourceSelector
from kbackup.plugins import RestoreInput, RestoreOutput

# Where a class is named; the annotation, which was there before the field, still wins.
_PLACES: tuple[Path, ...] = (
    ("spec", "storageClassName"),
    ("metadata", "annotations", CLASS_ANNOTATION),
)


class ChangeStorageClassAction:
    """Put other storage classes in (``velero.io/change-storage-class``).

    Its settings are the old class and the new one: ``{"old": "new"}``. Whether the new
    one is there the plan says, which knows what comes with the restore.
    """

    name = "velero.io/change-storage-class"
    applies_to = ResourceSelector(
        included_resources=(
            "persistentvolumeclaims",
            "persistentvolumes",
            "statefulsets.apps",
        )
    )

    def settings_violations(self, settings: Mapping[str, str]) -> Iterator[str]:
        """Yield which settings cannot be meant."""
        for old, new in settings.items():
            if not old or not new:
                yield f"{old!r}: {new!r}: it takes the old class and the new one"

    def execute(self, given: RestoreInput) -> RestoreOutput:
        """Change the class of a claim or a volume, or of a StatefulSet's templates."""
        item = _changed(given.item, given.settings)
        item = each_changed(
            item,
            ("spec", "volumeClaimTemplates"),
            lambda claim: _changed(claim, given.settings),
        )
        return RestoreOutput(item=item)


def _changed(item: JSONObject, classes: Mapping[str, str]) -> JSONObject:
    """Return an item whose class is another one; the empty class stays."""
    for path in _PLACES:
        old = text_at(item, *path)
        if old and classes.get(old, old) != old:
            item = replaced(item, path, classes[old])
    return item
