"""Providers that fail, return nonsense or lack methods are named, and nothing else is hurt."""

import asyncio

import pytest

from kbackup.errors import InvalidConfigError, PluginError
from kbackup.models import (
    BackupStorageLocation,
    BackupStorageLocationSpec,
    ObjectMeta,
    SecretKeySelector,
    VolumeSnapshotLocation,
    VolumeSnapshotLocationSpec,
)
from kbackup.plugins import (
    ObjectStoreFactory,
    PluginManager,
    VolumeSnapshotter,
    VolumeSnapshotterFactory,
    hookimpl,
    open_volume_snapshotter,
)
from kbackup.stores import open_object_store
from kbackup.testing import MemoryStore

PROVIDER = "example.com/things"
SECRET = "password=hunter2"


class Snapshotter:
    """A snapshotter that can be asked everything and answers nothing."""

    api_version = 1
    volume_id = with_volume_id = describe = create_snapshot = print
    snapshot_state = create_volume = delete_snapshot = close = print


class TheirError(Exception):
    """What only the plugin knows."""


class Unwound(BaseException):
    """What is no `Exception`, and a way of the plugin's to get out."""


def plugins(open_store=None, open_snapshotter=None):
    """Return a host with a plugin whose factories open by these functions."""

    class Plugin:
        """Offers both."""

        @hookimpl
        def kbackup_register_object_stores(self):
            """Offer stores."""
            return {PROVIDER: ObjectStoreFactory(open=open_store or dict)}

        @hookimpl
        def kbackup_register_volume_snapshotters(self):
            """Offer snapshotters."""
            return {PROVIDER: VolumeSnapshotterFactory(open=open_snapshotter or dict)}

    return PluginManager([Plugin()])


def opened_store(function):
    """Open a location by a provider's function."""
    spec = BackupStorageLocationSpec(provider=PROVIDER, config={"key": SECRET})
    location = BackupStorageLocation(metadata=ObjectMeta(name="x"), spec=spec)
    return open_object_store(location, plugins(open_store=function))


def opened_snapshotter(function, **spec):
    """Open a volume snapshot location by a provider's function."""
    given = {"provider": PROVIDER, "config": {"key": SECRET}, **spec}
    location = VolumeSnapshotLocation(spec=VolumeSnapshotLocationSpec(**given))
    return open_volume_snapshotter(location, plugins(open_snapshotter=function))


FAMILIES = {
    "an ObjectStore": (opened_store, MemoryStore),
    "a VolumeSnapshotter": (opened_snapshotter, Snapshotter),
}
family = pytest.mark.parametrize("one", FAMILIES)


@family
@pytest.mark.parametrize(
    "error", [ValueError, TheirError, Unwound, SystemExit, asyncio.CancelledError]
)
def test_a_factory_that_raises(one, error):
    """What it raises is an error of ours, told by its type alone: it may hold secrets."""
    opened, _ = FAMILIES[one]

    def fail(config):
        raise error(config["key"])

    with pytest.raises(PluginError) as caught:
        opened(fail)

    assert str(caught.value).startswith(f"{PROVIDER} could not open the ")
    assert str(caught.value).endswith(f"location: {error.__name__}")
    assert caught.value.plugin == PROVIDER


@family
def test_what_a_factory_refuses(one):
    """An error of ours passes as it is."""
    opened, _ = FAMILIES[one]

    def refuse(_config):
        raise InvalidConfigError("the location has no region")

    with pytest.raises(InvalidConfigError, match=r"^the location has no region$"):
        opened(refuse)


@family
@pytest.mark.parametrize("nonsense", [None, SECRET, 7, [], TheirError(SECRET)])
def test_a_factory_that_returns_nonsense(one, nonsense):
    """What is none of the family is told by its type, not by what it holds."""
    opened, _ = FAMILIES[one]

    with pytest.raises(PluginError) as caught:
        opened(lambda _config: nonsense)

    kind = type(nonsense).__name__
    assert str(caught.value).endswith(f"location: it returned a {kind}, not {one}")
    assert caught.value.plugin == PROVIDER


@family
def test_what_lacks_methods(one):
    """The methods that are missing, or cannot be called, are named; so is the version."""
    opened, whole = FAMILIES[one]

    class Half(whole):
        """It was never finished."""

        close = None

    class Quarter:
        """It says no version either."""

        close = whole.close

    with pytest.raises(PluginError, match=f"a Half, not {one}: it has no close$"):
        opened(lambda _config: Half())
    with pytest.raises(
        PluginError, match=f"a Quarter, not {one}: it has no "
    ) as caught:
        opened(lambda _config: Quarter())

    assert str(caught.value).endswith("and it does not say its api_version")


@family
def test_what_is_whole(one):
    """What has every method is handed on as it is."""
    opened, whole = FAMILIES[one]
    made = whole()

    assert opened(lambda _config: made) is made


def test_capabilities_that_cannot_be_asked():
    """A store that declares no set of capabilities is refused when it is opened."""
    store = MemoryStore()
    store.capabilities = None

    with pytest.raises(PluginError, match="capabilities of its MemoryStore are no set"):
        opened_store(lambda _config: store)


def test_what_a_snapshotter_is_given():
    """The location's config, and the file of the Secret where it names one."""
    given = []
    secret = SecretKeySelector(name="cloud", key="key")
    spec = VolumeSnapshotLocationSpec(
        provider=PROVIDER, config={"region": "r"}, credential=secret
    )
    location = VolumeSnapshotLocation(spec=spec)

    def remember(config):
        given.append(dict(config))
        return Snapshotter()

    host = plugins(open_snapshotter=remember)
    with pytest.raises(InvalidConfigError, match="Secret cloud"):
        open_volume_snapshotter(location, host)
    opened = open_volume_snapshotter(location, host, credentials_file="/run/key")

    assert isinstance(opened, VolumeSnapshotter)
    assert given == [{"region": "r", "credentialsFile": "/run/key"}]
    assert spec.config == {"region": "r"}


def test_a_location_of_nobody():
    """A volume snapshot location without a provider is refused, and so is an unknown one."""
    with pytest.raises(InvalidConfigError, match="names no provider"):
        opened_snapshotter(dict, provider="")
    with pytest.raises(PluginError, match="no plugin offers the volume snapshotter"):
        opened_snapshotter(dict, provider="example.com/nobody")
