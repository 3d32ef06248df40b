"""An index is written anew from what packs hold; nothing that is there is lost."""

import random

import pytest

from kbackup.errors import (
    RepositoryLockedError,
    StoreAccessError,
    StoreUnavailableError,
)
from kbackup.repository import (
    DirectorySource,
    FileType,
    MemoryBackend,
    Repository,
    ScryptParameters,
)
from kbackup.repository._backend import File
from kbackup.repository._index import load_index, save_index
from odd_tree import seen

pytestmark = pytest.mark.usefixtures("at_once")

CHEAP = ScryptParameters(n=2, r=1, p=1)
PASSWORD = "geheim"


@pytest.fixture
def backend():
    """Where the repository is."""
    return MemoryBackend()


@pytest.fixture
def source(tmp_path):
    """Some files."""
    chance = random.Random(1)  # noqa: S311 - no secret
    path = tmp_path / "source"
    path.mkdir()
    (path / "large").write_bytes(chance.randbytes(2 << 20))
    (path / "text").write_text("again and again " * 10_000)
    for number in range(20):
        (path / f"{number}").write_bytes(chance.randbytes(500))
    return path


@pytest.fixture(params=[1, 2], ids=["version 1", "version 2"])
def repository(request, backend, source):
    """A repository with two snapshots, so that there are two index files."""
    with Repository.init(
        backend, PASSWORD, version=request.param, key_parameters=CHEAP
    ) as repository:
        repository.back_up(DirectorySource(source, base=source))
        (source / "another").write_text("later")
        repository.back_up(DirectorySource(source, base=source))
        yield repository


def names(backend, kind):
    """The names of a kind."""
    return {name for name, _ in backend.list(kind)}


def require_whole(repository, tmp_path, source):
    """Everything is there, and comes back."""
    result = repository.check(read_data=True)
    assert (result.errors, result.hints) == ([], [])
    assert repository.restore("latest", tmp_path / "target").problems == []
    assert seen(tmp_path / "target") == seen(source)


@pytest.mark.parametrize("read_all", [False, True])
@pytest.mark.parametrize("damage", ["nothing", "one gone", "all gone", "one damaged"])
def test_an_index_comes_back(tmp_path, repository, backend, source, read_all, damage):  # noqa: PLR0917 - fixtures
    """Whatever became of its files."""
    old = sorted(names(backend, FileType.INDEX))
    gone = {"nothing": 0, "one gone": 1, "all gone": 2, "one damaged": 0}[damage]
    for name in old[:gone]:
        backend.remove(File(FileType.INDEX, name))
    if damage == "one damaged":
        backend.files[File(FileType.INDEX, old[0])] = b"x" * 100

    repaired = repository.repair_index(read_all=read_all)

    assert repaired.packs == len(names(backend, FileType.PACK))
    assert (repaired.gone, repaired.unreadable) == (0, {})
    assert (repaired.added > 0) == (damage != "nothing")
    assert set(repaired.damaged) == (set(old[:1]) if damage == "one damaged" else set())
    assert not names(backend, FileType.INDEX) & set(old)
    require_whole(repository, tmp_path, source)


def test_a_pack_that_is_gone_is_forgotten(repository, backend, tmp_path):
    """What snapshots lack then, a check tells; the rest comes back."""
    repository._opened.refresh_index()
    packs = list(repository._opened.packs())
    lost = max(packs, key=lambda pack: len(pack.blobs))
    backend.remove(File(FileType.PACK, lost.id))

    repaired = repository.repair_index()

    assert (repaired.gone, repaired.packs) == (1, len(packs) - 1)
    findings = repository.check(read_data=True).errors
    assert findings
    assert all("no index names its data blob" in finding.reason for finding in findings)
    assert repository.restore("latest", tmp_path / "target").problems


def test_a_pack_that_an_index_tells_wrongly_of_is_read(
    tmp_path, repository, backend, source
):
    """Its size says so."""
    documents = repository._opened.documents
    for name in sorted(names(backend, FileType.INDEX)):
        packs = load_index(documents, name)
        save_index(documents, [p._replace(blobs=p.blobs[:1]) for p in packs])
        backend.remove(File(FileType.INDEX, name))

    assert repository.repair_index().added >= 1

    require_whole(repository, tmp_path, source)


@pytest.mark.parametrize("read_all", [False, True])
def test_a_pack_whose_header_is_lost_stays_known(repository, backend, read_all):
    """An old index tells where its blobs are: all of them can still be restored."""
    repository._opened.refresh_index()
    pack = max(repository._opened.packs(), key=lambda pack: len(pack.blobs))
    file = File(FileType.PACK, pack.id)
    backend.files[file] = backend.files[file][:-4] + b"\xff\xff\xff\xff"

    repaired = repository.repair_index(read_all=read_all)

    assert set(repaired.unreadable) == ({pack.id} if read_all else set())
    assert repository.check().errors == []


def test_a_file_that_is_no_pack_is_told(repository, backend):
    """It stays where it is."""
    file = File(FileType.PACK, b"\x05" * 32)
    backend.files[file] = b"no pack"

    repaired = repository.repair_index()

    assert "7 bytes" in repaired.unreadable[file.name]
    assert file in backend.files


def test_a_failing_store_leaves_the_old_index(repository, backend, monkeypatch):
    """Nothing is removed before the new one is there."""
    old = names(backend, FileType.INDEX)
    real = backend.save

    def save(file, content):
        if file.type is FileType.INDEX:
            raise StoreUnavailableError("the index", "for the moment")
        real(file, content)

    monkeypatch.setattr(backend, "save", save)
    with pytest.raises(StoreUnavailableError):
        repository.repair_index()

    assert names(backend, FileType.INDEX) == old


@pytest.mark.parametrize("is_new_written", [False, True])
def test_a_lost_lock_leaves_the_old_index(
    repository, backend, monkeypatch, is_new_written
):
    """Somebody may have written another one meanwhile."""
    old = names(backend, FileType.INDEX)
    answers = [True] * is_new_written

    def lost(_):
        if not answers:
            raise RepositoryLockedError("here", "it is lost")
        answers.pop()

    monkeypatch.setattr("kbackup.repository._locks.Lock.check", lost)
    with pytest.raises(RepositoryLockedError):
        repository.repair_index()

    assert old <= names(backend, FileType.INDEX)
    assert (names(backend, FileType.INDEX) != old) is is_new_written


@pytest.mark.parametrize("is_away", [False, True])
def test_a_pack_that_nobody_may_read(repository, backend, monkeypatch, is_away):
    """It stays, and it is said why; while the store is away, nothing is written."""
    kind = StoreUnavailableError if is_away else StoreAccessError
    load, before = backend.load, dict(backend.files)

    def refused(file, *part):
        if file.type is FileType.PACK:
            raise kind(file.key, "not now")
        return load(file, *part)

    monkeypatch.setattr(backend, "load", refused)
    if is_away:
        with pytest.raises(StoreUnavailableError):
            repository.repair_index(read_all=True)
        assert backend.files == before
        return
    repaired = repository.repair_index(read_all=True)

    assert set(repaired.unreadable) == names(backend, FileType.PACK)
    assert all("not now" in reason for reason in repaired.unreadable.values())
    monkeypatch.undo()
    assert repository.check(read_data=True).errors == []
