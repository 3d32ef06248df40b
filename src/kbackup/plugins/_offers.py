"""What plugins offer: its families, where it comes from, and whether it is fit for use.

Values and pure checks; the loader collects with them, the manager hands out by them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any

import attrs

from kbackup.models import LabelSelector, ResourceSelector
from kbackup.plugins._interfaces import ObjectStoreFactory, VolumeSnapshotterFactory
from kbackup.plugins._kinds import PluginKind
from kbackup.plugins._names import name_fault
from kbackup.plugins._signatures import call_fault, methods_fault
from kbackup.plugins._versions import version_fault

DISABLED = "disabled"


@attrs.frozen(kw_only=True)
class PluginInfo:
    """One line of what is installed.

    Attributes:
        name: What it is offered under, or the entry point of a plugin that could not be
            loaded or that only observes.
        kind: What it is.
        distribution: The installed distribution, or the module that a host passed in.
        version: The distribution's version, or empty.
        entry_point: The name of the entry point, or empty.
        available: Whether it can be used as it is.
        cause: Why not, or empty.
        api_version: Of the Protocol that it is written for; None where that is not known.
        capabilities: What its stores can do, as far as it says so without opening one.
    """

    name: str
    kind: PluginKind
    distribution: str = ""
    version: str = ""
    entry_point: str = ""
    available: bool = True
    cause: str = ""
    api_version: int | None = None
    capabilities: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """``available``, ``unavailable``, or ``disabled`` by a switch."""
        if self.available:
            return "available"
        return DISABLED if self.cause == DISABLED else "unavailable"

    @property
    def release(self) -> str:
        """Distribution and version, such as ``kb-clean 1.0``."""
        return f"{self.distribution} {self.version}".strip()


@attrs.frozen(kw_only=True)
class Origin:
    """Where a plugin comes from.

    Attributes:
        module: Dotted name of the module, as far as it is known before it is loaded.
        entry_point: Name within the group, or empty: passed in by the host.
        distribution: Name of the installed distribution, or empty.
        version: Its version, or empty.
    """

    module: str
    entry_point: str = ""
    distribution: str = ""
    version: str = ""

    @property
    def built_in(self) -> bool:
        """Whether the plugin is a part of the engine itself."""
        return self.module.partition(".")[0] == "kbackup"

    @property
    def release(self) -> str:
        """Distribution and version, or the module of what a host passed in."""
        return f"{self.distribution} {self.version}".strip() or self.module

    def __str__(self) -> str:
        if not self.entry_point:
            return f"module {self.module}"
        return f"entry point {self.entry_point!r} of {self.release}"


@attrs.frozen(kw_only=True)
class Offer:
    """One thing that a plugin offers under a name."""

    name: str
    kind: PluginKind
    value: Any
    origin: Origin

    @property
    def missing(self) -> tuple[str, ...]:
        """The packages that it needs and that cannot be imported."""
        requires: tuple[str, ...] = getattr(self.value, "requires", ())
        return tuple(name for name in requires if not _importable(name))

    @property
    def installation(self) -> str:
        """The command that installs what it needs."""
        extra: str = getattr(self.value, "extra", "")
        ours = self.origin.module.partition(".")[0].startswith("kbackup")
        if extra and ours and "[" not in extra:
            return f"pip install 'kbackup[{extra}]'"
        return f"pip install '{extra}'" if extra else _pip(self.missing)

    def info(self, cause: str = "") -> PluginInfo:
        """Describe it; a *cause* makes it unavailable."""
        return PluginInfo(
            name=self.name,
            kind=self.kind,
            distribution=self.origin.distribution or self.origin.module,
            version=self.origin.version,
            entry_point=self.origin.entry_point,
            available=not cause,
            cause=cause,
            api_version=getattr(self.value, "api_version", 1),
            capabilities=tuple(sorted(getattr(self.value, "capabilities", ()))),
        )


def _pip(packages: tuple[str, ...]) -> str:
    """Return the command for packages known by their import names only."""
    return f"pip install {' '.join(packages)}"


def _importable(name: str) -> bool:
    """Tell whether a module is there, without importing it (its parents it must)."""
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):  # a parent is missing; no spec recorded
        return False


# --- is an offer fit for use? ---------------------------------------------------------


@attrs.frozen
class Family:
    """One kind of offers, the hook that collects them and the check they must pass."""

    kind: PluginKind
    hook: str
    fault: Callable[[str, Any], str]


def mapping_fault(family: Family, offered: object) -> str:
    """Say what is wrong with what a registration hook returned, or nothing."""
    if not isinstance(offered, Mapping):
        kind = type(offered).__name__
        return f"{family.hook} returned {kind}, not a mapping from names"
    for name, value in offered.items():
        if fault := name_fault(name) or family.fault(name, value):
            return f"{family.hook}: {fault}"
    return ""


def _factory_fault(
    expected: type[ObjectStoreFactory | VolumeSnapshotterFactory],
    name: str,
    value: object,
) -> str:
    if not isinstance(value, expected):
        return (
            f"{name} is {_describe(value)}, not an {expected.__name__}: "
            f"write {expected.__name__}(open=...)"
        )
    for field in ("aliases", "requires", "schemes"):
        words = getattr(value, field, ())
        if not isinstance(words, tuple) or not all(isinstance(w, str) for w in words):
            return f"{name}.{field} is not a tuple of texts"
    for alias in value.aliases:
        if fault := name_fault(alias):
            return f"alias of {name}: {fault}"
    kind = _OPENED[expected]
    if fault := version_fault(kind, name, value.api_version):
        return fault
    shape = f"open(config: Mapping[str, str]) -> {kind}"
    return call_fault(name, "open", value.open, arguments=1, expected=shape)


_OPENED = {
    ObjectStoreFactory: PluginKind.OBJECT_STORE,
    VolumeSnapshotterFactory: PluginKind.VOLUME_SNAPSHOTTER,
}


def _action_fault(kind: PluginKind, name: str, value: object) -> str:
    if isinstance(value, type):
        return f"{name} is the class {value.__name__}: offer an instance"
    own_name = getattr(value, "name", None)
    if own_name != name:
        return f"{name} is offered by {_describe(value)} whose own name is {own_name!r}"
    selector = getattr(value, "applies_to", None)
    if not isinstance(selector, ResourceSelector):
        return f"{name}.applies_to is {_describe(selector)}, not a ResourceSelector"
    try:
        LabelSelector.parse(selector.label_selector)
    except ValueError as exc:
        return f"{name}.applies_to: {exc}"
    fault = version_fault(kind, name, getattr(value, "api_version", 1))
    return fault or methods_fault(kind, name, value)


def _describe(value: object) -> str:
    """Name a value by its type only: it may hold credentials."""
    return "None" if value is None else f"a {type(value).__name__}"


FAMILIES = (
    Family(
        PluginKind.OBJECT_STORE,
        "kbackup_register_object_stores",
        partial(_factory_fault, ObjectStoreFactory),
    ),
    Family(
        PluginKind.VOLUME_SNAPSHOTTER,
        "kbackup_register_volume_snapshotters",
        partial(_factory_fault, VolumeSnapshotterFactory),
    ),
    Family(
        PluginKind.BACKUP_ITEM_ACTION,
        "kbackup_register_backup_item_actions",
        partial(_action_fault, PluginKind.BACKUP_ITEM_ACTION),
    ),
    Family(
        PluginKind.RESTORE_ITEM_ACTION,
        "kbackup_register_restore_item_actions",
        partial(_action_fault, PluginKind.RESTORE_ITEM_ACTION),
    ),
    Family(
        PluginKind.DELETE_ITEM_ACTION,
        "kbackup_register_delete_item_actions",
        partial(_action_fault, PluginKind.DELETE_ITEM_ACTION),
    ),
    Family(
        PluginKind.ITEM_BLOCK_ACTION,
        "kbackup_register_item_block_actions",
        partial(_action_fault, PluginKind.ITEM_BLOCK_ACTION),
    ),
)
