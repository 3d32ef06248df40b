"""What a volume snapshot location's configuration says of directories on this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path

import attrs

from kbackup.errors import InvalidConfigError
from kbackup_plugins_local._config import PROVIDER

_KNOWN = {"snapshots", "volumes", "node"}


@attrs.frozen(kw_only=True)
class HostPathConfig:
    """Where snapshots are kept, and whose volumes are meant.

    Attributes:
        snapshots: The directory of the snapshots.
        volumes: Where volumes from snapshots are made; None: beside the first one.
        node: The Kubernetes node that this machine is.
    """

    snapshots: Path
    volumes: Path | None = None
    node: str


def read_host_path_config(config: Mapping[str, str]) -> HostPathConfig:
    """Return what *config* says; nothing is looked at on the disk.

    Raises:
        InvalidConfigError: A key is unknown, or a path is missing or not absolute.
    """
    if unknown := sorted(config.keys() - _KNOWN):
        raise InvalidConfigError(
            f"{PROVIDER} does not know the config of the volume snapshot location: "
            f"{', '.join(unknown)}",
            hint=f"known are: {', '.join(sorted(_KNOWN))}",
        )
    snapshots = _path(config, "snapshots")
    if snapshots is None:
        raise InvalidConfigError(
            "the volume snapshot location has no snapshots",
            hint="write snapshots: /a/directory in its config",
        )
    return HostPathConfig(
        snapshots=snapshots,
        volumes=_path(config, "volumes"),
        node=config.get("node") or socket.gethostname().lower(),  # as kubelet does
    )


def _path(config: Mapping[str, str], key: str) -> Path | None:
    text = config.get(key, "")
    if not text:
        return None
    path = Path(os.path.normpath(text))
    if not path.is_absolute() or path == path.parent:
        raise InvalidConfigError(
            f"{key} of the location is no absolute path below /: {text!r}"
        )
    return path
