"""What a location's configuration says of S3: read, checked, without any SDK.

Source: velero-plugin-for-aws, "backupstoragelocation.md".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl

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
from kbackup_plugins_aws._checksums import ALGORITHMS, is_available

PROVIDER = "velero.io/aws"

_KNOWN = sorted(
    {
        "region",
        "s3Url",
        "publicUrl",
        "s3ForcePathStyle",
        "signatureVersion",
        "profile",
        "credentialsFile",
        "enableSharedConfig",
        "insecureSkipTLSVerify",
        "serverSideEncryption",
        "kmsKeyId",
        "customerKeyEncryptionFile",
        "tagging",
        "checksumAlgorithm",
        "objectLockMode",
        "objectLockDays",
        "requestTimeout",
        "transferTimeout",
    }
)
# Of Velero's plugin, and not to be honoured without a cluster.
_REFUSED = {
    "customerKeyEncryptionSecret": "write the value of the Secret to a file and name "
    "it as customerKeyEncryptionFile",
}
_LOCK_MODES = {"", "GOVERNANCE", "COMPLIANCE"}
_SSE_BY_KEY = "aws:kms"
_CUSTOMER_KEY = 32  # bytes, of AES-256
_MOST_TAGS, _MOST_TAG_KEY, _MOST_TAG_VALUE = 10, 128, 256  # S3 API, "Object tagging"
_DEFAULT_CHECKSUM = "CRC32"  # as Velero
_MOST_LOCK_DAYS = 36_500  # S3 takes a hundred years


@attrs.frozen(kw_only=True)
class S3Config:
    """How to reach a bucket.

    Attributes:
        region: Empty: that of the profile, else ``us-east-1``; S3 redirects from there.
        url: Of a server other than Amazon's.
        public_url: What signed addresses begin with; empty: as *url*.
        path_style: Whether the bucket is a part of the path, not of the host name.
        profile: In the credentials file.
        credentials_file: With it, credentials of the environment are not used.
        ca_cert: PEM; nothing else is trusted then.
        verify_tls: False only where the location says so.
        encryption: The algorithm for the server-side encryption, or empty.
        kms_key: Its key, or empty.
        customer_key: 32 bytes that S3 encrypts with and forgets, or empty.
        tagging: Of every object, in the form of a query, or empty.
        checksum: The algorithm of the checksum that goes with an upload, or empty.
        lock_mode: How objects are locked; empty: they cannot be.
        lock_for: How long the objects of a backup are locked; None: they are not.
        timeouts: Total times of the calls.
    """

    bucket: str
    region: str = ""
    url: str = ""
    public_url: str = ""
    path_style: bool = False
    profile: str = ""
    credentials_file: str = attrs.field(default="", repr=False)
    ca_cert: str = attrs.field(default="", repr=False)
    verify_tls: bool = True
    encryption: str = ""
    kms_key: str = attrs.field(default="", repr=False)
    customer_key: bytes = attrs.field(default=b"", repr=False)
    tagging: str = ""
    checksum: str = ""
    lock_mode: str = ""
    lock_for: timedelta | None = None
    timeouts: Timeouts = attrs.field(factory=Timeouts)


def read_config(config: Mapping[str, str]) -> S3Config:
    """Return what *config* says.

    Raises:
        InvalidConfigError: A key is unknown, a value has no meaning, the bucket is
            missing, or a file that is named is not there.
    """
    _refuse_unknown(config)
    if not config.get("bucket"):
        raise InvalidConfigError("a location in S3 needs a bucket")
    # Only so that a slip shows: the file is read as both in any case, as Velero does.
    read_boolean(config, "enableSharedConfig")
    _check_signature(config.get("signatureVersion", ""))
    url = read_url(config, "s3Url")
    key, lock_mode = config.get("kmsKeyId", ""), _lock_mode(config)
    return S3Config(
        bucket=config["bucket"],
        region=config.get("region", ""),
        url=url,
        public_url=read_url(config, "publicUrl"),
        path_style=read_boolean(config, "s3ForcePathStyle"),
        profile=config.get("profile", ""),
        credentials_file=read_file_name(config, "credentialsFile", "credentials"),
        ca_cert=config.get("caCert", ""),
        verify_tls=not read_boolean(config, "insecureSkipTLSVerify"),
        encryption=config.get("serverSideEncryption", _SSE_BY_KEY if key else ""),
        kms_key=key,
        customer_key=_customer_key(config),
        tagging=_tagging(config.get("tagging", "")),
        checksum=_checksum(config, foreign=bool(url)),
        lock_mode=lock_mode,
        lock_for=_lock_for(config, lock_mode),
        timeouts=Timeouts.from_config(config),
    )


def _refuse_unknown(config: Mapping[str, str]) -> None:
    """Refuse what cannot be honoured: data would be stored otherwise than was asked."""
    for key in sorted(config.keys() & _REFUSED.keys()):
        raise InvalidConfigError(
            f"{PROVIDER} cannot read {key} of the location", hint=_REFUSED[key]
        )
    check_known(config, _KNOWN, PROVIDER)


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


def _check_signature(version: str) -> None:
    """Refuse what nobody signs any more.

    Source: velero-plugin-for-aws 1.14 knows the key, does not read it, and signs by
    version 4 whatever it says.
    """
    if version not in {"", "4"}:
        raise InvalidConfigError(
            f"signatureVersion of the location is {version!r}: only 4 can be signed",
            hint="remove it; Velero's plugin signs by version 4 whatever it says",
        )


def _customer_key(config: Mapping[str, str]) -> bytes:
    """Read the key of ``customerKeyEncryptionFile``; no message repeats it."""
    path = config.get("customerKeyEncryptionFile", "")
    if not path:
        return b""
    if config.get("kmsKeyId") or config.get("serverSideEncryption"):
        raise InvalidConfigError(
            "the location has customerKeyEncryptionFile beside kmsKeyId or "
            "serverSideEncryption: an object is encrypted one way only"
        )
    try:
        with Path(path).open("rb") as file:
            key = file.read(_CUSTOMER_KEY + 1)
    except OSError as exc:
        raise InvalidConfigError(
            f"customerKeyEncryptionFile {path} cannot be read: {exc.strerror}"
        ) from exc
    if len(key) != _CUSTOMER_KEY:
        found = "more" if len(key) > _CUSTOMER_KEY else str(len(key))
        raise InvalidConfigError(
            f"customerKeyEncryptionFile {path} has {found} bytes: a key has "
            f"{_CUSTOMER_KEY}",
            hint="a line end after the key counts as well",
        )
    return key


def _tagging(text: str) -> str:
    """Return the tags if S3 takes them."""
    if not text:
        return ""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        pairs = []
    names = {key for key, _ in pairs}
    if (
        not 0 < len(names) == len(pairs) <= _MOST_TAGS
        or not all(0 < len(key) <= _MOST_TAG_KEY for key in names)
        or any(len(value) > _MOST_TAG_VALUE for _, value in pairs)
    ):
        raise InvalidConfigError(
            f"tagging of the location is not key=value&key=value, with up to "
            f"{_MOST_TAGS} different keys of up to {_MOST_TAG_KEY} characters and "
            f"values of up to {_MOST_TAG_VALUE}"
        )
    return text


def _checksum(config: Mapping[str, str], *, foreign: bool) -> str:
    """Return the algorithm that goes with an upload.

    Without the key it is Velero's with Amazon's own servers; many of the others refuse
    every checksum, and what we wrote is checked by its SHA-256 when it is read.
    """
    default = "" if foreign else _DEFAULT_CHECKSUM
    name = config.get("checksumAlgorithm", default)
    if name and name not in ALGORITHMS:
        raise InvalidConfigError(
            f"checksumAlgorithm of the location is {name!r}: "
            f"it can be empty or one of {', '.join(ALGORITHMS)}"
        )
    if name and not is_available(name):
        raise InvalidConfigError(
            f"checksumAlgorithm of the location is {name}, which needs awscrt",
            hint="pip install awscrt, or take CRC32",
        )
    return name


def _lock_mode(config: Mapping[str, str]) -> str:
    mode = config.get("objectLockMode", "")
    if mode not in _LOCK_MODES:
        raise InvalidConfigError(
            f"objectLockMode of the location is {mode!r}: "
            "it can be GOVERNANCE or COMPLIANCE"
        )
    return mode


def _lock_for(config: Mapping[str, str], mode: str) -> timedelta | None:
    text = config.get("objectLockDays", "")
    if not text:
        return None
    if not mode:
        raise InvalidConfigError(
            "the location has objectLockDays and no objectLockMode",
            hint="objectLockMode is GOVERNANCE or COMPLIANCE",
        )
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= _MOST_LOCK_DAYS):
        raise InvalidConfigError(
            f"objectLockDays of the location is {text[:20]!r}: "
            f"it can be 1 to {_MOST_LOCK_DAYS}"
        )
    return timedelta(days=int(text))
