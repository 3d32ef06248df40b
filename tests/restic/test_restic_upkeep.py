"""What one of kbackup and stock restic prunes, copies and repairs, the other one finds whole."""

import random
from datetime import timedelta

import pytest

from kbackup.repository import (
    DirectorySource,
    FileType,
    Patterns,
    PruneRequest,
    Repository,
    ScryptParameters,
    Selection,
    SnapshotFilter,
    UnusedLimit,
)
from odd_tree import make_odd_tree, seen
from stock_restic import StockRestic

CHEAP = ScryptParameters(n=2, r=1, p=1)
PASSWORD = "geheim"
EVERYTHING = PruneRequest(max_unused=UnusedLimit.parse("0"))


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    """Let locks of kbackup settle at once: nobody else is there."""
    monkeypatch.setattr("kbackup.repository._locks._SETTLES", timedelta(0))


@pytest.fixture(params=[1, 2], ids=["version 1", "version 2"])
def version(request):
    """Each version of the format."""
    return request.param


@pytest.fixture
def restic(need_tool, tmp_path):
    """Stock restic on the repository."""
    return StockRestic(need_tool("restic"), tmp_path / "repository", PASSWORD)


@pytest.fixture
def source(tmp_path):
    """A directory with everything that there can be, and many files."""
    path = tmp_path / "source"
    path.mkdir()
    make_odd_tree(path)
    chance = random.Random(2)  # noqa: S311 - no secret
    (path / "many").mkdir()
    for number in range(300):
        (path / "many" / f"{number}").write_bytes(chance.randbytes(2000))
    (path / "text").write_text("once upon a time " * 200_000)
    return path


def change(source, turn):
    """Change some of it, differently each turn."""
    chance = random.Random(turn)  # noqa: S311 - no secret
    for number in range(turn, 300, 3):
        (source / "many" / f"{number}").write_bytes(chance.randbytes(2000))
    (source / "large again").write_bytes(chance.randbytes(3 << 20))


@pytest.fixture
def repository(restic, source, version):
    """A repository in which both saved it in turn, with changes."""
    made = Repository.init(
        restic.place, PASSWORD, version=version, key_parameters=CHEAP
    )
    with made as repository:
        for turn in range(4):
            if turn % 2:
                restic("backup", ".", cwd=source)
            else:
                repository.back_up(DirectorySource(source, base=source))
            change(source, turn)
        yield repository


def require_restored(repository, restic, tmp_path, expected):
    """Both restore the last snapshot as it was saved."""
    assert repository.restore("latest", tmp_path / "ours").problems == []
    assert seen(tmp_path / "ours") == expected
    restic("restore", "latest", "--target", tmp_path / "theirs")
    theirs, ours = seen(tmp_path / "theirs"), dict(expected)
    for tree in (theirs, ours):
        tree.pop(b"broken link")  # restic 0.14 restores other bytes
    assert theirs == ours


def saved_again(repository, source):
    """Save it once more and return what is there."""
    repository.back_up(DirectorySource(source, base=source))
    return seen(source)


@pytest.mark.parametrize("limit", ["5%", "0"])
def test_what_kbackup_pruned_is_whole_to_restic(
    tmp_path, repository, restic, source, limit
):
    """Every byte of it; and restic finds nothing left where nothing was to stay."""
    expected = saved_again(repository, source)
    repository.forget([each.id.hex() for each in repository.list()[:3]])
    request = PruneRequest(max_unused=UnusedLimit.parse(limit))

    plan = repository.prune(request)

    assert plan.removed.packs > 0
    restic.check()
    told = restic("prune", "--dry-run", "--max-unused", limit)
    assert "to delete:             0 blobs" in told
    if limit == "0":
        assert "to repack:             0 blobs" in told
    require_restored(repository, restic, tmp_path, expected)


def test_what_restic_pruned_is_whole_to_kbackup(tmp_path, repository, restic, source):
    """And there is nothing left to prune."""
    expected = saved_again(repository, source)
    restic(
        "forget", "--keep-last", "2", "--group-by", "", "--prune", "--max-unused", "0"
    )

    result = repository.check(read_data=True)

    assert (result.errors, result.hints, result.unused_blobs) == ([], [], 0)
    assert repository.plan_prune(EVERYTHING).is_empty
    require_restored(repository, restic, tmp_path, expected)


def test_both_prune_in_turn(tmp_path, repository, restic, source):
    """Six times, with backups of both in between."""
    for turn in range(6):
        change(source, turn)
        restic("backup", ".", cwd=source)
        change(source, turn + 1)
        expected = saved_again(repository, source)
        if turn % 2:
            restic("forget", "--keep-last", "2", "--group-by", "", "--prune")
        else:
            repository.forget([each.id.hex() for each in repository.list()[:-2]])
            repository.prune(PruneRequest(small_packs=bool(turn)))
        result = repository.check(read_data=True)
        assert (result.errors, result.hints) == ([], [])
        restic.check()
    require_restored(repository, restic, tmp_path, expected)


@pytest.mark.parametrize("damage", ["all gone", "one gone", "one damaged"])
@pytest.mark.parametrize("read_all", [False, True])
def test_an_index_that_kbackup_repaired_is_whole_to_restic(  # noqa: PLR0917 - fixtures
    tmp_path, repository, restic, source, damage, read_all
):
    """Whatever became of the old one."""
    expected = saved_again(repository, source)
    files = sorted((restic.place / "index").iterdir())
    for file in files if damage == "all gone" else files[:1]:
        file.chmod(0o600)
        if damage == "one damaged":
            file.write_bytes(file.read_bytes()[:-1])
        else:
            file.unlink()
    restic("check", expect=(1,))

    repository.repair_index(read_all=read_all)

    restic.check()
    require_restored(repository, restic, tmp_path, expected)


