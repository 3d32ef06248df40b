"""Names that meet nothing: what they were meant for is done as though they were not said.

While a plan is made, the user's mappings note what they are asked about; a name that was
never asked about is told in the plan, with the nearest that was. So is an object with a
policy of its own that is not in the plan. Nothing is refused: one mapping may serve many
restores.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from kbackup._kits.words import nearest, suggestion
from kbackup.models import ItemTransform, ResourceIdentifier, RestoreOptions
from kbackup.restore._plan_entry import PlanEntry
from kbackup.restore._request.settings import CHANGE_STORAGE_CLASS
from kbackup.restore.transforms._base import Renaming


class Met(dict[str, str]):
    """Old names to new ones that remembers about which it was asked.

    Attributes:
        asked: The names, its own and others.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        super().__init__(names)
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        """Return the new name, and remember the old one."""
        self.asked.add(key)
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        """Tell whether there is a new name, and remember the old one."""
        if isinstance(key, str):
            self.asked.add(key)
        return super().__contains__(key)


@attrs.frozen
class Mappings:
    """The user's mappings from name to name, watched while one plan is made.

    Attributes:
        transforms: All of the user's, those that rename as equal ones that are watched.
        settings: Those of all actions, likewise.
    """

    transforms: tuple[ItemTransform, ...]
    settings: Mapping[str, Mapping[str, str]]
    _met: tuple[tuple[str, Met], ...]

    @classmethod
    def of(cls, options: RestoreOptions) -> "Mappings":
        """Watch those of a restore."""
        met, transforms = [], []
        for each in options.transforms:
            if isinstance(each, Renaming):
                names = Met(each.new_names)
                met.append((each.factory, names))
                each = each.renaming_by(names)  # noqa: PLW2901 - an equal one
            transforms.append(each)
        settings = dict(options.action_settings)
        if settings.get(CHANGE_STORAGE_CLASS):
            settings[CHANGE_STORAGE_CLASS] = classes = Met(
                settings[CHANGE_STORAGE_CLASS]
            )
            met.append((CHANGE_STORAGE_CLASS, classes))
        return cls(tuple(transforms), settings, tuple(met))

    def sentences(self) -> Iterator[str]:
        """Say which names no item had."""
        for where, names in self._met:
            for old in names:
                if old not in names.asked:
                    yield _told(f"{where}: nothing has {old!r}", "name", names, old)


def unmet_namespaces(
    mapping: Mapping[str, str], entries: Iterable[PlanEntry]
) -> Iterator[str]:
    """Say which namespaces that are mapped have no item in the plan."""
    if not mapping:
        return
    met = {entry.identifier.namespace or entry.identifier.name for entry in entries}
    for source in mapping:
        if met and source not in met:
            yield f"namespace mapping: nothing of {source!r} is selected"


def unmet_policies(
    objects: Mapping[str, tuple[ResourceIdentifier, ...]], entries: Iterable[PlanEntry]
) -> Iterator[str]:
    """Say which objects that have a policy of their own are not written by the plan.

    Args:
        objects: What each name may mean, as the target calls it.
        entries: Of the plan.
    """
    if not objects:
        return
    targets = {entry.target for entry in entries}
    for name, meant in objects.items():
        if targets.isdisjoint(meant):
            types = {ref.group_resource for ref in meant}
            known = {
                each.qualified_name: str(each)
                for each in targets
                if each.group_resource in types
            }
            near = nearest(meant[0].qualified_name, sorted(known))
            hint = suggestion("object", [known.get(near, "")])
            fact = f"existing policies: nothing of this restore is {name}"
            yield "; ".join(filter(None, (fact, hint)))


def _told(fact: str, what: str, names: Met, old: str) -> str:
    meant = nearest(old, names.asked - set(names))
    return "; ".join(filter(None, (fact, suggestion(what, [meant]))))
