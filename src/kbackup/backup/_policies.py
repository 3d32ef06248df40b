"""Resource policies of a backup: where they come from, and what they add to its filters.

Read once, before anything is listed. What they say of volumes is asked for in `_claims`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from kbackup._kits.globs import IncludesExcludes, is_glob
from kbackup._kits.nested import mapping_at
from kbackup.backup._filters import Resolve
from kbackup.cluster import Cluster
from kbackup.errors import CodecError, InvalidSpecError, ItemNotFoundError
from kbackup.models import (
    Backup,
    BackupOptions,
    BackupSpec,
    IncludeExcludePolicy,
    ResourcePolicies,
    validate_resource_policies,
    well_known,
)

_SCOPES = ("namespace_scoped_resources", "cluster_scoped_resources")


def policy_violations(spec: BackupSpec, options: BackupOptions) -> Iterator[str]:
    """Yield what is wrong with asking for policies; their own rules are told elsewhere."""
    policies = options.resource_policies
    if policies is None:
        return
    if spec.resource_policy is not None:
        yield "resourcePolicy and the option resource_policies cannot be combined"
    yield from _beside_old_filters(spec, policies)


def _beside_old_filters(spec: BackupSpec, policies: ResourcePolicies) -> Iterator[str]:
    old = (
        spec.included_resources
        or spec.excluded_resources
        or spec.include_cluster_resources is not None
    )
    if old and policies.include_exclude_policy is not None:
        yield (
            "includedResources, excludedResources and includeClusterResources cannot be "
            "combined with the includeExcludePolicy of resource policies"
        )


def policies_of(
    record: Backup, options: BackupOptions, cluster: Cluster, resolve: Resolve
) -> ResourcePolicies | None:
    """Return the policies of a backup, given or read from the source cluster.

    As for a Velero server they are in its namespace, in a ConfigMap with one key.

    Raises:
        InvalidSpecError: There is no such ConfigMap, or it holds no valid policies; all
            broken rules are told.
        ClusterError: It cannot be read.
    """
    reference = record.spec.resource_policy
    if reference is None:
        return options.resource_policies
    namespace, name = record.metadata.namespace, reference.name
    where = f"resourcePolicy: ConfigMap {namespace}/{name}"
    resource = resolve(str(well_known.CONFIG_MAPS))
    try:
        if resource is None:
            raise InvalidSpecError([f"{where}: the cluster serves no ConfigMaps"])
        content = cluster.get(resource, name, namespace).content
    except ItemNotFoundError as exc:
        raise InvalidSpecError([f"{where} does not exist"]) from exc
    data = mapping_at(content, "data")
    if len(data) != 1:
        raise InvalidSpecError([f"{where}: expected one key in data, got {len(data)}"])
    ((key, text),) = data.items()
    try:
        policies = ResourcePolicies.from_yaml(text)
    except CodecError as exc:
        raise InvalidSpecError([f"{where}: {key}: {exc}"]) from exc
    broken = [f"{where}: {key}: {r}" for r in validate_resource_policies(policies)]
    if broken := [*broken, *_beside_old_filters(record.spec, policies)]:
        raise InvalidSpecError(broken)
    return policies


def with_filters(
    spec: BackupSpec, policy: IncludeExcludePolicy | None, resolve: Resolve
) -> BackupSpec:
    """Return a specification with the types that a policy includes and excludes. Pure.

    What the specification itself says of a type, in either list, goes first.

    Source: Velero ``CombineWithPolicy``.
    """
    if policy is None:
        return spec
    changes: dict[str, Any] = {}
    for scope in _SCOPES:
        included, excluded = f"included_{scope}", f"excluded_{scope}"
        own = (*getattr(spec, included), *getattr(spec, excluded))
        stated = IncludesExcludes(_full_names(own, resolve))
        for field in (included, excluded):
            added = [
                name
                for name in getattr(policy, field)
                if not own or not stated.wants(*_full_names([name], resolve))
            ]
            changes[field] = (*getattr(spec, field), *added)
    return attrs.evolve(spec, **changes)


def _full_names(texts: Iterable[str], resolve: Resolve) -> list[str]:
    found = [None if is_glob(text) else resolve(text) for text in texts]
    return [str(a or b) for a, b in zip(found, texts, strict=True)]
