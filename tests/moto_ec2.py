"""moto's EC2 on a loopback port, with a gate that refuses, cuts and records requests."""

from __future__ import annotations

import io
import socket
import threading
from contextlib import contextmanager
from urllib.parse import parse_qs

import attrs

from moto_s3 import moto, serving

_REFUSAL = """<?xml version="1.0" encoding="UTF-8"?>
<Response><Errors><Error><Code>{}</Code><Message>not now</Message></Error></Errors>
<RequestID>1</RequestID></Response>"""


@attrs.define
class Gate:
    """A WSGI application before moto's.

    Attributes:
        refusals: How many requests that come next are refused as too many.
        code: The error that a refused request gets.
        status: Its HTTP status.
        lost: Actions that are carried out, and whose answer is lost.
        requests: The parameters of all requests that were let through, and who signed
            them.
    """

    application: object
    refusals: int = 0
    code: str = "RequestLimitExceeded"
    status: str = "503 Service Unavailable"
    lost: set[str] = attrs.field(factory=set)
    requests: list[dict[str, str]] = attrs.field(factory=list)
    lock: threading.Lock = attrs.field(factory=threading.Lock)

    def __call__(self, environ, start_response):
        """Let a request through, or answer in moto's place."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        asked = {name: given[0] for name, given in parse_qs(body.decode()).items()}
        asked["signed"] = environ.get("HTTP_AUTHORIZATION", "")
        with self.lock:
            if self.refusals > 0:
                self.refusals -= 1
                start_response(self.status, [("Content-Type", "text/xml")])
                return [_REFUSAL.format(self.code).encode()]
            self.requests.append(asked)
        answer = self.application(environ, start_response)
        if asked.get("Action") in self.lost:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return answer

    def named(self, action):
        """Return the requests for an action."""
        return [each for each in self.requests if each.get("Action") == action]


@attrs.frozen
class EC2Server:
    """A moto server: where it is, what stands before it, what a location says."""

    url: str
    gate: Gate

    def config(self, **more):
        """Return the provider's configuration of a volume snapshot location."""
        return {"region": "us-east-1", "ec2Url": self.url, **more}


@contextmanager
def running_ec2():
    """Run moto's EC2 in a thread of the tests, on a port that the system picked."""
    gate = Gate(moto())
    with serving(gate) as url:
        yield EC2Server(url, gate)
