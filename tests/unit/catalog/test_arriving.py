"""An archive is indexed while it is fetched; nothing of it is handed out before its end."""

import errno
import gc
import io
import json
import os
import signal
import tarfile
import threading
import time
import uuid
from contextlib import suppress

import catalog_samples as samples
import pytest

from kbackup.archive import ArchiveWriter
from kbackup.catalog import BackupStore
from kbackup.catalog._arriving import ArrivingStream
from kbackup.errors import (
    ArchiveCorruptError,
    BackupDamagedError,
    BackupInProgressError,
    BackupNotFoundError,
    SpoolError,
    StoreUnavailableError,
)
from kbackup.testing import MemoryStore

ARCHIVE = "backups/shop/shop.tar.gz"
RECORD = {
    "kind": "Backup",
    "apiVersion": "velero.io/v1",
    "metadata": {"name": "shop"},
    "status": {"phase": "Completed"},
}


@pytest.fixture
def memory():
    """An object store with a backup."""
    memory = MemoryStore()
    samples.make(BackupStore(memory), "shop")
    return memory


# --- the stream -----------------------------------------------------------------------


def test_reader_gets_all_that_is_written_meanwhile():
    """Whatever the sizes of writes and reads, the reader gets what was written."""
    content = os.urandom(300_000)

    def fill(stream):
        for start in range(0, len(content), 7_001):
            stream.write(content[start : start + 7_001])
        stream.end()

    with ArrivingStream() as stream:
        writer = threading.Thread(target=fill, args=(stream,))
        writer.start()
        found = b"".join(iter(lambda: stream.read(9_973), b""))
        writer.join()

    assert found == content


def test_reader_waits_for_what_is_still_to_come():
    """A read gives fewer bytes than it was asked for at the end only."""
    with ArrivingStream() as stream:
        stream.write(b"abc")
        found = []
        reader = threading.Thread(target=lambda: found.append(stream.read(6)))
        reader.start()
        reader.join(0.05)
        assert reader.is_alive()

        stream.write(b"de")
        stream.write(b"")
        stream.end()
        reader.join(10)

    assert found == [b"abcde"]


def test_buffer_that_is_filled_again():
    """A store may bring an object in one buffer, over and over."""
    buffer = bytearray(b"abc")
    with ArrivingStream() as stream:
        stream.write(buffer)
        buffer[:] = b"def"
        stream.write(buffer)
        stream.end()

        assert stream.read(9) == b"abcdef"


def fill_until_it_waits(stream):
    """Write in a thread until the stream takes no more; return it and what was taken."""
    taken = []

    def fill():
        with suppress(OSError):
            while len(taken) < 1_000:
                taken.append(stream.write(bytes(1 << 20)))

    writer = threading.Thread(target=fill)
    writer.start()
    seen = -1
    while not taken or seen != len(taken):
        seen = len(taken)
        writer.join(0.05)
    return writer, taken


def test_what_nobody_reads_yet_waits_at_the_store():
    """An archive of a gigabyte does not lie in memory because its reader is slow."""
    with ArrivingStream() as stream:
        writer, taken = fill_until_it_waits(stream)
        assert 0 < sum(taken) <= 16 << 20

        stream.read(4 << 20)
        writer.join(0.05)
        assert sum(taken) <= 20 << 20
        stream.close()
        writer.join(10)

    assert not writer.is_alive()


def test_what_nobody_will_read_does_not_wait():
    """Once its reader has enough, the rest of an archive is brought and kept nowhere."""
    with ArrivingStream() as stream:
        writer, taken = fill_until_it_waits(stream)
        stream.drop()
        writer.join(10)

    assert not writer.is_alive()
    assert sum(taken) == 1_000 << 20


def test_blocks_of_a_byte_wait_as_well():
    """Of an archive that comes byte by byte no more lies in memory than of another one."""
    taken = []
    with ArrivingStream() as stream:
        writer = threading.Thread(
            target=lambda: [taken.append(stream.write(b"x")) for _ in range(100_000)]
        )
        with suppress(OSError):
            writer.start()
            writer.join(0.5)
            assert len(taken) <= (8 << 20) / 256 + 1
            stream.drop()
            writer.join(10)

    assert len(taken) == 100_000


