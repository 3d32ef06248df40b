"""Whether a plan may still be applied: to this cluster, of this backup, as it was made.

Asked before anything is written; whatever does not fit is refused by name. The plan may
come from a file.
"""

from __future__ import annotations

from kbackup.archive import ArchiveContents
from kbackup.errors import PlanOutdatedError
from kbackup.hooks import INIT_RESTORE_HOOK
from kbackup.models import Backup, qualified_name
from kbackup.restore._plan.claims import ClaimVerdict
from kbackup.restore._plan.plan import RestorePlan
from kbackup.restore._prepare import check_target, find_modifiers
from kbackup.restore._request.modifier_source import LoadedModifiers, named_digest
from kbackup.restore._request.request import RestoreRequest, restore_uid
from kbackup.restore._request.settings import refuse_other_settings
from kbackup.restore._session import Session
from kbackup.restore._source import read_digest
from kbackup.restore._writes.record import check_name


def refuse_unasked_volumes(
    plan: RestorePlan, request: RestoreRequest, contents: ArchiveContents
) -> None:
    """A saved plan that was edited gives no claim a volume that it was not asked to."""
    options = plan.options
    for line in plan.claims:
        if line.verdict is not ClaimVerdict.REATTACH:
            continue
        item = contents.get(line.claim)
        spec = (item.content.get("spec") if item is not None else None) or {}
        is_its_own = spec.get("volumeName") == line.volume
        moved = line.target != request.filters.target(line.claim)
        asked = options.released_volumes == "reattach"
        if not (asked and is_its_own) or (moved and not request.may_move_items):
            raise PlanOutdatedError(
                f"the plan gives claim {line.target.qualified_name} volume "
                f"{line.volume}, which neither its options nor the backup do"
            )


def check(session: Session, plan: RestorePlan) -> tuple[Backup, LoadedModifiers | None]:
    """The backup and the modifiers that were planned.

    Others, and another target, are refused.
    """
    head, options = plan.head, plan.options
    target_uid = check_target(session.reading(), options)
    same = target_uid == head.cluster_uid
    if not target_uid:  # then its address must do
        same = same and session.cluster.server == head.server
    if not same:
        planned = _named_cluster(head.server, head.cluster_uid)
        found = _named_cluster(session.cluster.server, target_uid)
        raise PlanOutdatedError(
            f"the plan was made for another cluster: {planned}, and this is {found}"
        )
    modifiers = _same_modifiers(session, plan)
    uid = restore_uid(
        head.backup_uid,
        head.restore_name,
        target_uid,
        plan.spec,
        options,
        modifiers=named_digest(plan.spec, modifiers),
    )
    if uid != head.restore_uid:
        raise PlanOutdatedError(f"the plan is not one of restore {head.restore_name}")
    _refuse_without_changers(session, plan, modifiers)
    refuse_other_settings(
        session.reading(),
        session.plugins.restore_item_actions(),
        options,
        head.settings_from,
    )
    check_name(
        session.store,
        head.restore_name,
        head.restore_uid,
        from_backup=head.backup_name,
    )
    backup = session.store.get(head.backup_name)
    digest = read_digest(session, backup, options)
    if (backup.metadata.uid, digest) != (head.backup_uid, head.archive_digest):
        raise PlanOutdatedError(f"backup {head.backup_name} is not the one planned")
    return backup, modifiers


def _same_modifiers(session: Session, plan: RestorePlan) -> LoadedModifiers | None:
    """The resource modifiers as they are now, which must be those that were planned."""
    found = find_modifiers(session, plan.spec, plan.options)
    about, planned = found.about if found is not None else None, plan.head.modifiers
    if about != planned:
        raise PlanOutdatedError(
            "the resource modifiers are not those of the plan: planned was "
            f"{planned or 'none'}, found is {about or 'none'}"
        )
    return found


def _refuse_without_changers(
    session: Session, plan: RestorePlan, modifiers: LoadedModifiers | None
) -> None:
    """What changed items of the plan has to be there, or half of it would be refused."""
    named = {name for entry in plan.entries for name in entry.changed_by}
    if not named:
        return
    there = {action.name for action in session.plugins.restore_item_actions()}
    there.add(INIT_RESTORE_HOOK)  # built in, though no action: it is told of like one
    there.update(map(qualified_name, plan.options.transforms))
    if modifiers is not None:
        there.update(modifiers.modifiers.names)
    if absent := ", ".join(sorted(named - there)):
        raise PlanOutdatedError(
            f"the plan was made with {absent}, which is not installed here",
            hint="install what offers it",
        )


def _named_cluster(server: str, uid: str) -> str:
    return f"{server} (uid {uid or 'unknown'})"
