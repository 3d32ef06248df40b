"""Back up one namespace into a directory; without arguments, a simulated one."""

import argparse
import sys
import tempfile
from datetime import UTC, datetime

from kbackup import BackupEngine, BackupSpec, BackupStore, Cluster
from kbackup.errors import KBackupError


def back_up(cluster: Cluster, namespace: str, directory: str) -> int:
    """Back up *namespace*; return the exit code of the run."""
    with BackupStore.open(directory) as store:
        engine = BackupEngine(cluster, store, observer=print)
        name = f"{namespace}-{datetime.now(UTC):%Y%m%d%H%M%S}"

        result = engine.run(name, BackupSpec(included_namespaces=[namespace]))

    print(f"{name}: {result.backup.status.phase}")
    for warning in result.results.warnings:
        print(f"  warning: {warning}")
    for error in result.results.errors:
        print(f"  error: {error}")
    return result.exit_code


def try_it() -> int:
    """Back up a sample shop on a simulated cluster."""
    from kbackup.testing import (  # noqa: PLC0415 - an extra
        SimulatedCluster,
        load_sample_shop,
    )

    with (
        SimulatedCluster() as simulated,
        simulated.connect() as cluster,
        tempfile.TemporaryDirectory() as directory,
    ):
        load_sample_shop(cluster)
        return back_up(cluster, "shop", directory)


def main() -> int:
    """Use the cluster of the kubeconfig, or try it on a simulated one."""
    if not sys.argv[1:]:
        return try_it()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("namespace", help="what to back up")
    parser.add_argument("directory", help="where the backups are")
    given = parser.parse_args()
    try:
        with Cluster.connect() as cluster:
            return back_up(cluster, given.namespace, given.directory)
    except KBackupError as exc:
        print(f"Error: {exc}", file=sys.stderr)
        if exc.hint:
            print(f"Hint: {exc.hint}", file=sys.stderr)
        return exc.exit_code


if __name__ == "__main__":
    sys.exit(main())
