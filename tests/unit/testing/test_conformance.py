"""Suites that are run outside a test session say which promises are broken, and how."""

import pytest

from kbackup import actions
from kbackup.errors import (
    PluginError,
    ReadOnlyLocationError,
    StoreAccessError,
    StoreUnavailableError,
)
from kbackup.models import (
    AccessMode,
    BackupStorageLocation,
    BackupStorageLocationSpec,
    ObjectMeta,
    ObjectStorage,
    ResourceSelector,
)
from kbackup.plugins import (
    Capability,
    ObjectStoreFactory,
    PluginKind,
    PluginManager,
    RestoreOutput,
    hookimpl,
)
from kbackup.testing import (
    MemoryStore,
    check_item_action,
    check_object_store,
    sample_shop,
)

PROVIDER = "example.com/shelf"


class Shelf(MemoryStore):
    """A store of one bucket that every opening sees."""

    def __init__(self, bucket):
        super().__init__()
        self.objects = bucket


class KeepsAfter(Shelf):
    """It lists the key again from which it was to go on."""

    def list(self, prefix, *, after=""):
        """List from that key on."""
        return (info for info in super().list(prefix) if info.key >= after)


class Sticky(Shelf):
    """Some of its objects cannot be deleted."""

    def delete(self, key):
        """Refuse what has a blank in its key."""
        if " " in key:
            raise StoreUnavailableError(key, "it sticks")
        super().delete(key)


class TakesAnyKey(Shelf):
    """It takes what cannot be a key for one."""

    def _check(self, key):
        """Refuse nothing."""


def plugins_with(store, bucket):
    """Return a host with one provider."""

    class Plugin:
        """Offers it."""

        @hookimpl
        def kbackup_register_object_stores(self):
            """Offer it."""
            return {PROVIDER: ObjectStoreFactory(open=lambda _config: store(bucket))}

    return PluginManager([Plugin()], strict=True)


def location(prefix="", **how):
    """Return a location of that provider."""
    spec = BackupStorageLocationSpec(
        provider=PROVIDER, object_storage=ObjectStorage(prefix=prefix), **how
    )
    return BackupStorageLocation(metadata=ObjectMeta(name="x"), spec=spec)


def check(store, bucket, where=None):
    """Check a store and return the report and its broken promises by name."""
    report = check_object_store(where or location(), plugins_with(store, bucket))
    return report, {each.name: each for each in report.promises if not each.kept}


def test_a_conforming_store():
    """Every promise is kept; what was there stays, and nothing is left behind."""
    bucket = {"backups/shop-1/velero-backup.json": b"{}", "below/mine": b"x"}
    before = dict(bucket)

    report, broken = check(Shelf, bucket, location("below"))

    assert report.conforming
    assert broken == {}
    assert report.suite == "ObjectStoreContract"
    assert report.capabilities == ("atomic-create", "range")
    assert len(report.promises) >= 30
    assert bucket == before


def test_where_it_writes():
    """It writes below a directory of its own in the location's prefix only."""
    written = set()

    class Recording(Shelf):
        """Remembers the keys."""

        def put(self, key, source, **how):
            """Remember it."""
            written.add(key)
            return super().put(key, source, **how)

    check(Recording, {}, location("below"))

    roots = {"/".join(key.split("/")[:4]) for key in written}
    assert len(roots) == 1
    assert roots.pop().startswith("below/plugins/kbackup.io/check-")


def test_a_broken_promise():
    """A broken promise is named in words, with what was found instead."""
    report, broken = check(KeepsAfter, {})

    assert not report.conforming
    assert list(broken) == ["test_list_after"]
    (promise,) = broken.values()
    assert promise.text == "A list goes on behind a key, also one that is not there."
    (fault,) = promise.faults.values()
    assert fault
    assert "\n" not in fault


def test_a_long_fault_is_cut():
    """What was found is told in a line that a terminal can show."""

    class Wordy(Shelf):
        """It says a lot about what it does not do."""

        def delete(self, key):
            """Refuse what has a blank in its key."""
            if " " in key:
                raise StoreUnavailableError(key, "z" * 100_000)
            super().delete(key)

    report, broken = check(Wordy, {})

    assert not report.conforming
    faults = [fault for each in broken.values() for fault in each.faults.values()]
    assert max(map(len, faults)) <= 303
    assert any(fault.endswith("...") for fault in faults)


def test_keys_are_judged_by_the_store():
    """A store that takes every key is found out, though one was put before it."""
    _, broken = check(TakesAnyKey, {})

    assert "test_bad_keys_are_refused" in broken
    assert len(broken["test_bad_keys_are_refused"].faults) > 5


