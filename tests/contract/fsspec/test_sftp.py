"""What the store on an SFTP server does beyond the contract of all stores."""

from __future__ import annotations

import io
import os
import signal
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from kbackup.catalog import BackupStore, RepairKind
from kbackup.errors import (
    InvalidConfigError,
    ObjectExistsError,
    StoreAccessError,
    StoreError,
    StoreUnavailableError,
)
from kbackup.stores import RetryPolicy, TidyStore
from kbackup.testing import FrozenClock
from kbackup_plugins_fsspec import open_filesystem_store
from kbackup_plugins_fsspec._in_place import TEMPORARY
from sftp_server import new_key

TOMORROW = datetime.now(UTC) + timedelta(hours=25)
ONCE = RetryPolicy(attempts=1)


@pytest.fixture
def root(tmp_path):
    """The directory of the store, as the server's machine sees it."""
    return tmp_path / "there/store"


@contextmanager
def opened(config):
    """A store of a config, closed again."""
    store = open_filesystem_store(config)
    try:
        yield store
    finally:
        store.close()


def read(store, key, **options):
    """The bytes of an object."""
    target = io.BytesIO()
    store.get(key, target, **options)
    return target.getvalue()


def files(root):
    """The names of all files below a directory."""
    return sorted(
        str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()
    )


# --- who is at the other end ----------------------------------------------------------


def test_the_key_of_a_server_must_be_known(sftp_config, tmp_path):
    """A server whose key is in no file is refused, with what to do; nothing is written."""
    (tmp_path / "empty").write_text("")

    with (
        opened({**sftp_config, "knownHosts": str(tmp_path / "empty")}) as store,
        pytest.raises(StoreAccessError, match=r"the key of .* is not known") as caught,
    ):
        store.put("backups/b/x", b"x")

    assert "ssh-keyscan" in caught.value.hint
    assert not (tmp_path / "there").exists()


def test_without_a_file_the_hosts_that_ssh_knows_count(sftp_server, sftp_config):
    """The file of ssh in the home directory is read, and by default nothing is trusted."""
    del sftp_config["knownHosts"]
    with (
        opened(sftp_config) as store,
        pytest.raises(StoreAccessError, match="not known"),
    ):
        store.stat("backups/b/x")
    ssh = os.path.expanduser("~/.ssh")  # noqa: PTH111 - the home of the test
    os.mkdir(ssh)  # noqa: PTH102 - as above
    known = (sftp_server.directory / "known_hosts").read_text()
    with open(f"{ssh}/known_hosts", "w") as file:  # noqa: PTH123 - as above
        file.write(known)

    with opened(sftp_config) as store:
        store.put("backups/b/x", b"x")


def test_another_key_of_a_known_server(sftp_server, sftp_config, tmp_path):
    """A server that shows another key than the known one is refused."""
    new_key(tmp_path / "other")
    public = (tmp_path / "other.pub").read_text()
    (tmp_path / "hosts").write_text(f"[127.0.0.1]:{sftp_server.port} {public}")

    with (
        opened({**sftp_config, "knownHosts": str(tmp_path / "hosts")}) as store,
        pytest.raises(StoreAccessError, match="does not match"),
    ):
        store.stat("backups/b/x")


@pytest.mark.parametrize("option", ["host_key_policy", "sock", "pkey"])
def test_the_check_cannot_be_turned_off(sftp_config, option):
    """An option that would trust any server is refused."""
    with (
        opened({**sftp_config, option: "auto_add"}) as store,
        pytest.raises(InvalidConfigError, match="cannot be chosen"),
    ):
        store.stat("backups/b/x")


def test_an_address_without_a_host():
    """What is missing is said in words of the address, not of the library."""
    with (
        opened({"url": "sftp:///srv/backups"}) as store,
        pytest.raises(InvalidConfigError, match="location has no host") as caught,
    ):
        store.stat("backups/b/x")

    assert "sftp://user@host/path" in caught.value.hint


def test_a_key_that_does_not_open(sftp_config, tmp_path):
    """A key that the server does not take is an access error, told at once."""
    new_key(tmp_path / "other")

    with (
        opened({**sftp_config, "key_filename": str(tmp_path / "other")}) as store,
        pytest.raises(StoreAccessError, match="no connection"),
    ):
        store.stat("backups/b/x")


