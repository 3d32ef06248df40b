"""Plans and results, printed: what a person wants to know of them, and nothing else."""

import re
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from kbackup.repository import (
    DirectorySource,
    MemoryBackend,
    PruneRequest,
    Repository,
    RetentionPolicy,
    ScryptParameters,
    Selection,
    SnapshotFilter,
    Unreadable,
    UnusedLimit,
)
from kbackup.repository._backend import FileType

CHEAP = ScryptParameters(n=2, r=1, p=1)


@pytest.fixture
def source(tmp_path):
    """Two files."""
    path = tmp_path / "source"
    path.mkdir()
    (path / "a").write_bytes(b"a" * 3000)
    (path / "b").write_bytes(b"b" * 1096)
    return path


@pytest.fixture
def repository(monkeypatch, source):
    """A repository with two snapshots, of which the first one is old."""
    monkeypatch.setattr("kbackup.repository._locks._SETTLES", timedelta(0))
    with Repository.init(MemoryBackend(), "x", key_parameters=CHEAP) as repository:
        for year in (2020, 2024):
            repository.back_up(
                DirectorySource(source, base=source),
                hostname="till",
                time=datetime(year, 5, 1, tzinfo=UTC),
            )
            (source / "a").write_bytes(b"c" * 2000)
        yield repository


def test_a_backup(repository, source):
    """How much was saved, how much of it was new; then what could not be."""

    class Odd(DirectorySource):
        """Has something that cannot be read, by a name that would be two lines."""

        def walk(self):
            yield from super().walk()
            yield Unreadable(b"/x\ny\xff", "Input/output error")

    result = repository.back_up(Odd(source, base=source))

    first, second = str(result).split("\n")
    name = result.snapshot.id.hex()[:8]
    assert re.fullmatch(
        rf"snapshot {name}: 2 files, 3\.023 KiB; \d+(\.\d+ Ki)? ?B added", first
    )
    assert second == r"not saved: /x\ny\udcff: Input/output error"


def test_a_backup_that_counted_nothing(repository, source):
    """As others may make them: it is named, and no more is known."""
    result = repository.back_up(DirectorySource(source, base=source))
    bare = attrs.evolve(result.snapshot, summary=None)

    assert str(attrs.evolve(result, snapshot=bare)) == f"{result.snapshot}"


def test_a_restore(repository, tmp_path):
    """How much is right, and what was removed; then what is not right."""
    target = tmp_path / "target"
    restored = repository.restore("latest", target)
    assert str(restored) == "2 files, 3.023 KiB; 3.023 KiB written"
    (target / "more").write_text("x")

    again = repository.restore("latest", target, selection=Selection(delete=True))
    assert str(again) == "2 files, 3.023 KiB; 0 B written, 1 removed"
    (target / "a").unlink()
    (target / "a").mkdir()

    failed = str(repository.restore("latest", target))
    assert failed.startswith("1 file, 1.070 KiB; 0 B written\nnot restored: a: ")


def test_what_is_forgotten(repository):
    """Series by series, each that goes by its name and its time."""
    first = repository.list()[0]

    plan = repository.plan_forget(RetentionPolicy(last=1))
    nothing = SnapshotFilter(hosts=["nobody"])

    head, line = str(plan).split("\n")
    assert head.startswith("host [till], paths [")
    assert head.endswith("]: keep 1, remove 1")
    assert line == f"  remove {first} of {first.time}"
    none = repository.plan_forget(RetentionPolicy(last=1), filter=nothing)
    assert str(none) == "no snapshots"


def test_what_is_pruned(repository):
    """What stays, moves and goes; nothing to do is one line."""
    assert str(repository.plan_prune()) == "Nothing to prune"
    repository.forget([repository.list()[0].id.hex()])

    lines = str(
        repository.plan_prune(PruneRequest(max_unused=UnusedLimit.parse("0")))
    ).split("\n")

    assert [line.split(":")[0] for line in lines] == [
        "to keep",
        "to write anew",
        "to remove",
        "unused",
    ]
    assert all(
        re.search(r"\d packs? \(\d blobs?, .+ ?B\)$", line) for line in lines[:3]
    )
    assert lines[3].endswith(", then 0 B")


def test_what_is_checked(repository):
    """How much was looked at, and what was found, a line each."""
    assert re.fullmatch(
        r"2 snapshots, 2 trees, \d packs: no errors found", str(repository.check())
    )
    backend = repository._opened.backend
    lost = next(file for file in backend.files if file.type is FileType.PACK)
    backend.remove(lost)

    first, *lines = str(repository.check()).split("\n")

    assert first.endswith(f"{len(lines)} error{'s' * (len(lines) > 1)} found")
    assert f"error: {lost}: an index names it, and it is gone" in lines


def test_names_in_a_repr(repository):
    """By the digits that every verb takes, not as bytes; of a snapshot what tells it apart."""
    (snapshot, _) = repository.list()
    name, tree = snapshot.id.hex()[:8], snapshot.tree.hex()[:8]

    assert repr(snapshot) == (
        f"Snapshot(id={name}, time=2020-05-01T00:00:00Z, tree={tree}, "
        f"paths={snapshot.paths!r}, hostname='till', tags=())"
    )
    start = snapshot.summary.backup_start
    assert repr(snapshot.summary).startswith(f"SnapshotSummary(backup_start={start}, ")
    (key,) = repository.list_keys()
    assert f"id={key.id.hex()[:8]}, " in repr(key)
    entries = repository.ls(snapshot)
    next(entries)  # holds a lock from here on
    (lock,) = repository.list_locks()
    assert f"id={lock.id.hex()[:8]}, " in repr(lock)
    entries.close()
