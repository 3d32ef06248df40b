"""What a snapshot file says: when what was backed up, by whom, and where its tree is.

`snapshot_from_json` and `Snapshot.to_json` are the codec, bytes to bytes as restic
writes them. Used by whoever backs up, restores, lists or forgets; `_selection` chooses.
Source: restic ``doc/design.rst``, "Snapshots"; ``internal/data/snapshot.go``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, TypeVar

import attrs
import msgspec

from kbackup._kits.go_json import escaped
from kbackup.errors import IntegrityError, InvalidSpecError, ObjectNotFoundError
from kbackup.repository._backend import File, FileType
from kbackup.repository._calendar import Instant
from kbackup.repository._documents import Documents
from kbackup.repository._ids import BlobID, SnapshotID, parse_id, short

_SURROGATES = re.compile("[\ud800-\udfff]")
_UNSAVED = SnapshotID(b"")
_NO_SUMMARY = msgspec.Raw()
_NO_SUMMARIES = (bytes(_NO_SUMMARY), b"null")

_Unsigned32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
_Signed = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
# Go's goes twice as far, where no disk goes and no bound of msgspec's.
_Unsigned = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


def require_several(texts: object) -> None:
    """Refuse a text for a list: its letters would be taken for tags, hosts or IDs.

    Raises:
        InvalidSpecError: It is one.
    """
    if isinstance(texts, str):
        raise InvalidSpecError([f"{texts[:80]!r} is one text where a list is meant"])


def texts_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Give each byte of a name that is no UTF-8 the sign that JSON has for it, as Go.

    Raises:
        InvalidSpecError: It is one text; see `require_several`.
    """
    require_several(texts)
    return tuple(_SURROGATES.sub("\ufffd", text) for text in texts)


def _text(text: str) -> str:
    return texts_of([text])[0]


@attrs.frozen(kw_only=True)
class SnapshotSummary:
    """What the backup counted. Sizes are bytes; restic writes it since 0.17.

    Attributes:
        data_added: Bytes of new blobs, before compression.
        data_added_packed: What they take in packs, without the packs' headers.
        unknown: Members of a newer version, as JSON without the braces.
    """

    backup_start: Instant = attrs.field(repr=str)
    backup_end: Instant = attrs.field(repr=str)
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
    unknown: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen(kw_only=True)
class Snapshot:
    """The state of some paths at one time; its repr tells it from others, no more.

    Attributes:
        id: The name of its file; empty as long as it is not saved.
        time: When the backup began, in the zone of the machine that made it.
        tree: The blob of the root directory, in which *paths* lie.
        paths: What was backed up, absolute.
        parent: The snapshot by which unchanged files were told.
        original: Before the first change of its tags or its content, it had this ID.
        unknown: Members of a newer version, as JSON without the braces.
    """

    id: SnapshotID = attrs.field(default=_UNSAVED, repr=short)
    time: Instant = attrs.field(repr=str)
    tree: BlobID = attrs.field(repr=short)
    paths: tuple[str, ...] = attrs.field(converter=texts_of)
    hostname: str = attrs.field(default="", converter=_text)
    username: str = attrs.field(default="", converter=_text, repr=False)
    uid: int = attrs.field(default=0, repr=False)
    gid: int = attrs.field(default=0, repr=False)
    excludes: tuple[str, ...] = attrs.field(default=(), converter=texts_of, repr=False)
    tags: tuple[str, ...] = attrs.field(default=(), converter=texts_of)
    parent: SnapshotID | None = attrs.field(default=None, repr=False)
    original: SnapshotID | None = attrs.field(default=None, repr=False)
    program_version: str = attrs.field(default="", converter=_text, repr=False)
    summary: SnapshotSummary | None = attrs.field(default=None, repr=False)
    unknown: bytes = attrs.field(default=b"", repr=False)

    def __str__(self) -> str:
        """As messages name it: ``snapshot 3f2a9c01``."""
        return str(File(FileType.SNAPSHOT, self.id))

    def to_json(self) -> bytes:
        """Return the content of its file before encryption, as restic writes it."""
        document = _Document(
            time=str(self.time),
            parent=self.parent.hex() if self.parent else None,
            tree=self.tree.hex(),
            paths=list(self.paths),
            hostname=self.hostname,
            username=self.username,
            uid=self.uid,
            gid=self.gid,
            excludes=list(self.excludes) or None,
            tags=list(self.tags) or None,
            original=self.original.hex() if self.original else None,
            program_version=self.program_version,
            summary=_summary_document(self.summary),
        )
        return escaped(_encode(document, self.unknown))

    def has_tags(self, tags: Iterable[str]) -> bool:
        """Tell whether it has all of them; an empty one asks for a snapshot without."""
        for tag in tags:
            if not tag and not self.tags:
                return True
            if tag not in self.tags:
                return False
        return True


def save_snapshot(documents: Documents, snapshot: Snapshot) -> Snapshot:
    """Write a snapshot, from when on what it needs must stay; return it with its ID."""
    name = documents.save(FileType.SNAPSHOT, snapshot.to_json())
    return attrs.evolve(snapshot, id=SnapshotID(name))


