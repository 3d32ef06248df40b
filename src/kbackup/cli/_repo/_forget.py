"""``kbackup repo forget``: shows what stays, why, and what goes; asks; removes.

restic does not ask: where nobody can answer, ``--yes`` says so beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kbackup._kits.words import plural
from kbackup.cli._asking import agreed, require_somebody_to_ask
from kbackup.cli._options import Command, Emptyable
from kbackup.cli._output import echo, print_table, say
from kbackup.cli._repo._opening import opened
from kbackup.cli._repo._options import (
    TagList,
    choice_of,
    choice_options,
    compact_option,
    dry_run_option,
    group_by_option,
    grouping,
    repository_options,
    yes_option,
)
from kbackup.cli._repo._place import place_of, shown
from kbackup.cli._repo._prune import limit_options, prune_opened, request_of
from kbackup.cli._repo._shapes import (
    forget_json,
    series_title,
    snapshot_headers,
    snapshot_row,
)
from kbackup.cli._repo._telling import is_json, print_json, tell
from kbackup.cli._session import Session
from kbackup.cli._signals import ending_at_once
from kbackup.errors import IntegrityError, InvalidSpecError

if TYPE_CHECKING:
    from kbackup.repository import (
        Decision,
        ForgetPlan,
        Repository,
        RetentionPolicy,
        Snapshot,
    )

F = TypeVar("F", bound=Callable[..., Any])

_UNITS = {
    "hourly": ("-H", "hour"),
    "daily": ("-d", "day"),
    "weekly": ("-w", "week"),
    "monthly": ("-m", "month"),
    "yearly": ("-y", "year"),
}
_UNLIMITED = "unlimited"
_WHOLE = 64  # digits of an ID
_REFUSED = 1  # the answer was no, as everywhere


class _Count(click.ParamType):  # type: ignore[type-arg, unused-ignore] # generic since 8.5
    """So many, or ``unlimited``."""

    name = "count"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read it; -1 means all, as in restic."""
        if value == _UNLIMITED:
            return -1
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is no number, nor {_UNLIMITED}", param, ctx)


class _Within(click.ParamType):  # type: ignore[type-arg, unused-ignore] # generic since 8.5
    """A duration such as ``1y5m7d2h``, where ``m`` means months."""

    name = "duration"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """Parse the duration."""
        from kbackup.repository import CalendarDuration  # noqa: PLC0415 - on demand

        if not isinstance(value, str):
            return value
        try:
            return CalendarDuration.parse(value)
        except InvalidSpecError as exc:
            self.fail(str(exc), param, ctx)


def _policy() -> Iterator[Callable[[F], F]]:
    """Yield the options that say which snapshots are kept."""
    counts = {"last": ("-l", "snapshots")}
    counts |= {name: (sign, f"{unit}s") for name, (sign, unit) in _UNITS.items()}
    for name, (sign, what) in counts.items():
        text = f"Keep the newest N {what}" + (
            ", the newest of each." if name in _UNITS else "."
        )
        yield click.option(
            sign, f"--keep-{name}", type=_Count(), metavar="N", default=0, help=text
        )
    yield _within("--keep-within", "Keep all that are")
    for name, (_, unit) in _UNITS.items():
        yield _within(
            f"--keep-within-{name}", f"Keep the newest of each {unit} that is"
        )
    yield click.option(
        "--keep-tag",
        "keep_tags",
        cls=Emptyable,
        type=TagList(),
        multiple=True,
        metavar="TAG,...",
        help="Keep all with all of these tags; '' means without tags.",
    )


def _within(name: str, text: str) -> Callable[[F], F]:
    what = f"{text} younger than this, as seen from the newest."
    return click.option(name, type=_Within(), metavar="1y5m7d2h", help=what)


def policy_options(command: F) -> F:
    """Add what says which snapshots are kept; `policy_of` takes it out."""
    for option in reversed(list(_policy())):
        command = option(command)
    return command


def policy_of(flags: dict[str, Any]) -> RetentionPolicy:
    """Take the policy out of the flags of a command."""
    from kbackup.repository import RetentionPolicy  # noqa: PLC0415 - on demand

    tags = flags.pop("keep_tags")
    given = {
        name.removeprefix("keep_"): flags.pop(name)
        for name in list(flags)
        if name.startswith("keep_")
    }
    return RetentionPolicy(tags=tags, **{k: v for k, v in given.items() if v})


