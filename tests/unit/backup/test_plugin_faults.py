"""What an installed plugin does wrong stops no run, and is told with its release."""

import sys
import textwrap
from datetime import timedelta

import pytest

from kbackup import (
    BackupEngine,
    BackupSpec,
    BackupStore,
    EngineSettings,
    PluginManager,
)
from kbackup.errors import BackupCleanupError
from kbackup.testing import MemoryStore, SimulatedCluster, load_sample_shop

PLUGIN = """
    import threading
    from kbackup.models import ResourceSelector
    from kbackup.plugins import hookimpl

    class OwnError(Exception):
        def __str__(self):
            raise ValueError("not even this")

    class Action:
        name = "example.com/wrong"
        applies_to = ResourceSelector(included_resources=("services",))

        def execute(self, given):
            {act}

    @hookimpl
    def kbackup_register_{family}_item_actions():
        return {{Action.name: Action()}}
"""
WAYS = {
    "raises": "raise RuntimeError('no such thing')",
    "its own exception": "raise OwnError()",
    "ends the program": "raise SystemExit(3)",
    "nonsense": "return {'item': given.item}",
    "None": "return None",
    "hangs": "threading.Event().wait()",
}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A function that installs a distribution ``kb-wrong 2.1`` with one action."""
    info = tmp_path / "kb_wrong-2.1.dist-info"
    info.mkdir()
    metadata = "Metadata-Version: 2.1\nName: kb-wrong\nVersion: 2.1\n"
    (info / "METADATA").write_text(metadata)
    (info / "entry_points.txt").write_text("[kbackup]\nwrong = kb_wrong\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def make(act, family):
        text = textwrap.dedent(PLUGIN).format(act=act, family=family)
        (tmp_path / "kb_wrong.py").write_text(text)
        return PluginManager()

    yield make
    sys.modules.pop("kb_wrong", None)


@pytest.fixture(name="cluster")
def fixture_cluster():
    """A cluster with the sample shop in it."""
    with SimulatedCluster() as simulated, simulated.connect() as cluster:
        load_sample_shop(cluster)
        yield cluster


SPEC = BackupSpec(included_namespaces=["shop"])


@pytest.mark.parametrize("act", WAYS.values(), ids=list(WAYS))
def test_a_backup_goes_on(act, install, cluster):
    """The item is an error that names the plugin's release; the others are stored."""
    plugins = install(act, "backup")
    settings = EngineSettings(action_timeout=timedelta(seconds=0.3))

    with BackupStore(MemoryStore()) as store:
        engine = BackupEngine(cluster, store, plugins=plugins, settings=settings)
        result = engine.run("shop-1", SPEC)

        kinds = {item.content["kind"] for item in store.open_archive("shop-1")}
    assert {"Deployment", "Secret"} <= kinds
    assert result.backup.status.phase == "PartiallyFailed"
    errors = result.results.errors
    assert {(each.plugin, each.release) for each in errors} == {
        ("example.com/wrong", "kb-wrong 2.1")
    }
    assert str(errors[0]).endswith("(plugin example.com/wrong of kb-wrong 2.1)")
    report = result.report.to_json()
    assert report["pluginCalls"]["example.com/wrong"] >= 1
    assert report["pluginSeconds"]["example.com/wrong"] >= 0


def test_a_deletion_names_it(install, cluster):
    """The error of a deletion has the release of the plugin that did not clean up."""
    plugins = install(WAYS["raises"], "delete")
    with BackupStore(MemoryStore(), plugins=plugins) as store:
        BackupEngine(cluster, store, plugins=plugins).run("shop-1", SPEC)

        with pytest.raises(BackupCleanupError, match=r"\(kb-wrong 2\.1\)"):
            store.delete("shop-1", cluster=cluster)


def test_what_is_ours_has_no_release(cluster):
    """What comes with kbackup is not named with a release."""
    assert "velero.io/pod" not in PluginManager().releases()
