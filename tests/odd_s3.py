"""moto's S3 with the ways of other servers: rules in front of it, changed by a test.

A rule is a function of the WSGI environment of a request: it may change it, and may
return an `Answer` that is given instead of moto's.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode

import attrs


@attrs.frozen
class Answer:
    """What a server says instead of doing it.

    Attributes:
        status: Such as ``503 Slow Down``.
        code: The error's code in the body; empty: a body that is no XML.
        more: Further elements of the body.
        headers: Further headers.
    """

    status: str
    code: str = ""
    more: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def send(self, start_response):
        """Give the answer, as a WSGI application does."""
        text = (
            f"<Error><Code>{self.code}</Code><Message>so it is</Message>{self.more}"
            "</Error>"
        )
        headers = [("Content-Type", "application/xml"), *self.headers]
        start_response(self.status, headers)
        return [text.encode() if self.code else b"no answer of S3"]


class OddServer:
    """A WSGI application in front of another one.

    Attributes:
        rules: Asked in their order.
        seen: Method, path and query of every request.
    """

    def __init__(self, application):
        """Put *application* behind no rule."""
        self._application = application
        self.rules = []
        self.seen = []

    def __call__(self, environ, start_response):
        """Answer a request by the first rule that does, else by the application."""
        request = (environ["REQUEST_METHOD"], environ["PATH_INFO"])
        self.seen.append((*request, environ["QUERY_STRING"], dict(environ)))
        for rule in self.rules:
            if answer := rule(environ):
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                body = answer.send(start_response)
                return [] if environ["REQUEST_METHOD"] == "HEAD" else body
        return self._application(environ, start_response)


def refuses_checksums(environ):
    """Older Ceph, NetApp: a checksum header is something not implemented."""
    if any(name.startswith("HTTP_X_AMZ_CHECKSUM_") for name in environ):
        return Answer("501 Not Implemented", "NotImplemented")
    return None


def calls_checksums_invalid(environ):
    """Others: a checksum header is an invalid request."""
    if "HTTP_X_AMZ_SDK_CHECKSUM_ALGORITHM" in environ:
        return Answer("400 Bad Request", "InvalidArgument")
    return None


def refuses_conditions(environ):
    """A server that knows no conditional put, and says so."""
    if environ["REQUEST_METHOD"] == "PUT" and "HTTP_IF_NONE_MATCH" in environ:
        return Answer("501 Not Implemented", "NotImplemented")
    return None


def overlooks_conditions(environ):
    """A server that knows no conditional put, and does not say so."""
    if environ["REQUEST_METHOD"] == "PUT":
        environ.pop("HTTP_IF_NONE_MATCH", None)


def overlooks_start_after(environ):
    """A server whose lists always begin at the beginning."""
    query = parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
    if query.pop("start-after", None):
        environ["QUERY_STRING"] = urlencode(query, doseq=True)


def knows_paths_only(environ):
    """A server that takes a bucket in the host name for one that is not there."""
    if not environ["HTTP_HOST"].startswith(("127.0.0.1", "localhost")):
        return Answer("404 Not Found", "NoSuchBucket")
    return None


def refuses(verb, *, query="", code="AccessDenied", status="403 Forbidden"):
    """Return the rule of a server that refuses a method, with something in its query."""

    def rule(environ):
        if environ["REQUEST_METHOD"] == verb and query in environ["QUERY_STRING"]:
            return Answer(status, code)
        return None

    return rule
