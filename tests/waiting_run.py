"""A program that makes or resumes a backup, and tells when it waits for an operation.

    python waiting_run.py create|resume NAME NAMESPACE KUBECONFIG STORE

Its action begins, for each ConfigMap labelled ``move``, an operation that is a ConfigMap
itself: whoever sets ``done`` in that ends it, as a data mover would. It keeps nothing
between two calls, so any process may ask about what another one has begun.
"""

import sys

from kbackup import BackupEngine, BackupSpec, BackupStore, Cluster, actions
from kbackup.models import (
    GroupResource,
    ItemOperation,
    ItemOperationSpec,
    OperationProgress,
    ResourceIdentifier,
    ResourceSelector,
)
from kbackup.plugins import BackupOutput, PluginManager, WaitingFor, hookimpl

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
        job = job_of(given.identifier.namespace, given.identifier.name)
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


@hookimpl
def kbackup_register_backup_item_actions():
    """Offer the action."""
    return {Move.name: Move()}


def job_of(namespace, name):
    """The operation of a ConfigMap."""
    return ResourceIdentifier(CONFIG_MAPS, namespace, f"job-{name}")


def tell(event):
    """Say that the run waits."""
    if isinstance(event, WaitingFor):
        print("waiting", flush=True)  # noqa: T201 - this is its answer


def engine(cluster, store, **more):
    """An engine with the built-in actions and this one."""
    plugins = PluginManager(plugins=[actions, sys.modules[__name__]])
    return BackupEngine(cluster, store, plugins=plugins, **more)


def main() -> None:
    """Do as told."""
    verb, name, namespace, kubeconfig, directory = sys.argv[1:]
    with Cluster.connect(kubeconfig) as cluster, BackupStore.open(directory) as store:
        mine = engine(cluster, store, observer=tell)
        if verb == "create":
            mine.run(name, BackupSpec(included_namespaces=[namespace]))
        else:
            mine.resume(name)


if __name__ == "__main__":
    main()
