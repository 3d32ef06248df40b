"""Prefixes, walks, retries, identities and the trial of a store."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbackup.errors import (
    InvalidConfigError,
    ObjectExistsError,
    ObjectNotFoundError,
    SnapshotterThrottledError,
    StoreAccessError,
    StoreError,
    StoreUnavailableError,
    UnsupportedCapabilityError,
)
from kbackup.plugins import Capability, Digest, ObjectInfo
from kbackup.stores import (
    FsspecObjectStore,
    LocationRecord,
    PrefixedStore,
    RetryPolicy,
    Timeouts,
    bounded,
    common_prefixes,
    copies_of,
    ensure_location_record,
    layout,
    open_filesystem,
    prefixes_in_key_order,
    problems_of,
    read_location_record,
    state_of,
    validate_object_store,
    walk_in_key_order,
)
from kbackup.testing import FailingStore, MemoryStore

NAMES = st.text(alphabet="ab-./0", min_size=1, max_size=3).filter(
    lambda name: "/" not in name and name not in {".", ".."}
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(tuple)


def tree_of(paths):
    """A tree of dicts; a path that would be below a file is left out."""
    tree = {}
    for path in sorted(paths, key=len, reverse=True):
        node = tree
        for name in path[:-1]:
            node = node.setdefault(name, {})
        node.setdefault(path[-1], None)
    return tree


def children_of(tree):
    """Look into a tree of dicts as into directories."""

    def children(directory):
        node = tree
        for name in directory.split("/")[:-1]:
            node = (node or {}).get(name)
        for name, below in (node or {}).items():
            info = ObjectInfo(key=directory + name, size=0) if below is None else None
            yield name, info

    return children


def leaves(tree, base=""):
    """The keys of all files of a tree."""
    for name, below in tree.items():
        if below is None:
            yield base + name
        else:
            yield from leaves(below, f"{base}{name}/")


@given(st.sets(PATHS, max_size=20), st.text("ab-./0", max_size=5), PATHS)
def test_a_walk_is_a_sorted_list(paths, prefix, after):
    """Walking a tree yields what sorting and filtering all keys would yield."""
    tree, past = tree_of(paths), "/".join(after)

    found = [info.key for info in walk_in_key_order(children_of(tree), prefix, past)]

    keys = sorted(leaves(tree))
    assert found == [key for key in keys if key.startswith(prefix) and key > past]


@given(st.sets(PATHS, max_size=20), st.text("ab-./0", max_size=5))
def test_directories_are_what_keys_share(paths, prefix):
    """Looking into one directory finds the prefixes that a list of all keys has."""
    children = children_of(tree_of(paths))

    def objects(below):
        return walk_in_key_order(children, below)

    found = list(prefixes_in_key_order(children, objects, prefix, "/"))

    assert found == list(common_prefixes(objects(prefix), prefix, "/"))


def prefixes_where_one_fails(error):
    """The prefixes of a tree with one directory that cannot be looked into."""
    children = children_of({"barred": {"x": None}, "empty": {}, "open": {"x": None}})

    def objects(below):
        if below == "barred/":
            raise error
        return walk_in_key_order(children, below)

    return list(prefixes_in_key_order(children, objects, "", "/"))


@pytest.mark.parametrize("kind", [StoreAccessError, StoreError])
def test_a_directory_that_may_not_be_looked_into_is_one(kind):
    """It is there, with what is in it; an empty one is no prefix of any key."""
    assert prefixes_where_one_fails(kind("barred/", "no")) == ["barred/", "open/"]


def test_prefixes_of_a_store_that_does_not_answer():
    """Its directories are not waited for one after the other."""
    with pytest.raises(StoreUnavailableError):
        prefixes_where_one_fails(StoreUnavailableError("barred/", "no answer"))


def test_a_prefix_hides_what_lies_outside():
    """A prefixed store sees its own objects under its own keys only."""
    whole = MemoryStore()
    whole.put("p-2/backups/x", b"")
    store = PrefixedStore(whole, "/p/")

    store.put("backups/b/x", b"x")

    assert sorted(whole.objects) == ["p-2/backups/x", "p/backups/b/x"]
    assert [info.key for info in store.list("")] == ["backups/b/x"]
    assert [info.key for info in store.list("", after="backups/a")] == ["backups/b/x"]
    assert list(store.list_prefixes("")) == ["backups/"]


def test_a_store_that_says_once_and_for_all_what_it_can_do():
    """Capabilities that cannot be set are read through a prefix, and left alone."""

    class Fixed(MemoryStore):
        capabilities = property(lambda _: frozenset({Capability.RANGE}))

        def __init__(self):
            self.objects = {}

    store = PrefixedStore(Fixed(), "p")

    assert store.capabilities == {Capability.RANGE}


def test_errors_name_the_key_below_the_prefix():
    """An error speaks of the key that was asked for, and keeps its kind."""
    store = PrefixedStore(MemoryStore(), "p")

    with pytest.raises(ObjectNotFoundError) as caught:
        store.stat("backups/b/x")

    assert caught.value.key == "backups/b/x"
    assert str(caught.value) == "backups/b/x: no such object"


def test_a_prefix_cannot_be_left():
    """A key with dots does not lead out of the prefix."""
    with pytest.raises(StoreAccessError):
        PrefixedStore(MemoryStore(), "p").put("../outside", b"")
    with pytest.raises(StoreAccessError):
        PrefixedStore(MemoryStore(), "p/../..")


def test_plain_stores_have_one_copy():
    """A store without mirrors answers the questions about copies plainly."""
    store = PrefixedStore(MemoryStore(), "p")
    store.put("backups/b/x", b"")

    assert str(copies_of(store, "backups/b/x")) == "1 of 1 copies"
    assert copies_of(store, "backups/b/y").missing == 1
    assert problems_of(store) == ()
    assert state_of(store).directories == ()
    assert store.directories() == ()
    assert store.pending_deletions() == ()
    assert list(store.unfinished("")) == []
    store.apply_deletions()
    with pytest.raises(UnsupportedCapabilityError):
        store.make_copy("backups/b/x", Digest("0" * 64), "/a")
    assert store.initialise() == read_location_record(store).uuid


# --- identity ------------------------------------------------------------------------


def test_an_identity_is_given_once():
    """The identity of a location is written at the first wish and then stays."""
    store = MemoryStore()
    assert read_location_record(store) is None

    first = ensure_location_record(store)

    assert ensure_location_record(store) == first
    assert read_location_record(store) == first
    assert list(store.objects) == [layout.LOCATION]


def test_two_that_give_an_identity_agree():
    """Who loses the race for the identity takes the winner's."""
    store = MemoryStore()
    winner = LocationRecord()

    def late(operation, key):
        if operation == "put":
            store.objects[key] = winner.encode()

    assert ensure_location_record(FailingStore(store, late)) == winner


