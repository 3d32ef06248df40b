"""What a plan would change in the cluster, as a `Difference`. Pure; called by the plan."""

from kbackup.models import ChangedItem, Difference
from kbackup.restore._plan.plan import RestorePlan
from kbackup.restore._plan_entry import PlanAction, PlanEntry

_CHANGING = (PlanAction.UPDATE, PlanAction.RECREATE)


def diff_of(plan: RestorePlan) -> Difference:
    """Sort the lines of a plan by what they do to the cluster."""
    of_action: dict[PlanAction, list[PlanEntry]] = {action: [] for action in PlanAction}
    for entry in sorted(plan.entries, key=_rank):
        of_action[entry.action].append(entry)
    changing = [x for action in _CHANGING for x in of_action[action]]
    changed = [x for x in changing if not x.only_second_writes]
    left = len(of_action[PlanAction.SKIP]) + len(of_action[PlanAction.CONFLICT])
    return Difference(
        left=f"cluster {plan.head.context or plan.head.server}",
        right=f"restore {plan.head.restore_name}",
        added=tuple(x.target for x in of_action[PlanAction.CREATE]),
        changed=tuple(map(_changed, sorted(changed, key=_rank))),
        unknown=tuple((x.target, x.reason) for x in of_action[PlanAction.UNKNOWN]),
        same=len(of_action[PlanAction.UNCHANGED]) + len(changing) - len(changed),
        left_out=left,
    )


def _changed(entry: PlanEntry) -> ChangedItem:
    return ChangedItem(
        identifier=entry.target, differences=entry.differences, reason=entry.told
    )


def _rank(entry: PlanEntry) -> tuple[str, str, str]:
    target = entry.target
    return str(target.group_resource), target.namespace, target.name
