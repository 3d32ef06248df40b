"""Locks: who works in a repository, so that nobody removes what another one needs.

Many shared ones or one exclusive one. Whoever holds one renews it; one that was not
renewed for half an hour, or whose process is gone, is stale and may be removed.
Source: restic ``doc/design.rst``, "Locks".
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Self

import attrs
import msgspec

from kbackup._kits.durations import format_duration
from kbackup._kits.times import format_time, parse_time
from kbackup.errors import (
    IntegrityError,
    KBackupError,
    ObjectNotFoundError,
    RepositoryLockedError,
    StoreAccessError,
)
from kbackup.repository._backend import File, FileType
from kbackup.repository._documents import Documents
from kbackup.repository._ids import LockID, short
from kbackup.repository._users import user_name

_log = logging.getLogger("kbackup.repository")

STALE_AFTER = timedelta(minutes=30)
_RENEW_EVERY = timedelta(minutes=5)
# Earlier than others may call it stale, as clocks differ.
_LOST_AFTER = STALE_AFTER - _RENEW_EVERY * 1.5
_SETTLES = timedelta(milliseconds=200)
_TRY_AGAIN = timedelta(seconds=5)
_WITHOUT = (
    "a lock is a file: to read without one is `no_lock`, at a terminal `--no-lock`"
)


@attrs.frozen(kw_only=True)
class LockInfo:
    """What a lock file tells.

    Attributes:
        id: Its name.
        time: When it was made or renewed.
        exclusive: Whether nobody else may work beside it.
        hostname: Where its process runs.
        username: As whom.
        pid: The process.
    """

    id: LockID = attrs.field(repr=short)
    time: datetime
    exclusive: bool
    hostname: str
    username: str
    pid: int

    def is_stale(self, now: datetime) -> bool:
        """Tell whether nobody holds it any more, by its age or its process."""
        return now - self.time > STALE_AFTER or self.is_of_the_dead()

    def is_of_the_dead(self) -> bool:
        """Tell whether it is of a process of this machine that is gone."""
        if self.hostname != socket.gethostname() or self.pid <= 0:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            return False  # it is there, and somebody else's
        return False

    def __str__(self) -> str:
        kind = "exclusively " if self.exclusive else ""
        return (
            f"{kind}by process {self.pid} of {self.username} on {self.hostname}, "
            f"since {format_time(self.time)}"
        )


class _Written(msgspec.Struct, omit_defaults=True):
    time: str
    exclusive: bool
    hostname: str = ""
    username: str = ""
    pid: int = 0
    uid: int = 0
    gid: int = 0


class Lock:
    """A lock that is held, and renewed by a thread of its own until it is released.

    Args:
        documents: Of the repository.
        name: The file.
        exclusive: Whether nobody else may work beside it.
        now: Tells the time.
        sleep: Waits so many seconds.
        renew_every: How often it is renewed.
    """

    def __init__(
        self,
        documents: Documents,
        name: LockID,
        *,
        exclusive: bool,
        now: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
        renew_every: timedelta = _RENEW_EVERY,
    ) -> None:
        self._documents, self._name, self._exclusive = documents, name, exclusive
        self._now, self._renewed, self._sleep = now, now(), sleep
        self._settles_at = time.monotonic() + _SETTLES.total_seconds()
        self._is_confirmed = self._is_lost = False
        self._looks: list[Callable[[], None]] = []
        self._confirming = threading.Lock()
        self._every = renew_every.total_seconds()
        self._ended = threading.Event()
        self._changing = threading.Lock()
        thread = threading.Thread(
            target=self._keep, name="kbackup-repository-lock", daemon=True
        )
        thread.start()

    def look_when_confirmed(self, look: Callable[[], None]) -> None:
        """Have something looked at as soon as nobody who excludes this one can come.

        Args:
            look: Raises where what was read before that does not hold any more, as
                somebody may have ended just then. Not called where the lock is confirmed.
        """
        self._looks.append(look)

    def confirm(self) -> None:
        """Look once more whether somebody came at the same time; until then, only read.

        Waits until those who did must have seen this lock, or be seen. Only the first
        time does anything.

        Raises:
            RepositoryLockedError: Somebody holds one that excludes this one.
        """
        with self._confirming:
            if self._is_confirmed:
                return
            left = self._settles_at - time.monotonic()
            if left > 0:
                self._sleep(left)
            with self._changing:
                own = self._name
            _require_alone(
                self._documents, exclusive=self._exclusive, now=self._now(), own=own
            )
            for look in self._looks:
                look()
            self._is_confirmed = True

    def check(self) -> None:
        """Raise where the lock could not be renewed for so long that others pass it.

        Or where somebody removed it, and may have removed more since then. To be called
        before anything is removed or made visible; see also `confirm`.

        Raises:
            RepositoryLockedError: It is lost.
        """
        self.confirm()
        with self._changing:
            reason = self._reason_lost()
        if reason:
            raise RepositoryLockedError(self._documents.backend.location, reason)

    def is_held(self) -> bool:
        """Tell whether it kept others off all the time, as far as that can be told."""
        try:
            with self._changing:
                return not self._reason_lost()
        except KBackupError:
            return False

    def renew(self) -> None:
        """Write it anew with the time that it is now, and remove the old one.

        Where the old one is gone by then somebody took it for stale: what they removed
        after that, this one did not keep. Whoever removes it later finds the new one.
        """
        with self._changing:
            if self._ended.is_set() or self._is_lost:
                return
            moment, old = self._now(), self._name
            new = _save(self._documents, moment, self._exclusive)
            try:
                self._is_lost = not self._is_there(old)
            except BaseException:
                self._remove(new)
                raise
            self._name, self._renewed = new, moment
            self._remove(old)

    def release(self) -> None:
        """Remove it; releasing again does nothing."""
        with self._changing:
            if self._ended.is_set():
                return
            self._ended.set()
            self._remove(self._name)

    def _keep(self) -> None:
        while not self._ended.wait(self._every):
            with suppress(KBackupError):  # the next time; `check` tells when it is late
                self.renew()

    def _reason_lost(self) -> str:
        """Why it keeps nobody off any more; empty: it does."""
        if self._now() - self._renewed > _LOST_AFTER:
            return "the own lock could not be renewed and is lost"
        if not self._is_lost:
            self._is_lost = not self._is_there(self._name)
        return "somebody removed the own lock" if self._is_lost else ""

    def _is_there(self, name: LockID) -> bool:
        return self._documents.backend.exists(File(FileType.LOCK, name))

    def _remove(self, name: LockID) -> None:
        self._documents.backend.remove(File(FileType.LOCK, name))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.release()
        except KBackupError as exc:  # what was done under it is done all the same
            _log.warning("the lock could not be removed, others wait for it: %s", exc)


def acquire(
    documents: Documents,
    *,
    exclusive: bool = False,
    patience: timedelta = timedelta(0),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> Lock:
    """Take a lock: look, write one, wait for those who did the same, and look again.

    Args:
        documents: Of the repository.
        exclusive: Whether nobody else may work beside it.
        patience: For how long to try while others hold theirs.
        now: Tells the time.
        sleep: Waits so many seconds; what it raises ends the trying.

    Raises:
        RepositoryLockedError: Somebody holds one that excludes this one.
    """
    until = now() + patience
    while True:
        try:
            lock = begin(documents, exclusive=exclusive, now=now, sleep=sleep)
            return _confirmed(lock)
        except RepositoryLockedError:
            left = until - now()
            if left <= timedelta(0):
                raise
        sleep(min(left, _TRY_AGAIN).total_seconds())


def begin(
    documents: Documents,
    *,
    exclusive: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> Lock:
    """Take a lock that is not confirmed yet, so that reading goes on meanwhile.

    Args and errors as `acquire` has them.
    """
    _require_alone(documents, exclusive=exclusive, now=now())
    try:
        own = _save(documents, now(), exclusive)
    except StoreAccessError as exc:
        if exclusive:
            raise
        raise StoreAccessError(exc.key, exc.reason, hint=_WITHOUT) from exc
    return Lock(documents, own, exclusive=exclusive, now=now, sleep=sleep)


def _confirmed(lock: Lock) -> Lock:
    try:
        lock.confirm()
    except BaseException:
        with suppress(KBackupError):  # what went wrong first says more
            lock.release()
        raise
    return lock


def list_locks(documents: Documents) -> Iterator[LockInfo]:
    """Yield every lock that can be read; empty files are torn writes and none.

    Raises:
        IntegrityError: One is damaged.
    """
    for name, size in documents.backend.list(FileType.LOCK):
        if size == 0:
            continue
        try:
            yield _load(documents, LockID(name))
        except ObjectNotFoundError:
            continue  # released meanwhile
        except IntegrityError as exc:
            raise IntegrityError(
                exc.thing,
                f"{exc.reason or exc.fact}, so that nobody knows who holds it",
                hint="where nobody works in the repository, "
                "`unlock` with `remove_all` removes it",
            ) from exc


def unlock(
    documents: Documents, *, remove_all: bool = False, now: datetime | None = None
) -> list[LockID]:
    """Remove the locks that are stale, or all of them; return which.

    Args:
        documents: Of the repository.
        remove_all: Those of living processes, and damaged ones, too. Whoever works in
            the repository may then lose what they write.
        now: The time.
    """
    moment = now or datetime.now(UTC)
    removed: list[LockID] = []
    for name, _ in list(documents.backend.list(FileType.LOCK)):
        lock = LockID(name)
        if remove_all or _is_stale(documents, lock, moment):
            documents.backend.remove(File(FileType.LOCK, lock))
            removed.append(lock)
    return removed


def _is_stale(documents: Documents, name: LockID, now: datetime) -> bool:
    try:
        return _load(documents, name).is_stale(now)
    except (ObjectNotFoundError, IntegrityError):
        return False


def _require_alone(
    documents: Documents,
    *,
    exclusive: bool,
    now: datetime,
    own: LockID | None = None,
) -> None:
    for lock in list_locks(documents):
        if lock.id == own or not (exclusive or lock.exclusive):
            continue
        reason, hint = str(lock), ""
        if lock.is_of_the_dead():
            reason += "; that process is gone"
        elif lock.is_stale(now):
            reason += f", not renewed for {format_duration(STALE_AFTER)}"
        if lock.is_stale(now):
            hint = "`unlock` removes locks that nobody holds any more"
        raise RepositoryLockedError(documents.backend.location, reason, hint=hint)


def _save(documents: Documents, moment: datetime, exclusive: bool) -> LockID:  # noqa: FBT001 - of the file
    written = _Written(
        time=moment.astimezone().isoformat(),
        exclusive=exclusive,
        hostname=socket.gethostname(),
        username=user_name(os.getuid()),
        pid=os.getpid(),
        uid=os.getuid(),
        gid=os.getgid(),
    )
    document = msgspec.json.encode(written)
    return LockID(documents.save(FileType.LOCK, document))


def _load(documents: Documents, name: LockID) -> LockInfo:
    document = documents.load(FileType.LOCK, name)
    try:
        written = msgspec.json.decode(document, type=_Written)
        moment = parse_time(written.time)
    except (ValueError, RecursionError, msgspec.MsgspecError) as exc:
        raise IntegrityError(str(File(FileType.LOCK, name)), "it is no lock") from exc
    return LockInfo(
        id=name,
        time=moment,
        exclusive=written.exclusive,
        hostname=written.hostname,
        username=written.username,
        pid=written.pid,
    )
