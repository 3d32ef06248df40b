"""What a user names as a location, and what becomes of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest

from kbackup.errors import (
    InvalidConfigError,
    PluginError,
    PluginNotFoundError,
    ReadOnlyLocationError,
    UnknownLocationError,
)
from kbackup.models import (
    AccessMode,
    BackupStorageLocation,
    BackupStorageLocationSpec,
    ObjectStorage,
    SecretKeySelector,
)
from kbackup.plugins import Digest, ObjectStoreFactory, PluginManager
from kbackup.stores import UnfinishedWrite, location_from, open_object_store
from kbackup.testing import MemoryStore


@pytest.fixture
def plugins():
    """What is installed."""
    return PluginManager()


def location(**spec):
    """A location of a provider in memory, unless another is given."""
    spec.setdefault("provider", "kbackup.io/memory")
    return BackupStorageLocation(spec=BackupStorageLocationSpec(**spec))


class OneProvider:
    """A provider that keeps the configuration it was opened with."""

    def __init__(self, store=None, error=None):
        """Open *store*, or raise *error*."""
        self.store = store or MemoryStore()
        self.error = error
        self.config = None

    def open(self, config):
        """Keep the configuration and open."""
        self.config = dict(config)
        if self.error:
            raise self.error
        return self.store

    def object_store_factory(self, name):
        """Offer the provider under every name."""
        return ObjectStoreFactory(open=self.open)

    def spec_for_url(self, url):
        """Know no address."""
        raise AssertionError(url)


def test_a_path(plugins, tmp_path, monkeypatch):
    """A path is a directory; a relative one is taken from where we are."""
    monkeypatch.chdir(tmp_path)

    for source in ("bak", Path("bak"), str(tmp_path / "bak")):
        spec = location_from(source, plugins).spec
        assert spec.provider == "kbackup.io/local"
        assert spec.config == {"path": str(tmp_path / "bak")}


@pytest.mark.parametrize(
    "source",
    ["/a#/b", ["/a", "/b"], ["file:///a", Path("/b")], "file:///a%23/b", ["/a#/b"]],
    ids=str,
)
def test_mirrored_paths(plugins, source):
    """Several directories are one location, however they are given."""
    assert location_from(source, plugins).spec.config == {"path": "/a#/b"}


def test_addresses(plugins):
    """An address is read by the plugin of its scheme."""
    memory = location_from("memory://bucket/a/prefix/", plugins).spec
    s3 = location_from("s3://bucket/p?region=eu-west-1", plugins).spec

    assert memory.provider == "kbackup.io/memory"
    assert memory.object_storage == ObjectStorage(bucket="bucket", prefix="a/prefix")
    assert s3.provider == "velero.io/aws"
    assert s3.config == {"region": "eu-west-1"}


def test_an_unknown_scheme(plugins):
    """An unknown scheme is told, with those that are known."""
    with pytest.raises(UnknownLocationError, match="file://") as caught:
        location_from("gopher://host/x", plugins)

    assert "s3://" in str(caught.value)


def test_an_unknown_provider(plugins):
    """An unknown provider is told, with those that there are."""
    with pytest.raises(PluginNotFoundError, match=r"kbackup\.io/local"):
        open_object_store(location(provider="example.com/none"), plugins)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ([], "no location"),
        ("", "empty path"),
        ("/a#", "empty path"),
        ("~/a", "only a shell"),
        (Path("~"), "only a shell"),
        (["/a", "~/b"], "only a shell"),
        (["/a", "memory://b"], "only directories"),
        (Path("/a#b"), "'#' in its name"),
        ("s3:/bucket/x", "begins with 's3:/'"),
        ("S3:bucket", "begins with 'S3:'"),
        ("file:backups", "begins with 'file:'"),
        ("nas:/srv/backups", "begins with 'nas:/'"),
        (["/a", "memory:/b"], "begins with 'memory:/'"),
        ("/a#s3:/b", "begins with 's3:/'"),
        (location(provider=""), "no provider"),
        (location(object_storage=ObjectStorage(bucket="a/b")), "slash"),
        (location(object_storage=ObjectStorage(bucket="..")), "no name"),
        (location(object_storage=ObjectStorage(prefix="a/../b")), "prefix"),
        (location(object_storage=ObjectStorage(prefix="a//b")), "prefix"),
        (
            location(
                object_storage=ObjectStorage(
                    ca_cert=b"x", ca_cert_ref=SecretKeySelector(name="s", key="k")
                )
            ),
            "caCertRef",
        ),
    ],
    ids=str,
)
def test_locations_that_cannot_be_meant(plugins, source, words):
    """A location that breaks a rule is refused with the rule."""
    with pytest.raises(InvalidConfigError, match=words):
        location_from(source, plugins)


@pytest.mark.parametrize(
    "source",
    ["./s3:/a", Path("s3:/a"), "C:/a", "C:a", "12:30", "shop:old", "/a/s3:/b"],
    ids=str,
)
def test_a_colon_in_a_path(plugins, source):
    """A directory may have a colon in its name where no address can be meant."""
    (path,) = location_from(source, plugins).spec.config.values()

    assert path == str(Path(source).absolute())


def test_half_an_address_is_not_repeated(plugins):
    """What follows the slip may be a password; the hint says how both are written."""
    with pytest.raises(InvalidConfigError) as caught:
        location_from("s3:/key:password@bucket", plugins)

    assert "password" not in f"{caught.value} {caught.value.hint}"
    assert caught.value.hint == (
        "an address is written s3://..., and a directory of that name ./s3:/..."
    )


def test_bucket_and_prefix_are_trimmed(plugins):
    """Slashes around bucket and prefix go; an access point's ARN may have one within."""
    arn = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap"

    trimmed = location_from(
        location(object_storage=ObjectStorage(bucket="/b/", prefix="//p/q/")), plugins
    )
    access_point = location_from(
        location(object_storage=ObjectStorage(bucket=arn)), plugins
    )

    assert trimmed.spec.object_storage == ObjectStorage(bucket="b", prefix="p/q")
    assert access_point.spec.object_storage.bucket == arn


