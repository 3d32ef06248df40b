"""Stock restic reads what `kbackup repo` makes, and the same flags mean the same."""

import json
import os
import subprocess
import sys

import pytest
from botocore.session import Session

from kbackup.cli._app import run
from kbackup.repository import ScryptParameters
from moto_s3 import running_s3
from stock_restic import StockRestic

PASSWORD = "geheim"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where the repository is, for both programs; here are the files that are saved."""
    monkeypatch.chdir(tmp_path)
    cheap = ScryptParameters(n=2, r=1, p=1)
    for module in ("_repository", "_keyring"):
        monkeypatch.setattr(f"kbackup.repository.{module}.calibrated", lambda: cheap)
    monkeypatch.setenv("KBACKUP_REPOSITORY", "r")
    monkeypatch.setenv("KBACKUP_REPO_PASSWORD", PASSWORD)
    (tmp_path / "src/sub").mkdir(parents=True)
    (tmp_path / "src/file").write_text("hello")
    (tmp_path / "src/sub/other").write_bytes(os.urandom(2_000_000))
    return tmp_path


@pytest.fixture
def repo(place, capsys):
    """A function: runs ``kbackup repo`` and returns what it prints."""

    def call(*arguments, code=0):
        capsys.readouterr()
        ended = run(["repo", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert ended == code, err
        return out

    call("init")
    return call


@pytest.fixture
def restic(place, need_tool):
    """A function: runs stock restic and returns what it prints."""
    program = need_tool("restic")

    def call(*arguments, code=0):
        done = subprocess.run(
            [program, "--repo", "r", "--no-cache", *map(str, arguments)],
            env=os.environ | {"RESTIC_PASSWORD": PASSWORD},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout

    return call


def listed(program, *arguments):
    """Return the snapshots as a program tells them, less what only one of them has."""
    found = json.loads(program("snapshots", "--json", *arguments))
    if found and "group_key" in found[0]:
        return [
            (each["group_key"], [x["id"] for x in each["snapshots"]]) for each in found
        ]
    for each in found:
        for name in ("summary", "program_version"):  # not told by restic 0.14
            each.pop(name, None)
    return found


def test_restic_reads_what_was_made(repo, restic, place):
    """Every byte is there, with the tags, the host and the time that were given."""
    repo(
        *("backup", "src", "--tag", "a,b", "--tag", "c", "--host", "till"),
        *("--time", "2020-01-02 03:04:05"),
    )

    assert "no errors were found" in restic("check", "--read-data")
    restic("restore", "latest", "--target", "out")
    (snapshot,) = listed(restic)
    assert snapshot["tags"] == ["a", "b", "c"]
    assert snapshot["hostname"] == "till"
    assert snapshot["time"].startswith("2020-01-02T03:04:05")
    for name in ("file", "sub/other"):
        saved = (place / "src" / name).read_bytes()
        assert (place / "out/src" / name).read_bytes() == saved


@pytest.mark.parametrize(
    "words",
    [
        ["src"],
        ["src/sub", "src/file"],
        ["./src/../src"],
        ["../{here.name}/src", "../{here.name}/src/sub/other"],
        ["src/sub/.."],
        ["{here}/src"],
    ],
    ids=["one", "two", "down again", "up", "back", "absolute"],
)
def test_the_same_files_are_the_same_tree(repo, restic, place, words):
    """Paths are kept as restic keeps them."""
    (place / "src/sub/other").write_text("small, which both cut alike")
    words = [word.format(here=place) for word in words]
    restic("backup", *words)
    repo("backup", *words)

    one, other = listed(restic)

    names = [set(restic("ls", each["id"]).splitlines()[1:]) for each in (one, other)]
    assert names[0] == names[1]
    if words == ["src"]:  # of the others a directory above may have changed meanwhile
        assert one["tree"] == other["tree"]
    assert one["paths"] == other["paths"]
    assert other["parent"] == one["id"]


def test_both_tell_the_same(repo, restic):
    """Of snapshots of both, chosen and grouped in the same words."""
    for number, options in enumerate(
        [("--tag", "a,b"), ("--host", "x"), ("--tag", "b")]
    ):
        for hour, program in enumerate((repo, restic), 10):
            when = f"2020-01-0{number + 1} {hour}:00:00"
            program("backup", "src", "--time", when, *options)

    for options in (
        (),
        ("--tag", "a,b"),
        ("--tag", "a", "--tag", "b"),
        ("--tag", ""),
        ("--host", "x"),
        ("--path", os.path.abspath("src")),  # noqa: PTH100
        ("--latest", "1"),
        ("--group-by", "host"),
        ("--group-by", "tags", "--latest", "1"),
    ):
        ours, theirs = listed(repo, *options), listed(restic, *options)
        key = str if "--group-by" in options else lambda each: each["id"]
        assert sorted(ours, key=key) == sorted(theirs, key=key), options


def test_the_same_policy_keeps_the_same(repo, restic):
    """In one call's words, as far as restic 0.14 has them; and restic agrees it is gone."""
    for day in range(1, 10):
        repo("backup", "src", "--time", f"2020-01-0{day} 10:00:00")
    options = ("--keep-daily", "2", "--keep-weekly", "2", "--keep-within", "3d")
    words = ("forget", "--dry-run", "--json", *options)

    ours, theirs = json.loads(repo(*words)), json.loads(restic(*words))

    for one, other in zip(ours, theirs, strict=True):
        for part in ("keep", "remove"):
            assert [x["id"] for x in one[part]] == [x["id"] for x in other[part]]
        reasons = [[x["matches"] for x in each["reasons"]] for each in (one, other)]
        assert reasons[0] == reasons[1]
        assert (one["host"], one["paths"]) == (other["host"], other["paths"])
    repo("forget", "--yes", *options)
    kept = {each["id"] for each in ours[0]["keep"]}
    assert {each["id"] for each in listed(restic)} == kept


