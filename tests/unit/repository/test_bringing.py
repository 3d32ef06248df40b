"""Blobs come out of packs as they were, or it is said of each why it does not."""

import os
import threading

import pytest

from kbackup.errors import StoreAccessError, StoreUnavailableError
from kbackup.repository import _bringing
from kbackup.repository._blobs import SealedBlob
from kbackup.repository._bringing import Bringer, Need
from kbackup.repository._ids import BlobID, BlobType, hash_of
from kbackup.repository._packer import Packer
from kbackup.repository._reachable import Reach
from kbackup.repository._trees import encode_tree

SMALL, LARGE = 100, 200_000  # bytes: many of the ones come together, the others alone


class Brought:
    """What came, and what did not.

    Args:
        opened: From where.
        names: Of data blobs.
    """

    def __init__(self, opened, names):
        self.plain, self.reasons = {}, {}
        self._lock = threading.Lock()
        opened.refresh_index()
        find = opened.index.find
        needs = [Need(name, find(BlobType.DATA, name)) for name in names]
        Bringer(opened, self._deliver, self._fail).run(needs)

    def _deliver(self, need, plain, sealed):
        assert len(sealed) == need.place.length
        with self._lock:
            assert need.id not in self.plain
            self.plain[need.id] = bytes(plain)

    def _fail(self, need, reason):
        with self._lock:
            assert need.id not in self.reasons
            self.reasons[need.id] = reason


def packed(opened, blobs, kind=BlobType.DATA):
    """Put sealed blobs into one pack."""
    packer = Packer(opened.documents, opened.key)
    packer.add(kind, blobs)
    packer.flush()
    packer.close()


def named(content):
    """A content with its name."""
    return BlobID(hash_of(content)), content


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])
def test_each_blob_is_held_against_its_name(opened, size):
    """One that has the name of another, or another seal, fails; the others come."""
    right = dict(named(os.urandom(size)) for _ in range(5))
    wrong = BlobID(hash_of(b"another"))
    broken = BlobID(hash_of(b"a third one"))
    codec = opened.codec
    blobs = [(name, codec.seal(BlobType.DATA, plain)) for name, plain in right.items()]
    blobs.append((wrong, codec.seal(BlobType.DATA, os.urandom(size))))
    blobs.append((broken, SealedBlob(os.urandom(size), 0)))
    packed(opened, blobs)

    brought = Brought(opened, [broken, *right, wrong])

    assert brought.plain == right
    assert "not those of its name" in brought.reasons.pop(wrong)
    assert "seal" in brought.reasons.pop(broken)
    assert brought.reasons == {}


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])
def test_what_does_not_inflate_is_told(opened, size):
    """Its seal is right: it was written so."""
    name, plain = named(os.urandom(size))
    lie = BlobID(hash_of(b"another"))
    sealed = opened.key.seal(os.urandom(size))
    packed(
        opened,
        [(name, opened.codec.seal(BlobType.DATA, plain)), (lie, SealedBlob(sealed, 9))],
    )

    brought = Brought(opened, [name, lie])

    assert brought.plain == {name: plain}
    assert "inflate" in brought.reasons[lie]


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])
def test_many_ranges_come_one_after_the_other(opened, size, monkeypatch):
    """However many there are, each of their blobs comes once."""
    monkeypatch.setattr(_bringing, "_RANGE", 3 * size)
    blobs = dict(named(os.urandom(size)) for _ in range(40))
    codec = opened.codec
    packed(opened, [(n, codec.seal(BlobType.DATA, p)) for n, p in blobs.items()])

    brought = Brought(opened, list(blobs))

    assert (brought.plain, brought.reasons) == (blobs, {})


# --- trees ------------------------------------------------------------------------------


def test_what_shrinks_to_nothing_is_not_inflated_all_at_once(opened, monkeypatch):
    """A thousand empty pages fit into one small range, and into no memory."""
    size, inflate, sizes = 1 << 20, opened.codec.inflate_all, []
    blobs = dict(named(number.to_bytes(8) + bytes(size)) for number in range(40))
    packed(
        opened,
        [
            (name, opened.codec.seal(BlobType.DATA, blob))
            for name, blob in blobs.items()
        ],
    )

    def inflated(many):
        found = inflate(many)
        sizes.append(sum(map(len, found)))
        return found

    monkeypatch.setattr(opened.codec, "inflate_all", inflated)

    assert Brought(opened, blobs).plain == blobs
    assert len(sizes) > 4
    assert max(sizes) <= 8 << 20


@pytest.fixture
def tree(opened):
    """A tree that is there."""
    name, plain = named(encode_tree([]))
    packed(opened, [(name, opened.codec.seal(BlobType.TREE, plain))], BlobType.TREE)
    opened.refresh_index()
    return name


def lost(opened, tree):
    """What following a tree says of those that it cannot read."""
    found = {}
    Reach(opened, lost=found.__setitem__).run([tree])
    return found


def failing(backend, monkeypatch, *answers):
    """Let the first readings fail, or turn a bit where that is None."""
    load, left = backend.load, list(answers)

    def answer(*given):
        content = load(*given)
        if not left:
            return content
        error = left.pop(0)
        if error is not None:
            raise error
        return bytes((content[0] ^ 1,)) + content[1:]

    monkeypatch.setattr(backend, "load", answer)


def test_a_tree_that_was_turned_on_its_way_is_read_again(
    opened, backend, tree, monkeypatch
):
    """The second time it is as it was, and is followed."""
    failing(backend, monkeypatch, None)
    visited = []

    Reach(opened, visit=lambda name, _: visited.append(name)).run([tree])

    assert visited == [tree]


def test_a_tree_that_nobody_gives_is_lost(opened, backend, tree, monkeypatch):
    """Whoever asked is told why, and goes on with the others."""
    refused = StoreAccessError("data/3f", "permission denied")
    failing(backend, monkeypatch, refused, refused)

    found = lost(opened, tree)

    assert "permission denied" in str(found[tree])


def test_a_store_that_is_away_loses_no_tree(opened, backend, tree, monkeypatch):
    """It may be back soon: nothing is said of any tree."""
    failing(backend, monkeypatch, None, StoreUnavailableError("data/3f", "away"))

    with pytest.raises(StoreUnavailableError):
        lost(opened, tree)


def test_what_is_no_tree_is_lost(opened):
    """Its bytes are those of its name, and no directory."""
    name, plain = named(b"no tree at all")
    packed(opened, [(name, opened.codec.seal(BlobType.TREE, plain))], BlobType.TREE)
    opened.refresh_index()

    assert "no tree" in str(lost(opened, name)[name])
