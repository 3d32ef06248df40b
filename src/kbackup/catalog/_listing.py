"""The backups of a location, each with its state; none of them breaks the list."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import attrs

from kbackup._kits.clock import Clock
from kbackup._kits.words import first_few, plural
from kbackup._kits.workers import map_ordered
from kbackup.archive import ArchiveReader
from kbackup.catalog._archives import Archives
from kbackup.catalog._claim_record import BACKUPS, ClaimRecord, read_claims
from kbackup.catalog._fetch import UnreadableError
from kbackup.catalog._manifest import Manifest
from kbackup.catalog._not_found import no_backup
from kbackup.catalog._reading import read_side_file
from kbackup.catalog._side_files import SHOWN, SideFile, known_files
from kbackup.catalog._trust import (
    Record,
    fetch_record,
    is_foreign,
    parse_record,
    unknown_phase,
)
from kbackup.catalog._unended import all_unended
from kbackup.errors import (
    ArchiveError,
    BackupDamagedError,
    CodecError,
    ObjectNotFoundError,
    StoreError,
)
from kbackup.models import (
    Backup,
    BackupPhase,
    ItemOperation,
    ResourceIdentifier,
    from_json,
    labels,
)
from kbackup.plugins import ObjectInfo, ObjectStore
from kbackup.stores import (
    BackupFiles,
    Copies,
    copies_of,
    directories_of,
    layout,
    state_of,
)

_Objects = dict[str, ObjectInfo]  # by key

_WORKERS = 8
_USABLE = frozenset({BackupPhase.COMPLETED, BackupPhase.PARTIALLY_FAILED})
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


class EntryState(StrEnum):
    """What lies in a backup's directory."""

    COMPLETE = "complete"  # a run that ended, and all its parts are there
    INCOMPLETE = "incomplete"  # a run that did not end
    IN_PROGRESS = "in_progress"  # a run that lives
    DAMAGED = "damaged"
    FOREIGN = "foreign"  # not a backup


@attrs.frozen(kw_only=True, repr=False)
class BackupEntry:
    """One line of the list.

    Attributes:
        reason: Why the state is not complete; empty when it is.
        backup: The record, where it could be read.
        copies: How many copies of the record there are, and how many there should be.
        manifest: Whether the record names one: kbackup wrote it.
        started: When the run began, as far as that is known.
        age: Since then; None: it is not known.
    """

    name: str
    state: EntryState
    backup: Backup | None = None
    reason: str = ""
    copies: tuple[int, int] = (1, 1)
    manifest: bool = False
    started: datetime | None = None
    age: timedelta | None = None

    @property
    def expires(self) -> datetime | None:
        """When a Velero server on the same store deletes it; None: never."""
        return self.backup.status.expiration if self.backup is not None else None

    @property
    def unusable(self) -> str:
        """Why it cannot be the latest to restore from; empty: as far as is known, it can."""
        if self.backup is None or self.state is not EntryState.COMPLETE:
            return f"{self.state}: {self.reason}"
        if restore := self.backup.metadata.annotations.get(labels.BEFORE_RESTORE):
            return f"what restore {restore} was to replace"
        status = self.backup.status
        if status.phase not in _USABLE:
            return f"phase {status.phase}"
        # Velero before 1.4 does not tell how much there is.
        empty = status.progress is not None and not status.progress.items_backed_up
        return "it holds nothing" if empty else ""

    def __str__(self) -> str:
        phase = self.backup.status.phase if self.backup is not None else None
        parts = [str(self.state), *([str(phase)] if phase else []), self.reason]
        return f"{self.name}: {', '.join(part for part in parts if part)}"

    def __repr__(self) -> str:
        return f"BackupEntry({self})"


