"""Blobs go into packs, each once, and the index names what is durable."""

import os
import threading
import time

import pytest

from kbackup.errors import (
    BlobMissingError,
    IntegrityError,
    PackCorruptError,
    RepositoryLockedError,
    StoreFullError,
)
from kbackup.repository import _packer, _saver
from kbackup.repository._backend import File, FileType
from kbackup.repository._ids import BlobType, hash_of
from kbackup.repository._index import Index
from kbackup.repository._opened import OpenedRepository
from kbackup.repository._packer import Packer
from kbackup.repository._packs import read_header
from kbackup.repository._saver import BlobSaver


@pytest.fixture
def packer(opened):
    """A packer of one run."""
    packer = Packer(opened.documents, opened.key)
    yield packer
    packer.close()


@pytest.fixture
def saver(opened, packer):
    """Saves blobs through that packer."""
    saver = BlobSaver(opened, packer)
    yield saver
    saver.close()


def packs(backend):
    """The names of all packs."""
    return [name for name, _ in backend.list(FileType.PACK)]


def header(opened, name):
    """What a pack says of itself."""
    file = File(FileType.PACK, name)

    def read(offset, length):
        return opened.backend.load(file, offset, length)

    return read_header(opened.key, str(file), opened.backend.size(file), read)


def again(opened):
    """The same repository, opened by somebody else."""
    other = OpenedRepository(
        backend=opened.backend,
        config=opened.config,
        key=opened.key,
        documents=opened.documents,
        codec=opened.codec,
    )
    other.refresh_index()
    return other


@pytest.mark.parametrize("kind", BlobType)
def test_what_was_saved_is_found_by_others(opened, packer, saver, kind):
    """After a flush: the pack is there, the index names it, and it opens."""
    names = [saver.save(kind, f"blob {n}".encode()) for n in range(10)]
    packer.flush()

    other = again(opened)

    assert [other.load_blob(kind, name) for name in names] == [
        f"blob {n}".encode() for n in range(10)
    ]
    assert saver.added.blobs[kind] == 10


def test_trees_and_data_have_packs_of_their_own(opened, packer, saver, backend):
    """As the format asks for: who reads trees need not read data."""
    for number in range(10):
        saver.save(BlobType(number % 2), f"{number}".encode())
    packer.flush()

    found = [{blob.type for blob in header(opened, name)} for name in packs(backend)]

    assert sorted(found, key=list) == [{BlobType.DATA}, {BlobType.TREE}]


def test_a_pack_is_named_after_its_bytes(opened, packer, saver, backend):
    """Anybody can check it without a key."""
    saver.save(BlobType.DATA, b"some bytes")
    packer.flush()

    (name,) = packs(backend)

    assert hash_of(backend.load(File(FileType.PACK, name))) == name


def test_a_full_pack_is_closed(opened, packer, saver, backend):
    """At 16 MiB, whatever follows."""
    for _ in range(5):
        saver.save(BlobType.DATA, os.urandom(4 << 20))
    packer.flush()

    sizes = sorted(size for _, size in backend.list(FileType.PACK))

    assert [size >> 20 for size in sizes] == [4, 16]


def test_a_header_does_not_grow_for_ever(opened, packer, saver, backend, monkeypatch):
    """Very many small blobs fill a pack by their number."""
    monkeypatch.setattr(_packer, "MOST_ENTRIES", 7)
    for number in range(20):
        saver.save(BlobType.DATA, f"{number}".encode())
    packer.flush()

    assert sorted(len(header(opened, name)) for name in packs(backend)) == [6, 7, 7]


def test_nothing_is_saved_twice(opened, packer, saver, backend):
    """Neither in one run nor in the next, nor by two threads at the same moment."""
    barrier = threading.Barrier(8)

    def work():
        barrier.wait()
        for number in range(50):
            saver.save(BlobType.DATA, f"{number}".encode())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert saver._claims == {}  # of what the packer has, they would only fill memory
    packer.flush()
    other = again(opened)
    second = Packer(other.documents, other.key)
    once_more = BlobSaver(other, second)
    once_more.save(BlobType.DATA, b"7")
    second.flush()

    entries = [blob.id for name in packs(backend) for blob in header(opened, name)]

    assert len(entries) == len(set(entries)) == 50
    assert once_more.added.blobs[BlobType.DATA] == 0


def test_a_tree_is_not_a_file(opened, packer, saver):
    """The same bytes are saved as both where they are both."""
    for kind in BlobType:
        saver.save(kind, b"{}")
    packer.flush()

    assert [again(opened).load_blob(kind, hash_of(b"{}")) for kind in BlobType] == [
        b"{}",
        b"{}",
    ]


