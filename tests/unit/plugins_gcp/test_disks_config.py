"""What a volume snapshot location's configuration says of persistent disks."""

from __future__ import annotations

import pytest

from kbackup.errors import InvalidConfigError
from kbackup.stores import Timeouts
from kbackup_plugins_gcp._disks_config import read_disks_config


def test_the_config_of_velero(tmp_path):
    """Every key of Velero's plugin is read."""
    file = tmp_path / "cloud"
    file.write_text("{}")
    settings = read_disks_config(
        {
            "snapshotLocation": "us-central1",
            "snapshotType": "archive",
            "project": "my-alternate-project",
            "volumeProject": "example.com:shop",
            "credentialsFile": str(file),
        }
    )

    assert settings.snapshot_location == "us-central1"
    assert settings.snapshot_type == "ARCHIVE"
    assert settings.snapshot_project == "my-alternate-project"
    assert settings.volume_project == "example.com:shop"
    assert settings.credentials_file == str(file)
    assert str(file) not in repr(settings)


def test_an_empty_config():
    """Nothing has to be said: the credentials tell the project."""
    settings = read_disks_config({})

    assert settings.snapshot_type == "STANDARD"
    assert not settings.volume_project
    assert not settings.endpoint
    assert settings.timeouts == Timeouts()


def test_our_own_keys():
    """An endpoint, with the path of the API or without, another cloud, and times."""
    config = {
        "computeEndpoint": "https://compute-vpc.p.googleapis.com/compute/v1/",
        "universeDomain": "example.cloud",
        "requestTimeout": "5s",
        "transferTimeout": "2h",
    }

    settings = read_disks_config(config)

    assert settings.endpoint == "https://compute-vpc.p.googleapis.com"
    assert settings.universe == "example.cloud"
    assert settings.timeouts == Timeouts.from_config(config)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"region": "us-central1"}, "region"),
        ({"snapshotlocation": "eu"}, "snapshotlocation"),
        ({"snapshotType": "instant"}, "snapshotType"),
        ({"snapshotLocation": "../eu"}, "snapshotLocation"),
        ({"project": "a/b"}, "project"),
        ({"volumeProject": "a b"}, "volumeProject"),
        ({"credentialsFile": "/not/there"}, "/not/there"),
        ({"computeEndpoint": "compute.example.com"}, "computeEndpoint"),
        ({"computeEndpoint": "https://h/compute/beta"}, "computeEndpoint"),
        ({"universeDomain": "cloud"}, "universeDomain"),
        ({"requestTimeout": "soon"}, "requestTimeout"),
    ],
)
def test_what_has_no_meaning(config, told):
    """A configuration that cannot be meant is refused, with the key or the value."""
    with pytest.raises(InvalidConfigError, match=told):
        read_disks_config(config)


def test_unknown_keys_are_told_with_the_known_ones():
    """Who mistypes a key is told which there are."""
    with pytest.raises(InvalidConfigError) as caught:
        read_disks_config({"snapshot": "eu"})

    for key in ("snapshotLocation", "volumeProject", "computeEndpoint"):
        assert key in caught.value.hint


def test_a_password_in_the_address_is_not_repeated():
    """What may be a secret is not in the message."""
    with pytest.raises(InvalidConfigError) as caught:
        read_disks_config({"computeEndpoint": "https://user:s3cret@host"})

    assert "s3cret" not in str(caught.value)
