"""The settings of item actions: given with a restore, or read from the target.

As for a Velero server they are in ConfigMaps of its namespace, labelled as such and with
the action's name. They are read when a restore is planned, and are among the options of
the plan; and once more before a plan is applied, which is refused with others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import attrs
import msgspec

from kbackup._kits.nested import mapping_at
from kbackup._kits.words import first_few, nearest, suggestion
from kbackup.cluster import Cluster
from kbackup.errors import ForbiddenError, InvalidSpecError, PlanOutdatedError
from kbackup.models import APIResource, RestoreOptions, labels, well_known
from kbackup.plugins import RestoreItemAction
from kbackup.plugins.engine import is_built_in

Settings = Mapping[str, str]

# As every API server has them: what is served need not be asked for this.
_CONFIG_MAPS = APIResource(
    group="",
    version="v1",
    resource=well_known.CONFIG_MAPS.resource,
    kind="ConfigMap",
    namespaced=True,
)
_NAMESPACE = well_known.VELERO_NAMESPACE
_FAMILY = "RestoreItemAction"  # the value of the label that names the action
_UNREADABLE = (
    f"ConfigMaps of namespace {_NAMESPACE} may not be listed: no settings of item "
    "actions are taken from there"
)
CHANGE_STORAGE_CLASS = "velero.io/change-storage-class"
"""The action whose settings a plan looks into: which names they have, and which classes."""


@attrs.frozen(kw_only=True)
class FoundSettings:
    """The settings that hold for one restore.

    Attributes:
        values: By the action's name.
        sources: The ConfigMaps that some are of, by the action's name.
        unreadable: Why there may be more; empty: there are not.
    """

    values: Mapping[str, Settings]
    sources: Mapping[str, str] = attrs.field(factory=dict)
    unreadable: str = ""


def needs_settings(action: RestoreItemAction) -> bool:
    """Whether an action does nothing without settings, as some of our own."""
    return is_built_in(action) and hasattr(action, "settings_violations")


def find_settings(
    cluster: Cluster,
    actions: Collection[RestoreItemAction],
    given: Mapping[str, Settings],
) -> FoundSettings:
    """Return the settings of the actions that are installed.

    Args:
        cluster: The target.
        actions: What is installed.
        given: By the user. An action in it is not looked for in the target.

    Raises:
        InvalidSpecError: An action is not installed or takes none, or has two ConfigMaps,
            or the settings cannot be meant.
        ClusterError: The target cannot be read.
    """
    takers = {action.name: action for action in actions if _takes_settings(action)}
    _refuse_unknown(given, actions, takers)
    wanted = takers.keys() - given.keys()
    values, sources, unreadable = dict(given), dict[str, str](), ""
    try:
        for action, (source, settings) in _of_cluster(cluster, wanted).items():
            values[action], sources[action] = settings, source
    except ForbiddenError:
        unreadable = _UNREADABLE
    if broken := list(_violations(takers, values, sources)):
        raise InvalidSpecError(broken)
    return FoundSettings(values=values, sources=sources, unreadable=unreadable)


def refuse_other_settings(
    cluster: Cluster,
    actions: Collection[RestoreItemAction],
    options: RestoreOptions,
    sources: Mapping[str, str],
) -> None:
    """Refuse a plan whose settings are not those that hold now.

    Where the ConfigMaps may not be read, those of the plan hold: it has been approved.

    Args:
        cluster: The target.
        actions: What is installed.
        options: The plan's.
        sources: Which of its settings are of ConfigMaps.

    Raises:
        PlanOutdatedError: They differ, or none can be told.
    """
    planned = options.action_settings
    given = {name: each for name, each in planned.items() if name not in sources}
    try:
        found = find_settings(cluster, actions, given)
    except InvalidSpecError as exc:
        raise PlanOutdatedError(f"the plan cannot be applied: {exc}") from exc
    if found.unreadable:
        return
    for name in sorted(planned.keys() | found.values.keys()):
        before, now = planned.get(name), found.values.get(name)
        if before != now:
            raise PlanOutdatedError(
                f"the settings of {name} are not those of the plan: planned was "
                f"{settings_text(before)}, found is {settings_text(now)}",
            )


def settings_text(settings: Settings | None) -> str:
    """Return the first settings in one line, whatever is in them."""
    pairs = [f"{key}={value}" for key, value in sorted((settings or {}).items())]
    return first_few([x if x.isprintable() else repr(x) for x in pairs]) or "none"


def settings_lines(
    settings: Mapping[str, Settings], sources: Mapping[str, str]
) -> Iterator[str]:
    """Yield what a plan's head says of each action's settings."""
    for name, each in sorted(settings.items()):
        source = f" (ConfigMap {sources[name]})" if name in sources else ""
        yield f"settings of {name} {settings_text(each)}{source}"


def _takes_settings(action: RestoreItemAction) -> bool:
    """Of our own actions a few; what those of others do nobody knows."""
    return needs_settings(action) or not is_built_in(action)


def _refuse_unknown(
    given: Mapping[str, Settings],
    actions: Iterable[RestoreItemAction],
    takers: Collection[str],
) -> None:
    installed = {action.name for action in actions}
    broken, meant = [], []
    for name in sorted(given):
        if name not in installed:
            broken.append(f"action_settings: no restore item action {name} installed")
            meant.append(nearest(name, takers))
        elif name not in takers:
            broken.append(f"action_settings: {name} takes no settings")
    if broken:
        raise InvalidSpecError(broken, hint=suggestion("action", meant))


def _of_cluster(
    cluster: Cluster, wanted: Collection[str]
) -> dict[str, tuple[str, Settings]]:
    """Read the ConfigMaps of the actions *wanted*, each with its name; not empty ones."""
    found: dict[str, tuple[str, Settings]] = {}
    seen: dict[str, str] = {}
    for content in _listed(cluster) if wanted else ():
        metadata = content["metadata"]
        source = f"{_NAMESPACE}/{metadata['name']}"
        for name, family in mapping_at(metadata, "labels").items():
            if family != _FAMILY or name not in wanted:
                continue
            if name in seen:
                fact = (
                    f"ConfigMaps {seen[name]} and {source} both have settings of {name}"
                )
                hint = (
                    "take the label from one of them, or give the settings themselves"
                )
                raise InvalidSpecError([fact], hint=hint)
            seen[name] = source
            if data := mapping_at(content, "data"):
                found[name] = source, dict(data)
    return found


def _listed(cluster: Cluster) -> Iterator[Any]:
    listing = cluster.list(
        _CONFIG_MAPS, namespace=_NAMESPACE, label_selector=labels.PLUGIN_CONFIG
    )
    for item in listing:
        yield msgspec.json.decode(item.json())


def _violations(
    takers: Mapping[str, RestoreItemAction],
    values: Mapping[str, Settings],
    sources: Mapping[str, str],
) -> Iterator[str]:
    for name, settings in sorted(values.items()):
        check = getattr(takers[name], "settings_violations", None)
        if check is None or not needs_settings(takers[name]):
            continue
        where = f"ConfigMap {sources[name]}" if name in sources else "action_settings"
        yield from (f"{where}: {name}: {fault}" for fault in check(settings))
