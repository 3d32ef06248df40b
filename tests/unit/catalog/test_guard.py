"""Whatever a provider raises, the caller meets errors of one tree."""

import pytest

from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.errors import StoreError
from kbackup.models import BackupSpec
from kbackup.testing import MemoryStore, SimulatedCluster

CALLS = ("put", "get", "stat", "list", "list_prefixes", "delete")


class CarelessStore(MemoryStore):
    """A provider that lets the errors of its library through."""

    def __init__(self, call, error):
        super().__init__()
        self._call, self._error = call, error

    def __getattribute__(self, name):
        found = super().__getattribute__(name)
        if name not in CALLS or name != self._call:
            return found
        error = self._error

        def fail(*_, **__):
            raise error

        return fail


@pytest.mark.parametrize("error", [ValueError("bad wire"), SystemExit("bad wire")])
@pytest.mark.parametrize("call", ["get", "list", "list_prefixes", "put", "delete"])
def test_an_error_of_the_providers_library(call, error):
    """It becomes an error of the store which says what it was, with it as its cause."""
    with BackupStore(CarelessStore(call, error)) as store:
        told = pytest.raises(StoreError, match=f"{type(error).__name__}: bad wire")
        with told as caught:
            _use(store, call)

    assert caught.value.__cause__ is error


def _use(store, call):
    if call == "list_prefixes":
        store.list_restores()
    elif call == "list":
        store.delete("b")
    elif call == "get":
        store.get("b")
    else:  # a claim is written, and given back
        with store.claim("b", run_uid="r"):
            pass


def test_a_run_keeps_its_result():
    """A backup that ends by such an error still tells how far it came."""
    store = BackupStore(CarelessStore("put", ValueError("bad wire")))
    with SimulatedCluster() as simulated, simulated.connect() as cluster, store:
        engine = BackupEngine(cluster, store)
        with pytest.raises(StoreError, match="ValueError: bad wire") as caught:
            engine.run("b", BackupSpec())

    assert caught.value.result.backup.status.phase == "Failed"
