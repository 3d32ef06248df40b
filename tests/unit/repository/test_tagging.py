"""Tags of snapshots that are there change as restic changes them."""

from datetime import timedelta

import attrs
import pytest

from kbackup.errors import (
    IntegrityError,
    InvalidSpecError,
    RepositoryLockedError,
    SnapshotNotFoundError,
    StoreUnavailableError,
)
from kbackup.repository import (
    FileType,
    MemoryBackend,
    Repository,
    ScryptParameters,
    SnapshotFilter,
)
from kbackup.repository._backend import File
from kbackup.repository._calendar import Instant
from kbackup.repository._locks import Lock
from kbackup.repository._snapshots import Snapshot
from kbackup.repository._tag import TagChange

CHEAP = ScryptParameters(n=2, r=1, p=1)
ID = bytes.fromhex("3f2a9c01" + "00" * 28)
SNAPSHOT = Snapshot(
    id=ID,
    time=Instant.parse("2026-04-01T12:00:00+02:00"),
    tree=b"\1" * 32,
    paths=["/srv"],
    tags=["a", "b"],
)


@pytest.fixture
def place():
    """Where the repository is."""
    return MemoryBackend()


@pytest.fixture
def repository(place, monkeypatch):
    """A repository whose locks settle at once."""
    monkeypatch.setattr("kbackup.repository._locks._SETTLES", timedelta(0))
    with Repository.init(place, "geheim", key_parameters=CHEAP) as repository:
        yield repository


@pytest.fixture
def snapshots(repository, tmp_path):
    """Two of them, the first with a tag."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("hello")
    return [
        repository.back_up(source, tags=tags).snapshot for tags in (("old",), ("new",))
    ]


# --- which tags -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "tags"),
    [
        ({"add": ["c", "a", "c"]}, ("a", "b", "c")),
        ({"remove": ["a", "x"]}, ("b",)),
        ({"add": ["c"], "remove": ["a", "c"]}, ("b",)),
        ({"add": ["c"], "remove": ["a"]}, ("b", "c")),
        ({"set": ["z"]}, ("z",)),
        ({"set": []}, ()),
        ({"set": [""]}, ()),
    ],
)
def test_tags_change(change, tags):
    """Nothing else does; the draft tells whose place it takes."""
    new = TagChange(**change).of(SNAPSHOT)

    assert new.tags == tags
    assert (new.id, new.original) == (b"", ID)
    assert attrs.evolve(new, id=ID, original=None, tags=SNAPSHOT.tags) == SNAPSHOT


def test_original_stays_the_first():
    """After many changes of tags the first file is still the one that is named."""
    snapshot = attrs.evolve(SNAPSHOT, original=b"\5" * 32)

    assert TagChange(add=["c"]).of(snapshot).original == b"\5" * 32


@pytest.mark.parametrize(
    "change", [{"add": ["a", ""]}, {"remove": ["x"]}, {"set": ["a", "b"]}]
)
def test_tags_that_do_not_change(change):
    """Nothing is written anew where the tags are already as they shall be."""
    assert TagChange(**change).of(SNAPSHOT) is SNAPSHOT


@pytest.mark.parametrize("other", [{"add": ["b"]}, {"remove": ["b"]}])
def test_tags_are_set_or_changed(other):
    """To set tags and to add some at the same time is refused."""
    with pytest.raises(InvalidSpecError, match="not both"):
        TagChange(set=["a"], **other)


@pytest.mark.parametrize("change", [{}, {"add": [""]}, {"remove": []}])
def test_no_tag_at_all(change):
    """Whoever gives no tag, as of an empty variable, is told so."""
    with pytest.raises(InvalidSpecError, match="no tag is given"):
        TagChange(**change)


# --- the verb -------------------------------------------------------------------------------


def test_a_snapshot_gets_another_file(repository, snapshots, tmp_path):
    """It is found by its new ID only, and has what it had."""
    first, second = snapshots

    (done,) = repository.tag([first], add=["kept"])

    assert done.snapshot == first
    assert done.replacement.tags == ("old", "kept")
    assert done.replacement.original == first.id
    assert repository.list() == [done.replacement, second]
    with pytest.raises(SnapshotNotFoundError):
        repository.restore(first.id.hex(), tmp_path / "target")
    restored = repository.restore(done.replacement, tmp_path / "target")
    assert (restored.files, restored.problems) == (1, [])
    assert repository.check().is_whole


def test_all_are_tagged(repository, snapshots):
    """Without a name all are meant; those that have the tag already keep their IDs."""
    done = repository.tag(add=["new"])

    assert [each.snapshot for each in done] == snapshots[:1]
    assert [each.tags for each in repository.list()] == [("old", "new"), ("new",)]
    assert repository.list()[1] == snapshots[1]


def test_those_that_are_chosen_are_tagged(repository, snapshots):
    """A filter chooses, as everywhere."""
    done = repository.tag(set=(), filter=SnapshotFilter(tags=[("new",)]))

    assert [each.snapshot for each in done] == snapshots[1:]
    assert [each.tags for each in repository.list()] == [("old",), ()]


def test_one_that_is_named_twice_is_written_once(repository, snapshots):
    """A second copy of it would be a snapshot more."""
    second = snapshots[1]

    done = repository.tag(["latest", second.id.hex()[:10], second], add=["x"])

    assert len(done) == 1
    assert len(repository.list()) == 2


def test_what_was_forgotten_does_not_come_back(repository, snapshots):
    """Its content may be pruned; nothing is changed of the others either."""
    repository.forget([snapshots[0]])

    with pytest.raises(SnapshotNotFoundError):
        repository.tag([snapshots[1], snapshots[0]], add=["x"])

    assert repository.list() == snapshots[1:]


def test_nobody_tags_beside_others(repository, snapshots, place):
    """Whoever reads a snapshot finds it until they are done."""
    with Repository.open(place, "geheim") as other:
        reading = other.ls("latest")
        next(reading)
        with pytest.raises(RepositoryLockedError):
            repository.tag(add=["x"])
        reading.close()
    assert repository.list() == snapshots


def test_a_lost_lock_changes_nothing(repository, snapshots, monkeypatch):
    """Somebody may work there by then."""

    def lost(_):
        raise RepositoryLockedError("here", "lost")

    monkeypatch.setattr(Lock, "check", lost)

    with pytest.raises(RepositoryLockedError):
        repository.tag(add=["x"])

    assert repository.list() == snapshots


def test_a_snapshot_is_there_at_every_moment(repository, snapshots, place, monkeypatch):
    """Where the new file cannot be written the old one stays."""
    save = place.save

    def full(file, *arguments):
        if file.type is FileType.SNAPSHOT:
            raise StoreUnavailableError("here", "full")
        return save(file, *arguments)

    monkeypatch.setattr(place, "save", full)

    with pytest.raises(StoreUnavailableError):
        repository.tag(add=["x"])

    assert repository.list() == snapshots


def test_a_damaged_snapshot_among_all(repository, snapshots, place):
    """Nothing is changed where not all can be; by its name each whole one can."""
    name = snapshots[0].id.hex()
    place.files[File(FileType.SNAPSHOT, snapshots[0].id)] = b"damaged" * 20

    with pytest.raises(IntegrityError, match=name[:8]):
        repository.tag(add=["x"])

    (done,) = repository.tag([snapshots[1]], add=["x"])
    assert done.replacement.tags == ("new", "x")
