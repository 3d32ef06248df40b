"""Runs as such: cancelled, failing, repeated, several at once, watched."""

import asyncio
import logging
import os
import stat
import threading
from datetime import timedelta

import pytest

from kbackup._kits.times import parse_time
from kbackup._kits.workers import CancelToken
from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore, EntryState
from kbackup.errors import (
    BackupExistsError,
    BackupNotFoundError,
    ClusterError,
    InvalidSpecError,
    KBackupError,
    ReadOnlyLocationError,
    RunCancelledError,
    StoreError,
)
from kbackup.models import (
    BackupOptions,
    BackupPhase,
    BackupSpec,
    EngineSettings,
    label_value,
    labels,
)
from kbackup.plugins import (
    ErrorRecorded,
    ItemsListed,
    PhaseChanged,
    RunEnded,
    RunStarted,
    WarningRecorded,
)
from kbackup.stores import BackupFiles, layout
from kbackup.testing import FailingStore, FrozenClock, MemoryStore

SHOP = BackupSpec(included_namespaces=["shop"])
PHASES = [
    "discovery",
    "namespaces",
    "lists",
    "additional items",
    "references",
    "upload",
]


def _visible(objects):
    """Return the keys of backups, which is what anybody else looks at."""
    return [key for key in objects.objects if key.startswith("backups/")]


def _claims(objects):
    """Return the keys of claims."""
    return [key for key in objects.objects if "/claims/" in key]


# --- names ----------------------------------------------------------------------------


def test_the_longest_name_fits_into_a_directory(scene, tmp_path):
    """Names up to the limit are stored in a directory and read from it."""
    scene.load_shop()
    name = "x" * layout.longest_name(BackupFiles)
    with BackupStore.open(f"file://{tmp_path}") as store:
        result = BackupEngine(scene.cluster, store).run(name, SHOP)

        assert result.backup.status.phase is BackupPhase.COMPLETED
        assert store.verify(name).problems == ()


def test_a_longer_name_is_refused_before_anything_is_read(scene):
    """Names of 231 characters and more were refused only when all had been listed."""
    scene.load_shop()
    before = dict(scene.server.calls)
    name = "x" * (layout.longest_name(BackupFiles) + 1)

    with pytest.raises(InvalidSpecError, match="a directory can hold"):
        scene.back_up(name=name, included_namespaces=["shop"])

    assert scene.server.calls == before
    assert not scene.objects.objects


def test_a_name_too_long_for_a_label_is_a_warning(scene):
    """A name that labels hold only as a hash is told, and is no more than a warning."""
    scene.load_shop()
    names = ["x" * 63, "x" * 64]

    short, long = (
        scene.back_up(name=name, included_namespaces=["shop"]) for name in names
    )

    told = [entry.message for entry in long.results.warnings]
    assert len(told) == len(short.results.warnings) + 1
    assert told[0].startswith("the backup's name has 64 characters")
    assert label_value(names[1]) in told[0]
    assert long.backup.status.warnings == len(told)
    assert long.exit_code == 0


def test_with_a_closed_cluster(scene):
    """A backup of a cluster that was closed fails, whatever of it was known before."""
    scene.load_shop()
    with scene.server.connect() as cluster:
        cluster.discover()
        cluster.uid()
        engine = BackupEngine(cluster, scene.store)
    before = dict(scene.server.calls)

    for act in (engine.run, lambda _, spec: engine.plan(spec)):
        with pytest.raises(ClusterError, match="this Cluster was closed"):
            act("shop-1", SHOP)

    assert scene.server.calls == before
    assert not _visible(scene.objects)
    assert not _claims(scene.objects)


# --- repeated -------------------------------------------------------------------------


def test_names_that_velero_cannot_unpack_are_named(scene):
    """Velero adds to each name as it unpacks it, and a file's name has 255 bytes."""
    long, longest = "a" * 251, "b" * 250
    scene.load(
        scene.made("ConfigMap", long, "shop"),
        scene.made("ServiceAccount", long, "shop"),
        scene.made("ConfigMap", longest, "shop"),
    )

    result = scene.back_up(included_namespaces=("shop",))

    told = [str(x) for x in result.results.warnings if "Velero" in x.message]
    assert sorted(each.partition(": ")[0] for each in told) == [
        f"configmaps/shop/{long}",
        f"serviceaccounts/shop/{long}",
    ]


