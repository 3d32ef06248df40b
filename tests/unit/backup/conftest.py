"""What the tests of the backup engine share: a cluster, a store, an engine, objects."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from definitions import definition
from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.models import BackupSpec
from kbackup.plugins import PluginManager
from kbackup.testing import MemoryStore, SimulatedCluster, load_sample_shop

sys.path.insert(0, str(Path(__file__).parent))  # for `pod_samples`

from pod_samples import Spy


@pytest.fixture
def clock_start():
    """An instant for frozen clocks."""
    return datetime(2024, 5, 1, 2, 0, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def plugins():
    """What is installed."""
    return PluginManager()


@pytest.fixture
def impatient(monkeypatch):
    """Ask operations for their progress without pauses."""
    monkeypatch.setattr("kbackup.plugins._operations._FIRST_PAUSE", 0.001)


@pytest.fixture
def scene(plugins):
    """A simulated cluster, a store in memory and an engine between them."""
    with SimulatedCluster() as server, server.connect() as cluster:
        yield Scene(server, cluster, plugins)


@pytest.fixture
def spied(scene, impatient):
    """A scene with a `Spy`, whose commands are noted and answered by the test's functions.

    The spy is not among the plugins yet.
    """
    scene.seen, scene.answers = [], {}
    scene.spy = Spy(scene.seen)

    def answer(call):
        scene.seen.append(f"{call.command[0]} {call.pod}")
        return scene.answers.get(call.command[0], lambda _: 0)(call)

    scene.server.on_exec(answer)
    return scene


class Scene:
    """Everything that a test of the engine works with.

    Attributes:
        server: The simulated cluster.
        cluster: A connection to it.
        objects: The object store below the backups.
        store: The backups in it.
    """

    def __init__(self, server, cluster, plugins):
        self.server = server
        self.cluster = cluster
        self.plugins = plugins
        self.objects = MemoryStore()
        self.store = BackupStore(self.objects)

    def engine(self, **more):
        """Return an engine; *more* are its further arguments."""
        arguments = {"plugins": self.plugins, **more}
        return BackupEngine(self.cluster, self.store, **arguments)

    def back_up(self, *, name="b", options=None, **spec):
        """Make a backup of a spec given as keywords."""
        return self.engine().run(name, BackupSpec(**spec), options)

    def load(self, *objects):
        """Put objects into the cluster, and before them their namespaces."""
        given = [each for each in objects if each["kind"] == "Namespace"]
        found = [*self.server.objects("namespaces"), *given]
        present = {each["metadata"]["name"] for each in found}
        needed = {each["metadata"].get("namespace") for each in objects} - {None}
        self.server.load(self.made("Namespace", n) for n in sorted(needed - present))
        self.server.load(objects)

    def load_shop(self):
        """Put the sample shop into the cluster, owners linked."""
        load_sample_shop(self.cluster)

    def set_phase(self, resource, name, phase):
        """Say in which phase an object of the shop is, as its controller would."""
        type_ = self.cluster.discover().resolve(resource)
        patch = {"status": {"phase": phase}}
        self.cluster.patch(type_, name, patch, namespace="shop", subresource="status")

    def stored(self, name="b"):
        """Return what a backup holds, as text such as ``pods/shop/web``."""
        with self.store.open_archive(name) as archive:
            return sorted({str(item.identifier) for item in archive})

    def item(self, text, name="b"):
        """Return one stored object."""
        with self.store.open_archive(name) as archive:
            return next(i.content for i in archive if str(i.identifier) == text)

    @staticmethod
    def sums_hold(result):
        """Tell whether everything that was listed is accounted for."""
        return all(
            each.listed == each.stored + each.failed + sum(each.skipped.values())
            for each in result.report.lists
        )

    @staticmethod
    def spec(**fields):
        """Return a specification."""
        return BackupSpec(**fields)

    @staticmethod
    def made(kind, name, namespace="", *, api_version="v1", **more):
        """Return an object; *more* are its parts, of which metadata is merged."""
        metadata = {"name": name, **more.pop("metadata", {})}
        if namespace:
            metadata["namespace"] = namespace
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}

    def secret(self, name, namespace="shop", **metadata):
        """Return a Secret."""
        return self.made("Secret", name, namespace, metadata=metadata, type="Opaque")

    @staticmethod
    def definition(plural, kind, *, scope="Namespaced"):
        """Return a CustomResourceDefinition of the group example.com."""
        return definition("example.com", plural, kind, scope=scope)
