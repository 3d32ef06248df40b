"""Restore one namespace of a backup under another name, after looking at the plan."""

import argparse
import sys
import tempfile
from collections.abc import Callable
from typing import Any

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
from kbackup.errors import KBackupError


def keep_quiet(item: dict[str, Any]) -> dict[str, Any]:
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
    if not sys.argv[1:]:
        return try_it()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("location", help="a directory or an address of backups")
    parser.add_argument("backup", help="the name of one of them")
    parser.add_argument("source", help="a namespace in it")
    parser.add_argument("target", help="the namespace to make of it")
    parser.add_argument("context", nargs="?", help="of the kubeconfig, if not its own")
    given = parser.parse_args()
    try:
        with (
            Cluster.connect(context=given.context) as cluster,
            BackupStore.open(given.location) as store,
        ):
            return copy_namespace(
                cluster,
                store,
                backup=given.backup,
                source=given.source,
                target=given.target,
                agree=ask,
            )
    except KBackupError as exc:
        print(f"Error: {exc}", file=sys.stderr)
        if exc.hint:
            print(f"Hint: {exc.hint}", file=sys.stderr)
        return exc.exit_code


if __name__ == "__main__":
    sys.exit(main())
