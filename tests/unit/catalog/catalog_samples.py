"""A small whole backup, and programs that write it: also run as processes of their own.

``python catalog_samples.py kill ROOT N`` ends itself at the N-th write to the store;
``python catalog_samples.py repair ROOT N`` damages a location of two directories and ends
itself at the N-th write of its repair;
``python catalog_samples.py race ROOT NAME BARRIER`` writes one backup when the file is there.
"""

import contextlib
import io
import os
import sys
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kbackup._kits.streams import compress
from kbackup.archive import ArchiveWriter
from kbackup.catalog import (
    BackupStore,
    ClaimRecord,
    Manifest,
    MissingReference,
    NotCovered,
    VolumeRecord,
)
from kbackup.errors import (
    BackupError,
    BackupInProgressError,
    RestoreInProgressError,
)
from kbackup.models import (
    Backup,
    BackupPhase,
    BackupStatus,
    GroupResource,
    ListRecord,
    ObjectMeta,
    Progress,
    ResourceIdentifier,
    dump_json,
)
from kbackup.testing import FrozenClock
from kbackup_plugins_local import open_local_store

START = datetime(2026, 5, 1, 2, 0, 0, tzinfo=UTC)
KINDS = {"secrets": "Secret", "persistentvolumeclaims": "PersistentVolumeClaim"}
ITEMS = [("secrets", "shop", "a"), ("persistentvolumeclaims", "shop", "data")]


def item_body(resource, namespace, name):
    """Return the JSON of an object."""
    kind = KINDS[resource]
    return (
        f'{{"apiVersion":"v1","kind":"{kind}",'
        f'"metadata":{{"name":"{name}","namespace":"{namespace}"}}}}'
    ).encode()


def archive_bytes(items=ITEMS, mtime=0):
    """Return an archive."""
    out = io.BytesIO()
    with ArchiveWriter(out, mtime=mtime) as writer:
        for resource, namespace, name in items:
            body = item_body(resource, namespace, name)
            writer.add(
                resource=resource,
                version="v1",
                namespace=namespace,
                name=name,
                body=body,
            )
    return out.getvalue()


def record_of(name, uid, *, started=START, phase=BackupPhase.COMPLETED, **status):
    """Return the record of a backup that ended."""
    progress = Progress(total_items=len(ITEMS), items_backed_up=len(ITEMS))
    status = {"progress": progress, **status}
    return Backup(
        metadata=ObjectMeta(name=name, uid=uid, namespace="velero"),
        status=BackupStatus(
            version=1,
            format_version="1.1.0",
            phase=phase,
            start_timestamp=started,
            **status,
        ),
    )


def manifest_of(**changes):
    """Return a manifest with something in every part of it."""
    secrets = GroupResource.parse("secrets")
    values = {
        "cluster_uid": "c1",
        "cluster_version": "v1.20.2",
        "items": len(ITEMS),
        "entries": 1 + 2 * len(ITEMS),
        "lists": [
            ListRecord(
                resource=secrets,
                version="v1",
                namespace="shop",
                resource_version="17",
                started_at=START,
                ended_at=START,
                listed=3,
                stored=1,
                skipped={"excluded": 1},
                failed=1,
            )
        ],
        "not_covered": [
            NotCovered(
                resource="pods", namespace="shop", reason="forbidden", count=None
            )
        ],
        "volumes": [VolumeRecord(claim="shop/data", volume="pv-1", data="none")],
        "missing": [
            MissingReference(
                item=ResourceIdentifier(
                    GroupResource.parse("persistentvolumeclaims"), "shop", "data"
                ),
                refers_to=ResourceIdentifier(
                    GroupResource.parse("storageclasses.storage.k8s.io"), "", "fast"
                ),
                kind="StorageClass",
            )
        ],
        "options": {"skip_forbidden": True},
    }
    return Manifest(**{**values, **changes})


def files_of(name, **changes):
    """Return the files of a backup by name."""
    listed = {f"v1/{KINDS[r]}": [f"{ns}/{n}"] for r, ns, n in ITEMS}
    files = {
        f"{name}.tar.gz": archive_bytes(),
        f"{name}-logs.gz": compress(b'level=info msg="one"\nlevel=info msg="two"\n'),
        f"{name}-results.gz": compress(b'{"errors":{},"warnings":{"velero":["w"]}}\n'),
        f"{name}-resource-list.json.gz": compress(dump_json(listed, pretty=False)),
        f"{name}-podvolumebackups.json.gz": compress(b"null\n"),
        f"{name}-volumesnapshots.json.gz": compress(b"null\n"),
    }
    files.update({f"{name}{suffix}": content for suffix, content in changes.items()})
    return {file: content for file, content in files.items() if content is not None}


