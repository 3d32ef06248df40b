"""A cluster that refuses for want of room for as long as the backup asks."""

import pytest

from kbackup.backup import BackupEngine
from kbackup.errors import ThrottledError
from kbackup.models import BackupSpec
from kbackup.plugins import ItemsProgressed, WaitingFor
from patient_runs import without_time


def test_a_backup_ends_within_the_budget(scene, monkeypatch):
    """It says that it waits, and its error names a request and how long that was refused."""
    clock, seen = without_time(monkeypatch), []
    engine = BackupEngine(scene.cluster, scene.store, observer=seen.append, clock=clock)
    scene.server.faults.fail(status=429, times=None)

    with pytest.raises(ThrottledError, match=r"cannot .*the server has refused for"):
        engine.run("nightly", BackupSpec())

    assert clock.monotonic() <= 620
    assert any("HTTP 429" in each.what for each in seen if isinstance(each, WaitingFor))


def test_refused_from_the_middle_on(scene, monkeypatch):
    """All types together wait as long as one, and each that is missing is an error."""
    clock = without_time(monkeypatch)

    def refuse(event):
        if isinstance(event, ItemsProgressed):
            scene.server.faults.fail(status=429, times=None)

    scene.load(*(scene.secret(name) for name in "abc"))
    engine = BackupEngine(scene.cluster, scene.store, observer=refuse, clock=clock)
    result = engine.run("nightly", BackupSpec())

    assert clock.monotonic() <= 620
    errors = [str(each) for each in result.results.errors]
    assert sum("the server has refused for" in each for each in errors) > 1
