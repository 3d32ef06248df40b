"""Snapshots that go: shown with their reasons, asked about, removed."""

import json

import pytest

from kbackup.cli import _asking
from kbackup.repository import RetentionPolicy, _retention


def listed(repo):
    """Return the IDs of the snapshots, the oldest first."""
    return [each["id"] for each in json.loads(repo("snapshots", "--json").out)]


@pytest.fixture(name="series")
def fixture_series(repo, tmp_path):
    """Five snapshots of one directory, a day apart."""
    (tmp_path / "src").mkdir()
    for day in range(1, 6):
        tags = ("--tag", "first") if day == 1 else ()
        repo("backup", "src", "--time", f"2020-01-0{day} 12:00:00", *tags)
    return repo


@pytest.fixture(name="answering")
def fixture_answering(monkeypatch):
    """A function: somebody sits at a terminal and gives this answer to the question."""
    asked = []

    def answer(text):
        monkeypatch.setattr(_asking, "is_terminal", lambda _: True)

        def prompt(question):
            asked.append(question)
            return text

        monkeypatch.setattr("click.termui.visible_prompt_func", prompt)
        return asked

    return answer


def test_forget_by_a_policy(series):
    """What stays is shown with the reason, and what goes, before it goes."""
    known = listed(series)

    done = series("forget", "--keep-last", "2", "--yes")

    assert done.code == 0
    kept, gone = done.out.split("remove 3 snapshots:")
    assert "keep 2 snapshots:" in kept
    assert kept.count("last snapshot") == 2
    assert all(each[:8] in gone for each in known[:3])
    assert done.out.endswith("2 snapshots to keep, 3 to remove\nRemoved 3 snapshots\n")
    assert listed(series) == known[3:]


def test_forget_dry_run(series):
    """The same is shown, nobody is asked, and nothing goes."""
    done = series("forget", "-n", "--keep-last", "2")

    assert done.code == 0
    assert "remove 3 snapshots:" in done.out
    assert "Removed" not in done.out
    assert len(listed(series)) == 5


def test_forget_json(series):
    """A list of series with what stays, what goes and why, as restic's."""
    known = listed(series)

    done = series("forget", "--keep-last", "1", "--keep-tag", "first", "-n", "--json")

    (group,) = json.loads(done.out)
    assert group.keys() == {"tags", "host", "paths", "keep", "remove", "reasons"}
    assert [each["id"] for each in group["keep"]] == [known[4], known[0]]
    assert [each["id"] for each in group["remove"]] == known[3:0:-1]
    assert [each["matches"] for each in group["reasons"]] == [
        ["last snapshot"],
        ["has tags [first]"],
    ]


def test_forget_by_ids(series):
    """Those go, whatever a policy would keep; shown before, too."""
    known = listed(series)

    done = series("forget", known[1][:12], known[4], "--yes")

    assert done.code == 0
    assert "remove 2 snapshots:" in done.out
    assert listed(series) == [known[0], *known[2:4]]


def test_forget_by_ids_json(series):
    """The same shape, with nothing that is kept."""
    known = listed(series)

    done = series("forget", known[1], "--yes", "--json")

    (group,) = json.loads(done.out)
    assert [each["id"] for each in group["remove"]] == [known[1]]
    assert group["keep"] is None


def test_one_id_that_is_not_there(series):
    """Nothing goes: what else was typed may not be meant either."""
    done = series("forget", listed(series)[0], "0f0f0f0f0f", "--yes")

    assert done.code == 1
    assert "'0f0f0f0f0f': no such snapshot" in done.err
    assert done.next == "Next: kbackup repo snapshots"
    assert len(listed(series)) == 5


def test_nothing_is_said_of_what_goes(series):
    """That is said before anybody would be asked."""
    done = series("forget", "--tag", "first")

    assert done.code == 2
    assert "the policy keeps nothing: give IDs of what goes, or a --keep" in done.err


def test_nobody_to_ask(series):
    """Nothing goes; the option that answers is named, and next is to see what would."""
    done = series("forget", "--keep-last", "1")

    assert done.code == 2
    assert "there is no terminal to ask on: give --yes" in done.err
    assert done.next == "Next: kbackup repo forget --keep-last 1 --dry-run"
    assert len(listed(series)) == 5


