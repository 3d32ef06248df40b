"""What controllers make is left to them."""

import pytest

from kbackup._kits.controlled import Role, finished, is_mid_rollout, ownership

VERSIONS = {
    "Pod": "v1",
    "PersistentVolumeClaim": "v1",
    "ConfigMap": "v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
    "ResourceClaim": "resource.k8s.io/v1",
    "StrimziPodSet": "core.strimzi.io/v1",
    "Shop": "example.com/v1",
}


def _version(kind):
    """The apiVersion of a kind; a kind may bring its own before it."""
    version, _, name = kind.rpartition(" ")
    return version or VERSIONS.get(name, "apps/v1"), name


def _owned(kind, by, *, controller=True):
    """An item with one owner, each by its kind."""
    version, kind = _version(kind)
    owner_version, owner_kind = _version(by)
    owner = {"apiVersion": owner_version, "kind": owner_kind, "name": "web"}
    owner["uid"] = "8d"
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
        ("batch/v1beta1 Job", "batch/v1beta1 CronJob", Role.MADE),
        ("PersistentVolumeClaim", "Pod", Role.NEVER),
        ("ResourceClaim", "Pod", Role.NEVER),
        ("PersistentVolumeClaim", "StatefulSet", Role.ADOPTED),
        ("ReplicaSet", "Deployment", Role.ADOPTED),
        ("extensions/v1beta1 ReplicaSet", "Deployment", Role.ADOPTED),
        ("ControllerRevision", "DaemonSet", Role.ADOPTED),
        ("Deployment", "Shop", Role.OWNED),
        ("ConfigMap", "Shop", Role.OWNED),
    ],
)
def test_role_of_a_controlled_item(kind, by, role):
    """Whether an item is made, adopted or merely owned follows from both kinds."""
    found = ownership(_owned(kind, by))

    assert found.role is role
    assert str(found.maker) == f"{by.rpartition(' ')[2]}/web"


VOLCANO = "batch.volcano.sh/v1alpha1"
OTHER = "example.com/v1"


@pytest.mark.parametrize(
    ("kind", "by", "role"),
    [
        ("Pod", f"{VOLCANO} Job", Role.MADE),  # where that is, which need not be
        (f"{VOLCANO} Job", "CronJob", Role.OWNED),
        ("Job", f"{VOLCANO} CronJob", Role.OWNED),
        (f"{OTHER} Pod", "Job", Role.OWNED),
        (f"{OTHER} Pod", "ReplicaSet", Role.OWNED),
        (f"{OTHER} ReplicaSet", "Deployment", Role.OWNED),
        (f"{OTHER} ControllerRevision", "StatefulSet", Role.OWNED),
        (f"{OTHER} PersistentVolumeClaim", "Pod", Role.OWNED),
        (f"{OTHER} PersistentVolumeClaim", "StatefulSet", Role.OWNED),
        (f"{OTHER} ResourceClaim", "Pod", Role.OWNED),
        ("PersistentVolumeClaim", f"{OTHER} Pod", Role.OWNED),
        # OpenKruise's adopts claims as Kubernetes' own does.
        ("PersistentVolumeClaim", "apps.kruise.io/v1beta1 StatefulSet", Role.ADOPTED),
    ],
)
def test_kinds_of_other_groups(kind, by, role):
    """A custom resource is not left out for the name that its kind has."""
    assert ownership(_owned(kind, by)).role is role


def test_what_a_pod_of_another_group_owns():
    """It is not taken for something that was made for a Pod."""
    assert ownership(_owned("ConfigMap", "Pod", controller=False)).is_of_pods
    found = ownership(_owned("ConfigMap", f"{OTHER} Pod", controller=False))

    assert not found.is_of_pods


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
    assert ownership({**secret, "apiVersion": OTHER}).role is Role.FREE


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
        (
            "batch/v1",
            "Job",
            {"conditions": [{"type": "SuccessCriteriaMet", "status": "True"}]},
            "finished: SuccessCriteriaMet",
        ),
        (
            "batch/v1",
            "Job",
            {"conditions": [{"type": "FailureTarget", "status": "True"}]},
            "finished: FailureTarget",
        ),
        (
            "batch/v1",
            "Job",
            {"conditions": [{"type": "FailureTarget", "status": "False"}]},
            "",
        ),
        ("batch/v1", "Job", {"completionTime": "2024-05-01"}, "finished: Complete"),
        ("batch/v1", "Job", {"active": 1}, ""),
        ("batch/v1", "Job", None, ""),
        ("example.com/v1", "Pod", {"phase": "Failed"}, ""),
        (VOLCANO, "Job", {"completionTime": "2024-05-01"}, ""),
    ],
)
def test_finished(version, kind, status, expected):
    """Jobs that are over, or decided, and ended Pods have nothing left to do."""
    item = {"apiVersion": version, "kind": kind, "status": status}

    assert finished(item) == expected


@pytest.mark.parametrize(
    ("version", "kind", "status", "expected"),
    [
        ("apps/v1", "StatefulSet", ("a", "b"), True),
        ("apps/v1", "StatefulSet", ("a", "a"), False),
        ("apps/v1", "StatefulSet", (None, "a"), False),
        ("example.com/v1", "StatefulSet", ("a", "b"), False),
    ],
)
def test_stateful_set_in_the_middle_of_a_rollout(version, kind, status, expected):
    """Only its status says that Pods of an older version ran."""
    current, update = status
    found = {"currentRevision": current, "updateRevision": update}
    item = {"apiVersion": version, "kind": kind, "status": found}

    assert is_mid_rollout(item) is expected
    assert not is_mid_rollout({**item, "status": None})


@pytest.mark.parametrize(
    ("current", "updated", "expected"), [(3, 2, True), (3, 3, False), (0, 0, False)]
)
def test_daemon_set_in_the_middle_of_a_rollout(current, updated, expected):
    """A controller writes no count of what is updated while that is none."""
    status = {"currentNumberScheduled": current}
    if updated:
        status["updatedNumberScheduled"] = updated
    item = {"apiVersion": "apps/v1", "kind": "DaemonSet", "status": status}

    assert is_mid_rollout(item) is expected
