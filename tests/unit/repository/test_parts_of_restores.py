"""A part of a snapshot is restored, and what it has not is removed only when told to."""

import errno
import os
import subprocess
import sys

import attrs
import msgspec
import pytest

from kbackup.errors import (
    InvalidSpecError,
    PathNotFoundError,
    StoreAccessError,
    StoreUnavailableError,
)
from kbackup.repository import (
    DirectorySource,
    DirectoryTarget,
    Excludes,
    MemoryBackend,
    Patterns,
    Problem,
    Repository,
    ScryptParameters,
    Selection,
    _directory_target,
    _restorer,
)
from kbackup.repository._backend import File, FileType
from kbackup.repository._bringing import Bringer
from kbackup.repository._opened import OpenedRepository

pytestmark = pytest.mark.usefixtures("at_once")

CHEAP = ScryptParameters(n=2, r=1, p=1)
PASSWORD = "geheim"
FILES = {
    "top.txt": "1",
    "srv/data/a.sql": "2",
    "srv/data/a.log": "3",
    "srv/data/deep/b.sql": "4",
    "srv/empty": None,
    "var/log/c.log": "5",
}


@pytest.fixture
def source(tmp_path):
    """A few files in a few directories."""
    return make(tmp_path / "source")


def make(root):
    """Make them; None is a directory."""
    for name, content in FILES.items():
        path = root / name
        if content is None:
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    return root


@pytest.fixture
def repository(source):
    """A repository with a snapshot of them."""
    with Repository.init(MemoryBackend(), PASSWORD, key_parameters=CHEAP) as repository:
        repository.back_up(DirectorySource(source, base=source))
        yield repository


def found(root):
    """What is there: files, and directories that are empty."""
    return {
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() or not any(path.iterdir())
    }


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (
            None,
            ["*.log"],
            {
                "top.txt",
                "srv/data/a.sql",
                "srv/data/deep/b.sql",
                "srv/empty",
                "var/log",
            },
        ),
        (["*.sql"], None, {"srv/data/a.sql", "srv/data/deep/b.sql"}),
        (
            ["/srv/data"],
            None,
            {"srv/data/a.sql", "srv/data/a.log", "srv/data/deep/b.sql"},
        ),
        (["/srv/data"], ["*.log"], {"srv/data/a.sql", "srv/data/deep/b.sql"}),
        (
            ["/srv"],
            ["/srv/data/deep"],
            {"srv/data/a.sql", "srv/data/a.log", "srv/empty"},
        ),
        (["deep"], None, {"srv/data/deep/b.sql"}),
        (["/nowhere"], None, set()),
        (None, ["/srv", "/var"], {"top.txt"}),
        (["TOP.TXT"], None, set()),
    ],
)
def test_what_is_meant_is_restored(tmp_path, repository, include, exclude, expected):
    """And no directory that has nothing of it."""
    selection = Selection(
        include=Patterns(include) if include else None,
        exclude=Patterns(exclude) if exclude else None,
    )
    target = tmp_path / "target"

    restored = repository.restore("latest", target, selection=selection)

    assert found(target) == expected
    assert restored.problems == []
    assert restored.files == len(expected - {"srv/empty", "var/log"})


def test_directories_on_the_way_have_their_modes_and_times(
    tmp_path, repository, source
):
    """Although they are made only because of what lies in them."""
    (source / "srv/data").chmod(0o700)
    repository.back_up(DirectorySource(source, base=source))
    target = tmp_path / "target"

    repository.restore(
        "latest", target, selection=Selection(include=Patterns(["b.sql"]))
    )

    for name in ("srv", "srv/data", "srv/data/deep"):
        own, other = (source / name).stat(), (target / name).stat()
        assert (own.st_mode, own.st_mtime_ns) == (other.st_mode, other.st_mtime_ns)


def test_a_subfolder_is_restored_as_if_it_were_all(tmp_path, repository):
    """Its name is not part of what is made."""
    target = tmp_path / "target"

    repository.restore("latest:srv/data", target)

    assert found(target) == {"a.sql", "a.log", "deep/b.sql"}
    with pytest.raises(PathNotFoundError, match="/srv/nowhere"):
        repository.restore("latest:srv/nowhere", target)
    with pytest.raises(PathNotFoundError, match="no directory"):
        repository.restore("latest:top.txt", target)


@pytest.fixture
def target(tmp_path):
    """A directory with all of it, and more; a link leads out of it."""
    root = make(tmp_path / "target")
    for name in ("mine", "srv/data/mine.sql", "srv/data/deep/mine.log"):
        (root / name).write_text("mine")
    (root / "mine too/below").mkdir(parents=True)
    (root / "mine too/below/file").write_text("mine")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("of somebody else")
    (root / "srv/link").symlink_to(tmp_path / "outside")
    return root


