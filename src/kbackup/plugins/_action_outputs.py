"""What an item action answers, checked: an engine goes on with it without another look."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeVar

import attrs

from kbackup.models import ResourceIdentifier
from kbackup.plugins._item_actions import BackupOutput, RestoreOutput

Output = TypeVar("Output", bound=BackupOutput | RestoreOutput)

NO_OBJECT = "it did not return a Kubernetes object"
_OTHER_TYPE = "it returned an object of another type"


class WrongAnswerError(TypeError):
    """An action is not as its Protocol has it; the text is ours and quotes no value."""


def checked(answer: Any, expected: type[Output], given: Mapping[str, Any]) -> Output:
    """Return what an action answered, its item as a plain dictionary unless unchanged.

    Args:
        answer: Whatever it is.
        expected: What it is to be.
        given: The item that the action was given.

    Raises:
        WrongAnswerError: It is something else.
    """
    if not isinstance(answer, expected):
        found = type(answer).__name__
        raise WrongAnswerError(f"it returned a {found}, not a {expected.__name__}")
    if not isinstance(answer.skip, str):
        found = type(answer.skip).__name__
        raise WrongAnswerError(f"it returned a {found} as the reason to skip")
    _check_identifiers(answer.additional_items, "an additional item")
    if isinstance(answer, BackupOutput):
        _check_identifiers(answer.post_operation_items, "a post-operation item")
    else:
        _check_timeout(answer.additional_items_ready_timeout)
    if not is_object(answer.item):  # also the one given: it may be changed in place
        raise WrongAnswerError(NO_OBJECT)
    if answer.item is given:
        return answer
    if _type_of(answer.item) != _type_of(given):
        raise WrongAnswerError(_OTHER_TYPE)
    if isinstance(answer.item, dict):
        return answer
    return attrs.evolve(answer, item=dict(answer.item))


def checked_related(answer: Any) -> tuple[ResourceIdentifier, ...]:
    """Return what an item block action answered.

    Raises:
        WrongAnswerError: It is something else than identifiers.
    """
    _check_identifiers(answer, "a related item")
    return tuple(answer)


def _check_identifiers(values: Any, one: str) -> None:
    if not isinstance(values, tuple | list):
        found, what = type(values).__name__, one.partition(" ")[2]
        raise WrongAnswerError(f"it returned a {found} as the {what}s")
    for value in values:
        if not isinstance(value, ResourceIdentifier):
            raise WrongAnswerError(f"it returned a {type(value).__name__} as {one}")


def _check_timeout(value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, timedelta) or value < timedelta():
        found = type(value).__name__
        raise WrongAnswerError(f"it returned a {found} that is no time to wait")


def _type_of(item: Mapping[str, Any]) -> tuple[str, str]:
    """API group and kind of an object; its version is not its type."""
    group, slash, _ = str(item.get("apiVersion")).partition("/")
    return (group if slash else "", str(item.get("kind")))


def is_object(value: Any) -> bool:
    """Whether what foreign code made can be a Kubernetes object at all."""
    if not isinstance(value, Mapping):
        return False
    metadata = value.get("metadata")
    if not isinstance(metadata, Mapping):
        return False
    needed = (value.get("apiVersion"), value.get("kind"), metadata.get("name"))
    texts = (*needed, metadata.get("namespace", ""))
    return all(needed) and all(isinstance(each, str) for each in texts)
