"""Every fault on the way to an SFTP server, by the same measure as `FaultMatrix`.

A login by key has no end and no clock, a directory that is missing is made, and paramiko
takes no proxy of the environment. The key of the server stands for its certificate: see
``test_sftp.py``.
"""

from __future__ import annotations

import io
import os
import socket

import pytest

from fault_matrix import ABOUT, AT_ONCE, CALLS, KEY, VERBS, Errors
from kbackup.catalog import BackupStore
from kbackup.errors import ObjectNotFoundError, StoreAccessError, StoreUnavailableError
from kbackup_plugins_fsspec import open_filesystem_store
from sftp_server import new_key, running_sftp
from tcp_front import fronting

PASSWORD = "the-password"


@pytest.fixture
def opened(request):
    """A function that opens a store, and gives what judges its errors."""

    def make(config):
        store = open_filesystem_store(config)
        store._retry = AT_ONCE
        request.addfinalizer(store.close)
        return store, Errors(config["url"], [PASSWORD])

    return make


@pytest.fixture
def front(sftp_server):
    """A front of the server, which cuts nothing yet."""
    with fronting(sftp_server.port) as running:
        yield running


@pytest.fixture
def fronted(front, sftp_server, sftp_config, tmp_path):
    """What a store behind the front is opened with."""
    port = front.port
    known = (sftp_server.directory / "known_hosts").read_text()
    hosts = tmp_path / "hosts"
    hosts.write_text(known.replace(f":{sftp_server.port} ", f":{port} "))
    url = sftp_config["url"].replace(f":{sftp_server.port}/", f":{port}/")
    return {**sftp_config, "url": url, "knownHosts": str(hosts), "connections": "1"}


@pytest.fixture
def large(tmp_path):
    """A file of several MiB."""
    file = tmp_path / "large"
    file.write_bytes(os.urandom(4 << 20))
    return file


@pytest.mark.parametrize("call", CALLS)
def test_no_credentials(opened, sftp_config, call):
    """Without any the error says so, and what helps."""
    del sftp_config["key_filename"]
    store, errors = opened(sftp_config)

    with errors.expected(StoreAccessError, "neither a key", ABOUT[call]) as caught:
        CALLS[call](store)

    assert "key_filename" in caught.value.hint


@pytest.mark.parametrize("call", CALLS)
def test_wrong_credentials(opened, sftp_config, tmp_path, call):
    """A key and a password that the server does not take are told, and not shown."""
    new_key(tmp_path / "other")
    secrets = tmp_path / "secrets.json"
    secrets.write_text(f'{{"password": "{PASSWORD}"}}')
    wrong = {"key_filename": str(tmp_path / "other"), "credentialsFile": str(secrets)}
    store, errors = opened({**sftp_config, **wrong})

    with errors.expected(StoreAccessError, "no connection", ABOUT[call]):
        CALLS[call](store)


DENIED = {  # the requests of SFTP, and what is told
    "put": ("write", "to write it: "),
    "get": ("read", "to read it: "),
    "list": ("opendir,readdir", "to list it: "),
    "delete": ("remove", "to delete it: "),
}


@pytest.mark.parametrize("verb", DENIED)
def test_a_verb_that_is_not_allowed(sshd, opened, tmp_path, verb):
    """Who lacks one right is told which; all else goes on."""
    requests, told = DENIED[verb]
    root = tmp_path / "store"
    (root / "backups/b").mkdir(parents=True)
    (root / KEY).write_bytes(b"x")
    (tmp_path / "sshd").mkdir()
    with running_sftp(sshd, tmp_path / "sshd", f"-P {requests}") as server:
        store, errors = opened(server.config(root))

        with errors.expected(StoreAccessError, key=ABOUT[verb]) as caught:
            VERBS[verb](store)
        for other in ("list", "get", "put", "delete"):
            if other != verb:
                VERBS[other](store)
        store.close()

    assert told in str(caught.value)


def test_a_directory_that_cannot_be_made(opened, sftp_config, tmp_path):
    """A place that is a file is told, and is no empty store."""
    (tmp_path / "file").write_bytes(b"x")
    url = sftp_config["url"].replace(str(tmp_path), str(tmp_path / "file"))
    store, errors = opened({**sftp_config, "url": url})

    with errors.expected():
        store.put(KEY, b"x")


def test_an_object_that_vanishes(opened, sftp_config):
    """What was listed and is gone when it is read is an object that is not there."""
    store, errors = opened(sftp_config)
    store.put(KEY, b"x")
    [listed] = store.list("backups/")
    store.delete(KEY)

    with errors.expected(ObjectNotFoundError):
        store.get(listed.key, io.BytesIO())


def test_logins_that_are_turned_away(front, fronted, opened):
    """A server with too many logins is tried again, and answers in the end."""
    store, _ = opened(fronted)
    front.limits = [(0, 0), (0, 0)]

    store.put(KEY, b"x")

    assert front.limits == []
    assert store.stat(KEY).size == 1


@pytest.mark.parametrize("call", CALLS)
def test_logins_that_are_always_turned_away(front, fronted, opened, call):
    """A server that never lets anybody in is a store that does not answer."""
    store, errors = opened(fronted)
    front.limits = [(0, 0)] * 20

    with errors.expected(StoreUnavailableError, key=ABOUT[call]) as caught:
        CALLS[call](store)

    assert caught.value.retryable
    assert len(front.limits) == 20 - AT_ONCE.attempts


@pytest.mark.parametrize("call", CALLS)
def test_a_server_that_hangs(sftp_config, opened, call):
    """A call ends within the time that the location states."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"sftp://127.0.0.1:{silent.getsockname()[1]}/store"
        times = {"requestTimeout": "300ms", "transferTimeout": "300ms"}
        store, errors = opened({**sftp_config, "url": url, **times})

        with errors.expected(StoreUnavailableError, key=ABOUT[call]):
            CALLS[call](store)


@pytest.mark.parametrize("after", [200_000, 2 << 20])
def test_an_upload_that_is_cut(front, fronted, opened, large, after):
    """It is sent again, and is whole in the end."""
    store, _ = opened(fronted)
    front.limits = [(after, None)]

    store.put(KEY, large)
    store.get(KEY, target := io.BytesIO())

    assert front.cut == 1
    assert target.getvalue() == large.read_bytes()
    assert [info.key for info in store.list("")] == [KEY]


@pytest.mark.parametrize("after", [200_000, 2 << 20])
def test_a_download_that_is_cut(front, fronted, opened, large, after):
    """It is asked for again and is whole; no byte comes twice."""
    opened(fronted)[0].put(KEY, large)
    store, _ = opened(fronted)
    front.limits = [(None, after)]

    store.get(KEY, target := io.BytesIO())

    assert front.cut == 1
    assert target.getvalue() == large.read_bytes()


def test_foreign_files_are_not_walked(opened, sftp_config, tmp_path, monkeypatch):
    """Listing backups reads no directory that is none of ours."""
    from kbackup_plugins_fsspec import _sftp  # noqa: PLC0415 - a test's own

    foreign = tmp_path / "there/store/data"
    foreign.mkdir(parents=True)
    (foreign / "file").touch()
    looked = []
    kind = _sftp._filesystem_class()
    real = kind.ls

    def ls(self, path, **options):
        looked.append(path)
        return real(self, path, **options)

    monkeypatch.setattr(kind, "ls", ls)
    store, _ = opened(sftp_config)

    assert BackupStore(store).list() == []
    assert list(store.list("backups/")) == []

    assert looked
    assert not [path for path in looked if "/data" in path]
