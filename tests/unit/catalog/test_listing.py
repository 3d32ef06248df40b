"""The list shows everything there is, in its state, and nothing breaks it."""

import json
import os
from collections import Counter
from datetime import timedelta
from types import SimpleNamespace

import attrs
import catalog_samples as samples
import pytest

from kbackup._kits.streams import compress
from kbackup.catalog import BackupStore
from kbackup.errors import (
    BackupDamagedError,
    BackupInProgressError,
    BackupNotFoundError,
    StoreAccessError,
)
from kbackup.models import (
    BackupPhase,
    BackupStorageLocationSpec,
    Progress,
    dump_json,
)
from kbackup.plugins import ObjectStoreFactory, PluginManager, hookimpl
from kbackup.stores import layout
from kbackup_plugins_local import open_local_store


@pytest.fixture
def put(root):
    """Write a file into the store as another program would."""

    def write(key, content):
        """Write *content* under *key*."""
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return write


@pytest.fixture
def velero(put):
    """Write a backup as Velero does."""

    def write(name, *, operations=None, archive=True, **status):
        """Write record, archive and operations."""
        record = dump_json(samples.record_of(name, f"uid-{name}", **status))
        put(f"backups/{name}/velero-backup.json", record)
        if archive:
            put(f"backups/{name}/{name}.tar.gz", samples.archive_bytes())
        if operations is not None:
            content = compress(json.dumps(operations).encode())
            put(f"backups/{name}/{name}-itemoperations.json.gz", content)

    return write


def states(store):
    """Return the states by name."""
    return {entry.name: str(entry.state) for entry in store.list()}


def operation(name):
    """Return an operation that stores a Secret at its end."""
    item = {"Group": "", "Resource": "secrets", "Namespace": "shop", "Name": name}
    claims = {**item, "Resource": "persistentvolumeclaims"}
    return {
        "spec": {"resourceIdentifier": claims, "postOperationItems": [item]},
        "status": {"phase": "Completed"},
    }


def test_empty_location(store):
    """A location without anything has an empty list and no latest backup."""
    assert store.list() == []
    assert store.list_restores() == []
    with pytest.raises(BackupNotFoundError, match="no whole backup"):
        store.latest()


def test_newest_first(store, clock):
    """Backups come newest first, with their age and their expiration."""
    for n in (2, 1, 3):
        started = samples.START - timedelta(days=n)
        expires = samples.START + timedelta(days=n)
        samples.make(store, f"b{n}", started=started, expiration=expires)

    entries = store.list()

    assert [entry.name for entry in entries] == ["b1", "b2", "b3"]
    assert entries[0].age == timedelta(days=1, hours=1)
    assert entries[0].expires == samples.START + timedelta(days=1)
    assert entries[0].copies == (1, 1)
    assert store.latest().metadata.name == "b1"


def test_every_state(store, put, velero):
    """Each kind of directory has its state, and none breaks the list."""
    samples.make(store, "ours")
    velero("veleros")
    velero("running", phase=BackupPhase.IN_PROGRESS)
    velero("finalizing", phase=BackupPhase.FINALIZING)
    velero("failed", phase=BackupPhase.FAILED, archive=False)
    velero("bare", archive=False)
    put("backups/leftover/leftover.tar.gz", b"half")
    put("backups/garbage/velero-backup.json", b"\x00")
    put("backups/list/velero-backup.json", b"[]")
    put("backups/other/velero-backup.json", b'{"kind":"Restore","apiVersion":"v1"}')
    put("backups/notes/readme.txt", b"hello")
    put("backups/Not_A_Name/velero-backup.json", b"{}")
    with store.claim("now", run_uid="u"):
        found = states(store)
        with pytest.raises(BackupInProgressError):
            store.open_archive("now")

    assert found == {
        "ours": "complete",
        "veleros": "complete",
        "running": "incomplete",
        "finalizing": "incomplete",
        "failed": "incomplete",
        "bare": "damaged",
        "leftover": "incomplete",
        "garbage": "damaged",
        "list": "foreign",
        "other": "foreign",
        "notes": "foreign",
        "Not_A_Name": "foreign",
        "now": "in_progress",
    }
    for entry in store.list():
        assert bool(entry.reason) == (entry.state != "complete")


def test_finalizing_past_its_expiration(store, velero):
    """A run that never ended and has expired says both."""
    velero("old", phase=BackupPhase.FINALIZING, expiration=samples.START)

    assert store.entry("old").reason == "phase Finalizing, and expired"


def test_operations_whose_items_are_missing(store, velero):
    """A Velero backup whose archive lacks its operations' items is incomplete."""
    velero("whole", operations=[operation("a")])
    velero("half", operations=[operation("a"), operation("late")])
    velero("none", operations=None)
    velero("null", operations=[])

    assert states(store) == {
        "whole": "complete",
        "half": "incomplete",
        "none": "complete",
        "null": "complete",
    }
    assert "secrets/shop/late" in store.entry("half").reason
    with pytest.raises(BackupDamagedError, match="incomplete"):
        store.open_archive("half")