MINE = {"mine", "mine too/below/file", "srv/data/mine.sql", "srv/data/deep/mine.log"}


def test_nothing_is_removed_untold(repository, target):
    """Whatever else is there."""
    before = found(target)

    assert repository.restore("latest", target).removed == []

    assert found(target) == before > MINE


def test_what_the_snapshot_has_not_is_removed_when_told_to(
    tmp_path, repository, target
):
    """Links are removed, and not what they lead to."""
    restored = repository.restore("latest", target, selection=Selection(delete=True))

    assert found(target) == set(FILES)
    assert sorted(restored.removed) == [
        b"mine",
        b"mine too",
        b"srv/data/deep/mine.log",
        b"srv/data/mine.sql",
        b"srv/link",
    ]
    assert (tmp_path / "outside/file").exists()
    assert (target / "srv/data").stat().st_mtime_ns == (
        tmp_path / "source/srv/data"
    ).stat().st_mtime_ns


def test_what_is_not_meant_is_not_removed(repository, target):
    """What a pattern leaves out of the restore, it keeps."""
    selection = Selection(delete=True, exclude=Patterns(["*.log", "/mine*"]))
    repository.restore("latest", target, selection=selection)
    assert found(target) & MINE == MINE - {"srv/data/mine.sql"}

    selection = Selection(delete=True, include=Patterns(["*.log"]))
    repository.restore("latest", target, selection=selection)
    assert found(target) & MINE == {"mine", "mine too/below/file"}


@pytest.mark.parametrize("include", [None, ["*"]])
def test_nothing_is_removed_through_a_link(tmp_path, repository, target, include):
    """It stands where the snapshot has a directory; what it leads to is not the target."""
    (target / "var/log/c.log").unlink()
    (target / "var/log").rmdir()
    (target / "var/log").symlink_to(tmp_path / "outside")
    included = Patterns(include) if include else Patterns(["/var/log/file"])

    selection = Selection(delete=True, include=included)
    repository.restore("latest", target, selection=selection)

    assert (tmp_path / "outside/file").exists()


@pytest.mark.parametrize(
    "selection",
    [
        Selection(),
        Selection(exclude=Patterns(["*.log", "/mine*"])),
        Selection(include=Patterns(["*.log"])),
        Selection(include=Patterns(["/srv/data/deep"])),
    ],
    ids=["all", "exclude", "include", "below"],
)
def test_what_would_be_removed(tmp_path, repository, target, selection):
    """It is told before, as it is removed then; links and their like are not followed."""
    (target / "var/log/c.log").unlink()
    (target / "var/log").rmdir()
    (target / "var/log").symlink_to(tmp_path / "outside")
    before = found(target)

    told = list(repository.extraneous("latest", target, selection=selection))
    assert found(target) == before
    (target / "var/log").unlink()
    deleting = attrs.evolve(selection, delete=True)
    restored = repository.restore("latest", target, selection=deleting)

    assert told
    assert restored.removed == told


def test_what_a_missing_target_has(tmp_path, repository):
    """Nothing; and it is not made."""
    assert list(repository.extraneous("latest", tmp_path / "nope")) == []
    assert not (tmp_path / "nope").exists()


def test_only_what_was_told_is_removed(repository, target):
    """What came since stays."""
    told = frozenset(repository.extraneous("latest", target))
    (target / "new").write_text("since then")

    selection = Selection(delete=told)
    restored = repository.restore("latest", target, selection=selection)

    assert set(restored.removed) == told
    assert (target / "new").exists()


@pytest.mark.parametrize("mounted", ["empty", "alien/below"])
def test_nothing_is_removed_of_what_is_mounted(
    tmp_path, repository, mounted, monkeypatch
):
    """A backup that stayed on its file system knows but the place of another one."""
    source, target = tmp_path / "places", tmp_path / "mounts"
    (source / "empty").mkdir(parents=True)
    (target / mounted).mkdir(parents=True)
    (target / mounted / "precious").write_text("x")
    (target / "old").write_text("x")
    device = _directory_target._device
    monkeypatch.setattr(
        _directory_target,
        "_device",
        lambda where: -1 if where.endswith(mounted.encode()) else device(where),
    )
    snapshot = repository.back_up(DirectorySource(source, base=source)).snapshot

    restored = repository.restore(snapshot, target, selection=Selection(delete=True))

    assert restored.removed == [b"old"]
    assert (target / mounted / "precious").exists()
    told = [(each.path, each.reason) for each in restored.problems]
    expected = [(b"alien", "something is mounted in it")]
    assert told == ([] if mounted == "empty" else expected)


