"""Label and field selectors of list, watch and deletecollection requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from kbackup.models import LabelSelector
from kbackup.testing._simulator.registry import ServedType
from kbackup.testing._simulator.resources import FIELD_SELECTORS
from kbackup.testing._simulator.status import ApiError

Selects = Callable[[Mapping[str, Any]], bool]
_TERM = re.compile(r"([^=!]+)(==|=|!=)(.*)")


def parse_selectors(served: ServedType, query: Mapping[str, str]) -> Selects | None:
    """Return a predicate over objects; None where everything is selected.

    Raises:
        ApiError: A selector is malformed, or a field cannot be selected by.
    """
    checks: list[Selects] = []
    if text := query.get("labelSelector", "").strip():
        checks.append(_labels(text))
    terms = filter(None, query.get("fieldSelector", "").split(","))
    checks.extend(_field(served, term) for term in terms)
    if not checks:
        return None
    return lambda obj: all(check(obj) for check in checks)


def _labels(text: str) -> Selects:
    try:
        selector = LabelSelector.parse(text)
    except Exception as exc:
        raise ApiError(400, f"unable to parse requirement: {exc}") from exc
    return lambda obj: selector.matches(obj["metadata"].get("labels") or {})


def _field(served: ServedType, term: str) -> Selects:
    match = _TERM.fullmatch(term.strip())
    if match is None:
        raise ApiError(400, f"invalid selector: '{term}'; can't understand '{term}'")
    field, operator, wanted = match.groups()
    allowed = FIELD_SELECTORS.get(served.storage_key, ())
    if field not in {"metadata.name", "metadata.namespace", *allowed}:
        raise ApiError(
            400,
            f'Unable to find "{served.api_version}, Resource={served.resource}" that'
            f' match label selector "", field selector "{term}": field label not'
            f" supported: {field}",
        )
    steps = field.split(".")

    def check(obj: Mapping[str, Any]) -> bool:
        return (_text_at(obj, steps) == wanted) == (operator != "!=")

    return check


def _text_at(obj: Any, steps: list[str]) -> str:
    for step in steps:
        obj = obj.get(step) if isinstance(obj, Mapping) else None
    if obj is None:
        return ""
    return str(obj).lower() if isinstance(obj, bool) else str(obj)
