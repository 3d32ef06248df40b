"""What is left out of a backup, and which paths a pattern means."""

import os
from datetime import timedelta

import pytest

from kbackup.errors import InvalidSpecError
from kbackup.repository import (
    DirectorySource,
    Excludes,
    MemoryBackend,
    Patterns,
    Repository,
    ScryptParameters,
    read_patterns,
)

CHEAP = ScryptParameters(n=2, r=1, p=1)


@pytest.fixture(autouse=True)
def quick_locks(monkeypatch):
    """Locks settle at once."""
    monkeypatch.setattr("kbackup.repository._locks._SETTLES", timedelta(0))


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("foo", "/a/foo", True),
        ("foo", "/a/foo/below", True),
        ("foo", "/a/food", False),
        ("foo", "/a/afoo", False),
        ("foo", "foo", True),
        ("foo", "a/foo/b", True),
        ("a/foo", "/x/a/foo", True),
        ("a/foo", "/x/ba/foo", False),
        ("a/foo", "/a/x/foo", False),
        ("/a", "/a/b", True),
        ("/a", "/b/a", False),
        ("/", "/anything", True),
        ("foo/", "/foo", True),
        ("./x/../foo//bar", "/foo/bar", True),
        ("//foo", "/foo", True),
        ("//foo", "/a/foo", False),
        ("*.c", "/a/b.c", True),
        ("*.c", "/a/b.cc", False),
        ("*", "/a", True),
        ("a*c", "/a/c", False),
        ("a*b*c", "/axbxc", True),
        ("a*b*c", "/acxb", False),
        ("*a?", "/aab", True),
        ("?", "/a", True),
        ("?", "/ab", False),
        ("?", "/ä", True),
        ("?", b"/\xff", True),
        ("??", b"/\xff", False),
        ("a\nb*", "/a\nb\nc", True),
        ("[a-c]", "/b", True),
        ("[a-c]", "/d", False),
        ("[^a-c]", "/d", True),
        ("[^a-c]", "/b", False),
        ("[!a]", "/!", True),
        ("[!a]", "/b", False),
        (r"[\]]", "/]", True),
        (r"[\-a]", "/-", True),
        ("[c-a]", "/b", False),
        ("[^c-a]", "/b", True),
        ("[a-cx-z]1", "/y1", True),
        ("a[^b]c", "/a/c", False),
        ("[[]", "/[", True),
        (r"\*", "/*", True),
        (r"\*", "/a", False),
        (r"\a", "/a", True),
        ("a.c", "/abc", False),
        ("a/**/c", "/a/c", True),
        ("a/**/c", "/x/a/1/2/c/below", True),
        ("a/**/c", "/xa/1/c", False),
        ("a/**/c", "/a/1/xc", False),
        ("/a/**/c", "/a/1/c", True),
        ("/a/**/c", "/x/a/1/c", False),
        ("**/c", "/c", True),
        ("**/c", "/a/b/c", True),
        ("/**/c", "/a/b/c", True),
        ("a/**", "/a", True),
        ("a/**", "/x/a/b", True),
        ("a/**/b/**/c", "/a/1/b/c", True),
        ("**", "/a", True),
        ("/**", "/a", True),
        ("a**c", "/abc", True),
        ("a**c", "/a/c", False),
    ],
)
def test_what_a_pattern_means(pattern, path, matches):
    """By the rules of restic, which are those of Go for one name."""
    encoded = path if isinstance(path, bytes) else path.encode()

    assert Patterns([pattern]).matches(encoded) is matches


@pytest.mark.parametrize(
    "pattern", ["[", "[]", "[^]", "[^", "[a", "[a-", "[a-]", "[-a]", "[a-\\", "\\"]
)
@pytest.mark.parametrize("form", ["{}", "a/{}", "!{}", "**/a{}"])
def test_what_is_no_pattern(pattern, form):
    """It is refused before anything is matched, and named, as is each other one."""
    text = form.format(pattern)

    with pytest.raises(InvalidSpecError) as caught:
        Patterns(["good", text, "also[", "", "!"])

    assert [said.split(" is no")[0] for said in caught.value.violations] == [
        repr(text),
        "'also['",
    ]


