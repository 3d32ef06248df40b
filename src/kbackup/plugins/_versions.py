"""Which versions of each Protocol this kbackup speaks, and how older ones go on working.

A plugin of an older version is put behind an adapter; one of a version that is to go
away is told so for two minor releases. Asked where offers are checked, and where a store
or a snapshotter was opened.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import attrs

from kbackup.errors import PluginLoadError
from kbackup.plugins._kinds import PluginKind


class KBackupDeprecationWarning(DeprecationWarning):
    """Something of kbackup's that plugins use is to go away; the text says when."""


@attrs.frozen(kw_only=True)
class Adapter:
    """How an older version of a Protocol is used by this kbackup.

    Attributes:
        adapt: From what a plugin opened to what the current version has.
        removed_in: The release that does without it, two minor ones after this was said;
            empty: it stays.
    """

    adapt: Callable[[Any], Any]
    removed_in: str = ""


CURRENT: Mapping[PluginKind, int] = MappingProxyType(
    {PluginKind.OBJECT_STORE: 1, PluginKind.VOLUME_SNAPSHOTTER: 1}
)
# By family and version; there is one version so far.
ADAPTERS: Mapping[tuple[PluginKind, int], Adapter] = MappingProxyType({})
_OF_ACTIONS = (1, 2)  # Velero's; in kbackup they differ in their order only


def spoken_versions(kind: PluginKind) -> tuple[int, ...]:
    """Return the versions of a family's Protocol that are known, ascending."""
    if kind not in CURRENT:
        return _OF_ACTIONS
    older = (version for family, version in ADAPTERS if family is kind)
    return tuple(sorted({*older, CURRENT[kind]}))


def version_fault(kind: PluginKind, name: str, version: object) -> str:
    """Say that a version is not spoken, and which ones are, or nothing."""
    known = spoken_versions(kind)
    if version in known and not isinstance(version, bool):
        return ""
    spoken = " and ".join(map(str, known))
    are = "are" if len(known) > 1 else "is"
    return f"{name} speaks version {version!r} of its Protocol; known {are} {spoken}"


def in_current_version(kind: PluginKind, name: str, opened: Any) -> Any:
    """Return what a plugin opened, behind an adapter where it is of an older version.

    Raises:
        PluginLoadError: It is of a version that is not spoken, or says none.
    """
    version = getattr(opened, "api_version", None)
    if fault := version_fault(kind, name, version):
        raise PluginLoadError(
            fault, plugin=name, hint="install versions of kbackup and of it that fit"
        )
    if version == CURRENT[kind]:
        return opened
    adapter = next(ADAPTERS[key] for key in ADAPTERS if key == (kind, version))
    if adapter.removed_in:
        warn_deprecated(
            f"version {version} of the Protocol {kind}",
            plugin=name,
            instead=f"version {CURRENT[kind]}",
            removed_in=adapter.removed_in,
        )
    return adapter.adapt(opened)


def warn_deprecated(what: str, *, plugin: str, instead: str, removed_in: str) -> None:
    """Tell who wrote a plugin that it uses what goes away."""
    warnings.warn(
        f"{plugin} uses {what}, which kbackup {removed_in} will not know any more; "
        f"use {instead}",
        KBackupDeprecationWarning,
        stacklevel=3,
    )
