"""``kbackup repo tag``: other tags for snapshots that are there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kbackup._kits.words import plural
from kbackup.cli._options import Command, Emptyable
from kbackup.cli._output import echo
from kbackup.cli._repo._opening import opened
from kbackup.cli._repo._options import (
    TagList,
    choice_of,
    choice_options,
    repository_options,
)
from kbackup.cli._repo._shapes import short
from kbackup.cli._repo._telling import is_json, print_json, tell
from kbackup.cli._session import Session

if TYPE_CHECKING:
    from kbackup.repository import Tagged

F = TypeVar("F", bound=Callable[..., Any])


def _tags_option(name: str, text: str) -> Callable[[F], F]:
    return click.option(
        f"--{name}",
        name,
        cls=Emptyable,
        type=TagList(),
        multiple=True,
        metavar="TAG,...",
        help=text,
    )


@click.command(cls=Command)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@_tags_option("set", "Give them these tags only; '' means none.")
@_tags_option("add", "Give them these tags, too.")
@_tags_option("remove", "Take these tags from them.")
@choice_options()
@repository_options
@click.pass_obj
def tag(session: Session, /, ids: tuple[str, ...], **flags: Any) -> None:
    """Change the tags of snapshots; of all of them without IDs.

    A snapshot gets another ID by that.
    """
    chosen = choice_of(flags).filter()
    with opened(session) as repository:
        changed = repository.tag(
            ids,
            set=_together(flags["set"]) if flags["set"] else None,
            add=_together(flags["add"]),
            remove=_together(flags["remove"]),
            filter=chosen,
        )
    for each in changed:
        _tell_changed(session, each)
    if is_json(session):
        print_json({"message_type": "summary", "changed_snapshots": len(changed)})
    tell(session, f"Changed {plural(len(changed), 'snapshot')}")


def _together(lists: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(each for tags in lists for each in tags)


def _tell_changed(session: Session, changed: Tagged) -> None:
    old, new = changed.snapshot.id, changed.replacement.id
    if is_json(session):
        names = {"old_snapshot_id": old.hex(), "new_snapshot_id": new.hex()}
        print_json({"message_type": "changed", **names})
    else:
        echo(f"{short(old)} is {short(new)} now")
