"""The sample shop in a simulated cluster."""

import pytest

from kbackup.testing import SimulatedCluster, load_sample_shop


def test_the_shop_looks_as_controllers_left_it():
    """Claim and volume are bound to each other, and the Pods run."""
    with SimulatedCluster() as simulated, simulated.connect() as cluster:
        number = load_sample_shop(cluster)

        [claim] = simulated.objects("persistentvolumeclaims")
        [volume] = simulated.objects("persistentvolumes")
        pods = simulated.objects("pods")

    assert number == 16
    assert claim["status"]["phase"] == volume["status"]["phase"] == "Bound"
    assert claim["spec"]["volumeName"] == volume["metadata"]["name"]
    assert volume["spec"]["claimRef"]["uid"] == claim["metadata"]["uid"]
    assert [pod["status"]["phase"] for pod in pods] == ["Running", "Running"]


def test_the_shop_wants_a_connection():
    """Whoever gives the simulated cluster itself is told what is wanted instead."""
    with pytest.raises(TypeError, match=r"expected a Cluster, got a SimulatedCluster"):
        load_sample_shop(SimulatedCluster())