class Listing:
    """Looks at backups and says what they are; may be shared by threads."""

    def __init__(self, store: ObjectStore, archives: Archives, clock: Clock) -> None:
        self._store = store
        self._archives = archives
        self._clock = clock
        # What was found missing in archives, by their version: they may be large.
        self._missing: dict[tuple[object, ...], tuple[ResourceIdentifier, ...]] = {}
        self._lock = threading.Lock()

    def list(self) -> list[BackupEntry]:
        """Return an entry for every directory and every claim, newest first."""
        begun = self._claims()
        claims = self._living(begun)
        found, copies = self._look_around()
        entries = map_ordered(
            lambda name: self._look_again(
                self._entry(name, claims, found.get(name, {}), copies.get(name))
            ),
            sorted(found.keys() | claims.keys()),
            workers=_WORKERS,
            name="kbackup-list",
        )
        # What was deleted in the meantime is no line.
        there = {e.name: e for e in entries if e != _nothing(e.name)}
        killed = [claim for claim in begun if claim.held and claim.name not in there]
        there |= {claim.name: self._aged(_unended(claim)) for claim in killed}
        self._tell_of_operations(there)
        return sorted(there.values(), key=_newest_first)

    def _tell_of_operations(self, there: dict[str, BackupEntry]) -> None:
        """Say of backups without a record what their dead run has begun."""
        try:
            for found in all_unended(self._store):
                known = there.get(found.name, _nothing(found.name))
                if known.state is EntryState.INCOMPLETE and known.backup is None:
                    reason = f"its run was killed when {found}"
                    there[found.name] = attrs.evolve(known, reason=reason)
        except StoreError:
            return  # what is listed is true without it

    def _look_around(
        self,
    ) -> tuple[Mapping[str, _Objects | None], Mapping[str, Copies]]:
        """Return what lies in each backup's directory, and the copies of each record.

        One list of all is a hundredth of the requests of a list of each. It fails as a
        whole where one directory cannot be read, and that one is then to be named: None
        is still to be looked up.
        """
        mirrors = directories_of(self._store)
        found: dict[str, _Objects] = {}
        counts = Counter[str]()
        try:
            for store in [each.store for each in mirrors] or [self._store]:
                for name, objects in objects_by_backup(store).items():
                    counts[name] += (
                        f"{layout.BACKUPS}{name}/{layout.METADATA}" in objects
                    )
                    found[name] = {**objects, **found.get(name, {})}
        except StoreError:
            prefixes = self._store.list_prefixes(layout.BACKUPS)
            names = (prefix.removeprefix(layout.BACKUPS) for prefix in prefixes)
            return dict.fromkeys(name.rstrip("/") for name in names), {}
        expected = len(state_of(self._store).directories) if mirrors else 1
        return found, {name: Copies(counts[name], expected) for name in found}

    def _count_copies(self, name: str) -> Copies:
        if len(state_of(self._store).directories) <= 1:
            return Copies(1, 1)  # to ask would cost a request for what is known
        return copies_of(self._store, BackupFiles(name).metadata)

    def entry(self, name: str) -> BackupEntry:
        """Return the entry of one backup.

        Raises:
            BackupNotFoundError: There is nothing of that name; tells of a run that has
                not ended.
        """
        found = self._look_again(self._entry_now(name))
        if found.backup is None and found == _nothing(name):
            raise no_backup(self._store, name)
        return found

    def _entry_now(self, name: str) -> BackupEntry:
        return self._entry(name, self._living(self._claims(name)))

    def _look_again(self, entry: BackupEntry) -> BackupEntry:
        """Ask once more about what seems to be left of a dead run.

        A run may have begun after its claim was looked for, or ended after its record
        was.
        """
        if entry.state is not EntryState.INCOMPLETE or entry.backup is not None:
            return entry
        return self._entry_now(entry.name)

    def _claims(self, only: str = "") -> Iterable[ClaimRecord]:
        wanted = only.__eq__ if only else layout.is_valid_name
        return [claim for _, claim in read_claims(self._store, BACKUPS, wanted)]

    def _living(self, claims: Iterable[ClaimRecord]) -> Mapping[str, ClaimRecord]:
        now = self._clock.now()
        return {claim.name: claim for claim in claims if not claim.is_stale(now)}

    def _entry(
        self,
        name: str,
        claims: Mapping[str, ClaimRecord],
        objects: _Objects | None = None,
        copies: Copies | None = None,
    ) -> BackupEntry:
        if not layout.is_valid_name(name):
            reason = "its name is not that of a backup"
            return BackupEntry(name=name, state=EntryState.FOREIGN, reason=reason)
        try:
            if objects is None:
                found = self._store.list(BackupFiles(name).directory)
                objects = {info.key: info for info in found}
            entry = self._look(name, claims.get(name), objects)
            if entry.backup is not None:
                copies = copies or self._count_copies(name)
                counted = (copies.present, copies.expected)
                entry = attrs.evolve(entry, copies=counted)
        except BackupDamagedError as exc:
            entry = BackupEntry(
                name=name, state=EntryState.DAMAGED, reason=exc.reason or str(exc)
            )
        except (StoreError, ArchiveError) as exc:
            reason = exc.without_location
            entry = BackupEntry(name=name, state=EntryState.DAMAGED, reason=reason)
        return self._aged(entry)

    def _aged(self, entry: BackupEntry) -> BackupEntry:
        if entry.started is None:
            return entry
        return attrs.evolve(entry, age=self._clock.now() - entry.started)

    def _look(
        self, name: str, claim: ClaimRecord | None, objects: _Objects
    ) -> BackupEntry:
        files = BackupFiles(name)
        if files.metadata not in objects:
            return _without_record(name, claim, objects)
        try:
            content = fetch_record(self._store, name)
        except ObjectNotFoundError:  # it was deleted while we looked
            return _without_record(name, claim, {})
        except UnreadableError as exc:
            raise BackupDamagedError(name, f"{layout.METADATA}: {exc}") from exc
        if is_foreign(content):
            reason = f"its {layout.METADATA} is that of something else"
            return BackupEntry(name=name, state=EntryState.FOREIGN, reason=reason)
        if phase := unknown_phase(content):
            reason = f"phase {phase[:80]!r}, which this kbackup does not know"
            return BackupEntry(name=name, state=EntryState.INCOMPLETE, reason=reason)
        record = parse_record(name, content)
        state, reason = self._judge(record, objects)
        return BackupEntry(
            name=name,
            state=state,
            reason=reason,
            backup=record.backup,
            manifest=bool(record.annotation),
            started=_started(record.backup),
        )

    def _judge(  # noqa: PLR0911 - one return for each thing that may be wrong
        self, record: Record, objects: Mapping[str, ObjectInfo]
    ) -> tuple[EntryState, str]:
        """Decide from the record and the names of the objects beside it."""
        backup, files = record.backup, BackupFiles(record.backup.metadata.name)
        phase = backup.status.phase
        if phase is None or not phase.is_terminal:
            return EntryState.INCOMPLETE, self._unfinished(backup)
        if files.archive not in objects:
            if phase in {BackupPhase.FAILED, BackupPhase.FAILED_VALIDATION}:
                return EntryState.INCOMPLETE, f"phase {phase}, and no archive"
            return EntryState.DAMAGED, "its archive is missing"
        if record.annotation and files.manifest not in objects:
            return EntryState.DAMAGED, f"{layout.MANIFEST} is missing"
        if files.manifest in objects:
            if record.annotation:
                return EntryState.COMPLETE, ""
            reason = f"its record does not name the {layout.MANIFEST} that is there"
            return EntryState.DAMAGED, reason
        return self._judge_operations(files, objects)

    def _judge_operations(
        self, files: BackupFiles, objects: Mapping[str, ObjectInfo]
    ) -> tuple[EntryState, str]:
        """Decide whether what Velero calls Completed has its final archive."""
        if files.item_operations in objects:
            archive = objects[files.archive]
            missing = self.missing_operation_items(files.name, None, archive)
            if missing:
                return EntryState.INCOMPLETE, _missing_text(missing)
        return EntryState.COMPLETE, ""

    def _unfinished(self, backup: Backup) -> str:
        phase = backup.status.phase or BackupPhase.NEW
        expiration = backup.status.expiration
        if expiration is not None and expiration < self._clock.now():
            return f"phase {phase}, and expired"
        return f"phase {phase}"

    def missing_operation_items(
        self, name: str, manifest: Manifest | None, archive: ObjectInfo
    ) -> tuple[ResourceIdentifier, ...]:
        """Return the items that operations were to store at last and did not.

        Velero uploads the final archive after the record that says Completed, and does
        not try again.
        """
        operations = read_side_file(
            self._store, name, manifest, SideFile.ITEM_OPERATIONS
        )
        wanted = operation_items(name, operations)
        if not wanted:
            return ()
        version = (name, archive.size, archive.modified, archive.etag)
        with self._lock:
            if version in self._missing:
                return self._missing[version]
        with self._archives.open(name, manifest) as reader:
            missing = tuple(sorted(wanted - _present(reader, wanted)))
        with self._lock:
            self._missing[version] = missing
        return missing


