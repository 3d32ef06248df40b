"""A specification, checked and completed: from what was asked to what will be done.

`violations_of` is pure and needs no cluster; `make_request` resolves the rest. The
pipeline works on the `BackupRequest` and on nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs

from kbackup._kits.globs import is_glob
from kbackup.archive import FORMAT_VERSION
from kbackup.backup._filters import (
    NEVER_STORED_ALONE,
    Filters,
    Resolve,
    has_scoped_filters,
)
from kbackup.backup._optional_actions import action_violations
from kbackup.backup._order import other_versions, plan_types
from kbackup.backup._ordered import OrderedNames, ordered_names
from kbackup.backup._policies import policies_of, policy_violations, with_filters
from kbackup.backup._versions import at_storage_versions
from kbackup.cluster import Cluster, Discovery
from kbackup.errors import InvalidSpecError
from kbackup.hooks import HookRules
from kbackup.models import (
    APIResource,
    Backup,
    BackupOptions,
    BackupPhase,
    BackupSpec,
    BackupStatus,
    GroupResource,
    ObjectMeta,
    ServerVersion,
    label_value,
    labels,
    validate_backup_name,
    validate_backup_options,
    validate_backup_spec,
    well_known,
)
from kbackup.plugins.engine import OPERATION_TIMEOUT
from kbackup.stores import BackupFiles, layout

# What Velero fills in, so that a record reads as one of its own.
_SNAPSHOT_TIMEOUT = timedelta(minutes=10)


@attrs.frozen(kw_only=True)
class BackupRequest:
    """One backup, checked and resolved.

    Attributes:
        backup: The record so far: metadata and completed spec, no outcome.
        options: What only kbackup knows; its resource policies are those that hold,
            wherever they come from.
        selection: The spec with the types that policies include and exclude.
        ordered: What is stored first of which type.
        cluster: Bound to the run: it asks the run's cancel token.
        discovery: What the cluster serves; ``resources`` is as it is read.
        filters: What is wanted.
        hooks: What is run in which Pods.
        types: What is listed, in order; without Namespaces.
        other_versions: In which further versions each of them is listed as well.
        cluster_uid: Empty when it may not be read.
        version: Of the API server.
    """

    backup: Backup
    options: BackupOptions
    selection: BackupSpec
    ordered: OrderedNames
    cluster: Cluster
    discovery: Discovery
    filters: Filters
    hooks: HookRules
    types: tuple[APIResource, ...]
    other_versions: Mapping[GroupResource, tuple[APIResource, ...]] = attrs.field(
        factory=dict
    )
    cluster_uid: str = ""
    version: ServerVersion = attrs.field(factory=ServerVersion)


def violations_of(
    spec: BackupSpec,
    options: BackupOptions | None = None,
    *,
    name: str | None = None,
) -> list[str]:
    """Return everything that is wrong with what was asked for; nothing: it is valid.

    Args:
        spec: What was asked for.
        options: Beside it; None: the defaults.
        name: Of the backup; None where only a plan is asked for.
    """
    named = []
    if name is not None:
        named += validate_backup_name(name)
        named += layout.name_violations(name, BackupFiles)
    given = options if options is not None else BackupOptions()
    beside = [*validate_backup_options(given), *policy_violations(spec, given)]
    beside += action_violations(given)
    return [*named, *validate_backup_spec(spec), *beside]


def new_record(
    name: str, uid: str, spec: BackupSpec, options: BackupOptions, now: datetime
) -> Backup:
    """Return the record of a backup that begins now."""
    location = spec.storage_location or options.storage_location
    completed = attrs.evolve(
        spec,
        included_namespaces=spec.included_namespaces or ("*",),
        storage_location=location,
        csi_snapshot_timeout=spec.csi_snapshot_timeout or _SNAPSHOT_TIMEOUT,
        item_operation_timeout=spec.item_operation_timeout or OPERATION_TIMEOUT,
        volume_group_snapshot_label_key=(
            spec.volume_group_snapshot_label_key or labels.VOLUME_GROUP
        ),
    )
    metadata = ObjectMeta(
        name=name,
        namespace=well_known.VELERO_NAMESPACE,
        uid=uid,
        creation_timestamp=now,
        labels={
            **spec.metadata.labels,
            **options.labels,
            labels.STORAGE_LOCATION: label_value(location),
        },
        annotations=options.annotations,
    )
    status = BackupStatus(
        version=1,
        format_version=FORMAT_VERSION,
        phase=BackupPhase.IN_PROGRESS,
        start_timestamp=now,
        # A Velero server on the same bucket deletes at this time: only when asked.
        expiration=now + spec.ttl if spec.ttl else None,
    )
    return Backup(metadata=metadata, spec=completed, status=status)


def make_request(
    record: Backup, options: BackupOptions, cluster: Cluster
) -> BackupRequest:
    """Resolve a record's specification against the cluster.

    Raises:
        InvalidSpecError: It can select nothing but what is never stored by itself, or
            what it names (resource policies, objects to store first) cannot be meant.
        ClusterError: The cluster cannot be read at all.
    """
    version = cluster.version()
    served = cluster.discover(refresh=True)  # a CRD may be new
    discovery = at_storage_versions(cluster, served)
    policies = policies_of(record, options, cluster, discovery.resolve)
    added = policies.include_exclude_policy if policies is not None else None
    selection = with_filters(record.spec, added, discovery.resolve)
    filters = Filters(selection, discovery.resolve)
    _refuse_hollow_includes(selection, discovery)
    types = plan_types(discovery.resources, filters)
    annotations = {
        labels.SOURCE_CLUSTER_GIT_VERSION: version.git_version,
        labels.SOURCE_CLUSTER_MAJOR_VERSION: version.major,
        labels.SOURCE_CLUSTER_MINOR_VERSION: version.minor,
        **record.metadata.annotations,
    }
    metadata = attrs.evolve(record.metadata, annotations=annotations)
    return BackupRequest(
        backup=attrs.evolve(
            record,
            metadata=metadata,
            spec=_without_snapshots(
                record.spec,
                discovery.resolve,
                scoped=has_scoped_filters(selection),
            ),
        ),
        options=attrs.evolve(options, resource_policies=policies),
        selection=selection,
        ordered=ordered_names(record.spec.ordered_resources, types, discovery.resolve),
        cluster=cluster,
        discovery=discovery,
        filters=filters,
        hooks=HookRules(record.spec.hooks, discovery.resolve),
        types=types,
        other_versions=_asked_versions(options, types, discovery),
        cluster_uid=cluster.uid(),
        version=version,
    )


def _asked_versions(
    options: BackupOptions, types: Iterable[APIResource], discovery: Discovery
) -> Mapping[GroupResource, tuple[APIResource, ...]]:
    """Return in which further versions types are listed: in none, unless that is asked."""
    if not options.enable_api_group_versions:
        return {}
    return other_versions(types, discovery.all_versions)


def _refuse_hollow_includes(spec: BackupSpec, discovery: Discovery) -> None:
    """Refuse includes of which nothing is left; Velero would take them as all."""
    for includes in (spec.included_resources, spec.included_namespace_scoped_resources):
        found = [None if is_glob(x) else discovery.resolve(x) for x in includes]
        if found and all(x and x.group_resource in NEVER_STORED_ALONE for x in found):
            names = ", ".join(includes)
            raise InvalidSpecError(
                [f"resources: {names} belong to volumes and are never stored alone"]
            )


def _without_snapshots(
    spec: BackupSpec, resolve: Resolve, *, scoped: bool
) -> BackupSpec:
    """Return what a record states: types that are never stored alone are excluded.

    As Velero states it, in whichever of the two kinds of filters is used.
    """
    changes: dict[str, Any] = {}
    for scope, types in _excludes_to_state(scoped=scoped).items():
        names = {str(each) for each in types}
        included, excluded = f"included_{scope}", f"excluded_{scope}"
        changes[included] = tuple(
            text
            for text in getattr(spec, included)
            if text not in names and str(resolve(text)) not in names
        )
        stated = getattr(spec, excluded)
        if "*" not in stated:
            changes[excluded] = stated + tuple(sorted(names - set(stated)))
    return attrs.evolve(spec, **changes)


def _excludes_to_state(*, scoped: bool) -> dict[str, Iterable[GroupResource]]:
    """Return by the ending of a field's name what it is to exclude."""
    if not scoped:
        return {"resources": NEVER_STORED_ALONE}
    return {
        "namespace_scoped_resources": [well_known.VOLUME_SNAPSHOTS],
        "cluster_scoped_resources": [well_known.VOLUME_SNAPSHOT_CONTENTS],
    }
