"""Verbs that take several names, and the one rule for those that come to nothing.

As with kubectl, one name that is not there keeps no other from being looked at: each
error is told, and the exit code is that of the worst. `backup delete` asks this of all
names before it deletes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs

from kbackup.cli._failures import explain_each
from kbackup.cli._output import print_document, say
from kbackup.errors import (
    BackupError,
    InvalidSpecError,
    KBackupError,
    RestoreError,
    SnapshotNotFoundError,
)

if TYPE_CHECKING:
    from kbackup.cli._session import Session

T = TypeVar("T")
# Of a name; any other error, such as a store's, would be that of every name.
_OF_A_NAME = (BackupError, RestoreError, SnapshotNotFoundError, InvalidSpecError)


@attrs.frozen
class Named(Generic[T]):
    """What came of several names.

    Attributes:
        found: Of each name that was right, in the order of the names.
        errors: Of each that was not.
    """

    found: Sequence[T]
    errors: Sequence[KBackupError] = ()

    def told(self, session: Session) -> int:
        """Tell the errors, where there are any; return the exit code."""
        if not self.errors:
            return 0
        session.told_next = True
        say(explain_each(self.errors, session))
        return max(error.exit_code for error in self.errors)


def each_named(names: Iterable[str], act: Callable[[str], T]) -> Named[T]:
    """Call *act* with each name, and go on after one that comes to nothing."""
    found, errors = [], []
    for name in names:
        try:
            found.append(act(name))
        except _OF_A_NAME as exc:
            errors.append(exc)
    return Named(found, errors)


def picked(
    listed: Mapping[str, T], names: Sequence[str], look: Callable[[str], T]
) -> Named[T]:
    """Return what is named of a list, in its order.

    Args:
        listed: By name.
        names: Which.
        look: Says why a name is not in the list, or returns what has come meanwhile.
    """
    absent = each_named((name for name in names if name not in listed), look)
    found = [entry for name, entry in listed.items() if name in names]
    return Named([*found, *absent.found], absent.errors)


def print_each(
    session: Session,
    listed: Mapping[str, Any],
    table: Callable[[], None],
    *,
    several: bool,
) -> None:
    """Print a list of documents, or its only one where not *several* were asked for.

    Of nothing nothing is printed: a program sees by the exit code why.
    """
    if items := listed["items"]:
        print_document(session, listed if several else items[0], table)