@pytest.mark.parametrize(
    ("spec", "options", "location"),
    [
        ({}, None, "default"),
        ({}, BackupOptions(storage_location="prod"), "prod"),
        (
            {"storage_location": "dr"},
            BackupOptions(storage_location="prod"),
            "dr",
        ),
    ],
)
def test_the_location_that_the_record_states(scene, spec, options, location):
    """A Velero server looks in the record for the name of the location."""
    scene.load(scene.secret("a"))

    result = scene.back_up(options=options, **spec)

    assert result.backup.spec.storage_location == location
    assert scene.store.get("b").spec.storage_location == location


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"snapshot_volumes": True}, "snapshotVolumes"),
        ({"snapshot_move_data": True}, "snapshotMoveData"),
        ({"default_volumes_to_fs_backup": True}, "defaultVolumesToFsBackup"),
        ({"snapshot_volumes": False, "snapshot_move_data": False}, ""),
    ],
)
def test_what_is_asked_for_and_not_done_is_told(scene, asked, told):
    """Nobody believes that volumes were stored because they were asked for."""
    scene.load(scene.secret("a"))

    result = scene.back_up(**asked)

    idle = [x.message for x in result.results.warnings if "no effect" in x.message]
    wanted = [f"{told} has no effect in this version of kbackup"] if told else []
    assert idle == wanted


def test_two_backups_of_a_quiet_namespace_are_the_same(scene):
    """Entry by entry they differ in nothing; the archives differ in nothing but times."""
    scene.load_shop()
    clock = FrozenClock(_start())
    engine = scene.engine(clock=clock)

    engine.run("one", SHOP)
    engine.run("two", SHOP)
    clock.advance(timedelta(hours=1))
    engine.run("three", SHOP)

    one, two, three = (_archive(scene, name) for name in ("one", "two", "three"))
    assert one == two
    assert one != three
    assert _items(scene, "one") == _items(scene, "three")


def test_a_name_that_is_taken(scene):
    """An existing backup is refused and not touched."""
    scene.load(scene.secret("s"))
    scene.back_up(included_namespaces=["shop"])
    before = dict(scene.objects.objects)

    with pytest.raises(BackupExistsError):
        scene.back_up(included_namespaces=["shop"])

    assert scene.objects.objects == before


def test_an_invalid_specification_touches_nothing(scene):
    """A broken rule is told before the cluster or the store is asked anything."""
    with pytest.raises(InvalidSpecError) as caught:
        scene.engine().run("Shop!", BackupSpec(included_namespaces=["*", "a"]))

    assert len(caught.value.violations) >= 2
    assert scene.objects.objects == {}
    assert not scene.server.calls


def test_resume(scene):
    """A run that ended gives its result again; one that did not left nothing."""
    scene.load(scene.secret("s"))
    result = scene.back_up(included_namespaces=["shop"])

    again = scene.engine().resume("b")

    assert again.backup == result.backup
    assert again.manifest_digest == result.manifest_digest
    with pytest.raises(BackupNotFoundError):
        scene.engine().resume("other")


def test_resume_of_what_has_not_ended(scene):
    """Who asks for the result of a run under way, or killed, hears which run that is."""
    with (
        scene.store.claim("b", run_uid="run-1"),
        pytest.raises(BackupNotFoundError, match="not ended by run run-1") as caught,
    ):
        scene.engine().resume("b")

    assert "begins anew" in caught.value.hint


def test_the_record_says_of_which_version_the_cluster_is(scene):
    """As by a Velero server, which looks at it when it restores."""
    version = scene.cluster.version()

    stated = scene.back_up(included_namespaces=["*"]).backup.metadata.annotations

    assert stated[labels.SOURCE_CLUSTER_GIT_VERSION] == version.git_version
    assert stated[labels.SOURCE_CLUSTER_MAJOR_VERSION] == version.major
    assert stated[labels.SOURCE_CLUSTER_MINOR_VERSION] == version.minor


def test_an_expiration_only_with_a_ttl(scene):
    """The record expires at its start plus the TTL, and never without."""
    scene.load(scene.secret("s"))
    clock = FrozenClock(_start())
    spec = BackupSpec(included_namespaces=["shop"], ttl=timedelta(hours=2))

    ending = scene.engine(clock=clock).run("ending", spec)
    lasting = scene.engine(clock=clock).run("lasting", SHOP)

    assert ending.backup.status.expiration == _start() + timedelta(hours=2)
    assert lasting.backup.status.expiration is None
    assert (
        b"expiration" not in scene.objects.objects["backups/lasting/velero-backup.json"]
    )


# --- cancelled ------------------------------------------------------------------------


