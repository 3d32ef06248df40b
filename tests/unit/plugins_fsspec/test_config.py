"""What a location's configuration says of a filesystem."""

from __future__ import annotations

import re
import sys
import threading
import types

import fsspec
import pytest

from kbackup.catalog import BackupStore
from kbackup.errors import (
    InvalidConfigError,
    PluginError,
    PluginLoadError,
    StoreAccessError,
    StoreUnavailableError,
    UnknownLocationError,
)
from kbackup.models import BackupStorageLocationSpec, ObjectStorage
from kbackup.plugins import (
    Capability,
    ObjectStoreFactory,
    PluginManager,
    hookimpl,
)
from kbackup.stores import TidyStore, location_from, open_object_store
from kbackup.testing import MemoryStore
from kbackup_plugins_fsspec import open_filesystem_store
from kbackup_plugins_fsspec._config import address_of, read_config, spec_of
from kbackup_plugins_fsspec._connections import Connections


def test_an_address_is_a_location():
    """User, host, port and path stay in the address; the query becomes the config."""
    plugins = PluginManager()

    location = location_from(
        "sftp://kb@backup.example.com:2222/srv/a%20b/?compress=true&timeout=5", plugins
    )

    assert location.spec.provider == "kbackup.io/fsspec"
    assert location.spec.config == {
        "url": "sftp://kb@backup.example.com:2222/srv/a%20b",
        "compress": "true",
        "timeout": "5",
    }


def test_options_have_types():
    """Values that look like JSON are read so; others are text, and a quoted one is."""
    settings = read_config(
        {
            "url": "ftp://host/x",
            "tls": "true",
            "timeout": "5",
            "acct": "null",
            "encoding": "latin-1",
            "username": '"007"',
            "number": "007",
            "list": '["a", 1]',
            "odd": "{not json",
            "connections": "3",
            "requestTimeout": "5s",
            "bucket": "b",
            "prefix": "p",
        }
    )

    assert settings.options == {
        "tls": True,
        "timeout": 5,
        "acct": None,
        "encoding": "latin-1",
        "username": "007",
        "number": "007",
        "list": ["a", 1],
        "odd": "{not json",
    }
    assert settings.url == "ftp://host/x/b"
    assert settings.connections == 3
    assert settings.timeouts.for_request() == 5


@pytest.mark.parametrize(
    "address",
    [
        "sftp://kb:geheim@host/x",
        "sftp://host/x?password=geheim",
        "sftp://host/x?Passphrase=geheim",
        "oss://bucket/x?secret=geheim",
        "oss://bucket/x?access_key_secret=geheim",
        "webdav://x?auth=geheim",
        "webdav://x?base_url=https://kb:geheim@host/dav",
    ],
)
def test_an_address_holds_no_secret(address):
    """A password in an address is refused, and not repeated."""
    with pytest.raises(InvalidConfigError) as caught:
        spec_of(address)

    assert "geheim" not in f"{caught.value!r} {caught.value.hint}"
    assert "credentialsFile" in caught.value.hint


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({}, "config key url"),
        ({"url": "sftp://h/x", "caCert": "PEM"}, "cannot use caCert"),
        ({"url": "sftp://h/x?a=b"}, "has a query"),
        ({"url": "sftp://h/x#y"}, "has a '#'"),
        ({"url": "sftp://h/x%3fy"}, "question mark"),
        ({"url": "sftp://h/x%00y"}, "NUL"),
        ({"url": "sftp://h:port/x"}, "is none"),
        ({"url": "/srv"}, "no scheme"),
        ({"url": "sftp://h/x", "token": "x"}, "is a secret"),
        ({"url": "sftp://h/x", "connections": "0"}, "not 1 to 64"),
        ({"url": "sftp://h/x", "writesInPlace": "no"}, "not true or false"),
        ({"url": "sftp://h/x", "knownHosts": "/no/such"}, "there is no file"),
        ({"url": "sftp://h/x", "credentialsFile": "/no/such"}, "cannot be read"),
        ({"url": "sftp://h/x", "requestTimeout": "soon"}, "requestTimeout"),
    ],
)
def test_what_has_no_meaning(config, says):
    """Each slip of a configuration has a message of its own."""
    with pytest.raises(InvalidConfigError, match=says):
        read_config(config)


@pytest.mark.parametrize("query", ["a=1&a=2", "url=x", "bucket=b", "prefix=p"])
def test_what_a_query_cannot_say(query):
    """A key twice, or what the path says, is refused."""
    with pytest.raises(InvalidConfigError, match="twice"):
        spec_of(f"sftp://h/x?{query}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{"password": "123", "auth": ["kb", "geheim"], "more": {"a": "b"}}',
            {"password": "123", "auth": ("kb", "geheim"), "more": {"a": "b"}},
        ),
        ("[store]\nPassword = 12%3\n", {"Password": "12%3"}),
    ],
    ids=["json", "ini"],
)
def test_secrets_come_from_a_file(tmp_path, text, expected):
    """The file is JSON or INI; what it holds is an option, and shown nowhere."""
    file = tmp_path / "secrets"
    file.write_text(text)

    settings = read_config({"url": "sftp://h/x", "credentialsFile": str(file)})

    assert settings.options == expected
    assert "geheim" not in repr(settings)
    assert "123" not in repr(settings)


