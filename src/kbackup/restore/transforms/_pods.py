"""Change the specs of Pods, in Pods and in all that makes Pods. Pure."""

from collections.abc import Callable

from kbackup._kits.edit import pod_spec_paths, replaced
from kbackup._kits.kinds import GroupKind
from kbackup._kits.nested import mapping_at
from kbackup.restore.transforms._base import Content

POD_KINDS: frozenset[GroupKind] = frozenset(
    {
        ("", "Pod"),
        ("", "PodTemplate"),
        ("", "ReplicationController"),
        ("apps", "ControllerRevision"),
        ("apps", "DaemonSet"),
        ("apps", "Deployment"),
        ("apps", "ReplicaSet"),
        ("apps", "StatefulSet"),
        ("batch", "CronJob"),
        ("batch", "Job"),
        ("apps.openshift.io", "DeploymentConfig"),
        ("argoproj.io", "Rollout"),
        ("serving.knative.dev", "Configuration"),
        ("serving.knative.dev", "Revision"),
        ("serving.knative.dev", "Service"),
    }
)


def with_pod_specs(item: Content, change: Callable[[Content], Content]) -> Content:
    """Return *item* with *change* done to each spec of a Pod in it."""
    for path in tuple(pod_spec_paths(item)):
        before = mapping_at(item, *path)
        after = change(before)
        if after is not before:
            item = replaced(item, path, after)
    return item
