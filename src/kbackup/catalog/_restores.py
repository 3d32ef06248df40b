"""The records of restores, and the files beside them, which are all that Velero keeps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kbackup._kits.clock import Clock
from kbackup._kits.words import first_few
from kbackup.catalog._claim import RestoreClaim
from kbackup.catalog._claim_record import RESTORES, ClaimRecord, read_claims
from kbackup.catalog._claim_to_delete import delete_claimed, look
from kbackup.catalog._fetch import (
    LARGEST_SIDE_FILE,
    UnreadableError,
    exists,
    fetch,
    inflate,
    parse_json,
)
from kbackup.catalog._journal import Journal, all_entries, operations_in
from kbackup.catalog._not_found import no_restore
from kbackup.catalog._publish import Content, file_names
from kbackup.catalog._reading import log_lines
from kbackup.catalog._side_files import SHOWN, RestoreFile, known_restore_files
from kbackup.catalog._velero_restores import velero_restore
from kbackup.errors import (
    BackupDamagedError,
    CodecError,
    ObjectExistsError,
    ObjectNotFoundError,
    RestoreDamagedError,
    RestoreError,
    RestoreExistsError,
    RestoreNotFoundError,
    StoreError,
)
from kbackup.models import ItemOperation, Restore, Results, dump_json, load_json
from kbackup.plugins import ObjectInfo, ObjectStore
from kbackup.stores import RestoreFiles, ensure_location_record, layout

_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
_RESTORE = "restore"  # whose operations the journal has
_UPLOAD = "uploadRestore"  # the journal's entry of a run that is about to write


def check_dead_claims(
    store: ObjectStore, name: str, from_backup: str, clock: Clock
) -> None:
    """Refuse a name under which a restore of another backup was killed.

    One that lives is met, and refused, when the name is claimed.

    Raises:
        RestoreExistsError: There was one.
    """
    for _, claim in read_claims(store, RESTORES, name.__eq__):
        if claim.is_stale(clock.now()):
            claim.refuse_to_complete(from_backup)


def check_name(store: ObjectStore, name: str, uid: str) -> None:
    """Refuse a name that another run has used, Velero's runs included.

    Raises:
        RestoreExistsError: There are files of another run.
    """
    try:
        found = _recorded(store, name)
    except RestoreNotFoundError:
        pass
    else:
        if found.metadata.uid == uid:
            return
        raise RestoreExistsError(
            name,
            f"it is run {found.metadata.uid}, of another backup or cluster, or with "
            f"another specification or other options",
            hint="choose another name, or ask for the same as that restore did",
        )
    keys = _keys(store, name)
    if not keys or _is_ours(store, name, uid):
        return
    if others := _strangers(name, keys):
        named = first_few(others, SHOWN)
        directory = RestoreFiles(name).directory
        raise RestoreExistsError(
            name,
            f"{directory} holds what is no file of a restore: {named}",
            hint="choose another name, or move that away",
        )
    raise RestoreExistsError(
        name,
        "another run left files under this name",
        hint="choose another name",
    )


def claim_restore(
    store: ObjectStore, name: str, *, run_uid: str, clock: Clock, from_backup: str
) -> RestoreClaim:
    """Make a name ours; see `BackupStore.claim_restore`."""
    layout.validate_name(name, what="restore")
    ensure_location_record(store)
    claim = RestoreClaim(
        store, name, run_uid=run_uid, clock=clock, from_backup=from_backup
    )
    return claim.acquire()


def put_restore(
    store: ObjectStore,
    restore: Restore,
    files: Mapping[str, Content],
    claim: RestoreClaim | None,
) -> None:
    """Write a restore's files, then its record; neither is written again.

    What an earlier process of the same run left, killed before the record, is replaced.

    Raises:
        RestoreExistsError: Another run has used the name, or this one was recorded.
        RestoreInProgressError: The claim was lost; the record is not written.
    """
    _check_claim(claim)
    name, uid = restore.metadata.name, restore.metadata.uid
    keys = RestoreFiles(name)
    named = file_names(keys.directory, files)
    check_name(store, name, uid)
    journal = Journal(store, uid)
    if exists(store, keys.record):
        journal.remove()  # nobody goes on with it
        raise RestoreExistsError(name, "this very run is recorded already")
    if _is_ours(store, name, uid):
        for key in _files(name, _keys(store, name), named):
            store.delete(key)
    else:  # what appears there from now on is of a run that was first
        journal.append({_UPLOAD: name})
    try:
        for file in sorted(named):
            store.put(keys.directory + file, named[file], create=True)
        _check_claim(claim)
        store.put(keys.record, dump_json(restore), create=True)
    except ObjectExistsError as exc:
        journal.remove()  # the next try must not take the other's files for ours
        raise RestoreExistsError(name, "another run was first") from exc
    journal.remove()


def get_restore(store: ObjectStore, name: str) -> Restore:
    """Return the record of a restore; of one that Velero made, what its files tell.

    Raises:
        RestoreNotFoundError: There is neither; tells of a run that has not ended.
        RestoreDamagedError: It cannot be read.
    """
    try:
        return _recorded(store, name)
    except RestoreNotFoundError as exc:
        data = read_file(store, name, RestoreFile.RESULTS)
        results = None if data is None else read_results(store, name)
        found = velero_restore(store, name, results)
        if found is not None:
            return found
        raise no_restore(store, name) from exc


def _recorded(store: ObjectStore, name: str) -> Restore:
    """Return the record that kbackup wrote."""
    try:
        content = fetch(store, RestoreFiles(name).record)
        restore = load_json(Restore, content)
    except ObjectNotFoundError as exc:
        raise RestoreNotFoundError(name) from exc
    except (CodecError, UnreadableError) as exc:
        raise RestoreDamagedError(name, f"{layout.RESTORE_RECORD}: {exc}") from exc
    if restore.metadata.name != name:
        other = restore.metadata.name
        raise RestoreDamagedError(name, f"its record is that of restore {other!r}")
    return restore


def list_restores(store: ObjectStore) -> list[Restore]:
    """Return the restores, newest first; what cannot be read is left out."""
    found = []
    for prefix in store.list_prefixes(layout.RESTORES):
        if not (name := layout.restore_of(prefix)):
            continue
        try:
            found.append(get_restore(store, name))
        except (RestoreError, StoreError):
            continue
    return sorted(found, key=_newest_first)


def unended_restores(store: ObjectStore) -> list[ClaimRecord]:
    """Return who has begun a restore that is not on record; see `BackupStore`.

    Where claims cannot be read none is known, as with `unended_run`.
    """
    try:
        claims = [c for _, c in read_claims(store, RESTORES, layout.is_valid_name)]
        begun = {claim.name: claim for claim in claims if claim.held}
        return [
            claim
            for name, claim in sorted(begun.items())
            if not exists(store, RestoreFiles(name).record)
        ]
    except StoreError:
        return []


def delete_restore(store: ObjectStore, name: str, *, clock: Clock) -> tuple[str, ...]:
    """Remove a restore's record, then its files; return what else lies beside them.

    What the journal of a killed run says of it goes as well.

    Raises:
        RestoreNotFoundError: There is nothing of that name, or nothing of a restore.
        RestoreInProgressError: A run is restoring under it.
    """
    files = RestoreFiles(name)
    seen = look(store, files.record)
    keys = _keys(store, name)
    if keys and not _files(name, keys):
        named = first_few(_strangers(name, keys), SHOWN)
        reason = f"{files.directory} holds no file of a restore: {named}"
        raise RestoreNotFoundError(name, reason)
    if not keys and not _journal_of(store, name):
        raise no_restore(store, name)

    def ours() -> list[ObjectInfo]:
        found = list(store.list(files.directory))
        known = set(_files(name, [info.key for info in found]))
        return [info for info in found if info.key in known] + _journal_of(store, name)

    delete_claimed(
        RestoreClaim,
        store,
        name,
        record=files.record,
        seen=seen,
        files=ours,
        clock=clock,
    )
    left = _strangers(name, _keys(store, name))
    return tuple(files.directory + each for each in left)


def _journal_of(store: ObjectStore, name: str) -> list[ObjectInfo]:
    """Return what runs that were killed while they wrote a name said of it.

    Left behind it would let such a run, started again, take the files of another for
    its own.
    """
    return [info for info, entry in all_entries(store) if name in _named_in(entry)]


def _named_in(entry: Mapping[str, Any]) -> set[str]:
    """Return the restores that an entry of a journal names: one, or none."""
    return {str(entry[key]) for key in (_UPLOAD, _RESTORE) if key in entry}


def begun_operations(store: ObjectStore, name: str, uid: str) -> list[ItemOperation]:
    """Return what earlier processes of a restore have begun, as it was last heard of.

    Raises:
        StoreError: It cannot be read.
    """
    entries = Journal(store, uid).entries()
    return operations_in(each for each in entries if each.get(_RESTORE) == name)


def read_file(store: ObjectStore, name: str, file: RestoreFile) -> Any:
    """Return the JSON of a restore's file; None: there is none.

    Raises:
        RestoreDamagedError: It cannot be read.
    """
    key = file.key(name)
    try:
        return parse_json(inflate(fetch(store, key, limit=LARGEST_SIDE_FILE)))
    except ObjectNotFoundError:
        return None
    except UnreadableError as exc:
        raise RestoreDamagedError(name, f"{key}: {exc}") from exc


def read_results(store: ObjectStore, name: str) -> Results:
    """Return the warnings and errors of a restore; none where it has no such file."""
    try:
        return Results.from_json(read_file(store, name, RestoreFile.RESULTS))
    except ValueError as exc:
        key = RestoreFile.RESULTS.key(name)
        raise RestoreDamagedError(name, f"{key}: {exc}") from exc


def read_logs(store: ObjectStore, name: str) -> Iterator[str]:
    """Yield the lines of a restore's log; none where it has no log."""
    key = RestoreFiles(name).logs
    try:
        content = fetch(store, key, limit=LARGEST_SIDE_FILE)
    except ObjectNotFoundError:
        return
    except UnreadableError as exc:
        raise RestoreDamagedError(name, f"{key}: {exc}") from exc
    try:
        yield from log_lines(name, key, content)
    except BackupDamagedError as exc:
        raise RestoreDamagedError(name, exc.reason) from exc


