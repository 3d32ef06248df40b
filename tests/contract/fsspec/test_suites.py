"""Stores in filesystems keep the promises of all stores."""

from __future__ import annotations

import io
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from kbackup.errors import (
    ObjectNotFoundError,
    StoreAccessError,
    StoreUnavailableError,
)
from kbackup.testing._store_contract import ODD_KEYS
from kbackup_plugins_fsspec import open_filesystem_store
from opened_store import OpenedStore


class TestSFTP(OpenedStore):
    """The store on an OpenSSH server keeps every promise."""

    open_store = staticmethod(open_filesystem_store)

    @pytest.fixture
    def config(self, sftp_config):
        """What the store is opened with."""
        return sftp_config


class TestMemory(OpenedStore):
    """The store in fsspec's own memory keeps every promise."""

    open_store = staticmethod(open_filesystem_store)

    @pytest.fixture
    def config(self):
        """What the store is opened with."""
        return {"url": f"memory://{uuid.uuid4()}/prod"}


class TestFTP(OpenedStore):
    """The store on an FTP server keeps every promise; its password is in a file."""

    open_store = staticmethod(open_filesystem_store)

    @pytest.fixture
    def config(self, ftp_config):
        """What the store is opened with."""
        return ftp_config


_TAKEN_FOR_ADDRESSES = [key for key in ODD_KEYS if set("%?#") & set(key)]


class TestWebDAV(OpenedStore):
    """The store on a WebDAV server keeps every promise, but for signs of addresses."""

    open_store = staticmethod(open_filesystem_store)

    @pytest.mark.parametrize("key", [k for k in ODD_KEYS if not set("%?#") & set(k)])
    def test_oddkeys_of(self, store, key):
        """All but the keys below are kept as they are."""
        super().test_oddkeys_of(store, key)

    @pytest.mark.parametrize("key", _TAKEN_FOR_ADDRESSES)
    def test_keys_that_it_cannot_keep(self, store, key):
        """A key that would become another one is refused, and nothing is written."""
        with pytest.raises(StoreAccessError, match="can keep no name with"):
            store.put(key, b"odd")

        assert list(store.list("")) == []

    def test_readers_see_whole_objects(self, store, other_store):
        """While an object is replaced readers see a state of it, or that it is away.

        The server removes the old one before it renames the new one.
        """
        states = [bytes([n]) * 100_000 for n in range(4)]
        store.put("backups/one/file", states[0])

        def write():
            for state in states * 3:
                store.put("backups/one/file", state)

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            seen = set()
            while not writing.done():
                target = io.BytesIO()
                try:
                    other_store.get("backups/one/file", target)
                except (ObjectNotFoundError, StoreUnavailableError):
                    continue
                seen.add(target.getvalue())
            writing.result()

        assert seen <= set(states)

    @pytest.fixture
    def config(self, webdav_config):
        """What the store is opened with."""
        return webdav_config
