"""Making a repository, saving files in it, listing and restoring them."""

import io
import json
import os
import stat

import pytest

from kbackup.repository import Repository

SUMMARY = {
    "message_type",
    "backup_start",
    "backup_end",
    "files_new",
    "files_changed",
    "files_unmodified",
    "dirs_new",
    "dirs_changed",
    "dirs_unmodified",
    "data_blobs",
    "tree_blobs",
    "data_added",
    "data_added_packed",
    "total_files_processed",
    "total_bytes_processed",
    "total_duration",
    "snapshot_id",
}


def listed(repo, *arguments):
    """Return the snapshots as JSON has them."""
    return json.loads(repo("snapshots", "--json", *arguments).out)


# --- init ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "version"),
    [
        ((), 2),
        (("--repository-version", "1"), 1),
        (("--repository-version", "latest"), 2),
    ],
    ids=["default", "1", "latest"],
)
def test_init(repo, tmp_path, given, version):
    """A repository is made in the version that was asked for, and opens at once."""
    done = repo("init", "--repo", "new", *given)

    assert done.code == 0
    with Repository.open(tmp_path / "new", "correct horse") as made:
        assert made.version == version
        assert done.out.startswith(f"Made repository {made.id[:10]}")
    assert done.next == "Next: kbackup repo backup PATH --repo new"


def test_init_json(repo):
    """A program is told the ID as by restic."""
    done = repo("init", "--repo", "new", "--json")

    said = json.loads(done.out)
    assert said["message_type"] == "initialized"
    assert len(said["id"]) == 64
    assert said["repository"] == "new"


def test_init_over_another(repo, tmp_path):
    """What is there stays as it is."""
    before = (tmp_path / "r/config").read_bytes()

    done = repo("init")

    assert done.code == 1
    assert "a repository is there already" in done.err
    assert done.next == "Next: kbackup repo snapshots"
    assert (tmp_path / "r/config").read_bytes() == before


# --- backup -------------------------------------------------------------------------------


def test_backup(saved, tmp_path):
    """A snapshot of what was named, which the next one goes on from."""
    (tmp_path / "src/file").write_text("another")

    done = saved("backup", "src")

    assert done.code == 0
    assert done.err == ""
    files, directories, _, last = done.out.splitlines()
    assert files == "Files: 0 new, 1 changed, 1 unmodified"
    assert directories == "Directories: 0 new, 1 changed, 1 unmodified"
    assert last == f"Snapshot {listed(saved)[-1]['short_id']}: 2 files, 12 B"
    assert listed(saved)[-1]["parent"] == listed(saved)[0]["id"]


def test_backup_options(saved, tmp_path):
    """Tags of all options, host, time and parent are what was said."""
    first = listed(saved)[0]["short_id"]

    done = saved(
        *("backup", tmp_path / "src", "--tag", "x,y", "--tag", "z", "-H", "till"),
        *("--time", "2001-02-03 04:05:06", "--parent", first, "--compression", "max"),
    )

    assert done.code == 0, done.err
    snapshot = listed(saved)[0]  # the oldest now
    assert snapshot["tags"] == ["x", "y", "z"]
    assert snapshot["hostname"] == "till"
    assert snapshot["time"].startswith("2001-02-03T04:05:06")
    assert snapshot["parent"].startswith(first)
    assert snapshot["paths"] == [str(tmp_path / "src")]


def test_backup_force(saved):
    """Every file is new where no snapshot is asked."""
    done = saved("backup", "--force", "src")

    assert "Files: 2 new, 0 changed, 0 unmodified" in done.out
    assert "parent" not in listed(saved)[-1]


def test_backup_json(saved, monkeypatch):
    """Status lines, and last what it counted and which snapshot it is."""
    monkeypatch.setattr("kbackup.cli._repo._progress._EVERY", -1)

    done = saved("backup", "--force", "src", "--json")

    *statuses, summary = map(json.loads, done.out.splitlines())
    assert {each["message_type"] for each in statuses} == {"status"}
    assert statuses[-1]["bytes_done"] <= 10
    assert statuses[-1]["files_done"] <= 2
    assert summary.keys() == SUMMARY
    assert summary["message_type"] == "summary"
    assert summary["total_bytes_processed"] == 10
    assert summary["snapshot_id"] == listed(saved)[-1]["id"]


def test_backup_quiet(saved):
    """Nothing is said of what went well, to people or programs."""
    assert saved("backup", "-q", "src").out == ""

    said = saved("backup", "-q", "--json", "src").out
    assert [json.loads(x)["message_type"] for x in said.splitlines()] == ["summary"]


def test_what_cannot_be_read(saved):
    """The rest is saved, the file is named, and the exit code is 3."""
    done = saved("backup", "src", "/proc/self/mem")  # not even root reads it so

    assert done.code == 3
    assert "/proc/self/mem: Input/output error" in done.err
    assert "/src/file" in saved("ls", "latest").out