def test_a_key_that_is_not_there(sftp_config):
    """A missing file of a key is not a missing object: a list does not come out empty."""
    with (
        opened({**sftp_config, "key_filename": "/no/such/key"}) as store,
        pytest.raises(StoreAccessError, match="no connection"),
    ):
        list(store.list(""))


def test_nothing_to_log_in_with(sftp_config):
    """Without key, agent and password the error says so, and what helps."""
    del sftp_config["key_filename"]

    with (
        opened(sftp_config) as store,
        pytest.raises(StoreAccessError, match="neither a key nor a password") as caught,
    ):
        store.stat("backups/b/x")

    assert "key_filename" in caught.value.hint


def test_a_password_shows_nowhere(sftp_config, tmp_path):
    """The file of secrets is read; no error and no representation shows one."""
    del sftp_config["key_filename"]
    secrets = tmp_path / "secrets.json"
    secrets.write_text('{"password": "geheim"}')

    with (
        opened({**sftp_config, "credentialsFile": str(secrets)}) as store,
        pytest.raises(StoreAccessError) as caught,
    ):
        store.stat("backups/b/x")

    shown = f"{caught.value!r} {caught.value.__cause__!r} {store!r}"
    assert "geheim" not in shown


def test_an_option_that_does_not_exist(sftp_config):
    """An unknown option is told by its name, as an error of the configuration."""
    with (
        opened({**sftp_config, "colour": "blue"}) as store,
        pytest.raises(InvalidConfigError, match="it has no option colour"),
    ):
        store.stat("backups/b/x")


def test_a_server_that_is_not_there(sftp_config):
    """A refused connection is a store that does not answer, which may pass."""
    config = {**sftp_config, "url": "sftp://127.0.0.1:1/x", "requestTimeout": "1s"}

    with opened(config) as store, pytest.raises(StoreUnavailableError) as caught:
        store.stat("backups/b/x")

    assert caught.value.retryable


# --- connections ----------------------------------------------------------------------


def test_sixteen_threads(store):
    """Sixteen threads share a store undisturbed, over fewer connections."""
    start = threading.Barrier(16)

    def work(number):
        start.wait()
        for turn in range(6):
            key = f"backups/{number}/{turn}"
            content = key.encode() * 5000
            store.put(key, content)
            assert read(store, key) == content
            assert [info.key for info in store.list(f"backups/{number}/")] == [key]
            store.delete(key)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))

    assert list(store.list("")) == []
    assert 1 < len(store._connections._idle) <= 8


def test_connections_that_ended_are_made_again(sftp_server, store):
    """After all connections were cut a store goes on as if nothing had been."""
    store.put("backups/b/x", b"x")
    sftp_server.cut()

    assert read(store, "backups/b/x") == b"x"
    sftp_server.cut()
    store.put("backups/b/y", b"y", create=True)

    assert [info.key for info in store.list("")] == ["backups/b/x", "backups/b/y"]


@pytest.fixture
def cut_once(sftp_server, monkeypatch):
    """Make the connections end in the middle of the first put, or the first get."""
    from kbackup_plugins_fsspec import _sftp  # noqa: PLC0415 - a fixture's own

    cuts = []

    def once():
        if not cuts:
            cuts.append(True)
            sftp_server.cut()

    real = _sftp._Checked.put_file

    def put_file(self, lpath, rpath, **options):
        with self._created(rpath) as file:
            file.write(b"half of it")
            once()
        real(self, lpath, rpath, **options)

    monkeypatch.setattr(_sftp._Checked, "put_file", put_file)
    return cuts


def test_a_put_that_was_cut_is_done_again(store, cut_once, root, tmp_path):
    """A put whose connection ends in the middle is written again, whole."""
    source = tmp_path / "source"
    source.write_bytes(os.urandom(1 << 20))

    store.put("backups/b/x", source, create=True)

    assert cut_once
    assert read(store, "backups/b/x") == source.read_bytes()
    assert [info.key for info in store.list("")] == ["backups/b/x"]


