"""pytest fixtures: ``pytest_plugins = ["kbackup.testing.fixtures"]`` brings them in.

They are opt-in: a host's test session gets no fixture that it did not ask for. Those of
a cluster need the extra ``simulator``, the others nothing but pytest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kbackup.testing._clock import FrozenClock
from kbackup.testing._sample import load_sample_shop, sample_shop
from kbackup.testing._stores import FailingStore, FailOn, MemoryStore

if TYPE_CHECKING:
    from kbackup.catalog import BackupStore
    from kbackup.cluster import Cluster
    from kbackup.plugins import ObjectStore
    from kbackup.testing._api_server import SimulatedCluster


# --- stores ---------------------------------------------------------------------------


@pytest.fixture
def kbackup_memory_store() -> MemoryStore:
    """An empty object store in memory."""
    return MemoryStore()


@pytest.fixture
def kbackup_backup_store(kbackup_memory_store: MemoryStore) -> Iterator[BackupStore]:
    """The backups in ``kbackup_memory_store``: what an engine is given."""
    from kbackup.catalog import BackupStore  # noqa: PLC0415 - not for other fixtures

    with BackupStore(kbackup_memory_store) as store:
        yield store


@pytest.fixture
def kbackup_failing_store(
    kbackup_memory_store: MemoryStore,
) -> Callable[..., ObjectStore]:
    """A function that puts a `FailingStore` before ``kbackup_memory_store``.

    It takes what that class takes after the store: ``fail_on``, and ``after=True`` to
    fail when the work is done.
    """

    def make(fail_on: FailOn | None = None, *, after: bool = False) -> FailingStore:
        return FailingStore(kbackup_memory_store, fail_on, after=after)

    return make


# --- clusters -------------------------------------------------------------------------


@pytest.fixture
def kbackup_simulated_cluster() -> Iterator[SimulatedCluster]:
    """An empty simulated cluster of this test's own."""
    from kbackup.testing._api_server import (  # noqa: PLC0415 - needs an extra
        SimulatedCluster,
    )

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


@pytest.fixture
def kbackup_shop_cluster(kbackup_cluster: Cluster) -> Cluster:
    """That connection once the sample shop is in its namespace ``shop``."""
    load_sample_shop(kbackup_cluster)
    return kbackup_cluster


# --- values ---------------------------------------------------------------------------


@pytest.fixture
def kbackup_sample_shop() -> list[Mapping[str, Any]]:
    """The objects of the sample shop, this test's own."""
    return list(sample_shop())


@pytest.fixture
def kbackup_clock() -> FrozenClock:
    """A clock that stands still, at first at noon, until it is told to go on."""
    return FrozenClock(datetime(2026, 5, 2, 12, tzinfo=UTC))
