"""The copies of a backup's objects in the directories of a mirrored location.

Which copy is right is decided by the manifest, never by where it lies. Where there is no
manifest, as in what Velero wrote, copies are right while all of them are equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO, cast

import attrs

from kbackup._kits.streams import HashingWriter, NullWriter
from kbackup.catalog._manifest import Manifest
from kbackup.catalog._trust import Record
from kbackup.errors import ObjectNotFoundError, StoreError
from kbackup.plugins import Digest, ObjectStore
from kbackup.stores import BackupFiles, DirectoryStore


@attrs.frozen(kw_only=True)
class CopyFault:
    """What is wrong with one directory's copy of an object.

    Attributes:
        path: The directory.
        key: The object.
        reason: What is wrong with it.
        digest: What the copy must be; None: nothing tells which copy is right.
    """

    path: str
    key: str
    reason: str
    digest: Digest | None

    def __str__(self) -> str:
        return f"{self.path}: {self.key} {self.reason}"


def expected_digests(record: Record, manifest: Manifest) -> Mapping[str, Digest]:
    """Return what every object of a backup must be, by key; the record is last."""
    files = BackupFiles(record.backup.metadata.name)
    named = {
        files.directory + each.name: Digest(each.sha256) for each in manifest.objects
    }
    return {
        **named,
        files.manifest: Digest.parse(record.annotation),
        files.metadata: record.digest,
    }


def faults_of_copies(
    directories: Sequence[DirectoryStore], key: str, expected: Digest | None
) -> Iterator[CopyFault]:
    """Read all copies of an object and yield what is wrong with each.

    Args:
        directories: Those that are there.
        key: The object.
        expected: What it must be; None: what all copies are, while they are equal.
    """
    found = [(each.path, _digest(each.store, key)) for each in directories]
    digests = {digest for _, digest in found if isinstance(digest, Digest)}
    if expected is None and len(digests) == 1:
        (expected,) = digests
    for path, digest in found:
        if digest is None:
            reason = "is missing"
        elif isinstance(digest, str):
            reason = f"cannot be read: {digest}"
        elif expected is None:
            reason = f"is {digest}, and other copies are not"
        elif digest != expected:
            reason = "is not what its manifest says"
        else:
            continue
        yield CopyFault(path=path, key=key, reason=reason, digest=expected)


def _digest(store: ObjectStore, key: str) -> Digest | str | None:
    """Return what an object is, or why it cannot be read; None: it is not there."""
    with HashingWriter(NullWriter()) as hashing:
        try:
            store.get(key, cast("BinaryIO", hashing))
        except ObjectNotFoundError:
            return None
        except StoreError as exc:
            return exc.reason or exc.fact
        return Digest(hashing.sha256)
