"""Opening a repository for a verb, with the signals that end it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import attrs

from kbackup._kits.workers import Cancelled
from kbackup.cli._repo._password import password_of
from kbackup.cli._repo._place import backend_at, place_of, require_directory
from kbackup.cli._repo._ways import MEANT, Ways
from kbackup.cli._repository_choice import RepositoryChoice
from kbackup.cli._signals import cancel_on_signal
from kbackup.errors import InvalidConfigError, RunCancelledError

if TYPE_CHECKING:
    from kbackup._kits.workers import CancelToken
    from kbackup.cli._session import Session
    from kbackup.repository import Compression, Repository


@attrs.frozen
class Meant:
    """A repository and what opens it.

    Attributes:
        place: A directory or an address.
        lock_patience: How long to wait while others hold a lock that excludes.
        no_lock: Only read, and take no lock.
    """

    place: str
    password: str = attrs.field(repr=False)
    lock_patience: timedelta
    no_lock: bool = False


def meant(session: Session, choice: RepositoryChoice, ways: Ways = MEANT) -> Meant:
    """Find out which repository is meant, and its password; somebody may be asked.

    Args:
        session: Says how it is to be printed.
        choice: What the options say.
        ways: How else it may be said.

    Raises:
        InvalidConfigError: It is not said where it is, or what its password is.
        RepositoryNotFoundError: The directory has none.
    """
    refuse_yaml(session)
    place = place_of(choice, ways)
    require_directory(place)
    password = password_of(choice, ways, place)
    return Meant(place, password, choice.lock_patience, choice.no_lock)


@contextmanager
def opened(
    session: Session,
    which: Meant | None = None,
    *,
    compression: Compression | None = None,
) -> Iterator[Repository]:
    """Open the repository of this call; the first signal meanwhile cancels.

    Args:
        session: Knows what the options say, and the plugins.
        which: What that comes to, where it had to be found out before.
        compression: For what is written.

    Raises:
        InvalidConfigError: As `meant`.
        RepositoryError: See `Repository.open`.
        RunCancelledError: A signal came.
    """
    which = which or meant(session, session.repository)
    with (
        cancel_on_signal() as token,
        opened_as(session, which, token, compression=compression) as repository,
    ):
        yield repository


@contextmanager
def opened_as(
    session: Session,
    which: Meant,
    cancel: CancelToken,
    *,
    compression: Compression | None = None,
) -> Iterator[Repository]:
    """Open what is meant, under the token of whoever handles the signals."""
    from kbackup.repository import Compression, Repository  # noqa: PLC0415 - on demand

    with (
        _translated(),
        backend_at(session, which.place, cancel=cancel) as backend,
        Repository.open(
            backend,
            which.password,
            compression=compression or Compression.AUTO,
            lock_patience=which.lock_patience,
            no_lock=which.no_lock,
            cancel=cancel,
        ) as repository,
    ):
        yield repository


def refuse_yaml(session: Session) -> None:
    """Refuse a format that the verbs of a repository do not have."""
    if session.output == "yaml":
        raise InvalidConfigError("kbackup repo prints tables and JSON, no YAML")


@contextmanager
def _translated() -> Iterator[None]:
    """Raise our error for a cancel that came outside a lock."""
    try:
        yield
    except Cancelled as exc:
        raise RunCancelledError(exc.reason) from exc
