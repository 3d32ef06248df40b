"""What snapshots have in them: listed, found, dumped, restored in part, compared, counted."""

import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import click
import pytest

from kbackup.cli import _asking
from kbackup.cli._repo._restore import require_meant
from kbackup.cli._repo._shapes import go_permissions
from kbackup.repository import Patterns, Repository, Selection

PASSWORD = "correct horse"


def snapshots(repo):
    """Return the snapshots as JSON has them."""
    return json.loads(repo("snapshots", "--json").out)


# --- ls and find ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        ((), ["/src", "/src/file", "/src/sub", "/src/sub/other"]),
        (("/src",), ["/src", "/src/file", "/src/sub"]),
        (("src/sub/", "/"), ["/src", "/src/sub", "/src/sub/other"]),
        (
            ("/src", "--recursive"),
            ["/src", "/src/file", "/src/sub", "/src/sub/other"],
        ),
        (("/src/file",), ["/src/file"]),
    ],
    ids=["all", "one", "two", "recursive", "file"],
)
def test_ls(saved, words, printed):
    """A path in a line, whole from the snapshot's root; of directories what is in them."""
    done = saved("ls", "latest", *words)

    assert done.code == 0
    assert done.out.splitlines() == printed


def test_ls_from_a_directory_on(saved):
    """As restic: paths are those from there."""
    assert saved("ls", "latest:src/sub").out == "/other\n"
    assert saved("ls", "latest:src/nope").code == 1


def test_ls_of_what_is_not_there(saved):
    """What is there is listed, and the other told."""
    done = saved("ls", "latest", "src/sub", "nope")

    assert done.code == 1
    assert done.out.splitlines() == ["/src/sub", "/src/sub/other"]
    assert "nope: no such path in the snapshot" in done.err
    newest = snapshots(saved)[-1]["short_id"]
    assert done.next == f"Next: kbackup repo ls {newest} /"


def test_ls_of_the_latest_of_some(saved, tmp_path):
    """The filters say among which the latest is looked for."""
    (tmp_path / "src/new").touch()
    saved("backup", "src", "--tag", "later")

    assert "/src/new" in saved("ls", "latest").out
    assert "/src/new" not in saved("ls", "latest", "--tag", "a").out


def test_ls_long(saved, tmp_path):
    """Permissions, owner, size and time before it."""
    (tmp_path / "src/file").chmod(0o640)
    os.utime(tmp_path / "src/file", (1577934245, 1577934245))
    saved("backup", "src")

    directory, file, *_ = saved("ls", "-l", "latest").out.splitlines()

    assert directory.startswith("drwx")
    assert file.split() == [
        *("-rw-r-----", str(os.getuid()), str(os.getgid()), "5"),
        *("2020-01-02", "03:04:05", "/src/file"),
    ]


def test_ls_json(saved):
    """The snapshot, then a node in a line, as restic's."""
    snapshot, directory, file, *_ = map(
        json.loads, saved("ls", "latest", "--json").out.splitlines()
    )

    assert snapshot["message_type"] == snapshot["struct_type"] == "snapshot"
    assert snapshot["id"] == snapshots(saved)[-1]["id"]
    assert {
        "name": "file",
        "type": "file",
        "path": "/src/file",
        "uid": os.getuid(),
        "size": 5,
        "permissions": "-rw-r--r--",
        "message_type": "node",
        "struct_type": "node",
    }.items() <= file.items()
    assert {"gid", "mode", "mtime", "atime", "ctime"} <= file.keys()
    assert "size" not in directory


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        (0o640, "-rw-r-----"),
        (1 << 31 | 0o755, "drwxr-xr-x"),
        (1 << 27 | 0o777, "Lrwxrwxrwx"),
        (1 << 26 | 1 << 21 | 0o600, "Dcrw-------"),
        (1 << 31 | 1 << 20 | 0o777, "dtrwxrwxrwx"),
    ],
    ids=["file", "directory", "symlink", "character device", "sticky"],
)
def test_permissions_for_programs(mode, text):
    """As Go writes them, and so restic."""
    assert go_permissions(mode) == text


