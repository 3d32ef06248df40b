"""Stock restic reads, checks and restores what kbackup wrote, and the other way round.

restic 0.14, which Debian has, loses the bytes of a symlink's target that are no UTF-8: it
is left out of what is compared in its own restores.
"""

import io
import json
import os
import subprocess
import tarfile
from contextlib import suppress
from datetime import timedelta

import pytest

from kbackup.errors import RepositoryLockedError, WrongPasswordError
from kbackup.repository import (
    Compression,
    DirectorySource,
    Excludes,
    Repository,
    ScryptParameters,
    TarSource,
    read_patterns,
)
from kbackup.repository._acl import acl_value
from kbackup.repository._dump import dump
from kbackup.repository._trees import load_tree
from odd_tree import make_odd_tree, seen

CHEAP = ScryptParameters(n=2, r=1, p=1)
PASSWORD = "geheim"
NO_TEXT = b"broken link"


@pytest.fixture(params=[1, 2], ids=["version 1", "version 2"])
def version(request):
    """Each version of the format."""
    return request.param


@pytest.fixture
def place(tmp_path):
    """Where the repository is."""
    return tmp_path / "repository"


@pytest.fixture
def restic(need_tool, place):
    """Runs stock restic on that repository; returns its output."""
    program = need_tool("restic")

    def run(*arguments, expect=(0,), cwd=None):
        done = subprocess.run(
            [program, "--repo", place, "--no-cache", *arguments],
            env=os.environ | {"RESTIC_PASSWORD": PASSWORD},
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=300,
            check=False,
            cwd=cwd,
        )
        assert done.returncode in expect, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def source(tmp_path):
    """A directory with everything that there can be."""
    path = tmp_path / "source"
    path.mkdir()
    make_odd_tree(path)
    return path


@pytest.fixture
def target(tmp_path):
    """Where it is restored to."""
    return tmp_path / "target"


def init(place, version, compression=Compression.AUTO):
    """Make a repository with kbackup."""
    return Repository.init(
        place,
        PASSWORD,
        version=version,
        key_parameters=CHEAP,
        compression=compression,
    )


def without_links_that_are_no_text(found):
    """What restic 0.14 can restore."""
    return {path: what for path, what in found.items() if path != NO_TEXT}


def change(source, number):
    """Make a round's backup differ from the one before."""
    (source / f"new {number}").write_bytes(os.urandom(2000 * number))
    (source / "plain").write_text(f"round {number}")
    with (source / "directory/large").open("r+b") as file:
        file.seek(number * 100_000)
        file.write(b"changed")


@pytest.mark.parametrize("compression", Compression)
def test_restic_restores_what_kbackup_saved(  # noqa: PLR0917 - fixtures
    restic, place, source, target, version, compression
):
    """Every byte is read and checked, and comes back with all that it has beside it."""
    with init(place, version, compression) as repository:
        repository.back_up(DirectorySource(source, base=source), tags=("one", "two"))

    assert "no errors were found" in restic("check", "--read-data")
    restic("restore", "latest", "--target", target)

    found = seen(target)
    assert without_links_that_are_no_text(found) == without_links_that_are_no_text(
        seen(source)
    )
    (snapshot,) = json.loads(restic("snapshots", "--json"))
    assert snapshot["tags"] == ["one", "two"]
    assert snapshot["paths"] == [str(source)]
    assert json.loads(restic("cat", "config"))["version"] == version


@pytest.mark.parametrize("compression", ["auto", "off", "max"])
def test_kbackup_restores_what_restic_saved(  # noqa: PLR0917 - fixtures
    restic, place, source, target, version, compression
):
    """With its own compression, in both versions."""
    restic("init", "--repository-version", str(version))
    options = ["--compression", compression] if version > 1 else []
    restic("backup", *options, "--tag", "one", "--host", "elsewhere", ".", cwd=source)

    with Repository.open(place, PASSWORD) as repository:
        (snapshot,) = repository.list()
        restored = repository.restore("latest", target)

    assert restored.problems == []
    assert (snapshot.tags, snapshot.hostname) == (("one",), "elsewhere")
    assert snapshot.paths == (str(source),)
    assert without_links_that_are_no_text(
        seen(target)
    ) == without_links_that_are_no_text(seen(source))


