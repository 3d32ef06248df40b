"""The name of a restore has one holder, and what is no file of a restore stays."""

import os
import subprocess
import sys
from datetime import timedelta

import catalog_samples as samples
import pytest
from test_claim import Listed, alter
from test_repair import NOW, age, claim_of
from test_restores import files_of, restore_of

from kbackup._kits.clock import SystemClock
from kbackup.catalog import BackupStore
from kbackup.errors import (
    InvalidSpecError,
    ObjectExistsError,
    ReadOnlyLocationError,
    RestoreExistsError,
    RestoreInProgressError,
    RestoreNotFoundError,
    StoreFullError,
    StoreUnavailableError,
)
from kbackup.models import (
    AccessMode,
    BackupStorageLocation,
    BackupStorageLocationSpec,
)
from kbackup.testing import FrozenClock

CLAIM = "plugins/kbackup.io/restore-claims/try.json"


@pytest.fixture(name="any_store", params=["atomic", "listed"])
def fixture_any_store(request, objects, clock):
    """A backup store over either kind of object store."""
    chosen = objects if request.param == "atomic" else Listed(objects)
    return BackupStore(chosen, clock=clock)


def claims_in(root):
    """The claims on names of restores."""
    below = (root / "plugins/kbackup.io/restore-claims").rglob("*.json")
    return sorted(path.name for path in below)


def test_second_is_told_who_holds_the_name(any_store):
    """While a restore runs another of its name is told which run, where and since when."""
    with (
        any_store.claim_restore("try", run_uid="run-1"),
        pytest.raises(RestoreInProgressError) as caught,
    ):
        any_store.claim_restore("try", run_uid="run-0")

    text = str(caught.value)
    assert text.startswith("restore try: is running already: by run run-1 on ")
    assert f"(process {os.getpid()}) since 2026-05-01T03:00:00Z" in text
    assert "choose another name" in caught.value.hint
    assert caught.value.retryable


def test_nothing_of_the_claim_is_left(any_store, root):
    """After a restore its name is free, and nothing ever lay among Velero's files."""
    with any_store.claim_restore("try", run_uid="run-1"):
        assert not (root / "restores").exists()

    any_store.claim_restore("try", run_uid="run-2").release()
    assert claims_in(root) == []


def test_backup_and_restore_of_one_name(any_store):
    """A backup and a restore of the same name do not get in each other's way."""
    with (
        any_store.claim_restore("restores", run_uid="r"),
        any_store.claim("restores", run_uid="b"),
    ):
        assert [entry.name for entry in any_store.list()] == ["restores"]
        assert any_store.list_restores() == []


@pytest.mark.parametrize(
    ("kind", "least"), [(lambda store: store, 1), (Listed, 0)], ids=["atomic", "listed"]
)
def test_at_most_one_of_many_wins(objects, kind, least):
    """Of many that want the name at the same moment one gets it, in a plain store or none."""
    won = samples.contend(
        lambda n: BackupStore(kind(objects), clock=SystemClock()).claim_restore(
            "try", run_uid=f"run-{n}"
        )
    )

    assert least <= len(won) <= 1
    for claim in won:
        claim.release()


def test_a_killed_restore_is_run_again_at_once(store, root):
    """Nobody waits for the name of a process of this machine that is gone."""
    store.claim_restore("try", run_uid="dead")
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    alter(root / CLAIM, pid=child.pid)

    store.claim_restore("try", run_uid="next").release()
    assert claims_in(root) == []


def test_a_restore_that_died_elsewhere(any_store, clock, root):
    """Of another machine's restore the name is free when five minutes passed silently."""
    dead = any_store.claim_restore("try", run_uid="dead")

    clock.advance(timedelta(minutes=5))
    with pytest.raises(RestoreInProgressError):
        any_store.claim_restore("try", run_uid="early")
    clock.advance(timedelta(seconds=2))

    with any_store.claim_restore("try", run_uid="next") as claim:
        with pytest.raises(RestoreInProgressError, match="lost its claim"):
            any_store.put_restore(restore_of("try"), files_of("try"), dead)
        assert not (root / "restores").exists()
        any_store.put_restore(restore_of("try"), files_of("try"), claim)
    assert [each.name for each in any_store.list_restores()] == ["try"]