def test_what_a_provider_is_given():
    """The provider gets the config with bucket, prefix, certificate and credentials."""
    providers = OneProvider()
    given = location(
        config={"region": "r"},
        credential=SecretKeySelector(name="cloud", key="key"),
        object_storage=ObjectStorage(bucket="/b", prefix="p/", ca_cert=b"PEM"),
    )

    store = open_object_store(given, providers, credentials_file="/run/key")

    assert providers.config == {
        "region": "r",
        "bucket": "b",
        "prefix": "p",
        "caCert": "PEM",
        "credentialsFile": "/run/key",
    }
    assert given.spec.config == {"region": "r"}
    store.put("backups/x/y", b"")
    assert list(providers.store.objects) == ["p/backups/x/y"]


def test_absent_values_are_not_given():
    """A location without prefix and certificate adds neither."""
    providers = OneProvider()

    open_object_store(location(object_storage=ObjectStorage(bucket="b")), providers)

    assert providers.config == {"bucket": "b"}


def test_credentials_that_nobody_resolved():
    """A location with a Secret is not opened with some other credentials."""
    secret = SecretKeySelector(name="cloud", key="key")

    with pytest.raises(InvalidConfigError, match="Secret cloud"):
        open_object_store(location(credential=secret), OneProvider())
    open_object_store(
        location(credential=secret, config={"credentialsFile": "/f"}), OneProvider()
    )


@pytest.mark.parametrize("kind", [ValueError, SystemExit])
def test_a_provider_that_fails(kind):
    """What a provider raises is its fault; its text, which may hold secrets, is not shown."""
    providers = OneProvider(error=kind("password=hunter2"))
    told = rf"^kbackup.io/memory could not open the location: {kind.__name__}$"

    with pytest.raises(PluginError, match=told) as caught:
        open_object_store(location(), providers)

    assert caught.value.plugin == "kbackup.io/memory"


def test_a_provider_that_opens_nothing():
    """A factory that forgets its return is named, not what fails later for want of it."""
    providers = OneProvider(store="a path")

    with pytest.raises(PluginError, match=r"it returned a str, not an ObjectStore$"):
        open_object_store(location(), providers)


def test_a_read_only_location():
    """A location declared ReadOnly is read, listed and not written."""
    providers = OneProvider()
    providers.store.put("backups/b/x", b"x")
    declared = location(access_mode=AccessMode.READ_ONLY)

    store = open_object_store(declared, providers)

    assert [info.key for info in store.list("")] == ["backups/b/x"]
    for call in (
        lambda: store.put("k", b""),
        lambda: store.delete("backups/b/x"),
        store.initialise,
        store.apply_deletions,
        lambda: store.make_copy("backups/b/x", Digest("0" * 64), "/a"),
        lambda: store.discard(
            UnfinishedWrite(key="k", id="1", since=datetime.now(UTC))
        ),
    ):
        with pytest.raises(ReadOnlyLocationError):
            call()
    assert list(providers.store.objects) == ["backups/b/x"]


def test_a_location_keeps_what_it_was(plugins):
    """Only bucket and prefix of a given location are touched."""
    given = location(object_storage=ObjectStorage(bucket="b"), default=True)

    assert location_from(given, plugins) == attrs.evolve(given)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("?region=a&region=b", "has region twice"),
        ("?profile=a#b", "has a '#' in it"),
        ("?hunter2", "has a key that is unknown; known are: checksumAlgorithm, "),
    ],
)
def test_what_is_wrong_with_an_address_is_told_apart(plugins, query, says):
    """One thing that is wrong is said, not what may be; a secret is not repeated."""
    with pytest.raises(InvalidConfigError) as caught:
        location_from(f"s3://bucket/prefix{query}", plugins)

    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_sign_in_an_address_can_be_written(plugins):
    """The hint against a ``#`` holds, in a prefix and in a value."""
    with pytest.raises(InvalidConfigError) as caught:
        location_from("s3://bucket/a#b", plugins)

    found = location_from("s3://bucket/a%23b?profile=c%23d", plugins).spec

    assert caught.value.hint == "write %23 for it"
    assert found.object_storage.prefix == "a#b"
    assert found.config["profile"] == "c#d"
