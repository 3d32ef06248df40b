"""Is a stored backup whole? Everything is read; every fault is told.

In a mirrored location every copy that is there is read: a backup is as safe as the copy
that will be left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice

import attrs

from kbackup._kits.streams import HashingWriter, NullWriter
from kbackup._kits.words import inside, plural
from kbackup.archive import ArchiveContents, ArchiveSummary, find_misfiled
from kbackup.catalog._archives import Archives
from kbackup.catalog._copies import expected_digests, faults_of_copies
from kbackup.catalog._listing import EntryState, Listing, operation_items
from kbackup.catalog._manifest import Manifest
from kbackup.catalog._reading import (
    copy_checked,
    log_lines,
    read_object,
    read_side_file,
)
from kbackup.catalog._side_files import SideFile
from kbackup.catalog._trust import Record, read_manifest, read_record
from kbackup.errors import ArchiveError, BackupDamagedError, StoreError
from kbackup.models import GroupResource, ResourceIdentifier, well_known
from kbackup.plugins import Digest, ObjectStore
from kbackup.stores import BackupFiles, directories_of, layout, state_of

_NAMED = 20  # of the items that lie under another type; all may
_UNNAMED = frozenset({layout.METADATA, layout.MANIFEST, layout.SIGNATURE})


@attrs.frozen(kw_only=True)
class VerifyReport:
    """What verifying a backup found.

    Attributes:
        problems: Each a sentence; none: the backup is whole.
        objects: How many objects of the store were read, each in all its copies.
        items: How many items the archive holds.
        away: The directories of a mirrored location that were not looked at, and why.
    """

    problems: tuple[str, ...] = ()
    objects: int = 0
    items: int = 0
    away: tuple[str, ...] = ()


class Verifier:
    """Verifies one backup once."""

    def __init__(
        self, store: ObjectStore, archives: Archives, listing: Listing, name: str
    ) -> None:
        self._store = store
        self._archives = archives
        self._listing = listing
        self._files = BackupFiles(name)
        self._name = name
        self._problems: list[str] = []
        self._read: set[str] = set()
        self._items = 0
        self._directories = directories_of(store)

    def run(self) -> VerifyReport:
        """Read all of the backup.

        Raises:
            BackupNotFoundError: There is nothing of that name.
            StoreError: The store cannot be read.
        """
        entry = self._listing.entry(self._name)
        if entry.state is not EntryState.COMPLETE:
            self._say(f"{entry.state.replace('_', ' ')}: {entry.reason}")
        names = [
            info.key.removeprefix(self._files.directory)
            for info in self._store.list(self._files.directory)
        ]
        if layout.METADATA in names:
            self._check(names)
        return VerifyReport(
            problems=tuple(dict.fromkeys(self._problems)),
            objects=len(self._read),
            items=self._items,
            away=tuple(map(str, state_of(self._store).away)),
        )

    def _check(self, names: list[str]) -> None:
        record: Record | None = None
        with self._told():
            record = read_record(self._store, self._name)
        if record is None:
            return
        self._read.add(self._files.metadata)
        manifest: Manifest | None = None
        with self._told():
            manifest = read_manifest(self._store, record)
        if manifest is not None:
            self._read.add(self._files.manifest)
            self._name_strangers(manifest, names)
            if not self._directories:
                self._check_objects(manifest)
            self._check_lists(manifest)
        if self._directories:
            self._check_copies(record, manifest, names)
        self._check_side_files(manifest, names)
        if f"{self._name}.tar.gz" in names:
            with self._told():
                self._check_archive(record, manifest)

    def _say(self, problem: str) -> None:
        self._problems.append(problem)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell what is wrong with one object, and let the others be looked at.

        Raises:
            StoreError: The store does not answer, which is no fault of the backup.
        """
        try:
            yield
        except (BackupDamagedError, ArchiveError) as exc:
            self._say(exc.reason)
        except StoreError as exc:
            if exc.retryable:
                raise
            self._say(exc.without_location)

    def _name_strangers(self, manifest: Manifest, names: list[str]) -> None:
        """Name the objects that the manifest does not."""
        named = {each.name for each in manifest.objects}
        for extra in sorted(set(names) - named - _UNNAMED):
            self._say(f"{extra} is not named by the manifest and is not read")

    def _check_copies(
        self, record: Record, manifest: Manifest | None, names: list[str]
    ) -> None:
        """Read every copy of every object, and name the directory of a wrong one."""
        if manifest is None:
            keys = {self._files.directory + name: None for name in names}
            expected: Mapping[str, Digest | None] = keys
        else:
            expected = expected_digests(record, manifest)
        for key, digest in expected.items():
            self._read.add(key)
            for fault in faults_of_copies(self._directories, key, digest):
                self._say(str(fault))

    def _check_objects(self, manifest: Manifest) -> None:
        """Read every object that the manifest names."""
        for each in manifest.objects:
            key = self._files.directory + each.name
            sizes = HashingWriter(NullWriter())
            with self._told():
                copy_checked(self._store, self._name, key, sizes, each)
                if sizes.size != each.size:
                    self._say(
                        f"{each.name} has {sizes.size} bytes, not the {each.size} of "
                        f"the manifest"
                    )
            self._read.add(key)

    def _check_lists(self, manifest: Manifest) -> None:
        """What was listed was stored, skipped or failed."""
        for record in manifest.lists:
            skipped = sum(record.skipped.values())
            if record.listed != record.stored + skipped + record.failed:
                where = inside(record.namespace)
                self._say(
                    f"{record.resource}{where}: {record.listed} listed, but "
                    f"{record.stored} stored, {skipped} skipped and {record.failed} failed"
                )

    def _check_side_files(self, manifest: Manifest | None, names: list[str]) -> None:
        """Every side file is gzip and JSON, and every log is gzip."""
        for side in SideFile:
            name = side.key(self._name).removeprefix(self._files.directory)
            if name not in names:
                continue
            with self._told():
                read_side_file(self._store, self._name, manifest, side)
            self._read.add(side.key(self._name))
        log = self._files.logs
        if log.removeprefix(self._files.directory) in names:
            with self._told():
                content = read_object(self._store, self._name, manifest, log)
                for _ in log_lines(self._name, log, content):
                    pass
            self._read.add(log)

    def _check_archive(self, record: Record, manifest: Manifest | None) -> None:
        """Every item parses, counts agree, references lead to what is there."""
        # A damaged one was named above; what else is wrong is still told.
        with self._archives.open(self._name, manifest, salvage=True) as reader:
            summary = reader.check()
            damage = list(reader.damage)
            with reader.index() as contents:
                self._items = len(contents)
                problems = list(_misfiled(contents))
                problems += self._references(manifest, contents)
        self._read.add(self._files.archive)
        self._problems += damage
        self._problems += [
            f"{identifier}: its copies in the archive differ"
            for identifier in summary.differing
        ]
        if manifest is not None:
            self._problems += _counts(record, manifest, summary)
        self._problems += problems

    def _references(
        self, manifest: Manifest | None, contents: ArchiveContents
    ) -> Iterator[str]:
        """Say which records are about items that the archive does not hold."""
        for identifier in self._operation_items(manifest):
            if identifier not in contents:
                yield f"{identifier}: an operation names it, the archive lacks it"
        if manifest is None:
            return
        for volume in manifest.volumes:
            namespace, _, name = volume.claim.rpartition("/")
            if (
                ResourceIdentifier(well_known.PERSISTENT_VOLUME_CLAIMS, namespace, name)
                not in contents
            ):
                yield f"claim {volume.claim}: in the manifest, not in the archive"
        for reference in manifest.missing:
            if reference.item not in contents:
                yield f"{reference.item}: in the manifest, not in the archive"
            if reference.refers_to in contents:
                yield f"{reference.refers_to}: called missing, but in the archive"
        yield from self._resource_list(manifest, contents)

    def _operation_items(self, manifest: Manifest | None) -> list[ResourceIdentifier]:
        try:
            operations = read_side_file(
                self._store, self._name, manifest, SideFile.ITEM_OPERATIONS
            )
            return sorted(operation_items(self._name, operations))
        except BackupDamagedError as exc:
            self._say(exc.reason)
            return []

    def _resource_list(
        self, manifest: Manifest, contents: ArchiveContents
    ) -> Iterator[str]:
        """Say which items the list of resources leaves out."""
        try:
            listed = read_side_file(
                self._store, self._name, manifest, SideFile.RESOURCE_LIST
            )
        except BackupDamagedError as exc:
            self._say(exc.reason)
            return
        if not isinstance(listed, dict):
            return
        named = {
            f"{kind} {name}"
            for kind, names in listed.items()
            if isinstance(names, list)
            for name in names
        }
        for group_resource in contents.resources():
            for item in contents.items(group_resource):
                kind = f"{item.api_version}/{item.kind}"
                if f"{kind} {item.identifier.qualified_name}" not in named:
                    yield f"{item.identifier}: not in the list of resources"


