"""A tree into a target: directories first, then what is in files, pack by pack.

However many files need a blob, it is read once, and checked before a byte of it is
written. Owner and times of a directory come last, as its files change them. Called by the
facade, under a shared lock.
"""

from __future__ import annotations

import threading
from functools import partial

import attrs

from kbackup.errors import IntegrityError
from kbackup.repository._bringing import Bringer, Need, Sealed
from kbackup.repository._ids import BlobID, BlobType, Bytes
from kbackup.repository._nodes import Node, NodeType
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._progress import Progress, Told, untold
from kbackup.repository._targets import Piece, Target
from kbackup.repository._trees import load_tree


@attrs.frozen
class Problem:
    """Something that could not be restored; the rest was.

    Attributes:
        path: Where, from the snapshot's root.
        reason: What went wrong.
    """

    path: bytes
    reason: str


@attrs.define
class Restored:
    """What a restore did.

    Attributes:
        files: Files that are right now.
        bytes: Of them.
        written: Bytes that were not there already.
        problems: What could not be restored.
    """

    files: int = 0
    bytes: int = 0
    written: int = 0
    problems: list[Problem] = attrs.field(factory=list)


class _File:
    """A file some of whose pieces are missing."""

    __slots__ = ("is_broken", "node", "path", "waits_for")

    def __init__(self, path: bytes, node: Node, waits_for: int) -> None:
        self.path, self.node, self.waits_for = path, node, waits_for
        self.is_broken = False


class Restorer:
    """Restores one tree; used once.

    Args:
        repository: Where it is; its index is loaded.
        target: Where it goes.
        told: Told how far this is.
    """

    def __init__(
        self, repository: OpenedRepository, target: Target, *, told: Told = untold
    ) -> None:
        self._repository, self._target, self._told = repository, target, told
        self._needs: dict[BlobID, Need] = {}
        self._links: dict[tuple[int, int], bytes] = {}
        self._second_names: list[tuple[bytes, bytes]] = []
        self._directories: list[tuple[bytes, Node]] = []
        self._total = 0
        self._lock = threading.Lock()
        self.done = Restored()

    def run(self, tree: BlobID) -> Restored:
        """Restore everything in *tree*.

        Raises:
            IntegrityError: A tree is damaged or missing. Of damaged files only those
                are named as problems that need what is damaged.
            StoreError: The backend failed.
            Cancelled: Somebody stopped it; what is there by then is found next time.
        """
        self._walk(tree)
        self._bring()
        for path, other in self._second_names:
            self._try(path, partial(self._target.link, path, other))
        for path, node in reversed(self._directories):
            self._try(path, partial(self._target.leave, path, node))
        return self.done

    # --- what there is ------------------------------------------------------------------

    def _walk(self, tree: BlobID) -> None:
        """Make all directories, and note what files lack."""
        waiting = [(b"", tree)]
        while waiting:
            self._repository.cancel.check()
            above, tree = waiting.pop()
            for node in load_tree(self._repository, tree):
                path = b"%b/%b" % (above, node.name) if above else node.name
                if node.type == NodeType.FILE:
                    self._begin(path, node)
                elif node.type != NodeType.DIRECTORY:
                    self._try(path, partial(self._target.make, path, node))
                elif self._try(path, partial(self._target.enter, path, node)):
                    self._directories.append((path, node))
                    waiting.append((path, node.tree))

    def _begin(self, path: bytes, node: Node) -> None:
        """Note what a file lacks; another name of a file is made at the end."""
        if node.links > 1 and node.inode:  # without one nobody knows whose name it is
            first = self._links.setdefault((node.device_id, node.inode), path)
            if first != path:
                self._second_names.append((path, first))
                return
        try:
            pieces = self._pieces(node)
            missing = self._target.begin(path, node, pieces)
        except IntegrityError as exc:
            self._fail(path, str(exc))
            return
        except OSError as exc:
            self._fail(path, exc.strerror or str(exc))
            return
        self._total += sum(piece.size for piece in missing)
        file = _File(path, node, len(missing))
        if not missing:
            self._finish(file)
        for piece in missing:
            need = self._needs.get(piece.blob)
            if need is None:
                place = self._repository.index.find(BlobType.DATA, piece.blob)
                need = self._needs[piece.blob] = Need(piece.blob, place)
            need.users.append((file, piece.offset))

    def _pieces(self, node: Node) -> list[Piece]:
        pieces, at = [], 0
        for blob in node.blobs:
            size = self._repository.index.find(BlobType.DATA, blob).size
            pieces.append(Piece(blob, at, size))
            at += size
        if at != node.size:
            raise IntegrityError(
                "file", f"its blobs have {at} bytes instead of {node.size}"
            )
        return pieces

    # --- what is in it ------------------------------------------------------------------

    def _bring(self) -> None:
        """Bring what files lack."""
        bringer = Bringer(self._repository, self._write, self._fail_users)
        needs, self._needs = self._needs, {}
        bringer.run(needs.values())

    def _write(self, need: Need, plain: Bytes, _: Sealed) -> None:
        for file, offset in need.users:
            try:
                self._target.write(file.path, offset, plain)
            except OSError as exc:
                self._break(file, exc.strerror or str(exc))
            self._count(file, len(plain))
        need.users.clear()

    def _count(self, file: _File, size: int) -> None:
        with self._lock:
            file.waits_for -= 1
            is_last = file.waits_for == 0
            self.done.written += size
            progress = Progress(
                "restore", self.done.written, self._total, self.done.files
            )
        if is_last:
            self._finish(file)
        self._told(progress)

    def _finish(self, file: _File) -> None:
        if file.is_broken:
            self._try(file.path, partial(self._target.drop, file.path))
            return
        action = partial(self._target.finish, file.path, file.node)
        if self._try(file.path, action):
            with self._lock:
                self.done.files += 1
                self.done.bytes += file.node.size

    # --- what goes wrong ----------------------------------------------------------------

    def _try(self, path: bytes, action: partial[None]) -> bool:
        """Do something with one path; what fails is a problem of that one."""
        try:
            action()
        except OSError as exc:
            self._fail(path, exc.strerror or str(exc))
            return False
        return True

    def _fail_users(self, need: Need, reason: str) -> None:
        for file, _ in need.users:
            self._break(file, reason)
            self._count(file, 0)

    def _break(self, file: _File, reason: str) -> None:
        with self._lock:
            was_broken, file.is_broken = file.is_broken, True
        if not was_broken:
            self._fail(file.path, reason)

    def _fail(self, path: bytes, reason: str) -> None:
        with self._lock:
            self.done.problems.append(Problem(path, reason))
