"""Custom types behind a conversion webhook: served in their storage version only.

No webhook runs in a simulated cluster, so whatever needs one is refused as the API
server refuses it while a webhook does not answer.
"""

from __future__ import annotations

from itertools import islice

from kbackup.testing._simulator.registry import ServedType
from kbackup.testing._simulator.requests import Target
from kbackup.testing._simulator.state import State
from kbackup.testing._simulator.status import ApiError
from kbackup.testing._simulator.storage import path_of


def check_conversion(
    state: State, served: ServedType, target: Target, verb: str
) -> None:
    """Refuse a request for which objects would have to be converted.

    Raises:
        ApiError: The answer of a server whose webhook is not there.
    """
    if served.converter and (verb == "create" or _finds_any(state, served, target)):
        raise ApiError(
            500,
            f"conversion webhook for {served.api_version}, Kind={served.kind} failed:"
            f" {served.converter}",
            reason="",
        )


def _finds_any(state: State, served: ServedType, target: Target) -> bool:
    """Whether there is an object that the request is about."""
    if target.name:
        path = path_of(target.namespace, target.name)
        return state.storage.get(served.storage_key, path) is not None
    prefix = f"{target.namespace}/" if target.namespace else ""
    found = state.storage.scan(served.storage_key, prefix=prefix)
    return bool(list(islice(found, 1)))