def _misfiled(contents: ArchiveContents) -> Iterator[str]:
    """Name the items that no restore would write: they are of another type."""
    found = find_misfiled(contents)
    for identifier, reason in islice(found, _NAMED):
        yield f"{identifier}: {reason}"
    if more := sum(1 for _ in found):
        yield f"{plural(more, 'more item')} filed under a type that is not theirs"


def _counts(
    record: Record, manifest: Manifest, summary: ArchiveSummary
) -> Iterator[str]:
    """Say which of the manifest's counts are not those of the archive."""
    items = plural(summary.items, "item")
    if summary.items != manifest.items:
        yield f"the archive has {items}, the manifest says {manifest.items}"
    if summary.entries != manifest.entries:
        yield (
            f"the archive has {summary.entries} entries, the manifest says "
            f"{manifest.entries}"
        )
    progress = record.backup.status.progress
    if progress is not None and progress.items_backed_up != summary.items:
        yield f"the archive has {items}, the record says {progress.items_backed_up}"
    stored = Counter[GroupResource]()
    for each in manifest.lists:
        stored[each.resource] += each.stored
    for resource, count in sorted(stored.items()):
        if (held := summary.by_type.get(resource, 0)) < count:
            yield f"{resource}: {count} were stored, the archive has {held}"
