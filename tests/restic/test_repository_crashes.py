"""A process that dies at any call of its backend damages nothing that was there.

Each call is counted; the process ends without any clean-up before one of them, or after
it. Stock restic then checks all of the repository, and the older snapshot is restored.
"""

import os
import subprocess
import sys

import pytest

from kbackup.repository import (
    DirectorySource,
    PruneRequest,
    Repository,
    ScryptParameters,
    UnusedLimit,
)
from odd_tree import seen
from stock_restic import StockRestic

CHEAP = ScryptParameters(n=2, r=1, p=1)
PASSWORD = "geheim"
DYING = """
import itertools, os, sys
from datetime import timedelta
from kbackup.repository import DirectorySource, Repository, _local, _locks
call, when, verb, place, source, *rest = sys.argv[1:]
numbers, calls = itertools.count(1), []
_locks._SETTLES = timedelta(0)

def counted(real):
    def do(*given, **named):
        number = next(numbers)
        calls.append(number)
        if number == int(call) and when == "before":
            os._exit(9)
        done = real(*given, **named)
        if number == int(call) and when == "after":
            os._exit(9)
        return done
    return do

repository = Repository.open(place, "geheim")
for name in ("save", "remove", "spool"):
    setattr(_local.LocalBackend, name, counted(getattr(_local.LocalBackend, name)))
if verb == "prune":
    from kbackup.repository import PruneRequest, UnusedLimit
    repository.prune(PruneRequest(max_unused=UnusedLimit.parse("0")))
elif verb == "repair index":
    repository.repair_index(read_all=True)
elif verb == "copy":
    with Repository.open(source, "geheim") as other:
        other.copy(repository)
elif verb == "back up":
    repository.back_up(DirectorySource(source, base=source))
elif verb == "forget":
    repository.forget(rest)
else:
    from kbackup.repository import ScryptParameters
    repository.change_password("neu", key_parameters=ScryptParameters(2, 1, 1))
print(len(calls))
"""


@pytest.fixture
def restic(need_tool):
    """Checks a repository with stock restic, every byte of it."""
    program = need_tool("restic")

    def check(place, password=PASSWORD):
        StockRestic(program, place, password).check()

    return check


@pytest.fixture
def source(tmp_path):
    """Some files, large and small."""
    path = tmp_path / "source"
    (path / "below").mkdir(parents=True)
    (path / "large").write_bytes(os.urandom(2 << 20))
    for number in range(5):
        (path / "below" / f"{number}").write_bytes(os.urandom(1000))
    return path


@pytest.fixture
def made(tmp_path, source):
    """A function that makes a repository with one snapshot."""

    def make(name):
        place = tmp_path / name
        with Repository.init(place, PASSWORD, key_parameters=CHEAP) as repository:
            repository.back_up(DirectorySource(source, base=source))
        return place

    return make


def dying(call, when, verb, place, source, *more):
    """Run it; return how many calls it made, or None if it died."""
    done = subprocess.run(
        [sys.executable, "-c", DYING, str(call), when, verb, place, source, *more],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in {0, 9}, done.stderr
    return int(done.stdout) if done.returncode == 0 else None


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("verb", ["back up", "forget"])
def test_whatever_was_there_stays_whole(  # noqa: PLR0917 - fixtures
    tmp_path, source, made, restic, verb, when
):
    """At each call of a backup, and of forgetting."""
    expected = seen(source)
    call, finished = 0, None
    while finished is None:
        call += 1
        place = made(f"repository {call}")
        more = []
        if verb == "forget":
            with Repository.open(place, PASSWORD) as repository:
                second = repository.back_up(DirectorySource(source, base=source))
                first = repository.list()[0].id.hex()
            more = [second.snapshot.id.hex()]
        else:
            with Repository.open(place, PASSWORD) as repository:
                first = repository.list()[0].id.hex()
        changed = tmp_path / f"source {call}"
        changed.mkdir()
        (changed / "new").write_bytes(os.urandom(2 << 20))
        finished = dying(call, when, verb, place, changed, *more)
        with Repository.open(place, PASSWORD) as repository:
            repository.unlock(remove_all=True)
            target = tmp_path / f"target {call}"
            assert repository.restore(first, target).problems == []
        assert seen(target) == expected
        restic(place)
    assert finished < call
    assert finished >= {"back up": 7, "forget": 3}[verb]


@pytest.mark.parametrize("when", ["before", "after"])
def test_one_of_two_passwords_opens(source, made, restic, when):
    """At each call of a change of the password."""
    call, finished = 0, None
    while finished is None:
        call += 1
        place = made(f"repository {call}")
        finished = dying(call, when, "change password", place, source)
        opening = []
        for password in (PASSWORD, "neu"):
            try:
                with Repository.open(place, password) as repository:
                    repository.unlock(remove_all=True)
            except Exception:  # noqa: BLE001, S112 - whatever: it does not open
                continue
            opening.append(password)
        restic(place, opening[0])
    assert opening == ["neu"]
    assert finished >= 4


@pytest.fixture
def wasteful(tmp_path, source):
    """A function that makes a repository much of which nobody needs any more."""

    def make(name):
        place = tmp_path / name
        with Repository.init(place, PASSWORD, key_parameters=CHEAP) as repository:
            first = repository.back_up(DirectorySource(source, base=source))
            (source / "large").write_bytes(os.urandom(2 << 20))
            for number in range(0, 5, 2):
                (source / "below" / f"{number}").write_bytes(os.urandom(1000))
            repository.back_up(DirectorySource(source, base=source))
            repository.forget([first.snapshot.id.hex()])
        return place

    return make


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("verb", ["prune", "repair index"])
def test_pruning_and_repairing_lose_nothing(  # noqa: PLR0917 - fixtures
    tmp_path, source, wasteful, restic, verb, when
):
    """At each call of them; and the next pruning ends what was begun."""
    call, finished = 0, None
    while finished is None:
        call += 1
        place = wasteful(f"repository {call}")
        finished = dying(call, when, verb, place, source)
        with Repository.open(place, PASSWORD) as repository:
            repository.unlock(remove_all=True)
            assert repository.check(read_data=True).errors == []
            restic(place)
            repository.prune(PruneRequest(max_unused=UnusedLimit.parse("0")))
            result = repository.check(read_data=True)
            assert (result.errors, result.hints, result.unused_blobs) == ([], [], 0)
            target = tmp_path / f"target {call}"
            assert repository.restore("latest", target).problems == []
        assert seen(target) == seen(source)
    assert finished < call
    assert finished >= {"prune": 9, "repair index": 5}[verb]


@pytest.mark.parametrize("when", ["before", "after"])
def test_copying_leaves_no_half_snapshot(tmp_path, source, made, restic, when):
    """At each call of it; and the next one ends it."""
    original = made("original")
    call, finished = 0, None
    while finished is None:
        call += 1
        place = tmp_path / f"copy {call}"
        Repository.init(place, PASSWORD, key_parameters=CHEAP).close()
        finished = dying(call, when, "copy", place, original)
        with (
            Repository.open(place, PASSWORD) as copy,
            Repository.open(original, PASSWORD) as repository,
        ):
            copy.unlock(remove_all=True)
            repository.unlock(remove_all=True)
            assert copy.check(read_data=True).errors == []
            repository.copy(copy)
            assert len(copy.list()) == 1
            target = tmp_path / f"target {call}"
            assert copy.restore("latest", target).problems == []
        restic(place)
        assert seen(target) == seen(source)
    assert finished < call
    assert finished >= 8
