"""A program that makes or resumes a backup, and tells when it waits for an operation.

    python waiting_run.py create|resume|restore NAME NAMESPACE KUBECONFIG STORE

A restore is that of the backup NAME, into the namespace NAMESPACE-copy.

Its actions begin, for each ConfigMap labelled ``move``, an operation that is a ConfigMap
itself: whoever sets ``done`` in that ends it, as a data mover would. They keep nothing
between two calls, so any process may ask about what another one has begun.
"""

import sys

from kbackup import (
    BackupEngine,
    BackupSpec,
    BackupStore,
    Cluster,
    RestoreEngine,
    RestoreSpec,
    actions,
)
from kbackup.models import (
    GroupResource,
    ItemOperation,
    ItemOperationSpec,
    OperationProgress,
    ResourceIdentifier,
    ResourceSelector,
)
from kbackup.plugins import (
    BackupOutput,
    PluginManager,
    RestoreOutput,
    WaitingFor,
    hookimpl,
)

CONFIG_MAPS = GroupResource("", "configmaps")


class Move:
    """Begins an operation for each labelled ConfigMap, and wants its result stored."""

    name = "example.com/move"
    applies_to = ResourceSelector(
        included_resources=("configmaps",), label_selector="move"
    )

    def execute(self, given):
        """Want to begin, and what becomes of it."""
        result = job_of(given.identifier.namespace, given.identifier.name)
        return BackupOutput(
            item=given.item, wants_begin=True, post_operation_items=(result,)
        )

    def begin(self, given, cluster):
        """Create the operation: a second one of the name is refused by the server."""
        metadata = given.item["metadata"]
        job = job_of(metadata["namespace"], metadata["name"])
        metadata = {"name": job.name, "namespace": job.namespace}
        cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
        return ItemOperation(spec=ItemOperationSpec(operation_id=job.name))

    def progress(self, given):
        """Read it."""
        spec = given.operation.spec
        job = ResourceIdentifier(
            CONFIG_MAPS, spec.resource_identifier.namespace, spec.operation_id
        )
        found = given.cluster.get(job)
        return OperationProgress(completed="done" in (found.get("data") or {}))

    def cancel(self, given, cluster):
        """Remove it."""
        spec = given.operation.spec
        namespace = spec.resource_identifier.namespace
        cluster.delete(ResourceIdentifier(CONFIG_MAPS, namespace, spec.operation_id))


class Fill(Move):
    """The same for what is restored."""

    name = "example.com/fill"

    def execute(self, given):
        """Want to begin."""
        return RestoreOutput(item=given.item, wants_begin=True)


@hookimpl
def kbackup_register_backup_item_actions():
    """Offer the action."""
    return {Move.name: Move()}


@hookimpl
def kbackup_register_restore_item_actions():
    """Offer the other one."""
    return {Fill.name: Fill()}


def job_of(namespace, name):
    """The operation of a ConfigMap."""
    return ResourceIdentifier(CONFIG_MAPS, namespace, f"job-{name}")


def tell(event):
    """Say that the run waits."""
    if isinstance(event, WaitingFor):
        print("waiting", flush=True)  # noqa: T201 - this is its answer


def engine(cluster, store, kind=BackupEngine, **more):
    """An engine with the built-in actions and these."""
    plugins = PluginManager(plugins=[actions, sys.modules[__name__]])
    return kind(cluster, store, plugins=plugins, **more)


def restore(mine, name, namespace):
    """Restore a backup beside what it is of."""
    copy = {namespace: f"{namespace}-copy"}
    return mine.run(name, RestoreSpec(backup_name=name, namespace_mapping=copy))


def main() -> None:
    """Do as told."""
    verb, name, namespace, kubeconfig, directory = sys.argv[1:]
    with Cluster.connect(kubeconfig) as cluster, BackupStore.open(directory) as store:
        if verb == "restore":
            mine = engine(cluster, store, RestoreEngine, observer=tell)
            restore(mine, name, namespace)
        elif verb == "create":
            spec = BackupSpec(included_namespaces=[namespace])
            engine(cluster, store, observer=tell).run(name, spec)
        else:
            engine(cluster, store, observer=tell).resume(name)


if __name__ == "__main__":
    main()
