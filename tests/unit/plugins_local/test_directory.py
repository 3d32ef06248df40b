"""The directory's own I/O: atomic, private, and closed to who plants links."""

from __future__ import annotations

import errno
import io
import os
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import pytest

from kbackup.errors import (
    ObjectNotFoundError,
    StoreAccessError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
    UnsupportedCapabilityError,
)
from kbackup_plugins_local import open_local_store
from kbackup_plugins_local._directory import TEMPORARY

KEY = "backups/b/b.tar.gz"


@pytest.fixture
def root(tmp_path):
    """The store's directory, which is not there yet."""
    return tmp_path / "store"


@pytest.fixture
def store(root):
    """The store of that directory."""
    return open_local_store({"path": str(root)})


def files(root):
    """All files below a directory."""
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def test_reading_makes_nothing(store, root):
    """A directory that is not there is an empty store, and is not made by looking."""
    assert list(store.list("")) == []
    assert list(store.list_prefixes("")) == []
    assert store.location_state().away == ()
    assert not root.exists()


def test_nobody_else_may_read(store, root):
    """Files are 0600 and directories 0700, whatever the umask."""
    previous = os.umask(0)
    try:
        store.put(KEY, b"secret")
        store.put(KEY, b"secret again")
    finally:
        os.umask(previous)

    modes = {p: stat.S_IMODE(p.stat().st_mode) for p in (root, *root.rglob("*"))}
    assert {m for p, m in modes.items() if p.is_dir()} == {0o700}
    assert {m for p, m in modes.items() if p.is_file()} == {0o600}


def test_leftovers_of_a_crash_are_not_objects(store, root):
    """Temporary files are not listed, nor is a directory that holds only those."""
    store.put(KEY, b"x")
    (root / "backups" / "dead").mkdir()
    (root / "backups" / "dead" / f"{TEMPORARY}1").write_bytes(b"half")
    (root / "backups" / "b" / f"{TEMPORARY}2").write_bytes(b"half")

    assert [info.key for info in store.list("")] == [KEY]
    assert list(store.list_prefixes("backups/")) == ["backups/b/"]
    with pytest.raises(StoreAccessError):
        store.stat(f"backups/b/{TEMPORARY}2")


@pytest.mark.skipif(sys.platform == "win32", reason="directories are not synced there")
@pytest.mark.parametrize("create", [True, False])
def test_names_are_on_the_disk_when_a_put_ends(store, root, monkeypatch, create):
    """After a power failure an object is where it was put: each directory was synced."""
    synced = {}
    fsync = os.fsync

    def note(descriptor):
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            synced[found.st_ino] = os.listdir(descriptor)  # noqa: PTH208 - no path
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)

    store.put(KEY, b"data", create=create)

    directories = (root.parent, root, root / "backups", root / "backups" / "b")
    names = ("store", "backups", "b", "b.tar.gz")
    for directory, name in zip(directories, names, strict=True):
        assert name in synced.get(directory.stat().st_ino, ())


def test_a_full_disk_leaves_nothing(store, root, monkeypatch):
    """A put that ran out of space shows nothing and leaves no temporary file."""
    store.put("backups/a/x", b"x")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreFullError) as caught:
        store.put(KEY, b"data")
    monkeypatch.undo()

    assert caught.value.key == KEY
    assert files(root) == ["backups/a/x"]


def test_a_limit_on_file_sizes_is_a_full_store(root):
    """A real limit of the system ends as a full store, with nothing left behind."""
    program = f"""
        import resource
        from kbackup.errors import StoreFullError
        from kbackup_plugins_local import open_local_store
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            open_local_store({{"path": {str(root)!r}}}).put({KEY!r}, b"x" * 200_000)
        except StoreFullError as exc:
            print(exc)
    """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.startswith(f"{KEY} in file://{root}: no space left")
    assert files(root) == []


def test_a_file_system_without_links(store, monkeypatch):
    """Where hard links are unknown a create-only put says so; others work."""

    def link(*_):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)

    with pytest.raises(UnsupportedCapabilityError, match="hard links"):
        store.put(KEY, b"x", create=True)
    store.put(KEY, b"x")


def test_links_are_not_followed(store, root, tmp_path):
    """What a planted link points at is not read, written or deleted; it is told of."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"private")
    store.put(KEY, b"x")
    (root / "backups" / "evil").symlink_to(outside)
    (root / "backups" / "b" / "link").symlink_to(outside / "file")

    with pytest.raises(StoreAccessError, match="evil is a symbolic link"):
        list(store.list(""))
    assert [info.key for info in store.list("backups/b/")] == [KEY]
    assert list(store.list_prefixes("backups/")) == ["backups/b/", "backups/evil/"]
    assert list(store.unfinished("")) == []
    for key in ("backups/evil/file", "backups/b/link"):
        with pytest.raises(StoreError):
            store.get(key, io.BytesIO())
    for key in ("backups/evil/file", "backups/evil/new"):
        with pytest.raises(StoreAccessError):
            store.put(key, b"x")
        with pytest.raises(StoreAccessError):
            store.delete(key)
    assert (outside / "file").read_bytes() == b"private"
    assert not (outside / "new").exists()


def test_the_root_itself_may_be_a_link(tmp_path):
    """A location may be given by a symbolic link to its directory."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    store = open_local_store({"path": str(tmp_path / "link")})

    store.put(KEY, b"x")

    assert (tmp_path / "disk" / KEY).read_bytes() == b"x"


