"""What controllers make is left to them."""

import pytest

from kbackup.restore._controlled import Role, finished, ownership


def _owned(kind, by, *, controller=True, version="v1"):
    """An item with one owner."""
    owner = {"apiVersion": "apps/v1", "kind": by, "name": "web", "uid": "8d"}
    if controller:
        owner["controller"] = True
    metadata = {"name": "web-1", "ownerReferences": [owner]}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


@pytest.mark.parametrize(
    ("kind", "by", "role"),
    [
        ("Pod", "ReplicaSet", Role.MADE),
        ("Pod", "StatefulSet", Role.MADE),
        ("Pod", "DaemonSet", Role.MADE),
        ("Pod", "StrimziPodSet", Role.MADE),
        ("Pod", "Job", Role.NEVER),
        ("Job", "CronJob", Role.MADE),
        ("PersistentVolumeClaim", "Pod", Role.NEVER),
        ("ResourceClaim", "Pod", Role.NEVER),
        ("PersistentVolumeClaim", "StatefulSet", Role.ADOPTED),
        ("ReplicaSet", "Deployment", Role.ADOPTED),
        ("ControllerRevision", "DaemonSet", Role.ADOPTED),
        ("Deployment", "Shop", Role.OWNED),
        ("ConfigMap", "Shop", Role.OWNED),
    ],
)
def test_role_of_a_controlled_item(kind, by, role):
    """Whether an item is made, adopted or merely owned follows from both kinds."""
    found = ownership(_owned(kind, by))

    assert found.role is role
    assert str(found.maker) == f"{by}/web"


def test_owner_that_does_not_control():
    """An owner without the controller flag makes nothing."""
    found = ownership(_owned("Pod", "Shop", controller=False))

    assert found.role is Role.OWNED
    assert found.maker is None


def test_a_claim_that_its_stateful_set_retains():
    """It comes before the StatefulSet, which ties it to itself again."""
    claim = _owned("PersistentVolumeClaim", "StatefulSet", controller=False)

    found = ownership(claim)

    assert found.role is Role.ADOPTED
    assert str(found.maker) == "StatefulSet/web"


def test_free_item():
    """An item without owners is free."""
    assert ownership({"kind": "Pod", "metadata": {"name": "x"}}).role is Role.FREE


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("default-token-x2x4z", Role.MADE),
        ("default-token", Role.FREE),
        ("default-token-for-ci-runner", Role.FREE),
    ],
)
def test_token_secrets(name, role):
    """A token Secret with a generated name is made for its account."""
    secret = {
        "kind": "Secret",
        "type": "kubernetes.io/service-account-token",
        "metadata": {
            "name": name,
            "annotations": {"kubernetes.io/service-account.name": "default"},
        },
    }

    assert ownership(secret).role is role


@pytest.mark.parametrize(
    ("version", "kind", "status", "expected"),
    [
        ("v1", "Pod", {"phase": "Succeeded"}, "finished: Succeeded"),
        ("v1", "Pod", {"phase": "Failed"}, "finished: Failed"),
        ("v1", "Pod", {"phase": "Running"}, ""),
        (
            "batch/v1",
            "Job",
            {"conditions": [{"type": "Complete", "status": "True"}]},
            "finished: Complete",
        ),
        (
            "batch/v1",
            "Job",
            {"conditions": [{"type": "Failed", "status": "True"}]},
            "finished: Failed",
        ),
        (
            "batch/v1",
            "Job",
            {"conditions": [{"type": "Failed", "status": "False"}]},
            "",
        ),
        ("batch/v1", "Job", {"completionTime": "2024-05-01"}, "finished: Complete"),
        ("batch/v1", "Job", {"active": 1}, ""),
        ("batch/v1", "Job", None, ""),
        ("example.com/v1", "Pod", {"phase": "Failed"}, ""),
    ],
)
def test_finished(version, kind, status, expected):
    """Complete and failed Jobs and ended Pods have nothing left to do."""
    item = {"apiVersion": version, "kind": kind, "status": status}

    assert finished(item) == expected
