"""gcp-storage-emulator on a loopback port, with what it lacks of Cloud Storage.

It keeps objects, lists them and takes uploads in pieces. Here are added: conditions on
the generation, the generation and date of a download, 416 for a range past the end, and
the pages and the start of a list, locks of objects, and addresses that are signed. It checks
no tokens and no keys of KMS: for those the requests are written down.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import attrs
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.server import RequestHandler
from gcp_storage_emulator.storage import Storage

_OBJECT = re.compile(r"/storage/v1/b/([^/]+)/o/([^/]+)")
_LIST = re.compile(r"/storage/v1/b/([^/]+)/o")
_REASONS = {412: "conditionNotMet", 416: "requestedRangeNotSatisfiable"}
_UPLOAD = re.compile(r"/upload/storage/v1/b/([^/]+)/o")


@attrs.frozen
class Request:
    """What a client sent."""

    method: str
    path: str
    query: dict
    headers: dict
    body: bytes

    def described(self):
        """The description of the object, of an upload in one request or its begin."""
        body = self.body
        if self.query.get("uploadType") == "multipart":
            body = body.split(b"\r\n\r\n", 1)[1].split(b"\r\n--", 1)[0]
        return json.loads(body)


@attrs.define
class GcsServer:
    """A running emulator.

    Attributes:
        url: Where it is.
        requests: What it was asked, in order.
        answers: Given instead of its own, one for each request: status, body; a body of None breaks off.
        page: How many objects it puts into a page at most.
        tokens: How many tokens it gave.
        signer: The public key by which signed addresses are looked at.
        locks: By bucket and key what an object's ``retention`` says.
    """

    url: str
    storage: Storage
    requests: list = attrs.field(factory=list)
    answers: list = attrs.field(factory=list)
    page: int = 1000
    tokens: int = 0
    signer: object = None
    locks: dict = attrs.field(factory=dict)

    def config(self, bucket, **more):
        """Return the provider's configuration for a bucket."""
        return {"bucket": bucket, "storeEndpoint": self.url, **more}

    def keys(self, bucket):
        """Return the keys in a bucket."""
        found, _ = self.storage.get_file_list(bucket)
        return sorted(each["name"] for each in found)

    def refuse(self, status, reason="", message="", *, times=1):
        """Answer the next requests with an error in Google's form."""
        error = {"code": status, "message": message, "errors": [{"reason": reason}]}
        self.answers += [(status, json.dumps({"error": error}).encode())] * times


def _place(asked):
    """Return bucket and key that a request is about."""
    found = _OBJECT.fullmatch(asked.path) or _UPLOAD.fullmatch(asked.path)
    if found is None:
        return "", ""
    key = unquote(found[2]) if found.re is _OBJECT else asked.query.get("name")
    return unquote(found[1]), key


