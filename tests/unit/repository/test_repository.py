"""What was backed up is restored as it was."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import kbackup.repository as room
from kbackup.errors import (
    BlobMissingError,
    IntegrityError,
    InvalidConfigError,
    InvalidSpecError,
    KeyNotFoundError,
    RepositoryError,
    RepositoryExistsError,
    RepositoryLockedError,
    RepositoryNotFoundError,
    RunCancelledError,
    SnapshotNotFoundError,
    StoreFullError,
    StoreUnavailableError,
    UnsupportedFormatError,
    WrongPasswordError,
)
from kbackup.repository import (
    Compression,
    DirectorySource,
    FileType,
    MemoryBackend,
    Repository,
    RetentionPolicy,
    ScryptParameters,
    Selection,
    SnapshotFilter,
)
from kbackup.repository._backend import CONFIG, File
from odd_tree import make_odd_tree, seen

CHEAP = ScryptParameters(n=2, r=1, p=1)
PASSWORD = "geheim"


@pytest.fixture
def place():
    """Where the repository is."""
    return MemoryBackend()


@pytest.fixture
def repository(place, monkeypatch):
    """A new repository, whose locks settle at once."""
    monkeypatch.setattr("kbackup.repository._locks._SETTLES", timedelta(0))
    with Repository.init(place, PASSWORD, key_parameters=CHEAP) as repository:
        yield repository


@pytest.mark.parametrize("verb", [Repository.init, Repository.open])
def test_an_address_is_no_directory(tmp_path, monkeypatch, verb):
    """None is made by its name, where somebody would take what is saved for uploaded."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(
        InvalidConfigError, match="an address is no directory"
    ) as caught:
        verb("s3://bucket/prefix", PASSWORD)

    assert "ObjectStoreBackend" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def source(tmp_path):
    """A directory of its own."""
    path = tmp_path / "source"
    path.mkdir()
    return path


def based(source):
    """The directory, without the path to it."""
    return DirectorySource(source, base=source)


def counts(result):
    """New, changed and unmodified files of a backup."""
    summary = result.snapshot.summary
    return summary.files_new, summary.files_changed, summary.files_unmodified


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("compression", Compression)
def test_everything_comes_back(tmp_path, source, monkeypatch, version, compression):
    """Names, modes, owners, times, links, holes, attributes, devices."""
    make_odd_tree(source)
    repository = Repository.init(
        MemoryBackend(),
        PASSWORD,
        version=version,
        key_parameters=CHEAP,
        compression=compression,
    )

    result = repository.back_up(based(source))
    restored = repository.restore("latest", tmp_path / "target")

    assert (result.unreadable, result.exit_code, restored.problems) == ((), 0, [])
    assert seen(tmp_path / "target") == seen(source)
    assert repository.version == version


def test_holes_stay_holes(tmp_path, source, repository):
    """What is nothing but zeros takes no room again."""
    make_odd_tree(source)
    repository.back_up(based(source))

    repository.restore("latest", tmp_path / "target")

    assert (tmp_path / "target/directory/hole").stat().st_blocks * 512 < 2 << 20


def test_a_path_is_kept_whole(tmp_path, source, repository):
    """Without a base, the snapshot has the whole path, and nothing else of it."""
    (source / "file").write_text("x")
    (tmp_path / "another").write_text("y")

    result = repository.back_up(source)
    repository.restore("latest", tmp_path / "target")

    inside = tmp_path / "target" / source.relative_to("/")
    assert inside.joinpath("file").read_text() == "x"
    assert [path.name for path in inside.parent.iterdir()] == ["source"]
    assert result.snapshot.paths == (str(source),)
    assert inside.parent.stat().st_mode == tmp_path.stat().st_mode


def test_one_file(tmp_path, source, repository):
    """A file may be all that is backed up."""
    (source / "file").write_text("x")
    (source / "other").write_text("y")

    repository.back_up(DirectorySource(source / "file", base=source))
    repository.restore("latest", tmp_path / "target")

    assert [path.name for path in (tmp_path / "target").iterdir()] == ["file"]


def test_what_is_unchanged_is_not_read(source, repository, monkeypatch):
    """A second backup opens what changed, and adds nothing else."""
    make_odd_tree(source)
    first = repository.back_up(based(source))
    (source / "plain").write_text("changed")
    (source / "new").write_text("new")
    opened = []
    monkeypatch.setattr(
        "kbackup.repository._archiver._opened",
        lambda found: opened.append(found.path) or found.open(),
    )

    second = repository.back_up(based(source))

    # Its second name is the same file, and was changed with it.
    assert sorted(opened) == [b"directory/second name", b"new", b"plain"]
    assert counts(first) == (10, 0, 0)
    assert counts(second) == (1, 2, 8)
    assert second.snapshot.parent == first.snapshot.id
    assert second.snapshot.summary.data_blobs == 2


