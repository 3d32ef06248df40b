"""What a name tells of a type is so for every type of Kubernetes."""

import pytest

from kbackup._kits.kinds import fits, is_built_in
from kbackup.testing import SimulatedCluster


def test_every_type_of_a_server_has_a_name_that_fits():
    """A sound object of a type of Kubernetes is never taken for one of another type."""
    with SimulatedCluster() as simulated, simulated.connect() as cluster:
        served = cluster.discover().all_versions

    assert served
    odd = [each.kind for each in served if not fits(each.kind, each.resource)]
    assert odd == []


@pytest.mark.parametrize(
    ("kind", "plural"),
    [
        ("ConfigMap", "secrets"),
        ("Role", "rolebindings"),
        ("ClusterRole", "roles"),
        ("Endpoints", "endpointslices"),
        ("Ingress", "ingressclasses"),
        ("", "secrets"),
    ],
)
def test_another_kind_does_not_fit(kind, plural):
    """Kinds that are nearly named alike are still told apart."""
    assert not fits(kind, plural)


def test_groups_of_definitions_are_told_from_those_of_kubernetes():
    """Only what a server without definitions serves is its own, whatever the ending."""
    with SimulatedCluster() as simulated, simulated.connect() as cluster:
        own = {each.group_resource.group for each in cluster.discover().all_versions}
    defined = [
        "example.com",
        "cluster.x-k8s.io",
        "gateway.networking.k8s.io",
        "snapshot.storage.k8s.io",
    ]

    newer = ["checkpoint.k8s.io", "lifecycle.k8s.io", "storagemigration.k8s.io"]

    assert own
    assert all(map(is_built_in, [*own, *newer]))
    assert not any(map(is_built_in, defined))
