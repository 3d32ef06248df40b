"""What keeps a repository whole and small, and elsewhere, too."""

import json
import os

import pytest

from kbackup.cli import _asking
from kbackup.repository import Repository, UnusedLimit, _upkeep

PASSWORD = "correct horse"


def packs(directory, name="r"):
    """Return the packs that there are."""
    return [each for each in (directory / name / "data").rglob("*") if each.is_file()]


def damage(path):
    """Change a byte of a file in its middle."""
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


# --- check, repair-index --------------------------------------------------------------------


def test_check(saved, tmp_path):
    """Everything is there; bytes of packs are read where that is asked for."""
    done = saved("check")

    assert done.code == 0
    number = len(packs(tmp_path))
    trees = "2 snapshots, 3 trees"
    assert done.out == f"{trees}, {number} packs: no errors found\n"
    for options in (("--read-data",), ("--read-data-subset", "100%")):
        assert " read: no errors found" in saved("check", *options).out
    assert saved("check", "--read-data-subset", "some").code == 2


def test_check_json(saved):
    """One summary, as restic's."""
    assert json.loads(saved("check", "--json").out) == {
        "message_type": "summary",
        "num_errors": 0,
        "broken_packs": None,
        "suggest_repair_index": False,
        "suggest_prune": False,
    }


def test_check_that_finds_something(saved, tmp_path):
    """Each error is named, the exit code is 1, and mending is next."""
    pack = packs(tmp_path)[0]
    pack.unlink()

    done, program = saved("check"), saved("check", "--json")

    assert (done.code, program.code) == (1, 1)
    assert f"error: pack {pack.name[:8]}" in done.err
    assert done.next == "Next: kbackup repo repair-index"
    summary = json.loads(program.out)
    told = [json.loads(line)["message_type"] for line in program.err.splitlines()]
    assert summary["num_errors"] == len(told) > 0
    assert set(told) == {"error"}
    assert pack.name[:8] in program.err


def test_what_is_lost_comes_back(saved, tmp_path):
    """Each step names the next: out with the pack, a new index, the same files again."""
    pack = max(packs(tmp_path), key=lambda each: each.stat().st_size)
    damage(pack)

    found, program = (
        saved("check", "--read-data"),
        saved("check", "--read-data", "--json"),
    )
    assert "Hint: take the damaged packs out of data/" in found.err
    assert found.next == "Next: kbackup repo repair-index"
    summary = json.loads(program.out)
    assert summary["broken_packs"] == [pack.name]
    assert summary["suggest_repair_index"] is False
    pack.unlink()
    gone = json.loads(saved("check", "--json").out)
    assert gone["suggest_repair_index"] is True
    saved("repair-index")

    lost = saved("check")
    assert lost.code == 1
    assert lost.next == "Next: kbackup repo backup PATH"
    assert json.loads(saved("check", "--json").out)["suggest_repair_index"] is False
    saved("backup", "src")
    assert saved("check", "--read-data").code == 0


def test_a_pack_that_no_index_names_may_have_what_is_lost(saved, tmp_path):
    """Then a new index is next, and mends it."""
    for index in (tmp_path / "r/index").iterdir():
        index.unlink()

    done = saved("check")

    assert done.code == 1
    assert done.next == "Next: kbackup repo repair-index"
    saved("repair-index")
    assert saved("check").code == 0


def test_check_reads_what_it_is_asked_to(saved, tmp_path):
    """Damage in the middle of a pack shows to whoever reads it."""
    for pack in packs(tmp_path):
        damage(pack)

    assert saved("check", "--read-data").code == 1


def test_check_of_what_nobody_needs(saved, tmp_path):
    """It harms nobody: a warning, exit code 0, and prune is next."""
    (tmp_path / "r/data/00").mkdir(exist_ok=True)
    (tmp_path / "r/data/00" / ("00" * 32)).write_bytes(b"of nobody")

    done, program = saved("check"), saved("check", "--json")

    assert (done.code, program.code) == (0, 0)
    assert "warning: pack 00000000" in done.err
    assert done.next == "Next: kbackup repo prune"
    assert json.loads(program.out)["suggest_prune"] is True


