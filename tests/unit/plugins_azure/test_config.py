"""What a location's configuration says of Azure."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from kbackup.errors import InvalidConfigError
from kbackup.models import ObjectStorage
from kbackup.plugins import Capability
from kbackup_plugins_azure import open_blob_store
from kbackup_plugins_azure._config import blob_spec, read_config

BASE = {"bucket": "backups", "storageAccount": "account", "useAAD": "true"}
KEY = "c2VjcmV0LWtleQ=="


@pytest.fixture
def written(tmp_path):
    """A function that writes a credentials file and returns its path."""

    def write(text):
        file = tmp_path / "credentials"
        file.write_text(text)
        return str(file)

    return write


def test_the_config_of_velero(written):
    """Every key that Velero's plugin documents is read."""
    file = written(f"MY_KEY={KEY}\nAZURE_CLOUD_NAME=AzureUSGovernment\n")

    settings = read_config(
        {
            "bucket": "my-bucket",
            "prefix": "my-prefix",
            "resourceGroup": "my-group",
            "storageAccount": "account",
            "storageAccountKeyEnvVar": "MY_KEY",
            "subscriptionId": "my-subscription",
            "storageAccountURI": "account.blob.core.windows.net",
            "useAAD": "true",
            "activeDirectoryAuthorityURI": "https://login.microsoftonline.us/",
            "blockSizeInBytes": "1048576",
            "credentialsFile": file,
        }
    )

    assert (settings.container, settings.account) == ("my-bucket", "account")
    assert settings.url == "https://account.blob.core.windows.net"
    assert settings.account_key == KEY
    assert settings.authority == "https://login.microsoftonline.us"
    assert settings.block_size == 1 << 20


def test_blocks_are_bounded():
    """Blocks are of 16 MiB, and never larger than those of Velero's plugin."""
    assert read_config(BASE).block_size == 16 << 20
    assert read_config(BASE | {"blockSizeInBytes": "500000000"}).block_size == 100 << 20


@pytest.mark.parametrize(
    ("name", "host", "authority"),
    [
        ("", "blob.core.windows.net", "https://login.microsoftonline.com"),
        (
            "AzurePublicCloud",
            "blob.core.windows.net",
            "https://login.microsoftonline.com",
        ),
        (
            "AzureChinaCloud",
            "blob.core.chinacloudapi.cn",
            "https://login.chinacloudapi.cn",
        ),
        (
            "AZUREUSGOVERNMENTCLOUD",
            "blob.core.usgovcloudapi.net",
            "https://login.microsoftonline.us",
        ),
    ],
)
def test_clouds(written, name, host, authority):
    """The credentials file says which of Azure's clouds it is."""
    settings = read_config(
        BASE | {"credentialsFile": written(f"AZURE_CLOUD_NAME={name}\n")}
    )

    assert settings.url == f"https://account.{host}"
    assert settings.authority == authority


def test_a_cloud_of_its_own(written):
    """A cloud that is not Azure's own has to say where its blobs are."""
    config = BASE | {"credentialsFile": written("AZURE_CLOUD_NAME=AzureStack\n")}
    with pytest.raises(InvalidConfigError, match="AZURE_CLOUD_NAME") as caught:
        read_config(config)
    assert "storageAccountURI" in caught.value.hint

    settings = read_config(
        config | {"storageAccountURI": "account.blob.local.azurestack"}
    )

    assert settings.url == "https://account.blob.local.azurestack"


def test_the_key_is_that_of_the_file(written, monkeypatch):
    """The variable is looked up in the file, then in the environment; no other is."""
    monkeypatch.setenv("MY_KEY", "ZW52aXJvbm1lbnQ=")
    monkeypatch.setenv("AZURE_STORAGE_KEY", "b3RoZXI=")
    named = {**BASE, "storageAccountKeyEnvVar": "MY_KEY"}
    file = written(f'export MY_KEY="{KEY}"\n')

    assert read_config(named | {"credentialsFile": file}).account_key == KEY
    assert read_config(named).account_key == "ZW52aXJvbm1lbnQ="
    assert read_config(BASE).account_key == ""


