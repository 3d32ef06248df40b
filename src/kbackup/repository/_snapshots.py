"""Repository snapshots: what was saved, when, where, and the tree that holds it.

The JSON has the members that restic gives it, in that order; what newer programs add is
passed over. Source: restic ``doc/design.rst``, "Snapshots".
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import attrs
import msgspec

from kbackup._kits.go_json import escaped
from kbackup.errors import IntegrityError, ObjectNotFoundError, SnapshotNotFoundError
from kbackup.repository._backend import File, FileType
from kbackup.repository._documents import Documents
from kbackup.repository._ids import BlobID, SnapshotID, parse_id, short
from kbackup.repository._times import format_nanoseconds, parse_nanoseconds
from kbackup.repository._users import user_name

LATEST = "latest"
_MOST_NAMED = 5
_NO_TREE = BlobID(b"")


class SnapshotSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup counted; times as `Snapshot.time_text`."""

    backup_start: str
    backup_end: str
    files_new: int = 0
    files_changed: int = 0
    files_unmodified: int = 0
    dirs_new: int = 0
    dirs_changed: int = 0
    dirs_unmodified: int = 0
    data_blobs: int = 0
    tree_blobs: int = 0
    data_added: int = 0
    data_added_packed: int = 0
    total_files_processed: int = 0
    total_bytes_processed: int = 0


class _Written(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    time: str
    parent: str = ""
    tree: str
    paths: Sequence[str] | None
    hostname: str = ""
    username: str = ""
    uid: int = 0
    gid: int = 0
    excludes: Sequence[str] | None = None
    tags: Sequence[str] | None = None
    original: str = ""
    program_version: str = ""
    summary: SnapshotSummary | None = None


@attrs.frozen(kw_only=True)
class Snapshot:
    """One repository snapshot.

    Attributes:
        id: Its name; None: it is not saved yet.
        time_ns: When it was begun, or what it was given: nanoseconds since 1970.
        time_text: The same as it is written, in the zone of where it was made.
        tree: The root of it.
        paths: What was saved, as its source calls it.
        parent: What of it was not read again.
        original: The snapshot that this one replaced when its tags were changed.
        excludes: Patterns of what was passed over.
        program_version: Who wrote it.
        summary: What the backup counted.
    """

    tree: BlobID
    paths: tuple[str, ...]
    time_text: str
    time_ns: int
    id: SnapshotID | None = None
    hostname: str = ""
    username: str = ""
    uid: int = 0
    gid: int = 0
    tags: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    parent: SnapshotID | None = None
    original: SnapshotID | None = None
    program_version: str = ""
    summary: SnapshotSummary | None = None

    @property
    def time(self) -> datetime:
        """When, to the microsecond, in UTC."""
        return datetime.fromtimestamp(self.time_ns // 1000 / 1_000_000, UTC)


def new_snapshot(
    paths: Iterable[str],
    *,
    time_ns: int,
    hostname: str = "",
    tags: tuple[str, ...] = (),
    program_version: str = "",
) -> Snapshot:
    """Return a snapshot of this host and user that has no tree yet, nor is saved.

    Args:
        paths: What is saved.
        time_ns: When: nanoseconds since 1970.
        hostname: Instead of this host's name.
        tags: Words to find it by.
        program_version: Who writes it.
    """
    uid = os.getuid()
    return Snapshot(
        tree=_NO_TREE,
        paths=tuple(paths),
        time_text=format_nanoseconds(time_ns),
        time_ns=time_ns,
        hostname=hostname or socket.gethostname(),
        username=user_name(uid),
        uid=uid,
        gid=os.getgid(),
        tags=tags,
        program_version=program_version,
    )


def save_snapshot(documents: Documents, snapshot: Snapshot) -> Snapshot:
    """Write a snapshot, from when on what it needs must stay; return it with its ID."""
    written = _Written(
        time=snapshot.time_text,
        parent=_hex(snapshot.parent),
        tree=snapshot.tree.hex(),
        paths=snapshot.paths,
        hostname=snapshot.hostname,
        username=snapshot.username,
        uid=snapshot.uid,
        gid=snapshot.gid,
        excludes=snapshot.excludes or None,
        tags=snapshot.tags or None,
        original=_hex(snapshot.original),
        program_version=snapshot.program_version,
        summary=snapshot.summary,
    )
    document = escaped(msgspec.json.encode(written))
    name = SnapshotID(documents.save(FileType.SNAPSHOT, document))
    return attrs.evolve(snapshot, id=name)


def load_snapshot(documents: Documents, name: SnapshotID) -> Snapshot:
    """Read a snapshot.

    Raises:
        ObjectNotFoundError: There is none of that name.
        IntegrityError: It is damaged.
    """
    document = documents.load(FileType.SNAPSHOT, name)
    try:
        written = msgspec.json.decode(document, type=_Written)
        return Snapshot(
            id=name,
            tree=BlobID(parse_id(written.tree)),
            paths=tuple(written.paths or ()),
            time_text=written.time,
            time_ns=parse_nanoseconds(written.time),
            hostname=written.hostname,
            username=written.username,
            uid=written.uid,
            gid=written.gid,
            tags=tuple(written.tags or ()),
            excludes=tuple(written.excludes or ()),
            parent=_id(written.parent),
            original=_id(written.original),
            program_version=written.program_version,
            summary=written.summary,
        )
    except (ValueError, msgspec.MsgspecError) as exc:
        what = str(File(FileType.SNAPSHOT, name))
        raise IntegrityError(what, "it is no snapshot") from exc


def list_snapshots(documents: Documents) -> Iterator[Snapshot]:
    """Yield every snapshot, in no order; raises as `load_snapshot`.

    One that is removed meanwhile is left out.
    """
    for name, _ in documents.backend.list(FileType.SNAPSHOT):
        with suppress(ObjectNotFoundError):
            yield load_snapshot(documents, SnapshotID(name))


def find_snapshot(snapshots: Iterable[Snapshot], text: str) -> Snapshot:
    """Return the snapshot that *text* means: an ID, the beginning of one, or ``latest``.

    Raises:
        SnapshotNotFoundError: It means none, or more than one.
    """
    known = [snapshot for snapshot in snapshots if snapshot.id is not None]
    if text == LATEST:
        if not known:
            raise SnapshotNotFoundError(LATEST, "there is no snapshot yet")
        return max(known, key=lambda snapshot: snapshot.time_ns)
    found = [
        snapshot for snapshot in known if text and _hex(snapshot.id).startswith(text)
    ]
    if len(found) == 1:
        return found[0]
    reason = f"none of {len(known)} begins so"
    if found:
        names = [short(snapshot.id) for snapshot in found if snapshot.id is not None]
        shown = ", ".join(sorted(names)[:_MOST_NAMED])
        reason = f"{len(found)} begin so: {shown}"
    raise SnapshotNotFoundError(text or "''", reason)


def find_parent(snapshots: Iterable[Snapshot], draft: Snapshot) -> Snapshot | None:
    """Return the newest snapshot of the same paths on the same host; None: there is none.

    A later one is nobody's parent.
    """
    wanted = set(draft.paths)
    found = [
        snapshot
        for snapshot in snapshots
        if snapshot.hostname == draft.hostname
        and set(snapshot.paths) == wanted
        and snapshot.time_ns <= draft.time_ns
    ]
    return max(found, key=lambda snapshot: snapshot.time_ns, default=None)


def _hex(name: SnapshotID | None) -> str:
    return "" if name is None else name.hex()


def _id(text: str) -> SnapshotID | None:
    return SnapshotID(parse_id(text)) if text else None
