"""Lists: selected, in pages, as of now or of an exact resourceVersion."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from itertools import islice
from typing import Any

import attrs

from kbackup.testing._simulator.registry import ServedType
from kbackup.testing._simulator.selectors import parse_selectors
from kbackup.testing._simulator.state import State, type_prefix
from kbackup.testing._simulator.status import ApiError, expired
from kbackup.testing._simulator.storage import Storage, decode, encode

_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result."
    " You can start a new list without the continue parameter, or use the continue"
    " token in this response to retrieve the remainder of the results. Continuing with"
    " the provided token results in an inconsistent list."
)


@attrs.frozen(kw_only=True)
class Listed:
    """One page.

    Attributes:
        items: JSON without apiVersion and kind.
        next_token: Empty on the last page.
        remaining: How many items follow; None where a selector makes it unknown.
    """

    revision: int
    items: list[bytes]
    next_token: str
    remaining: int | None

    def metadata(self) -> dict[str, Any]:
        """Return the metadata of the list."""
        metadata: dict[str, Any] = {"resourceVersion": str(self.revision)}
        if self.next_token:
            metadata["continue"] = self.next_token
            if self.remaining is not None:
                metadata["remainingItemCount"] = self.remaining
        return metadata


def list_page(
    state: State, served: ServedType, namespace: str, query: Mapping[str, str]
) -> Listed:
    """Return the page that *query* asks for.

    Raises:
        ApiError: A parameter is wrong, or the version asked for is forgotten.
    """
    storage = state.storage
    selects = parse_selectors(served, query)
    limit = _number(query, "limit")
    revision, start = _where(storage, query, limit)
    prefix = f"{namespace}/" if namespace else ""
    # Reading the past costs a look at each version; the present does not.
    as_of = None if revision == storage.revision else revision
    found = storage.scan(served.storage_key, prefix=prefix, start=start, revision=as_of)
    if selects is not None:
        found = ((path, data) for path, data in found if selects(decode(data)))
    if not limit:
        items = [data for _, data in found]
        return Listed(revision=revision, items=items, next_token="", remaining=None)
    page = list(islice(found, limit))
    following = next(found, None)
    if following is None:
        token, remaining = "", None
    else:
        token = _token(revision, following[0])
        remaining = None if selects is not None else 1 + sum(1 for _ in found)
    return Listed(
        revision=revision,
        items=[data for _, data in page],
        next_token=token,
        remaining=remaining,
    )


def to_list(served: ServedType, page: Listed) -> bytes:
    """Return the list document; items of built-in types do not name their type."""
    head = encode(
        {
            "kind": served.list_kind,
            "apiVersion": served.api_version,
            "metadata": page.metadata(),
        }
    )
    items = page.items
    if served.custom:
        prefix = type_prefix(served)
        items = [prefix + item[1:] for item in items]
    return head[:-1] + b',"items":[' + b",".join(items) + b"]}"


def _where(storage: Storage, query: Mapping[str, str], limit: int) -> tuple[int, str]:
    """Return the resourceVersion to read at, and the path to start from."""
    match = query.get("resourceVersionMatch", "")
    token = query.get("continue", "")
    version = query.get("resourceVersion", "")
    if token:
        if version not in {"", "0"}:
            raise ApiError(
                400,
                "specifying resource version is not allowed when using continue",
            )
        return _read_token(storage, token)
    if match and not version:
        raise ApiError(
            400,
            "resourceVersionMatch is forbidden unless resourceVersion is provided",
        )
    if match not in {"", "Exact", "NotOlderThan"}:
        raise ApiError(400, f'resourceVersionMatch: Unsupported value: "{match}"')
    wanted = _number(query, "resourceVersion")
    if wanted > storage.revision:
        raise ApiError(
            504,
            f"Too large resource version: {wanted}, current: {storage.revision}",
            details={
                "causes": [
                    {
                        "reason": "ResourceVersionTooLarge",
                        "message": "Too large resource version",
                    }
                ],
                "retryAfterSeconds": 1,
            },
        )
    if match == "Exact" and not wanted:
        raise ApiError(
            400,
            'resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
        )
    exact = match == "Exact" or (not match and wanted and limit)
    if not exact:
        return storage.revision, ""
    if wanted <= storage.compacted:
        raise expired("The resourceVersion for the provided list is too old.")
    return wanted, ""


def _token(revision: int, path: str) -> str:
    token = {"v": "meta.k8s.io/v1", "rv": revision, "start": path}
    return base64.urlsafe_b64encode(encode(token)).decode().rstrip("=")


def _read_token(storage: Storage, token: str) -> tuple[int, str]:
    try:
        padded = token + "=" * (-len(token) % 4)
        content = decode(base64.urlsafe_b64decode(padded))
        revision, start = int(content["rv"]), str(content["start"])
    except (ValueError, KeyError, TypeError) as exc:
        raise ApiError(400, "continue key is not valid: " + str(exc)) from exc
    if revision < 0:
        return storage.revision, start
    if revision <= storage.compacted:
        gone = expired(_TOO_OLD)
        gone.continue_token = _token(-1, start)
        raise gone
    return revision, start


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "") or "0"
    if not text.isascii() or not text.isdigit():
        raise ApiError(400, f'{name}: Invalid value: "{text}"')
    return int(text)
