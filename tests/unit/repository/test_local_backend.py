"""A repository in a directory survives crashes and full disks, and restic shares it."""

import errno
import gc
import os
import stat
import subprocess
import sys
import textwrap
import time
from datetime import timedelta
from pathlib import Path

import pytest

from kbackup.errors import (
    ObjectDamagedError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreAccessError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from kbackup.repository import _local
from kbackup.repository._backend import CONFIG, File, FileType, file_of
from kbackup.repository._ids import hash_of
from kbackup.repository._local import TEMPORARY, LocalBackend

CONTENT = b"content" * 1000
PACK = File(FileType.PACK, hash_of(CONTENT))
INDEX = File(FileType.INDEX, hash_of(b"index"))
NOTHING = timedelta(0)


@pytest.fixture(name="root")
def fixture_root(tmp_path):
    """The directory of the repository."""
    return tmp_path / "repository"


@pytest.fixture(name="backend")
def fixture_backend(root):
    """A repository's directory that was made."""
    backend = LocalBackend(root)
    backend.create()
    return backend


@pytest.fixture(name="disk")
def fixture_disk(tmp_path):
    """A real disk of 1 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", place]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("who runs the tests may not mount a disk")
    yield place
    subprocess.run(["umount", place], check=True)


def files(root):
    """What lies in a directory, directories left out."""
    return sorted(
        str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()
    )


def failing(number):
    """A function that fails as the operating system does."""

    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


def run(program, *arguments):
    """Run a program of Python; return how it ended."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


# --- what it looks like ---------------------------------------------------------------


def test_directories_are_those_of_restic_and_private(backend, root):
    """All that restic makes is there, for its owner alone."""
    names = {path.name for path in root.iterdir()}
    assert names == {"data", "index", "keys", "locks", "snapshots"}
    packs = {path.name for path in (root / "data").iterdir()}
    assert packs == {f"{number:02x}" for number in range(256)} | {"tmp"}
    for path in (root, *root.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("of_config", "of_file", "of_directory"),
    [(0o400, 0o400, 0o700), (0o600, 0o400, 0o700), (0o640, 0o440, 0o770)],
)
def test_a_group_may_what_it_may_of_the_config(root, of_config, of_file, of_directory):
    """Modes follow the config, as with restic, so that a shared repository stays so."""
    root.mkdir()
    (root / "config").write_bytes(b"config")
    (root / "config").chmod(of_config)
    umask = os.umask(0)
    try:
        LocalBackend(root).save(PACK, CONTENT)
    finally:
        os.umask(umask)

    assert stat.S_IMODE((root / PACK.key).stat().st_mode) == of_file
    assert stat.S_IMODE((root / PACK.key).parent.stat().st_mode) == of_directory


def test_a_disk_without_modes_takes_files(backend, monkeypatch):
    """Where modes cannot be changed a file is kept with the one it was made with."""
    monkeypatch.setattr(os, "fchmod", failing(errno.EPERM))

    backend.save(PACK, CONTENT)

    assert backend.load(PACK) == CONTENT


def test_missing_directories_are_made_when_they_are_needed(root):
    """A copy that left out empty directories is as good as the whole."""
    root.mkdir()
    backend = LocalBackend(root)
    for kind in FileType:
        assert list(backend.list(kind)) == []

    spool = backend.spool()
    spool.write(CONTENT)
    backend.save(PACK, spool)
    backend.save(INDEX, b"index")
    backend.save(CONFIG, b"config")

    assert files(root) == sorted([PACK.key, INDEX.key, "config"])


def test_a_disk_that_is_not_mounted_is_not_taken_for_an_empty_one(root):
    """Without its directory nothing is listed, and nothing written in its place."""
    backend = LocalBackend(root)

    for kind in FileType:
        if kind is not FileType.CONFIG:
            with pytest.raises(ObjectNotFoundError, match="there is no directory /"):
                list(backend.list(kind))
    with pytest.raises(ObjectNotFoundError):
        backend.load(CONFIG)
    assert not backend.exists(CONFIG)
    for file in (CONFIG, INDEX, PACK):
        with pytest.raises(StoreAccessError, match="there is no directory /"):
            backend.save(file, CONTENT)
    assert not root.exists()


def test_a_file_in_place_of_the_directory_is_told_of(root):
    """What is no directory cannot become one."""
    root.write_bytes(b"")

    assert not LocalBackend(root).exists(CONFIG)
    with pytest.raises(StoreAccessError) as caught:
        LocalBackend(root).create()
    assert str(caught.value) == f"{root}: access refused: Not a directory"


def test_what_cannot_be_looked_for_may_be_there(root):
    """A config that is a link to itself is not taken for none, where one could be made."""
    root.mkdir()
    (root / "config").symlink_to("config")

    with pytest.raises(StoreAccessError, match="config: access refused"):
        LocalBackend(root).exists(CONFIG)


def test_a_relative_path_stays_where_it_was(tmp_path, monkeypatch):
    """A program that goes elsewhere does not take its repository along."""
    monkeypatch.chdir(tmp_path)
    backend = LocalBackend(Path("here"))
    backend.create()
    monkeypatch.chdir("/")

    backend.save(PACK, CONTENT)

    assert (tmp_path / "here" / PACK.key).read_bytes() == CONTENT
    assert backend.location == str(tmp_path / "here")


def test_what_is_no_file_is_not_listed(backend, root):
    """Directories, pipes and links to nothing are strangers, whatever their names."""
    place = root / "snapshots"
    names = [hash_of(b"%d" % number).hex() for number in range(4)]
    (place / names[0]).mkdir()
    os.mkfifo(place / names[1])
    (place / names[2]).symlink_to("nowhere")
    (place / names[3]).write_bytes(b"snapshot")

    assert list(backend.list(FileType.SNAPSHOT)) == [(bytes.fromhex(names[3]), 8)]


# --- what is on the disk --------------------------------------------------------------


@pytest.mark.parametrize("file", [CONFIG, INDEX, PACK], ids=str)
def test_a_file_is_on_the_disk_before_its_name(root, file, monkeypatch):
    """Content, then name, then the directories of the name, new ones included."""
    root.mkdir()
    synced = []
    fsync = os.fsync

    def note(descriptor):
        fsync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        is_named = (root / file.key).exists()
        synced.append((str(path.relative_to(root)) if path.is_dir() else "", is_named))

    monkeypatch.setattr(os, "fsync", note)
    LocalBackend(root).save(file, CONTENT)

    assert synced.count(("", False)) == 1
    assert ("", True) not in synced
    *above, parent = reversed((root / file.key).relative_to(root).parents)
    assert synced[-1] == (str(parent), True)
    assert {str(each) for each in above} <= {path for path, _ in synced}


def test_a_name_that_another_has_just_given_is_brought_to_the_disk(
    backend, monkeypatch
):
    """Who found a pack there may name it in an index: its name must last as long."""
    backend.save(PACK, CONTENT)
    synced = []
    monkeypatch.setattr(_local, "_sync_directory", synced.append)

    backend.save(PACK, CONTENT)

    assert synced == [f"{backend.location}/data/{PACK.name.hex()[:2]}"]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_disk_that_knows_no_fsync_is_used(backend, monkeypatch, number):
    """Some network disks cannot be asked to be durable; they are used all the same."""
    monkeypatch.setattr(os, "fsync", failing(number))

    backend.save(PACK, CONTENT)

    assert backend.load(PACK) == CONTENT


def test_a_directory_that_must_not_be_read_takes_files(backend, root, monkeypatch):
    """A drop box keeps what is put into it."""
    opened = os.open

    def refuse(path, flags, *mode):
        if flags & os.O_DIRECTORY:
            raise PermissionError(errno.EACCES, "no")
        return opened(path, flags, *mode)

    monkeypatch.setattr(os, "open", refuse)
    backend.save(PACK, CONTENT)

    assert (root / PACK.key).read_bytes() == CONTENT


def test_a_file_of_the_same_size_is_not_touched(backend, root):
    """What has its name already keeps it: not a byte is changed."""
    backend.save(PACK, CONTENT)
    before = (root / PACK.key).stat()

    backend.save(PACK, CONTENT)

    assert (root / PACK.key).stat().st_ino == before.st_ino
    assert files(root) == [PACK.key]


# --- what goes wrong ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, StoreFullError),
        (errno.EDQUOT, StoreFullError),
        (errno.EIO, StoreError),
        (errno.EROFS, StoreAccessError),
        (errno.ESTALE, StoreUnavailableError),
    ],
)
def test_a_write_that_fails_leaves_nothing(backend, root, number, error):
    """Whichever step fails, the error says what and why, and no file is left."""
    for call in ("write", "fsync", "open", "replace"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, call, failing(number))
            with pytest.raises(StoreError, match=os.strerror(number)) as caught:
                backend.save(PACK, CONTENT)

        assert type(caught.value) is error
        assert caught.value.key == PACK.key
        assert caught.value.__cause__.errno == number
        assert files(root) == []


