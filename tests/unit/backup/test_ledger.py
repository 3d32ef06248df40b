"""The books of a run."""

from kbackup.backup._ledger import Ledger, Tally
from kbackup.backup._side_files import resource_list
from kbackup.backup._status import finished_record
from kbackup.models import (
    APIResource,
    Backup,
    BackupPhase,
    GroupResource,
    ResourceIdentifier,
    ResultEntry,
    Results,
)

WEB = APIResource(
    group="apps",
    version="v1",
    resource="deployments",
    kind="Deployment",
    namespaced=True,
)
NODES = APIResource(
    group="", version="v1", resource="nodes", kind="Node", namespaced=False
)


def _ledger():
    """Return books with two stored objects and a failed one."""
    ledger = Ledger()
    ledger.of_type(WEB).stored.add("shop/web")
    ledger.of_type(WEB).failed.add("shop/broken")
    ledger.of_type(NODES).stored.add("n1")
    ledger.items = 2
    return ledger


def test_what_was_stored_is_known():
    """Stored and failed objects are told apart, and both were tried."""
    ledger = _ledger()
    broken = ResourceIdentifier(GroupResource("apps", "deployments"), "shop", "broken")

    assert ledger.has(GroupResource("", "nodes"), "", "n1")
    assert not ledger.has(broken.group_resource, "shop", "broken")
    assert ledger.was_tried(broken)
    assert not ledger.was_tried(ResourceIdentifier(GroupResource("", "pods"), "a", "b"))
    assert ledger.namespaces_in_use() == {"shop"}


def test_the_resource_list_has_what_was_tried():
    """As in Velero it is by version and kind, sorted, failed items included."""
    assert resource_list(_ledger()) == {
        "apps/v1/Deployment": ["shop/broken", "shop/web"],
        "v1/Node": ["n1"],
    }


def test_a_request_without_filters_is_not_weakened():
    """Asked for with and without the filters, an item is wanted without."""
    ledger, item = Ledger(), ResourceIdentifier(GroupResource("", "pods"), "a", "b")

    ledger.want(item, unfiltered=True)
    ledger.want(item, unfiltered=False)

    assert ledger.wanted == {item: True}


def test_sums_that_hold():
    """Listed is stored plus skipped plus failed, or something was lost unnoticed."""
    tally = Tally(listed=4, stored=2, failed=1)
    assert not tally.is_whole

    tally.skipped["being deleted"] += 1

    assert tally.is_whole


def test_the_final_record_counts(clock_start):
    """Errors make the phase; progress counts what was stored and what failed."""
    errors = Results(errors=[ResultEntry(message="x")], warnings=[])

    bad = finished_record(Backup(), _ledger(), errors, clock_start)
    good = finished_record(Backup(), _ledger(), Results(), clock_start)

    assert bad.status.phase is BackupPhase.PARTIALLY_FAILED
    assert bad.status.errors == 1
    assert good.status.phase is BackupPhase.COMPLETED
    assert good.status.progress.items_backed_up == 2
    assert good.status.progress.total_items == 3
    assert good.status.completion_timestamp == clock_start
