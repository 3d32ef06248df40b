"""What the flags of a restore mean: its name, its specification and its options."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from kbackup.cli._options import status_types
from kbackup.cli._place import meant_backup, newest_backup
from kbackup.cli._session import Session
from kbackup.cli._transforms import transforms_of
from kbackup.errors import CodecError
from kbackup.models import (
    ExistingResourcePolicy,
    ResourceModifiers,
    RestoreOptions,
    RestoreSpec,
    TypedLocalObjectReference,
)

if TYPE_CHECKING:
    from kbackup.catalog import BackupStore


_POLICIES = ("none", "update", "apply", "recreate")


def restore_request(
    session: Session, flags: dict[str, Any], store: BackupStore
) -> tuple[str, RestoreSpec, RestoreOptions]:
    """Make the name, the specification and the options that the flags mean."""
    backup = session.backup = _meant(store, flags)
    policy, policies = _policies(flags)
    spec = RestoreSpec(
        backup_name=backup,
        included_namespaces=flags["include_namespaces"],
        excluded_namespaces=flags["exclude_namespaces"],
        included_resources=flags["include_resources"],
        excluded_resources=flags["exclude_resources"],
        include_cluster_resources=flags["include_cluster_resources"],
        label_selector=flags["selector"],
        or_label_selectors=flags["or_selector"],
        namespace_mapping=flags["namespace_mappings"],
        existing_resource_policy=policy,
        restore_pvs=flags["restore_volumes"],
        preserve_node_ports=flags["preserve_nodeports"],
        restore_status=status_types(
            flags["status_include_resources"], flags["status_exclude_resources"]
        ),
        item_operation_timeout=flags["item_operation_timeout"],
        resource_modifier=_config_map(flags["resource_modifier_configmap"]),
    )
    deadline: timedelta | None = flags["deadline"]
    options = RestoreOptions(
        action_settings=flags["action_settings"],
        transforms=transforms_of(flags),
        resource_modifiers=modifiers_of(flags),
        existing_cluster_resource_policy=flags["existing_cluster_resource_policy"],
        existing_policies=policies,
        force_conflicts=flags["force_conflicts"],
        controlled=flags["controlled"],
        released_volumes=flags["released_volumes"],
        retained_volumes=flags["retained_volumes"],
        expect_cluster=flags["expect_cluster"],
        enable_api_group_versions=flags["enable_api_group_versions"],
        restore_resources_version_priority=flags["restore_resources_version_priority"],
        include_system=flags["include_system"],
        convert=not flags["no_convert"],
        validate=flags["validate"],
        salvage=flags["damaged"],
        redact=flags["redact"],
    )
    if deadline is not None:
        options = attrs.evolve(options, deadline=deadline)
    source = flags["from_schedule"] or backup
    return flags["name"] or _default_name(source), spec, options


def _meant(store: BackupStore, flags: Mapping[str, Any]) -> str:
    """Return the backup that is named, or a schedule's newest."""
    if not flags["from_schedule"]:
        return meant_backup(store, flags["from_backup"])
    return newest_backup(
        store,
        flags["from_schedule"],
        partially_failed=flags["allow_partially_failed"],
    )


def _policies(
    flags: Mapping[str, Any],
) -> tuple[ExistingResourcePolicy | None, dict[str, Any]]:
    """Velero's policy, and those that only kbackup knows: its records know the former."""
    policy, named = flags["existing_resource_policy"], flags["existing_policies"]
    for name, each in named.items():
        if each not in _POLICIES:
            message = f"{name}={each}: expected one of {', '.join(_POLICIES)}"
            raise click.BadParameter(message, param_hint="--existing-policies")
    if policy == "apply":
        return None, {"*": policy, **named}
    return ExistingResourcePolicy(policy) if policy else None, dict(named)


def modifiers_of(flags: Mapping[str, Any]) -> ResourceModifiers | None:
    """Read the rules in the file that is named."""
    path: Path | None = flags["resource_modifiers_file"]
    try:
        return None if path is None else ResourceModifiers.from_file(path)
    except CodecError as exc:
        hint = "--resource-modifiers-file"
        raise click.BadParameter(str(exc), param_hint=hint) from exc


def modifiers_typed(flags: Mapping[str, Any]) -> str:
    """The option that has to stand beside a plan that was made with such a file."""
    path: Path | None = flags["resource_modifiers_file"]
    quoted = "" if path is None else shlex.quote(str(path))
    return f" --resource-modifiers-file {quoted}" if quoted else ""


def _config_map(name: str | None) -> TypedLocalObjectReference | None:
    """Refer to a ConfigMap as Velero's specification does."""
    return TypedLocalObjectReference(kind="configmap", name=name) if name else None


def _default_name(source: str) -> str:
    """Return a name that no other restore has: UTC seconds and four random digits.

    Of a long name of backup or schedule only the beginning is in it, so that the store
    can hold it.
    """
    from kbackup.stores import RestoreFiles, layout  # noqa: PLC0415 - loads slowly

    end = f"-{datetime.now(UTC):%Y%m%d%H%M%S}-{secrets.token_hex(2)}"
    beginning = source[: layout.longest_name(RestoreFiles) - len(end)]
    return beginning.rstrip("-.") + end
