"""One backup's objects, read by the chain of trust.

What the manifest does not name is not read; what it names is what it says, or the
backup is damaged. A backup without a manifest is Velero's: its files are optional.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from kbackup._kits.streams import (
    GZIP_ERRORS,
    HashingWriter,
    LimitedReader,
    Writable,
    gzip_reader,
)
from kbackup.catalog._fetch import (
    LARGEST_SIDE_FILE,
    UnreadableError,
    fetch,
    inflate,
    parse_json,
)
from kbackup.catalog._manifest import Manifest, ManifestObject
from kbackup.catalog._side_files import SideFile
from kbackup.errors import (
    BackupDamagedError,
    DigestMismatchError,
    ObjectNotFoundError,
)
from kbackup.models import Results
from kbackup.plugins import Digest, ObjectStore


def named_object(manifest: Manifest | None, name: str, key: str) -> Digest | None:
    """Return the digest that the manifest gives for a key.

    None: there is no manifest to say.

    Raises:
        ObjectNotFoundError: The manifest does not name it, so it does not exist.
    """
    if manifest is None:
        return None
    found = manifest.object(key.rpartition("/")[2])
    if found is None:
        raise ObjectNotFoundError(
            key, f"the manifest of backup {name} does not name it"
        )
    return Digest(found.sha256)


def read_object(
    store: ObjectStore, name: str, manifest: Manifest | None, key: str
) -> bytes | None:
    """Return the bytes of a small file of a backup; None: it has none.

    Raises:
        BackupDamagedError: It is missing or not what the manifest says.
    """
    try:
        digest = named_object(manifest, name, key)
    except ObjectNotFoundError:
        return None
    try:
        return fetch(store, key, limit=LARGEST_SIDE_FILE, expect=digest)
    except ObjectNotFoundError as exc:
        if digest is None:
            return None
        raise BackupDamagedError(name, f"{key} is missing") from exc
    except DigestMismatchError as exc:
        reason = f"{key} is not what its manifest says"
        raise BackupDamagedError(name, reason) from exc
    except UnreadableError as exc:
        raise BackupDamagedError(name, f"{key}: {exc}") from exc


def read_side_file(
    store: ObjectStore, name: str, manifest: Manifest | None, side: SideFile
) -> Any:
    """Return the JSON of a side file; None: there is none, or it holds ``null``.

    Raises:
        BackupDamagedError: It is not what it should be.
    """
    key = side.key(name)
    content = read_object(store, name, manifest, key)
    if content is None:
        return None
    try:
        return parse_json(inflate(content))
    except UnreadableError as exc:
        raise BackupDamagedError(name, f"{key}: {exc}") from exc


def read_results(store: ObjectStore, name: str, manifest: Manifest | None) -> Results:
    """Return the warnings and errors of a backup.

    Raises:
        BackupDamagedError: They are not what they should be.
    """
    try:
        return Results.from_json(
            read_side_file(store, name, manifest, SideFile.RESULTS)
        )
    except ValueError as exc:
        raise BackupDamagedError(name, str(exc)) from exc


def log_lines(name: str, key: str, content: bytes | None) -> Iterator[str]:
    """Yield the lines of a gzip'd log, without their ends.

    Raises:
        BackupDamagedError: The gzip is damaged.
    """
    if content is None:
        return
    stream = LimitedReader(
        gzip_reader(io.BytesIO(content)),
        LARGEST_SIDE_FILE,
        lambda most: BackupDamagedError(name, f"{key} inflates to more than {most}"),
    )
    try:
        for line in io.BufferedReader(stream):
            yield line.decode(errors="replace").rstrip("\r\n")
    except GZIP_ERRORS as exc:
        raise BackupDamagedError(name, f"{key}: its gzip is damaged: {exc}") from exc


def copy_checked(
    store: ObjectStore,
    name: str,
    key: str,
    target: Writable,
    expected: ManifestObject | None,
) -> str:
    """Copy a large object to *target*, and hold it against the manifest.

    Returns:
        Its SHA-256, 64 hexadecimal digits.

    Raises:
        BackupDamagedError: It is missing or not what the manifest says; then what is
            in *target* must not be used.
    """
    digest = Digest(expected.sha256) if expected is not None else None
    with HashingWriter(target) as hashing:
        try:
            store.get(key, cast("BinaryIO", hashing), expect=digest)
        except ObjectNotFoundError as exc:
            raise BackupDamagedError(name, f"{key} is missing") from exc
        except DigestMismatchError as exc:
            reason = f"{key} is not what its manifest says"
            if digest is None:  # nobody says which of its copies is the right one
                reason = f"{key}: {exc.reason}"
            raise BackupDamagedError(name, reason) from exc
        # The store was told; what a restore is made of is worth asking twice.
        if digest is not None and hashing.sha256 != digest.hex:
            raise BackupDamagedError(name, f"{key} is not what its manifest says")
        return hashing.sha256
