"""The rules for stores beyond their Protocol, on every provider and its real server.

Nothing is cached, trouble is tried again by us alone, a fork is refused, a notebook and a
pool of threads work, a write that is cut shows nothing, and no call hangs.
"""

from __future__ import annotations

import asyncio
import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import attrs
import pytest

from forked import in_child
from kbackup.errors import (
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
    StoreUnavailableError,
)
from kbackup.stores import RemoteObjectStore, RetryPolicy
from kbackup_plugins_aws import open_s3_store
from kbackup_plugins_azure import open_blob_store
from kbackup_plugins_fsspec import open_filesystem_store
from kbackup_plugins_gcp import open_gcs_store
from kbackup_plugins_local import open_local_store
from tcp_front import fronting

KEY = "backups/b/file"
REMOTE = ["s3", "azure", "gcs", "sftp", "ftp", "webdav"]


@attrs.frozen
class Place:
    """An empty place of one provider.

    Attributes:
        open_store: Opens it by a configuration.
        config: That.
        address: The key of the configuration that holds the server's address.
    """

    open_store: object
    config: dict
    address: str = ""

    @property
    def port(self):
        """Where the server is."""
        return urlsplit(self.config[self.address]).port

    def moved(self, port, directory):
        """Return the configuration by which the server is reached at another port."""
        moved = dict(self.config)
        moved[self.address] = moved[self.address].replace(f":{self.port}", f":{port}")
        if hosts := moved.get("knownHosts"):
            known = directory / "moved_hosts"
            known.write_text(
                Path(hosts).read_text().replace(f":{self.port} ", f":{port} ")
            )
            moved["knownHosts"] = str(known)
        return moved


@pytest.fixture
def place(request, tmp_path):
    """An empty place of the provider that a test is about."""
    get = request.getfixturevalue
    kind = request.param
    if kind == "directory":
        return Place(open_local_store, {"path": str(tmp_path / "store")})
    if kind == "s3":
        config = get("s3_server").config(get("s3_bucket"))
        return Place(open_s3_store, config, "s3Url")
    if kind == "azure":
        config = get("azurite").config(get("container"))
        return Place(open_blob_store, config, "storageAccountURI")
    if kind == "gcs":
        config = get("gcs_server").config(get("gcs_bucket"))
        return Place(open_gcs_store, config, "storeEndpoint")
    address = "base_url" if kind == "webdav" else "url"
    return Place(open_filesystem_store, get(f"{kind}_config"), address)


@pytest.fixture
def opened(place):
    """A function that opens the place, anew each time."""
    stores = []

    def make(config=None, **more):
        stores.append(place.open_store({**(config or place.config), **more}))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def front(place):
    """A front of the place's server."""
    with fronting(place.port) as running:
        yield running


@pytest.fixture
def fronted(place, opened, front, tmp_path):
    """A store that reaches its server through the front, and does not pause."""
    store = opened(place.moved(front.port, tmp_path), requestTimeout="20s")
    store._retry = RetryPolicy(attempts=3, sleep=lambda _: None)
    return store


everywhere = pytest.mark.parametrize("place", ["directory", *REMOTE], indirect=True)
remote = pytest.mark.parametrize("place", REMOTE, indirect=True)


def read(store, key=KEY):
    """The bytes of an object."""
    store.get(key, target := io.BytesIO())
    return target.getvalue()


def keys(store):
    """The keys that a store lists."""
    return [info.key for info in store.list("backups/")]


@everywhere
def test_nothing_is_cached(opened):
    """What one opening writes another sees at once, also where it looked before."""
    one, other = opened(), opened()
    one.put(KEY, b"first")
    assert (keys(other), other.stat(KEY).size) == ([KEY], 5)

    one.put(KEY, b"the second")
    one.put(f"{KEY}-2", b"x")

    assert keys(other) == [KEY, f"{KEY}-2"]
    assert (other.stat(KEY).size, read(other)) == (10, b"the second")
    one.delete(KEY)
    assert keys(other) == [f"{KEY}-2"]
    with pytest.raises(ObjectNotFoundError):
        other.stat(KEY)