def make(store, name, *, started=START, files=None, manifest=None, **status):
    """Write a whole backup and return its record."""
    uid = str(uuid.uuid4())
    with store.claim(name, run_uid=uid) as claim:
        return store.publish(
            claim,
            record_of(name, uid, started=started, **status),
            files or files_of(name),
            manifest or manifest_of(),
        )


def contend(claim, contenders=4):
    """Call ``claim(n)`` of each contender at the same moment; return what was won."""
    barrier, won = threading.Barrier(contenders), []

    def claim_it(n):
        """Claim the name together with the others."""
        barrier.wait()
        with contextlib.suppress(BackupInProgressError, RestoreInProgressError):
            won.append(claim(n))

    threads = [threading.Thread(target=claim_it, args=(n,)) for n in range(contenders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won


class Watched:
    """A store that passes everything on and tells of every write before it happens."""

    api_version = 1

    def __init__(self, store, before):
        """Wrap *store*; call ``before(verb, key)`` ahead of each put and delete."""
        self._store = store
        self._before = before
        self.capabilities = store.capabilities

    def __getattr__(self, name):
        """Pass reading on."""
        return getattr(self._store, name)

    def put(self, key, source, **options):
        """Tell, then write."""
        self._before("put", key)
        return self._store.put(key, source, **options)

    def delete(self, key):
        """Tell, then delete."""
        self._before("delete", key)
        return self._store.delete(key)


def _die_at(root, number):
    """Write a backup and end the process at the *number*-th write, as kill -9 would."""
    seen = 0

    def count(verb, key):
        nonlocal seen
        seen += 1
        if seen == number:
            os._exit(9)

    local = open_local_store({"path": root})
    make(BackupStore(Watched(local, count)), "shop")


def open_mirrored(root):
    """Open a location of two directories below *root*, made where it is new."""
    store = open_local_store({"path": f"{root}/a#{root}/b"})
    store.initialise()
    return store


def _damage(root):
    """Leave one of everything that a repair repairs."""
    store = open_mirrored(root)
    make(BackupStore(store), "shop")
    make(BackupStore(store), "gone")
    away, mounted = Path(root, "disk"), Path(root, "b")
    mounted.rename(away)
    BackupStore(store).delete("gone")
    away.rename(mounted)
    store = open_mirrored(root)
    old = START - timedelta(days=400)
    claim = ClaimRecord(name="dead", run="r", started=old, heartbeat=old, machine="o")
    for key in ("backups/dead/dead.tar.gz", "plugins/kbackup.io/probe/x"):
        store.put(key, b"half")
    store.put("plugins/kbackup.io/journal/r/00000000.json", b'{"entry": {}}')
    store.put("plugins/kbackup.io/claims/dead.json", claim.encode())
    (mounted / "backups/shop/.kbackup-tmp-1").write_bytes(b"half")
    (mounted / "backups/shop/shop.tar.gz").unlink()
    (mounted / "backups/shop/velero-backup.json").write_bytes(b"rubbish")
    return store


def _die_in_repair(root, number):
    """Repair, and end the process at the *number*-th change of a directory."""
    late = FrozenClock(datetime.now(UTC) + timedelta(days=2))
    backups = BackupStore(_damage(root), clock=late)
    plan = backups.plan_repair()
    seen = 0

    def count(event, arguments):
        nonlocal seen
        if event in {"os.rename", "os.link", "os.remove"}:
            seen += 1
            if seen == number:
                os._exit(9)

    sys.addaudithook(count)
    backups.repair(plan)


def _race(root, name, barrier):
    """Wait for the file *barrier*, then write a backup; print how it ended."""
    store = BackupStore(open_local_store({"path": root}))
    print("ready", flush=True)  # noqa: T201 - the parent waits for it
    while not Path(barrier).exists():
        time.sleep(0.001)
    try:
        record = make(store, name)
    except BackupError as exc:
        print(type(exc).__name__)  # noqa: T201 - the parent reads it
    else:
        print(record.metadata.uid)  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    if sys.argv[1] == "kill":
        _die_at(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1] == "repair":
        _die_in_repair(sys.argv[2], int(sys.argv[3]))
    else:
        _race(*sys.argv[2:5])
