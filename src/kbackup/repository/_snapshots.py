"""What a snapshot file says, and which snapshot is meant: by ID, filter or group.

`snapshot_from_json` and `Snapshot.to_json` are the codec, bytes to bytes as restic
writes them. `find`, `find_parent` and `group` choose among snapshots that are loaded
already. Used by whoever backs up, restores, lists or forgets.
Source: restic ``doc/design.rst``, "Snapshots"; ``internal/data/snapshot*.go``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Annotated, Self, TypeAlias, TypeVar

import attrs
import msgspec

from kbackup._kits.go_json import escaped
from kbackup._kits.words import first_few, plural
from kbackup.errors import IntegrityError, InvalidSpecError, SnapshotNotFoundError
from kbackup.repository._backend import File, FileType
from kbackup.repository._calendar import Instant
from kbackup.repository._ids import BlobID, SnapshotID, parse_id

TagLists: TypeAlias = tuple[tuple[str, ...], ...]
"""All tags of one of the lists, as restic's ``--tag a,b --tag c``: a and b, or c."""

_SURROGATES = re.compile("[\ud800-\udfff]")
_LATEST = re.compile(r"latest(?:~([0-9]{1,9}))?")
_SHOWN = 8  # hexadecimal digits of an ID
_UNSAVED = SnapshotID(b"")
_GROUPS = {"host": "host", "path": "paths", "tag": "tags"}

_Unsigned32 = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
_Signed = Annotated[int, msgspec.Meta(ge=-(2**63), lt=2**63)]
# msgspec itself refuses what is larger than Go's uint.
_Unsigned = Annotated[int, msgspec.Meta(ge=0)]


def _texts(texts: Iterable[str]) -> tuple[str, ...]:
    """Give each byte of a name that is no UTF-8 the sign that JSON has for it, as Go."""
    return tuple(_SURROGATES.sub("\ufffd", text) for text in texts)


def _text(text: str) -> str:
    return _texts([text])[0]


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    return _texts(tag for tag in tags if tag)  # the empty one stands for none at all


def tag_lists(lists: Iterable[Iterable[str]]) -> TagLists:
    """Make a value of what somebody gave as lists."""
    return tuple(_texts(tags) for tags in lists)


@attrs.frozen(kw_only=True)
class SnapshotSummary:
    """What the backup counted. Sizes are bytes; restic writes it since 0.17.

    Attributes:
        data_added: Bytes of new blobs, before compression.
        data_added_packed: What they take in packs, without the packs' headers.
        unknown: Members of a newer version, as JSON without the braces.
    """

    backup_start: Instant
    backup_end: Instant
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
    """The state of some paths at one time.

    Attributes:
        id: The name of its file; empty as long as it is not saved.
        time: When the backup began, in the zone of the machine that made it.
        tree: The blob of the root directory, in which *paths* lie.
        paths: What was backed up, absolute.
        parent: The snapshot by which unchanged files were told.
        original: Before the first change of its tags or its content, it had this ID.
        unknown: Members of a newer version, as JSON without the braces.
    """

    id: SnapshotID = _UNSAVED
    time: Instant
    tree: BlobID
    paths: tuple[str, ...] = attrs.field(converter=_texts)
    hostname: str = attrs.field(default="", converter=_text)
    username: str = attrs.field(default="", converter=_text)
    uid: int = 0
    gid: int = 0
    excludes: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    tags: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    parent: SnapshotID | None = None
    original: SnapshotID | None = None
    program_version: str = attrs.field(default="", converter=_text)
    summary: SnapshotSummary | None = None
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
            summary=_summary_document(self.summary) if self.summary else None,
        )
        return escaped(_encode(document, self.unknown))

    def with_tags(
        self,
        *,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
        replace: Iterable[str] | None = None,
    ) -> Snapshot:
        """Return it with other tags, not saved yet; itself if that changes nothing.

        Args:
            add: Those that it has not yet come after its own.
            remove: Those that it has not are passed over.
            replace: Instead of its own; empty: it has none afterwards.

        Raises:
            InvalidSpecError: *replace* does not go together with the others.
        """
        add, remove = _tags(add), _tags(remove)
        if replace is not None and (add or remove):
            raise InvalidSpecError(
                ["tags are replaced, or added and removed: not both"]
            )
        wanted = _tags(replace) if replace is not None else self.tags
        new = dict.fromkeys(tag for tag in add if tag not in wanted)
        tags = tuple(tag for tag in (*wanted, *new) if tag not in remove)
        if tags == self.tags:
            return self
        original = self.original or self.id or None
        return attrs.evolve(self, id=_UNSAVED, tags=tags, original=original)

    def has_tags(self, tags: Iterable[str]) -> bool:
        """Tell whether it has all of them; an empty one asks for a snapshot without."""
        for tag in tags:
            if not tag and not self.tags:
                return True
            if tag not in self.tags:
                return False
        return True


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
    summary: msgspec.Raw | None = None


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
        summary=_summary(document.summary) if document.summary else None,
        unknown=unknown,
    )


def _snapshot_id(text: str | None) -> SnapshotID | None:
    return None if text is None else SnapshotID(parse_id(text))


def _summary(data: msgspec.Raw) -> SnapshotSummary:
    document, unknown = _decode(bytes(data), _SummaryDocument)
    members = msgspec.structs.asdict(document)
    for name in ("backup_start", "backup_end"):
        members[name] = Instant.parse(members[name])
    return SnapshotSummary(**members, unknown=unknown)


def _summary_document(summary: SnapshotSummary) -> msgspec.Raw:
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


