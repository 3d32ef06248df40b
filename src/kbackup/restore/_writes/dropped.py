"""What a server did not take of an object, though it said that it wrote it.

A field that an API server does not know is dropped without a word: an older one starts
a suspended Job; a webhook may take away what it likes. The writer asks after each write.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kbackup._kits.words import first_few
from kbackup.models import GroupResource, well_known
from kbackup.plugins import Run
from kbackup.restore._plan_entry import PlanEntry

Content = Mapping[str, Any]

_NEVER_STORED = frozenset({"status"})  # where it is sent, it is asked for by itself
_TAKEN_WHOLE = frozenset({well_known.SECRETS, well_known.CONFIG_MAPS})
_OF_SOME_SERVERS = b'"immutable"'  # from 1.18 on
_LARGE = 1 << 16
_METADATA = "PartialObjectMetadata"


def is_taken_whole(resource: GroupResource, body: Mapping[str, Any] | bytes) -> bool:
    """Whether a large object has only what every server takes, and need not come back.

    Of 200 Secrets of 1 MiB a seventh of the time went into their way back.
    """
    if not isinstance(body, bytes) or len(body) < _LARGE:
        return False
    return resource in _TAKEN_WHOLE and _OF_SOME_SERVERS not in body


def dropped_fields(sent: Content, stored: Content) -> list[str]:
    """Name the fields of *sent* that *stored* lacks; other values are no loss.

    Empty values count for nothing: many servers leave them out. Lists are compared
    element by element where they are of equal length; one that admission made longer
    or shorter is taken as it is. Names only: values may be those of a Secret.
    """
    found: list[str] = []
    came_back = ("metadata",) if stored.get("kind") == _METADATA else tuple(sent)
    for key, value in sent.items():
        if key in _NEVER_STORED or key not in came_back:
            continue
        _compare(value, stored.get(key), key, found)
    return found


def warn_of_dropped(run: Run, entry: PlanEntry, sent: Content, stored: Content) -> None:
    """Warn of the fields that the target did not take.

    Args:
        run: Is told.
        entry: Of the plan.
        sent: The object, or the merge patch: what that removes is no loss.
        stored: As the server answered.
    """
    _warn(run, entry, dropped_fields(sent, stored))


def warn_of_dropped_status(
    run: Run, entry: PlanEntry, sent: Any, stored: Content
) -> None:
    """Warn of the fields of a status, which was sent, that the target did not take."""
    found: list[str] = []
    _compare(sent, stored.get("status"), "status", found)
    _warn(run, entry, found)


def _warn(run: Run, entry: PlanEntry, dropped: Sequence[str]) -> None:
    if dropped:
        run.warning(f"the target dropped {first_few(dropped)}", item=entry.target)


def _compare(sent: Any, stored: Any, path: str, found: list[str]) -> None:
    if stored is sent or sent == stored:
        return
    if isinstance(sent, dict) and isinstance(stored, dict):
        for key, value in sent.items():
            _compare(value, stored.get(key), f"{path}.{key}", found)
    elif isinstance(sent, list) and isinstance(stored, list):
        for index, (left, right) in enumerate(_pairs(sent, stored)):
            _compare(left, right, f"{path}[{index}]", found)
    elif stored is None and _holds_something(sent):
        found.append(path)


def _pairs(sent: list[Any], stored: list[Any]) -> Iterator[tuple[Any, Any]]:
    return iter(zip(sent, stored, strict=True) if len(sent) == len(stored) else ())


def _holds_something(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_something(each) for each in value.values())
    if isinstance(value, list):
        return any(_holds_something(each) for each in value)
    return bool(value)
