"""What is in snapshots: listed, found, compared, counted, written to a stream."""

import io
import tarfile
from datetime import timedelta

import attrs
import pytest

from kbackup._kits.workers import CancelToken
from kbackup.errors import (
    InvalidSpecError,
    PathNotFoundError,
    RunCancelledError,
    SnapshotNotFoundError,
    StoreAccessError,
)
from kbackup.repository import (
    DirectorySource,
    MemoryBackend,
    Repository,
    RetentionPolicy,
    ScryptParameters,
    SnapshotFilter,
    _find,
)
from kbackup.repository._locks import acquire

pytestmark = pytest.mark.usefixtures("at_once")

CHEAP = ScryptParameters(n=2, r=1, p=1)
PASSWORD = "geheim"


@pytest.fixture
def source(tmp_path):
    """A few files in a few directories."""
    root = tmp_path / "source"
    for name in ("srv/data/deep", "srv/old", "srv/same/below"):
        (root / name).mkdir(parents=True)
    for name in ("a", "b", "srv/data/c.sql", "srv/data/deep/d", "srv/old/e"):
        (root / name).write_text(name * 10)
    (root / "srv/same/below/file").write_text("the same")
    (root / "second name").hardlink_to(root / "a")
    (root / "link").symlink_to("a")
    return root


@pytest.fixture
def repository(source):
    """A repository with a snapshot of them, and one after some changes."""
    with Repository.init(MemoryBackend(), PASSWORD, key_parameters=CHEAP) as repository:
        repository.back_up(DirectorySource(source, base=source), tags=("first",))
        (source / "b").write_text("changed")
        (source / "srv/data/deep/d").unlink()
        (source / "srv/data/deep").rmdir()
        (source / "srv/data/deep").write_text("a file now")
        (source / "srv/old/e").unlink()
        (source / "srv/old").rmdir()
        (source / "srv/new").mkdir()
        (source / "srv/new/f").write_text("f")
        (source / "srv/data/c.sql").chmod(0o600)
        (source / "link").unlink()
        (source / "link").symlink_to("b")
        repository.back_up(DirectorySource(source, base=source), tags=("second",))
        yield repository


def test_a_snapshot_is_listed(repository):
    """By name, a directory before what lies in it."""
    paths = [entry.path for entry in repository.ls("latest~1")]

    assert paths == [
        b"a",
        b"b",
        b"link",
        b"second name",
        b"srv",
        b"srv/data",
        b"srv/data/c.sql",
        b"srv/data/deep",
        b"srv/data/deep/d",
        b"srv/old",
        b"srv/old/e",
        b"srv/same",
        b"srv/same/below",
        b"srv/same/below/file",
    ]
    below = [entry.path for entry in repository.ls("latest:srv/same")]
    assert below == [b"below", b"below/file"]
    node = next(e.node for e in repository.ls("latest") if e.path == b"srv/data/c.sql")
    assert (node.size, node.posix_mode) == (140, 0o600)


def test_a_list_that_nobody_takes_to_its_end_leaves_no_lock(repository):
    """Closed, it lets go of it."""
    entries = repository.ls("latest")
    next(entries)
    assert len(repository.list_locks()) == 1

    entries.close()

    assert repository.list_locks() == []


# --- find -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["*.sql"], ["1 srv/data/c.sql", "2 srv/data/c.sql"]),
        (["/srv/old"], ["1 srv/old", "1 srv/old/e"]),
        (["f", "e"], ["1 srv/old/e", "2 srv/new/f"]),
        (["nothing"], []),
        (["srv/**/file"], ["1 srv/same/below/file", "2 srv/same/below/file"]),
    ],
)
def test_paths_are_found(repository, patterns, expected):
    """In every snapshot, the oldest first."""
    ids = [each.id for each in repository.list()]

    found = [
        f"{ids.index(match.snapshot.id) + 1} {match.path.decode()}"
        for match in repository.find(*patterns)
    ]

    assert found == expected


def test_paths_are_found_in_some_snapshots(repository):
    """By name or by filter; and with large letters for small ones."""
    first, second = (each.id.hex() for each in repository.list())
    chosen = SnapshotFilter(tags=[["first"]])

    assert len(list(repository.find("*.sql", snapshots=[second]))) == 1
    assert len(list(repository.find("*.sql", filter=chosen))) == 1
    assert next(repository.find("*.sql", snapshots=[first])).snapshot.tags == ("first",)
    assert list(repository.find("*.SQL")) == []
    assert len(list(repository.find("*.SQL", ignore_case=True))) == 2


def test_what_is_no_pattern_is_said_at_once(repository):
    """Before anything is taken of what is found."""
    for patterns in ((), ("",), ("[",)):
        with pytest.raises(InvalidSpecError):
            repository.find(*patterns)


def test_what_two_snapshots_share_is_walked_once(repository, monkeypatch):
    """Where nothing in it matches; where something does, it is found in both."""
    loaded = []
    real = _find.load_tree

    def counted(opened, tree):
        loaded.append(tree)
        return real(opened, tree)

    monkeypatch.setattr(_find, "load_tree", counted)
    assert len(list(repository.find("*.sql"))) == 2
    assert len(loaded) == len(set(loaded))  # same/, same/below/ only once


