"""What an engine is given: checked, completed, and in every run of it."""

from datetime import UTC, datetime

import pytest

from kbackup._kits.clock import SystemClock
from kbackup._kits.workers import CancelToken
from kbackup.models import EngineSettings
from kbackup.plugins import PhaseChanged, PluginManager
from kbackup.plugins.engine import Equipment
from kbackup.testing import FrozenClock


class Cluster:
    """As far as it is looked at."""

    def for_run(self):
        """Be a cluster."""


class Store:
    """As far as it is looked at."""

    def claim(self):
        """Be a store."""


def equipped(cluster=None, store=None, **more):
    """What an engine has that was given this, and nothing else."""
    nothing = dict.fromkeys(("plugins", "observer", "settings", "clock"))
    return Equipment.checked(cluster or Cluster(), store or Store(), **nothing | more)


def test_what_a_host_leaves_to_the_engine():
    """Installed plugins, plain settings, the system's clock, nobody who is told."""
    found = equipped()

    assert isinstance(found.plugins, PluginManager)
    assert found.settings == EngineSettings()
    assert isinstance(found.clock, SystemClock)
    assert found.observer is None


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"cluster": "c"}, "cluster"),
        ({"store": "s"}, "store"),
        ({"plugins": "p"}, "plugins"),
        ({"settings": {}}, "settings"),
    ],
    ids=str,
)
def test_what_is_something_else_is_refused(wrong, name):
    """By the name of the argument."""
    with pytest.raises(TypeError, match=f"^{name}: expected a"):
        equipped(**wrong)


def test_a_run_has_what_the_engine_was_given():
    """Its observer is told, its settings and its clock are used, and it can be stopped."""
    told, settings, cancel = [], EngineSettings(workers=3), CancelToken()
    clock = FrozenClock(datetime(2024, 5, 1, tzinfo=UTC))
    given = equipped(observer=told.append, settings=settings, clock=clock)

    run = given.new_run("backup", "b", "uid-1", cancel)
    run.emit(PhaseChanged(phase="lists", total=None))

    assert (run.kind, run.name, run.uid) == ("backup", "b", "uid-1")
    assert (run.settings, run.clock, run.cancel) == (settings, clock, cancel)
    assert told == [PhaseChanged(phase="lists", total=None)]
