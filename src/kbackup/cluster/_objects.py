"""One object at a time: get, create, replace, patch, delete, as raw JSON.

Called by the facade. Writes are sent once (see `_transport`); preconditions travel in
the body, where the API server checks them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from kbackup._kits.go_json import escaped
from kbackup._kits.words import qualified
from kbackup.cluster._errors import Subject
from kbackup.cluster._paths import path_of
from kbackup.cluster._transport import Bound, Call, Transport
from kbackup.errors import InvalidItemError, ServerFaultError
from kbackup.models import APIResource, Item, ResourceIdentifier

_MANAGER = "kbackup"
_JSON = "application/json"
_METADATA = f"{_JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1,{_JSON}"
_OBJECTS_THEMSELVES = ("", "status")  # what these paths answer; a scale is another kind
_NO_JSON = "the answer is not JSON"
_NO_OBJECT = "the answer is not the object: it lacks name, uid or resourceVersion"
# Nested a thousand times it is none that could be handled; a server may keep it.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_Text = Annotated[str, msgspec.Meta(min_length=1)]


class PatchKind(StrEnum):
    """How a patch is to be read; the value is its media type."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


class _Head(msgspec.Struct, rename="camel"):
    api_version: str = ""
    kind: str = ""


class _Meta(msgspec.Struct, rename="camel"):
    name: str = ""
    generate_name: str = ""
    namespace: str = ""


class _Body(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)


class _TriedMeta(msgspec.Struct):
    name: _Text


class _Tried(msgspec.Struct):
    """What every answer about an object has, also where nothing was stored."""

    metadata: _TriedMeta


class _StoredMeta(msgspec.Struct, rename="camel"):
    name: _Text
    uid: _Text
    resource_version: _Text


class _Stored(msgspec.Struct):
    metadata: _StoredMeta


class Objects:
    """The objects of one cluster, on behalf of one caller."""

    def __init__(self, transport: Transport, bound: Bound) -> None:
        self._transport = transport
        self._bound = bound

    def get(self, resource: APIResource, name: str, namespace: str = "") -> Item:
        """Return one object.

        Raises:
            ItemNotFoundError: There is none.
        """
        subject = _subject("get", resource, name, namespace)
        path = path_of(resource, namespace, name)
        call = Call(method="GET", path=path, subject=subject)
        data = self._transport.send(call, self._bound).data
        try:
            head = msgspec.json.decode(data, type=_Head)
        except _UNREADABLE as exc:
            raise _malformed(subject) from exc
        if _keeps_objects(resource):
            _check_object(data, _Stored, subject)
        identifier = ResourceIdentifier(resource.group_resource, namespace, name)
        return Item(
            identifier=identifier,
            raw=data,
            api_version=head.api_version or resource.api_version,
            kind=head.kind or resource.kind,
        )

    def create(
        self,
        resource: APIResource,
        body: Mapping[str, Any] | bytes,
        *,
        namespace: str = "",
        dry_run: bool = False,
        field_manager: str = _MANAGER,
        field_validation: str = "",
        metadata_only: bool = False,
    ) -> dict[str, Any]:
        """Create an object and return what the server stored, or its metadata.

        Raises:
            AlreadyExistsError: The name is taken.
            ClusterUnreachableError: The answer got lost; a GET tells what happened.
        """
        name, own_namespace = _named(body)
        namespace = namespace or own_namespace
        return self._write(
            "POST",
            path_of(resource, namespace),
            _subject("create", resource, name, namespace),
            body,
            query=[
                *_options(dry_run, field_manager),
                ("fieldValidation", field_validation),
            ],
            accept=_METADATA if metadata_only else _JSON,
            expected=_expected(resource, dry_run=dry_run),
        )

    def replace(
        self,
        resource: APIResource,
        name: str,
        body: Mapping[str, Any] | bytes,
        *,
        namespace: str = "",
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str = _MANAGER,
    ) -> dict[str, Any]:
        """Replace an object; ``metadata.resourceVersion`` in *body* is a precondition."""
        return self._write(
            "PUT",
            path_of(resource, namespace, name, subresource),
            _subject("update", resource, name, namespace),
            body,
            query=_options(dry_run, field_manager),
        )

    def patch(
        self,
        resource: APIResource,
        name: str,
        patch: Any,
        *,
        namespace: str = "",
        kind: PatchKind = PatchKind.MERGE,
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str = _MANAGER,
        force: bool = False,
    ) -> dict[str, Any]:
        """Patch an object and return what the server stored.

        ``metadata.uid`` and ``metadata.resourceVersion`` in *patch* are preconditions.
        *force* takes fields from other managers and is for `PatchKind.APPLY`.
        """
        query = _options(dry_run, field_manager)
        if force:
            query.append(("force", "true"))
        return self._write(
            "PATCH",
            path_of(resource, namespace, name, subresource),
            _subject("patch", resource, name, namespace),
            patch,
            query=query,
            content_type=kind.value,
            expected=_expected(resource, dry_run=dry_run)
            if subresource in _OBJECTS_THEMSELVES
            else None,
        )

    def delete(
        self,
        resource: APIResource,
        name: str,
        *,
        namespace: str = "",
        uid: str = "",
        resource_version: str = "",
        propagation: str = "",
        dry_run: bool = False,
    ) -> None:
        """Delete an object; *uid* and *resource_version* are preconditions.

        Args:
            resource: Its type.
            name: Its name.
            namespace: Its namespace.
            uid: Only the object with this UID.
            resource_version: Only in this version.
            propagation: ``Orphan``, ``Background``, ``Foreground``, or the type's own.
            dry_run: Only check.

        Raises:
            ItemNotFoundError: It is gone.
            ConflictError: A precondition does not hold.
        """
        expected = {"uid": uid, "resourceVersion": resource_version}
        preconditions = {key: value for key, value in expected.items() if value}
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if preconditions:
            options["preconditions"] = preconditions
        if propagation:
            options["propagationPolicy"] = propagation
        if dry_run:
            options["dryRun"] = ["All"]
        self._write(
            "DELETE",
            path_of(resource, namespace, name),
            _subject("delete", resource, name, namespace),
            options,
        )

    def post_review(self, path: str, subject: Subject, body: Any) -> dict[str, Any]:
        """Send a question that takes the form of a create and changes nothing."""
        return self._write("POST", path, subject, body, changes=False)

    def read(self, path: str, subject: Subject) -> dict[str, Any]:
        """Return the JSON object at a path that belongs to no type."""
        call = Call(method="GET", path=path, subject=subject)
        return _decoded(self._transport.send(call, self._bound).data, subject)

    def _write(
        self,
        method: str,
        path: str,
        subject: Subject,
        body: Any,
        *,
        query: list[tuple[str, str]] | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
        changes: bool = True,
        expected: type[msgspec.Struct] | None = None,
    ) -> dict[str, Any]:
        # What a server keeps as it came (the `data` of a ControllerRevision, and whatever
        # else is a RawExtension) it writes in Go's way when it patches it. Were that not
        # the same, it would refuse every patch of what may not change.
        data = escaped(body if isinstance(body, bytes) else _encoded(body, subject))
        call = Call(
            method=method,
            path=path,
            query=query or (),
            body=data,
            content_type=content_type,
            accept=accept,
            subject=subject,
            changes=changes,
        )
        answer = self._transport.send(call, self._bound).data
        if expected is not None:
            _check_object(answer, expected, subject)
        return _decoded(answer, subject)