def test_what_is_found_of_many(saved, tmp_path):
    """It is said once of all for people, and of each for programs."""
    (tmp_path / "r/data/00").mkdir(exist_ok=True)
    for number in range(10, 40):
        name = f"00{number}" + "00" * 30
        (tmp_path / "r/data/00" / name).write_bytes(b"of nobody")

    done, program = saved("check"), saved("check", "--json")

    first, following = done.err.splitlines()
    assert first.startswith("warning: pack 00100000, pack 00110000, ")
    assert "and 25 more: no index names it; `prune` removes it" in first
    assert following == "Next: kbackup repo prune"
    assert len(program.err.splitlines()) == 30


def test_check_of_all_and_of_a_part(saved):
    """Nobody knows which is meant."""
    assert saved("check", "--read-data", "--read-data-subset", "5%").code == 2


@pytest.mark.parametrize("options", [(), ("--read-all-packs",)])
def test_repair_index(saved, tmp_path, options):
    """A lost index is made again from the packs."""
    for index in (tmp_path / "r/index").iterdir():
        index.unlink()
    assert saved("check").code == 1
    number = len(packs(tmp_path))

    done = saved("repair-index", *options)

    assert done.code == 0
    assert done.out == f"The index names {number} packs: {number} came, 0 went\n"
    assert done.next == "Next: kbackup repo check"
    assert saved("check").code == 0
    program = json.loads(saved("repair-index", "--json").out)
    assert program["packs"] == number
    assert program["added"] == 0


def test_repair_index_names_what_it_cannot_read(saved, tmp_path):
    """A pack without a header stays, and is told."""
    pack = packs(tmp_path)[0]
    pack.chmod(0o600)
    pack.write_bytes(bytes(200))

    done = saved("repair-index", "--read-all-packs")

    assert done.code == 0
    assert f"warning: pack {pack.name[:8]}: " in done.err
    assert pack.exists()


# --- prune ----------------------------------------------------------------------------------


@pytest.fixture(name="unused")
def fixture_unused(saved, tmp_path):
    """A repository in which most is of snapshots that have gone."""
    (tmp_path / "large").write_bytes(bytes(range(256)) * 40)
    saved("backup", "large")
    name = json.loads(saved("snapshots", "--json").out)[-1]["id"]
    assert saved("forget", name, "--yes").code == 0
    return saved


@pytest.fixture(name="asked")
def fixture_asked(monkeypatch):
    """What the library was asked to prune by."""
    requests = []
    real = _upkeep.Upkeep.plan_prune

    def plan(self, request=None, **named):
        requests.append(request)
        return real(self, request, **named)

    monkeypatch.setattr(_upkeep.Upkeep, "plan_prune", plan)
    return requests


def test_prune(unused, tmp_path):
    """It is shown before it is done, and nothing that is needed goes."""
    before = set(packs(tmp_path))

    done = unused("prune", "--yes", "--max-unused", "0")

    assert done.code == 0
    kept, rewritten, removed, left, ended = done.out.splitlines()
    assert kept.startswith("to keep: ")
    assert rewritten.startswith("to write anew: ")
    assert removed.startswith("to remove: ")
    assert left.startswith("unused: ")
    assert left.endswith(", then 0 B")
    assert ended.startswith("Removed ")
    assert before - set(packs(tmp_path))
    assert unused("check", "--read-data").code == 0


@pytest.mark.parametrize("answer", ["y", "n"])
def test_prune_asks(unused, tmp_path, monkeypatch, answer):
    """Only a yes prunes."""
    before = packs(tmp_path)
    monkeypatch.setattr(_asking, "is_terminal", lambda _: True)
    asked = []

    def prompt(question):
        asked.append(question)
        return answer

    monkeypatch.setattr("click.termui.visible_prompt_func", prompt)

    done = unused("prune")

    assert asked == ["Remove that from r for good? [y/N]: "]
    assert done.code == (0 if answer == "y" else 1)
    assert (packs(tmp_path) == before) is (answer == "n")


