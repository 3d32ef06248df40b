"""Snapshots are copied once, with all that they need and nothing that is there."""

import random

import pytest

from kbackup.errors import (
    IntegrityError,
    InvalidSpecError,
    RepositoryLockedError,
    SnapshotNotFoundError,
    StoreUnavailableError,
)
from kbackup.repository import (
    DirectorySource,
    FileType,
    MemoryBackend,
    Repository,
    ScryptParameters,
    SnapshotFilter,
)
from kbackup.repository._backend import File
from kbackup.repository._ids import BlobType
from odd_tree import seen

pytestmark = pytest.mark.usefixtures("at_once")

CHEAP = ScryptParameters(n=2, r=1, p=1)


def made(password, version=2):
    """An empty repository."""
    return Repository.init(
        MemoryBackend(), password, version=version, key_parameters=CHEAP
    )


@pytest.fixture
def source(tmp_path):
    """Some files."""
    chance = random.Random(1)  # noqa: S311 - no secret
    path = tmp_path / "source"
    (path / "below").mkdir(parents=True)
    (path / "large").write_bytes(chance.randbytes(2 << 20))
    for number in range(20):
        (path / "below" / f"{number}").write_bytes(chance.randbytes(500))
    return path


@pytest.fixture(params=[1, 2], ids=["version 1", "version 2"])
def repository(request, source):
    """A repository with two snapshots."""
    with made("one", request.param) as repository:
        repository.back_up(DirectorySource(source, base=source), tags=("first",))
        (source / "more").write_text("later")
        repository.back_up(DirectorySource(source, base=source), tags=("second",))
        yield repository


@pytest.fixture(params=[1, 2], ids=["to version 1", "to version 2"])
def target(request):
    """Another one, which is empty."""
    with made("two", request.param) as repository:
        yield repository


def size(repository):
    """Bytes of all packs."""
    return sum(size for _, size in repository._opened.backend.list(FileType.PACK))


def test_all_of_it_is_copied(tmp_path, repository, target, source):
    """The oldest first; what was recorded of them is the same."""
    copied = repository.copy(target)

    assert [each.is_new for each in copied] == [True, True]
    assert [each.copy for each in copied] == target.list()
    for own, other in zip(repository.list(), target.list(), strict=True):
        assert other.original == own.id
        assert (other.time, other.tags, other.paths) == (own.time, own.tags, own.paths)
        assert (other.tree, other.summary) == (own.tree, own.summary)
    assert target.restore("latest", tmp_path / "target").problems == []
    assert seen(tmp_path / "target") == seen(source)
    checked = target.check(read_data=True)
    assert (checked.errors, checked.hints, checked.unused_blobs) == ([], [], 0)


def test_nothing_is_copied_twice(repository, target, source):
    """Neither snapshots nor what new ones have in common with old ones."""
    repository.copy(target)
    before = size(target)

    again = repository.copy(target)
    assert [each.is_new for each in again] == [False, False]
    assert size(target) == before

    (source / "even more").write_text("last")
    repository.back_up(DirectorySource(source, base=source))
    assert [each.is_new for each in repository.copy(target)] == [False, False, True]
    assert before < size(target) < before + 20_000
    assert target.check(read_data=True).hints == []


def test_a_copy_is_not_copied_back(repository, target):
    """It is the one that is there."""
    repository.copy(target)

    assert [each.is_new for each in target.copy(repository)] == [False, False]
    assert len(repository.list()) == 2


def test_a_copy_of_a_copy_knows_the_first_one(repository, target):
    """Wherever it goes on to."""
    repository.copy(target)
    with made("three") as third:
        target.copy(third)
        assert {s.original for s in third.list()} == {s.id for s in repository.list()}
        assert [each.is_new for each in repository.copy(third)] == [False, False]


@pytest.mark.parametrize("by", ["name", "filter"])
def test_some_are_copied(repository, target, by):
    """By name, or by what they are like."""
    if by == "name":
        repository.copy(target, [repository.list()[0].id.hex()[:8]])
    else:
        repository.copy(target, filter=SnapshotFilter(tags=[["first"]]))

    assert [each.tags for each in target.list()] == [("first",)]


