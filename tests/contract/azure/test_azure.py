"""What the store in Azure does beyond the contract of all stores."""

from __future__ import annotations

import io
import os
import threading
import tracemalloc
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from kbackup.errors import (
    InvalidConfigError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreAccessError,
    StoreError,
    StoreUnavailableError,
)
from kbackup.plugins import Capability, PluginManager
from kbackup.stores import (
    RetryPolicy,
    location_from,
    open_object_store,
    validate_object_store,
)
from kbackup_plugins_azure import open_blob_store

ONCE = RetryPolicy(attempts=1)
BLOCK = 262144


@pytest.fixture
def large(tmp_path):
    """A file of several blocks, the last one short."""
    path = tmp_path / "large"
    path.write_bytes(os.urandom(5 * BLOCK + 17))
    return path


@pytest.fixture
def store_of(azurite, container):
    """Return what opens a store by a config of its own, to be closed."""
    return lambda **options: closing(
        open_blob_store(azurite.config(container, **options))
    )


def read(store, key, **options):
    """The bytes of an object."""
    target = io.BytesIO()
    store.get(key, target, **options)
    return target.getvalue()


@pytest.mark.parametrize("scheme", ["az", "azure", "abfs"])
def test_an_address_opens_a_store(azurite, container, scheme):
    """An address with the account in its query is all that it takes."""
    plugins = PluginManager()
    config = azurite.config(container)
    query = "&".join(f"{key}={config[key]}" for key in config if key != "bucket")

    location = location_from(f"{scheme}://{container}/some/prefix?{query}", plugins)
    store = open_object_store(location, plugins)

    check = validate_object_store(store)
    assert (check.ok, check.writable) == (True, True)
    assert Capability.ATOMIC_CREATE in check.capabilities
    store.put("backups/b/x", b"x")
    assert [info.key for info in store.list("")] == ["backups/b/x"]
    store.close()


def test_a_create_is_one_conditional_request(store, requests_of):
    """The condition goes with the request that writes; nothing is asked before."""
    store.put("backups/b/x", b"x", create=True)

    ((method, asked, headers),) = requests_of
    assert (method, asked) == ("PUT", "")
    assert headers["If-None-Match"] == "*"


def test_a_put_without_create_has_no_condition(store, requests_of):
    """What may overwrite says no condition."""
    store.put("backups/b/x", b"x")

    assert "If-None-Match" not in requests_of[0][2]


def test_a_large_create_is_conditional_too(store, requests_of, large):
    """An upload in blocks carries the condition with its end, and changes nothing."""
    store.put("backups/b/x", b"first")
    requests_of.clear()

    with pytest.raises(ObjectExistsError):
        store.put("backups/b/x", large, create=True)

    assert requests_of[-1][:2] == ("PUT", "comp=blocklist")
    assert requests_of[-1][2]["If-None-Match"] == "*"
    assert read(store, "backups/b/x") == b"first"


def test_blocks_are_of_the_known_size(store, requests_of, large):
    """A large object goes up in blocks of the size that the location names."""
    store.put("backups/b/x", large)

    sizes = [
        int(h["Content-Length"]) for _, asked, h in requests_of if asked == "comp=block"
    ]
    assert sorted(sizes) == [17, *[BLOCK] * 5]
    assert read(store, "backups/b/x") == large.read_bytes()


def test_two_uploads_of_one_object_do_not_mix(store, azurite, container, tmp_path):
    """Whoever ends last, the object is that of one of the writers, whole."""
    contents = [bytes([n]) * (6 * BLOCK) for n in range(4)]
    start = threading.Barrier(len(contents))

    def write(content):
        path = tmp_path / str(content[0])
        path.write_bytes(content)
        start.wait()
        store.put("backups/b/x", path)

    with ThreadPoolExecutor(len(contents)) as pool:
        list(pool.map(write, contents))

    assert read(store, "backups/b/x") in contents


def test_a_failed_block_ends_the_upload(store, monkeypatch):
    """Where a block fails for good the others are given up, and nothing shows."""
    from azure.storage.blob import BlobClient  # noqa: PLC0415

    real, begun = BlobClient.stage_block, []

    def stage(self, name, data, **options):
        """Break the second block off."""
        begun.append(name)
        if len(begun) == 2:
            raise ConnectionResetError
        return real(self, name, data, **options)

    monkeypatch.setattr(BlobClient, "stage_block", stage)
    monkeypatch.setattr(store, "_retry", ONCE)

    with pytest.raises(StoreUnavailableError):
        store.put("backups/b/x", bytes(40 * BLOCK))

    assert list(store.list("")) == []
    assert len(begun) <= 10