def objects_by_backup(
    store: ObjectStore, prefix: str = layout.BACKUPS
) -> Mapping[str, _Objects]:
    """Return the objects in each backup's directory, none where its name is none."""
    found: dict[str, _Objects] = {}
    for info in store.list(prefix):
        name, slash, _ = info.key.removeprefix(layout.BACKUPS).partition("/")
        if slash:
            objects = found.setdefault(name, {})
            if layout.is_valid_name(name):
                objects[info.key] = info
    return found


def operation_items(name: str, operations: object) -> set[ResourceIdentifier]:
    """Return the post-operation items that a file of operations names.

    Raises:
        BackupDamagedError: It is no such file.
    """
    if operations is None:
        return set()
    if not isinstance(operations, list):
        raise BackupDamagedError(name, "its item operations are no list")
    try:
        parsed = [from_json(ItemOperation, _without_status(op)) for op in operations]
    except CodecError as exc:
        raise BackupDamagedError(name, f"its item operations: {exc}") from exc
    return {
        item.identifier
        for operation in parsed
        for item in operation.spec.post_operation_items
    }


def _without_status(operation: object) -> object:
    """Leave out what a newer Velero may say in words that are not known here."""
    if not isinstance(operation, dict):
        return operation
    return {key: value for key, value in operation.items() if key != "status"}


