"""pytest fixtures: ``pytest_plugins = ["kbackup.testing.fixtures"]`` brings them in.

They are opt-in: a host's test session gets no fixture that it did not ask for.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kbackup.testing._api_server import SimulatedCluster

if TYPE_CHECKING:
    from kbackup.cluster import Cluster


@pytest.fixture
def kbackup_simulated_cluster() -> Iterator[SimulatedCluster]:
    """An empty simulated cluster of this test's own."""
    with SimulatedCluster() as cluster:
        yield cluster


@pytest.fixture
def kbackup_cluster(
    kbackup_simulated_cluster: SimulatedCluster,
) -> Iterator[Cluster]:
    """A connection to the simulated cluster."""
    with kbackup_simulated_cluster.connect() as cluster:
        yield cluster


@pytest.fixture
def kbackup_kubeconfig(
    kbackup_simulated_cluster: SimulatedCluster, tmp_path: Path
) -> Path:
    """The path of a kubeconfig for the simulated cluster, for programs."""
    return kbackup_simulated_cluster.kubeconfig(tmp_path / "kubeconfig")
