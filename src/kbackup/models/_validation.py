"""The rules that a name, a backup's spec and a restore's spec must keep.

Pure functions: each returns every rule that is broken, as a sentence, and nothing when
all is well. What only a cluster or a store can know (whether a location exists, what a
short name means) is checked by the engines.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from kbackup._kits.durations import LONGEST
from kbackup._kits.globs import IncludesExcludes, is_glob
from kbackup._kits.texts import text_violations
from kbackup.models._backup import BackupSpec
from kbackup.models._dns import (
    DNS_LABEL,
    DNS_SUBDOMAIN,
    LONGEST_LABEL,
    LONGEST_NAME,
    is_dns_subdomain,
)
from kbackup.models._hooks import ExecRestoreHook, InitRestoreHook, RestoreHooks
from kbackup.models._meta import LabelRequirement, LabelSelector
from kbackup.models._objects import TypedLocalObjectReference
from kbackup.models._options import BackupOptions
from kbackup.models._policy_rules import validate_resource_policies
from kbackup.models._restore import RestoreSpec, RestoreStatusSpec

# What belongs to one cluster's life, or to Velero itself: a restore leaves it out unless
# it is named. (Velero refuses to name it.)
NON_RESTORABLE_RESOURCES = (
    "nodes",
    "events",
    "events.events.k8s.io",
    "backups.velero.io",
    "restores.velero.io",
    "resticrepositories.velero.io",
    "csinodes.storage.k8s.io",
    "volumeattachments.storage.k8s.io",
    "backuprepositories.velero.io",
)

_NAME_PART = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
_LABEL_KEY = re.compile(rf"(?:(?P<prefix>[^/]+)/)?(?P<name>{_NAME_PART})")
_LABEL_VALUE = re.compile(rf"(?:{_NAME_PART})?")
_QUALIFIED = re.compile(r"(?:[^/\s]+/)?[^/\s]+")
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def validate_backup_name(name: str) -> list[str]:
    """Return what keeps *name* from being a backup's."""
    return _name_violations(name, "backup")


def validate_restore_name(name: str) -> list[str]:
    """Return what keeps *name* from being a restore's."""
    return _name_violations(name, "restore")


def validate_backup_spec(spec: BackupSpec) -> list[str]:
    """Return the rules that a backup's spec breaks."""
    broken = [
        *_namespace_violations(spec.included_namespaces, spec.excluded_namespaces),
        *_labels_violations("metadata.labels", spec.metadata.labels),
        *_resource_violations(spec.included_resources, spec.excluded_resources),
        *_scoped_violations(spec),
        *_selector_violations(spec.label_selector, spec.or_label_selectors),
        *_time_violations("ttl", spec.ttl),
        *_time_violations("csiSnapshotTimeout", spec.csi_snapshot_timeout),
        *_time_violations("itemOperationTimeout", spec.item_operation_timeout),
        *_reference_violations("resourcePolicy", spec.resource_policy),
        *_order_violations(spec.ordered_resources),
        *_backup_hook_violations(spec),
    ]
    return broken or text_violations(spec)


def validate_backup_options(options: BackupOptions) -> list[str]:
    """Return the rules that the options of a backup break."""
    policies = options.resource_policies
    broken = validate_resource_policies(policies) if policies is not None else ()
    broken = [
        *_labels_violations("labels", options.labels),
        *_key_violations("annotations", options.annotations),
        *(f"resource_policies: {rule}" for rule in broken),
    ]
    return broken or text_violations(options)


def validate_restore_spec(spec: RestoreSpec) -> list[str]:
    """Return the rules that a restore's spec breaks."""
    broken = [
        *_source_violations(spec),
        *_namespace_violations(spec.included_namespaces, spec.excluded_namespaces),
        *_resource_violations(spec.included_resources, spec.excluded_resources),
        *_status_violations(spec.restore_status),
        *_mapping_violations(spec),
        *_selector_violations(spec.label_selector, spec.or_label_selectors),
        *_time_violations("itemOperationTimeout", spec.item_operation_timeout),
        *_reference_violations("resourceModifier", spec.resource_modifier),
        *_restore_hook_violations(spec.hooks),
    ]
    return broken or text_violations(spec)


def validate_label_selector(selector: LabelSelector) -> list[str]:
    """Return the rules that a label selector breaks."""
    return _selector_violations(selector, ())


# --- names ----------------------------------------------------------------------------


