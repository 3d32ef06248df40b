"""Every fault on the way to Azure; see `FaultMatrix`."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from azurite import ACCOUNT, KEY, KEY_VARIABLE
from fault_matrix import PAGE, FaultMatrix
from http_relay import Reply
from kbackup_plugins_azure import open_blob_store

XML = ("Content-Type", "application/xml")


def refusal(status, code):
    """An answer of Azure."""
    body = (
        f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>"
    )
    return Reply(status, body, (XML, ("x-ms-error-code", code)))


class TestAzure(FaultMatrix):
    """The faults of Azure."""

    open_store = staticmethod(open_blob_store)
    scheme = "az"
    missing = "no-such-container"
    refusals = {  # noqa: RUF012 - a table of the suite
        "wrong credentials": (
            refusal(403, "AuthenticationFailed"),
            "key of the account",
        ),
        "expired": (refusal(401, "InvalidAuthenticationInfo"), "expired"),
        "clock": (refusal(403, "AuthenticationFailed"), "machine's clock"),
    }
    forbidden = {  # noqa: RUF012
        "put": "to write it: ",
        "get": "to read it: ",
        "list": "to list the container: ",
        "delete": "to delete it: ",
    }
    throttled = (
        refusal(503, "ServerBusy"),
        refusal(500, "OperationTimedOut"),
        Reply(429, "busy"),
    )

    @pytest.fixture
    def upstream(self, azurite):
        """Azurite."""
        parts = urlsplit(azurite.url)
        return parts.hostname, parts.port

    @pytest.fixture
    def bucket(self, container):
        """An empty container."""
        return container

    @pytest.fixture
    def base(self, bucket):
        """The config without the server."""
        return {
            "bucket": bucket,
            "storageAccount": ACCOUNT,
            "storageAccountKeyEnvVar": KEY_VARIABLE,
            "blockSizeInBytes": str(4 << 20),
        }

    @pytest.fixture
    def secrets(self):
        """What the environment has of secrets."""
        return (KEY,)

    @pytest.fixture
    def nobody(self, monkeypatch):
        """An identity is to be found, and there is none: the machine has no answer."""
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1")
        return {
            "storageAccountKeyEnvVar": None,
            "useAAD": "true",
            "storageAccountURI": "https://127.0.0.1:1/account",
        }

    def place(self, url):
        """Return the config for a server."""
        return {"storageAccountURI": f"{url}/{ACCOUNT}"}

    def verb_of(self, asked):
        """Return which verb asks so."""
        if asked.method == "GET":
            return "list" if asked.query.get("comp") == "list" else "get"
        return {"PUT": "put", "DELETE": "delete"}.get(asked.method)

    def forbids(self, verb, asked):
        """Refuse a verb."""
        if self.verb_of(asked) == verb:
            return refusal(403, "AuthorizationPermissionMismatch")
        return None

    def is_read(self, asked):
        """Tell reads."""
        return self.verb_of(asked) == "get"

    def not_found(self):
        """Return the answer about a missing object."""
        return refusal(404, "BlobNotFound")

    def page(self, asked, foreign):
        """Return a page of a large container."""
        if self.verb_of(asked) != "list":
            return self.not_found()
        prefix, content, marker = asked.query.get("prefix", ""), "", ""
        if not prefix and asked.query.get("delimiter") == "/":
            content = "<BlobPrefix><Name>data/</Name></BlobPrefix>"
        elif "data/".startswith(prefix):
            begin = int(asked.query.get("marker", "0"))
            end = min(begin + PAGE, foreign)
            marker = str(end) if end < foreign else ""
            content = "".join(
                f"<Blob><Name>data/{number:09}</Name><Properties><Etag>e</Etag>"
                "<Last-Modified>Thu, 01 Jan 2026 00:00:00 GMT</Last-Modified>"
                "<Content-Length>1</Content-Length><BlobType>BlockBlob</BlobType>"
                "</Properties></Blob>"
                for number in range(begin, end)
            )
        body = f"<Blobs>{content}</Blobs><NextMarker>{marker}</NextMarker>"
        results = f"<EnumerationResults>{body}</EnumerationResults>"
        return Reply(200, f"<?xml version='1.0' encoding='utf-8'?>{results}", (XML,))
