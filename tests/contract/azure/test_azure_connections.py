"""How the store in Azure is connected: threads, proxies, servers that do not answer."""

from __future__ import annotations

import gc
import http.server
import io
import os
import socket
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest

from kbackup.errors import ObjectNotFoundError, StoreError, StoreUnavailableError
from kbackup.stores import RetryPolicy
from kbackup_plugins_azure import open_blob_store

ONCE = RetryPolicy(attempts=1)


def read(store, key, **options):
    """The bytes of an object."""
    target = io.BytesIO()
    store.get(key, target, **options)
    return target.getvalue()


def test_a_server_that_is_not_there(azure_key, requests_of):
    """A refused connection may pass; it is tried again by the store alone."""
    config = {
        "bucket": "container",
        "storageAccount": "account",
        "storageAccountURI": "http://127.0.0.1:1/account",
        "storageAccountKeyEnvVar": "AZURITE_ACCOUNT_KEY",
    }
    store = open_blob_store(config)
    store._retry = RetryPolicy(attempts=3, sleep=lambda _: None)

    with pytest.raises(StoreUnavailableError) as caught:
        store.stat("backups/b/x")

    assert caught.value.retryable
    assert len(requests_of) == 3
    store.close()


def test_sixteen_threads(store):
    """A pool of sixteen threads puts and reads through one store."""

    def work(number):
        store.put(f"backups/b/{number}", bytes([number]) * 1000)
        return read(store, f"backups/b/{number}")

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(work, range(64)))

    assert found == [bytes([number]) * 1000 for number in range(64)]


def test_a_closed_store_holds_nothing(azurite, container):
    """Closing ends the connections, and what nobody names any more is gone."""
    store = open_blob_store(azurite.config(container))
    store.put("backups/b/x", b"x")
    account = store._account
    pools = account._session.get_adapter(azurite.url).poolmanager.pools
    assert len(pools) == 1

    store.close()

    assert len(pools) == 0
    kept = weakref.ref(account)
    del store, account
    gc.collect()
    assert kept() is None


def test_a_fork_is_told(store, monkeypatch):
    """In a child of a fork, whose connections are the parent's, a store is refused."""
    monkeypatch.setattr("os.getpid", lambda: -1)

    with pytest.raises(StoreError, match="fork"):
        store.stat("backups/b/x")


def test_the_environment_does_not_steer(azurite, container, store, monkeypatch):
    """Variables of other tools for Azure say neither where data goes nor who asks."""
    elsewhere = "BlobEndpoint=http://127.0.0.1:1/x;AccountName=x;AccountKey=eA=="
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", elsewhere)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "other")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "eA==")
    before = dict(os.environ)

    other = open_blob_store(azurite.config(container))
    other.put("backups/b/x", b"x")

    assert read(store, "backups/b/x") == b"x"
    assert dict(os.environ) == before
    other.close()


def test_a_server_that_hangs(azure_key):
    """A server that takes the connection and says nothing costs the time that is set."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        store = open_blob_store(
            {
                "bucket": "container",
                "storageAccount": "account",
                "storageAccountURI": f"http://127.0.0.1:{port}/account",
                "storageAccountKeyEnvVar": "AZURITE_ACCOUNT_KEY",
                "requestTimeout": "300ms",
            }
        )

        with pytest.raises(StoreUnavailableError, match=r"no answer within 0\.\d+ s"):
            store.stat("backups/b/x")

        store.close()


class Proxy(http.server.BaseHTTPRequestHandler):
    """Writes down what it is asked for, and by whom, and says that it is not there."""

    asked: ClassVar[list] = []

    def do_GET(self):
        """Answer."""
        self.asked.append((self.path, self.headers["Authorization"]))
        self.send_error(404)

    def log_message(self, *_):
        """Say nothing."""


def test_a_proxy_of_the_environment(azure_key, monkeypatch, tmp_path):
    """A proxy is taken from the environment; a password of ``~/.netrc`` is not."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password geheim")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    config = {
        "bucket": "container",
        "storageAccount": "account",
        "storageAccountURI": "http://account.invalid",
        "storageAccountKeyEnvVar": "AZURITE_ACCOUNT_KEY",
    }
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever).start()
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
        store = open_blob_store(config)
        store._retry = ONCE

        with pytest.raises(ObjectNotFoundError):
            read(store, "backups/b/x")

        store.close()
        server.shutdown()
    ((address, signed),) = Proxy.asked
    assert address == "http://account.invalid/container/backups/b/x"
    assert signed.startswith("SharedKey account:")


INTERRUPTED = """
import os, signal, socket, threading
from kbackup_plugins_azure import open_blob_store

server = socket.create_server(("127.0.0.1", 0))

def interrupt():
    server.accept()
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt).start()
store = open_blob_store({
    "bucket": "container",
    "storageAccount": "account",
    "storageAccountURI": f"http://127.0.0.1:{server.getsockname()[1]}/account",
    "storageAccountKeyEnvVar": "AZURITE_ACCOUNT_KEY",
})
try:
    store.put("backups/b/x", bytes(20 << 20))
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interrupt_leaves_nothing_that_hangs(azure_key):
    """Ctrl-C ends an upload whose server says nothing, and then the program."""
    program = [sys.executable, "-c", INTERRUPTED]

    said = subprocess.run(
        program, check=False, capture_output=True, text=True, timeout=50
    )

    assert (said.stdout, said.stderr, said.returncode) == ("interrupted\n", "", 0)
