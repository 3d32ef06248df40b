"""The claim that a run holds on a name: who writes, and that it still lives.

A claim is an object below ``plugins/kbackup.io/``, of a backup in ``claims/``, of a
restore in ``restore-claims/``. Where the store creates atomically, ``<name>.json`` there
has one winner. Where it does not, each contender writes ``<name>/<run uid>.json`` and the
lowest uid wins.

A stale claim is taken over by whoever creates the marker of its take-over, so that two
who find it stale at the same moment do not both win.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import ClassVar, Self

import attrs

from kbackup._kits.clock import Clock
from kbackup._kits.processes import began, machine
from kbackup.catalog._claim_record import (
    BACKUPS,
    RESTORES,
    STALE_AFTER,
    ClaimedNames,
    ClaimRecord,
    read_claim,
    read_claims,
)
from kbackup.errors import ObjectExistsError, StoreError
from kbackup.plugins import Capability, ObjectStore

HEARTBEAT = timedelta(seconds=30)

_SETTLE_SECONDS = 0.2  # between two looks at a contender that has not decided yet
_MOST_LOOKS = 100

_LOST = "this run has lost its claim on the name"

_log = logging.getLogger("kbackup.catalog")


class NameClaim:
    """A name that is ours until `release`; a context manager.

    A daemon thread renews it. Leaving the ``with`` block releases it. Where another run
    holds the name, or has taken it over, the error is that of the kind of names. May be
    asked from any thread; acquired and released by one.

    Attributes:
        name: Of the backup or restore.
        run_uid: Who claims.
        of: What is claimed: names of backups, or of restores.
    """

    of: ClassVar[ClaimedNames]

    def __init__(
        self,
        store: ObjectStore,
        name: str,
        *,
        run_uid: str,
        clock: Clock,
        from_backup: str = "",
    ) -> None:
        self.name = name
        self.run_uid = run_uid
        self._store = store
        self._clock = clock
        now = clock.now()
        self._record = ClaimRecord(
            what=self.of.what,
            name=name,
            run=run_uid,
            host=socket.gethostname(),
            machine=machine(),
            pid=os.getpid(),
            began=began(os.getpid()),
            started=now,
            heartbeat=now,
            from_backup=from_backup,
        )
        self._atomic = Capability.ATOMIC_CREATE in store.capabilities
        self._key = (
            self.of.key(name) if self._atomic else self.of.contender(name, run_uid)
        )
        self._lock = threading.Lock()  # a heartbeat must not revive what was released
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def acquire(self) -> Self:
        """Make the name ours.

        Raises:
            BackupInProgressError: A run that lives holds it; for a restore
                `RestoreInProgressError`.
            RestoreExistsError: A restore of another backup died under it.
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

    def is_held_by_another(self) -> bool:
        """Tell whether a run that lives has the name, or is about to take it over."""
        now = self._clock.now()
        return any(
            record.run != self.run_uid and not record.is_stale(now)
            for _, record in read_claims(self._store, self.of, self.name.__eq__)
        )

    def check(self) -> None:
        """Raise what `acquire` does if another run has taken the name over."""
        found = read_claim(self._store, self.of, self._key)
        if found is not None and found.is_stale(self._clock.now()):
            self.renew()  # this process was stopped: whoever comes now takes it over
        if self._ended.is_set() or found is None or found.run != self.run_uid:
            raise self.of.refusal(self.name, _LOST)

    def is_ours(self) -> bool:
        """Tell whether the name is surely still ours; a store that fails means no."""
        try:
            self.check()
        except (self.of.error, StoreError):
            return False
        return True

    def renew(self) -> None:
        """Write a heartbeat, unless the claim is no longer ours."""
        with self._lock:
            if self._ended.is_set():
                return
            try:
                self._renew()
            except self.of.error:
                _log.warning("the claim on %s was lost", self)
                self._ended.set()

    def _renew(self) -> None:
        now = self._clock.now()
        found = read_claim(self._store, self.of, self._key)
        if found is None or found.run != self.run_uid:
            raise self.of.refusal(self.name, _LOST)
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
            raise self.of.refusal(self.name, _LOST)

    def _withdraw_before_others(self) -> None:
        """Give the name up to whoever came while this run was silent."""
        if others := self._others():
            self._store.delete(self._key)
            raise self.of.refusal(self.name, str(others[0]))

    def release(self) -> None:
        """Give the name back; a second call does nothing.

        Nor does one in a process that was forked off: the name is the holder's.
        """
        if os.getpid() != self._record.pid:
            return
        with self._lock:
            if self._ended.is_set():
                return
            self._ended.set()
            found = read_claim(self._store, self.of, self._key)
            if found is not None and found.run == self.run_uid:
                self._store.delete(self._key)

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT.total_seconds()):
            try:
                self.renew()
            except Exception:  # noqa: BLE001 - tried again in half a minute
                _log.warning("no heartbeat for %s", self, exc_info=True)

    # --- where the store creates atomically -------------------------------------------

    def _create(self) -> None:
        for _ in range(_MOST_LOOKS):
            try:
                self._store.put(self._key, self._record.encode(), create=True)
            except ObjectExistsError:
                found = read_claim(self._store, self.of, self._key)
            else:
                return
            if found is None:
                continue
            if found.run != self.run_uid:  # else the answer to an earlier try was lost
                self._refuse(found)
                self._take_over(found)
            return
        raise self.of.refusal(self.name, "its claim comes and goes")

    def _take_over(self, stale: ClaimRecord) -> None:
        """Replace a stale claim, as the only one of those who found it."""
        marker = self._mark(stale.run)
        try:
            found = read_claim(self._store, self.of, self._key)
            if found is not None and found.run != stale.run:
                raise self.of.refusal(self.name, str(found))
            _log.warning("taking over the claim on %s %s", self, stale)
            self._store.put(self._key, self._record.encode(), create=found is None)
            with self._tidying_up():
                self._remove_markers_of_the_dead()
        except ObjectExistsError:
            raise self.of.refusal(self.name, "another run was first") from None
        finally:
            with self._tidying_up():
                self._store.delete(marker)

    @contextmanager
    def _tidying_up(self) -> Iterator[None]:
        """Let the outcome of a take-over stand though a marker cannot be removed.

        Whoever meets it finds the claim to be ours, or waits until it is stale, five
        minutes at most. It goes with the next take-over of the name, or a repair.
        """
        try:
            yield
        except StoreError:
            _log.warning("a marker on %s stays behind", self, exc_info=True)

    def _mark(self, dead: str) -> str:
        """Create the marker of the take-over from run *dead*, and return its key.

        Whoever died while it took over is succeeded in turn: its own marker stays until
        the claim is ours, or another could begin anew with the first.
        """
        passed: set[str] = set()
        while dead not in passed:
            marker = self.of.contender(self.name, dead)
            try:
                self._store.put(marker, self._record.encode(), create=True)
            except ObjectExistsError:
                other = read_claim(self._store, self.of, marker)
                if other is None:
                    raise self.of.refusal(self.name, "another run was first") from None
                self._refuse(other)
                passed.add(dead)
                dead = other.run
            else:
                return marker
        # One that woke up and took its own claim back died in doing so.
        self._store.delete(marker)
        reason = "a take-over of its claim was broken off; try again"
        raise self.of.refusal(self.name, reason)

    def _remove_markers_of_the_dead(self) -> None:
        """Tidy up: whoever comes late with one of them finds the claim to be ours."""
        for key, record in read_claims(self._store, self.of, self.name.__eq__):
            if key != self._key and record.is_stale(self._clock.now()):
                self._store.delete(key)

    def _refuse(self, found: ClaimRecord) -> None:
        if not found.is_stale(self._clock.now()):
            raise self.of.refusal(self.name, str(found))
        found.refuse_to_complete(self._record.from_backup)

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
            raise self.of.refusal(self.name, str(winner))

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
        for key, record in read_claims(self._store, self.of, self.name.__eq__):
            if record.run == self.run_uid:
                continue
            if record.is_stale(self._clock.now()):
                record.refuse_to_complete(self._record.from_backup)
                self._store.delete(key)
            else:
                found.append(record)
        return found

    def __str__(self) -> str:
        return f"{self.of.what} {self.name}"

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
            _log.warning("the claim on %s stays behind", self, exc_info=True)
        finally:
            self._ended.set()


class BackupClaim(NameClaim):
    """A backup's name; for threads as `NameClaim`."""

    of = BACKUPS


class RestoreClaim(NameClaim):
    """A restore's name; for threads as `NameClaim`."""

    of = RESTORES
