"""The connections of a store or a snapshotter in Azure, and what they trust."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from kbackup.stores import redact_logs

_CONNECTIONS = 50  # of one of them: all workers of a run and the parts of an upload
_SIGNATURE = re.compile(r"""((?:^|[?&\s])sig=)[^&\s'")]+""", re.IGNORECASE)
_READ_AT_ONCE = 4 << 20  # bytes: what is cut is put together again, and so copied


def open_transport(ca_cert: str, query: str = "") -> tuple[Any, Any]:
    """Return a session and the SDK's transport over it, for the account and for tokens.

    A session of ours, because only that can trust a certificate that is in no file, and
    keeps a connection for each thread.

    Args:
        ca_cert: PEM, trusted beside what the system trusts; may be empty.
        query: A shared access signature that every request is to bear. The SDK does not
            know it, so that it shows in no log or error of its own.
    """
    session = _session(ca_cert, query)
    return session, _transport(session)


def open_manager_transport() -> tuple[Any, Any]:
    """Return a session and the SDK's transport over it, for the resource manager.

    What it trusts is for requests to say, which knows ``REQUESTS_CA_BUNDLE``.
    """
    from requests import Session  # noqa: PLC0415 - comes with the SDK
    from requests.adapters import HTTPAdapter  # noqa: PLC0415

    session = Session()
    session.auth = _as_it_is
    session.mount("https://", HTTPAdapter(pool_maxsize=_CONNECTIONS))
    return session, _transport(session)


def _transport(session: Any) -> Any:
    from azure.core.pipeline.transport import RequestsTransport  # noqa: PLC0415 - the SDK

    return RequestsTransport(
        session=session,
        session_owner=False,
        connection_timeout=5,
        read_timeout=60,  # of one read; what a call takes in all is for Timeouts
        connection_data_block_size=_READ_AT_ONCE,
    )


def _session(ca_cert: str, query: str) -> Any:
    """Return a session that sends what the SDK has signed as it is.

    requests would go through all of it again, and for each request look for a proxy in
    the environment and for a password in ``~/.netrc``: a quarter of its time.
    """
    from requests import PreparedRequest, Session  # noqa: PLC0415 - comes with the SDK
    from requests.structures import CaseInsensitiveDict  # noqa: PLC0415
    from requests.utils import get_environ_proxies  # noqa: PLC0415

    proxies: dict[tuple[str, str], Any] = {}

    class SignedSession(Session):
        def request(self, *asked: Any, **given: Any) -> Any:
            method, url = asked
            if given.get("files") or isinstance(given.get("data"), Mapping):
                return super().request(method, url, **given)  # to get a token
            signed = PreparedRequest()
            signed.method, signed.body = method, given.get("data")
            signed.url = _with_query(url, query)
            signed.headers = CaseInsensitiveDict(given.get("headers") or {})
            place = urlsplit(url)[:2]
            if place not in proxies:
                proxies[place] = get_environ_proxies(url)
            stream = bool(given.get("stream"))
            answer = _send(
                self.get_adapter(url),
                signed,
                query,
                stream=stream,
                timeout=given.get("timeout"),
                proxies=proxies[place],
            )
            if not stream:
                answer.content  # noqa: B018 - reads it, and frees the connection
            return answer

    if query:
        redact_logs(["urllib3.connectionpool"], ["sig"])
    session = SignedSession()
    session.auth = _as_it_is
    adapter = _adapter(ca_cert)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _with_query(url: str, query: str) -> str:
    if not query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{query}"


def _send(adapter: Any, signed: Any, query: str, **options: Any) -> Any:
    """Send a request; no error holds the query, which is in the address that it names."""
    from requests import RequestException  # noqa: PLC0415 - comes with the SDK

    try:
        return adapter.send(signed, **options)
    except RequestException as exc:
        if not query:
            raise
        failed = exc
    # Not in the handler: it would be the context of the other.
    raise _without(query, failed) from _certificate(failed)


def _without(query: str, failed: Any) -> Exception:
    """Return an error that does not hold the query, which is in the address it names.

    There it may be written otherwise than it was given: urllib3 has escapes of its own.
    """
    text = _SIGNATURE.sub(r"\1***", str(failed).replace(query, "***"))
    error: Exception = type(failed)(text)
    return error


def _certificate(exc: BaseException | None) -> BaseException | None:
    """Return the refusal of a certificate that an error is about, if it is."""
    return next(filter(_is_certificate, _causes(exc)), None)


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__


def _is_certificate(exc: BaseException) -> bool:
    return isinstance(exc, ssl.SSLCertVerificationError)


def _as_it_is(request: Any) -> Any:
    """Sign a request by nothing more: requests would by ``~/.netrc``, over a token."""
    return request


def _adapter(ca_cert: str) -> Any:
    """Return what keeps the connections."""
    from requests.adapters import HTTPAdapter  # noqa: PLC0415 - comes with the SDK

    trusted = ssl.create_default_context()
    if ca_cert:
        trusted.load_verify_locations(cadata=ca_cert)

    class TrustingAdapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, ssl_context=trusted, **options)

        def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
            return super().proxy_manager_for(proxy, ssl_context=trusted, **options)

        def cert_verify(self, *_: Any) -> None:
            """Load no other certificates for each connection."""

    return TrustingAdapter(pool_maxsize=_CONNECTIONS)
