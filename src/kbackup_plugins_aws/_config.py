"""What a location's configuration says of S3: read, checked, without any SDK.

Source: velero-plugin-for-aws, "backupstoragelocation.md".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

from kbackup.errors import InvalidConfigError
from kbackup.models import BackupStorageLocationSpec, ObjectStorage
from kbackup.stores import Timeouts

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
_INJECTED = {"bucket", "prefix", "caCert"}
# Of Velero's plugin, and without effect here: where signed addresses point to, how
# requests are signed (always version 4), whether ~/.aws/config is read (always), which
# checksum goes along with an upload (what we wrote is checked by SHA-256 when read).
_WITHOUT_EFFECT = {
    "publicUrl",
    "signatureVersion",
    "enableSharedConfig",
    "checksumAlgorithm",
}
_KNOWN = sorted(_READ | _WITHOUT_EFFECT)
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
    # A key of Velero's plugin that we cannot honour, such as customerKeyEncryptionFile,
    # must not be passed over: data would be stored otherwise than was asked.
    unknown = sorted(config.keys() - _INJECTED - set(_KNOWN))
    if unknown:
        raise InvalidConfigError(
            f"{PROVIDER} does not know the config of the location: {', '.join(unknown)}",
            hint=f"{_meant(unknown)}known are: {', '.join(_KNOWN)}",
        )
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
        url=_url(config.get("s3Url", "")),
        path_style=_boolean(config, "s3ForcePathStyle"),
        profile=config.get("profile", ""),
        credentials_file=_file(config.get("credentialsFile", "")),
        ca_cert=config.get("caCert", ""),
        verify_tls=not _boolean(config, "insecureSkipTLSVerify"),
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
    parts = urlsplit(url)
    if "@" in parts.netloc:  # not repeated: it may be a password
        raise InvalidConfigError(
            "the address of the location has a user in it",
            hint="credentials belong into ~/.aws/credentials, the environment or "
            "credentialsFile",
        )
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    config = dict(pairs)
    unknown = sorted(config.keys() - set(_KNOWN))
    if unknown or len(config) != len(pairs) or parts.fragment:
        raise InvalidConfigError(
            "the address of the location has keys that are unknown or twice there, "
            f"or a '#'; known are: {', '.join(_KNOWN)}",
            hint=_meant(unknown).removesuffix("; "),
        )
    return BackupStorageLocationSpec(
        provider=PROVIDER,
        config=config,
        object_storage=ObjectStorage(
            bucket=unquote(parts.netloc), prefix=unquote(parts.path).strip("/")
        ),
    )


def _meant(unknown: Iterable[str]) -> str:
    """Return which keys may be meant, mostly in another case, as text before more."""
    from difflib import get_close_matches  # noqa: PLC0415 - for slips of the pen only

    by_lower = {key.lower(): key for key in _KNOWN}
    near = (get_close_matches(key.lower(), by_lower, n=1) for key in unknown)
    names = ", ".join(dict.fromkeys(by_lower[found] for each in near for found in each))
    return f"{names} may be meant; " if names else ""


def _url(text: str) -> str:
    if not text:
        return ""
    parts = urlsplit(text)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or "@" in parts.netloc
    ):
        raise InvalidConfigError(
            "s3Url of the location is no address http://host or https://host"
        )
    return text.rstrip("/")


def _boolean(config: Mapping[str, str], key: str) -> bool:
    """Read what Go's ParseBool reads, in the spellings that people use."""
    text = config.get(key, "").lower()
    if text in {"", "false", "f", "0"}:
        return False
    if text in {"true", "t", "1"}:
        return True
    raise InvalidConfigError(f"{key} of the location is {text!r}, not true or false")


def _file(path: str) -> str:
    if path and not Path(path).is_file():
        raise InvalidConfigError(f"the credentials file {path} is not there")
    return path
