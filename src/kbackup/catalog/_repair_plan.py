"""What is to be repaired in a location: found by looking, decided, nothing written.

Three kinds of things: what runs left that did not end, what was deleted while a mirrored
directory was away, and copies that are missing or damaged. Nothing is removed that may
still be somebody's: not before it is a day old, not while a claim on its backup lives,
and never what a list shows as a backup.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import attrs

from kbackup._kits.times import format_time
from kbackup._kits.words import first_few, plural
from kbackup.catalog._claim_record import (
    BACKUPS,
    RESTORES,
    ClaimRecord,
    read_claims,
)
from kbackup.catalog._copies import expected_digests, faults_of_copies
from kbackup.catalog._listing import objects_by_backup
from kbackup.catalog._restores import awaits_completion, is_half_deleted
from kbackup.catalog._side_files import SHOWN, known_files, strangers
from kbackup.catalog._trust import Record, read_manifest, read_record
from kbackup.catalog._unended import owner_of, unended
from kbackup.errors import BackupError, StoreAccessError, StoreError
from kbackup.plugins import Digest, ObjectInfo, ObjectStore
from kbackup.stores import (
    BackupFiles,
    RepairableStore,
    RestoreFiles,
    UnfinishedWrite,
    directories_of,
    layout,
    state_of,
    unfinished_writes,
)

SAFE_AGE = timedelta(hours=24)
"""What was written to later than this ago may be somebody's: a large upload on a slow
line takes hours, and clocks differ."""

_OURS = (layout.BACKUPS, layout.RESTORES, layout.PRIVATE)


class RepairKind(StrEnum):
    """What a step does, in the order in which steps are done."""

    APPLY_DELETION = "apply deletion"  # a copy that was deleted while it was away
    DISCARD = "discard"  # an upload or a file that was never finished
    SWEEP = "sweep"  # a directory of a backup, or restore, without a record, its claim
    FREE = "free"  # a stale claim
    REMOVE = "remove"  # the journal of a dead run, an object of a trial
    COPY = "copy"  # a copy that is missing or damaged


@attrs.frozen(kw_only=True)
class RepairStep:
    """One thing to do.

    Attributes:
        kind: What.
        key: The object, or what the keys of several begin with.
        reason: Why.
        path: The directory, in a mirrored location.
        digest: What a copy must be.
        write: The unfinished write to discard.
    """

    kind: RepairKind
    key: str
    reason: str
    path: str = ""
    digest: Digest | None = None
    write: UnfinishedWrite | None = None

    def __str__(self) -> str:
        where = f" in {self.path}" if self.path else ""
        return f"{self.kind} {self.key}{where}: {self.reason}"

    def to_json(self) -> dict[str, str]:
        """Return what a document tells of it."""
        return {
            "kind": str(self.kind),
            "key": self.key,
            "directory": self.path,
            "reason": self.reason,
        }


@attrs.frozen(kw_only=True)
class RepairPlan:
    """What a repair would do; text says it.

    Attributes:
        steps: In their order.
        damage: What cannot be repaired, sentences.
        left: What is left alone, and why; sentences.
    """

    steps: tuple[RepairStep, ...] = ()
    damage: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    def __str__(self) -> str:
        return in_lines(self.steps, self.damage, self.left)

    def to_json(self) -> dict[str, Any]:
        """Return the fields of a document."""
        return {
            "steps": [step.to_json() for step in self.steps],
            "damage": list(self.damage),
            "left": list(self.left),
        }


def in_lines(
    steps: Iterable[object], damage: Iterable[str], left: Iterable[str]
) -> str:
    """Return what a plan or its report says of steps, damage and what is left alone."""
    lines = [str(each) for each in steps] or ["nothing to repair"]
    lines += [f"cannot be repaired: {text}" for text in damage]
    lines += [f"left alone: {text}" for text in left]
    return "\n".join(lines)


class RepairPlanner:
    """Looks at a location once."""

    def __init__(self, store: ObjectStore, now: datetime) -> None:
        self._store = store
        self._now = now
        self._steps: list[RepairStep] = []
        self._damage: list[str] = []
        self._left: dict[str, None] = {}  # each is told once
        self._claims = list(read_claims(store, BACKUPS, layout.is_valid_name))
        self._live = live_names([claim for _, claim in self._claims], now)
        restores = list(read_claims(store, RESTORES, layout.is_valid_name))
        self._restore_claims = [claim for _, claim in restores]
        self._live_restores = live_names(self._restore_claims, now)
        self._directories = directories_of(store)

    def plan(self) -> RepairPlan:
        """Return what is to be done.

        Raises:
            StoreError: The store cannot be read.
        """
        self._plan_deletions()
        self._plan_discards()
        backups = self._look_around()
        self._plan_names(backups)
        self._plan_journals()
        self._plan_probes()
        self._plan_copies(backups)
        return RepairPlan(
            steps=tuple(self._steps),
            damage=tuple(dict.fromkeys(self._damage)),
            left=tuple(self._left),
        )

    def _look_around(self) -> Mapping[str, Mapping[str, ObjectInfo]]:
        """Return what lies in each backup's directory; one that is refused is damage.

        Such as a link, which is followed nowhere: it keeps no other from its repair. One
        list of all would end there, that of a mirrored directory without a word.
        """
        if not self._directories:
            with suppress(StoreAccessError):
                return objects_by_backup(self._store)
        found: dict[str, Mapping[str, ObjectInfo]] = {}
        for prefix in self._store.list_prefixes(layout.BACKUPS):
            try:
                found |= objects_by_backup(self._store, prefix)
            except StoreAccessError as exc:
                self._damage.append(exc.without_location)
        return found

    # --- what was deleted, and what was never finished ---------------------------------

    def _plan_deletions(self) -> None:
        self._left |= dict.fromkeys(map(str, state_of(self._store).away))
        if isinstance(self._store, RepairableStore):
            for each in self._store.pending_deletions():
                self._do(
                    RepairKind.APPLY_DELETION,
                    each.key,
                    "deleted while the directory was away",
                    path=each.path,
                )

    def _plan_discards(self) -> None:
        for prefix in _OURS:
            for write in unfinished_writes(self._store, prefix):
                name = layout.backup_of(write.key)
                reason = f"never finished, last touched {format_time(write.since)}"
                if name in self._live:
                    self._leave(BackupFiles(name).directory, "it is being written")
                elif (restore := layout.restore_of(write.key)) in self._live_restores:
                    self._leave(RestoreFiles(restore).directory, "it is running")
                elif self._is_old(write.since, write.key):
                    self._do(
                        RepairKind.DISCARD,
                        write.key,
                        reason,
                        path=write.path,
                        write=write,
                    )

    # --- what dead runs left ----------------------------------------------------------

    def _plan_names(self, backups: Mapping[str, Mapping[str, ObjectInfo]]) -> None:
        """Decide on directories without a record, and on claims that nobody holds."""
        swept = {name for name in backups if self._plan_sweep(name, backups[name])}
        claims = [claim for _, claim in self._claims]
        self._plan_frees(layout.CLAIMS, claims, but=swept | self._live)
        half = {claim.name for claim in self._restore_claims} - self._live_restores
        gone = {name for name in sorted(half) if self._plan_sweep_of_restore(name)}
        self._plan_frees(
            layout.RESTORE_CLAIMS, self._restore_claims, but=gone | self._live_restores
        )

    def _plan_frees(
        self, prefix: str, claims: Iterable[ClaimRecord], *, but: Collection[str]
    ) -> None:
        silent = {claim.name: claim for claim in claims if claim.name not in but}
        for name, claim in sorted(silent.items()):
            if claim.silent_for(self._now) > SAFE_AGE:
                reason = f"held {claim}, which is dead"
                self._do(RepairKind.FREE, f"{prefix}{name}", reason)
            else:
                self._leave(f"{prefix}{name}", "not silent for a day yet")

    def _plan_sweep(self, name: str, objects: Mapping[str, ObjectInfo]) -> bool:
        if not is_leftover(name, objects):
            return False
        directory = BackupFiles(name).directory
        if name in self._live:
            self._leave(directory, "it is being written")
            return False
        if is_log_alone(name, objects):
            self._leave(directory, "the log alone of a Velero backup that failed")
            return False
        if others := strangers(name, objects):
            named = first_few(others, SHOWN)
            self._leave(directory, f"no file of a backup: {named}")
            return False
        newest = newest_of(objects.values())
        if not self._is_old(newest, directory):
            return False
        count = plural(len(objects), "object")
        self._do(RepairKind.SWEEP, directory, f"{count} without {layout.METADATA}")
        return True

    def _plan_sweep_of_restore(self, name: str) -> bool:
        """Decide on what a deletion that was killed has left of a restore."""
        silent = [
            c.silent_for(self._now) for c in self._restore_claims if c.name == name
        ]
        if min(silent) <= SAFE_AGE or not is_half_deleted(self._store, name):
            return False
        reason = f"its deletion was broken off; files without {layout.RESTORE_RECORD}"
        self._do(RepairKind.SWEEP, RestoreFiles(name).directory, reason)
        return True

    def _plan_journals(self) -> None:
        runs = {c.run for _, c in self._claims if not c.is_stale(self._now)}
        for prefix in self._store.list_prefixes(layout.JOURNALS):
            uid = prefix.removeprefix(layout.JOURNALS).rstrip("/")
            entries = list(self._store.list(prefix))
            if not layout.is_valid_uid(uid):
                self._leave(prefix, "not the name of a run")
            elif uid in runs or owner_of(self._store, uid) in self._live:
                self._leave(prefix, "its run lives")
            elif self._is_old(newest_of(entries), prefix):
                if can_go_on := self._may_go_on(uid):
                    self._leave(prefix, can_go_on)
                else:
                    self._do(RepairKind.REMOVE, prefix, "the journal of a dead run")

    def _may_go_on(self, uid: str) -> str:
        """Say what needs the journal of a dead run; empty: nothing does."""
        if awaits_completion(self._store, uid):
            return "a restore that can still be completed"
        if name := owner_of(self._store, uid):
            found = unended(self._store, name)
            if found is not None and found.uid == uid and found.can_be_resumed:
                return f"backup {name} can still be resumed"
        return ""

    def _plan_probes(self) -> None:
        for info in self._store.list(layout.PROBES):
            if self._is_old(info.modified, info.key):
                self._do(RepairKind.REMOVE, info.key, "left by a trial of the store")

    # --- copies -----------------------------------------------------------------------

    def _plan_copies(self, backups: Collection[str]) -> None:
        """Read every copy of everything that is to stay."""
        if not self._directories:
            return
        for name in backups:
            if name in self._live:
                self._leave(BackupFiles(name).directory, "it is being written")
            elif layout.is_valid_name(name):
                for key, digest in self._expected(name).items():
                    self._judge(key, digest)
        places = set(self._store.list_prefixes("")) - {layout.BACKUPS}
        others = (i.key for place in sorted(places) for i in self._store.list(place))
        for key in others:
            if (name := layout.restore_of(key)) in self._live_restores:
                self._leave(RestoreFiles(name).directory, "it is running")
            elif not key.startswith(layout.PRIVATE):
                self._judge(key, None)

    def _expected(self, name: str) -> Mapping[str, Digest | None]:
        """Return what a backup's objects must be; None: what all copies are."""
        files = BackupFiles(name)
        try:
            record = read_record(self._store, name)
            manifest = read_manifest(self._store, record)
        except (BackupError, StoreError) as exc:
            if any(
                info.key == files.metadata for info in self._store.list(files.directory)
            ):
                self._damage.append(exc.without_location)
            return {}
        if not is_ended(record):
            self._leave(files.directory, f"phase {record.backup.status.phase}")
            return {}
        if manifest is not None:
            return expected_digests(record, manifest)
        keys = (info.key for info in self._store.list(files.directory))
        return dict.fromkeys(sorted(keys, key=lambda key: (key == files.metadata, key)))

    def _judge(self, key: str, digest: Digest | None) -> None:
        """Copy what one directory at least has right."""
        faults = list(faults_of_copies(self._directories, key, digest))
        for fault in faults:
            if fault.digest is None or len(faults) == len(self._directories):
                self._damage.append(str(fault))
            else:
                self._do(
                    RepairKind.COPY,
                    fault.key,
                    fault.reason,
                    path=fault.path,
                    digest=fault.digest,
                )

    # --- inside -----------------------------------------------------------------------

    def _do(
        self,
        kind: RepairKind,
        key: str,
        reason: str,
        *,
        path: str = "",
        digest: Digest | None = None,
        write: UnfinishedWrite | None = None,
    ) -> None:
        step = RepairStep(
            kind=kind, key=key, reason=reason, path=path, digest=digest, write=write
        )
        self._steps.append(step)

    def _leave(self, key: str, reason: str) -> None:
        self._left[f"{key}: {reason}"] = None

    def _is_old(self, written: datetime | None, key: str) -> bool:
        if is_safe(written, self._now):
            return True
        self._leave(key, "it may still be written: less than a day old")
        return False