def test_names_that_command_no_terminal(repo, tmp_path):
    """A name in a snapshot may be anybody's; it is shown, not obeyed."""
    (tmp_path / "src").mkdir()
    name = os.fsencode(tmp_path / "src") + b"/\x1b[2J\xff"
    with open(name, "w"):  # noqa: PTH123 - the name is no text
        pass
    repo("backup", "src")

    for words in (("ls", "latest"), ("find", "*J*"), ("ls", "-l", "latest")):
        assert "/src/\\u001b[2J\\udcff\n" in repo(*words).out


def test_find(saved, tmp_path):
    """What was found, snapshot by snapshot."""
    (tmp_path / "src/sub/FILE").write_text("loud")
    saved("backup", "src", "--tag", "later")
    first, second, third = (each["short_id"] for each in snapshots(saved))

    done = saved("find", "file", "oth*")
    assert done.code == 0
    lines = done.out.splitlines()
    assert [line.split()[2] for line in lines[::3]] == [first, second, third]
    assert lines[1:3] == ["/src/file", "/src/sub/other"]
    for options, count in (
        (("--ignore-case",), 4),
        (("-i", "--tag", "later"), 2),
        (("-i", "-s", third), 2),
        (("--host", "elsewhere"), 1),
    ):
        found = json.loads(saved("find", "file", "--json", *options).out)
        assert sum(each["hits"] for each in found) == count, options
    long = saved("find", "-l", "FILE").out.splitlines()[1]
    assert long.startswith("-rw-")
    assert long.endswith(" /src/sub/FILE")


def test_find_json(saved):
    """The matches of each snapshot, as restic's."""
    one, two = json.loads(saved("find", "file", "--json").out)

    assert [one["snapshot"], two["snapshot"]] == [x["id"] for x in snapshots(saved)]
    (match,) = one["matches"]
    assert match["path"] == "/src/file"
    assert "message_type" not in match


def test_nothing_is_found(saved):
    """As with restic, that is no failure."""
    assert saved("find", "nope").out == ""
    assert json.loads(saved("find", "nope", "--json").out) == []


# --- restore and dump -----------------------------------------------------------------------


@pytest.mark.parametrize("path", ["src/sub", "/src/sub/"])
def test_restore_what_lies_in_a_directory(saved, tmp_path, path):
    """Without the path to it."""
    done = saved("restore", f"latest:{path}", "--target", "out")

    assert done.code == 0, done.err
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["other"]


def test_restore_a_directory_of_the_latest_of_some(saved, tmp_path):
    """The filters choose here, too."""
    (tmp_path / "src/sub/new").touch()
    saved("backup", "src")

    saved("restore", "latest:src/sub", "--target", "out", "--tag", "a")

    assert [each.name for each in (tmp_path / "out").iterdir()] == ["other"]


@pytest.mark.parametrize("path", ["nope", "src/file"])
def test_restore_a_directory_that_is_not_there(saved, path):
    """Of a file nothing lies in it either."""
    done = saved("restore", f"latest:{path}", "--target", "out")

    assert done.code == 1
    assert "no such path in the snapshot" in done.err
    newest = snapshots(saved)[-1]["short_id"]
    assert done.next == f"Next: kbackup repo ls {newest} /"


@pytest.mark.parametrize(
    ("options", "there"),
    [
        (("--include", "/src/sub"), {"src/sub/other"}),
        (("-i", "file", "-i", "nope"), {"src/file"}),
        (("--exclude", "sub"), {"src/file"}),
        (("--include", "/src", "-e", "*ile"), {"src/sub/other"}),
        (("--include-file", "patterns"), {"src/sub/other"}),
        (("--include-file", "patterns", "-i", "file"), {"src/file", "src/sub/other"}),
        (("--exclude-file", "patterns"), {"src/file"}),
        (("--include-file", "empty"), set()),
        (("--exclude-file", "empty"), {"src/file", "src/sub/other"}),
    ],
)
def test_restore_in_part(saved, tmp_path, options, there):
    """What matches, or what does not; patterns may be the lines of a file."""
    (tmp_path / "patterns").write_text("# what lies in sub\n\nsub\n")
    (tmp_path / "empty").write_text("\n")

    assert saved("restore", "latest", "--target", "out", *options).code == 0

    out = tmp_path / "out"
    found = {str(x.relative_to(out)) for x in out.rglob("*") if x.is_file()}
    assert found == there