def test_however_deep_it_is_it_is_removed(repository, target):
    """No level costs one of the interpreter's own."""
    below = target / "deep"
    for _ in range(sys.getrecursionlimit() + 10):
        below.mkdir()
        below /= "d"
    (target / "deep/d/file").write_text("x")

    try:
        deletes = Selection(delete=True)
        restored = repository.restore("latest", target, selection=deletes)
        assert not (target / "deep").exists()
    finally:  # or nobody can, whoever clears up after tests
        subprocess.run(["rm", "-rf", target / "deep"], check=True)

    assert restored.problems == []
    assert b"deep" in restored.removed


@pytest.mark.parametrize("name", ["MAKE", "other"])
def test_a_name_that_is_given_back_otherwise(tmp_path, name, monkeypatch):
    """Where ``MAKE`` is ``make`` that is no other file, which would be removed."""
    (tmp_path / "make").write_text("1")
    lstat = os.lstat
    there = {name.encode(): b"make"}

    def looked(path):
        above, _, last = os.fsencode(path).rpartition(b"/")
        return lstat(b"%b/%b" % (above, there.get(last, last)))

    monkeypatch.setattr(os, "listdir", lambda _: [name.encode()])
    monkeypatch.setattr(os, "lstat", looked)
    others = DirectoryTarget(tmp_path).others(b"", {b"make"})

    assert others == ([] if name == "MAKE" else [b"other"])


@pytest.mark.parametrize("name", ["MAKE", "make2"])
def test_two_names_that_differ_in_their_letters(tmp_path, name):
    """Where they are two files, the one that is not meant is another."""
    for each in ("make", name):
        (tmp_path / each).write_text(each)

    assert DirectoryTarget(tmp_path).others(b"", {b"make"}) == [name.encode()]


def test_nothing_is_removed_where_something_went_wrong(repository, target):
    """What is there may be all that is left."""
    backend = repository._opened.backend
    repository._opened.refresh_index()
    for pack in repository._opened.packs():
        if pack.blobs[0].type == 0:
            backend.remove(File(FileType.PACK, pack.id))
    (target / "top.txt").write_text("otherwise")
    before = found(target)

    restored = repository.restore("latest", target, selection=Selection(delete=True))

    assert restored.problems
    assert restored.removed == []
    assert found(target) == before


# --- what a backup leaves out -----------------------------------------------------------


def test_a_backup_leaves_out_what_it_is_told_to(tmp_path, repository, source):
    """And its snapshot says what that was."""
    excludes = Excludes(patterns=["*.log"], ignore_case=["*.SQL"])

    result = repository.back_up(source, excludes=excludes)
    repository.restore(f"latest:{source}", tmp_path / "target")

    assert found(tmp_path / "target") == {
        "top.txt",
        "srv/empty",
        "srv/data/deep",
        "var/log",
    }
    assert result.snapshot.excludes == ("*.log", "*.SQL")
    assert repository.list()[-1].excludes == ("*.log", "*.SQL")


def test_two_ways_of_leaving_out_add_up(tmp_path, repository, source):
    """Patterns, and a function."""
    source_ = DirectorySource(
        source,
        base=source,
        excludes=Excludes(patterns=["*.log"]),
        select=lambda path, _: not path.endswith(b".sql"),
    )

    repository.back_up(source_)
    repository.restore("latest", tmp_path / "target")

    assert found(tmp_path / "target") == {
        "top.txt",
        "srv/empty",
        "srv/data/deep",
        "var/log",
    }


def test_a_source_leaves_out_by_itself(repository, source):
    """Nothing is passed over in silence."""
    with pytest.raises(InvalidSpecError, match="leaves out by itself"):
        repository.back_up(DirectorySource(source), excludes=Excludes())


def test_nothing_is_restored_below_what_is_no_directory(tmp_path, repository):
    """One problem tells of it; the rest is restored."""
    target = tmp_path / "elsewhere"
    (target / "srv").mkdir(parents=True)
    (target / "srv/data").write_text("a file")

    selection = Selection(include=Patterns(["/srv/data/deep/b.sql", "*.log"]))
    restored = repository.restore("latest", target, selection=selection)

    assert [each.path for each in restored.problems] == [b"srv/data"]
    assert found(target) == {"srv/data", "var/log/c.log"}
    assert (target / "srv/data").read_text() == "a file"


def test_nothing_is_removed_below_a_link(tmp_path, repository, target):
    """Nor in a directory that is reached through one."""
    outside = tmp_path / "outside"
    (outside / "log").mkdir()
    (outside / "log/file").write_text("mine")
    for path in ("log/c.log", "log"):
        each = target / "var" / path
        each.unlink() if each.is_file() else each.rmdir()
    (target / "var").rmdir()
    (target / "var").symlink_to(outside)

    selection = Selection(delete=True, include=Patterns(["/var/log/file"]))
    restored = repository.restore("latest", target, selection=selection)

    assert restored.removed == []
    assert (outside / "log/file").exists()


