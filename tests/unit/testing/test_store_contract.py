"""The suite for object stores finds stores that break a promise."""

import pytest

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
