"""What the store in Cloud Storage does beyond the contract of all stores."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest

from kbackup.errors import (
    ObjectExistsError,
    StoreAccessError,
    StoreError,
    StoreUnavailableError,
)
from kbackup.plugins import Capability, PluginManager
from kbackup.stores import (
    RetryPolicy,
    TidyStore,
    location_from,
    open_object_store,
    validate_object_store,
)
from kbackup_plugins_gcp import open_gcs_store

KMS_KEY = "projects/p/locations/l/keyRings/r/cryptoKeys/k"


def read(store, key):
    """Read a whole object."""
    target = io.BytesIO()
    store.get(key, target)
    return target.getvalue()


@pytest.mark.parametrize("scheme", ["gs", "gcs"])
def test_an_address_opens_a_store(gcs_server, gcs_bucket, scheme):
    """An address with the server in its query is all that it takes."""
    plugins = PluginManager()
    url = f"{scheme}://{gcs_bucket}/some/prefix?storeEndpoint={gcs_server.url}"

    store = open_object_store(location_from(url, plugins), plugins)

    assert validate_object_store(store).ok
    store.put("backups/b/x", b"x")
    assert [info.key for info in store.list("")] == ["backups/b/x"]
    assert gcs_server.keys(gcs_bucket) == ["some/prefix/backups/b/x"]
    store.close()


# --- writing --------------------------------------------------------------------------


def test_a_create_is_one_conditional_request(store, gcs_server):
    """The condition goes with the request that writes; nothing is asked before."""
    store.put("backups/b/x", b"x", create=True)

    [request] = gcs_server.requests
    assert request.query["ifGenerationMatch"] == "0"
    assert request.query["uploadType"] == "multipart"


def test_a_large_create_is_conditional_too(store, gcs_server, tmp_path):
    """An upload in pieces has the condition, and stops at a key that is taken."""
    source = tmp_path / "large"
    source.write_bytes(b"x" * (9 << 20))
    store.put("backups/b/x", b"first")
    gcs_server.requests.clear()

    with pytest.raises(ObjectExistsError):
        store.put("backups/b/x", source, create=True)

    assert gcs_server.requests[0].query["ifGenerationMatch"] == "0"
    assert read(store, "backups/b/x") == b"first"


def test_an_overwrite_has_no_condition(store, gcs_server):
    """A put without create is not held up by what is there."""
    store.put("backups/b/x", b"x")

    assert "ifGenerationMatch" not in gcs_server.requests[0].query


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n", b"--", b"\r\n--==0==--"])
def test_what_ends_like_a_part_comes_back(store, end):
    """Bytes that look like the end of a part are part of the object."""
    data = b"before" + end + b"after" + end

    store.put("backups/b/x", data)

    assert read(store, "backups/b/x") == data


@pytest.fixture
def small_pieces(monkeypatch):
    """Pieces of 16 MiB."""
    monkeypatch.setattr("kbackup_plugins_gcp._uploads._PIECE", 16 << 20)


def test_pieces_have_a_known_size(store, gcs_server, tmp_path):
    """A large object is announced with its size and goes up in pieces of 64 MiB."""
    source = tmp_path / "large"
    source.write_bytes(b"x" * (65 << 20))

    store.put("backups/b/x", source)

    begun, *pieces = gcs_server.requests
    assert begun.headers["x-upload-content-length"] == str(65 << 20)
    assert [request.headers["content-range"] for request in pieces] == [
        f"bytes 0-{(64 << 20) - 1}/{65 << 20}",
        f"bytes {64 << 20}-{(65 << 20) - 1}/{65 << 20}",
    ]
    assert [int(r.headers["content-length"]) for r in pieces] == [64 << 20, 1 << 20]


@pytest.mark.usefixtures("small_pieces")
def test_an_upload_goes_on_where_it_was(opened, gcs_server, gcs_bucket, tmp_path):
    """After a failed piece the server is asked how far it is, and the rest is sent."""
    store = opened()
    data = bytes(range(256)) * (17 << 12)
    source = tmp_path / "large"
    source.write_bytes(data)
    real = gcs_server.storage.add_to_resumable_upload
    failing = [503]

    def fails_once(*args, **options):
        """Take the piece, and let the next request fail."""
        taken = real(*args, **options)
        if failing:
            gcs_server.refuse(failing.pop(), "backendError", "try again")
        return taken

    gcs_server.storage.add_to_resumable_upload = fails_once
    try:
        store.put("backups/b/x", source)
    finally:
        del gcs_server.storage.add_to_resumable_upload

    ranges = [r.headers["content-range"] for r in gcs_server.requests[1:]]
    assert ranges[2] == f"bytes */{len(data)}"
    assert len(ranges) == 4
    assert read(store, "backups/b/x") == data


@pytest.mark.parametrize("kind", ["bytes", "file"])
def test_what_arrived_of_a_piece_is_not_sent_again(
    opened, gcs_server, tmp_path, monkeypatch, kind
):
    """A piece that is cut in the middle goes on behind what the server confirms."""
    store = opened()
    data = bytes(range(256)) * (9 << 12)
    source = tmp_path / "large"
    source.write_bytes(data)
    real = gcs_server.storage.add_to_resumable_upload
    failing = [5 << 20]

    def cut(upload, content, *args, **options):
        """Take a part of the first piece, and break off."""
        if not failing:
            return real(upload, content, *args, **options)
        real(upload, content[: failing.pop()], *args, **options)
        raise ConnectionAbortedError

    monkeypatch.setattr(gcs_server.storage, "add_to_resumable_upload", cut)
    store.put("backups/b/x", data if kind == "bytes" else source)

    ranges = [r.headers["content-range"] for r in gcs_server.requests[1:]]
    size = len(data)
    assert ranges == [
        f"bytes 0-{size - 1}/{size}",
        f"bytes */{size}",
        f"bytes {5 << 20}-{size - 1}/{size}",
    ]
    assert read(store, "backups/b/x") == data


def test_an_upload_that_the_server_forgot(opened, gcs_server):
    """An upload that is gone is not a missing object: it is begun anew."""
    store = opened()
    data = b"x" * (9 << 20)
    real = gcs_server.storage.create_resumable_upload
    forgotten = [5]

    def forgets(*args, **options):
        """Begin an upload, and know nothing of it for as long as it is tried."""
        if forgotten:
            gcs_server.refuse(404, "notFound", "no such upload", times=forgotten.pop())
        return real(*args, **options)

    gcs_server.storage.create_resumable_upload = forgets
    try:
        store.put("backups/b/x", data, create=True)
    finally:
        del gcs_server.storage.create_resumable_upload

    begun = [r for r in gcs_server.requests if r.method == "POST"]
    assert [r.query["ifGenerationMatch"] for r in begun] == ["0", "0"]
    assert read(store, "backups/b/x") == data


@pytest.mark.usefixtures("small_pieces")
def test_a_token_refused_in_the_middle_of_an_upload(
    opened, key_file, gcs_server, monkeypatch
):
    """One new token is asked for, and the upload goes on with it."""
    store = opened(credentialsFile=key_file)
    data = b"x" * (17 << 20)
    real = gcs_server.storage.add_to_resumable_upload
    refusing = ["Invalid Credentials"]

    def refuses(*args, **options):
        """Take the first piece, and refuse the token for the next."""
        if refusing:
            gcs_server.refuse(401, "authError", refusing.pop())
        return real(*args, **options)

    monkeypatch.setattr(gcs_server.storage, "add_to_resumable_upload", refuses)
    store.put("backups/b/x", data)

    _, sent, refused, asked, rest = gcs_server.requests
    tokens = [r.headers["authorization"] for r in (sent, refused, asked, rest)]
    assert tokens[0] == tokens[1] != tokens[2] == tokens[3]
    assert asked.headers["content-range"] == f"bytes */{len(data)}"
    assert read(store, "backups/b/x") == data


@pytest.mark.usefixtures("small_pieces")
def test_nothing_of_a_broken_upload_shows(opened, gcs_server, gcs_bucket, tmp_path):
    """An upload that is given up leaves no object, and nothing to tidy."""
    store = opened()
    store._retry = RetryPolicy(attempts=1)
    source = tmp_path / "large"
    source.write_bytes(b"x" * (17 << 20))
    real = gcs_server.storage.add_to_resumable_upload

    def refused(*args, **options):
        """Take the piece, and refuse the next."""
        gcs_server.refuse(503, "backendError")
        return real(*args, **options)

    gcs_server.storage.add_to_resumable_upload = refused
    try:
        with pytest.raises(StoreUnavailableError):
            store.put("backups/b/x", source)
    finally:
        del gcs_server.storage.add_to_resumable_upload

    assert gcs_server.keys(gcs_bucket) == []
    assert not isinstance(store, TidyStore)


def test_a_key_of_kms_goes_with_every_upload(opened, gcs_server, tmp_path):
    """The key that the location names is asked for, of small and large objects."""
    store = opened(kmsKeyName=KMS_KEY)
    source = tmp_path / "large"
    source.write_bytes(b"x" * (9 << 20))

    store.put("backups/b/x", b"x")
    store.put("backups/b/y", source)

    begun = [r for r in gcs_server.requests if r.method == "POST"]
    assert [request.query["kmsKeyName"] for request in begun] == [KMS_KEY, KMS_KEY]


@pytest.mark.parametrize("size", [1, 9 << 20])
def test_objects_are_locked(opened, gcs_server, size):
    """With a mode an object is described as locked until the time, in its zone."""
    store = opened(objectRetentionMode="Locked")
    until = datetime(2030, 1, 2, 4, 4, 5, tzinfo=UTC).astimezone()

    store.put("backups/b/x", b"x" * size, retain_until=until)

    assert Capability.RETENTION in store.capabilities
    assert gcs_server.requests[0].described()["retention"] == {
        "mode": "Locked",
        "retainUntilTime": "2030-01-02T04:04:05.000Z",
    }


def test_without_a_conditional_create_a_taken_key_is_still_seen(store, gcs_server):
    """A store whose condition was taken away looks before it writes."""
    store.capabilities -= {Capability.ATOMIC_CREATE}
    store.put("backups/b/x", b"first", create=True)

    with pytest.raises(ObjectExistsError):
        store.put("backups/b/x", b"second", create=True)

    assert all("ifGenerationMatch" not in r.query for r in gcs_server.requests)
    assert [r.method for r in gcs_server.requests] == ["GET", "POST", "GET"]


# --- reading --------------------------------------------------------------------------


def test_a_small_object_is_read_in_one_request(store, gcs_server):
    """What describes an object comes with its bytes; nothing is asked ahead."""
    store.put("backups/b/x", b"content")
    gcs_server.requests.clear()
    target = io.BytesIO()

    info = store.get("backups/b/x", target)

    assert [request.query["alt"] for request in gcs_server.requests] == ["media"]
    assert target.getvalue() == b"content"
    assert (info.size, info.etag) == (7, store.stat("backups/b/x").etag)


def test_reads_are_pinned_to_one_generation(store, gcs_server, monkeypatch):
    """Each later piece is asked of the generation that was described."""
    monkeypatch.setattr("kbackup.stores._remote.PIECE", 4)
    store.put("backups/b/x", b"11112222")
    described = store.stat("backups/b/x").etag
    gcs_server.requests.clear()

    store.get("backups/b/x", io.BytesIO())

    asked = [request.query for request in gcs_server.requests]
    pieces = [query for query in asked if query.get("alt") == "media"]
    conditions = [query.get("ifGenerationMatch") for query in pieces]
    assert conditions == [None, described]


def test_an_encoded_object_is_not_unpacked(store, gcs_server):
    """Downloads ask for what is stored, whatever encoding somebody gave it."""
    store.put("backups/b/x", b"x")

    read(store, "backups/b/x")

    assert gcs_server.requests[-1].headers["accept-encoding"] == "gzip"
    assert gcs_server.requests[0].described()["contentType"]
    assert "contentEncoding" not in gcs_server.requests[0].described()


def test_lists_of_many_pages(store, gcs_server):
    """A list goes on page by page, and asks for no page before it is needed."""
    for number in range(7):
        store.put(f"backups/b{number}/x", b"")
    gcs_server.requests.clear()
    gcs_server.page = 2

    listing = store.list("backups/")
    first = next(listing).key
    assert len(gcs_server.requests) == 1
    rest = [info.key for info in listing]

    assert [first, *rest] == [f"backups/b{number}/x" for number in range(7)]
    assert len(gcs_server.requests) == 4
    assert len(list(store.list_prefixes("backups/"))) == 7


def test_a_list_begins_where_it_is_to(store, gcs_server):
    """What comes before is not listed and thrown away, but not asked for."""
    for number in range(4):
        store.put(f"backups/b{number}", b"")
    gcs_server.requests.clear()

    found = [info.key for info in store.list("backups/", after="backups/b1")]

    assert found == ["backups/b2", "backups/b3"]
    assert gcs_server.requests[0].query["startOffset"] == "backups/b1"


# --- errors ---------------------------------------------------------------------------


def test_a_missing_bucket_is_not_an_empty_one(gcs_server):
    """A bucket that is not there is told by its name, in lists, writes and reads."""
    store = open_gcs_store(gcs_server.config("no-such-bucket"))

    for call in (
        lambda: list(store.list("")),
        lambda: store.put("backups/b/x", b""),
    ):
        with pytest.raises(StoreAccessError, match="bucket: no-such-bucket"):
            call()
    gcs_server.refuse(404, "notFound", "The specified bucket does not exist.")
    with pytest.raises(StoreAccessError, match="bucket: no-such-bucket"):
        store.stat("backups/b/x")
    store.close()


def test_a_missing_permission_is_named(opened, gcs_server):
    """What Google says is missing is in the error, and it is not tried again."""
    store = opened()
    gcs_server.refuse(
        403, "forbidden", "x does not have storage.objects.create access to the object."
    )

    with pytest.raises(StoreAccessError, match=r"storage\.objects\.create") as caught:
        store.put("backups/b/x", b"x")

    assert caught.value.key == "backups/b/x"
    assert len(gcs_server.requests) == 1


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (429, "rateLimitExceeded"),
        (503, "backendError"),
        (502, ""),
        (408, ""),
        (403, "userRateLimitExceeded"),
    ],
)
def test_what_may_pass_is_tried_again(opened, gcs_server, status, reason):
    """Throttling and a server's own failures are met by our retries, and by no others."""
    store = opened()
    gcs_server.refuse(status, reason, "slow down", times=2)

    store.put("backups/b/x", b"x")

    assert len(gcs_server.requests) == 3


def test_a_server_that_stays_down(opened, gcs_server):
    """Five attempts in all: whoever sends them adds none."""
    store = opened()
    gcs_server.refuse(503, "backendError", "try later", times=9)

    with pytest.raises(StoreUnavailableError, match="try later"):
        store.stat("backups/b/x")

    assert len(gcs_server.requests) == 5


def test_a_proxy_that_answers_in_html(opened, gcs_server):
    """An answer that is no JSON is told shortly."""
    store = opened()
    gcs_server.answers.append((400, b"<html>" + b"x" * 5000))

    with pytest.raises(StoreError, match="<html>") as caught:
        store.stat("backups/b/x")

    assert len(str(caught.value)) < 500


def test_a_redirect_is_not_followed(opened, key_file, gcs_server):
    """A token goes to the location's server only."""
    store = opened(credentialsFile=key_file)
    gcs_server.answers.append((307, b""))

    with pytest.raises(StoreError, match="307"):
        store.stat("backups/b/x")

    assert len(gcs_server.requests) == 1
