"""What goes wrong on the way to a provider's store: one suite for all of them.

A provider subclasses `FaultMatrix`, gives its server and says how it refuses. Every error
that is caused here is held to the same: it is ours, it names the location and the key,
and no secret is in it nor in what it was raised from.
"""

from __future__ import annotations

import gc
import io
import ssl
import tracemalloc
from contextlib import contextmanager
from typing import ClassVar

import pytest

from http_relay import CutDownload, CutUpload, Hang, Reply, relaying
from kbackup.catalog import BackupStore
from kbackup.errors import (
    ObjectNotFoundError,
    StoreAccessError,
    StoreError,
    StoreUnavailableError,
)
from kbackup.stores import RetryPolicy, validate_object_store

AT_ONCE = RetryPolicy(sleep=lambda _: None)
KEY = "backups/b/file"
FOREIGN = 1_000_000
PAGE = 250
LARGE = 17 << 20  # in several parts, wherever there are parts
HIDDEN_HOST = "store.behind.example"  # which the proxy alone knows

VERBS = {
    "put": lambda store: store.put(KEY, b"x"),
    "get": lambda store: store.get(KEY, io.BytesIO()),
    "list": lambda store: list(store.list("backups/")),
    "delete": lambda store: store.delete(KEY),
}
CALLS = {
    **VERBS,
    "stat": lambda store: store.stat(KEY),
    "list_prefixes": lambda store: list(store.list_prefixes("backups/")),
}
ABOUT = {**dict.fromkeys(CALLS, KEY), "list": "backups/", "list_prefixes": "backups/"}


def chain(exc):
    """Yield an error and all it was raised from, or while."""
    seen, waiting = [], [exc]
    while waiting:
        each = waiting.pop()
        if each is not None and each not in seen:
            seen.append(each)
            waiting += [each.__cause__, each.__context__]
    return seen


class Errors:
    """Catches errors of a store and holds each to what holds for all of them.

    Attributes:
        location: What each names.
        secrets: What none shows.
    """

    def __init__(self, location, secrets):
        self.location, self.secrets = location, secrets

    @contextmanager
    def expected(self, kind=StoreError, match=None, key=KEY):
        """As `pytest.raises`; gives what was caught."""
        with pytest.raises(kind, match=match) as caught:
            yield caught
        error = caught.value
        assert error.location == self.location
        assert self.location in str(error)
        assert error.key == key
        assert key in str(error)
        assert len(str(error)) < 1000
        shown = [f"{each} {each!r} {vars(each)}" for each in chain(error)]
        shown += [error.hint, *getattr(error, "__notes__", ())]
        for secret in self.secrets:
            assert not [text for text in shown if secret in text]


