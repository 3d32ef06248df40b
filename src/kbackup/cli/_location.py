"""``kbackup location``: validate, prepare and repair places for backups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kbackup.cli._asking import agreed, require_somebody_to_ask
from kbackup.cli._options import Group, global_options
from kbackup.cli._output import (
    document,
    echo,
    print_document,
    say,
    say_next,
    say_once_mended,
)
from kbackup.cli._place import is_absent, place_of, telling_if_made, without_own_key
from kbackup.cli._session import Session
from kbackup.errors import UnsupportedCapabilityError

if TYPE_CHECKING:
    from kbackup.stores import DirectoryState, StoreCheck


@click.group(cls=Group)
@global_options
def location() -> None:
    """Validate, prepare and repair places for backups."""


@location.command()
@global_options
@click.pass_obj
def validate(session: Session) -> int:
    """Check that the location can be listed, written, read and deleted from."""
    store = session.store()
    with telling_if_made(store):
        check = store.check()
        problems = tuple(map(without_own_key, check.problems))
    directories = store.directories()
    uuid = "" if problems else store.location_uuid()
    content = _report(store.url, uuid, directories, problems)
    content["hints"] = list(check.hints)
    content["profile"] = _profile(check)
    content["news"] = list(check.news)

    def table() -> None:
        for each in directories if len(directories) > 1 else ():
            echo(f"{each.path}: {each.reason if not each.present else 'there'}")
        if not problems:
            done = "listed" if store.read_only else "listed, written, read, deleted"
            echo(f"{store.url} is available: {done}")
            echo(f"uuid: {uuid or 'none, nothing was stored there yet'}")
        if check.writable or not problems:
            for line in (*_profile_lines(check), *check.news):
                echo(line)
        for problem in problems:
            echo(f"{store.url}: {problem}")

    print_document(session, content, table)
    _say_what_to_do(session, check, directories)
    return 1 if problems else 0


def _say_what_to_do(
    session: Session, check: StoreCheck, directories: Sequence[DirectoryState]
) -> None:
    """Say what helps against the problems, and the next command."""
    unmarked = [each for each in directories if not each.marked]
    if unmarked:
        _say_unmarked(unmarked)  # more than the hint, which is about the same
    else:
        for hint in check.hints:
            say(f"Hint: {hint}")
    if unmarked and len(unmarked) == len(directories):
        say_next(session, "kbackup location init --help")
    elif check.problems:
        say_once_mended(session, "kbackup location validate")
    else:
        say_next(session, "kbackup backup get")


def _profile(check: StoreCheck) -> dict[str, Any]:
    lock_for = check.lock_for
    return {
        "capabilities": sorted(check.capabilities),
        "checksum": check.checksum,
        "lockDays": lock_for.days if lock_for else None,
    }


def _profile_lines(check: StoreCheck) -> Iterable[str]:
    """Yield what the location can do, a line each."""
    from kbackup.plugins import Capability  # noqa: PLC0415 - on demand

    def said(capability: Capability, has: str, lacks: str) -> str:
        return has if capability in check.capabilities else lacks

    yield "conditional put: " + said(
        Capability.ATOMIC_CREATE, "yes", "no: names are claimed by a list instead"
    )
    if check.checksum is not None:
        yield f"checksum of uploads: {check.checksum or 'none'}"
    locked = said(Capability.RETENTION, "yes", "no")
    if check.lock_for:
        locked += f", each backup for {check.lock_for.days} days"
    yield f"object lock: {locked}"
    yield "signed addresses: " + said(Capability.SIGNED_URL, "yes", "no")
    yield "partial reads: " + said(Capability.RANGE, "yes", "no")


def _report(
    url: str,
    uuid: str,
    directories: Iterable[DirectoryState],
    problems: Iterable[str] = (),
) -> dict[str, Any]:
    return document(
        "LocationReport",
        location=url,
        uuid=uuid,
        problems=list(problems),
        directories=[
            {"path": each.path, "present": each.present, "reason": each.reason}
            for each in directories
        ],
    )


def _say_unmarked(states: Sequence[DirectoryState]) -> None:
    """Say what a directory without a mark may be: mostly a disk that is not mounted."""
    paths = ", ".join(state.path for state in states)
    say(
        f"If {paths} should be a mounted disk, mount it and validate again. "
        "Only what really is a new directory is for: kbackup location init"
    )


@location.command()
@click.option("--confirm", "--yes", "yes", is_flag=True, help="Do not ask.")
@global_options
@click.pass_obj
def init(session: Session, *, yes: bool) -> int:
    """Prepare the directories of a mirrored location, or of a new single one.

    A directory without the location's mark is taken for an unmounted disk and never
    written; this makes the mark. Beside directories that have it, it asks first.
    """
    from kbackup.stores import (  # noqa: PLC0415 - on demand
        PreparableStore,
        state_of,
    )

    url = session.store().url  # a failure is told with its address
    with session.object_store() as store:
        if not isinstance(store, PreparableStore):
            raise UnsupportedCapabilityError("", "it needs no preparation")
        states = state_of(store).directories
        new = [each for each in states if not each.present]
        if len(states) > 1:
            _say_plan(states)
        if new and len(new) < len(states):
            require_somebody_to_ask(yes=yes)
            if not agreed(f"Mark {', '.join(each.path for each in new)}?", yes=yes):
                say("Nothing was changed.")
                return 1
        uuid = store.initialise()
        content = _report(url, uuid, state_of(store).directories)
    print_document(session, content, lambda: echo("The location is prepared"))
    say_next(session, "kbackup location validate")
    return 0


def _say_plan(states: Sequence[DirectoryState]) -> None:
    """Say what would be done to each directory."""
    for each in states:
        if each.present:
            say(f"{each.path}: belongs to the location, is left as it is")
        elif Path(each.path).is_dir():
            say(
                f"{each.path}: is marked as the location's; the mount point of a disk "
                "that is not mounted looks just so"
            )
        else:
            say(f"{each.path}: is made and marked as the location's")


@location.command()
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@click.option("--confirm", "--yes", "yes", is_flag=True, help="Do not ask.")
@global_options
@click.pass_obj
def repair(session: Session, *, dry_run: bool, yes: bool) -> int:
    """Remove what dead runs left, and copy what one of several directories lacks.

    Shows what it would do, asks, and does that. Nothing younger than a day is removed,
    and nothing that is listed as a backup.
    """
    if not dry_run:
        shown = session.complete("kbackup location repair --dry-run")
        require_somebody_to_ask(yes=yes, first=shown)
    store = session.store()
    plan = store.plan_repair()
    if is_absent(store):  # it may be mistyped
        say(f"Location: {place_of(store)}")
    if dry_run:
        content = document("RepairPlan", location=store.url, **plan.to_json())
        print_document(session, content, lambda: echo(str(plan)))
        if plan.steps:
            say_next(session, "kbackup location repair")
        return 1 if plan.damage else 0
    if plan.steps:
        echo(str(plan), err=True)
        if not agreed(f"Repair {store.url} so?", yes=yes):
            say("Nothing was changed.")
            return 1
    report = store.repair(plan)
    content = document("RepairReport", location=store.url, **report.to_json())
    print_document(session, content, lambda: echo(str(report)))
    say_next(session, f"kbackup {'backup get' if report.ok else 'location validate'}")
    return 0 if report.ok else 1
