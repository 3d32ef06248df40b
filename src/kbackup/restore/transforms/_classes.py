"""Rename storage classes where they are asked for. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from kbackup._kits.edit import each_changed, replaced
from kbackup._kits.nested import mapping_at
from kbackup._kits.storage_classes import CLASS_ANNOTATION
from kbackup.restore.transforms._base import Content, Renaming, pairs_of
from kbackup.restore.transforms._pods import POD_KINDS, with_pod_specs

_STATEFUL_SET = ("apps", "StatefulSet")
_NAMING = frozenset({"PersistentVolumeClaim", "PersistentVolume"})
_FIELDS = (("spec", "storageClassName"), ("metadata", "annotations", CLASS_ANNOTATION))
_TEMPLATE = ("ephemeral", "volumeClaimTemplate")


@attrs.frozen(slots=False, repr=False)
class _StorageClass(Renaming):
    factory = "storage_class"
    kinds = POD_KINDS | {("", word) for word in _NAMING}

    def _change(self, item: Content) -> Content:
        if item["kind"] in _NAMING:
            return self._of_claim(item)
        if item["kind"] == _STATEFUL_SET[1]:
            path = "spec", "volumeClaimTemplates"
            item = each_changed(item, path, self._of_claim)
        return with_pod_specs(item, self._of_spec)

    def _of_spec(self, spec: Content) -> Content:
        return each_changed(spec, ("volumes",), self._of_volume)

    def _of_volume(self, volume: Content) -> Content:
        before = mapping_at(volume, *_TEMPLATE)
        after = self._of_claim(before)
        return volume if after is before else replaced(volume, _TEMPLATE, after)

    def _of_claim(self, claim: Content) -> Content:
        for path in _FIELDS:
            before = mapping_at(claim, *path[:-1]).get(path[-1])
            after = self.new_names.get(before) if isinstance(before, str) else None
            if after not in (None, before):
                claim = replaced(claim, path, after)
        return claim


def storage_class(names: Mapping[str, str]) -> Renaming:
    """Return a transform that asks for other storage classes.

    In claims, volumes, the claim templates of StatefulSets, and the ephemeral volumes of
    Pods and of what makes Pods; in the field, and in the annotation that older clients
    wrote. A claim that names no class is left alone. StorageClasses themselves keep
    their names, and so do quotas for one class.

    Args:
        names: Old to new.

    Raises:
        InvalidConfigError: A name is empty or has white space in it.
    """
    return _StorageClass(pairs_of(names, _StorageClass.factory))
