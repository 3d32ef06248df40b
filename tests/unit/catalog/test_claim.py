"""One name has one writer, dead writers give it up, and nobody wins twice."""

import json
import os
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import catalog_samples as samples
import pytest

from kbackup._kits.clock import SystemClock
from kbackup._kits.processes import machine
from kbackup.catalog import BackupStore, ClaimRecord
from kbackup.errors import (
    BackupExistsError,
    BackupInProgressError,
    BackupNotFoundError,
    InvalidSpecError,
    ObjectExistsError,
    ReadOnlyLocationError,
    StoreUnavailableError,
)
from kbackup.models import (
    AccessMode,
    BackupStorageLocation,
    BackupStorageLocationSpec,
)
from kbackup_plugins_local import open_local_store

CLAIM = "plugins/kbackup.io/claims/shop.json"
PROGRAM = Path(samples.__file__)


class Listed(samples.Watched):
    """A store that cannot create atomically: `create` is looked up, then written."""

    def __init__(self, store):
        """Wrap *store*."""
        super().__init__(store, lambda verb, key: None)
        self.capabilities = frozenset()


@pytest.fixture(params=["atomic", "listed"])
def any_store(request, objects, clock):
    """A backup store over either kind of object store."""
    chosen = objects if request.param == "atomic" else Listed(objects)
    return BackupStore(chosen, clock=clock)