def _name_violations(name: str, what: str) -> list[str]:
    if not name:
        return [f"the {what} has no name"]
    broken = []
    if len(name) > LONGEST_NAME:
        broken.append(
            f"{what} name {name[:20]!r}... has {len(name)} characters, "
            f"at most {LONGEST_NAME} are allowed"
        )
    if not DNS_SUBDOMAIN.fullmatch(name):
        broken.append(
            f"{what} name {name[:LONGEST_LABEL]!r} must consist of lower-case letters, "
            "digits, '-' and '.', and begin and end with a letter or digit"
        )
    return broken


def _namespace_name_violations(name: str) -> list[str]:
    """Check the name of a namespace; wildcards stand for a letter."""
    if not name or name == "*":
        return []
    plain = re.sub(r"\[[^\]]*\]|[*?]", "x", name) if is_glob(name) else name
    if len(plain) <= LONGEST_LABEL and DNS_LABEL.fullmatch(plain):
        return []
    return [f"namespaces: {name!r} is not a namespace's name"]


# --- lists ----------------------------------------------------------------------------


def _namespace_violations(
    includes: Sequence[str], excludes: Sequence[str]
) -> list[str]:
    lists = IncludesExcludes(includes, excludes).violations("namespaces")
    seen = dict.fromkeys((*includes, *excludes))
    # What no pattern may hold is named once, by the lists.
    names = [name for name in seen if not any(repr(name) in rule for rule in lists)]
    return [*lists, *(rule for n in names for rule in _namespace_name_violations(n))]


def _resource_violations(includes: Sequence[str], excludes: Sequence[str]) -> list[str]:
    return IncludesExcludes(includes, excludes).violations("resources")


def _status_violations(asked: RestoreStatusSpec | None) -> list[str]:
    if asked is None:
        return []
    lists = IncludesExcludes(asked.included_resources, asked.excluded_resources)
    return lists.violations("resources of restoreStatus")


def _scoped_violations(spec: BackupSpec) -> list[str]:
    """Check the lists by scope, alone and beside the older filters."""
    lists = {
        "clusterScopedResources": (
            spec.included_cluster_scoped_resources,
            spec.excluded_cluster_scoped_resources,
        ),
        "namespaceScopedResources": (
            spec.included_namespace_scoped_resources,
            spec.excluded_namespace_scoped_resources,
        ),
    }
    broken = []
    for what, (includes, excludes) in lists.items():
        if excludes == ("*",):  # here it means none of that scope
            if includes:
                broken.append(f"excluded {what}: '*' leaves nothing to include")
            continue
        broken += IncludesExcludes(includes, excludes).violations(what)
    older = (
        spec.included_resources
        or spec.excluded_resources
        or spec.include_cluster_resources is not None
    )
    if older and any(names for pair in lists.values() for names in pair):
        broken.append(
            "includedResources, excludedResources and includeClusterResources cannot "
            "be combined with the lists of cluster-scoped and namespace-scoped resources"
        )
    return broken


# --- selectors ------------------------------------------------------------------------


def _selector_violations(
    one: LabelSelector | None, alternatives: Sequence[LabelSelector]
) -> list[str]:
    broken = []
    if one is not None and alternatives:
        broken.append("labelSelector and orLabelSelectors cannot be combined")
    for selector in (*([one] if one is not None else []), *alternatives):
        for key, value in selector.match_labels.items():
            broken += _label_violations(key, (value,))
        for requirement in selector.match_expressions:
            broken += _requirement_violations(requirement)
    return broken


def _requirement_violations(requirement: LabelRequirement) -> list[str]:
    broken = _label_violations(requirement.key, requirement.values)
    key, operator = requirement.key, requirement.operator
    if operator not in _OPERATORS:
        broken.append(
            f"label selector: {key!r} has the operator {operator!r}, "
            f"which is none of {', '.join(_OPERATORS)}"
        )
    elif operator in ("In", "NotIn") and not requirement.values:
        broken.append(f"label selector: {key!r} with {operator} needs values")
    elif operator in ("Exists", "DoesNotExist") and requirement.values:
        broken.append(f"label selector: {key!r} with {operator} takes no values")
    return broken


def _label_violations(
    key: str, values: Iterable[str], where: str = "label selector"
) -> list[str]:
    broken = [] if _is_label_key(key) else [f"{where}: {key!r} is not a label's name"]
    return broken + [
        f"{where}: {value!r} is not a label's value"
        for value in values
        if len(value) > LONGEST_LABEL or not _LABEL_VALUE.fullmatch(value)
    ]


def _is_label_key(key: str) -> bool:
    match = _LABEL_KEY.fullmatch(key)
    if match is None or len(match["name"]) > LONGEST_LABEL:
        return False
    return match["prefix"] is None or is_dns_subdomain(match["prefix"])


# --- labels and annotations -----------------------------------------------------------