@pytest.mark.parametrize(("answer", "left", "code"), [("y", 1, 0), ("n", 5, 1)])
def test_asked(series, answering, answer, left, code):
    """Only a yes removes, and the question says how many go from where."""
    asked = answering(answer)

    done = series("forget", "--keep-last", "1")

    assert asked == ["Remove 4 snapshots from r? [y/N]: "]
    assert done.code == code
    assert ("Nothing was removed." in done.err) is (answer == "n")
    assert len(listed(series)) == left


def test_nothing_to_remove(series, answering):
    """Nobody is asked about nothing."""
    asked = answering("n")

    done = series("forget", "--keep-last", "9")

    assert done.code == 0
    assert done.out.endswith("5 snapshots to keep, 0 to remove\n")
    assert asked == []


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "the policy keeps nothing"),
        (("--keep-last", "-2"), "is below zero"),
        (("--keep-last", "some"), "'some' is no number, nor unlimited"),
        (
            ("--keep-within", "1w"),
            "for '--keep-within': '1w' is not a duration such as 1y5m7d2h",
        ),
        (("--keep-tag", "nobody's"), "nothing would be kept of host ["),
        (("--keep-last", "1", "--group-by", "size"), "no grouping by 'size'"),
        (("--keep-last", "1", "latest"), "named by IDs, or chosen by a policy"),
        (("--host", "x", "latest"), "named by IDs, or chosen by a policy"),
    ],
)
def test_what_cannot_be_meant(series, options, reason):
    """It is refused, and nothing goes."""
    done = series("forget", "--yes", *options)

    assert done.code == 2
    assert reason in done.err
    assert len(listed(series)) == 5


def test_a_series_that_would_be_empty_is_shown(series):
    """Before it is refused, in a dry run as well."""
    done = series("forget", "-n", "--keep-tag", "nobody's")

    assert done.code == 2
    assert "remove 5 snapshots:" in done.out


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (("--keep-daily", "2"), 2),
        (("-d", "2"), 2),
        (("-H", "3"), 3),
        (("--keep-monthly", "1"), 1),
        (("--keep-last", "unlimited"), 5),
        (("--keep-within", "2d"), 2),
        (("--keep-tag", ""), 4),
        (("--keep-last", "1", "--tag", "first"), 5),
        (("--keep-last", "1", "--host", "nobody"), 5),
        (("--keep-last", "1", "--path", "src"), 1),
        (("--keep-last", "1", "--group-by", "tags"), 2),
    ],
)
def test_what_is_kept(series, options, left):
    """Each rule keeps what restic's does, of the snapshots that are chosen."""
    done = series("forget", "--yes", *options)

    assert done.code == 0, done.err
    assert len(listed(series)) == left


def test_every_rule(series, monkeypatch):
    """Each option sets the rule of its name."""
    asked = []
    plan = _retention.plan_forget

    def planned(found, policy, **named):
        asked.append(policy)
        return plan(found, policy, **named)

    monkeypatch.setattr(_retention, "plan_forget", planned)
    counts = ["last", "hourly", "daily", "weekly", "monthly", "yearly"]
    spans = ["within", *(f"within-{name}" for name in counts[1:])]
    words = [f"--keep-{name}={number}" for number, name in enumerate(counts, 1)]
    words += [f"--keep-{name}={number}d" for number, name in enumerate(spans, 1)]

    series("forget", "-n", *words, "--keep-tag", "a,b", "--keep-tag", "c")

    (policy,) = asked
    assert isinstance(policy, RetentionPolicy)
    assert [getattr(policy, name) for name in counts] == [1, 2, 3, 4, 5, 6]
    kept = [getattr(policy, name.replace("-", "_")) for name in spans]
    assert list(map(str, kept)) == ["1d", "2d", "3d", "4d", "5d", "6d"]
    assert policy.tags == (("a", "b"), ("c",))


def test_a_damaged_snapshot(series, tmp_path):
    """Its whole ID removes it, and nothing shorter."""
    name = listed(series)[0]
    file = tmp_path / "r/snapshots" / name
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:-1])
    assert series("forget", name[:10], "--yes").code == 1

    looked = series("forget", name, "--dry-run")
    assert (looked.code, file.exists()) == (0, True)
    assert f"cannot be shown:\n  {name}\n" in looked.out
    done = series("forget", name, "--yes")

    assert done.code == 0, done.err
    assert not file.exists()
    assert len(listed(series)) == 4