def alter(path, **changes):
    """Change a claim in the store."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_second_is_refused(any_store):
    """While a run writes a name, another is told who does."""
    with (
        any_store.claim("shop", run_uid="run-1"),
        pytest.raises(BackupInProgressError, match=r"run-1 on .*process") as caught,
    ):
        any_store.claim("shop", run_uid="run-0")

    assert str(os.getpid()) in caught.value.reason


def test_released_at_the_end(any_store, root):
    """After the block nothing of the claim is left, and the name is free."""
    with any_store.claim("shop", run_uid="run-1"):
        pass

    with any_store.claim("shop", run_uid="run-2"):
        pass
    assert not list((root / "plugins/kbackup.io").rglob("shop*"))


def test_released_when_the_run_fails(any_store):
    """A run that fails gives the name back."""
    with pytest.raises(RuntimeError), any_store.claim("shop", run_uid="run-1"):
        raise RuntimeError("the run")

    any_store.claim("shop", run_uid="run-2").release()


def test_other_names_are_free(any_store):
    """A claim is about exactly one name, also of one that begins alike."""
    with any_store.claim("shop", run_uid="a"), any_store.claim("shop.x", run_uid="b"):
        assert {entry.name for entry in any_store.list()} == {"shop", "shop.x"}


def test_taken_name(store):
    """A name with a record is refused, and what is there stays as it is."""
    record = samples.make(store, "shop")

    with pytest.raises(BackupExistsError):
        store.claim("shop", run_uid="run-2")

    assert store.get("shop") == record
    assert store.verify("shop").problems == ()


def test_record_that_came_in_between(objects, clock, root):
    """A run that ended between the look and the claim is seen after the claim."""
    plain = BackupStore(objects, clock=clock)
    once = []

    def meanwhile(verb, key):
        """Publish the name just before the claim is written."""
        if key == CLAIM and not once:
            once.append(key)
            samples.make(plain, "shop")

    racing = BackupStore(samples.Watched(objects, meanwhile), clock=clock)

    with pytest.raises(BackupExistsError):
        racing.claim("shop", run_uid="late")

    assert plain.verify("shop").problems == ()
    assert not (root / CLAIM).exists()


def test_stale_claim_is_taken_over(any_store, clock, root):
    """A claim without a heartbeat for five minutes no longer holds."""
    dead = any_store.claim("shop", run_uid="dead")

    clock.advance(timedelta(minutes=5))
    with pytest.raises(BackupInProgressError):
        any_store.claim("shop", run_uid="early")
    clock.advance(timedelta(seconds=2))

    with any_store.claim("shop", run_uid="next"):
        with pytest.raises(BackupInProgressError, match="lost its claim"):
            dead.check()
        dead.renew()  # a late heartbeat revives nothing
        dead.release()
        with pytest.raises(BackupInProgressError, match="next"):
            any_store.claim("shop", run_uid="third")


def test_heartbeat_keeps_it(any_store, clock):
    """A claim that is renewed does not become stale."""
    claim = any_store.claim("shop", run_uid="alive")

    for _ in range(3):
        clock.advance(timedelta(minutes=4))
        claim.renew()

    with pytest.raises(BackupInProgressError):
        any_store.claim("shop", run_uid="other")


def test_dead_process_of_this_machine(store, root):
    """A claim whose process on this machine is gone is stale at once, and is told of."""
    store.claim("shop", run_uid="dead")
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    alter(root / CLAIM, pid=child.pid)

    with pytest.raises(
        BackupNotFoundError, match="begun and not ended by run dead on "
    ):
        store.entry("shop")
    store.claim("shop", run_uid="next").release()
    with pytest.raises(BackupNotFoundError, match=r"not found$"):
        store.entry("shop")


@pytest.mark.parametrize(
    "look",
    [
        lambda store, _: store.entry("shop"),
        lambda store, _: store.get("shop"),
        lambda store, _: store.manifest("shop"),
        lambda store, _: list(store.logs("shop")),
        lambda store, _: store.results("shop"),
        lambda store, _: store.open_archive("shop"),
        lambda store, _: store.open_archive("shop", salvage=True),
        lambda store, _: store.open_contents("shop"),
        lambda store, place: store.download("shop", place / "archive"),
        lambda store, _: store.verify("shop"),
    ],
    ids=[
        *("entry", "get", "manifest", "logs", "results", "archive", "salvage"),
        *("contents", "download", "verify"),
    ],
)
def test_run_that_was_killed_is_told_of_by_whatever_is_asked(
    store, clock, tmp_path, look
):
    """Whoever asks for a backup whose run died learns of it, and what to do."""
    store.claim("shop", run_uid="dead")
    clock.advance(timedelta(minutes=6))

    with pytest.raises(BackupNotFoundError, match="not ended by run dead") as caught:
        look(store, tmp_path)

    assert "same backup under the same name begins anew" in caught.value.hint


@pytest.mark.skipif(not machine(), reason="the system does not say when one began")
def test_number_that_was_given_out_again(store, root):
    """A container started again has the same number: the run before it is dead."""
    store.claim("shop", run_uid="dead")
    alter(root / CLAIM, began="1")

    store.claim("shop", run_uid="next").release()


def test_dead_number_of_another_machine(store, root):
    """A process number says nothing where the machine or its container is another."""
    store.claim("shop", run_uid="alive")
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    alter(root / CLAIM, pid=child.pid, machine="another")

    with pytest.raises(BackupInProgressError):
        store.claim("shop", run_uid="next")


def test_clock_of_the_holder_is_wrong(objects, root):
    """When the store saw a claim written counts where the holder's clock is off."""
    store = BackupStore(objects, clock=SystemClock())
    store.claim("shop", run_uid="alive")

    alter(root / CLAIM, heartbeat="2001-01-01T00:00:00Z")  # its clock is late
    with pytest.raises(BackupInProgressError, match="alive"):
        store.claim("shop", run_uid="next")
    alter(root / CLAIM, heartbeat="2999-01-01T00:00:00Z")  # its clock was early
    os.utime(root / CLAIM, (1, 1))

    store.claim("shop", run_uid="next").release()


@pytest.mark.parametrize(
    "changes",
    [
        {"run": "../../../backups/x"},
        {"run": "x" * 5000},
        {"run": ""},
        {"heartbeat": "0001-01-01T00:00:00+14:00"},
        {"started": 7},
        {"pid": 10**30},
        {"pid": "1"},
        {"pid": -1},
        {"backup": "other"},
    ],
)
def test_crafted_claim(objects, root, changes):
    """A claim that makes no sense holds its own name for a while, and no other."""
    store = BackupStore(objects, clock=SystemClock())
    store.claim("shop", run_uid="odd")
    alter(root / CLAIM, **changes)

    assert [(e.name, e.state) for e in store.list()] == [("shop", "in_progress")]
    with pytest.raises(BackupInProgressError):
        store.claim("shop", run_uid="next")
    alter(root / CLAIM, **{"heartbeat": "2001-01-01T00:00:00Z", **changes})
    os.utime(root / CLAIM, (1, 1))

    store.claim("shop", run_uid="next").release()
    store.claim("other", run_uid="next").release()