def test_small_blobs_are_saved_together(opened, packer, saver):
    """A batch gives the names at once, and all of it is there in the end."""
    batch = [f"{n % 15} ".encode() * (n % 3) * 100 for n in range(40)]

    names = [
        name
        for start in range(0, 40, 5)
        for name in saver.save_small(BlobType.DATA, batch[start : start + 5])
    ]
    saver.wait()
    packer.flush()

    other = again(opened)
    assert names == [hash_of(plain) for plain in batch]
    assert [other.load_blob(BlobType.DATA, name) for name in names] == batch
    assert saver.added.blobs[BlobType.DATA] == len(set(batch))


def test_nothing_is_written_for_nothing(packer, backend):
    """A run that found nothing new leaves no file."""
    packer.flush()

    assert [list(backend.list(kind)) for kind in FileType] == [[]] * len(FileType)


def test_the_index_never_runs_ahead(opened, packer, saver, backend, monkeypatch):
    """At each write of an index, all packs that it names are there."""
    monkeypatch.setattr(_packer, "_INDEX_EVERY", 0.0)
    save, ahead = backend.save, []

    def watched(file, content):
        save(file, content)
        if file.type is FileType.INDEX:
            other = again(opened)
            for name in other.index.blobs(BlobType.DATA):
                pack = other.index.find(BlobType.DATA, name).pack
                ahead.append(not backend.exists(File(FileType.PACK, pack)))

    monkeypatch.setattr(backend, "save", watched)
    for _ in range(5):
        saver.save(BlobType.DATA, os.urandom(8 << 20))
    packer.flush()

    assert ahead
    assert not any(ahead)


def test_what_a_long_run_saved_is_found_after_its_end(
    opened, packer, saver, monkeypatch
):
    """An index is written now and then: a run that is killed loses little."""
    monkeypatch.setattr(_packer, "_INDEX_EVERY", 0.0)
    for _ in range(5):
        saver.save(BlobType.DATA, os.urandom(8 << 20))
    until = time.monotonic() + 60  # packs are saved by another thread
    while len(again(opened).index) < 2 and time.monotonic() < until:
        time.sleep(0.01)

    assert len(again(opened).index) >= 2


def test_a_look_that_fails_ends_nothing(opened, monkeypatch):
    """To know what others saved saves time; without it nothing is missing."""
    monkeypatch.setattr(_packer, "_LOOK_EVERY", 0.0)
    looked = []

    def look():
        looked.append(1)
        raise IntegrityError("index 01234567", "somebody else's is damaged")

    packer = Packer(opened.documents, opened.key, look=look)
    saver = BlobSaver(opened, packer)
    name = saver.save(BlobType.DATA, b"some bytes")
    packer.flush()
    saver.close()
    packer.close()

    assert looked
    assert again(opened).load_blob(BlobType.DATA, name) == b"some bytes"


def test_a_full_disk_ends_the_run(opened, packer, saver, backend, monkeypatch):
    """The error comes to whoever saves, and no index names what is not there."""

    def full(file, content):
        raise StoreFullError(file.key)

    saver.save(BlobType.DATA, b"some bytes")
    monkeypatch.setattr(backend, "save", full)

    with pytest.raises(StoreFullError):
        packer.flush()
    assert len(again(opened).index) == 0


def test_a_spool_that_fails_is_given_up(opened, packer, saver, backend, monkeypatch):
    """What was begun is not gone on with."""

    class Broken:
        closed = False

        def write(self, data):
            raise StoreFullError("tmp")

        def close(self):
            Broken.closed = True

    monkeypatch.setattr(backend, "spool", Broken)

    with pytest.raises(StoreFullError):
        saver.save(BlobType.DATA, b"some bytes")
    assert Broken.closed


def test_closing_gives_up_what_is_not_durable(opened, packer, saver, backend):
    """A cancelled run leaves no half pack."""
    saver.save(BlobType.DATA, b"some bytes")

    packer.close()

    assert packs(backend) == []


def test_what_goes_wrong_on_a_worker_is_raised(opened, packer, saver, monkeypatch):
    """Where it is waited for, at the latest."""

    def fails(*_):
        raise IntegrityError("blob", "broken machine")

    monkeypatch.setattr(opened.codec, "compress_all", fails)
    saver.save_small(BlobType.DATA, [b"x"])

    with pytest.raises(IntegrityError, match="broken machine"):
        saver.wait()


# --- reading ----------------------------------------------------------------------------


