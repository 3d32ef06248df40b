"""Snapshots of volumes are left out, and the plan says so."""

import pytest

from definitions import definition
from kbackup.models import LabelSelector, RestoreOptions, RestoreSpec
from kbackup.restore import unserved_types

GROUP = "snapshot.storage.k8s.io"
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
TOLD = "snapshots of volumes, which this version does not restore"
REASON = (
    "snapshots are not restored by this version: a driver would take a new one, of the "
    "source's volume or of an empty one"
)


DEFINITIONS = [
    definition(GROUP, "volumesnapshots", "VolumeSnapshot"),
    definition(GROUP, "volumesnapshotclasses", "VolumeSnapshotClass", scope="Cluster"),
    definition(
        GROUP, "volumesnapshotcontents", "VolumeSnapshotContent", scope="Cluster"
    ),
    definition(f"group{GROUP}", "volumegroupsnapshots", "VolumeGroupSnapshot"),
    definition(
        f"group{GROUP}",
        "volumegroupsnapshotcontents",
        "VolumeGroupSnapshotContent",
        scope="Cluster",
    ),
]


def item(kind, name, namespace="", **body):
    """A snapshot, the content of one, or a class."""
    group = f"group{GROUP}" if "Group" in kind else GROUP
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    head = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata}
    return {**head, **body}


def content(name, **source):
    """The content of a snapshot."""
    reference = {"name": "nightly", "namespace": "shop", "uid": "of-the-source"}
    spec = {"deletionPolicy": "Delete", "driver": "ebs.csi.aws.com", "source": source}
    return item(
        "VolumeSnapshotContent", name, spec={**spec, "volumeSnapshotRef": reference}
    )


SNAPSHOTS = [
    item("VolumeSnapshot", "nightly", "shop", spec={"source": {}}),
    content("taken", volumeHandle="vol-of-the-source"),
    content("given", snapshotHandle="snap-1"),
    item("VolumeGroupSnapshot", "all", "shop", spec={"source": {}}),
    item("VolumeGroupSnapshotContent", "all", spec={"source": {}}),
]
CLASS = item("VolumeSnapshotClass", "csi", driver="d", deletionPolicy="Delete")


@pytest.fixture
def shop(make_shop):
    """A target that serves snapshots, and a backup that has some."""
    made = make_shop([NAMESPACE, CLASS, *SNAPSHOTS], as_is=True)
    made.simulated.load(DEFINITIONS)
    return made


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ({}, None),
        ({}, RestoreOptions(include_system=True)),
        (
            {
                "included_resources": (
                    "volumesnapshots",
                    "volumesnapshotcontents",
                    "volumegroupsnapshots",
                    "volumegroupsnapshotcontents",
                    "volumesnapshotclasses",
                )
            },
            None,
        ),
    ],
    ids=["whole", "with the system's", "by name"],
)
def test_snapshots_are_not_taken_again(shop, spec, options):
    """Restored, each would have a driver take a snapshot of the source's live volume."""
    plan = shop.engine.plan("try-1", RestoreSpec(backup_name="shop-1", **spec), options)
    result = shop.engine.apply(plan)

    found = {
        f"{x.kind}/{x.target.name}": (str(x.action), x.reason) for x in plan.entries
    }
    skipped = [f"{x['kind']}/{x['metadata']['name']}" for x in SNAPSHOTS]
    assert {name: found[name] for name in skipped} == dict.fromkeys(
        skipped, ("skip", REASON)
    )
    assert found["VolumeSnapshotClass/csi"][0] == "create"
    [told] = [notice.items for notice in plan.notices if notice.what == TOLD]
    assert len(told) == len(SNAPSHOTS)
    warned = [x.item.name for x in result.results.warnings if REASON in x.message]
    assert len(warned) == len(SNAPSHOTS)
    assert shop.simulated.objects(f"volumesnapshots.{GROUP}") == []
    assert shop.simulated.objects(f"volumesnapshotcontents.{GROUP}") == []


def test_a_selection_by_labels_names_only_its_own(shop):
    """A snapshot that nobody selected is not told as one that is left out."""
    spec = RestoreSpec(
        backup_name="shop-1", label_selector=LabelSelector.parse("app=web")
    )

    plan = shop.engine.plan("try-1", spec)

    assert all(notice.what != TOLD for notice in plan.notices)


def test_a_target_without_snapshots(make_shop):
    """What is left out in any case cannot be in conflict with what a target serves."""
    shop = make_shop([NAMESPACE, *SNAPSHOTS], as_is=True)

    plan = shop.engine.plan("try-1", RestoreSpec(backup_name="shop-1"))

    assert {str(x.action) for x in plan.entries if x.kind != "Namespace"} == {"skip"}
    with shop.store.open_contents("shop-1") as contents:
        assert unserved_types(contents, shop.cluster.discover()) == ()


def test_snapshots_that_are_gone_are_missed(shop):
    """A comparison writes nothing: it names a snapshot that only the backup has."""
    found = shop.engine.compare("shop-1")

    missing = [str(ref) for ref in found.removed]
    assert f"volumesnapshots.{GROUP}/shop/nightly" in missing
    assert f"volumesnapshotcontents.{GROUP}/given" in missing
