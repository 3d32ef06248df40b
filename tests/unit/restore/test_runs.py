"""What a host learns of a run: its events, and its result where it raised."""

import asyncio
import errno
import logging
import os
import threading

import pytest
from plan_samples import namespace

from kbackup._kits.workers import CancelToken
from kbackup.errors import (
    BackupNotFoundError,
    ClusterError,
    KBackupError,
    RunCancelledError,
    SpoolError,
    TargetMismatchError,
)
from kbackup.models import RestoreOptions, RestorePhase, RestoreSpec
from kbackup.plugins import RunEnded, RunStarted
from kbackup.restore import RestoreEngine

SPEC = RestoreSpec(backup_name="shop-1")


@pytest.fixture(name="events")
def fixture_events():
    """What the observer was told."""
    return []


@pytest.fixture(name="watched")
def fixture_watched(make_shop, events):
    """The sample shop and an engine that is observed."""
    return make_shop(observer=events.append)


def _runs(events):
    """The beginnings and ends of runs."""
    return [event for event in events if isinstance(event, RunStarted | RunEnded)]


def test_a_plan_begins_and_ends(watched, events):
    """Whoever is told that planning began is told that it ended."""
    watched.engine.plan("try-1", SPEC)

    assert _runs(events) == [
        RunStarted(kind="restore plan", name="try-1"),
        RunEnded(phase="Planned"),
    ]


def test_a_run_is_a_plan_and_a_restore(watched, events):
    """Planning and applying are told one after the other."""
    watched.engine.run("try-1", SPEC)

    assert _runs(events) == [
        RunStarted(kind="restore plan", name="try-1"),
        RunEnded(phase="Planned"),
        RunStarted(kind="restore", name="try-1"),
        RunEnded(phase="Completed"),
    ]


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_planning_that_fails_has_a_result(watched, events, verb):
    """The error that ends planning carries what was known, and the run is ended."""
    watched.simulated.load([namespace("shop")])
    faults = watched.simulated.faults
    faults.fail(verb="get", resource="secrets", status=401, times=None)

    with pytest.raises(ClusterError) as caught:
        getattr(watched.engine, verb)("try-1", SPEC)

    result = caught.value.result
    assert result.restore.name == "try-1"
    assert result.restore.status.phase is RestorePhase.FAILED
    assert result.restore.spec.backup_name == "shop-1"
    assert result.restore.metadata.uid
    assert result.exit_code == 1
    assert result.outcomes == ()
    assert "read the backup" in result.report.seconds
    assert result.report.calls
    assert _runs(events)[-1] == RunEnded(phase="Failed")


def test_a_cancelled_plan_has_a_result(watched, events):
    """A cancel while planning ends as one while applying does."""
    token = CancelToken()

    def stop(event):
        events.append(event)
        token.cancel("enough")

    engine = RestoreEngine(watched.cluster, watched.store, observer=stop)

    with pytest.raises(RunCancelledError) as caught:
        engine.run("try-1", SPEC, cancel=token)

    assert caught.value.result.restore.status.phase is RestorePhase.FAILED
    assert caught.value.result.exit_code == caught.value.exit_code == 130
    assert _runs(events)[-1] == RunEnded(phase="Cancelled")


@pytest.mark.parametrize("salvage", [False, True])
def test_a_cancel_while_the_archive_is_fetched(watched, events, monkeypatch, salvage):
    """A store that takes its time with the archive does not hold a cancelled run."""
    token, release = CancelToken(), threading.Event()

    def stuck(*_, **__):
        token.cancel("enough")
        release.wait(60)
        raise OSError

    way = "open_archive" if salvage else "open_contents"
    monkeypatch.setattr(watched.store, way, stuck)
    options = RestoreOptions(salvage=salvage)
    try:
        with pytest.raises(RunCancelledError, match="enough"):
            watched.engine.plan("try-1", SPEC, options, cancel=token)
        assert not release.is_set()
    finally:
        release.set()

    assert _runs(events)[-1] == RunEnded(phase="Cancelled")


@pytest.mark.parametrize(
    ("spec", "options", "kind"),
    [
        (RestoreSpec(backup_name="gone"), None, BackupNotFoundError),
        (SPEC, RestoreOptions(expect_cluster="another"), TargetMismatchError),
    ],
    ids=["no backup", "another cluster"],
)
def test_what_fails_before_the_run_has_a_result_too(
    watched, events, spec, options, kind
):
    """Backup or target that are not what was meant end `run` with a failed result."""
    with pytest.raises(kind) as caught:
        watched.engine.run("try-1", spec, options)

    assert isinstance(caught.value, KBackupError)
    assert caught.value.result.restore.name == "try-1"
    assert caught.value.result.restore.status.phase is RestorePhase.FAILED
    assert events == []


def test_the_report_counts_what_was_stored(watched):
    """Requests, seconds by step and the bytes of the record's files are reported."""
    report = watched.engine.run("try-1", SPEC).report

    assert set(report.seconds) == {"write", "record"}
    assert report.calls["create configmaps"] == 1
    assert report.bytes_written > 0
    assert report.to_json()["bytesWritten"] == report.bytes_written


def test_no_room_for_temporary_files(shop, tmp_path, monkeypatch):
    """A restore that cannot keep its log says where, and has written nothing."""

    def fail(**_):
        raise OSError(errno.ENOSPC, "No space left on device")

    plan = shop.engine.plan("try-1", SPEC)
    monkeypatch.setattr("tempfile.mkdtemp", fail)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))

    with pytest.raises(SpoolError) as caught:
        shop.engine.apply(plan)

    assert str(caught.value) == (
        f"cannot write temporary files in {tmp_path}: No space left on device"
    )
    assert "TMPDIR" in caught.value.hint
    assert shop.writes() == 0


def test_in_a_running_event_loop(shop):
    """Asynchronous hosts run the engine in a thread."""

    async def host():
        """Do what a host's coroutine does."""
        plan = await asyncio.to_thread(shop.engine.plan, "try-1", SPEC)
        return await asyncio.to_thread(shop.engine.apply, plan)

    result = asyncio.run(host())

    assert result.restore.status.phase is RestorePhase.COMPLETED


def test_the_host_is_left_alone(shop, caplog):
    """Records reach the host's loggers with the run's uid; nothing global changes."""
    environment, directory = dict(os.environ), os.getcwd()  # noqa: PTH109 - what it is
    handlers = list(logging.getLogger("kbackup").handlers)

    with caplog.at_level(logging.INFO, logger="kbackup"):
        plan = shop.engine.plan("try-1", SPEC)
        caplog.clear()
        result = shop.engine.apply(plan)

    ours = [record for record in caplog.records if record.name == "kbackup.restore"]
    assert ours
    uids = {record.kbackup_run for record in ours}
    assert uids == {result.restore.metadata.uid}
    assert dict(os.environ) == environment
    assert os.getcwd() == directory  # noqa: PTH109 - as above
    assert logging.getLogger("kbackup").handlers == handlers
