"""What the caller may not write of a plan, asked of the server before anybody agrees.

A notice and no verdict: rights may be given in between, and admission may refuse what
the rights allow. Called only where the plan may ask about each write: to make a plan is
to read, and a review is a POST, although it stores nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from kbackup._kits.words import first_few, inside
from kbackup.cluster import Cluster
from kbackup.errors import ClusterError
from kbackup.models import GroupResource
from kbackup.restore._plan_entry import BY_SECOND, PlanAction, PlanEntry

_EVERYTHING = GroupResource("*", "*")
# A review is a round trip; a plan of one namespace writes about a dozen types.
_MOST = 32

_Write = tuple[str, str, GroupResource, str]  # verb, namespace, type, sub-resource


def refusals(cluster: Cluster, entries: Iterable[PlanEntry]) -> str:
    """Say what the caller may not do of what the plan would; empty: nothing is known.

    Whoever may do everything costs one review, and others at most `_MOST` more. A server
    that answers no reviews does not fail the plan.
    """
    writing = (entry for entry in entries if entry.action.writes)
    writes = sorted({write for x in writing for write in _writes_of(x)}, key=_rank)
    if not writes:
        return ""
    try:
        if cluster.may("*", _EVERYTHING):
            return ""
        refused = [
            each
            for each in writes[:_MOST]
            if not cluster.may(each[0], each[2], namespace=each[1], subresource=each[3])
        ]
    except ClusterError:
        return ""
    return _sentence(refused, unasked=len(writes[_MOST:]))


def _writes_of(entry: PlanEntry) -> Iterator[_Write]:
    namespace, resource = entry.target.namespace, entry.target.group_resource
    verb = "patch" if entry.action is PlanAction.UPDATE else "create"
    if entry.action is PlanAction.RECREATE:
        yield "delete", namespace, resource, ""
    yield verb, namespace, resource, ""
    if entry.status == BY_SECOND:
        yield "patch", namespace, resource, "status"


def _rank(write: _Write) -> tuple[str, str, str]:
    return write[0], write[1], _named(write)


def _named(write: _Write) -> str:
    """What is written, as rules of roles would name it with its group."""
    return f"{write[2]}/{write[3]}" if write[3] else str(write[2])


def _sentence(refused: Sequence[_Write], *, unasked: int) -> str:
    if not refused:
        return ""
    parts = [
        f"{verb} {first_few([_named(each) for each in group])}{inside(namespace)}"
        for (verb, namespace), group in groupby(refused, itemgetter(0, 1))
    ]
    if unasked:
        parts.append(f"{unasked} more types and namespaces were not asked about")
    return f"this account may not {'; '.join(parts)}"
