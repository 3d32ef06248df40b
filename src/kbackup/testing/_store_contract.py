"""What every object store promises, as a suite for pytest.

Subclass it, name the class ``Test...`` and give a fixture of an empty store::

    class TestMyStore(ObjectStoreContract):
        @pytest.fixture
        def store(self, tmp_path):
            return open_my_store({"path": str(tmp_path)})

A store that can be opened twice gives ``other_store`` as well: another object over the
same bucket, so that the races are run through both. What a store declares is tried, what it
does not is refused; `fetch` and `shows_expiry` can be overridden for its server.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kbackup.errors import (
    DigestMismatchError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
)
from kbackup.plugins import Capability, Digest, ObjectStore
from kbackup.testing._store_contract_capabilities import CapabilitiesContract
from kbackup.testing._store_contract_lists import ListsContract, keys_of

_LARGE = 33 * (1 << 20) + 7  # two pieces of a read and five parts of an upload

ODD_KEYS = (
    "backups/a b/c d.txt",
    "backups/plus+percent%41/x&y=z;@:,",
    "backups/brackets[1]*{2}?/hash#tilde~",
    "backups/quote'\"back`tick/$(x)",
    "backups/ünï-日本語-🗄/é",
    "backups/.hidden/..two-dots",
    "backups/" + "n" * 250,
    "backups/dots.and-dashes_0/x.tar.gz",
)

BAD_KEYS = (
    "",
    "/absolute",
    "backups/../../etc/passwd",
    "..",
    "backups/./x",
    "backups//x",
    "backups/x/",
    "new\nline",
    "nul\0",
    "x" * 1025,
)


def _read(store: ObjectStore, key: str, **options: Any) -> bytes:
    target = io.BytesIO()
    store.get(key, target, **options)
    return target.getvalue()


def _digest(data: bytes) -> Digest:
    return Digest(hashlib.sha256(data).hexdigest())


def _outcomes(
    calls: list[Callable[[], object]],
) -> list[object]:
    """Run all calls at the same moment and return their results or errors."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        barrier.wait()
        try:
            return call()
        except StoreError as exc:
            return exc

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


