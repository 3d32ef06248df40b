"""A stub of Compute Engine's REST API on a loopback port: disks, snapshots, operations.

There is no emulator of it. This one answers under the real paths, in the real forms, and
refuses what Compute Engine refuses of the requests that are made here. It writes all of
them down, and plays what takes time: operations and snapshots go one state further each
time that somebody looks.

Source: Compute Engine API v1 reference: Disks, RegionDisks, Snapshots, Operations.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import uuid
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

PROJECT = "shop-prod"
ZONE = "us-central1-a"
BASE = "https://www.googleapis.com/compute/v1/"
KEY = "projects/keys/locations/us/keyRings/r/cryptoKeys/k"

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_PATH = re.compile(
    r"/compute/v1/projects/(?P<project>[^/]+)/"
    r"(?P<place>zones/[^/]+|regions/[^/]+|global)/"
    r"(?P<kind>disks|snapshots|operations)(?:/(?P<name>[^/]+))?"
)
_TYPE = re.compile(
    r"(?:https://www\.googleapis\.com/compute/v1/)?"
    r"(?P<path>projects/[^/]+/(?P<place>(?:zones|regions)/[^/]+)/diskTypes/[a-z0-9-]+)"
)
_DISK_FIELDS = {
    *("name", "type", "description", "labels", "sourceSnapshot", "replicaZones"),
    *("provisionedIops", "provisionedThroughput", "diskEncryptionKey"),
    "enableConfidentialCompute",
}
_SNAPSHOT_FIELDS = {
    *("name", "description", "labels", "sourceDisk", "storageLocations"),
    *("snapshotType", "snapshotEncryptionKey"),
}


class Refusal(Exception):  # noqa: N818 - it is an answer
    """An answer with an error."""

    def __init__(self, status, reason, message):
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message

    def body(self):
        """Return it as Google writes it."""
        told = {"message": self.message, "domain": "global", "reason": self.reason}
        error = {"code": self.status, "message": self.message, "errors": [told]}
        return {"error": error}


@attrs.frozen
class Request:
    """What a client sent."""

    method: str
    path: str
    query: dict
    headers: dict
    body: dict


@attrs.define
class ComputeStub:
    """A running stub.

    Attributes:
        url: Where it is.
        disks: By path, such as ``projects/shop/zones/z/disks/d``.
        snapshots: Likewise.
        requests: What it was asked, in order, tokens and refused requests excepted.
        refusals: Given instead of an answer, one for each request: a `Refusal`, or bytes
            of a page with status 502.
        refuse_if: A function of the request, which may raise a `Refusal`.
        lost: Methods and kinds, such as ``POST disks``, that are carried out and then not
            answered.
        states: That a snapshot shows one after the other, the last one for good.
        looks: How often a disk's operation, or a deletion, is looked at until it is done.
        failures: Of the operations that come next, one each: code and message.
        tokens: How many it gave.
    """

    url: str
    disks: dict = attrs.field(factory=dict)
    snapshots: dict = attrs.field(factory=dict)
    requests: list = attrs.field(factory=list)
    refusals: list = attrs.field(factory=list)
    refuse_if: object = None
    lost: set = attrs.field(factory=set)
    states: tuple = ("UPLOADING", "READY")
    looks: int = 1
    failures: list = attrs.field(factory=list)
    tokens: int = 0
    begun: dict = attrs.field(factory=dict)  # operations by requestId
    operations: dict = attrs.field(factory=dict)
    shown: dict = attrs.field(factory=dict)  # states of each snapshot still to come
    lock: object = attrs.field(factory=threading.RLock)

    def config(self, **more):
        """Return the provider's configuration of a volume snapshot location."""
        return {"computeEndpoint": self.url, "volumeProject": PROJECT, **more}

    def refuse(self, status, reason, message="not now", *, times=1):
        """Refuse the next requests."""
        self.refusals += [Refusal(status, reason, message)] * times

    def sent(self, method, kind):
        """Return the requests of a method about a kind, such as ``disks``."""
        return [
            each
            for each in self.requests
            if each.method == method and f"/{kind}" in each.path
        ]

    def make_disk(self, name, place=f"zones/{ZONE}", kind="pd-balanced", **fields):
        """Make a disk, as people make one; returns its resource."""
        path = f"projects/{PROJECT}/{place}"
        scope, _, where = place.partition("/")
        made = {
            "kind": "compute#disk",
            "id": str(uuid.uuid4().int >> 65),
            "name": name,
            "status": "READY",
            "sizeGb": "10",
            "type": f"{BASE}{path}/diskTypes/{kind}",
            scope[:-1]: f"{BASE}projects/{PROJECT}/{scope}/{where}",
            "selfLink": f"{BASE}{path}/disks/{name}",
            **fields,
        }
        self.disks[f"{path}/disks/{name}"] = made
        return made

    def snapshot(self, name, project=PROJECT):
        """Return the resource of a snapshot, looked up past the API."""
        return self.snapshots[f"projects/{project}/global/snapshots/{name}"]

    # --- answers ----------------------------------------------------------------------

    def answer(self, asked):
        """Return the resource that a request asks for."""
        found = _PATH.fullmatch(asked.path)
        if not found:
            raise Refusal(404, "notFound", "no such method")
        named = {key: unquote(given or "") for key, given in found.groupdict().items()}
        if named["project"] not in {PROJECT, "snapshots-only"}:
            project = f"projects/{named['project']}"
            raise Refusal(404, "notFound", f"The resource '{project}' was not found")
        path = f"projects/{named['project']}/{named['place']}"
        act = getattr(self, f"_{asked.method.lower()}_{named['kind']}")
        if asked.method == "GET":
            return act(f"{path}/{named['kind']}/{named['name']}")
        token = asked.query["requestId"]
        assert uuid.UUID(token).int, "a requestId is a UUID that is not zero"
        if token not in self.begun:
            if asked.method == "POST":
                self.begun[token] = act(path, dict(asked.body))
            else:
                self.begun[token] = act(f"{path}/{named['kind']}/{named['name']}")
        return self.begun[token]

    def _get_disks(self, path):
        return self._found(self.disks, path)

    def _get_snapshots(self, path):
        found = self._found(self.snapshots, path)
        states = self.shown[path]
        found["status"] = states.pop(0) if len(states) > 1 else states[0]
        return found

    def _get_operations(self, path):
        operation = self._found(self.operations, path)
        if operation["status"] == "DONE":
            return {key: given for key, given in operation.items() if key != "left"}
        snapshot = operation.get("snapshot")
        operation["left"] -= 1
        is_done = operation["left"] <= 0
        if snapshot:  # done with the upload
            is_done = self.snapshots[snapshot]["status"] == "READY"
        operation["status"] = "DONE" if is_done else "RUNNING"
        return {key: operation[key] for key in operation if key not in _OUR_FIELDS}

    def _post_disks(self, path, body):
        assert body.keys() <= _DISK_FIELDS, body.keys() - _DISK_FIELDS
        name, place = body["name"], path.split("/", 2)[2]
        self._check_new(self.disks, f"{path}/disks/{name}", name)
        replicas = body.get("replicaZones", [])
        if (len(replicas) == 2) != place.startswith("regions/"):
            raise Refusal(400, "invalid", "replicaZones are two, of a region")
        source = self._found(self.snapshots, body["sourceSnapshot"])
        if source["status"] != "READY":
            raise Refusal(400, "resourceNotReady", "The snapshot is not ready")
        kind = "pd-standard"
        if given := body.pop("type", ""):
            found = _TYPE.fullmatch(given)
            if not found or found["place"] != place:
                raise Refusal(400, "invalid", f"Invalid value for 'type': '{given}'")
            kind = given.rpartition("/")[2]
        key = _versioned(body, "diskEncryptionKey")
        failure = self.failures.pop(0) if self.failures else None
        if failure is None:
            self.make_disk(place=place, kind=kind, **{**body, **key})
        return self._operation(path, "insert", failure)

    def _post_snapshots(self, path, body):
        assert body.keys() <= _SNAPSHOT_FIELDS, body.keys() - _SNAPSHOT_FIELDS
        name = f"{path}/snapshots/{body['name']}"
        self._check_new(self.snapshots, name, body["name"])
        if len(body.get("description", "")) > 2048:
            raise Refusal(400, "invalid", "The description is too long")
        disk = self._found(self.disks, body["sourceDisk"])
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            return self._operation(path, "insert", failure)
        self.snapshots[name] = {
            **body,
            **_versioned(body, "snapshotEncryptionKey"),
            "kind": "compute#snapshot",
            "sourceDisk": disk["selfLink"],
            "diskSizeGb": disk["sizeGb"],
            "storageBytes": "4096",
            "status": "CREATING",
            "selfLink": BASE + name,
        }
        self.shown[name] = list(self.states)
        return self._operation(path, "createSnapshot", None, snapshot=name)

    def _delete_snapshots(self, path):
        self._found(self.snapshots, path)
        del self.snapshots[path]
        return self._operation(path.rpartition("/snapshots/")[0], "delete", None)

    def _operation(self, path, kind, failure, **more):
        name = f"operation-{uuid.uuid4()}"
        made = {
            "kind": "compute#operation",
            "name": name,
            "operationType": kind,
            "status": "PENDING",
            "left": self.looks,
            **more,
        }
        if failure is not None:
            code, message = failure
            made["error"] = {"errors": [{"code": code, "message": message}]}
            made.update(status="DONE", httpErrorStatusCode=403)
        self.operations[f"{path}/operations/{name}"] = made
        begun = {key: made[key] for key in made if key not in _OUR_FIELDS | {"error"}}
        return {**begun, "status": "PENDING"}

    @staticmethod
    def _found(kept, path):
        path = path.removeprefix(BASE)
        if path not in kept:
            raise Refusal(404, "notFound", f"The resource '{path}' was not found")
        return kept[path]

    @staticmethod
    def _check_new(kept, path, name):
        if not _NAME.fullmatch(name):
            raise Refusal(400, "invalid", f"Invalid value for 'name': '{name}'")
        if path in kept:
            raise Refusal(409, "alreadyExists", f"The resource '{path}' already exists")