# --- decisions ------------------------------------------------------------------------


def is_safe(written: datetime | None, now: datetime) -> bool:
    """Tell whether what was last written then is nobody's any more."""
    return written is not None and now - written > SAFE_AGE


def live_names(claims: Iterable[ClaimRecord], now: datetime) -> frozenset[str]:
    """Return the backups that are being written."""
    return frozenset(claim.name for claim in claims if not claim.is_stale(now))


def is_leftover(name: str, objects: Mapping[str, ObjectInfo]) -> bool:
    """Tell whether a directory holds files of a backup and none that shows it."""
    if not layout.is_valid_name(name) or BackupFiles(name).metadata in objects:
        return False
    directory = BackupFiles(name).directory
    names = {key.removeprefix(directory) for key in objects}
    return not names.isdisjoint(known_files(name))


def is_log_alone(name: str, objects: Mapping[str, ObjectInfo]) -> bool:
    """Tell whether there is a log and nothing else.

    Source: Velero's ``PutBackup`` uploads the log first, and keeps it where the backup
    itself failed: ``velero backup logs`` shows it. We write the archive first.
    """
    return set(objects) == {BackupFiles(name).logs}


def is_ended(record: Record) -> bool:
    """Tell whether nobody writes the backup any more."""
    phase = record.backup.status.phase
    return phase is not None and phase.is_terminal


def newest_of(infos: Iterable[ObjectInfo]) -> datetime | None:
    """Return when the last was written; None: the store does not say of all."""
    times = [info.modified for info in infos]
    known = [time for time in times if time is not None]
    return max(known) if known and len(known) == len(times) else None