@pytest.mark.parametrize("text", ["{", "[1]", "no section", "[a]\nx=1\n[b]\nx=1\n", ""])
def test_a_file_that_holds_no_secrets(tmp_path, text):
    """What is neither JSON nor INI is told by the file's name, not by its content."""
    file = tmp_path / "secrets"
    file.write_text(text)

    with pytest.raises(InvalidConfigError, match="neither a JSON object nor INI"):
        read_config({"url": "sftp://h/x", "credentialsFile": str(file)})


@pytest.mark.parametrize(
    ("scheme", "provider"),
    [
        ("s3", "velero.io/aws"),
        ("gs", "velero.io/gcp"),
        ("az", "velero.io/azure"),
        ("file", "kbackup.io/local"),
    ],
)
def test_what_has_a_provider_of_its_own(scheme, provider):
    """An address that another provider knows better is refused with its name."""
    with pytest.raises(InvalidConfigError) as caught:
        open_filesystem_store({"url": f"{scheme}://bucket/x"})

    assert provider in caught.value.hint


@pytest.mark.parametrize("address", ["zip://a.zip", "http://host/x", "git://host/x"])
def test_what_cannot_be_a_store(address):
    """What fsspec can only read, or has inside a file, is refused."""
    with pytest.raises(InvalidConfigError, match="cannot be a store"):
        location_from(address, PluginManager())


def test_chains_are_no_stores():
    """One filesystem over another is refused."""
    with pytest.raises(InvalidConfigError, match="chains"):
        location_from("ftp://x::sftp://host/y", PluginManager())


def test_an_unknown_scheme():
    """An address that neither a plugin nor fsspec knows is told with those known."""
    with pytest.raises(
        UnknownLocationError, match=r"known are: .*file://, .*memory://, s3"
    ):
        location_from("gopher://host/x", PluginManager())


def test_what_a_scheme_needs_is_told(monkeypatch):
    """A protocol whose package is missing gives the command that installs it."""
    monkeypatch.setitem(sys.modules, "smbprotocol", None)
    monkeypatch.setitem(sys.modules, "smbclient", None)
    monkeypatch.delitem(sys.modules, "fsspec.implementations.smb", raising=False)

    with pytest.raises(PluginLoadError, match="smbprotocol") as caught:
        open_filesystem_store({"url": "smb://host/share"})
    with pytest.raises(PluginLoadError) as other:
        open_filesystem_store({"url": "oci://bucket@space/x"})

    assert caught.value.hint == "pip install smbprotocol"
    assert other.value.hint == "pip install ocifs"


class _Plain(fsspec.AbstractFileSystem):
    """A filesystem that can do nothing but be opened, with options that it checks."""

    protocol = "plain-test"

    def __init__(self, *, mode="x", password="", **options):
        super().__init__()
        if mode != "x":
            raise ValueError(f"no such mode for {password}")

    def ls(self, path, detail=True, **options):
        return []


@pytest.fixture
def plain():
    """The filesystem, known to fsspec for the time of a test."""
    fsspec.register_implementation("plain-test", _Plain, clobber=True)
    yield "plain-test://host/x"
    from fsspec.registry import _registry  # noqa: PLC0415 - it has no way back

    del _registry["plain-test"]


def test_a_filesystem_that_cannot_rename(plain):
    """Without a rename a put could show half an object: refused, unless it is said."""
    with pytest.raises(InvalidConfigError, match="cannot rename") as caught:
        open_filesystem_store({"url": plain})
    store = open_filesystem_store({"url": plain, "writesInPlace": "false"})

    assert "writesInPlace: false" in caught.value.hint
    assert not isinstance(store, TidyStore)
    assert store.capabilities == frozenset()


def test_what_a_filesystem_says_of_its_options_shows_no_secret(plain, tmp_path):
    """A refused option is an error of ours, without the secrets that it repeats."""
    file = tmp_path / "secrets"
    file.write_text('{"password": "geheim"}')
    store = open_filesystem_store(
        {
            "url": plain,
            "writesInPlace": "false",
            "mode": "y",
            "credentialsFile": str(file),
        }
    )

    with pytest.raises(InvalidConfigError, match=r"no such mode for \*\*\*") as caught:
        store.stat("backups/b/x")

    assert caught.value.__cause__ is None


def test_the_network_is_not_touched_before_it_is_needed():
    """Opening a location connects to nobody; what it can do is known."""
    store = open_filesystem_store({"url": "sftp://host.invalid/x"})

    assert store.capabilities == {Capability.RANGE}
    assert isinstance(store, TidyStore)
    store.close()


