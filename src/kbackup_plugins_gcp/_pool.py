"""The connections to one server: how many are kept, by which proxy, whom they trust.

urllib3's, which the threads that ask share: each sends and reads by itself.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from kbackup.errors import InvalidConfigError

CONNECT_SECONDS = 5
READ_SECONDS = 60  # of one read or write; what a call takes in all is for Timeouts

_KEPT = 64  # connections, for as many threads; more are made and not kept


def open_pool(endpoint: str, ca_cert: str) -> Any:
    """Return a pool for the server at *endpoint*; the network is not touched yet.

    Args:
        endpoint: Its address.
        ca_cert: PEM; nothing else is trusted for the server then.

    Raises:
        InvalidConfigError: There is no certificate in *ca_cert*, or the proxy that the
            environment names is of a kind that is unknown.
    """
    import urllib3  # noqa: PLC0415 - costs 80 ms

    options: dict[str, Any] = {"maxsize": _KEPT}
    if not endpoint.startswith("http://"):
        options["ssl_context"] = _tls(ca_cert)
    proxy = _proxy(endpoint)
    manager = _through(proxy, options) if proxy else urllib3.PoolManager(**options)
    manager.pool_classes_by_scheme = {
        scheme: _patient(pool)
        for scheme, pool in manager.pool_classes_by_scheme.items()
    }
    return manager


def _tls(ca_cert: str) -> Any:
    """Return a context that trusts what the system trusts, or one certificate."""
    import ssl  # noqa: PLC0415 - costs 15 ms

    try:
        return ssl.create_default_context(cadata=ca_cert or None)
    except ssl.SSLError as exc:
        raise InvalidConfigError("caCert of the location is no certificate") from exc


def _proxy(endpoint: str) -> str:
    """Return the proxy that the environment names for a server, as for every SDK."""
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - costs 30 ms

    server = urlsplit(endpoint)
    if proxy_bypass(server.hostname or ""):
        return ""
    known = getproxies()
    proxy = known.get(server.scheme) or known.get("all", "")
    return proxy if "://" in proxy or not proxy else f"http://{proxy}"


def _through(proxy: str, options: dict[str, Any]) -> Any:
    """Return a pool that asks a proxy, with the name and password in its address."""
    import urllib3  # noqa: PLC0415 - costs 80 ms

    parts = urlsplit(proxy)
    headers = None
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers = urllib3.make_headers(proxy_basic_auth=login)
    try:
        return urllib3.ProxyManager(proxy, proxy_headers=headers, **options)
    except (urllib3.exceptions.HTTPError, ValueError):  # which show the address
        raise InvalidConfigError(
            "the proxy that the environment names cannot be used: it is no address of "
            "http:// or https://"
        ) from None


class _PatientConnection:
    """Has as much time to send as to read: urllib3 sends under the time to connect."""

    sock: Any

    def send(self, data: Any) -> None:
        """Send a block, over a connection that is made first if there is none."""
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined] # http.client's, as below
        self.sock.settimeout(READ_SECONDS)
        super().send(data)  # type: ignore[misc]


def _patient(pool: type[Any]) -> type[Any]:
    connection = type("Connection", (_PatientConnection, pool.ConnectionCls), {})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})