def _present(
    reader: ArchiveReader, wanted: set[ResourceIdentifier]
) -> set[ResourceIdentifier]:
    return {item.identifier for item in reader if item.identifier in wanted}


def _missing_text(missing: tuple[ResourceIdentifier, ...]) -> str:
    return (
        f"its archive lacks {plural(len(missing), 'item')} that its operations name, "
        f"the first is {missing[0]}"
    )


def _without_record(
    name: str, claim: ClaimRecord | None, objects: Mapping[str, ObjectInfo]
) -> BackupEntry:
    """Describe a directory without ``velero-backup.json``, or a claim alone."""
    if claim is not None:
        return BackupEntry(
            name=name,
            state=EntryState.IN_PROGRESS,
            reason=f"written {claim}",
            started=claim.started,
        )
    if not objects:
        return _nothing(name)
    directory = BackupFiles(name).directory
    names = {key.removeprefix(directory) for key in objects}
    if names.isdisjoint(known_files(name)):
        reason = f"it holds no file of a backup: {first_few(sorted(names), SHOWN)}"
        return BackupEntry(name=name, state=EntryState.FOREIGN, reason=reason)
    return BackupEntry(
        name=name,
        state=EntryState.INCOMPLETE,
        reason=f"no {layout.METADATA}: a run that did not end, or a deletion",
        started=_newest(objects.values()),
    )


def _unended(claim: ClaimRecord) -> BackupEntry:
    """Describe a claim alone whose run was killed, before any file of it was whole."""
    return BackupEntry(
        name=claim.name,
        state=EntryState.INCOMPLETE,
        reason=f"begun and not ended {claim}",
        started=claim.started,
    )


def _nothing(name: str) -> BackupEntry:
    """Return what is said of a name without a single object."""
    reason = "there is nothing of this name"
    return BackupEntry(name=name, state=EntryState.INCOMPLETE, reason=reason)


def _newest(objects: Iterable[ObjectInfo]) -> datetime | None:
    times = [info.modified for info in objects if info.modified is not None]
    return max(times, default=None)


def _started(backup: Backup) -> datetime | None:
    status = backup.status
    return (
        status.start_timestamp
        or backup.metadata.creation_timestamp
        or status.completion_timestamp
    )


def _newest_first(entry: BackupEntry) -> tuple[float, str]:
    started = entry.started or _LONG_AGO
    return (-started.timestamp(), entry.name)
