"""A draft is the same when another process reads it."""

import gzip
import json

import attrs
import pytest

from kbackup.backup._draft import Draft
from kbackup.backup._ledger import Ledger
from kbackup.backup._side_files import resource_list
from kbackup.backup._status import finished_record
from kbackup.catalog import Manifest, MissingReference, NotCovered, VolumeRecord
from kbackup.errors import KBackupError
from kbackup.models import (
    APIResource,
    Backup,
    BackupPhase,
    BackupSpec,
    BackupStatus,
    GroupResource,
    HookStatus,
    ListRecord,
    ObjectMeta,
    ResourceIdentifier,
    ResultEntry,
    Results,
)

SECRET = ResourceIdentifier(GroupResource("", "secrets"), "shop", "a")
NODE = ResourceIdentifier(GroupResource("", "nodes"), "", "n")
DEPLOYMENTS = APIResource(
    group="apps",
    version="v1",
    resource="deployments",
    kind="Deployment",
    namespaced=True,
)


@pytest.fixture
def draft(clock_start):
    """One with something in every part."""
    ledger = Ledger()
    page = ledger.of_type(DEPLOYMENTS)
    page.stored |= {"shop/web", "shop/old"}
    page.failed |= {"shop/lost"}
    page.note_version("shop/old", "apps/v1beta1")
    ledger.items = 2
    ledger.hook_status = HookStatus(hooks_attempted=3, hooks_failed=1)
    ledger.excluded_namespaces = frozenset({"secret-place"})
    ledger.idle_namespaces = ["idle"]
    ledger.not_covered = [NotCovered(resource="pods", namespace="shop", reason="no")]
    manifest = Manifest(
        backup_name="b",
        backup_uid="u-1",
        cluster_uid="c-1",
        cluster_version="v1.36.0",
        items=2,
        entries=5,
        lists=[ListRecord(resource=GroupResource("apps", "deployments"), listed=3)],
        volumes=[VolumeRecord(claim="shop/disk", volume="pv-1")],
        missing=[MissingReference(item=SECRET, refers_to=NODE, kind="nodes")],
        options={"where": {"function": "f", "leftOut": 2}},
    )
    record = Backup(
        metadata=ObjectMeta(name="b", uid="u-1", creation_timestamp=clock_start),
        spec=BackupSpec(included_namespaces=["shop"]),
        status=BackupStatus(phase=BackupPhase.IN_PROGRESS, start_timestamp=clock_start),
    )
    return Draft(record=record, manifest=manifest, ledger=ledger)


@pytest.fixture
def results():
    """Entries with and without an item."""
    return Results(
        warnings=[ResultEntry(message="hm")],
        errors=[
            ResultEntry(
                message="lost", namespace="shop", item=SECRET, plugin="p", cause="c"
            ),
            ResultEntry(message="bad node", item=NODE, area="cluster"),
        ],
    )


def read(draft, results):
    """Let another process read it."""
    return Draft.decode(json.loads(gzip.decompress(draft.encode(results))))


def test_everything_survives(draft, results, clock_start):
    """Record, manifest, results and everything that comes out of the books."""
    other, told = read(draft, results)

    assert told == results
    assert other.record == draft.record
    kept = attrs.evolve(draft.manifest, not_covered=draft.ledger.not_covered)
    assert other.manifest == kept
    assert other.ledger.not_covered == draft.ledger.not_covered
    assert resource_list(other.ledger) == resource_list(draft.ledger)
    assert other.ledger.holds_nothing == draft.ledger.holds_nothing
    assert finished_record(
        other.record, other.ledger, told, clock_start
    ) == finished_record(draft.record, draft.ledger, results, clock_start)


def test_what_a_newer_version_adds_is_ignored(draft, results):
    """Keys that are not known do no harm."""
    document = json.loads(gzip.decompress(draft.encode(results)))
    document["new"] = document["types"][0]["new"] = 1
    document["results"]["errors"][0]["new"] = "x"

    other, told = Draft.decode(document)

    assert told == results
    assert other.record == draft.record


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "Backup"},
        {"apiVersion": "kbackup.io/v9"},
        {"types": [{}]},
        {"results": None},
        {"manifest": {}},
        {"backup": []},
        {"items": "2"},
        {"results": {"warnings": [{"message": 1}], "errors": []}},
    ],
    ids=str,
)
def test_something_else_is_refused(draft, results, change):
    """Whatever is wrong with it is one error, which says that it cannot be read."""
    document = json.loads(gzip.decompress(draft.encode(results)))

    with pytest.raises(KBackupError, match="cannot be read"):
        Draft.decode({**document, **change})
