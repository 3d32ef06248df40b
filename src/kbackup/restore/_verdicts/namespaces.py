"""The namespaces that a restore writes into and the target does not have.

Reads only; called by the planner when it has decided about everything else. A namespace
that is Terminating is planned, too: the writer waits for its end, and asks here what
holds it when it has waited long enough.
"""

from __future__ import annotations

from msgspec.structs import replace

from kbackup._kits.durations import format_duration
from kbackup.archive import ArchiveContents
from kbackup.cluster import Cluster
from kbackup.errors import ClusterError
from kbackup.models import Item, ResourceIdentifier, well_known
from kbackup.plugins import ClusterReader
from kbackup.restore._making.desired import DesiredMaker
from kbackup.restore._notices.notices import NoticeBook
from kbackup.restore._plan.state import PlanState
from kbackup.restore._plan_entry import PlanAction, PlanEntry
from kbackup.restore._request.request import RestoreRequest
from kbackup.restore._target.answers import leaving, true_conditions
from kbackup.restore._target.types import ServedTypes
from kbackup.restore._verdicts.foreign import ForeignChanges

_RELEASE = (
    "let go what holds it, and once it is gone the same restore under the same name does "
    "what is left"
)


def plan_namespaces(
    state: PlanState,
    request: RestoreRequest,
    contents: ArchiveContents,
    maker: DesiredMaker,
    *,
    foreign: ForeignChanges,
    book: NoticeBook,
    wave: int,
) -> list[PlanEntry]:
    """Plan each namespace that is written into and not planned or there already.

    It is made from the Namespace of the backup that goes there, also where the selection
    left that out, or blank where the backup has none.
    """
    writing: set[str] = set()
    known: set[str] = set()
    for entry in state.entries:
        namespace = entry.target.namespace
        if namespace:
            if namespace not in writing and entry.action.writes:
                writing.add(namespace)
        elif entry.target.group_resource == well_known.NAMESPACES:
            known.add(entry.target.name)
    planner = _NamespacePlanner(
        request, contents, maker, book, wave, foreign=foreign, state=state
    )
    planned = (planner.plan(name) for name in sorted(writing - known))
    return [entry for entry in planned if entry is not None]


def is_terminating(reader: ClusterReader, name: str) -> bool:
    """Whether a live namespace is going, and all that is in it with it.

    Its objects do not say so themselves until their turn has come.
    """
    try:
        live = reader.get(_namespace(name)) if name else None
    except ClusterError:
        return False
    return live is not None and bool(live["metadata"].get("deletionTimestamp"))


def is_absent(reader: ClusterReader, name: str) -> bool:
    """Whether the target is known not to have a namespace, and so nothing in it."""
    try:
        return bool(name) and reader.get(_namespace(name)) is None
    except ClusterError:
        return False


def waiting_for(request: RestoreRequest, name: str) -> str:
    """What a plan says of a namespace that has to be gone first."""
    limit = format_duration(request.options.deadline)
    told = (
        f"namespace {name} is Terminating: what is in it now goes for good; the restore "
        f"waits {limit} at most until it is gone, then makes it anew; a longer deadline "
        "waits longer, a namespace mapping restores elsewhere"
    )
    live = request.reader.find(_namespace(name)).content or {}
    held = "; ".join(true_conditions(live))
    return f"{told}; held by: {held}" if held else told


def what_holds(cluster: Cluster, types: ServedTypes, name: str) -> str:
    """What keeps a live namespace that is going; nothing where it is not, or unknown."""
    resource = types.by_kind("v1", "Namespace") if name else None
    if resource is None:
        return ""
    try:
        live = cluster.get(resource, name).content
    except ClusterError:
        return ""
    is_going = "deletionTimestamp" in live["metadata"]
    return f"namespace {name}: {leaving(live)}; {_RELEASE}" if is_going else ""


def _namespace(name: str) -> ResourceIdentifier:
    return ResourceIdentifier(well_known.NAMESPACES, "", name)


class _NamespacePlanner:
    """Decides about one namespace at a time."""

    def __init__(
        self,
        request: RestoreRequest,
        contents: ArchiveContents,
        maker: DesiredMaker,
        book: NoticeBook,
        wave: int,
        *,
        foreign: ForeignChanges,
        state: PlanState,
    ) -> None:
        self._state = state
        self._request = request
        self._contents = contents
        self._maker = maker
        self._foreign = foreign
        self._book = book
        self._wave = wave

    def plan(self, name: str) -> PlanEntry | None:
        """The line of a namespace; None where it is there, or may not be looked at."""
        target = _namespace(name)
        try:
            live = self._request.reader.get(target)
        except ClusterError as exc:
            self._book.say(f"whether namespace {name} exists cannot be read: {exc}")
            return None
        reason = ""
        if live is not None:
            if not live["metadata"].get("deletionTimestamp"):
                return None
            reason = "the live one is being deleted: written when it is gone"
            self._book.say(waiting_for(self._request, name))
        source = self._stored(name)
        if source is None:
            desired = self._maker.make_blank_namespace(target)
            reason = reason or "not in the backup: made without labels"
        else:
            desired = self._maker.make(source, source.content)
        entry = PlanEntry(
            identifier=source.identifier if source is not None else target,
            target=target,
            action=PlanAction.CREATE,
            wave=self._wave,
            reason=reason,
            digest=desired.digest,
            api_version="v1",
            kind="Namespace",
        )
        self._state.rules.update(desired.rules)
        if source is not None and desired.changed_by:
            entry = self._foreign.shown(entry, source, desired)
        return replace(entry, errors=desired.errors) if desired.errors else entry

    def _stored(self, target: str) -> Item | None:
        """The Namespace object of the backup that goes to *target*."""
        mapping = self._request.filters.mapping
        sources = [old for old, new in sorted(mapping.items()) if new == target]
        if target not in mapping:
            sources.append(target)
        for name in sources:
            item = self._contents.get(_namespace(name))
            if item is not None:
                return item
        return None
