"""Records of a Velero newer than this kbackup, and a disk that takes no archive."""

import errno
import json
import os
import tempfile

import catalog_samples as samples
import pytest

from kbackup._kits.streams import compress
from kbackup.errors import SpoolError


@pytest.fixture
def record(root):
    """Write a backup without a manifest, its status changed, and operations."""

    def write(operations=None, **status):
        """Write it."""
        directory = root / "backups/shop"
        directory.mkdir(parents=True)
        document = {
            "kind": "Backup",
            "apiVersion": "velero.io/v1",
            "metadata": {"name": "shop", "managedFields": None},
            "spec": {"anew": [1]},
            "status": {"phase": "Completed", "more": 5, **status},
        }
        (directory / "velero-backup.json").write_text(json.dumps(document))
        (directory / "shop.tar.gz").write_bytes(samples.archive_bytes())
        if operations is not None:
            content = compress(json.dumps(operations).encode())
            (directory / "shop-itemoperations.json.gz").write_bytes(content)

    return write


def test_unknown_phase(store, record):
    """A backup in a phase that is not known is incomplete, and can be salvaged."""
    record(phase="Cancelled")

    (entry,) = store.list()

    assert (entry.state, entry.reason) == (
        "incomplete",
        "phase 'Cancelled', which this kbackup does not know",
    )
    with store.open_archive("shop", salvage=True) as reader:
        assert len(list(reader)) == 2


def test_unknown_fields_and_phases_of_operations(store, record):
    """New fields, and new phases of operations, keep nobody from reading."""
    item = {"Group": "", "Resource": "secrets", "Namespace": "shop", "Name": "a"}
    spec = {"resourceIdentifier": item, "postOperationItems": [item], "anew": 1}
    record([{"spec": spec, "status": {"phase": "Paused"}}])

    assert [entry.state for entry in store.list()] == ["complete"]
    assert store.verify("shop").problems == ()


@pytest.fixture
def full(monkeypatch):
    """A disk without room for what is fetched."""
    make = tempfile.TemporaryFile

    class Full:
        """A file that takes nothing."""

        def __init__(self, file):
            """Wrap *file*."""
            self._file = file

        def __getattr__(self, name):
            """Pass on what is not writing."""
            return getattr(self._file, name)

        def write(self, data):
            """Fail."""
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **o: Full(make(**o)))


@pytest.mark.usefixtures("full")
def test_no_room_for_the_archive(store):
    """A full temporary directory is our error, and says what is full."""
    samples.make(store, "shop")

    with pytest.raises(SpoolError, match=r"files in /.*: No space left") as caught:
        store.open_archive("shop")

    assert "spool_directory" in caught.value.hint


def test_download_to_nowhere(store, tmp_path):
    """A directory that is not there is our error."""
    samples.make(store, "shop")

    with pytest.raises(SpoolError, match=r"files in /.*missing: ") as caught:
        store.download("shop", tmp_path / "missing" / "a.tar.gz")

    assert caught.value.hint == "choose another place than that of a.tar.gz"
