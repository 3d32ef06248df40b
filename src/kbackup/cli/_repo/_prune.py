"""``kbackup repo prune``: shows what is unused and what would be done; asks; does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kbackup.cli._asking import agreed, require_somebody_to_ask
from kbackup.cli._options import Command
from kbackup.cli._output import say
from kbackup.cli._repo._opening import opened
from kbackup.cli._repo._options import (
    Size,
    dry_run_option,
    repository_options,
    yes_option,
)
from kbackup.cli._repo._place import place_of, shown
from kbackup.cli._repo._progress import show_progress
from kbackup.cli._repo._telling import is_json, print_json, tell
from kbackup.cli._session import Session
from kbackup.cli._signals import ending_at_once
from kbackup.errors import InvalidSpecError

if TYPE_CHECKING:
    from kbackup.repository import (
        PackCount,
        PrunePlan,
        PruneRequest,
        Repository,
        Snapshot,
    )

F = TypeVar("F", bound=Callable[..., Any])

_REFUSED = 1


_LIMITS = (
    click.option(
        "--max-unused",
        default="5%",
        metavar="SIZE|N%|unlimited",
        help="What may stay unused; default 5%.",
    ),
    click.option(
        "--max-repack-size",
        type=Size(),
        help="Write no more than this anew; the next prune goes on.",
    ),
    click.option("--repack-small", is_flag=True, help="Put small packs together, too."),
)


def limit_options(command: F) -> F:
    """Add what says how far a prune goes; `request_of` takes it out."""
    for option in reversed(_LIMITS):
        command = option(command)
    return command


def request_of(flags: dict[str, Any]) -> PruneRequest:
    """Take the limits out of the flags of a command."""
    from kbackup.repository import PruneRequest, UnusedLimit  # noqa: PLC0415 - on demand

    return PruneRequest(
        max_unused=UnusedLimit.parse(flags.pop("max_unused")),
        max_repack=flags.pop("max_repack_size"),
        small_packs=flags.pop("repack_small"),
    )


@click.command(cls=Command)
@limit_options
@click.option(
    "--unsafe-allow-remove-all",
    "remove_all",
    is_flag=True,
    help="Also where no snapshot is there, so that everything would go.",
)
@dry_run_option
@yes_option
@repository_options
@click.pass_obj
def prune(
    session: Session,
    /,
    *,
    dry_run: bool,
    yes: bool,
    remove_all: bool,
    **flags: Any,
) -> int:
    """Remove what no snapshot needs any more.

    Shows first how much is kept, written anew and removed, then asks.
    """
    request = request_of(flags)
    if not dry_run:
        require_somebody_to_ask(yes=yes, shown_by="--dry-run")
    place = shown(place_of(session.repository))
    with opened(session) as repository:
        return prune_opened(
            session,
            repository,
            request,
            dry_run=dry_run,
            remove_all=remove_all,
            question="" if yes else f"Remove that from {place} for good?",
        )


def prune_opened(
    session: Session,
    repository: Repository,
    request: PruneRequest,
    *,
    dry_run: bool,
    remove_all: bool = True,
    without: Sequence[Snapshot] = (),
    question: str = "",
) -> int:
    """Plan, show, ask and prune; return the exit code.

    Args:
        session: Says for whom it is printed.
        repository: Which.
        request: How far it goes.
        dry_run: Only show it.
        remove_all: Whether it was agreed that no snapshot stays.
        without: Snapshots that a dry run takes for forgotten.
        question: Asked before; empty: it was agreed to.
    """
    with show_progress(session) as told:
        plan = repository.plan_prune(request, without=without, told=told)
    if is_json(session):
        print_json(_plan_json(plan, dry_run=dry_run))
    tell(session, str(plan))
    if dry_run or plan.is_empty:
        return 0
    if plan.removes_all and not remove_all:
        raise InvalidSpecError(
            ["no snapshot is there: --unsafe-allow-remove-all removes everything"]
        )
    with ending_at_once():
        agreed_to = agreed(question, yes=not question)
    if not agreed_to:
        say("Nothing was removed.")
        return _REFUSED
    with show_progress(session) as told:
        done = repository.prune(plan, remove_all=remove_all, told=told)
    tell(
        session,
        f"Removed {done.removed}, wrote {done.repacked} anew",
    )
    return 0


def _plan_json(plan: PrunePlan, *, dry_run: bool) -> dict[str, Any]:
    """Return a document of ours: restic's prune has none."""

    def counted(count: PackCount) -> dict[str, int]:
        return {"packs": count.packs, "blobs": count.blobs, "bytes": count.bytes}

    return {
        "message_type": "prune_plan",
        "dry_run": dry_run,
        "kept": counted(plan.kept),
        "repacked": counted(plan.repacked),
        "removed": counted(plan.removed),
        "unused_bytes_before": plan.unused_before,
        "unused_bytes_after": plan.unused_after,
    }