@pytest.mark.parametrize(
    "name", ["AZURE_STORAGE_ACCOUNT_ACCESS_KEY", "AZURE_STORAGE_KEY"]
)
def test_a_key_in_the_file_is_used(written, name):
    """A key under its usual name needs not be named, but an identity goes before it."""
    config = BASE | {"credentialsFile": written(f"{name}={KEY}\n")}

    assert read_config(config | {"useAAD": ""}).account_key == KEY
    assert read_config(config).account_key == ""


def test_the_key_is_asked_for_as_velero_does():
    """Without useAAD the resource manager is asked for the key, where that can be."""
    config = BASE | {"useAAD": "", "resourceGroup": "group", "subscriptionId": "id"}

    assert read_config(config).key_source == (
        "https://management.azure.com/subscriptions/id/resourceGroups/group/providers"
        "/Microsoft.Storage/storageAccounts/account/listKeys"
    )
    assert read_config(config | {"useAAD": "true"}).key_source == ""
    assert read_config(BASE | {"useAAD": ""}).key_source == ""


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("storageaccounturi", "storageAccountURI"),
        ("useAad", "useAAD"),
        ("subscriptionID", "subscriptionId"),
        ("blockSize", "blockSizeInBytes"),
    ],
)
def test_a_slip_in_a_key(slip, meant):
    """Of a key that is unknown it is told which one may be meant, in an address too."""
    with pytest.raises(InvalidConfigError) as given:
        read_config(BASE | {slip: "x"})
    with pytest.raises(InvalidConfigError) as address:
        blob_spec(f"az://backups?{slip}=x")

    assert given.value.hint.startswith(f"{meant} may be meant; known are: ")
    assert address.value.hint == f"{meant} may be meant"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"bucket": ""}, "needs a bucket"),
        ({"bucket": "ab"}, "no name of a container"),
        ({"bucket": "Backups"}, "no name of a container"),
        ({"bucket": "a--b"}, "no name of a container"),
        ({"storageAccount": ""}, "needs a storageAccount"),
        ({"storageAccount": "my-account"}, "storageAccount"),
        ({"storageAccountURI": "https://u:secret@host"}, "no address"),
        ({"storageAccountURI": "https://host?sig=secret"}, "query"),
        ({"activeDirectoryAuthorityURI": "login.microsoftonline.us"}, "no address"),
        ({"useAAD": "yes"}, "not true or false"),
        ({"useAAD": "false"}, "resourceGroup and subscriptionId"),
        ({"useAAD": "", "resourceGroup": "g"}, "resourceGroup and subscriptionId"),
        ({"storageAccountKeyEnvVar": "NOT_THERE"}, "names NOT_THERE"),
        ({"blockSizeInBytes": "0"}, "blockSizeInBytes"),
        ({"blockSizeInBytes": "8Mi"}, "blockSizeInBytes"),
        ({"immutabilityMode": "COMPLIANCE"}, "unlocked or locked"),
        ({"immutabilityDays": "30"}, "no immutabilityMode"),
        ({"immutabilityDays": "0", "immutabilityMode": "locked"}, "1 to 146000"),
        ({"immutabilityDays": "soon", "immutabilityMode": "locked"}, "1 to 146000"),
        ({"credentialsFile": "/not/there"}, "/not/there"),
        ({"requestTimeout": "soon"}, "requestTimeout"),
        ({"caCert": "no certificate"}, "caCert"),
    ],
    ids=str,
)
def test_configs_that_cannot_be_meant(more, words):
    """What we cannot honour is refused, not passed over; secrets are not repeated."""
    with pytest.raises(InvalidConfigError, match=words) as caught:
        open_blob_store(BASE | more)

    assert "secret" not in str(caught.value)


def test_a_key_that_is_none(monkeypatch):
    """A key that is no Base64 is told by its name, when the location is opened."""
    monkeypatch.setenv("MY_KEY", "secret!")

    with pytest.raises(InvalidConfigError, match="MY_KEY is no key") as caught:
        open_blob_store(BASE | {"storageAccountKeyEnvVar": "MY_KEY"})

    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("scheme", ["az", "azure", "abfs", "abfss"])
def test_addresses(scheme):
    """An address has container and prefix; its query is the config."""
    spec = blob_spec(
        f"{scheme}://backups/some/prefix?storageAccount=account&useAAD=true"
    )

    assert spec.provider == "velero.io/azure"
    assert spec.object_storage == ObjectStorage(bucket="backups", prefix="some/prefix")
    assert spec.config == {"storageAccount": "account", "useAAD": "true"}


