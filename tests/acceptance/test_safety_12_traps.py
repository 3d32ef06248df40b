"""Safety check 12: backups that look done and are not, seen through a restore."""

import gzip
import io
import json
import tarfile

import pytest

from kbackup import RestoreEngine, RestoreSpec
from kbackup.errors import KBackupError

SPEC = RestoreSpec(backup_name="trap")
ITEM = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "a", "namespace": "x"},
}


def archive(*, version=True, name="resources/configmaps/namespaces/x/a.json"):
    """Return an archive of one item, as Velero 1.8 writes it."""
    files = {name: json.dumps(ITEM)}
    if version:
        files["metadata/version"] = "1.1.0"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for each, text in files.items():
            info = tarfile.TarInfo(each)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def record(phase="Completed", **status):
    """Return a record of Velero's."""
    value = {
        "apiVersion": "velero.io/v1",
        "kind": "Backup",
        "metadata": {"name": "trap", "namespace": "velero", "uid": "u"},
        "spec": {},
        "status": {"phase": phase, "version": 1, "formatVersion": "1.1.0", **status},
    }
    return json.dumps(value).encode()


OPERATION = {
    "spec": {
        "backupName": "trap",
        "resourceIdentifier": {
            "group": "",
            "resource": "persistentvolumeclaims",
            "namespace": "x",
            "name": "data",
        },
        "operationID": "op",
        "postOperationItems": [
            {
                "group": "velero.io",
                "resource": "datauploads",
                "namespace": "velero",
                "name": "du",
            }
        ],
    },
    "status": {"operationPhase": "Completed"},
}
OPERATIONS = gzip.compress(json.dumps([OPERATION]).encode())

TRAPS = {
    "Completed with pending post-operation items": {
        "velero-backup.json": record(),
        "trap.tar.gz": archive(),
        "trap-itemoperations.json.gz": OPERATIONS,
    },
    "Finalizing past its expiration": {
        "velero-backup.json": record("Finalizing", expiration="2020-01-01T00:00:00Z"),
        "trap.tar.gz": archive(),
    },
    "InProgress for ever": {
        "velero-backup.json": record("InProgress"),
        "trap.tar.gz": archive(),
    },
    "record without archive": {"velero-backup.json": record()},
    "archive without record": {"trap.tar.gz": archive()},
}


@pytest.mark.parametrize("trap", TRAPS)
def test_trap_is_listed_as_what_it_is_and_not_restored(
    trap, simulated, cluster, directory, store
):
    """It is shown, never as complete; a restore and ``latest`` pass it by."""
    below = directory / "backups" / "trap"
    below.mkdir(parents=True)
    for name, content in TRAPS[trap].items():
        (below / name).write_bytes(content)
    before = sum(n for call, n in simulated.calls.items() if call.startswith("create"))

    (entry,) = store.list()
    assert str(entry.state) != "complete"
    with pytest.raises(KBackupError, match="trap"):
        RestoreEngine(cluster, store).run("r", SPEC)
    with pytest.raises(KBackupError):
        store.latest()
    after = sum(n for call, n in simulated.calls.items() if call.startswith("create"))
    assert after == before


def test_archive_without_its_version_file(simulated, cluster, directory, store):
    """The version file is information: an archive without it is restored."""
    below = directory / "backups" / "trap"
    below.mkdir(parents=True)
    (below / "velero-backup.json").write_bytes(record())
    (below / "trap.tar.gz").write_bytes(archive(version=False))

    result = RestoreEngine(cluster, store).run("r", SPEC)

    assert result.results.errors == ()
    names = [x["metadata"]["name"] for x in simulated.objects("configmaps", "x")]
    assert "a" in names
