"""Every claim has a line that says what becomes of its data."""

import attrs
import pytest

from kbackup.models import GroupResource, ResourceIdentifier
from kbackup.restore._making.untying import reset_claim, reset_volume
from kbackup.restore._plan.claims import (
    ClaimVerdict,
    VolumeFacts,
    VolumeRefusal,
    plan_claim,
    plan_own_claim,
    plan_volume,
    with_volume_of_class,
)

CLAIMS = GroupResource.parse("persistentvolumeclaims")
SOURCE = ResourceIdentifier(CLAIMS, "shop", "data")
TARGET = ResourceIdentifier(CLAIMS, "copy", "data")


def _claim(volume="pv-1", storage_class="standard"):
    """A bound claim of the backup."""
    return {
        "metadata": {
            "name": "data",
            "annotations": {
                "pv.kubernetes.io/bind-completed": "yes",
                "note": "keep",
            },
        },
        "spec": {"volumeName": volume, "storageClassName": storage_class},
    }


def _volume(name="pv-1", policy="Retain", claim="shop/data", phase=None, **source):
    """A PersistentVolume."""
    source = source or {"csi": {"driver": "ebs", "volumeHandle": "vol-1"}}
    spec = {"persistentVolumeReclaimPolicy": policy, **source}
    if claim:
        namespace, _, of = claim.partition("/")
        spec["claimRef"] = {
            "namespace": namespace,
            "name": of,
            "uid": "8d",
            "resourceVersion": "4",
        }
    return {
        "metadata": {
            "name": name,
            "annotations": {"pv.kubernetes.io/bound-by-controller": "yes"},
        },
        "spec": spec,
        "status": {"phase": phase},
    }


def _line(archived, claim=None, **facts):
    """The line of the claim."""
    return plan_claim(claim or _claim(), SOURCE, TARGET, archived, VolumeFacts(**facts))


def test_without_data_the_claim_comes_back_empty():
    """The line says that there is no data and that the volume is new and empty."""
    line = _line(_volume(policy="Delete"))

    assert line.verdict is ClaimVerdict.NONE
    assert line.text == "data: none in this backup, a new empty volume"
    assert line.loses_data
    assert not line.keeps_volume


def test_a_claim_that_never_had_a_volume_loses_nothing():
    """A claim that was pending when it was backed up comes back as it was."""
    line = _line(None, claim=_claim(volume=""))

    assert line.verdict is ClaimVerdict.NEVER_BOUND
    assert not line.loses_data


def test_data_that_is_not_restored_is_named():
    """A backup with data that this restore does not bring back says so."""
    line = _line(None, data={"shop/data": "fs"})
    snapshot = _line(None, volume_data={"pv-1": "native"})
    unknown = _line(None, data_unknown=True)

    words = "data: {} in this backup, not restored by this version, a new empty volume"
    assert line.text == words.format("fs")
    assert snapshot.text == words.format("native")
    assert "cannot be read" in unknown.text
    assert line.loses_data
    assert snapshot.loses_data
    assert unknown.loses_data


@pytest.mark.parametrize("bound", ["", "pvc-new"])
def test_a_claim_that_this_restore_made_before(bound):
    """Its volume is new and empty, be it bound by now; while it is not, it may wait."""
    live = _claim(volume=bound)
    facts = VolumeFacts(storage_classes=frozenset())

    line = plan_own_claim(_claim(), live, SOURCE, TARGET, facts)

    assert line.verdict is ClaimVerdict.MADE_BEFORE
    assert line.loses_data
    assert line.text.endswith("a new empty volume, made by this restore before")
    assert bool(line.problems) is not bool(bound)


@pytest.mark.parametrize(("archived", "bound"), [("", "pvc-new"), ("pv-1", "pv-1")])
def test_a_claim_that_this_restore_made_and_that_lost_nothing(archived, bound):
    """It had no volume when it was backed up, or has that very volume again."""
    live = _claim(volume=bound)

    line = plan_own_claim(_claim(volume=archived), live, SOURCE, TARGET, VolumeFacts())

    assert line is None


def test_a_released_volume_is_left_unless_asked_for():
    """By default the Released volume stays, and the line names the way to take it."""
    live = {"pv-1": _volume(phase="Released")}

    line = _line(_volume(), volumes=live)

    assert line.verdict is ClaimVerdict.NONE
    assert "--released-volumes reattach" in line.text