def test_operations_that_cannot_be_read(store, velero, put):
    """A file of operations that is none makes its backup damaged, and only that."""
    velero("shop", operations={"not": "a list"})
    velero("other")
    put("backups/more/velero-backup.json", b"")

    assert states(store)["shop"] == "damaged"
    assert states(store)["other"] == "complete"


def test_latest_passes_over_what_is_not_whole(store, velero, clock):
    """The latest backup is the newest that is whole and did not fail."""
    velero("good", started=samples.START - timedelta(days=3))
    velero("failed", phase=BackupPhase.FAILED)
    velero("unfinished", phase=BackupPhase.IN_PROGRESS)
    velero("bare", archive=False)
    store.claim("killed", run_uid="dead")
    clock.advance(timedelta(minutes=6))
    nothing = attrs.evolve(samples.manifest_of(), items=0, entries=0)
    samples.make(store, "empty", manifest=nothing, progress=Progress())

    assert store.latest().metadata.name == "good"


@pytest.mark.parametrize("size", [0, 20])
def test_latest_passes_over_a_truncated_archive(store, root, velero, size):
    """An archive that is not as large as its manifest says hides no whole backup."""
    velero("good", started=samples.START - timedelta(days=3))
    samples.make(store, "cut")
    os.truncate(root / "backups/cut/cut.tar.gz", size)

    assert store.latest().metadata.name == "good"
    entry = store.entry("cut")
    assert entry.state == "damaged"
    assert f"its archive has {size} bytes, not the " in entry.reason
    store.delete("good")
    with pytest.raises(
        BackupNotFoundError, match="the newest is cut, damaged: its arch"
    ):
        store.latest()


def test_latest_passes_over_an_empty_archive(store, velero, put):
    """Without a manifest nobody knows how large an archive is, but not that it is empty."""
    velero("good", started=samples.START - timedelta(days=3))
    velero("cut")
    put("backups/cut/cut.tar.gz", b"")

    assert store.latest().metadata.name == "good"
    assert store.entry("cut").unusable == "damaged: its archive is empty"


def test_latest_passes_over_what_is_deleted_meanwhile(store, velero, monkeypatch):
    """A backup that goes while the latest is looked for hides no other one."""
    velero("good", started=samples.START - timedelta(days=3))
    samples.make(store, "gone")
    listed = store.list()
    store.delete("gone")
    monkeypatch.setattr(store, "list", lambda: listed)

    assert store.latest().metadata.name == "good"


def test_run_that_was_killed_has_a_line(store, clock):
    """A list shows what was begun and not ended, from its claim alone, until that goes."""
    store.claim("killed", run_uid="dead")
    samples.make(store, "shop")
    clock.advance(timedelta(minutes=6))

    (killed,) = [entry for entry in store.list() if entry.name == "killed"]

    assert killed.state == "incomplete"
    assert "begun and not ended by run dead on " in killed.reason
    assert killed.age == timedelta(minutes=6)
    store.delete("killed")
    assert [entry.name for entry in store.list()] == ["shop"]


def test_veleros_backup_is_read(store, velero):
    """A backup of Velero has items, a digest, and no manifest; files are optional."""
    velero("shop")

    with store.open_archive("shop") as reader:
        assert len(list(reader)) == 2
    assert store.manifest("shop") is None
    assert len(store.archive_digest("shop")) == 64
    assert list(store.logs("shop")) == []
    assert store.results("shop").errors == ()
    assert store.verify("shop").problems == ()


def test_digest_of_a_replaced_archive(store, velero, put):
    """The digest of an archive without a manifest follows the archive."""
    velero("shop")
    first = store.archive_digest("shop")
    assert store.archive_digest("shop") == first

    put("backups/shop/shop.tar.gz", samples.archive_bytes(mtime=12345) + b"")

    assert store.archive_digest("shop") != first


def test_logs_and_results(store):
    """The log comes line by line, the results as they were."""
    samples.make(store, "shop")

    assert list(store.logs("shop")) == [
        'level=info msg="one"',
        'level=info msg="two"',
    ]
    assert [entry.message for entry in store.results("shop").warnings] == ["w"]


def test_download(store, root, tmp_path):
    """The archive is saved whole, for its owner only."""
    samples.make(store, "shop")
    target = tmp_path / "copy.tar.gz"

    store.download("shop", target)

    assert target.read_bytes() == (root / "backups/shop/shop.tar.gz").read_bytes()
    assert target.stat().st_mode & 0o777 == 0o600


