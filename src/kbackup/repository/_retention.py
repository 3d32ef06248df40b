"""Which snapshots a policy keeps, and why: restic's rules, decided without a clock.

`plan_forget` only decides; whoever forgets looks at the plan and removes the files.
Source: restic ``doc/060_forget.rst``, "Removing snapshots according to a policy";
``internal/data/snapshot_policy.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import attrs

from kbackup.errors import InvalidSpecError
from kbackup.repository._calendar import CalendarDuration, Instant
from kbackup.repository._selection import (
    HOST_AND_PATHS,
    GroupBy,
    GroupKey,
    TagLists,
    group_snapshots,
    tag_lists,
)
from kbackup.repository._snapshots import Snapshot

UNLIMITED = -1
"""As a count of a policy: keep all of the kind."""

_NEVER = CalendarDuration()

_Period = Callable[[datetime], object]


def _alone(_: datetime) -> object:
    """Every snapshot is a period of its own."""
    return object()


# On the wall clock of the place that made the snapshot. Weeks are ISO's.
_PERIODS: dict[str, _Period] = {
    "hourly": lambda when: (when.date(), when.hour),
    "daily": lambda when: when.date(),
    "weekly": lambda when: when.isocalendar()[:2],
    "monthly": lambda when: (when.year, when.month),
    "yearly": lambda when: when.year,
}


@attrs.frozen(kw_only=True)
class RetentionPolicy:
    """What to keep of each series; a snapshot stays that any of the rules keeps.

    The counts are so many of the newest snapshots, hours, days and so on that have a
    snapshot, the newest of each; 0: the rule keeps nothing, `UNLIMITED`: all. Durations
    count back from the newest snapshot of the series that is not in the future.

    Attributes:
        within: All that are younger than this.
        within_hourly: The newest of each hour, of those younger than this.
        tags: All that have each tag of one of the lists; ``("",)``: those without tags.

    Raises:
        InvalidSpecError: A number is below zero, and not `UNLIMITED` for a count.
    """

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within: CalendarDuration = _NEVER
    within_hourly: CalendarDuration = _NEVER
    within_daily: CalendarDuration = _NEVER
    within_weekly: CalendarDuration = _NEVER
    within_monthly: CalendarDuration = _NEVER
    within_yearly: CalendarDuration = _NEVER
    tags: TagLists = attrs.field(default=(), converter=tag_lists)

    def __attrs_post_init__(self) -> None:
        wrong = [
            f"keep {name}: {number} is below zero, and not {UNLIMITED} for all"
            for name in ("last", *_PERIODS)
            if (number := getattr(self, name)) < UNLIMITED
        ]
        wrong += [
            f"keep {name}: {duration} counts below zero"
            for name, duration in attrs.asdict(self, recurse=False).items()
            if isinstance(duration, CalendarDuration)
            and min(attrs.astuple(duration)) < 0
        ]
        if wrong:
            raise InvalidSpecError(wrong)

    def __bool__(self) -> bool:
        """Whether any rule may keep anything."""
        return any(attrs.asdict(self, recurse=False).values())


@attrs.frozen
class Decision:
    """What becomes of a snapshot.

    Attributes:
        reasons: Why it is kept, in restic's words: ``daily snapshot``, ``within 7d``,
            ``has tags [a, b]``. Empty: it goes. ``oldest daily snapshot``: the rule had
            days left when there were none, and the history shall go back that far.
    """

    snapshot: Snapshot
    reasons: tuple[str, ...]

    @property
    def keep(self) -> bool:
        """Whether it stays."""
        return bool(self.reasons)


@attrs.frozen
class ForgetPlan:
    """What becomes of every snapshot.

    Attributes:
        groups: The decisions on each series, its newest snapshot first.
    """

    groups: dict[GroupKey, tuple[Decision, ...]]

    def __str__(self) -> str:
        """As people read it: series by series, how many stay, and which go."""
        lines = []
        for key, decisions in self.groups.items():
            gone = [each.snapshot for each in decisions if not each.keep]
            kept = len(decisions) - len(gone)
            lines.append(f"{str(key) or 'all'}: keep {kept}, remove {len(gone)}")
            lines += [f"  remove {each} of {each.time}" for each in gone]
        return "\n".join(lines) or "no snapshots"

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """All of them, series by series."""
        return tuple(each for group in self.groups.values() for each in group)

    @property
    def keep(self) -> tuple[Snapshot, ...]:
        """Those that stay."""
        return tuple(each.snapshot for each in self.decisions if each.keep)

    @property
    def remove(self) -> tuple[Snapshot, ...]:
        """Those that go."""
        return tuple(each.snapshot for each in self.decisions if not each.keep)

    @property
    def emptied(self) -> tuple[GroupKey, ...]:
        """The series of which nothing would stay: a reason to refuse the whole plan."""
        return tuple(
            key
            for key, decisions in self.groups.items()
            if not any(each.keep for each in decisions)
        )


def plan_forget(
    snapshots: Iterable[Snapshot],
    policy: RetentionPolicy,
    *,
    now: datetime,
    group_by: GroupBy = HOST_AND_PATHS,
) -> ForgetPlan:
    """Decide for each series on its own what stays.

    restic refuses where `ForgetPlan.emptied` names a series, and so should a caller.

    Args:
        snapshots: Those that the policy is about, in any order.
        policy: Holds for each series anew.
        group_by: What makes a series.
        now: Aware. Durations do not count back from what is later than this.

    Raises:
        InvalidSpecError: The policy has no rules.
    """
    if not policy:
        raise InvalidSpecError(
            ["the policy keeps nothing"], hint="say what to keep, such as the last 1"
        )
    series = group_snapshots(snapshots, group_by)
    return ForgetPlan(
        {key: tuple(_decide(each, policy, now)) for key, each in series.items()}
    )


def _decide(
    series: list[Snapshot], policy: RetentionPolicy, now: datetime
) -> Iterator[Decision]:
    """Ask every rule about each snapshot, the newest first: each rule counts for itself."""
    past = (each.time for each in series if each.time.when < now)
    rules = list(_rules(policy, next(past, None)))
    for each in series:
        oldest = each is series[-1]
        reasons = [
            f"has tags [{', '.join(tags)}]"
            for tags in policy.tags
            if each.has_tags(tags)
        ]
        reasons += filter(
            None, [rule.reason_to_keep(each.time, oldest) for rule in rules]
        )
        yield Decision(each, tuple(reasons))


def _rules(policy: RetentionPolicy, newest: Instant | None) -> Iterator[_Rule]:
    """Yield what counts, in the order in which restic names the reasons."""

    def within(
        words: str, period: _Period, duration: CalendarDuration
    ) -> Iterator[_Rule]:
        if duration:
            bound = duration.before(newest) if newest else None
            yield _Rule(f"{words} {duration}", period, UNLIMITED, bound)

    yield from within("within", _alone, policy.within)
    yield _Rule("last snapshot", _alone, policy.last)
    for name, period in _PERIODS.items():
        yield _Rule(f"{name} snapshot", period, getattr(policy, name))
    for name, period in _PERIODS.items():
        yield from within(f"{name} within", period, getattr(policy, f"within_{name}"))


@attrs.define
class _Rule:
    """Keeps the newest snapshot of each period, as many as are left.

    Attributes:
        bound: Only what is later; None: there is no bound.
        last: The period of which it kept one last.
    """

    words: str
    period: _Period
    left: int
    bound: Instant | None = None
    last: object = None

    def reason_to_keep(self, time: Instant, oldest: bool) -> str:  # noqa: FBT001
        """Return it, or nothing; the *oldest* snapshot fills up what is left."""
        if not self.left or (self.bound and time <= self.bound):
            return ""
        period = self.period(time.when)
        again = period == self.last
        if again and not oldest:
            return ""
        self.last = period
        self.left -= 1  # from `UNLIMITED` it never comes to zero
        return f"oldest {self.words}" if again else self.words
