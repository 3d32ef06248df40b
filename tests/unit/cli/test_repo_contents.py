"""What the verbs print of the library's answers, and which questions they ask of it.

The answers are given here: what they are is for the tests of the repository.
"""

import io
import json
import os
from types import SimpleNamespace

import pytest

from kbackup.cli import _asking
from kbackup.errors import IntegrityError
from kbackup.repository import Progress, Repository, SnapshotFilter

TIMES = dict.fromkeys(("mtime", "atime", "ctime"), "2020-01-02T03:04:05.678Z")


def node(kind, **given):
    """A node of a tree."""
    values = {"type": kind, "mode": 0o644, "posix_mode": 0o644, "size": 0, "tree": b""}
    values |= {"uid": 1, "gid": 2, "user": "till", "group": "staff", **TIMES}
    return SimpleNamespace(**values | given)


def entry(path, kind="file", **given):
    """Something in a snapshot."""
    return SimpleNamespace(path=path, node=node(kind, **given))


@pytest.fixture(name="answers")
def fixture_answers(monkeypatch):
    """A function: makes a method of repositories give an answer; returns its calls."""

    def answer(name, value):
        calls = []

        def method(self, *given, **named):
            named.get("told", lambda _: None)(Progress("check", 1, 2))
            calls.append((given, {k: v for k, v in named.items() if k != "told"}))
            return value(*given) if callable(value) else value

        monkeypatch.setattr(Repository, name, method, raising=False)
        return calls

    return answer


def latest(repo):
    """Return the newest snapshot as JSON has it."""
    return json.loads(repo("snapshots", "--json").out)[-1]


# --- ls and find ----------------------------------------------------------------------------


BELOW = [entry(b"src", "dir"), entry(b"src/sub", "dir"), entry(b"src/sub/file")]


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        ((), ["/src", "/src/sub", "/src/sub/file"]),
        (("/src",), ["/src", "/src/sub"]),
        (("src/sub/", "/"), ["/src/sub", "/src/sub/file", "/src"]),
        (("/src", "--recursive"), ["/src", "/src/sub", "/src/sub/file"]),
    ],
    ids=["all", "one", "two", "recursive"],
)
def test_ls(saved, answers, words, printed):
    """A path in a line, whole from the snapshot's root; of directories what is in them."""
    calls = answers("ls", BELOW)

    done = saved("ls", "latest", *words)

    assert done.out.splitlines() == printed
    places = [word for word in words if not word.startswith("--")]
    assert [given[1] for given, _ in calls] == (places or [""])
    assert {given[0].id.hex() for given, _ in calls} == {latest(saved)["id"]}


def test_ls_long(saved, answers):
    """Permissions, owner, size and time before it."""
    answers("ls", [entry(b"src", "dir", posix_mode=0o755), entry(b"f", size=12)])

    first, second = saved("ls", "-l", "latest").out.splitlines()

    assert first.startswith("drwxr-xr-x     1     2 ")
    assert second.split()[3:] == ["12", "2020-01-02", "03:04:05", "/f"]


def test_ls_json(saved, answers):
    """The snapshot, then a node in a line, as restic's."""
    answers("ls", [entry(b"src/f", size=12), entry(b"src", "dir")])

    snapshot, file, directory = map(
        json.loads, saved("ls", "latest", "--json").out.splitlines()
    )

    assert snapshot["message_type"] == snapshot["struct_type"] == "snapshot"
    assert snapshot["id"] == latest(saved)["id"]
    assert file == TIMES | {
        "name": "f",
        "type": "file",
        "path": "/src/f",
        "uid": 1,
        "gid": 2,
        "size": 12,
        "mode": 0o644,
        "permissions": "-rw-r--r--",
        "message_type": "node",
        "struct_type": "node",
    }
    assert "size" not in directory


def test_names_that_command_no_terminal(saved, answers):
    """A name in a snapshot may be anybody's; it is shown, not obeyed."""
    answers("ls", [entry(b"\x1b[2J\xff")])

    assert saved("ls", "latest").out == "/\\u001b[2J\\udcff\n"


def test_find(saved, answers):
    """What was found, snapshot by snapshot."""
    snapshot, other = Repository.open("r", "correct horse").list()
    matches = [
        SimpleNamespace(snapshot=each, path=path, node=node("file", size=3))
        for each, path in ((snapshot, b"a"), (snapshot, b"b"), (other, b"a"))
    ]
    calls = answers("find", lambda *_: iter(matches))

    done = saved("find", "a", "b*", "-i", "-s", "0f", "--host", "till")
    program = saved("find", "a", "--json")

    first, *paths = done.out.splitlines()
    assert first.startswith(f"In snapshot {snapshot.id.hex()[:8]} of ")
    assert paths[:2] == ["/a", "/b"]
    assert calls[0] == (
        (("a", "b*"),),
        {
            "ignore_case": True,
            "snapshots": ("0f",),
            "filter": SnapshotFilter(hosts=("till",)),
        },
    )
    one, two = json.loads(program.out)
    assert [each["path"] for each in one["matches"]] == ["/a", "/b"]
    assert (one["hits"], one["snapshot"]) == (2, snapshot.id.hex())
    assert two["hits"] == 1


