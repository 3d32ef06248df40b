"""What a location's configuration says of S3: read, checked, without any SDK.

Source: velero-plugin-for-aws, "backupstoragelocation.md".
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from kbackup.errors import InvalidConfigError
from kbackup.models import BackupStorageLocationSpec
from kbackup.stores import (
    Timeouts,
    check_known,
    read_boolean,
    read_file_name,
    read_url,
    spec_from_address,
)

PROVIDER = "velero.io/aws"

_READ = {
    "region",
    "s3Url",
    "s3ForcePathStyle",
    "profile",
    "credentialsFile",
    "insecureSkipTLSVerify",
    "serverSideEncryption",
    "kmsKeyId",
    "objectLockMode",
    "requestTimeout",
    "transferTimeout",
}
# Of Velero's plugin, and without effect here: where signed addresses point to, how
# requests are signed (always version 4), whether ~/.aws/config is read (always), which
# checksum goes along with an upload (what we wrote is checked by SHA-256 when read).
_WITHOUT_EFFECT = {
    "publicUrl",
    "signatureVersion",
    "enableSharedConfig",
    "checksumAlgorithm",
}
_KNOWN = _READ | _WITHOUT_EFFECT
_LOCK_MODES = {"", "GOVERNANCE", "COMPLIANCE"}
_SSE_BY_KEY = "aws:kms"


@attrs.frozen(kw_only=True)
class S3Config:
    """How to reach a bucket.

    Attributes:
        region: Empty: that of the profile, else ``us-east-1``; S3 redirects from there.
        url: Of a server other than Amazon's.
        path_style: Whether the bucket is a part of the path, not of the host name.
        profile: In the credentials file.
        credentials_file: With it, credentials of the environment are not used.
        ca_cert: PEM; nothing else is trusted then.
        verify_tls: False only where the location says so.
        encryption: The algorithm for the server-side encryption, or empty.
        kms_key: Its key, or empty.
        lock_mode: How objects are locked; empty: they cannot be.
        timeouts: Total times of the calls.
    """

    bucket: str
    region: str = ""
    url: str = ""
    path_style: bool = False
    profile: str = ""
    credentials_file: str = attrs.field(default="", repr=False)
    ca_cert: str = attrs.field(default="", repr=False)
    verify_tls: bool = True
    encryption: str = ""
    kms_key: str = attrs.field(default="", repr=False)
    lock_mode: str = ""
    timeouts: Timeouts = attrs.field(factory=Timeouts)


def read_config(config: Mapping[str, str]) -> S3Config:
    """Return what *config* says.

    Raises:
        InvalidConfigError: A key is unknown, a value has no meaning, the bucket is
            missing, or the credentials file is not there.
    """
    check_known(config, _KNOWN, PROVIDER)
    if not config.get("bucket"):
        raise InvalidConfigError("a location in S3 needs a bucket")
    key = config.get("kmsKeyId", "")
    lock_mode = config.get("objectLockMode", "")
    if lock_mode not in _LOCK_MODES:
        raise InvalidConfigError(
            f"objectLockMode of the location is {lock_mode!r}: "
            "it can be GOVERNANCE or COMPLIANCE"
        )
    return S3Config(
        bucket=config["bucket"],
        region=config.get("region", ""),
        url=read_url(config, "s3Url"),
        path_style=read_boolean(config, "s3ForcePathStyle"),
        profile=config.get("profile", ""),
        credentials_file=read_file_name(config, "credentialsFile", "credentials"),
        ca_cert=config.get("caCert", ""),
        verify_tls=not read_boolean(config, "insecureSkipTLSVerify"),
        encryption=config.get("serverSideEncryption", _SSE_BY_KEY if key else ""),
        kms_key=key,
        lock_mode=lock_mode,
        timeouts=Timeouts.from_config(config),
    )


def s3_spec(url: str) -> BackupStorageLocationSpec:
    """Return the location of ``s3://bucket/prefix?region=...&s3Url=...``.

    Raises:
        InvalidConfigError: It holds a user or a password, or a key that is unknown.
    """
    return spec_from_address(
        url,
        _KNOWN,
        PROVIDER,
        credentials="~/.aws/credentials, the environment or credentialsFile",
    )