def test_a_released_volume_is_reattached_when_asked_for():
    """With reattach the claim keeps the name of its Released volume."""
    live = {"pv-1": _volume(phase="Released")}

    line = _line(_volume(), volumes=live, reattach=True)

    assert line.verdict is ClaimVerdict.REATTACH
    assert line.keeps_volume
    assert not line.loses_data


@pytest.mark.parametrize(
    ("owner", "found", "wanted", "problems"),
    [
        ("", "old", "new", ("waits: PV pv-1 has storage class old, not new",)),
        ("", None, "new", ("waits: PV pv-1 has storage class none, not new",)),
        ("", "old", "old", ()),
        ("", "old", None, ()),  # the target's default class is not known
        ("shop/data", "old", "new", ()),  # which names the claim, whatever its class
    ],
)
def test_a_live_volume_of_another_class(owner, found, wanted, problems):
    """A claim whose class was changed waits in vain for a volume that is nobody's."""
    live = _volume(phase="Available", claim=owner)
    live["spec"]["storageClassName"] = found
    facts = VolumeFacts(volumes={"pv-1": live}, reattach=True)
    line = plan_claim(_claim(), SOURCE, TARGET, _volume(), facts)
    assert line.verdict is ClaimVerdict.REATTACH

    changed = with_volume_of_class(line, _claim(storage_class=wanted), facts)

    assert changed.problems == problems


@pytest.mark.parametrize(
    ("live", "words"),
    [
        (_volume(phase="Released", claim="other/data"), "bound to another claim"),
        (_volume(phase="Released", policy="Delete"), "being deleted"),
    ],
    ids=["of another claim", "about to go"],
)
def test_a_released_volume_that_cannot_be_reattached(live, words):
    """Another claim's volume, or one that goes, is a conflict with its reason."""
    line = _line(_volume(), volumes={"pv-1": live}, reattach=True)

    assert line.verdict is ClaimVerdict.CONFLICT
    assert words in line.text


def test_a_released_volume_whose_disk_another_volume_has_is_a_conflict():
    """Two volumes over one disk are two writers: the Released one is not bound again."""
    live = {
        "pv-1": _volume(phase="Released"),
        "pv-2": _volume(name="pv-2", phase="Bound", claim="other/data"),
    }

    line = _line(_volume(), volumes=live, reattach=True)

    assert line.verdict is ClaimVerdict.CONFLICT
    assert "pv-2" in line.text
    assert "other/data" in line.text


@pytest.mark.parametrize(
    "disk",
    [
        {"nfs": {"server": "filer-b", "path": "/x"}},
        {"csi": {"driver": "ebs", "volumeHandle": "vol-2"}},
        {"unheardOf": {"id": "vol-1"}},
    ],
    ids=["another kind", "another disk", "of unknown kind"],
)
def test_a_volume_of_the_same_name_is_another_disk(disk):
    """Bound by its name alone, the claim had another application's files."""
    live = {"pv-1": _volume(phase="Released", **disk)}

    line = _line(_volume(), volumes=live, reattach=True)

    assert line.verdict is ClaimVerdict.CONFLICT
    assert "is another disk" in line.text
    assert "csi ebs vol-1" in line.text


@pytest.mark.parametrize("same_cluster", [False, None])
def test_reattach_of_another_clusters_backup_warns_of_the_source(same_cluster):
    """Reattached without a word, one disk had the source for a second writer."""
    live = {"pv-1": _volume(phase="Released")}

    line = _line(_volume(), volumes=live, reattach=True, same_cluster=same_cluster)
    own = _line(_volume(), volumes=live, reattach=True, same_cluster=True)

    assert line.verdict is ClaimVerdict.REATTACH
    assert "may still be writing" in line.text
    assert "may still be writing" not in own.text


def test_a_volume_that_a_killed_restore_offered_is_reattached():
    """Under another name: offered to the target's claim, which does not exist yet."""
    live = _volume(phase="Available", claim=TARGET.qualified_name)
    del live["spec"]["claimRef"]["uid"]

    line = _line(_volume(), volumes={"pv-1": live}, reattach=True)

    assert line.verdict is ClaimVerdict.REATTACH


def test_a_volume_in_use_is_not_reattached():
    """A volume that is bound stays where it is."""
    line = _line(_volume(), volumes={"pv-1": _volume(phase="Bound")}, reattach=True)

    assert line.verdict is ClaimVerdict.NONE