def test_both_tell_the_same_keys(repo, restic, place):
    """Each marks its own as the one in use; here that is the same."""
    (place / "new").write_text("another")
    repo("key", "add", "--new-password-file", "new", "--host", "x", "--user", "y")

    ours, theirs = (
        sorted(json.loads(program("key", "list", "--json")), key=lambda key: key["id"])
        for program in (repo, restic)
    )

    assert len(ours) == 2
    for one, other in zip(ours, theirs, strict=True):
        names = ("current", "userName", "hostName", "created")
        assert [one[name] for name in names] == [other[name] for name in names]
        assert one["id"].startswith(other["id"])  # restic 0.14 shortens it


@pytest.fixture
def two(repo, place):
    """Two snapshots, between which something came, went and changed."""
    repo("backup", "src", "--time", "2020-01-01 10:00:00")
    (place / "src/file").write_text("another")
    (place / "src/new").mkdir()
    (place / "src/new/one").write_text("new")
    (place / "src/link").symlink_to("file")
    (place / "src/sub/other").unlink()
    repo("backup", "src", "--time", "2020-01-02 10:00:00")
    return [each["id"] for each in listed(repo)]


def messages(text, *without):
    """Return what is in lines of JSON, less some members that restic 0.14 tells otherwise."""
    found = [json.loads(line) for line in text.splitlines()]
    return [{k: v for k, v in x.items() if k not in without} for x in found]


def test_both_list_the_same(two, repo, restic):
    """All of a snapshot, and directories of it; as lines and as JSON."""
    words = (("latest",), ("latest", "/src"), ("latest", "--recursive", "/src"))
    for each in words:
        assert repo("ls", *each).splitlines() == restic("ls", *each).splitlines()[1:]
    # restic 0.14 has no message_type.
    ours, theirs = (
        messages(program("ls", "latest", "--json"), "message_type")[1:]
        for program in (repo, restic)
    )
    for one, other in zip(ours, theirs, strict=True):
        assert other.items() <= one.items()


def test_both_find_the_same(two, repo, restic):
    """The same paths in the same snapshots."""
    for words in (("file",), ("FI*", "-i"), ("/src/new/*",), ("one", "-s", two[1])):
        ours, theirs = (
            {
                each["snapshot"]: [match["path"] for match in each["matches"]]
                for each in json.loads(program("find", "--json", *words))
            }
            for program in (repo, restic)
        )
        assert ours == theirs, words


def test_both_tell_the_same_differences(two, repo, restic):
    """Each change in restic's letters, and the same sums."""
    for options in ((), ("--metadata",)):
        ours, theirs = (
            program("diff", *options, *two).splitlines() for program in (repo, restic)
        )
        letters = tuple("+-MUT")
        changes = [line for line in theirs if line[:1] in letters and "/src" in line]
        assert [line for line in ours if "/src" in line] == changes
    ours, theirs = (
        messages(program("diff", "--json", *two))[-1] for program in (repo, restic)
    )
    for side in ("added", "removed"):
        assert ours[side] == theirs[side]
    assert ours["changed_files"] == theirs["changed_files"]


