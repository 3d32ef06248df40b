"""Making a backup visible: every object once, the record last.

Source: Velero reads a directory as a backup as soon as ``velero-backup.json`` is there,
so nothing may be missing then.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import attrs

from kbackup._kits.clock import Clock
from kbackup._kits.streams import sha256_of
from kbackup._kits.versions import installed_version
from kbackup._kits.words import first_few
from kbackup.catalog._claim import BackupClaim
from kbackup.catalog._fetch import UnreadableError, exists, fetch
from kbackup.catalog._manifest import Manifest, ManifestObject
from kbackup.catalog._side_files import SHOWN, strangers
from kbackup.catalog._trust import seal
from kbackup.catalog._unended import refuse_resumable
from kbackup.errors import (
    BackupExistsError,
    BackupInProgressError,
    ObjectExistsError,
    StoreError,
    StoreFullError,
    UnsupportedCapabilityError,
)
from kbackup.models import Backup
from kbackup.plugins import Capability, ObjectStore
from kbackup.stores import BackupFiles, ensure_location_record, layout, retention_of

Content = Path | bytes

_log = logging.getLogger("kbackup.catalog")


def claim_backup(
    store: ObjectStore, name: str, *, run_uid: str, clock: Clock, resume: bool = False
) -> BackupClaim:
    """Make a name ours, and remove what a dead run left; see `BackupStore.claim`."""
    _require_free(store, name)
    claim = BackupClaim(store, name, run_uid=run_uid, clock=clock)
    if not resume:
        refuse_resumable(store, name, unless=claim.is_held_by_another)
    ensure_location_record(store)
    _require_locks(store)
    # Trying the store out may have shown that it has no create-only put.
    claim = BackupClaim(store, name, run_uid=run_uid, clock=clock)
    claim.acquire()
    try:
        _require_free(store, name)  # another run may just have ended, or been killed
        if not resume:
            refuse_resumable(store, name)
        sweep(store, name)
    except BaseException:
        claim.release()
        raise
    return claim


def _require_locks(store: ObjectStore) -> None:
    """Refuse before the work what could not be stored as the location asks."""
    if retention_of(store) and Capability.RETENTION not in store.capabilities:
        raise UnsupportedCapabilityError(
            "",
            "the location asks for backups to be locked, and the bucket locks nothing",
            hint="make a bucket with object lock, or remove the lock from the location",
        )


def _require_free(store: ObjectStore, name: str) -> None:
    if has_record(store, name):
        hint = "choose another name, or delete it first"
        raise BackupExistsError(name, hint=hint)


def has_record(store: ObjectStore, name: str) -> bool:
    """Tell whether there is a backup of that name, whatever its state."""
    return exists(store, BackupFiles(name).metadata)


def sweep(store: ObjectStore, name: str) -> None:
    """Remove what a dead run left; a store that locks objects refuses the name.

    Raises:
        BackupExistsError: There is a record: its run is not dead. Or there is what no
            run has written, and nothing was removed.
    """
    files = BackupFiles(name)
    found = list(store.list(files.directory))
    if any(info.key == files.metadata for info in found):
        raise BackupExistsError(name, "another run was first")
    if others := strangers(name, (info.key for info in found)):
        named = first_few(others, SHOWN)
        raise BackupExistsError(
            name,
            f"{files.directory} holds what is no file of a backup: {named}",
            hint="choose another name, or move that away",
        )
    for info in found:
        _log.warning("removing %s, left behind by a run that did not end", info.key)
        store.delete(info.key)


def publish(
    store: ObjectStore,
    claim: BackupClaim,
    backup: Backup,
    files: Mapping[str, Content],
    manifest: Manifest,
    *,
    ask: Callable[[], None],
    clock: Clock,
) -> Backup:
    """Write a backup's objects and return its record as it was stored.

    What was written is removed again where the record was not tried; where the store
    leaves the outcome of the record open, it is settled by reading.

    Each is locked from now on for as long as the location says.

    Args:
        store: Where.
        claim: On the backup's name; released at the end.
        backup: The record, in its last phase.
        files: Archive and side files, by name or key.
        manifest: Its objects are filled in; those that are given, with name and size
            of a file, are taken for that file's digest.
        ask: Called before each object but the record; what it raises ends the run.
        clock: From whose time on the objects are locked.

    Raises:
        BackupInProgressError: The claim was lost.
        BackupExistsError: Another run has published the name.
        StoreError: The store failed; nothing became visible.
    """
    _check_arguments(claim, backup)
    named = file_names(BackupFiles(claim.name).directory, files)
    names = BackupFiles(claim.name)
    sealed, record, backup = seal(backup, _completed(manifest, backup, named))
    contents = [
        (names.directory + name, named[name])
        for name in sorted(named, key=lambda name: name != f"{claim.name}.tar.gz")
    ]
    put = _locking_put(store, clock)
    every = [*contents, (names.manifest, sealed)]
    written = _write(store, claim, every, ask, put)
    try:
        _put_record(store, claim, names.metadata, record, put)
    except StoreFullError:  # a clear answer, and the room is wanted
        if claim.is_ours() and not has_record(store, claim.name):
            remove_quietly(store, written)
        raise
    _settle(store, claim, names.metadata, record)
    return backup


def _locking_put(store: ObjectStore, clock: Clock) -> Callable[[str, Content], object]:
    """Return the create-only put, with the lock that the location asks for."""
    days = retention_of(store)
    until = clock.now() + days if days else None
    return partial(store.put, create=True, retain_until=until)


def _completed(
    manifest: Manifest, backup: Backup, named: Mapping[str, Content]
) -> Manifest:
    """Return *manifest* with the backup it is of and every file with its digest."""
    known = {(each.name, each.size): each for each in manifest.objects}
    return attrs.evolve(
        manifest,
        backup_name=backup.metadata.name,
        backup_uid=backup.metadata.uid,
        writer_version=manifest.writer_version or installed_version("kbackup"),
        objects=[_describe(name, named[name], known) for name in sorted(named)],
    )


def _write(
    store: ObjectStore,
    claim: BackupClaim,
    contents: list[tuple[str, Content]],
    ask: Callable[[], None],
    put: Callable[[str, Content], object],
) -> list[str]:
    """Write all but the record, the manifest last; return the keys.

    Where that fails, what was written is removed again.
    """
    written: list[str] = []
    try:
        for key, content in contents:
            ask()
            if key == contents[-1][0]:
                claim.check()
            _put_once(store, claim, key, content, put)
            written.append(key)
        ask()
        claim.check()
    except BaseException:
        if claim.is_ours():  # else they may be those of the run that has it now
            remove_quietly(store, written)
        raise
    return written


def _settle(store: ObjectStore, claim: BackupClaim, key: str, record: bytes) -> None:
    """End a run whose record is written; a store that fails now changes nothing.

    Raises:
        BackupInProgressError: The claim was lost just before the record, and with it
            perhaps what the record names: it was withdrawn.
    """
    try:
        claim.check()
        claim.release()
    except BackupInProgressError:
        if _look(store, key) == record:
            remove_quietly(store, [key])
        raise
    except StoreError as exc:
        _log.warning("the claim on backup %s stays behind: %s", claim.name, exc)


def remove_quietly(store: ObjectStore, keys: list[str]) -> None:
    """Remove objects that became useless; a failure leaves them to the next sweep."""
    for key in reversed(keys):
        try:
            store.delete(key)
        except StoreError as exc:
            _log.warning("%s stays behind: %s", key, exc)


def file_names(directory: str, files: Mapping[str, Content]) -> dict[str, Content]:
    """Return *files* by their names within *directory*; whole keys are cut.

    Raises:
        ValueError: One is no file directly in the directory, or is not the caller's.
    """
    named = {name.removeprefix(directory): value for name, value in files.items()}
    for name in named:
        if not name or "/" in name or name in _RESERVED:
            raise ValueError(f"{name!r} cannot be a file in {directory}")
    return named


_RESERVED = frozenset(
    {layout.METADATA, layout.MANIFEST, layout.SIGNATURE, layout.INDEX}
    | {layout.RESTORE_RECORD, ".", ".."}
)


def _check_arguments(claim: BackupClaim, backup: Backup) -> None:
    """Refuse what would be a slip of the caller."""
    if backup.metadata.name != claim.name or not backup.metadata.uid:
        raise ValueError(f"the record is not that of backup {claim.name} with a uid")
    if backup.status.phase is None or not backup.status.phase.is_terminal:
        raise ValueError(f"phase {backup.status.phase} is not that of a run that ended")


def _describe(
    name: str, content: Content, known: Mapping[tuple[str, int], ManifestObject]
) -> ManifestObject:
    """Return size and digest of a file, which is read unless its digest is known."""
    if isinstance(content, bytes):
        digest = hashlib.sha256(content).hexdigest()
        return ManifestObject(name=name, size=len(content), sha256=digest)
    size = content.stat().st_size
    if (name, size) in known:
        return known[name, size]
    with content.open("rb") as file:
        return ManifestObject(name=name, size=size, sha256=sha256_of(file))


def _put_once(
    store: ObjectStore,
    claim: BackupClaim,
    key: str,
    content: Content,
    put: Callable[[str, Content], object],
) -> None:
    """Write an object that nobody else may have written.

    A run that was stopped, and lost its claim to us, may write one more object before
    it notices: that one is replaced.
    """
    for is_last in (False, True):
        try:
            put(key, content)
        except ObjectExistsError as exc:
            claim.check()
            if is_last or has_record(store, claim.name):
                raise BackupExistsError(
                    claim.name, f"{key} was written by another run in the meantime"
                ) from exc
            _log.warning("removing %s, written by a run that had lost its claim", key)
            store.delete(key)
        else:
            return


def _put_record(
    store: ObjectStore,
    claim: BackupClaim,
    key: str,
    record: bytes,
    put: Callable[[str, Content], object],
) -> None:
    """Write the record; where the store leaves the outcome open, look."""
    try:
        put(key, record)
    except StoreError as exc:
        found = _look(store, key)
        if found == record:
            return  # it was written although the answer was lost
        if isinstance(exc, ObjectExistsError):
            raise BackupExistsError(claim.name, "another run was first") from exc
        # A record that still arrives must not point at nothing: what it names stays,
        # and the next run of the name sweeps it.
        raise


def _look(store: ObjectStore, key: str) -> bytes | None:
    try:
        return fetch(store, key)
    except (StoreError, UnreadableError):
        return None