@everywhere
def test_openings_share_nothing(opened):
    """Two openings of one place have connections of their own: one closes, one goes on."""
    one, other = opened(), opened()
    one.put(KEY, b"x")
    assert read(other) == b"x"

    one.close()

    assert read(other) == b"x"
    other.put(KEY, b"y")
    assert read(other) == b"y"


@remote
def test_connections_that_are_cut_are_tried_again(fronted, front):
    """A put, a read and a list come through although each is cut at first."""
    for act in (
        lambda: fronted.put(KEY, b"content", create=True),
        lambda: read(fronted),
        lambda: keys(fronted),
        lambda: fronted.stat(KEY),
    ):
        front.end()  # what is open is lost as well
        front.limits = [(0, 0)]
        act()

    assert read(fronted) == b"content"


@remote
def test_only_we_try_again(fronted, front):
    """What stays cut is asked as often as our own policy says: no SDK tries beside it."""
    front.limits = [(0, 0)] * 1000

    with pytest.raises(StoreUnavailableError) as caught:
        fronted.stat(KEY)

    assert caught.value.key == KEY
    assert front.accepted == 3


@pytest.mark.parametrize("place", ["s3", "azure", "gcs"], indirect=True)
def test_a_create_whose_answer_is_lost(fronted, opened, front):
    """A create that arrived is a success though nobody heard so, and only ours is."""
    front.limits = [(None, 0)]
    fronted.put(KEY, b"mine", create=True)
    front.end()
    front.limits = [(None, 0)]

    with pytest.raises(ObjectExistsError):
        fronted.put(KEY, b"another", create=True)

    assert read(opened()) == b"mine"


@remote
def test_after_a_fork(opened):
    """A child of a fork is refused at once instead of hanging; the parent goes on."""
    store, large = opened(), bytes(17 << 20)  # goes by the threads for parts
    store.put("backups/b/large", large)
    store.put(KEY, b"x")

    for act in (
        partial(store.stat, KEY),
        partial(store.put, KEY, b"y"),
        partial(store.put, KEY, large),
        partial(read, store, "backups/b/large"),
        partial(keys, store),
    ):

        def told(act=act):
            with pytest.raises(StoreError) as caught:
                act()
            return caught.value.reason

        assert "before this process was forked" in in_child(told)

    assert read(store) == b"x"


@everywhere
def test_sixteen_threads(opened):
    """A pool of sixteen threads puts, reads, lists and deletes through one store."""
    store, start = opened(), threading.Barrier(16)

    def work(number):
        start.wait()
        for turn in range(2):
            key = f"backups/{number:02}/{turn}"
            content = key.encode() * 1000
            store.put(key, content, create=True)
            assert read(store, key) == content
            assert [info.key for info in store.list(f"backups/{number:02}/")] == [key]
            store.delete(key)
        return True

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, range(16)))
    assert keys(store) == []


@everywhere
def test_in_a_running_event_loop(opened):
    """A cell of a notebook uses a store in its own thread, and in sixteen others."""
    store = opened()

    async def cell():
        store.put(KEY, b"from a notebook")
        with ThreadPoolExecutor(16) as pool:
            loop = asyncio.get_running_loop()
            work = [loop.run_in_executor(pool, read, store) for _ in range(32)]
            return {read(store), *await asyncio.gather(*work)}

    assert asyncio.run(cell()) == {b"from a notebook"}


def _tried(path):
    """A file of random bytes, too many for a connection that is cut soon."""
    path.write_bytes(os.urandom(3 << 20))
    return path


@pytest.mark.parametrize(
    "place", ["s3", "azure", "gcs", "sftp", "webdav"], indirect=True
)
def test_a_put_that_is_cut_shows_nothing(fronted, opened, front, tmp_path):
    """What was there stays, and no key is new, when every attempt ends in the middle."""
    direct, source = opened(), _tried(tmp_path / "source")
    direct.put(KEY, b"before")
    front.most = 1 << 20

    for key in (KEY, f"{KEY}-2"):
        with pytest.raises(StoreUnavailableError):
            fronted.put(key, source)

    assert keys(direct) == [KEY]
    assert read(direct) == b"before"