# --- dump -----------------------------------------------------------------------------


def test_a_file_is_written_to_a_stream(repository):
    """As it is."""
    stream = io.BytesIO()
    repository.dump("latest~1", "/srv/data/deep/d", stream)
    assert stream.getvalue() == b"srv/data/deep/d" * 10

    stream = io.BytesIO()
    repository.dump("latest:srv/new", "f", stream)
    assert stream.getvalue() == b"f"


def test_a_directory_is_written_as_an_archive(repository):
    """Whatever lies in it."""
    stream = io.BytesIO()
    repository.dump("latest", "srv/same", stream)

    with tarfile.open(fileobj=io.BytesIO(stream.getvalue())) as archive:
        names = archive.getnames()
        assert archive.extractfile(names[-1]).read() == b"the same"
    assert [name.lstrip("/") for name in names] == [
        "srv/same/below",
        "srv/same/below/file",
    ]


def test_what_is_not_there_is_not_dumped(repository):
    """Neither path nor snapshot."""
    stream = io.BytesIO()
    with pytest.raises(PathNotFoundError, match="/srv/nothing"):
        repository.dump("latest", "srv/nothing", stream)
    with pytest.raises(SnapshotNotFoundError):
        repository.dump("0000", "a", stream)
    assert stream.getvalue() == b""


# --- diff -----------------------------------------------------------------------------


def test_two_snapshots_are_compared(repository):
    """What came, went, has other content, or became something else."""
    diff = repository.diff("latest~1", "latest")

    assert [str(change) for change in diff.changes] == [
        "M    /b",
        "M    /link",
        "T    /srv/data/deep",
        "-    /srv/data/deep/d",
        "+    /srv/new/",
        "+    /srv/new/f",
        "-    /srv/old/",
        "-    /srv/old/e",
    ]
    assert diff.changed_files == 1
    added, removed = attrs.asdict(diff.added), attrs.asdict(diff.removed)
    assert (added["files"], added["directories"], added["others"]) == (1, 1, 0)
    assert (removed["files"], removed["directories"], removed["others"]) == (2, 1, 0)
    assert (added["data_blobs"], removed["data_blobs"]) == (3, 3)
    assert added["tree_blobs"] == 4  # /, srv, srv/data, srv/new
    assert removed["tree_blobs"] == 5  # and srv/data/deep, srv/old


def test_other_metadata_counts_on_request(repository):
    """Modes, owners, times."""
    changes = repository.diff("latest~1", "latest", metadata=True).changes

    kinds = {change.path: change.kind for change in changes}
    assert kinds[b"srv/data/c.sql"] == "U"
    assert kinds[b"srv/data"] == "U"
    assert b"srv/same" not in kinds


def test_the_same_has_no_difference(repository):
    """Also by parts, and turned round it is the opposite."""
    assert repository.diff("latest", "latest", metadata=True).changes == []
    assert repository.diff("latest~1:srv/same", "latest:srv/same").changes == []
    there = repository.diff("latest~1", "latest")
    back = repository.diff("latest", "latest~1")
    assert (back.added, back.removed) == (there.removed, there.added)
    turned = {"+": "-", "-": "+"}
    assert {(c.path, turned.get(c.kind, c.kind)) for c in back.changes} >= {
        (c.path, c.kind) for c in there.changes if c.kind in "+-M"
    }


# --- stats ----------------------------------------------------------------------------


def test_snapshots_are_counted_in_three_ways(repository):
    """As they would be restored, by different contents, and as they lie in packs."""
    restored = repository.stats()
    assert (restored.snapshots, restored.files) == (2, 27)
    first = sum(10 * len(n) for n in ("a", "b", "srv/data/c.sql", "srv/data/deep/d"))
    assert repository.stats(snapshots=["latest~1"]).size == first + 90 + 8

    contents = repository.stats("files-by-contents")
    assert contents.files == 9  # six, then: b, deep, f
    raw = repository.stats("raw-data")
    assert raw.blobs == 9 + 7 + 4
    assert raw.size < sum(
        len(c) for f, c in repository._opened.backend.files.items() if f.type == "data"
    )
    assert raw.compression_ratio == raw.plain_size / raw.size > 1


def test_there_is_no_other_way_of_counting(repository):
    """The ways that there are, are named."""
    with pytest.raises(InvalidSpecError, match="restore-size, files-by-contents"):
        repository.stats("blobs-per-moon")


def test_nothing_is_counted_of_nothing():
    """An empty repository has no ratio but one."""
    with Repository.init(MemoryBackend(), PASSWORD, key_parameters=CHEAP) as repository:
        stats = repository.stats("raw-data")
        assert (stats.snapshots, stats.size, stats.compression_ratio) == (0, 0, 1.0)
        assert list(repository.find("x")) == []
        assert repository.check(read_data=True).errors == []
        assert repository.plan_prune().is_empty