def test_unreadable_claim_is_somebodys(objects, root):
    """A claim that cannot be read holds as long as its object is young."""
    store = BackupStore(objects, clock=SystemClock())
    (root / CLAIM).parent.mkdir(parents=True)
    (root / CLAIM).write_bytes(b"{")

    with pytest.raises(BackupInProgressError):
        store.claim("shop", run_uid="a")
    os.utime(root / CLAIM, (1, 1))

    store.claim("shop", run_uid="a").release()


def test_take_over_has_one_winner(objects, clock):
    """Of many who find a stale claim at the same moment one wins."""
    BackupStore(objects, clock=clock).claim("shop", run_uid="dead")
    clock.advance(timedelta(minutes=6))

    won = samples.contend(
        lambda n: BackupStore(objects, clock=clock).claim("shop", run_uid=f"run-{n}"),
        contenders=8,
    )

    assert len(won) == 1


def test_take_over_that_was_broken_off(objects, clock, root):
    """Whoever died while it took a claim over holds the name no longer than a claim."""
    store = BackupStore(objects, clock=clock)
    store.claim("shop", run_uid="dead")
    clock.advance(timedelta(minutes=6))

    marked = []

    def die(verb, key):
        """Fail after the marker was written, and leave it there."""
        if marked:
            raise StoreUnavailableError(key)
        marked.extend([key] if key.endswith("/dead.json") else [])

    with pytest.raises(StoreUnavailableError):
        BackupStore(samples.Watched(objects, die), clock=clock).claim(
            "shop", run_uid="half"
        )
    with pytest.raises(BackupInProgressError, match="half"):
        store.claim("shop", run_uid="early")
    clock.advance(timedelta(minutes=6))

    store.claim("shop", run_uid="next").release()
    assert not list((root / "plugins/kbackup.io/claims").rglob("*.json"))


def test_take_overs_that_were_broken_off_again_and_again(objects, clock, root):
    """However many died while they took over, of those who come next one wins."""
    store = BackupStore(objects, clock=clock)
    holder, marks = store.claim("shop", run_uid="dead"), {"dead": "a", "a": "b"}
    for dead, heir in marks.items():
        record = ClaimRecord(
            name="shop", run=heir, started=clock.now(), heartbeat=clock.now()
        )
        key = f"plugins/kbackup.io/claims/shop/{dead}.json"
        objects.put(key, record.encode())
    clock.advance(timedelta(minutes=6))
    puts = []

    def meanwhile(verb, key):
        """Let another one come when the last of the dead has been succeeded."""
        puts.extend([verb] if (verb, key) == ("put", CLAIM) else [])
        if len(puts) == 2:  # the first found that somebody has the name
            with pytest.raises(BackupInProgressError, match="run first"):
                store.claim("shop", run_uid="second")

    watched = BackupStore(samples.Watched(objects, meanwhile), clock=clock)

    with watched.claim("shop", run_uid="first") as claim:
        claim.check()
        assert len(puts) == 2
        with pytest.raises(BackupInProgressError, match="lost its claim"):
            holder.check()
        assert [path.name for path in (root / CLAIM).parent.rglob("*.json")] == [
            "shop.json"
        ]


def test_take_over_from_oneself_that_was_broken_off(objects, clock):
    """Who woke up, took its own claim back and died in doing so blocks one run only."""
    store = BackupStore(objects, clock=clock)
    store.claim("shop", run_uid="dead")
    record = ClaimRecord(
        name="shop", run="dead", started=clock.now(), heartbeat=clock.now()
    )
    objects.put("plugins/kbackup.io/claims/shop/dead.json", record.encode())
    clock.advance(timedelta(minutes=6))

    with pytest.raises(BackupInProgressError, match="broken off; try again"):
        store.claim("shop", run_uid="next")

    store.claim("shop", run_uid="next").release()