@pytest.mark.parametrize("key", ["backups/%41", "backups/a?b", "backups/a#b"])
def test_names_that_a_filesystem_takes_for_something_else(key):
    """A key that would become another one is refused before anything is sent."""
    store = open_filesystem_store(
        {"url": "webdav://x", "base_url": "http://host.invalid"}
    )

    with pytest.raises(StoreAccessError, match="can keep no name with"):
        store.put(key, b"x")


def test_an_address_to_show():
    """A location is shown by its address, bucket and prefix, without its options."""
    spec = BackupStorageLocationSpec(
        provider="kbackup.io/fsspec",
        config={"url": "sftp://kb@host:22/srv", "username": "x"},
        object_storage=ObjectStorage(bucket="b", prefix="p/q"),
    )

    assert address_of(spec) == "sftp://kb@host:22/srv/b/p/q"


def test_the_store_of_an_address_is_named_by_it():
    """What a backup store calls itself is the address, without the query."""
    with BackupStore.open("ftp://host/srv?tls=true") as store:
        assert store.url == "ftp://host/srv"


def test_a_location_of_the_generic_provider():
    """A location object names provider, address and bucket; fsspec's memory is one."""
    spec = BackupStorageLocationSpec(
        provider="kbackup.io/fsspec",
        config={"url": "memory://generic-test"},
        object_storage=ObjectStorage(bucket="b", prefix="p"),
    )
    plugins = PluginManager()
    location = location_from("memory://x", plugins)
    store = open_object_store(
        type(location)(metadata=location.metadata, spec=spec), plugins
    )

    store.put("backups/b/x", b"x")

    assert fsspec.filesystem("memory").cat("/generic-test/b/p/backups/b/x") == b"x"
    store.delete("backups/b/x")


def test_a_claimed_scheme_goes_to_its_plugin():
    """A plugin that claims a scheme gets its addresses, though fsspec knows them too."""

    def ours(url):
        return BackupStorageLocationSpec(provider="example.com/ftp", config={"x": "y"})

    module = types.ModuleType("example_ftp")

    @hookimpl
    def kbackup_register_object_stores():
        factory = ObjectStoreFactory(
            open=lambda config: None, from_url=ours, schemes=("ftp",)
        )
        return {"example.com/ftp": factory}

    module.kbackup_register_object_stores = kbackup_register_object_stores
    import kbackup_plugins_fsspec  # noqa: PLC0415 - as a module

    plugins = PluginManager([kbackup_plugins_fsspec, module])

    assert plugins.spec_for_url("ftp://h/x").provider == "example.com/ftp"
    assert plugins.spec_for_url("sftp://h/x").provider == "kbackup.io/fsspec"


def test_a_scheme_that_nobody_knows():
    """It is told which others the generic plugin would take, and those it takes."""
    plugins = PluginManager()

    with pytest.raises(UnknownLocationError) as caught:
        plugins.spec_for_url("gopher://h/x")

    told = re.findall(r"(\w+)://", caught.value.hint)
    assert "sftp" in told
    for scheme in told:
        assert plugins.spec_for_url(f"{scheme}://h/x").provider == "kbackup.io/fsspec"


def test_without_the_generic_plugin():
    """Where it is left out an unclaimed scheme is unknown."""
    plugins = PluginManager(disable=("fsspec",))

    with pytest.raises(UnknownLocationError, match="no plugin knows addresses sftp://"):
        plugins.spec_for_url("sftp://h/x")


def test_an_address_that_cannot_be_told():
    """A plugin that fails to show an address is named, and its words are not repeated."""

    def failing(spec):
        raise RuntimeError("geheim")

    factory = ObjectStoreFactory(
        open=lambda config: MemoryStore(),
        from_url=lambda url: BackupStorageLocationSpec(provider="example.com/x"),
        to_url=failing,
        schemes=("x",),
    )
    module = types.ModuleType("example_x")

    @hookimpl
    def kbackup_register_object_stores():
        return {"example.com/x": factory}

    module.kbackup_register_object_stores = kbackup_register_object_stores

    with pytest.raises(PluginError, match="could not tell the address") as caught:
        BackupStore.open("x://y", plugins=PluginManager([module]))

    assert "geheim" not in str(caught.value)


def test_connections_are_waited_for_in_their_time():
    """With all connections lent a call ends in its time; given back they serve again."""
    lent, done = threading.Event(), threading.Event()
    connections = Connections(_Plain, lambda filesystem: None, most=1)

    def hold(filesystem):
        lent.set()
        done.wait(30)

    holder = threading.Thread(target=connections.run, args=("a", 30, hold))
    holder.start()
    lent.wait(30)
    with pytest.raises(StoreUnavailableError, match="all 1 connections were busy"):
        connections.run("b", 0.01, lambda filesystem: None)
    done.set()
    holder.join()

    assert connections.run("b", 30, lambda filesystem: filesystem.ls("")) == []
