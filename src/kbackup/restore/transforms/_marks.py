"""Add labels and annotations, and remove some. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import attrs

from kbackup._kits.edit import replaced, without
from kbackup._kits.kinds import GroupKind, kind_of
from kbackup._kits.nested import mapping_at
from kbackup.errors import InvalidConfigError
from kbackup.models import BackupOptions, validate_backup_options
from kbackup.restore.transforms._base import Content, Pairs, Transform, words_of

# Who owns or uses these finds them by their labels. Source: the controllers' selectors.
FOUND_BY_LABELS: frozenset[GroupKind] = frozenset(
    {
        ("", "Endpoints"),
        ("", "PersistentVolume"),
        ("", "Pod"),
        ("apps", "ControllerRevision"),
        ("apps", "ReplicaSet"),
        ("discovery.k8s.io", "EndpointSlice"),
    }
)


@attrs.frozen(slots=False, repr=False)
class _Marks(Transform):
    field: ClassVar[str]
    kept_of: ClassVar[frozenset[GroupKind]] = frozenset()

    add: Pairs
    remove: tuple[str, ...]

    def _arguments(self) -> str:
        given = [f"add={dict(self.add)!r}"] if self.add else []
        return ", ".join([*given, f"remove={self.remove!r}"] if self.remove else given)

    def concerns(self, item: Content) -> bool:
        """Tell whether it has a mark to be removed, or lacks one."""
        marks = mapping_at(item, "metadata", self.field)
        return self._wanted(item, marks) != marks

    def _change(self, item: Content) -> Content:
        path = "metadata", self.field
        wanted = self._wanted(item, mapping_at(item, *path))
        if not wanted:
            return without(item, path[:-1], path[-1:])
        return replaced(item, path, wanted)

    def _wanted(self, item: Content, marks: Mapping[str, Any]) -> Mapping[str, Any]:
        added = dict(self.add)
        if self.kept_of and marks and kind_of(item) in self.kept_of:
            return {**added, **marks}
        kept = {name: value for name, value in marks.items() if not self._goes(name)}
        return {**kept, **added}

    def _goes(self, name: str) -> bool:
        for each in self.remove:
            if name == each or (each[-1] == "*" and name.startswith(each[:-1])):
                return True
        return False


@attrs.frozen(slots=False, repr=False)
class _Labels(_Marks):
    factory = "labels"
    field = "labels"
    kept_of = FOUND_BY_LABELS


@attrs.frozen(slots=False, repr=False)
class _Annotations(_Marks):
    factory = "annotations"
    field = "annotations"


def labels(
    *, add: Mapping[str, str] | None = None, remove: Iterable[str] = ()
) -> Transform:
    """Return a transform that changes the labels of objects.

    The labels of the objects themselves: selectors and the templates of Pods stay as they
    are. So that owners still find what is theirs, Pods, ReplicaSets,
    ControllerRevisions, Endpoints, EndpointSlices and PersistentVolumes keep the labels
    that they have and are only given new ones. What else goes by labels in your
    cluster (network policies by those of namespaces, aggregated roles) is yours to know.

    Args:
        add: Set on every object.
        remove: Names, or beginnings of names as in ``argocd.argoproj.io/*``.

    Raises:
        InvalidConfigError: A name or a value is none that a label can have, or there is
            nothing to do.
    """
    return _Labels(*_checked(_Labels.factory, add, remove))


def annotations(
    *, add: Mapping[str, str] | None = None, remove: Iterable[str] = ()
) -> Transform:
    """Return a transform that changes the annotations of objects.

    Those of the objects themselves, not of the templates of Pods.

    Args:
        add: Set on every object.
        remove: Names, or beginnings of names as in ``meta.helm.sh/*``.

    Raises:
        InvalidConfigError: A name is none that an annotation can have, or there is
            nothing to do.
    """
    return _Annotations(*_checked(_Annotations.factory, add, remove))


def _checked(
    factory: str, add: Mapping[str, str] | None, remove: Iterable[str]
) -> tuple[Pairs, tuple[str, ...]]:
    added, removed = dict(add or {}), words_of(remove, factory)
    if not added and not removed:
        raise InvalidConfigError(f"{factory}: nothing is added or removed")
    if both := sorted(set(added) & set(removed)):
        raise InvalidConfigError(f"{factory}: {both[0]!r} is added and removed")
    rules: Any = {factory: added}  # a backup's own marks obey the same ones
    if broken := validate_backup_options(BackupOptions(**rules)):
        raise InvalidConfigError("; ".join(broken))
    return tuple(sorted(added.items())), removed
