"""What snapshots need: every tree below them, once, and the blobs of all files.

Trees come in waves, those of one depth together, so that they are read pack by pack
however they lie. Called by whoever must know what is used: prune, check, copy, stats.
Source: restic ``doc/design.rst``, "Trees and Data".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import attrs

from kbackup.errors import BlobMissingError, IntegrityError, StoreError
from kbackup.repository._bringing import Bringer, Need, Sealed
from kbackup.repository._ids import BlobID, BlobType, Bytes, short
from kbackup.repository._nodes import Node, NodeType
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._progress import Progress, Told, untold
from kbackup.repository._trees import decode_tree

Visit: TypeAlias = Callable[[BlobID, Sequence[Node]], None]
Lost: TypeAlias = Callable[[BlobID, IntegrityError], None]


@attrs.frozen
class Reachable:
    """The names of the blobs that something needs.

    Attributes:
        trees: Each directory that is different from all others.
        data: Each piece of a file that is.
    """

    trees: set[bytes] = attrs.field(factory=set)
    data: set[bytes] = attrs.field(factory=set)

    def has(self, kind: BlobType, blob_id: BlobID) -> bool:
        """Tell whether a blob is needed."""
        return blob_id in (self.trees if kind is BlobType.TREE else self.data)

    def __len__(self) -> int:
        return len(self.trees) + len(self.data)


def _raise(_: BlobID, error: IntegrityError) -> None:
    raise error


def _pass_over(_: BlobID, __: Sequence[Node]) -> None: ...


class Reach:
    """Follows trees from their roots down; `run` may be called again for more roots.

    Args:
        repository: Where they are; its index is loaded.
        visit: Given each tree once, with its nodes, by one of three threads.
        lost: Given each that cannot be read; without it that is raised.
        told: Told how many were read.
    """

    def __init__(
        self,
        repository: OpenedRepository,
        *,
        visit: Visit = _pass_over,
        lost: Lost = _raise,
        told: Told = untold,
    ) -> None:
        self._repository = repository
        self._visit, self._lost, self._told = visit, lost, told
        self._wave: set[bytes] = set()
        self.reached = Reachable()

    def run(self, roots: Iterable[BlobID]) -> Reachable:
        """Follow these trees; return what all those need that were given so far.

        Raises:
            IntegrityError: A tree is damaged or missing, and nobody is given that.
            StoreError: The backend does not answer.
            Cancelled: Somebody stopped it.
        """
        wave: set[bytes] = set(roots)
        while wave := wave - self.reached.trees:
            self.reached.trees.update(wave)
            self._wave = set()
            bringer = Bringer(self._repository, self._take, self._retry)
            bringer.run(self._needs(wave))
            wave = self._wave
        return self.reached

    def _needs(self, wave: set[bytes]) -> list[Need]:
        needs = []
        for tree in map(BlobID, sorted(wave)):
            try:
                place = self._repository.index.find(BlobType.TREE, tree)
            except BlobMissingError as exc:
                self._lost(tree, exc)
            else:
                needs.append(Need(tree, place))
        return needs

    def _take(self, need: Need, plain: Bytes, _: Sealed) -> None:
        try:
            nodes = decode_tree(plain, f"tree {short(need.id)}")
        except IntegrityError as exc:
            self._lost(need.id, exc)
            return
        data = self.reached.data
        for node in nodes:
            if node.type == NodeType.DIRECTORY:
                self._wave.add(bytes.fromhex(node.subtree))
            elif node.content:
                data.update(map(bytes.fromhex, node.content))
        self._visit(need.id, nodes)
        self._told(Progress("read trees", len(self.reached.trees)))

    def _retry(self, need: Need, _: str) -> None:
        """Read one more time what may have been turned on its way."""
        try:
            plain = self._repository.load_blob(BlobType.TREE, need.id)
        except IntegrityError as exc:
            self._lost(need.id, exc)
        except StoreError as exc:
            if exc.retryable:
                raise
            self._lost(need.id, IntegrityError(f"tree {short(need.id)}", str(exc)))
        else:
            self._take(need, plain, b"")
