"""Snapshots copied from one repository to another, sealed with the other one's key.

What the other one has already is not read. A copied snapshot remembers the ID of the one
it was made of, as restic's do, and is not copied again. Called by the facade, which holds
a shared lock on both. Source: restic ``doc/045_working_with_repos.rst``, "Copying snapshots".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from kbackup.errors import IntegrityError
from kbackup.repository._bringing import Bringer, Need, Sealed
from kbackup.repository._ids import BlobID, BlobType, Bytes, short
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._packer import Packer
from kbackup.repository._progress import Progress, Told, untold
from kbackup.repository._reachable import Reach
from kbackup.repository._snapshots import Snapshot, save_snapshot


@attrs.frozen
class Copied:
    """What became of a snapshot that was to be copied.

    Attributes:
        snapshot: As it was.
        copy: As the other repository has it.
        is_new: Whether it was written now; else it was there.
    """

    snapshot: Snapshot
    copy: Snapshot
    is_new: bool


class Copier:
    """Copies from one repository to another; used once.

    Args:
        source: Where snapshots are; its index is loaded.
        target: Where they go; its index is loaded.
        told: Told how many bytes were copied.
    """

    def __init__(
        self,
        source: OpenedRepository,
        target: OpenedRepository,
        *,
        told: Told = untold,
    ) -> None:
        self._source, self._target, self._told = source, target, told
        self._saved: dict[BlobType, set[bytes]] = {kind: set() for kind in BlobType}
        self._reach = Reach(source)
        self._done = 0

    def run(
        self,
        snapshots: Sequence[Snapshot],
        there: Sequence[Snapshot],
        *,
        check: Callable[[], None],
    ) -> list[Copied]:
        """Copy snapshots, the oldest first; each is visible once all of it is durable.

        Args:
            snapshots: Of the source.
            there: All of the target.
            check: Raises where nothing may be written any more.

        Raises:
            IntegrityError: Something is damaged in the source; those before are copied.
            StoreError: A backend failed; the same.
        """
        done = []
        copies = list(there)
        for snapshot in snapshots:
            found = next((c for c in copies if _is_copy(snapshot, c)), None)
            if found is not None:
                done.append(Copied(snapshot, found, is_new=False))
                continue
            self._copy_content(snapshot, check)
            check()
            original = snapshot.original or snapshot.id
            draft = attrs.evolve(snapshot, original=original, parent=None)
            copy = save_snapshot(self._target.documents, draft)
            copies.append(copy)
            done.append(Copied(snapshot, copy, is_new=True))
        return done

    def _copy_content(self, snapshot: Snapshot, check: Callable[[], None]) -> None:
        needed = self._reach.run([snapshot.tree])
        packer = Packer(self._target.documents, self._target.key)
        try:
            for kind, names in (
                (BlobType.DATA, needed.data),
                (BlobType.TREE, needed.trees),
            ):
                new = [n for n in map(BlobID, names) if self._is_new(kind, n)]
                self._bring(kind, new, packer, check)
                self._saved[kind].update(new)
            packer.flush(confirm=check)
        finally:
            packer.close()

    def _is_new(self, kind: BlobType, name: BlobID) -> bool:
        return name not in self._saved[kind] and not self._target.index.has(kind, name)

    def _bring(
        self,
        kind: BlobType,
        names: list[BlobID],
        packer: Packer,
        check: Callable[[], None],
    ) -> None:
        find, codec = self._source.index.find, self._target.codec

        def deliver(need: Need, plain: Bytes, _: Sealed) -> None:
            packer.add(kind, [(need.id, codec.seal(kind, plain))], confirm=check)
            self._done += len(plain)
            self._told(Progress("copy", self._done))

        needs = [Need(name, find(kind, name)) for name in names]
        Bringer(self._source, deliver, _refuse).run(needs)


def _refuse(need: Need, reason: str) -> None:
    raise IntegrityError(f"blob {short(need.id)}", reason)


def _is_copy(snapshot: Snapshot, other: Snapshot) -> bool:
    """Whether one was made of the other, or both of the same, and nothing changed since."""
    own = {snapshot.id, snapshot.original} - {None}
    return (
        bool(own & {other.id, other.original})
        and snapshot.tree == other.tree
        and snapshot.time == other.time
        and snapshot.tags == other.tags
        and snapshot.paths == other.paths
        and snapshot.hostname == other.hostname
    )