def test_reader_that_is_gone_is_not_waited_for_without_end(monkeypatch):
    """Whoever brings an archive gives up where nobody reads and nobody closed it."""
    monkeypatch.setattr("kbackup.catalog._arriving._PATIENCE", 1)
    stream = ArrivingStream()
    stream.write(bytes(16 << 20))

    with pytest.raises(OSError, match="nobody reads"):
        stream.write(b"x")


def test_closed_stream_ends_the_waiting_for_it():
    """Who waits for bytes of a stream that another thread closes is told, and so are later ones."""
    with ArrivingStream() as stream:
        found = []

        def read():
            with pytest.raises(OSError, match="closed") as caught:
                stream.read(6)
            found.append(caught.value.errno)

        reader = threading.Thread(target=read)
        reader.start()
        reader.join(0.05)
        assert reader.is_alive()

        stream.close()
        reader.join(10)

    assert found == [errno.EBADF]
    for late in (lambda: stream.write(b"x"), lambda: stream.read(1)):
        with pytest.raises(OSError, match="closed") as caught:
            late()
        assert caught.value.errno == errno.EBADF


def test_interrupt_leaves_the_stream_to_the_others(monkeypatch):
    """Ctrl-C that came as a reader had just got its turn kept the writer waiting for ever."""

    def interrupted(condition):
        condition.acquire()
        raise KeyboardInterrupt

    with ArrivingStream() as stream:
        stream.write(b"abc")
        with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
            patch.setattr(threading.Condition, "__enter__", interrupted)
            stream.read(3)
        writer = threading.Thread(target=stream.write, args=(b"d",), daemon=True)
        writer.start()
        writer.join(10)

        assert not writer.is_alive()


# --- the contents ---------------------------------------------------------------------


def test_contents_are_those_of_the_archive(memory):
    """The items are the same as those that opening and indexing give."""
    store = BackupStore(memory)

    with (
        store.open_archive("shop") as archive,
        archive.index() as expected,
        store.open_contents("shop") as found,
    ):
        for resource in expected.resources():
            assert list(found.items(resource)) == list(expected.items(resource))
        assert len(found) == len(expected) > 0


def test_altered_archive_is_not_the_manifests(memory):
    """An archive that reads well and is another one is refused, all of it."""
    memory.objects[ARCHIVE] = samples.archive_bytes(mtime=1)

    with pytest.raises(BackupDamagedError, match="not what its manifest says"):
        BackupStore(memory).open_contents("shop")