def test_the_last_pattern_decides():
    """What one takes back, a later one may take again."""
    patterns = Patterns(["*.c", "!b.*", "b.c", "!d"])

    matched = [
        name
        for name in ("a.c", "b.c", "b.h", "d", "x")
        if patterns.matches(b"/%b" % name.encode())
    ]

    assert matched == ["a.c", "b.c"]
    assert not Patterns(["!a"]).matches(b"/a")
    assert not Patterns([]).matches(b"/a")


def test_case_may_be_ignored():
    """Of the pattern, and of the path."""
    patterns = Patterns(["*.JPG", "Ärger", "[A-C]1"], ignore_case=True)

    for path in ("/x.jpg", "/x.JpG", "/äRGER", "/b1"):
        assert patterns.matches(path.encode())
    assert not patterns.matches(b"/x.jpeg")
    assert not Patterns(["*.JPG"]).matches(b"/x.jpg")


@pytest.mark.parametrize(
    ("patterns", "path", "may"),
    [
        (["/a/b/c"], "/", True),
        (["/a/b/c"], "/a", True),
        (["/a/b/c"], "/a/b/c/d", True),
        (["/a/b/c"], "/a/x", False),
        (["/a/*/c"], "/a/x", True),
        (["/a/**/c"], "/a/x/y/z", True),
        (["/a/**/c"], "/b", False),
        (["c"], "/b", True),
        (["/a", "/b"], "/b", True),
        (["/a", "!/a/b"], "/a", True),
        (["/a", "!/a/b"], "/a/b", False),
        (["!/a"], "/a", False),
        ([], "/a", False),
    ],
)
def test_where_something_may_match(patterns, path, may):
    """Only there somebody who wants what matches must look."""
    assert Patterns(patterns).may_match_below(path.encode()) is may


def test_many_stars_take_no_time():
    """A name that nearly matches is told from one that does at once."""
    pattern = Patterns(["*a" * 30 + "b", "**/a/" * 4 + "b"])

    assert not pattern.matches(b"/" + b"a" * 250 + b"/a" * 30)


def test_a_file_of_patterns(tmp_path):
    """Comments and blanks are no part of it; variables are put in."""
    file = tmp_path / "excludes"
    file.write_text(
        "# comment\n\n  *.go \r\n#$HOME\n$HOME/x\n${HOME}x\n$$HOME\na$\n$UNSET/z\n"
        "$1a\n${}b\n"
    )

    patterns = read_patterns(file, environment={"HOME": "/home/me"})

    assert patterns == [
        "*.go",
        "/home/me/x",
        "/home/mex",
        "$HOME",
        "a$",
        "/z",
        "a",
        "b",
    ]


def test_a_file_of_patterns_of_this_process(tmp_path, monkeypatch):
    """Its variables count where no others are given."""
    monkeypatch.setenv("OTHER", "x")
    file = tmp_path / "excludes"
    file.write_text("$OTHER")

    assert read_patterns(file) == ["x"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_of_patterns_in_another_encoding(tmp_path, encoding):
    """Its mark tells it, and is no part of the first pattern."""
    file = tmp_path / "excludes"
    file.write_text("ä\nb\n", encoding=encoding)

    assert read_patterns(file) == ["ä", "b"]


def test_a_file_of_patterns_that_are_no_text(tmp_path):
    """Any bytes can be a name, and be excluded."""
    file = tmp_path / "excludes"
    file.write_bytes(b"\xff\n")

    assert Patterns(read_patterns(file)).matches(b"/\xff")


# --- a backup -----------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path):
    """A directory of its own."""
    path = tmp_path / "source"
    path.mkdir()
    return path


def saved(source, excludes):
    """Back a directory up; return the paths that a restore has."""
    repository = Repository.init(MemoryBackend(), "geheim", key_parameters=CHEAP)
    given = DirectorySource(source, base=source, select=excludes.selects)
    repository.back_up(given)
    target = source.with_name("target")
    assert repository.restore("latest", target).problems == []
    return sorted(str(path.relative_to(target)) for path in target.rglob("*"))


def fill(source, *names):
    """Make files of a few bytes."""
    for name in names:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)


