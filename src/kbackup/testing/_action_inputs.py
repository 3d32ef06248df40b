"""What an item action is given, made by hand: for tests of actions without a cluster.

Used by the action contracts and by the tests of whoever writes an action.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from kbackup.errors import ForbiddenError
from kbackup.models import (
    APIResource,
    Backup,
    BackupSpec,
    GroupResource,
    LabelSelector,
    ObjectMeta,
    ResourceIdentifier,
    Restore,
    RestoreOptions,
    RestoreSpec,
    ServerVersion,
)
from kbackup.plugins import BackupInput, ClusterReader, RestoreInput, Run

_NOTHING: Mapping[str, Iterable[Mapping[str, Any]]] = MappingProxyType({})

# What the reset step of a restore takes away before any action sees the item.
_RESET = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generateName",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
)


class StaticClusterReader:
    """A `ClusterReader` over given objects; it counts the LISTs. For one thread.

    Attributes:
        lists: How often each type was listed.
    """

    def __init__(
        self,
        objects: Mapping[str, Iterable[Mapping[str, Any]]] = _NOTHING,
        *,
        forbidden: Iterable[str] = (),
        version: str = "v1.30.0",
    ) -> None:
        """Hold objects.

        Args:
            objects: By full name of their type, such as ``deployments.apps``.
            forbidden: Types whose reading is refused.
            version: What the server reports.
        """
        self._objects = {
            GroupResource.parse(name): tuple(items) for name, items in objects.items()
        }
        self._forbidden = frozenset(GroupResource.parse(name) for name in forbidden)
        self._version = version
        self.lists: dict[str, int] = {}

    def get(
        self, identifier: ResourceIdentifier, *, version: str = ""
    ) -> Mapping[str, Any] | None:
        """Return one object, or None; of those of a name the first, or of *version*."""
        found = self._all("get", identifier.group_resource)
        return next(
            (
                item
                for item in found
                if item["metadata"].get("namespace", "") == identifier.namespace
                and item["metadata"]["name"] == identifier.name
                and version in ("", item["apiVersion"].rpartition("/")[2])
            ),
            None,
        )

    def list(
        self,
        group_resource: GroupResource,
        *,
        namespace: str = "",
        label_selector: str = "",
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the objects of a type."""
        name = str(group_resource)
        self.lists[name] = self.lists.get(name, 0) + 1
        selector = LabelSelector.parse(label_selector)
        for item in self._all("list", group_resource):
            metadata = item["metadata"]
            if namespace in ("", metadata.get("namespace", "")) and selector.matches(
                metadata.get("labels") or {}
            ):
                yield item

    def resolve(self, text: str) -> APIResource | None:
        """Return a type by its plural or full name, if there are objects of it."""
        for known, items in self._objects.items():
            if text in {known.resource, str(known)} and items:
                return _described(known, items[0])
        return None

    def server_version(self) -> ServerVersion:
        """Return the version given."""
        major, minor, *_ = self._version.removeprefix("v").split(".")
        return ServerVersion(self._version, major, minor)

    def _all(
        self, verb: str, group_resource: GroupResource
    ) -> tuple[Mapping[str, Any], ...]:
        if group_resource in self._forbidden:
            raise ForbiddenError(verb, str(group_resource))
        return self._objects.get(group_resource, ())


def backup_input(
    resource: str,
    item: Mapping[str, Any],
    *,
    backup_name: str = "nightly",
    spec: BackupSpec | None = None,
    cluster: ClusterReader | None = None,
    run: Run | None = None,
) -> BackupInput:
    """Return what a BackupItemAction is given for *item*.

    Args:
        resource: The full name of the item's type, such as ``deployments.apps``.
        item: As a cluster would give it.
        backup_name: Of the backup that runs.
        spec: Of the backup; by default everything.
        cluster: The source; by default an empty one.
        run: By default a new one.
    """
    metadata = ObjectMeta(name=backup_name, namespace="velero")
    return BackupInput(
        item=item,
        identifier=_identifier(resource, item),
        backup=Backup(metadata=metadata, spec=spec or BackupSpec()),
        cluster=cluster or StaticClusterReader(),
        logger=logging.getLogger("kbackup.testing"),
        run=run or Run(uid="b7b9f9c4-0001", kind="backup", name=backup_name),
    )


def restore_input(
    resource: str,
    item: Mapping[str, Any],
    *,
    spec: RestoreSpec | None = None,
    options: RestoreOptions | None = None,
    cluster: ClusterReader | None = None,
    run: Run | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> RestoreInput:
    """Return what a RestoreItemAction is given for a stored *item*.

    Args:
        resource: The full name of the item's type, such as ``deployments.apps``.
        item: As it lies in the backup; status and what else a restore resets is taken
            out of what the action may change.
        spec: Of the restore; by default everything of the backup ``nightly``.
        options: Of the restore.
        cluster: The target; by default an empty one.
        run: By default a new one.
        settings: Of the action.
    """
    spec = spec or RestoreSpec(backup_name="nightly")
    restore_name = f"{spec.backup_name}-again"
    return RestoreInput(
        item=_reset(item),
        item_from_backup=item,
        identifier=_identifier(resource, item),
        restore=Restore(metadata=ObjectMeta(name=restore_name), spec=spec),
        backup=Backup(metadata=ObjectMeta(name=spec.backup_name), spec=BackupSpec()),
        options=options or RestoreOptions(),
        cluster=cluster or StaticClusterReader(),
        logger=logging.getLogger("kbackup.testing"),
        run=run or Run(uid="b7b9f9c4-0002", kind="restore", name=restore_name),
        settings=dict(settings),
    )


def _reset(item: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {k: v for k, v in item["metadata"].items() if k not in _RESET}
    kept = {key: value for key, value in item.items() if key != "status"}
    return {**kept, "metadata": metadata}


def _identifier(resource: str, item: Mapping[str, Any]) -> ResourceIdentifier:
    metadata = item["metadata"]
    return ResourceIdentifier(
        GroupResource.parse(resource), metadata.get("namespace", ""), metadata["name"]
    )


def _described(known: GroupResource, item: Mapping[str, Any]) -> APIResource:
    return APIResource(
        group=known.group,
        version=item["apiVersion"].rpartition("/")[2],
        resource=known.resource,
        kind=item["kind"],
        namespaced="namespace" in item["metadata"],
        verbs=frozenset({"get", "list"}),
    )
