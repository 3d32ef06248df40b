"""Pods in a backup bring what they cannot start without."""

from kbackup.actions._backup_pod import PodAction
from kbackup.testing import backup_input


def pod(**spec):
    """A Pod with this spec."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-0", "namespace": "shop"},
        "spec": spec,
    }


def added(item):
    """What the action asks for; it must not change the Pod."""
    output = PodAction().execute(backup_input("pods", item))
    assert output.item is item
    return [str(identifier) for identifier in output.additional_items]


def test_claims_and_priority_class():
    """Each claim is asked for once, in the Pod's namespace, and the PriorityClass."""
    item = pod(
        priorityClassName="important",
        volumes=[
            {"name": "b", "persistentVolumeClaim": {"claimName": "logs"}},
            {"name": "a", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "c", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "d", "emptyDir": {}},
        ],
    )

    assert added(item) == [
        "persistentvolumeclaims/shop/logs",
        "persistentvolumeclaims/shop/data",
        "priorityclasses.scheduling.k8s.io/important",
    ]


def test_pod_that_needs_nothing():
    """A Pod without claims and class brings nothing."""
    assert added(pod(volumes=None)) == []