def test_what_is_left_out_is_not_looked_into(source, monkeypatch):
    """A directory that matches is not even listed; `!` below it comes too late."""
    fill(source, "kept/x", "out/y", "out/kept")
    scanned = []
    scandir = os.scandir
    monkeypatch.setattr(
        "kbackup.repository._directory_source.os.scandir",
        lambda path: scanned.append(os.fsdecode(path)) or scandir(path),
    )

    found = saved(source, Excludes(patterns=["out", "!out/kept"]))

    assert found == ["kept", "kept/x"]
    assert str(source / "kept") in scanned
    assert str(source / "out") not in scanned


def test_both_kinds_of_patterns(source):
    """One is enough to be left out."""
    fill(source, "a.TMP", "b.tmp", "c.LOG", "d.log", "e")

    found = saved(source, Excludes(patterns=("*.tmp",), ignore_case=["*.log"]))

    assert found == ["a.TMP", "e"]


def test_caches(source):
    """Of a cache its mark is saved; what only has the name of one is no cache."""
    fill(source, "cache/x", "cache/below/y", "no cache/x", "short/x")
    mark = "Signature: 8a477f597d28d172789f06886806bc55"
    (source / "cache/CACHEDIR.TAG").write_text(f"{mark}\n# more")
    (source / "no cache/CACHEDIR.TAG").write_text(mark.replace("8", "9"))
    (source / "short/CACHEDIR.TAG").write_text(mark[:10])

    found = saved(source, Excludes(caches=True))

    assert found == [
        "cache",
        "cache/CACHEDIR.TAG",
        "no cache",
        "no cache/CACHEDIR.TAG",
        "no cache/x",
        "short",
        "short/CACHEDIR.TAG",
        "short/x",
    ]
    assert "cache/x" in saved(source, Excludes())


def test_other_marks(source):
    """With and without a beginning; a broken link is there, too, and a FIFO says nothing."""
    fill(source, "a/.no", "a/x", "b/mark", "b/x", "c/x", "d/x")
    (source / "b/mark").write_text("keep: out")
    (source / "c/.no").symlink_to("nowhere")
    os.mkfifo(source / "d/mark")

    found = saved(source, Excludes(if_present=[".no", "mark:keep: out"]))

    assert found == ["a", "a/.no", "b", "b/mark", "c", "c/.no", "d", "d/mark", "d/x"]


@pytest.mark.parametrize("text", ["", ":x", "a/b"])
def test_a_mark_without_a_name(text):
    """It is refused, and named."""
    with pytest.raises(
        InvalidSpecError, match=f"'{text}' does not begin with the name"
    ):
        Excludes(if_present=[text])


def test_size(source):
    """What is larger is left out, by one byte; directories are not."""
    (source / "directory").mkdir()
    (source / "directory/ten").write_bytes(b"x" * 10)
    (source / "eleven").write_bytes(b"x" * 11)
    (source / "link").symlink_to("x" * 11)

    assert saved(source, Excludes(larger_than=10)) == ["directory", "directory/ten"]
    assert saved(source, Excludes(larger_than=11)) == [
        "directory",
        "directory/ten",
        "eleven",
        "link",
    ]


def test_what_is_asked_for_is_saved(source):
    """Excludes are for what lies in it."""
    fill(source, "file", "below/x")
    repository = Repository.init(MemoryBackend(), "geheim", key_parameters=CHEAP)
    given = DirectorySource(
        source / "file",
        source / "below",
        base=source,
        select=Excludes(patterns=["*"]).selects,
    )

    result = repository.back_up(given)

    summary = result.snapshot.summary
    assert (summary.files_new, summary.dirs_new) == (1, 1)
