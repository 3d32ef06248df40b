"""What a server turns out not to do is done without, remembered, and learned again."""

from __future__ import annotations

import io
import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from kbackup.errors import (
    ObjectExistsError,
    StoreAccessError,
    StoreError,
    UnsupportedCapabilityError,
)
from kbackup.plugins import Capability
from kbackup.stores import (
    FsspecObjectStore,
    PrefixedStore,
    ReadOnlyStore,
    ensure_location_record,
    layout,
    open_filesystem,
    read_location_record,
    validate_object_store,
)
from kbackup.testing import MemoryStore

ALL = frozenset({Capability.ATOMIC_CREATE, Capability.RETENTION, Capability.RANGE})
HOUR = timedelta(hours=1)


class Server(FsspecObjectStore):
    """A store of a server whose ways a test sets.

    Attributes:
        conditions: ``kept``, ``refused`` or ``overlooked``.
        locks: ``kept``, ``refused`` or ``overlooked``.
        writes: The puts so far: the key, and whether a condition went along.
    """

    def __init__(self, root, *, conditions="kept", locks="kept"):
        super().__init__(open_filesystem("memory"), root, capabilities=ALL)
        self.conditions = conditions
        self.locks = locks
        self.writes = []
        self.locked = {}

    def _write(self, key, source, seconds, *, create, retain_until):
        self.writes.append((key, create))
        if create and self.conditions == "refused":
            raise StoreError(key, "no such header (NotImplemented)")
        if retain_until and self.locks == "refused":
            raise StoreError(key, "the bucket has no locks (InvalidRequest)")
        if retain_until and self.locks == "kept":
            self.locked[key] = retain_until
        told = create and self.conditions == "kept"
        super()._write(key, source, seconds, create=told, retain_until=None)

    def _lock_of(self, key, seconds):
        return self.locked.get(key)


@pytest.fixture
def root():
    """A bucket that nobody else has."""
    return f"/{uuid.uuid4()}"


def remembered(root):
    """What the location's identity says of the server, as it is written."""
    store = Server(root)
    store.get(layout.LOCATION, target := io.BytesIO())
    return json.loads(target.getvalue())


# --- doing without --------------------------------------------------------------------


@pytest.mark.parametrize("conditions", ["refused", "overlooked"])
def test_a_create_without_conditions(root, conditions):
    """A taken key is seen by a look before the write, and no condition is sent again."""
    ensure_location_record(Server(root, conditions=conditions))
    store = Server(root, conditions=conditions)
    ensure_location_record(store)

    store.put("a", b"first", create=True)
    with pytest.raises(ObjectExistsError):
        store.put("a", b"second", create=True)

    assert store.writes == [("a", False)]
    assert store.lost() == {Capability.ATOMIC_CREATE}
    assert store.stat("a").size == len(b"first")


def test_a_refusal_is_warned_of(root, caplog):
    """A store that was not tried out goes on after a refusal, says so once, and knows."""
    store = Server(root, conditions="refused")

    store.put("a", b"x", create=True)
    store.put("b", b"x", create=True)

    assert store.writes == [("a", True), ("a", False), ("b", False)]
    assert caplog.messages == [f"{root}: the server refuses conditional puts"]


@pytest.mark.parametrize("locks", ["refused", "overlooked"])
def test_locks_that_a_server_has_not(root, locks):
    """A lock that was tried in vain is refused by later stores, and nothing is written."""
    check = validate_object_store(Server(root, locks=locks))
    ensure_location_record(Server(root, locks=locks))
    store = Server(root, locks=locks)
    ensure_location_record(store)

    with pytest.raises(UnsupportedCapabilityError, match="cannot lock"):
        store.put("a", b"x", retain_until=datetime.now(UTC) + HOUR)

    assert "locks no objects" in check.problems[0]
    assert [info.key for info in store.list("")] == [layout.LOCATION]


def test_a_store_with_nothing_to_lose_is_not_tried(root):
    """Where nothing could be taken away the first use writes the identity alone."""
    store = Server(root)
    store.capabilities = store._declared = frozenset({Capability.RANGE})

    record = ensure_location_record(store)

    assert record.profile is None
    assert [key for key, _ in store.writes] == [layout.LOCATION]


def test_validate_says_what_a_filesystem_cannot_do(root):
    """A store that declares nothing is shown as one that can nothing but the plain."""
    store = FsspecObjectStore(open_filesystem("memory"), root)

    check = validate_object_store(PrefixedStore(store, "prod"))

    assert check.ok
    assert check.capabilities == frozenset()
    assert check.checksum is None


# --- learning -------------------------------------------------------------------------


def test_what_a_server_has_learned(root):
    """A trial that goes better than the last one is remembered, and told."""
    ensure_location_record(Server(root, conditions="overlooked", locks="refused"))
    before = remembered(root)

    check = validate_object_store(Server(root))

    after = remembered(root)
    assert before["profile"]["lacks"] == ["atomic-create", "retention"]
    assert after == {**before, "profile": {"lacks": [], "refusedChecksums": []}}
    assert check.news == (
        "the server has learned conditional puts: remembered from now on",
        "the server has learned object locks: remembered from now on",
    )
    later = Server(root)
    ensure_location_record(later)
    assert later.capabilities == ALL