@pytest.fixture(name="target")
def fixture_target(saved, tmp_path):
    """A directory that was restored to, and has more by now."""
    saved("restore", "latest", "--target", "out")
    out = tmp_path / "out"
    (out / "src/mine").write_text("mine")
    (out / "mine\ntoo").mkdir()
    (out / "mine\ntoo/below").write_text("mine")
    (out / "src/file").write_text("changed")
    return out


DELETE = ("restore", "latest", "--target", "out", "--delete")


def test_restore_and_delete(saved, target):
    """What the snapshot has not is gone, and the rest is as the snapshot has it."""
    done = saved(*DELETE, "--yes")

    assert done.code == 0, done.err
    assert done.out.endswith("Removed 2 paths that the snapshot has not\n")
    assert [each.name for each in target.iterdir()] == ["src"]
    assert {each.name for each in (target / "src").iterdir()} == {"file", "sub"}
    assert (target / "src/file").read_text() != "changed"


@pytest.mark.parametrize("answer", ["y", "n"])
def test_restore_and_delete_asks(saved, target, monkeypatch, answer):
    """What would go is shown first, a line each; without a yes nothing is restored."""
    questions = []

    def prompt(question):
        questions.append(question)
        return answer

    monkeypatch.setattr(_asking, "is_terminal", lambda _: True)
    monkeypatch.setattr("click.termui.visible_prompt_func", prompt)

    done = saved(*DELETE)

    assert done.out.splitlines()[:2] == ["remove /mine\\ntoo", "remove /src/mine"]
    assert "2 paths, and all that lies below, from out for good?" in questions[0]
    assert done.code == (1 if answer == "n" else 0)
    assert (target / "src/mine").exists() is (answer == "n")
    assert ((target / "src/file").read_text() == "changed") is (answer == "n")


def test_restore_and_delete_dry_run(saved, target):
    """It is only shown, nobody is asked, and nothing is restored; programs get JSON."""
    done, program = saved(*DELETE, "-n"), saved(*DELETE, "--dry-run", "--json")

    assert (done.code, program.code) == (0, 0)
    assert done.out.splitlines() == ["remove /mine\\ntoo", "remove /src/mine"]
    told = [json.loads(line) for line in program.out.splitlines()]
    assert [each["item"] for each in told] == ["/mine\ntoo", "/src/mine"]
    assert {each["action"] for each in told} == {"deleted"}
    assert (target / "src/mine").exists()
    assert (target / "src/file").read_text() == "changed"


def test_restore_and_delete_in_part(saved, target):
    """What is not restored is not removed either; programs are told how many went."""
    done = saved(*DELETE, "--include", "/src/mine", "--yes", "--json")

    assert json.loads(done.out.splitlines()[-1])["files_deleted"] == 1
    assert not (target / "src/mine").exists()
    assert (target / "mine\ntoo/below").exists()


def test_restore_without_anything_to_delete(saved, tmp_path):
    """Nobody is asked about nothing."""
    done = saved(*DELETE, "--yes")

    assert done.code == 0
    assert "Removed" not in done.out
    assert (tmp_path / "out/src/file").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (DELETE, "there is no terminal to ask on: give --yes"),
        ((*DELETE[:-1], "--dry-run"), "--dry-run shows what --delete would remove"),
    ],
    ids=["nobody to ask", "dry run alone"],
)
def test_restore_and_delete_refused(saved, target, words, reason):
    """Before anything is written."""
    done = saved(*words)

    assert done.code == 2
    assert reason in done.err
    assert (target / "src/mine").exists()
    assert (target / "src/file").read_text() == "changed"


@pytest.mark.parametrize("root", ["/", "/usr/.."])
def test_a_whole_system_is_not_deleted(root):
    """In the root directory it has to be said what is meant, as in restic."""
    every, some = Selection(), Selection(exclude=Patterns(["/home"]))

    with pytest.raises(click.UsageError, match="in the root directory needs"):
        require_meant(Path(root), every, delete=True, dry_run=False)

    require_meant(Path(root), some, delete=True, dry_run=False)
    require_meant(Path(root), every, delete=False, dry_run=False)
    require_meant(Path("/usr"), every, delete=True, dry_run=False)


