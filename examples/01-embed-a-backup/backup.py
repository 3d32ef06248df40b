"""Back up one namespace into a directory."""

import sys
import tempfile
from datetime import UTC, datetime

from kbackup import BackupEngine, BackupSpec, BackupStore, Cluster


def back_up(cluster: Cluster, namespace: str, directory: str) -> int:
    """Back up *namespace*; return the exit code of the run."""
    with BackupStore.open(directory) as store:
        engine = BackupEngine(cluster, store, observer=print)
        name = f"{namespace}-{datetime.now(UTC):%Y%m%d%H%M%S}"

        result = engine.run(name, BackupSpec(included_namespaces=[namespace]))

    print(f"{name}: {result.backup.status.phase}")
    for entry in (*result.results.warnings, *result.results.errors):
        print(f"  {entry.namespace or entry.area}: {entry.message}")
    return result.exit_code


def main() -> int:
    """Use the cluster of the kubeconfig, or a simulated one."""
    if len(sys.argv) == 3:  # noqa: PLR2004 - a namespace and a directory
        with Cluster.connect() as cluster:
            return back_up(cluster, sys.argv[1], sys.argv[2])

    from kbackup.testing import SimulatedCluster  # noqa: PLC0415 - an extra

    with (
        SimulatedCluster() as simulated,
        simulated.connect() as cluster,
        tempfile.TemporaryDirectory() as directory,
    ):
        configmaps = cluster.discover().resolve("configmaps")
        cluster.create(
            configmaps,
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "settings", "namespace": "default"},
                "data": {"currency": "EUR"},
            },
            namespace="default",
        )
        return back_up(cluster, "default", directory)


if __name__ == "__main__":
    sys.exit(main())
