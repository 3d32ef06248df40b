"""Restore workloads with the images that the target can pull."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kbackup._kits.edit import JSONObject, each_changed, pod_spec_paths
from kbackup._kits.nested import text_at
from kbackup.models import ResourceSelector
from kbackup.plugins import RestoreInput, RestoreOutput

_TYPES = (
    "pods",
    "replicationcontrollers",
    "daemonsets.apps",
    "deployments.apps",
    "replicasets.apps",
    "statefulsets.apps",
    "jobs.batch",
    "cronjobs.batch",
)
_CONTAINERS = ("containers", "initContainers")
_Rule = tuple[str, str]


class ChangeImageNameAction:
    """Replace a part of images' names (``velero.io/change-image-name``).

    Each setting's value is ``old part,new part``; its key only names it.
    """

    name = "velero.io/change-image-name"
    applies_to = ResourceSelector(included_resources=_TYPES)

    def settings_violations(self, settings: Mapping[str, str]) -> Iterator[str]:
        """Yield which settings cannot be meant; Velero passes over them."""
        for key, value in settings.items():
            if not all(_rule(value)):
                yield f"{key}: expected OLD,NEW, two parts of images, got {value!r}"

    def execute(self, given: RestoreInput) -> RestoreOutput:
        """Change the images of a Pod, or of a workload's Pod template."""
        # By key: the order of a ConfigMap's data means nothing, and Velero's is random.
        rules = [_rule(value) for _, value in sorted(given.settings.items())]
        item = given.item
        for path in pod_spec_paths(item):
            for containers in _CONTAINERS:
                item = each_changed(
                    item, (*path, containers), lambda each: _changed(each, rules)
                )
        return RestoreOutput(item=item)


def _rule(value: str) -> _Rule:
    old, _, new = value.partition(",")
    return old.strip(), new.strip()


def _changed(container: JSONObject, rules: Sequence[_Rule]) -> JSONObject:
    """Return a container with the first rule done that finds its old part."""
    image = text_at(container, "image")
    for old, new in rules:
        if old and new and old in image:
            changed = image.replace(old, new)
            return container if changed == image else {**container, "image": changed}
    return container
