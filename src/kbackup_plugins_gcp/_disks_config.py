"""What a volume snapshot location's configuration says of persistent disks.

Source: velero-plugin-for-gcp, "volumesnapshotlocation.md" and "volume_snapshotter.go".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

import attrs

from kbackup.errors import InvalidConfigError
from kbackup.stores import Timeouts, read_file_name, read_url
from kbackup_plugins_gcp._config import PROVIDER, read_universe

_KNOWN = {
    "snapshotLocation",
    "snapshotType",
    "project",
    "volumeProject",
    "credentialsFile",
    "computeEndpoint",
    "universeDomain",
    "requestTimeout",
    "transferTimeout",
}
_TYPES = {"": "STANDARD", "STANDARD": "STANDARD", "ARCHIVE": "ARCHIVE"}
# Those of old customers begin with a domain: example.com:shop.
_PROJECT = re.compile(r"(?:[a-z0-9.-]+:)?[a-z0-9-]+")
_LOCATION = re.compile(r"[a-z0-9-]+")
_API_PATH = "/compute/v1"  # part of the address in other SDKs; this one adds it


@attrs.frozen(kw_only=True)
class DisksConfig:
    """How to reach persistent disks and their snapshots.

    Attributes:
        volume_project: Where the disks are; empty: that of the credentials.
        snapshot_project: Where their snapshots are; empty: where the disks are.
        snapshot_location: A region, or several such as ``eu``; empty: Google's default.
        snapshot_type: ``STANDARD`` or ``ARCHIVE``.
        credentials_file: With it, credentials of the environment are not used.
        endpoint: The address of the server, without a path; empty: Google's.
        universe: The domain of another cloud of Google's making; empty: the public one.
        timeouts: Total times of the calls.
    """

    service_account: ClassVar[str] = ""  # nothing is signed here

    volume_project: str = ""
    snapshot_project: str = ""
    snapshot_location: str = ""
    snapshot_type: str = "STANDARD"
    credentials_file: str = attrs.field(default="", repr=False)
    endpoint: str = ""
    universe: str = ""
    timeouts: Timeouts = attrs.field(factory=Timeouts)


def read_disks_config(config: Mapping[str, str]) -> DisksConfig:
    """Return what *config* says.

    Raises:
        InvalidConfigError: A key is unknown, a value has no meaning, or the credentials
            file is not there.
    """
    if unknown := sorted(config.keys() - _KNOWN):
        raise InvalidConfigError(
            f"{PROVIDER} does not know the config of the volume snapshot location: "
            f"{', '.join(unknown)}",
            hint=f"known are: {', '.join(sorted(_KNOWN))}",
        )
    kind = config.get("snapshotType", "").upper()
    if kind not in _TYPES:
        raise InvalidConfigError(
            f"snapshotType of the location is {kind[:20]!r}: "
            "it can be STANDARD or ARCHIVE"
        )
    no_project = "no id of a project"
    return DisksConfig(
        volume_project=_matched(config, "volumeProject", _PROJECT, no_project),
        snapshot_project=_matched(config, "project", _PROJECT, no_project),
        snapshot_location=_matched(
            config, "snapshotLocation", _LOCATION, "no location, such as eu"
        ),
        snapshot_type=_TYPES[kind],
        credentials_file=read_file_name(config, "credentialsFile", "credentials"),
        endpoint=_endpoint(config),
        universe=read_universe(config.get("universeDomain", "")),
        timeouts=Timeouts.from_config(config),
    )


def _matched(
    config: Mapping[str, str], key: str, form: re.Pattern[str], fault: str
) -> str:
    text = config.get(key, "")
    if text and not form.fullmatch(text):
        raise InvalidConfigError(f"{key} of the location is {text[:80]!r}: {fault}")
    return text


def _endpoint(config: Mapping[str, str]) -> str:
    url = read_url(config, "computeEndpoint").removesuffix(_API_PATH)
    if url.count("/") > len("//"):
        raise InvalidConfigError(
            f"computeEndpoint of the location has a path other than {_API_PATH}"
        )
    return url
