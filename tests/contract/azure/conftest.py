"""The store in Azure that the tests of this directory look at."""

import pytest

from kbackup_plugins_azure import open_blob_store


@pytest.fixture
def store(azurite, container):
    """Open a store of an empty container, with small blocks."""
    store = open_blob_store(azurite.config(container, blockSizeInBytes="262144"))
    yield store
    store.close()


@pytest.fixture
def requests_of(monkeypatch):
    """The requests that are sent: method, what is asked, and headers."""
    from azure.core.pipeline.transport import RequestsTransport  # noqa: PLC0415

    sent = []
    real = RequestsTransport.send

    def send(self, request, **options):
        """Write the request down and send it."""
        query = request.url.partition("?")[2]
        named = [
            part for part in query.split("&") if part.startswith(("comp=", "marker="))
        ]
        sent.append((request.method, "&".join(sorted(named)), dict(request.headers)))
        return real(self, request, **options)

    monkeypatch.setattr(RequestsTransport, "send", send)
    return sent
