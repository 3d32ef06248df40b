"""Every backend keeps the files of a repository in the same way."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from kbackup.errors import ObjectExistsError, ObjectNotFoundError, StoreError
from kbackup.repository._backend import CONFIG, Backend, File, FileType
from kbackup.repository._ids import hash_of
from kbackup.repository._local import LocalBackend
from kbackup.repository._memory import MemoryBackend
from kbackup.repository._object_store import ObjectStoreBackend
from kbackup.testing import MemoryStore
from kbackup_plugins_local import open_local_store

CONTENT = bytes(range(256)) * 40
NAME = hash_of(CONTENT)
PACK = File(FileType.PACK, NAME)
FILES = [
    CONFIG,
    *(File(kind, NAME) for kind in FileType if kind is not FileType.CONFIG),
]
STRANGERS = [
    "README",
    "config.bak",
    "data/README",
    "data/zz/notes",
    f"data/zz/{NAME.hex()}",
    f"data/{NAME.hex()}",
    f"data/{NAME.hex()[:2]}/{NAME.hex()}-tmp-123",
    f"data/{NAME.hex()[:2]}/{NAME.hex().upper()}",
    f"index/{NAME.hex()[:2]}/{NAME.hex()}",
    "keys/short",
]


def spooled(backend, *pieces):
    """A spool of a backend that holds the pieces."""
    spool = backend.spool()
    for piece in pieces:
        assert spool.write(piece) == len(piece)
    return spool


class BackendContract:
    """What holds for every backend."""

    @pytest.fixture(name="backend")
    def fixture_backend(self):
        """A backend without files."""
        raise NotImplementedError

    @pytest.fixture(name="plant")
    def fixture_plant(self, backend):
        """A function that puts a stranger's content under a key."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def created(self, backend):
        """Have the directories made."""
        backend.create()

    @pytest.mark.parametrize("file", FILES, ids=str)
    def test_a_file_of_each_kind_is_kept_and_removed(self, backend: Backend, file):
        """What was saved is listed, measured and loaded, until it is removed."""
        assert not backend.exists(file)

        backend.save(file, CONTENT)

        assert backend.exists(file)
        assert backend.size(file) == len(CONTENT)
        assert backend.load(file) == CONTENT
        assert list(backend.list(file.type)) == [(file.name, len(CONTENT))]
        others = {kind for kind in FileType if kind is not file.type}
        assert [each for kind in others for each in backend.list(kind)] == []
        backend.remove(file)
        backend.remove(file)
        assert not backend.exists(file)
        assert list(backend.list(file.type)) == []

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_whatever_holds_bytes_is_saved(self, backend, kind):
        """Bytes come as they are at hand."""
        backend.save(PACK, kind(CONTENT))

        assert backend.load(PACK) == CONTENT

    def test_an_empty_file_is_a_file(self, backend):
        """Nothing is a content as well."""
        backend.save(PACK, b"")

        assert (backend.load(PACK), backend.size(PACK)) == (b"", 0)

    @pytest.mark.parametrize(
        ("offset", "length"),
        [(0, None), (0, 10), (100, 10), (10_000, None), (10_239, 1), (5, 0)],
    )
    def test_a_range_is_loaded_alone(self, backend, offset, length):
        """A part of a file is exactly that part."""
        backend.save(PACK, CONTENT)

        end = None if length is None else offset + length
        assert backend.load(PACK, offset, length) == CONTENT[offset:end]

    @pytest.mark.parametrize(
        ("offset", "length"), [(0, 10_241), (10_000, 241), (20_000, 1), (10_241, None)]
    )
    def test_a_file_that_is_too_short_is_an_error(self, backend, offset, length):
        """Fewer bytes than asked for are never returned; the error names the file."""
        backend.save(PACK, CONTENT)

        with pytest.raises(StoreError, match=PACK.key) as caught:
            backend.load(PACK, offset, length)
        assert not caught.value.retryable
        assert not isinstance(caught.value, ObjectNotFoundError)

    @pytest.mark.parametrize("file", FILES, ids=str)
    def test_a_missing_file_is_said_to_be_missing(self, backend, file):
        """Neither reading nor measuring makes anything up."""
        for ask in (backend.load, backend.size):
            with pytest.raises(ObjectNotFoundError, match=file.key):
                ask(file)

    def test_a_name_that_is_taken_may_be_saved_again(self, backend):
        """Two who found the same content both succeed, and it is there once."""
        backend.save(PACK, CONTENT)
        backend.save(PACK, CONTENT)
        backend.save(PACK, spooled(backend, CONTENT))

        assert backend.load(PACK) == CONTENT
        assert len(list(backend.list(FileType.PACK))) == 1

    def test_a_torn_file_is_replaced(self, backend, plant):
        """What a machine left that went down does not stand in the way of the whole."""
        plant(PACK.key, CONTENT[:100])

        backend.save(PACK, CONTENT)

        assert backend.load(PACK) == CONTENT

    def test_there_is_one_config(self, backend):
        """A config is never written over, be it by the same bytes."""
        backend.save(CONFIG, b"first")

        for content in (b"other", b"first", b"longer than the first"):
            with pytest.raises(ObjectExistsError, match="config"):
                backend.save(CONFIG, content)
        with pytest.raises(ObjectExistsError, match="config"):
            backend.save(CONFIG, spooled(backend, b"other"))
        assert backend.load(CONFIG) == b"first"

    def test_one_of_many_makes_the_config(self, backend):
        """Of those who make a repository at the same moment one wins, and knows it."""
        start = threading.Barrier(8)

        def make(number):
            start.wait()
            with suppress(ObjectExistsError):
                backend.save(CONFIG, b"%d" % number)
                return number
            return None

        with ThreadPoolExecutor(8) as pool:
            won = [each for each in pool.map(make, range(8)) if each is not None]

        assert [backend.load(CONFIG)] == [b"%d" % number for number in won]

    def test_many_save_the_same_name(self, backend):
        """Threads that save one file at once all succeed, and it is whole throughout."""
        start = threading.Barrier(8)

        def save(number):
            start.wait()
            whole = CONTENT if number % 2 else spooled(backend, CONTENT)
            backend.save(PACK, whole)
            return backend.load(PACK)

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(save, range(8))) == {CONTENT}
        assert list(backend.list(FileType.PACK)) == [(NAME, len(CONTENT))]

    def test_many_files_are_saved_at_once(self, backend):
        """Threads that save files of many names get each of them back."""
        contents = {hash_of(b"%d" % n): b"%d" % n for n in range(100)}

        def save(item):
            backend.save(File(FileType.PACK, item[0]), item[1])

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(save, contents.items()))

        found = dict(backend.list(FileType.PACK))
        assert found == {name: len(content) for name, content in contents.items()}
        for name, content in contents.items():
            assert backend.load(File(FileType.PACK, name)) == content

    def test_a_spool_is_saved_under_its_name(self, backend):
        """What was collected in pieces is one file, and the spool is used up."""
        spool = spooled(backend, CONTENT[:10], memoryview(CONTENT)[10:], b"")
        assert list(backend.list(FileType.PACK)) == []

        backend.save(PACK, spool)

        assert backend.load(PACK) == CONTENT
        spool.close()
        assert backend.load(PACK) == CONTENT
        with pytest.raises(ValueError, match="closed"):
            spool.write(b"more")

    def test_a_spool_that_is_given_up_leaves_nothing(self, backend):
        """Closed, and closed again, it never was."""
        spool = spooled(backend, CONTENT)
        spool.close()
        spool.close()

        assert [each for kind in FileType for each in backend.list(kind)] == []

    def test_a_spool_of_elsewhere_is_refused(self, backend):
        """What is no spool of the backend is not taken for bytes."""

        class Stranger:
            def write(self, data, /):
                return len(data)

            def close(self):
                """Do nothing."""

        with pytest.raises(TypeError, match="Stranger is no spool"):
            backend.save(PACK, Stranger())

    def test_a_big_file_arrives_whole(self, backend):
        """33 MiB come back byte for byte, also in parts across every border."""
        content = os.urandom(1 << 20) * 33
        pieces = [content[n : n + (5 << 20)] for n in range(0, len(content), 5 << 20)]

        backend.save(PACK, spooled(backend, *pieces))

        assert backend.size(PACK) == len(content)
        assert backend.load(PACK) == content
        assert backend.load(PACK, 15 << 20, 3 << 20) == content[15 << 20 : 18 << 20]

    def test_strangers_are_passed_over(self, backend, plant):
        """What is none of the format, or lies elsewhere, is no file of the repository."""
        for key in STRANGERS:
            plant(key, b"not ours")
        backend.save(PACK, CONTENT)

        assert {kind: list(backend.list(kind)) for kind in FileType} == {
            kind: [(NAME, len(CONTENT))] if kind is FileType.PACK else []
            for kind in FileType
        }

    def test_a_backend_may_be_made_again_and_closed_twice(self, backend):
        """To make what is there, and to let go twice, changes nothing."""
        backend.save(PACK, CONTENT)
        with backend as entered:
            assert entered is backend
            backend.create()
            assert backend.load(PACK) == CONTENT
        backend.close()

    def test_a_backend_says_where_it_is(self, backend):
        """Its location is in what it is printed as."""
        assert backend.location
        assert backend.location in repr(backend)