def test_the_original_disk_is_used_only_when_asked_for():
    """By default a Retain volume is skipped; with reuse it is restored."""
    left = _line(_volume())
    used = _line(_volume(), reuse=True, same_cluster=True)

    assert left.verdict is ClaimVerdict.NONE
    assert "--retained-volumes reuse" in left.text
    assert used.verdict is ClaimVerdict.REUSE
    assert used.text == ("reuse: PV pv-1 points at the original disk (csi ebs vol-1)")
    assert plan_volume(_volume(), "pv-1", VolumeFacts(reuse=True), [used]) is None


@pytest.mark.parametrize("same_cluster", [False, None])
def test_reuse_from_elsewhere_warns_of_the_source(same_cluster):
    """Of another cluster's backup the line says that the source may still write."""
    line = _line(_volume(), reuse=True, same_cluster=same_cluster)

    assert "may still be writing" in line.text


@pytest.mark.parametrize(
    "other",
    [
        _volume("pv-9", claim="live/db", phase="Bound"),
        _volume("pv-1", claim="live/db", phase="Bound"),
    ],
    ids=["another name", "the same name"],
)
def test_a_disk_that_is_in_use_is_a_conflict(other):
    """A disk of a live volume is never given to a second one."""
    name = other["metadata"]["name"]

    line = _line(_volume(), volumes={name: other}, reuse=True)

    assert line.verdict is ClaimVerdict.CONFLICT
    assert line.text == (
        f"conflict: that disk belongs to PV {name}, bound to claim live/db"
    )
    facts = VolumeFacts(volumes={name: other}, reuse=True)
    refusal = plan_volume(_volume(), "pv-1", facts, [line])
    assert refusal == VolumeRefusal(line.text, conflicts=True)


def _offered(**more):
    """The volume of the backup as a reuse has made it: offered to the target's claim."""
    volume = _volume(phase="Available", claim=TARGET.qualified_name, **more)
    del volume["spec"]["claimRef"]["uid"]
    return volume


def test_a_volume_that_a_killed_reuse_made_is_no_conflict():
    """A restore killed between a volume and its claim gives the claim that volume."""
    line = _line(_volume(), volumes={"pv-1": _offered()}, reuse=True)

    assert line.verdict is ClaimVerdict.REUSE
    assert line.keeps_volume


@pytest.mark.parametrize(
    "live",
    [
        _offered(csi={"driver": "ebs", "volumeHandle": "vol-2"}),
        _volume(phase="Released", claim=TARGET.qualified_name),
        {**_offered(), "metadata": {"name": "pv-1", "deletionTimestamp": "now"}},
    ],
    ids=["another disk", "bound before", "going"],
)
def test_a_volume_that_no_reuse_can_have_made_stays_a_conflict(live):
    """Offered, and over that disk, and there to stay: nothing less is taken for ours."""
    line = _line(_volume(), volumes={"pv-1": live}, reuse=True)

    assert line.verdict is ClaimVerdict.CONFLICT


def test_a_volume_made_by_a_killed_reuse_whose_disk_got_another():
    """Its disk has another volume by now: the claim is not given a second writer."""
    live = {"pv-1": _offered(), "pv-2": _volume("pv-2", claim="live/db")}

    line = _line(_volume(), volumes=live, reuse=True)

    assert line.verdict is ClaimVerdict.CONFLICT
    assert "PV pv-2" in line.text


@pytest.mark.parametrize(
    ("bound", "reuse", "why"),
    [
        (True, False, "the original disk; --retained-volumes reuse takes it"),
        (False, False, "an existing disk; --retained-volumes reuse takes it"),
        (True, True, "the original disk, and the claim that had it is not created"),
        (False, True, ""),
    ],
)
def test_a_volume_whose_claim_does_not_come(bound, reuse, why):
    """Whoever asked for the original disks already is told why one is left all the same."""
    volume = _volume()
    if not bound:
        del volume["spec"]["claimRef"]

    refusal = plan_volume(volume, "pv-1", VolumeFacts(reuse=reuse), [])

    assert refusal == (VolumeRefusal(f"it points at {why}") if why else None)


def test_a_volume_without_claim_whose_disk_is_in_use():
    """Nobody waits for it, and still it is a conflict: its disk has another volume."""
    volume = _volume()
    del volume["spec"]["claimRef"]
    live = {"pv-9": _volume("pv-9", claim="live/db", phase="Bound")}

    refusal = plan_volume(volume, "pv-1", VolumeFacts(reuse=True, volumes=live), [])

    assert refusal.conflicts
    assert "PV pv-9" in refusal.reason


