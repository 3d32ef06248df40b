"""Which snapshots are meant: by ID, by filter, as a series, as parent of a backup.

Pure: all choose among snapshots that are loaded already. Used by whoever backs up,
restores, lists or forgets.
Source: restic ``internal/data/snapshot_find.go``, ``snapshot_group.go``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Self, TypeAlias

import attrs

from kbackup._kits.words import first_few, plural
from kbackup.errors import InvalidSpecError, SnapshotNotFoundError
from kbackup.repository._calendar import Instant
from kbackup.repository._snapshots import Snapshot, texts_of

TagLists: TypeAlias = tuple[tuple[str, ...], ...]
"""All tags of one of the lists, as restic's ``--tag a,b --tag c``: a and b, or c."""

_LATEST = re.compile(r"latest(?:~([0-9]{1,9}))?")
_SHOWN = 8  # hexadecimal digits of an ID
_GROUPS = {"host": "host", "path": "paths", "tag": "tags"}


def tag_lists(lists: Iterable[Iterable[str]]) -> TagLists:
    """Make a value of what somebody gave as lists."""
    return tuple(texts_of(tags) for tags in lists)


@attrs.frozen(kw_only=True)
class SnapshotFilter:
    """Which snapshots are meant; what is empty does not choose.

    Attributes:
        hosts: One of them made it.
        tags: It has all tags of one of the lists; ``("",)`` means: it has no tag.
        paths: All of them are among its own, letter by letter: absolute and clean.
    """

    hosts: tuple[str, ...] = attrs.field(default=(), converter=texts_of)
    tags: TagLists = attrs.field(default=(), converter=tag_lists)
    paths: tuple[str, ...] = attrs.field(default=(), converter=texts_of)

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
    """Split ``3f2a9c01:srv/data`` into what `find_snapshot` takes and the path, which may be empty."""
    wanted, _, path = text.partition(":")
    return wanted, path


def find_snapshot(
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
        prefix = text.lower()
        found = [x for x in snapshots if prefix and x.id.hex().startswith(prefix)]
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


def group_snapshots(
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
) -> Snapshot | None:
    """Return the snapshot to which a backup compares its files; None: there is none.

    It is the newest that has this host and all of these paths; it may have more paths.

    Args:
        snapshots: All that there are, in any order.
        host: Of the backup.
        paths: Of the backup; absolute and clean.
        before: When the backup began; a snapshot of this very time is old enough.
    """
    chosen = SnapshotFilter(hosts=(host,), paths=tuple(paths))
    fitting = (
        each for each in snapshots if each.time <= before and chosen.matches(each)
    )
    return next(iter(newest_first(fitting)), None)
