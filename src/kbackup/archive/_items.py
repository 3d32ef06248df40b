"""From an entry of an archive to an item: is it what its path says?

Called by the reader and by what it indexes.
"""

from __future__ import annotations

import msgspec

from kbackup._kits.words import qualified
from kbackup.errors import ArchiveCorruptError
from kbackup.models import GroupResource, Item, ResourceIdentifier


class _Metadata(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str | None = None


class Head(msgspec.Struct, gc=False, rename={"api_version": "apiVersion"}):
    """The parts of an object that say which one it is; the rest is passed over."""

    metadata: _Metadata
    api_version: str = ""
    kind: str = ""


_decode_head = msgspec.json.Decoder(Head).decode
_decode_whole = msgspec.json.Decoder(dict).decode


class ItemFactory:
    """Makes items of bodies; keeps one identity of each type it has seen."""

    def __init__(self) -> None:
        self._types: dict[str, GroupResource] = {}

    def type_of(self, resource: str) -> GroupResource:
        """Return the type that ``resource.group`` stands for."""
        kind = self._types.get(resource)
        if kind is None:
            kind = self._types[resource] = GroupResource.parse(resource)
        return kind

    def make(
        self, group_resource: GroupResource, namespace: str, name: str, body: bytes
    ) -> Item:
        """Return the item that *body* is.

        Its API version is the body's: an action may have changed it, and the path's
        stayed what it was.

        Raises:
            ArchiveCorruptError: The body is not the object that its path names.
        """
        head = check_body(str(group_resource), namespace, name, body)
        return Item(
            identifier=ResourceIdentifier(group_resource, namespace, name),
            raw=body,
            api_version=head.api_version,
            kind=head.kind,
        )


def check_body(resource: str, namespace: str, name: str, body: bytes) -> Head:
    """Return what *body* says about itself, if it is the object of that name.

    Raises:
        ArchiveCorruptError: It is not.
    """
    try:
        head = _decode_head(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        reason = "it is not a Kubernetes object in JSON"
        raise _corrupt(resource, namespace, name, reason) from exc
    if head.metadata.name == name and (head.metadata.namespace or "") == namespace:
        if head.api_version and head.kind:
            return head
        reason = "it has no apiVersion or no kind"
    else:
        own = f"{head.metadata.namespace or ''}/{head.metadata.name}"
        reason = f"the object in it is {own.removeprefix('/')!r}"
    raise _corrupt(resource, namespace, name, reason)


def check_whole(resource: str, namespace: str, name: str, body: bytes) -> Head:
    """As `check_body`, and every value in the body is read, not only its head."""
    try:
        _decode_whole(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        reason = "it is not a JSON object"
        raise _corrupt(resource, namespace, name, reason) from exc
    return check_body(resource, namespace, name, body)


def _corrupt(
    resource: str, namespace: str, name: str, reason: str
) -> ArchiveCorruptError:
    entry = f"{resource}/{qualified(namespace, name)}"
    return ArchiveCorruptError(reason, entry=entry)
