"""What an error of the API server means for a write: try again, look, or give up.

Pure; asked by what writes, and by some of what reads.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from kbackup.cluster import denial
from kbackup.errors import (
    ActionError,
    AlreadyExistsError,
    ClusterError,
    ClusterUnreachableError,
    ConflictError,
    InvalidItemError,
    ItemNotFoundError,
    KBackupError,
    ServerFaultError,
    ThrottledError,
    UnsupportedByServerError,
)


class Answer(StrEnum):
    """What to do after a write failed."""

    RETRY = "retry"
    """It may pass later; nothing was written."""
    LOOK = "look"
    """It may have been written: a GET tells."""
    EXISTS = "exists"
    """There is an object of this name."""
    LEAVING = "leaving"
    """There is one that is being deleted: a GET tells what holds it."""
    MOVED = "moved"
    """The live object is not the one that the plan saw."""
    FAIL = "fail"


# Of a webhook that cannot be asked: before a write, and between two versions.
_CONVERSION = "conversion webhook for"
_WEBHOOKS = ("failed calling webhook", "failed to call webhook", _CONVERSION)
# Of an admission policy whose parameters, or their type, are not there yet: it decides
# when this restore has written them, or the server has seen them.
_POLICIES = (
    "not yet synced to use for admission",
    "failed to find resource referenced by paramkind",
    "no params found for policy binding with `deny` parameternotfoundaction",
)
_LEAVING = "object is being deleted"
# What passes by itself, by the words of the API server. It has no reason codes for
# these: quota not yet counted, admission that cannot be asked, the account controller
# that has not caught up with a new namespace, a namespace on its way out, a class that
# admission has not seen yet.
_PASSING = (
    "status unknown for quota",
    "because it is being terminated",
    "error looking up service account",
    "no api token found for service account",
    *_WEBHOOKS,
    _LEAVING,
    "not yet ready to handle request",
    "no priorityclass with name",
    "pod rejected: runtimeclass",
    *_POLICIES,
)
# What the server answers with a 500 and will answer for ever: etcd does not take an
# object of that size, and nobody may choose a version.
_LASTING = (
    "request is too large",
    "trying to send message larger than max",
    "resourceversion should not be set",
)
# What has side effects is not asked about a write that is only tried.
_UNTRIED = re.compile(r'admission webhook "[^"]*" does not support dry run')
# Said of ports and addresses before it is looked whether the name is taken.
_TAKEN = ("provided port is already allocated", "provided ip is already allocated")


_ON_CREATE: tuple[tuple[type[ClusterError], Answer], ...] = (
    (ThrottledError, Answer.RETRY),
    (ClusterUnreachableError, Answer.LOOK),
    (ServerFaultError, Answer.LOOK),
    (AlreadyExistsError, Answer.EXISTS),
    (ConflictError, Answer.RETRY),
    (UnsupportedByServerError, Answer.RETRY),  # its CRD is not served yet
    (ItemNotFoundError, Answer.RETRY),  # its namespace is not there yet
)
_ON_UPDATE: tuple[tuple[type[ClusterError], Answer], ...] = (
    (ThrottledError, Answer.RETRY),
    (ClusterUnreachableError, Answer.LOOK),
    (ServerFaultError, Answer.LOOK),
    (ConflictError, Answer.MOVED),
    (ItemNotFoundError, Answer.MOVED),
)


def meaning(error: ClusterError, *, create: bool) -> Answer:
    """Tell what a failed write means.

    Args:
        error: What the cluster room raised.
        create: Whether the write was a create.
    """
    text = f"{error}".lower()
    if create and _LEAVING in text:
        return Answer.LEAVING
    if _is_any(_PASSING, text):
        return Answer.RETRY
    if _lasts(error):
        return Answer.FAIL
    if denial(text):
        return _of_denial(error)
    if isinstance(error, InvalidItemError) and create and _is_any(_TAKEN, text):
        return Answer.EXISTS
    table = _ON_CREATE if create else _ON_UPDATE
    found = (answer for kind, answer in table if isinstance(error, kind))
    return next(found, Answer.FAIL)


def may_pass(error: KBackupError) -> bool:
    """Whether what was asked before a write, also by an action, may be answered later."""
    cause = error.__cause__ if isinstance(error, ActionError) else error
    if not isinstance(cause, ClusterError):
        return False
    passing = (Answer.RETRY, Answer.LOOK, Answer.LEAVING)
    return meaning(cause, create=True) in passing


def is_push_back(error: ClusterError) -> bool:
    """Whether the server says that it has too much to do.

    A webhook that is not there yet, or that denies, says nothing of the server, nor does
    an object that is too large for it.
    """
    if denial(str(error)):
        return False
    if isinstance(error, ServerFaultError):
        return not (_lasts(error) or _is_any(_WEBHOOKS, f"{error}".lower()))
    return isinstance(error, ThrottledError)


def _of_denial(error: ClusterError) -> Answer:
    """What a webhook means that denied a write, whatever code it chose for that.

    Nothing was written, and no name is taken. One that gives an error instead of a
    judgement may miss what this restore writes later.
    """
    passing = tuple(kind for kind, _ in (*_ON_CREATE, *_ON_UPDATE))
    return Answer.RETRY if isinstance(error, passing) else Answer.FAIL


def _lasts(error: ClusterError) -> bool:
    fault = isinstance(error, ServerFaultError)
    return fault and _is_any(_LASTING, f"{error}".lower())


def _is_any(words: Iterable[str], text: str) -> bool:
    return any(each in text for each in words)


def is_about_conversion(error: ClusterError) -> bool:
    """Whether a conversion webhook could not convert between two versions."""
    return _CONVERSION in f"{error}".lower()


def untried(reason: str) -> str:
    """The words of an answer that a webhook keeps a write from being tried; or nothing."""
    found = _UNTRIED.search(reason)
    return found[0] if found else ""


def explain(error: ClusterError, *, hide: bool) -> str:
    """The last answer, as the result says it.

    Args:
        error: What the cluster room raised.
        hide: Leave out the words about the object itself, which may quote its values.
    """
    if not hide:
        return str(error)
    denied = denial(str(error))
    if denied or not isinstance(error, InvalidItemError):
        return denied or str(error)
    details = (error.body or {}).get("details") or {}
    fields = [str(cause.get("field")) for cause in details.get("causes") or ()]
    named = f" ({', '.join(fields)})" if fields else ""
    return f"cannot {error.verb} {error.resource} {error.item}: {error.fact}{named}"


def leaving(live: Mapping[str, Any]) -> str:
    """Why a live object that is being deleted stays, as far as it says so."""
    finalizers = ", ".join(live["metadata"].get("finalizers") or ())
    text = "the live one is being deleted"
    if finalizers:
        text += f" (finalizers: {finalizers})"
    return "; ".join([text, *true_conditions(live)])


def true_conditions(live: Mapping[str, Any]) -> Iterator[str]:
    """What an object says of itself that is so; of a namespace that goes what holds it."""
    for condition in (live.get("status") or {}).get("conditions") or ():
        if condition.get("status") == "True":
            named = (str(condition.get(key) or "") for key in ("type", "reason"))
            yield f"{' '.join(filter(None, named))}: {condition.get('message') or ''}"