def test_nothing_changed(source, repository, place):
    """Then the tree is the same one, and only a snapshot is new."""
    make_odd_tree(source)
    first = repository.back_up(based(source))
    before = len(place.files)

    second = repository.back_up(based(source))

    assert second.snapshot.tree == first.snapshot.tree
    assert len(place.files) == before + 1
    assert second.snapshot.summary.dirs_unmodified == 3


@pytest.mark.parametrize("what", ["size", "mtime", "inode", "ctime"])
def test_what_tells_a_change(source, repository, what):
    """Each of four numbers that changes is enough."""
    file = source / "file"
    file.write_text("x")
    repository.back_up(based(source))
    status = file.stat()
    if what == "size":
        file.write_text("xx")
    elif what == "mtime":
        os.utime(file, ns=(1, 1))
    elif what == "inode":
        file.rename(source / "old")
        file.write_text("y")
        (source / "old").unlink()
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    else:
        file.chmod(0o600)

    assert counts(repository.back_up(based(source)))[1] == 1


def test_everything_is_read_where_that_is_asked_for(source, repository):
    """For who does not trust times."""
    make_odd_tree(source)
    repository.back_up(based(source))

    again = repository.back_up(based(source), read_all=True)

    assert counts(again) == (10, 0, 0)
    assert again.snapshot.parent is None
    assert again.snapshot.summary.data_blobs == 0


def test_a_parent_without_its_data_is_read_again(source, repository, place):
    """What was lost is saved anew: backing up heals as far as it can."""
    (source / "file").write_bytes(os.urandom(1000))
    repository.back_up(based(source))
    for name, _ in list(place.list(FileType.INDEX)):
        place.remove(File(FileType.INDEX, name))
    other = Repository.open(place, PASSWORD)

    again = other.back_up(based(source))

    assert again.snapshot.summary.data_blobs == 1


def test_what_others_pruned_is_saved_again(source, repository, place, tmp_path):
    """Whoever keeps a repository open does not count on what is gone since."""
    (source / "file").write_bytes(os.urandom(1000))
    snapshot = repository.back_up(based(source)).snapshot
    other = Repository.open(place, PASSWORD)
    other.forget([snapshot.id.hex()])
    for kind in (FileType.INDEX, FileType.PACK):
        for name, _ in list(place.list(kind)):
            place.remove(File(kind, name))

    again = repository.back_up(based(source))

    assert again.snapshot.summary.data_blobs == 1
    assert Repository.open(place, PASSWORD).restore("latest", tmp_path / "t").files == 1


def test_what_no_index_names_is_saved_again(
    source, repository, place, tmp_path, monkeypatch
):
    """A pack whose index could not be written is unused for everybody else."""
    (source / "file").write_bytes(os.urandom(1000))
    save = place.save

    def full(file, content):
        if file.type is FileType.INDEX:
            raise StoreFullError(file.key)
        save(file, content)

    monkeypatch.setattr(place, "save", full)
    with pytest.raises(StoreFullError):
        repository.back_up(based(source))
    monkeypatch.undo()
    again = repository.back_up(based(source))

    assert again.snapshot.summary.data_blobs == 1
    assert Repository.open(place, PASSWORD).restore("latest", tmp_path / "t").files == 1


def test_another_host_has_its_own_parent(source, repository):
    """And other paths, too."""
    (source / "file").write_text("x")
    first = repository.back_up(based(source), hostname="one")

    assert repository.back_up(based(source), hostname="two").snapshot.parent is None
    assert (
        repository.back_up(based(source), hostname="one").snapshot.parent
        == first.snapshot.id
    )
    for chosen in (first.snapshot.id.hex()[:8], first.snapshot):
        other = repository.back_up(based(source), hostname="two", parent=chosen)
        assert other.snapshot.parent == first.snapshot.id
        assert counts(other) == (0, 0, 1)


@pytest.mark.parametrize("by", ["id", "snapshot"])
def test_a_parent_that_is_not_there(source, repository, by):
    """Somebody forgot it: that is told, and nothing is saved."""
    (source / "file").write_text("x")
    gone = repository.back_up(based(source)).snapshot
    repository.forget([gone])

    with pytest.raises(SnapshotNotFoundError):
        repository.back_up(
            based(source), parent=gone if by == "snapshot" else gone.id.hex()
        )

    assert repository.list() == []


def test_snapshots_are_listed_by_time(source, repository):
    """With what was said of them."""
    (source / "file").write_text("x")
    early, late = (datetime(year, 5, 1, tzinfo=UTC) for year in (2001, 2033))
    repository.back_up(based(source), time=late, tags=("b",))
    repository.back_up(based(source), time=early, tags=("a",))

    found = repository.list()

    assert [(each.tags, each.time.when) for each in found] == [
        (("a",), early),
        (("b",), late),
    ]


# --- what is there already --------------------------------------------------------------


