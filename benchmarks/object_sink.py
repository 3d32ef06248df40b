"""A server that answers as S3, Cloud Storage and Azure do, and keeps nothing.

Bytes that come are thrown away, bytes that go are zeros; how many an object has is said by
its name, which ends with ``-BYTES``. It reads a request with one look at the socket, so
that it is not what is measured. `running` starts it in a process of its own.
"""

import json
import multiprocessing
import re
import socket
import socketserver
from contextlib import contextmanager
from urllib.parse import parse_qs, unquote, urlsplit

PIECE = 1 << 20  # bytes that go in and out at once
PAGE = 1000  # objects in a page of a list
LISTED = 100_000  # objects in all
WRITTEN = "Thu, 01 Jan 2026 00:00:00 GMT"
ZEROS = memoryview(bytes(PIECE))


class Request:
    """What is asked: method, path, query and headers by their lower-case names."""

    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.method, target, _ = lines[0].split(" ")
        parts = urlsplit(target)
        self.path = unquote(parts.path)
        self.query = {
            name: values[0]
            for name, values in parse_qs(parts.query, keep_blank_values=True).items()
        }
        pairs = (line.partition(":") for line in lines[1:] if line)
        self.headers = {name.lower(): value.strip() for name, _, value in pairs}

    @property
    def size(self):
        """How many bytes the object has."""
        found = re.search(r"-(\d+)$", self.path)
        return int(found[1]) if found else 0

    def span(self):
        """The part that is wanted: the first byte, and the one behind the last."""
        asked = self.headers.get("x-ms-range") or self.headers.get("range")
        if not asked:
            return None
        first, last = re.fullmatch(r"bytes=(\d+)-(\d*)", asked).groups()
        return int(first), min(int(last or self.size) + 1, self.size)