@pytest.mark.parametrize(
    "change", [{"layout": 2}, {"features": ["x"]}, {"layout": "1"}, {"layout": None}]
)
def test_a_newer_layout_is_refused(change):
    """A location of a layout or with features that we do not know is not read."""
    document = {**json.loads(LocationRecord().encode()), **change}

    with pytest.raises(StoreAccessError) as caught:
        LocationRecord.decode(json.dumps(document).encode())

    assert caught.value.hint == "use a newer kbackup"


def test_unknown_fields_of_an_identity_are_ignored():
    """A field that a later kbackup added does not keep us from reading."""
    document = {**json.loads(LocationRecord(uuid="u").encode()), "more": [1]}

    assert LocationRecord.decode(json.dumps(document).encode()).uuid == "u"


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{}", b'{"uuid": 1}', b"\xff"])
def test_a_damaged_identity(data):
    """What is no identity is told as damaged, and how to mend it; so it can be."""
    objects = MemoryStore()
    objects.put(layout.LOCATION, data)
    with pytest.raises(StoreAccessError, match="damaged") as error:
        ensure_location_record(objects)
    assert error.value.hint.startswith("remove this file")

    objects.delete(layout.LOCATION)

    assert ensure_location_record(objects) == read_location_record(objects)


# --- times and retries ---------------------------------------------------------------


