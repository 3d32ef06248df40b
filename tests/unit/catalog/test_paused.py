"""A run that is stopped for so long that its name is taken over publishes nothing."""

import uuid
from datetime import timedelta

import catalog_samples as samples
import pytest

from kbackup.catalog import BackupStore
from kbackup.errors import BackupError, BackupInProgressError, StoreUnavailableError

WRITES = 11  # location, claim, six files, manifest, record, and the claim's end
RECORD = "backups/shop/velero-backup.json"
CLAIM = "plugins/kbackup.io/claims/shop.json"


class Paused:
    """Stops a run ahead of its *number*-th write, and does something meanwhile."""

    def __init__(self, number, clock, meanwhile):
        """Count from one; *meanwhile* is called once, six minutes later."""
        self._left = number
        self._clock = clock
        self._meanwhile = meanwhile

    def __call__(self, verb, key):
        """Count a write."""
        self._left -= 1
        if self._left == 0:
            self._clock.advance(timedelta(minutes=6))
            self._meanwhile()


def publish(store, claim):
    """Write the sample backup under a claim that is held; return its uid or None."""
    try:
        with claim:
            record = samples.record_of("shop", claim.run_uid)
            store.publish(
                claim, record, samples.files_of("shop"), samples.manifest_of()
            )
    except BackupError:
        return None
    return claim.run_uid


def run(store):
    """Write the sample backup; return its uid, or None where it failed."""
    try:
        claim = store.claim("shop", run_uid=str(uuid.uuid4()))
    except BackupError:
        return None
    return publish(store, claim)


@pytest.mark.parametrize("number", range(1, WRITES + 1))
def test_other_run_ends_meanwhile(objects, clock, number):
    """What is there in the end is whole, and of the run that was told so."""
    plain = BackupStore(objects, clock=clock)
    told = []
    pause = Paused(number, clock, lambda: told.append(run(plain)))

    told.append(run(BackupStore(samples.Watched(objects, pause), clock=clock)))

    ended = [uid for uid in told if uid]
    assert ended == [plain.get("shop").metadata.uid]
    assert [entry.state for entry in plain.list()] == ["complete"]
    assert plain.verify("shop").problems == ()


@pytest.mark.parametrize("number", range(2, WRITES + 1))
def test_other_run_goes_on_afterwards(objects, clock, number):
    """The run that has the name in the end is not kept from writing it."""
    plain = BackupStore(objects, clock=clock)
    claims = []

    def take():
        """Take the name over, if that can be done."""
        try:
            claims.append(plain.claim("shop", run_uid=str(uuid.uuid4())))
        except BackupError:
            claims.append(None)

    pause = Paused(number, clock, take)
    first = run(BackupStore(samples.Watched(objects, pause), clock=clock))
    (claim,) = claims
    second = publish(plain, claim) if claim else None

    assert plain.get("shop").metadata.uid in {first, second}
    assert (first is None) != (second is None)
    assert plain.verify("shop").problems == ()


@pytest.mark.parametrize("atomic", [True, False])
def test_heartbeat_that_was_stopped_halfway(objects, clock, atomic):
    """A heartbeat that overwrites the claim of its successor is not believed."""
    others = []
    watched = samples.Watched(objects, lambda verb, key: None)
    if not atomic:
        objects.capabilities = watched.capabilities = frozenset()
    plain = BackupStore(objects, clock=clock)
    claim = BackupStore(watched, clock=clock).claim("shop", run_uid="slow")
    watched._before = Paused(
        1, clock, lambda: others.append(plain.claim("shop", run_uid="next"))
    )

    claim.renew()

    with pytest.raises(BackupInProgressError, match="lost its claim"):
        claim.check()
    assert others


def test_nobody_came(objects, clock):
    """A run that slept and finds its claim untouched goes on."""
    store = BackupStore(objects, clock=clock)
    claim = store.claim("shop", run_uid=str(uuid.uuid4()))

    clock.advance(timedelta(minutes=20))

    assert publish(store, claim) == claim.run_uid
    assert store.verify("shop").problems == ()


def test_claim_that_cannot_be_given_back(objects, clock):
    """A backup that is published is not called failed because its claim stays."""

    def fail(verb, key):
        """Fail when the claim is removed."""
        if verb == "delete" and key == CLAIM:
            raise StoreUnavailableError(key)

    store = BackupStore(samples.Watched(objects, fail), clock=clock)

    record = samples.make(store, "shop")

    assert store.get("shop") == record


def test_record_that_appears_under_the_sweep(objects, clock):
    """A run that takes a name over removes no record that came in the meantime."""
    plain = BackupStore(objects, clock=clock)
    once = []

    def meanwhile(prefix):
        """Publish the name just before it is swept."""
        if prefix == "backups/shop/" and not once:
            once.append(prefix)
            objects.put(RECORD, b"of another writer")

    class Watching(samples.Watched):
        """Tells of lists."""

        def list(self, prefix, **options):
            """Tell, then list."""
            meanwhile(prefix)
            return self._store.list(prefix, **options)

    watching = BackupStore(Watching(objects, lambda verb, key: None), clock=clock)
    with pytest.raises(BackupError):
        watching.claim("shop", run_uid="a")

    assert objects.stat(RECORD)
    assert plain.list()[0].name == "shop"