def test_prune_where_nobody_can_answer(unused, tmp_path):
    """Nothing goes, and the option that answers beforehand is named."""
    before = packs(tmp_path)

    done = unused("prune")

    assert done.code == 2
    assert "give --yes" in done.err
    assert done.next == "Next: kbackup repo prune --dry-run"
    assert packs(tmp_path) == before


def test_prune_dry_run(unused, tmp_path):
    """It is shown alone, also to programs."""
    before = packs(tmp_path)

    content = json.loads(unused("prune", "--dry-run", "--json").out)

    assert content["removed"]["packs"] + content["repacked"]["packs"] > 0
    assert content["dry_run"] is True
    assert content["unused_bytes_before"] > content["unused_bytes_after"]
    assert "to remove: " in unused("prune", "-n").out
    assert packs(tmp_path) == before


def test_nothing_to_prune(saved):
    """Nobody is asked about nothing."""
    assert saved("prune", "--yes").out == "Nothing to prune\n"


@pytest.mark.parametrize(
    ("options", "unused_limit", "most"),
    [
        ((), UnusedLimit(5), None),
        (("--max-unused", "unlimited"), UnusedLimit(None), None),
        (
            ("--max-unused", "7M", "--max-repack-size", "7"),
            UnusedLimit(None, 7 << 20),
            7,
        ),
        (("--max-repack-size", "3k"), UnusedLimit(5), 3 << 10),
        (("--max-repack-size", "2TB"), UnusedLimit(5), 2 << 40),
    ],
)
def test_how_far_it_goes(saved, asked, options, unused_limit, most):
    """Sizes are restic's."""
    saved("prune", "-n", *options)

    (request,) = asked
    assert request.max_unused == unused_limit
    assert request.max_repack == most
    assert request.small_packs is False
    saved("prune", "-n", "--repack-small")
    assert asked[1].small_packs is True


@pytest.mark.parametrize("option", ["--max-unused", "--max-repack-size"])
def test_a_size_that_is_none(saved, option):
    """It is refused."""
    assert saved("prune", "-n", option, "many").code == 2


def test_forget_and_prune(saved, tmp_path):
    """What the snapshots leave goes at once, without a second question."""
    (tmp_path / "large").write_bytes(bytes(range(256)) * 40)
    saved("backup", "large", "--time", "2001-01-01 00:00:00")
    words = ("forget", "--keep-last", "1", "-g", "", "--prune", "--yes")

    done, again = saved(*words), saved(*words)

    assert done.code == 0
    assert "Removed 2 snapshots\nto keep: " in done.out
    assert "to keep: " not in again.out  # nothing had gone
    assert saved("prune", "-n").out == "Nothing to prune\n"
    assert saved("check").code == 0


@pytest.mark.parametrize("what", [("--keep-last", "1", "-g", ""), ("latest~2",)])
def test_forget_and_prune_dry_run(saved, tmp_path, what):
    """It shows what prune would do as if the snapshots had gone, and nothing goes."""
    (tmp_path / "large").write_bytes(bytes(range(256)) * 40)
    saved("backup", "large", "--time", "2001-01-01 00:00:00")
    words = ("forget", *what, "--prune", "--max-unused", "0")
    before = packs(tmp_path)

    shown = saved(*words, "-n")
    assert packs(tmp_path) == before
    done = saved(*words, "--yes")

    assert shown.code == 0
    plan = shown.out[shown.out.index("to keep: ") :]
    assert "to remove: 0 packs" not in plan
    assert plan in done.out
    assert packs(tmp_path) != before


# --- copy -----------------------------------------------------------------------------------


