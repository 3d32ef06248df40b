"""Every fault on the way to S3; see `FaultMatrix`. What is S3's own: test_s3_faults."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from fault_matrix import PAGE, FaultMatrix
from http_relay import Reply
from kbackup_plugins_aws import open_s3_store

SECRETS = ("the-secret-key", "the-session-token")


def refusal(status, code):
    """An answer of S3."""
    return Reply(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>")


class TestS3(FaultMatrix):
    """The faults of S3."""

    open_store = staticmethod(open_s3_store)
    scheme = "s3"
    refusals = {  # noqa: RUF012 - a table of the suite
        "wrong credentials": (refusal(403, "SignatureDoesNotMatch"), "secret key"),
        "expired": (refusal(400, "ExpiredToken"), "expired: renew"),
        "clock": (refusal(403, "RequestTimeTooSkewed"), "clock of this machine"),
    }
    forbidden = {  # noqa: RUF012
        "put": "s3:PutObject is not allowed",
        "get": "s3:GetObject is not allowed",
        "list": "s3:ListBucket is not allowed",
        "delete": "s3:DeleteObject is not allowed",
    }
    throttled = (
        refusal(503, "SlowDown"),
        refusal(429, "TooManyRequests"),
        Reply(429, "busy"),
        refusal(500, "InternalError"),
    )

    @pytest.fixture
    def upstream(self, s3_server):
        """The server of moto."""
        parts = urlsplit(s3_server.url)
        return parts.hostname, parts.port

    @pytest.fixture
    def bucket(self, s3_bucket):
        """An empty bucket."""
        return s3_bucket

    @pytest.fixture
    def secrets(self, bucket, monkeypatch):
        """What the environment has of secrets."""
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRETS[0])
        monkeypatch.setenv("AWS_SESSION_TOKEN", SECRETS[1])
        return SECRETS

    @pytest.fixture
    def base(self, bucket, secrets):
        """The config without the server."""
        return {"bucket": bucket, "region": "us-east-1", "s3ForcePathStyle": "true"}

    @pytest.fixture
    def nobody(self, base, monkeypatch):
        """An environment without credentials."""
        for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"):
            monkeypatch.delenv(f"AWS_{name}")
        return {}

    def place(self, url):
        """Return the config for a server."""
        return {"s3Url": url}

    def verb_of(self, asked):
        """Return which verb asks so."""
        if asked.method == "GET":
            return "list" if "list-type" in asked.query else "get"
        return {"PUT": "put", "POST": "put", "DELETE": "delete"}.get(asked.method)

    def forbids(self, verb, asked):
        """Refuse a verb."""
        return refusal(403, "AccessDenied") if self.verb_of(asked) == verb else None

    def is_read(self, asked):
        """Tell reads."""
        return self.verb_of(asked) == "get"

    def not_found(self):
        """Return the answer about a missing object."""
        return refusal(404, "NoSuchKey")

    def page(self, asked, foreign):
        """Return a page of a large bucket."""
        if self.verb_of(asked) != "list":
            return self.not_found()
        prefix, more = asked.query.get("prefix", ""), "false"
        content = ""
        if not prefix and asked.query.get("delimiter") == "/":
            content = "<CommonPrefixes><Prefix>data/</Prefix></CommonPrefixes>"
        elif "data/".startswith(prefix):
            begin = int(asked.query.get("continuation-token", "0"))
            end = min(begin + PAGE, foreign)
            more = "true" if end < foreign else "false"
            content = f"<NextContinuationToken>{end}</NextContinuationToken>"
            content += "".join(
                f"<Contents><Key>data/{number:09}</Key><Size>1</Size><ETag>e</ETag>"
                "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
                for number in range(begin, end)
            )
        body = f"<IsTruncated>{more}</IsTruncated>{content}"
        return Reply(200, f"<ListBucketResult>{body}</ListBucketResult>")