@click.command(cls=Command)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@policy_options
@choice_options(short_host=False)
@group_by_option("host,paths")
@compact_option
@dry_run_option
@yes_option
@click.option("--prune", "prunes", is_flag=True, help="Then do what prune does.")
@limit_options
@repository_options
@click.pass_obj
def forget(session: Session, /, ids: tuple[str, ...], **flags: Any) -> int:
    """Remove snapshots, by ID or all that a policy does not keep.

    Shows which stay, and why, and which go, before it asks. What only they needed stays
    in the repository until prune. A policy that keeps nothing of a series is refused.
    """
    yes, dry_run, request = flags["yes"], flags["dry_run"], request_of(flags)
    policy, choice = policy_of(flags), choice_of(flags)
    if ids and (policy or choice):
        raise InvalidSpecError(["snapshots are named by IDs, or chosen by a policy"])
    if not ids and not policy:
        raise InvalidSpecError(
            ["the policy keeps nothing: give IDs of what goes, or a --keep option"]
        )
    if not dry_run:
        require_somebody_to_ask(yes=yes, shown_by="--dry-run")
    with opened(session) as repository:
        if ids:
            try:
                what: ForgetPlan | Sequence[Snapshot] = _named(repository, ids)
            except IntegrityError:  # some snapshot; perhaps the very one that is to go
                if any(len(text) != _WHOLE for text in ids):
                    raise
                return _forget_unseen(session, repository, ids, flags)
        else:
            by = grouping(flags["group_by"])
            what = repository.plan_forget(policy, filter=choice.filter(), group_by=by)
        _show(session, what, compact=flags["compact"])
        if _is_agreed(session, what, dry_run=dry_run, yes=yes):
            gone = _forget(repository, what)
            tell(session, f"Removed {plural(len(gone), 'snapshot')}")
        elif not dry_run and _going(what):
            say("Nothing was removed.")
            return _REFUSED
        if flags["prunes"] and _going(what):
            without = _going(what) if dry_run else ()
            return prune_opened(
                session, repository, request, dry_run=dry_run, without=without
            )
    return 0


def _forget_unseen(
    session: Session,
    repository: Repository,
    ids: Sequence[str],
    flags: Mapping[str, Any],
) -> int:
    """Remove snapshots by their whole IDs where what they are cannot be shown.

    Pruning is left out: it needs to know what all others need.
    """
    echo(f"remove {plural(len(ids), 'snapshot')}, which cannot be shown:")
    for text in ids:
        echo(f"  {text}")
    if flags["dry_run"]:
        return 0
    place = shown(place_of(session.repository))
    with ending_at_once():
        is_agreed = agreed(f"Remove them from {place}?", yes=flags["yes"])
    if not is_agreed:
        say("Nothing was removed.")
        return _REFUSED
    repository.forget(ids)
    tell(session, f"Removed {plural(len(ids), 'snapshot')}")
    return 0


def _named(repository: Repository, ids: Sequence[str]) -> list[Snapshot]:
    """Return the snapshots of these IDs; one that is not there ends it all."""
    from kbackup.repository import find_snapshot  # noqa: PLC0415 - on demand

    known = repository.list()
    return list(dict.fromkeys(find_snapshot(known, text) for text in ids))


def _going(what: ForgetPlan | Sequence[Snapshot]) -> Sequence[Snapshot]:
    return what if isinstance(what, Sequence) else what.remove


def _is_agreed(
    session: Session,
    what: ForgetPlan | Sequence[Snapshot],
    *,
    dry_run: bool,
    yes: bool,
) -> bool:
    """Ask, where there is something to remove and it may be.

    Raises:
        InvalidSpecError: Nothing would stay of a series.
    """
    if not isinstance(what, Sequence) and what.emptied:
        names = "; ".join(map(str, what.emptied))
        raise InvalidSpecError([f"nothing would be kept of {names}"])
    number = len(_going(what))
    if dry_run or not number:
        return False
    place = shown(place_of(session.repository))
    with ending_at_once():
        return agreed(f"Remove {plural(number, 'snapshot')} from {place}?", yes=yes)


def _forget(
    repository: Repository, what: ForgetPlan | Sequence[Snapshot]
) -> Sequence[Snapshot]:
    if isinstance(what, Sequence):
        return repository.forget([each.id.hex() for each in what])
    return repository.forget(what)


# --- what is shown --------------------------------------------------------------------------


def _show(
    session: Session, what: ForgetPlan | Sequence[Snapshot], *, compact: bool
) -> None:
    """Print what stays and what goes, series by series."""
    if isinstance(what, Sequence):
        _show_named(session, what, compact=compact)
        return
    if is_json(session):
        print_json([forget_json(key, each) for key, each in what.groups.items()])
        return
    for key, decisions in what.groups.items():
        echo(series_title(key))
        kept = [each for each in decisions if each.keep]
        gone = [each.snapshot for each in decisions if not each.keep]
        _show_kept(kept, compact=compact)
        _show_gone(gone, compact=compact)
    keep, remove = len(what.keep), len(what.remove)
    tell(session, f"{plural(keep, 'snapshot')} to keep, {remove} to remove")


def _show_kept(kept: Sequence[Decision], *, compact: bool) -> None:
    if not kept:
        return
    echo(f"keep {plural(len(kept), 'snapshot')}:")
    rows = (
        snapshot_row(each.snapshot, compact=compact, reasons=each.reasons)
        for each in kept
    )
    print_table(snapshot_headers(compact=compact, reasons=True), rows)


def _show_gone(gone: Sequence[Snapshot], *, compact: bool) -> None:
    if not gone:
        return
    echo(f"remove {plural(len(gone), 'snapshot')}:")
    rows = (snapshot_row(each, compact=compact) for each in gone)
    print_table(snapshot_headers(compact=compact), rows)


def _show_named(session: Session, gone: Sequence[Snapshot], *, compact: bool) -> None:
    if not is_json(session):
        _show_gone(gone, compact=compact)
        return
    from kbackup.repository import Decision, GroupKey  # noqa: PLC0415 - on demand

    print_json([forget_json(GroupKey(), [Decision(each, ()) for each in gone])])
