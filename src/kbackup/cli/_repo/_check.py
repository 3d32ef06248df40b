"""``kbackup repo check``, ``repair-index`` and ``unlock``: what went wrong, and mending."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from kbackup._kits.sizes import format_size
from kbackup._kits.words import first_few, plural
from kbackup.cli._options import Command
from kbackup.cli._output import say, say_next, say_once_mended
from kbackup.cli._repo._opening import opened
from kbackup.cli._repo._options import repository_options
from kbackup.cli._repo._progress import show_progress
from kbackup.cli._repo._shapes import short
from kbackup.cli._repo._telling import is_json, print_json, tell, warn
from kbackup.cli._session import Session
from kbackup.errors import InvalidSpecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kbackup.repository import CheckResult, Finding


@click.command(cls=Command)
@click.option("--read-data", is_flag=True, help="Read every pack, too.")
@click.option(
    "--read-data-subset",
    default="",
    metavar="N/T|P%|SIZE",
    help="Read the Nth of T parts, a share, or so much, chosen by chance.",
)
@repository_options
@click.pass_obj
def check(session: Session, *, read_data: bool, read_data_subset: str) -> int:
    """Look whether everything is there and fits together; exit code 1 if not."""
    if read_data and read_data_subset:
        raise InvalidSpecError(["--read-data reads all, --read-data-subset a part"])
    with opened(session) as repository, show_progress(session) as told:
        result = repository.check(read_data=read_data_subset or read_data, told=told)
    _tell_findings(session, result)
    if is_json(session):
        print_json(
            {
                "message_type": "summary",
                "num_errors": len(result.errors),
                "broken_packs": [each.hex() for each in result.damaged_packs] or None,
                "suggest_repair_index": result.is_index_wrong,
                "suggest_prune": bool(result.hints),
            }
        )
    read = f", {format_size(result.bytes_read)} read" if result.bytes_read else ""
    looked_at = (
        f"{plural(result.snapshots, 'snapshot')}, {plural(result.trees, 'tree')}, "
        f"{plural(result.packs, 'pack')}{read}"
    )
    found = plural(len(result.errors), "error") if result.errors else "no errors"
    tell(session, f"{looked_at}: {found} found")
    _tell_mending(session, result)
    return result.exit_code


def _tell_mending(session: Session, result: CheckResult) -> None:
    """Tell a person what to do about what was found."""
    if is_json(session):
        return
    if result.is_index_wrong:
        say_next(session, "kbackup repo repair-index")
    elif result.damaged_packs:
        say(
            "Hint: take the damaged packs out of data/ in the repository, and "
            "repair-index; a backup of the same files brings back what was in them"
        )
        say_once_mended(session, "kbackup repo repair-index")
    elif result.errors:
        say(
            "Hint: a backup of the same files brings back what is lost of them; of the "
            "rest, forget the snapshots that need it"
        )
        say_next(session, "kbackup repo backup PATH")
    elif result.hints:
        say_next(session, "kbackup repo prune")


def _tell_findings(session: Session, result: CheckResult) -> None:
    for word, findings in (("error", result.errors), ("warning", result.hints)):
        if not is_json(session):
            for line in _folded(findings):
                say(f"{word}: {line}")
            continue
        for each in findings:
            say(json.dumps({"message_type": word, "message": str(each)}))


def _folded(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield a line for what is found of one thing, or alike of several."""
    alike: dict[str, list[str]] = {}
    for each in findings:
        alike.setdefault(each.reason, []).append(each.thing)
    for reason, things in alike.items():
        yield f"{first_few(things)}: {reason}"


@click.command("repair-index", cls=Command)
@click.option(
    "--read-all-packs", is_flag=True, help="Believe no index; read each pack's header."
)
@repository_options
@click.pass_obj
def repair_index(session: Session, *, read_all_packs: bool) -> None:
    """Write the index anew from the packs that are there."""
    with opened(session) as repository, show_progress(session) as told:
        done = repository.repair_index(read_all=read_all_packs, told=told)
    for names, kind in ((done.unreadable, "pack"), (done.damaged, "index")):
        for name, reason in names.items():
            warn(session, f"{kind} {short(name)}", reason, during="repair")
    if is_json(session):
        counts = {"packs": done.packs, "added": done.added, "gone": done.gone}
        print_json({"message_type": "summary", **counts})
    tell(
        session,
        f"The index names {plural(done.packs, 'pack')}: {done.added} came, "
        f"{done.gone} went",
    )
    say_next(session, "kbackup repo check")


@click.command(cls=Command)
@click.option(
    "--remove-all",
    is_flag=True,
    help="Those of living processes, too, which may lose what they write.",
)
@repository_options
@click.pass_obj
def unlock(session: Session, *, remove_all: bool) -> None:
    """Remove the locks that nobody holds any more."""
    with opened(session) as repository:
        removed = repository.unlock(remove_all=remove_all)
    if is_json(session):
        print_json({"message_type": "summary", "removed": removed})
    tell(session, f"Removed {plural(removed, 'lock')}")