def test_a_spool_that_met_a_full_disk_frees_it_at_once(backend, root, monkeypatch):
    """Who is told that the disk is full finds the room free that the spool had."""
    spool = backend.spool()
    spool.write(CONTENT)
    monkeypatch.setattr(os, "write", failing(errno.ENOSPC))

    with pytest.raises(StoreFullError, match="data: no space left"):
        spool.write(CONTENT)
    assert files(root) == []


def test_a_write_in_parts_is_whole(backend, monkeypatch):
    """A system that takes less than it is given is given the rest."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:999]))

    backend.save(PACK, CONTENT)

    assert backend.load(PACK) == CONTENT


def test_a_read_in_parts_is_whole(backend, monkeypatch):
    """A system that returns less than is there is asked for the rest."""
    backend.save(PACK, CONTENT)
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, size, at: pread(fd, min(size, 999), at))

    assert backend.load(PACK) == CONTENT
    assert backend.load(PACK, 5, 5000) == CONTENT[5:5005]


def test_a_read_that_fails_is_told_of(backend, monkeypatch):
    """A bad disk names the file and keeps the cause."""
    backend.save(PACK, CONTENT)
    monkeypatch.setattr(os, "pread", failing(errno.EIO))

    told = f"{PACK.key}: damaged: Input/output error"
    with pytest.raises(ObjectDamagedError, match=told) as caught:
        backend.load(PACK)
    assert caught.value.__cause__.errno == errno.EIO


def test_what_cannot_be_told_is_not_absence(backend, monkeypatch):
    """That a file may not be looked at does not mean that it is not there."""
    backend.save(PACK, CONTENT)
    monkeypatch.setattr(os, "stat", failing(errno.EACCES))

    with pytest.raises(StoreAccessError):
        backend.exists(PACK)


def test_a_full_disk(disk):
    """A real disk without room says so, and holds afterwards what it held before."""
    backend = LocalBackend(disk / "repository")
    backend.create()
    backend.save(INDEX, b"index")
    room = os.statvfs(disk).f_bfree

    with pytest.raises(StoreFullError, match="No space left on device"):
        backend.save(PACK, bytes(2 << 20))
    assert files(disk / "repository") == [INDEX.key]
    assert os.statvfs(disk).f_bfree == room
    backend.save(PACK, CONTENT)


def test_a_disk_that_is_read_only(disk):
    """What is on it is read; nothing is written or removed, and nothing is left out."""
    backend = LocalBackend(disk / "repository")
    backend.create()
    backend.save(INDEX, b"index")
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)

    for change in (
        lambda: backend.save(PACK, CONTENT),
        lambda: backend.save(CONFIG, b"config"),
        lambda: backend.remove(INDEX),
        LocalBackend(disk / "other").create,
        backend.spool,
    ):
        with pytest.raises(StoreAccessError, match="Read-only file system"):
            change()
    backend.create()  # all is there: nothing needs to be written
    assert backend.load(INDEX) == b"index"
    assert list(backend.list(FileType.INDEX)) == [(INDEX.name, 5)]


def test_a_limit_on_file_sizes_is_a_full_disk(root):
    """A real limit of the system ends in the same way, with nothing left behind."""
    program = """
        import resource, sys
        from pathlib import Path
        from kbackup.errors import StoreFullError
        from kbackup.repository._backend import File, FileType
        from kbackup.repository._local import LocalBackend
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, unlimited[1]))
        backend = LocalBackend(Path(sys.argv[1]))
        backend.create()
        try:
            backend.save(File(FileType.PACK, bytes(32)), bytes(200_000))
        except StoreFullError as exc:
            print(exc)
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)  # for who measures coverage
    """

    assert "no space left: File too large" in run(program, root).stdout
    assert files(root) == []


# --- names that are taken -------------------------------------------------------------


def test_a_file_system_without_links_takes_one_config(backend, root, monkeypatch):
    """Where hard links are unknown a config is made all the same, and only once."""
    monkeypatch.setattr(os, "link", failing(errno.EPERM))

    backend.save(CONFIG, b"first")

    with pytest.raises(ObjectExistsError):
        backend.save(CONFIG, b"second")
    assert backend.load(CONFIG) == b"first"
    assert files(root) == ["config"]


def test_a_link_that_fails_otherwise_is_told_of(backend, root, monkeypatch):
    """Only what says that there are no links is taken for that."""
    monkeypatch.setattr(os, "link", failing(errno.EIO))

    with pytest.raises(StoreError, match="Input/output error"):
        backend.save(CONFIG, b"config")
    assert files(root) == []


def test_a_link_whose_answer_was_lost_is_ones_own(backend, monkeypatch):
    """A server that repeats what it has done already is not somebody else."""
    link = os.link

    def twice(source, target):
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", twice)
    backend.save(CONFIG, b"config")

    assert backend.load(CONFIG) == b"config"


def test_a_temporary_file_that_was_removed_is_told_of(backend, root):
    """Who removes what is being written is not answered by a file that is not there."""
    spool = backend.spool()
    spool.write(CONTENT)
    assert backend.sweep(NOTHING) == 1

    with pytest.raises(StoreError, match="somebody removed the temporary file"):
        backend.save(PACK, spool)
    assert files(root) == []


def test_processes_write_at_once(backend, root):
    """Several processes that save the same files all succeed, and nothing is left over."""
    program = """
        import sys
        from pathlib import Path
        from kbackup.repository._backend import File, FileType
        from kbackup.repository._ids import hash_of
        from kbackup.repository._local import LocalBackend
        backend = LocalBackend(Path(sys.argv[1]))
        backend.create()
        for number in range(50):
            content = b"%d" % number * 10_000
            backend.save(File(FileType.PACK, hash_of(content)), content)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), root]
    running = [subprocess.Popen(command) for _ in range(3)]

    assert [process.wait(120) for process in running] == [0, 0, 0]
    found = dict(backend.list(FileType.PACK))
    assert len(files(root)) == len(found) == 50
    for name, size in found.items():
        content = backend.load(File(FileType.PACK, name))
        assert (hash_of(content), len(content)) == (name, size)


