"""What a restore of named namespaces leaves out without anybody having said so.

Velero's rule: cluster-scoped objects follow ``includeClusterResources``, which left open
takes them only with all namespaces. An operator then comes back without the rights and
definitions that it works with, so the plan says what was left. Pure.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from kbackup._kits.words import first_few, plural
from kbackup.archive import ArchiveContents
from kbackup.catalog.engine import SystemObjects
from kbackup.errors import ArchiveCorruptError
from kbackup.models import ResourceIdentifier, well_known
from kbackup.plugins.engine import ODD
from kbackup.restore._plan_entry import PlanEntry
from kbackup.restore._request.request import RestoreRequest


def left_by_scope(
    contents: ArchiveContents, request: RestoreRequest, entries: Iterable[PlanEntry]
) -> Iterator[str]:
    """Say how many cluster-scoped objects are left out for no other reason.

    Args:
        contents: The backup.
        request: What was asked for.
        entries: The plan: what an action asked for comes along.
    """
    filters = request.filters
    if filters.cluster_scoped is not None or filters.namespaces.includes_everything:
        return
    taken = {x.identifier for x in entries if not x.identifier.namespace}
    left: Counter[str] = Counter()
    for resource in contents.resources():
        if resource == well_known.NAMESPACES or not filters.wants_type(resource):
            continue
        if request.system.covers_type(resource):
            continue
        for ref in contents.identifiers(resource, ""):
            if ref not in taken and _is_users(ref, contents, request.system):
                left[resource.resource] += 1
    if left:
        kinds = first_few([f"{name} ({count})" for name, count in left.most_common()])
        yield (
            f"{plural(left.total(), 'cluster-scoped object')} of the backup left out,"
            f" because namespaces are named: {kinds};"
            " --include-cluster-resources true takes them"
        )


def _is_users(
    ref: ResourceIdentifier, contents: ArchiveContents, system: SystemObjects
) -> bool:
    """Whether an item is the user's, as far as it can be read."""
    item = contents.get(ref)
    try:
        return item is not None and system.row_for(ref, item.content) is None
    except (ArchiveCorruptError, *ODD):
        return False  # nobody could restore it
