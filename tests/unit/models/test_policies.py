"""Resource policies as documents: read strictly, and every broken rule told by its place."""

import pytest

from kbackup.errors import CodecError, InvalidConfigError
from kbackup.models import (
    BackupOptions,
    CSICondition,
    IncludeExcludePolicy,
    ResourcePolicies,
    VolumeAction,
    VolumeActionType,
    VolumeConditions,
    VolumePolicy,
    dump_yaml,
    validate_backup_options,
    validate_resource_policies,
)

# The example of Velero's documentation, with all of its conditions.
COMPLETE = """\
version: v1
volumePolicies:
- conditions:
    capacity: "10,100Gi"
    storageClass: [gp2, standard]
    volumeTypes: [emptyDir, downwardAPI, configMap, cinder]
    pvcLabels: {environment: production}
    pvcPhase: [Pending, Lost]
    nfs: {server: 192.168.200.90, path: /mnt/data}
    csi: {driver: aws.efs.csi.driver, volumeAttributes: {a: b}}
  action:
    type: snapshot
    parameters: {depth: 2}
- conditions: {nfs: {}}
  action: {type: skip}
includeExcludePolicy:
  includedClusterScopedResources: [persistentvolumes]
  excludedClusterScopedResources: [nodes]
  includedNamespaceScopedResources: [pods]
  excludedNamespaceScopedResources: [events]
"""


def _policies(**conditions):
    """Return policies of which the second one has the given conditions."""
    skip = VolumeAction(type="skip")
    first = VolumePolicy(action=skip)
    second = VolumePolicy(conditions=VolumeConditions(**conditions), action=skip)
    return ResourcePolicies(volume_policies=[first, second])


def test_velero_documents_are_read():
    """What Velero takes from a ConfigMap is a valid model, written back as it was."""
    policies = ResourcePolicies.from_yaml(COMPLETE)

    assert validate_resource_policies(policies) == []
    first, second = policies.volume_policies
    assert first.action.type is VolumeActionType.SNAPSHOT
    assert first.conditions.csi.volume_attributes == {"a": "b"}
    assert second.conditions.nfs is not None
    assert ResourcePolicies.from_yaml(dump_yaml(policies)) == policies


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("version: v1\nvolumes: []", "no other fields than version, volumePolicies"),
        (
            "version: v1\nvolumePolicies: [{conditions: {capacities: x}, action: {type: skip}}]",
            r"volumePolicies\[0\]\.conditions: .* capacities as well",
        ),
        (
            "version: v1\nvolumePolicies: [{conditions: {}, action: {type: drop}}]",
            r"volumePolicies\[0\]\.action\.type: expected one of skip, fs-backup",
        ),
        (
            "version: v1\nvolumePolicies: [{conditions: {}}]",
            r"\.action: expected a value",
        ),
        ("volumePolicies: []", 'version: expected "v1", got none'),
        ("", "expected an object, got null"),
        ("version: v1\n---\nversion: v1", "one YAML document"),
        ("version: [v1", "expected YAML"),
    ],
)
def test_slips_in_a_document_are_refused(text, told):
    """A condition that was misspelt would apply an action to every volume."""
    with pytest.raises(CodecError, match=told):
        ResourcePolicies.from_yaml(text)


@pytest.mark.parametrize(
    ("conditions", "told"),
    [
        ({"capacity": "10Gi"}, "capacity: expected 'min,max'"),
        ({"capacity": "1,2,3"}, "capacity: expected 'min,max'"),
        ({"capacity": "1GB,"}, "capacity: '1GB' is not a quantity"),
        ({"capacity": "10Gi,1Gi"}, "capacity: 10Gi is more than 1Gi"),
        (
            {"volume_types": ["emptydir"]},
            "no source of volumes; did you mean emptyDir?",
        ),
        ({"volume_types": ["persistentVolumeClaim"]}, "is no source of volumes"),
        ({"pvc_phase": ["bound"]}, "pvcPhase: 'bound' is none of Pending, Bound, Lost"),
        (
            {"csi": CSICondition(volume_attributes={"a": "b"})},
            "csi: volumeAttributes say nothing without a driver",
        ),
    ],
)
def test_broken_conditions_are_told_by_number(conditions, told):
    """The message leads to the policy and the field that are wrong."""
    (rule,) = validate_resource_policies(_policies(**conditions))

    assert rule.startswith("volumePolicies[1].conditions.")
    assert told in rule


@pytest.mark.parametrize("capacity", ["", ",", "1Gi,", ",1Gi", " 1Gi , 2Gi ", "0,0"])
def test_either_bound_may_be_missing(capacity):
    """A capacity is open where nothing stands."""
    assert validate_resource_policies(_policies(capacity=capacity)) == []


def test_all_rules_are_told_at_once():
    """Who repairs a document need not try it again for each of its faults."""
    lists = IncludeExcludePolicy(
        included_namespace_scoped_resources=["*"],
        included_cluster_scoped_resources=["nodes"],
        excluded_cluster_scoped_resources=["nodes"],
    )
    policies = ResourcePolicies(
        version="v2",
        volume_policies=_policies(capacity="x", pvc_phase=["y"]).volume_policies,
        include_exclude_policy=lists,
    )

    assert validate_resource_policies(policies) == [
        "version: expected 'v1', got 'v2'",
        (
            "volumePolicies[1].conditions.capacity: expected 'min,max', of which either may "
            "be empty, got 'x'"
        ),
        "volumePolicies[1].conditions.pvcPhase: 'y' is none of Pending, Bound, Lost",
        (
            "includeExcludePolicy: clusterScopedResources: 'nodes' is both included and "
            "excluded"
        ),
        (
            "includeExcludePolicy: namespaceScopedResources: '*' is for a backup's own lists "
            "only"
        ),
    ]


def test_policies_as_an_option_are_checked_and_recorded():
    """Options hold nothing but policies; what these say is on record, rules are told."""
    policies = _policies(pvc_phase=["gone"])

    options = BackupOptions(resource_policies=policies)

    assert options.to_record()["resource_policies"]["volumePolicies"][1] == {
        "conditions": {"pvcPhase": ["gone"]},
        "action": {"type": "skip"},
    }
    (rule,) = validate_backup_options(options)
    assert rule.startswith("resource_policies: volumePolicies[1].conditions.pvcPhase")
    with pytest.raises(
        InvalidConfigError, match="resource_policies: expected a Resource"
    ):
        BackupOptions(resource_policies="version: v1")
