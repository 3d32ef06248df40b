"""The suite for object stores finds stores that break a promise."""

import time
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from kbackup.errors import StoreAccessError, StoreError
from kbackup.plugins import Capability
from kbackup.testing import MemoryStore, ObjectStoreContract


class Overwriting(MemoryStore):
    """A store that takes no notice of *create*, and declares nothing."""

    def __init__(self):
        super().__init__()
        self.capabilities = frozenset()

    def put(self, key, source, *, create=False, retain_until=None):
        """Write whatever is there."""
        del create
        return super().put(key, source, retain_until=retain_until)


class Mixing(MemoryStore):
    """A store whose object is nobody's where several create it at once."""

    def __init__(self):
        super().__init__()
        self.capabilities = frozenset()

    def put(self, key, source, *, create=False, retain_until=None):
        """Write something else than was given."""
        info = super().put(key, source, create=create, retain_until=retain_until)
        self.objects[key] = source[: len(source) // 2]
        return info


def test_a_store_that_overwrites_though_it_shall_create(tmp_path):
    """Whoever is alone is refused a taken key by every store, atomic or not."""
    with pytest.raises(pytest.fail.Exception, match=r"DID NOT RAISE .*ObjectExists"):
        ObjectStoreContract().test_create_refuses_a_taken_key(Overwriting(), tmp_path)


@pytest.mark.parametrize("capabilities", [{Capability.ATOMIC_CREATE}, ()])
def test_a_store_with_several_winners(capabilities):
    """Several winners break the promise of a store that declares the capability only."""
    store = Overwriting()
    store.capabilities = frozenset(capabilities)
    check = ObjectStoreContract().test_create_has_one_winner

    if capabilities:
        with pytest.raises(AssertionError):
            check(store, store)
    else:
        check(store, store)


def test_a_store_that_mixes_what_several_create():
    """What is there after a race is whole, of one of those who succeeded."""
    store = Mixing()

    with pytest.raises(AssertionError):
        ObjectStoreContract().test_create_has_one_winner(store, store)


# --- capabilities ---------------------------------------------------------------------


class Signing(MemoryStore):
    """A store with addresses; what they serve is in `served`."""

    def __init__(self, *, ends=True):
        super().__init__()
        self.capabilities |= {Capability.SIGNED_URL}
        self.ends = ends

    def signed_url(self, key, ttl):
        """Return an address that says how long it is served, if it ends."""
        end = int(time.time() + ttl.total_seconds())
        mark = f"&end={end}" if self.ends else ""
        return f"http://memory/{key}?for={quote(key, safe='')}{mark}"


class Fetching(ObjectStoreContract):
    """The suite, with a server in place of the network."""

    def __init__(self, store, *, checks=True):
        self.store = store
        self.checks = checks

    def fetch(self, url):
        """Serve an object by its signed address."""
        key = urlsplit(url).path[1:]
        signed = parse_qs(urlsplit(url).query).get("for")
        if self.checks and signed != [key]:
            raise OSError("refused")
        return self.store.objects[key]


SIGNED = (
    "test_signed_addresses",
    "test_a_signed_address_is_for_one_object",
    "test_a_signed_address_ends",
)


def keeps(suite, store, name):
    """Whether a store keeps a promise of the suite."""
    try:
        getattr(suite, name)(store)
    except (AssertionError, StoreError, pytest.fail.Exception):
        return False
    return True


def test_a_store_with_signed_addresses():
    """Addresses that serve one object for a time keep all three promises."""
    store = Signing()

    assert [keeps(Fetching(store), store, name) for name in SIGNED] == [True] * 3


@pytest.mark.parametrize(
    ("store", "checks", "kept"),
    [
        (Signing(), False, [True, False, True]),
        (Signing(ends=False), True, [True, True, False]),
    ],
    ids=["for every object", "for ever"],
)
def test_addresses_that_serve_too_much(store, checks, kept):
    """An address that opens other objects, or does not end, is found."""
    suite = Fetching(store, checks=checks)

    assert [keeps(suite, store, name) for name in SIGNED] == kept


def test_a_store_that_only_says_it_signs():
    """Who declares addresses and has none breaks every promise about them."""
    store = MemoryStore()
    store.capabilities |= {Capability.SIGNED_URL}

    assert [keeps(Fetching(store), store, name) for name in SIGNED] == [False] * 3


def test_a_store_that_hides_that_it_signs():
    """Who has addresses and does not declare them breaks the promises, too."""
    store = Signing()
    store.capabilities -= {Capability.SIGNED_URL}

    assert [keeps(Fetching(store), store, name) for name in SIGNED] == [False] * 3


class Locking(MemoryStore):
    """A store that locks; how, a test says.

    Args:
        refuses: It neither overwrites nor deletes what is locked.
        tells: It says what is locked.
        lies: Its locks end at once.
    """

    def __init__(self, *, refuses=False, tells=False, lies=False):
        super().__init__()
        self.capabilities |= {Capability.RETENTION}
        self.refuses, self.lies = refuses, lies
        self.locks = {}
        if tells:
            self.locked_until = self.locks.get

    def put(self, key, source, *, create=False, retain_until=None):
        """Write and lock, or refuse."""
        self._refuse(key)
        info = super().put(key, source, create=create)
        if retain_until:
            self.locks[key] = datetime.now(UTC) if self.lies else retain_until
        return info

    def delete(self, key):
        """Delete, or refuse."""
        self._refuse(key)
        super().delete(key)

    def _refuse(self, key):
        if self.refuses and key in self.locks:
            raise StoreAccessError(key, "it is locked")


@pytest.mark.parametrize("act", ["overwrite", "delete"])
@pytest.mark.parametrize(
    ("store", "kept"),
    [
        (Locking(refuses=True), True),
        (Locking(tells=True), True),
        (Locking(refuses=True, tells=True), True),
        (Locking(), False),
        (Locking(tells=True, lies=True), False),
    ],
    ids=["refuses", "versions", "both", "no lock at all", "locks that end at once"],
)
def test_locks_of_a_store(store, kept, act):
    """A lock is refused to be broken, or told of the version; else it is none."""
    if kept:
        ObjectStoreContract().test_a_lock_holds(store, act)
        return
    with pytest.raises(AssertionError):
        ObjectStoreContract().test_a_lock_holds(store, act)


def test_a_store_that_locks_unasked():
    """What nobody locked can be replaced and deleted."""

    class Keeps(Locking):
        """A store that locks whatever it is given."""

        def put(self, key, source, *, create=False, retain_until=None):
            """Lock it."""
            until = retain_until or datetime.now(UTC) + timedelta(days=1)
            return super().put(key, source, create=create, retain_until=until)

    with pytest.raises(StoreError):
        ObjectStoreContract().test_what_is_not_locked_is_free(Keeps(refuses=True))


def test_a_store_that_takes_a_lock_it_does_not_declare():
    """Undeclared, a lock is to be refused before anything is written."""
    store = Locking(refuses=True)
    store.capabilities -= {Capability.RETENTION}

    with pytest.raises(pytest.fail.Exception, match="UnsupportedCapability"):
        ObjectStoreContract().test_locked_objects_are_there(store)
