"""Azure Resource Manager on a loopback port: disks, snapshots, and who may ask for them.

It plays long-running operations as the manager documents them ("Track asynchronous
operations") and issues tokens as Entra ID does. It keeps and refuses; it copies nothing.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import uuid
from contextlib import contextmanager
from urllib.parse import parse_qs

import attrs

from moto_s3 import serving

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
OTHER_SUBSCRIPTION = "22222222-2222-2222-2222-222222222222"
GROUP = "MC_shop_shop_westeurope"
OTHER_GROUP = "backups"
TENANT = "33333333-3333-3333-3333-333333333333"
SECRET = "s3cret~of-the-client"

_RESOURCE = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)"
    r"/providers/Microsoft\.Compute/(?P<kind>disks|snapshots)/(?P<name>[^/]+)"
)
_OPERATION = re.compile(
    r"/subscriptions/[^/]+/providers/Microsoft\.Compute/locations/[^/]+/operations/(.+)"
)
_REASONS = {
    200: "OK",
    202: "Accepted",
    204: "No Content",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    429: "Too Many Requests",
}


@attrs.frozen
class Asked:
    """A request that came."""

    method: str
    path: str
    query: dict[str, str]
    body: object
    token: str


@attrs.frozen
class Answer:
    """What is answered: a status, a document or text, headers."""

    status: int
    document: object = None
    headers: dict[str, str] = attrs.field(factory=dict)

    @classmethod
    def error(cls, status, code, message, **headers):
        """Return a refusal in the manager's form."""
        document = {"error": {"code": code, "message": message}}
        return cls(status, document, headers)


@attrs.define
class _Operation:
    """What goes on: with what, looks until it ends, and what then happens."""

    key: str
    looks: int
    end: object
    failure: dict | None = None


