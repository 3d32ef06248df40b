"""What belongs to one run stays with it: log, results, events, times."""

import errno
import logging
import threading
from datetime import UTC, datetime, timedelta

import pytest

from kbackup._kits.workers import Cancelled, CancelToken
from kbackup.errors import SpoolError
from kbackup.models import EngineSettings, GroupResource, ResourceIdentifier
from kbackup.plugins import (
    ErrorRecorded,
    PhaseChanged,
    PluginManager,
    Run,
    RunStarted,
    WarningRecorded,
    hookimpl,
)
from kbackup.testing import FrozenClock

STARTED = RunStarted(kind="backup", name="shop-1")
POD = ResourceIdentifier(GroupResource("", "pods"), "shop", "web-0")
VOLUME = ResourceIdentifier(GroupResource("", "persistentvolumes"), "", "pv-1")


def make_run(**more):
    """The run of a backup."""
    return Run(uid="u-1", kind="backup", name="shop-1", **more)


class Collecting(logging.Handler):
    """A handler that keeps its records."""

    def __init__(self):
        """Start with none."""
        super().__init__()
        self.records = []

    def emit(self, record):
        """Keep the record."""
        self.records.append(record)


# --- temporary files ------------------------------------------------------------------


def test_a_full_place_for_temporary_files(tmp_path):
    """Where there is no room the error names the place, and how to name another."""
    run = make_run(settings=EngineSettings(spool_directory=tmp_path))

    with pytest.raises(SpoolError) as caught, run.temporary_directory():
        raise OSError(errno.ENOSPC, "No space left on device")

    assert str(caught.value) == (
        f"cannot write temporary files in {tmp_path}: No space left on device"
    )
    assert "TMPDIR" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_system_without_any_place(monkeypatch):
    """Where every place of the system is full the error is ours, and names TMPDIR."""

    def fail(**_):
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.mkdtemp", fail)
    monkeypatch.setattr("tempfile.gettempdir", fail)

    with (
        pytest.raises(SpoolError, match="in TMPDIR: No usable temporary"),
        make_run().temporary_directory(),
    ):
        pass


def test_an_error_that_is_none_of_the_place(tmp_path):
    """What else fails meanwhile is not taken for a lack of room."""
    run = make_run(settings=EngineSettings(spool_directory=tmp_path))

    with pytest.raises(ConnectionError), run.temporary_directory():
        raise ConnectionResetError(errno.ECONNRESET, "reset")


# --- results --------------------------------------------------------------------------


def test_results_say_where_and_whose():
    """An entry belongs to the item's namespace, to the cluster, or to the run itself."""
    run = make_run()

    run.warning("odd", item=POD, plugin="example.com/a", cause=ValueError("why"))
    run.error("lost", item=VOLUME)
    run.error("store")

    (warning,) = run.results.warnings
    assert (warning.namespace, warning.plugin, warning.cause) == (
        "shop",
        "example.com/a",
        "why",
    )
    assert warning.area == "namespaces"
    assert [error.area for error in run.results.errors] == ["cluster", "velero"]


def test_results_of_a_namespace_called_as_velero_is():
    """What is about a namespace is kept with it, also where it is called ``velero``."""
    run = make_run()

    run.error("gone", namespace="velero")
    run.error("lost", item=ResourceIdentifier(POD.group_resource, "cluster", "web-0"))

    assert run.results.to_json()["errors"] == {
        "namespaces": {"cluster": ["pods/cluster/web-0: lost"], "velero": ["gone"]}
    }


def test_entries_are_told_as_events():
    """Each warning and error is an event for the observer, in order."""
    seen = []
    run = make_run(observer=seen.append)

    run.warning("odd", item=POD)
    run.error("lost")

    assert seen == [
        WarningRecorded(message="odd", item=POD),
        ErrorRecorded(message="lost"),
    ]


# --- events ---------------------------------------------------------------------------


def test_observer_and_plugins_are_told():
    """The host's observer hears an event first, then the plugins do."""
    seen = []
    run = make_run(
        observer=lambda event: seen.append(("host", event)),
        broadcast=lambda event, run: seen.append(("plugins", event)),
    )

    run.emit(STARTED)

    assert seen == [("host", STARTED), ("plugins", STARTED)]


