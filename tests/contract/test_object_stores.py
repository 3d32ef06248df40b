"""Every object store that kbackup comes with keeps the promises of the Protocol."""

from __future__ import annotations

import uuid
from contextlib import suppress

import pytest

from azure_locks import locking
from kbackup.errors import ObjectExistsError, ObjectNotFoundError
from kbackup.plugins import Capability, ObjectInfo, PluginManager
from kbackup.stores import (
    MirroredStore,
    PrefixedStore,
    RemoteObjectStore,
    location_from,
    open_object_store,
)
from kbackup.testing import FailingStore, MemoryStore, ObjectStoreContract
from kbackup.testing._store_contract_capabilities import CapabilitiesContract
from kbackup_plugins_aws import open_s3_store
from kbackup_plugins_azure import open_blob_store
from kbackup_plugins_gcp import open_gcs_store
from kbackup_plugins_local import open_local_store
from opened_store import OpenedStore


class TestDirectory(ObjectStoreContract):
    """The store in one directory keeps every promise."""

    @pytest.fixture
    def store(self, tmp_path):
        """An empty store."""
        return open_local_store({"path": str(tmp_path / "store")})

    @pytest.fixture
    def other_store(self, store, tmp_path):
        """Another opening of the same store."""
        return open_local_store({"path": str(tmp_path / "store")})


class _WithoutLocationFile(PrefixedStore):
    """A mirrored store below a prefix, so that its own files are out of sight."""


class TestMirroredDirectories(ObjectStoreContract):
    """The store in two mirrored directories keeps every promise."""

    @pytest.fixture
    def config(self, tmp_path):
        """What the store is opened with."""
        return {"path": f"{tmp_path / 'a'}#{tmp_path / 'b'}", "bucket": "bucket"}

    @pytest.fixture
    def store(self, config):
        """An empty store."""
        whole = open_local_store(config)
        whole.initialise()
        return _WithoutLocationFile(whole, "below")

    @pytest.fixture
    def other_store(self, store, config):
        """Another opening of the same store."""
        return _WithoutLocationFile(open_local_store(config), "below")

    def test_nothing_was_missed(self, store):
        """With both directories there, each object has two copies and no problem."""
        store.put("backups/one/file", b"x")

        assert isinstance(store, MirroredStore)
        assert str(store.copies("backups/one/file")) == "2 of 2 copies"
        assert store.problems() == ()


class TestMemory(ObjectStoreContract):
    """The provider's store in memory keeps every promise."""

    @pytest.fixture
    def location(self):
        """The address of a bucket that nobody else has."""
        return f"memory://{uuid.uuid4()}/a/prefix"

    @pytest.fixture
    def store(self, location):
        """An empty store."""
        return _open(location)

    @pytest.fixture
    def other_store(self, store, location):
        """Another opening of the same store."""
        return _open(location)


class TestS3(OpenedStore):
    """The store in S3 keeps every promise."""

    open_store = staticmethod(open_s3_store)

    @pytest.fixture
    def config(self, s3_server, s3_bucket):
        """What the store is opened with."""
        return s3_server.config(s3_bucket)


class TestS3Locks(CapabilitiesContract):
    """The store in a bucket with object lock keeps the promises of what it declares."""

    @pytest.fixture
    def store(self, s3_server, bucket_maker):
        """An empty store."""
        bucket = bucket_maker(ObjectLockEnabledForBucket=True)
        store = open_s3_store(s3_server.config(bucket, objectLockMode="COMPLIANCE"))
        yield store
        assert Capability.RETENTION in store.capabilities
        store.close()


class TestAzure(OpenedStore):
    """The store in a container of Azure keeps every promise."""

    open_store = staticmethod(open_blob_store)

    @pytest.fixture
    def config(self, azurite, container):
        """What the store is opened with."""
        return azurite.config(container)


