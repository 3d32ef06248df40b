"""What is given in the wrong place, or as another type, is refused by its name."""

import pytest

from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.models import (
    BackupOptions,
    BackupSpec,
    RestoreSpec,
)
from kbackup.restore import RestoreEngine
from kbackup.testing import SimulatedCluster


@pytest.fixture(name="cluster", scope="module")
def fixture_cluster():
    """A connection to a simulated cluster."""
    with SimulatedCluster() as simulated, simulated.connect() as cluster:
        yield cluster


@pytest.fixture(name="store")
def fixture_store(tmp_path):
    """A store in a directory."""
    with BackupStore.open(tmp_path / "store") as store:
        yield store


@pytest.mark.parametrize("location", [None, 7, [None], b"/tmp"])
def test_a_location_that_is_none(location):
    """What is no location is told what one is, not how it failed inside."""
    with pytest.raises(TypeError, match=r"^location: expected an address, a path"):
        BackupStore.open(location)


@pytest.mark.parametrize("engine", [BackupEngine, RestoreEngine])
def test_engines_name_what_they_need(engine, cluster, store):
    """Cluster and store the other way round, or a path for a store, are refused."""
    with pytest.raises(TypeError, match=r"^cluster: expected a Cluster, got a Backup"):
        engine(store, cluster)
    with pytest.raises(TypeError, match=r"^store: expected a BackupStore, got a str$"):
        engine(cluster, "/backups")


@pytest.mark.parametrize("engine", [BackupEngine, RestoreEngine])
def test_an_observer_is_called(engine, cluster, store):
    """What cannot be called is refused at once, and not told of at every event."""
    with pytest.raises(TypeError, match=r"^observer: expected a function, got a list$"):
        engine(cluster, store, observer=[])
    engine(cluster, store, observer=[].append)


@pytest.mark.parametrize("verb", ["run", "plan"])
def test_runs_name_what_they_need(verb, cluster, store):
    """A document where a specification is meant is refused, and so are odd options."""
    back_up = getattr(BackupEngine(cluster, store), verb)
    restore = getattr(RestoreEngine(cluster, store), verb)
    name = ("q",) if verb == "run" else ()

    for start, given in ((back_up, name), (restore, ("q",))):
        with pytest.raises(TypeError, match=r"^spec: expected a .*Spec, got a dict"):
            start(*given, {"includedNamespaces": ["shop"]})
    with pytest.raises(TypeError, match=r"^options: expected a BackupOptions, got a d"):
        back_up(*name, BackupSpec(), {})
    with pytest.raises(
        TypeError, match=r"^options: expected a RestoreOptions, got a B"
    ):
        restore("q", RestoreSpec(backup_name="b"), BackupOptions())


def test_apply_needs_a_plan(cluster, store):
    """The document of a plan is not the plan."""
    with pytest.raises(TypeError, match=r"^plan: expected a RestorePlan, got a dict"):
        RestoreEngine(cluster, store).apply({"kind": "RestorePlan"})


@pytest.mark.parametrize("name", [None, 7])
def test_compare_and_resume_need_a_name(cluster, store, name):
    """What is no name of a backup is told so, not how it failed inside."""
    with pytest.raises(TypeError, match=r"^backup_name: expected a str, got "):
        RestoreEngine(cluster, store).compare(name)
    with pytest.raises(TypeError, match=r"^name: expected a str, got "):
        BackupEngine(cluster, store).resume(name)


@pytest.mark.parametrize("engine", [BackupEngine, RestoreEngine])
def test_engines_name_what_they_may_be_given(engine, cluster, store):
    """A list of plugins where their manager is meant is refused, and odd settings."""
    with pytest.raises(TypeError, match=r"^plugins: expected a PluginManager, got a l"):
        engine(cluster, store, plugins=[])
    with pytest.raises(TypeError, match=r"^settings: expected a EngineSettings, got a"):
        engine(cluster, store, settings={})


def test_every_verb_names_a_cancel_that_is_none(cluster, store):
    """A function, or a flag, where a token is meant is refused before anything is done."""
    backup, restore = BackupEngine(cluster, store), RestoreEngine(cluster, store)
    spec = RestoreSpec(backup_name="b")

    for start, given in (
        (backup.run, ("q", BackupSpec())),
        (backup.plan, (BackupSpec(),)),
        (restore.run, ("q", spec)),
        (restore.plan, ("q", spec)),
        (restore.compare, ("b",)),
    ):
        with pytest.raises(
            TypeError, match=r"^cancel: expected a CancelToken, got a b"
        ):
            start(*given, cancel=False)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"cluster": "prod"}, "cluster: expected a Cluster, got a str"),
        ({"settings": {}}, "settings: expected a EngineSettings, got a dict"),
        ({"cancel": False}, "cancel: expected a CancelToken, got a bool"),
    ],
)
def test_a_deletion_names_what_it_may_be_given(given, told, store):
    """Nothing is looked for, let alone deleted, where an argument is none."""
    with pytest.raises(TypeError, match=f"^{told}$"):
        store.delete("b", **given)