def test_a_failed_block_is_sent_again_alone(store, requests_of, large, monkeypatch):
    """A connection that breaks costs one block, not the whole upload."""
    from azure.storage.blob import BlobClient  # noqa: PLC0415

    real, begun = BlobClient.stage_block, []

    def stage(self, name, data, **options):
        """Break off in the middle of the second block."""
        begun.append(name)
        if len(begun) == 2:
            next(iter(data))
            raise ConnectionResetError
        return real(self, name, data, **options)

    monkeypatch.setattr(BlobClient, "stage_block", stage)
    monkeypatch.setattr(store, "_retry", RetryPolicy(sleep=lambda _: None))

    store.put("backups/b/x", large)

    assert read(store, "backups/b/x") == large.read_bytes()
    assert sorted(begun.count(name) for name in set(begun)) == [1, 1, 1, 1, 1, 2]
    asked = [asked for _, asked, _ in requests_of]
    assert asked.count("comp=blocklist") == 1


@pytest.mark.parametrize(
    ("sends", "block"), [("stage_block", BLOCK), ("upload_blob", 10 * BLOCK)]
)
def test_a_source_that_becomes_shorter(store_of, large, monkeypatch, sends, block):
    """A file that is cut while it is sent is an error, and nothing shows."""
    from azure.storage.blob import BlobClient  # noqa: PLC0415

    real = getattr(BlobClient, sends)

    def send(self, *args, **options):
        """Cut the file before its first request is sent."""
        os.truncate(large, 17)
        return real(self, *args, **options)

    monkeypatch.setattr(BlobClient, sends, send)

    with store_of(blockSizeInBytes=str(block)) as store:
        with pytest.raises(StoreError, match="became shorter"):
            store.put("backups/b/x", large)
        assert list(store.list("")) == []


@pytest.mark.parametrize("kind", ["path", "bytes"])
def test_what_fits_in_a_block_is_one_request(store_of, requests_of, tmp_path, kind):
    """It needs no list of blocks, and is never in memory whole for that."""
    content = os.urandom(12 << 20)
    source = content
    if kind == "path":
        source = tmp_path / "source"
        source.write_bytes(content)

    with store_of() as store:
        tracemalloc.start()
        try:
            store.put("backups/b/x", source)
            held = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

        ((method, asked, headers),) = requests_of
        assert (method, asked) == ("PUT", "")
        assert headers["Content-Length"] == str(len(content))
        assert held < len(content) / 4
        assert read(store, "backups/b/x") == content
        with pytest.raises(ObjectExistsError):
            store.put("backups/b/x", source, create=True)


def test_a_small_object_is_read_in_one_request(store, requests_of):
    """What describes an object comes with its bytes; nothing is asked ahead."""
    store.put("backups/b/x", b"content")
    requests_of.clear()
    target = io.BytesIO()

    info = store.get("backups/b/x", target)

    assert target.getvalue() == b"content"
    assert [method for method, *_ in requests_of] == ["GET"]
    assert info == store.stat("backups/b/x")


def test_reads_are_pinned_to_one_version(store, requests_of, monkeypatch):
    """Each later part is asked for by the ETag of the first."""
    monkeypatch.setattr("kbackup.stores._remote.PIECE", 4)
    store.put("backups/b/x", b"11112222")
    etag = store.stat("backups/b/x").etag
    requests_of.clear()

    read(store, "backups/b/x")

    conditions = [h.get("If-Match") for method, _, h in requests_of if method == "GET"]
    assert conditions == [None, f'"{etag}"']


def test_lists_of_many_pages(store, requests_of, monkeypatch):
    """A list goes on page by page, and asks for no page before it is needed."""
    for number in range(7):
        store.put(f"backups/b{number}/x", b"")
    requests_of.clear()
    real = store._list_page

    def small(prefix, method, token, options, seconds):
        """Ask for pages of two."""
        more = {**options, "results_per_page": 2}
        return real(prefix, method, token, more, seconds)

    monkeypatch.setattr(store, "_list_page", small)

    listing = store.list("backups/")
    first = next(listing).key
    assert len(requests_of) == 1
    rest = [info.key for info in listing]

    assert [first, *rest] == [f"backups/b{number}/x" for number in range(7)]
    assert len(requests_of) == 4
    assert len(list(store.list_prefixes("backups/"))) == 7


def test_a_list_that_is_not_by_key_is_told(store, monkeypatch):
    """Keys in another order, as of a hierarchical namespace, are no list of ours."""
    for key in ("backups/a-b", "backups/a/x"):
        store.put(key, b"")
    real = store._list_page

    def reversed_page(*args):
        entries, token = real(*args)
        return entries[::-1], token

    monkeypatch.setattr(store, "_list_page", reversed_page)

    with pytest.raises(StoreError, match="behind"):
        list(store.list("backups/"))


def test_directories_are_no_objects(store, blob_service, container):
    """What a hierarchical namespace shows for a directory is not there for us."""
    client = blob_service.get_container_client(container)
    client.upload_blob("backups/b", b"", metadata={"hdi_isfolder": "true"})
    store.put("backups/b/x", b"x")

    assert [info.key for info in store.list("")] == ["backups/b/x"]
    for call in (store.stat, lambda key: read(store, key)):
        with pytest.raises(ObjectNotFoundError):
            call("backups/b")