_OUR_FIELDS = {"left", "snapshot"}


def _versioned(body, field):
    """Return a key as a resource shows it: with the version that encrypted it."""
    if field not in body:
        return {}
    return {field: {**body[field], "kmsKeyName": f"{KEY}/cryptoKeyVersions/1"}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, stub, *args):
        self._stub = stub
        super().__init__(*args)

    def do_GET(self):
        """Answer a question."""
        self._serve()

    def do_POST(self):
        """Make something."""
        self._serve()

    def do_DELETE(self):
        """Remove something."""
        self._serve()

    def _serve(self):
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self._stub.lock:
            if parts.path == "/token":
                self._stub.tokens += 1
                token = {"access_token": f"token-{self._stub.tokens}"}
                self._answer(200, {**token, "expires_in": 3600, "token_type": "Bearer"})
                return
            asked = Request(
                self.command,
                parts.path,
                dict(parse_qsl(parts.query)),
                {name.lower(): value for name, value in self.headers.items()},
                json.loads(body or b"{}"),
            )
            if self._stub.refusals:
                refusal = self._stub.refusals.pop(0)
                is_page = isinstance(refusal, bytes)
                self._answer(*(502, refusal) if is_page else (refusal.status, refusal))
                return
            self._stub.requests.append(asked)
            try:
                if self._stub.refuse_if is not None:
                    self._stub.refuse_if(asked)
                answer = 200, self._stub.answer(asked)
            except Refusal as refusal:
                answer = refusal.status, refusal
            except Exception as exc:  # noqa: BLE001 - told to the test
                answer = 400, Refusal(400, "stub", f"the stub has no answer: {exc!r}")
            kind = parts.path.rstrip("/").rsplit("/", 1)[-1]
            if f"{self.command} {kind}" in self._stub.lost:
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            self._answer(*answer)

    def _answer(self, status, content):
        if isinstance(content, Refusal):
            content = content.body()
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        """Say nothing."""


@contextmanager
def running_compute():
    """Run the stub in a thread of the tests, on a port that the system picked."""
    stub = ComputeStub("")
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, stub))
    http.daemon_threads = True
    stub.url = f"http://127.0.0.1:{http.server_port}"
    serve = partial(http.serve_forever, poll_interval=0.02)
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield stub
    http.shutdown()
    thread.join()
    http.server_close()