class ChangedPath(type(Path())):
    """A file that somebody changes behind whoever has looked at it."""

    looks: ClassVar = []  # what is done behind each look, the last one first

    def stat(self, **options):
        """Describe it as it was."""
        found = super().stat(**options)
        if self.looks:
            self.looks.pop()(self, found)
        return found


def _nothing(path, found):
    """Leave it as it is."""


def _grow(path, found):
    with path.open("ab") as file:
        file.write(b"more")


def _cut(path, found):
    os.truncate(path, found.st_size - 4)


def _rewrite(path, found):
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(0, found.st_mtime_ns + 1))  # whatever the clock's grain


@everywhere
@pytest.mark.parametrize("change", [_grow, _cut, _rewrite])
@pytest.mark.parametrize("size", [1 << 10, 9 << 20])
def test_a_source_that_is_changed_is_an_error(
    opened, tmp_path, monkeypatch, change, size
):
    """Nobody is told that an object was put whose bytes were never a file."""
    store, source = opened(), ChangedPath(tmp_path / "source")
    source.write_bytes(bytes(size))
    # A directory looks once for the time that it may take.
    looks = [change] if isinstance(store, RemoteObjectStore) else [change, _nothing]
    monkeypatch.setattr(ChangedPath, "looks", looks)

    with pytest.raises(StoreError) as caught:
        store.put(KEY, source)

    assert not looks
    assert not caught.value.retryable
    assert "the source " in caught.value.reason


@pytest.mark.parametrize("place", ["s3", "azure", "gcs"], indirect=True)
def test_a_small_source_that_is_cut_shows_nothing(opened, tmp_path, monkeypatch):
    """What has become shorter since its size was asked for is not sent."""
    store, source = opened(), tmp_path / "source"
    source.write_bytes(bytes(1 << 10))
    write = store._write

    def cutting(key, given, *args, **options):
        """Let the file be cut behind the next look at its size."""
        with monkeypatch.context() as patched:
            patched.setattr(Path, "open", _opening_cut)
            return write(key, given, *args, **options)

    monkeypatch.setattr(store, "_write", cutting)

    with pytest.raises(StoreError, match="the source became shorter"):
        store.put(KEY, source)

    assert keys(store) == []


def _opening_cut(path, mode, **_):
    return CutFile(path, mode)


class CutFile(io.FileIO):
    """A file that is cut when its size is known."""

    def seek(self, offset, whence=os.SEEK_SET):
        """Cut it behind whoever looks for its end."""
        found = super().seek(offset, whence)
        if whence == os.SEEK_END:
            os.truncate(self.name, 4)
        return found

    def read(self, size=-1):
        """Cut it before it is read, too."""
        os.truncate(self.name, 4)
        return super().read(size)


@pytest.mark.parametrize("place", ["sftp", "ftp", "webdav"], indirect=True)
def test_a_file_that_stays_half_shows_nothing(opened, monkeypatch, tmp_path):
    """A filesystem that breaks off in a file, again and again, shows none of it."""
    from kbackup_plugins_fsspec import _in_place  # noqa: PLC0415 - what is broken here

    store, source = opened(), _tried(tmp_path / "source")
    store._retry = RetryPolicy(attempts=2, sleep=lambda _: None)
    store.put(KEY, b"before")
    half = []

    def broken(filesystem, path, given):
        filesystem.pipe_file(path, given.read_bytes()[: 1 << 20])
        half.append(path)
        raise ConnectionResetError("the server went away")

    monkeypatch.setattr(_in_place, "write_file", broken)

    for key in (KEY, f"{KEY}-2"):
        with pytest.raises(StoreUnavailableError):
            store.put(key, source)

    assert len(half) == 4
    assert keys(store) == [KEY]
    assert read(store) == b"before"


@remote
def test_a_server_that_says_nothing(place, opened, front, tmp_path):
    """A call ends within the time of the location, by an error that names the key."""
    front.silent = True
    store = opened(
        place.moved(front.port, tmp_path), requestTimeout="1s", transferTimeout="1s"
    )

    for act in (partial(store.stat, KEY), partial(store.put, KEY, b"x")):
        with pytest.raises(StoreUnavailableError) as caught:
            act()
        assert caught.value.key == KEY