def test_a_restore_goes_on_where_it_was(tmp_path, source, repository):
    """What is right is not written again; what is not is, and only that."""
    make_odd_tree(source)
    repository.back_up(based(source))
    target = tmp_path / "target"
    repository.restore("latest", target)
    large = target / "directory/large"
    with large.open("r+b") as file:
        file.seek(2_000_000)
        file.write(b"damage")
    (target / "plain").unlink()

    again = repository.restore("latest", target)

    assert seen(target) == seen(source)
    assert 0 < again.written < large.stat().st_size


def test_what_is_too_long_is_cut(tmp_path, source, repository):
    """A file that grew is as it was."""
    (source / "file").write_text("x")
    repository.back_up(based(source))
    repository.restore("latest", tmp_path / "target")
    (tmp_path / "target/file").write_text("xyz")

    repository.restore("latest", tmp_path / "target")

    assert (tmp_path / "target/file").read_text() == "x"


def test_what_is_not_in_the_snapshot_stays(tmp_path, source, repository):
    """Nothing is removed that nobody asked to remove."""
    (source / "file").write_text("x")
    repository.back_up(based(source))
    target = tmp_path / "target"
    target.mkdir()
    (target / "mine").write_text("mine")

    repository.restore("latest", target)

    assert (target / "mine").read_text() == "mine"


@pytest.mark.parametrize("other", ["directory", "link", "fifo"])
@pytest.mark.parametrize("name", ["plain", "directory", "link", "fifo"])
def test_something_else_is_in_the_place(tmp_path, source, repository, name, other):
    """It is named, stays, and everything else is restored."""
    make_odd_tree(source)
    repository.back_up(based(source))
    target, outside = tmp_path / "target", tmp_path / "outside"
    target.mkdir()
    outside.mkdir()
    {
        "directory": lambda path: path.mkdir(),
        "link": lambda path: path.symlink_to(outside),
        "fifo": os.mkfifo,
    }[other](target / name)

    restored = repository.restore("latest", target)

    expected = [] if name == other else [name.encode()]
    assert [problem.path for problem in restored.problems][:1] == expected
    assert (target / "empty file").exists()
    assert list(outside.iterdir()) == []


def test_a_restore_that_is_killed_is_repeated(tmp_path, source):
    """Whatever was written by then, the next one ends it."""
    source.joinpath("file").write_bytes(os.urandom(20 << 20))
    for number in range(200):
        source.joinpath(f"{number}").write_bytes(os.urandom(2000))
    place = tmp_path / "repository"
    with Repository.init(place, PASSWORD, key_parameters=CHEAP) as repository:
        repository.back_up(based(source))
        script = (
            "import os, sys\n"
            "from kbackup.repository import Repository, _directory_target as d\n"
            "written = []\n"
            "write = d.DirectoryTarget.write\n"
            "def die(*given):\n"
            "    written.append(1)\n"
            "    if len(written) == 100: os._exit(9)\n"
            "    write(*given)\n"
            "d.DirectoryTarget.write = die\n"
            f"Repository.open({str(place)!r}, {PASSWORD!r}).restore(\n"
            f"    'latest', {str(tmp_path / 'target')!r})\n"
        )
        done = subprocess.run([sys.executable, "-c", script], check=False)
        assert done.returncode == 9
        assert seen(tmp_path / "target") != seen(source)

        repository.restore("latest", tmp_path / "target")

    assert seen(tmp_path / "target") == seen(source)


# --- bad input --------------------------------------------------------------------------


def test_a_wrong_password(repository, place):
    """Nothing opens, and nothing is said of what was typed."""
    with pytest.raises(WrongPasswordError, match="1 tried"):
        Repository.open(place, "falsch")


def test_not_a_repository(tmp_path):
    """A directory without one is named; nothing is made there."""
    with pytest.raises(RepositoryNotFoundError, match="no repository is there") as c:
        Repository.open(tmp_path, PASSWORD)

    assert c.value.exit_code == 10
    assert list(tmp_path.iterdir()) == []


def test_a_repository_is_made_once(repository, place):
    """A second one does not take its place."""
    before = dict(place.files)

    with pytest.raises(RepositoryExistsError):
        Repository.init(place, "another", key_parameters=CHEAP)
    assert place.files == before


def test_two_that_make_one_at_the_same_time(repository, place, monkeypatch):
    """The second one leaves no key behind: by that the first one's config is damaged."""
    before = dict(place.files)
    with monkeypatch.context() as patch:
        patch.setattr(place, "exists", lambda _: False)
        patch.setattr(place, "list", lambda _: iter(()))
        with pytest.raises(RepositoryExistsError):
            Repository.init(place, PASSWORD, key_parameters=CHEAP)

    assert place.files == before


def test_keys_without_a_config(repository, place):
    """Whoever lost a config keeps their keys: nothing is made over them."""
    place.remove(CONFIG)
    before = dict(place.files)

    with pytest.raises(RepositoryExistsError, match="it has keys, though no") as caught:
        Repository.init(place, PASSWORD, key_parameters=CHEAP)

    assert place.files == before
    assert "bring it back" in caught.value.hint


