"""Restore one namespace of a backup under another name, after looking at the plan."""

import sys
import tempfile
from collections.abc import Callable

from kbackup import (
    BackupEngine,
    BackupSpec,
    BackupStore,
    Cluster,
    RestoreEngine,
    RestoreOptions,
    RestorePlan,
    RestoreSpec,
)


def keep_quiet(item: dict) -> dict:
    """Keep a copy from acting on the world; *item* is as it would be written."""
    spec = item.get("spec", {})
    if item["kind"] == "CronJob":
        return {**item, "spec": {**spec, "suspend": True}}
    if item["kind"] == "Service" and spec.get("type") == "LoadBalancer":
        return {**item, "spec": {**spec, "type": "ClusterIP"}}
    return item


def copy_namespace(
    cluster: Cluster,
    store: BackupStore,
    *,
    backup: str,
    source: str,
    target: str,
    agree: Callable[[RestorePlan], bool],
) -> int:
    """Restore *source* of *backup* as *target* if *agree* says so of the plan."""
    engine = RestoreEngine(cluster, store)
    spec = RestoreSpec(
        backup_name=backup,
        included_namespaces=[source],
        namespace_mapping={source: target},
    )
    options = RestoreOptions(transforms=[keep_quiet])

    plan = engine.plan(f"{backup}-as-{target}", spec, options)
    if not agree(plan):
        return 1
    result = engine.apply(plan)  # exactly that plan, or nothing for what moved since

    print(f"{result.restore.name}: {result.restore.status.phase}")
    for outcome in result.outcomes:
        print(f"  {outcome.action:10} {outcome.identifier}  {outcome.reason}")
    for entry in (*result.results.warnings, *result.results.errors):
        print(f"  {entry}")
    return result.exit_code


def ask(plan: RestorePlan) -> bool:
    """Show the plan and ask."""
    print(plan)
    return input("Carry it out? [y/N] ").lower() == "y"


def try_it() -> int:
    """Make a backup of a sample shop on a simulated cluster, and a copy of it."""
    from kbackup.testing import (  # noqa: PLC0415 - an extra
        SimulatedCluster,
        load_sample_shop,
    )

    with (
        SimulatedCluster() as simulated,
        simulated.connect() as cluster,
        tempfile.TemporaryDirectory() as directory,
        BackupStore.open(directory) as store,
    ):
        load_sample_shop(cluster)
        BackupEngine(cluster, store).run(
            "shop-1", BackupSpec(included_namespaces=["shop"])
        )

        def show(plan: RestorePlan) -> bool:
            print(plan)
            return True

        return copy_namespace(
            cluster,
            store,
            backup="shop-1",
            source="shop",
            target="shop-copy",
            agree=show,
        )


def main() -> int:
    """Use the arguments, or try it on a simulated cluster."""
    if len(sys.argv) < 5:  # noqa: PLR2004 - location, backup and two names
        return try_it()
    location, backup, source, target, *context = sys.argv[1:]
    with (
        Cluster.connect(context=context[0] if context else None) as cluster,
        BackupStore.open(location) as store,
    ):
        return copy_namespace(
            cluster, store, backup=backup, source=source, target=target, agree=ask
        )


if __name__ == "__main__":
    sys.exit(main())
