"""moto's S3 on a loopback port, as those tests want it that speak to a bucket."""

from __future__ import annotations

import hashlib
import hmac
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

import attrs
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

SECRET = "testing"


@attrs.frozen
class S3Server:
    """A moto server: where it is, and what its location's config says."""

    url: str

    def config(self, bucket, **more):
        """Return the provider's configuration for a bucket."""
        return {
            "bucket": bucket,
            "region": "us-east-1",
            "s3Url": self.url,
            "s3ForcePathStyle": "true",
            **more,
        }


class OneAtATime:
    """A WSGI application whose requests wait for each other.

    moto looks whether a key is free and takes it in two steps; S3 does it in one.
    """

    def __init__(self, application):
        """Serialise *application*."""
        self._application = application
        self._lock = threading.Lock()

    def __call__(self, environ, start_response):
        with self._lock:
            return list(self._application(environ, start_response))


class SignedAddresses:
    """A WSGI application that refuses addresses whose signature or time does not fit.

    moto serves whatever is asked for, by whomever.
    """

    def __init__(self, application, secret=SECRET):
        """Put it in front of *application*; the key of all who sign is *secret*."""
        self._application = application
        self._secret = secret

    def __call__(self, environ, start_response):
        query = dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))
        given = query.pop("X-Amz-Signature", None)
        if given is None:
            allowed = "HTTP_AUTHORIZATION" in environ
        else:
            allowed = hmac.compare_digest(given, self._signature(environ, query))
            allowed = allowed and _is_valid(query)
        if allowed:
            return self._application(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/xml")])
        return [b"<Error><Code>AccessDenied</Code></Error>"]

    def _signature(self, environ, query):
        """Sign what was asked as Amazon does, version 4."""
        _, day, region, service, last = query["X-Amz-Credential"].rsplit("/", 4)
        path = environ["REQUEST_URI"].partition("?")[0]
        asked = "&".join(
            f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}"
            for key, value in sorted(query.items())
        )
        canonical = [environ["REQUEST_METHOD"], path, asked]
        canonical += [f"host:{environ['HTTP_HOST']}", "", "host", "UNSIGNED-PAYLOAD"]
        digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
        scope = f"{day}/{region}/{service}/{last}"
        text = f"AWS4-HMAC-SHA256\n{query['X-Amz-Date']}\n{scope}\n{digest}"
        key = f"AWS4{self._secret}".encode()
        for part in (day, region, service, last, text):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key.hex()


def _is_valid(query):
    """Tell whether the time of a signed address is not over."""
    since = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    end = since + timedelta(seconds=int(query["X-Amz-Expires"]))
    return datetime.now(UTC) < end


class _Silent(WSGIRequestHandler):
    def log(self, *args):
        pass


@contextmanager
def running_s3(front=lambda application: application, **options):
    """Run moto's S3 in a thread of the tests, on a port that the system picked.

    Args:
        front: Returns what answers in front of moto.
        options: Of werkzeug's server, such as ``ssl_context``.
    """
    with serving(front(moto()), **options) as url:
        yield S3Server(url)


def moto():
    """All of moto's services as one WSGI application."""
    return OneAtATime(DomainDispatcherApplication(create_backend_app))


@contextmanager
def serving(application, **options):
    """Serve a WSGI application on loopback and give its address."""
    server = make_server(
        "127.0.0.1", 0, application, threaded=True, request_handler=_Silent, **options
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    scheme = "https" if options.get("ssl_context") else "http"
    yield f"{scheme}://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
