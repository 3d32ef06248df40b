"""RestoreSpec and RestoreOptions, checked and resolved against backup and target.

`validate` is pure; `RestoreRequest` holds what all later steps need and nothing that
changes while they run.
"""

import json
import uuid
from collections.abc import Callable

import attrs

from kbackup._kits.texts import text_violations
from kbackup.catalog import Manifest, VolumeRecord
from kbackup.catalog.engine import SystemObjects
from kbackup.cluster import Cluster, Discovery
from kbackup.errors import InvalidSpecError
from kbackup.hooks import ExecHooks, InitHooks
from kbackup.models import (
    Backup,
    Item,
    Restore,
    RestoreOptions,
    RestoreSpec,
    ServerVersion,
    label_value,
    to_json,
    validate_restore_name,
    validate_restore_spec,
)
from kbackup.restore._owners.earlier_ties import EarlierTies
from kbackup.restore._request.asked import deciding_options
from kbackup.restore._request.filters import Filters
from kbackup.restore._request.modifier_source import (
    LoadedModifiers,
    modifier_violations,
)
from kbackup.restore._request.policies import Policies, policy_violations
from kbackup.restore._request.priorities import Priorities
from kbackup.restore._request.redaction import Redaction
from kbackup.restore._request.statuses import StatusRules
from kbackup.restore._request.version_priority import priority_violations
from kbackup.restore._target.api_versions import PlanVersions
from kbackup.restore._target.converting import Conversions
from kbackup.restore._target.reads import MemoReader
from kbackup.stores import RestoreFiles, layout

# Of the names of all restores; any fixed value does where a backup has no uid.
_NO_UID = uuid.UUID("6e5c1a0e-2f0b-5d53-9d0c-0c7e9a3f6d11")


@attrs.frozen(kw_only=True)
class RestoreRequest:
    """One restore, validated and resolved.

    Attributes:
        restore: The record so far: name, uid, spec.
        options: What only kbackup knows.
        backup: The backup's record.
        manifest: Its manifest; None: another tool wrote it.
        volumes: What it says it holds of volumes' data; None: that cannot be read.
        archive_digest: SHA-256 of the archive.
        cluster: The target, bound to the run.
        discovery: What the target serves.
        reader: The target for item actions.
        target_uid: Of the target cluster; empty when it may not be read.
        target_version: Of the target's server.
        same_cluster: Whether the backup is of the target; None: cannot be told.
        filters: Which items are wanted.
        system: Which items belong to the cluster.
        priorities: The order of the types.
        policies: What may happen to objects that exist.
        redaction: Whose values no output shows.
        statuses: Whose status is restored.
        modifiers: The user's rules; None: there are none.
        conversions: Which items get another API version.
        versions: In which versions types are restored; None: as the source preferred.
        recorded: Tells whether this very restore is on record: all it began has ended.
        earlier_ties: Tells who owned what its earlier runs were to change.
    """

    restore: Restore
    options: RestoreOptions
    backup: Backup
    manifest: Manifest | None
    volumes: tuple[VolumeRecord, ...] | None
    archive_digest: str
    cluster: Cluster
    discovery: Discovery
    reader: MemoReader
    target_uid: str
    target_version: ServerVersion
    same_cluster: bool | None
    filters: Filters
    system: SystemObjects
    priorities: Priorities
    policies: Policies
    redaction: Redaction = attrs.field(factory=Redaction)
    statuses: StatusRules = attrs.field(factory=StatusRules)
    modifiers: LoadedModifiers | None = None
    conversions: Conversions = attrs.field(factory=Conversions)
    versions: PlanVersions | None = None
    recorded: Callable[[], bool] = bool
    earlier_ties: Callable[[], EarlierTies] = dict

    @property
    def spec(self) -> RestoreSpec:
        """What was asked for."""
        return self.restore.spec

    @property
    def may_move_items(self) -> bool:
        """Whether an item may go elsewhere than the filters say."""
        return bool(self.options.transforms) or self.modifiers is not None

    @property
    def restore_label(self) -> str:
        """The value of the label that every restored object carries."""
        return label_value(self.restore.name)

    @property
    def init_hooks(self) -> InitHooks:
        """Which Pods get init containers, as asked for."""
        return InitHooks(self.spec.hooks, self.restore.metadata.uid)

    @property
    def exec_hooks(self) -> ExecHooks:
        """Which Pods have commands run in them, as asked for."""
        return ExecHooks(self.spec.hooks)

    def hides(self, item: Item) -> bool:
        """Whether the values of an item may not be shown."""
        return self.redaction.hides(item.identifier.group_resource, item.kind)


def validate(name: str, spec: RestoreSpec, options: RestoreOptions) -> None:
    """Check what can be checked without backup and target.

    Raises:
        InvalidSpecError: With every rule that is broken.
    """
    broken = [
        *validate_restore_name(name),
        *layout.name_violations(name, RestoreFiles),
        *validate_restore_spec(spec),
        *modifier_violations(spec, options),
        *policy_violations(options),
        *priority_violations(options),
    ]
    broken = broken or text_violations(options)
    if broken:
        raise InvalidSpecError(broken)


def restore_uid(
    backup_uid: str,
    name: str,
    target_uid: str,
    spec: RestoreSpec,
    options: RestoreOptions,
    *,
    modifiers: str = "",
) -> str:
    """The uid of a restore: the same when it is run again after it was killed.

    Whatever decides what is written makes it another one. Functions count by their
    qualified names, which is all that can be told of them in another process.

    Args:
        backup_uid: Of the backup.
        name: Of the restore.
        target_uid: Of the target cluster.
        spec: With the backup's name in it, not that of a schedule.
        options: Those that are no `deciding_options` make no difference.
        modifiers: The digest of the resource modifiers that the specification names.
    """
    try:
        namespace = uuid.UUID(backup_uid)
    except ValueError:
        namespace = uuid.uuid5(_NO_UID, backup_uid)
    asked = deciding_options(options)
    spec = attrs.evolve(spec, item_operation_timeout=None)  # patience, too
    parts = [name, target_uid, to_json(spec), asked, *filter(None, (modifiers,))]
    return str(uuid.uuid5(namespace, json.dumps(parts, sort_keys=True)))