def test_marker_that_cannot_be_removed(objects, clock, root, caplog):
    """A name that was taken over is ours though the store fails to tidy up after it."""
    store = BackupStore(objects, clock=clock)
    store.claim("shop", run_uid="dead")
    clock.advance(timedelta(minutes=6))

    def fail(verb, key):
        """Remove no marker."""
        if verb == "delete" and key != CLAIM:
            raise StoreUnavailableError(key)

    failing = BackupStore(samples.Watched(objects, fail), clock=clock)
    with failing.claim("shop", run_uid="next") as claim:
        claim.check()
        with pytest.raises(BackupInProgressError, match="run next"):
            store.claim("shop", run_uid="late")

    assert "a marker on backup shop stays behind" in caplog.text
    store.claim("shop", run_uid="after")
    clock.advance(timedelta(minutes=6))
    store.claim("shop", run_uid="heir").release()
    assert not list((root / "plugins/kbackup.io/claims").rglob("*.json"))


def test_dead_markers_that_cannot_be_listed(objects, clock, monkeypatch):
    """A name that was taken over is ours though older markers cannot be looked for."""
    store = BackupStore(objects, clock=clock)
    store.claim("shop", run_uid="dead")
    clock.advance(timedelta(minutes=6))
    listed = objects.list

    def fail(prefix, *, after=""):
        """List no claims."""
        if prefix.startswith("plugins/kbackup.io/claims/"):
            raise StoreUnavailableError(prefix)
        return listed(prefix, after=after)

    monkeypatch.setattr(objects, "list", fail)

    with store.claim("shop", run_uid="next") as claim:
        claim.check()


def test_claim_that_comes_and_goes(objects, clock):
    """Where the claim of others is there whenever we write, and never when we look."""

    def taken(verb, key):
        """Say that the key is taken."""
        raise ObjectExistsError(key)

    store = BackupStore(samples.Watched(objects, taken), clock=clock)

    with pytest.raises(BackupInProgressError, match="comes and goes"):
        store.claim("shop", run_uid="a")


def test_store_that_fails_while_contending(objects, clock, root):
    """A contender that cannot go on takes back what it wrote."""
    writes = []

    def fail(verb, key):
        """Fail the second write of the contender."""
        writes.append(verb)
        if writes.count("put") > 1 and verb == "put":
            raise StoreUnavailableError(key)

    store = Listed(objects)
    store._before = fail

    with pytest.raises(StoreUnavailableError):
        BackupStore(store, clock=clock).claim("shop", run_uid="a")
    assert not list((root / "plugins/kbackup.io/claims").rglob("*.json"))


@pytest.mark.parametrize("ends", ["holds", "dies"])
def test_contender_with_a_lower_uid(objects, clock, root, ends):
    """A contender waits for the decision of a lower one, or until that is dead."""
    lower = root / "plugins/kbackup.io/claims/shop/a.json"
    waited = []

    class Contending(Listed):
        """A store in which the lower one writes right after our first look."""

        def put(self, key, source, **options):
            """Write; before our second object the lower one writes its first."""
            if not lower.exists() and json.loads(source).get("held"):
                self._write(held=False)
            return super().put(key, source, **options)

        def _write(self, *, held):
            record = ClaimRecord(
                name="shop",
                run="a",
                started=clock.now(),
                heartbeat=clock.now(),
                held=held,
            )
            objects.put(
                f"plugins/kbackup.io/claims/shop/{record.run}.json", record.encode()
            )

    store = Contending(objects)

    def sleep(seconds):
        """Let the lower one decide, or let the time pass that makes it dead."""
        waited.append(seconds)
        if ends == "holds":
            store._write(held=True)
        else:
            clock.advance(timedelta(minutes=6))
            os.utime(lower, (1, 1))

    clock.sleep = sleep
    backups = BackupStore(store, clock=clock)

    if ends == "holds":
        with pytest.raises(BackupInProgressError, match="run a"):
            backups.claim("shop", run_uid="b")
    else:
        backups.claim("shop", run_uid="b").release()
    assert len(waited) == 1


FORKING = """
import os, sys
from kbackup.catalog import BackupStore
from kbackup_plugins_local import open_local_store

store = BackupStore(open_local_store({"path": sys.argv[1]}))
with store.claim("shop", run_uid="holder") as claim:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        claim.check()
        print("held")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
def test_fork_of_the_holder(root):
    """A process that the holder forked off leaves the holder its name when it ends."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING, str(root)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("held\n", "")
    assert not (root / CLAIM).exists()