def test_the_name_of_a_killed_restore_of_another_backup(any_store, clock, root):
    """Only a restore of the same backup takes a dead one's name over; both are named."""
    any_store.claim_restore("try", run_uid="dead", from_backup="shop-1")
    any_store.check_restore("try", "uid", from_backup="shop-2")  # it lives: later
    clock.advance(timedelta(minutes=6))

    for ask in (
        lambda: any_store.check_restore("try", "uid", from_backup="shop-2"),
        lambda: any_store.claim_restore("try", run_uid="b", from_backup="shop-2"),
    ):
        with pytest.raises(RestoreExistsError) as caught:
            ask()
        assert str(caught.value) == (
            "restore try: exists already: a restore of backup shop-1 was begun under "
            "this name and did not end; this is one of backup shop-2"
        )
        assert "restore shop-1 under this name" in caught.value.hint
        assert len(claims_in(root)) == 1

    any_store.check_restore("try", "uid", from_backup="shop-1")
    any_store.claim_restore("try", run_uid="c", from_backup="shop-1").release()
    assert claims_in(root) == []


def test_a_contender_that_died_undecided_holds_nobody_up(objects, clock, root):
    """Who never had the name wrote nothing under it, whatever backup it was to restore."""
    store = BackupStore(Listed(objects), clock=clock)
    store.claim_restore("try", run_uid="dead", from_backup="shop-1")
    alter(root / CLAIM.replace(".json", "/dead.json"), held=False)
    clock.advance(timedelta(minutes=6))

    store.claim_restore("try", run_uid="b", from_backup="shop-2").release()
    assert claims_in(root) == []


def test_a_claim_that_is_lost_while_the_files_are_written(objects, store, root):
    """The record, which makes a restore visible, is not written without the claim."""

    def lose(verb, key):
        """Remove the claim ahead of the first file."""
        if key.endswith("-logs.gz") and (root / CLAIM).exists():
            (root / CLAIM).unlink()

    losing = BackupStore(samples.Watched(objects, lose))
    with (
        losing.claim_restore("try", run_uid="a") as claim,
        pytest.raises(RestoreInProgressError, match="lost its claim"),
    ):
        losing.put_restore(restore_of("try"), files_of("try"), claim)
    assert store.list_restores() == []

    store.put_restore(restore_of("try"), files_of("try"))
    assert store.get_restore("try") == restore_of("try")


@pytest.mark.parametrize("claim", ["claim", "claim_restore"])
def test_an_answer_that_was_lost(objects, clock, claim):
    """A store that wrote the claim and could not say so does not keep us from it."""
    lost = []

    class Losing(samples.Watched):
        """A store that writes the claim at the second try, which finds the first."""

        def put(self, key, source, **options):
            """Write, and say that it was there."""
            info = super().put(key, source, **options)
            if "claims/" in key and not lost:
                lost.append(key)
                raise ObjectExistsError(key)
            return info

    store = BackupStore(Losing(objects, lambda verb, key: None), clock=clock)

    with getattr(store, claim)("try", run_uid="a") as held:
        held.check()
    assert len(lost) == 1


def test_a_read_only_location_is_not_claimed(objects, root):
    """Nothing is written where nothing may be, and a bad name becomes no key."""
    spec = BackupStorageLocationSpec(provider="x", access_mode=AccessMode.READ_ONLY)
    store = BackupStore(objects, location=BackupStorageLocation(spec=spec))

    with pytest.raises(ReadOnlyLocationError):
        store.claim_restore("try", run_uid="a")
    with pytest.raises(InvalidSpecError, match="no name of a restore"):
        BackupStore(objects).claim_restore("../x", run_uid="a")
    assert claims_in(root) == []


