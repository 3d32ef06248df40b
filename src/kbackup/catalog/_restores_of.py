"""The restores of one backup, and their deletion with it.

As Velero has it: who deletes a backup deletes what is on record of its restores. A
restore that has not ended is nobody's to delete, and is told of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import attrs

from kbackup._kits.clock import Clock
from kbackup.catalog._claim_record import RESTORES, read_claims
from kbackup.catalog._restores import (
    delete_restore,
    get_restore,
    list_restores,
    unended_restores,
)
from kbackup.errors import (
    RestoreDamagedError,
    RestoreInProgressError,
    RestoreNotFoundError,
)
from kbackup.plugins import ObjectStore


@attrs.frozen(kw_only=True)
class RestoresOf:
    """What there is of a backup's restores.

    Attributes:
        ended: The uid of each that is on record, by name; those of Velero have none.
        unended: Why the others stay, by name: they run, or were killed.
    """

    ended: Mapping[str, str] = attrs.field(factory=dict)
    unended: Mapping[str, str] = attrs.field(factory=dict)


def find_restores_of(store: ObjectStore, backup: str, now: datetime) -> RestoresOf:
    """Look for the restores of a backup by the name in their records and claims."""
    uids = {
        each.metadata.name: each.metadata.uid
        for each in list_restores(store)
        if each.spec.backup_name == backup
    }
    unended = {
        claim.name: f"begun and not ended {claim}"
        for claim in unended_restores(store)
        if claim.from_backup == backup
    }
    for _, claim in read_claims(store, RESTORES, uids.__contains__):
        if claim.held and not claim.is_stale(now):  # it is being carried out once more
            unended[claim.name] = f"begun and not ended {claim}"
    ended = {name: uid for name, uid in sorted(uids.items()) if name not in unended}
    return RestoresOf(ended=ended, unended=dict(sorted(unended.items())))


def delete_restores(
    store: ObjectStore, found: RestoresOf, *, clock: Clock, ask: Callable[[], None]
) -> tuple[list[str], list[str], dict[str, str]]:
    """Delete the restores that had ended when they were looked for.

    Args:
        store: Where.
        found: What `find_restores_of` returned.
        clock: For the claims on their names.
        ask: Called before each; what it raises ends the deletion.

    Returns:
        Which were deleted, the keys of what else lay beside them, and why the others
        stay, by name.
    """
    deleted: list[str] = []
    left: list[str] = []
    kept = dict(found.unended)
    for name, uid in found.ended.items():
        ask()
        if not _is_still(store, name, uid):
            continue
        try:
            left += delete_restore(store, name, clock=clock)
        except RestoreInProgressError as exc:
            kept[name] = exc.reason
        except RestoreNotFoundError:
            continue  # somebody else was first
        else:
            deleted.append(name)
    return deleted, left, dict(sorted(kept.items()))


def _is_still(store: ObjectStore, name: str, uid: str) -> bool:
    """Tell whether the record is that which was decided about."""
    try:
        return get_restore(store, name).metadata.uid == uid
    except (RestoreNotFoundError, RestoreDamagedError):
        return False
