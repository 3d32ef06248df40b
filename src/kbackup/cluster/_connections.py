"""The connections to one API server: pooled ones for requests, single ones for streams.

They are set up by the `kubernetes` client's own reader of its settings, so that TLS,
client certificates and proxies are as with the client, and the same for both. Made by
`_transport`, anew for each client certificate.
"""

from __future__ import annotations

import copy
import socket
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import (
    ClosedPoolError,
    ConnectTimeoutError,
    HTTPError,
    ProxyError,
)
from urllib3.util.ssl_ import create_urllib3_context

from kbackup.cluster._addresses import require_url
from kbackup.cluster._exchange import Exchange, SteadySocket, make_obedient
from kbackup.cluster._proxies import require_socks, unusable_proxy
from kbackup.errors import InvalidConfigError

# urllib3 would sleep on Retry-After, deaf to the cancel token.
_ONCE = urllib3.Retry.from_int(retries=False, redirect=False)


class Connections:
    """Connections to one server with one client certificate; shared between threads."""

    def __init__(self, configuration: Any, size: int) -> None:
        """Open none yet; keep at most *size* of them later.

        Raises:
            InvalidConfigError: The settings do not fit together.
        """
        configuration = copy.copy(configuration)
        configuration.connection_pool_maxsize = size
        configuration.retries = None
        require_url(configuration.host)
        self.server: str = configuration.host.rstrip("/")
        try:
            url = urlsplit(self.server)
            self._address = (url.hostname or "", url.port)
            self._manager = _make_manager(configuration)
            self._pool = self._manager.connection_from_url(self.server)
        except (OSError, ValueError, HTTPError) as exc:
            told = f"no connection pool for {configuration.host}"
            raise InvalidConfigError(told) from exc
        self._is_tls = url.scheme == "https"
        # A proxy that makes no tunnel, as for plain HTTP, is sent the whole address.
        forwards = self._manager.proxy is not None and not self._is_tls
        self._prefix = self.server if forwards else url.path

    def request(
        self,
        method: str,
        target: str,
        *,
        body: bytes | None,
        headers: Mapping[str, str],
        exchange: Exchange,
    ) -> urllib3.BaseHTTPResponse:
        """Send one request, once; return the answer with its body unread.

        Goes past the pool manager, which would look for the pool of each URL again.

        Raises:
            Cancelled: The run is to stop; so may reading the body.
        """
        how: dict[str, Any] = {
            "body": body,
            "headers": headers,
            "retries": _ONCE,
            "redirect": False,
            "assert_same_host": False,
            "preload_content": False,
            "timeout": urllib3.Timeout(
                connect=exchange.connect_timeout, read=exchange.read_timeout
            ),
        }
        with exchange:
            try:
                return self._pool.urlopen(method, self._prefix + target, **how)
            except ClosedPoolError:  # cleared meanwhile; nothing was sent
                self._pool = self._manager.connection_from_url(self.server)
                return self._pool.urlopen(method, self._prefix + target, **how)
            except ProxyError as exc:
                # Of a proxy that is given up urllib3 says this only where the thread
                # that was connecting has closed the connection before it looks.
                if isinstance(exc.original_error, ConnectTimeoutError):
                    raise exc.original_error from None  # whose cause it is
                raise

    def open_socket(self, exchange: Exchange) -> socket.socket:
        """Open a connection outside the pool, through TLS and proxies as in it.

        The caller closes it. Only connecting obeys *exchange*.
        """
        pool = self._manager.connection_from_url(self.server)
        connection = pool._new_conn()  # noqa: SLF001 - all that is set for the pool
        connection.timeout = exchange.connect_timeout
        try:
            with exchange:
                if pool.proxy is None:
                    connection.connect()
                elif self._is_tls:
                    pool._prepare_proxy(connection)  # noqa: SLF001 - as the pool does
                else:
                    host, port = self._address
                    connection.set_tunnel(host, port or 80, pool.proxy_headers)
                    connection.connect()
        except BaseException:
            connection.close()
            raise
        opened: socket.socket = connection.sock  # type: ignore[attr-defined] # of http.client
        return opened

    def clear(self) -> None:
        """Close idle connections; those in use close with their answers."""
        self._manager.clear()  # first, so that the next request makes a new pool
        self._pool.close()


def _make_manager(configuration: Any) -> urllib3.PoolManager:
    from kubernetes.client.rest import RESTClientObject  # noqa: PLC0415 - 0.4 s

    if configuration.proxy:
        require_socks(configuration.proxy)
    try:
        manager: urllib3.PoolManager = RESTClientObject(configuration).pool_manager
    except (ValueError, HTTPError):  # may quote a login
        raise unusable_proxy(configuration.proxy) from None
    if manager.proxy is not None and not manager.proxy.host:
        raise unusable_proxy(configuration.proxy)
    make_obedient(manager)
    _check_certificates(manager, configuration)
    return manager


def _check_certificates(manager: urllib3.PoolManager, configuration: Any) -> None:
    """Let `_tls_context` say how; each connection has a context of its own.

    urllib3 loads the client's certificate into it whenever it connects. In one that
    other threads connect with, OpenSSL frees what they are reading: the process dies.
    """
    classes = manager.pool_classes_by_scheme
    shared: Any = classes["https"]

    class Pool(shared):  # type: ignore[misc] # a class that is known at run time
        def _new_conn(self) -> Any:
            connection = super()._new_conn()
            connection.ssl_context = _tls_context(configuration)
            of_proxy = connection.proxy_config
            if of_proxy is not None and of_proxy.ssl_context is None:
                context = _proxy_context(configuration)
                connection.proxy_config = of_proxy._replace(ssl_context=context)
            return connection

    manager.pool_classes_by_scheme = {**classes, "https": Pool}


def _tls_context(configuration: Any) -> ssl.SSLContext:
    """How certificates are checked: their chain, dates and names, as kubectl does.

    Python 3.13 also asks for extensions that the CAs of many clusters do not have.
    """
    checks = ssl.CERT_REQUIRED if configuration.verify_ssl else ssl.CERT_NONE
    context = create_urllib3_context(cert_reqs=checks)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.sslsocket_class = SteadySocket
    if not configuration.ssl_ca_cert:  # else urllib3 loads what is named
        context.load_default_certs()
    return context


def _proxy_context(configuration: Any) -> ssl.SSLContext:
    """The same for a proxy with TLS, of which urllib3 names no CA to a context."""
    context = _tls_context(configuration)
    if configuration.ssl_ca_cert:
        context.load_verify_locations(configuration.ssl_ca_cert)
    return context