def test_what_cannot_be_removed_is_told(repository, target):
    """The rest goes all the same."""

    class Busy(DirectoryTarget):
        def remove(self, path):
            if path == b"mine":
                raise OSError(errno.EBUSY, "somebody uses it")
            super().remove(path)

    restored = repository.restore(
        "latest", Busy(target), selection=Selection(delete=True)
    )

    assert restored.problems == [Problem(b"mine", "somebody uses it")]
    assert b"mine" not in restored.removed
    assert b"mine too" in restored.removed
    assert found(target) & MINE == {"mine"}


def test_what_others_put_into_a_new_directory_stays(tmp_path, repository):
    """It was not there before the restore, and is no leftover."""
    target = DirectoryTarget(tmp_path / "target")
    target.open_root()
    (tmp_path / "target/theirs").write_text("1")

    restored = repository.restore("latest", target, selection=Selection(delete=True))

    assert restored.removed == []
    assert (tmp_path / "target/theirs").exists()


def test_few_files_are_restored_at_a_time(tmp_path, repository, monkeypatch):
    """However many there are, all of them come; what waits takes little memory."""
    monkeypatch.setattr(_restorer, "_MOST_NEEDS", 2)
    asked, run = [], Bringer.run

    def watched(self, needs):
        asked.append(len(needs))
        run(self, needs)

    monkeypatch.setattr(Bringer, "run", watched)

    restored = repository.restore("latest", tmp_path / "target")

    assert restored.problems == []
    assert max(asked) == 2
    assert found(tmp_path / "target") == set(FILES)


@pytest.mark.parametrize("is_away", [False, True])
@pytest.mark.parametrize("is_root", [False, True])
def test_a_tree_that_nobody_may_read(
    tmp_path, repository, monkeypatch, is_away, is_root
):
    """The rest is restored; without the root, or while the store is away, nothing is."""
    error = (StoreUnavailableError if is_away else StoreAccessError)("data", "not now")
    (entry,) = (e for e in repository.ls("latest") if e.path == b"srv/data")
    tree = repository.list()[0].tree if is_root else entry.node.tree
    load = OpenedRepository.load_blob

    def refused(self, kind, name):
        if name == tree:
            raise error
        return load(self, kind, name)

    monkeypatch.setattr(OpenedRepository, "load_blob", refused)
    if is_away or is_root:
        with pytest.raises(type(error)):
            repository.restore("latest", tmp_path / "target")
        return
    restored = repository.restore("latest", tmp_path / "target")

    (problem,) = restored.problems
    assert problem.path == b"srv/data"
    assert "not now" in problem.reason
    rest = {name for name in FILES if not name.startswith("srv/data/")}
    assert found(tmp_path / "target") == rest | {"srv/data"}


def test_what_would_be_removed_from_any_target(repository, target):
    """It is asked for what it has; a directory is only one of them."""
    told = list(repository.extraneous("latest", DirectoryTarget(target)))

    assert told == list(repository.extraneous("latest", target))
    assert b"mine" in told


def test_another_file_of_nearly_the_same_name_is_removed(tmp_path, repository):
    """Where letters count, ``TOP.TXT`` is not the ``top.txt`` that is not there yet."""
    target = tmp_path / "target"
    target.mkdir()
    (target / "TOP.TXT").write_text("mine")

    restored = repository.restore("latest", target, selection=Selection(delete=True))

    assert restored.removed == [b"TOP.TXT"]
    assert found(target) == set(FILES)


def test_a_directory_is_ended_after_those_in_it(repository, tmp_path):
    """Its mode may let nobody in any more."""
    left = []

    class Watched(DirectoryTarget):
        def leave(self, path, node):
            left.append(path)
            super().leave(path, node)

    target = Watched(tmp_path / "target")
    target.open_root()

    assert repository.restore("latest", target).problems == []

    assert sorted(left) == sorted(
        [b"srv", b"srv/data", b"srv/data/deep", b"srv/empty", b"var", b"var/log"]
    )
    for number, path in enumerate(left):
        assert not any(after.startswith(path + b"/") for after in left[number:])


@pytest.mark.parametrize("more", [-1, 1])
def test_a_file_of_another_size_than_its_blobs(repository, tmp_path, monkeypatch, more):
    """Nobody knows what it was: it is a problem, nothing is written, the rest is."""
    load = _restorer.load_tree

    def wrong(*given):
        return [
            msgspec.structs.replace(node, size=node.size + more)
            if node.name == b"top.txt"
            else node
            for node in load(*given)
        ]

    monkeypatch.setattr(_restorer, "load_tree", wrong)

    restored = repository.restore("latest", tmp_path / "target")

    (problem,) = restored.problems
    assert problem.path == b"top.txt"
    assert f"1 bytes instead of {1 + more}" in problem.reason
    assert found(tmp_path / "target") == set(FILES) - {"top.txt"}