@attrs.define
class ResourceManager:
    """A WSGI application: all of the manager, and what it is told to do wrong.

    Attributes:
        answers: What the next requests get, by their method; those about an operation
            by ``operation``, and those for a token by ``token``.
        refusals: How many requests that come next are refused as too many.
        lost: Methods that are carried out, and whose answer is lost, each once.
        looks: How often an operation is looked at before it ends.
        failure: The error that the next operations end with.
        forgetful: Whether operations are unknown to whoever looks at them.
        style: By which header an operation is told: ``Azure-AsyncOperation``,
            ``Location``, or by none.
        asked: All requests that were let through.
        tokens: The forms by which tokens were asked for.
        resources: By lower-case path.
    """

    url: str = ""
    answers: list[tuple[str, Answer]] = attrs.field(factory=list)
    refusals: int = 0
    lost: list[str] = attrs.field(factory=list)
    looks: int = 1
    failure: dict | None = None
    forgetful: bool = False
    style: str = "Azure-AsyncOperation"
    asked: list[Asked] = attrs.field(factory=list)
    tokens: list[dict[str, str]] = attrs.field(factory=list)
    resources: dict[str, dict] = attrs.field(factory=dict)
    operations: dict[str, _Operation] = attrs.field(factory=dict)
    lock: threading.Lock = attrs.field(factory=threading.Lock)
    groups: frozenset[tuple[str, str]] = frozenset(
        (subscription, group.lower())
        for subscription in (SUBSCRIPTION, OTHER_SUBSCRIPTION)
        for group in (GROUP, OTHER_GROUP)
    )

    def forget(self):
        """Become as new."""
        fresh = ResourceManager(self.url)
        for field in attrs.fields(ResourceManager):
            if field.name != "lock":
                setattr(self, field.name, getattr(fresh, field.name))

    def __call__(self, environ, start_response):
        """Answer one request."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        with self.lock:
            if "/Microsoft.Compute/" in path:
                answer = self._answer(environ, method, path, body)
                if method in self.lost:
                    self.lost.remove(method)
                    self._untold(path)
                    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            else:
                answer = self._identify(path, body)
        headers = {"Content-Type": "application/json", **answer.headers}
        reason = _REASONS.get(answer.status, "Unknown")
        start_response(f"{answer.status} {reason}", list(headers.items()))
        if answer.document is None:
            return [b""]
        if isinstance(answer.document, str):
            return [answer.document.encode()]
        return [json.dumps(answer.document).encode()]

    def named(self, method, kind=""):
        """Return the requests of a method, about disks or snapshots."""
        return [
            each
            for each in self.asked
            if each.method == method and f"/{kind}" in each.path
        ]

    def add(self, kind, name, *, group=GROUP, subscription=SUBSCRIPTION, **fields):
        """Keep a resource as if it had been there, and return its id."""
        path = path_of(kind, name, group=group, subscription=subscription)
        document = {"id": path, "name": name, "location": "westeurope", **fields}
        document["properties"] = {
            "provisioningState": "Succeeded",
            **fields.get("properties", {}),
        }
        self.resources[path.lower()] = document
        return path

    # --- who asks ---------------------------------------------------------------------

    def _identify(self, path, body):
        """Answer as Entra ID: where tokens are, and a token."""
        if path.endswith("/openid-configuration"):
            where = f"{self.url}/{TENANT}"
            return Answer(
                200,
                {
                    "issuer": f"{where}/v2.0",
                    "authorization_endpoint": f"{where}/oauth2/v2.0/authorize",
                    "token_endpoint": f"{where}/oauth2/v2.0/token",
                },
            )
        form = {name: given[0] for name, given in parse_qs(body.decode()).items()}
        self.tokens.append(form)
        if scripted := self._scripted("token"):
            return scripted
        if form.get("client_secret") != SECRET and "client_assertion" not in form:
            said = "AADSTS7000215: Invalid client secret provided."
            return Answer(401, {"error": "invalid_client", "error_description": said})
        token = f"eyJ.token-{len(self.tokens)}"
        return Answer(
            200, {"token_type": "Bearer", "expires_in": 3600, "access_token": token}
        )

    # --- what is asked ----------------------------------------------------------------

    def _answer(self, environ, method, path, body):
        token = environ.get("HTTP_AUTHORIZATION", "")
        query = parse_qs(environ.get("QUERY_STRING", ""))
        query = {name: given[0] for name, given in query.items()}
        if self.refusals > 0:
            self.refusals -= 1
            return Answer.error(
                429, "TooManyRequests", "not now", **{"Retry-After": "0"}
            )
        document = json.loads(body) if body else None
        self.asked.append(Asked(method, path, query, document, token))
        found = _OPERATION.fullmatch(path)
        scripted = self._scripted("operation" if found else method)
        if scripted or not token.startswith("Bearer eyJ.token-"):
            return scripted or Answer.error(401, "AuthenticationFailed", "no token")
        if "api-version" not in query:
            return Answer.error(400, "MissingApiVersionParameter", "which version?")
        if found and self.forgetful:
            self._untold(self.operations[found[1]].key)
        return self._look(found[1]) if found else self._act(method, path, document)

    def _act(self, method, path, document):
        found = _RESOURCE.fullmatch(path)
        if (found["subscription"], found["group"].lower()) not in self.groups:
            said = f"Resource group '{found['group']}' could not be found."
            return Answer.error(404, "ResourceGroupNotFound", said)
        return getattr(self, f"_{method.lower()}")(path, document)

    def _scripted(self, method):
        for number, (wanted, answer) in enumerate(self.answers):
            if wanted == method:
                del self.answers[number]
                return answer
        return None

    def _get(self, path, _):
        found = self.resources.get(path.lower())
        if found is None:
            return _no_such(path)
        if path.lower() in self.operations:  # nobody was told where to look else
            self._look(path.lower())
            found = self.resources.get(path.lower())
        return Answer(200, found) if found else _no_such(path)

    def _put(self, path, document):
        key = path.lower()
        properties = document["properties"]
        source = properties["creationData"]["sourceResourceId"]
        if source.lower() not in self.resources:
            return _no_such(source)
        bad = [
            name for name in document.get("tags", {}) if re.search(r"[<>%&\\?/]", name)
        ]
        if bad or len(document.get("tags", {})) > 50:
            return Answer.error(400, "InvalidTagNameCharacters", f"tags {bad}")
        if key in self.resources:
            if self.resources[key]["properties"]["provisioningState"] == "Succeeded":
                return Answer(200, self.resources[key])
            return Answer.error(409, "Conflict", "another request is in progress")
        made = {"id": path, "name": path.rpartition("/")[2], **document}
        made["sku"] = document.get("sku") or {"name": "Standard_LRS"}
        made["properties"] = {**properties, "provisioningState": "Creating"}
        self.resources[key] = made

        def end(state):
            made["properties"]["provisioningState"] = state

        return self._begin(key, end, made)

    def _delete(self, path, _):
        key = path.lower()
        found = self.resources.get(key)
        if found is None:
            return Answer(204)
        if found["properties"]["provisioningState"] == "Deleting":
            return Answer.error(409, "OperationNotAllowed", "it is being deleted")
        found["properties"]["provisioningState"] = "Deleting"

        def end(state):
            if state == "Succeeded":
                self.resources.pop(key, None)

        return self._begin(key, end, None)

    def _begin(self, key, end, document):
        name = key if self.style == "none" else uuid.uuid4().hex
        self.operations[name] = _Operation(key, self.looks, end, self.failure)
        if self.style == "none":
            return Answer(202, document)
        where = f"{self.url}/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute"
        where += f"/locations/westeurope/operations/{name}?api-version=2023-10-02"
        return Answer(202, document, {self.style: where, "Retry-After": "0"})

    def _untold(self, path):
        """Let an operation go on with each look at what it is about."""
        for name, operation in list(self.operations.items()):
            if operation.key == path.lower():
                self.operations[operation.key] = self.operations.pop(name)

    def _look(self, name):
        operation = self.operations.get(name)
        if operation is None:
            return Answer.error(404, "OperationNotFound", "which operation?")
        if operation.looks > 0:
            operation.looks -= 1
            waits = {"Retry-After": "0"}
            if self.style == "Location":
                return Answer(202, None, waits)
            return Answer(200, {"status": "InProgress"}, waits)
        if operation.failure:
            operation.end("Failed")
            return Answer(200, {"status": "Failed", "error": operation.failure})
        operation.end("Succeeded")
        return Answer(200, {} if self.style == "Location" else {"status": "Succeeded"})


def path_of(kind, name, *, group=GROUP, subscription=SUBSCRIPTION):
    """Return the full id of a disk or a snapshot."""
    return (
        f"/subscriptions/{subscription}/resourceGroups/{group}"
        f"/providers/Microsoft.Compute/{kind}/{name}"
    )


def _no_such(path):
    said = f"The Resource '{path}' was not found."
    return Answer.error(404, "ResourceNotFound", said)


@contextmanager
def running_manager(certificate):
    """Run the manager in a thread of the tests, over TLS as the SDK demands it.

    Args:
        certificate: A directory with ``cert.pem`` and ``key.pem``.
    """
    pair = (str(certificate / "cert.pem"), str(certificate / "key.pem"))
    manager = ResourceManager()
    with serving(manager, ssl_context=pair) as url:
        manager.url = url
        yield manager