def test_a_put_that_was_cut_shows_nothing(store, cut_once, root, tmp_path, monkeypatch):
    """What a put left that did not end is no object; repair removes it a day later."""
    monkeypatch.setattr(store, "_retry", ONCE)
    source = tmp_path / "source"
    source.write_bytes(b"the whole of it")
    with pytest.raises(StoreUnavailableError, match="lost"):
        store.put("backups/b/b.tar.gz", source)
    monkeypatch.undo()
    [left] = files(root)
    assert TEMPORARY in left
    assert isinstance(store, TidyStore)
    assert list(store.list("")) == []
    [write] = store.unfinished("backups/")
    assert write.key == left
    young = BackupStore(store).plan_repair()
    late = BackupStore(store, clock=FrozenClock(TOMORROW))

    plan = late.plan_repair()
    report = late.repair(plan)

    assert young.steps == ()
    assert [(step.kind, step.key) for step in plan.steps] == [
        (RepairKind.DISCARD, left)
    ]
    assert report.ok
    assert files(root) == []


def test_a_write_that_goes_on_is_not_discarded(store, root):
    """A temporary file that was written to since it was seen stays."""
    store.put("backups/b/x", b"x")
    file = root / f"backups/b/{TEMPORARY}1"
    file.write_bytes(b"half")
    [seen] = store.unfinished("")
    aged = attrs.evolve(seen, since=seen.since - timedelta(hours=1))

    store.discard(aged)
    assert file.exists()
    store.discard(seen)
    store.discard(seen)

    assert not file.exists()
    with pytest.raises(StoreAccessError, match="no temporary file"):
        store.discard(attrs.evolve(seen, key="backups/b/x"))


@pytest.mark.parametrize("method", ["stat", "delete"])
def test_a_server_that_hangs(sftp_server, sftp_config, method):
    """A call to a server that does not answer ends in the time that was stated."""
    with opened({**sftp_config, "requestTimeout": "1s"}) as store:
        store.put("backups/b/x", b"x")
        stopped = sftp_server.sessions()
        for session in stopped:
            os.kill(session, signal.SIGSTOP)
        os.kill(sftp_server.process.pid, signal.SIGSTOP)
        try:
            with pytest.raises(StoreUnavailableError):
                getattr(store, method)("backups/b/x")
        finally:
            os.kill(sftp_server.process.pid, signal.SIGCONT)
            for session in stopped:
                os.kill(session, signal.SIGCONT)

        assert len(list(store.list("backups/"))) <= 1


def test_a_closed_store_has_no_connections(sftp_server, sftp_config):
    """Closing ends the connections; nothing is left on the server."""
    sftp_server.cut()
    with opened(sftp_config) as store:
        store.put("backups/b/x", b"x")
        assert sftp_server.sessions()

    ended = threading.Event()
    for _ in range(1000):
        if not sftp_server.sessions():
            break
        ended.wait(0.01)

    assert sftp_server.sessions() == []


# --- files ----------------------------------------------------------------------------