@pytest.mark.parametrize("phase", PHASES)
def test_a_cancel_at_every_stage(scene, phase, tmp_path):
    """A cancelled run raises, publishes nothing, gives its name back, leaves no file."""
    scene.load_shop()
    token = CancelToken()

    def observer(event):
        if isinstance(event, PhaseChanged) and event.phase == phase:
            token.cancel("enough")

    # The phase is announced after the token was asked: what asks next must stop.
    settings = EngineSettings(spool_directory=tmp_path)
    engine = scene.engine(observer=observer, settings=settings)

    with pytest.raises(RunCancelledError, match="enough") as caught:
        engine.run("b", SHOP, cancel=token)

    assert caught.value.exit_code == 130
    assert caught.value.result.backup.status.phase is BackupPhase.FAILED
    assert _visible(scene.objects) == []
    assert _claims(scene.objects) == []
    assert list(tmp_path.iterdir()) == []
    scene.back_up(included_namespaces=["shop"])
    assert scene.store.verify("b").problems == ()


def test_a_cancel_before_the_start(scene):
    """A token that is cancelled already lets nothing begin."""
    token = CancelToken()
    token.cancel("no")

    with pytest.raises(RunCancelledError):
        scene.engine().run("b", SHOP, cancel=token)

    assert scene.objects.objects == {}


# --- failing stores -------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True], ids=["refused", "answer-lost"])
def test_a_store_that_fails_at_every_write(scene, after):
    """Whichever write fails, what can be seen afterwards is whole, and the name works."""
    scene.load(scene.secret("s"))
    number, ended = 0, False
    while not ended:
        number += 1
        objects = MemoryStore()
        failing = FailingStore.failing_write(objects, number, after=after)
        scene.store = BackupStore(failing)
        try:
            scene.engine().run("b", SHOP)
        except StoreError as exc:
            assert exc.result is not None  # noqa: PT017 - not every write raises
        else:
            ended = _writes(failing) < number  # there was no such write any more
        healthy = BackupStore(objects)
        for entry in healthy.list():
            if entry.state is EntryState.COMPLETE:
                assert healthy.verify(entry.name).problems == ()
    assert number > 10


def _writes(failing):
    """Return how often something was written or removed."""
    return len([call for call in failing.calls if call[0] in {"put", "delete"}])


def test_a_spool_that_cannot_be_written(scene, tmp_path):
    """A missing directory for temporary files is an error of ours with a hint."""
    settings = EngineSettings(spool_directory=tmp_path / "none")

    with pytest.raises(KBackupError, match="temporary files") as caught:
        scene.engine(settings=settings).run("b", SHOP)

    assert "spool_directory" in caught.value.hint
    assert _visible(scene.objects) == []


def test_temporary_files_are_private(scene, tmp_path):
    """While a run goes on only its owner may read what it writes."""
    scene.load(scene.secret("s"))
    modes = {}

    def observer(event):
        if isinstance(event, PhaseChanged) and event.phase == "references":
            for path in tmp_path.rglob("*"):
                modes[path.name] = stat.S_IMODE(path.stat().st_mode)

    settings = EngineSettings(spool_directory=tmp_path)
    scene.engine(observer=observer, settings=settings).run("b", SHOP)

    assert modes.pop("archive.tar.gz") == 0o600
    assert modes.pop("log.gz") == 0o600
    assert modes.pop(".lock") == 0o600  # tells that the run lives
    assert set(modes.values()) == {0o700}
    assert list(tmp_path.iterdir()) == []


# --- several at once, and watched -----------------------------------------------------


