"""Types that came or went while the backup ran, told once everything is stored.

The run reads the types that discovery named at its beginning. What else is in the
cluster at the end, and what of these is not, is found out here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from kbackup._kits.words import plural
from kbackup.backup._coverage import (
    FailedList,
    report_failed_list,
    report_unread_type,
)
from kbackup.backup._crds import served_type
from kbackup.backup._ledger import Ledger
from kbackup.backup._request import BackupRequest
from kbackup.cluster import Discovery
from kbackup.errors import ClusterError
from kbackup.models import GroupResource, ResourceIdentifier, well_known
from kbackup.plugins import Run


def report_new_types(request: BackupRequest, run: Run, ledger: Ledger) -> None:
    """Record the types that came after it was asked what there is.

    Their definitions are in the backup, which looks as if they had no objects.
    """
    for name in ledger.all_of(well_known.CRDS):
        group_resource = GroupResource.parse(name)
        if not _is_gone(group_resource, request.discovery):
            continue
        resource = served_type(_definition(request, name))
        if resource is not None and request.filters.lists(resource):
            report_unread_type(group_resource, run, ledger)


def _definition(request: BackupRequest, name: str) -> Mapping[str, Any]:
    """Return a definition as it is now; nothing where it went, and its type with it."""
    ref = ResourceIdentifier(well_known.CRDS, "", name)
    with suppress(ClusterError):
        return request.cluster.reader().get(ref) or {}
    return {}


def report_unserved_lists(
    lists: Sequence[FailedList], request: BackupRequest, run: Run, ledger: Ledger
) -> None:
    """Tell a type that was deleted meanwhile from one that cannot be read.

    Of the first nothing is left to cover: it is a warning. The cluster is asked for its
    types once more, if there is any such list.

    Args:
        lists: Of types that discovery had named, and the server then did not know.
        request: The backup's.
        run: Gets the warnings and errors.
        ledger: The books.
    """
    if not lists:
        return
    try:
        served = request.cluster.discover(refresh=True)
    except ClusterError:
        served = request.discovery  # nobody knows: as if nothing had gone
    read_of_gone: Counter[GroupResource] = Counter()
    for failed in lists:
        if _is_gone(failed.task.group_resource, served):
            read_of_gone[failed.task.group_resource] += failed.tally.listed
        else:
            report_failed_list(failed, run, ledger)
    for group_resource, read in read_of_gone.items():
        before = f", after {plural(read, 'item')} of it had been read" if read else ""
        run.warning(f"{group_resource} was deleted while the backup ran{before}")


def _is_gone(group_resource: GroupResource, served: Discovery) -> bool:
    """Whether a type is certainly not served: a group that was not read may have it."""
    unread = {each.group_version.partition("/")[0] for each in served.failures}
    return served.get(group_resource) is None and group_resource.group not in unread