def test_nothing_is_said_by_an_empty_exclude(saved):
    """It does not stand for what is meant in the root directory."""
    words = ("--target", "/", "--delete", "--dry-run", "--exclude", "")

    assert saved("restore", "latest", *words).code == 2


@pytest.fixture(name="dumped")
def fixture_dumped(saved, monkeypatch):
    """A function: dumps to stdout and returns the bytes."""

    def dump(*words):
        out = io.TextIOWrapper(io.BytesIO())
        with monkeypatch.context() as patched:
            patched.setattr("sys.stdout", out)
            done = saved("dump", *words)
        assert done.code == 0, done.err
        return out.buffer.getvalue()

    return dump


def test_dump(dumped, saved, tmp_path):
    """The bytes of a file and nothing else, to stdout or to the file that is named."""
    assert dumped("latest", "src/file") == b"hello"

    assert saved("dump", "latest:src", "sub/other", "--target", "out").code == 0
    assert (tmp_path / "out").read_bytes() == b"there"


def test_dump_a_directory(dumped):
    """As an archive of the kind that is asked for."""
    with tarfile.open(fileobj=io.BytesIO(dumped("latest", "src"))) as tar:
        assert {name.rpartition("/")[2] for name in tar.getnames()} >= {"file", "other"}
    with zipfile.ZipFile(io.BytesIO(dumped("latest", "/", "--archive", "zip"))) as file:
        assert file.read("src/file") == b"hello"


# --- diff and stats -------------------------------------------------------------------------


def test_a_name_is_one_line(repo, tmp_path):
    """Of a name with a line end the rest looks like no other name."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a\nb").touch()
    repo("backup", "src")
    (tmp_path / "src/a\nb").rename(tmp_path / "src/c\nd")
    repo("backup", "src")

    listed = repo("ls", "latest").out.splitlines()
    found = repo("find", "c*").out.splitlines()
    changed = repo("diff", "latest~1", "latest").out.splitlines()

    assert listed == ["/src", "/src/c\\nd"]
    assert found[1:] == ["/src/c\\nd"]
    assert [line for line in changed if line.startswith(("+", "-"))] == [
        "-    /src/a\\nb",
        "+    /src/c\\nd",
    ]


@pytest.fixture(name="changed")
def fixture_changed(saved, tmp_path):
    """A third snapshot, in which something came, went and changed."""
    (tmp_path / "src/sub/other").unlink()
    (tmp_path / "src/file").write_text("another")
    (tmp_path / "src/new").mkdir()
    (tmp_path / "src/new/one").write_bytes(bytes(2048))
    saved("backup", "src")
    return saved


def test_diff(changed):
    """A change in a line, and the sums."""
    first = snapshots(changed)[0]["short_id"]

    done = changed("diff", first, "latest")

    assert done.code == 0
    *changes, counted, added, removed = done.out.splitlines()
    assert changes == [
        "M    /src/file",
        "+    /src/new/",
        "+    /src/new/one",
        "-    /src/sub/other",
    ]
    assert counted == "Changed: 1 file"
    assert added.startswith("Added: 1 file, 1 directory, 0 others, ")
    assert removed.startswith("Removed: 1 file, 0 directories, 0 others, ")
    more = changed("diff", "--metadata", first, "latest").out.splitlines()
    assert "U    /src/sub/" in more


def test_diff_json(changed):
    """Each change, and last the sums, as restic's."""
    first = snapshots(changed)[0]["id"]

    done = changed("diff", first, "latest", "--json")

    *changes, last = map(json.loads, done.out.splitlines())
    assert changes[1] == {
        "message_type": "change",
        "path": "/src/new/",
        "modifier": "+",
    }
    assert last["message_type"] == "statistics"
    assert (last["source_snapshot"], last["target_snapshot"]) == (first, "latest")
    assert last["changed_files"] == 1
    assert (last["added"]["files"], last["added"]["dirs"]) == (1, 1)
    assert last["removed"]["files"] == 1