def awaits_completion(store: ObjectStore, uid: str) -> bool:
    """Tell whether a journal speaks of a restore that began, and is not on record.

    The same run, started again, needs the journal to know its own files, and what its
    actions began.
    """
    entries = Journal(store, uid).entries()
    names = {
        name
        for entry in entries
        for name in _named_in(entry)
        if layout.is_valid_name(name) and (_RESTORE in entry or _keys(store, name))
    }
    return any(not exists(store, RestoreFiles(name).record) for name in names)


def is_half_deleted(store: ObjectStore, name: str) -> bool:
    """Tell whether a deletion that was broken off has left files of a restore.

    Asked where a dead claim of ours is on the name: no other run has put them there. Of
    an upload that was broken off the journal tells, and it can still be completed.
    """
    keys = _keys(store, name)
    return (
        bool(_files(name, keys))
        and RestoreFiles(name).record not in keys
        and not _journal_of(store, name)
    )


def _is_ours(store: ObjectStore, name: str, uid: str) -> bool:
    """Tell whether a dead process of this very run was writing the name."""
    return any(entry.get(_UPLOAD) == name for entry in Journal(store, uid).entries())


def _check_claim(claim: RestoreClaim | None) -> None:
    if claim is not None:
        claim.check()


def _keys(store: ObjectStore, name: str) -> list[str]:
    """Return the keys of all that lies in a restore's directory."""
    return [info.key for info in store.list(RestoreFiles(name).directory)]


def _files(name: str, keys: Iterable[str], named: Collection[str] = ()) -> list[str]:
    """Return the keys of a restore's files, *named* for more than the format's."""
    directory = RestoreFiles(name).directory
    known = {*known_restore_files(name), *named}
    return [key for key in keys if key.removeprefix(directory) in known]


def _strangers(name: str, keys: Sequence[str]) -> list[str]:
    """Return, sorted, the names of what is no file of a restore."""
    files = set(_files(name, keys))
    directory = RestoreFiles(name).directory
    return sorted(key.removeprefix(directory) for key in keys if key not in files)


def _newest_first(restore: Restore) -> tuple[float, str]:
    started = restore.status.start_timestamp or restore.metadata.creation_timestamp
    return (-(started or _LONG_AGO).timestamp(), restore.metadata.name)
