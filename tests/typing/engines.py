"""What connecting, opening, planning and running give, down to a result's lines."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any, assert_type

from kbackup import (
    BackupEngine,
    BackupPhase,
    BackupPlan,
    BackupResult,
    BackupSpec,
    BackupStore,
    CancelToken,
    Cluster,
    EngineSettings,
    PluginManager,
    RestoreEngine,
    RestoreOptions,
    RestorePhase,
    RestorePlan,
    RestoreResult,
    RestoreSpec,
)
from kbackup.archive import ArchiveReader
from kbackup.catalog import (
    BackupEntry,
    DeletionPlan,
    DeletionReport,
    EntryState,
    Manifest,
    VerifyReport,
)
from kbackup.models import (
    Backup,
    ChangedItem,
    Difference,
    GroupResource,
    Item,
    ItemOutcome,
    ResourceIdentifier,
    Restore,
    ResultEntry,
)
from kbackup.plugins import ErrorRecorded, Event, ItemFailed, Run
from kbackup.restore import (
    ClaimLine,
    Notice,
    PlanAction,
    PlanEntry,
    Precondition,
)


def connections(directory: Path) -> None:
    """Clusters and stores are context managers of themselves."""
    with Cluster.connect(context="prod") as cluster:
        assert_type(cluster, Cluster)
    with BackupStore.open(directory) as store:
        assert_type(store, BackupStore)
    assert_type(BackupStore.open("s3://bucket/prefix", read_only=True), BackupStore)
    assert_type(BackupStore.open([directory, "/mnt/b"]), BackupStore)


def observe(event: Event) -> None:
    """Observe a run; an event is told from another by its class."""
    if isinstance(event, ErrorRecorded):
        assert_type(event.item, ResourceIdentifier | None)


def a_backup(cluster: Cluster, store: BackupStore) -> None:
    """A backup's result is read without a cast."""
    engine = BackupEngine(
        cluster,
        store,
        plugins=PluginManager(),
        observer=observe,
        settings=EngineSettings(workers=4),
    )
    spec = BackupSpec(included_namespaces=["shop"])
    plan = engine.plan(spec)
    result = engine.run("shop-1", spec, cancel=CancelToken())

    assert_type(plan, BackupPlan)
    assert_type([each.resource for each in plan.items], list[GroupResource])
    assert_type(result, BackupResult)
    assert_type(result.backup, Backup)
    assert_type(result.backup.status.phase, BackupPhase | None)
    assert_type(result.results.errors, tuple[ResultEntry, ...])
    assert_type(result.exit_code, int)
    assert_type(result.report.calls["list pods"], int)
    assert_type(engine.resume("shop-1"), BackupResult)


def a_restore(cluster: Cluster, store: BackupStore) -> None:
    """A plan's lines and a restore's outcomes are read without a cast."""
    engine = RestoreEngine(cluster, store)
    spec = RestoreSpec(backup_name="shop-1", namespace_mapping={"shop": "copy"})
    plan = engine.plan("try-1", spec, RestoreOptions())
    result = engine.apply(plan, cancel=CancelToken())

    assert_type(plan, RestorePlan)
    assert_type(plan.entries, tuple[PlanEntry, ...])
    assert_type(plan.entries[0].action, PlanAction)
    assert_type(plan.entries[0].target, ResourceIdentifier)
    assert_type(plan.entries[0].precondition, Precondition | None)
    assert_type(plan.claims, tuple[ClaimLine, ...])
    assert_type(plan.notices, tuple[Notice, ...])
    assert_type(plan.head.same_cluster, bool | None)
    assert_type(plan.counts[PlanAction.CREATE], int)
    assert_type(plan.to_json(), dict[str, Any])
    assert_type(result, RestoreResult)
    assert_type(result.restore, Restore)
    assert_type(result.restore.status.phase, RestorePhase | None)
    assert_type(result.outcomes, tuple[ItemOutcome, ...])
    assert_type(engine.run("try-2", spec), RestoreResult)


def a_comparison(engine: RestoreEngine) -> None:
    """A comparison's parts are read without a cast."""
    difference = engine.compare("shop-1")

    assert_type(difference, Difference)
    assert_type(difference.changed, tuple[ChangedItem, ...])
    assert_type(difference.removed, tuple[ResourceIdentifier, ...])
    assert_type(difference.same, int)


def a_difference_of_backups(store: BackupStore, plan: RestorePlan) -> None:
    """Two backups, and a plan and its target, give the same kind of comparison."""
    assert_type(store.diff("shop-1", "shop-2", namespaces=["shop"]), Difference)
    assert_type(plan.diff(), Difference)


async def from_a_coroutine(engine: BackupEngine) -> None:
    """A run that is handed to a thread gives the same result."""
    result = await asyncio.to_thread(engine.run, "shop-1", BackupSpec())

    assert_type(result, BackupResult)


def a_deletion(store: BackupStore, cluster: Cluster) -> None:
    """A cluster is what the actions of a deletion may act in."""
    plan = store.plan_deletion("shop-1", cluster=cluster)

    assert_type(plan, DeletionPlan)
    assert_type(plan.actions["example.com/copy"], int)
    assert_type(
        store.delete("shop-1", cluster=cluster, cancel=CancelToken()), DeletionReport
    )


def a_store(store: BackupStore, target: Path) -> None:
    """What lies in a store is read without a cast."""
    entries = store.list()
    assert_type(entries, list[BackupEntry])
    assert_type(entries[0].state, EntryState)
    assert_type(entries[0].backup, Backup | None)
    assert_type(entries[0].expires, datetime | None)
    assert_type(store.get("shop-1"), Backup)
    assert_type(store.latest(), Backup)
    assert_type(store.manifest("shop-1"), Manifest | None)
    assert_type(store.verify("shop-1"), VerifyReport)
    assert_type(store.list_restores(), list[Restore])
    assert_type(list(store.logs("shop-1")), list[str])
    assert_type(store.results("shop-1").warnings, tuple[ResultEntry, ...])
    store.download("shop-1", target)


def an_archive(store: BackupStore) -> None:
    """An archive gives items, and an item its identifier and its body."""
    with store.open_archive("shop-1") as archive:
        assert_type(archive, ArchiveReader)
        for item in archive:
            assert_type(item, Item)
            assert_type(item.identifier, ResourceIdentifier)
            assert_type(item.identifier.group_resource, GroupResource)
            assert_type(item.content, dict[str, Any])
            assert_type(item.raw, bytes)
        assert_type([item.kind for item in archive], list[str])


def a_run(run: Run, event: ItemFailed) -> None:
    """What a plugin is told about a run is typed as well."""
    assert_type(run.uid, str)
    assert_type(event.identifier, ResourceIdentifier)