# --- killed on the way ----------------------------------------------------------------

DIES = """
    import os, signal, sys
    from pathlib import Path
    from kbackup.repository._backend import CONFIG, File, FileType
    from kbackup.repository._local import LocalBackend

    root, what, fatal = sys.argv[1:]
    left = int(fatal)

    def counted(function):
        def call(*arguments, **options):
            global left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)
        return call

    for name in ("open", "write", "fsync", "fchmod", "replace", "link", "unlink"):
        setattr(os, name, counted(getattr(os, name)))
    backend = LocalBackend(Path(root))
    if what == "spool":
        spool = backend.spool()
        while True:
            spool.write(b"content")
    file = CONFIG if what == "config" else File(FileType.PACK, bytes(32))
    backend.save(file, b"content" * 1000)
"""


@pytest.mark.parametrize("what", ["pack", "config"])
def test_a_killed_process_leaves_a_whole_file_or_none(backend, what):
    """Before whichever call it dies: what is visible is whole, the rest is swept."""
    file = CONFIG if what == "config" else File(FileType.PACK, bytes(32))
    seen = set()
    for fatal in range(1, 30):
        ended = run(DIES, backend.location, what, fatal)
        found = [size for kind in FileType for _, size in backend.list(kind)]
        assert found in ([], [len(CONTENT)])
        seen.add(len(found))
        if found:
            assert backend.load(file) == CONTENT
            backend.remove(file)
        backend.sweep(NOTHING)
        assert files(Path(backend.location)) == []
        if ended.returncode == 0:
            break
        assert ended.returncode == -9, ended.stderr
    else:
        pytest.fail("it never got through")
    assert seen == {0, 1}