def _labels_violations(field: str, labels: Mapping[str, str]) -> list[str]:
    pairs = labels.items()
    return [rule for k, v in pairs for rule in _label_violations(k, (v,), field)]


def _key_violations(field: str, annotations: Mapping[str, str]) -> list[str]:
    """Check the names of annotations; their values are free, and prefixes any case."""
    return [
        f"{field}: {key!r} is not an annotation's name"
        for key in annotations
        if not _is_label_key(key.lower())
    ]


# --- the rest -------------------------------------------------------------------------


def _time_violations(field: str, value: timedelta | None) -> list[str]:
    if value is None or timedelta(0) <= value <= LONGEST:
        return []
    if value > LONGEST:
        return [f"{field} is longer than 292 years, which nobody could read"]
    return [f"{field} is below zero"]


def _reference_violations(
    field: str, reference: TypedLocalObjectReference | None
) -> list[str]:
    if reference is None:
        return []
    broken = []
    if reference.kind.lower() != "configmap":
        broken.append(f"{field}: the kind must be configmap, not {reference.kind!r}")
    if not reference.name:
        broken.append(f"{field} names no object")
    return broken


def _order_violations(ordered: Mapping[str, str]) -> list[str]:
    """Check what is to be stored first; of which scope a type is, a cluster knows."""
    broken = []
    for type_, text in ordered.items():
        if not type_.strip():
            broken.append("orderedResources: a type has no name")
        names = [name.strip() for name in text.split(",")]
        broken += [
            f"orderedResources.{type_}: expected namespace/name or the name of a "
            f"cluster-scoped object, got {name!r}"
            for name in names
            if not _QUALIFIED.fullmatch(name)
        ]
        broken += [
            f"orderedResources.{type_}: {name!r} is there {count} times"
            for name, count in Counter(names).items()
            if count > 1 and name
        ]
    return broken


def _source_violations(spec: RestoreSpec) -> list[str]:
    if spec.backup_name and spec.schedule_name:
        return ["backupName and scheduleName cannot be combined"]
    if not spec.backup_name and not spec.schedule_name:
        return ["neither backupName nor scheduleName says what to restore"]
    return []


def _mapping_violations(spec: RestoreSpec) -> list[str]:
    return [
        f"namespaceMapping: {name!r} is not a namespace's name"
        for pair in spec.namespace_mapping.items()
        for name in pair
        if not DNS_LABEL.fullmatch(name) or len(name) > LONGEST_LABEL
    ]


def _backup_hook_violations(spec: BackupSpec) -> list[str]:
    broken = []
    for index, resource in enumerate(spec.hooks.resources):
        path = f"hooks.resources[{index}]"
        if not resource.name:
            broken.append(f"{path} has no name")
        broken += _selector_violations(resource.label_selector, ())
        for phase, hooks in (("pre", resource.pre), ("post", resource.post)):
            for number, hook in enumerate(hooks):
                where = f"{path}.{phase}[{number}]"
                if hook.exec is None or not hook.exec.command:
                    broken.append(f"{where} has no command")
                else:
                    broken += _time_violations(
                        f"{where}.exec.timeout", hook.exec.timeout
                    )
    return broken


def _restore_hook_violations(hooks: RestoreHooks) -> list[str]:
    broken = []
    for index, resource in enumerate(hooks.resources):
        path = f"hooks.resources[{index}]"
        if not resource.name:
            broken.append(f"{path} has no name")
        broken += _selector_violations(resource.label_selector, ())
        for number, hook in enumerate(resource.post_hooks):
            where = f"{path}.postHooks[{number}]"
            if hook.exec is None and hook.init is None:
                broken.append(f"{where} has neither exec nor init")
            if hook.exec is not None:
                broken += _exec_hook_violations(hook.exec, where)
            if hook.init is not None:
                broken += _init_hook_violations(hook.init, where)
    return broken


def _exec_hook_violations(hook: ExecRestoreHook, path: str) -> list[str]:
    return [
        *([] if hook.command else [f"{path} has no command"]),
        *_time_violations(f"{path}.exec.execTimeout", hook.exec_timeout),
        *_time_violations(f"{path}.exec.waitTimeout", hook.wait_timeout),
    ]


def _init_hook_violations(hook: InitRestoreHook, path: str) -> list[str]:
    if not hook.init_containers:
        return [f"{path} has no init container"]
    return [
        f"{path}.init.initContainers[{number}] has no {field}"
        for number, container in enumerate(hook.init_containers)
        for field in ("name", "image")  # without a command, the image's entrypoint
        if not isinstance(container.get(field), str) or not container[field]
    ]
