"""A repository in memory, whose key costs nothing to try."""

from datetime import timedelta

import pytest

from kbackup.repository._blobs import BlobCodec
from kbackup.repository._config import new_config
from kbackup.repository._crypto import ScryptParameters, SecretKey
from kbackup.repository._documents import Documents
from kbackup.repository._memory import MemoryBackend
from kbackup.repository._opened import OpenedRepository

CHEAP = ScryptParameters(n=2, r=1, p=1)


@pytest.fixture
def at_once(monkeypatch):
    """Let locks settle at once: nobody comes at the same moment."""
    monkeypatch.setattr("kbackup.repository._locks._SETTLES", timedelta(0))


@pytest.fixture
def backend():
    """An empty place."""
    return MemoryBackend()


@pytest.fixture
def key():
    """The repository's own."""
    return SecretKey.random()


@pytest.fixture(params=[1, 2], ids=["version 1", "version 2"])
def version(request):
    """Each version of the format."""
    return request.param


@pytest.fixture
def documents(backend, key, version):
    """The documents of a repository, which has no config yet."""
    return Documents(backend, key, version)


@pytest.fixture
def opened(backend, key, version, documents):
    """An opened repository that is empty."""
    return OpenedRepository(
        backend=backend,
        config=new_config(version),
        key=key,
        documents=documents,
        codec=BlobCodec(key, version),
    )