# --- restore and dump -----------------------------------------------------------------------


def test_restore_what_lies_in_a_directory(saved, answers, tmp_path):
    """``latest:src/sub`` restores what is in it, without the path to it."""
    tree = bytes.fromhex(latest(saved)["tree"])
    answers("ls", [entry(b"src", "dir"), entry(b"src/sub", "dir", tree=tree)])

    done = saved("restore", "latest:/src/sub/", "--target", "out")

    assert done.code == 0, done.err
    assert (tmp_path / "out/src/file").is_file()  # by the tree that was answered


def test_restore_a_directory_that_is_not_there(saved, answers):
    """Of a file nothing lies in it either."""
    answers("ls", [entry(b"src/file")])

    done = saved("restore", "latest:src/file", "--target", "out")

    assert done.code == 1
    assert "'latest:src/file': no such snapshot: it has no such directory" in done.err


def test_dump(saved, answers, tmp_path):
    """The bytes go to the file that is named."""
    calls = answers("dump", lambda snapshot, path, stream: stream.write(b"\x00\xff"))

    assert saved("dump", "latest", "src/file", "--target", "out").code == 0
    assert saved("dump", "latest", "src", "--archive", "zip", "-t", "out").code == 0

    assert (tmp_path / "out").read_bytes() == b"\x00\xff"
    assert [given[1] for given, _ in calls] == ["src/file", "src"]
    assert [named["archive"] for _, named in calls] == ["tar", "zip"]


def test_dump_to_stdout(saved, answers, monkeypatch):
    """The bytes and nothing else."""
    answers("dump", lambda snapshot, path, stream: stream.write(b"\x00\xff"))
    out = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr("sys.stdout", out)

    assert saved("dump", "latest", "src/file").code == 0

    assert out.buffer.getvalue() == b"\x00\xff"


# --- diff and stats -------------------------------------------------------------------------


def counted(**given):
    """What is on one side only."""
    names = ("files", "dirs", "others", "data_blobs", "tree_blobs", "bytes")
    return SimpleNamespace(**dict.fromkeys(names, 0) | given)


def test_diff(saved, answers):
    """A change in a line, and the sums."""
    changes = [
        SimpleNamespace(path=b"src/f", kind="+"),
        SimpleNamespace(path=b"x", kind="M"),
        SimpleNamespace(path=b"y", kind="U"),
    ]
    difference = SimpleNamespace(
        changes=changes,
        added=counted(files=1, bytes=2048, data_blobs=2, tree_blobs=1),
        removed=counted(),
        changed_files=1,
    )
    calls = answers("diff", difference)

    done, program = saved("diff", "0f", "latest"), saved("diff", "0f", "aa", "--json")

    assert calls[0] == (("0f", "latest"), {})
    assert done.out.splitlines() == [
        "+    /src/f",
        "M    /x",
        "Changed: 1 files",
        "Added: 1 files, 0 directories, 0 others, 3 blobs, 2.000 KiB",
        "Removed: 0 files, 0 directories, 0 others, 0 blobs, 0 B",
    ]
    assert "U    /y" in saved("diff", "0f", "latest", "--metadata").out
    change, _, statistics = map(json.loads, program.out.splitlines())
    assert change == {"message_type": "change", "path": "/src/f", "modifier": "+"}
    assert statistics["message_type"] == "statistics"
    assert statistics["added"]["bytes"] == 2048
    assert statistics["target_snapshot"] == "aa"


STATS = SimpleNamespace(
    snapshots=2, files=3, blobs=4, bytes=4096, raw_bytes=2048, compression_ratio=2.0
)


@pytest.mark.parametrize(
    ("mode", "content"),
    [
        ("restore-size", {"total_size": 4096, "total_file_count": 3}),
        ("files-by-contents", {"total_size": 4096, "total_file_count": 3}),
        (
            "blobs-per-file",
            {"total_size": 4096, "total_file_count": 3, "total_blob_count": 4},
        ),
        (
            "raw-data",
            {
                "total_size": 2048,
                "total_uncompressed_size": 4096,
                "compression_ratio": 2.0,
                "total_blob_count": 4,
            },
        ),
    ],
)
def test_stats(saved, answers, mode, content):
    """What the mode counts, and nothing that it does not."""
    calls = answers("stats", STATS)

    done = saved("stats", "--mode", mode, "0f", "--tag", "a")
    program = saved("stats", "--mode", mode, "--json")

    assert calls[0][0] == (mode,)
    assert calls[0][1]["snapshots"] == ("0f",)
    assert calls[0][1]["filter"] == SnapshotFilter(tags=[["a"]])
    assert json.loads(program.out) == content | {"snapshots_count": 2}
    assert "Size" in done.out
    assert ("2.000 KiB" in done.out) is (mode == "raw-data")


