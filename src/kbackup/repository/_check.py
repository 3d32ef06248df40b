"""Whether a repository is whole: what is where, who needs what, and every byte if asked.

Nothing is changed. What is wrong is a finding, and the check goes on; a hint is what
harms nobody. Called by the facade, under a shared lock.
Source: restic ``doc/045_working_with_repos.rst``, "Checking integrity and consistency".
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import attrs

from kbackup._kits.words import plural
from kbackup._kits.workers import map_ordered
from kbackup.errors import (
    BlobMissingError,
    IntegrityError,
    RepositoryError,
    StoreError,
)
from kbackup.repository._backend import File, FileType
from kbackup.repository._documents import load_whole
from kbackup.repository._ids import BlobID, BlobType, IndexID, PackID, SnapshotID, short
from kbackup.repository._index import IndexedPack, load_index, merged
from kbackup.repository._nodes import Node, NodeType
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._pack_reading import find_faults
from kbackup.repository._packs import size_of_pack
from kbackup.repository._progress import Progress, Told, untold
from kbackup.repository._reachable import Reach, Reachable
from kbackup.repository._snapshots import Snapshot, load_snapshot
from kbackup.repository._subset import Subset

_READERS = 2


@attrs.frozen(order=True)
class Finding:
    """Something that was found.

    Attributes:
        thing: What it is about: ``pack 3f2a9c01``, ``tree 0a1b2c3d``.
        reason: What is wrong, or noteworthy.
    """

    thing: str
    reason: str

    def __str__(self) -> str:
        return f"{self.thing}: {self.reason}"


@attrs.define
class CheckResult:
    """What a check found.

    Attributes:
        errors: What is damaged or missing, so that something cannot be restored, or
            might not be.
        hints: What harms nobody; `prune` or `repair_index` mends it.
        snapshots: How many were checked; also *trees*, *packs*.
        unused_blobs: Blobs that nobody needs.
        bytes_read: Of packs, whose every blob was opened.
        damaged_packs: Those of them that are not what was written.
        is_index_wrong: Whether packs are not as the index has them, or one that it does
            not name may have what is missing: `repair_index` finds out.
    """

    errors: list[Finding] = attrs.field(factory=list)
    hints: list[Finding] = attrs.field(factory=list)
    snapshots: int = 0
    trees: int = 0
    packs: int = 0
    unused_blobs: int = 0
    bytes_read: int = 0
    damaged_packs: list[PackID] = attrs.field(factory=list)
    is_index_wrong: bool = False

    def __str__(self) -> str:
        """As people read it: what was looked at, then each finding in a line."""
        looked = ", ".join(
            plural(count, word)
            for count, word in (
                (self.snapshots, "snapshot"),
                (self.trees, "tree"),
                (self.packs, "pack"),
            )
        )
        found = plural(len(self.errors), "error") if self.errors else "no errors"
        errors = [f"error: {each}" for each in self.errors]
        hints = [f"hint: {each}" for each in self.hints]
        return "\n".join([f"{looked}: {found} found", *errors, *hints])

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.errors

    @property
    def exit_code(self) -> int:
        """What a command line ends with: 0, or 1 where something is wrong."""
        return 1 if self.errors else 0


class _Expected(NamedTuple):
    """What index files tell of a pack: how many bytes it has, and how many blobs."""

    size: int
    blobs: int


class Checker:
    """Checks one repository; used once.

    Args:
        repository: Its index need not be loaded.
        told: Told how far this is.
    """

    def __init__(self, repository: OpenedRepository, *, told: Told = untold) -> None:
        # Of its own, with nothing loaded: what others loaded may be gone by now.
        self._repository = attrs.evolve(repository)
        self._backend, self._told = repository.backend, told
        self._lock = threading.Lock()
        self._sizes: dict[PackID, int] = {}
        self._unnamed: set[PackID] = set()
        self.result = CheckResult()

    def run(self, subset: Subset | None) -> CheckResult:
        """Check everything.

        Args:
            subset: The packs that are read whole; None: none is.

        Raises:
            StoreError: The backend does not answer.
            Cancelled: Somebody stopped it.
        """
        self._check_keys()
        # Before the index, which must know what they need.
        snapshots = self._check_snapshots()
        packs = self._check_indexes()
        self._check_packs(packs)
        reached = self._check_trees(snapshots)
        known = len(self._repository.index)
        self.result.unused_blobs = max(0, known - len(reached))
        if subset is not None:
            self._read(packs, subset)
        self.result.errors.sort()
        self.result.hints.sort()
        return self.result

    # --- files of one document ----------------------------------------------------------

    def _check_keys(self) -> None:
        """Look at the bytes of key files: each opens with a password of its own."""
        for name, size in sorted(self._backend.list(FileType.KEY)):
            file = File(FileType.KEY, name)
            if not size:
                self._hint(str(file), "it is empty, as a torn write leaves it")
                continue
            with self._noting(file):
                load_whole(self._backend, file)

    def _check_snapshots(self) -> list[Snapshot]:
        found = []
        for name in self._names(FileType.SNAPSHOT):
            with self._noting(File(FileType.SNAPSHOT, name)):
                found.append(
                    load_snapshot(self._repository.documents, SnapshotID(name))
                )
        self.result.snapshots = len(found)
        return found

    def _check_indexes(self) -> dict[PackID, _Expected]:
        """Load what loads; return what is told of each pack."""
        names = []
        index = self._repository.index
        for name in map(IndexID, self._names(FileType.INDEX)):
            with self._noting(File(FileType.INDEX, name)):
                for pack in load_index(self._repository.documents, name):
                    index.add(pack)
                names.append(name)
                continue
            self.result.is_index_wrong = True
        # Once more: what all of them tell of a pack that several name is known only now.
        packs = {}
        for pack in merged(self._loaded(names), index.split):
            packs[pack.id] = _Expected(size_of_pack(pack.blobs), len(pack.blobs))
        return packs

    def _loaded(self, names: Sequence[IndexID]) -> Iterator[IndexedPack]:
        for name in names:
            self._repository.cancel.check()
            yield from load_index(self._repository.documents, name)

    def _names(self, kind: FileType) -> list[bytes]:
        return sorted(name for name, _ in self._backend.list(kind))

    # --- packs --------------------------------------------------------------------------

    def _check_packs(self, packs: dict[PackID, _Expected]) -> None:
        """Hold the packs that are there against those that the index files name."""
        self._sizes = {PackID(n): size for n, size in self._backend.list(FileType.PACK)}
        self.result.packs = len(self._sizes)
        for name, expected in packs.items():
            size = self._sizes.get(name)
            if size != expected.size:
                self.result.is_index_wrong = True
            if size is None:
                self._note(
                    File(FileType.PACK, name), "an index names it, and it is gone"
                )
            elif size != expected.size:
                reason = f"it has {size} bytes, by the index {expected.size}"
                self._note(File(FileType.PACK, name), reason)
        self._unnamed = self._sizes.keys() - packs.keys()
        for name in self._unnamed:
            self._hint(
                str(File(FileType.PACK, name)), "no index names it; `prune` removes it"
            )
        named = sum(expected.blobs for expected in packs.values())
        if twice := named - len(self._repository.index):
            self._hint(
                plural(twice, "blob"), "there more than once; `prune` leaves one"
            )

    # --- trees --------------------------------------------------------------------------

    def _check_trees(self, snapshots: Sequence[Snapshot]) -> Reachable:
        reach = Reach(
            self._repository, visit=self._visit, lost=self._lose, told=self._told
        )
        for snapshot in snapshots:
            reach.run([snapshot.tree])
        self.result.trees = len(reach.reached.trees)
        return reach.reached

    def _visit(self, tree: BlobID, nodes: Sequence[Node]) -> None:
        for node in nodes:
            if node.type != NodeType.FILE:
                continue
            thing = f"tree {short(tree)}, file {_shown(node)}"
            if node.content is None:
                self._note(thing, "it has no list of blobs")
                continue
            self._check_file(thing, node)

    def _check_file(self, thing: str, node: Node) -> None:
        size = 0
        for blob in node.blobs:
            if not self._repository.index.has(BlobType.DATA, blob):
                self._note(thing, f"no index names its data blob {short(blob)}")
                self._suspect_unnamed()
                return
            size += self._repository.index.find(BlobType.DATA, blob).size
        if size != node.size:
            self._note(thing, f"its blobs have {size} bytes instead of {node.size}")

    def _lose(self, tree: BlobID, error: IntegrityError) -> None:
        self._note(f"tree {short(tree)}", error.reason or error.fact)
        if isinstance(error, BlobMissingError):
            self._suspect_unnamed()

    def _suspect_unnamed(self) -> None:
        """Something is missing: a pack that no index names may have it."""
        if self._unnamed:
            self.result.is_index_wrong = True

    # --- every byte ---------------------------------------------------------------------

    def _read(self, packs: dict[PackID, _Expected], subset: Subset) -> None:
        """Read packs whole: their names, their headers, and every blob."""
        sizes = {name: size for name, size in self._sizes.items() if name in packs}
        chosen = subset.choose(sizes)
        total = sum(sizes[name] for name in chosen)

        def read(name: PackID) -> list[str]:
            return find_faults(self._repository, name, packs[name].blobs)

        faults = map_ordered(read, chosen, workers=_READERS, name="kbackup-check")
        for name, reasons in zip(chosen, faults, strict=True):
            self._repository.cancel.check()
            for reason in reasons:
                self._note(File(FileType.PACK, name), reason)
            if reasons:
                self.result.damaged_packs.append(name)
            self.result.bytes_read += sizes[name]
            self._told(Progress("read packs", self.result.bytes_read, total))

    # --- findings -----------------------------------------------------------------------

    @contextmanager
    def _noting(self, file: File) -> Iterator[None]:
        try:
            yield
        except StoreError as exc:
            if exc.retryable:
                raise
            self._note(file, str(exc))
        except RepositoryError as exc:
            self._note(file, exc.reason or exc.fact)

    def _note(self, thing: File | str, reason: str) -> None:
        with self._lock:
            self.result.errors.append(Finding(str(thing), reason))

    def _hint(self, thing: str, reason: str) -> None:
        self.result.hints.append(Finding(thing, reason))


def _shown(node: Node) -> str:
    return repr(node.name.decode(errors="backslashreplace")[:80])