def test_a_name_that_is_none_copies_nothing(repository, target):
    """Not even those that are."""
    with pytest.raises(SnapshotNotFoundError):
        repository.copy(target, ["latest", "0000"])

    assert target.list() == []


def test_a_repository_is_not_copied_to_itself(repository):
    """It has everything."""
    with pytest.raises(InvalidSpecError, match="itself"):
        repository.copy(repository)


def test_what_is_damaged_is_not_copied(repository, target):
    """The snapshot that needs it is not made."""
    backend = repository._opened.backend
    for name, _ in backend.list(FileType.PACK):
        content = bytearray(backend.files[File(FileType.PACK, name)])
        content[40] ^= 1
        backend.files[File(FileType.PACK, name)] = bytes(content)

    with pytest.raises(IntegrityError):
        repository.copy(target)

    assert target.list() == []


def test_a_full_or_lost_target_has_no_half_snapshot(repository, target, monkeypatch):
    """What was copied is found by the next one."""
    backend = target._opened.backend
    real = backend.save

    def save(file, content):
        if file.type is FileType.PACK:
            raise StoreUnavailableError("a pack", "for the moment")
        real(file, content)

    monkeypatch.setattr(backend, "save", save)
    with pytest.raises(StoreUnavailableError):
        repository.copy(target)
    monkeypatch.undo()
    assert target.list() == []

    repository.copy(target)
    assert target.check(read_data=True).errors == []


@pytest.mark.parametrize("kind", [FileType.PACK, FileType.INDEX])
def test_a_lock_of_the_target_that_is_lost_on_the_way(
    repository, target, monkeypatch, kind
):
    """What was copied until then may be pruned there: it makes no snapshot."""
    backend = target._opened.backend
    save = backend.save

    def losing(file, content):
        save(file, content)
        if file.type is kind:
            for name, _ in list(backend.list(FileType.LOCK)):
                backend.remove(File(FileType.LOCK, name))

    monkeypatch.setattr(backend, "save", losing)

    with pytest.raises(RepositoryLockedError, match="somebody removed the own lock"):
        repository.copy(target)

    indexes = [*backend.list(FileType.INDEX)]
    assert len(indexes) == (0 if kind is FileType.PACK else 1)
    assert target.list() == []


def test_locks_of_both_count(repository, target):
    """Who works alone in one of them is waited for, or told."""
    for held in (repository, target):
        with held._locked(exclusive=True), pytest.raises(RepositoryLockedError):
            repository.copy(target)
    assert repository.list_locks() == target.list_locks() == []


def test_what_was_copied_before_a_damaged_snapshot_stays(repository, target):
    """The snapshots before it are whole, and it is not there."""
    backend, opened = repository._opened.backend, repository._opened
    opened.refresh_index()
    first, second = repository.list()
    (node,) = (e.node for e in repository.ls(second) if e.path == b"more")
    place = opened.index.find(BlobType.DATA, node.blobs[0])
    file = File(FileType.PACK, place.pack)
    content = bytearray(backend.files[file])
    content[place.offset] ^= 1
    backend.files[file] = bytes(content)

    with pytest.raises(IntegrityError, match=node.content[0][:8]):
        repository.copy(target)

    assert [each.original for each in target.list()] == [first.id]
    assert target.check(read_data=True).errors == []


def test_repositories_that_cut_alike_save_a_copied_file_once(repository, source):
    """What was copied is found by the next backup of the same files."""
    backend = MemoryBackend()
    with (
        Repository.init(
            backend, "two", key_parameters=CHEAP, cuts_of=repository
        ) as alike,
        made("three") as other,
    ):
        for target in (alike, other):
            repository.copy(target)
        saved = [
            target.back_up(DirectorySource(source, base=source), read_all=True)
            for target in (alike, other)
        ]

    added = [each.snapshot.summary.data_added for each in saved]
    assert added[0] == 0
    assert added[1] > 1 << 20
