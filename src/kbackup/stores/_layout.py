"""The keys of everything that kbackup reads and writes in a store.

Source: Velero's object store layout, and ``docs/formats/store-layout.md``. Keys are
below the location's prefix, which `PrefixedStore` adds. Offered as
``kbackup.stores.layout``. Names are validated here before they become part of a key.
"""

from __future__ import annotations

import re
import uuid

import attrs

from kbackup.errors import InvalidSpecError
from kbackup.models import is_dns_subdomain

BACKUPS = "backups/"
RESTORES = "restores/"
PRIVATE = "plugins/kbackup.io/"
"""Everything of kbackup's own: Velero leaves ``plugins/`` alone."""

TOP_LEVEL = frozenset({"backups", "restores", "restic", "kopia", "metadata", "plugins"})
"""The directories that may lie below a prefix; with another one Velero gives up."""

LOCATION = f"{PRIVATE}location.json"
CLAIMS = f"{PRIVATE}claims/"
RESTORE_CLAIMS = f"{PRIVATE}restore-claims/"
JOURNALS = f"{PRIVATE}journal/"
PROBES = f"{PRIVATE}probe/"
TOMBSTONES = f"{PRIVATE}deleted/"

METADATA = "velero-backup.json"
MANIFEST = "kbackup-manifest.json"
SIGNATURE = "kbackup-manifest.sig"  # reserved
INDEX = "kbackup-index.jsonl.gz"  # reserved
RESTORE_RECORD = "kbackup-restore.json"

_MAX_FILE_NAME = 255  # bytes, of every common file system
_ENTRY = re.compile(r"/\d{8}\.json\Z")
_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


def is_valid_name(name: str) -> bool:
    """Tell whether *name* can be a backup's or a restore's: a DNS-1123 subdomain."""
    return is_dns_subdomain(name)


def validate_name(name: str, *, what: str = "backup") -> str:
    """Return *name* if it can be one.

    Raises:
        InvalidSpecError: It is not a DNS-1123 subdomain.
    """
    if is_valid_name(name):
        return name
    violation = (
        f"{name[:300]!r} is no name of a {what}: it must be lower-case letters, "
        "digits, '-' and '.', begin and end with a letter or a digit, and have at "
        "most 253 characters"
    )
    raise InvalidSpecError([violation])


def is_valid_uid(uid: str) -> bool:
    """Tell whether *uid* can be that of a run."""
    return _UID.fullmatch(uid) is not None


def _validate_uid(uid: str) -> str:
    if is_valid_uid(uid):
        return uid
    raise InvalidSpecError([f"{uid[:80]!r} is no uid"])


class _Key:
    """The key of one file of a backup or a restore, from the name of that.

    Args:
        template: The file's name.
        read_only: Nothing written today has it.
    """

    def __init__(self, template: str, *, read_only: bool = False) -> None:
        self._template = template
        self.added = 0 if read_only else len(template.format(name=""))

    def __get__(self, files: BackupFiles | RestoreFiles, _: object = None) -> str:
        return files.directory + self._template.format(name=files.name)


@attrs.frozen
class BackupFiles:
    """The keys of one backup's objects.

    Which Velero writes which of them is in ``docs/formats/store-layout.md``.

    Attributes:
        name: The backup.

    Raises:
        InvalidSpecError: *name* is not a backup's name.
    """

    name: str = attrs.field()

    metadata = _Key(METADATA)
    archive = _Key("{name}.tar.gz")
    logs = _Key("{name}-logs.gz")
    pod_volume_backups = _Key("{name}-podvolumebackups.json.gz")
    volume_snapshots = _Key("{name}-volumesnapshots.json.gz")
    resource_list = _Key("{name}-resource-list.json.gz")
    csi_volume_snapshots = _Key("{name}-csi-volumesnapshots.json.gz", read_only=True)
    csi_volume_snapshot_contents = _Key(
        "{name}-csi-volumesnapshotcontents.json.gz", read_only=True
    )
    csi_volume_snapshot_classes = _Key(
        "{name}-csi-volumesnapshotclasses.json.gz", read_only=True
    )
    item_snapshots = _Key("{name}-itemsnapshots.json.gz", read_only=True)
    results = _Key("{name}-results.gz")
    item_operations = _Key("{name}-itemoperations.json.gz")
    volume_info = _Key("{name}-volumeinfo.json.gz")
    manifest = _Key(MANIFEST)
    signature = _Key(SIGNATURE)
    index = _Key(INDEX)

    @name.validator
    def _check(self, _: object, value: str) -> None:
        validate_name(value)

    @property
    def directory(self) -> str:
        """What all its keys begin with, the slash included."""
        return f"{BACKUPS}{self.name}/"


