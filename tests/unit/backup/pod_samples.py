"""Pods with hooks and claims, and an action that notes what is done between the hooks."""

from kbackup.models import (
    ItemOperation,
    ItemOperationSpec,
    OperationProgress,
    ResourceSelector,
)
from kbackup.plugins import BackupOutput

PRE, POST = "pre.hook.backup.velero.io/", "post.hook.backup.velero.io/"
FROZEN = {f"{PRE}command": "freeze", f"{POST}command": "thaw"}


class Spy:
    """An action on Pods and what belongs to them that notes when it is asked.

    Attributes:
        seen: ``execute`` and ``begin``, with the item, among the commands that were run.
        fails_on: The name of an item that it fails on.
        asks: What it wants to be stored with an item of this name.
    """

    name = "example.com/spy"
    applies_to = ResourceSelector(
        included_resources=("pods", "pvc", "persistentvolumes", "configmaps")
    )

    def __init__(self, seen):
        self.seen = seen
        self.fails_on = ""
        self.asks = {}

    def execute(self, given):
        """Note the item, and ask for what the test wants."""
        name = given.identifier.name
        self.seen.append(f"execute {name}")
        if name == self.fails_on:
            raise ValueError("no idea")
        return BackupOutput(
            item=given.item,
            wants_begin=True,
            additional_items=self.asks.get(name, ()),
        )

    def begin(self, given, cluster):
        """Note the item."""
        self.seen.append(f"begin {given.identifier.name}")
        return ItemOperation(spec=ItemOperationSpec(operation_id=given.identifier.name))

    def progress(self, given):
        """Be done at once."""
        return OperationProgress(completed=True)

    def cancel(self, given, cluster):
        """Have nothing to cancel."""


def pod(scene, name, *claims, annotations=None, spec=None, **metadata):
    """A Pod that mounts claims."""
    volumes = [
        {"name": claim, "persistentVolumeClaim": {"claimName": claim}}
        for claim in claims
    ]
    containers = [{"name": "main", "image": "example.com/any:1"}]
    spec = {"containers": containers, "volumes": volumes, **(spec or {})}
    metadata = {"annotations": annotations or {}, **metadata}
    return scene.made("Pod", name, "shop", metadata=metadata, spec=spec)


def frozen(scene, name, *claims, **more):
    """A Pod that is to be frozen before and thawed afterwards."""
    return pod(scene, name, *claims, annotations=FROZEN, **more)


def bound_claim(scene, name, *, mode="ReadWriteOnce", **metadata):
    """A claim and its volume."""
    spec = {
        "volumeName": f"pv-{name}",
        "accessModes": [mode],
        "resources": {"requests": {"storage": "1Gi"}},
    }
    kind = "PersistentVolumeClaim"
    claim = scene.made(kind, name, "shop", metadata=metadata, spec=spec)
    spec = {
        "accessModes": [mode],
        "capacity": {"storage": "1Gi"},
        "hostPath": {"path": f"/{name}"},
    }
    volume = scene.made("PersistentVolume", f"pv-{name}", spec=spec)
    return [claim, volume]
