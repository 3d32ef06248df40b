"""``kbackup repo copy``: snapshots of another repository, into this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import click

from kbackup._kits.words import plural
from kbackup.cli._options import Command
from kbackup.cli._output import echo
from kbackup.cli._repo._opening import meant, opened_as
from kbackup.cli._repo._options import choice_of, choice_options, repository_options
from kbackup.cli._repo._other import from_options, source_of, telling_of
from kbackup.cli._repo._progress import show_progress
from kbackup.cli._repo._shapes import short
from kbackup.cli._repo._telling import is_json, print_json, tell
from kbackup.cli._repo._ways import FROM
from kbackup.cli._session import Session
from kbackup.cli._signals import cancel_on_signal

if TYPE_CHECKING:
    from kbackup.repository import Copied


@click.command(cls=Command)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@from_options
@choice_options()
@repository_options
@click.pass_obj
def copy(session: Session, /, ids: tuple[str, ...], **flags: Any) -> None:
    """Copy snapshots of another repository into this one; all of them without IDs.

    What is there already, or was copied before, is not copied again.
    """
    choice = choice_of(flags)
    source = source_of(session, flags)
    # Without a lock the other one is read; this one is written.
    into = attrs.evolve(meant(session, session.repository), no_lock=False)
    with telling_of(session, source):
        other = meant(session, source, FROM)
    with (
        cancel_on_signal() as token,
        opened_as(session, into, token) as target,
        telling_of(session, source),
        opened_as(session, other, token) as origin,
        show_progress(session) as told,
    ):
        copied = origin.copy(target, ids, filter=choice.filter(), told=told)
    for each in copied:
        _tell_copied(session, each)
    new = sum(each.is_new for each in copied)
    there = len(copied) - new
    tell(session, f"Copied {plural(new, 'snapshot')}; {there} there already")


def _tell_copied(session: Session, copied: Copied) -> None:
    old, new = copied.snapshot.id, copied.copy.id
    if is_json(session):
        names = {"snapshot": old.hex(), "copy": new.hex()}
        print_json({"message_type": "copied", **names, "is_new": copied.is_new})
    elif copied.is_new:
        echo(f"{short(old)} is {short(new)} now")
    else:
        tell(session, f"{short(old)} is there already")