def test_nothing_is_written_after_a_backup_was_stopped(
    source, place, repository, monkeypatch
):
    """Whoever gets the lock next has the repository to themselves."""
    for number in range(40):
        (source / f"{number}").write_bytes(os.urandom(1 << 20))
    cancel = repository._opened.cancel
    told = []

    def stop(progress):
        told.append(progress)
        if len(told) == 3:
            cancel.cancel()

    with pytest.raises(RunCancelledError, match="cancelled"):
        repository.back_up(based(source), told=stop)
    before = dict(place.files)
    time.sleep(0.3)

    assert place.files == before
    assert list(place.list(FileType.LOCK)) == []
    assert list(place.list(FileType.SNAPSHOT)) == []
    assert 3 <= len(told) < 40


def test_nothing_is_written_after_a_restore_was_stopped(
    source, repository, tmp_path, monkeypatch
):
    """And what is there by then is gone on with."""
    for number in range(40):
        (source / f"{number}").write_bytes(os.urandom(1 << 20))
    repository.back_up(based(source))
    cancel = repository._opened.cancel

    with pytest.raises(RunCancelledError, match="cancelled"):
        repository.restore(
            "latest", tmp_path / "target", told=lambda _: cancel.cancel()
        )
    before = seen(tmp_path / "target")
    time.sleep(0.3)

    assert seen(tmp_path / "target") == before != seen(source)


def test_a_version_that_nobody_knows():
    """It is refused before anything is written."""
    place = MemoryBackend()

    with pytest.raises(UnsupportedFormatError):
        Repository.init(place, PASSWORD, version=3, key_parameters=CHEAP)
    assert place.files == {}