class TestMemory(BackendContract):
    """Memory keeps every promise."""

    @pytest.fixture(name="backend")
    def fixture_backend(self):
        """A backend in memory."""
        return MemoryBackend()

    @pytest.fixture(name="plant")
    def fixture_plant(self, backend):
        """Memory holds files only: a damaged one is put in their place."""

        def plant(key, content):
            if key == PACK.key:
                backend.files[PACK] = content

        return plant


class TestDirectory(BackendContract):
    """A directory keeps every promise."""

    @pytest.fixture(name="backend")
    def fixture_backend(self, tmp_path):
        """A backend in a directory that is yet to be made."""
        return LocalBackend(tmp_path / "repository")

    @pytest.fixture(name="plant")
    def fixture_plant(self, tmp_path):
        """A function that writes a file into the directory."""

        def plant(key, content):
            path = tmp_path / "repository" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

        return plant


class TestStoreInMemory(BackendContract):
    """A store of kbackup keeps every promise, at its root."""

    @pytest.fixture(name="store")
    def fixture_store(self):
        """The store."""
        return MemoryStore()

    @pytest.fixture(name="backend")
    def fixture_backend(self, store, tmp_path):
        """A backend that fills a store."""
        with ObjectStoreBackend(
            store, location="memory", spool_directory=tmp_path
        ) as backend:
            yield backend

    @pytest.fixture(name="plant")
    def fixture_plant(self, store):
        """A function that puts an object."""
        return store.put


class TestStoreInDirectory(BackendContract):
    """A prefix of a store in a directory keeps every promise."""

    @pytest.fixture(name="store")
    def fixture_store(self, tmp_path):
        """The store, with something in it that is not the repository's."""
        store = open_local_store({"path": str(tmp_path / "store")})
        store.put("config", b"of somebody else")
        store.put("restic/shopping/config", b"of yet somebody else")
        return store

    @pytest.fixture(name="backend")
    def fixture_backend(self, store, tmp_path):
        """A backend that fills a part of a store."""
        with ObjectStoreBackend(
            store,
            location="file:///store/restic/shop",
            prefix="/restic/shop/",
            spool_directory=tmp_path,
        ) as backend:
            yield backend

    @pytest.fixture(name="plant")
    def fixture_plant(self, store):
        """A function that puts an object below the prefix."""
        return lambda key, content: store.put(f"restic/shop/{key}", content)
