"""An object that moves to a newer Kubernetes is the same object."""

import copy

import pytest

from kbackup._kits.normalise import differences, same

OLD_TEMPLATE = {"metadata": {"creationTimestamp": None, "labels": {"app": "web"}}}
TEMPLATE = {"metadata": {"labels": {"app": "web"}}}


def item(kind, spec, version="apps/v1"):
    """An object with a spec."""
    metadata = {"name": "web", "namespace": "shop"}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


PAIRS = [
    # As 1.20 showed it, and 1.36 after it was restored there.
    (
        item("Deployment", {"replicas": 2, "template": OLD_TEMPLATE}),
        item("Deployment", {"replicas": 2, "template": TEMPLATE}),
    ),
    (
        item("DaemonSet", {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 1}}}),
        item(
            "DaemonSet",
            {"updateStrategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}},
        ),
    ),
    (
        item(
            "StatefulSet",
            {
                "template": OLD_TEMPLATE,
                "volumeClaimTemplates": [
                    {"metadata": {"name": "data", "creationTimestamp": None}}
                ],
            },
        ),
        item(
            "StatefulSet",
            {
                "template": TEMPLATE,
                "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
                "persistentVolumeClaimRetentionPolicy": {
                    "whenDeleted": "Retain",
                    "whenScaled": "Retain",
                },
            },
        ),
    ),
    (
        item("Service", {"type": "LoadBalancer"}, "v1"),
        item(
            "Service",
            {
                "type": "LoadBalancer",
                "allocateLoadBalancerNodePorts": True,
                "internalTrafficPolicy": "Cluster",
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
            },
            "v1",
        ),
    ),
    (
        item("Job", {"backoffLimit": 6, "template": OLD_TEMPLATE}, "batch/v1"),
        item(
            "Job",
            {
                "backoffLimit": 6,
                "completionMode": "NonIndexed",
                "manualSelector": False,
                "podReplacementPolicy": "TerminatingOrFailed",
                "suspend": False,
                "template": {
                    "metadata": {
                        "labels": {"app": "web", "batch.kubernetes.io/job-name": "web"}
                    }
                },
            },
            "batch/v1",
        ),
    ),
    (
        item("CSIDriver", {"attachRequired": False}, "storage.k8s.io/v1"),
        item(
            "CSIDriver",
            {
                "attachRequired": False,
                "requiresRepublish": False,
                "seLinuxMount": False,
                "storageCapacity": False,
            },
            "storage.k8s.io/v1",
        ),
    ),
]


@pytest.mark.parametrize(("old", "new"), PAIRS, ids=[x["kind"] for x, _ in PAIRS])
def test_what_a_newer_server_adds_is_no_difference(old, new):
    """Restored on a newer Kubernetes, an object does not count as changed."""
    before = copy.deepcopy((old, new))

    assert differences(old, new) == differences(new, old) == []
    assert same(old, new)
    assert same(new, old)
    assert (old, new) == before


@pytest.mark.parametrize(
    ("kind", "version", "field", "value"),
    [
        ("Service", "v1", "internalTrafficPolicy", "Local"),
        ("Service", "v1", "ipFamilyPolicy", "RequireDualStack"),
        ("Job", "batch/v1", "suspend", True),
        ("StatefulSet", "apps/v1", "persistentVolumeClaimRetentionPolicy", {}),
        ("Deployment", "apps/v1", "suspend", False),
    ],
)
def test_what_somebody_asked_for_counts(kind, version, field, value):
    """A value that is not the default, or that a kind does not have, is a difference."""
    spec = {"template": TEMPLATE}
    without, asked = (item(kind, x, version) for x in (spec, {**spec, field: value}))

    found = differences(without, asked)

    assert [x.path for x in found] == [f"spec.{field}"]


def test_a_field_that_both_have_counts():
    """Between two values of a field the default is one like the other."""
    left = item("Service", {"ipFamilies": ["IPv4"]}, "v1")
    right = item("Service", {"ipFamilies": ["IPv6"]}, "v1")

    assert [x.path for x in differences(left, right)] == ["spec.ipFamilies[0]"]


def test_templates_of_another_number_are_compared_whole():
    """One claim template more is a difference, also beside an older server's nulls."""
    old, new = copy.deepcopy(PAIRS[2])
    new["spec"]["volumeClaimTemplates"].append({"metadata": {"name": "logs"}})

    assert [x.path for x in differences(old, new)] != []