def test_damaged_archive_is_told_as_such(memory):
    """That the archive is not the manifest's says more than where its gzip breaks."""
    content = bytearray(memory.objects[ARCHIVE])
    content[len(content) // 2] ^= 1
    for damaged in (bytes(content), bytes(content[:-9]), b""):
        memory.objects[ARCHIVE] = damaged
        with pytest.raises(BackupDamagedError, match="not what its manifest says"):
            BackupStore(memory).open_contents("shop")


def test_missing_archive(memory):
    """A backup whose archive is away is damaged."""
    del memory.objects[ARCHIVE]

    with pytest.raises(BackupDamagedError, match="missing"):
        BackupStore(memory).open_contents("shop")


def test_archive_of_someone_else_that_is_damaged():
    """Where no manifest tells, the archive's own fault is the answer."""
    memory = MemoryStore()
    memory.objects["backups/shop/velero-backup.json"] = json.dumps(RECORD).encode()
    memory.objects[ARCHIVE] = samples.archive_bytes()[:-9]

    with pytest.raises(ArchiveCorruptError, match="gzip"):
        BackupStore(memory).open_contents("shop")


def test_only_complete_backups_have_contents(memory):
    """What is absent, being written or half there is said so before it is fetched."""
    store = BackupStore(memory)
    with pytest.raises(BackupNotFoundError):
        store.open_contents("nothing")
    with (
        store.claim("now", run_uid=str(uuid.uuid4())),
        pytest.raises(BackupInProgressError),
    ):
        store.open_contents("now")


def test_store_that_fails_in_the_middle(memory):
    """An error of the store is the error, however far the reading had come."""

    class Breaking(MemoryStore):
        def get(self, key, target, **given):
            if key == ARCHIVE:
                target.write(self.objects[key][:100])
                raise StoreUnavailableError(key, "the connection broke")
            return super().get(key, target, **given)

    breaking = Breaking()
    breaking.objects = memory.objects
    threads = threading.active_count()

    with pytest.raises(StoreUnavailableError, match="broke"):
        BackupStore(breaking).open_contents("shop")
    while threading.active_count() > threads:  # the fetching one ends, too
        time.sleep(0.001)


class Hanging(MemoryStore):
    """Gives the beginning of an archive, and the rest when it is let go on."""

    def __init__(self, memory, then=lambda: None):
        """Do *then* once the beginning was given."""
        super().__init__()
        self.objects = memory.objects
        self.let_go_on, self.went_on = threading.Event(), threading.Event()
        self.refused = []
        self._then = then

    def get(self, key, target, **given):
        """Return an object, the archive with a break."""
        if key != ARCHIVE:
            return super().get(key, target, **given)
        try:
            target.write(self.objects[key][:100])
            self._then()
            self.let_go_on.wait(10)
            self.went_on.set()
            target.write(self.objects[key][100:])
        except BaseException as exc:
            self.refused.append(exc)
            raise
        return self.stat(key)

    def end(self):
        """Go on; tell whether what fetches ended."""
        self.let_go_on.set()
        fetching = [t for t in threading.enumerate() if "kbackup-archive" in t.name]
        for thread in fetching:
            thread.join(10)
        return not any(thread.is_alive() for thread in fetching)


def test_full_disk_does_not_wait_for_the_archive(memory, tmp_path, monkeypatch):
    """No room for the items is told at once, and no more of the archive is fetched."""

    def fills_up(opened, place, **_):
        with opened() as stream:
            stream.read(10)
            raise SpoolError(place, "it is full")

    monkeypatch.setattr("kbackup.catalog._archives.index_archive", fills_up)
    store = Hanging(memory)

    with pytest.raises(SpoolError, match="it is full"):
        BackupStore(store).open_contents("shop", tmp_path)

    assert not store.went_on.is_set()
    assert store.end()
    (refused,) = store.refused
    assert isinstance(refused, SpoolError)
    assert "closed" in str(refused)


@pytest.mark.skipif(os.name == "nt", reason="no signal of one thread to another")
# Python's own making of a temporary file leaves it, when interrupted, to the collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_interrupt_does_not_wait_for_the_archive(memory):
    """Ctrl-C, whenever it comes, ends the reading of an archive and the fetching with it."""
    main = threading.get_ident()
    for _ in range(20):
        store = Hanging(memory, lambda: signal.pthread_kill(main, signal.SIGINT))

        with pytest.raises(KeyboardInterrupt):
            BackupStore(store).open_contents("shop")

        assert not store.went_on.is_set()
        assert store.end()
        assert [type(exc) for exc in store.refused] == [SpoolError]


def test_damage_waits_for_what_the_manifest_says(memory):
    """Of an archive that is damaged from the start all is fetched: its digest says more."""
    memory.objects[ARCHIVE] = b"no gzip" * 50
    store = Hanging(memory)
    store.let_go_on.set()

    with pytest.raises(BackupDamagedError, match="not what its manifest says"):
        BackupStore(store).open_contents("shop")
    assert store.went_on.is_set()


class Endless(MemoryStore):
    """Gives an archive that goes on and on."""

    def __init__(self, memory):
        """Hold the same objects."""
        super().__init__()
        self.objects = memory.objects
        self.given = 0

    def get(self, key, target, **given):
        """Return an object, the archive with more behind it."""
        info = super().get(key, target, **given)
        while key == ARCHIVE and self.given < 1 << 26:
            self.given += target.write(bytes(1 << 16))
        return info


@pytest.mark.parametrize("way", ["open_contents", "open_archive"])
def test_archive_larger_than_its_store_says(way):
    """Where no manifest tells how large an archive is, one without end ends, too."""
    velero = MemoryStore()
    velero.objects["backups/shop/velero-backup.json"] = json.dumps(RECORD).encode()
    velero.objects[ARCHIVE] = samples.archive_bytes()
    store = Endless(velero)

    with pytest.raises(BackupDamagedError, match="larger than its store says: it has"):
        getattr(BackupStore(store), way)("shop")

    assert store.given == 0


@pytest.mark.parametrize("way", ["open_contents", "open_archive", "download"])
def test_archive_larger_than_its_manifest_says(memory, tmp_path, way):
    """What was put in the place of an archive does not fill the disk first."""
    store = Endless(memory)
    more = [tmp_path / "copy"] if way == "download" else []

    with pytest.raises(BackupDamagedError, match="not what its manifest says: it has"):
        getattr(BackupStore(store), way)("shop", *more)

    assert store.given == 0
    assert not list(tmp_path.iterdir())


def test_no_room_for_the_items(memory, tmp_path):
    """A place that is not there is named, and the fetching ends."""
    with pytest.raises(SpoolError, match="away"):
        BackupStore(memory).open_contents("shop", tmp_path / "away")


def test_no_room_for_the_archive(memory, tmp_path):
    """A place for the archive that is not there is named; to index it takes none."""
    store = BackupStore(memory, spool_directory=tmp_path / "away")

    with pytest.raises(SpoolError, match="away"):
        store.open_archive("shop")
    with store.open_contents("shop", tmp_path) as contents:
        assert len(contents) > 0


class Changing(MemoryStore):
    """Gives another archive every time."""

    def __init__(self, *archives):
        """Give *archives* one after the other."""
        super().__init__()
        self.objects["backups/shop/velero-backup.json"] = json.dumps(RECORD).encode()
        self.objects[ARCHIVE] = archives[0]
        self.fetched = 0
        self._archives = archives

    def get(self, key, target, **given):
        """Return an object."""
        if key == ARCHIVE:
            self.objects[ARCHIVE] = self._archives[self.fetched]
            self.fetched += 1
        return super().get(key, target, **given)


def test_items_with_versions_only_are_fetched_again():
    """Of an archive without un-versioned copies the items come from a second reading."""
    versions = versioned_only()
    store = Changing(versions, versions)

    with BackupStore(store).open_contents("shop") as contents:
        (resource,) = contents.resources()
        found = [item.content["data"] for item in contents.items(resource)]

    assert found == [{"from": "v1"}]
    assert store.fetched == 2


def test_archive_that_changes_between_two_readings():
    """Two archives are not read as one, where no manifest says which is the right one."""
    store = Changing(versioned_only(), versioned_only({"from": "else"}))

    with pytest.raises(BackupDamagedError, match="changed while it was read"):
        BackupStore(store).open_contents("shop")


def versioned_only(data=None):
    """Return an archive whose item stands under its versions only, as none of ours does."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for version in ("v1beta1", "v1-preferredversion"):
            body = {
                "apiVersion": version.partition("-")[0],
                "kind": "ConfigMap",
                "metadata": {"name": "a", "namespace": "shop"},
                "data": data or {"from": version.partition("-")[0]},
            }
            content = json.dumps(body).encode()
            path = f"resources/configmaps/{version}/namespaces/shop/a.json"
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.filterwarnings("error")
def test_an_archive_read_in_one_loop_is_closed(tmp_path):
    """Items can be read without a name for the reader; its file is closed behind them."""
    store = BackupStore.open(tmp_path / "store")
    samples.make(store, "shop")

    assert sum(1 for _ in store.open_archive("shop")) == 2
    gc.collect()


@pytest.mark.parametrize(
    "value", [b'"\xff\xfe"', b"1e400", b"9" * 5000], ids=["utf-8", "float", "integer"]
)
def test_a_value_that_is_none_in_an_archive_without_digest(value):
    """Nobody vouches for it, so every value is looked at before anything is restored."""
    out = io.BytesIO()
    with ArchiveWriter(out, mtime=0) as writer:
        head = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"'
        writer.add(
            resource="configmaps",
            version="v1",
            namespace="x",
            name="a",
            body=head + b',"namespace":"x"},"data":' + value + b"}",
        )
    velero = MemoryStore()
    velero.objects["backups/shop/velero-backup.json"] = json.dumps(RECORD).encode()
    velero.objects[ARCHIVE] = out.getvalue()

    with pytest.raises(ArchiveCorruptError, match="configmaps/x/a: it is not a JSON"):
        BackupStore(velero).open_contents("shop")
