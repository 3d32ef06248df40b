"""A tree into a target: a few thousand files at a time, what is in them pack by pack.

However many of these need a blob, it is read once, and checked before a byte of it is
written. Owner and times of a directory come last, as its files change them. Called by the
facade, under a shared lock.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import TypeAlias

import attrs

from kbackup._kits.sizes import format_size
from kbackup._kits.words import one_line, plural
from kbackup.errors import IntegrityError, StoreError
from kbackup.repository._bringing import Bringer, Need, Sealed
from kbackup.repository._ids import BlobID, BlobType, Bytes, hash_of
from kbackup.repository._nodes import Node, NodeType
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._patterns import Patterns
from kbackup.repository._progress import Progress, Told, untold
from kbackup.repository._targets import Piece, Target
from kbackup.repository._trees import load_tree

_MOST_NEEDS = 4096  # blobs; one file may need more

_Paths: TypeAlias = list[bytes]


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
        removed: Paths that the snapshot has not, from the target's root, if that was
            asked for: a directory stands for all that was in it.
        problems: What could not be restored.
    """

    files: int = 0
    bytes: int = 0
    written: int = 0
    removed: _Paths = attrs.field(factory=list)
    problems: list[Problem] = attrs.field(factory=list)

    def __str__(self) -> str:
        """As people read it: how much is right now, and what is not."""
        size, written = format_size(self.bytes), format_size(self.written)
        lines = [f"{plural(self.files, 'file')}, {size}; {written} written"]
        if self.removed:
            lines[0] += f", {len(self.removed)} removed"
        problems = (
            f"not restored: {one_line(os.fsdecode(each.path))}: {each.reason}"
            for each in self.problems
        )
        return "\n".join([*lines, *problems])


@attrs.frozen(kw_only=True)
class Selection:
    """What of a tree is restored.

    Attributes:
        include: What matches, and what lies in it; None: everything.
        exclude: Not what matches, nor what lies in it.
        delete: Whether what the tree has not is removed from the target, as far as these
            two mean it; as a set, only these paths, such as `Repository.extraneous` told
            before. Done last, and not where anything went wrong. Of a mounted file
            system nothing is, unless the snapshot has something that lies in there.
    """

    include: Patterns | None = None
    exclude: Patterns | None = None
    delete: bool | Collection[bytes] = False

    def has(self, path: bytes) -> bool:
        """Tell whether a path is meant."""
        text = b"/" + path
        if self.exclude is not None and self.exclude.matches(text):
            return False
        return self.include is None or self.include.matches(text)

    def deletes(self, path: bytes) -> bool:
        """Tell whether a path is removed that the tree has not."""
        if isinstance(self.delete, bool):
            return self.delete and self.has(path)
        return path in self.delete and self.has(path)

    def may_have_below(self, path: bytes) -> bool:
        """Tell whether something in a directory may be meant that is not meant itself."""
        text = b"/" + path
        if self.exclude is not None and self.exclude.matches(text):
            return False
        return self.include is not None and self.include.may_match_below(text)


EVERYTHING = Selection()


class _Directory:
    """A directory of the tree; it is made once something in it, or itself, is meant."""

    __slots__ = ("above", "is_looked_at", "is_there", "node", "path")

    def __init__(
        self, path: bytes, node: Node | None, above: _Directory | None
    ) -> None:
        self.path, self.node, self.above = path, node, above
        self.is_there: bool | None = None if node is not None else True
        self.is_looked_at = False


class _File:
    """A file some of whose pieces are missing."""

    __slots__ = ("is_broken", "node", "path", "waits_for")

    def __init__(self, path: bytes, node: Node, waits_for: int) -> None:
        self.path, self.node, self.waits_for = path, node, waits_for
        self.is_broken = False


def extraneous(
    repository: OpenedRepository, tree: BlobID, target: Target, selection: Selection
) -> Iterator[bytes]:
    """Yield what a restore of *tree* that deletes would remove; nothing is written.

    Args:
        repository: Where the tree is; its index is loaded.
        tree: What would be restored.
        target: Where to.
        selection: What of it; whether it deletes does not count.

    Raises:
        IntegrityError: A tree is damaged or missing.
        Cancelled: Somebody stopped it.
    """
    waiting = [(b"", tree)]
    while waiting:
        repository.cancel.check()
        above, tree = waiting.pop()
        nodes = load_tree(repository, tree)
        try:
            names = target.others(above, {node.name for node in nodes})
        except OSError:
            continue  # it is not there, or no directory: nothing of it is removed
        other = (_joined(above, name) for name in names)
        yield from filter(selection.has, other)
        for node in nodes:
            path = _joined(above, node.name)
            is_meant = selection.has(path) or selection.may_have_below(path)
            if node.type == NodeType.DIRECTORY and is_meant:
                waiting.append((path, node.tree))


def _joined(above: bytes, name: bytes) -> bytes:
    return b"%b/%b" % (above, name) if above else name