def test_a_delete_volume_is_never_reused():
    """The disk of a Delete volume is gone or goes: the claim gets a new one."""
    line = _line(_volume(policy="Delete"), reuse=True)

    assert line.verdict is ClaimVerdict.NONE
    refusal = plan_volume(_volume(policy="Delete"), "pv-1", VolumeFacts(), [line])
    assert "Delete" in refusal.reason
    assert not refusal.conflicts


def test_storage_class_not_in_target():
    """A class that the target lacks is named; an unreadable list says nothing."""
    missing = _line(None, storage_classes=frozenset({"fast"}))
    there = _line(None, storage_classes=frozenset({"standard"}))
    unknown = _line(None)

    assert missing.problems == ("storage class standard not in target",)
    assert there.problems == ()
    assert unknown.problems == ()


def test_no_storage_class_at_all():
    """A claim with an empty class waits for a volume made by hand."""
    line = _line(None, claim=_claim(storage_class=""))

    assert line.problems == ("no storage class: it waits for a volume made by hand",)


def test_node_of_a_local_volume_not_in_target():
    """A local volume whose node the target lacks is named with the node."""
    term = {
        "matchExpressions": [
            {"key": "kubernetes.io/hostname", "operator": "In", "values": ["n1"]}
        ]
    }
    volume = _volume(
        local={"path": "/mnt"},
        nodeAffinity={"required": {"nodeSelectorTerms": [term]}},
    )

    away = _line(volume, reuse=True, nodes=frozenset({"n2"}))
    there = _line(volume, reuse=True, nodes=frozenset({"n1"}))

    assert away.problems == ("node of a local volume not in target: n1",)
    assert there.problems == ()


def test_reset_claim_unties_it():
    """The notes of the old binding go, and the volume's name unless it is kept."""
    claim, kept = _claim(), _claim()

    reset_claim(claim)
    reset_claim(kept, _line(_volume(), reuse=True))

    assert claim["metadata"]["annotations"] == {"note": "keep"}
    assert "volumeName" not in claim["spec"]
    assert kept["spec"]["volumeName"] == "pv-1"


ORIGIN = {
    "dataSource": {"kind": "VolumeSnapshot", "name": "gone"},
    "dataSourceRef": {"kind": "VolumeSnapshot", "name": "gone"},
    "selector": {"matchLabels": {"disk": "7"}},
}


def _with_origin(claim):
    """A claim whose volume was made from a snapshot."""
    claim["spec"] |= ORIGIN
    return claim


def test_a_bound_claim_does_not_wait_for_what_made_its_volume():
    """Velero 1.8 stores the source of a bound claim: it was Pending for ever."""
    bound, by_hand = _with_origin(_claim()), _with_origin(_claim(storage_class=""))

    reset_claim(bound, _line(None))
    reset_claim(by_hand, _line(None))

    assert ORIGIN.keys().isdisjoint(bound["spec"])
    assert by_hand["spec"].keys() & ORIGIN.keys() == {"selector"}


def test_a_claim_that_was_never_bound_keeps_its_source():
    """It still has to be filled."""
    claim = _with_origin(_claim(volume=""))

    reset_claim(claim, _line(None, claim=_claim(volume="")))

    assert claim["spec"].keys() >= ORIGIN.keys()


def test_a_claim_that_lives_keeps_its_source():
    """The server forbids to change it: without it an update was a conflict."""
    claim = _with_origin(_claim())
    line = attrs.evolve(_line(None), verdict=ClaimVerdict.EXISTS)

    reset_claim(claim, line)

    assert claim["spec"].keys() >= ORIGIN.keys()


def test_a_selector_waits_for_a_volume_made_by_hand():
    """A claim with a selector is never provisioned for, and the line says so."""
    claim = _with_origin(_claim(volume=""))

    line = _line(None, claim=claim)

    assert line.problems == ("its selector waits for a volume made by hand",)


def test_reset_volume_points_at_the_claim_in_the_target():
    """Namespace mapped, uid and resourceVersion of the old claim gone."""
    volume = _volume()

    reset_volume(volume, {"shop": "copy"})

    assert volume["spec"]["claimRef"] == {"namespace": "copy", "name": "data"}
    assert volume["metadata"]["annotations"] == {}
