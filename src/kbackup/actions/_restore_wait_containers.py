"""Restore Pods without the container that waits for Velero's volume restore."""

from __future__ import annotations

from kbackup._kits.edit import POD_SPECS, JSONObject, Path, pod_spec_paths, with_list
from kbackup._kits.nested import objects_at, value_at
from kbackup.models import ResourceSelector
from kbackup.plugins import RestoreInput, RestoreOutput

_NAMES = frozenset({"restore-wait", "restic-wait"})
_INIT_CONTAINERS = tuple((*path, "initContainers") for path in POD_SPECS)

_TYPES = (
    "pods",
    "podtemplates",
    "replicationcontrollers",
    "daemonsets.apps",
    "deployments.apps",
    "replicasets.apps",
    "statefulsets.apps",
    "daemonsets.extensions",
    "deployments.extensions",
    "replicasets.extensions",
    "jobs.batch",
    "cronjobs.batch",
    "deploymentconfigs.apps.openshift.io",
    "rollouts.argoproj.io",
)


class WaitContainerAction:
    """Remove what waits for an earlier restore (``kbackup.io/wait-containers``).

    Velero adds one to a Pod whose volumes it fills. It waits for a file that names that
    very restore, so that a Pod which carries one over from its backup never starts.
    """

    name = "kbackup.io/wait-containers"
    applies_to = ResourceSelector(included_resources=_TYPES)

    def concerns(self, item: JSONObject) -> bool:
        """Tell whether `execute` may do anything: most Pods have no init containers."""
        # A generator takes as long again, and every Pod is asked about.
        for path in _INIT_CONTAINERS:  # noqa: SIM110
            if value_at(item, *path):
                return True
        return False

    def execute(self, given: RestoreInput) -> RestoreOutput:
        """Remove them from a Pod and from a workload's Pod template."""
        item = given.item
        for path in pod_spec_paths(item):
            item = _without_waiting(item, (*path, "initContainers"))
        return RestoreOutput(item=item)


def _without_waiting(item: JSONObject, path: Path) -> JSONObject:
    containers = objects_at(item, *path)
    kept = [c for c in containers if c.get("name") not in _NAMES]
    return item if len(kept) == len(containers) else with_list(item, path, kept)