# --- deleting, and what is not ours ---------------------------------------------------


def test_a_running_restore_is_not_deleted(store):
    """What a run is about to write anew is not removed under its hands."""
    store.put_restore(restore_of("try"), files_of("try"))

    with store.claim_restore("try", run_uid="a"), pytest.raises(RestoreInProgressError):
        store.delete_restore("try")

    assert [each.name for each in store.list_restores()] == ["try"]


@pytest.mark.parametrize("room", [0, 1])
def test_deleting_needs_no_room(objects, store, root, room):
    """In a store that is full a restore is deleted all the same, a running one is not."""
    store.put_restore(restore_of("try"), files_of("try"))
    done = []

    def refuse(verb, key):
        """Take something only once so many objects were removed."""
        if verb == "put" and (not room or len(done) < room):
            raise StoreFullError(key)
        done.extend([key] if verb == "delete" else [])

    full = BackupStore(samples.Watched(objects, refuse))
    with (
        store.claim_restore("try", run_uid="a"),
        pytest.raises(RestoreInProgressError, match="run a"),
    ):
        full.delete_restore("try")

    assert full.delete_restore("try") == ()

    assert done[0] == "restores/try/kbackup-restore.json"
    assert store.list_restores() == []
    assert claims_in(root) == []


def test_a_full_store_that_is_full_no_more(objects, store):
    """A restore that begins while one of its name is deleted keeps what it writes."""
    store.put_restore(restore_of("try"), files_of("try"))
    done, claims = [], []

    def until_there_is_room(verb, key):
        """Take nothing before a file is gone; then another restore comes first."""
        if len(done) == 2 and not claims:
            claims.append(store.claim_restore("try", run_uid="other"))
            objects.put("restores/try/restore-try-logs.gz", b"new")
        if verb == "put" and not claims:
            raise StoreFullError(key)
        done.extend([key] if verb == "delete" else [])

    full = BackupStore(samples.Watched(objects, until_there_is_room))
    with pytest.raises(RestoreInProgressError, match="run other"):
        full.delete_restore("try")

    assert done[0] == "restores/try/kbackup-restore.json"
    assert len(done) == 2
    assert objects.stat("restores/try/restore-try-logs.gz")


def test_deleting_a_restore_that_was_killed(objects, store, root):
    """Of a restore whose upload was broken off nothing is left, its journal included."""

    def die(verb, key):
        """Die before the record."""
        if key.endswith("kbackup-restore.json"):
            raise StoreUnavailableError(key)

    broken = BackupStore(samples.Watched(objects, die))
    for name in ("try", "other"):
        with pytest.raises(StoreUnavailableError):
            broken.put_restore(restore_of(name, f"uid-{name}"), files_of(name))
    objects.put("plugins/kbackup.io/journal/odd/00000000.json", b"rubbish")

    assert store.delete_restore("try") == ()

    journals = sorted((root / "plugins/kbackup.io/journal").rglob("*.json"))
    assert [path.parent.name for path in journals] == ["odd", "uid-other"]
    objects.put("restores/try/restore-try-logs.gz", b"of another run")
    with pytest.raises(RestoreExistsError, match="another run left files"):
        store.put_restore(restore_of("try", "uid-try"), files_of("try"))


def test_deleting_leaves_what_is_no_file_of_a_restore(store, root):
    """Deleting removes a restore, and names what somebody else put beside it."""
    store.put_restore(restore_of("try"), files_of("try"))
    stranger = root / "restores/try/holiday.jpg"
    stranger.write_bytes(b"hi")

    assert store.delete_restore("try") == ("restores/try/holiday.jpg",)

    assert [path.name for path in stranger.parent.iterdir()] == ["holiday.jpg"]
    assert claims_in(root) == []
    with pytest.raises(RestoreNotFoundError, match=r"no file of a restore: holiday"):
        store.delete_restore("try")
    with pytest.raises(RestoreExistsError, match=r"no file of a restore: holiday"):
        store.check_restore("try", "another")