def test_a_pipe_is_no_object(store, root):
    """A named pipe in the store is not waited for."""
    store.put(KEY, b"x")
    os.mkfifo(root / "backups" / "b" / "pipe")

    assert [info.key for info in store.list("")] == [KEY]
    for call in (
        lambda: store.stat("backups/b/pipe"),
        lambda: store.get("backups/b/pipe", io.BytesIO()),
    ):
        with pytest.raises(ObjectNotFoundError):
            call()


def test_a_file_in_the_place_of_the_directory(tmp_path):
    """A location that is a file is refused in words."""
    (tmp_path / "file").write_bytes(b"")
    store = open_local_store({"path": str(tmp_path / "file")})

    with pytest.raises(StoreError):
        store.put(KEY, b"x")


@pytest.fixture(name="open_directory")
def fixture_open_directory():
    """A directory that everybody can reach, unlike those below `tmp_path`."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o777)
        yield path
        path.chmod(0o700)


@pytest.fixture(name="as_nobody")
def fixture_as_nobody():
    """The rights of somebody who is not root: root may write everywhere."""
    nobody = 65534
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(nobody)
    yield
    if was_root:
        os.seteuid(0)


@pytest.mark.usefixtures("as_nobody")
def test_a_directory_that_may_be_written_by_others(open_directory):
    """Whoever may write into a directory can use it as a store."""
    store = open_local_store({"path": str(open_directory)})

    assert store.put(KEY, b"x").size == 1


def test_a_directory_that_may_not_be_written(open_directory, request):
    """A directory without the right to write is an access error."""
    open_directory.chmod(0o555)
    request.getfixturevalue("as_nobody")
    store = open_local_store({"path": str(open_directory)})

    with pytest.raises(StoreAccessError):
        store.put(KEY, b"x")


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_read_only_file_system(store, root, monkeypatch, number):
    """A file system mounted read-only is an access error, and can be read."""
    store.put(KEY, b"x")
    real = os.open

    def guarded(path, flags, *args, **options):
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(number, os.strerror(number))
        return real(path, flags, *args, **options)

    monkeypatch.setattr(os, "open", guarded)

    with pytest.raises(StoreAccessError):
        store.put("backups/c/x", b"x")
    target = io.BytesIO()
    store.get(KEY, target)
    assert target.getvalue() == b"x"


def test_a_call_that_hangs_ends(root, monkeypatch):
    """A dead mount ends a call when its time is over, and the program goes on."""
    store = open_local_store({"path": str(root), "requestTimeout": "50ms"})
    real, alive = os.stat, threading.Event()

    def hang(path, **options):
        if str(path).endswith("hangs"):
            alive.wait(30)
        return real(path, **options)

    monkeypatch.setattr(os, "stat", hang)

    with pytest.raises(StoreUnavailableError, match="no answer within"):
        store.stat("backups/b/hangs")
    alive.set()


def test_one_winner_among_processes(root, store, tmp_path):
    """Of four processes that create one key, exactly one succeeds, each time."""
    program = f"""
        import sys
        from kbackup.errors import ObjectExistsError
        from kbackup_plugins_local import open_local_store
        store = open_local_store({{"path": {str(root)!r}}})
        print("ready", flush=True)
        sys.stdin.readline()
        for race in range(50):
            try:
                store.put(f"claims/{{race}}", sys.argv[1].encode() * 1000, create=True)
            except ObjectExistsError:
                continue
            print(race)
    """
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "abcd"
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()

    outputs = [process.communicate(timeout=60)[0].split() for process in processes]

    won = sorted(int(race) for output in outputs for race in output)
    assert won == list(range(50))
    for name, output in zip("abcd", outputs, strict=True):
        for race in output:
            assert (root / "claims" / race).read_bytes() == name.encode() * 1000


def test_writers_and_deleters_of_one_directory(store, root):
    """A directory that is emptied and removed under a writer is made again."""
    failures = []

    def work(name):
        for number in range(100):
            try:
                store.put(f"claims/deep/{name}", b"%d" % number)
                store.delete(f"claims/deep/{name}")
            except StoreError as exc:
                failures.append(exc)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert list(root.iterdir()) == []


def test_killed_while_writing(root, store):
    """What a killed writer has not finished is not there; what it had finished is."""
    program = f"""
        from kbackup_plugins_local import open_local_store
        store = open_local_store({{"path": {str(root)!r}}})
        print("ready", flush=True)
        number = 0
        while True:
            store.put(f"backups/b/{{number}}", bytes([number % 256]) * 300_000)
            number += 1
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE
    )
    process.stdout.readline()
    while not (root / "backups/b/5").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)

    infos = list(store.list(""))

    assert len(infos) >= 6
    for info in infos:
        number = int(info.key.rpartition("/")[2])
        target = io.BytesIO()
        store.get(info.key, target)
        assert target.getvalue() == bytes([number % 256]) * 300_000


@pytest.mark.parametrize("call", ["put", "get", "stat"])
def test_errors_name_directory_and_key(root, call):
    """Whatever the system refuses is told with the directory and the key."""
    root.parent.mkdir(parents=True, exist_ok=True)
    root.write_bytes(b"no directory")
    store = open_local_store({"path": str(root)})
    calls = {
        "put": lambda: store.put(KEY, b"x"),
        "get": lambda: store.get(KEY, io.BytesIO()),
        "stat": lambda: store.stat(KEY),
    }

    with pytest.raises(StoreAccessError) as caught:
        calls[call]()

    assert caught.value.location == f"file://{root}"
    assert f"in file://{root}: " in str(caught.value)