def test_an_index_that_goes_while_it_is_read(opened, packer, saver, monkeypatch):
    """Somebody put another one in its place: that is no error."""
    saver.save(BlobType.DATA, b"x")
    packer.flush()
    listed = [(bytes(32), 10), *opened.backend.list(FileType.INDEX)]
    other = again(opened)
    monkeypatch.setattr(opened.backend, "list", lambda _: iter(listed))

    assert other.refresh_index() == 1
    assert other.refresh_index() == 0


def test_what_was_turned_on_its_way_is_read_again(opened, packer, saver, monkeypatch):
    """A bit that turns in the network costs a second reading."""
    name = saver.save(BlobType.DATA, b"some bytes")
    packer.flush()
    opened.refresh_index()
    load, reads = opened.backend.load, []

    def sometimes(*given):
        reads.append(given)
        content = load(*given)
        return bytes(len(content)) if len(reads) == 1 else content

    monkeypatch.setattr(opened.backend, "load", sometimes)

    assert opened.load_blob(BlobType.DATA, name) == b"some bytes"
    assert len(reads) == 2


def test_a_blob_that_nobody_has(opened):
    """It is named."""
    with pytest.raises(BlobMissingError, match="data blob 00000000"):
        opened.load_blob(BlobType.DATA, bytes(32))


