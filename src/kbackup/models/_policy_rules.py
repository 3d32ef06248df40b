"""The rules that resource policies must keep.

Pure: each broken rule is a sentence that begins with its place in the document.
"""

from __future__ import annotations

from collections.abc import Iterator

from kbackup._kits.globs import IncludesExcludes
from kbackup._kits.quantities import QuantityError, parse_quantity
from kbackup._kits.volume_sources import VOLUME_SOURCES
from kbackup._kits.words import nearest
from kbackup.models._policies import (
    IncludeExcludePolicy,
    ResourcePolicies,
    VolumeConditions,
)

_VERSION = "v1"
_PHASES = ("Pending", "Bound", "Lost")


def validate_resource_policies(policies: ResourcePolicies) -> list[str]:
    """Return the rules that resource policies break."""
    return list(_violations(policies))


def _violations(policies: ResourcePolicies) -> Iterator[str]:
    if policies.version != _VERSION:
        yield f"version: expected {_VERSION!r}, got {policies.version!r}"
    for number, policy in enumerate(policies.volume_policies):
        for rule in _of_conditions(policy.conditions):
            yield f"volumePolicies[{number}].conditions.{rule}"
    if policies.include_exclude_policy is not None:
        for rule in _of_lists(policies.include_exclude_policy):
            yield f"includeExcludePolicy: {rule}"


def _of_conditions(conditions: VolumeConditions) -> Iterator[str]:
    for fault in _of_capacity(conditions.capacity):
        yield f"capacity: {fault}"
    csi = conditions.csi
    if csi is not None and csi.volume_attributes and not csi.driver:
        yield "csi: volumeAttributes say nothing without a driver"
    for name in conditions.volume_types:
        if name not in VOLUME_SOURCES:
            yield f"volumeTypes: {name!r} is no source of volumes{_near(name)}"
    for phase in conditions.pvc_phase:
        if phase not in _PHASES:
            yield f"pvcPhase: {phase!r} is none of {', '.join(_PHASES)}"


def _near(name: str) -> str:
    known = {each.lower(): each for each in VOLUME_SOURCES}
    near = known.get(nearest(name.lower(), known), "")
    return f"; did you mean {near}?" if near else ""


def _of_capacity(text: str) -> Iterator[str]:
    if not text:
        return
    bounds = [bound.strip() for bound in text.split(",")]
    if len(bounds) != 2:  # noqa: PLR2004 - a pair
        yield f"expected 'min,max', of which either may be empty, got {text!r}"
        return
    try:
        least, most = (parse_quantity(bound or "0") for bound in bounds)
    except QuantityError as exc:
        yield str(exc)
        return
    if most and least > most:  # as in Velero no upper bound is zero
        yield f"{bounds[0]} is more than {bounds[1]}"


def _of_lists(policy: IncludeExcludePolicy) -> Iterator[str]:
    lists = {
        "clusterScopedResources": (
            policy.included_cluster_scoped_resources,
            policy.excluded_cluster_scoped_resources,
        ),
        "namespaceScopedResources": (
            policy.included_namespace_scoped_resources,
            policy.excluded_namespace_scoped_resources,
        ),
    }
    for what, (includes, excludes) in lists.items():
        if "*" in (*includes, *excludes):
            yield f"{what}: '*' is for a backup's own lists only"
        named = IncludesExcludes(
            [name for name in includes if name != "*"],
            [name for name in excludes if name != "*"],
        )
        yield from named.violations(what)