class ObjectStoreContract(ListsContract, CapabilitiesContract):
    """The promises of `ObjectStore`."""

    @pytest.fixture
    def other_store(self, store: ObjectStore) -> ObjectStore:
        """Return another opening of the same bucket; by default the same."""
        return store

    # --- one object -------------------------------------------------------------------

    def test_is_an_object_store(self, store: ObjectStore) -> None:
        """The store has every method of the Protocol and says which version it speaks."""
        assert isinstance(store, ObjectStore)
        assert store.api_version == 1
        assert store.capabilities <= set(Capability)

    @pytest.mark.parametrize("data", [b"", b"x", os.urandom(70_000)], ids=len)
    def test_bytes_come_back(self, store: ObjectStore, data: bytes) -> None:
        """What was put as bytes is read back, byte for byte."""
        info = store.put("backups/one/file", data)

        assert (info.key, info.size) == ("backups/one/file", len(data))
        assert _read(store, "backups/one/file") == data

    @pytest.mark.parametrize("data", [b"", b"x", os.urandom(70_000)], ids=len)
    def test_a_file_comes_back(
        self, store: ObjectStore, tmp_path: Path, data: bytes
    ) -> None:
        """What was put as a file is read back, byte for byte, and the file stays."""
        source = tmp_path / "source.tar.gz"
        source.write_bytes(data)

        info = store.put("backups/one/one.tar.gz", source)

        assert (info.key, info.size) == ("backups/one/one.tar.gz", len(data))
        assert _read(store, "backups/one/one.tar.gz") == data
        assert source.read_bytes() == data

    def test_a_large_file_comes_back(self, store: ObjectStore, tmp_path: Path) -> None:
        """An object of many parts and pieces is read back whole, and checked."""
        data = os.urandom(1 << 20) * (_LARGE >> 20) + os.urandom(_LARGE % (1 << 20))
        source = tmp_path / "large"
        source.write_bytes(data)

        store.put("backups/large/file", source, create=True)

        assert store.stat("backups/large/file").size == len(data)
        read = _read(store, "backups/large/file", expect=_digest(data))
        assert read == data

    def test_a_missing_source_is_told(self, store: ObjectStore, tmp_path: Path) -> None:
        """A source that cannot be read leaves nothing under the key."""
        with pytest.raises((StoreError, OSError)):
            store.put("backups/one/file", tmp_path / "missing")

        assert keys_of(store, "") == []

    def test_put_overwrites(self, store: ObjectStore) -> None:
        """A put without create replaces what was there."""
        store.put("backups/one/file", b"first, and longer")

        store.put("backups/one/file", b"second")

        assert _read(store, "backups/one/file") == b"second"
        assert store.stat("backups/one/file").size == len(b"second")

    def test_stat_describes(self, store: ObjectStore) -> None:
        """A stat knows size and time, the time with its zone."""
        store.put("backups/one/file", b"12345")

        info = store.stat("backups/one/file")

        assert (info.key, info.size) == ("backups/one/file", 5)
        if info.modified is not None:
            age = datetime.now(UTC) - info.modified
            assert abs(age) < timedelta(minutes=5)

    def test_missing_objects(self, store: ObjectStore) -> None:
        """Reading or describing what is not there says so and names the key."""
        store.put("backups/one/file", b"x")

        for key in ("backups/two/file", "backups/one/fil", "backups/one", "backups"):
            with pytest.raises(ObjectNotFoundError) as caught:
                store.stat(key)
            assert caught.value.key == key
            with pytest.raises(ObjectNotFoundError):
                store.get(key, io.BytesIO())

    def test_delete(self, store: ObjectStore) -> None:
        """A deleted object is gone from reads and lists; its neighbours stay."""
        store.put("backups/one/a", b"a")
        store.put("backups/one/b", b"b")

        store.delete("backups/one/a")

        assert keys_of(store, "backups/") == ["backups/one/b"]
        with pytest.raises(ObjectNotFoundError):
            store.stat("backups/one/a")

    def test_delete_is_idempotent(self, store: ObjectStore) -> None:
        """Deleting what is gone, or never was, succeeds."""
        store.put("backups/one/a", b"a")
        store.delete("backups/one/a")

        store.delete("backups/one/a")
        store.delete("restores/never/was")

        assert keys_of(store, "") == []

    def test_delete_takes_one_object(self, store: ObjectStore) -> None:
        """Deleting the beginning of a key deletes nothing."""
        store.put("backups/one/a", b"a")

        store.delete("backups/one")
        store.delete("backups")

        assert keys_of(store, "") == ["backups/one/a"]

    def test_a_deleted_key_can_be_used_again(self, store: ObjectStore) -> None:
        """The same key, even with the same bytes, can be created after a delete."""
        store.put("backups/one/a", b"a", create=True)
        store.delete("backups/one/a")

        store.put("backups/one/a", b"a", create=True)

        assert _read(store, "backups/one/a") == b"a"

    @pytest.mark.parametrize("key", ODD_KEYS, ids=range(len(ODD_KEYS)))
    def test_oddkeys_of(self, store: ObjectStore, key: str) -> None:
        """Blanks, signs and other scripts in a key are kept as they are."""
        store.put(key, b"odd", create=True)

        assert _read(store, key) == b"odd"
        assert store.stat(key).key == key
        assert keys_of(store, "backups/") == [key]
        store.delete(key)
        assert keys_of(store, "") == []

    @pytest.mark.parametrize("key", BAD_KEYS, ids=range(len(BAD_KEYS)))
    def test_bad_keys_are_refused(self, store: ObjectStore, key: str) -> None:
        """A key that climbs out, is absolute or no name is refused by every method."""
        for call in (
            lambda: store.put(key, b"x"),
            lambda: store.get(key, io.BytesIO()),
            lambda: store.stat(key),
            lambda: store.delete(key),
        ):
            with pytest.raises(StoreError) as caught:
                call()
            assert not isinstance(caught.value, ObjectNotFoundError)

    # --- parts and digests ------------------------------------------------------------

    @pytest.mark.parametrize(
        ("start", "length", "expected"),
        [
            (0, None, b"0123456789"),
            (3, None, b"3456789"),
            (3, 4, b"3456"),
            (0, 0, b""),
            (8, 100, b"89"),
            (10, 5, b""),
            (100, 5, b""),
        ],
    )
    def test_ranges(
        self, store: ObjectStore, start: int, length: int | None, expected: bytes
    ) -> None:
        """A part of an object is read; what lies past its end is empty."""
        store.put("backups/one/file", b"0123456789")

        read = _read(store, "backups/one/file", start=start, length=length)

        assert read == expected

    def test_expected_digest(self, store: ObjectStore) -> None:
        """The right digest passes; a wrong one raises and names the key."""
        store.put("backups/one/file", b"right")

        assert _read(store, "backups/one/file", expect=_digest(b"right")) == b"right"
        with pytest.raises(DigestMismatchError) as caught:
            _read(store, "backups/one/file", expect=_digest(b"wrong"))
        assert caught.value.key == "backups/one/file"

    def test_an_error_of_the_target_comes_through(self, store: ObjectStore) -> None:
        """What the target raises reaches the caller unchanged."""

        class Full(io.BytesIO):
            def write(self, _: object, /) -> int:
                raise OSError(28, "the target's disk is full")

        store.put("backups/one/file", b"data")

        with pytest.raises(OSError, match="target's disk"):
            store.get("backups/one/file", Full())

    # --- one winner -------------------------------------------------------------------

    def test_create_refuses_a_taken_key(
        self, store: ObjectStore, tmp_path: Path
    ) -> None:
        """A create-only put of a taken key fails and leaves what was there.

        Without `Capability.ATOMIC_CREATE`, too: nobody races for it here.
        """
        source = tmp_path / "source"
        source.write_bytes(b"third")
        store.put("backups/one/file", b"first", create=True)

        for other in (b"second", source):
            with pytest.raises(ObjectExistsError) as caught:
                store.put("backups/one/file", other, create=True)
            assert caught.value.key == "backups/one/file"

        assert _read(store, "backups/one/file") == b"first"

    def test_create_has_one_winner(
        self, store: ObjectStore, other_store: ObjectStore
    ) -> None:
        """Of eight writers at the same moment one succeeds, and its bytes are there.

        Without `Capability.ATOMIC_CREATE` several may: the object is that of one of them.
        """
        stores = [store, other_store] * 4

        for race in range(5):
            key = f"plugins/kbackup.io/claims/race-{race}.json"
            outcomes = _outcomes(
                [
                    partial(each.put, key, bytes([n]) * 5000, create=True)
                    for n, each in enumerate(stores)
                ]
            )

            losers = [o for o in outcomes if isinstance(o, ObjectExistsError)]
            winners = [
                n for n, o in enumerate(outcomes) if not isinstance(o, StoreError)
            ]
            assert winners
            assert len(winners) + len(losers) == len(stores)
            if Capability.ATOMIC_CREATE in store.capabilities:
                assert len(winners) == 1
            assert _read(store, key) in [bytes([n]) * 5000 for n in winners]

    def test_readers_see_whole_objects(
        self, store: ObjectStore, other_store: ObjectStore
    ) -> None:
        """While an object is replaced again and again, readers see one of its states."""
        states = [bytes([n]) * 100_000 for n in range(4)]
        store.put("backups/one/file", states[0])

        def write() -> None:
            for state in states * 3:
                store.put("backups/one/file", state)

        def read() -> list[bytes]:
            found = []
            for _ in range(12):
                try:
                    found.append(_read(other_store, "backups/one/file"))
                except StoreError as exc:
                    if not exc.retryable:
                        raise
            return found

        _, *reads = _outcomes([write, read, read])

        assert all(isinstance(found, list) for found in reads), reads
        assert {bytes(b) for found in reads for b in found} <= set(states)  # type: ignore[attr-defined] # lists, see above

    def test_threads_share_a_store(self, store: ObjectStore) -> None:
        """Eight threads put, read, list and delete their own objects undisturbed."""

        def work(name: str) -> str:
            for number in range(5):
                key = f"backups/{name}/{number}"
                store.put(key, key.encode() * 100)
                assert _read(store, key) == key.encode() * 100
            assert len(keys_of(store, f"backups/{name}/")) == len(range(5))
            for number in range(5):
                store.delete(f"backups/{name}/{number}")
            return "done"

        outcomes = _outcomes([partial(work, f"t{n}") for n in range(8)])

        assert outcomes == ["done"] * 8
        assert keys_of(store, "backups/") == []

    def test_works_under_a_running_loop(self, store: ObjectStore) -> None:
        """A notebook has a running event loop: the store works in its thread."""

        async def cell() -> bytes:
            store.put("backups/one/file", b"from a notebook")
            return _read(store, "backups/one/file")

        assert asyncio.run(cell()) == b"from a notebook"

    # --- the end ----------------------------------------------------------------------

    def test_close(self, store: ObjectStore) -> None:
        """A store can be closed twice; afterwards its methods raise."""
        store.put("backups/one/file", b"x")

        store.close()
        store.close()

        with pytest.raises(StoreError):
            store.stat("backups/one/file")
