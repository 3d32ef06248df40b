"""What others write checks against the Protocols, and what does not fit is refused.

Nothing here derives from kbackup's classes: a method set is enough. Each `type:
ignore` is an assertion too, since one that is not needed is an error.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, assert_type

from kbackup import BackupStore, hookimpl
from kbackup.models import (
    APIResource,
    ItemOperation,
    OperationProgress,
    ResourceIdentifier,
    ResourceSelector,
)
from kbackup.plugins import (
    AwaitsAdditionalItems,
    BackupInput,
    BackupItemAction,
    BackupOutput,
    BeginsRestore,
    Capability,
    ClusterReader,
    ClusterWriter,
    DeleteInput,
    DeleteItemAction,
    Digest,
    Event,
    FollowsOperations,
    ItemBlockAction,
    ObjectInfo,
    ObjectStore,
    ObjectStoreFactory,
    OperationInput,
    RestoreInput,
    RestoreItemAction,
    RestoreOutput,
    Run,
    SnapshotState,
    VolumeDescription,
    VolumeSnapshotter,
    VolumeSnapshotterFactory,
)
from kbackup.stores import PrefixedStore


class Bucket:
    """Somebody's object store."""

    api_version: ClassVar[int] = 1
    capabilities = frozenset({Capability.ATOMIC_CREATE})

    def put(
        self,
        key: str,
        source: Path | bytes,
        *,
        create: bool = False,
        retain_until: datetime | None = None,
    ) -> ObjectInfo:
        """Write an object."""
        raise NotImplementedError

    def get(
        self,
        key: str,
        target: BinaryIO,
        *,
        start: int = 0,
        length: int | None = None,
        expect: Digest | None = None,
    ) -> ObjectInfo:
        """Read an object."""
        raise NotImplementedError

    def stat(self, key: str) -> ObjectInfo:
        """Describe an object."""
        raise NotImplementedError

    def list(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        """List objects."""
        raise NotImplementedError

    def list_prefixes(self, prefix: str, delimiter: str = "/") -> Iterator[str]:
        """List directories."""
        raise NotImplementedError

    def delete(self, key: str) -> None:
        """Delete an object."""

    def signed_url(self, key: str, ttl: timedelta) -> str:
        """Sign an address."""
        raise NotImplementedError

    def close(self) -> None:
        """Close."""


class WithoutCreate(Bucket):
    """A store whose put has forgotten create-only."""

    def put(  # type: ignore[override]
        self, key: str, source: Path | bytes
    ) -> ObjectInfo:
        """Write an object."""
        raise NotImplementedError


class Disks:
    """Somebody's snapshotter."""

    api_version: ClassVar[int] = 1

    def volume_id(self, volume: Mapping[str, Any]) -> str:
        """Return the id."""
        return str(volume["spec"]["csi"]["volumeHandle"])

    def with_volume_id(
        self, volume: Mapping[str, Any], volume_id: str
    ) -> Mapping[str, Any]:
        """Return the volume, pointed elsewhere."""
        return {**volume, "spec": {"csi": {"volumeHandle": volume_id}}}

    def describe(self, volume_id: str, zone: str) -> VolumeDescription:
        """Describe it."""
        return VolumeDescription(volume_type="fast", iops=100)

    def create_snapshot(
        self, volume_id: str, zone: str, tags: Mapping[str, str]
    ) -> str:
        """Snapshot it."""
        return "s-1"

    def snapshot_state(self, snapshot_id: str) -> SnapshotState:
        """Tell how far it is."""
        return SnapshotState(complete=True)

    def create_volume(
        self, snapshot_id: str, description: VolumeDescription, zone: str
    ) -> str:
        """Make one."""
        return "v-2"

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Delete it."""

    def close(self) -> None:
        """Close."""


class OnBackup:
    """Somebody's backup item action."""

    name = "example.com/on-backup"
    applies_to = ResourceSelector(included_resources=("pods",))

    def execute(self, given: BackupInput) -> BackupOutput:
        """Ask the cluster and answer."""
        assert_type(given.cluster, ClusterReader)
        assert_type(given.item, Mapping[str, Any])
        live = given.cluster.get(given.identifier)
        assert_type(live, Mapping[str, Any] | None)
        assert_type(given.cluster.resolve("deploy"), APIResource | None)
        return BackupOutput(item=given.item, additional_items=(given.identifier,))


class OnRestore:
    """Somebody's restore item action, which acts and waits as well."""

    name = "example.com/on-restore"
    applies_to = ResourceSelector(included_resources=("pods",))

    def execute(self, given: RestoreInput) -> RestoreOutput:
        """Answer."""
        return RestoreOutput(
            item=given.item,
            wants_begin=True,
            wait_for_additional_items=True,
            additional_items_ready_timeout=timedelta(minutes=1),
        )

    def are_additional_items_ready(
        self, given: RestoreInput, additional_items: tuple[ResourceIdentifier, ...]
    ) -> bool:
        """Look."""
        return all(given.cluster.get(each) for each in additional_items)

    def begin(
        self, given: RestoreInput, cluster: ClusterWriter
    ) -> ItemOperation | None:
        """Act."""
        assert_type(cluster.create(given.item), Mapping[str, Any])
        return None

    def progress(self, given: OperationInput) -> OperationProgress:
        """Tell."""
        raise NotImplementedError

    def cancel(self, given: OperationInput, cluster: ClusterWriter) -> None:
        """Stop."""


class OnDelete:
    """Somebody's delete item action."""

    name = "example.com/on-delete"
    applies_to = ResourceSelector()

    def execute(self, given: DeleteInput) -> None:
        """Clean up."""
        given.cluster.delete(given.identifier)


class Together:
    """Somebody's item block action."""

    name = "example.com/together"
    applies_to = ResourceSelector()

    def related_items(self, given: BackupInput) -> tuple[ResourceIdentifier, ...]:
        """Name them."""
        return (given.identifier,)


class WrongAnswer:
    """An action that answers a restore with what a backup wants."""

    name = "example.com/wrong"
    applies_to = ResourceSelector()

    def execute(self, given: RestoreInput) -> BackupOutput:
        """Answer wrongly."""
        return BackupOutput(item=given.item)


def a_reader_cannot_write(cluster: ClusterReader, item: Mapping[str, Any]) -> None:
    """Who may only read is told so before anything runs."""
    cluster.create(item)  # type: ignore[attr-defined]


def values_are_frozen(given: RestoreInput) -> None:
    """What an action is given cannot be changed by it."""
    given.item["spec"] = {}  # type: ignore[index]
    given.item = {}  # type: ignore[misc]


# What fits is taken, where a Protocol is asked for and by what takes one.
STORES: list[ObjectStore] = [Bucket(), PrefixedStore(Bucket(), "prefix")]
OPENED: BackupStore = BackupStore(Bucket())
SNAPSHOTTER: VolumeSnapshotter = Disks()
ON_BACKUP: BackupItemAction = OnBackup()
ON_RESTORE: RestoreItemAction = OnRestore()
BEGINS: BeginsRestore = OnRestore()
AWAITS: AwaitsAdditionalItems = OnRestore()
FOLLOWS: FollowsOperations = OnRestore()
ON_DELETE: DeleteItemAction = OnDelete()
TOGETHER: ItemBlockAction = Together()

# What does not fit is refused by the type checker, not by the first run.
WRONG_ACTION: RestoreItemAction = WrongAnswer()  # type: ignore[assignment]
WRONG_STORE: ObjectStore = OnBackup()  # type: ignore[assignment]


@hookimpl
def kbackup_register_object_stores() -> Mapping[str, ObjectStoreFactory]:
    """Offer the store."""
    return {"example.com/bucket": ObjectStoreFactory(open=lambda config: Bucket())}


@hookimpl
def kbackup_register_volume_snapshotters() -> Mapping[str, VolumeSnapshotterFactory]:
    """Offer the snapshotter."""
    return {"example.com/disks": VolumeSnapshotterFactory(open=lambda config: Disks())}


@hookimpl
def kbackup_register_backup_item_actions() -> Mapping[str, BackupItemAction]:
    """Offer the action."""
    return {OnBackup.name: OnBackup()}


@hookimpl(trylast=True)
def kbackup_event(event: Event, run: Run) -> None:
    """Observe; options of the marker change nothing about the type."""


def a_hookimpl_keeps_its_type() -> None:
    """A decorated function is what it was: its callers are still checked."""
    assert_type(
        kbackup_register_object_stores, Callable[[], Mapping[str, ObjectStoreFactory]]
    )
    assert_type(kbackup_register_object_stores(), Mapping[str, ObjectStoreFactory])
    kbackup_register_backup_item_actions(1)  # type: ignore[call-arg]
