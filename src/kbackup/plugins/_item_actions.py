"""Item actions: their Protocols, what they are given and what they answer.

A Protocol's method set grows only with a new version of the Protocol; what an action is
*given* grows by fields with defaults. An action of a later version than the first says
so by ``api_version``, which no Protocol here asks for; one of a version that is not known
is listed as unavailable.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import attrs

from kbackup.models import (
    Backup,
    ItemOperation,
    OperationProgress,
    ResourceIdentifier,
    ResourceSelector,
    Restore,
    RestoreOptions,
)
from kbackup.plugins._interfaces import ClusterReader, ClusterWriter

if TYPE_CHECKING:
    from kbackup.plugins._run import Run


@attrs.frozen(kw_only=True)
class BackupInput:
    """What a BackupItemAction is given.

    Attributes:
        item: The object as the cluster gave it; never to be changed.
        identifier: Its type, namespace and name.
        backup: The backup that runs.
        cluster: The source cluster.
        logger: Writes to the backup's log.
        run: The run it belongs to.
    """

    item: Mapping[str, Any] = attrs.field(repr=False)
    identifier: ResourceIdentifier
    backup: Backup
    cluster: ClusterReader
    logger: logging.Logger | logging.LoggerAdapter[logging.Logger]
    run: Run | None = None


@attrs.frozen(kw_only=True)
class BackupOutput:
    """What a BackupItemAction answers.

    Attributes:
        item: The object to store; the one given where nothing changes.
        additional_items: What must be in the backup as well; the filters decide.
        must_include_additional_items: The filters do not decide about those.
        skip: Why this object shall not be stored; empty: it shall.
        wants_begin: Whether `begin` is to be called once the object is stored.
        post_operation_items: What to read and to store again once the operation that
            `begin` returned has ended, well or not; filters are not asked.
    """

    item: Mapping[str, Any] = attrs.field(repr=False)
    additional_items: tuple[ResourceIdentifier, ...] = ()
    must_include_additional_items: bool = False
    skip: str = ""
    wants_begin: bool = False
    post_operation_items: tuple[ResourceIdentifier, ...] = ()


@attrs.frozen(kw_only=True)
class RestoreInput:
    """What a RestoreItemAction is given.

    Attributes:
        item: The object as it would be written so far: metadata reset, no status,
            source namespace; never to be changed.
        item_from_backup: The object as it was stored, status included; in the version
            that is written, where the target does not serve that of the backup.
        identifier: Its type, source namespace and name.
        restore: The restore that is planned.
        backup: The backup that is restored.
        options: kbackup's own options of the restore.
        cluster: The target cluster.
        logger: Writes to the restore's log.
        run: The run it belongs to.
        settings: Those of this action, which the user gave or a ConfigMap of the target
            has; none: its default behaviour is meant.
    """

    item: Mapping[str, Any] = attrs.field(repr=False)
    item_from_backup: Mapping[str, Any] = attrs.field(repr=False)
    identifier: ResourceIdentifier
    restore: Restore
    backup: Backup
    options: RestoreOptions
    cluster: ClusterReader
    logger: logging.Logger | logging.LoggerAdapter[logging.Logger]
    run: Run | None = None
    settings: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class RestoreOutput:
    """What a RestoreItemAction answers.

    Attributes:
        item: The object to write; the one given where nothing changes.
        additional_items: What must be restored before it; the filters decide.
        skip: Why this object shall not be restored; empty: it shall.
        wants_begin: Whether `begin` is to be called when the plan is applied, just
            before the object is written.
        wait_for_additional_items: Whether it is written only once
            `are_additional_items_ready` says so of the additional items.
        additional_items_ready_timeout: How long that may take; None, or nothing: 10
            minutes. Then the object is written all the same, with an error.
    """

    item: Mapping[str, Any] = attrs.field(repr=False)
    additional_items: tuple[ResourceIdentifier, ...] = ()
    skip: str = ""
    wants_begin: bool = False
    wait_for_additional_items: bool = False
    additional_items_ready_timeout: timedelta | None = None


@attrs.frozen(kw_only=True)
class OperationInput:
    """What an action is given about an operation that it began.

    It says all that there is to know: an action that keeps nothing of its own between
    `begin` and `progress` can be asked by another process, too.

    Attributes:
        operation: As far as it is known; ``spec.operation_id`` is the action's own.
        cluster: The cluster in which it goes on, read anew each time.
        logger: Writes to the log of the run.
        backup: The backup that runs or is restored.
        restore: The restore, where it is one.
        run: The run that waits for it.
    """

    operation: ItemOperation
    cluster: ClusterReader
    logger: logging.Logger | logging.LoggerAdapter[logging.Logger]
    backup: Backup
    restore: Restore | None = None
    run: Run | None = None


@attrs.frozen(kw_only=True)
class DeleteInput:
    """What a DeleteItemAction is given.

    Attributes:
        item: The object as it was stored.
        identifier: Its type, namespace and name.
        backup: The backup that is deleted.
        cluster: The cluster in which the action may have left something; revoked as
            soon as `execute` is over.
        logger: Passes on to the host's logger ``kbackup.deletion``.
    """

    item: Mapping[str, Any] = attrs.field(repr=False)
    identifier: ResourceIdentifier
    backup: Backup
    cluster: ClusterWriter
    logger: logging.Logger | logging.LoggerAdapter[logging.Logger]


@runtime_checkable
class BackupItemAction(Protocol):
    """Looks at each item it applies to while a backup runs.

    `execute` is pure: it changes neither the item nor the cluster, may be called more
    than once, from any worker thread. An action that starts something has `begin`, as
    `BeginsBackup` states it, and for what goes on by itself `progress` and `cancel`, as
    `FollowsOperations` does.
    """

    name: str
    applies_to: ResourceSelector

    def execute(self, given: BackupInput) -> BackupOutput:
        """Answer what to store and what else belongs to it."""
        ...


@runtime_checkable
class RestoreItemAction(Protocol):
    """Looks at each item it applies to while a restore is planned.

    `execute` is pure, as for `BackupItemAction`. What is to be started is started by
    `begin`, as `BeginsRestore` states it, while the plan is applied; `progress` and
    `cancel` follow it, as `FollowsOperations` does. An action that waits for what it
    asked for has `are_additional_items_ready`, as `AwaitsAdditionalItems` states it.
    """

    name: str
    applies_to: ResourceSelector

    def execute(self, given: RestoreInput) -> RestoreOutput:
        """Answer what to write and what must be there before it."""
        ...


@runtime_checkable
class DeleteItemAction(Protocol):
    """Cleans up, item by item, when a backup is deleted.

    `execute` is called before anything of the backup is removed. Whatever fails for any
    item keeps the backup; deleting it again calls every action for every item again.
    """

    name: str
    applies_to: ResourceSelector

    def execute(self, given: DeleteInput) -> None:
        """Remove what the item's backup left outside the store.

        What is gone already is success.
        """
        ...


@runtime_checkable
class ItemBlockAction(Protocol):
    """Tells which items are to be backed up together with one.

    `related_items` is pure: it changes neither the item nor the cluster, and may be
    called more than once.
    """

    name: str
    applies_to: ResourceSelector

    def related_items(self, given: BackupInput) -> tuple[ResourceIdentifier, ...]:
        """Return what belongs into the block of an item.

        What it names is asked about as well; the filters of namespaces and types, and
        the caller's `where`, decide about it.
        """
        ...


class BeginsBackup(Protocol):
    """The part of a BackupItemAction that acts."""

    def begin(self, given: BackupInput, cluster: ClusterWriter) -> ItemOperation | None:
        """Start what is to be started; return what to wait for.

        Called once for each item whose `execute` wanted it, after the item was stored;
        never for a plan. ``given.item`` is what was stored. Of the operation only
        ``spec.operation_id`` is for the action to fill in. The writer is revoked as
        soon as this returns, takes too long or the run is cancelled.
        """
        ...


class BeginsRestore(Protocol):
    """The part of a RestoreItemAction that acts."""

    def begin(
        self, given: RestoreInput, cluster: ClusterWriter
    ) -> ItemOperation | None:
        """Start what is to be started; return what to wait for.

        Called once for each item whose `execute` wanted it, just before the item is
        written to where the plan saw nothing, or what it will update; never for a plan,
        and not where nothing is to be written. ``given.item`` is what will be written.
        The rest is as for backups.
        """
        ...


class AwaitsAdditionalItems(Protocol):
    """The part of a RestoreItemAction that waits for what it asked for."""

    def are_additional_items_ready(
        self, given: RestoreInput, additional_items: tuple[ResourceIdentifier, ...]
    ) -> bool:
        """Tell whether the item may be written now.

        Asked while the plan is applied, again and again, about each item whose
        `execute` wanted it; never for a plan. It changes nothing. ``given.item`` is
        what will be written, ``given.cluster`` reads the target anew each time.

        Args:
            given: About the item that waits.
            additional_items: Those of its additional items that are in the target, as
                they are called there; never none.
        """
        ...


class FollowsOperations(Protocol):
    """The part of an action whose operations go on by themselves."""

    def progress(self, given: OperationInput) -> OperationProgress:
        """Return how far an operation is; asked until it says that it has ended."""
        ...

    def cancel(self, given: OperationInput, cluster: ClusterWriter) -> None:
        """Stop an operation as soon as possible: nobody waits for it any more.

        Called where it did not end in time, or the run was cancelled or failed. The
        writer is revoked as `begin`'s is.
        """
        ...