# --- check, repair-index --------------------------------------------------------------------


def finding(thing, reason):
    """Something that is wrong."""
    return SimpleNamespace(thing=thing, reason=reason)


def checked(errors=(), hints=()):
    """What a check found."""
    return SimpleNamespace(
        errors=list(errors),
        hints=list(hints),
        packs=2,
        blobs=5,
        bytes_read=1024,
        exit_code=1 if errors else 0,
    )


def test_check(saved, answers):
    """Everything is there."""
    calls = answers("check", checked())

    done = saved("check", "--read-data-subset", "1/3")

    assert done.code == 0
    assert done.out == "2 packs, 5 blobs, 1.000 KiB read: no errors found\n"
    assert calls == [((), {"read_data": False, "subset": "1/3"})]
    saved("check", "--read-data")
    assert calls[1] == ((), {"read_data": True, "subset": ""})


def test_check_that_finds_something(saved, answers):
    """Each error is named, the exit code is 1, and mending is next."""
    answers(
        "check", checked([finding("pack 3f2a", "damaged")], [finding("pack 77", "")])
    )

    done, program = saved("check"), saved("check", "--json")

    assert (done.code, program.code) == (1, 1)
    assert "error: pack 3f2a: damaged\nwarning: pack 77\n" in done.err
    assert "1 error found" in done.out
    assert done.next == "Next: kbackup repo repair-index"
    assert json.loads(program.out) == {
        "message_type": "summary",
        "num_errors": 1,
        "suggest_repair_index": True,
    }
    assert json.loads(program.err.splitlines()[0]) == {
        "message_type": "error",
        "message": "pack 3f2a: damaged",
    }


def test_check_of_all_and_of_a_part(saved):
    """Nobody knows which is meant."""
    assert saved("check", "--read-data", "--read-data-subset", "5%").code == 2


def test_repair_index(saved, answers):
    """How many packs came and went."""
    calls = answers("repair_index", SimpleNamespace(added=[1, 2], removed=[3]))

    done, program = (
        saved("repair-index", "--read-all-packs"),
        saved("repair-index", "--json"),
    )

    assert done.out == "Packs that came into the index: 2; that went: 1\n"
    assert done.next == "Next: kbackup repo check"
    assert json.loads(program.out) == {
        "message_type": "summary",
        "added": 2,
        "removed": 1,
    }
    assert [named["read_all_packs"] for _, named in calls] == [True, False]


# --- prune ----------------------------------------------------------------------------------


def plan(packs=1):
    """What a prune would do."""
    count = SimpleNamespace(packs=packs, blobs=2, bytes=1024)
    return SimpleNamespace(
        kept=count,
        repacked=count,
        removed=count,
        unused_bytes_before=2048,
        unused_bytes_after=0,
        is_empty=packs == 0,
    )


@pytest.fixture(name="pruning")
def fixture_pruning(answers):
    """What was asked of the library: plans, and what was done."""
    planned = plan()
    return answers("plan_prune", planned), answers("prune", planned), planned


def test_prune(saved, pruning):
    """It is shown before it is done, by exactly that plan."""
    plans, done_with, planned = pruning

    done = saved(
        *("prune", "--yes", "--max-unused", "10%", "--max-repack-size", "2M"),
    )

    assert done.code == 0
    assert done.out.splitlines() == [
        "to keep: 1 pack (2 blobs, 1.000 KiB)",
        "to write anew: 1 pack (2 blobs, 1.000 KiB)",
        "to remove: 1 pack (2 blobs, 1.000 KiB)",
        "unused: 2.000 KiB, then 0 B",
        "Removed 1 pack (2 blobs, 1.000 KiB), wrote 1 pack (2 blobs, 1.000 KiB) anew",
    ]
    assert plans == [((), {"max_unused": "10%", "max_repack": 2 * 1024 * 1024})]
    assert done_with == [((planned,), {})]


@pytest.mark.parametrize("answer", ["y", "n"])
def test_prune_asks(saved, pruning, monkeypatch, answer):
    """Only a yes prunes."""
    _, done_with, _ = pruning
    monkeypatch.setattr(_asking, "is_terminal", lambda _: True)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: answer)

    done = saved("prune")

    assert done.code == (0 if answer == "y" else 1)
    assert len(done_with) == (1 if answer == "y" else 0)


def test_prune_where_nobody_can_answer(saved, pruning):
    """Nothing goes."""
    done = saved("prune")

    assert done.code == 2
    assert pruning[1] == []


