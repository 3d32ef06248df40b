"""Paths of the API: where objects of a type live, and how errors name them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, urlencode

from kbackup.errors import InvalidItemError
from kbackup.models import APIResource

# Half a surrogate pair is no text: it is for the server to say that there is no such thing.
_AS_BYTES = "surrogatepass"
_LEADS_ELSEWHERE = {".", ".."}  # clients and servers resolve these


def path_of(
    resource: APIResource, namespace: str = "", name: str = "", subresource: str = ""
) -> str:
    """Return the path of a type, of one object, or of something below it.

    Raises:
        InvalidItemError: A name would lead to another path.
    """
    for each in {namespace, name} & _LEADS_ELSEWHERE:
        raise InvalidItemError("address", str(resource), each, "this is no name")
    if resource.group:
        parts = ["/apis", resource.group, resource.version]
    else:
        parts = ["/api", resource.version]
    if namespace and resource.namespaced:
        parts += ["namespaces", quote(namespace, safe="", errors=_AS_BYTES)]
    parts.append(resource.resource)
    if name:
        # RBAC names may hold a colon; a slash or a dot-dot must not leave the type.
        parts.append(quote(name, safe=":", errors=_AS_BYTES))
    if subresource:
        parts.append(subresource)
    return "/".join(parts)


def query_of(pairs: Iterable[tuple[str, str]]) -> str:
    """Return names and values as the query of a URL."""
    return _query(tuple(pairs))


@lru_cache(maxsize=64)  # all writes of a run have the same one, or one of few
def _query(pairs: tuple[tuple[str, str], ...]) -> str:
    return urlencode(pairs, errors=_AS_BYTES)