def test_what_the_source_cannot_read(saved, tmp_path, monkeypatch):
    """The rest is saved, the file is named for whom it may concern; exit code 3."""
    from kbackup.repository import DirectorySource, Unreadable  # noqa: PLC0415

    real = DirectorySource.walk

    def walk(self):
        yield from real(self)
        yield Unreadable(b"/src/gone", "Input/output error")

    monkeypatch.setattr(DirectorySource, "walk", walk)

    done, program = saved("backup", "src"), saved("backup", "src", "--json")

    assert (done.code, program.code) == (3, 3)
    assert "warning: /src/gone: Input/output error\n" in done.err
    assert "1 thing could not be saved" in done.err
    assert json.loads(program.err) == {
        "message_type": "error",
        "error": {"message": "Input/output error"},
        "during": "archival",
        "item": "/src/gone",
    }


def test_one_path_is_not_there(saved, tmp_path):
    """The others are saved, and the snapshot is of them."""
    done = saved("backup", "src", "nope")

    assert done.code == 3
    assert "warning: nope: it does not exist" in done.err
    assert listed(saved)[-1]["paths"] == [str(tmp_path / "src")]


def test_no_path_is_there(saved):
    """Nothing is saved, and nothing else is the matter."""
    done = saved("backup", "nope", "neither")

    assert done.code == 1
    assert "nope, neither: none of what was to be backed up is there" in done.err
    assert done.next == "Next: kbackup repo backup nope neither"
    assert len(listed(saved)) == 2


@pytest.mark.parametrize(
    ("paths", "kept"),
    [(["src"], "src/file"), (["./src/sub", "src/file"], "src/sub/other")],
    ids=["one", "two"],
)
def test_relative_paths_stay_relative(repo, tmp_path, paths, kept):
    """As in restic, what lies above here is no part of the snapshot."""
    (tmp_path / "src/sub").mkdir(parents=True)
    (tmp_path / "src/file").write_text("hello")
    (tmp_path / "src/sub/other").write_text("there")
    repo("backup", *paths)

    repo("restore", "latest", "--target", "out")

    assert (tmp_path / "out" / kept).is_file()


def test_absolute_paths_stay_whole(saved, tmp_path):
    """And so do those that go up, beside one that goes not."""
    for number, path in enumerate([tmp_path / "src", f"../{tmp_path.name}/src"]):
        saved("backup", path, "src/file")
        saved("restore", "latest", "--target", f"out{number}")

        assert list((tmp_path / f"out{number}").rglob("file"))
        assert not (tmp_path / f"out{number}/src").exists()


def test_a_time_that_is_none(saved):
    """It is refused before anything is read."""
    done = saved("backup", "src", "--time", "yesterday")

    assert done.code == 2
    assert "'yesterday' is no time such as" in done.err
    assert len(listed(saved)) == 2


def test_stdin(repo, tmp_path, monkeypatch):
    """What comes in is one file of the snapshot."""
    for words, path in (((), "stdin"), (("--stdin-filename", "db/dump"), "db/dump")):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"rows")))

        done = repo("backup", "--stdin", *words)

        assert done.code == 0, done.err
        assert listed(repo)[-1]["paths"] == [f"/{path}"]
        repo("restore", "latest", "--target", "out")
        assert (tmp_path / "out" / path).read_bytes() == b"rows"


@pytest.mark.parametrize("words", [(), ("--stdin", "src")], ids=["none", "both"])
def test_nothing_or_two_things(saved, words):
    """It is not guessed what is meant."""
    done = saved("backup", *words)

    assert done.code == 2
    assert len(listed(saved)) == 2


# --- snapshots ----------------------------------------------------------------------------


def test_snapshots(saved, tmp_path):
    """A line for each, the oldest first."""
    done = saved("snapshots")

    header, first, second, count = done.out.splitlines()
    assert header.split() == ["ID", "TIME", "HOST", "TAGS", "PATHS", "SIZE"]
    assert "a,b" in first
    assert "elsewhere" in second
    assert first.endswith(f"{tmp_path}/src   10 B")
    assert count == "2 snapshots"


def test_snapshots_compact(saved):
    """Without what is long."""
    header = saved("snapshots", "--compact").out.splitlines()[0]

    assert header.split() == ["ID", "TIME", "HOST", "TAGS"]


def test_snapshots_json(saved, tmp_path):
    """What restic has of each, with both its names."""
    first, second = listed(saved)

    assert first["short_id"] == first["id"][:8]
    assert (tmp_path / "r/snapshots" / first["id"]).is_file()
    assert first["paths"] == [str(tmp_path / "src")]
    assert first["tags"] == ["a", "b"]
    assert "tags" not in second
    assert second["hostname"] == "elsewhere"
    assert {"time", "tree", "username"} <= first.keys()
    assert first["summary"]["total_files_processed"] == 2


