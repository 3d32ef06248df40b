"""Plugins that are installed: entry points of real distributions on a real path."""

import importlib.metadata
import shutil
import subprocess
import sys
import textwrap

import pytest

from kbackup.errors import PluginLoadError
from kbackup.plugins import PluginManager

GOOD = """
    from kbackup.models import ResourceSelector
    from kbackup.plugins import RestoreOutput, hookimpl

    class Action:
        name = "example.com/{name}"
        applies_to = ResourceSelector()

        def execute(self, given):
            return RestoreOutput(item=given.item)

    @hookimpl
    def kbackup_register_restore_item_actions():
        return {{Action.name: Action()}}
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution with one module and one entry point."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    installed = []

    def make(distribution, source, *, entry_point=None, version="1.2"):
        module = distribution.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(source))
        info = tmp_path / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        (info / "entry_points.txt").write_text(
            f"[kbackup]\n{entry_point or module} = {module}\n"
        )
        installed.append(module)
        return module

    yield make
    for module in installed:
        sys.modules.pop(module, None)


def only(manager, distribution):
    """The lines about one distribution."""
    return [i for i in manager.list_plugins() if i.distribution == distribution]


def test_installed_plugin_is_found(install):
    """A module named by an entry point is loaded, and listed with where it is from."""
    install("kb-good", GOOD.format(name="good"), entry_point="good")

    manager = PluginManager()

    (info,) = only(manager, "kb-good")
    assert info.available
    assert (info.name, info.kind, info.version, info.entry_point) == (
        "example.com/good",
        "RestoreItemAction",
        "1.2",
        "good",
    )
    assert "example.com/good" in {a.name for a in manager.restore_item_actions()}


def test_what_is_installed_meanwhile_is_found(install, tmp_path):
    """A notebook installs a plugin, or removes one, and goes on in the same process."""
    assert not only(PluginManager(), "kb-good")
    install("kb-good", GOOD.format(name="good"))
    assert only(PluginManager(), "kb-good")
    install("kb-other", GOOD.format(name="other"))
    assert only(PluginManager(), "kb-other")

    shutil.rmtree(tmp_path / "kb_good-1.2.dist-info")

    assert not only(PluginManager(), "kb-good")
    assert only(PluginManager(), "kb-other")


def test_what_is_installed_is_looked_for_once(monkeypatch):
    """An application opens many stores; nothing was installed in between."""
    looked = []
    real = importlib.metadata.entry_points

    def entry_points(**options):
        looked.append(options)
        return real(**options)

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    monkeypatch.syspath_prepend("/somewhere/else")

    found = [PluginManager().list_plugins() for _ in range(3)]

    assert found[0] == found[1] == found[2]
    assert looked == [{"group": "kbackup"}]


def test_builtin_actions_are_installed():
    """The distribution's own entry points offer the built-in actions."""
    names = {info.name for info in only(PluginManager(), "kbackup")}

    assert {"velero.io/service", "velero.io/pv"} <= names


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import no_such_package_here", "ModuleNotFoundError: No module named"),
        ("raise SystemExit('needs a licence')", "SystemExit: needs a licence"),
        ("raise SystemExit", "SystemExit"),
        ("def broken(:", "SyntaxError: "),
        ("raise RuntimeError('first\\nsecond')", "RuntimeError: first"),
        (
            "def kbackup_register_object_stores(): return {}",
            "it implements no hook: nothing in it is marked with hookimpl",
        ),
    ],
)
def test_broken_plugin_harms_nobody(install, caplog, source, cause):
    """A plugin that fails at import is listed with its cause; the others work."""
    install("kb-aaa-broken", source, entry_point="aaa")
    install("kb-good", GOOD.format(name="good"))

    manager = PluginManager()

    (info,) = only(manager, "kb-aaa-broken")
    assert not info.available
    assert (info.name, info.version, info.entry_point) == ("aaa", "1.2", "aaa")
    assert info.cause.startswith(cause)
    assert "\n" not in info.cause
    assert only(manager, "kb-good")[0].available
    assert "entry point 'aaa' of kb-aaa-broken 1.2" in caplog.text


def test_interrupt_at_import(install):
    """Ctrl-C while a plugin is imported reaches the host."""
    install("kb-slow", "raise KeyboardInterrupt")

    with pytest.raises(KeyboardInterrupt):
        PluginManager().list_plugins()


def test_strict_names_the_plugin(install):
    """With strict the first broken plugin is an error that says whose it is."""
    install("kb-broken", "raise RuntimeError('boom')", entry_point="b")

    with pytest.raises(PluginLoadError, match=r"'b' of kb-broken 1\.2 .* boom"):
        PluginManager(strict=True).list_plugins()


@pytest.mark.parametrize("switch", ["b", "kb-broken", "kb_broken"])
def test_disabled_plugin_is_not_imported(install, switch):
    """A plugin left out by entry point, distribution or module is never imported."""
    module = install("kb-broken", "raise KeyboardInterrupt", entry_point="b")

    manager = PluginManager(disable=[switch])

    (info,) = only(manager, "kb-broken")
    assert info.cause == "disabled"
    assert module not in sys.modules


def test_nothing_is_imported_before_the_first_question(install):
    """Making a manager imports no plugin; asking it does."""
    module = install("kb-good", GOOD.format(name="good"))

    manager = PluginManager()

    assert module not in sys.modules
    manager.list_plugins()
    assert module in sys.modules


def test_given_modules_replace_what_is_installed(install):
    """A host that passes modules gets these and nothing that is installed."""
    install("kb-good", GOOD.format(name="good"))

    assert PluginManager([]).list_plugins() == ()


def test_importing_the_room_is_light():
    """The room pulls in no SDK, no cluster client and no fsspec."""
    code = "import sys, kbackup.plugins; print(*sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    heavy = {
        "kubernetes",
        "fsspec",
        "s3fs",
        "boto3",
        "cattrs",
        "yaml",
        "kbackup.stores",
    }
    assert heavy.isdisjoint(done.stdout.split())


SDKS = ("s3fs", "boto3", "botocore", "aiobotocore", "google", "azure", "kubernetes")
LIST_WITHOUT_SDKS = f"""
import sys
sys.modules.update(dict.fromkeys({SDKS!r}))
from kbackup.plugins import PluginManager
manager = PluginManager(strict=True)
for info in manager.list_plugins():
    if info.distribution == "kbackup" and not info.available:
        print(info.name, info.cause, sep="|")
print(*manager.object_store_factories)
print("fsspec" in sys.modules)
"""


def test_providers_load_without_their_sdks():
    """Our providers load where no SDK is installed; those that need one say which."""
    done = subprocess.run(
        [sys.executable, "-c", LIST_WITHOUT_SDKS],
        capture_output=True,
        text=True,
        check=True,
    )

    *unavailable, stores, loads_fsspec = done.stdout.splitlines()
    assert unavailable == [
        "velero.io/aws|needs s3fs: pip install 'kbackup[aws]'",
        "velero.io/azure|needs azure.storage.blob and azure.identity: pip install 'kbackup[azure]'",
        "velero.io/gcp|needs google.auth and google.cloud.storage: pip install 'kbackup[gcp]'",
        "velero.io/aws|needs botocore: pip install 'kbackup[aws]'",
        "velero.io/azure|needs azure.mgmt.compute and azure.identity: pip install 'kbackup[azure]'",
        "velero.io/gcp|needs google.cloud.compute_v1: pip install 'kbackup[gcp]'",
    ]
    assert {"kbackup.io/local", "kbackup.io/memory"} <= set(stores.split())
    assert loads_fsspec == "False"