def test_every_flipped_bit_of_a_pack_is_found(opened, packer, saver, backend):
    """Either in its blobs or in its header; by its name in any case."""
    name = saver.save(BlobType.DATA, b"some bytes that matter")
    packer.flush()
    opened.refresh_index()
    (pack,) = packs(backend)
    file = File(FileType.PACK, pack)
    content = backend.load(file)
    place = opened.index.find(BlobType.DATA, name)

    for position in range(len(content) * 8):
        broken = bytearray(content)
        broken[position // 8] ^= 1 << position % 8
        backend.remove(file)
        backend.save(file, bytes(broken))
        assert hash_of(broken) != pack
        inside = position // 8 < place.length
        with pytest.raises((IntegrityError, PackCorruptError)):
            opened.load_blob(BlobType.DATA, name) if inside else header(opened, pack)


def test_an_empty_index_has_nothing(opened):
    """A new repository has no blob."""
    assert opened.refresh_index() == 0
    assert len(Index()) == len(opened.index) == 0


def test_who_may_not_write_any_more_leaves_the_pack_to_others(
    opened, packer, backend, monkeypatch
):
    """What is in it may be theirs: their next flush makes it durable."""
    monkeypatch.setattr(_packer, "PACK_SIZE", 100)

    def lost():
        raise RepositoryLockedError("here", "the lock is lost")

    blobs = {hash_of(plain): plain for plain in (os.urandom(99), os.urandom(99))}
    sealed = [(n, opened.codec.seal(BlobType.DATA, p)) for n, p in blobs.items()]
    with pytest.raises(RepositoryLockedError):
        packer.add(BlobType.DATA, sealed[:1], confirm=lost)
    assert packs(backend) == []

    packer.add(BlobType.DATA, sealed[1:])
    packer.flush()

    other = again(opened)
    assert {n: other.load_blob(BlobType.DATA, n) for n in blobs} == blobs


def test_few_packs_wait_for_a_slow_disk(opened, packer, backend, monkeypatch):
    """Whoever adds more waits: else all of a backup would lie in temporary files."""
    monkeypatch.setattr(_packer, "PACK_SIZE", 100)
    save, may_go_on, waiting = backend.save, threading.Event(), []

    def slow(file, content):
        if file.type is FileType.PACK:
            assert may_go_on.wait(60)
        save(file, content)

    def work():
        for _ in range(20):
            plain = os.urandom(200)
            sealed = opened.codec.seal(BlobType.DATA, plain)
            packer.add(BlobType.DATA, [(hash_of(plain), sealed)])
            waiting.append(len(waiting) + 1 - len(packs(backend)))

    monkeypatch.setattr(backend, "save", slow)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(0.3)  # far more than it takes where nobody waits
    may_go_on.set()
    thread.join(60)
    packer.flush()

    assert max(waiting) <= 4
    assert len(packs(backend)) == 20


def test_what_the_packer_has_taken_meanwhile_is_not_saved_again(
    opened, packer, saver, monkeypatch
):
    """Another run was quicker by a moment; its claim is not left to block others."""
    answers = iter([False, True])
    monkeypatch.setattr(packer, "holds", lambda *_: next(answers))

    saver.save(BlobType.DATA, b"some bytes")

    assert saver.added.blobs[BlobType.DATA] == 0
    assert saver._claims == {}


def test_no_index_is_written_for_who_may_not_write_any_more(
    opened, packer, backend, monkeypatch
):
    """That is left to those who may: nothing is lost for them."""
    monkeypatch.setattr(_packer, "PACK_SIZE", 100)
    monkeypatch.setattr(_packer, "_INDEX_EVERY", -1.0)
    answers = iter([None])  # when the pack is full, and no more after that

    def confirm():
        try:
            next(answers)
        except StopIteration:
            raise RepositoryLockedError("here", "the lock is lost") from None

    plain = os.urandom(200)
    sealed = opened.codec.seal(BlobType.DATA, plain)
    packer.add(BlobType.DATA, [(hash_of(plain), sealed)], confirm=confirm)
    for future in list(packer._saving):
        assert future.exception() is None
    assert [*backend.list(FileType.INDEX)] == []

    packer.flush()

    assert again(opened).load_blob(BlobType.DATA, hash_of(plain)) == plain


def sealed_blob(opened):
    """A new blob as the packer takes it: its name, and its bytes sealed."""
    plain = os.urandom(200)
    return hash_of(plain), opened.codec.seal(BlobType.DATA, plain)


def test_a_pack_that_breaks_fails_all_who_have_something_in_it(opened, packer):
    """What another run added to it is lost: nobody's flush may succeed after that."""

    def full(_):
        raise StoreFullError("tmp")

    packer.add(BlobType.DATA, [sealed_blob(opened)])
    packer._open[BlobType.DATA][0]._spool.write = full

    with pytest.raises(StoreFullError):
        packer.add(BlobType.DATA, [sealed_blob(opened)])

    with pytest.raises(StoreFullError):
        packer.flush()
    with pytest.raises(StoreFullError):  # nor is anything begun
        packer.add(BlobType.DATA, [sealed_blob(opened)])


def test_a_flush_waits_for_a_pack_that_somebody_else_fills(opened, packer):
    """What the one who flushes added lies in it, too."""
    begun, may_go_on = threading.Event(), threading.Event()
    name, sealed = sealed_blob(opened)
    packer.add(BlobType.DATA, [(name, sealed)])
    spool = packer._open[BlobType.DATA][0]._spool
    write = spool.write

    def slow(data):
        begun.set()
        assert may_go_on.wait(60)
        return write(data)

    spool.write = slow
    other = threading.Thread(
        target=packer.add, args=(BlobType.DATA, [sealed_blob(opened)]), daemon=True
    )
    other.start()
    assert begun.wait(60)
    threading.Timer(0.1, may_go_on.set).start()

    packer.flush()

    assert again(opened).index.has(BlobType.DATA, name)
    other.join(60)


@pytest.mark.parametrize("times", [0, 1])
def test_a_flush_asks_before_each_thing_it_makes_visible(
    opened, packer, backend, times
):
    """Before a pack, and before the index: whoever lost their lock leaves it to others."""
    answers = iter([None] * times)
    name, sealed = sealed_blob(opened)
    packer.add(BlobType.DATA, [(name, sealed)])

    def confirm():
        try:
            next(answers)
        except StopIteration:
            raise RepositoryLockedError("here", "the lock is lost") from None

    with pytest.raises(RepositoryLockedError):
        packer.flush(confirm=confirm)
    assert len(packs(backend)) == times
    assert [*backend.list(FileType.INDEX)] == []

    packer.flush()
    assert again(opened).index.has(BlobType.DATA, name)


def test_an_index_file_does_not_grow_for_ever(opened, packer, backend, monkeypatch):
    """One is written as soon as there is enough for it, however little time has passed."""
    monkeypatch.setattr(_packer, "PACK_SIZE", 100)
    monkeypatch.setattr(_packer, "MOST_BLOBS", 2)
    written = []
    for _ in range(4):
        packer.add(BlobType.DATA, [sealed_blob(opened)])
        packer._await_savers(0)
        written.append(len([*backend.list(FileType.INDEX)]))

    assert written == [0, 1, 1, 2]


def test_jobs_that_did_not_begin_are_not_done_after_the_end(saver, monkeypatch):
    """Whoever ends the threads lets go of the lock after that."""
    begun, may_go_on = threading.Semaphore(0), threading.Event()
    close, done = saver._pool.close, []

    def stands():
        begun.release()
        assert may_go_on.wait(60)

    def closing():
        may_go_on.set()
        close()

    for _ in range(_saver._WORKERS):
        saver.submit(stands)
    for _ in range(_saver._WORKERS):
        assert begun.acquire(timeout=60)
    saver.submit(lambda: done.append("too late"))
    monkeypatch.setattr(saver._pool, "close", closing)

    saver.close()

    assert done == []