class Restorer:
    """Restores one tree; used once.

    Args:
        repository: Where it is; its index is loaded.
        target: Where it goes.
        selection: What of it.
        told: Told how far this is.
    """

    def __init__(
        self,
        repository: OpenedRepository,
        target: Target,
        *,
        selection: Selection = EVERYTHING,
        told: Told = untold,
    ) -> None:
        self._repository, self._target, self._told = repository, target, told
        self._selection = selection
        self._others: list[bytes] = []
        self._needs: dict[BlobID, Need] = {}
        self._links: dict[tuple[int, int, bytes], bytes] = {}
        self._second_names: list[tuple[bytes, bytes]] = []
        self._directories: list[tuple[bytes, Node]] = []
        self._total = 0
        self._lock = threading.Lock()
        self.done = Restored()

    def run(self, tree: BlobID) -> Restored:
        """Restore everything in *tree*.

        Raises:
            IntegrityError: The root is damaged or missing. Of what else is damaged those
                files and directories are named as problems that need it.
            StoreError: The backend failed.
            Cancelled: Somebody stopped it; what is there by then is found next time.
        """
        self._walk(tree)
        self._bring()
        for path, other in self._second_names:
            self._try(path, partial(self._target.link, path, other))
        if not self.done.problems:
            self._remove_others()
        for path, node in reversed(self._directories):
            self._try(path, partial(self._target.leave, path, node))
        return self.done

    # --- what there is ------------------------------------------------------------------

    def _walk(self, tree: BlobID) -> None:
        """Make all directories, and note what files lack; bring it by and by.

        What a few thousand files lack is brought together: their packs are those that
        were filled together, and more would only take memory.
        """
        waiting = [(_Directory(b"", None, None), tree)]
        while waiting:
            self._repository.cancel.check()
            above, tree = waiting.pop()
            nodes = self._nodes(above, tree)
            if self._selection.delete and not self.done.problems:
                self._look_for_others(above, nodes)
            for node in nodes:
                if len(self._needs) >= _MOST_NEEDS:
                    self._bring()
                directory = self._take(above, node)
                if directory is not None:
                    waiting.append((directory, node.tree))

    def _take(self, above: _Directory, node: Node) -> _Directory | None:
        """Make what is meant, or begin it; return a directory that is to be walked."""
        path = _joined(above.path, node.name)
        is_meant = self._selection.has(path)
        if is_meant and not self._is_there(above):
            return None
        if node.type == NodeType.DIRECTORY:
            directory = _Directory(path, node, above)
            if is_meant:
                is_walked = self._is_there(directory)
            else:
                is_walked = self._selection.may_have_below(path)
            return directory if is_walked else None
        if is_meant and node.type == NodeType.FILE:
            self._begin(path, node)
        elif is_meant:
            self._try(path, partial(self._target.make, path, node))
        return None

    def _nodes(self, directory: _Directory, tree: BlobID) -> Sequence[Node]:
        """What lies in a directory; where its tree is damaged, that is its problem.

        Without the root nothing can be restored, and that is raised.
        """
        try:
            return load_tree(self._repository, tree)
        except IntegrityError as exc:
            if directory.node is None:
                raise
            self._fail(directory.path, str(exc))
        except StoreError as exc:
            if directory.node is None or exc.retryable:
                raise
            self._fail(directory.path, str(exc))
        return ()

    def _is_there(self, directory: _Directory) -> bool:
        """Make a directory, and those that it lies in, unless that was done."""
        missing = []
        found: _Directory | None = directory
        while found is not None and found.is_there is None:
            missing.append(found)
            found = found.above
        is_there = found is None or bool(found.is_there)
        for each in reversed(missing):
            if is_there and each.node is not None:
                enter = partial(self._target.enter, each.path, each.node)
                if is_there := self._try(each.path, enter):
                    self._directories.append((each.path, each.node))
            each.is_there = is_there
        return is_there

    # --- what there is beside it --------------------------------------------------------

    def _look_for_others(self, directory: _Directory, nodes: Sequence[Node]) -> None:
        """Note what the target has beside these, where it has the directory at all."""
        path, above = directory.path, directory.above
        if above is not None and not above.is_looked_at:
            return  # something else is in its place
        try:
            names = self._target.others(path, {node.name for node in nodes})
        except OSError:
            return
        directory.is_looked_at = True
        for name in names:
            other = _joined(path, name)
            if self._selection.deletes(other):
                self._others.append(other)

    def _remove_others(self) -> None:
        for path in self._others:
            if self._try(path, partial(self._target.remove, path)):
                self.done.removed.append(path)

    # --- files --------------------------------------------------------------------------

    def _begin(self, path: bytes, node: Node) -> None:
        """Note what a file lacks; another name of a file is made at the end."""
        if shared := node.shared_inode:
            # Some systems give one inode to several files, and some files change between
            # their names: what is told apart by its content is another file.
            inode = *shared, hash_of(b"".join(node.blobs))
            first = self._links.setdefault(inode, path)
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
