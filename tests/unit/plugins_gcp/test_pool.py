"""The connections of the store in Cloud Storage."""

import socket

import pytest

from kbackup.errors import InvalidConfigError
from kbackup_plugins_gcp._pool import READ_SECONDS, open_pool


def test_as_much_time_to_send_as_to_read():
    """A slow upload is not given up after the time that a connection may take."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        pool = open_pool(url, "")
        connection = pool.connection_from_url(url)._new_conn()
        connection.timeout = 1

        connection.send(b"x")

        assert connection.sock.gettimeout() == READ_SECONDS
        connection.close()
        pool.clear()


def test_a_certificate_that_is_none():
    """A caCert that holds something else is told when the store is opened."""
    with pytest.raises(InvalidConfigError, match="caCert"):
        open_pool("https://storage.example", "no certificate")


@pytest.mark.parametrize(
    ("variable", "proxy"),
    [
        ("https_proxy", "socks5://me:s3cret@proxy:1080"),
        ("all_proxy", "ftp://me:s3cret@proxy"),
        ("https_proxy", "http://me:s3cret@proxy:port"),
    ],
)
def test_a_proxy_that_cannot_be_used(monkeypatch, variable, proxy):
    """A proxy of another kind is refused, and its password not repeated."""
    monkeypatch.setenv(variable, proxy)

    with pytest.raises(InvalidConfigError, match="proxy") as caught:
        open_pool("https://storage.example", "")

    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("variable", "value", "proxy"),
    [
        ("https_proxy", "http://proxy:3128", "http://proxy:3128"),
        ("https_proxy", "proxy:3128", "http://proxy:3128"),
        ("all_proxy", "http://proxy:3128", "http://proxy:3128"),
        ("http_proxy", "http://proxy:3128", None),
    ],
)
def test_which_proxy(monkeypatch, variable, value, proxy):
    """The proxy is the one for the server's scheme, or for all of them."""
    monkeypatch.setenv(variable, value)

    pool = open_pool("https://storage.example", "")

    assert (pool.proxy and pool.proxy.url) == proxy
