"""What all `Cluster` values of one connection have in common.

What the cluster is does not depend on who asks, so it is asked once. Each question is put
on behalf of the run that needs the answer first.
"""

from __future__ import annotations

import threading
from typing import Any

import msgspec

from kbackup.cluster._discovery import Discovery, discover
from kbackup.cluster._errors import Subject
from kbackup.cluster._lists import ItemList, ListRequest
from kbackup.cluster._objects import Objects
from kbackup.cluster._transport import Bound, Transport
from kbackup.errors import (
    ClusterError,
    ForbiddenError,
    ItemNotFoundError,
    UnsupportedByServerError,
)
from kbackup.models import APIResource, ServerVersion

_NAMESPACES = APIResource(
    group="", version="v1", resource="namespaces", kind="Namespace", namespaced=False
)
_API_SERVICES = APIResource(
    group="apiregistration.k8s.io",
    version="v1",
    resource="apiservices",
    kind="APIService",
    namespaced=False,
)
_UID_OF_CLUSTER = "kube-system"  # its uid is what tells clusters apart


class Shared:
    """One connection, and what is known of its cluster; any thread may ask.

    After `Transport.close` also what is known is refused: nothing else would work.
    """

    def __init__(self, transport: Transport, context: str) -> None:
        self.transport = transport
        self.context = context
        self._asking = threading.Lock()
        self._discovery: Discovery | None = None
        self._foreign_groups: frozenset[str] | None = None
        self._version: ServerVersion | None = None
        self._uid = ""

    def version(self, objects: Objects) -> ServerVersion:
        """Return what the API server reports; empty where it may not be read."""
        subject = Subject("get", "/version")
        self.transport.require_open(subject)
        if self._version is None:
            try:
                told = objects.read("/version", subject)
            except (ForbiddenError, UnsupportedByServerError):
                return ServerVersion()
            self._version = ServerVersion(
                str(told.get("gitVersion", "")),
                str(told.get("major", "")),
                str(told.get("minor", "")),
            )
        return self._version

    def uid(self, objects: Objects) -> str:
        """Return the uid of the cluster; empty where it may not be read."""
        self.transport.require_open(Subject("get", str(_NAMESPACES)))
        if not self._uid:
            try:
                item = objects.get(_NAMESPACES, _UID_OF_CLUSTER, "")
            except (ForbiddenError, ItemNotFoundError):
                return ""
            self._uid = str(item.content["metadata"].get("uid") or "")
        return self._uid

    def discover(self, bound: Bound, *, refresh: bool) -> Discovery:
        """Return what the server serves, read once unless *refresh* is asked."""
        self.transport.require_open(Subject("discover", "/apis"))
        before = self._discovery
        if before is not None and not refresh:
            return before
        with self._asking:
            if self._discovery is None or self._discovery is before:
                self._discovery = discover(self.transport, bound)
                self._foreign_groups = None
            return self._discovery

    def foreign_groups(self, bound: Bound) -> frozenset[str]:
        """Return the groups of aggregated APIs: their resourceVersions may be their own."""
        if self._foreign_groups is None:
            request = ListRequest(resource=_API_SERVICES)
            try:
                services = list(ItemList(self.transport, bound, request))
            except ClusterError:  # few rights: the answers themselves must tell
                services = []
            self._foreign_groups = frozenset(
                _group_behind_service(item.json()) for item in services
            ) - {""}
        return self._foreign_groups


class _ServiceSpec(msgspec.Struct):
    group: str = ""
    service: Any = None


class _APIService(msgspec.Struct):
    spec: _ServiceSpec


def _group_behind_service(body: bytes) -> str:
    """Return the group that an APIService gives to another server, or nothing."""
    try:
        spec = msgspec.json.decode(body, type=_APIService).spec
    except msgspec.ValidationError:  # as no server has it
        return ""
    return spec.group if spec.service else ""
