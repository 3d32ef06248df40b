"""A cluster for actions to act on, made by hand: nothing is sent anywhere.

Used by the action contracts and by the tests of whoever writes an action that begins
something, or cleans up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kbackup._kits.patches import merge_patch
from kbackup._kits.workers import CancelToken
from kbackup.errors import ClusterError, ItemNotFoundError
from kbackup.models import (
    APIResource,
    GroupResource,
    ItemOperation,
    ResourceIdentifier,
    ServerVersion,
)
from kbackup.plugins import (
    BackupInput,
    ClusterReader,
    DeleteInput,
    OperationInput,
    RestoreInput,
)
from kbackup.testing._action_inputs import StaticClusterReader, backup_input

_Item = Mapping[str, Any]
_Key = tuple[str, str, str]
_PLURALS = frozenset({"endpoints"})  # kinds that are plurals already


class RecordingCluster:
    """What actions write to; it remembers what they wrote.

    Reading gives back what was written, and everything else as *reader* has
    it. For one thread.

    Attributes:
        writes: What was asked for, such as ``create ConfigMap shop/a``.
    """

    def __init__(self, reader: ClusterReader | None = None) -> None:
        self.known = reader or StaticClusterReader()
        self.objects: dict[_Key, _Item | None] = {}  # None: deleted
        self.writes: list[str] = []

    def reader(self) -> ClusterReader:
        """Return a `ClusterReader`."""
        return _Reader(self)

    def writer(self) -> RecordingWriter:
        """Return a `ClusterWriter` that can be revoked."""
        return RecordingWriter(self)

    def for_run(self, cancel: CancelToken) -> RecordingCluster:  # noqa: ARG002 - as Cluster
        """Return itself, as nothing here takes time."""
        return self


class _Reader:
    """Reads what was written before what was there."""

    def __init__(self, cluster: RecordingCluster) -> None:
        self._cluster = cluster

    def get(self, identifier: ResourceIdentifier, *, version: str = "") -> _Item | None:
        """Return one object, or None."""
        objects, key = self._cluster.objects, _key(identifier)
        if key in objects and not version:
            return objects[key]
        return self._cluster.known.get(identifier, version=version)

    def list(
        self,
        group_resource: GroupResource,
        *,
        namespace: str = "",
        label_selector: str = "",
    ) -> Iterable[_Item]:
        """Yield what was there; what was written is not among it."""
        return self._cluster.known.list(
            group_resource, namespace=namespace, label_selector=label_selector
        )

    def resolve(self, text: str) -> APIResource | None:
        """Return a type that was there."""
        return self._cluster.known.resolve(text)

    def server_version(self) -> ServerVersion:
        """Return what the server reports."""
        return self._cluster.known.server_version()


class RecordingWriter(_Reader):
    """A `ClusterWriter` on a `RecordingCluster`, until revoked; for one thread."""

    def __init__(self, cluster: RecordingCluster) -> None:
        super().__init__(cluster)
        self._revoked = False

    def revoke(self) -> None:
        """Refuse every use from now on, as an engine does when `begin` is over."""
        self._revoked = True

    def get(self, identifier: ResourceIdentifier, *, version: str = "") -> _Item | None:
        """Return one object, or None."""
        self._check("get", identifier)
        return super().get(identifier, version=version)

    def list(
        self,
        group_resource: GroupResource,
        *,
        namespace: str = "",
        label_selector: str = "",
    ) -> Iterable[_Item]:
        """Yield what was there."""
        self._check("list", group_resource)
        return super().list(
            group_resource, namespace=namespace, label_selector=label_selector
        )

    def create(self, item: _Item) -> _Item:
        """Keep a new object and return it."""
        metadata, kind = item["metadata"], item["kind"]
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        self._note("create", f"{kind} {namespace}/{name}" if namespace else name)
        self._cluster.objects[plural_of(kind), namespace, name] = item
        return item

    def patch(self, identifier: ResourceIdentifier, patch: _Item) -> _Item:
        """Merge a patch into an object and return it."""
        known = self.get(identifier)
        if known is None:
            resource, name = str(identifier.group_resource), identifier.qualified_name
            raise ItemNotFoundError("patch", resource, name)
        self._note("patch", identifier)
        patched: _Item = merge_patch(known, patch)
        self._cluster.objects[_key(identifier)] = patched
        return patched

    def delete(self, identifier: ResourceIdentifier) -> None:
        """Forget an object."""
        self._note("delete", identifier)
        self._cluster.objects[_key(identifier)] = None

    def _note(self, verb: str, what: object) -> None:
        self._check(verb, what)
        self._cluster.writes.append(f"{verb} {what}")

    def _check(self, verb: str, what: object) -> None:
        if self._revoked:
            raise ClusterError(verb, str(what), reason="the writer was revoked")


def operation_input(
    operation: ItemOperation,
    given: BackupInput | RestoreInput,
    *,
    cluster: ClusterReader | None = None,
) -> OperationInput:
    """Return what an action is given about an operation that it began.

    Args:
        operation: As `begin` returned it.
        given: What `begin` was given.
        cluster: Where the operation goes on; by default that of *given*.
    """
    return OperationInput(
        operation=operation,
        cluster=cluster or given.cluster,
        logger=given.logger,
        backup=given.backup,
        restore=given.restore if isinstance(given, RestoreInput) else None,
        run=given.run,
    )


def delete_input(
    resource: str,
    item: Mapping[str, Any],
    *,
    backup_name: str = "nightly",
    cluster: RecordingCluster | None = None,
) -> DeleteInput:
    """Return what a DeleteItemAction is given for a stored *item*.

    Args:
        resource: The full name of the item's type, such as ``deployments.apps``.
        item: As it lies in the backup.
        backup_name: Of the backup that is deleted.
        cluster: Where the action cleans up; by default an empty one.
    """
    made = backup_input(resource, item, backup_name=backup_name)
    return DeleteInput(
        item=item,
        identifier=made.identifier,
        backup=made.backup,
        cluster=(cluster or RecordingCluster()).writer(),
        logger=made.logger,
    )


def _key(identifier: ResourceIdentifier) -> _Key:
    resource = identifier.group_resource.resource
    return resource, identifier.namespace, identifier.name


def plural_of(kind: str) -> str:
    """Return the plural as Kubernetes forms it of nearly all kinds."""
    word = kind.lower()
    if word in _PLURALS:
        return word
    if word.endswith("y"):
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("s", "ch", "sh", "x")) else f"{word}s"