def test_timeouts_of_a_location():
    """Times are read from the config; a transfer has a second more for each MiB."""
    timeouts = Timeouts.from_config({"requestTimeout": "5s", "transferTimeout": "1m"})

    assert timeouts.for_request() == 5
    assert timeouts.for_transfer(100 << 20) == 160
    assert Timeouts.from_config({}).for_transfer(0) == 600


@pytest.mark.parametrize("text", ["5", "abc", "-1s", "0s"])
def test_times_that_cannot_be_meant(text):
    """A time without unit, or not above zero, is refused."""
    with pytest.raises(InvalidConfigError, match="requestTimeout"):
        Timeouts.from_config({"requestTimeout": text})


def policy(pauses):
    """A retry policy that writes its pauses down."""
    return RetryPolicy(sleep=pauses.append, uniform=lambda low, high: high)


def test_what_may_pass_is_tried_again():
    """A retryable error is tried again after pauses that grow, then raised."""
    pauses, tried = [], []

    def attempt(left):
        tried.append(left)
        raise StoreUnavailableError("k")

    with pytest.raises(StoreUnavailableError):
        policy(pauses).run(600, attempt)

    assert pauses == [0.2, 0.4, 0.8, 1.6]
    assert len(tried) == 5
    assert tried == sorted(tried, reverse=True)


def test_a_pause_that_is_asked_for():
    """It is added to a random one; one that does not fit into the time is not begun."""
    pauses = []

    def attempt(left):
        raise SnapshotterThrottledError("disk-1", retry_after=60)

    with pytest.raises(SnapshotterThrottledError):
        policy(pauses).run(100, attempt)
    assert pauses == [60.2, 60.4, 60.8, 61.6]

    pauses.clear()
    with pytest.raises(SnapshotterThrottledError):
        policy(pauses).run(50, attempt)
    assert pauses == []


def test_what_does_not_pass_is_not_tried_again():
    """An error that is not retryable is raised at once."""
    pauses = []

    def attempt(left):
        raise StoreAccessError("k")

    with pytest.raises(StoreAccessError):
        policy(pauses).run(600, attempt)

    assert pauses == []


def test_no_retry_beyond_the_time():
    """A pause that would end after the call's time is not begun."""
    pauses = []

    def attempt(left):
        raise StoreUnavailableError("k")

    with pytest.raises(StoreUnavailableError):
        policy(pauses).run(0.3, attempt)

    assert pauses == [0.2]


def test_a_bounded_call_raises_what_it_raised():
    """A call on a thread of its own hands back results and errors as they are."""
    assert bounded("k", 10, lambda: 1) == 1
    with pytest.raises(ObjectExistsError):
        bounded("k", 10, MemoryStoreThatRaises)


def MemoryStoreThatRaises():  # noqa: N802 - stands for a constructor
    """Raise as a taken key does."""
    raise ObjectExistsError("k")


# --- over fsspec ---------------------------------------------------------------------


class LostAnswers:
    """A filesystem in memory that does the first write and says that it did not."""

    async_impl = False

    def __init__(self, stored=None):
        """Store *stored* instead of what is given, if it is given."""
        self.inner = open_filesystem("memory", global_store=False)
        self.lost = 1
        self.stored = stored

    def pipe_file(self, path, data, **options):
        """Write, and lose the first answer."""
        self.inner.pipe_file(
            path, data if self.stored is None else self.stored, **options
        )
        if self.lost:
            self.lost -= 1
            raise ConnectionResetError("lost")

    def __getattr__(self, name):
        return getattr(self.inner, name)


def over(filesystem):
    """A store over a filesystem that retries without pauses."""
    return FsspecObjectStore(
        filesystem,
        "/bucket",
        capabilities=frozenset({Capability.ATOMIC_CREATE}),
        retry=RetryPolicy(sleep=lambda seconds: None),
    )