class FaultMatrix:
    """The faults; subclasses give fixtures and tables.

    Fixtures: ``upstream``, host and port of the server; ``bucket``, an empty one;
    ``base``, the config for it without what says where it is; ``secrets``, texts that
    the config or the environment has; ``nobody``, config without credentials.
    """

    open_store: ClassVar
    scheme: ClassVar[str]
    missing: ClassVar[str] = "no-such-bucket"

    refusals: ClassVar[dict]
    """For each fault of who asks a `Reply`, and a word that the error has to have."""

    forbidden: ClassVar[dict]
    """For each verb the name of what is missing."""

    throttled: ClassVar[tuple]
    """Answers of a server that is busy."""

    def place(self, url):
        """Return the config for a server at an address."""
        raise NotImplementedError

    def forbids(self, verb, asked):
        """Return the answer to a request of a verb that is not allowed, or None."""
        raise NotImplementedError

    def is_read(self, asked):
        """Tell whether the bytes of an object are asked for."""
        raise NotImplementedError

    def is_upload(self, asked):
        """Tell whether bytes of an object are sent."""
        return asked.method in {"PUT", "POST"} and asked.length > 0

    def not_found(self):
        """Return the answer about an object that is not there."""
        raise NotImplementedError

    def no_bucket(self):
        """Return the answer about a missing bucket, where the emulator has another."""
        return

    def page(self, asked, foreign):
        """Return a page of a bucket with so many objects ``data/000000000``, or None."""
        raise NotImplementedError

    # --- what is looked at ------------------------------------------------------------

    @pytest.fixture
    def relay(self, upstream):
        """A relay to the server, without rules."""
        with relaying(upstream) as relay:
            yield relay

    @pytest.fixture
    def opened(self, base, request):
        """A function that opens a store at an address, with more config."""

        def make(url, **more):
            config = {**base, **self.place(url), **more}
            store = self.open_store({k: v for k, v in config.items() if v is not None})
            store._retry = AT_ONCE
            request.addfinalizer(store.close)
            return store

        return make

    @pytest.fixture
    def store(self, relay, opened):
        """A store behind the relay."""
        return opened(relay.url)

    @pytest.fixture
    def errors(self, bucket, secrets):
        """What catches and judges errors."""
        return Errors(f"{self.scheme}://{bucket}", secrets)

    @pytest.fixture
    def refusing(self, relay):
        """A function that gives the relay where a fault of who asks is told."""
        return lambda fault: relay

    @pytest.fixture
    def large(self, tmp_path):
        """A file that goes up in several parts."""
        file = tmp_path / "large"
        file.write_bytes(bytes(range(256)) * (LARGE >> 8))
        return file

    # --- who asks ---------------------------------------------------------------------

    @pytest.mark.parametrize("call", CALLS)
    def test_no_credentials(self, relay, opened, errors, nobody, call):
        """Without credentials nothing is sent; where to give them is told."""
        store = opened(relay.url, **nobody)

        with errors.expected(StoreAccessError, key=ABOUT[call]) as caught:
            CALLS[call](store)

        assert "credentialsFile" in caught.value.hint
        assert relay.seen == []

    @pytest.mark.parametrize("call", VERBS)
    @pytest.mark.parametrize("fault", ["wrong credentials", "expired", "clock"])
    def test_credentials_that_are_refused(self, refusing, store, errors, fault, call):
        """Wrong and expired ones, and a wrong clock, are told, and not tried again."""
        reply, word = self.refusals[fault]
        relay = refusing(fault)
        relay.always(reply)

        with errors.expected(StoreAccessError, key=ABOUT[call]) as caught:
            VERBS[call](store)

        assert word in f"{caught.value} {caught.value.hint}"
        assert len(relay.seen) <= 2  # once more with a new token, where that can be

    @pytest.mark.parametrize("verb", VERBS)
    def test_a_verb_that_is_not_allowed(self, relay, store, errors, verb):
        """Who lacks one permission is told which; all else goes on."""
        store.put(KEY, b"x")
        relay.rules.append(lambda asked: self.forbids(verb, asked))

        with errors.expected(StoreAccessError, key=ABOUT[verb]) as caught:
            VERBS[verb](store)
        for other in ("list", "get", "put", "delete"):
            if other != verb:
                VERBS[other](store)

        assert self.forbidden[verb] in str(caught.value)

    # --- what is there ----------------------------------------------------------------

    @pytest.mark.parametrize("call", ["put", "get", "list", "list_prefixes"])
    def test_a_bucket_that_is_missing(self, relay, opened, secrets, call):
        """It is told by its name, and is no empty one."""
        store = opened(relay.url, bucket=self.missing)
        errors = Errors(f"{self.scheme}://{self.missing}", secrets)
        if reply := self.no_bucket():
            relay.always(reply)

        with errors.expected(StoreAccessError, "no such bucket", ABOUT[call]) as caught:
            CALLS[call](store)

        assert not caught.value.retryable
        assert caught.value.hint

    def test_an_object_that_vanishes(self, store, errors):
        """What was listed and is gone when it is read is an object that is not there."""
        store.put(KEY, b"x")
        [listed] = store.list("backups/")
        store.delete(KEY)

        with errors.expected(ObjectNotFoundError):
            store.get(listed.key, io.BytesIO())

    def test_a_large_object_that_vanishes(self, relay, store, errors, large):
        """One that goes while it is read is gone, not cut short."""
        store.put(KEY, large)
        relay.rules.append(lambda asked: self._vanished(relay, asked))
        relay.seen.clear()

        with errors.expected(ObjectNotFoundError):
            store.get(KEY, io.BytesIO())

    def test_a_large_object_that_is_replaced(self, store, errors, large, monkeypatch):
        """Two versions of an object are never mixed in one read."""
        monkeypatch.setattr(store, "_retry", RetryPolicy(attempts=1))
        store.put(KEY, large)

        class Replaces(io.BytesIO):
            def write(self, data, /):
                if not self.getvalue():
                    store.put(KEY, bytes(LARGE))
                return super().write(data)

        target = Replaces()
        with errors.expected(StoreUnavailableError, "replaced"):
            store.get(KEY, target)

        assert large.read_bytes().startswith(target.getvalue())
        assert target.getvalue()

    def _vanished(self, relay, asked):
        reads = [each for each in relay.seen if self.is_read(each)]
        return self.not_found() if self.is_read(asked) and len(reads) > 1 else None

    # --- TLS and proxies --------------------------------------------------------------

    def test_a_private_authority(self, upstream, opened, errors, private_tls):
        """With its certificate as caCert it is trusted; without it is refused."""
        with relaying(upstream, private_tls.server) as relay:
            opened(relay.url, caCert=private_tls.pem).put(KEY, b"x")
            passed = len(relay.seen)
            for call in ("put", "list"):
                with errors.expected(StoreAccessError, key=ABOUT[call]) as caught:
                    CALLS[call](opened(relay.url))
                assert "caCert" in caught.value.hint
                assert not caught.value.retryable

        assert len(relay.seen) == passed > 0

    def test_another_private_authority(self, upstream, opened, errors, private_tls):
        """Who trusts one authority trusts no other."""
        with (
            relaying(upstream, private_tls.server) as relay,
            errors.expected(StoreAccessError),
        ):
            opened(relay.url, caCert=private_tls.other).put(KEY, b"x")

        assert relay.seen == []

    def test_a_proxy(self, upstream, opened, private_tls, monkeypatch):
        """HTTPS_PROXY is asked, also for a name that only it knows."""
        with (
            relaying(upstream, private_tls.server) as relay,
            relaying(relay.address) as proxy,
        ):
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            store = opened(f"https://{HIDDEN_HOST}:8443", caCert=private_tls.pem)
            store.put(KEY, b"x")
            store.get(KEY, target := io.BytesIO())
            store.close()

        assert target.getvalue() == b"x"
        assert {asked.target for asked in proxy.seen} == {f"{HIDDEN_HOST}:8443"}
        assert relay.seen

    def test_a_proxy_that_is_away(self, opened, errors, monkeypatch):
        """A proxy that is down is a store that does not answer; its login is a secret."""
        monkeypatch.setenv("HTTPS_PROXY", "http://me:the-login-of-me@127.0.0.1:1")
        errors.secrets = (*errors.secrets, "the-login-of-me")
        store = opened(f"https://{HIDDEN_HOST}:8443", requestTimeout="2s")

        with errors.expected(StoreUnavailableError):
            store.stat(KEY)

    # --- a server in trouble ----------------------------------------------------------

    def test_throttling_that_ends(self, relay, store, large):
        """A busy server is tried again, and what was asked for happens."""
        acts = [
            lambda: store.put(KEY, b"small", create=True),
            lambda: store.put("backups/large", large),
            lambda: store.get(KEY, io.BytesIO()),
            lambda: list(store.list("backups/")),
            lambda: store.delete(KEY),
        ]

        for reply in self.throttled:
            for act in acts:
                relay.rules.clear()
                left = relay.once(reply, times=2)
                act()
                assert left == [0]

        assert [info.key for info in store.list("")] == ["backups/large"]
        assert store.stat("backups/large").size == LARGE

    @pytest.mark.parametrize("call", CALLS)
    def test_throttling_that_does_not_end(self, relay, opened, errors, call):
        """It ends as a store that does not answer, however long it asks to wait."""
        store = opened(relay.url, requestTimeout="20s", transferTimeout="20s")
        for reply in self.throttled:
            relay.rules.clear()
            relay.seen.clear()
            more = (*reply.headers, ("Retry-After", "3600"))
            relay.always(Reply(reply.status, reply.body, more))

            with errors.expected(StoreUnavailableError, key=ABOUT[call]) as caught:
                CALLS[call](store)

            assert caught.value.retryable
            assert len(relay.seen) == AT_ONCE.attempts

    @pytest.mark.parametrize("call", CALLS)
    def test_a_server_that_is_not_there(self, opened, errors, call):
        """A refused connection is a store that does not answer, which may pass."""
        with errors.expected(StoreUnavailableError, key=ABOUT[call]) as caught:
            CALLS[call](opened("http://127.0.0.1:1"))

        assert caught.value.retryable

    @pytest.mark.parametrize("call", CALLS)
    def test_a_server_that_hangs(self, relay, opened, errors, call):
        """A call ends within the time that the location states."""
        opened(relay.url).put(KEY, b"x")  # whatever takes its time at the first call
        relay.always(Hang())
        store = opened(relay.url, requestTimeout="500ms", transferTimeout="500ms")

        with errors.expected(StoreUnavailableError, key=ABOUT[call]):
            CALLS[call](store)

    @pytest.mark.parametrize("after", [0, 1000, 3 << 20])
    def test_an_upload_that_is_cut(self, relay, store, large, after):
        """It is sent again, and is whole in the end."""
        left = relay.once(
            CutUpload(after),
            lambda asked: self.is_upload(asked) and asked.length > after,
        )

        store.put(KEY, large)
        relay.rules.clear()
        store.get(KEY, target := io.BytesIO())

        assert left == [0]
        assert target.getvalue() == large.read_bytes()

    def test_a_small_upload_that_is_cut(self, relay, store):
        """A create whose answer is lost is no object that was there before."""
        relay.once(CutUpload(2), self.is_upload)
        store.put(KEY, b"content", create=True)
        relay.once(CutDownload(0), self.is_upload)
        store.put("backups/b/other", b"content", create=True)

        assert store.stat(KEY).size == store.stat("backups/b/other").size == 7

    @pytest.mark.parametrize("after", [0, 1000, 600_000])
    def test_a_download_that_is_cut(self, relay, store, large, after):
        """It is asked for again and is whole; no byte comes twice."""
        store.put(KEY, large)
        left = relay.once(CutDownload(after), self.is_read, times=2)

        store.get(KEY, target := io.BytesIO())

        assert left == [0]
        assert target.getvalue() == large.read_bytes()

    def test_connections_that_are_always_cut(self, relay, store, errors, large):
        """A download that never gets through ends as one, with nothing made up."""
        store.put(KEY, large)
        relay.always(CutDownload(1000), self.is_read)

        with errors.expected(StoreUnavailableError):
            store.get(KEY, target := io.BytesIO())

        assert large.read_bytes().startswith(target.getvalue())

    # --- other people's objects -------------------------------------------------------

    def test_a_million_foreign_objects(self, relay, store):
        """Opening a location and listing its backups read no foreign key."""
        relay.rules.append(lambda asked: self.page(asked, FOREIGN))

        assert BackupStore(store).list() == []
        assert list(store.list("backups/")) == []
        assert list(store.list_prefixes("")) == ["data/"]
        check = validate_object_store(store, write=False)

        assert check.problems[0].endswith("lie below the prefix: data")
        assert len(relay.seen) < 15

    def test_a_long_list_holds_one_page(self, relay, store):
        """What was listed is not kept, and no page is asked for in vain."""
        relay.rules.append(lambda asked: self.page(asked, FOREIGN))
        held, pages = [], []
        found = store.list("data/")
        next(found)
        assert len(relay.seen) == 1
        tracemalloc.start()
        try:
            for number, _ in enumerate(found, 2):
                if number in {3 * PAGE, 15 * PAGE}:
                    gc.collect()
                    held.append(tracemalloc.get_traced_memory()[0])
                    pages.append(len(relay.seen))
                    relay.seen.clear()
                if len(held) == 2:
                    break
        finally:
            tracemalloc.stop()

        assert pages == [3, 12]
        assert held[1] - held[0] < 100 * 12 * PAGE  # bytes: of no object anything stays


class PrivateTLS:
    """A server's certificate that no public authority knows.

    Attributes:
        server: A context to serve with.
        pem: What has to be trusted.
        other: A certificate of somebody else.
    """

    def __init__(self, file, pem, other):
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(file)
        self.pem, self.other = pem, other