def test_both_count_the_same(two, repo, restic):
    """In each mode that both have."""
    for mode in ("restore-size", "files-by-contents", "raw-data"):
        ours, theirs = (
            json.loads(program("stats", "--json", "--mode", mode))
            for program in (repo, restic)
        )
        assert ours["total_size"] == theirs["total_size"], mode


def test_restic_checks_what_was_pruned_and_copied(two, repo, restic, place):
    """Every byte of both repositories, afterwards."""
    (place / "pw").write_text(PASSWORD)
    other = ("--repo", "r2", "-p", "pw")
    repo("init", *other)
    repo("copy", "--from-repo", "r", "--from-password-file", "pw", *other)
    repo("forget", "--keep-last", "1", "--prune", "--max-unused", "0", "--yes")
    repo("repair-index")

    assert "no errors were found" in restic("check", "--read-data")
    assert "no errors were found" in restic("--repo", "r2", "check", "--read-data")
    assert len(listed(restic)) == 1
    assert len(json.loads(restic("--repo", "r2", "snapshots", "--json"))) == 2
    assert "no errors found" in repo("check", "--read-data")


def test_both_leave_out_the_same(repo, restic, place):
    """By the same flags."""
    for name in ("a.log", "keep.log", "cache/x", "B.TMP", "large"):
        (place / "src" / name).parent.mkdir(exist_ok=True)
        (place / "src" / name).write_text("x" * (2000 if name == "large" else 5))
    signature = "Signature: 8a477f597d28d172789f06886806bc55"
    (place / "src/cache/CACHEDIR.TAG").write_text(signature)
    options = (
        *("-e", "*.log", "-e", "!keep.log", "--iexclude", "*.tmp"),
        *("--exclude-caches", "--exclude-larger-than", "1k"),
    )

    for program in (repo, restic):
        program("backup", "src", *options)

    names = [restic("ls", each["id"]).splitlines()[1:] for each in listed(restic)]
    assert names[0] == names[1]
    assert not {"/src/a.log", "/src/B.TMP", "/src/large"} & set(names[0])


def test_in_a_bucket(repo, place, need_tool, monkeypatch):
    """An address of a location; restic finds the same in the same prefix."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with running_s3() as server:
        client = Session().create_client(
            "s3", endpoint_url=server.url, region_name="us-east-1"
        )
        client.create_bucket(Bucket="shop")
        client.close()
        more = f"region=us-east-1&s3Url={server.url}&s3ForcePathStyle=true"
        repo("--repo", f"s3://shop/files?{more}", "init")
        repo("backup", "src", "--repo", f"s3://shop/files?{more}")
        bucket = StockRestic(
            need_tool("restic"), f"s3:{server.url}/shop/files", PASSWORD
        )

        bucket.check()
        ours = json.loads(
            repo("--repo", f"s3://shop/files?{more}", "snapshots", "--json")
        )
        assert [each["id"] for each in ours] == [
            each["id"] for each in bucket.json("snapshots")
        ]
        repo("--repo", f"s3://shop/nothing?{more}", "snapshots", code=10)


def test_lock_of_a_killed_restic(repo, restic, place, need_tool):
    """Nobody is locked out for good: it is told, and unlock removes it."""
    program = need_tool("restic")
    killing = subprocess.Popen(
        [program, "--repo", "r", "--no-cache", "backup", "--stdin"],
        env=os.environ | {"RESTIC_PASSWORD": PASSWORD},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:
        while not any("-" not in x.name for x in (place / "r/locks").iterdir()):
            assert killing.poll() is None  # until then it has another name
    finally:
        killing.kill()
        killing.wait(60)
        killing.stdin.close()

    repo("key", "remove", "0f0f0f0f0f", code=11)
    assert repo("unlock") == "Removed 1 lock\n"
    repo("key", "remove", "0f0f0f0f0f", code=1)


def test_as_a_program(place):
    """Installed it says the same, and no traceback, where there is nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "kbackup", "repo", "snapshots", "--repo", "nowhere"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 10
    assert done.stderr.splitlines() == [
        "Error: nowhere: no repository is there",
        "Next: kbackup repo init --repo nowhere",
    ]