@pytest.mark.parametrize(
    "verb", ["ls", "find", "diff", "stats", "check", "plan_prune", "repair_index"]
)
def test_whoever_cancels_ends_it(repository, verb):
    """With the error of the library, and no lock left."""
    cancel = CancelToken()
    with Repository.open(repository._opened.backend, PASSWORD, cancel=cancel) as other:
        cancel.cancel("enough")
        call = {
            "diff": lambda: other.diff("latest~1", "latest"),
            "find": lambda: list(other.find("x")),
            "ls": lambda: list(other.ls("latest")),
            "repair_index": lambda: other.repair_index(read_all=True),
        }.get(verb) or getattr(other, verb)
        with pytest.raises(RunCancelledError, match="enough"):
            call()
    assert repository.list_locks() == []


def test_what_is_neither_file_nor_directory_is_counted_apart(repository, source):
    """Such as a link that came."""
    (source / "another link").symlink_to("a")
    repository.back_up(DirectorySource(source, base=source))

    diff = repository.diff("latest~1", "latest")

    assert list(map(str, diff.changes)) == ["+    /another link"]
    assert (diff.added.files, diff.added.directories, diff.added.others) == (0, 0, 1)


def test_whoever_waits_for_others_lists_after_them(source):
    """As long as they have patience; then there is a lock of their own."""
    backend = MemoryBackend()
    with Repository.init(backend, PASSWORD, key_parameters=CHEAP) as repository:
        repository.back_up(DirectorySource(source, base=source))
    waited = []

    class Waits(CancelToken):
        def wait(self, seconds):
            waited.append(len(looking.list_locks()))
            lock.release()

    looking = Repository.open(
        backend, PASSWORD, lock_patience=timedelta(minutes=1), cancel=Waits()
    )
    lock = acquire(looking._opened.documents, exclusive=True)

    paths = [entry.path for entry in looking.ls("latest:srv/same")]

    assert paths == [b"below", b"below/file"]
    assert waited == [1]
    assert looking.list_locks() == []


# --- without locks ------------------------------------------------------------------------


class ReadOnlyBackend(MemoryBackend):
    """Takes no file, and lets none go."""

    def save(self, file, content):
        """Refuse it."""
        raise StoreAccessError(file.key, "Read-only file system")

    def remove(self, file):
        """Refuse it."""
        raise StoreAccessError(file.key, "Read-only file system")


@pytest.fixture
def read_only(repository):
    """The backend of that repository, where nothing may be written."""
    backend = ReadOnlyBackend()
    backend.files = repository._opened.backend.files
    return backend


def test_reading_where_nothing_may_be_written(read_only, tmp_path):
    """Without locks all verbs that read do, beside an exclusive lock as well."""
    writable = MemoryBackend()
    writable.files = read_only.files
    with (
        Repository.open(writable, PASSWORD) as other,
        acquire(other._opened.documents, exclusive=True),
        Repository.open(read_only, PASSWORD, no_lock=True) as repository,
        Repository.init(MemoryBackend(), "y", key_parameters=CHEAP) as target,
    ):
        assert len(repository.list()) == 2
        assert len(list(repository.ls("latest:srv/same"))) == 2
        assert list(repository.find("c.sql"))
        written = io.BytesIO()
        repository.dump("latest", "b", written)
        assert written.getvalue() == b"changed"
        assert repository.diff("latest~1", "latest").changes
        assert repository.stats().snapshots == 2
        assert repository.check(read_data=True).is_whole
        assert list(repository.extraneous("latest", tmp_path / "target")) == []
        assert repository.restore("latest", tmp_path / "target").files
        assert len(repository.plan_forget(RetentionPolicy(last=1)).remove) == 1
        assert repository.plan_prune(without=["latest"]).removed.packs
        assert len(repository.copy(target)) == 2


def test_writing_without_locks(repository, source):
    """It is refused before anything is written, in whatever may be written to."""
    backend = repository._opened.backend
    before = dict(backend.files)
    with (
        Repository.open(backend, PASSWORD, no_lock=True) as unlocked,
        Repository.init(MemoryBackend(), "y", key_parameters=CHEAP) as other,
    ):
        for verb in (
            lambda: unlocked.back_up(source),
            lambda: unlocked.forget(["latest"]),
            unlocked.prune,
            unlocked.repair_index,
            lambda: unlocked.add_key("z", key_parameters=CHEAP),
            lambda: unlocked.change_password("z", key_parameters=CHEAP),
            lambda: unlocked.remove_key("0"),
            lambda: other.copy(unlocked),
        ):
            with pytest.raises(InvalidSpecError, match="a repository is only read"):
                verb()
    assert backend.files == before


def test_a_lock_that_cannot_be_written(read_only):
    """Whoever reads is told how to go without; whoever removes could not either way."""
    with Repository.open(read_only, PASSWORD) as repository:
        with pytest.raises(StoreAccessError, match="Read-only") as caught:
            repository.list()
        assert "`no_lock`" in caught.value.hint
        with pytest.raises(StoreAccessError) as caught:
            repository.prune()
        assert caught.value.hint == ""