@pytest.mark.parametrize("other_version", [1, 2])
def test_what_kbackup_copied_is_whole_to_restic(
    tmp_path, need_tool, repository, source, other_version
):
    """Each snapshot, and restic does not copy them again."""
    expected = saved_again(repository, source)
    other = StockRestic(need_tool("restic"), tmp_path / "other", "other")
    with Repository.init(
        other.place, "other", version=other_version, key_parameters=CHEAP
    ) as copy:
        repository.copy(copy)
        other.check()
        password = tmp_path / "password"
        password.write_text(PASSWORD)
        before = {each.id for each in copy.list()}
        other(
            "copy",
            "--from-repo",
            tmp_path / "repository",
            "--from-password-file",
            password,
        )
        assert {each.id for each in copy.list()} == before
        require_restored(copy, other, tmp_path, expected)


def test_what_restic_copied_is_not_copied_again(tmp_path, need_tool, repository):
    """It is known by the snapshot that it was made of."""
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    other = StockRestic(need_tool("restic"), tmp_path / "other", "other")
    flags = ("--from-repo", tmp_path / "repository", "--from-password-file", password)
    other("init")
    other("copy", *flags)

    with Repository.open(other.place, "other") as copy:
        assert [each.is_new for each in repository.copy(copy)] == [False] * 4


def test_both_change_the_tags_of_the_other_one(tmp_path, repository, restic, source):
    """Restic finds what has other tags now by these, and the other way round."""
    expected = saved_again(repository, source)
    first = repository.list()[0].id

    repository.tag([repository.list()[0]], add=["ours", "both"])
    restic("tag", "--add", "theirs", "--remove", "both", "--tag", "ours")

    (found,) = repository.list(SnapshotFilter(tags=[("theirs",)]))
    assert (found.tags, found.original) == (("ours", "theirs"), first)
    require_restored(repository, restic, tmp_path, expected)


def test_both_find_the_same_differences(repository, restic):
    """Path by path, and in numbers."""
    ids = [each.id.hex() for each in repository.list()]
    for older, newer in ((ids[0], ids[2]), (ids[1], ids[3]), (ids[3], ids[0])):
        told = restic("diff", older, newer).splitlines()
        theirs = [line for line in told if line[:1] in "+-MTU" and line[1:2] == " "]
        diff = repository.diff(older, newer)
        assert [str(change) for change in diff.changes] == sorted(
            theirs, key=lambda line: line[5:].rstrip("/").encode()
        )
        numbers = {line.split(":")[0].strip(): line for line in told if ":" in line}
        added, removed = diff.added, diff.removed
        for word, new, old in (
            ("Files", added.files, removed.files),
            ("Dirs", added.directories, removed.directories),
            ("Others", added.others, removed.others),
            ("Data Blobs", added.data_blobs, removed.data_blobs),
            ("Tree Blobs", added.tree_blobs, removed.tree_blobs),
        ):
            counted = [int(n) for n in numbers[word].split() if n.isdigit()]
            assert counted[:2] == [new, old], word


def test_both_count_the_same(repository, restic):
    """In each way, of one snapshot and of all."""
    for mode in ("restore-size", "files-by-contents", "raw-data"):
        for snapshots in ((), ("latest",)):
            theirs = restic.json("stats", "--mode", mode, *snapshots)
            ours = repository.stats(mode, snapshots=snapshots)
            assert ours.size == theirs["total_size"], mode
            if mode == "raw-data":
                assert ours.blobs == theirs["total_blob_count"]
            else:
                assert ours.files == theirs["total_file_count"], mode


@pytest.mark.parametrize("pattern", ["*.sql", "many/1*", "/directory", "[lp]*", "same"])
def test_both_find_the_same_paths(repository, restic, pattern):
    """In every snapshot."""
    theirs = {
        (found["snapshot"], match["path"])
        for found in restic.json("find", pattern)
        for match in found["matches"]
    }

    ours = {
        (match.snapshot.id.hex(), "/" + match.path.decode(errors="replace"))
        for match in repository.find(pattern)
    }

    assert ours == theirs


@pytest.mark.parametrize(
    ("flag", "pattern"),
    [
        ("include", "/many/1*"),
        ("include", "directory"),
        ("include", "p*"),
        ("exclude", "many"),
        ("exclude", "/directory/*"),
        ("exclude", "[a-p]*"),
    ],
)
def test_both_restore_the_same_part(tmp_path, repository, restic, flag, pattern):
    """With one pattern; directories that have nothing of it apart."""
    restic("restore", "latest", "--target", tmp_path / "theirs", f"--{flag}", pattern)

    selection = Selection(**{flag: Patterns([pattern])})
    repository.restore("latest", tmp_path / "ours", selection=selection)

    def files(root):
        return {p.relative_to(root) for p in root.rglob("*") if not p.is_dir()}

    ours = files(tmp_path / "ours")
    assert ours == files(tmp_path / "theirs")
    assert ours


def test_a_check_of_both_finds_the_same_damage(repository, restic):
    """A bit of a pack; then the pack is gone."""
    name, size = max(
        repository._opened.backend.list(FileType.PACK), key=lambda found: found[1]
    )
    (pack,) = restic.place.glob(f"data/*/{name.hex()}")
    content = bytearray(pack.read_bytes())
    content[size // 2] ^= 16
    pack.chmod(0o600)
    pack.write_bytes(content)
    restic("check", "--read-data", expect=(1,))
    assert not repository.check(read_data=True).is_whole

    pack.unlink()
    restic("check", expect=(1,))
    assert not repository.check().is_whole
