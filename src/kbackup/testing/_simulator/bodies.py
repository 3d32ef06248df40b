"""Bodies of requests: read, and refused where no API server could decode them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from kbackup.models import load_yaml
from kbackup.testing._simulator.patching import is_known_patch, unsupported
from kbackup.testing._simulator.protobuf import MEDIA_TYPE, decode_body
from kbackup.testing._simulator.registry import ServedType
from kbackup.testing._simulator.status import ApiError
from kbackup.testing._simulator.storage import decode

# As the API server's own limit on a request body.
_LARGEST_BODY = 3 * 1024 * 1024
_JSON, _YAML = "application/json", "application/yaml"
_MALFORMED = (
    AttributeError,
    IndexError,
    KeyError,
    RecursionError,
    TypeError,
    ValueError,
)


async def read_body(request: web.BaseRequest, served: ServedType, verb: str) -> Any:
    """Return the decoded body; None: there is none.

    Raises:
        ApiError: It is too large, of a type that is not understood, or no such thing.
    """
    data = await request.content.read()
    if len(data) > _LARGEST_BODY:
        raise ApiError(413, f"Request entity too large: limit is {_LARGEST_BODY}")
    content_type = request.content_type if "Content-Type" in request.headers else ""
    if verb == "patch" and not is_known_patch(served, content_type):
        raise unsupported(served, content_type)
    if not data:
        return None
    if verb != "patch" and content_type not in {"", _JSON, _YAML, MEDIA_TYPE}:
        raise ApiError(
            415,
            "the body of the request was in an unknown format - accepted media types"
            f" include: {_JSON}, {_YAML}, {MEDIA_TYPE}",
        )
    if content_type == MEDIA_TYPE:
        return decode_body(data)
    try:
        return load_yaml(data.decode()) if "yaml" in content_type else decode(data)
    except (ValueError, RecursionError) as exc:
        raise ApiError(400, f"the body cannot be read: {exc}") from exc


@contextmanager
def decoding(served: ServedType) -> Iterator[None]:
    """Answer as a decoder of the type would where a field is not what it must be.

    The types are not known here as a real server knows them: what is asked of a value
    that has another form tells.

    Raises:
        ApiError: So it is.
    """
    try:
        yield
    except _MALFORMED as exc:
        raise ApiError(
            400,
            f'{served.kind} in version "{served.version}" cannot be handled as a'
            f" {served.kind}: {exc}",
        ) from exc
