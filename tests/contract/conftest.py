"""An S3 server on a loopback port, for as long as the tests run."""

from __future__ import annotations

import threading
import uuid

import attrs
import pytest
from botocore.session import Session
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


@pytest.fixture(scope="session")
def s3_server():
    """Run moto's S3 in a thread of the tests, on a port that the system picked."""

    class Silent(WSGIRequestHandler):
        def log(self, *args):
            pass

    application = OneAtATime(DomainDispatcherApplication(create_backend_app))
    server = make_server(
        "127.0.0.1", 0, application, threaded=True, request_handler=Silent
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield S3Server(f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def s3_credentials(monkeypatch):
    """Give the environment the credentials that moto takes: any."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def s3_client(s3_server, s3_credentials):
    """Speak plain S3 to the server, to look at what is there."""
    client = Session().create_client(
        "s3", endpoint_url=s3_server.url, region_name="us-east-1"
    )
    yield client
    client.close()


@pytest.fixture
def bucket_maker(s3_client):
    """Make buckets with options of their own; each call returns the name of one."""

    def make(**options):
        name = f"bucket-{uuid.uuid4()}"
        s3_client.create_bucket(Bucket=name, **options)
        return name

    return make


@pytest.fixture
def s3_bucket(bucket_maker):
    """Make an empty bucket of its own for each test."""
    return bucket_maker()
