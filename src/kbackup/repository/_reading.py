"""What is in a repository: listed, compared, restored, checked. A chapter of the facade.

Nothing here writes to the repository, locks apart. Order of reading: snapshots first,
then the index, so that nothing they need is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from kbackup.errors import InvalidSpecError
from kbackup.repository._access import Access, Snapshots
from kbackup.repository._entries import (
    Entry,
    SnapshotPath,
    find_directory,
    walk_tree,
)
from kbackup.repository._ids import BlobID
from kbackup.repository._progress import Told, untold
from kbackup.repository._selection import SnapshotFilter, split_subfolder
from kbackup.repository._snapshots import Snapshot
from kbackup.repository._targets import Target

if TYPE_CHECKING:
    from kbackup.repository._check import CheckResult
    from kbackup.repository._diff import Diff
    from kbackup.repository._find import Match
    from kbackup.repository._patterns import Patterns
    from kbackup.repository._restorer import Restored, Selection
    from kbackup.repository._stats import Stats, StatsMode


class Reading(Access):
    """What an opened repository holds."""

    def list(self, filter: SnapshotFilter | None = None) -> Snapshots:  # noqa: A002
        """Return the snapshots, the oldest first; raises `IntegrityError`.

        Args:
            filter: Which; None: all.
        """
        with self._reading() as confirm:
            confirm()
            return self._meant((), filter)

    def ls(self, snapshot: str | Snapshot) -> Iterator[Entry]:
        """Yield what is in a snapshot, a directory before what lies in it.

        Until all of it was taken, or the iterator is closed, a lock is held.

        Args:
            snapshot: One of `list`, an ID, the beginning of one, or ``latest``; as a text
                also ``ID:directory``, for what lies in that.

        Raises:
            SnapshotNotFoundError: There is none of that name.
            PathNotFoundError: It has no such directory.
            IntegrityError: A tree is damaged.
        """
        with self._reading() as confirm:
            tree = self._tree(snapshot)
            confirm()
            yield from walk_tree(self._opened, tree)

    def find(
        self,
        *patterns: str,
        ignore_case: bool = False,
        snapshots: Sequence[str | Snapshot] = (),
        filter: SnapshotFilter | None = None,  # noqa: A002
    ) -> Iterator[Match]:
        """Yield the paths that match a pattern, of each snapshot in turn, the oldest first.

        Until all of it was taken, or the iterator is closed, a lock is held.

        Args:
            patterns: As `Excludes` takes them: ``*.sql``, ``/srv/**/data``.
            ignore_case: Whether ``A`` is ``a``.
            snapshots: Which; none: those that *filter* chooses.
            filter: Which; None: all.

        Raises:
            InvalidSpecError: There is no pattern, or one is none.
            SnapshotNotFoundError: There is no snapshot of that name.
            IntegrityError: A tree is damaged.
        """
        from kbackup.repository._patterns import Patterns

        if not any(patterns):
            raise InvalidSpecError(["nothing to find: no pattern is given"])
        wanted = Patterns(patterns, ignore_case=ignore_case)
        return self._found(wanted, snapshots, filter)

    def _found(
        self,
        wanted: Patterns,
        snapshots: Sequence[str | Snapshot],
        chosen: SnapshotFilter | None,
    ) -> Iterator[Match]:
        with self._reading() as confirm:
            from kbackup.repository._find import Finder

            meant = self._meant(snapshots, chosen)
            self._opened.refresh_index()
            confirm()
            yield from Finder(self._opened, wanted).find(meant)

    def dump(
        self,
        snapshot: str | Snapshot,
        path: SnapshotPath,
        stream: BinaryIO,
        *,
        archive: str = "tar",
    ) -> None:
        """Write what lies at a path to a stream: a file as it is, a directory as an archive.

        Args:
            snapshot: As `ls` takes it.
            path: A file; or a directory, empty and ``/`` for all there is.
            stream: Written forward only, and left open.
            archive: ``tar`` or ``zip``.

        Raises:
            InvalidSpecError: There is no such archive, or something else lies there.
            SnapshotNotFoundError: There is none of that name.
            PathNotFoundError: Nothing lies there.
            IntegrityError: Something is damaged; what was written is not whole.
        """
        with self._reading() as confirm:
            from kbackup.repository._dump import dump

            tree = self._tree(snapshot)
            confirm()
            dump(self._opened, tree, path, stream, archive=archive)

    def diff(
        self,
        older: str | Snapshot,
        newer: str | Snapshot,
        *,
        metadata: bool = False,
    ) -> Diff:
        """Hold two snapshots against each other.

        Args:
            older: As `ls` takes it.
            newer: Another one.
            metadata: Whether another owner, mode or time is a change, too.

        Raises:
            SnapshotNotFoundError: There is none of that name.
            PathNotFoundError: It has no such directory.
            IntegrityError: A tree is damaged.
        """
        with self._reading() as confirm:
            from kbackup.repository._diff import compare

            first, second = self._tree(older), self._tree(newer)
            confirm()
            return compare(self._opened, first, second, metadata=metadata)

    def stats(
        self,
        mode: StatsMode | str = "restore-size",
        *,
        snapshots: Sequence[str | Snapshot] = (),
        filter: SnapshotFilter | None = None,  # noqa: A002
    ) -> Stats:
        """Count what snapshots hold, or what they take.

        Args:
            mode: What is counted.
            snapshots: Which; none: those that *filter* chooses.
            filter: Which; None: all.

        Raises:
            InvalidSpecError: There is no such mode.
            SnapshotNotFoundError: There is none of that name.
            IntegrityError: A tree is damaged.
        """
        from kbackup.repository._stats import StatsMode, count

        mode = StatsMode.parse(mode)
        with self._reading() as confirm:
            meant = self._meant(snapshots, filter)
            self._opened.refresh_index()
            confirm()
            return count(self._opened, meant, mode)

    def check(
        self, *, read_data: bool | str = False, told: Told = untold
    ) -> CheckResult:
        """Find out whether everything is there that snapshots need; nothing is changed.

        Args:
            read_data: Whether every byte is read; as a text, of which packs: one of so
                many parts (``2/5``), a share (``10%``) or a size (``500M``).
            told: Told how far this is.

        Raises:
            InvalidSpecError: *read_data* says no part.
            RepositoryLockedError: Somebody works in it alone.
            StoreError: The backend does not answer.
        """
        from kbackup.repository._check import Checker
        from kbackup.repository._subset import Subset

        subset = Subset.parse(read_data) if isinstance(read_data, str) else None
        with self._reading() as confirm:
            confirm()
            checker = Checker(self._opened, told=told)
            return checker.run(Subset() if read_data is True else subset)

    def restore(
        self,
        snapshot: str | Snapshot,
        target: Target | Path | str,
        *,
        selection: Selection | None = None,
        told: Told = untold,
    ) -> Restored:
        """Restore a snapshot.

        What is right in the target already is not written again; nothing is removed
        unless *selection* says so.

        Args:
            snapshot: As `ls` takes it.
            target: A directory, which is made, or any `Target`.
            selection: What of it, and whether the rest of the target is removed; None:
                all of it, and nothing is.
            told: Told how far this is.

        Raises:
            SnapshotNotFoundError: There is none of that name.
            PathNotFoundError: It has no such directory.
            IntegrityError: The tree that it begins with is damaged.
            OSError: The directory cannot be made.
        """
        with self._reading() as confirm:
            from kbackup.repository._directory_target import DirectoryTarget
            from kbackup.repository._restorer import EVERYTHING, Restorer

            tree = self._tree(snapshot)
            confirm()
            if isinstance(target, Path | str):
                target = DirectoryTarget(target)
                target.open_root()
            chosen = selection or EVERYTHING
            restorer = Restorer(self._opened, target, selection=chosen, told=told)
            return restorer.run(tree)

    def extraneous(
        self,
        snapshot: str | Snapshot,
        target: Target | Path | str,
        *,
        selection: Selection | None = None,
    ) -> Iterator[bytes]:
        """Yield what a target has and a snapshot has not; nothing is written.

        It is what `restore` would remove with ``Selection(delete=True)``: paths from the
        target's root, a directory for all that is in it. Until all of it was taken, or
        the iterator is closed, a lock is held.

        Args:
            snapshot: As `ls` takes it.
            target: As `restore` takes it; a directory that is missing has nothing.
            selection: What would be restored; None: all of it.

        Raises:
            SnapshotNotFoundError: There is none of that name.
            PathNotFoundError: It has no such directory.
            IntegrityError: A tree is damaged.
        """
        with self._reading() as confirm:
            from kbackup.repository._directory_target import DirectoryTarget
            from kbackup.repository._restorer import EVERYTHING, extraneous

            tree = self._tree(snapshot)
            confirm()
            if isinstance(target, Path | str):
                target = DirectoryTarget(target)
            chosen = selection or EVERYTHING
            yield from extraneous(self._opened, tree, target, chosen)

    def _tree(self, snapshot: str | Snapshot) -> BlobID:
        """Return the tree that is meant; the index is loaded after that."""
        path = ""
        if isinstance(snapshot, str):
            wanted, path = split_subfolder(snapshot)
            snapshot = self._named(wanted)
        self._opened.refresh_index()
        return find_directory(self._opened, snapshot.tree, path)