def test_prune_dry_run(saved, pruning):
    """It is shown alone, also to programs."""
    done = saved("prune", "--dry-run", "--json")

    content = json.loads(done.out)
    assert content["removed"] == {"packs": 1, "blobs": 2, "bytes": 1024}
    assert content["dry_run"] is True
    assert pruning[1] == []
    assert saved("prune", "-n").code == 0


def test_nothing_to_prune(saved, answers):
    """Nobody is asked about nothing."""
    answers("plan_prune", plan(0))
    pruned = answers("prune", plan(0))

    assert saved("prune", "--yes").out == "Nothing to prune\n"
    assert pruned == []


@pytest.mark.parametrize(
    ("text", "size"), [("7", 7), ("1k", 1024), ("3G", 3 << 30), ("2TB", 2 << 40)]
)
def test_sizes(saved, pruning, text, size):
    """As restic reads them."""
    saved("prune", "-n", "--max-repack-size", text)

    assert pruning[0][0][1]["max_repack"] == size


def test_a_size_that_is_none(saved, pruning):
    """It is refused."""
    assert saved("prune", "-n", "--max-repack-size", "many").code == 2


def test_forget_and_prune(saved, pruning):
    """What the snapshots leave goes at once, without a second question."""
    plans, done_with, planned = pruning

    done = saved("forget", "--keep-last", "1", "-g", "", "--prune", "--yes")
    again = saved("forget", "--keep-last", "1", "-g", "", "--prune", "--yes")

    assert done.code == 0
    assert "Removed 1 snapshot\nto keep: " in done.out
    assert "to keep: " not in again.out  # nothing had gone
    assert done_with == [((planned,), {})]
    assert plans == [((), {"max_unused": "5%", "max_repack": None})]


def test_forget_and_prune_dry_run(saved, pruning):
    """The snapshots are still there, so what prune would do cannot be shown."""
    done = saved("forget", "--keep-last", "1", "-g", "", "--prune", "-n")

    assert done.code == 0
    assert "once the snapshots have gone" in done.err
    assert pruning == ([], [], pruning[2])


# --- copy -----------------------------------------------------------------------------------


@pytest.fixture(name="second")
def fixture_second(saved, tmp_path):
    """Another repository beside the first one, with a password of its own."""
    (tmp_path / "other").write_text("battery staple")
    assert saved("init", "--repo", "r2", "-p", "other").code == 0
    return "r2"


@pytest.mark.parametrize("by", ["options", "variables"])
def test_copy(saved, answers, second, monkeypatch, by):
    """Snapshots of the other one into this one, each told."""
    one, two = Repository.open("r", "correct horse").list()
    copied = [
        SimpleNamespace(snapshot=one, new=two, is_there=False),
        SimpleNamespace(snapshot=two, new=None, is_there=True),
    ]
    seen = []

    def answer(target):
        seen.append(target.id)
        return copied

    calls = answers("copy", answer)
    words = ["--from-repo", "r", "--from-password-command", "echo correct horse"]
    if by == "variables":
        monkeypatch.setenv("KBACKUP_FROM_REPOSITORY", "r")
        monkeypatch.setenv("KBACKUP_FROM_REPO_PASSWORD", "correct horse")
        words = []
    into = ("--repo", second, "-p", "other")

    done = saved("copy", "0f", *words, *into, "--tag", "a")
    program = saved("copy", *words, *into, "--json")

    assert done.code == 0, done.err
    names = [each.id.hex()[:8] for each in (one, two)]
    assert done.out.splitlines() == [
        f"{names[0]} is {names[1]} now",
        f"{names[1]} is there already",
        "Copied 1 snapshot; 1 there already",
    ]
    with Repository.open("r2", "battery staple") as target:
        assert set(seen) == {target.id}
    assert calls[0][1]["snapshots"] == ("0f",)
    assert calls[0][1]["filter"] == SnapshotFilter(tags=[["a"]])
    assert [json.loads(x)["there"] for x in program.out.splitlines()] == [False, True]


def test_copy_from_nowhere(saved):
    """The variable that would say it is the other one."""
    done = saved("copy")

    assert done.code == 2
    assert "KBACKUP_FROM_REPOSITORY" in done.err


# --- damage ---------------------------------------------------------------------------------


def test_what_is_damaged_ends_a_verb(saved, monkeypatch):
    """The fact, and what looks for more."""

    def damaged(self, *_, **__):
        raise IntegrityError("tree 3f2a", "it is no tree")

    monkeypatch.setattr(Repository, "ls", damaged, raising=False)

    done = saved("ls", "latest")

    assert done.code == 1
    assert "Error: tree 3f2a: damaged: it is no tree" in done.err
    assert done.next == "Next: kbackup repo check"
    assert not os.listdir("r/locks")  # noqa: PTH208