def test_a_create_whose_answer_was_lost():
    """A create that arrived although its answer was lost is a success, not a clash."""
    store = over(LostAnswers())

    store.put("backups/b/x", b"mine", create=True)

    target = io.BytesIO()
    store.get("backups/b/x", target)
    assert target.getvalue() == b"mine"


def test_a_create_that_somebody_else_won():
    """When the key holds other bytes after a lost answer, the other one won."""
    store = over(LostAnswers(stored=b"theirs"))

    with pytest.raises(ObjectExistsError):
        store.put("backups/b/x", b"mine", create=True)


def test_filesystems_are_not_shared():
    """Nothing is cached: no instance of a filesystem, and no listing."""
    one, other = (open_filesystem("memory") for _ in range(2))

    assert one is not other
    assert one.dircache.use_listings_cache is False


def test_the_door_is_light():
    """Entering the room loads neither fsspec nor an SDK."""
    program = (
        "import sys, kbackup.stores, kbackup_plugins_local, kbackup_plugins_aws;"
        "import kbackup_plugins_azure, kbackup_plugins_gcp;"
        "heavy = {'fsspec', 's3fs', 'botocore', 'aiohttp', 'urllib3', 'google', 'azure', 'ssl'};"
        "print(heavy & set(sys.modules))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "set()"


# --- trying a store out --------------------------------------------------------------


def test_a_good_store():
    """A store that does all it says is fit, and nothing stays in it."""
    store = MemoryStore()
    store.put("backups/b/x", b"")
    store.put("loose-file", b"")

    check = validate_object_store(store)

    assert check.ok
    assert check.writable
    assert check.capabilities == store.capabilities
    assert sorted(store.objects) == ["backups/b/x", "loose-file"]


def test_foreign_directories():
    """Directories that Velero does not know are named, three at most."""
    store = MemoryStore()
    for name in ("tmp", "kbackup", "locks", "index", "kopia", "restic"):
        store.put(f"{name}/x", b"")

    (problem,) = validate_object_store(store).problems

    assert problem.endswith("index, kbackup, locks and 1 more")


def test_a_store_that_cannot_be_written():
    """A store that refuses writes is told as such and still looked at."""
    store = FailingStore(
        MemoryStore(), lambda op, key: StoreAccessError(key) if op == "put" else None
    )

    check = validate_object_store(store)

    assert not check.writable
    assert "access refused" in check.problems[0]
    assert validate_object_store(store, write=False).ok


def test_a_store_that_only_says_it_is_atomic():
    """A store that overwrites in spite of create loses the capability."""

    class Overwrites(MemoryStore):
        def put(self, key, source, *, create=False, retain_until=None):
            return super().put(key, source)

    check = validate_object_store(Overwrites())

    assert Capability.ATOMIC_CREATE not in check.capabilities
    assert check.writable
    assert "overwrites" in check.problems[0]


def test_a_store_that_cannot_be_listed():
    """A store that cannot be listed raises what it raises."""
    store = FailingStore(MemoryStore(), lambda op, key: StoreUnavailableError(key))

    with pytest.raises(StoreUnavailableError):
        validate_object_store(store)


# --- the failing store ---------------------------------------------------------------


def test_failing_writes():
    """The failing store lets the first writes through, then fails all."""
    inner = MemoryStore()
    store = FailingStore.failing_write(inner, 2)

    store.put("a", b"")
    for call in (lambda: store.put("b", b""), lambda: store.delete("a")):
        with pytest.raises(StoreUnavailableError):
            call()

    assert list(inner.objects) == ["a"]
    assert store.calls == [("put", "a"), ("put", "b"), ("delete", "a")]


def test_lost_answers():
    """With ``after`` the work is done and the answer lost."""
    inner = MemoryStore()
    store = FailingStore.failing_write(inner, 1, StoreError("k"), after=True)

    with pytest.raises(StoreError):
        store.put("a", b"")

    assert list(inner.objects) == ["a"]


def test_signed_urls_are_passed_on():
    """What the inner store refuses the failing one refuses as well."""
    with pytest.raises(StoreError):
        FailingStore(MemoryStore()).signed_url("a", timedelta(minutes=1))
