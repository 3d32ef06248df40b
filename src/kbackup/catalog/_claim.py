"""The claim that a run holds on a backup's name: who writes, and that it still lives.

A claim is an object below ``plugins/kbackup.io/claims/``. Where the store creates
atomically, ``claims/<backup>.json`` has one winner. Where it does not, each contender
writes ``claims/<backup>/<run uid>.json`` and the lowest uid wins.

A claim is stale when its heartbeat is older than `STALE_AFTER`, or its process, on this
very machine, is gone. A stale claim is taken over by whoever creates the marker of its
take-over, so that two who find it stale at the same moment do not both win.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

import attrs

from kbackup._kits.clock import Clock
from kbackup._kits.times import format_time, parse_time
from kbackup.catalog._fetch import UnreadableError, fetch, parse_json
from kbackup.errors import (
    BackupInProgressError,
    DigestMismatchError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
)
from kbackup.models import API_VERSION
from kbackup.plugins import Capability, ObjectStore
from kbackup.stores import directories_of, layout

HEARTBEAT = timedelta(seconds=30)
STALE_AFTER = timedelta(minutes=5)

_KIND = "Claim"
_MOST_BYTES = 1 << 16
_MOST_PID = (1 << 31) - 1
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_SETTLE_SECONDS = 0.2  # between two looks at a contender that has not decided yet
_MOST_LOOKS = 100

_LOST = "this run has lost its claim on the name"

_log = logging.getLogger("kbackup.catalog")


@cache
def machine() -> str:
    """Return what tells this machine, boot and set of process numbers from others.

    A host name does not: containers of one host may share it and number their
    processes from one each. Empty where the system does not say.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"  # noqa: PTH116 - one call
    except OSError:
        return ""


