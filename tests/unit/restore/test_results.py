"""Where the results of a restore say what happened."""

from plan_samples import config_map, namespace

from kbackup.catalog import RestoreFile
from kbackup.models import RestorePhase, RestoreSpec


def test_what_is_said_of_a_mapped_namespace_stands_under_its_new_name(make_shop):
    """Warnings and errors are kept by the namespace that is written to, as by Velero."""
    shop = make_shop([namespace(), config_map(a="1"), config_map("other", b="1")])
    shop.simulated.load([namespace("copy"), config_map(namespace="copy", a="2")])
    shop.simulated.faults.fail(verb="create", resource="configmaps", status=422)

    result = shop.engine.run(
        "try-1", RestoreSpec(backup_name="shop-1", namespace_mapping={"shop": "copy"})
    )

    told = shop.store.restore_file("try-1", RestoreFile.RESULTS)
    for kind, name in (("warnings", "settings"), ("errors", "other")):
        assert set(told[kind]) == {"namespaces"}
        assert set(told[kind]["namespaces"]) == {"copy"}
        (sentence,) = told[kind]["namespaces"]["copy"]
        assert name in sentence
    assert result.restore.status.phase is RestorePhase.PARTIALLY_FAILED


def test_warnings_alone_leave_a_restore_completed(make_shop):
    """An object that exists and differs is a warning, and changes no phase."""
    shop = make_shop([namespace(), config_map(a="1")])
    shop.simulated.load([namespace(), config_map(a="2")])

    result = shop.engine.run("try-1", RestoreSpec(backup_name="shop-1"))

    status = shop.store.get_restore("try-1").status
    assert (status.phase, status.warnings, status.errors) == (
        RestorePhase.COMPLETED,
        1,
        0,
    )
    assert result.exit_code == 0
