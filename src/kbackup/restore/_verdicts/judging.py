"""What becomes of a live object to which an item is applied. Pure."""

from typing import Any

import attrs

from kbackup._kits.words import first_few
from kbackup.restore._comparing.applied_fields import Applied, applied_of
from kbackup.restore._comparing.existing import Content, ExistingRules, Verdict, decide
from kbackup.restore._making.reset import cleaned
from kbackup.restore._plan_entry import PlanAction

_FORCE = "--force-conflicts takes what others manage"


@attrs.frozen
class Judgement:
    """What becomes of a live object to which an item is applied.

    Attributes:
        verdict: Unchanged, update, skip or conflict.
        applied: What is sent.
        forces: Fields are taken from their managers.
    """

    verdict: Verdict
    applied: Applied
    forces: bool


def judge(
    desired: Content,
    stored: Content,
    live: dict[str, Any],
    rules: ExistingRules,
    *,
    hide: bool = False,
) -> Judgement:
    """Decide about an object that the target has.

    Args:
        desired: As it would be created.
        stored: As the backup has it, in the version that it has there.
        live: As the target has it; it is cleaned in place.
        rules: Of this object.
        hide: The differences show no values.
    """
    applied = applied_of(desired, stored, live)
    cleaned(live)
    verdict = decide(applied.goal(live), live, rules, hide=hide)
    if verdict.action is not PlanAction.UPDATE:
        return Judgement(verdict, applied, forces=False)
    against = _against(applied)
    # To take its own fields from itself kbackup has to force, and nobody would say
    # whose else it takes with them.
    is_refused = bool(applied.clashes) or (bool(applied.unnamed) and applied.is_own)
    if is_refused and not rules.force:
        verdict = Verdict(
            action=PlanAction.CONFLICT,
            reason=f"{against}; {_FORCE}",
            differences=verdict.differences,
        )
        return Judgement(verdict, applied, forces=False)
    reason = f"kbackup manages {applied.managed()} afterwards"
    if against:
        told = "taken from its manager" if rules.force else "refused where that clashes"
        reason = f"{reason}; {told}: {against}"
    verdict = Verdict(
        action=verdict.action, reason=reason, differences=verdict.differences
    )
    return Judgement(verdict, applied, forces=rules.force and bool(against))


def _against(applied: Applied) -> str:
    """Who has set something otherwise, or may have; empty: nobody."""
    told = [first_few([str(clash) for clash in applied.clashes])] * bool(
        applied.clashes
    )
    if applied.unnamed:
        names = first_few(list(applied.unnamed))
        told.append(f"what has other names in this version is managed by {names}")
    return "; ".join(told)