def test_nobody_else_reads_what_is_written(store, root):
    """Files and the directories made for them are the user's alone."""
    store.put("backups/b/x", b"x")

    for path in (root, root / "backups", root / "backups/b"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE((root / "backups/b/x").stat().st_mode) == 0o600


def test_directories_go_with_their_last_object(store, root):
    """A delete removes the directories that are empty then, and no other."""
    store.put("backups/a/deep/x", b"x")
    store.put("backups/b/x", b"x")
    (root / "backups/a/somebody's").mkdir()

    store.delete("backups/a/deep/x")
    store.delete("backups/b/x")

    assert sorted(path.name for path in (root / "backups").iterdir()) == ["a"]
    assert list(store.list_prefixes("backups/")) == []


def test_a_directory_that_goes_while_it_is_made(store, monkeypatch):
    """A delete elsewhere may take away the parent of what a put is making."""
    from kbackup_plugins_fsspec import _sftp  # noqa: PLC0415 - a test's own

    real, gone = _sftp._Checked.mkdir, []

    def mkdir(self, path, **options):
        """Remove the parent of the deepest directory once, as a delete would."""
        if path.endswith("/b") and not gone:
            gone.append(path)
            self.ftp.rmdir(path.rpartition("/")[0])
        return real(self, path, **options)

    monkeypatch.setattr(_sftp._Checked, "mkdir", mkdir)

    store.put("backups/b/x", b"x")

    assert gone
    assert read(store, "backups/b/x") == b"x"


def test_links_are_not_listed(store, root, tmp_path):
    """What lies behind a symbolic link of the server is none of the store's."""
    (tmp_path / "elsewhere").write_text("foreign")
    store.put("backups/b/x", b"x")
    (root / "backups/b/link").symlink_to(tmp_path / "elsewhere")

    assert [info.key for info in store.list("")] == ["backups/b/x"]


def test_names_of_temporary_files_are_no_keys(store):
    """A key that looks like a temporary file is refused."""
    with pytest.raises(StoreAccessError, match="for our own use"):
        store.put(f"backups/{TEMPORARY}x/y", b"x")


def test_a_create_never_replaces(store, monkeypatch):
    """Who comes between the look and the rename of a create wins, and the create fails."""
    looks = []

    def blind(filesystem, key):
        looks.append(key)

    store.put("backups/b/x", b"first")
    monkeypatch.setattr(store, "_refuse_file", blind)

    with pytest.raises(ObjectExistsError):
        store.put("backups/b/x", b"second", create=True)

    assert looks
    assert read(store, "backups/b/x") == b"first"


def test_a_file_that_did_not_arrive_whole(store, root, monkeypatch):
    """A server that kept fewer bytes than were sent is noticed before they show."""
    from kbackup_plugins_fsspec import _sftp  # noqa: PLC0415 - a test's own

    monkeypatch.setattr(store, "_retry", ONCE)
    real = _sftp._Checked.pipe_file
    monkeypatch.setattr(
        _sftp._Checked, "pipe_file", lambda fs, path, value: real(fs, path, value[:-1])
    )

    with pytest.raises(StoreUnavailableError, match="4 of 5 bytes"):
        store.put("backups/b/x", b"12345")

    assert files(root) == []


def test_an_object_replaced_by_a_longer_one(store, root, monkeypatch):
    """A get gives one state of an object, even if it grows between two requests."""
    store.put("backups/b/x", b"short")
    real = store._stat

    def slow(key, seconds):
        found = real(key, seconds)
        (root / "backups/b/x").write_bytes(b"longer than before")
        return found

    monkeypatch.setattr(store, "_stat", slow)

    assert read(store, "backups/b/x") in {b"short", b"longer than before"}


# --- two processes --------------------------------------------------------------------

_CLAIM = """
import json, sys
from kbackup.catalog import BackupStore
from kbackup.errors import BackupInProgressError
from kbackup_plugins_fsspec import open_filesystem_store

store = open_filesystem_store(json.loads(sys.argv[1]))
list(store.list(""))
print("ready", flush=True)
name = sys.stdin.readline().strip()
try:
    with BackupStore(store).claim(name, run_uid=sys.argv[2]):
        print("won", flush=True)
        sys.stdin.readline()
except BackupInProgressError:
    print("lost", flush=True)
    sys.stdin.readline()
store.close()
"""


def test_two_processes_race_for_a_name(sftp_config):
    """Of two processes that claim one name at the same moment one gets it."""
    import json  # noqa: PLC0415 - a test's own

    for race in range(3):
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", _CLAIM, json.dumps(sftp_config), f"run-{n}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for n in range(2)
        ]
        try:
            assert [p.stdout.readline() for p in processes] == ["ready\n"] * 2
            for process in processes:
                process.stdin.write(f"shop-{race}\n")
                process.stdin.flush()
            told = sorted(process.stdout.readline().strip() for process in processes)
            assert told == ["lost", "won"]
        finally:
            for process in processes:
                process.communicate("\n", timeout=60)
        assert [process.returncode for process in processes] == [0, 0]


def test_errors_name_location_and_key(sftp_config):
    """An error says of which object it is."""
    with (
        opened({**sftp_config, "key_filename": "/no/such/key"}) as store,
        pytest.raises(StoreError) as caught,
    ):
        store.stat("backups/b/x")

    assert caught.value.key == "backups/b/x"
