"""Restored workloads pull their images from a mirror of Docker Hub.

One restore item action: it sees each item that it applies to while the restore is
planned, and answers what is to be written instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kbackup.models import ResourceSelector
from kbackup.plugins import RestoreInput, RestoreItemAction, RestoreOutput, hookimpl

MIRROR = "mirror.example.com"

_DOCKER_HUB = "docker.io/"


class RegistryMirrorAction:
    """Point images at the mirror (``example.com/registry-mirror``)."""

    name = "example.com/registry-mirror"
    applies_to = ResourceSelector(
        included_resources=("deployments.apps", "statefulsets.apps", "daemonsets.apps"),
        label_selector="!example.com/keep-registry",
    )

    def execute(self, given: RestoreInput) -> RestoreOutput:
        """Answer with a new item; the one given is never changed."""
        spec = given.item.get("spec") or {}
        template = spec.get("template") or {}
        pod = template.get("spec") or {}
        if not pod:
            return RestoreOutput(item=given.item)
        mirrored = {**pod, **_mirrored_lists(pod)}
        template = {**template, "spec": mirrored}
        item = {**given.item, "spec": {**spec, "template": template}}
        return RestoreOutput(item=item)


def _mirrored_lists(pod: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: [_mirrored(container) for container in pod[key]]
        for key in ("containers", "initContainers")
        if pod.get(key)
    }


def _mirrored(container: Mapping[str, Any]) -> Mapping[str, Any]:
    image = container.get("image", "")
    if not image.startswith(_DOCKER_HUB):
        return container
    return {**container, "image": f"{MIRROR}/{image.removeprefix(_DOCKER_HUB)}"}


@hookimpl
def kbackup_register_restore_item_actions() -> Mapping[str, RestoreItemAction]:
    """Offer the action."""
    return {RegistryMirrorAction.name: RegistryMirrorAction()}