@attrs.frozen
class RestoreFiles:
    """The keys of one restore's objects, in the location of its backup.

    Attributes:
        name: The restore.

    Raises:
        InvalidSpecError: *name* is not a restore's name.
    """

    name: str = attrs.field()

    logs = _Key("restore-{name}-logs.gz")
    results = _Key("restore-{name}-results.gz")
    resource_list = _Key("restore-{name}-resource-list.json.gz")
    item_operations = _Key("restore-{name}-itemoperations.json.gz")
    volume_info = _Key("{name}-volumeinfo.json.gz")  # Velero's: unlike its siblings
    record = _Key(RESTORE_RECORD)

    @name.validator
    def _check(self, _: object, value: str) -> None:
        validate_name(value, what="restore")

    @property
    def directory(self) -> str:
        """What all its keys begin with, the slash included."""
        return f"{RESTORES}{self.name}/"


def longest_name(files: type[BackupFiles | RestoreFiles]) -> int:
    """Return how many characters a name may have for a directory to hold its files.

    It is kept to in every store: what is in one may be moved to a directory.
    """
    keys = [key for key in vars(files).values() if isinstance(key, _Key)]
    return _MAX_FILE_NAME - max(key.added for key in keys)


def name_violations(name: str, files: type[BackupFiles | RestoreFiles]) -> list[str]:
    """Return why nothing new is written under a name, or nothing."""
    most = longest_name(files)
    if len(name) <= most:
        return []
    violation = (
        f"name {name[:20]!r}... has {len(name)} characters; a directory can hold the "
        f"files of one with at most {most}"
    )
    return [violation]


def backup_of(key: str) -> str:
    """Return the backup that a key, or a prefix ending in a slash, belongs to.

    Empty where it belongs to none, or its directory's name is no backup's name.
    """
    return _owner(BACKUPS, key)


def restore_of(key: str) -> str:
    """Return the restore that a key or a prefix belongs to, or nothing."""
    return _owner(RESTORES, key)


def claim(backup: str) -> str:
    """Return the key of the claim that a running backup holds on its name."""
    return f"{CLAIMS}{validate_name(backup)}.json"


def restore_claim(restore: str) -> str:
    """Return the key of the claim that a running restore holds on its name."""
    return f"{RESTORE_CLAIMS}{validate_name(restore, what='restore')}.json"


def journal(uid: str, number: int | None = None) -> str:
    """Return the key of an entry of a run's journal, or what its entries begin with.

    Numbers are padded, so that entries list in their order.
    """
    directory = f"{JOURNALS}{_validate_uid(uid)}/"
    return directory if number is None else f"{directory}{number:08d}.json"


def journal_file(uid: str, name: str) -> str:
    """Return the key of a file that is kept beside the entries of a run's journal."""
    return f"{journal(uid)}{name}"


def is_journal_entry(key: str) -> bool:
    """Tell whether a key below `JOURNALS` is that of an entry, and of no file beside."""
    return _ENTRY.search(key) is not None


def probe() -> str:
    """Return a fresh key for trying out what a store can do."""
    return f"{PROBES}{uuid.uuid4()}"


def tombstone(identity: str) -> str:
    """Return the key of the mark of a deletion in a mirrored store."""
    return f"{TOMBSTONES}{_validate_uid(identity)}"


def _owner(top: str, key: str) -> str:
    if not key.startswith(top):
        return ""
    name, slash, _ = key[len(top) :].partition("/")
    return name if slash and is_valid_name(name) else ""
