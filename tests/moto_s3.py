"""moto's S3 on a loopback port, as those tests want it that speak to a bucket."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import attrs
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


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
