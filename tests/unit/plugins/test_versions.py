"""Plugins of older Protocols go on working; those of unknown ones are refused by name."""

import warnings

import pytest

from kbackup.errors import PluginLoadError
from kbackup.models import (
    BackupStorageLocation,
    BackupStorageLocationSpec,
    ObjectMeta,
    ResourceSelector,
    VolumeSnapshotLocation,
    VolumeSnapshotLocationSpec,
)
from kbackup.plugins import (
    KBackupDeprecationWarning,
    ObjectStoreFactory,
    PluginKind,
    PluginManager,
    VolumeSnapshotterFactory,
    _versions,
    hookimpl,
    open_volume_snapshotter,
)
from kbackup.stores import open_object_store
from kbackup.testing import MemoryStore

PROVIDER = "example.com/old"


class OldStore:
    """A store of a version that had `write` where there is `put` now."""

    api_version = 0
    capabilities = frozenset()

    def __init__(self):
        self.written = {}

    def write(self, key, data):
        """Keep an object."""
        self.written[key] = data

    put = None.__ne__  # it can be called, and means something else


class Adapted(MemoryStore):
    """The old store as it is used now."""

    def __init__(self, old):
        super().__init__()
        self.old = old

    def put(self, key, source, **how):
        """Write by the old name."""
        self.old.write(key, source)
        return super().put(key, source, **how)


def plugins(**offers):
    """Return a host with a plugin that offers things by the families' names."""

    class Plugin:
        """Offers stores and snapshotters."""

        @hookimpl
        def kbackup_register_object_stores(self):
            """Offer stores."""
            return offers.get("stores", {})

        @hookimpl
        def kbackup_register_volume_snapshotters(self):
            """Offer snapshotters."""
            return offers.get("snapshotters", {})

        @hookimpl
        def kbackup_register_restore_item_actions(self):
            """Offer actions."""
            return offers.get("actions", {})

    return PluginManager([Plugin()])


def opened(store):
    """Open a location whose plugin returns *store*."""
    spec = BackupStorageLocationSpec(provider=PROVIDER)
    location = BackupStorageLocation(metadata=ObjectMeta(name="x"), spec=spec)
    factory = ObjectStoreFactory(open=lambda _config: store)
    return open_object_store(location, plugins(stores={PROVIDER: factory}))


@pytest.fixture
def older(monkeypatch):
    """A kbackup that speaks version 0 as well; the call says until when."""

    def speak(removed_in):
        adapter = _versions.Adapter(adapt=Adapted, removed_in=removed_in)
        key = (PluginKind.OBJECT_STORE, 0)
        monkeypatch.setattr(_versions, "ADAPTERS", {key: adapter})

    return speak


def test_an_older_store_keeps_working(older):
    """A store of an older version is used through its adapter, without a word."""
    older("")
    old = OldStore()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened(old).put("backups/x", b"1")

    assert old.written == {"backups/x": b"1"}


def test_a_version_that_goes_away_warns(older):
    """A version that is to go away works still, and names plugin, release and way."""
    older("3.4")
    old = OldStore()

    with pytest.warns(KBackupDeprecationWarning) as caught:
        opened(old).put("backups/x", b"1")

    (warning,) = caught
    for part in (PROVIDER, "version 0", "kbackup 3.4", "use version 1"):
        assert part in str(warning.message)
    assert old.written == {"backups/x": b"1"}


@pytest.mark.parametrize("version", [0, 2, None, "1", True])
def test_an_unknown_version_is_refused(version):
    """A store of a version that nobody knows is refused when it is opened."""
    store = MemoryStore()
    store.api_version = version

    with pytest.raises(PluginLoadError) as caught:
        opened(store)

    assert f"{PROVIDER} speaks version {version!r}" in str(caught.value)
    assert "known is 1" in str(caught.value)
    assert "versions of kbackup" in caught.value.hint


class OldSnapshotter:
    """A snapshotter of a version that had `snapshot` where there is more now."""

    api_version = 0

    def __init__(self):
        self.taken = []

    def snapshot(self, volume_id):
        """Take one."""
        self.taken.append(volume_id)
        return f"snapshot-of-{volume_id}"


class AdaptedSnapshotter:
    """The old snapshotter as it is used now."""

    api_version = 1
    volume_id = with_volume_id = describe = snapshot_state = create_volume = print
    delete_snapshot = close = print

    def __init__(self, old):
        self.old = old

    def create_snapshot(self, volume_id, zone, tags):
        """Take one by the old name."""
        return self.old.snapshot(volume_id)


