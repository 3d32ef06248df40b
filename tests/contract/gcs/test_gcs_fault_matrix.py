"""Every fault on the way to Cloud Storage; see `FaultMatrix`."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fault_matrix import KEY, PAGE, FaultMatrix
from http_relay import CutUpload, Reply, relaying
from kbackup.errors import StoreUnavailableError
from kbackup_plugins_gcp import open_gcs_store


def refusal(status, reason, message="no"):
    """An answer of Cloud Storage."""
    error = {"code": status, "message": message, "errors": [{"reason": reason}]}
    return Reply(status, json.dumps({"error": error}))


def no_token(description):
    """An answer of the server that gives tokens."""
    error = {"error": "invalid_grant", "error_description": description}
    return Reply(400, json.dumps(error), (("Content-Type", "application/json"),))


class TestGCS(FaultMatrix):
    """The faults of Cloud Storage."""

    open_store = staticmethod(open_gcs_store)
    scheme = "gs"
    refusals = {  # noqa: RUF012 - a table of the suite
        "wrong credentials": (
            refusal(401, "authError", "Invalid Credentials"),
            "Invalid Credentials",
        ),
        "expired": (no_token("Token has been expired or revoked."), "expired"),
        "clock": (
            no_token("Invalid JWT: Check your iat and exp values in the JWT claim."),
            "clock of this machine",
        ),
    }
    forbidden = {  # noqa: RUF012
        "put": "storage.objects.create is not allowed",
        "get": "storage.objects.get is not allowed",
        "list": "storage.objects.list is not allowed",
        "delete": "storage.objects.delete is not allowed",
    }
    throttled = (
        refusal(503, "backendError"),
        refusal(429, "rateLimitExceeded"),
        refusal(403, "userRateLimitExceeded"),
        Reply(429, "busy"),
    )

    @pytest.fixture
    def upstream(self, gcs_server):
        """The emulator."""
        parts = urlsplit(gcs_server.url)
        return parts.hostname, parts.port

    @pytest.fixture
    def bucket(self, gcs_bucket):
        """An empty bucket."""
        return gcs_bucket

    @pytest.fixture
    def tokens(self, upstream):
        """A relay to the server that gives tokens."""
        with relaying(upstream) as relay:
            yield relay

    @pytest.fixture
    def refusing(self, relay, tokens):
        """Tokens are refused where they are given, but for those that seem good."""
        return lambda fault: relay if fault == "wrong credentials" else tokens

    @pytest.fixture
    def base(self, bucket, key_file, tokens):
        """The config without the server."""
        file = Path(key_file)
        info = {**json.loads(file.read_text()), "token_uri": f"{tokens.url}/token"}
        file.write_text(json.dumps(info))
        return {"bucket": bucket, "credentialsFile": key_file}

    @pytest.fixture
    def secrets(self, google_key):
        """What the key file has of secrets, and the tokens of the emulator."""
        return (*google_key.splitlines()[1:-1], "Bearer token-", "'token-")

    @pytest.fixture
    def nobody(self, monkeypatch):
        """A server that wants credentials, and none found."""
        monkeypatch.setattr(
            "google.auth.compute_engine._metadata.is_on_gce", lambda request: False
        )
        return {"credentialsFile": None, "storeEndpoint": "https://127.0.0.1:1"}

    def test_an_upload_that_does_not_begin(self, relay, store, errors, large):
        """A server that says not where the pieces go is one that does not answer."""
        begins = {"uploadType": "resumable"}
        relay.always(
            Reply(200, "{}"), lambda asked: begins.items() <= asked.query.items()
        )

        with errors.expected(StoreUnavailableError, "began no upload"):
            store.put(KEY, large)

    def test_an_upload_that_does_not_go_on(self, relay, store, errors, large):
        """A server that takes no piece is not sent them for ever."""
        relay.always(Reply(308), lambda asked: asked.method == "PUT")

        with errors.expected(StoreUnavailableError, "took no piece"):
            store.put(KEY, large)

    def test_no_way_to_who_gives_tokens(self, tokens, relay, store, errors):
        """Who renews credentials and is away may come back; the bucket is not asked."""
        tokens.always(CutUpload(0))

        with errors.expected(StoreUnavailableError):
            store.stat(KEY)

        assert relay.seen == []

    def place(self, url):
        """Return the config for a server."""
        return {"storeEndpoint": url}

    def verb_of(self, asked):
        """Return which verb asks so."""
        if asked.method == "GET":
            return "list" if asked.path.endswith("/o") else "get"
        return {"PUT": "put", "POST": "put", "DELETE": "delete"}[asked.method]

    def forbids(self, verb, asked):
        """Refuse a verb, by a server that does not name the permission."""
        return refusal(403, "forbidden") if self.verb_of(asked) == verb else None

    def is_read(self, asked):
        """Tell reads."""
        return asked.query.get("alt") == "media"

    def not_found(self):
        """Return the answer about a missing object."""
        return refusal(404, "notFound", "No such object")

    def no_bucket(self):
        """Return Google's own answer: the emulator's has no message."""
        return refusal(404, "notFound", "The specified bucket does not exist.")

    def page(self, asked, foreign):
        """Return a page of a large bucket."""
        if self.verb_of(asked) != "list":
            return self.not_found()
        prefix, content = asked.query.get("prefix", ""), {}
        if not prefix and asked.query.get("delimiter") == "/":
            content = {"prefixes": ["data/"]}
        elif "data/".startswith(prefix):
            begin = int(asked.query.get("pageToken", "0"))
            end = min(begin + PAGE, foreign)
            items = [
                {"name": f"data/{number:09}", "size": "1", "generation": "1"}
                for number in range(begin, end)
            ]
            more = {"nextPageToken": str(end)} if end < foreign else {}
            content = {"items": items, **more}
        return Reply(200, json.dumps(content))