def test_the_same_directory_is_the_same_tree(restic, place, source, version):
    """Files that both cut alike are stored once: the tree has one name."""
    (source / "directory/large").unlink()  # it is cut otherwise
    (source / "directory/hole").unlink()
    (source / os.fsdecode(NO_TEXT)).unlink()
    restic("init", "--repository-version", str(version))
    restic("backup", ".", cwd=source)

    with Repository.open(place, PASSWORD) as repository:
        (before,) = repository.list()
        again = repository.back_up(DirectorySource(source, base=source), read_all=True)

    assert again.snapshot.tree == before.tree
    assert again.snapshot.summary.data_blobs == 0
    assert again.snapshot.summary.tree_blobs == 0


def test_each_goes_on_from_the_other(restic, place, source, tmp_path, version):
    """Twenty rounds in turn: each finds its parent, and all of it stays whole."""
    expected = {}
    with init(place, version) as repository:
        for number in range(1, 21):
            change(source, number)
            if number % 2:
                result = repository.back_up(DirectorySource(source, base=source))
                name = result.snapshot.id.hex()
                if number > 1:
                    assert result.snapshot.summary.files_unmodified > 5
            else:
                out = restic("backup", "--json", ".", cwd=source)
                summary = json.loads(out.splitlines()[-1])
                name = summary["snapshot_id"]
                assert summary["files_unmodified"] > 5
            expected[name] = without_links_that_are_no_text(seen(source))
        assert "no errors were found" in restic("check", "--read-data")
        for number, (name, files) in enumerate(expected.items()):
            target = tmp_path / f"target {number}"
            if number % 2:
                assert repository.restore(name, target).problems == []
            else:
                restic("restore", name, "--target", target)
            assert without_links_that_are_no_text(seen(target)) == files


def test_both_at_the_same_time(need_tool, restic, place, source, target, version):  # noqa: PLR0917 - fixtures
    """Writers do not exclude each other, and neither damages what the other wrote."""
    program = need_tool("restic")
    with init(place, version) as repository:
        for number in range(3):
            change(source, number + 1)
            running = subprocess.Popen(
                [program, "--repo", place, "--no-cache", "-q", "backup", "."],
                env=os.environ | {"RESTIC_PASSWORD": PASSWORD},
                cwd=source,
            )
            repository.back_up(DirectorySource(source, base=source))
            assert running.wait(timeout=300) == 0
        restored = repository.restore("latest", target)

    assert restored.problems == []
    assert "no errors were found" in restic("check", "--read-data")
    assert len(json.loads(restic("snapshots", "--json"))) == 6


def test_kbackup_restores_after_a_prune_of_restic(
    restic, place, source, target, version
):
    """What restic forgot and repacked is read from where it is now."""
    with init(place, version) as repository:
        for number in range(1, 4):
            change(source, number)
            repository.back_up(DirectorySource(source, base=source))
    restic("forget", "--keep-last", "1", "--prune", "--max-unused", "0")

    with Repository.open(place, PASSWORD) as repository:
        assert len(repository.list()) == 1
        assert repository.restore("latest", target).problems == []
    assert seen(target) == seen(source)


def test_locks_are_seen_by_both(restic, place, source, version):
    """Whoever works alone keeps the other one out."""
    with init(place, version) as repository, repository._locked(exclusive=True):
        restic("backup", ".", cwd=source, expect=(1, 11))  # 11 from 0.17 on
    restic("backup", ".", cwd=source)

    running = subprocess.Popen(
        ["restic", "--repo", place, "--no-cache", "-q", "backup", "--stdin"],
        env=os.environ | {"RESTIC_PASSWORD": PASSWORD},
        stdin=subprocess.PIPE,
    )
    try:
        with Repository.open(place, PASSWORD) as repository:
            while not any(len(path.name) == 64 for path in (place / "locks").iterdir()):
                assert running.poll() is None
            with pytest.raises(
                RepositoryLockedError, match=f"process {running.pid} of"
            ):
                repository._locked(exclusive=True).__enter__()
    finally:
        running.communicate(b"x", timeout=60)


def test_keys_of_restic_open_here(restic, place, tmp_path):
    """One that was added, with its own parameters; the old one still does."""
    with init(place, 2):
        pass
    (tmp_path / "new").write_text("neu\n")

    restic("key", "add", "--new-password-file", tmp_path / "new")

    assert Repository.open(place, "neu").id == Repository.open(place, PASSWORD).id
    with pytest.raises(WrongPasswordError, match="2 tried"):
        Repository.open(place, "falsch")


NOT_IN_RESTICS = {b"fifo", b"loop", b"null"}  # below the root it leaves them out


