"""A namespace with something of everything comes back as it was (safety 1, 2, 3, 9)."""

import pytest

from kbackup import RestoreOptions, RestoreSpec


@pytest.fixture(name="rich")
def fixture_rich(source, namespace, make_rich):
    """A rich namespace on the source cluster."""
    make_rich(source, namespace)
    return namespace


def test_rich_namespace_comes_back(source, rich, store, compared):
    """Backed up, deleted and restored: equal after normalisation."""
    before = source.objects(rich)
    result = source.backup(store, "rich", rich)
    assert result.exit_code == 0, result.results
    source.remove_namespace(rich)

    plan = source.restorer(store).plan("back", RestoreSpec(backup_name="rich"))
    print(plan)
    restored = source.restorer(store).apply(plan)
    print(restored.results)

    assert restored.results.errors == ()
    assert compared(before, source.objects(rich)) == []