def test_a_killed_spool_is_swept_when_it_is_old(backend, root):
    """Leftovers are recognised and removed, but not what somebody may still write."""
    assert run(DIES, root, "spool", 100).returncode == -9
    (left,) = files(root)
    assert left.startswith(f"data/tmp/{TEMPORARY}")

    assert backend.sweep(timedelta(hours=1)) == 0
    os.utime(root / left, times=(time.time() - 7200,) * 2)
    living = backend.spool()
    assert backend.sweep(timedelta(hours=1)) == 1
    backend.save(PACK, living)

    assert files(root) == [PACK.key]
    assert backend.sweep(NOTHING) == 0


def test_a_spool_that_is_forgotten_leaves_nothing(backend, root):
    """Who loses a spool on the way out of an error loses its file as well."""
    backend.spool().write(CONTENT)
    gc.collect()

    assert files(root) == []


# --- restic ---------------------------------------------------------------------------


@pytest.fixture(name="restic")
def fixture_restic(need_tool, root, tmp_path):
    """A function that runs stock restic on the repository."""
    program = need_tool("restic")
    environment = {
        **os.environ,
        "RESTIC_PASSWORD": "password",
        "RESTIC_CACHE_DIR": str(tmp_path / "cache"),
    }

    def call(*arguments):
        done = subprocess.run(
            [program, "--repo", root, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    return call


def test_what_restic_wrote_is_found(root, restic, tmp_path):
    """Every file of a repository of stock restic is one of ours, with its content."""
    (tmp_path / "data").write_bytes(os.urandom(100_000))
    restic("init")
    restic("backup", str(tmp_path / "data"))
    backend = LocalBackend(root)

    found = {
        File(kind, name): size for kind in FileType for name, size in backend.list(kind)
    }

    assert sorted(file.key for file in found) == files(root)
    assert {file_of(key) for key in files(root)} == set(found)
    assert {file.type for file in found} == set(FileType) - {FileType.LOCK}
    for file, size in found.items():
        content = backend.load(file)
        assert len(content) == size
        assert file == CONFIG or hash_of(content) == file.name


def test_restic_passes_over_what_is_written_and_left(root, restic, tmp_path):
    """Stock restic backs up, checks and prunes beside our writers and their leftovers."""
    (tmp_path / "data").write_bytes(os.urandom(100_000))
    restic("init")
    backend = LocalBackend(root)
    backend.create()
    spool = backend.spool()
    spool.write(CONTENT)
    left = [root / TEMPORARY, *(root / kind / TEMPORARY for kind in ("index", "keys"))]
    for path in left:
        path.write_bytes(b"left behind")

    restic("backup", str(tmp_path / "data"))
    assert "no errors were found" in restic("check", "--read-data")
    restic("forget", "--keep-last", "1", "--prune")
    copied = [(file_of(key), (root / key).read_bytes()) for key in files(root)]

    assert all(path.exists() for path in left)
    spool.close()
    assert backend.sweep(NOTHING) == 3
    again = LocalBackend(tmp_path / "copy")
    again.create()
    for file, content in copied:
        if file is not None:
            again.save(file, content)
    assert "no errors were found" in restic("--repo", str(tmp_path / "copy"), "check")