def test_two_runs_at_once_keep_apart(scene):
    """Each run's log and result have its own namespace's items and nothing else."""
    for name in ("shop", "bank"):
        scene.load(*(scene.secret(f"{name}-{n}", name) for n in range(50)))
    engine = scene.engine()
    barrier = threading.Barrier(2)
    results = {}

    def run(name):
        barrier.wait()
        results[name] = engine.run(name, BackupSpec(included_namespaces=[name, "gone"]))

    threads = [threading.Thread(target=run, args=(name,)) for name in ("shop", "bank")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for name, other in (("shop", "bank"), ("bank", "shop")):
        log = "".join(scene.store.logs(name))
        assert f"namespace={name}" in log
        assert f"namespace={other}" not in log
        assert f"backup=velero/{other}" not in log
        assert len(results[name].results.errors) == 1
        secrets = [x for x in scene.stored(name) if "secrets" in x]
        assert len(secrets) >= 50
        assert all(f"/{name}/" in x for x in secrets)


def test_in_a_running_event_loop(scene):
    """Asynchronous hosts run the engine in a thread."""
    scene.load(scene.secret("s"))

    async def host():
        """Do what a host's coroutine does."""
        return await asyncio.to_thread(scene.engine().run, "b", SHOP)

    result = asyncio.run(host())

    assert result.backup.status.phase is BackupPhase.COMPLETED


def test_what_an_observer_is_told(scene):
    """Start, steps, lists, warnings, errors and the end, in this order."""
    scene.load(scene.secret("s"))
    events = []
    engine = scene.engine(observer=events.append)

    engine.run("b", BackupSpec(included_namespaces=["shop", "gone"]))

    assert events[0] == RunStarted(kind="backup", name="b")
    assert events[-1] == RunEnded(phase="PartiallyFailed")
    assert [e.phase for e in events if isinstance(e, PhaseChanged)] == PHASES
    assert any(isinstance(e, ItemsListed) and e.count == 1 for e in events)
    assert [e for e in events if isinstance(e, ErrorRecorded)]
    assert not [e for e in events if isinstance(e, WarningRecorded)]


def test_what_an_observer_is_told_of_a_plan(scene):
    """A plan begins and ends as a run does, also where it fails or is cancelled."""
    events, token = [], CancelToken()
    engine = scene.engine(observer=events.append)
    scene.load(scene.secret("s"))

    engine.plan(SHOP)
    token.cancel("enough")
    with pytest.raises(RunCancelledError) as caught:
        engine.plan(SHOP, cancel=token)

    runs = [e for e in events if isinstance(e, RunStarted | RunEnded)]
    started = RunStarted(kind="backup plan", name="plan")
    assert runs == [
        started,
        RunEnded(phase="Planned"),
        started,
        RunEnded(phase="Cancelled"),
    ]
    assert caught.value.result.backup.status.phase is BackupPhase.FAILED
    assert caught.value.result.exit_code == caught.value.exit_code == 130


def test_an_observer_that_fails(scene):
    """What an observer raises stands once in the log, and the backup is made."""
    scene.load(scene.secret("s"))

    def observer(event):
        raise RuntimeError("not today")

    result = scene.engine(observer=observer).run("b", SHOP)

    assert result.backup.status.phase is BackupPhase.COMPLETED
    log = "".join(scene.store.logs("b"))
    assert log.count("not today") == 1  # of all the events


def test_the_host_is_left_alone(scene, caplog):
    """Records reach the host's loggers with the run's uid; nothing global changes."""
    scene.load(scene.secret("s"))
    environment, directory = dict(os.environ), os.getcwd()  # noqa: PTH109 - what it is
    handlers = list(logging.getLogger("kbackup").handlers)

    with caplog.at_level(logging.INFO, logger="kbackup"):
        result = scene.back_up(included_namespaces=["shop"])

    uid = result.backup.metadata.uid
    ours = [record for record in caplog.records if record.name == "kbackup.backup"]
    assert ours
    assert {record.kbackup_run for record in ours} == {uid}
    assert dict(os.environ) == environment
    assert os.getcwd() == directory  # noqa: PTH109 - as above
    assert logging.getLogger("kbackup").handlers == handlers


def test_no_secret_in_log_or_result(scene):
    """Values of Secrets appear in neither log nor result nor record."""
    secret = {**scene.secret("s"), "data": {"key": "c2VjcmV0LXZhbHVl"}}
    scene.load(secret)

    result = scene.back_up(included_namespaces=["shop"])

    text = "".join(scene.store.logs("b")) + repr(result)
    text += scene.objects.objects["backups/b/velero-backup.json"].decode()
    assert "c2VjcmV0LXZhbHVl" not in text


def test_the_report(scene):
    """A result tells seconds by step, calls, lists and bytes."""
    scene.load(scene.secret("s"))

    report = scene.back_up(included_namespaces=["shop"]).report

    assert list(report.seconds) == PHASES
    assert report.calls["list secrets"] == 1
    assert report.bytes_written > 0
    assert any(str(record.resource) == "secrets" for record in report.lists)


def _start():
    """Return the instant of frozen clocks."""
    return parse_time("2024-05-01T02:00:00Z")


def _archive(scene, name):
    """Return the bytes of an archive."""
    return scene.objects.objects[f"backups/{name}/{name}.tar.gz"]


def _items(scene, name):
    """Return identity and bytes of everything in an archive, in its order."""
    with scene.store.open_archive(name) as archive:
        return [(str(item.identifier), item.raw) for item in archive]


def test_a_location_that_may_only_be_read(scene, tmp_path):
    """It is refused before anything is asked of the cluster, and nothing is written."""
    scene.load(scene.secret("s"))
    scene.store = BackupStore.open(tmp_path, read_only=True)
    before = dict(scene.server.calls)

    with pytest.raises(ReadOnlyLocationError):
        scene.back_up(included_namespaces=["shop"])

    assert dict(scene.server.calls) == before
    assert list(tmp_path.iterdir()) == []