def test_failing_observer_does_not_stop_the_run(caplog):
    """What an observer raises is logged; the plugins are still told."""
    seen = []

    def fail(event):
        raise ValueError("boom")

    run = make_run(observer=fail, broadcast=lambda event, run: seen.append(event))

    run.emit(STARTED)

    assert seen == [STARTED]
    assert "an observer failed on RunStarted" in caplog.text


def test_an_observer_that_always_fails_is_logged_once(caplog):
    """Of a thousand events that an observer fails on the log has one traceback."""
    seen = []

    def fail(event):
        raise ValueError("boom")

    run = make_run(observer=fail, broadcast=lambda event, run: seen.append(event))

    for _ in range(1000):
        run.emit(STARTED)

    (record,) = caplog.records
    assert record.exc_info is not None
    assert "not named each time it fails" in record.getMessage()
    assert len(seen) == 1000


def test_observer_that_records_a_warning():
    """A plugin that records while it observes neither hangs nor hears itself."""
    seen = []

    class Plugin:
        """A plugin with an opinion about every event."""

        @hookimpl
        def kbackup_event(self, event, run):
            """Record a warning about the event."""
            seen.append(event)
            run.warning("I do not like this")

    run = make_run(broadcast=PluginManager([Plugin()]).emit)

    run.emit(STARTED)

    assert seen == [STARTED]
    assert [w.message for w in run.results.warnings] == ["I do not like this"]


def test_observers_are_called_by_one_thread_at_a_time():
    """However many threads tell something, the observer is never entered twice."""
    inside, clashes, seen = [], [], []

    def observe(event):
        clashes.extend(inside)
        inside.append(event)
        seen.append(event)
        inside.pop()

    run = make_run(observer=observe)
    threads = [
        threading.Thread(target=lambda: [run.emit(STARTED) for _ in range(200)])
        for _ in range(4)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(seen) == 800
    assert clashes == []


def test_nobody_listens():
    """Without observers making an event can be spared."""
    assert not make_run().observed
    assert make_run(observer=print).observed


# --- log ------------------------------------------------------------------------------


def test_logs_of_two_runs_never_mix():
    """Each run's handlers get that run's records only."""
    one, other = make_run(), Run(uid="u-2", kind="backup", name="shop-2")
    handlers = {run: Collecting() for run in (one, other)}
    for run, handler in handlers.items():
        run.logger.addHandler(handler)

    one.logger.info("from one")
    other.logger.debug("from the other")

    assert [r.getMessage() for r in handlers[one].records] == ["from one"]
    assert [r.getMessage() for r in handlers[other].records] == ["from the other"]


def test_host_gets_the_log_with_the_run(caplog):
    """The library's logger passes a run's records on, marked with its uid."""
    with caplog.at_level(logging.INFO, logger="kbackup.backup"):
        make_run().logger.info("hello")

    (record,) = caplog.records
    assert (record.name, record.kbackup_run) == ("kbackup.backup", "u-1")


def test_host_decides_about_its_own_log(caplog):
    """A record below the host's level goes to the run's log only."""
    run = make_run()
    handler = Collecting()
    run.logger.addHandler(handler)

    with caplog.at_level(logging.ERROR, logger="kbackup.backup"):
        run.logger.info("detail")

    assert caplog.records == []
    assert len(handler.records) == 1


# --- report ---------------------------------------------------------------------------


def test_report():
    """Phases are timed by the run's clock; calls and plugins' seconds add up."""
    clock = FrozenClock(datetime(2026, 1, 1, tzinfo=UTC))
    seen = []
    run = make_run(clock=clock, observer=seen.append)

    with run.phase("collect", total=7):
        clock.advance(timedelta(seconds=2))
    run.count("list pods")
    run.count("list pods")
    run.spent("example.com/a", 0.5)
    run.spent("example.com/a", 0.25)

    report = run.report(bytes_written=9)
    assert seen == [PhaseChanged(phase="collect", total=7)]
    assert report.seconds == {"collect": 2.0}
    assert report.calls == {"list pods": 2}
    assert report.plugin_seconds == {"example.com/a": 0.75}
    assert report.bytes_written == 9


def test_cancelled_run_enters_no_phase():
    """A cancel is noticed before the next step begins."""
    cancel = CancelToken()
    run = make_run(cancel=cancel)
    cancel.cancel("enough")

    with pytest.raises(Cancelled), run.phase("collect"):
        raise AssertionError("the step began")
