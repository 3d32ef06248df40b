"""What others test with: contract suites for plugins, and fakes held to the real thing.

Nothing inside kbackup imports this room. Its names are resolved when they are first
used, so that one of them does not load what another needs.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kbackup._kits.doors import loader

if TYPE_CHECKING:
    from kbackup.testing._action_clusters import (
        RecordingCluster,
        RecordingWriter,
        delete_input,
        operation_input,
    )
    from kbackup.testing._action_contracts import (
        BackupItemActionContract,
        DeleteItemActionContract,
        ItemBlockActionContract,
        RestoreItemActionContract,
    )
    from kbackup.testing._action_inputs import (
        StaticClusterReader,
        backup_input,
        restore_input,
    )
    from kbackup.testing._api_server import SimulatedCluster
    from kbackup.testing._clock import FrozenClock
    from kbackup.testing._conformance import (
        ConformanceReport,
        Promise,
        check_item_action,
        check_object_store,
    )
    from kbackup.testing._conformance_volumes import (
        SnapshotterCheckPlan,
        check_volume_snapshotter,
        plan_snapshotter_check,
    )
    from kbackup.testing._sample import load_sample_shop, sample_shop
    from kbackup.testing._simulator.execution import ExecCall
    from kbackup.testing._simulator.faults import Fault, Faults
    from kbackup.testing._snapshotter_contract import VolumeSnapshotterContract
    from kbackup.testing._snapshotter_contract_inputs import (
        MissingIds,
        persistent_volume,
    )
    from kbackup.testing._store_contract import ObjectStoreContract
    from kbackup.testing._stores import FailingStore, MemoryStore

_MODULES = {
    "ExecCall": "_simulator.execution",
    "Fault": "_simulator.faults",
    "Faults": "_simulator.faults",
    "SimulatedCluster": "_api_server",
    "load_sample_shop": "_sample",
    "sample_shop": "_sample",
    "BackupItemActionContract": "_action_contracts",
    "ConformanceReport": "_conformance",
    "DeleteItemActionContract": "_action_contracts",
    "FailingStore": "_stores",
    "FrozenClock": "_clock",
    "ItemBlockActionContract": "_action_contracts",
    "MemoryStore": "_stores",
    "MissingIds": "_snapshotter_contract_inputs",
    "ObjectStoreContract": "_store_contract",
    "Promise": "_conformance",
    "RecordingCluster": "_action_clusters",
    "RecordingWriter": "_action_clusters",
    "RestoreItemActionContract": "_action_contracts",
    "SnapshotterCheckPlan": "_conformance_volumes",
    "StaticClusterReader": "_action_inputs",
    "VolumeSnapshotterContract": "_snapshotter_contract",
    "backup_input": "_action_inputs",
    "check_item_action": "_conformance",
    "check_object_store": "_conformance",
    "check_volume_snapshotter": "_conformance_volumes",
    "delete_input": "_action_clusters",
    "operation_input": "_action_clusters",
    "persistent_volume": "_snapshotter_contract_inputs",
    "plan_snapshotter_check": "_conformance_volumes",
    "restore_input": "_action_inputs",
}

__all__ = [
    "BackupItemActionContract",
    "ConformanceReport",
    "DeleteItemActionContract",
    "ExecCall",
    "FailingStore",
    "Fault",
    "Faults",
    "FrozenClock",
    "ItemBlockActionContract",
    "MemoryStore",
    "MissingIds",
    "ObjectStoreContract",
    "Promise",
    "RecordingCluster",
    "RecordingWriter",
    "RestoreItemActionContract",
    "SimulatedCluster",
    "SnapshotterCheckPlan",
    "StaticClusterReader",
    "VolumeSnapshotterContract",
    "backup_input",
    "check_item_action",
    "check_object_store",
    "check_volume_snapshotter",
    "delete_input",
    "load_sample_shop",
    "operation_input",
    "persistent_volume",
    "plan_snapshotter_check",
    "restore_input",
    "sample_shop",
]


__getattr__ = loader(__name__, _MODULES)

if "pytest" in sys.modules:  # a suite that fails says what it found
    sys.modules["pytest"].register_assert_rewrite(
        *(
            f"{__name__}.{name}"
            for name in (
                "_action_contracts",
                "_snapshotter_contract",
                "_store_contract",
                "_store_contract_lists",
            )
        )
    )


def __dir__() -> list[str]:
    """Name what is there, loaded or not."""
    return sorted(__all__)
