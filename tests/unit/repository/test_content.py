"""Contents come in the order of the files, checked, with few requests."""

import os
import random
import threading

import pytest

from kbackup._kits.workers import Cancelled
from kbackup.errors import BlobMissingError, IntegrityError, StoreUnavailableError
from kbackup.repository._backend import File, FileType
from kbackup.repository._content import read_content, read_contents
from kbackup.repository._ids import BlobID, BlobType, hash_of
from kbackup.repository._packer import Packer


def some_bytes(size, seed):
    """Bytes that look random and are always the same."""
    return random.Random(seed).randbytes(size)  # noqa: S311 - no secret


@pytest.fixture
def save(opened):
    """Saves plain bytes as data blobs, in their order; returns their names."""

    def run(*plains):
        packer = Packer(opened.documents, opened.key)
        names = [BlobID(hash_of(plain)) for plain in plains]
        for name, plain in dict(zip(names, plains, strict=True)).items():
            sealed = opened.codec.seal(BlobType.DATA, plain)
            packer.add(BlobType.DATA, [(name, sealed)])
        packer.flush()
        packer.close()
        opened.refresh_index()
        return names

    return run


@pytest.fixture
def requests(opened, monkeypatch):
    """The parts of packs that were asked for, as offset and length."""
    asked = []
    load = opened.backend.load

    def noted(file, offset=0, length=None):
        asked.append((offset, length))
        return load(file, offset, length)

    monkeypatch.setattr(opened.backend, "load", noted)
    return asked


def test_a_content_comes_in_its_order(opened, save):
    """Large and small blobs, in another order than they lie in, one of them twice."""
    plains = [some_bytes(size, size) for size in (3 << 20, 10, 700_000, 1 << 20, 50)]
    names = save(*plains)
    order = [3, 1, 0, 4, 1, 2]

    found = read_content(opened, [names[place] for place in order])

    assert list(found) == [plains[place] for place in order]


def test_nothing_at_all(opened):
    """A file without a blob has nothing in it."""
    assert list(read_content(opened, [])) == []


def test_neighbours_are_read_with_one_request(opened, save, requests):
    """What lies between them, if it is little, is read for nothing."""
    names = save(*(some_bytes(1000, seed) for seed in range(300)))
    requests.clear()

    assert len(list(read_content(opened, names[::2]))) == 150
    assert len(requests) == 1


def test_a_blob_that_follows_itself_is_read_once(opened, save, requests):
    """As zeros do in the file of a disk."""
    (name,) = save(bytes(1 << 20))
    requests.clear()

    found = list(read_content(opened, [name] * 1000))

    assert len(found) == 1000
    assert all(plain is found[0] for plain in found)
    assert len(requests) == 1


def test_each_file_has_its_content(opened, save, requests):
    """Files without one among them; one that is not read to its end is passed over."""
    names = save(*(some_bytes(100, seed) for seed in range(6)))
    files = [("a", []), ("b", names[:3]), ("c", []), ("d", []), ("e", names[3:])]
    requests.clear()

    found = []
    for file, content in read_contents(opened, files):
        found.append((file, b"" if file == "b" else b"".join(content)))

    whole = b"".join(some_bytes(100, seed) for seed in range(3, 6))
    assert found == [("a", b""), ("b", b""), ("c", b""), ("d", b""), ("e", whole)]
    assert len(requests) == 1


def test_little_is_taken_ahead(opened, save):
    """However much there is, and however well it was compressed."""
    names = save(*(bytes(6 << 20) + bytes([seed]) for seed in range(12)))
    taken = []

    def files():
        for name in names:
            taken.append(name)
            yield name, [name]

    contents = read_contents(opened, files())
    next(contents)

    assert len(taken) <= 6
    contents.close()


def test_a_damaged_blob(opened, save):
    """What is before it comes; it is asked for twice, and named."""
    names = save(*(some_bytes(1000, seed) for seed in range(3)))
    place = opened.index.find(BlobType.DATA, names[1])
    file = File(FileType.PACK, place.pack)
    content = bytearray(opened.backend.files[file])
    content[place.offset + 20] ^= 1
    opened.backend.files[file] = bytes(content)

    contents = read_content(opened, names)

    assert next(contents) == some_bytes(1000, 0)
    with pytest.raises(IntegrityError, match=names[1].hex()[:8]):
        next(contents)


@pytest.mark.parametrize("size", [1000, 1 << 20])
def test_what_was_turned_on_its_way(opened, save, monkeypatch, size):
    """It is right the second time."""
    names = save(*(some_bytes(size, seed) for seed in range(3)))
    load = opened.backend.load
    turned = []

    def turns(file, offset=0, length=None):
        content = bytearray(load(file, offset, length))
        if not turned:
            content[size // 2] ^= 1
            turned.append(file)
        return bytes(content)

    monkeypatch.setattr(opened.backend, "load", turns)

    found = list(read_content(opened, names))

    assert turned
    assert found == [some_bytes(size, seed) for seed in range(3)]


def test_a_blob_that_is_not_there(opened, save):
    """No index names it, or its pack is gone."""
    (name,) = save(b"something")
    with pytest.raises(BlobMissingError, match="no index names it"):
        list(read_content(opened, [BlobID(bytes(32))]))
    pack = opened.index.find(BlobType.DATA, name).pack
    opened.backend.remove(File(FileType.PACK, pack))

    with pytest.raises(BlobMissingError, match="is gone"):
        list(read_content(opened, [name]))


def test_a_store_that_is_away(opened, save, monkeypatch):
    """That is no damage."""
    names = save(os.urandom(1000))

    def away(file, *_):
        raise StoreUnavailableError(file.key, "no network")

    monkeypatch.setattr(opened.backend, "load", away)
    with pytest.raises(StoreUnavailableError):
        list(read_content(opened, names))


def test_it_is_stopped(opened, save):
    """Between two parts, and no thread is left."""
    names = save(*(os.urandom(5 << 20) for _ in range(8)))
    contents = read_content(opened, names)
    next(contents)
    opened.cancel.cancel("enough")

    with pytest.raises(Cancelled, match="enough"):
        list(contents)
    for thread in threading.enumerate():
        if thread.name.startswith("kbackup-content"):
            thread.join(timeout=60)
            assert not thread.is_alive()


def test_more_pieces_than_are_taken_at_once(opened, save):
    """Nothing is lost where one part ends and the next one begins."""
    names = save(b"one", b"two")
    order = [*names, names[0]] * 1000

    assert b"".join(read_content(opened, order)) == b"onetwoone" * 1000


def test_a_blob_that_is_not_what_its_name_says(opened):
    """Sealed by somebody who has the key, and wrong all the same: it is not given out."""
    name = hash_of(b"what it should be")
    packer = Packer(opened.documents, opened.key)
    packer.add(BlobType.DATA, [(name, opened.codec.seal(BlobType.DATA, b"another"))])
    packer.flush()
    packer.close()
    opened.refresh_index()

    with pytest.raises(IntegrityError):
        list(read_content(opened, [name]))