@pytest.mark.parametrize(
    ("mode", "content"),
    [
        ("restore-size", {"total_size": 20, "total_file_count": 8}),
        ("files-by-contents", {"total_size": 10, "total_file_count": 2}),
    ],
)
def test_stats(saved, mode, content):
    """What the mode counts, of all snapshots or of those that are chosen."""
    program = json.loads(saved("stats", "--mode", mode, "--json").out)

    assert program == content | {"snapshots_count": 2}
    done = saved("stats", "--mode", mode, snapshots(saved)[0]["id"], "--json")
    assert json.loads(done.out)["snapshots_count"] == 1
    done = saved("stats", "--mode", mode, "--tag", "a", "--json")
    assert json.loads(done.out)["snapshots_count"] == 1


def test_stats_of_what_is_stored(saved):
    """In words and for programs."""
    program = json.loads(saved("stats", "--mode", "raw-data", "--json").out)
    done = saved("stats", "--mode", "raw-data")

    assert program.keys() == {
        "total_size",
        "total_uncompressed_size",
        "compression_ratio",
        "total_blob_count",
        "snapshots_count",
    }
    assert program["total_blob_count"] > 2
    lines = dict(line.split(None, 1) for line in done.out.splitlines())
    assert lines["Snapshots"] == "2"
    assert lines["Blobs"] == str(program["total_blob_count"])
    assert "Files" in saved("stats").out


# --- what is left out -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        (("-e", "sub"), {"/src/sub", "/src/sub/other"}),
        (("--exclude", "fi*", "-e", "other"), {"/src/file", "/src/sub/other"}),
        (("--iexclude", "OTHER"), {"/src/sub/other"}),
        (("--exclude-file", "patterns"), {"/src/sub", "/src/sub/other"}),
        (("--iexclude-file", "loud"), {"/src/sub", "/src/sub/other"}),
        (("--exclude-caches",), {"/src/sub/other"}),
        (("--exclude-if-present", "CACHEDIR.TAG:Sig"), {"/src/sub/other"}),
        (("--exclude-if-present", "CACHEDIR.TAG:no"), set()),
        (("--exclude-larger-than", "3"), {"/src/file", "/src/sub/other"}),
        (("--exclude-larger-than", "1k"), set()),
    ],
)
def test_what_is_left_out(saved, tmp_path, options, gone):
    """By name, by a file that marks a directory, or by size; a snapshot keeps the patterns."""
    (tmp_path / "patterns").write_text("# not these\nsub\n")
    (tmp_path / "loud").write_text("SUB\n")
    (tmp_path / "src/sub/CACHEDIR.TAG").write_text(
        "Signature: 8a477f597d28d172789f06886806bc55"
    )

    done = saved("backup", "src", *options)

    assert done.code == 0, done.err
    listed = set(saved("ls", "latest").out.splitlines()) - {"/src/sub/CACHEDIR.TAG"}
    assert {"/src", "/src/file", "/src/sub", "/src/sub/other"} - listed == gone


def test_the_snapshot_names_what_was_left_out(saved):
    """As restic's does."""
    saved("backup", "src", "-e", "a", "--iexclude", "b")

    assert snapshots(saved)[-1]["excludes"] == ["a", "b"]


def test_a_pattern_that_is_none(saved):
    """It is refused, and nothing is saved."""
    done = saved("backup", "src", "-e", "[a")

    assert done.code == 2
    assert "'[a' is no pattern" in done.err
    assert len(snapshots(saved)) == 2


# --- damage ---------------------------------------------------------------------------------


def test_what_is_damaged_ends_a_verb(saved, tmp_path):
    """The fact, and what looks for more; no lock is left."""
    for path in (tmp_path / "r/data").rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(bytes(path.stat().st_size))

    done = saved("ls", "latest")

    assert done.code == 1
    assert done.next == "Next: kbackup repo check"
    assert list((tmp_path / "r/locks").iterdir()) == []
    with Repository.open(tmp_path / "r", PASSWORD) as repository:
        assert len(repository.list()) == 2
