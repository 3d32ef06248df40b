"""What is printed in a shell or a notebook: a few lines, never pages, never a secret."""

import pytest

from kbackup import models
from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.models import (
    Backup,
    BackupOptions,
    BackupSpec,
    EngineSettings,
    ObjectMeta,
    Restore,
    RestoreOptions,
    RestoreResult,
    RestoreSpec,
    ResultEntry,
    Results,
)
from kbackup.plugins import BackupOutput, DeleteInput, RestoreOutput
from kbackup.restore import RestoreEngine
from kbackup.testing import (
    RecordingCluster,
    RecordingWriter,
    SimulatedCluster,
    backup_input,
    load_sample_shop,
    restore_input,
)

SPEC = BackupSpec(included_namespaces=("shop",))
COPY = RestoreSpec(backup_name="shop-1", namespace_mapping={"shop": "copy"})


@pytest.fixture(name="rooms")
def fixture_rooms(tmp_path):
    """Two engines, over one cluster with the sample shop and one store."""
    with SimulatedCluster() as simulated, simulated.connect() as cluster:
        load_sample_shop(cluster)
        with BackupStore.open(tmp_path / "store") as store:
            yield BackupEngine(cluster, store), RestoreEngine(cluster, store)


def test_results_are_a_few_lines(rooms):
    """A result is printed as its phase, its numbers and its first warnings by name."""
    back_up, restore = rooms

    backup = back_up.run("shop-1", SPEC)
    restored = restore.run("try-1", COPY)

    head, *more = str(backup).splitlines()
    assert head.startswith("shop-1: Completed, ")
    assert head.endswith(" items, 2 warnings, 0 errors")
    assert more[0] == "warning: 1 volume has no data in this backup: shop/orders"
    assert repr(backup) == f"BackupResult({head})"
    head, *more = str(restored).splitlines()
    assert head.startswith("try-1: Completed, 11 created, ")
    assert more[0].startswith("warning: persistentvolumeclaims/copy/orders: ")
    assert repr(restored) == f"RestoreResult({head})"


def test_many_warnings_are_counted():
    """Of a hundred warnings the first are printed, and how many more there are."""
    warnings = [ResultEntry(message=f"w{number}") for number in range(100)]
    results = Results(warnings=warnings, errors=[ResultEntry(message="broken")])
    record = Restore(metadata=ObjectMeta(name="try-1"))

    lines = str(RestoreResult(restore=record, results=results)).splitlines()

    assert lines[1:3] == ["error: broken", "warning: w0"]
    assert lines[-1] == "and 95 more warnings"
    assert len(lines) == 8


def test_plans_and_entries_are_one_line(rooms):
    """In a list of backups each is one line, and a plan names its numbers."""
    back_up, restore = rooms
    back_up.run("shop-1", SPEC)
    [entry] = restore._given.store.list()

    assert repr(entry) == "BackupEntry(shop-1: complete, Completed)"
    assert str(entry) == "shop-1: complete, Completed"
    planned = back_up.plan(SPEC)
    assert repr(planned) == f"BackupPlan({planned.total} objects, 2 warnings, 0 errors)"


def test_in_a_notebook_each_is_a_table(rooms):
    """What a cell ends with is shown with its numbers first, and with what is where."""
    back_up, restore = rooms
    planned, backup = back_up.plan(SPEC), back_up.run("shop-1", SPEC)
    plan = restore.plan("try-1", COPY)
    restored, found = restore.apply(plan), restore.compare("shop-1")

    for value, title, *cells in (
        (planned, f"{planned.total} objects would be stored", "configmaps", "shop"),
        (backup, str(backup).splitlines()[0], "warning"),
        (plan, f"try-1: {plan.numbers()}", "create", "configmaps/shop/settings"),
        (
            restored,
            str(restored).splitlines()[0],
            "created",
            "configmaps/copy/settings",
        ),
        (found, repr(found).removeprefix("Difference(").removesuffix(")")),
    ):
        html = value._repr_html_()
        assert html.splitlines()[1] == f"<p><strong>{title}</strong></p>"
        for cell in cells:
            assert f">{cell}" in html
    assert "made by ReplicaSet/web" in restored._repr_html_()
    assert "shop -&gt; copy" in plan._repr_html_()


@pytest.mark.parametrize(
    "cls", [models.BackupSpec, *models.Document.__subclasses__(), BackupOptions]
)
def test_models_name_what_is_not_as_by_default(cls):
    """Of the dozens of fields of a model its repr has those that somebody has set."""
    assert repr(cls()) == f"{cls.__name__}()"


def test_reprs_of_filled_models():
    """What is set is named, below as well, and required fields always are."""
    metadata = ObjectMeta(name="shop-1")

    assert repr(Backup(metadata=metadata, spec=SPEC)) == (
        "Backup(metadata=ObjectMeta(name='shop-1'), "
        "spec=BackupSpec(included_namespaces=('shop',)))"
    )
    assert repr(RestoreOptions(redact=["a"])) == "RestoreOptions(redact=('a',))"
    assert repr(EngineSettings(workers=4)) == "EngineSettings(workers=4)"
    requirement = models.LabelRequirement(key="a", operator="Exists")
    assert repr(requirement) == "LabelRequirement(key='a', operator='Exists')"


def test_reprs_of_results_are_numbers(rooms):
    """A thousand warnings, or lists that were read, are a number in a repr."""
    result = rooms[0].run("shop-1", SPEC)

    assert repr(result.results) == "Results(2 warnings, 0 errors)"
    assert repr(result.report).startswith("RunReport(")
    assert repr(result.report).endswith(f" {len(result.report.lists)} lists)")


def test_engines_and_readers_say_what_they_are_connected_to(rooms, tmp_path):
    """Which cluster and which store is meant can be seen before anything is run."""
    back_up, restore = rooms
    back_up.run("shop-1", SPEC)
    store, cluster = restore._given.store, restore._given.cluster

    for engine in rooms:
        assert cluster.server in repr(engine)
        assert str(tmp_path / "store") in repr(engine)
    with store.open_archive("shop-1") as reader, reader.index() as contents:
        assert repr(reader).startswith("ArchiveReader(")
        assert " items of " in repr(contents)


def test_what_actions_are_given_and_answer_shows_no_item():
    """A plugin that logs what it was given, or answers, writes no Secret into a log."""
    metadata = {"name": "db", "namespace": "shop"}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "data": {"key": "c2VzYW1l"},
    }
    backup = backup_input("secrets", secret)
    restore = restore_input("secrets", secret)
    delete = DeleteInput(
        item=secret,
        identifier=backup.identifier,
        backup=backup.backup,
        cluster=RecordingWriter(RecordingCluster()),
        logger=backup.logger,
    )

    for each in (
        backup,
        restore,
        delete,
        BackupOutput(item=secret),
        RestoreOutput(item=secret),
    ):
        assert "c2VzYW1l" not in repr(each)
    assert "secrets/shop/db" in str(backup.identifier)