def test_what_a_server_has_forgotten(root):
    """A trial that goes worse takes away, from later stores, too."""
    ensure_location_record(Server(root))

    check = validate_object_store(Server(root, conditions="refused"))

    assert check.news == (
        "the server does no conditional puts: remembered from now on",
    )
    assert read_location_record(Server(root)).profile.lacks == {
        Capability.ATOMIC_CREATE
    }


def test_no_news_is_not_written(root):
    """The identity is not written anew where all is as it was."""
    ensure_location_record(Server(root, locks="refused"))
    store = Server(root, locks="refused")

    check = validate_object_store(store)

    assert check.news == ()
    assert layout.LOCATION not in [key for key, _ in store.writes]


def test_fields_of_a_newer_kbackup_stay(root):
    """Only the profile is replaced in the identity."""
    store = Server(root, conditions="refused")
    ensure_location_record(store)
    document = {**remembered(root), "later": {"x": 1}}
    store.put(layout.LOCATION, json.dumps(document).encode())

    validate_object_store(Server(root))

    assert remembered(root)["later"] == {"x": 1}
    assert remembered(root)["uuid"] == document["uuid"]


def test_what_a_newer_kbackup_found_stays(root):
    """What this one cannot try is lacking still, and is no news."""
    store = Server(root, conditions="refused")
    ensure_location_record(store)
    document = remembered(root)
    document["profile"]["lacks"] += ["later"]
    document["profile"]["found"] = {"x": 1}
    store.put(layout.LOCATION, json.dumps(document).encode())

    assert not validate_object_store(Server(root, conditions="refused")).news
    assert remembered(root) == document

    assert validate_object_store(Server(root)).news
    assert remembered(root)["profile"]["lacks"] == ["later"]
    assert remembered(root)["profile"]["found"] == {"x": 1}


def test_what_was_not_tried_stays(root):
    """A location opened without locks says nothing about what the bucket locks."""
    ensure_location_record(Server(root, locks="refused"))
    store = Server(root)
    store.capabilities = store._declared = ALL - {Capability.RETENTION}

    check = validate_object_store(store)

    assert check.news == ()
    assert remembered(root)["profile"]["lacks"] == ["retention"]


@pytest.mark.parametrize("how", ["told", "found by itself"])
def test_a_store_in_use_teaches_nothing(root, how):
    """Who does without already cannot tell whether the server has learned it."""
    ensure_location_record(Server(root, conditions="refused"))
    store = Server(root, conditions="refused")
    if how == "told":
        ensure_location_record(store)
    else:
        store.put("a", b"x", create=True)

    check = validate_object_store(store)

    assert check.news == ()
    assert Capability.ATOMIC_CREATE not in check.capabilities
    assert remembered(root)["profile"]["lacks"] == ["atomic-create"]


def test_a_read_only_location_is_not_written(root):
    """What is remembered counts where nothing may be tried, and stays."""
    ensure_location_record(Server(root, conditions="refused"))
    store = Server(root)

    check = validate_object_store(ReadOnlyStore(store), write=False)

    assert Capability.ATOMIC_CREATE not in check.capabilities
    assert (check.news, store.writes) == ((), [])


def test_news_that_cannot_be_written(root, monkeypatch):
    """A trial counts although the identity is locked; that is told."""
    ensure_location_record(Server(root, conditions="refused"))
    store = Server(root)
    write = store._write

    def locked(key, *given, **how):
        if key == layout.LOCATION:
            raise StoreAccessError(key, "it is locked")
        write(key, *given, **how)

    monkeypatch.setattr(store, "_write", locked)

    check = validate_object_store(store)

    assert check.ok
    assert Capability.ATOMIC_CREATE in check.capabilities
    assert "could not be written down" in check.news[0]


def test_a_new_location_stays_new(root):
    """Validating a place that nothing was written to makes no identity."""
    check = validate_object_store(Server(root))

    assert check.ok
    assert list(Server(root).list("")) == []


# --- who cannot be asked --------------------------------------------------------------


def test_who_cannot_ask_for_locks_believes(root, monkeypatch):
    """Without the right to read locks a location that takes them counts as locking."""
    store = Server(root)

    def refused(key, seconds):
        raise StoreAccessError(key, "s3:GetObjectRetention is not allowed")

    monkeypatch.setattr(store, "_lock_of", refused)

    check = validate_object_store(store)

    assert check.ok
    assert Capability.RETENTION in check.capabilities


def test_locks_below_a_prefix(root):
    """A prefix passes the question on, and the answer that a store cannot tell."""
    until = datetime.now(UTC) + HOUR
    store = PrefixedStore(Server(root), "prod")
    store.put("a", b"x", retain_until=until)

    assert store.locked_until("a") == until
    with pytest.raises(UnsupportedCapabilityError):
        PrefixedStore(MemoryStore(), "prod").locked_until("a")
