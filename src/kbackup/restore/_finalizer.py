"""What can only be said when everything is written."""

from collections.abc import Sequence

from kbackup.models import ItemOutcome
from kbackup.plugins import Run
from kbackup.restore._plan import RestorePlan
from kbackup.restore._writer import CREATED


def finalize(plan: RestorePlan, outcomes: Sequence[ItemOutcome], run: Run) -> None:
    """Warn by name of each claim that is empty, or that will wait for something."""
    if not plan.entries:
        run.warning("nothing was selected: no item of the backup is in this restore")
    created = {x.identifier for x in outcomes if x.action == CREATED}
    for line in plan.claims:
        if line.target not in created:
            continue
        if line.loses_data:
            run.warning(line.text, item=line.target)
        for problem in line.problems:
            run.warning(problem, item=line.target)
