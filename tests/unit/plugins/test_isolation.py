"""What an installed action does wrong stops no run, and is told with its release."""

import sys
import textwrap
from datetime import timedelta

import pytest

from kbackup import (
    BackupEngine,
    BackupSpec,
    BackupStore,
    EngineSettings,
    LabelSelector,
    PluginManager,
    RestoreEngine,
    RestorePlan,
    RestoreSpec,
)
from kbackup.errors import BackupCleanupError
from kbackup.testing import MemoryStore, SimulatedCluster, load_sample_shop

PLUGIN = """
    import asyncio
    import threading
    from kbackup.models import ResourceSelector
    from kbackup.plugins import BackupOutput, RestoreOutput, hookimpl

    class OwnError(Exception):
        def __str__(self):
            raise ValueError("not even this")

    class Unwound(BaseException):
        pass

    class Odd:
        def __getattribute__(self, name):
            raise OwnError()

    class Action:
        name = "example.com/wrong"
        applies_to = ResourceSelector(included_resources=("{resource}",))

        def {method}(self, given):
            {act}

    @hookimpl
    def kbackup_register_{family}_actions():
        return {{Action.name: Action()}}
"""
METHODS = {
    "backup_item": "execute",
    "restore_item": "execute",
    "delete_item": "execute",
    "item_block": "related_items",
}
WAYS = {
    "raises": ("raise RuntimeError('no such thing')", "RuntimeError: no such thing"),
    "its own exception": ("raise OwnError()", "OwnError"),
    "no exception at all": ("raise Unwound('out')", "Unwound: out"),
    "a cancelled coroutine": ("raise asyncio.CancelledError()", "CancelledError"),
    "ends the program": ("raise SystemExit(3)", "SystemExit: 3"),
    "nonsense": ("return {'item': given.item}", "it returned a dict"),
    "odd": ("return Odd()", ""),
    "hangs": ("threading.Event().wait()", "did not come back"),
}
BESIDES = {  # what only some kinds may not answer
    "backup_item": {"None": ("return None", "it returned a NoneType")},
    "restore_item": {"None": ("return None", "it returned a NoneType")},
    "item_block": {"None": ("return None", "it returned a NoneType")},
    "delete_item": {"an answer": ("return 'done'", "it returned a str, not None")},
}
SPEC = BackupSpec(included_namespaces=["shop"])
SETTINGS = EngineSettings(action_timeout=timedelta(seconds=0.3))


def ways(family):
    """Give a test each way in which an action of a family can be wrong."""
    every = {**WAYS, **BESIDES[family]}
    return pytest.mark.parametrize(("act", "told"), every.values(), ids=list(every))


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
        text = textwrap.dedent(PLUGIN).format(
            act=act,
            family=family,
            method=METHODS[family],
            resource="pods" if family == "item_block" else "services",
        )
        (tmp_path / "kb_wrong.py").write_text(text)
        return PluginManager()

    yield make
    sys.modules.pop("kb_wrong", None)


@pytest.fixture(name="simulated")
def fixture_simulated():
    """A server with the sample shop in it."""
    with SimulatedCluster() as simulated:
        with simulated.connect() as cluster:
            load_sample_shop(cluster)
        yield simulated


@pytest.fixture(name="cluster")
def fixture_cluster(simulated):
    """A connection to it."""
    with simulated.connect() as cluster:
        yield cluster


def assert_named(result, told):
    """Every error names the plugin and its release, and the first says what it did."""
    errors = result.results.errors
    assert {(each.plugin, each.release) for each in errors} == {
        ("example.com/wrong", "kb-wrong 2.1")
    }
    assert told in str(errors[0])
    assert str(errors[0]).endswith("(plugin example.com/wrong of kb-wrong 2.1)")


def assert_counted(result):
    """The report has how often the plugin was called, and how long that took."""
    report = result.report.to_json()
    assert report["pluginCalls"]["example.com/wrong"] >= 1
    assert report["pluginSeconds"]["example.com/wrong"] >= 0


@ways("backup_item")
def test_a_backup_goes_on(act, told, install, cluster):
    """The item is an error that names the plugin's release; the others are stored."""
    plugins = install(act, "backup_item")

    with BackupStore(MemoryStore()) as store:
        engine = BackupEngine(cluster, store, plugins=plugins, settings=SETTINGS)
        result = engine.run("shop-1", SPEC)

        kinds = {item.content["kind"] for item in store.open_archive("shop-1")}
    assert {"Deployment", "Secret"} <= kinds
    assert "Service" not in kinds
    assert result.backup.status.phase == "PartiallyFailed"
    assert_named(result, told)
    assert_counted(result)


@ways("item_block")
def test_a_backup_by_blocks_goes_on(act, told, install, cluster):
    """What could not be told as related is an error; the item itself is stored."""
    plugins = install(act, "item_block")
    labelled = BackupSpec(
        included_namespaces=["shop"],
        label_selector=LabelSelector(match_labels={"app": "web"}),
    )

    with BackupStore(MemoryStore()) as store:
        engine = BackupEngine(cluster, store, plugins=plugins, settings=SETTINGS)
        result = engine.run("shop-1", labelled)

        kinds = {item.content["kind"] for item in store.open_archive("shop-1")}
    assert {"Deployment", "Pod"} <= kinds
    assert result.backup.status.phase == "PartiallyFailed"
    assert_named(result, told)
    assert_counted(result)


@ways("restore_item")
def test_a_restore_goes_on(act, told, install, simulated, cluster):
    """The item is an error that names the plugin's release; the others are restored."""
    with BackupStore(MemoryStore()) as store:
        BackupEngine(cluster, store).run("shop-1", SPEC)
        plugins = install(act, "restore_item")
        engine = RestoreEngine(cluster, store, plugins=plugins, settings=SETTINGS)
        copy = RestoreSpec(backup_name="shop-1", namespace_mapping={"shop": "copy"})

        saved = engine.plan("copy-1", copy).to_json()
        result = engine.apply(RestorePlan.from_json(saved))

    assert simulated.objects("deployments.apps", "copy")
    assert simulated.objects("services", "copy") == []
    assert result.restore.status.phase == "PartiallyFailed"
    assert_named(result, told)


@ways("delete_item")
def test_a_deletion_goes_on_and_keeps_the_backup(act, told, install, cluster):
    """Every item has its turn; what was not cleaned up is told with the release."""
    plugins = install(act, "delete_item")

    with BackupStore(MemoryStore(), plugins=plugins) as store:
        BackupEngine(cluster, store, plugins=plugins).run("shop-1", SPEC)

        with pytest.raises(BackupCleanupError) as caught:
            store.delete("shop-1", cluster=cluster, settings=SETTINGS)

        assert store.verify("shop-1").problems == ()
    assert told in str(caught.value)
    assert "example.com/wrong" in str(caught.value)
    assert "(kb-wrong 2.1)" in str(caught.value)


def test_what_is_ours_has_no_release(cluster):
    """What comes with kbackup is not named with a release."""
    assert "velero.io/pod" not in PluginManager().releases()