@attrs.frozen(kw_only=True)
class ClaimRecord:
    """What a claim says.

    Attributes:
        backup: The name claimed.
        run: The run's uid; the lowest wins where the store cannot decide.
        written: When the store says that it was written, by the store's own clock.
        machine: See `machine`.
        held: Whether the contender has decided that the claim is its own.
    """

    backup: str
    run: str
    host: str = ""
    machine: str = ""
    pid: int = 0
    started: datetime
    heartbeat: datetime
    held: bool = True
    written: datetime | None = attrs.field(default=None, eq=False)

    def encode(self) -> bytes:
        """Return the document."""
        document = {
            "apiVersion": API_VERSION,
            "kind": _KIND,
            "backup": self.backup,
            "run": self.run,
            "host": self.host,
            "machine": self.machine,
            "pid": self.pid,
            "started": format_time(self.started),
            "heartbeat": format_time(self.heartbeat),
            "held": self.held,
        }
        return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"

    @classmethod
    def decode(cls, content: bytes) -> ClaimRecord:
        """Read the document; raises `UnreadableError`."""
        data = parse_json(content)
        try:
            return cls(
                backup=str(data["backup"]),
                run=_checked_run(data["run"]),
                host=str(data.get("host", "")),
                machine=str(data.get("machine", "")),
                pid=_checked_pid(data.get("pid", 0)),
                started=parse_time(data["started"]),
                heartbeat=parse_time(data["heartbeat"]),
                held=data.get("held") is not False,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise UnreadableError(f"it is no claim: {exc}") from exc

    def is_stale(self, now: datetime) -> bool:
        """Tell whether the run behind the claim is dead."""
        if self.silent_for(now) > STALE_AFTER:
            return True
        if not self.machine or self.machine != machine() or self.pid == os.getpid():
            return False
        return not _is_alive(self.pid)

    def silent_for(self, now: datetime) -> timedelta:
        """Return how long nothing was heard of the run."""
        return now - self._last_heard(now)

    def _last_heard(self, now: datetime) -> datetime:
        """Return the later of heartbeat and writing that can be true.

        The holder's clock may be wrong: one that is late must not make its claim
        stale, one that was early must not make it hold for ever.
        """
        told = [self.heartbeat, self.written or self.heartbeat]
        return max([each for each in told if each <= now + STALE_AFTER] or told)

    def __str__(self) -> str:
        return (
            f"by run {self.run} on {self.host or 'an unknown host'} (process {self.pid}) "
            f"since {format_time(self.started)}, last heard of at "
            f"{format_time(self.heartbeat)}"
        )


def _checked_run(value: object) -> str:
    # It becomes part of a key.
    if isinstance(value, str) and layout.is_valid_uid(value):
        return value
    raise ValueError(f"{str(value)[:80]!r} is no run")


def _checked_pid(value: object) -> int:
    return value if isinstance(value, int) and 0 < value <= _MOST_PID else 0


def _is_alive(pid: int) -> bool:
    if pid == 0:  # nothing is known
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's, or cannot be asked
        return True
    return True


def read_claims(
    store: ObjectStore, names: Callable[[str], bool]
) -> Iterator[tuple[str, ClaimRecord]]:
    """Yield the claims on the backups that *names* wants, with their keys.

    Markers of take-overs count as claims: who writes one is about to hold the claim.
    """
    for info in store.list(layout.CLAIMS):
        backup = _claimed(info.key)
        if not names(backup):
            continue
        if (record := _read(store, info.key)) is not None:
            yield info.key, record


def live_claim(store: ObjectStore, name: str, now: datetime) -> ClaimRecord | None:
    """Return the claim of a run that is writing a backup now, or None."""
    claims = (record for _, record in read_claims(store, name.__eq__))
    return next((record for record in claims if not record.is_stale(now)), None)


def _claimed(key: str) -> str:
    """Return the backup that a claim's key is about."""
    rest = key.removeprefix(layout.CLAIMS)
    directory, slash, _ = rest.partition("/")
    return directory if slash else rest.removesuffix(".json")


def _contender_key(name: str, run: str) -> str:
    """Return the key of a contender's own object, or of the marker of a take-over."""
    return f"{layout.claim(name).removesuffix('.json')}/{run}.json"


def _read(store: ObjectStore, key: str) -> ClaimRecord | None:
    """Return a claim, or None: it is gone.

    One that cannot be read is somebody's all the same, as old as its object.
    """
    record = None
    try:
        record = _decode(store, key)
    except ObjectNotFoundError:
        return None
    except UnreadableError as exc:
        _log.warning("%s: %s", key, exc)
    try:
        written = store.stat(key).modified
    except ObjectNotFoundError:
        return None
    backup, since = _claimed(key), written or _LONG_AGO
    if record is not None:  # whatever it says, it is about the name of its key
        return attrs.evolve(record, backup=backup, written=written)
    return ClaimRecord(backup=backup, run="unreadable", started=since, heartbeat=since)


def _decode(store: ObjectStore, key: str) -> ClaimRecord:
    """Read a claim; of copies that differ the one that was heard of last counts.

    They differ while a heartbeat is being written to one mirrored directory after the
    other, and for ever where its run was killed just then.
    """
    try:
        return ClaimRecord.decode(fetch(store, key, limit=_MOST_BYTES))
    except DigestMismatchError as exc:
        found = []
        for directory in directories_of(store):
            with suppress(StoreError, UnreadableError):
                content = fetch(directory.store, key, limit=_MOST_BYTES)
                found.append(ClaimRecord.decode(content))
        if not found:
            raise UnreadableError(exc.reason) from exc
        return max(found, key=lambda record: record.heartbeat)


class BackupClaim:
    """A name that is ours until `release`; a context manager.

    A daemon thread renews it. Leaving the ``with`` block releases it.

    Attributes:
        name: The backup.
        run_uid: Who claims.
    """

    def __init__(
        self, store: ObjectStore, name: str, *, run_uid: str, clock: Clock
    ) -> None:
        self.name = name
        self.run_uid = run_uid
        self._store = store
        self._clock = clock
        now = clock.now()
        self._record = ClaimRecord(
            backup=name,
            run=run_uid,
            host=socket.gethostname(),
            machine=machine(),
            pid=os.getpid(),
            started=now,
            heartbeat=now,
        )
        self._atomic = Capability.ATOMIC_CREATE in store.capabilities
        self._key = (
            layout.claim(name) if self._atomic else _contender_key(name, run_uid)
        )
        self._lock = threading.Lock()  # a heartbeat must not revive what was released
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def acquire(self) -> Self:
        """Make the name ours.

        Raises:
            BackupInProgressError: A run that lives holds it.
        """
        if self._atomic:
            self._create()
        else:
            self._contend()
        self._thread = threading.Thread(
            target=self._beat, name=f"kbackup-claim-{self.name}", daemon=True
        )
        self._thread.start()
        return self

    def check(self) -> None:
        """Raise `BackupInProgressError` if another run has taken the name over."""
        found = _read(self._store, self._key)
        if found is not None and found.is_stale(self._clock.now()):
            self.renew()  # this process was stopped: whoever comes now takes it over
        if self._ended.is_set() or found is None or found.run != self.run_uid:
            raise BackupInProgressError(self.name, _LOST)

    def is_ours(self) -> bool:
        """Tell whether the name is surely still ours; a store that fails means no."""
        try:
            self.check()
        except (BackupInProgressError, StoreError):
            return False
        return True

    def renew(self) -> None:
        """Write a heartbeat, unless the claim is no longer ours."""
        with self._lock:
            if self._ended.is_set():
                return
            try:
                self._renew()
            except BackupInProgressError:
                _log.warning("the claim on backup %s was lost", self.name)
                self._ended.set()

    def _renew(self) -> None:
        now = self._clock.now()
        found = _read(self._store, self._key)
        if found is None or found.run != self.run_uid:
            raise BackupInProgressError(self.name, _LOST)
        self._record = attrs.evolve(self._record, heartbeat=now)
        if not found.is_stale(now):
            self._store.put(self._key, self._record.encode())
        elif self._atomic:
            self._take_over(found)  # as whoever else wants it has to
        else:
            self._write(held=True)
            self._withdraw_before_others()
        if self._clock.now() - now > STALE_AFTER:
            # Stopped between the look and the heartbeat, which may have covered the
            # claim of a successor: who that was cannot be told any more.
            raise BackupInProgressError(self.name, _LOST)

    def _withdraw_before_others(self) -> None:
        """Give the name up to whoever came while this run was silent."""
        if others := self._others():
            self._store.delete(self._key)
            raise BackupInProgressError(self.name, str(others[0]))

    def release(self) -> None:
        """Give the name back; a second call does nothing."""
        with self._lock:
            if self._ended.is_set():
                return
            self._ended.set()
            found = _read(self._store, self._key)
            if found is not None and found.run == self.run_uid:
                self._store.delete(self._key)

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT.total_seconds()):
            try:
                self.renew()
            except Exception:  # noqa: BLE001 - tried again in half a minute
                _log.warning("no heartbeat for backup %s", self.name, exc_info=True)

    # --- where the store creates atomically -------------------------------------------

    def _create(self) -> None:
        for _ in range(_MOST_LOOKS):
            try:
                self._store.put(self._key, self._record.encode(), create=True)
            except ObjectExistsError:
                found = _read(self._store, self._key)
            else:
                return
            if found is not None:
                self._refuse_live(found)
                self._take_over(found)
                return
        raise BackupInProgressError(self.name, "its claim comes and goes")

    def _take_over(self, stale: ClaimRecord) -> None:
        """Replace a stale claim, as the only one of those who found it."""
        marker = _contender_key(self.name, stale.run)
        try:
            self._store.put(marker, self._record.encode(), create=True)
        except ObjectExistsError:
            if (other := _read(self._store, marker)) is not None:
                self._refuse_live(other)
                # Whoever took it over died in doing so: its marker is stale in turn.
                self._store.delete(marker)
            reason = "a take-over of its claim was broken off; try again"
            raise BackupInProgressError(self.name, reason) from None
        try:
            found = _read(self._store, self._key)
            if found is not None and found.run != stale.run:
                raise BackupInProgressError(self.name, str(found))
            _log.warning("taking over the claim on backup %s %s", self.name, stale)
            self._store.put(self._key, self._record.encode(), create=found is None)
        except ObjectExistsError:
            raise BackupInProgressError(self.name, "another run was first") from None
        finally:
            self._store.delete(marker)

    def _refuse_live(self, found: ClaimRecord) -> None:
        if not found.is_stale(self._clock.now()):
            raise BackupInProgressError(self.name, str(found))

    # --- where it does not ------------------------------------------------------------

    def _contend(self) -> None:
        """Decide with the other contenders, who all see each other's objects.

        First everybody writes that it wants the name, then looks: who sees a holder,
        or a lower uid, withdraws. The others write that they hold it, and look again:
        who sees a lower uid that has not decided waits for its decision. Of two, the
        later to write sees the earlier in one of the two looks.
        """
        try:
            winner = self._look_twice()
        except BaseException:
            self._store.delete(self._key)
            raise
        if winner is not None:
            self._store.delete(self._key)
            raise BackupInProgressError(self.name, str(winner))

    def _look_twice(self) -> ClaimRecord | None:
        """Return who has the name; None: we have."""
        self._write(held=False)
        for other in self._others():
            if other.held or other.run < self.run_uid:
                return other
        self._write(held=True)
        while lower := [one for one in self._others() if one.run < self.run_uid]:
            if any(one.held for one in lower):
                return lower[0]
            self._clock.sleep(_SETTLE_SECONDS)  # a dead one is stale in the end
        return None

    def _write(self, *, held: bool) -> None:
        self._record = attrs.evolve(self._record, held=held)
        self._store.put(self._key, self._record.encode())

    def _others(self) -> list[ClaimRecord]:
        """Return the live claims of others; remove the stale ones."""
        found = []
        for key, record in read_claims(self._store, self.name.__eq__):
            if record.run == self.run_uid:
                continue
            if record.is_stale(self._clock.now()):
                self._store.delete(key)
            else:
                found.append(record)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.release()
        except StoreError:
            if kind is None:
                raise
            _log.warning(
                "the claim on backup %s stays behind", self.name, exc_info=True
            )
        finally:
            self._ended.set()
