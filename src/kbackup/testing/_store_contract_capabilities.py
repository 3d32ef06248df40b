"""The part of `ObjectStoreContract` that is about what a store declares to be able to do.

Both ways: what is declared is done, and what is not declared is refused.
"""

from __future__ import annotations

import io
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from kbackup.errors import (
    ObjectNotFoundError,
    StoreError,
    UnsupportedCapabilityError,
)
from kbackup.plugins import Capability, ObjectStore
from kbackup.stores import locked_until
from kbackup.testing._store_contract_keys import LOCKED
from kbackup.testing._store_contract_lists import keys_of

LOCKED_FOR = timedelta(minutes=5)  # clocks differ; nothing is to stay for long

_TTL = timedelta(minutes=10)
_CLOCKS = timedelta(minutes=2)  # how much those of two machines may differ
_FETCHING = 60  # seconds


class CapabilitiesContract:
    """What `Capability.SIGNED_URL` and `Capability.RETENTION` promise."""

    # --- for those whose server is different ------------------------------------------

    def fetch(self, url: str) -> bytes:
        """Return what an address serves to whoever has it and nothing else.

        Override it where the server's certificate is not one of the system's.

        Raises:
            OSError: It serves nothing; `urllib.error.HTTPError` is one.
        """
        with urllib.request.urlopen(url, timeout=_FETCHING) as answer:  # noqa: S310 - what the store gave
            data: bytes = answer.read()
            return data

    def shows_expiry(self, url: str, ttl: timedelta) -> bool:
        """Tell whether an address that was just signed says that it ends after *ttl*.

        Seconds, or a time, in a parameter of its query. Override it where an address says
        it otherwise.
        """
        end = datetime.now(UTC) + ttl
        for _, text in parse_qsl(urlsplit(url).query):
            if text == str(int(ttl.total_seconds())):
                return True
            when = _time(text)
            if when is not None and abs(when - end) < _CLOCKS:
                return True
        return False

    # --- signed addresses -------------------------------------------------------------

    def test_signed_addresses(self, store: ObjectStore) -> None:
        """An address serves the object without credentials; undeclared, there is none."""
        store.put("backups/one/a b.tar.gz", b"archive")

        if Capability.SIGNED_URL in store.capabilities:
            url = store.signed_url("backups/one/a b.tar.gz", _TTL)
            assert self.fetch(url) == b"archive"
        else:
            with pytest.raises(UnsupportedCapabilityError):
                store.signed_url("backups/one/a b.tar.gz", _TTL)

    def test_a_signed_address_is_for_one_object(self, store: ObjectStore) -> None:
        """With the path of another object, or without its query, it serves nothing."""
        if Capability.SIGNED_URL not in store.capabilities:
            self._refuses_to_sign(store)
            return
        store.put("backups/one/mine", b"mine")
        store.put("backups/one/other", b"other")

        url = store.signed_url("backups/one/mine", _TTL)

        assert self.fetch(url) == b"mine"
        for bent in (url.replace("/mine", "/other"), url.partition("?")[0]):
            with pytest.raises(OSError):  # noqa: PT011 - whatever says no
                self.fetch(bent)

    def test_a_signed_address_ends(self, store: ObjectStore) -> None:
        """How long an address is served is in it, and as it was asked for."""
        if Capability.SIGNED_URL not in store.capabilities:
            self._refuses_to_sign(store)
            return
        store.put("backups/one/file", b"x")

        for ttl in (_TTL, timedelta(hours=3)):
            url = store.signed_url("backups/one/file", ttl)
            assert self.shows_expiry(url, ttl), urlsplit(url).path

    def _refuses_to_sign(self, store: ObjectStore) -> None:
        with pytest.raises(UnsupportedCapabilityError):
            store.signed_url("backups/one/file", _TTL)

    # --- locks ------------------------------------------------------------------------

    def test_locked_objects_are_there(self, store: ObjectStore) -> None:
        """A locked object is read as any other; undeclared, nothing is written."""
        until = datetime.now(UTC) + LOCKED_FOR
        key = f"{LOCKED}read"

        if Capability.RETENTION in store.capabilities:
            store.put(key, b"locked", create=True, retain_until=until)
            assert _read(store, key) == b"locked"
            assert keys_of(store, LOCKED) == [key]
        else:
            self._refuses_to_lock(store)

    @pytest.mark.parametrize("act", ["overwrite", "delete"])
    def test_a_lock_holds(self, store: ObjectStore, act: str) -> None:
        """Until its time a locked object is not lost, whoever has the store.

        Its server refuses to overwrite and to delete it, or keeps the version beside
        what is there then; that one tells the lock as `LockTellingStore`.
        """
        if Capability.RETENTION not in store.capabilities:
            self._refuses_to_lock(store)
            return
        until = datetime.now(UTC) + LOCKED_FOR
        key = f"{LOCKED}{act}"
        store.put(key, b"locked", retain_until=until)
        told = _told(store, key)
        attempts: dict[str, Callable[[], object]] = {
            "overwrite": lambda: store.put(key, b"other"),
            "delete": lambda: store.delete(key),
        }

        refusal = _refusal(attempts[act])

        if refusal is not None:
            assert not refusal.retryable, refusal
            assert _read(store, key) == b"locked"
        else:
            assert told is not None, f"{act} was not refused, and no lock is told"
            assert told >= until - timedelta(seconds=1), f"the lock ends at {told}"

    def _refuses_to_lock(self, store: ObjectStore) -> None:
        with pytest.raises(UnsupportedCapabilityError):
            store.put(f"{LOCKED}x", b"x", retain_until=datetime.now(UTC) + LOCKED_FOR)
        assert keys_of(store, "") == []

    def test_what_is_not_locked_is_free(self, store: ObjectStore) -> None:
        """An object that was put without a time can be replaced and deleted."""
        store.put("backups/one/file", b"first")

        store.put("backups/one/file", b"second")
        store.delete("backups/one/file")

        with pytest.raises(ObjectNotFoundError):
            store.stat("backups/one/file")


def _told(store: ObjectStore, key: str) -> datetime | None:
    """Return until when a store says that an object is locked; None: it says nothing."""
    try:
        return locked_until(store, key)
    except UnsupportedCapabilityError:
        return None


def _refusal(act: Callable[[], object]) -> StoreError | None:
    try:
        act()
    except StoreError as exc:
        return exc
    return None


def _read(store: ObjectStore, key: str) -> bytes:
    target = io.BytesIO()
    store.get(key, target)
    return target.getvalue()


def _time(text: str) -> datetime | None:
    """Read a time as addresses have it: of ISO 8601, or in seconds since 1970."""
    try:
        if text.isdecimal():
            return datetime.fromtimestamp(int(text), UTC)
        when = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
