"""The metadata of objects: which types its fields have, the same for every kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kbackup.testing._simulator.status import ApiError


def check_metadata(metadata: Mapping[str, Any]) -> None:
    """Refuse metadata whose fields have other types than they must have.

    Raises:
        ApiError: One has.
    """
    for field, value in metadata.items():
        if value is not None and not _FIELDS.get(field, _is_anything)(value):
            raise ApiError(
                400,
                "the object provided is unrecognized: json: cannot unmarshal into"
                f" ObjectMeta.metadata.{field}",
            )


def _is_anything(_: Any) -> bool:
    return True


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text_by_name(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _are_owners(value: Any) -> bool:
    return _are_objects(value) and all(
        _is_text(owner.get(field, ""))
        for owner in value
        for field in ("apiVersion", "kind", "name", "uid")
    )


def _are_managers(value: Any) -> bool:
    return _are_objects(value) and all(
        isinstance(entry.get("fieldsV1", {}), dict | None) for entry in value
    )


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


_FIELDS = {
    **dict.fromkeys(
        (
            "name",
            "generateName",
            "namespace",
            "selfLink",
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "deletionTimestamp",
        ),
        _is_text,
    ),
    **dict.fromkeys(("generation", "deletionGracePeriodSeconds"), _is_number),
    **dict.fromkeys(("labels", "annotations"), _is_text_by_name),
    "finalizers": _are_texts,
    "ownerReferences": _are_owners,
    "managedFields": _are_managers,
}