def test_completing_leaves_what_is_no_file_of_a_restore(objects, store, root):
    """A run that completes what it left replaces its own files and no others."""

    def die(verb, key):
        """Die before the record."""
        if key.endswith("kbackup-restore.json"):
            raise StoreUnavailableError(key)

    broken = BackupStore(samples.Watched(objects, die))
    with pytest.raises(StoreUnavailableError):
        broken.put_restore(restore_of("try"), files_of("try"))
    stranger = root / "restores/try/holiday.jpg"
    stranger.write_bytes(b"hi")

    store.put_restore(restore_of("try"), files_of("try"))

    assert store.get_restore("try") == restore_of("try")
    assert stranger.read_bytes() == b"hi"


# --- repairing ------------------------------------------------------------------------


def test_a_claim_of_a_dead_restore_is_freed_by_a_repair(objects, root):
    """A day after a restore died a repair frees its name; younger claims are left."""
    late = BackupStore(objects, clock=FrozenClock(NOW + timedelta(days=2)))
    soon = BackupStore(objects, clock=FrozenClock(NOW + timedelta(hours=23)))
    objects.put(CLAIM, claim_of("try", heartbeat=NOW))

    assert soon.plan_repair().steps == ()
    report = late.repair(late.plan_repair())

    (outcome,) = report.outcomes
    assert (str(outcome.step.kind), str(outcome.result)) == ("free", "done")
    assert claims_in(root) == []


def test_a_claim_of_a_living_restore_is_left_by_a_repair(objects, root):
    """A restore that begins after a repair was planned keeps its name."""
    late = BackupStore(objects, clock=FrozenClock(NOW + timedelta(days=2)))
    objects.put(CLAIM, claim_of("try", heartbeat=NOW))
    plan = late.plan_repair()
    (root / CLAIM).unlink()

    with late.claim_restore("try", run_uid="a") as claim:
        (outcome,) = late.repair(plan).outcomes
        claim.check()

    assert str(outcome.result) == "skipped"
    assert "is running already" in outcome.message


def test_files_of_a_living_restore_are_left_by_a_repair(tmp_path):
    """What a restore is just writing into mirrored directories is not called damage."""
    mirrored = samples.open_mirrored(tmp_path)
    store = BackupStore(mirrored, clock=SystemClock())
    store.put_restore(restore_of("try"), files_of("try"))
    (tmp_path / "b/restores/try/kbackup-restore.json").unlink()
    age(tmp_path)

    with store.claim_restore("try", run_uid="a"):
        running = store.plan_repair()
    ended = store.plan_repair()

    assert running.steps == ()
    assert running.left == ("restores/try/: it is running",)
    assert [step.key for step in ended.steps] == ["restores/try/kbackup-restore.json"]


def test_a_restore_that_has_not_ended_is_told_of(any_store):
    """Who asks for a restore without a record hears which run has begun it, and where."""
    with (
        any_store.claim_restore("try", run_uid="run-1"),
        pytest.raises(RestoreNotFoundError) as caught,
    ):
        any_store.get_restore("try")
    with (
        any_store.claim_restore("try", run_uid="run-1"),
        pytest.raises(RestoreNotFoundError, match="not ended by run run-1"),
    ):
        any_store.delete_restore("try")
    with pytest.raises(RestoreNotFoundError) as ended:
        any_store.get_restore("try")

    text = str(caught.value)
    assert text.startswith(
        "restore try: not found: begun and not ended by run run-1 on "
    )
    assert f"(process {os.getpid()})" in text
    assert "the same restore under the same name" in caught.value.hint
    assert (str(ended.value), ended.value.hint) == ("restore try: not found", "")
