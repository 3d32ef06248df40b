"""The connections of a store in Azure, and what they trust."""

from __future__ import annotations

import ssl
from typing import Any

_CONNECTIONS = 50  # of one store: all workers of a run and the parts of an upload
_READ_AT_ONCE = 4 << 20  # bytes: what is cut is put together again, and so copied


def open_transport(ca_cert: str) -> tuple[Any, Any]:
    """Return a session and the SDK's transport over it, for the account and for tokens.

    A session of ours, because only that can trust a certificate that is in no file, and
    keeps a connection for each thread.

    Args:
        ca_cert: PEM, trusted beside what the system trusts; may be empty.
    """
    from azure.core.pipeline.transport import RequestsTransport  # noqa: PLC0415 - the SDK

    session = _session(ca_cert)
    transport = RequestsTransport(
        session=session,
        session_owner=False,
        connection_timeout=5,
        read_timeout=60,  # of one read; what a call takes in all is for Timeouts
        connection_data_block_size=_READ_AT_ONCE,
    )
    return session, transport


def _session(ca_cert: str) -> Any:
    from http.cookiejar import DefaultCookiePolicy  # noqa: PLC0415 - comes with the SDK

    from requests import Session  # noqa: PLC0415 - comes with the SDK

    session = Session()  # takes a proxy from the environment, as the other providers do
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    session.headers["Accept-Encoding"] = "identity"
    session.auth = _as_signed
    trusted = ssl.create_default_context()
    if ca_cert:
        trusted.load_verify_locations(cadata=ca_cert)
    for scheme in ("http://", "https://"):
        session.mount(scheme, _adapter(trusted))
    return session


def _as_signed(request: Any) -> Any:
    """Leave a request as the SDK signed it: requests would look into ``~/.netrc``."""
    return request


def _adapter(trusted: ssl.SSLContext) -> Any:
    """Return what keeps connections for all threads and trusts what *trusted* does."""
    from requests.adapters import HTTPAdapter  # noqa: PLC0415 - comes with the SDK

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, ssl_context=trusted, **options)

        def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
            return super().proxy_manager_for(proxy, ssl_context=trusted, **options)

        def cert_verify(self, *_: Any) -> None:
            """Load no other certificates for each connection."""

    return Adapter(pool_maxsize=_CONNECTIONS)
