"""What a volume snapshot location's configuration says of Azure: read, without any SDK.

Source: velero-plugin-for-microsoft-azure, "volumesnapshotlocation.md" and
``volume_snapshotter.go``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta

import attrs

from kbackup.errors import InvalidConfigError
from kbackup.stores import Timeouts, read_boolean, read_duration, read_file_name
from kbackup_plugins_azure._config import PROVIDER, read_cloud
from kbackup_plugins_azure._credentials import check_identity, read_credentials
from kbackup_plugins_azure._resource_ids import SNAPSHOTS, Place, ResourceId, read_id

_KNOWN = {
    "resourceGroup",
    "subscriptionId",
    "apiTimeout",
    "incremental",
    "tags",
    "activeDirectoryAuthorityURI",
    "credentialsFile",
    "requestTimeout",
    "transferTimeout",
}
_OPERATION = timedelta(minutes=2)
_NOT_IN_NAMES = re.compile(r"[<>%&\\?/\x00-\x1f\x7f]")


@attrs.frozen(kw_only=True)
class DisksConfig:
    """How to reach the disks of a cluster and their snapshots.

    Attributes:
        cluster: Where the disks are.
        snapshots: Where new snapshots go.
        manager: The resource manager.
        authority: Where identities are asked for tokens.
        identity: ``AZURE_...`` lines of the credentials file.
        has_file: Whether there is such a file; without one the environment counts.
        incremental: Whether snapshots are; None: only where a disk knows no others.
        tags: For snapshots; they win over all others.
        timeouts: ``transfer`` is how long a new volume may take.
        operation: How long a snapshot may take to be made, or to be deleted.
    """

    cluster: Place
    snapshots: Place
    manager: str
    authority: str = ""
    identity: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    has_file: bool = False
    incremental: bool | None = None
    tags: Mapping[str, str] = attrs.field(factory=dict)
    timeouts: Timeouts = attrs.field(factory=Timeouts)
    operation: timedelta = _OPERATION


def read_disks_config(config: Mapping[str, str]) -> DisksConfig:
    """Return what *config* says.

    Raises:
        InvalidConfigError: A key is unknown, a value has no meaning, the cluster's
            subscription or group is not told, or the credentials file is not there or
            names no whole identity.
    """
    if unknown := sorted(config.keys() - _KNOWN):
        raise InvalidConfigError(
            f"{PROVIDER} does not know the config of the volume snapshot location: "
            f"{', '.join(unknown)}",
            hint=f"known are: {', '.join(sorted(_KNOWN))}",
        )
    file = read_file_name(config, "credentialsFile", "credentials")
    identity = read_credentials(file) if file else {}
    check_identity(identity)
    lines = identity if file else os.environ
    cluster = _cluster(lines)
    snapshots = Place(
        subscription=config.get("subscriptionId") or cluster.subscription,
        group=config.get("resourceGroup") or cluster.group,
    )
    _check(snapshots, "resourceGroup or subscriptionId of the location")
    cloud = read_cloud(config, lines)
    if not cloud.manager:
        raise InvalidConfigError(
            "AZURE_CLOUD_NAME names a cloud of its own",
            hint="say where it is by AZURE_RESOURCE_MANAGER_ENDPOINT and by "
            "activeDirectoryAuthorityURI of the location",
        )
    operation = read_duration(config, "apiTimeout", _OPERATION)
    timeouts = Timeouts.from_config(config)
    if not config.get("transferTimeout"):
        timeouts = attrs.evolve(timeouts, transfer=operation)
    return DisksConfig(
        cluster=cluster,
        snapshots=snapshots,
        manager=cloud.manager,
        authority=cloud.authority,
        identity=identity,
        has_file=bool(file),
        incremental=read_boolean(config, "incremental")
        if config.get("incremental")
        else None,
        tags=_tags(config.get("tags", "")),
        timeouts=timeouts,
        operation=operation,
    )


def _cluster(lines: Mapping[str, str]) -> Place:
    names = ("AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP")
    missing = [name for name in names if not lines.get(name)]
    if missing:
        raise InvalidConfigError(
            "where the cluster's disks are is not known: "
            f"{' and '.join(missing)} is not told",
            hint="it is a line of the credentials file, or without such a file a "
            "variable of the environment; in Azure Kubernetes Service the group is the one it made",
        )
    cluster = Place(subscription=lines[names[0]], group=lines[names[1]])
    _check(cluster, " or ".join(names))
    return cluster


def _check(place: Place, what: str) -> None:
    if read_id(str(ResourceId(place=place, kind=SNAPSHOTS, name="x"))) is None:
        raise InvalidConfigError(f"{what} has no meaning in Azure")


def _tags(text: str) -> Mapping[str, str]:
    """Read ``key=value,key=value``, with what Azure does not take in a key refused."""
    found: dict[str, str] = {}
    for part in text.split(",") if text else ():
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not key or not equals or _NOT_IN_NAMES.search(key):
            raise InvalidConfigError(
                "tags of the location are not written key=value,key=value",
                hint="a key is not empty and has none of < > % & \\ ? /",
            )
        found[key] = value
    return found
