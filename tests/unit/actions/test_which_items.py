"""Which items each built-in action is asked about: one closed table, as in Velero's."""

import pytest

from kbackup import actions

RBAC = "rbac.authorization.k8s.io"
CRDS = "customresourcedefinitions.apiextensions.k8s.io"
WEBHOOKS = {
    f"{kind}webhookconfigurations.admissionregistration.k8s.io"
    for kind in ("mutating", "validating")
}
POD_CONTROLLERS = {
    *("replicationcontrollers", "daemonsets.apps", "deployments.apps"),
    *("replicasets.apps", "statefulsets.apps", "jobs.batch", "cronjobs.batch"),
}
OF_BACKUPS = {
    "velero.io/crd-remap-version": {CRDS},
    "velero.io/pod": {"pods"},
    "velero.io/pv": {"persistentvolumeclaims"},
    "velero.io/service-account": {"serviceaccounts"},
}
OF_BLOCKS = {
    "velero.io/pod": {"pods"},
    "velero.io/pvc": {"persistentvolumeclaims"},
    "velero.io/service-account": {"serviceaccounts"},
}
OF_RESTORES = {
    "kbackup.io/wait-containers": {
        *("pods", "podtemplates", *POD_CONTROLLERS),
        *(
            f"{kind}.extensions"
            for kind in ("daemonsets", "deployments", "replicasets")
        ),
        *("deploymentconfigs.apps.openshift.io", "rollouts.argoproj.io"),
    },
    "velero.io/add-pvc-from-pod": {"pods"},
    "velero.io/admission-webhook-configuration": WEBHOOKS,
    "velero.io/apiservice": {"apiservices.apiregistration.k8s.io"},
    "velero.io/change-image-name": {"pods", *POD_CONTROLLERS},
    "velero.io/change-storage-class": {
        *("persistentvolumeclaims", "persistentvolumes", "statefulsets.apps"),
    },
    "velero.io/cluster-role-bindings": {f"clusterrolebindings.{RBAC}"},
    "velero.io/crd-preserve-fields": {CRDS},
    "velero.io/job": {"jobs.batch"},
    "velero.io/pod": {"pods"},
    "velero.io/pvc": {"persistentvolumeclaims"},
    "velero.io/role-bindings": {f"rolebindings.{RBAC}"},
    "velero.io/secret": {"secrets"},
    "velero.io/service": {"services"},
    "velero.io/service-account": {"serviceaccounts"},
}
# Other actions have none.
LABELS = {"velero.io/apiservice": "kube-aggregator.kubernetes.io/automanaged"}


@pytest.mark.parametrize(
    ("registered", "expected"),
    [
        (actions.kbackup_register_backup_item_actions, OF_BACKUPS),
        (actions.kbackup_register_item_block_actions, OF_BLOCKS),
        (actions.kbackup_register_restore_item_actions, OF_RESTORES),
    ],
    ids=["backup", "block", "restore"],
)
def test_each_action_has_its_types_and_no_other_filter(registered, expected):
    """Named by their groups, in every namespace, whatever labels they have."""
    found = {name: action.applies_to for name, action in registered().items()}

    assert {x: set(y.included_resources) for x, y in found.items()} == expected
    for name, selector in found.items():
        assert selector.label_selector == LABELS.get(name, "")
        assert not selector.excluded_resources
        assert not selector.included_namespaces + selector.excluded_namespaces
