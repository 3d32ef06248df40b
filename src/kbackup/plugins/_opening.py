"""Open what a provider's factory opens, and see that it is what the family promises.

The one way to a store or a snapshotter: a provider that fails is told by name, never
with its own words, and what speaks an older version of its Protocol is put behind an
adapter.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Protocol, cast

from kbackup.errors import InvalidConfigError, KBackupError, PluginError
from kbackup.models import VolumeSnapshotLocation
from kbackup.plugins._interfaces import (
    ObjectStoreFactory,
    VolumeSnapshotter,
    VolumeSnapshotterFactory,
)
from kbackup.plugins._kinds import PluginKind
from kbackup.plugins._signatures import missing_methods
from kbackup.plugins._versions import in_current_version

_WHERE = {
    PluginKind.OBJECT_STORE: "location",
    PluginKind.VOLUME_SNAPSHOTTER: "volume snapshot location",
}
_ONE = {
    PluginKind.OBJECT_STORE: "an ObjectStore",
    PluginKind.VOLUME_SNAPSHOTTER: "a VolumeSnapshotter",
}


class Snapshotters(Protocol):
    """The part of a `PluginManager` that is needed here."""

    def volume_snapshotter(self, provider: str) -> VolumeSnapshotterFactory:
        """Return the factory of a provider."""
        ...


def open_volume_snapshotter(
    location: VolumeSnapshotLocation,
    plugins: Snapshotters,
    *,
    credentials_file: str = "",
) -> VolumeSnapshotter:
    """Open the snapshotter of a location.

    The network is not touched before the first operation.

    Args:
        location: Who makes the snapshots, and where.
        plugins: Where providers are looked up.
        credentials_file: A file with the value of the Secret that the location names.

    Raises:
        PluginError: The provider is not installed, not complete, or fails.
        InvalidConfigError: The location names no provider, or a Secret that nobody
            resolved, or its provider refuses it.
    """
    spec = location.spec
    if not spec.provider:
        raise InvalidConfigError("the volume snapshot location names no provider")
    config = dict(spec.config)
    if credentials_file:
        config["credentialsFile"] = credentials_file
    if spec.credential and not config.get("credentialsFile"):
        raise InvalidConfigError(
            "the volume snapshot location takes its credentials from the Secret "
            f"{spec.credential.name}",
            hint="write the value of the Secret to a file and name it in the "
            "location's config as credentialsFile",
        )
    factory = plugins.volume_snapshotter(spec.provider)
    opened = open_offered(PluginKind.VOLUME_SNAPSHOTTER, spec.provider, factory, config)
    return cast("VolumeSnapshotter", opened)


def open_offered(
    kind: PluginKind,
    provider: str,
    factory: ObjectStoreFactory | VolumeSnapshotterFactory,
    config: Mapping[str, str],
) -> Any:
    """Return what a factory opens, as the current version of its Protocol has it.

    Raises:
        KBackupError: As the provider raised it.
        PluginError: It raised something else, or returned what is not of its family.
        PluginLoadError: It speaks a version of the Protocol that kbackup does not.
    """
    told = f"{provider} could not open the {_WHERE[kind]}"
    try:
        opened = factory.open(config)
    except KBackupError:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as exc:  # its text may repeat the configuration
        raise PluginError(f"{told}: {type(exc).__name__}", plugin=provider) from exc
    if fault := _kind_fault(kind, opened):
        raise PluginError(f"{told}: {fault}", plugin=provider)
    current = in_current_version(kind, provider, opened)
    if fault := _methods_fault(kind, current) or _capabilities_fault(kind, current):
        raise PluginError(f"{told}: {fault}", plugin=provider)
    return current


def _kind_fault(kind: PluginKind, opened: object) -> str:
    """Say that it is something else altogether, or nothing; a version is judged later."""
    if hasattr(opened, "api_version"):
        return ""
    if missing_methods(kind, opened) == missing_methods(kind, None):
        return _came(kind, opened)
    fault = _methods_fault(kind, opened)
    return fault and f"{fault}, and it does not say its api_version"


def _methods_fault(kind: PluginKind, opened: object) -> str:
    """Say which methods of its family it lacks, or nothing."""
    missing = missing_methods(kind, opened)
    lacks = f"{_came(kind, opened)}: it has no {', '.join(missing)}"
    return lacks if missing else ""


def _came(kind: PluginKind, opened: object) -> str:
    """Name what came by its type alone: it may hold credentials."""
    return f"it returned a {type(opened).__name__}, not {_ONE[kind]}"


def _capabilities_fault(kind: PluginKind, opened: object) -> str:
    """Say that a store declares nothing that can be asked, or nothing."""
    if kind is not PluginKind.OBJECT_STORE:
        return ""
    declared = getattr(opened, "capabilities", None)
    came = f"the capabilities of its {type(opened).__name__} are"
    return "" if isinstance(declared, AbstractSet) else f"{came} no set"
