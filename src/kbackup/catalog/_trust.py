"""The root of trust: from the record to the manifest to every other object.

``velero-backup.json`` names the digest of the manifest; the manifest names the digest
of every other object, and that of the record itself, less the digits of the first. So
no byte of a whole backup can change unseen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress

import attrs

from kbackup.catalog._fetch import UnreadableError, exists, fetch, parse_json
from kbackup.catalog._manifest import Manifest, ManifestError
from kbackup.catalog._not_found import no_backup
from kbackup.errors import (
    BackupDamagedError,
    BackupNotFoundError,
    CodecError,
    DigestMismatchError,
    ObjectNotFoundError,
    StoreError,
)
from kbackup.models import Backup, BackupPhase, dump_json, labels, load_json
from kbackup.plugins import Digest, ObjectStore
from kbackup.stores import BackupFiles, directories_of, layout

_NO_DIGEST = "0" * 64


@attrs.frozen(kw_only=True)
class Record:
    """A backup's record as it lies in the store.

    Attributes:
        backup: What it says.
        content: Its bytes.
    """

    backup: Backup
    content: bytes

    @property
    def annotation(self) -> str:
        """The digest of the manifest, or empty: the record states none."""
        return self.backup.metadata.annotations.get(labels.MANIFEST_ANNOTATION, "")

    @property
    def digest(self) -> Digest:
        """The digest of its bytes."""
        return Digest(_sha256(self.content))


def fetch_record(store: ObjectStore, name: str) -> bytes:
    """Return the bytes of a record; of copies that differ, those its manifest binds.

    Raises:
        ObjectNotFoundError: There is none.
        UnreadableError: It is too large.
        DigestMismatchError: Its copies differ, and no manifest decides.
    """
    try:
        return fetch(store, BackupFiles(name).metadata)
    except DigestMismatchError:
        copies = set(_copies(store, name))
        sound = [each for each in copies if _is_bound(store, name, each)]
        if len(sound) != 1:
            raise
        return sound.pop()


def _copies(store: ObjectStore, name: str) -> Iterator[bytes]:
    for directory in directories_of(store):
        with suppress(StoreError, UnreadableError):
            yield fetch(directory.store, BackupFiles(name).metadata)


def read_record(store: ObjectStore, name: str) -> Record:
    """Return the record of a backup.

    Raises:
        BackupNotFoundError: There is none; tells of a run that has not ended.
        BackupDamagedError: It cannot be read, or is that of another backup.
    """
    try:
        content = fetch_record(store, name)
    except ObjectNotFoundError as exc:
        raise no_backup(store, name) from exc
    except UnreadableError as exc:
        raise BackupDamagedError(name, f"{layout.METADATA}: {exc}") from exc
    return parse_record(name, content)


def parse_record(name: str, content: bytes) -> Record:
    """Return what the bytes of a record say; raises as `read_record`."""
    try:
        backup = load_json(Backup, content)
    except CodecError as exc:
        raise BackupDamagedError(name, f"{layout.METADATA}: {exc}") from exc
    if backup.metadata.name != name:
        raise BackupDamagedError(
            name, f"its record is that of backup {backup.metadata.name!r}"
        )
    return Record(backup=backup, content=content)


def is_foreign(content: bytes) -> bool:
    """Tell whether the bytes of a record are a whole document of something else."""
    try:
        data = parse_json(content)
    except UnreadableError:
        return False
    if not isinstance(data, dict):
        return True
    return (data.get("kind"), data.get("apiVersion")) != ("Backup", Backup.api_version)


def unknown_phase(content: bytes) -> str:
    """Return the phase of a record whose phase is one of a newer Velero, or nothing."""
    try:
        data = parse_json(content)
    except UnreadableError:
        return ""
    status = data.get("status") if isinstance(data, dict) else None
    phase = status.get("phase") if isinstance(status, dict) else None
    is_unknown = isinstance(phase, str) and phase not in frozenset(BackupPhase)
    return str(phase) if is_unknown else ""


def seal(backup: Backup, manifest: Manifest) -> tuple[bytes, bytes, Backup]:
    """Bind record and manifest to each other.

    Returns:
        The bytes of the manifest, those of the record, and the record.
    """
    blank = dump_json(_annotated(backup, _NO_DIGEST))
    manifest = attrs.evolve(manifest, record_sha256=_sha256(blank))
    sealed = manifest.encode()
    record = _annotated(backup, _sha256(sealed))
    return sealed, dump_json(record), record


def read_manifest(store: ObjectStore, record: Record) -> Manifest | None:
    """Return the manifest that the record names; None: it names none, and none is there.

    Raises:
        BackupDamagedError: The chain of trust is broken.
    """
    name = record.backup.metadata.name
    key = BackupFiles(name).manifest
    if not record.annotation:
        if not exists(store, key):
            return None
        raise BackupDamagedError(
            name, f"its record does not name the {layout.MANIFEST} that is there"
        )
    try:
        digest = Digest.parse(record.annotation)
    except ValueError as exc:
        raise BackupDamagedError(
            name, f"annotation {labels.MANIFEST_ANNOTATION}: {exc}"
        ) from exc
    try:
        manifest = Manifest.decode(fetch(store, key, expect=digest))
    except ObjectNotFoundError as exc:
        raise BackupDamagedError(name, f"{layout.MANIFEST} is missing") from exc
    except DigestMismatchError as exc:
        reason = f"{layout.MANIFEST} is not the one that its record names"
        raise BackupDamagedError(name, reason) from exc
    except (ManifestError, UnreadableError) as exc:
        raise BackupDamagedError(name, f"{layout.MANIFEST}: {exc}") from exc
    _check_binding(record, manifest)
    return manifest


def right_manifest(store: ObjectStore, name: str) -> Manifest | None:
    """Return a backup's manifest; None: there is none that can be trusted, or no record.

    For whoever reads what is readable of a damaged backup.
    """
    try:
        return read_manifest(store, read_record(store, name))
    except (BackupDamagedError, BackupNotFoundError):
        return None


def _is_bound(store: ObjectStore, name: str, content: bytes) -> bool:
    """Tell whether these bytes are a record that a manifest in the store is about."""
    try:
        return read_manifest(store, parse_record(name, content)) is not None
    except (BackupDamagedError, StoreError):
        return False


def _check_binding(record: Record, manifest: Manifest) -> None:
    """Raise unless the manifest is that of exactly this record."""
    metadata = record.backup.metadata
    if (manifest.backup_name, manifest.backup_uid) != (metadata.name, metadata.uid):
        raise BackupDamagedError(
            metadata.name,
            f"{layout.MANIFEST} is that of backup {manifest.backup_name!r} with uid "
            f"{manifest.backup_uid!r}",
        )
    digits = record.annotation.removeprefix("sha256:").encode()
    blank = record.content.replace(digits, _NO_DIGEST.encode())
    if _sha256(blank) != manifest.record_sha256:
        raise BackupDamagedError(
            metadata.name, f"{layout.METADATA} is not the one that was written"
        )


def _annotated(backup: Backup, digest: str) -> Backup:
    annotations = {
        **backup.metadata.annotations,
        labels.MANIFEST_ANNOTATION: f"sha256:{digest}",
    }
    metadata = attrs.evolve(backup.metadata, annotations=annotations)
    return attrs.evolve(backup, metadata=metadata)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
