"""Other tags for snapshots that are there: a new file takes the place of the old one.

The new one is durable before the old one goes: what stops in between leaves both. Called
by the facade, under an exclusive lock.
Source: restic ``doc/040_backup.rst``, "Tags for backup"; ``cmd/restic/cmd_tag.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from kbackup.errors import InvalidSpecError
from kbackup.repository._documents import Documents
from kbackup.repository._ids import SnapshotID
from kbackup.repository._snapshots import (
    Snapshot,
    remove_snapshot,
    save_snapshot,
    texts_of,
)


@attrs.frozen
class Tagged:
    """A snapshot that has other tags now.

    Attributes:
        snapshot: As it was; nothing has its ID any more.
        replacement: As it is now.
    """

    snapshot: Snapshot
    replacement: Snapshot


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    return tuple(tag for tag in texts_of(tags) if tag)  # the empty one stands for none


@attrs.frozen(kw_only=True)
class TagChange:
    """Which tags a snapshot gets; see `Repository.tag`.

    Raises:
        InvalidSpecError: Nothing is asked for, or one text where a list is meant, or
            *set* together with the others.
    """

    set: tuple[str, ...] | None = attrs.field(
        default=None, converter=attrs.converters.optional(_tags)
    )
    add: tuple[str, ...] = attrs.field(default=(), converter=_tags)
    remove: tuple[str, ...] = attrs.field(default=(), converter=_tags)

    def __attrs_post_init__(self) -> None:
        if self.set is None and not (self.add or self.remove):
            raise InvalidSpecError(["nothing to change: no tag is given"])
        if self.set is not None and (self.add or self.remove):
            raise InvalidSpecError(["tags are set, or added and removed: not both"])

    def of(self, snapshot: Snapshot) -> Snapshot:
        """Return a snapshot with other tags, not saved yet; itself if nothing changes."""
        wanted = snapshot.tags if self.set is None else self.set
        # A tag stands once, behind those that were there.
        new = dict.fromkeys(tag for tag in self.add if tag not in wanted)
        tags = tuple(tag for tag in (*wanted, *new) if tag not in self.remove)
        if tags == snapshot.tags:
            return snapshot
        original = snapshot.original or snapshot.id
        return attrs.evolve(snapshot, id=SnapshotID(b""), tags=tags, original=original)


def tag_snapshots(
    documents: Documents,
    snapshots: Iterable[Snapshot],
    change: TagChange,
    *,
    check: Callable[[], None],
) -> list[Tagged]:
    """Give snapshots other tags; return those whose tags were not like that already.

    Args:
        documents: Of the repository.
        snapshots: As they are there now, each once.
        change: What of the tags.
        check: Raises where the lock is lost; asked before anything is written.
    """
    done = []
    for snapshot in snapshots:
        draft = change.of(snapshot)
        if draft is snapshot:
            continue
        check()
        saved = save_snapshot(documents, draft)
        remove_snapshot(documents, snapshot.id)
        done.append(Tagged(snapshot, saved))
    return done