def members(archive):
    """What an archive has: name, and of files the content, whatever they are linked to."""
    with tarfile.open(
        fileobj=io.BytesIO(archive), encoding="utf-8", errors="surrogateescape"
    ) as opened:
        return {
            os.fsencode(info.name): (
                info.type,
                info.mode,
                info.uid,
                info.uname,
                round(info.mtime),  # as restic does
                opened.extractfile(info).read() if info.isreg() else info.linkname,
                {k: v for k, v in info.pax_headers.items() if k.startswith("SCHILY")},
            )
            for info in opened
        }


@pytest.mark.parametrize("path", ["/", "/directory", "/directory/large"])
def test_both_dump_the_same(restic, place, source, version, path, target):  # noqa: PLR0917 - fixtures
    """A file, and an archive, but for what restic has no place for."""
    (source / "plain").unlink()  # its other name is a link in kbackup's
    with suppress(OSError):  # not every file system has them
        name = "system.posix_acl_access"
        os.setxattr(
            source / "directory/same", name, acl_value("u::rw,u:7:r,g::r,m::r,o::")
        )
    with init(place, version) as repository:
        saved = repository.back_up(DirectorySource(source, base=source)).snapshot
        repository._opened.refresh_index()
        ours = io.BytesIO()
        dump(repository._opened, saved.tree, path, ours)

    with target.open("wb") as stream:
        subprocess.run(
            ["restic", "--repo", place, "--no-cache", "-q", "dump", "latest", path],
            env=os.environ | {"RESTIC_PASSWORD": PASSWORD},
            stdout=stream,
            timeout=300,
            check=True,
        )
    theirs = target.read_bytes()

    if path.endswith("large"):
        assert ours.getvalue() == theirs
        return
    without = NOT_IN_RESTICS | {NO_TEXT}
    found, expected = members(ours.getvalue()), members(theirs)
    assert found.keys() == expected.keys()
    assert {k: v for k, v in found.items() if k not in without} == {
        k: v for k, v in expected.items() if k not in without
    }


def test_tar_extracts_what_kbackup_dumped(need_tool, place, source, target, version):
    """With all that a file has beside its content."""
    os.utime(source / "directory/large", ns=(5, 7))  # GNU tar turns -0.1 into 0.1
    with init(place, version) as repository:
        saved = repository.back_up(DirectorySource(source, base=source)).snapshot
        repository._opened.refresh_index()
        stream = io.BytesIO()
        dump(repository._opened, saved.tree, "/", stream)

    target.mkdir()
    subprocess.run(
        [need_tool("tar"), "-xp", "--xattrs", "-C", target],
        input=stream.getvalue(),
        timeout=300,
        check=True,
    )

    assert seen(target) == seen(source)


def test_restic_restores_what_came_from_a_tar(  # noqa: PLR0917 - fixtures
    need_tool, restic, place, source, target, version
):
    """Links, devices, attributes and times that a stream told of."""
    os.utime(source / "directory/large", ns=(5, 7))  # GNU tar turns -0.1 into 0.1
    written = subprocess.run(
        [need_tool("tar"), "-c", "--format=posix", "--xattrs", "-C", source, "."],
        capture_output=True,
        timeout=300,
        check=True,
    ).stdout
    with init(place, version) as repository:
        repository.back_up(TarSource(io.BytesIO(written), paths=["/data"]))

    assert "no errors were found" in restic("check", "--read-data")
    restic("restore", "latest", "--target", target)

    assert without_links_that_are_no_text(
        seen(target)
    ) == without_links_that_are_no_text(seen(source))


# --- what is left out ---------------------------------------------------------------------

