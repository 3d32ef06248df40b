"""What a volume snapshot location's configuration says of EBS."""

from __future__ import annotations

import pytest

from kbackup.errors import InvalidConfigError
from kbackup_plugins_aws._ebs_config import read_ebs_config


def test_the_config_of_velero(tmp_path):
    """Every key of Velero's plugin is read."""
    file = tmp_path / "cloud"
    file.write_text("")
    settings = read_ebs_config(
        {
            "region": "eu-west-1",
            "profile": "backup",
            "credentialsFile": str(file),
            "enableSharedConfig": "True",
            "ebsKmsKeyId": "alias/my-key",
        }
    )

    assert (settings.region, settings.profile) == ("eu-west-1", "backup")
    assert settings.credentials_file == str(file)
    assert settings.shared_config
    assert settings.kms_key == "alias/my-key"
    assert not read_ebs_config({"region": "r"}).shared_config
    assert "my-key" not in repr(settings)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({}, "region"),
        ({"region": "r", "altRegion": "s"}, "altRegion"),
        ({"region": "r", "enableSharedConfig": "perhaps"}, "enableSharedConfig"),
        ({"region": "r", "credentialsFile": "/not/there"}, "/not/there"),
        ({"region": "r", "ec2Url": "ec2.example.com"}, "ec2Url"),
        ({"region": "r", "requestTimeout": "soon"}, "requestTimeout"),
    ],
)
def test_what_has_no_meaning(config, told):
    """A configuration that cannot be meant is refused, with the key or the value."""
    with pytest.raises(InvalidConfigError, match=told):
        read_ebs_config(config)


def test_a_password_in_the_address_is_not_repeated():
    """What may be a secret is not in the message."""
    with pytest.raises(InvalidConfigError) as caught:
        read_ebs_config({"region": "r", "ec2Url": "https://user:s3cret@host"})

    assert "s3cret" not in str(caught.value)