def test_addresses_of_hadoop():
    """An address may have the account in its host, as other tools write it."""
    spec = blob_spec("abfss://backups@account.dfs.core.windows.net/p?useAAD=true")

    assert spec.object_storage == ObjectStorage(bucket="backups", prefix="p")
    assert spec.config == {"storageAccount": "account", "useAAD": "true"}


@pytest.mark.parametrize(
    "url",
    [
        "az://account:secret@backups/p",
        "abfs://backups:secret@account.dfs.core.windows.net/p",
        "az://backups@account.dfs.core.windows.net/p",
        "az://backups/p?sig=secret",
        "az://backups/p?storageAccount=a&storageAccount=b",
        "abfs://backups@account.dfs.core.windows.net/p?storageAccount=other",
        "az://backups/p#x",
    ],
)
def test_addresses_that_cannot_be_meant(url):
    """Credentials, unknown or repeated keys in an address are refused, not repeated."""
    with pytest.raises(InvalidConfigError) as caught:
        blob_spec(url)

    assert "secret" not in str(caught.value)


def test_secrets_are_not_shown(written):
    """Neither the settings nor the store show keys or secrets."""
    file = written(f"MY_KEY={KEY}\nAZURE_CLIENT_SECRET=the-secret\n")
    config = {**BASE, "storageAccountKeyEnvVar": "MY_KEY", "credentialsFile": file}

    settings, store = read_config(config), open_blob_store(config)

    for shown in (repr(settings), repr(store), repr(store._account)):
        assert KEY not in shown
        assert "the-secret" not in shown


def test_opening_touches_neither_network_nor_environment():
    """A store is opened without a connection, and the environment stays as it was."""
    before = dict(os.environ)

    store = open_blob_store(BASE)
    assert store._account._session is None
    store.close()

    assert dict(os.environ) == before


def test_capabilities():
    """Creates are always atomic; objects are locked where a mode says how."""
    plain = open_blob_store(BASE)
    days = {"immutabilityMode": "Unlocked", "immutabilityDays": "30"}
    locking = open_blob_store(BASE | days)

    wanted = {Capability.ATOMIC_CREATE, Capability.RANGE, Capability.SIGNED_URL}
    assert plain.capabilities == wanted
    assert locking.capabilities == {*wanted, Capability.RETENTION}
    assert (plain.lock_for, locking.lock_for) == (None, timedelta(days=30))


SAS = {"bucket": "backups", "storageAccount": "account"}
SAS |= {"storageAccountSASTokenEnvVar": "MY_SAS"}


def test_a_signature_comes_before_keys(written):
    """With it neither the key of the file nor an identity is used; it shows nowhere."""
    file = written(f"MY_SAS=?sv=2024&sig=c2VjcmV0\nAZURE_STORAGE_KEY={KEY}\n")
    endpoint = "https://account.z17.blob.storage.azure.net/"

    settings = read_config(
        {**SAS, "credentialsFile": file, "storageAccountBlobEndpoint": endpoint}
    )

    assert settings.sas_token == "sv=2024&sig=c2VjcmV0"
    assert (settings.account_key, settings.key_source) == ("", "")
    assert settings.url == endpoint.rstrip("/")
    assert "c2VjcmV0" not in repr(settings)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({}, "MY_SAS"),
        ({"useAAD": "true"}, "useAAD"),
        ({"storageAccountSASTokenEnvVar": "NOT_SIGNED"}, "no shared access signature"),
        (
            {
                "storageAccountURI": "https://a.example.com",
                "storageAccountBlobEndpoint": "https://b.example.com",
            },
            "differ",
        ),
    ],
    ids=["not there", "and an identity", "not signed", "two endpoints"],
)
def test_signatures_that_cannot_be_meant(monkeypatch, more, named):
    """What is missing, or said twice, is named; no value is repeated."""
    monkeypatch.delenv("MY_SAS", raising=False)
    monkeypatch.setenv("NOT_SIGNED", "geheim")
    if "storageAccountURI" in more:
        monkeypatch.setenv("MY_SAS", "sig=x")

    with pytest.raises(InvalidConfigError, match=named) as caught:
        read_config({**SAS, **more})

    assert "geheim" not in str(caught.value)