@pytest.fixture(name="second")
def fixture_second(saved, tmp_path):
    """Options that mean another repository, with a password of its own."""
    (tmp_path / "other").write_text("battery staple")
    options = ("--repo", "r2", "-p", "other")
    assert saved("init", *options).code == 0
    return options


@pytest.mark.parametrize("by", ["options", "command", "variables"])
def test_copy(saved, second, tmp_path, monkeypatch, by):
    """Snapshots of the other one into this one, each told; what is there stays."""
    (tmp_path / "pw").write_text(PASSWORD)
    words = ["--from-repo", "r", "--from-password-file", "pw"]
    if by == "command":
        words = ["--from-repo", "r", "--from-password-command", "cat pw"]
    if by == "variables":
        monkeypatch.setenv("KBACKUP_FROM_REPOSITORY", "r")
        monkeypatch.setenv("KBACKUP_FROM_REPO_PASSWORD", PASSWORD)
        words = []
    first = json.loads(saved("snapshots", "--json").out)[0]

    one = saved("copy", first["short_id"], *words, *second)
    rest = saved("copy", *words, *second)
    program = saved("copy", *words, *second, "--json", "--tag", "a")

    assert one.code == 0, one.err
    assert one.out.startswith(f"{first['short_id']} is ")
    assert one.out.endswith("Copied 1 snapshot; 0 there already\n")
    assert f"{first['short_id']} is there already\n" in rest.out
    assert rest.out.endswith("Copied 1 snapshot; 1 there already\n")
    said = json.loads(program.out)
    assert (said["snapshot"], said["is_new"]) == (first["id"], False)
    assert saved("check", "--read-data", *second).code == 0
    with Repository.open(tmp_path / "r2", "battery staple") as target:
        assert len(target.list()) == 2


def test_init_for_copies(saved, tmp_path):
    """Files are cut as there: what was copied is not saved again."""
    (tmp_path / "pw").write_text(PASSWORD)
    (tmp_path / "other").write_text("battery staple")
    (tmp_path / "src/large").write_bytes(os.urandom(2 << 20))
    assert saved("backup", "src").code == 0
    there = ["--from-repo", "r", "--from-password-file", "pw"]
    here = ["--repo", "r2", "-p", "other"]

    made = saved("init", "--copy-chunker-params", *there, *here)
    assert made.code == 0, made.err
    assert saved("copy", *there, *here).code == 0
    again = saved("backup", "src", "--force", "--json", *here)

    assert json.loads(again.out.splitlines()[-1])["data_added"] == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--from-repo", "r"], 2),
        (["--copy-chunker-params", "--from-repo", "nowhere"], 10),
        (
            [
                "--copy-chunker-params",
                "--from-repo",
                "r",
                "--from-password-file",
                "bad",
            ],
            12,
        ),
    ],
)
def test_init_for_copies_of_nothing(saved, tmp_path, words, code):
    """No repository is made that cuts otherwise than it was asked to."""
    (tmp_path / "other").write_text("battery staple")
    (tmp_path / "bad").write_text("wrong")

    done = saved("init", *words, "--repo", "r2", "-p", "other")

    assert done.code == code, done.err
    assert not (tmp_path / "r2").exists()


def test_copy_to_itself(saved):
    """It is refused."""
    done = saved(
        "copy", "--from-repo", "r", "--from-password-command", f"echo {PASSWORD}"
    )

    assert done.code == 2
    assert "not copied to itself" in done.err
    assert PASSWORD not in done.err


def test_copy_from_nowhere(saved):
    """The variable that would say it is the other one."""
    done = saved("copy")

    assert done.code == 2
    assert "which repository is copied from" in done.err
    assert "give --from-repo DIRECTORY|URL or --from-repository-file" in done.err
    assert "KBACKUP_FROM_REPOSITORY" in done.err