def test_heartbeat_that_fails_is_tried_again(objects, clock, monkeypatch):
    """A store that fails for a while costs a heartbeat, not the claim."""
    monkeypatch.setattr("kbackup.catalog._claim.HEARTBEAT", timedelta(milliseconds=1))
    beats = []
    alive = threading.Event()

    def fail(verb, key):
        """Fail the first two heartbeats."""
        beats.extend([verb] if key == CLAIM else [])
        if 1 < len(beats) < 4:
            raise StoreUnavailableError(key)
        if len(beats) > 4:
            alive.set()

    store = BackupStore(samples.Watched(objects, fail), clock=clock)

    with store.claim("shop", run_uid="a") as claim:
        assert alive.wait(30)
        claim.check()


def test_system_that_tells_no_boot(objects, monkeypatch):
    """Where the system does not say which machine it is, only heartbeats count."""
    monkeypatch.setattr("kbackup.catalog._claim_record.machine", lambda: "")
    store = BackupStore(objects, clock=SystemClock())
    store.claim("shop", run_uid="a")

    with pytest.raises(BackupInProgressError):
        store.claim("shop", run_uid="b")


def test_listed_contenders_have_at_most_one_winner(objects):
    """Without atomic creation two never win the same name."""
    for _ in range(10):
        won = samples.contend(
            lambda n: BackupStore(Listed(objects), clock=SystemClock()).claim(
                "shop", run_uid=f"run-{n}"
            )
        )
        assert len(won) <= 1
        for claim in won:
            claim.release()


def test_leftovers_are_swept(store, root):
    """What a dead run left below the name is gone before the next one writes."""
    directory = root / "backups/shop"
    directory.mkdir(parents=True)
    (directory / "shop-volumeinfo.json.gz").write_bytes(b"old")

    with store.claim("shop", run_uid="next"):
        assert not list(directory.glob("*"))


def test_a_directory_with_something_else_is_no_free_name(store, root):
    """Where a strange file lies the name is refused, and nothing there is removed."""
    directory = root / "backups/shop"
    directory.mkdir(parents=True)
    (directory / "shop-volumeinfo.json.gz").write_bytes(b"old")
    (directory / "holiday.jpg").write_bytes(b"hi")

    with pytest.raises(BackupExistsError, match=r"no file of a backup: holiday\.jpg"):
        store.claim("shop", run_uid="next")

    assert len(list(directory.iterdir())) == 2
    store.claim("other", run_uid="next").release()


@pytest.mark.parametrize("name", ["", "Shop", "a/b", "..", "a_b", "x" * 254])
def test_names(store, name):
    """A name that is no DNS-1123 subdomain never becomes a key."""
    with pytest.raises(InvalidSpecError):
        store.claim(name, run_uid="a")


def test_read_only(objects):
    """A read-only location is neither claimed nor deleted from."""
    spec = BackupStorageLocationSpec(provider="x", access_mode=AccessMode.READ_ONLY)
    store = BackupStore(objects, location=BackupStorageLocation(spec=spec))

    with pytest.raises(ReadOnlyLocationError):
        store.claim("shop", run_uid="a")
    with pytest.raises(ReadOnlyLocationError):
        store.delete("shop")


def test_two_processes_race(root, tmp_path):
    """Of two processes that write one name one wins, and its backup is whole."""
    root.mkdir()
    for n in range(3):
        name, barrier = f"race-{n}", tmp_path / f"go-{n}"
        racers = [
            subprocess.Popen(
                [sys.executable, PROGRAM, "race", root, name, barrier],
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        for racer in racers:
            assert racer.stdout.readline() == "ready\n"
        barrier.touch()
        outcomes = [racer.communicate()[0].strip() for racer in racers]

        lost = {"BackupInProgressError", "BackupExistsError"}
        (winner,) = [outcome for outcome in outcomes if outcome not in lost]
        store = BackupStore(open_local_store({"path": str(root)}))
        assert store.get(name).metadata.uid == winner
        assert store.verify(name).problems == ()
