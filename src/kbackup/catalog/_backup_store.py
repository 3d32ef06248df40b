"""`BackupStore`: the backups and restores of one location. Each act has its own module."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import attrs

from kbackup._kits.arguments import given_or_new
from kbackup._kits.clock import Clock, SystemClock
from kbackup._kits.workers import CancelToken
from kbackup.archive import ArchiveContents, ArchiveReader
from kbackup.catalog._address import address_of
from kbackup.catalog._archives import Archives
from kbackup.catalog._backup_runs import BackupRuns
from kbackup.catalog._deletable import DeletableBackups
from kbackup.catalog._delete import Deletion
from kbackup.catalog._guard import GuardedStore
from kbackup.catalog._listing import BackupEntry, Listing
from kbackup.catalog._manifest import Manifest, VolumeRecord
from kbackup.catalog._reading import (
    log_lines,
    read_object,
    read_results,
    read_side_file,
)
from kbackup.catalog._repair import Repairer, RepairReport
from kbackup.catalog._repair_plan import RepairPlan, RepairPlanner
from kbackup.catalog._side_files import SideFile
from kbackup.catalog._trust import read_manifest, read_record, right_manifest
from kbackup.catalog._usable import Wish, first_usable, measured, require_complete
from kbackup.catalog._verify import Verifier, VerifyReport
from kbackup.catalog._volumes import read_volumes
from kbackup.errors import StoreError
from kbackup.models import (
    AccessMode,
    Backup,
    BackupStorageLocation,
    Difference,
    LabelSelector,
    Results,
)
from kbackup.plugins import ObjectStore, PluginManager
from kbackup.stores import (
    BackupFiles,
    DirectoryState,
    StoreCheck,
    layout,
    location_from,
    open_object_store,
    problems_of,
    read_location_record,
    state_of,
    validate_object_store,
)

if TYPE_CHECKING:
    from kbackup.catalog._diff import Stored


class BackupStore(BackupRuns, DeletableBackups):
    """The backups and restores of one location.

    May be shared by threads. A context manager: leaving it closes the object store.
    Names are checked before they become part of a key: every method that takes one
    raises `InvalidSpecError` for what is none, and `StoreError` where the store fails.

    Attributes:
        location: Where it is.
        url: The same, safe to print.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        location: BackupStorageLocation | None = None,
        url: str = "",
        plugins: PluginManager | None = None,
        clock: Clock | None = None,
        spool_directory: Path | None = None,
    ) -> None:
        """Take an open object store; `open` is what most callers want.

        Args:
            store: Bound to the location's prefix; closed with this one.
            location: Where it is.
            url: What to show for it.
            plugins: Whose DeleteItemActions count; None: what is installed.
            clock: For claims and ages.
            spool_directory: Where archives are kept while they are read.
        """
        self._store = GuardedStore(store)
        self._clock = clock or SystemClock()
        self._archives = Archives(self._store, spool_directory)
        self._listing = Listing(self._store, self._archives, self._clock)
        plugins = given_or_new("plugins", plugins, PluginManager)
        self._deletion = partial(
            Deletion, self._store, self._archives, plugins, self._clock
        )
        self.location = location or BackupStorageLocation()
        self.url = url

    @classmethod
    def open(
        cls,
        location: str
        | os.PathLike[str]
        | BackupStorageLocation
        | Sequence[str | os.PathLike[str]],
        *,
        plugins: PluginManager | None = None,
        read_only: bool = False,
        clock: Clock | None = None,
        spool_directory: Path | None = None,
    ) -> Self:
        """Open a location; nothing is read or written yet.

        Args:
            location: An address that a provider knows, the path of a directory,
                several directories that are mirrors, or Velero's own object.
            plugins: Who knows providers, and whose DeleteItemActions run where a backup
                is deleted; None: what is installed.
            read_only: Refuse every write, whatever the location says.
            clock: For claims and ages.
            spool_directory: For archives while they are read; None: the system's place.

        Raises:
            UnknownLocationError: No plugin knows such a location.
            InvalidConfigError: The location breaks a rule.
            PluginError: The provider is not installed or not usable.
        """
        manager = plugins or PluginManager()
        known = location_from(location, manager)
        if read_only:
            spec = attrs.evolve(known.spec, access_mode=AccessMode.READ_ONLY)
            known = attrs.evolve(known, spec=spec)
        return cls(
            open_object_store(known, manager),
            location=known,
            url=address_of(known, manager),
            plugins=manager,
            clock=clock,
            spool_directory=spool_directory,
        )

    # --- looking ----------------------------------------------------------------------

    def list(self) -> list[BackupEntry]:
        """Return what is there, newest first; what is broken says so and is listed."""
        return self._listing.list()

    def entry(self, name: str) -> BackupEntry:
        """Return the line of one backup, its archive measured as well.

        Raises:
            BackupNotFoundError: There is none; tells of a run that has not ended.
        """
        return measured(self._store, self._entry(name))

    def get(self, name: str) -> Backup:
        """Return the record of a backup, whatever its phase.

        Raises:
            BackupNotFoundError: There is none.
            BackupDamagedError: It cannot be read.
        """
        return read_record(self._store, name).backup

    def latest(self, schedule: str = "", *, partially_failed: bool = True) -> Backup:
        """Return the record of the newest whole backup that did not fail or hold nothing.

        Args:
            schedule: The newest of one schedule; empty: of all.
            partially_failed: It may be one that lacks something.

        Raises:
            BackupNotFoundError: There is none.
        """
        wish = Wish(schedule=schedule, partially_failed=partially_failed)
        return first_usable(self.list(), partial(measured, self._store), wish)

    def manifest(self, name: str) -> Manifest | None:
        """Return the manifest, checked against the record; None: Velero wrote it.

        Raises:
            BackupNotFoundError: There is no such backup.
            BackupDamagedError: The manifest is missing, altered or another backup's.
        """
        return read_manifest(self._store, read_record(self._store, name))

    def open_archive(self, name: str, *, salvage: bool = False) -> ArchiveReader:
        """Return a reader of the archive, which is fetched and checked first.

        Args:
            name: The backup.
            salvage: Also of a backup that is incomplete or damaged: where no copy is
                what the manifest says, what there is, and the reader names what it
                cannot read.

        Raises:
            BackupNotFoundError: There is no such backup.
            BackupInProgressError: It is being written.
            BackupDamagedError: It is not whole, or not what its manifest says.
        """
        if salvage:
            self._entry(name)  # that nothing is there is no damage
            manifest = right_manifest(self._store, name)
            return self._archives.open(name, manifest, salvage=True)
        require_complete(self._entry(name))
        return self._archives.open(name, self.manifest(name))

    def open_contents(
        self,
        name: str,
        spool_directory: Path | None = None,
        *,
        salvage: bool = False,
        every_version: bool = False,
    ) -> ArchiveContents:
        """Return the items of the archive by name, all of it read and checked.

        As `open_archive` and `ArchiveReader.index`, but the archive is read while it
        is fetched, where it need not be salvaged. Raises what those do.
        """
        if salvage:
            with self.open_archive(name, salvage=True) as archive:
                place = spool_directory or self._archives.spool_directory
                return archive.index(place, every_version=every_version)
        require_complete(self._entry(name))
        manifest, contents = self.manifest(name), self._archives.contents
        return contents(name, manifest, spool_directory, every_version=every_version)

    def archive_digest(self, name: str) -> str:
        """Return the SHA-256 of the archive, 64 hexadecimal digits.

        Raises:
            BackupNotFoundError: There is no such backup.
            BackupDamagedError: The manifest cannot be trusted, or no archive is there.
        """
        return self._archives.digest(name, self.manifest(name))

    def download(self, name: str, target: Path) -> None:
        """Copy the archive to *target*, mode 0600, checked; raises as `open_archive`."""
        self._archives.download(name, self.manifest(name), target)

    def side_file(self, name: str, side: SideFile) -> Any:
        """Return the JSON of a file beside the archive.

        None: there is none, it holds ``null``, or the manifest does not name it.

        Raises:
            BackupNotFoundError: There is no such backup.
            BackupDamagedError: It is not what the manifest says.
        """
        return read_side_file(self._store, name, self.manifest(name), side)

    def volumes(self, name: str) -> tuple[VolumeRecord, ...]:
        """Return what a backup holds of its volumes' data, also one of Velero's.

        Raises:
            BackupNotFoundError: There is no such backup.
            BackupDamagedError: What should tell cannot be read.
        """
        return read_volumes(self._store, name, self.manifest(name))

    def logs(self, name: str) -> Iterator[str]:
        """Yield the lines of a backup's log; raises as `side_file`."""
        key = BackupFiles(name).logs
        content = read_object(self._store, name, self.manifest(name), key)
        return log_lines(name, key, content)

    def results(self, name: str) -> Results:
        """Return the warnings and errors of a backup; raises as `side_file`."""
        return read_results(self._store, name, self.manifest(name))

    def diff(
        self,
        left: str,
        right: str,
        *,
        namespaces: Sequence[str] = (),
        resources: Sequence[str] = (),
        selector: LabelSelector | None = None,
        namespace_mapping: Mapping[str, str] | None = None,
        redact: Sequence[str] = (),
        salvage: bool = False,
        cancel: CancelToken | None = None,
    ) -> Difference:
        """Tell what happened to the objects between two backups.

        Both archives are read and checked to the end; of objects that are the same byte
        for byte nothing is parsed. `Difference` says what is left out.
        `RestoreEngine.compare` holds a backup against a cluster in the same way.

        Args:
            left: The backup that it begins with, mostly the older one.
            right: The one that it is held against.
            namespaces: Names and globs, of *left*; none: all, and what is in none.
            resources: Types, by any name that means one; none: all.
            selector: Objects that have such labels in either backup; None: all.
            namespace_mapping: What namespaces of *left* are called in *right*.
            redact: Types whose values are not shown, as those of Secrets; ``*``: all.
            salvage: Also of backups that are damaged, as far as they can be read.
            cancel: Ends it early.

        Raises:
            BackupNotFoundError: There is no such backup.
            BackupDamagedError: One is not whole, or not what its manifest says.
            ArchiveError: An archive cannot be read to the end.
            InvalidSpecError: A name means nothing in either of them.
            RunCancelledError: *cancel* was cancelled.
        """
        from kbackup.catalog._diff import compare_stored  # noqa: PLC0415 - see `_stored`
        from kbackup.catalog._selection import Wanted  # noqa: PLC0415 - as above

        wanted = Wanted(
            namespaces=namespaces,
            resources=resources,
            selector=selector,
            namespace_mapping=namespace_mapping or {},
            redact=redact,
        )
        token = given_or_new("cancel", cancel, CancelToken)
        opened = partial(self._stored, salvage=salvage)
        return compare_stored(opened, (left, right), wanted, token)

    def verify(self, name: str) -> VerifyReport:
        """Read all of a backup and tell every fault.

        Raises:
            BackupNotFoundError: There is nothing of that name.
        """
        layout.validate_name(name)
        return Verifier(self._store, self._archives, self._listing, name).run()

    def validate(self) -> tuple[str, ...]:
        """Try the location out and say what is wrong; nothing: it is fit."""
        return self.check().problems

    def check(self) -> StoreCheck:
        """Try the location out and say what is wrong and what it can do."""
        try:
            return validate_object_store(self._store, write=not self.read_only)
        except StoreError as exc:
            hints = (exc.hint,) if exc.hint else ()
            return StoreCheck(problems=(exc.without_location,), hints=hints)

    def location_uuid(self) -> str:
        """Return the uuid that the first write gave the location; empty: none yet."""
        record = read_location_record(self._store)
        return record.uuid if record is not None else ""

    def directories(self) -> tuple[DirectoryState, ...]:
        """Tell which of its directories are there; none: it has no directories."""
        return state_of(self._store).directories

    def problems(self) -> tuple[str, ...]:
        """Say what one of several mirrored directories missed since this was opened."""
        return problems_of(self._store)

    # --- writing ----------------------------------------------------------------------

    def plan_repair(self) -> RepairPlan:
        """Find what is to be repaired; nothing is written.

        In a mirrored location every copy of every object is read.
        """
        return RepairPlanner(self._store, self._clock.now()).plan()

    def repair(self, plan: RepairPlan) -> RepairReport:
        """Do what a plan says and nothing else; a second time finds nothing to do.

        Each step is looked at once more: what has changed since is skipped.

        Raises:
            ReadOnlyLocationError: Nothing may be written here, and something is to be.
        """
        if plan.steps:
            self._require_writable("")
        outcomes = tuple(Repairer(self._store, self._clock).run(plan))
        return RepairReport(outcomes=outcomes, damage=plan.damage, left=plan.left)

    # --- the end ----------------------------------------------------------------------

    def close(self) -> None:
        """Release what the object store holds."""
        self._store.close()

    def _stored(self, name: str, *, salvage: bool) -> Stored:
        """Open one side of a comparison; raises as `open_contents`."""
        from kbackup.catalog._diff import Stored  # noqa: PLC0415 - rarely asked for

        backup = self.get(name)
        contents = self.open_contents(name, salvage=salvage)
        if salvage:
            return Stored.of(backup, right_manifest(self._store, name), contents)
        return Stored.of(backup, self.manifest(name), contents)

    def _entry(self, name: str) -> BackupEntry:
        layout.validate_name(name)
        return self._listing.entry(name)

    def __repr__(self) -> str:
        return f"BackupStore({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
