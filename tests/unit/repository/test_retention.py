"""A policy keeps what restic keeps, for restic's reasons."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest

from kbackup.errors import InvalidSpecError
from kbackup.repository._calendar import CalendarDuration, Instant
from kbackup.repository._retention import UNLIMITED, RetentionPolicy, plan_forget
from kbackup.repository._selection import GroupBy
from kbackup.repository._snapshots import Snapshot, snapshot_from_json

ASKED = json.loads(
    (
        Path(__file__).parents[2] / "formats" / "restic" / "snapshots" / "forget.json"
    ).read_text()
)
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ONE_SERIES = GroupBy.parse("")


def policy_of(rules):
    """Make a policy of what the fixture has."""
    return RetentionPolicy(
        **{
            name: CalendarDuration.parse(value) if isinstance(value, str) else value
            for name, value in rules.items()
        }
    )


def snapshots_at(*times, tags=()):
    """Make a snapshot for each time; the IDs count up from 1."""
    return [
        Snapshot(
            id=number.to_bytes(32, "big"),
            time=Instant.parse(time),
            tree=bytes(32),
            paths=["/srv"],
            tags=tags,
        )
        for number, time in enumerate(times, 1)
    ]


def kept(snapshots, policy, now=NOW):
    """Return the reasons by time, of those that stay."""
    plan = plan_forget(snapshots, policy, now=now, group_by=ONE_SERIES)
    return {str(d.snapshot.time): d.reasons for d in plan.decisions if d.keep}


@pytest.fixture(scope="module")
def asked():
    """Read the snapshots about which restic was asked."""
    return [
        snapshot_from_json(bytes.fromhex(each["id"]), each["json"].encode())
        for each in ASKED["snapshots"]
    ]


@pytest.mark.parametrize(
    "forget", ASKED["forgets"], ids=lambda f: f"{f['policy']} by {f['group_by']}"
)
def test_keeps_what_restic_keeps(asked, forget):
    """Of the same snapshots stay the same as by restic, for the same reasons."""
    plan = plan_forget(
        asked,
        policy_of(forget["policy"]),
        now=datetime.fromisoformat(ASKED["now"]),
        group_by=GroupBy.parse(forget["group_by"]),
    )

    reasons = {
        decision.snapshot.id.hex()[:8]: list(decision.reasons)
        for decision in plan.decisions
        if decision.keep
    }
    if "refused" in forget:
        assert plan.emptied
    else:
        assert reasons == forget["kept"]
        assert not plan.emptied
    assert {each.id for each in (*plan.keep, *plan.remove)} == {s.id for s in asked}
    assert len(plan.keep) == len(reasons)


def test_order_of_listing_does_not_count(asked):
    """A store lists files in any order; the plan is the same."""
    policy = RetentionPolicy(daily=5, within_weekly=CalendarDuration(years=1))

    forth = plan_forget(asked, policy, now=NOW)
    back = plan_forget(reversed(asked), policy, now=NOW)

    assert forth == back
    assert list(forth.groups) == list(back.groups)


def test_snapshots_of_the_same_time():
    """Of two snapshots of the very same time one stays, always the same."""
    first, second = snapshots_at("2026-04-01T00:00:00Z", "2026-04-01T01:00:00+01:00")

    for series in ([first, second], [second, first]):
        plan = plan_forget(series, RetentionPolicy(last=1), now=NOW)

        assert plan.keep == (second,)


def test_policy_without_rules_is_refused():
    """Nobody loses all snapshots because all counts were zero."""
    snapshots = snapshots_at("2026-04-01T00:00:00Z")
    nothing = RetentionPolicy(last=0, within=CalendarDuration.parse(""))

    assert not nothing
    with pytest.raises(InvalidSpecError, match="keeps nothing"):
        plan_forget(snapshots, nothing, now=NOW)


def test_series_that_would_lose_all_is_named():
    """A policy of tags alone that fits no snapshot of a host is seen before it acts."""
    snapshots = snapshots_at("2026-04-01T00:00:00Z", tags=["b"])
    other = attrs.evolve(snapshots[0], hostname="till", tags=["a"])

    plan = plan_forget([*snapshots, other], RetentionPolicy(tags=[["a"]]), now=NOW)

    assert [key.host for key in plan.emptied] == [""]
    assert plan.keep == (other,)
    assert plan.decisions[1].reasons == ("has tags [a]",)


def test_nothing_to_forget():
    """Of no snapshots nothing is kept and nothing is emptied."""
    plan = plan_forget([], RetentionPolicy(last=1), now=NOW)

    assert (plan.decisions, plan.emptied) == ((), ())


def test_days_are_those_of_the_place_of_the_backup():
    """Two evenings of one place are two days, though both are one day in UTC."""
    east, again = "2026-03-02T00:30:00+14:00", "2026-03-01T23:30:00+14:00"

    assert kept(snapshots_at(east, again), RetentionPolicy(daily=5)) == {
        east: ("daily snapshot",),
        again: ("daily snapshot",),
    }


def test_weeks_are_of_iso():
    """The first days of January are kept with the last week of the old year."""
    times = ["2027-01-04T00:00:00Z", "2027-01-03T00:00:00Z", "2026-12-31T00:00:00Z"]
    times += ["2026-12-27T00:00:00Z"]

    reasons = kept(snapshots_at(*times), RetentionPolicy(weekly=3))

    assert list(reasons) == [times[0], times[1], times[3]]


def test_oldest_fills_up_what_is_left():
    """While days are left over, the oldest snapshot stays, and only then."""
    times = [f"2026-04-01T0{hour}:00:00Z" for hour in (3, 2, 1)]

    assert kept(snapshots_at(*times), RetentionPolicy(daily=2)) == {
        times[0]: ("daily snapshot",),
        times[2]: ("oldest daily snapshot",),
    }
    assert list(kept(snapshots_at(*times), RetentionPolicy(daily=1))) == times[:1]


def test_duration_counts_back_from_the_newest_snapshot():
    """After a year without backups the last week of backups is still there."""
    times = ["2025-04-08T00:00:00Z", "2025-04-01T00:00:00.000000001Z"]
    too_old = "2025-04-01T00:00:00Z"

    reasons = kept(
        snapshots_at(*times, too_old), RetentionPolicy(within=CalendarDuration(days=7))
    )

    assert reasons == dict.fromkeys(times, ("within 7d",))


def test_future_does_not_move_the_bound():
    """A snapshot of a clock that ran ahead stays, and the others keep their week."""
    ahead, today, old = (
        "2031-01-01T00:00:00Z",
        "2026-04-30T00:00:00Z",
        "2026-04-01T00:00:00Z",
    )
    week = RetentionPolicy(within=CalendarDuration(days=7))

    assert list(kept(snapshots_at(ahead, today, old), week)) == [ahead, today]
    assert list(kept(snapshots_at(ahead), week)) == [ahead]
    assert list(kept(snapshots_at(today, old), week, now=NOW - timedelta(365))) == [
        today,
        old,
    ]


def test_unlimited_keeps_all_of_a_kind():
    """Of every year there is one snapshot for ever, and no second one."""
    years = [f"{year}-06-01T00:00:00Z" for year in range(2025, 1995, -1)]

    reasons = kept(
        snapshots_at(*years, "2025-01-01T00:00:00Z"), RetentionPolicy(yearly=UNLIMITED)
    )

    assert list(reasons) == years


def test_policy_below_zero_is_refused():
    """A number that means nothing is refused with its name, and all of them at once."""
    with pytest.raises(InvalidSpecError) as caught:
        RetentionPolicy(daily=-2, last=-7, within_weekly=CalendarDuration(days=-1))

    assert [violation.split(":")[0] for violation in caught.value.violations] == [
        "keep last",
        "keep daily",
        "keep within_weekly",
    ]


@pytest.mark.parametrize(
    ("text", "again"),
    [
        ("1y5m7d2h", "1y5m7d2h"),
        ("2h1y", "1y2h"),
        (" 36h ", "36h"),
        ("0d", ""),
        ("", ""),
    ],
)
def test_calendar_durations(text, again):
    """The parts of a duration may stand in any order; those of zero are not printed."""
    duration = CalendarDuration.parse(text)

    assert str(duration) == again
    assert bool(duration) == bool(again)


@pytest.mark.parametrize(
    "text", ["1w", "d", "7", "-1d", "1d2d", "1d 2h", "1.5d", "1h0m0s", "9999999999y"]
)
def test_calendar_duration_refuses(text):
    """What is no duration is refused, and so is a unit that is there twice."""
    with pytest.raises(InvalidSpecError, match="1y5m7d2h"):
        CalendarDuration.parse(text)


@pytest.mark.parametrize(
    ("duration", "instant", "earlier"),
    [
        ("1m", "2026-03-31T10:00:00Z", "2026-03-03T10:00:00Z"),
        ("1m", "2024-03-31T10:00:00Z", "2024-03-02T10:00:00Z"),
        ("1y", "2024-02-29T10:00:00Z", "2023-03-01T10:00:00Z"),
        ("14m", "2026-01-15T10:00:00+05:45", "2024-11-15T10:00:00+05:45"),
        ("1d25h", "2026-01-01T00:00:00.000000007Z", "2025-12-29T23:00:00.000000007Z"),
        ("2026y", "2026-01-01T00:00:00Z", "None"),
        ("999999999d", "2026-01-01T00:00:00Z", "None"),
        ("999999999h", "2026-01-01T00:00:00Z", "None"),
    ],
)
def test_counting_back(duration, instant, earlier):
    """Months and years count as in Go's calendar, and end where the calendar does."""
    found = CalendarDuration.parse(duration).before(Instant.parse(instant))

    assert str(found) == earlier
