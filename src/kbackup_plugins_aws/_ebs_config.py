"""What a volume snapshot location's configuration says of EBS: read, without any SDK.

Source: velero-plugin-for-aws, "volumesnapshotlocation.md".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import attrs

from kbackup.errors import InvalidConfigError
from kbackup.stores import Timeouts
from kbackup_plugins_aws._config import PROVIDER

_KNOWN = {
    "region",
    "profile",
    "credentialsFile",
    "enableSharedConfig",
    "ebsKmsKeyId",
    "ec2Url",
    "requestTimeout",
    "transferTimeout",
}
_CLUSTER_VARIABLE = "AWS_CLUSTER_NAME"  # of the environment, as Velero's plugin has it
_TRUTHS = {"": False, "false": False, "f": False, "0": False}
_TRUTHS |= {"true": True, "t": True, "1": True}


@attrs.frozen(kw_only=True)
class EBSConfig:
    """How to reach EBS in one region.

    Attributes:
        region: Where the volumes are; their snapshots are there, too.
        profile: In the credentials file.
        credentials_file: With it, credentials of the environment are not used.
        shared_config: Whether that file is a configuration as well, with roles.
        kms_key: With which volumes from snapshots are encrypted; empty: as these are.
        url: Of another endpoint, such as one in a VPC.
        cluster: Which owns new volumes by their tags; empty: the one of the snapshot.
        timeouts: Total times of the calls.
    """

    region: str
    profile: str = ""
    credentials_file: str = attrs.field(default="", repr=False)
    shared_config: bool = False
    kms_key: str = attrs.field(default="", repr=False)
    url: str = ""
    cluster: str = ""
    timeouts: Timeouts = attrs.field(factory=Timeouts)


def read_ebs_config(config: Mapping[str, str]) -> EBSConfig:
    """Return what *config* says.

    Raises:
        InvalidConfigError: A key is unknown, a value has no meaning, the region is
            missing, or the credentials file is not there.
    """
    # Velero's plugin refuses what it does not know, too; altRegion of its first
    # versions had no effect, and whoever writes it counts on copies that nobody makes.
    if unknown := sorted(config.keys() - _KNOWN):
        raise InvalidConfigError(
            f"{PROVIDER} does not know the config of the volume snapshot location: "
            f"{', '.join(unknown)}",
            hint=f"known are: {', '.join(sorted(_KNOWN))}",
        )
    if not config.get("region"):
        raise InvalidConfigError("a volume snapshot location in EBS needs a region")
    shared = config.get("enableSharedConfig", "").lower()
    if shared not in _TRUTHS:
        raise InvalidConfigError(
            f"enableSharedConfig of the location is {shared!r}, not true or false"
        )
    return EBSConfig(
        region=config["region"],
        profile=config.get("profile", ""),
        credentials_file=_file(config.get("credentialsFile", "")),
        shared_config=_TRUTHS[shared],
        kms_key=config.get("ebsKmsKeyId", ""),
        url=_url(config.get("ec2Url", "")),
        cluster=os.environ.get(_CLUSTER_VARIABLE, ""),
        timeouts=Timeouts.from_config(config),
    )


def _file(path: str) -> str:
    if path and not Path(path).is_file():
        raise InvalidConfigError(f"the credentials file {path} is not there")
    return path


def _url(text: str) -> str:
    parts = urlsplit(text)
    usable = parts.scheme in {"http", "https"} and parts.hostname
    if text and (
        not usable or "@" in parts.netloc
    ):  # not repeated: a password, perhaps
        raise InvalidConfigError(
            "ec2Url of the location is no address http://host or https://host"
        )
    return text.rstrip("/")