@pytest.mark.parametrize("text", ["", "0", "zz", "nothing", "latest"])
def test_a_snapshot_that_is_not_there(repository, tmp_path, text):
    """Nothing is made for it."""
    with pytest.raises(SnapshotNotFoundError):
        repository.restore(text, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_a_beginning_that_two_have(source, repository, tmp_path):
    """They are named."""
    (source / "file").write_text("x")
    for number in range(17):  # of 17 two begin with the same digit
        repository.back_up(
            based(source), time=datetime(2024, 5, number + 1, tzinfo=UTC)
        )
    digits = [each.id.hex()[0] for each in repository.list()]
    twice = next(digit for digit in digits if digits.count(digit) > 1)

    with pytest.raises(SnapshotNotFoundError, match=r"begin so: \w{8}, "):
        repository.restore(twice, tmp_path / "target")


def test_no_text_means_no_snapshot(source, repository):
    """An empty variable of a script is not the only one that there is."""
    (source / "file").write_text("x")
    only = repository.back_up(based(source)).snapshot

    with pytest.raises(SnapshotNotFoundError, match="none begins so"):
        repository.forget([""])

    assert repository.list() == [only]


def test_a_source_that_is_not_there(tmp_path, repository):
    """It is a warning, as the rest may matter more; the exit code tells."""
    (tmp_path / "there").write_text("x")
    source = DirectorySource(tmp_path / "gone", tmp_path / "there", base=tmp_path)

    result = repository.back_up(source)

    (problem,) = result.unreadable
    assert problem == (os.fsencode(tmp_path / "gone"), "No such file or directory")
    assert result.exit_code == 3
    assert counts(result) == (1, 0, 0)


def test_a_file_that_cannot_be_read(source, repository, monkeypatch):
    """The rest is saved."""
    for name in ("bad", "good"):
        (source / name).write_text(name)
    opened = os.open

    def refuse(path, *given):
        if path.endswith(b"/bad"):
            raise PermissionError(13, "Permission denied")
        return opened(path, *given)

    monkeypatch.setattr("kbackup.repository._directory_source.os.open", refuse)

    result = repository.back_up(based(source))

    assert [problem.reason for problem in result.unreadable] == ["Permission denied"]
    assert counts(result) == (1, 0, 0)


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_a_file_that_breaks_off(source, repository, monkeypatch, size):
    """Half of it is not taken for all of it."""
    (source / "file").write_bytes(os.urandom(size))
    reads = []

    def breaks(descriptor, buffers):
        reads.append(1)
        if len(reads) > 1 or size == 10:
            raise OSError(5, "Input/output error")
        return readv(descriptor, [buffers[0][: 2 << 20]])

    readv = os.readv
    monkeypatch.setattr("kbackup.repository._directory_source.os.readv", breaks)

    result = repository.back_up(based(source))

    assert [problem.reason for problem in result.unreadable] == ["Input/output error"]
    assert counts(result) == (0, 0, 0)


def test_a_file_that_grows_while_it_is_read(source, repository, tmp_path, monkeypatch):
    """It is saved as it was read, whole."""
    content = os.urandom(2 << 20)
    (source / "file").write_bytes(b"small")
    walk = DirectorySource.walk

    def grows(self):
        for found in walk(self):
            if getattr(found, "path", b"") == b"file":
                (source / "file").write_bytes(content)
            yield found

    monkeypatch.setattr(DirectorySource, "walk", grows)
    repository.back_up(based(source))
    repository.restore("latest", tmp_path / "target")

    assert (tmp_path / "target/file").read_bytes() == content


def test_a_file_that_becomes_something_else(source, repository, monkeypatch):
    """A FIFO in its place is not waited for."""
    (source / "file").write_bytes(b"small")
    walk = DirectorySource.walk

    def changes(self):
        for found in walk(self):
            if getattr(found, "path", b"") == b"file":
                (source / "file").unlink()
                os.mkfifo(source / "file")
            yield found

    monkeypatch.setattr(DirectorySource, "walk", changes)

    result = repository.back_up(based(source))

    assert [problem.reason for problem in result.unreadable] == [
        "it is no file any more"
    ]


def test_a_full_disk_ends_a_backup(source, repository, place, monkeypatch, tmp_path):
    """There is no snapshot of it, and those before are whole."""
    (source / "file").write_bytes(os.urandom(1000))
    repository.back_up(based(source))
    (source / "new").write_bytes(os.urandom(1000))
    save = place.save

    def full(file, content):
        if file.type is FileType.PACK:
            raise StoreFullError(file.key)
        save(file, content)

    monkeypatch.setattr(place, "save", full)
    with pytest.raises(StoreFullError):
        repository.back_up(based(source))

    assert len(repository.list()) == 1
    assert list(place.list(FileType.LOCK)) == []
    assert repository.restore("latest", tmp_path / "target").problems == []


def test_somebody_works_alone(source, repository, place):
    """A backup waits for nobody unless told to, and says who it is."""
    with repository._locked(exclusive=True), pytest.raises(RepositoryLockedError):
        Repository.open(place, PASSWORD).back_up(based(source))


@pytest.mark.parametrize("kind", [FileType.PACK, FileType.INDEX])
def test_a_lock_that_is_lost_on_the_way(source, repository, place, monkeypatch, kind):
    """What was saved until then may be pruned: no index names it, or no snapshot."""
    (source / "file").write_text("x")
    save = place.save

    def losing(file, content):
        save(file, content)
        if file.type is kind:
            for name, _ in list(place.list(FileType.LOCK)):
                place.remove(File(FileType.LOCK, name))

    monkeypatch.setattr(place, "save", losing)

    with pytest.raises(RepositoryLockedError, match="somebody removed the own lock"):
        repository.back_up(source)

    indexes = [*place.list(FileType.INDEX)]
    assert len(indexes) == (0 if kind is FileType.PACK else 1)
    assert [*place.list(FileType.SNAPSHOT)] == []


def test_a_lost_pack(source, repository, place, tmp_path):
    """What needs it is named, the rest is restored; no half file is left."""
    (source / "first").write_bytes(os.urandom(1000))
    repository.back_up(based(source))
    known = {name for name, _ in place.list(FileType.PACK)}
    (source / "second").write_bytes(os.urandom(1000))
    repository.back_up(based(source))
    repository._opened.refresh_index()
    for name in known:
        file = File(FileType.PACK, name)
        if any(
            place_.pack == name
            for place_ in (
                repository._opened.index.find(0, blob)
                for blob in repository._opened.index.blobs(0)
            )
        ):
            place.remove(file)

    restored = repository.restore("latest", tmp_path / "target")

    (problem,) = restored.problems
    assert problem.path == b"first"
    assert "no such object" in problem.reason
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["second"]


def test_a_damaged_pack(source, repository, place, tmp_path):
    """Not a byte of it is restored, and what was damaged is named."""
    (source / "file").write_bytes(os.urandom(1000))
    result = repository.back_up(based(source))
    repository._opened.refresh_index()
    index = repository._opened.index
    (blob,) = index.blobs(0)
    file = File(FileType.PACK, index.find(0, blob).pack)
    content = bytearray(place.load(file))
    content[100] ^= 1
    place.remove(file)
    place.save(file, content)

    restored = repository.restore(result.snapshot, tmp_path / "target")

    (problem,) = restored.problems
    assert f"blob {blob.hex()[:8]}: the seal is broken" in problem.reason
    assert list((tmp_path / "target").iterdir()) == []


def test_a_lost_tree(source, repository, place, tmp_path):
    """Without a tree nobody knows what is missing: that is an error."""
    (source / "file").write_bytes(b"x")
    repository.back_up(based(source))
    for name, _ in list(place.list(FileType.INDEX)):
        place.remove(File(FileType.INDEX, name))

    with pytest.raises(BlobMissingError, match="tree blob"):
        Repository.open(place, PASSWORD).restore("latest", tmp_path / "target")


def test_a_lost_tree_of_one_directory(source, repository, place, tmp_path, monkeypatch):
    """That directory is named, and all others are restored; nothing is removed."""
    monkeypatch.setattr("kbackup.repository._packer.PACK_SIZE", 1)  # a pack for each
    for name in ("bad", "good"):
        (source / name).mkdir()
        (source / name / f"in {name}").write_bytes(name.encode())
    repository.back_up(based(source))
    target = tmp_path / "target"
    (target / "bad").mkdir(parents=True)
    (target / "bad/in bad").write_text("saved before")
    bad = next(e.node.tree for e in repository.ls("latest") if e.path == b"bad")
    place.remove(File(FileType.PACK, repository._opened.index.find(1, bad).pack))

    restored = repository.restore("latest", target, selection=Selection(delete=True))

    (problem,) = restored.problems
    assert problem.path == b"bad"
    assert "the pack is gone" in problem.reason
    assert restored.removed == []
    assert (target / "good/in good").read_bytes() == b"good"
    assert (target / "bad/in bad").read_text() == "saved before"


def test_a_damaged_snapshot(source, repository, place):
    """It is named."""
    (source / "file").write_bytes(b"x")
    repository.back_up(based(source))
    (name,) = [name for name, _ in place.list(FileType.SNAPSHOT)]
    place.files[File(FileType.SNAPSHOT, name)] = b"x" * 200

    with pytest.raises(IntegrityError, match=f"snapshot {name.hex()[:8]}: damaged"):
        repository.list()


@pytest.mark.parametrize("text", ["", "zz", "0123"])
def test_a_key_that_is_not_there(repository, text):
    """Nothing is removed for it."""
    with pytest.raises(KeyNotFoundError, match="none begins so"):
        repository.remove_key(text)
    assert len(repository.list_keys()) == 1


def test_a_time_without_a_zone(repository, source):
    """Nobody knows when that is."""
    with pytest.raises(InvalidSpecError, match="says no zone"):
        repository.back_up(source, time=datetime(2024, 5, 1))  # noqa: DTZ001 - that is it


# --- forgetting -------------------------------------------------------------------------


@pytest.fixture
def week(source, repository):
    """Seven snapshots, one of each day."""
    (source / "file").write_text("x")
    return [
        repository.back_up(
            based(source), time=datetime(2024, 5, day, tzinfo=UTC), tags=("daily",)
        ).snapshot
        for day in range(1, 8)
    ]


def test_a_policy_is_planned_and_then_done(repository, week):
    """What the plan keeps is what is there afterwards."""
    plan = repository.plan_forget(RetentionPolicy(last=2))

    assert [each.id for each in repository.list()] == [each.id for each in week]
    removed = repository.forget(plan)

    assert [each.id for each in removed] == [each.id for each in week[:5]]
    assert [each.id for each in repository.list()] == [each.id for each in week[5:]]
    assert repository.forget(plan) == []


def test_only_what_is_chosen_is_forgotten(repository, week, source):
    """What a filter leaves out stays."""
    repository.back_up(based(source), hostname="elsewhere")
    chosen = SnapshotFilter(hosts=("elsewhere",))

    plan = repository.plan_forget(RetentionPolicy(last=1), filter=chosen)

    assert [each.snapshot.hostname for each in plan.decisions] == ["elsewhere"]
    assert repository.forget(plan) == []


def test_snapshots_are_forgotten_by_name(repository, week, tmp_path):
    """Those that are left are whole."""
    removed = repository.forget([week[0].id.hex(), week[1].id.hex()[:12]])

    assert [each.id for each in removed] == [week[0].id, week[1].id]
    assert len(repository.list()) == 5
    assert repository.restore("latest", tmp_path / "target").problems == []


def test_one_wrong_name_forgets_nothing(repository, week):
    """All of them are looked up first."""
    with pytest.raises(SnapshotNotFoundError):
        repository.forget([week[0].id.hex(), "zz"])
    assert len(repository.list()) == 7


def test_no_series_is_emptied_unasked(repository, week):
    """A policy that keeps nothing of one is hardly meant."""
    policy = RetentionPolicy(tags=(("weekly",),))
    plan = repository.plan_forget(policy)

    with pytest.raises(InvalidSpecError, match="nothing would be kept of host"):
        repository.forget(plan)
    assert len(repository.list()) == 7
    assert len(repository.forget(plan, empty_series=True)) == 7
    with pytest.raises(InvalidSpecError, match="the policy keeps nothing"):
        repository.plan_forget(RetentionPolicy())


def test_nobody_forgets_beside_others(repository, week, place):
    """Whoever reads a snapshot has it until they are done."""
    with repository._locked(), pytest.raises(RepositoryLockedError):
        Repository.open(place, PASSWORD).forget([week[0].id.hex()])


def test_a_lock_that_is_lost_while_snapshots_go(repository, week, place, monkeypatch):
    """Somebody may work with the others by then: they stay."""
    remove = place.remove

    def losing(file):
        remove(file)
        for name, _ in list(place.list(FileType.LOCK)):
            remove(File(FileType.LOCK, name))

    monkeypatch.setattr(place, "remove", losing)

    with pytest.raises(RepositoryLockedError, match="somebody removed the own lock"):
        repository.forget(week[:3])

    assert repository.list() == week[1:]


# --- keys and locks ---------------------------------------------------------------------


def test_another_password(repository, place):
    """Both open it, and each can be taken its right, but for the one in use."""
    name = repository.add_key("neu", username="user", key_parameters=CHEAP)
    other = Repository.open(place, "neu")
    (first, _) = repository.list_keys()

    assert other.id == repository.id
    assert (repository.key_id, other.key_id) == (first.id, name)
    assert [key.username for key in repository.list_keys() if key.id == name] == [
        "user"
    ]
    with pytest.raises(RepositoryError, match="it is the one in use"):
        other.remove_key(name.hex())
    other.remove_key(first.id.hex()[:8])
    with pytest.raises(WrongPasswordError):
        Repository.open(place, PASSWORD)
    other.remove_key(other.add_key(PASSWORD, key_parameters=CHEAP))
    assert [key.id for key in other.list_keys()] == [name]


def test_a_password_is_changed(repository, place, source, tmp_path):
    """The new one opens what the old one saved; the old one opens nothing."""
    (source / "file").write_text("x")
    repository.back_up(based(source))

    name = repository.change_password("neu", key_parameters=CHEAP)
    repository.change_password("neuer", key_parameters=CHEAP)

    assert Repository.open(place, "neuer").restore("latest", tmp_path / "t").files == 1
    assert name not in [key.id for key in repository.list_keys()]
    for old in (PASSWORD, "neu"):
        with pytest.raises(WrongPasswordError, match="1 tried"):
            Repository.open(place, old)


@pytest.mark.parametrize("call", range(8))
def test_a_change_of_password_that_breaks_off(repository, place, call, monkeypatch):
    """Whatever is the last thing that was written, one of the two opens it."""
    calls = []

    def breaking(name):
        real = getattr(place, name)

        def do(*given):
            calls.append(name)
            if len(calls) > call:
                raise StoreUnavailableError("store", "gone")
            return real(*given)

        monkeypatch.setattr(place, name, do)

    breaking("save")
    breaking("remove")
    with suppress(StoreUnavailableError):
        repository.change_password("neu", key_parameters=CHEAP)
    monkeypatch.undo()

    opened = []
    for password in (PASSWORD, "neu"):
        with suppress(WrongPasswordError):
            opened.append(Repository.open(place, password))
    assert opened


def test_locks_are_told_and_removed(repository):
    """Those of living processes only by force."""
    with repository._locked():
        (lock,) = repository.list_locks()
        assert lock.pid == os.getpid()
        assert repository.unlock() == 0
        assert repository.unlock(remove_all=True) == 1
    assert repository.list_locks() == []


def test_nothing_of_a_password_is_shown(repository):
    """Neither it nor what it opens."""
    assert PASSWORD not in repr(repository)
    assert "SecretKey" not in repr(repository)
    assert repository.id[:8] in repr(repository)


def test_verbs_are_loaded_when_they_are_called():
    """Starting is what most runs wait for; opening needs none of them."""
    script = (
        "import sys\n"
        "from kbackup.repository import MemoryBackend, Repository, ScryptParameters\n"
        "place = MemoryBackend()\n"
        "cheap = ScryptParameters(n=2, r=1, p=1)\n"
        "Repository.init(place, 'x', key_parameters=cheap).list()\n"
        "verbs = 'archiver check copy diff dump prune repair restorer stats'.split()\n"
        "print(*(v for v in verbs if f'kbackup.repository._{v}' in sys.modules))\n"
        "print(*(n for n in ('tarfile', 'zipfile') if n in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout == "\n\n"


def test_the_room_stands_alone():
    """Whoever only reads a repository loads neither Kubernetes' client nor plugins."""
    script = (
        "import sys, kbackup.repository\n"
        "print(*(n for n in ('kubernetes', 'pluggy', 'fsspec') if n in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == ""


def test_the_door_tells_what_is_behind_it():
    """Loaded or not, each name is there for whoever explores it."""
    assert dir(room) == sorted(room.__all__)
    assert all(getattr(room, name) is not None for name in dir(room))


def test_many_files_in_a_directory(source, repository, tmp_path):
    """Six hundred of them, of few contents: they are saved and come back."""
    for number in range(600):
        (source / f"{number}").write_text("x" * (number % 7))

    repository.back_up(based(source))
    repository.restore("latest", tmp_path / "target")

    assert seen(tmp_path / "target") == seen(source)
    shutil.rmtree(tmp_path / "target")


def test_a_directory_may_be_named_as_text(source, repository, tmp_path):
    """As people in a notebook do."""
    (source / "file").write_text("x")

    repository.back_up(str(source))
    repository.restore("latest", str(tmp_path / "target"))

    assert Path(f"{tmp_path}/target{source}/file").read_text() == "x"


@pytest.fixture
def damaged(place, repository, source):
    """The ID of the first one of two snapshots, of which a bit is turned."""
    (source / "file").write_text("x")
    first = repository.back_up(based(source)).snapshot
    repository.back_up(based(source))
    file = File(FileType.SNAPSHOT, first.id)
    content = bytearray(place.files[file])
    content[-1] ^= 1
    place.files[file] = bytes(content)
    return first.id.hex()


def test_beside_a_damaged_snapshot_one_still_saves(repository, source, damaged, caplog):
    """It is told, and files are compared to those of another one."""
    result = repository.back_up(based(source))

    assert counts(result) == (0, 0, 1)
    assert damaged[:8] in caplog.text
    assert "not compared" in caplog.text


def test_a_damaged_snapshot_is_removed_by_its_whole_id(tmp_path, repository, damaged):
    """Others are restored meanwhile, and nothing else removes it."""
    (other,) = (
        name.hex()
        for name, _ in repository._opened.backend.list(FileType.SNAPSHOT)
        if name.hex() != damaged
    )
    with pytest.raises(IntegrityError, match=damaged[:8]) as caught:
        repository.list()
    assert damaged in caught.value.hint
    assert repository.restore(other, tmp_path / "target").files == 1
    for text in (damaged[:10], "latest", "0" * 64):
        with pytest.raises(IntegrityError):
            repository.forget([text])

    assert repository.forget([damaged]) == []

    assert [each.id.hex() for each in repository.list()] == [other]
    assert repository.check(read_data=True).errors == []


def test_a_damaged_lock_says_what_removes_it(place, repository, source):
    """Nobody knows who holds it."""
    place.files[File(FileType.LOCK, b"\x01" * 32)] = b"no lock at all" * 10

    with pytest.raises(IntegrityError, match="nobody knows who") as caught:
        repository.back_up(source)

    assert "`unlock` with `remove_all`" in caught.value.hint
    assert repository.unlock(remove_all=True) == 1
    repository.back_up(source)


def test_some_of_a_source_is_there(repository, tmp_path):
    """That is saved, and the rest is named."""
    (tmp_path / "here").write_text("hello")

    done = repository.back_up(DirectorySource(tmp_path / "here", tmp_path / "nope"))

    assert done.exit_code == 3
    assert [each.path for each in done.unreadable] == [os.fsencode(tmp_path / "nope")]
    assert repository.list() == [done.snapshot]


@pytest.mark.parametrize(
    "call",
    [
        lambda repository: repository.forget("ab"),
        lambda repository: repository.tag("ab", add=["c"]),
        lambda repository: repository.tag(add="ab"),
        lambda repository: repository.stats(snapshots="ab"),
        lambda repository: repository.plan_prune(without="ab"),
        lambda repository: repository.list(SnapshotFilter(hosts="ab")),
        lambda repository: repository.plan_forget(RetentionPolicy(tags=("ab",))),
        lambda repository: repository.back_up(__file__, tags="ab"),
    ],
    ids=["forget", "tag", "add", "stats", "prune", "hosts", "keep tags", "tags"],
)
def test_a_text_for_a_list(repository, call):
    """Its letters are not taken for IDs, hosts or tags: those of others might fit."""
    with pytest.raises(
        InvalidSpecError, match="'ab' is one text where a list is meant"
    ):
        call(repository)


def test_forget_snapshots(repository, tmp_path):
    """What a backup returned or a list had is forgotten as it is."""
    (tmp_path / "file").write_text("hello")
    first, second = (repository.back_up(tmp_path).snapshot for _ in range(2))

    assert repository.forget([first]) == [first]
    assert repository.list() == [second]


def test_a_config_that_goes_while_it_is_opened(repository, place, monkeypatch):
    """There is no repository any more, whatever was there a moment ago."""
    monkeypatch.setattr(place, "exists", lambda _: True)
    place.remove(CONFIG)

    with pytest.raises(RepositoryNotFoundError):
        Repository.open(place, PASSWORD)


def test_a_snapshot_that_goes_while_they_are_listed(
    repository, place, source, monkeypatch
):
    """It is left out, and the others are told."""
    gone, stays = (repository.back_up(source).snapshot for _ in range(2))
    list_of = place.list
    listed = [*list_of(FileType.SNAPSHOT)]
    place.remove(File(FileType.SNAPSHOT, gone.id))

    def late(kind):
        return iter(listed) if kind is FileType.SNAPSHOT else list_of(kind)

    monkeypatch.setattr(place, "list", late)

    assert repository.list() == [stays]
