"""What keeps a repository small, whole and elsewhere, too. A chapter of the facade."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, TypeAlias

from kbackup._kits.words import plural
from kbackup.errors import IntegrityError, InvalidSpecError
from kbackup.repository._access import Access, Snapshots
from kbackup.repository._backend import File, FileType
from kbackup.repository._ids import SnapshotID, parse_id
from kbackup.repository._progress import Told, untold
from kbackup.repository._selection import HOST_AND_PATHS, GroupBy, SnapshotFilter
from kbackup.repository._snapshots import (
    Snapshot,
    remove_snapshot,
    require_several,
)

if TYPE_CHECKING:
    from kbackup.repository._copy import Copied
    from kbackup.repository._prune_plan import PrunePlan, PruneRequest
    from kbackup.repository._repair import RepairedIndex
    from kbackup.repository._retention import ForgetPlan, RetentionPolicy
    from kbackup.repository._tag import Tagged

_Forgotten: TypeAlias = dict[SnapshotID, Snapshot | None]


class Upkeep(Access):
    """What is done with an opened repository from time to time."""

    def plan_forget(
        self,
        policy: RetentionPolicy,
        *,
        filter: SnapshotFilter | None = None,  # noqa: A002
        group_by: GroupBy = HOST_AND_PATHS,
        now: datetime | None = None,
    ) -> ForgetPlan:
        """Decide which snapshots a policy keeps, series by series; nothing is removed.

        Args:
            policy: What to keep of each series.
            filter: Which snapshots it is about; the others stay.
            group_by: What makes a series.
            now: Aware; None: this moment.

        Raises:
            InvalidSpecError: The policy keeps nothing at all.
        """
        from kbackup.repository._retention import plan_forget

        with self._reading() as confirm:
            confirm()
            found = self._meant((), filter)
        moment = now or datetime.now(UTC)
        return plan_forget(found, policy, now=moment, group_by=group_by)

    def forget(
        self,
        what: ForgetPlan | Sequence[str | Snapshot],
        *,
        empty_series: bool = False,
    ) -> Snapshots:
        """Remove snapshots; what only they need is unused from then on, and stays.

        Args:
            what: A plan; or snapshots, IDs or beginnings of such, of a damaged one all
                64 digits.
            empty_series: Also where a plan keeps nothing of a series.

        Returns:
            Those that were removed, the oldest first, damaged ones apart.

        Raises:
            InvalidSpecError: The plan keeps nothing of a series, or it is one text;
                nothing was removed.
            SnapshotNotFoundError: One is not there; nothing was removed.
            RepositoryLockedError: Somebody else works in it.
        """
        from kbackup.repository._retention import ForgetPlan

        if isinstance(what, ForgetPlan) and what.emptied and not empty_series:
            names = "; ".join(map(str, what.emptied))
            raise InvalidSpecError([f"nothing would be kept of {names}"])
        require_several(what)
        with self._locked(exclusive=True) as lock:
            if isinstance(what, ForgetPlan):
                found = self._still_there(what.remove)
            else:
                found = dict(map(self._forgettable, what))
            for name in found:
                lock.check()
                remove_snapshot(self._opened.documents, name)
        removed = (snapshot for snapshot in found.values() if snapshot is not None)
        return sorted(removed, key=attrgetter("time", "id"))

    def _still_there(self, snapshots: Sequence[Snapshot]) -> _Forgotten:
        listed = self._opened.backend.list(FileType.SNAPSHOT)
        there = {name for name, _ in listed}
        return {each.id: each for each in snapshots if each.id in there}

    def _forgettable(self, what: str | Snapshot) -> tuple[SnapshotID, Snapshot | None]:
        """Return what is meant; of one that is damaged only its name is known."""
        text = what if isinstance(what, str) else what.id.hex()
        try:
            snapshot = self._named(text)
        except IntegrityError:
            with suppress(ValueError):
                name = SnapshotID(parse_id(text))
                if self._opened.backend.exists(File(FileType.SNAPSHOT, name)):
                    return name, None
            raise
        return snapshot.id, snapshot

    def tag(
        self,
        snapshots: Sequence[str | Snapshot] = (),
        *,
        set: Sequence[str] | None = None,  # noqa: A002
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        filter: SnapshotFilter | None = None,  # noqa: A002
    ) -> list[Tagged]:
        """Give snapshots other tags; each gets another ID, and keeps its first as `original`.

        Who wrote down an ID finds nothing by it afterwards. At any moment of a crash each
        snapshot is there, perhaps in both ways.

        Args:
            snapshots: Which; none: those that *filter* chooses.
            set: Instead of the tags that they have; empty: they have none afterwards.
            add: Come behind those that they have.
            remove: Those that they have not are passed over.
            filter: Which; None: all.

        Returns:
            Those that were changed; those that had these tags already are left alone.

        Raises:
            InvalidSpecError: No tag is given, or *set* and another; nothing was changed.
            SnapshotNotFoundError: One is not there; nothing was changed.
            IntegrityError: One of them is damaged; nothing was changed.
            RepositoryLockedError: Somebody else works in it, or the lock was lost.
        """
        from kbackup.repository._tag import TagChange, tag_snapshots

        require_several(snapshots)
        change = TagChange(set=set, add=add, remove=remove)
        # By their names, as one that was forgotten meanwhile must not come back.
        names = [each if isinstance(each, str) else each.id.hex() for each in snapshots]
        with self._locked(exclusive=True) as lock:
            meant = self._meant(names, filter)
            return tag_snapshots(
                self._opened.documents,
                {each.id: each for each in meant}.values(),
                change,
                check=lock.check,
            )

    def plan_prune(
        self,
        request: PruneRequest | None = None,
        *,
        without: Sequence[str | Snapshot] = (),
        told: Told = untold,
    ) -> PrunePlan:
        """Find out what nobody needs, and decide what becomes of it; nothing is removed.

        Args:
            request: How much unused may stay; None: 5 % of what is used.
            without: Snapshots that count as forgotten: until they are, the plan is one
                to look at, and `prune` refuses it as outdated.
            told: Told how many trees were read.

        Raises:
            IntegrityError: Something that a snapshot needs is damaged or missing: then
                nobody knows what else is needed.
            SnapshotNotFoundError: One of those is not there.
            RepositoryLockedError: Somebody works in it alone.
        """
        require_several(without)
        with self._reading() as confirm:
            confirm()
            gone = dict(map(self._forgettable, without))
            return self._plan_prune(request, told, without=gone)

    def prune(
        self,
        what: PrunePlan | PruneRequest | None = None,
        *,
        remove_all: bool = False,
        told: Told = untold,
    ) -> PrunePlan:
        """Remove what nobody needs.

        At any moment of a crash every snapshot is whole.

        Args:
            what: A plan that was made before; else what it is to be made by, now.
            remove_all: Also where no snapshot is there, and everything would go: they
                may be lost, or somewhere else for the moment.
            told: Told how far this is.

        Returns:
            What was done.

        Raises:
            InvalidSpecError: No snapshot is there; nothing was removed.
            PlanOutdatedError: Something came or went since the plan was made; nothing
                was removed.
            IntegrityError: Something that a snapshot needs is damaged or missing;
                nothing was removed.
            RepositoryLockedError: Somebody else works in it, or the lock was lost.
        """
        from kbackup.repository import _prune as pruning
        from kbackup.repository._prune_plan import PrunePlan

        with self._locked(exclusive=True) as lock:
            if isinstance(what, PrunePlan):
                plan = what
                known = self._snapshots()
                self._opened.refresh_index()
                pruning.require_fresh(plan, self._opened, known)
            else:
                plan = self._plan_prune(what, told)
            if plan.removes_all and not remove_all:
                packs = plural(plan.removed.packs, "pack")
                raise InvalidSpecError([f"no snapshot is there: all {packs} would go"])
            if not plan.is_empty:
                pruning.carry_out(plan, self._opened, check=lock.check, told=told)
        return plan

    def _plan_prune(
        self,
        request: PruneRequest | None,
        told: Told,
        *,
        without: Collection[bytes] = (),
    ) -> PrunePlan:
        from kbackup.repository._prune import look
        from kbackup.repository._prune_plan import PruneRequest

        known = [each for each in self._snapshots() if each.id not in without]
        self._opened.refresh_index()
        return look(self._opened, known, request or PruneRequest(), told=told)

    def repair_index(
        self, *, read_all: bool = False, told: Told = untold
    ) -> RepairedIndex:
        """Write the index anew: what is in packs, and no pack that is gone.

        Needed after files of the repository were lost or damaged. No pack is removed;
        what snapshots lack after that, `check` tells.

        Args:
            read_all: Read the header of each pack, also of those that an old index names.
            told: Told how far this is.

        Raises:
            RepositoryLockedError: Somebody else works in it, or the lock was lost.
            StoreError: The backend failed; the old index is still there.
        """
        from kbackup.repository._repair import repair_index

        with self._locked(exclusive=True) as lock:
            return repair_index(
                self._opened, read_all=read_all, check=lock.check, told=told
            )

    def copy(
        self,
        target: Upkeep,
        snapshots: Sequence[str | Snapshot] = (),
        *,
        filter: SnapshotFilter | None = None,  # noqa: A002
        told: Told = untold,
    ) -> list[Copied]:
        """Copy snapshots to another repository, which lacks nothing of them afterwards.

        What it has already is not copied again, snapshots as well as contents.

        Args:
            target: Another opened repository.
            snapshots: Which; none: those that *filter* chooses.
            filter: Which; None: all.
            told: Told how far this is.

        Raises:
            InvalidSpecError: It is the same repository.
            SnapshotNotFoundError: There is none of that name.
            IntegrityError: Something is damaged here; what was copied before is whole.
        """
        from kbackup.repository._copy import Copier

        if target._opened.config.id == self._opened.config.id:
            raise InvalidSpecError(["a repository is not copied to itself"])
        with self._reading() as confirm, target._locked() as lock:
            confirm()
            meant = self._meant(snapshots, filter)
            self._opened.refresh_index()
            there = target._snapshots()
            target._opened.refresh_index()
            copier = Copier(self._opened, target._opened, told=told)
            return copier.run(meant, there, check=lock.check)