def test_a_signed_address(store):
    """A signed address serves the object to whoever has it, and nothing else."""
    store.put("backups/b/a b.tar.gz", b"archive")

    url = store.signed_url("backups/b/a b.tar.gz", timedelta(minutes=10))

    with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own server
        assert answer.read() == b"archive"
        assert answer.headers.get("Content-Encoding") is None
    assert "sp=r&" in url
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(url.replace("a%20b", "other"))  # noqa: S310


def test_objects_are_locked(azurite, container, requests_of, large):
    """With a mode an object is locked until the given time, by the request that writes.

    Azurite takes the headers and locks nothing.
    """
    config = azurite.config(
        container, immutabilityMode="Locked", blockSizeInBytes="262144"
    )
    store = open_blob_store(config)
    until = datetime(2040, 1, 2, 3, 4, 5, tzinfo=UTC)

    store.put("backups/b/x", b"x", retain_until=until, create=True)
    store.put("backups/b/y", large, retain_until=until)

    assert Capability.RETENTION in store.capabilities
    for method, asked, headers in (requests_of[0], requests_of[-1]):
        assert (method, asked in {"", "comp=blocklist"}) == ("PUT", True)
        assert headers["x-ms-immutability-policy-mode"] == "Locked"
        assert headers["x-ms-immutability-policy-until-date"] == (
            "Mon, 02 Jan 2040 03:04:05 GMT"
        )
    store.close()


def test_a_missing_container_is_not_an_empty_one(azurite, azure_key):
    """A container that is not there is told by its name, in lists, reads and writes."""
    store = open_blob_store(azurite.config("no-such-container"))

    for call in (
        lambda: list(store.list("")),
        lambda: list(store.list_prefixes("")),
        lambda: store.stat("backups/b/x"),
        lambda: store.put("backups/b/x", b""),
    ):
        with pytest.raises(StoreAccessError, match="no-such-container") as caught:
            call()
        assert "no such bucket" in str(caught.value)
        assert "make the container" in caught.value.hint
    store.close()


def test_a_wrong_key(azurite, container, monkeypatch):
    """A key that is not the account's is refused once, and shown nowhere."""
    monkeypatch.setenv("OTHER_KEY", "c2VjcmV0LXNlY3JldA==")
    config = azurite.config(container, storageAccountKeyEnvVar="OTHER_KEY")
    store = open_blob_store(config)

    with pytest.raises(StoreAccessError) as caught:
        store.put("backups/b/x", b"x")

    assert "to write it: " in str(caught.value)
    assert "AuthenticationFailed" in str(caught.value) or "AuthorizationFailure" in str(
        caught.value
    )
    shown = f"{caught.value!r} {caught.value.__cause__!r} {store!r} {store._account!r}"
    assert "c2VjcmV0" not in shown
    store.close()


@pytest.mark.parametrize("key", ["backups/b/x.", "backups/b./x", "backups/b\\x"])
def test_names_that_azure_would_change(store, key):
    """A key that Azure would store under another name is refused by every method."""
    for call in (
        lambda: store.put(key, b"x"),
        lambda: read(store, key),
        lambda: store.stat(key),
        lambda: store.delete(key),
    ):
        with pytest.raises(StoreAccessError, match="not a key of an object in Azure"):
            call()


def test_a_named_key_that_is_not_there(azurite, container, monkeypatch):
    """A variable that the location names and nobody has is told by its name."""
    monkeypatch.delenv("AZURITE_ACCOUNT_KEY")

    with pytest.raises(InvalidConfigError, match="names AZURITE_ACCOUNT_KEY"):
        open_blob_store(azurite.config(container))


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("DirectoryIsNotEmpty", 409, None),
        ("BlobNotFound", 404, None),
        ("BlobImmutableDueToPolicy", 409, StoreAccessError),
        ("AuthorizationPermissionMismatch", 403, StoreAccessError),
    ],
)
def test_deletes_that_azure_refuses(store, monkeypatch, code, status, error):
    """What is no object is gone already; what is locked or forbidden is told."""
    from azure.core.exceptions import HttpResponseError  # noqa: PLC0415
    from azure.storage.blob import BlobClient  # noqa: PLC0415

    def refuse(self, **options):
        """Answer as Azure does where Azurite cannot."""
        exc = HttpResponseError(f"about {code}")
        exc.error_code, exc.status_code = code, status
        raise exc

    monkeypatch.setattr(BlobClient, "delete_blob", refuse)

    if error is None:
        store.delete("backups/b")
        return
    with pytest.raises(error) as caught:
        store.delete("backups/b")
    assert ("to delete it: " in str(caught.value)) == (status == 403)
