"""What a location's configuration says of Google Cloud Storage, without any SDK.

Source: velero-plugin-for-gcp, "backupstoragelocation.md" and "object_store.go".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

import attrs

from kbackup.errors import InvalidConfigError
from kbackup.models import BackupStorageLocationSpec
from kbackup.stores import (
    Timeouts,
    check_known,
    read_file_name,
    read_url,
    spec_from_address,
)

PROVIDER = "velero.io/gcp"

_KNOWN = {
    "kmsKeyName",
    "serviceAccount",
    "credentialsFile",
    "storeEndpoint",
    "universeDomain",
    "objectRetentionMode",
    "objectRetentionDays",
    "requestTimeout",
    "transferTimeout",
}
_RETENTION_MODES = {"", "Unlocked", "Locked"}
_MOST_DAYS = 36_500  # Cloud Storage takes a hundred years
_KMS_KEY = re.compile(r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+")
_DOMAIN = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_API_PATH = "/storage/v1"  # Velero's SDK wants it in the address; each request adds it


@attrs.frozen(kw_only=True)
class GcsConfig:
    """How to reach a bucket.

    Attributes:
        endpoint: The address of the server, without a path; empty: Google's, or what
            the environment says.
        universe: The domain of another cloud of Google's making; empty: the public one.
        kms_key: Of Cloud KMS, for what is written; empty: the bucket's default.
        service_account: Whose name signed addresses bear where the credentials have no
            key of their own.
        credentials_file: With it, credentials of the environment are not used.
        ca_cert: PEM; nothing else is trusted for the server then.
        retention_mode: How objects are locked; empty: they cannot be.
        lock_for: How long the objects of a backup are locked; None: they are not.
        timeouts: Total times of the calls.
    """

    bucket: str
    endpoint: str = ""
    universe: str = ""
    kms_key: str = attrs.field(default="", repr=False)
    service_account: str = ""
    credentials_file: str = attrs.field(default="", repr=False)
    ca_cert: str = attrs.field(default="", repr=False)
    retention_mode: str = ""
    lock_for: timedelta | None = None
    timeouts: Timeouts = attrs.field(factory=Timeouts)


def read_config(config: Mapping[str, str]) -> GcsConfig:
    """Return what *config* says.

    Raises:
        InvalidConfigError: A key is unknown, a value has no meaning, the bucket is
            missing, or the credentials file is not there.
    """
    check_known(config, _KNOWN, PROVIDER)
    if not config.get("bucket"):
        raise InvalidConfigError("a location in Google Cloud Storage needs a bucket")
    mode = config.get("objectRetentionMode", "")
    if mode not in _RETENTION_MODES:
        raise InvalidConfigError(
            f"objectRetentionMode of the location is {mode!r}: "
            "it can be Unlocked or Locked"
        )
    universe = read_universe(config.get("universeDomain", ""))
    default = f"https://storage.{universe}" if universe else ""
    return GcsConfig(
        bucket=config["bucket"],
        endpoint=_endpoint(config.get("storeEndpoint", "")) or default,
        universe=universe,
        kms_key=_kms_key(config.get("kmsKeyName", "")),
        service_account=config.get("serviceAccount", ""),
        credentials_file=read_file_name(config, "credentialsFile", "credentials"),
        ca_cert=config.get("caCert", ""),
        retention_mode=mode,
        lock_for=_lock_for(config.get("objectRetentionDays", ""), mode),
        timeouts=Timeouts.from_config(config),
    )


def gcs_spec(url: str) -> BackupStorageLocationSpec:
    """Return the location of ``gs://bucket/prefix?kmsKeyName=...``.

    Raises:
        InvalidConfigError: It holds a user or a password, or a key that is unknown.
    """
    return spec_from_address(
        url,
        _KNOWN,
        PROVIDER,
        credentials="credentialsFile, or where gcloud keeps them",
    )


def read_universe(text: str) -> str:
    """Return the domain of another cloud of Google's making; empty: the public one.

    Raises:
        InvalidConfigError: It is no name of a domain.
    """
    if text and not _DOMAIN.fullmatch(text):
        raise InvalidConfigError(
            "universeDomain of the location is no name of a domain, such as "
            "googleapis.com"
        )
    return text


def _endpoint(text: str) -> str:
    """Return a server's address, which Velero's plugin takes with or without a scheme."""
    if text and "://" not in text:
        text = f"https://{text}"
    url = read_url({"storeEndpoint": text}, "storeEndpoint").removesuffix(_API_PATH)
    if url.count("/") > len("//"):
        raise InvalidConfigError(
            f"storeEndpoint of the location has a path other than {_API_PATH}"
        )
    return url


def _lock_for(text: str, mode: str) -> timedelta | None:
    if not text:
        return None
    if not mode:
        raise InvalidConfigError(
            "the location has objectRetentionDays and no objectRetentionMode",
            hint="objectRetentionMode is Unlocked or Locked",
        )
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= _MOST_DAYS):
        raise InvalidConfigError(
            f"objectRetentionDays of the location is {text[:20]!r}: "
            f"it can be 1 to {_MOST_DAYS}"
        )
    return timedelta(days=int(text))


def _kms_key(text: str) -> str:
    if text and not _KMS_KEY.fullmatch(text):
        raise InvalidConfigError(
            "kmsKeyName of the location is not of the form "
            "projects/P/locations/L/keyRings/R/cryptoKeys/K"
        )
    return text
