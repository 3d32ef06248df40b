"""Backups whose run has begun operations and has not ended, as its journal tells.

Once all items of a backup are read, its run waits for operations that may take hours. It
keeps in its journal what another process needs to go on: what was begun, and the files
named by `FILES`. What is in those is the engine's; here is whose journal it is, and what
may become of its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from kbackup._kits.words import first_few, plural
from kbackup.catalog._fetch import exists
from kbackup.catalog._journal import Journal, operations_in
from kbackup.errors import BackupExistsError, StoreError
from kbackup.models import ItemOperation
from kbackup.plugins import Digest, ObjectInfo, ObjectStore
from kbackup.stores import BackupFiles, layout

ARCHIVE, LOG, BOOKS = "archive.tar.gz", "log.gz", "books.json.gz"
FILES = (ARCHIVE, LOG, BOOKS)

# Fields of the entries; `_BACKUP` is in each.
_BACKUP, _KEPT = "backup", "kept"
_SHOWN = 3  # operations in a message


@attrs.frozen(kw_only=True)
class UnendedBackup:
    """A backup whose run is under way or was killed.

    Attributes:
        name: The backup.
        uid: Of backup and journal.
        operations: What was begun, as it was last heard of.
        kept: The digests of `FILES`, as soon as all items were read; else nothing.
    """

    name: str
    uid: str
    operations: tuple[ItemOperation, ...] = ()
    kept: Mapping[str, Digest] = attrs.field(factory=dict)

    @property
    def can_be_resumed(self) -> bool:
        """Whether everything is there that another process needs to go on."""
        return set(FILES) <= self.kept.keys()

    def __str__(self) -> str:
        begun = plural(len(self.operations), "operation")
        if self.can_be_resumed:
            return f"all was read, and {begun} waited for: it can be resumed"
        texts = [
            f"{each.spec.operation_id} of {each.spec.resource_identifier.identifier}"
            for each in self.operations
        ]
        named = first_few(texts, _SHOWN)
        return f"not all was read; {begun} that may go on: {named}"


def kept_entry(name: str, digests: Mapping[str, Digest]) -> Mapping[str, Any]:
    """Return the journal's entry that says that all of `FILES` are there."""
    kept = {file: str(digest) for file, digest in sorted(digests.items())}
    return {_BACKUP: name, _KEPT: kept}


def all_unended(store: ObjectStore, only: str = "") -> Iterator[UnendedBackup]:
    """Yield what journals tell of backups that are not on record.

    Args:
        store: Where.
        only: The name of the one that is looked for; empty: all.
    """
    for prefix in store.list_prefixes(layout.JOURNALS):
        uid = prefix.removeprefix(layout.JOURNALS).rstrip("/")
        if not layout.is_valid_uid(uid):
            continue
        name = owner_of(store, uid)
        if name and (not only or name == only) and not _is_on_record(store, name):
            yield _read(name, Journal(store, uid), uid)


def unended(store: ObjectStore, name: str) -> UnendedBackup | None:
    """Return the run of a backup that has not ended; of several, one that can go on."""
    found = sorted(all_unended(store, name), key=lambda each: not each.can_be_resumed)
    return found[0] if found else None


def owner_of(store: ObjectStore, uid: str) -> str:
    """Return the backup that a journal is of; empty: of none, or it is going."""
    entry = Journal(store, uid).first()
    name = entry.get(_BACKUP) if entry is not None else None
    return name if isinstance(name, str) and layout.is_valid_name(name) else ""


def refuse_resumable(
    store: ObjectStore, name: str, *, unless: Callable[[], bool] = lambda: False
) -> None:
    """Refuse to begin anew what was read and only waits for its operations.

    Args:
        store: Where.
        name: The backup.
        unless: Asked where it can be resumed: whether its run lives, which is another
            error.

    Raises:
        BackupExistsError: It can be resumed.
    """
    found = unended(store, name)
    if found is not None and found.can_be_resumed and not unless():
        raise BackupExistsError(
            name,
            f"a run of it was killed when {found}",
            hint=f"`kbackup backup resume {name}` goes on with it; `kbackup backup "
            f"delete --files-only {name}` gives it up",
        )


def unended_objects(store: ObjectStore, name: str) -> list[ObjectInfo]:
    """Return what dead runs of a backup without a record left, in order of removal."""
    return [
        info
        for found in all_unended(store, name)
        for info in Journal(store, found.uid).objects()
    ]


def _is_on_record(store: ObjectStore, name: str) -> bool:
    return exists(store, BackupFiles(name).metadata)


def _read(name: str, journal: Journal, uid: str) -> UnendedBackup:
    """Put the entries of a journal together; later ones count."""
    entries = journal.entries()
    kept: dict[str, Digest] = {}
    try:
        for entry in entries:
            for file, digest in entry.get(_KEPT, {}).items():
                kept[file] = Digest.parse(digest)
    except (AttributeError, TypeError, ValueError) as exc:
        raise StoreError(layout.journal(uid), f"what it kept: {exc}") from exc
    operations = tuple(operations_in(entries))
    return UnendedBackup(name=name, uid=uid, operations=operations, kept=kept)