@attrs.frozen(kw_only=True)
class SnapshotFilter:
    """Which snapshots are meant; what is empty does not choose.

    Attributes:
        hosts: One of them made it.
        tags: It has all tags of one of the lists; ``("",)`` means: it has no tag.
        paths: All of them are among its own, letter by letter: absolute and clean.
    """

    hosts: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    tags: TagLists = attrs.field(default=(), converter=tag_lists)
    paths: tuple[str, ...] = attrs.field(default=(), converter=_texts)

    def matches(self, snapshot: Snapshot) -> bool:
        """Tell whether the snapshot is meant."""
        return (
            (not self.hosts or snapshot.hostname in self.hosts)
            and (not self.tags or any(map(snapshot.has_tags, self.tags)))
            and set(self.paths) <= set(snapshot.paths)
        )


def newest_first(snapshots: Iterable[Snapshot]) -> list[Snapshot]:
    """Sort by time; of the same time by ID, so that no listing's order shows."""
    return sorted(snapshots, key=lambda each: (each.time, each.id), reverse=True)


def split_subfolder(text: str) -> tuple[str, str]:
    """Split ``3f2a9c01:srv/data`` into what `find` takes and the path, which may be empty."""
    wanted, _, path = text.partition(":")
    return wanted, path


def find(
    snapshots: Iterable[Snapshot],
    text: str,
    *,
    filter: SnapshotFilter | None = None,  # noqa: A002
) -> Snapshot:
    """Return the one snapshot that *text* means.

    Args:
        snapshots: All that there are, in any order.
        text: An ID, the beginning of one, ``latest``, or ``latest~2`` for the one that
            is the second before it (which restic does not know).
        filter: Among which ``latest`` looks; for IDs it does not count.

    Raises:
        SnapshotNotFoundError: There is none, or several IDs begin so.
    """
    if latest := _LATEST.fullmatch(text):
        chosen = filter or SnapshotFilter()
        candidates = newest_first(each for each in snapshots if chosen.matches(each))
        found = candidates[int(latest[1] or 0) :][:1]
        reason = f"{plural(len(candidates), 'snapshot')} to choose from"
    else:
        # An empty variable of a script shall not mean the only snapshot that there is.
        prefix = text.lower() or "none"
        found = [each for each in snapshots if each.id.hex().startswith(prefix)]
        digits = max(_SHOWN, len(text) + 2)
        names = sorted(each.id.hex()[:digits] for each in found)
        reason = (
            f"{len(found)} begin so: {first_few(names)}" if found else "none begins so"
        )
    if len(found) != 1:
        raise SnapshotNotFoundError(f"snapshot {text[:80]!r}", reason)
    return found[0]


@attrs.frozen(kw_only=True)
class GroupBy:
    """What the snapshots of one series have in common."""

    host: bool = True
    paths: bool = True
    tags: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``host,paths,tags`` or some of them; empty: all are one series.

        Raises:
            InvalidSpecError: A word is none of these.
        """
        words = [word.removesuffix("s") for word in text.split(",") if word]
        unknown = [word for word in words if word not in _GROUPS]
        if unknown:
            shown = ", ".join(repr(word[:80]) for word in unknown)
            raise InvalidSpecError([f"no grouping by {shown}: host, paths and tags"])
        return cls(**{field: word in words for word, field in _GROUPS.items()})

    def __str__(self) -> str:
        """As `parse` reads it."""
        return ",".join(field for field, yes in attrs.asdict(self).items() if yes)


HOST_AND_PATHS = GroupBy()
"""As restic groups unless told otherwise."""


@attrs.frozen(order=True)
class GroupKey:
    """What the snapshots of a group have in common; empty where it does not count.

    Attributes:
        paths: In the order of their letters, as *tags* are.
    """

    host: str = ""
    paths: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As restic heads a group: ``host [till], tags [a, b], paths [/srv]``."""
        parts = {"host": [self.host] if self.host else []}
        parts |= {"tags": list(self.tags), "paths": list(self.paths)}
        return ", ".join(
            f"{k} [{', '.join(names)}]" for k, names in parts.items() if names
        )


def group(
    snapshots: Iterable[Snapshot], by: GroupBy = HOST_AND_PATHS
) -> dict[GroupKey, list[Snapshot]]:
    """Return the series, in the order of their keys, each with its newest first."""
    groups: dict[GroupKey, list[Snapshot]] = {}
    for each in newest_first(snapshots):
        key = GroupKey(
            each.hostname if by.host else "",
            tuple(sorted(each.paths)) if by.paths else (),
            tuple(sorted(each.tags)) if by.tags else (),
        )
        groups.setdefault(key, []).append(each)
    return dict(sorted(groups.items()))


def find_parent(
    snapshots: Iterable[Snapshot],
    *,
    host: str,
    paths: Collection[str],
    before: Instant,
    tags: Collection[str] = (),
    group_by: GroupBy = HOST_AND_PATHS,
) -> Snapshot | None:
    """Return the snapshot to which a backup compares its files; None: there is none.

    It is the newest that has this host, all of these paths and all of these tags, as far
    as *group_by* counts them. It may have more paths and tags than these.

    Args:
        snapshots: All that there are, in any order.
        host: Of the backup.
        paths: Of the backup; absolute and clean.
        before: When the backup began; a snapshot of this very time is old enough.
        tags: Of the backup.
        group_by: Which of these three count.
    """
    chosen = SnapshotFilter(
        hosts=[host] if group_by.host else (),
        paths=paths if group_by.paths else (),
        tags=[tags] if group_by.tags else (),
    )
    fitting = (
        each for each in snapshots if each.time <= before and chosen.matches(each)
    )
    return next(iter(newest_first(fitting)), None)
