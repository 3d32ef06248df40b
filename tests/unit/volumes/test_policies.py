"""Which action resource policies have for a volume."""

import pytest

from kbackup.models import ResourcePolicies
from kbackup.volumes import decide_action

CLAIM = {
    "metadata": {"labels": {"tier": "db", "app": "shop"}},
    "spec": {
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "5Gi"}},
    },
    "status": {"phase": "Bound"},
}


def _volume(source="hostPath", size="10Gi", storage_class="standard", **fields):
    """Return a PersistentVolume."""
    spec = {"capacity": {"storage": size}, source: fields}
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    return {"metadata": {"name": "pv"}, "spec": spec}


def _decide(conditions, **given):
    """Return whether one policy with *conditions*, a JSON text, matches."""
    text = f"version: v1\nvolumePolicies: [{{conditions: {conditions}, action: {{type: skip}}}}]"
    return decide_action(ResourcePolicies.from_yaml(text), **given) is not None


@pytest.mark.parametrize(
    ("capacity", "matches"),
    [
        ("10Gi,10Gi", True),
        ("1Gi,100Gi", True),
        (",10Gi", True),
        ("10Gi,", True),
        (",", True),
        ("0,0", True),
        (",9.99Gi", False),
        ("10.01Gi,", False),
        ("10G,10.5G", False),  # 10Gi is 10.74 G
        ("10G,11G", True),
    ],
)
def test_capacity(capacity, matches):
    """Both bounds belong to the range, and either may be open."""
    assert _decide(f'{{capacity: "{capacity}"}}', volume=_volume()) is matches


def test_the_size_of_a_claim_without_a_volume():
    """What a claim asks for counts until there is a volume; a Pod's own has no size."""
    small = '{capacity: ",6Gi"}'

    assert _decide(small, claim=CLAIM)
    assert not _decide(small, claim=CLAIM, volume=_volume())
    assert not _decide('{capacity: "1,"}', pod_volume={"name": "v", "emptyDir": {}})


def test_storage_class():
    """The class of the volume, else the claim's, is in the list; none is in no list."""
    fast, standard = "{storageClass: [slow, fast]}", "{storageClass: [standard]}"
    beta = {"volume.beta.kubernetes.io/storage-class": "fast"}

    assert _decide(standard, volume=_volume(), claim=CLAIM)
    assert not _decide(fast, volume=_volume(), claim=CLAIM)
    assert _decide(fast, claim=CLAIM)
    assert _decide(fast, claim={"metadata": {"annotations": beta}})
    assert not _decide('{storageClass: [""]}', volume=_volume(storage_class=None))


@pytest.mark.parametrize(
    ("condition", "matches"),
    [
        ("{}", True),
        ("{server: a}", True),
        ("{path: /x}", True),
        ("{server: a, path: /x}", True),
        ("{server: b}", False),
        ("{server: a, path: /y}", False),
    ],
)
def test_nfs(condition, matches):
    """An empty condition is any NFS volume; server and path must both fit if given."""
    conditions = f"{{nfs: {condition}}}"
    pod_volume = {"name": "v", "nfs": {"server": "a", "path": "/x"}}

    assert _decide(conditions, volume=_volume("nfs", server="a", path="/x")) is matches
    assert _decide(conditions, pod_volume=pod_volume) is matches
    assert not _decide(conditions, volume=_volume("iscsi", server="a", path="/x"))


@pytest.mark.parametrize(
    ("condition", "matches"),
    [
        ("{}", True),
        ("{driver: ebs}", True),
        ("{driver: ebs, volumeAttributes: {type: gp3}}", True),
        ("{driver: efs}", False),
        ("{driver: ebs, volumeAttributes: {type: io2}}", False),
        ("{driver: ebs, volumeAttributes: {type: gp3, more: x}}", False),
    ],
)
def test_csi(condition, matches):
    """An empty condition is any CSI volume; all attributes that are named must fit."""
    fields = {"driver": "ebs", "volumeAttributes": {"type": "gp3", "zone": "a"}}
    conditions = f"{{csi: {condition}}}"

    assert _decide(conditions, volume=_volume("csi", **fields)) is matches
    assert _decide(conditions, pod_volume={"name": "v", "csi": fields}) is matches
    assert not _decide(conditions, volume=_volume())


def test_volume_types():
    """The source of the PersistentVolume counts, else that of the Pod's volume."""
    conditions = "{volumeTypes: [emptyDir, hostPath, storageOS]}"
    claimed = {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}

    assert _decide(conditions, volume=_volume())
    assert _decide(conditions, volume=_volume("storageos"))
    assert _decide(conditions, pod_volume={"name": "v", "emptyDir": {}})
    assert _decide(conditions, volume=_volume(), pod_volume=claimed)
    assert not _decide(conditions, volume=_volume("nfs"))
    assert not _decide(conditions, pod_volume=claimed, claim=CLAIM)


def test_labels_and_phase_of_the_claim():
    """All labels must be there; a volume without a claim has none, and no phase."""
    assert _decide("{pvcLabels: {tier: db}}", claim=CLAIM)
    assert _decide("{pvcLabels: {tier: db, app: shop}, pvcPhase: [Bound]}", claim=CLAIM)
    assert not _decide("{pvcLabels: {tier: db, app: other}}", claim=CLAIM)
    assert not _decide("{pvcPhase: [Pending, Lost]}", claim=CLAIM)
    assert not _decide("{pvcLabels: {tier: db}}", volume=_volume())
    assert not _decide("{pvcPhase: [Bound]}", pod_volume={"name": "v", "emptyDir": {}})


def test_all_conditions_must_hold():
    """One that fails keeps a policy from deciding, and no condition at all is any volume."""
    both = '{storageClass: [standard], capacity: "20Gi,"}'

    assert not _decide(both, volume=_volume(), claim=CLAIM)
    assert _decide(both, volume=_volume(size="20Gi"), claim=CLAIM)
    assert _decide("{}", pod_volume={"name": "v", "secret": {}})


def test_the_first_policy_that_matches_decides():
    """Order is precedence; the action comes with its parameters, or there is none."""
    policies = ResourcePolicies.from_yaml("""\
version: v1
volumePolicies:
- {conditions: {csi: {}}, action: {type: snapshot}}
- {conditions: {storageClass: [standard]}, action: {type: custom, parameters: {by: x}}}
- {conditions: {pvcPhase: [Bound]}, action: {type: fs-backup}}
""")

    custom = decide_action(policies, volume=_volume(), claim=CLAIM)
    last = decide_action(policies, claim=CLAIM)

    assert (str(custom.type), custom.parameters) == ("custom", {"by": "x"})
    assert str(last.type) == "fs-backup"
    assert decide_action(policies, volume=_volume(storage_class="other")) is None
    assert decide_action(ResourcePolicies(), claim=CLAIM) is None


def test_odd_objects_are_matched_by_what_they_say():
    """A volume whose fields are no objects, or no quantities, ends no backup."""
    odd = {"spec": {"capacity": {"storage": "much"}, "csi": "x", "storageClassName": 3}}

    assert _decide('{capacity: ",1"}', volume=odd, claim={"metadata": None})
    assert not _decide("{csi: {}}", volume=odd)