class Connection(socketserver.BaseRequestHandler):
    """Answers one request after the other."""

    def handle(self):
        """Go on until the other side closes."""
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.waiting, self.buffer = b"", bytearray(PIECE)
        while head := self.head():
            request = Request(head)
            if request.headers.get("expect") == "100-continue":
                self.request.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.taken = self.take(int(request.headers.get("content-length") or 0))
            self.answer(request, *self.server.answers(request))

    def head(self):
        """Return the first lines of a request; nothing: there is none any more."""
        while b"\r\n\r\n" not in self.waiting:
            more = self.request.recv(1 << 16)
            if not more:
                return b""
            self.waiting += more
        head, _, self.waiting = self.waiting.partition(b"\r\n\r\n")
        return head

    def take(self, size):
        """Throw a body away; return how many bytes it had."""
        left = size - len(self.waiting[:size])
        self.waiting = self.waiting[size:]
        while left:
            left -= self.request.recv_into(self.buffer, min(left, PIECE))
        return size

    def answer(self, request, status, headers, body):
        """Send an answer, whose body is bytes, or a number of zeros."""
        size = body if isinstance(body, int) else len(body)
        lines = [f"HTTP/1.1 {status} Fine", f"Content-Length: {size}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.request.sendall("\r\n".join([*lines, "", ""]).encode())
        if request.method == "HEAD":
            return
        if isinstance(body, bytes):
            self.request.sendall(body)
            return
        while size:
            part = ZEROS[: min(size, PIECE)]
            self.request.sendall(part)
            size -= len(part)


# --- what each of them says -----------------------------------------------------------


def s3(request):
    """As S3, with the bucket in the path."""
    marks = {"ETag": '"e"', "Last-Modified": WRITTEN}
    if request.method == "POST":
        what = "Initiate" if "uploads" in request.query else "Complete"
        body = f"<{what}MultipartUploadResult><UploadId>u</UploadId><ETag>e</ETag>"
        return 200, {}, f"{body}</{what}MultipartUploadResult>".encode()
    if "list-type" in request.query:
        return 200, {}, s3_page(request.query)
    if request.method == "PUT":
        return 200, marks, b""
    return content(request, marks)


def s3_page(query):
    """A page of a list."""
    start = int(query.get("continuation-token") or 0)
    entries = "".join(
        f"<Contents><Key>{name}</Key><Size>1</Size><ETag>e</ETag>"
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
        for name in names(start)
    )
    more = start + PAGE < LISTED
    token = f"<NextContinuationToken>{start + PAGE}</NextContinuationToken>"
    return (
        f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>"
        f"{token if more else ''}{entries}</ListBucketResult>"
    ).encode()


def gcs(request):
    """As the JSON API of Cloud Storage."""
    name = request.query.get("name") or request.path.partition("/o/")[2]
    told = {"name": name, "size": str(request.size), "generation": "1"}
    told |= {"updated": "2026-01-01T00:00:00+00:00", "bucket": "bucket"}
    described = 200, {"Content-Type": "application/json"}, json.dumps(told).encode()
    if request.query.get("uploadType") == "resumable" and request.method == "POST":
        where = f"http://{request.headers['host']}/upload/session?upload_id=u"
        return 200, {"Location": where, "X-GUploader-UploadID": "u"}, b"{}"
    if request.method == "PUT":
        _, last, size = re.split(r"[-/]", request.headers["content-range"])
        if size == "*" or int(last) + 1 < int(size):
            return 308, {"Range": f"bytes=0-{last}"}, b""
        return described
    if request.path.endswith("/o") and request.method == "GET":
        return 200, {"Content-Type": "application/json"}, gcs_page(request.query)
    if request.query.get("alt") == "media":
        marks = {"X-Goog-Generation": "1", "Last-Modified": WRITTEN}
        return content(request, marks)
    return described


def gcs_page(query):
    """A page of a list."""
    start = int(query.get("pageToken") or 0)
    told = {"size": "1", "generation": "1", "updated": "2026-01-01T00:00:00+00:00"}
    page = {"items": [{"name": name, **told} for name in names(start)]}
    if start + PAGE < LISTED:
        page["nextPageToken"] = str(start + PAGE)
    return json.dumps(page).encode()


def azure(request):
    """As Blob Storage."""
    marks = {"ETag": '"e"', "Last-Modified": WRITTEN, "x-ms-blob-type": "BlockBlob"}
    if request.method == "PUT":
        return 201, marks, b""
    if request.query.get("comp") == "list":
        return 200, {"Content-Type": "application/xml"}, azure_page(request.query)
    return content(request, marks)


def azure_page(query):
    """A page of a list."""
    start = int(query.get("marker") or 0)
    properties = (
        f"<Properties><Last-Modified>{WRITTEN}</Last-Modified><Etag>e</Etag>"
        "<Content-Length>1</Content-Length><BlobType>BlockBlob</BlobType></Properties>"
    )
    blobs = "".join(
        f"<Blob><Name>{name}</Name>{properties}</Blob>" for name in names(start)
    )
    marker = start + PAGE if start + PAGE < LISTED else ""
    return (
        '<?xml version="1.0" encoding="utf-8"?><EnumerationResults>'
        f"<Blobs>{blobs}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>"
    ).encode()


def content(request, marks):
    """An object, or the part of it that is asked for."""
    span = request.span()
    if span is None:
        return 200, marks, request.size
    first, end = span
    if first >= request.size:
        return 416, {}, b""
    told = {"Content-Range": f"bytes {first}-{end - 1}/{request.size}"}
    return 206, marks | told, end - first


def names(start):
    """The names of one page."""
    return [f"backups/{n:07d}-1" for n in range(start, min(start + PAGE, LISTED))]


# --- running it -----------------------------------------------------------------------


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128


def serve(provider, connection):
    """Answer as one of them on a port that the system picks, and tell it."""
    with _Server(("127.0.0.1", 0), Connection) as server:
        server.answers = {"s3": s3, "gcs": gcs, "azure": azure}[provider]
        connection.send(server.server_address[1])
        server.serve_forever()


@contextmanager
def running(provider):
    """Serve in a process of its own, and give its address."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(provider, theirs), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.kill()
        process.join()