@pytest.mark.parametrize(
    ("options", "which"),
    [
        (("--host", "elsewhere"), [1]),
        (("-H", "elsewhere"), [1]),
        (("--tag", "a,b"), [0]),
        (("--tag", "a,c"), []),
        (("--tag", "a,c", "--tag", "b"), [0]),
        (("--tag", ""), [1]),
        (("--path", "src"), [0, 1]),
        (("--path", "other"), []),
        (("--latest", "1"), [0, 1]),
        (("--latest", "1", "--group-by", "paths"), [1]),
        (("--latest", "1", "--group-by", ""), [1]),
    ],
)
def test_snapshots_that_are_chosen(saved, options, which):
    """By host, tags and paths, and the newest of each series."""
    known = [each["id"] for each in listed(saved)]

    found = listed(saved, *options)

    if "--group-by" in options:
        found = [snapshot for each in found for snapshot in each["snapshots"]]
    assert [each["id"] for each in found] == [known[number] for number in which]


def test_snapshots_by_series(saved):
    """A table for each, headed by what they have in common."""
    done = saved("snapshots", "--group-by", "host")

    assert "Snapshots of host [elsewhere]:" in done.out
    assert done.out.count("1 snapshot\n") == 2
    group, _ = json.loads(saved("snapshots", "-g", "host", "--json").out)
    assert group["group_key"] == {"hostname": "elsewhere", "paths": None, "tags": None}


def test_snapshots_by_id(saved):
    """Those that are there are listed, each that is not is told."""
    first = listed(saved)[0]

    done = saved("snapshots", first["short_id"], "0f0f0f0f0f", "--json")

    assert [each["id"] for each in json.loads(done.out)] == [first["id"]]
    assert done.code == 1
    assert "'0f0f0f0f0f': no such snapshot" in done.err
    assert saved("snapshots", "0f0f0f0f0f").out == ""


def test_no_snapshots(repo):
    """An empty repository is no failure, and what to do is said."""
    done = repo("snapshots")

    assert done.code == 0
    assert done.out == "0 snapshots\n"
    assert done.next == "Next: kbackup repo backup PATH"
    assert listed(repo) == []


# --- restore ------------------------------------------------------------------------------


def test_restore(saved, tmp_path):
    """Everything is there again, and the second time nothing is written."""
    done = saved("restore", "latest", "--target", "out")

    assert done.code == 0
    assert done.out == "Restored 2 files, 10 B (10 B written), to out\n"
    assert (tmp_path / "out/src/sub/other").read_text() == "there"
    assert stat.S_ISDIR((tmp_path / "out/src/sub").stat().st_mode)
    again = saved("restore", listed(saved)[0]["short_id"], "-t", "out")
    assert again.out == "Restored 2 files, 10 B (0 B written), to out\n"


@pytest.mark.parametrize(
    "options", [("--tag", "a"), ("--host", os.uname().nodename)], ids=["tag", "host"]
)
def test_restore_the_latest_of_some(saved, tmp_path, options):
    """The filters say among which the latest is looked for."""
    (tmp_path / "src/file").write_text("newer")
    saved("backup", "src", "-H", "elsewhere")

    saved("restore", "latest", "--target", "out", *options)

    assert (tmp_path / "out/src/file").read_text() == "hello"
    none = saved("restore", "latest", "--target", "out", "--tag", "nobody's")
    assert none.code == 1
    assert "0 snapshots to choose from" in none.err


def test_restore_json(saved, monkeypatch):
    """Status lines, and last what it restored."""
    monkeypatch.setattr("kbackup.cli._repo._progress._EVERY", -1)

    done = saved("restore", "latest", "--target", "out", "--json")

    *statuses, summary = map(json.loads, done.out.splitlines())
    assert statuses[-1]["percent_done"] == 1.0
    assert statuses[-1]["total_bytes"] == statuses[-1]["bytes_restored"] == 10
    assert summary == {
        "message_type": "summary",
        "seconds_elapsed": 0,
        "total_files": 2,
        "files_restored": 2,
        "total_bytes": 10,
        "bytes_restored": 10,
    }


def test_restore_where_something_is_in_the_way(saved, tmp_path):
    """All else is restored, what was not is named, and the exit code is restic's 1."""
    (tmp_path / "out/src/file").mkdir(parents=True)

    done = saved("restore", "latest", "--target", "out")
    program = saved("restore", "latest", "--target", "out", "--json")

    assert (done.code, program.code) == (1, 1)
    assert "warning: src/file: " in done.err
    assert "1 thing could not be restored" in done.out
    assert json.loads(program.err)["item"] == "src/file"
    assert (tmp_path / "out/src/sub/other").is_file()


def test_restore_to_what_is_no_directory(saved, tmp_path):
    """A file in its place is left alone."""
    (tmp_path / "out").write_text("mine")

    done = saved("restore", "latest", "--target", "out")

    assert done.code == 2
    assert (tmp_path / "out").read_text() == "mine"


def test_restore_without_a_target(saved):
    """As restic, it restores nowhere that was not named."""
    done = saved("restore", "latest")

    assert done.code == 2
    assert "Missing option '-t' / '--target'" in done.err
