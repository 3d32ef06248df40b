"""What a person is told of the location itself: which it is, and whether it is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kbackup.cli._output import say
from kbackup.errors import BackupNotFoundError, InvalidConfigError, KBackupError
from kbackup.models import labels

if TYPE_CHECKING:
    from kbackup.catalog import BackupEntry, BackupStore
    from kbackup.cli._session import Session

_MEMORY = "kbackup.io/memory"
LATEST = "latest"  # in the place of a backup's name
# Keys that nobody but kbackup knows, and the word for a store without a key.
_OWN = ("plugins/kbackup.io/", "store: ")


def is_absent(store: BackupStore) -> bool:
    """Tell whether none of its directories exists; a bucket counts as there."""
    paths = [Path(each.path) for each in store.directories()]
    return bool(paths) and not any(path.exists() for path in paths)


def place_of(store: BackupStore) -> str:
    """Return its address, and that it is not there yet: it may be mistyped."""
    return store.url + (", which does not exist yet" if is_absent(store) else "")


def say_none(session: Session, store: BackupStore, what: str) -> None:
    """Say that a location has none of *what*, and whose location it is.

    Nobody may have the setting in mind that it is from.
    """
    say(f"No {what} in {place_of(store)}.")
    if session.chosen_by:
        say(f"This location is from {session.chosen_by}.")


def without_own_key(text: str) -> str:
    """Return what a store said without what stands in front, where that is our own."""
    return text.partition(": ")[2] if text.startswith(_OWN) else text


@contextmanager
def telling_if_made(store: BackupStore) -> Iterator[None]:
    """Say it if the location is made meanwhile: nobody may have meant a new one.

    A directory that exists and is empty is one, too: the mount point of a lost disk
    looks just so.
    """
    absent, new = is_absent(store), _is_new(store)
    left = (
        ", in which there is no backup"  # where what was to make one did not end well
    )
    try:
        yield
        left = ""
    finally:
        if (absent and not is_absent(store)) or (new and _uuid_of(store)):
            say(f"Made new location {store.url}{left}")


def _is_new(store: BackupStore) -> bool:
    """Tell whether nobody has stored a backup there; Velero gives locations no uuid."""
    with suppress(KBackupError):  # which the command will tell by itself
        return not store.location_uuid() and not store.list()
    return False


def _uuid_of(store: BackupStore) -> str:
    with suppress(KBackupError):
        return store.location_uuid()
    return ""


def require_uuid(store: BackupStore, uuid: str) -> None:
    """Refuse another location than the file of settings means.

    Raises:
        InvalidConfigError: It has another uuid, or none.
        StoreError: It cannot be read.
    """
    found = store.location_uuid()
    if found != uuid:
        raise InvalidConfigError(
            f"{store.url} is another location: the file of settings means {uuid}, "
            f"there is {found or 'none'}",
            hint="mount the disk that is meant, or take uuid out of the settings",
        )


def refuse_memory(store: BackupStore) -> None:
    """Refuse to write where nothing outlives the command.

    Raises:
        InvalidConfigError: The location is in this process's memory.
    """
    if store.location.spec.provider == _MEMORY:
        raise InvalidConfigError(
            f"{store.url} lives in memory and ends with this command: "
            "what is written there is lost",
            hint="give a directory or a bucket; memory:// is for programs",
        )


def meant_backup(store: BackupStore, name: str) -> str:
    """Return which backup *name* means: ``latest`` the newest, if none is called so.

    Raises:
        BackupNotFoundError: There is no newest that can be restored from.
    """
    if name != LATEST:
        return name
    try:
        store.entry(name)
    except BackupNotFoundError:
        return newest_backup(store)
    say(f"A backup is called {name}: it is meant, not the newest")
    return name


def newest_backup(
    store: BackupStore, schedule: str = "", *, partially_failed: bool = True
) -> str:
    """Return which backup is the newest, and say which newer ones are not taken.

    Args:
        store: Where.
        schedule: Of one schedule only; empty: of all.
        partially_failed: It may be one that lacks something.

    Raises:
        BackupNotFoundError: There is none that can be restored from.
    """
    chosen = store.latest(schedule, partially_failed=partially_failed)
    name, of = chosen.metadata.name, f" of schedule {schedule}" if schedule else ""
    for entry in store.list():
        if entry.name == name:
            break
        if schedule and not _is_of(entry, schedule):
            continue
        with suppress(BackupNotFoundError):  # it was deleted while we looked
            fault = entry.unusable or store.entry(entry.name).unusable
            say(f"Not taken as latest{of}: {entry.name}, {fault or 'PartiallyFailed'}")
    say(f"The latest backup{of} is {name}, {chosen.status.phase}")
    return name


def _is_of(entry: BackupEntry, schedule: str) -> bool:
    """Tell whether a schedule made a backup; one without a record does not say."""
    if entry.backup is None:
        return False
    return entry.backup.metadata.labels.get(labels.SCHEDULE_NAME) == schedule