def _options(dry_run: bool, field_manager: str) -> list[tuple[str, str]]:  # noqa: FBT001 - passed on
    return [("dryRun", "All" if dry_run else ""), ("fieldManager", field_manager)]


def _subject(verb: str, resource: APIResource, name: str, namespace: str) -> Subject:
    return Subject(verb, str(resource), qualified(namespace, name))


def _named(body: Mapping[str, Any] | bytes) -> tuple[str, str]:
    """Return name and namespace as the body states them."""
    if isinstance(body, bytes):
        try:
            meta = msgspec.json.decode(body, type=_Body).metadata
        except msgspec.DecodeError:
            return "", ""  # the server will say so
        return meta.name or meta.generate_name, meta.namespace
    metadata = body.get("metadata") or {}
    name = metadata.get("name") or metadata.get("generateName") or ""
    return str(name), str(metadata.get("namespace") or "")


def _encoded(body: Any, subject: Subject) -> bytes:
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError as exc:
        reason = "a text in it has half a surrogate pair, which is no Unicode"
        raise InvalidItemError(
            subject.verb, subject.resource, subject.item, reason
        ) from exc


def _decoded(data: bytes, subject: Subject) -> dict[str, Any]:
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except _UNREADABLE as exc:
        raise _malformed(subject) from exc


def _keeps_objects(resource: APIResource) -> bool:
    """Whether its objects are stored; a review is only answered, metrics only read."""
    return resource.supports("get", "create")


def _expected(resource: APIResource, *, dry_run: bool) -> type[msgspec.Struct] | None:
    """What the answer to a write must have; None: it may be anything."""
    if not _keeps_objects(resource):
        return None
    return _Tried if dry_run else _Stored


def _check_object(
    data: bytes, expected: type[msgspec.Struct], subject: Subject
) -> None:
    try:
        msgspec.json.decode(data, type=expected)
    except msgspec.ValidationError as exc:
        raise _malformed(subject, _NO_OBJECT) from exc
    except _UNREADABLE as exc:
        raise _malformed(subject) from exc


def _malformed(subject: Subject, reason: str = _NO_JSON) -> ServerFaultError:
    return ServerFaultError(subject.verb, subject.resource, subject.item, reason)