def test_open_by_path(tmp_path):
    """A path opens a store; its address is safe to print; it can be tried out."""
    from kbackup.catalog import BackupStore  # noqa: PLC0415 - the subject

    with BackupStore.open(tmp_path / "x", read_only=True) as store:
        assert store.read_only
        assert store.url == f"file://{tmp_path}/x"
    with BackupStore.open(tmp_path / "x") as store:
        samples.make(store, "shop")
        assert store.validate() == ()
        assert store.problems() == ()
        assert [entry.name for entry in store.list()] == ["shop"]


def test_address_has_the_scheme_of_its_provider(tmp_path):
    """What is told of a location is what can be typed to open it again."""

    def spec_of(url: str) -> BackupStorageLocationSpec:
        path = url.removeprefix("sqlite://")
        return BackupStorageLocationSpec(
            provider="example.com/sqlite", config={"path": path}
        )

    factory = ObjectStoreFactory(
        open=lambda _: open_local_store({"path": str(tmp_path)}),
        from_url=spec_of,
        schemes=("sqlite",),
    )

    @hookimpl
    def kbackup_register_object_stores() -> dict[str, ObjectStoreFactory]:
        return {"example.com/sqlite": factory}

    plugin = SimpleNamespace(
        __name__="sqlite_stores",
        kbackup_register_object_stores=kbackup_register_object_stores,
    )
    url = "sqlite:///var/b.db"
    with BackupStore.open(url, plugins=PluginManager([plugin])) as store:
        assert store.url == url


class Counted(samples.Watched):
    """Counts what a store is asked; may fail to list some prefix."""

    def __init__(self, store, unreadable=""):
        """Wrap *store*."""
        super().__init__(store, lambda verb, key: None)
        self.calls = Counter()
        self._unreadable = unreadable

    def __getattr__(self, name):
        """Count, then pass on."""
        self.calls[name] += 1
        return super().__getattr__(name)

    def list(self, prefix, **options):
        """Count, then list until what cannot be read."""
        self.calls["list"] += 1
        for info in self._store.list(prefix, **options):
            if self._unreadable and info.key.startswith(self._unreadable):
                raise StoreAccessError(self._unreadable, "input/output error")
            yield info


def test_requests_of_a_long_list(objects, clock, velero):
    """A list of many backups takes one request each, and a few for all of them."""
    for number in range(50):
        velero(f"b{number}")
    counted = Counted(objects)

    assert len(BackupStore(counted, clock=clock).list()) == 50

    requests = ("list", "list_prefixes", "stat", "get", "copies")
    asked = {name: counted.calls[name] for name in requests}
    assert asked.pop("get") == 51  # and the location's identity
    assert sum(asked.values()) <= 5


def test_directory_that_cannot_be_read(objects, clock, velero):
    """One unreadable directory is a damaged line, not the end of the list."""
    for name in "abc":
        velero(name)
    store = BackupStore(Counted(objects, "backups/b/"), clock=clock)

    assert states(store) == {"a": "complete", "b": "damaged", "c": "complete"}


def test_deleted_while_listing(objects, clock, velero):
    """A backup that goes while the list is made is no line of it."""
    velero("a")
    velero("b")

    class Losing(Counted):
        """Loses one backup between the list and the look."""

        def get(self, key, target, **options):
            """Delete what is asked for first, with what lies beside it."""
            if key.startswith("backups/a/"):
                for info in list(self._store.list("backups/a/")):
                    self._store.delete(info.key)
            return self._store.get(key, target, **options)

    assert states(BackupStore(Losing(objects), clock=clock)) == {"b": "complete"}


def test_newer_layout(store, velero, put):
    """A location that a newer kbackup laid out is not read at all."""
    velero("a")
    put(layout.LOCATION, b'{"uuid": "u", "layout": 2}')

    for read in (store.list, lambda: store.get("a"), lambda: store.open_archive("a")):
        with pytest.raises(StoreAccessError, match="layout 2"):
            read()
    assert "layout 2" in store.validate()[0]


def test_damaged_identity(store, velero, put):
    """A location whose identity is damaged can still be read, and is not written."""
    velero("a")
    put(layout.LOCATION, b"[" * 200_000)

    assert states(store) == {"a": "complete"}
    with pytest.raises(StoreAccessError, match="damaged"):
        store.claim("b", run_uid="u")


@pytest.mark.parametrize("look", ["list", "entry"])
def test_run_that_begins_while_looking(objects, store, clock, look):
    """A run whose claim came just after the claims were read is not a dead one."""
    claims = []

    class Starting(Counted):
        """Lets a run begin between the look at claims and that at directories."""

        def list(self, prefix, **options):
            """Begin the run, then list."""
            if prefix.startswith(layout.BACKUPS) and not claims:
                claims.append(store.claim("shop", run_uid="u"))
                self._store.put("backups/shop/shop.tar.gz", b"half")
            return self._store.list(prefix, **options)

    looking = BackupStore(Starting(objects), clock=clock)

    entry = looking.entry("shop") if look == "entry" else looking.list()[0]

    assert entry.state == "in_progress"