def remove_snapshot(documents: Documents, name: SnapshotID) -> None:
    """Remove a snapshot; of one that is gone nothing is said."""
    documents.backend.remove(File(FileType.SNAPSHOT, name))


def list_snapshots(
    documents: Documents, lost: Callable[[IntegrityError], None] | None = None
) -> Iterator[Snapshot]:
    """Yield every snapshot, in no order; one that is removed meanwhile is left out.

    Args:
        documents: Of the repository.
        lost: Told of each that is damaged; without it the first one is raised.

    Raises:
        IntegrityError: One is damaged.
    """
    for name, _ in documents.backend.list(FileType.SNAPSHOT):
        try:
            yield load_snapshot(documents, SnapshotID(name))
        except ObjectNotFoundError:
            continue
        except IntegrityError as exc:
            if lost is None:
                raise IntegrityError(
                    exc.thing,
                    exc.reason or exc.fact,
                    hint="others are restored by their IDs; `forget` with the ID "
                    f"{name.hex()} removes this one",
                ) from exc
            lost(exc)


def load_snapshot(documents: Documents, name: SnapshotID) -> Snapshot:
    """Load a snapshot; raises as `Documents.load` and `snapshot_from_json`."""
    return snapshot_from_json(name, documents.load(FileType.SNAPSHOT, name))


class _SummaryDocument(msgspec.Struct, kw_only=True):
    """The members of a summary, in their order."""

    backup_start: str
    backup_end: str
    files_new: _Unsigned = 0
    files_changed: _Unsigned = 0
    files_unmodified: _Unsigned = 0
    dirs_new: _Unsigned = 0
    dirs_changed: _Unsigned = 0
    dirs_unmodified: _Unsigned = 0
    data_blobs: _Signed = 0
    tree_blobs: _Signed = 0
    data_added: _Unsigned = 0
    data_added_packed: _Unsigned = 0
    total_files_processed: _Unsigned = 0
    total_bytes_processed: _Unsigned = 0


class _Document(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The members of a snapshot file, in their order."""

    time: str
    parent: str | None = None
    tree: str
    paths: list[str] | None  # never left out
    hostname: str = ""
    username: str = ""
    uid: _Unsigned32 = 0
    gid: _Unsigned32 = 0
    excludes: list[str] | None = None
    tags: list[str] | None = None
    original: str | None = None
    program_version: str = ""
    summary: msgspec.Raw = _NO_SUMMARY


_Any = TypeVar("_Any", _Document, _SummaryDocument)


def snapshot_from_json(name: SnapshotID, data: bytes) -> Snapshot:
    """Read the content of a snapshot file.

    Raises:
        IntegrityError: It is no snapshot as restic writes them.
    """
    try:
        return _snapshot(name, *_decode(data, _Document))
    # msgspec's errors are values that are wrong, and texts that are none.
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        thing = str(File(FileType.SNAPSHOT, name))
        raise IntegrityError(thing, f"not a snapshot's JSON: {exc}") from exc


def _snapshot(name: SnapshotID, document: _Document, unknown: bytes) -> Snapshot:
    return Snapshot(
        id=name,
        time=Instant.parse(document.time),
        tree=BlobID(parse_id(document.tree)),
        paths=document.paths or (),
        hostname=document.hostname,
        username=document.username,
        uid=document.uid,
        gid=document.gid,
        excludes=document.excludes or (),
        tags=document.tags or (),
        parent=_snapshot_id(document.parent),
        original=_snapshot_id(document.original),
        program_version=document.program_version,
        summary=_summary(document.summary),
        unknown=unknown,
    )


def _snapshot_id(text: str | None) -> SnapshotID | None:
    return None if text is None else SnapshotID(parse_id(text))


def _summary(data: msgspec.Raw) -> SnapshotSummary | None:
    if bytes(data) in _NO_SUMMARIES:
        return None
    document, unknown = _decode(bytes(data), _SummaryDocument)
    members = msgspec.structs.asdict(document)
    for name in ("backup_start", "backup_end"):
        members[name] = Instant.parse(members[name])
    return SnapshotSummary(**members, unknown=unknown)


def _summary_document(summary: SnapshotSummary | None) -> msgspec.Raw:
    if summary is None:
        return _NO_SUMMARY
    names = _SummaryDocument.__struct_fields__
    members = {name: getattr(summary, name) for name in names}
    for name in ("backup_start", "backup_end"):
        members[name] = str(members[name])
    return msgspec.Raw(_encode(_SummaryDocument(**members), summary.unknown))


def _decode(data: bytes, kind: type[_Any]) -> tuple[_Any, bytes]:
    """Read what is known, and keep the rest as it is."""
    data.decode()  # strings that are passed over nobody checks else
    known = msgspec.json.decode(data, type=kind)
    members = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    unknown = (
        b"%b:%b" % (msgspec.json.encode(name), bytes(value))
        for name, value in members.items()
        if name not in kind.__struct_fields__
    )
    return known, b",".join(unknown)


def _encode(document: msgspec.Struct, unknown: bytes) -> bytes:
    known = msgspec.json.encode(document)
    return b"%b,%b}" % (known[:-1], unknown) if unknown else known
