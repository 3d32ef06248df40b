"""Every hook that kbackup calls; the source of ``docs/plugins/hooks.md``.

A plugin is a module (or any object) with functions that carry `hookimpl`. It offers
things by name; the engines decide when, in which order and under whose watch they run,
so no hook here does work on items. Only the manager of this room calls hooks.
"""

from __future__ import annotations

from collections.abc import Mapping

import pluggy

from kbackup.plugins._events import Event
from kbackup.plugins._interfaces import (
    ObjectStoreFactory,
    VolumeSnapshotterFactory,
)
from kbackup.plugins._item_actions import (
    BackupItemAction,
    DeleteItemAction,
    ItemBlockAction,
    RestoreItemAction,
)
from kbackup.plugins._run import Run

PROJECT = "kbackup"
"""The name that hookspecs, hookimpls and the entry-point group share."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def kbackup_register_object_stores() -> Mapping[str, ObjectStoreFactory]:
    """Offer object stores, keyed by provider name such as ``velero.io/aws``.

    Called once per `PluginManager`. Offer factories only: import no SDK, build no
    client, touch no network.
    """


@hookspec
def kbackup_register_volume_snapshotters() -> Mapping[str, VolumeSnapshotterFactory]:
    """Offer volume snapshotters, keyed by provider name such as ``velero.io/aws``.

    Called once per `PluginManager`; as for object stores, factories only. They are
    listed; this version of kbackup takes no snapshots and opens none.
    """


@hookspec
def kbackup_register_backup_item_actions() -> Mapping[str, BackupItemAction]:
    """Offer actions that look at items while they are backed up, keyed by their name.

    Called once per `PluginManager`; the actions are shared by all its runs and called
    from several threads at once.
    """


@hookspec
def kbackup_register_restore_item_actions() -> Mapping[str, RestoreItemAction]:
    """Offer actions that look at items while a restore is planned, keyed by their name.

    Called once per `PluginManager`; the actions are shared by all its runs and called
    from several threads at once.
    """


@hookspec
def kbackup_register_delete_item_actions() -> Mapping[str, DeleteItemAction]:
    """Offer actions that clean up when a backup is deleted, keyed by their name.

    Called once per `PluginManager`; the actions are shared by all its deletions.
    """


@hookspec
def kbackup_register_item_block_actions() -> Mapping[str, ItemBlockAction]:
    """Offer actions that tell which items belong together, keyed by their name.

    Called once per `PluginManager`; the actions are shared by all its runs.
    """


@hookspec
def kbackup_event(event: Event, run: Run) -> None:
    """Observe what a run does; new kinds of events are new classes, never new hooks.

    Called for one event after another, in order, never from two threads at once for the
    same run. What it raises is logged as this plugin's fault, and the run goes on. It
    must come back soon: the run waits for it. A warning that it records with *run* is
    kept, but told to nobody as an event.
    """
