"""List thousands of backups in a directory and in mirrored ones, against bare reads.

    python benchmarks/list_backups.py [--backups 2000] [--rounds 3]

Makes small whole backups in temporary directories, then takes turns: the floor (the
records of one directory opened, read and parsed as JSON, nothing else), a fresh
`BackupStore.list` of one directory, and one of two directories that mirror each other.
Prints the median times and the ratios, with the budget. Exit code 1 where it is missed.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

from kbackup.catalog import BackupStore, Manifest
from kbackup.models import Backup, BackupPhase, BackupStatus, ObjectMeta, Progress
from kbackup.stores import layout
from kbackup_plugins_local import open_local_store

MIRRORED_RATIO = 2.0  # of the plain directory's time


def main():
    """Measure in turns and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backups", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        a, b = Path(scratch, "a"), Path(scratch, "b")
        print(f"making {options.backups} backups", flush=True)
        make_backups(a, options.backups)
        shutil.copytree(a, b)
        rounds = []
        for _ in range(options.rounds):
            floor = measure(read_records, a)
            plain = measure(list_backups, str(a), options.backups)
            mirrored = measure(list_backups, f"{a}#{b}", options.backups)
            rounds.append((floor, plain, mirrored))
    return report(options.backups, rounds)


def make_backups(root, count):
    """Write one backup as kbackup does, and copies of it under other names."""
    store = BackupStore(open_local_store({"path": str(root)}))
    name, uid = "shop-00000", str(uuid.uuid4())
    record = Backup(
        metadata=ObjectMeta(name=name, uid=uid, namespace="velero"),
        status=BackupStatus(
            phase=BackupPhase.COMPLETED,
            start_timestamp=datetime(2026, 5, 1, tzinfo=UTC),
            progress=Progress(total_items=1, items_backed_up=1),
        ),
    )
    files = {f"{name}.tar.gz": b"archive", f"{name}-logs.gz": b"log"}
    with store.claim(name, run_uid=uid) as claim:
        store.publish(claim, record, files, Manifest(items=1, entries=3))
    first = root / layout.BACKUPS / name
    for number in range(1, count):
        other = f"shop-{number:05}"
        target = first.parent / other
        target.mkdir()
        for path in first.iterdir():
            content = path.read_bytes().replace(name.encode(), other.encode())
            (target / path.name.replace(name, other)).write_bytes(content)


def read_records(root):
    """Open, read and parse every record, one after the other."""
    for path in sorted((root / layout.BACKUPS).iterdir()):
        json.loads((path / layout.METADATA).read_bytes())


def list_backups(path, count):
    """List a location that was opened just now."""
    with BackupStore(open_local_store({"path": path})) as store:
        entries = store.list()
    assert len(entries) == count
    assert all(entry.state == "complete" for entry in entries)


def measure(function, *arguments):
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - began


def report(count, rounds):
    """Print the figures beside the budget; return the exit code."""
    names = ("floor: bare reads", "one directory", "two mirrored")
    for name, times in zip(names, zip(*rounds, strict=True), strict=True):
        each = statistics.median(times) / count * 1e3
        print(f"{name:20}{statistics.median(times):8.2f} s, {each:6.3f} ms a backup")
    plain = statistics.median(plain / floor for floor, plain, _ in rounds)
    ratio = statistics.median(mirrored / plain for _, plain, mirrored in rounds)
    print(f"one directory {plain:.1f} x the floor")
    print(f"two mirrored  {ratio:.2f} x one directory, budget {MIRRORED_RATIO}")
    print("budget missed" if ratio > MIRRORED_RATIO else "within budget")
    return int(ratio > MIRRORED_RATIO)


if __name__ == "__main__":
    sys.exit(main())