def test_what_is_left_behind():
    """Objects that cannot be removed are told, and then the store does not conform."""
    bucket = {}

    report, broken = check(Sticky, bucket)

    assert "it sticks" in str(report.left_behind)
    assert not report.conforming
    assert list(broken) == ["test_oddkeys_of"]
    assert broken["test_oddkeys_of"].cases == 8
    assert any(" " in key for key in bucket)


class Locked(Shelf):
    """It gives up nothing that is locked, and keeps the locks with the bucket."""

    def __init__(self, bucket):
        super().__init__(bucket)
        self.capabilities |= {Capability.RETENTION}

    def put(self, key, source, *, create=False, retain_until=None):
        """Write it, and mark it as locked."""
        self._refuse(key)
        info = super().put(key, source, create=create)
        if retain_until:
            LOCKS.add(key)
        return info

    def delete(self, key):
        """Refuse what is locked."""
        self._refuse(key)
        super().delete(key)

    def _refuse(self, key):
        if key in LOCKS:
            raise StoreAccessError(key, "it is locked")


LOCKS = set()


def test_what_the_suite_has_locked():
    """Locks that hold are no fault of the store; what they keep is told apart."""
    bucket = {}

    report, broken = check(Locked, bucket)

    assert broken == {}
    assert report.conforming
    assert report.left_behind == ()
    assert {key.split(": ")[0] for key in report.locked} == set(bucket)
    assert all("/backups/locked/" in key for key in bucket)
    assert report.to_json()["locked"] == list(report.locked)


def test_a_store_that_only_says_it_locks():
    """A capability that is declared in vain is a broken promise, named in words."""

    class Says(Shelf):
        """It takes a lock and forgets it."""

        def __init__(self, bucket):
            super().__init__(bucket)
            self.capabilities |= {Capability.RETENTION, Capability.SIGNED_URL}

        def put(self, key, source, *, create=False, retain_until=None):
            """Forget the lock."""
            return super().put(key, source, create=create)

        def signed_url(self, key, ttl):
            """Return an address that nobody answers at."""
            return f"http://127.0.0.1:1/{key}"

    report, broken = check(Says, {})

    assert list(broken) == [
        "test_signed_addresses",
        "test_a_signed_address_is_for_one_object",
        "test_a_signed_address_ends",
        "test_a_lock_holds",
    ]
    assert set(broken["test_a_lock_holds"].faults) == {"overwrite", "delete"}
    assert "no lock is told" in broken["test_a_lock_holds"].faults["delete"]
    assert not report.conforming


def test_a_read_only_location():
    """A location that is not to be written is refused before anything is tried."""
    with pytest.raises(ReadOnlyLocationError):
        check(Shelf, {}, location(access_mode=AccessMode.READ_ONLY))


def test_each_promise_is_told_as_it_is_tried():
    """Who listens hears every promise once, in order."""
    heard = []

    report = check_object_store(location(), plugins_with(Shelf, {}), heard=heard.append)

    assert heard == [each.text for each in report.promises]


class Changes:
    """A restore item action that changes what it was given."""

    name = "example.com/changes"
    applies_to = ResourceSelector(included_resources=("services",))

    def execute(self, given):
        """Change it in place."""
        given.item["metadata"]["labels"] = {"changed": "yes"}
        return RestoreOutput(item=given.item)


def test_an_action_is_tried_on_what_it_is_for():
    """Every object that it applies to is a case, also with nothing but metadata."""
    report = check_item_action(PluginKind.RESTORE_ITEM_ACTION, Changes(), sample_shop())

    broken = {each.name: each for each in report.promises if not each.kept}
    assert list(broken) == ["test_input_is_left_alone"]
    assert set(broken["test_input_is_left_alone"].faults) == {
        "services web",
        "services web without spec",
    }
    assert report.suite == "RestoreItemActionContract"


def test_an_action_that_is_for_nothing_here():
    """Without anything to try it on nobody can say whether it conforms."""
    with pytest.raises(PluginError, match="applies to none of the 0 objects"):
        check_item_action(PluginKind.RESTORE_ITEM_ACTION, Changes(), [])


@pytest.mark.parametrize(
    ("kind", "listed"),
    [
        (PluginKind.BACKUP_ITEM_ACTION, PluginManager.backup_item_actions),
        (PluginKind.ITEM_BLOCK_ACTION, PluginManager.item_block_actions),
    ],
    ids=["backup", "item block"],
)
def test_built_in_actions_conform_on_the_sample(kind, listed):
    """The built-in action for Pods keeps its promises on the Pods of the sample shop."""
    (action,) = (
        each
        for each in listed(PluginManager([actions]))
        if each.name == "velero.io/pod"
    )

    report = check_item_action(kind, action, sample_shop())

    assert report.conforming
    assert report.to_json()["promises"][0]["cases"] >= 1