def test_copy_without_the_password(saved, second):
    """It is that of the other repository which is missing, and so are its options."""
    done = saved("copy", "--from-repo", "r2")

    assert done.code == 2
    assert "no password for r2 was given" in done.err
    assert "give --from-password-file or --from-password-command" in done.err
    assert "KBACKUP_FROM_REPO_PASSWORD" in done.err


def test_copy_what_is_not_there(saved, second):
    """Next is a look into the repository that is copied from; no new one is offered."""
    source = ("--from-repo", "r2", "--from-password-file", "other")

    done = saved("copy", *source, "ab")
    nowhere = saved("copy", "--from-repo", "nope", *source[2:])

    assert done.next == ("Next: kbackup repo snapshots --repo r2 --password-file other")
    assert nowhere.code == 10
    assert nowhere.next == "Next: kbackup repo copy --help"


def test_prune_where_no_snapshot_is_there(saved, tmp_path):
    """Everything would go: that needs a word of its own; to forget all is one."""
    snapshots = tmp_path / "r/snapshots"
    snapshots.rename(tmp_path / "elsewhere")
    snapshots.mkdir()

    shown = saved("prune", "--dry-run")
    refused = saved("prune", "--yes")

    assert (shown.code, refused.code) == (0, 2)
    assert "--unsafe-allow-remove-all" in refused.err
    snapshots.rmdir()
    (tmp_path / "elsewhere").rename(snapshots)
    assert saved("check", "--read-data").code == 0
    ids = [each["id"] for each in json.loads(saved("snapshots", "--json").out)]
    assert saved("forget", *ids, "--yes", "--prune").code == 0
    assert not [each for each in (tmp_path / "r/data").rglob("*") if each.is_file()]
    assert saved("prune", "--yes", "--unsafe-allow-remove-all").code == 0


# --- tag ------------------------------------------------------------------------------------


def tags_of(saved):
    """Return the tags of each snapshot, the oldest first."""
    listed = json.loads(saved("snapshots", "--json").out)
    return [each.get("tags", []) for each in listed]


@pytest.mark.parametrize(
    ("options", "first", "second"),
    [
        (["--add", "c,d", "--add", "e"], ["a", "b", "c", "d", "e"], ["c", "d", "e"]),
        (["--add", "c", "--remove", "a"], ["b", "c"], ["c"]),
        (["--set", "c"], ["c"], ["c"]),
        (["--set", "", "--tag", "a"], [], []),
        (["--add", "c", "--tag", ""], ["a", "b"], ["c"]),
        (["--remove", "a", "--host", "elsewhere"], ["a", "b"], []),
    ],
)
def test_tag(saved, options, first, second):
    """All that are chosen get other tags."""
    done = saved("tag", *options)

    assert done.code == 0, done.err
    assert tags_of(saved) == [first, second]


def test_tag_by_id(saved):
    """Only that one; its new ID is told, to programs as restic does."""
    old = json.loads(saved("snapshots", "--json").out)[1]

    done = saved("tag", "latest", "--add", "x")
    new = json.loads(saved("snapshots", "--json").out)[1]
    program = [
        *map(json.loads, saved("tag", "latest", "--set", "", "--json").out.splitlines())
    ]

    assert done.out == (
        f"{old['short_id']} is {new['short_id']} now\nChanged 1 snapshot\n"
    )
    assert (new["tags"], new["original"]) == (["x"], old["id"])
    newest = json.loads(saved("snapshots", "--json").out)[1]
    assert program == [
        {
            "message_type": "changed",
            "old_snapshot_id": new["id"],
            "new_snapshot_id": newest["id"],
        },
        {"message_type": "summary", "changed_snapshots": 1},
    ]
    assert tags_of(saved) == [["a", "b"], []]


@pytest.mark.parametrize("options", [(), ("--add", ""), ("--set", "a", "--add", "b")])
def test_tag_without_a_tag(saved, options):
    """That is wrong use; nothing is changed."""
    done = saved("tag", *options)

    assert done.code == 2
    assert tags_of(saved) == [["a", "b"], []]
