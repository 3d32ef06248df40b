"""What a provider is listed with is what its stores declare, each as its location has it."""

import json
import os
from base64 import b64encode

import pytest

from kbackup.cli import main
from kbackup.models import (
    BackupStorageLocation,
    BackupStorageLocationSpec,
    ObjectMeta,
    ObjectStorage,
)
from kbackup.plugins import PluginManager
from kbackup.stores import open_object_store

KEY = b64encode(b"0" * 64).decode()
# By provider the locations whose stores can do most, and such as can do less.
LOCATIONS = {
    "kbackup.io/local": [{"path": "/tmp/x"}, {"path": "/tmp/x#/tmp/y"}],  # noqa: S108
    "kbackup.io/memory": [{}],
    "kbackup.io/fsspec": [
        {"url": "sftp://user@host.example.com/backups"},
        {"url": "memory://bucket"},
    ],
    "velero.io/aws": [
        {"region": "r", "objectLockMode": "GOVERNANCE", "objectLockDays": "7"},
        {"region": "r"},
        {"region": "r", "customerKeyEncryptionFile": "customer.key"},
    ],
    "velero.io/azure": [
        {"immutabilityMode": "unlocked", "immutabilityDays": "7"},
        {},
    ],
    "velero.io/gcp": [
        {"objectRetentionMode": "Unlocked", "objectRetentionDays": "7"},
        {},
    ],
}


@pytest.fixture(name="plugins")
def fixture_plugins():
    """What is installed."""
    return PluginManager()


@pytest.fixture
def opened(plugins, tmp_path, monkeypatch):
    """A function that opens a location, with credentials of nobody; nothing is sent."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "customer.key").write_bytes(os.urandom(32))
    (tmp_path / "azure").write_text(f"AZURE_STORAGE_ACCOUNT_ACCESS_KEY={KEY}\n")
    more = {
        "velero.io/azure": {
            "storageAccount": "account",
            "credentialsFile": str(tmp_path / "azure"),
        },
        "velero.io/gcp": {"storeEndpoint": "https://127.0.0.1:1"},
    }

    def make(provider, config):
        paths = {
            name: str(tmp_path / value)
            for name, value in config.items()
            if value == "customer.key"
        }
        in_bucket = provider.startswith(("velero.io/", "kbackup.io/memory"))
        spec = BackupStorageLocationSpec(
            provider=provider,
            config={**config, **more.get(provider, {}), **paths},
            object_storage=ObjectStorage(bucket="bucket" if in_bucket else ""),
        )
        location = BackupStorageLocation(metadata=ObjectMeta(name="x"), spec=spec)
        return open_object_store(location, plugins)

    return make


def test_every_provider_is_asked(plugins):
    """The table above has every provider that kbackup comes with."""
    assert plugins.object_store_factories.keys() == LOCATIONS.keys()


@pytest.mark.parametrize("provider", LOCATIONS)
def test_a_factory_lists_what_its_stores_can_do_at_most(plugins, opened, provider):
    """The first location's store has all of it, and no location's has more."""
    listed = plugins.object_store_factories[provider].capabilities

    declared = []
    for config in LOCATIONS[provider]:
        store = opened(provider, config)
        declared.append(store.capabilities)
        store.close()

    assert declared[0] == listed
    assert all(each <= listed for each in declared)


def test_the_list_shows_them(capsys):
    """`kbackup plugin get -o json` has them beside each provider."""
    with pytest.raises(SystemExit) as ended:
        main(["plugin", "get", "-o", "json"])

    assert ended.value.code == 0
    listed = json.loads(capsys.readouterr().out)["items"]
    shown = {
        each["name"]: set(each["capabilities"])
        for each in listed
        if each["kind"] == "ObjectStore"
    }
    every = {"atomic-create", "range", "retention", "signed-url"}
    assert shown == {
        "kbackup.io/local": {"atomic-create", "range"},
        "kbackup.io/memory": {"atomic-create", "range"},
        "kbackup.io/fsspec": {"range"},
        "velero.io/aws": every,
        "velero.io/azure": every,
        "velero.io/gcp": every,
    }
