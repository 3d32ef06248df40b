"""A source into a tree: what is new is read and saved, the rest is taken from the parent.

One thread walks and reads; `BlobSaver`'s do what costs the processor. Whoever calls this
holds a lock, and writes the snapshot once `flush` made everything durable.
Source: restic ``doc/design.rst``, "Backups and Deduplication", "Read and Write Ordering".
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial

import attrs
from msgspec.structs import replace

from kbackup.errors import InvalidSpecError
from kbackup.repository._chunker import SMALLEST_CHUNK, Chunker, Reader
from kbackup.repository._counts import Counts
from kbackup.repository._growing import Directory, GrowingTrees
from kbackup.repository._ids import BlobID, BlobType, Bytes
from kbackup.repository._nodes import Node, NodeType, quote
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._packer import Packer
from kbackup.repository._progress import Progress, Told, untold
from kbackup.repository._saver import Added, BlobSaver
from kbackup.repository._sources import (
    Complete,
    Found,
    Item,
    Link,
    OpenedFile,
    Source,
    Unreadable,
)
from kbackup.repository._sparse import ZEROS, is_zeros
from kbackup.repository._times import parse_nanoseconds
from kbackup.repository._trees import is_name, load_nodes

_MOST_FILES, _MOST_BYTES = 256, 1 << 20  # in a batch of small files
_NOTHING: Mapping[bytes, Node] = {}


@attrs.frozen(kw_only=True)
class Archived:
    """What became of a source.

    Attributes:
        tree: The root of it, durable.
        counts: Files and directories.
        added: What was new.
        unreadable: What could not be saved; the rest was.
    """

    tree: BlobID
    counts: Counts
    added: Added
    unreadable: tuple[Unreadable, ...]


class _PendingFile:
    """A file some of whose blobs are not saved yet."""

    __slots__ = ("blobs", "directory", "is_new", "name", "node", "size", "waits_for")

    def __init__(
        self, directory: Directory, name: bytes, node: Node, *, is_new: bool
    ) -> None:
        self.directory, self.name = directory, name
        self.node, self.is_new = node, is_new
        self.blobs: list[str] = []
        self.size = 0
        self.waits_for = 1  # its end, and every blob that is not saved


class Archiver:
    """Saves one source; used once.

    Args:
        repository: Where it goes; its index is loaded.
        packer: Whoever has it saves each blob once.
        confirm: Raises where nothing may be written any more; called before it is.
        parent: The tree of an older snapshot of the same; None: everything is read.
        told: Told how far this is.
    """

    def __init__(
        self,
        repository: OpenedRepository,
        packer: Packer,
        *,
        confirm: Callable[[], None],
        parent: BlobID | None = None,
        told: Told = untold,
    ) -> None:
        self._repository, self._index = repository, repository.index
        self._packer, self._confirm = packer, confirm
        self._saver = BlobSaver(repository, packer, confirm=confirm)
        self._chunker = Chunker(repository.config.polynomial)
        self._counts = Counts()
        self._trees = GrowingTrees(self._save_tree, self._counts)
        self._lock = threading.Lock()
        self._told = told
        root = Directory(None, None, *self._old(parent))
        self._directories: dict[bytes, Directory] = {b"": root}
        self._small: list[tuple[_PendingFile, Bytes]] = []
        self._small_bytes = 0
        self._buffer = memoryview(bytearray(SMALLEST_CHUNK + 1))
        self._unreadable: list[Unreadable] = []
        self._zeros: dict[int, str] = {}  # blobs of nothing else, by their size

    def run(self, source: Source) -> Archived:
        """Save everything that there is in *source*, durably.

        Raises:
            InvalidSpecError: The source has a path that is none.
            StoreError: The backend failed; what is in packs so far stays, unused.
            Cancelled: Somebody stopped it; the same.
        """
        try:
            for found in source.walk():
                self._repository.cancel.check()
                self._take(found)
            if self._small:
                self._save_small()
            for path in sorted(self._directories, reverse=True):  # the deepest first
                self._trees.leave(self._directories[path])
            self._saver.wait()
            self._packer.flush(confirm=self._confirm)
        finally:
            self._saver.close()
        tree = self._trees.root
        if tree is None:  # pragma: no cover - every child came, or the saver raised
            raise AssertionError("a tree has no end")
        return Archived(
            tree=tree,
            counts=self._counts,
            added=self._saver.added,
            unreadable=tuple(self._unreadable),
        )

    def _take(self, found: Found) -> None:
        if isinstance(found, Item):
            directory, name = self._place(found.path)
            if found.node.type == NodeType.DIRECTORY:
                self._enter(found, directory, name)
            else:
                self._add(found, directory, name)
        elif isinstance(found, Complete):
            self._trees.leave(self._directories.pop(found.path))
        elif isinstance(found, Unreadable):
            self._note(found.path, found.reason)
        elif isinstance(found, Link):
            self._link(found)
        else:
            self._settle()
            directory, name = self._place(found.path)
            directory.nodes.pop(name, None)

    # --- directories --------------------------------------------------------------------

    def _place(self, path: bytes) -> tuple[Directory, bytes]:
        """Return the directory that something lies in, and its name in there.

        Raises:
            InvalidSpecError: No tree can hold the name: nobody could restore the snapshot.
        """
        above, _, name = path.rpartition(b"/")
        if not is_name(name):
            shown = name.decode(errors="backslashreplace")[:80]
            raise InvalidSpecError([f"{shown!r} is no path that can be saved"])
        return self._directories[above], name

    def _enter(self, found: Item, above: Directory, name: bytes) -> None:
        known = self._directories.get(found.path)
        if known is not None:
            known.node = found.node
            return
        old = above.old.get(name)
        tree = old.tree if old is not None and old.subtree else None
        self._trees.expect(above)
        self._directories[found.path] = Directory(found.node, above, *self._old(tree))

    def _old(self, tree: BlobID | None) -> tuple[Mapping[bytes, Node], str]:
        """What the parent has in a directory, and the tree that says so."""
        if tree is None or not self._index.has(BlobType.TREE, tree):
            return _NOTHING, ""
        return load_nodes(self._repository, tree), tree.hex()

    def _save_tree(self, tree: Bytes) -> BlobID:
        return self._saver.save(BlobType.TREE, tree)

    # --- files --------------------------------------------------------------------------

    def _add(self, found: Item, directory: Directory, name: bytes) -> None:
        """Save what is no directory."""
        node = found.node
        if found.open is None:
            self._trees.keep(directory, name, node)
            return
        old = directory.old.get(name)
        if old is not None and self._is_unchanged(old, node):
            with self._lock:
                self._counts.file(node.size, is_new=False, is_unmodified=True)
            node = replace(node, content=old.content)
            # The same twice would take memory twice: of most files nothing has changed.
            self._trees.keep(directory, name, old if node == old else node)
            return
        self._trees.expect(directory)
        pending = _PendingFile(directory, name, node, is_new=old is None)
        if node.size > SMALLEST_CHUNK:
            self._read_large(found, pending)
        else:
            self._read_small(found, pending)

    def _is_unchanged(self, old: Node, new: Node) -> bool:
        """Whether a file need not be read: it is the parent's, which has all of it.

        Without an inode nobody knows that it is: a device, or a name in a stream.
        """
        return (
            old.type == new.type
            and new.inode != 0
            and old.size == new.size
            and old.inode == new.inode
            and _is_same_time(old.mtime, new.mtime)
            and _is_same_time(old.ctime, new.ctime)
            and old.content is not None
            and self._index.has_all(BlobType.DATA, old.blobs)
        )

    def _read_large(self, found: Item, pending: _PendingFile) -> None:
        """Read a file here; each chunk is saved by another thread."""
        try:
            with closing(_opened(found)) as opened:
                for place, chunk in enumerate(self._chunker.cut(opened)):
                    self._repository.cancel.check()
                    self._take_chunk(pending, place, chunk)
        except OSError as exc:
            self._give_up(found, pending, exc)
        else:
            self._finish(pending)

    def _take_chunk(self, pending: _PendingFile, place: int, chunk: memoryview) -> None:
        pending.size += len(chunk)
        if chunk.obj is ZEROS or is_zeros(chunk):
            pending.blobs.append(self._save_zeros(len(chunk)))
            return
        with self._lock:
            pending.waits_for += 1
            pending.blobs.append("")
        plain = bytes(chunk)
        self._saver.submit(partial(self._save_chunk, pending, place, plain))

    def _save_zeros(self, size: int) -> str:
        """Save so many zeros, of which there may be very many times as many: once."""
        name = self._zeros.get(size)
        if name is None:
            saved = self._saver.save(BlobType.DATA, bytes(size))
            name = self._zeros[size] = saved.hex()
        return name

    def _save_chunk(self, pending: _PendingFile, place: int, plain: Bytes) -> None:
        pending.blobs[place] = self._saver.save(BlobType.DATA, plain).hex()
        self._finish(pending)

    def _read_small(self, found: Item, pending: _PendingFile) -> None:
        """Read a file here, into the batch that is saved at once."""
        try:
            with closing(_opened(found)) as opened:
                size = _fill(opened, self._buffer, found.node.size)
                if size > SMALLEST_CHUNK:
                    self._read_grown(_Resumed(self._buffer, opened), pending)
                    return
        except OSError as exc:
            self._give_up(found, pending, exc)
            return
        pending.size = size
        if not size:
            self._finish(pending)
            return
        self._small.append((pending, bytes(self._buffer[:size])))
        self._small_bytes += size
        if self._small_bytes >= _MOST_BYTES or len(self._small) >= _MOST_FILES:
            self._save_small()

    def _save_small(self) -> None:
        batch, self._small, self._small_bytes = self._small, [], 0
        plains = [plain for _, plain in batch]
        names = self._saver.save_small(BlobType.DATA, plains)
        for (pending, _), name in zip(batch, names, strict=True):
            pending.blobs.append(name.hex())
            self._finish(pending)

    def _read_grown(self, opened: Reader, pending: _PendingFile) -> None:
        """Read on a file that is larger than it was a moment ago."""
        for chunk in self._chunker.cut(opened):
            pending.size += len(chunk)
            name = self._saver.save(BlobType.DATA, bytes(chunk))
            pending.blobs.append(name.hex())
        self._finish(pending)

    def _finish(self, pending: _PendingFile) -> None:
        """Take one from what a file waits for; the last one puts it into its directory."""
        with self._lock:
            pending.waits_for -= 1
            if pending.waits_for:
                return
            self._counts.file(pending.size, is_new=pending.is_new)
            progress = Progress("back up", self._counts.bytes, files=self._counts.files)
        node = replace(pending.node, size=pending.size, content=pending.blobs)
        self._trees.put(pending.directory, pending.name, node)
        self._told(progress)

    def _give_up(self, found: Item, pending: _PendingFile, exc: OSError) -> None:
        """Go on without a file that cannot be read to its end."""
        self._note(found.origin or found.path, exc.strerror or type(exc).__name__)
        self._trees.leave(pending.directory)

    def _note(self, path: bytes, reason: str) -> None:
        with self._lock:
            self._unreadable.append(Unreadable(path, reason))

    # --- names that come once more ---------------------------------------------------------

    def _settle(self) -> None:
        """Wait until everything that was yielded is where it belongs."""
        if self._small:
            self._save_small()
        self._saver.wait()

    def _link(self, found: Link) -> None:
        """Give what was saved another name."""
        directory, name = self._place(found.path)
        self._settle()
        beside, first_name = self._place(found.other)
        first = beside.nodes.get(first_name)
        if first is None:
            self._note(found.path, "what it is another name of could not be saved")
            return
        first = replace(first, inode=found.inode, links=found.links)
        beside.nodes[first_name] = first
        self._trees.keep(directory, name, replace(first, quoted_name=quote(name)))
        if first.type == NodeType.FILE:
            with self._lock:
                self._counts.file(first.size, is_new=name not in directory.old)


def _opened(found: Item) -> OpenedFile:
    if found.open is None:  # pragma: no cover - only files are read
        raise AssertionError("there is nothing to open")
    return found.open()


def _fill(opened: OpenedFile, buffer: memoryview, expected: int) -> int:
    """Fill *buffer* and return how far; asks once more only where it is not as expected."""
    size = opened.readinto(buffer) or 0
    if size == expected:
        # One byte more than a small file fits: had it more, it would have come.
        return size
    while 0 < size < len(buffer) and (more := opened.readinto(buffer[size:])):
        size += more
    return size


class _Resumed:
    """A content whose beginning was read already."""

    def __init__(self, beginning: Bytes, rest: Reader) -> None:
        self._beginning, self._rest = memoryview(beginning), rest

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Give the beginning first; see `Reader.readinto`."""
        part = self._beginning[: len(buffer)]
        if not part:
            return self._rest.readinto(buffer)
        buffer[: len(part)] = part
        self._beginning = self._beginning[len(part) :]
        return len(part)


def _is_same_time(one: str, other: str) -> bool:
    return one == other or parse_nanoseconds(one) == parse_nanoseconds(other)
