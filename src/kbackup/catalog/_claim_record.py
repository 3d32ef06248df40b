"""What a claim on a name says, and where claims lie: read, never written here.

A claim is an object of its own below ``plugins/kbackup.io/``. It is stale when its
heartbeat is older than `STALE_AFTER`, or its process, on this very machine, is gone.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import attrs

from kbackup._kits.processes import is_alive, machine
from kbackup._kits.times import format_time, parse_time
from kbackup.catalog._fetch import UnreadableError, fetch, parse_json
from kbackup.errors import (
    BackupInProgressError,
    DigestMismatchError,
    ObjectNotFoundError,
    RestoreExistsError,
    RestoreInProgressError,
    StoreError,
)
from kbackup.models import API_VERSION
from kbackup.plugins import ObjectStore
from kbackup.stores import directories_of, layout

STALE_AFTER = timedelta(minutes=5)

_KIND = "Claim"
_MOST_BYTES = 1 << 16
_MOST_PID = (1 << 31) - 1
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

_log = logging.getLogger("kbackup.catalog")


@attrs.frozen
class ClaimedNames:
    """The names of one kind of run, each claimed by one at a time.

    Attributes:
        what: Its word; in a claim, the field with the name.
        prefix: What the keys of its claims begin with.
        key: The key of the claim on a name; checks the name.
        error: For a name that another run holds.
        hint: What to do then.
    """

    what: str
    prefix: str
    key: Callable[[str], str]
    error: type[BackupInProgressError | RestoreInProgressError]
    hint: str = ""

    def contender(self, name: str, run: str) -> str:
        """Return the key of a contender's own object, or of a take-over's marker."""
        return f"{self.key(name).removesuffix('.json')}/{run}.json"

    def refusal(
        self, name: str, reason: str
    ) -> BackupInProgressError | RestoreInProgressError:
        """Return the error for a name that another run holds."""
        return self.error(name, reason, hint=self.hint)

    def named(self, key: str) -> str:
        """Return the name that the claim under *key* is about."""
        rest = key.removeprefix(self.prefix)
        directory, slash, _ = rest.partition("/")
        return directory if slash else rest.removesuffix(".json")


BACKUPS = ClaimedNames("backup", layout.CLAIMS, layout.claim, BackupInProgressError)
RESTORES = ClaimedNames(
    "restore",
    layout.RESTORE_CLAIMS,
    layout.restore_claim,
    RestoreInProgressError,
    hint="wait until it has ended, or choose another name; a run that died holds its "
    "name for 5 minutes at most",
)


@attrs.frozen(kw_only=True)
class ClaimRecord:
    """What a claim says.

    Attributes:
        what: Of what: a backup, a restore.
        name: The name claimed.
        run: The run's uid; the lowest wins where the store cannot decide.
        written: When the store says that it was written, by the store's own clock.
        machine: See `machine`.
        began: When the process did; see `began`.
        held: Whether the contender has decided that the claim is its own.
        from_backup: Of a restore, the backup that it is made from; empty: not told.
    """

    what: str = "backup"
    name: str
    run: str
    host: str = ""
    machine: str = ""
    pid: int = 0
    began: str = ""
    started: datetime
    heartbeat: datetime
    held: bool = True
    from_backup: str = ""
    written: datetime | None = attrs.field(default=None, eq=False)

    def encode(self) -> bytes:
        """Return the document."""
        document = {
            "apiVersion": API_VERSION,
            "kind": _KIND,
            self.what: self.name,
            "run": self.run,
            "host": self.host,
            "machine": self.machine,
            "pid": self.pid,
            "began": self.began,
            "started": format_time(self.started),
            "heartbeat": format_time(self.heartbeat),
            "held": self.held,
        }
        if self.from_backup:
            document["fromBackup"] = self.from_backup
        return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"

    @classmethod
    def decode(cls, content: bytes) -> ClaimRecord:
        """Read the document; raises `UnreadableError`."""
        data = parse_json(content)
        try:
            return cls(
                name=str(data.get("backup") or data["restore"]),
                run=_checked_run(data["run"]),
                host=str(data.get("host", "")),
                machine=str(data.get("machine", "")),
                pid=_checked_pid(data.get("pid", 0)),
                began=str(data.get("began", "")),
                started=parse_time(data["started"]),
                heartbeat=parse_time(data["heartbeat"]),
                held=data.get("held") is not False,
                from_backup=str(data.get("fromBackup", "")),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise UnreadableError(f"it is no claim: {exc}") from exc

    def is_stale(self, now: datetime) -> bool:
        """Tell whether the run behind the claim is dead."""
        if self.silent_for(now) > STALE_AFTER:
            return True
        if not self.machine or self.machine != machine() or not self.pid:
            return False
        return not is_alive(self.pid, self.began)

    def refuse_to_complete(self, backup: str) -> None:
        """Refuse a dead restore's name to a restore of another *backup*.

        What it wrote carries the name, and would be taken for what the other one made.

        Raises:
            RestoreExistsError: It restored another backup than *backup*; where either is
                not told, it may be the same.
        """
        if not backup or not self.held or self.from_backup in {"", backup}:
            return
        raise RestoreExistsError(
            self.name,
            f"a restore of backup {self.from_backup} was begun under this name and did "
            f"not end; this is one of backup {backup}",
            hint=f"restore {self.from_backup} under this name to complete that one, or "
            "choose another name; a repair of the location frees it a day after that "
            "restore died",
        )

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


def read_claims(
    store: ObjectStore, of: ClaimedNames, names: Callable[[str], bool]
) -> Iterator[tuple[str, ClaimRecord]]:
    """Yield the claims on the names that *names* wants, with their keys.

    Markers of take-overs count as claims: who writes one is about to hold the claim.
    """
    for info in store.list(of.prefix):
        if not names(of.named(info.key)):
            continue
        if (record := read_claim(store, of, info.key)) is not None:
            yield info.key, record


def read_claim(store: ObjectStore, of: ClaimedNames, key: str) -> ClaimRecord | None:
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
    name, since = of.named(key), written or _LONG_AGO
    if record is None:
        record = ClaimRecord(name="", run="unreadable", started=since, heartbeat=since)
    # Whatever it says, it is about the name of its key.
    return attrs.evolve(record, what=of.what, name=name, written=written)


def unended_run(store: ObjectStore, of: ClaimedNames, name: str) -> str:
    """Tell of the run that claims *name* and is not on record; empty: none is known.

    It is under way or was killed. Where claims cannot be read, none is known: what was
    asked for is not there either way.
    """
    try:
        claims = [found for _, found in read_claims(store, of, lambda it: it == name)]
    except StoreError:
        return ""
    held = [claim for claim in claims if claim.held]
    return f"begun and not ended {held[0]}" if held else ""


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