class TestAzureLocks(CapabilitiesContract):
    """The store in a container that locks versions does all that it then declares."""

    @pytest.fixture
    def store(self, azurite, container):
        """An empty store."""
        with locking(azurite) as locks:
            config = locks.server.config(container, immutabilityMode="locked")
            store = open_blob_store(config)
            yield store
            assert store.capabilities == set(Capability)
            store.close()


class TestGCS(OpenedStore):
    """The store in Cloud Storage keeps every promise."""

    open_store = staticmethod(open_gcs_store)

    @pytest.fixture
    def config(self, gcs_server, gcs_bucket):
        """What the store is opened with."""
        return gcs_server.config(gcs_bucket)


class TestGCSDeclared(CapabilitiesContract):
    """With a key of its own, in a bucket that locks, it does all that it then declares."""

    @pytest.fixture
    def store(self, gcs_server, gcs_bucket, key_file):
        """An empty store."""
        more = {"credentialsFile": key_file, "objectRetentionMode": "Locked"}
        store = open_gcs_store(gcs_server.config(gcs_bucket, **more))
        yield store
        assert store.capabilities == set(Capability)
        store.close()


class TestMemoryStore(ObjectStoreContract):
    """The fake for tests keeps every promise."""

    @pytest.fixture
    def store(self):
        """An empty store."""
        return MemoryStore()


class _WithoutAtomicCreate(MemoryStore):
    """A store that looks for an object before it writes one: others may come between."""

    def __init__(self):
        super().__init__()
        self.capabilities = frozenset({Capability.RANGE})

    def put(self, key, source, *, create=False, retain_until=None):
        """Look, then write."""
        if create:
            with suppress(ObjectNotFoundError):
                self.stat(key)
                raise ObjectExistsError(key)
        return super().put(key, source, retain_until=retain_until)


class TestWithoutAtomicCreate(ObjectStoreContract):
    """A store whose creating has several winners keeps every other promise."""

    @pytest.fixture
    def store(self):
        """An empty store."""
        return _WithoutAtomicCreate()


class TestFailingStore(ObjectStoreContract):
    """The failing store keeps every promise while it is not told to fail."""

    @pytest.fixture
    def store(self):
        """An empty store."""
        return FailingStore(MemoryStore())


class TestPrefixedStore(ObjectStoreContract):
    """A prefix changes no promise."""

    @pytest.fixture
    def store(self):
        """An empty store."""
        return PrefixedStore(MemoryStore(), "some/prefix")


class _OnlyRequests(RemoteObjectStore):
    """What a provider has to write, of a server that is a dictionary."""

    def __init__(self, objects):
        super().__init__("only-requests", capabilities=frozenset({Capability.RANGE}))
        self.objects = objects

    def _write(self, key, source, seconds, *, create, retain_until):
        self._check_open(key)
        data = source if isinstance(source, bytes) else source.read_bytes()
        self.objects[key] = data

    def _read(self, info, start, end, seconds):
        return self.objects[info.key][start:end]

    def _stat(self, key, seconds):
        self._check_open(key)
        if key not in self.objects:
            raise ObjectNotFoundError(key)
        return ObjectInfo(key=key, size=len(self.objects[key]))

    def _delete(self, key, seconds):
        self._check_open(key)
        if self.objects.pop(key, None) is None:
            raise ObjectNotFoundError(key)

    def _list(self, prefix, after):
        for key, data in self._request(lambda left: sorted(self.objects.items())):
            if key.startswith(prefix) and key > after:
                yield ObjectInfo(key=key, size=len(data))


class TestRemoteObjectStore(ObjectStoreContract):
    """A provider that writes the requests, and nothing else, keeps every promise."""

    @pytest.fixture
    def objects(self):
        """What the server has."""
        return {}

    @pytest.fixture
    def store(self, objects):
        """An empty store."""
        return _OnlyRequests(objects)

    @pytest.fixture
    def other_store(self, store, objects):
        """Another opening of the same store."""
        return _OnlyRequests(objects)


def _open(location):
    """Open the store at an address."""
    plugins = PluginManager()
    return open_object_store(location_from(location, plugins), plugins)