def opened_snapshotter(snapshotter, **spec):
    """Open a location whose plugin returns *snapshotter*."""
    location = VolumeSnapshotLocation(
        spec=VolumeSnapshotLocationSpec(provider=PROVIDER, **spec)
    )
    factory = VolumeSnapshotterFactory(open=lambda _config: snapshotter)
    return open_volume_snapshotter(location, plugins(snapshotters={PROVIDER: factory}))


def test_an_older_snapshotter_keeps_working(monkeypatch):
    """A snapshotter of an older version is used through its adapter, with a warning."""
    adapter = _versions.Adapter(adapt=AdaptedSnapshotter, removed_in="3.4")
    key = (PluginKind.VOLUME_SNAPSHOTTER, 0)
    monkeypatch.setattr(_versions, "ADAPTERS", {key: adapter})
    old = OldSnapshotter()

    with pytest.warns(KBackupDeprecationWarning, match=rf"{PROVIDER}.*kbackup 3\.4"):
        taken = opened_snapshotter(old).create_snapshot("disk-1", "", {})

    assert taken == "snapshot-of-disk-1"
    assert old.taken == ["disk-1"]


@pytest.mark.parametrize("version", [0, 2, None, "1", True])
def test_an_unknown_version_of_a_snapshotter(version):
    """A snapshotter of a version that nobody knows is refused when it is opened."""
    snapshotter = AdaptedSnapshotter(None)
    snapshotter.api_version = version

    with pytest.raises(PluginLoadError, match="known is 1") as caught:
        opened_snapshotter(snapshotter)

    assert f"{PROVIDER} speaks version {version!r}" in str(caught.value)


@pytest.mark.parametrize(
    ("family", "factory"),
    [("stores", ObjectStoreFactory), ("snapshotters", VolumeSnapshotterFactory)],
)
def test_a_factory_of_an_unknown_version(family, factory):
    """A factory that says a version of the future is refused when it is registered."""
    offer = factory(open=lambda config: config, api_version=7)

    (info,) = plugins(**{family: {PROVIDER: offer}}).list_plugins()

    assert not info.available
    assert f"{PROVIDER} speaks version 7 of its Protocol; known is 1" in info.cause


class Action:
    """A restore item action without its methods."""

    name = PROVIDER
    applies_to = ResourceSelector(included_resources=("services",))

    def execute(self, given):
        """Answer nothing."""


class WithoutExecute(Action):
    """It has no `execute`."""

    execute = None


class TwoArguments(Action):
    """It wants the backup beside the item."""

    def execute(self, item, backup):
        """Answer nothing."""


class LooseBegin(Action):
    """Its `begin` wants no writer."""

    def begin(self, given):
        """Begin nothing."""


class LooseReady(Action):
    """It cannot be asked about additional items."""

    def are_additional_items_ready(self):
        """Answer nothing."""


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (WithoutExecute, "execute(given: RestoreInput) -> RestoreOutput"),
        (TwoArguments, "execute(given: RestoreInput) -> RestoreOutput"),
        (
            LooseBegin,
            "begin(given: RestoreInput, cluster: ClusterWriter) -> ItemOperation | None",
        ),
        (
            LooseReady,
            (
                "are_additional_items_ready(given: RestoreInput, additional_items: "
                "tuple[ResourceIdentifier, ...]) -> bool"
            ),
        ),
    ],
)
def test_the_expected_signature_is_shown(action, expected):
    """What cannot be called as it will be is refused with what is expected of it."""
    (info,) = plugins(actions={PROVIDER: action()}).list_plugins()

    assert info.cause.endswith(f"; expected is {expected}")


def test_the_expected_signature_of_a_factory():
    """So is a factory whose `open` takes no configuration."""
    offer = ObjectStoreFactory(open=lambda: None)

    (info,) = plugins(stores={PROVIDER: offer}).list_plugins()

    expected = "open(config: Mapping[str, str]) -> ObjectStore"
    assert info.cause.endswith(f"; expected is {expected}")


def test_what_is_listed_of_an_offer():
    """A list has the version of the Protocol, what a store can do, and the state."""
    offer = ObjectStoreFactory(
        open=lambda config: config, capabilities=MemoryStore().capabilities
    )

    infos = plugins(stores={PROVIDER: offer}, actions={PROVIDER: Action()})

    action, store = infos.list_plugins()[::-1]
    assert (store.api_version, action.api_version) == (1, 1)
    assert store.capabilities == ("atomic-create", "range")
    assert action.capabilities == ()
    assert store.state == "available"