class _Handler(RequestHandler):
    def __init__(self, server, lock, *args):
        self._server, self._lock = server, lock
        self._more = {}
        super().__init__(server.storage, *args)

    def do_GET(self):  # noqa: N802 - the name of http.server
        """Answer a read."""
        self._serve(super().do_GET)

    def do_POST(self):  # noqa: N802 - the name of http.server
        """Answer a write."""
        self._serve(super().do_POST)

    def do_PUT(self):  # noqa: N802 - the name of http.server
        """Answer a piece."""
        self._serve(super().do_PUT)

    def do_DELETE(self):  # noqa: N802 - the name of http.server
        """Answer a deletion."""
        self._serve(super().do_DELETE)

    def _serve(self, emulated):
        """Answer one request at a time: conditions hold until the write is done."""
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:  # the emulator would keep what came
            self.close_connection = True
            return
        self.rfile = io.BytesIO(body)
        asked = Request(
            self.command,
            parts.path,
            dict(parse_qsl(parts.query)),
            {name.lower(): value for name, value in self.headers.items()},
            body,
        )
        with self._lock:
            if parts.path == "/token":
                self._server.tokens += 1
                token = {"access_token": f"token-{self._server.tokens}"}
                self._answer(200, {**token, "expires_in": 3600, "token_type": "Bearer"})
                return
            self._server.requests.append(asked)
            if self._server.answers:
                self._answer(*self._server.answers.pop(0))
            elif self.command == "GET" and not parts.path.startswith("/storage/"):
                self._serve_signed(asked)
            elif self._is_locked(asked):
                said = {"reason": "retentionPolicyNotMet"}
                error = {"code": 403, "message": "it is locked", "errors": [said]}
                self._answer(403, {"error": error})
            elif (refused := self._refusal(asked)) is not None:
                said = {"reason": _REASONS[refused]}
                error = {"code": refused, "message": "refused", "errors": [said]}
                self._answer(refused, {"error": error})
            elif self.command == "GET" and (found := _LIST.fullmatch(parts.path)):
                self._list(unquote(found[1]), asked.query)
            elif asked.query.get("fields") == "retention":
                self._tell_lock(asked)
            else:
                emulated()
                self._note_lock(asked)

    def _tell_lock(self, asked):
        """Describe the lock of an object, as of an object that has none."""
        place = _place(asked)
        lock = self._server.locks.get(place)
        self._answer(200, {"retention": lock} if lock else {})

    def _note_lock(self, asked):
        """Remember the lock that an upload asked for, of its description."""
        if self.command == "POST" and _UPLOAD.fullmatch(asked.path):
            lock = asked.described().get("retention")
            if lock:
                self._server.locks[_place(asked)] = lock

    def _is_locked(self, asked):
        """Tell whether a request would replace or delete what is locked."""
        lock = self._server.locks.get(_place(asked))
        begins = self.command == "POST" and bool(_UPLOAD.fullmatch(asked.path))
        writes = self.command == "DELETE" or begins
        if not writes or lock is None:
            return False
        return datetime.now(UTC) < datetime.fromisoformat(lock["retainUntilTime"])

    def _serve_signed(self, asked):
        """Answer as the XML API does: by the signature of the address alone."""
        bucket, _, key = unquote(asked.path)[1:].partition("/")
        if self._server.signer is None or not self._is_signed(asked):
            self._answer(403, b"<Error><Code>AccessDenied</Code></Error>")
            return
        try:
            self._answer(200, self._server.storage.get_file(bucket, key))
        except NotFound:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def _is_signed(self, asked):
        """Look at signature and time of an address, version 4."""
        query = dict(asked.query)
        signature = bytes.fromhex(query.pop("X-Goog-Signature", ""))
        if not signature:
            return False
        told = "&".join(
            f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
            for name, value in sorted(query.items())
        )
        canonical = [self.command, asked.path, told, f"host:{asked.headers['host']}"]
        canonical += ["", "host", "UNSIGNED-PAYLOAD"]
        digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
        date, scope = query["X-Goog-Date"], query["X-Goog-Credential"].split("/", 1)[1]
        text = f"GOOG4-RSA-SHA256\n{date}\n{scope}\n{digest}".encode()
        try:
            self._server.signer.verify(signature, text, PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        since = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return datetime.now(UTC) < since + timedelta(
            seconds=int(query["X-Goog-Expires"])
        )

    def _refusal(self, asked):
        """Return the status for what the emulator would let pass, or None."""
        bucket, key = _place(asked)
        if not bucket:
            return None
        try:
            there = self._server.storage.get_file_obj(bucket, key)
        except NotFound:
            there = None
        wanted = asked.query.get("ifGenerationMatch")
        if wanted is not None and wanted != (there["generation"] if there else "0"):
            return 412
        if there is None or asked.query.get("alt") != "media":
            return None
        written = datetime.fromisoformat(there["updated"])
        self._more = {
            "X-Goog-Generation": there["generation"],
            "Last-Modified": format_datetime(written, usegmt=True),
        }
        start = re.match(r"bytes=(\d+)-", asked.headers.get("range", ""))
        return 416 if start and int(start[1]) >= int(there["size"]) else None

    def _list(self, bucket, query):
        """List a page: names and prefixes together, in order, from an offset on."""
        try:
            files, prefixes = self._server.storage.get_file_list(
                bucket, query.get("prefix"), query.get("delimiter")
            )
        except NotFound:
            self._answer(404, b"")
            return
        entries = {each["name"]: each for each in files}
        names = sorted({*entries, *prefixes})
        begin = query.get("pageToken") or query.get("startOffset", "")
        names = [name for name in names if name >= begin]
        page, rest = names[: self._server.page], names[self._server.page :]
        answer = {
            "items": [entries[name] for name in page if name in entries],
            "prefixes": [name for name in page if name in prefixes],
        }
        self._answer(200, {**answer, **({"nextPageToken": rest[0]} if rest else {})})

    def _answer(self, status, body):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        if 300 <= status < 308:
            self.send_header("Location", f"{self._server.url}/elsewhere")
        if body is None:  # less than is announced
            self.send_header("Content-Length", "100")
            self.end_headers()
            return
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def send_header(self, name, value):
        """Leave out what the emulator says of an upload of which it has nothing."""
        if (name, value) != ("Range", "bytes=0-0"):  # Cloud Storage says nothing then
            super().send_header(name, value)

    def end_headers(self):
        """Add what the emulator leaves out."""
        for name, value in self._more.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *args):
        """Say nothing."""


@contextmanager
def running_gcs(tls=None):
    """Run the emulator in a thread of the tests, on a port that the system picked.

    With *tls*, a context of a server, it speaks HTTPS.
    """
    server = GcsServer("", Storage(use_memory_fs=True))
    handler = partial(_Handler, server, threading.Lock())
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http.daemon_threads = True
    if tls is not None:
        http.socket = tls.wrap_socket(http.socket, server_side=True)
    scheme = "http" if tls is None else "https"
    server.url = f"{scheme}://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield server
    http.shutdown()
    thread.join()
    http.server_close()