_TREE = (
    "a.c",
    "A.C",
    "b.h",
    "b1",
    "b-",
    "[x]",
    "*",
    "back\\slash",
    "t\u00fcr",
    "new\nline",
    "foo/bar",
    "foo/x/bar",
    "foo/x/y/bar/deep",
    "foo/.hidden",
    "x/foo/bar2",
    "x/other/a.c",
    "cache/CACHEDIR.TAG",
    "cache/content",
    "cache/below/content",
    "tagged/.nobackup",
    "tagged/content",
    "tagged/below/content",
    "said/.nobackup",
    "said/content",
)
_PATTERNS = (
    "*.c",
    "*.[ch]",
    "[^ab]*",
    "b?",
    r"b[\-1]",
    "[a-b]*",
    r"\*",
    r"\[x\]",
    "[[]x]",
    r"back\\slash",
    "t?r",
    "new*line",
    "foo",
    "foo/",
    "./foo/../foo/bar",
    "foo/bar",
    "foo/*/bar",
    "foo/**/bar",
    "foo/**",
    "**/bar",
    "**/x/**",
    "*/.*",
    ".*",
    "x/**/a.c",
    "*",
    "**",
    "/",
    "/**",
    "/foo",
    "{source}",
    "{source}/foo",
    "{source}/*/bar*",
    "{source}/**/bar",
    "{source}/**/x",
    "*.c\n!a.c",
    "*.c\n!a.c\na.*",
    "!a.c\n*.c",
    "foo\n!foo/bar",
    "foo/*\n!foo/x",
    "*\n!foo",
    "*\n!foo\n!bar",
    "nothing",
)


@pytest.fixture
def excluding(restic, place, tmp_path, monkeypatch):
    """A function that says what both save of a directory: first restic, then kbackup."""
    source = tmp_path / "source"
    for name in _TREE:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name * 10)
    mark = "Signature: 8a477f597d28d172789f06886806bc55"
    (source / "cache/CACHEDIR.TAG").write_text(mark)
    (source / "said/.nobackup").write_text("keep out")
    (source / "link").symlink_to("x" * 200)
    monkeypatch.setattr("kbackup.repository._locks._SETTLES", timedelta(0))
    repository = init(place, 2)

    def both(flags, excludes):
        before = {each.id for each in repository.list()}
        restic("backup", *flags, ".", cwd=source, expect=(0, 1))
        # Of nothing at all it makes no snapshot, and says so by its exit code.
        theirs = [each for each in repository.list() if each.id not in before]
        given = DirectorySource(source, base=source, select=excludes.selects)
        ours = repository.back_up(given, read_all=True).snapshot
        return [
            {path for each in snapshots for path in paths_in(repository, each.tree)}
            for snapshots in (theirs, [ours])
        ]

    both.source = source
    with repository:
        yield both


def paths_in(repository, tree, above=b""):
    """Everything in a tree."""
    repository._opened.refresh_index()
    found = set()
    for node in load_tree(repository._opened, tree):
        path = b"%b/%b" % (above, node.name)
        found.add(path)
        if node.subtree:
            found |= paths_in(repository, node.tree, path)
    return found


def test_patterns_mean_what_they_mean_to_restic(excluding):
    """The same is saved with each of them, whatever is in the way."""
    differing, lists = [], set()
    for text in _PATTERNS:
        patterns = text.format(source=excluding.source).split("\n")
        flags = [flag for each in patterns for flag in ("--exclude", each)]
        theirs, ours = excluding(flags, Excludes(patterns=patterns))
        lists.add(frozenset(ours))
        if theirs != ours:
            differing.append((text, theirs - ours, ours - theirs))
    assert differing == []
    assert len(lists) > 20


def test_other_excludes_mean_what_they_mean_to_restic(excluding, tmp_path, monkeypatch):
    """Files of patterns, without their case, marks in directories, sizes."""
    monkeypatch.setenv("NAME", "bar")
    file = tmp_path / "excludes"
    file.write_text("# comment\n\n  *.c \n$NAME\n${NAME}2\n#b1\n$UNSET.h\n$$\n")
    cases = [
        (["--exclude-file", file], Excludes(patterns=read_patterns(file))),
        (["--iexclude-file", file], Excludes(ignore_case=read_patterns(file))),
        (["--iexclude", "A.c"], Excludes(ignore_case=["A.c"])),
        (["--iexclude", "T\u00dcR"], Excludes(ignore_case=["T\u00dcR"])),
        (["--exclude-caches"], Excludes(caches=True)),
        (["--exclude-if-present", ".nobackup"], Excludes(if_present=[".nobackup"])),
        (
            ["--exclude-if-present", ".nobackup:keep"],
            Excludes(if_present=[".nobackup:keep"]),
        ),
        (["--exclude-larger-than", "40"], Excludes(larger_than=40)),
        (["--exclude-larger-than", "39"], Excludes(larger_than=39)),
        (["--exclude-larger-than", "199"], Excludes(larger_than=199)),
    ]
    _, everything = excluding([], Excludes())
    for flags, excludes in cases:
        theirs, ours = excluding(flags, excludes)
        assert theirs == ours, flags
        assert ours < everything, flags
