"""What a volume snapshot location's configuration says of managed disks."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kbackup.errors import InvalidConfigError
from kbackup_plugins_azure._disks_config import read_disks_config

LINES = {"AZURE_SUBSCRIPTION_ID": "sub-1", "AZURE_RESOURCE_GROUP": "cluster"}


@pytest.fixture
def written(tmp_path):
    """A function: a configuration whose credentials file has *lines*."""

    def write(lines=None, **config):
        file = tmp_path / "credentials"
        lines = {**LINES, **(lines or {})}
        file.write_text("".join(f"{name}={text}\n" for name, text in lines.items()))
        return {"credentialsFile": str(file), **config}

    return write


def test_the_config_of_velero(written):
    """Every key of Velero's plugin is read."""
    settings = read_disks_config(
        written(
            {"AZURE_CLIENT_SECRET": "s3cret", "AZURE_TENANT_ID": "t"}
            | {"AZURE_CLIENT_ID": "c", "AZURE_CLOUD_NAME": "AzureUSGovernmentCloud"},
            resourceGroup="backups",
            subscriptionId="sub-2",
            apiTimeout="5m",
            incremental="true",
            tags="cost = 1 , team=a=b",
            activeDirectoryAuthorityURI="https://login.example.com/",
        )
    )

    assert (settings.cluster.subscription, settings.cluster.group) == (
        "sub-1",
        "cluster",
    )
    assert settings.snapshots.subscription == "sub-2"
    assert settings.snapshots.group == "backups"
    assert settings.operation == settings.timeouts.transfer == timedelta(minutes=5)
    assert settings.incremental is True
    assert settings.tags == {"cost": "1", "team": "a=b"}
    assert settings.authority == "https://login.example.com"
    assert settings.manager == "https://management.usgovcloudapi.net"
    assert "s3cret" not in repr(settings)


def test_what_velero_takes_where_nothing_is_said(written):
    """Snapshots go beside the disks, and two minutes are given for each."""
    settings = read_disks_config(written())

    assert settings.snapshots == settings.cluster
    assert settings.operation == settings.timeouts.transfer == timedelta(minutes=2)
    assert settings.timeouts.request == timedelta(seconds=30)
    assert settings.incremental is None
    assert settings.tags == {}
    assert settings.manager == "https://management.azure.com"


def test_times_of_our_own(written):
    """A volume may have a time of its own, and each request one."""
    settings = read_disks_config(
        written(apiTimeout="1m", transferTimeout="1h", requestTimeout="5s")
    )

    assert settings.operation == timedelta(minutes=1)
    assert settings.timeouts.transfer == timedelta(hours=1)
    assert settings.timeouts.request == timedelta(seconds=5)


def test_a_cloud_of_its_own(written):
    """The credentials file says where its manager is."""
    lines = {"AZURE_CLOUD_NAME": "AzureStackCloud"}
    with pytest.raises(InvalidConfigError) as caught:
        read_disks_config(written(lines))
    assert "AZURE_RESOURCE_MANAGER_ENDPOINT" in caught.value.hint

    lines["AZURE_RESOURCE_MANAGER_ENDPOINT"] = "https://management.local.example.com/"
    settings = read_disks_config(written(lines))
    assert settings.manager == "https://management.local.example.com"


def test_the_file_is_not_mixed_with_the_environment(written, monkeypatch):
    """Where there is a file, variables say nothing; without one they do."""
    monkeypatch.setenv("AZURE_SUBSCRIPTION_ID", "sub-9")
    monkeypatch.setenv("AZURE_RESOURCE_GROUP", "elsewhere")
    monkeypatch.setenv("AZURE_CLOUD_NAME", "AzureChinaCloud")

    settings = read_disks_config(written())
    assert settings.cluster.subscription == "sub-1"
    assert settings.has_file
    assert settings.authority == "https://login.microsoftonline.com"

    settings = read_disks_config({})
    assert settings.cluster.subscription == "sub-9"
    assert settings.cluster.group == "elsewhere"
    assert not settings.has_file
    assert settings.authority == "https://login.chinacloudapi.cn"


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"apiVersion": "2020"}, "apiVersion"),
        ({"resourcegroup": "x"}, "resourcegroup"),
        ({"incremental": "perhaps"}, "incremental"),
        ({"apiTimeout": "soon"}, "apiTimeout"),
        ({"apiTimeout": "0s"}, "apiTimeout"),
        ({"requestTimeout": "-1s"}, "requestTimeout"),
        ({"tags": "team"}, "key=value"),
        ({"tags": "=x"}, "key=value"),
        ({"tags": "a=b,,c=d"}, "key=value"),
        ({"tags": "velero.io/x=y"}, "key=value"),
        ({"resourceGroup": "../x"}, "resourceGroup"),
        ({"subscriptionId": "a/b"}, "subscriptionId"),
        ({"credentialsFile": "/not/there"}, "/not/there"),
        ({"activeDirectoryAuthorityURI": "login"}, "activeDirectoryAuthorityURI"),
    ],
)
def test_what_has_no_meaning(written, config, told):
    """A configuration that cannot be meant is refused, with the key or the value."""
    with pytest.raises(InvalidConfigError, match=told):
        read_disks_config({**written(), **config})


def test_unknown_keys_are_told_with_those_known(written):
    """Who mistypes a key sees which there are."""
    with pytest.raises(InvalidConfigError) as caught:
        read_disks_config(written(snapshotGroup="x"))

    assert "resourceGroup" in caught.value.hint
    assert "apiTimeout" in caught.value.hint


def test_where_the_disks_are_must_be_told(written):
    """Without the cluster's group a disk of another may have the name."""
    with pytest.raises(InvalidConfigError, match="AZURE_RESOURCE_GROUP"):
        read_disks_config(written({"AZURE_RESOURCE_GROUP": ""}, resourceGroup="x"))
    with pytest.raises(InvalidConfigError, match="AZURE_SUBSCRIPTION_ID and"):
        read_disks_config({})


def test_half_an_identity(written):
    """A secret of nobody is told when the snapshotter is opened."""
    with pytest.raises(InvalidConfigError, match="AZURE_TENANT_ID") as caught:
        read_disks_config(written({"AZURE_CLIENT_SECRET": "s3cret"}))

    assert "s3cret" not in str(caught.value)
