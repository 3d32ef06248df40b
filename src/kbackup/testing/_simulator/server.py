"""HTTP: takes requests, finds out what they want, and writes the answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from kbackup.testing._simulator import (
    deleting,
    discovery,
    listing,
    patching,
    reviews,
    scaling,
    tables,
    writing,
)
from kbackup.testing._simulator.bodies import decoding, read_body
from kbackup.testing._simulator.conversion import check_conversion
from kbackup.testing._simulator.execution import (
    ExecHandler,
    container_of,
    refuse_commands,
    serve_exec,
)
from kbackup.testing._simulator.faults import Fault
from kbackup.testing._simulator.registry import ServedType
from kbackup.testing._simulator.requests import Target, WriteOptions, parse_target
from kbackup.testing._simulator.state import Object, State, with_type
from kbackup.testing._simulator.status import ApiError, no_such_path, not_found
from kbackup.testing._simulator.storage import decode, encode
from kbackup.testing._simulator.watching import Watch

_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch"}
_OPENAPI_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
# Newer clients take a media type with an @ for malformed.
_OPENAPI_ANSWER = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_AGGREGATED = ("v2", "v2beta1")


class Server:
    """Answers requests out of a `State`.

    Attributes:
        calls: How often each verb was asked for each resource: ``list secrets``.
        run_command: What an exec runs.
        aggregated_discovery: Whether discovery is offered in one document too.
    """

    def __init__(self, state: State, *, url: str, token: str) -> None:
        self._state = state
        self.url = url
        self._token = token
        self.calls: Counter[str] = Counter()
        self.run_command: ExecHandler = refuse_commands
        self.aggregated_discovery = True

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        try:
            return await self._answer(request)
        except ApiError as exc:
            return _json(exc.to_json(), status=exc.code, headers=exc.headers)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self._authenticate(request)
        path = request.path
        target = parse_target(path)
        if target is None or not target.resource:
            return self._document(request, path, target)
        served = self._state.registry.find(
            target.group, target.version, target.resource
        )
        if served is None:
            raise no_such_path()
        verb = _verb(request, target)
        faults = self._state.faults.take(
            verb,
            served.group_resource,
            target.namespace,
            target.name,
            target.subresource,
        )
        self.calls[f"{verb} {served.group_resource}"] += 1
        if (failed := await _suffer(request, faults)) is not None:
            return failed
        response = await self._serve(request, served, target, verb)
        if any(fault.drop == "after" for fault in faults):
            return _break(request)
        return response

    def _authenticate(self, request: web.BaseRequest) -> None:
        if self._token:
            given = request.headers.get("Authorization", "")
            if given != f"Bearer {self._token}":
                raise ApiError(401, "Unauthorized")

    def _document(
        self, request: web.BaseRequest, path: str, target: Target | None
    ) -> web.StreamResponse:
        """Answer what is not about objects."""
        registry = self._state.registry
        path = path.rstrip("/")
        if path in {"/readyz", "/livez", "/healthz"}:
            return web.Response(text="ok")
        if path == "/version":
            return _json(discovery.version_document(self._state.git_version))
        if path in {"/openapi/v2", "/openapi/v3"}:
            return _openapi(request, path)
        if path in {"/api", "/apis"}:
            return self._discovery_root(request, core=path == "/api")
        if target is not None:
            found = discovery.resource_list(registry, target.group, target.version)
            if found is not None:
                return _json(found)
        group = path.removeprefix("/apis/")
        if group in registry.groups():
            document = discovery.group_document(group, registry.groups()[group])
            return _json({"kind": "APIGroup", "apiVersion": "v1", **document})
        raise no_such_path()

    def _discovery_root(
        self, request: web.BaseRequest, *, core: bool
    ) -> web.StreamResponse:
        version = self._wanted_aggregation(request.headers.get("Accept", ""))
        if version:
            return _json(
                discovery.aggregated(self._state.registry, version, core=core),
                content_type=(
                    "application/json;g=apidiscovery.k8s.io;"
                    f"v={version};as=APIGroupDiscoveryList"
                ),
            )
        if core:
            return _json(discovery.api_versions(self.url.partition("//")[2]))
        return _json(discovery.group_list(self._state.registry))

    def _wanted_aggregation(self, accept: str) -> str:
        if not self.aggregated_discovery:
            return ""
        for offer in accept.split(","):
            parameters = {part.strip() for part in offer.split(";")}
            if "as=APIGroupDiscoveryList" in parameters:
                for version in _AGGREGATED:
                    if f"v={version}" in parameters:
                        return version
        return ""

    async def _serve(
        self, request: web.BaseRequest, served: ServedType, target: Target, verb: str
    ) -> web.StreamResponse:
        if target.subresource:
            return await self._serve_subresource(request, served, target, verb)
        if verb not in served.verbs:
            raise _not_allowed()
        check_conversion(self._state, served, target, verb)
        if verb == "watch":
            return await self._watch(request, served, target)
        if verb == "list":
            return self._list(request, served, target)
        if verb == "get":
            return self._get(request, served, target)
        with decoding(served):
            return await self._write(request, served, target, verb)

    def _get(
        self, request: web.BaseRequest, served: ServedType, target: Target
    ) -> web.Response:
        obj = self._existing(served, target)
        wanted = _as_kind(request)
        if wanted == "Table":
            return _json(tables.to_table(served, [obj], {}))
        return _json(tables.to_partial(obj) if wanted else obj)

    async def _serve_subresource(
        self, request: web.BaseRequest, served: ServedType, target: Target, verb: str
    ) -> web.StreamResponse:
        subresource = served.subresource(target.subresource)
        if subresource is None:
            raise no_such_path()
        obj = self._existing(served, target)
        if subresource.name == "exec":
            wanted = request.rel_url.query.get("container", "")
            return await serve_exec(
                request,
                namespace=target.namespace,
                pod=target.name,
                container=container_of(obj, wanted),
                run=self.run_command,
            )
        if subresource.name == "log":
            return web.Response(text="")
        if verb == "get":
            return _json(scaling.to_scale(obj) if subresource.name == "scale" else obj)
        if verb not in subresource.verbs:
            raise _not_allowed()
        if subresource.name == "scale":
            with decoding(served):
                return _json(await self._scale(request, served, target, verb))
        with decoding(served):
            return await self._write(request, served, target, verb)

    async def _scale(
        self, request: web.BaseRequest, served: ServedType, target: Target, verb: str
    ) -> Object:
        """Write the Scale of an object, and return it."""
        options = _options(request)
        body = await read_body(request, served, verb)
        where = (self._state, served, self._existing(served, target))
        if verb == "update":
            return scaling.update_scale(*where, body=body, options=options)
        return scaling.patch_scale(
            *where,
            body=body,
            content_type=request.content_type,
            options=options,
        )

    async def _write(
        self, request: web.BaseRequest, served: ServedType, target: Target, verb: str
    ) -> web.StreamResponse:
        options = _options(request)
        body = await read_body(request, served, verb)
        if verb == "create":
            if target.name:
                raise _not_allowed()
            review = reviews.answer(self._state, served, body, request.headers)
            made = review or writing.create(
                self._state, served, target.namespace, body, options
            )
            return _json(made, status=201)
        if verb == "update":
            updated = writing.update(
                self._state,
                served,
                namespace=target.namespace,
                name=target.name,
                obj=body,
                options=options,
                subresource=target.subresource,
            )
            return _json(updated)
        if verb == "patch":
            patched, created = patching.patch(
                self._state,
                served,
                namespace=target.namespace,
                name=target.name,
                body=body,
                content_type=request.content_type,
                options=options,
                subresource=target.subresource,
            )
            return _json(patched, status=201 if created else 200)
        return self._delete(served, target, request.rel_url.query, body)

    def _delete(
        self,
        served: ServedType,
        target: Target,
        query: Mapping[str, str],
        body: Any,
    ) -> web.StreamResponse:
        given = dict(body or {})
        for name in ("propagationPolicy", "gracePeriodSeconds"):
            if name in query:
                given[name] = query[name]
        if "dryRun" in query:
            given["dryRun"] = [query["dryRun"]]
        if target.name:
            where = (self._state, served, target.namespace, target.name)
            return _json(deleting.delete(*where, given))
        page = listing.list_page(self._state, served, target.namespace, query)
        for item in page.items:
            metadata = decode(item)["metadata"]
            namespace = metadata.get("namespace", "")
            deleting.delete(self._state, served, namespace, metadata["name"], given)
        return _raw(listing.to_list(served, page))

    def _list(
        self, request: web.BaseRequest, served: ServedType, target: Target
    ) -> web.StreamResponse:
        query = dict(request.rel_url.query)
        if target.name:  # a watch of one object lists it so
            query["fieldSelector"] = f"metadata.name={target.name}"
        page = listing.list_page(self._state, served, target.namespace, query)
        wanted = _as_kind(request)
        if not wanted:
            return _raw(listing.to_list(served, page))
        objects = [with_type(served, decode(item)) for item in page.items]
        if wanted == "Table":
            return _json(tables.to_table(served, objects, page.metadata()))
        return _json(
            {
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": page.metadata(),
                "items": [tables.to_partial(obj) for obj in objects],
            }
        )

    async def _watch(
        self, request: web.BaseRequest, served: ServedType, target: Target
    ) -> web.StreamResponse:
        query = dict(request.rel_url.query)
        if target.name:
            query["fieldSelector"] = f"metadata.name={target.name}"
        watch = Watch(
            self._state,
            served,
            target.namespace,
            query,
            as_table=_as_kind(request) == "Table",
        )
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        try:
            await response.prepare(request)
            async for line in watch.events():
                await response.write(line)
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            # The client is gone or the server stops: there is nobody to tell.
            pass
        finally:
            watch.close()
        return response

    def _existing(self, served: ServedType, target: Target) -> dict[str, Any]:
        obj = self._state.get(served, target.namespace, target.name)
        if obj is None:
            raise not_found(served.group, served.resource, target.name)
        return obj


def _openapi(request: web.BaseRequest, path: str) -> web.Response:
    if path == "/openapi/v3":
        return _json(discovery.OPENAPI_V3)
    if _OPENAPI_PROTOBUF in request.headers.get("Accept", ""):
        return _raw(discovery.OPENAPI_V2_PROTOBUF, content_type=_OPENAPI_ANSWER)
    return _json(discovery.OPENAPI_V2)


def _verb(request: web.BaseRequest, target: Target) -> str:
    if request.method == "GET" and not target.subresource:
        if request.rel_url.query.get("watch") in {"true", "1"}:
            return "watch"
        return "get" if target.name else "list"
    if request.method == "DELETE":
        return "delete" if target.name else "deletecollection"
    verb = _VERBS.get(request.method)
    if verb is None:
        raise _not_allowed()
    return verb


def _options(request: web.BaseRequest) -> WriteOptions:
    agent = request.headers.get("User-Agent", "")
    return WriteOptions.parse(request.rel_url.query, agent)


def _not_allowed() -> ApiError:
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, message)


def _as_kind(request: web.BaseRequest) -> str:
    """Return the kind into which the first understood offer wants the answer."""
    for offer in request.headers.get("Accept", "").split(","):
        parameters = {part.strip() for part in offer.split(";")}
        for kind in ("Table", "PartialObjectMetadataList", "PartialObjectMetadata"):
            if f"as={kind}" in parameters and "v=v1" in parameters:
                return kind
        if "application/json" in parameters:
            return ""
    return ""


async def _suffer(
    request: web.BaseRequest, faults: tuple[Fault, ...]
) -> web.StreamResponse | None:
    for fault in faults:
        if fault.latency:
            await asyncio.sleep(fault.latency)
        elif fault.drop == "before":
            return _break(request)
        elif not fault.drop:
            raise _injected(fault)
    return None


def _injected(fault: Fault) -> ApiError:
    details: dict[str, Any] = {}
    headers: dict[str, str] = {}
    if fault.retry_after is not None:
        details["retryAfterSeconds"] = fault.retry_after
        headers["Retry-After"] = str(fault.retry_after)
    return ApiError(
        fault.status,
        fault.message or f"a fault on demand: status {fault.status}",
        reason=fault.reason,
        details=details,
        headers=headers,
    )


def _break(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _json(
    document: Any,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    content_type: str = "application/json",
) -> web.Response:
    return _raw(
        encode(document), status=status, headers=headers, content_type=content_type
    )


def _raw(
    body: bytes,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    content_type: str = "application/json",
) -> web.Response:
    return web.Response(
        body=body,
        status=status,
        headers={**(headers or {}), "Content-Type": content_type},
    )
