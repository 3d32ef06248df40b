"""Asynchronous work that item actions started."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import attrs

from kbackup.models._meta import GroupResource, ResourceIdentifier
from kbackup.models._model import ALWAYS, Model, instant, naming


class OperationPhase(StrEnum):
    """Where an operation is."""

    NEW = "New"
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"


@attrs.frozen(kw_only=True)
class ItemReference(Model):
    """A `ResourceIdentifier` as the file of operations spells it."""

    group: str = attrs.field(default="", metadata=ALWAYS)
    resource: str = attrs.field(default="", metadata=ALWAYS)
    namespace: str = attrs.field(default="", metadata=ALWAYS)
    name: str = attrs.field(default="", metadata=ALWAYS)

    @classmethod
    def of(cls, identifier: ResourceIdentifier | ItemReference) -> ItemReference:
        """Make a reference to an item."""
        if isinstance(identifier, ItemReference):
            return identifier
        if not isinstance(identifier, ResourceIdentifier):
            given = type(identifier).__name__
            raise TypeError(f"expected a ResourceIdentifier, got a {given}")
        return cls(
            group=identifier.group_resource.group,
            resource=identifier.group_resource.resource,
            namespace=identifier.namespace,
            name=identifier.name,
        )

    @property
    def identifier(self) -> ResourceIdentifier:
        """The item that is meant."""
        kind = GroupResource(self.group, self.resource)
        return ResourceIdentifier(kind, self.namespace, self.name)


def _reference(item: ResourceIdentifier | ItemReference) -> ItemReference:
    return ItemReference.of(item)


def _references(
    items: Iterable[ResourceIdentifier | ItemReference],
) -> tuple[ItemReference, ...]:
    if not isinstance(items, Iterable):
        raise TypeError(f"expected a list, got a {type(items).__name__}")
    return tuple(ItemReference.of(item) for item in items)


@attrs.frozen(kw_only=True, field_transformer=naming)
class ItemOperationSpec(Model):
    """Who started what for which item.

    Backups fill the ``backup_*`` fields, restores the ``restore_*`` fields.

    Attributes:
        resource_identifier: Given as a `ResourceIdentifier` or an `ItemReference`.
        post_operation_items: What to store again once the operation has ended.
    """

    backup_name: str = ""
    backup_uid: str = ""
    backup_item_action: str = ""
    restore_name: str = ""
    restore_uid: str = ""
    restore_item_action: str = ""
    resource_identifier: ItemReference = attrs.field(
        factory=ItemReference, converter=_reference, metadata=ALWAYS
    )
    operation_id: str = attrs.field(default="", metadata=ALWAYS)
    post_operation_items: tuple[ItemReference, ...] = attrs.field(
        default=(), converter=_references
    )


@attrs.frozen(kw_only=True, field_transformer=naming)
class OperationStatus(Model):
    """How far an operation is.

    Attributes:
        n_completed: In `operation_units`.
        n_total: In `operation_units`.
        updated: When the operation itself last said something.
    """

    phase: OperationPhase | None = None
    error: str = ""
    n_completed: int = 0
    n_total: int = 0
    operation_units: str = ""
    description: str = ""
    created: datetime | None = attrs.field(default=None, converter=instant)
    started: datetime | None = attrs.field(default=None, converter=instant)
    updated: datetime | None = attrs.field(default=None, converter=instant)


@attrs.frozen(kw_only=True)
class ItemOperation(Model):
    """One operation that an item action started."""

    spec: ItemOperationSpec = attrs.field(factory=ItemOperationSpec, metadata=ALWAYS)
    status: OperationStatus = attrs.field(factory=OperationStatus, metadata=ALWAYS)


@attrs.frozen(kw_only=True)
class OperationProgress:
    """What an item action answers when asked how far an operation is.

    Attributes:
        completed: Whether it has ended, well or not.
        error: Why it failed; empty: it did not.
    """

    completed: bool = False
    error: str = ""
    n_completed: int = 0
    n_total: int = 0
    operation_units: str = ""
    description: str = ""
    started: datetime | None = None
    updated: datetime | None = None
