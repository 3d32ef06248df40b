"""Read a repository of restic's format, step by step, without restic and a cluster.

Each ``# %%`` begins a cell: editors that know notebooks run them one by one.
"""

# %% To try it, a repository is made here first, as Velero's restic leaves one: of one
# volume, saved twice. With one of yours, `place` and `password` are all that is needed.
import io
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from kbackup.repository import (
    DirectorySource,
    Patterns,
    Repository,
    ScryptParameters,
    Selection,
    SnapshotFilter,
)

directory = tempfile.TemporaryDirectory()
place = Path(directory.name, "bucket", "restic", "shop")
password = "static-passw0rd"  # noqa: S105 - Velero's, where nobody has chosen one

volume = Path(directory.name, "volume")
(volume / "config").mkdir(parents=True)
(volume / "config" / "shop.conf").write_text("currency = EUR\n")
(volume / "orders.sql").write_text("INSERT INTO orders VALUES (1);\n")
# So cheap a key is for trials only: leave the parameters out for one that protects.
with Repository.init(
    place, password, key_parameters=ScryptParameters(n=2, r=1, p=1)
) as made:
    for day in (1, 2):
        made.back_up(
            DirectorySource(volume, base=volume),
            hostname="velero",
            tags=(f"backup=shop-{day}", "ns=shop", "pod=db-0", "volume=data"),
            time=datetime(2026, 5, day, 2, tzinfo=UTC),
        )
        (volume / "orders.sql").write_text("INSERT INTO orders VALUES (1), (2);\n")
        (volume / "invoices.sql").write_text("")
print(f"Made a repository to read in {place}")

# %% Open it. Nothing below writes to it, but for the locks that restic takes as well.
repository = Repository.open(place, password)
print(f"{repository!r} of version {repository.version}")

# %% List its snapshots, the oldest first. Velero says in tags what each is of.
snapshots = repository.list(SnapshotFilter(tags=[("ns=shop", "volume=data")]))
for snapshot in snapshots:
    print(f"{snapshot.id.hex()[:8]} {snapshot.time}", *snapshot.tags)

# %% List what is in one. Paths are bytes, as the system has them.
for entry in repository.ls("latest"):
    print(f"{entry.node.type:5} {entry.node.size:>6} {entry.path.decode()}")

# %% Find files in all of them by their names.
for match in repository.find("*.sql"):
    print(f"{match.snapshot.time.when:%d %B}: {match.path.decode()}")

# %% Read one file. Any stream takes it, also a pipe; a directory comes as a tar.
content = io.BytesIO()
repository.dump("latest", "config/shop.conf", content)
print(content.getvalue().decode(), end="")

# %% Compare two snapshots: + came, - went, M has another content.
older, newer = snapshots
for change in repository.diff(older, newer).changes:
    print(change)

# %% Restore a part. What could not be restored is a problem of its own, not an error.
target = Path(directory.name, "restored")
selection = Selection(include=Patterns(["*.sql"]))
restored = repository.restore(older, target, selection=selection)
print(f"{restored.files} file restored, {len(restored.problems)} problems")
print((target / "orders.sql").read_text(), end="")

# %% Check that everything is there, and read every byte of it.
found = repository.check(read_data=True)
for finding in found.errors:
    print(f"damaged: {finding}")
print("It is whole" if found.is_whole else "It is damaged")

# %% Put away what was only for the trial.
repository.close()
directory.cleanup()
