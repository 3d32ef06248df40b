"""Every built-in item action keeps the promises of its kind."""

import pytest

from kbackup import actions
from kbackup.models import RestoreSpec
from kbackup.testing import (
    BackupItemActionContract,
    ItemBlockActionContract,
    RestoreItemActionContract,
    StaticClusterReader,
    backup_input,
    restore_input,
)

RBAC = "rbac.authorization.k8s.io"
MAPPED = RestoreSpec(
    backup_name="nightly", namespace_mapping={"shop": "bank", "bank": "shop"}
)

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web-0", "namespace": "shop", "labels": {"app": "web"}},
    "spec": {
        "nodeName": "node-1",
        "priority": 7,
        "priorityClassName": "important",
        "serviceAccountName": "web",
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": "data-web-0"}},
            {"name": "web-token-x1x2x", "secret": {"secretName": "web-token-x1x2x"}},
        ],
        "initContainers": [
            {"name": "restore-wait", "image": "velero/velero:v1.18.1"},
            {"name": "init", "image": "busybox"},
        ],
        "containers": [
            {
                "name": "web",
                "image": "nginx",
                "volumeMounts": [{"name": "web-token-x1x2x", "mountPath": "/t"}],
            }
        ],
    },
    "status": {"phase": "Running"},
}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"template": {"spec": POD["spec"]}},
}
CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {
        "name": "data-web-0",
        "namespace": "shop",
        "labels": {"velero.io/restore-name": "old", "app": "web"},
        "annotations": {"pv.kubernetes.io/bind-completed": "yes", "mine": "kept"},
    },
    "spec": {
        "volumeName": "pv-1",
        "storageClassName": "fast",
        "selector": {"matchLabels": {"disk": "a"}},
    },
    "status": {"phase": "Bound"},
}
ACCOUNT = {
    "apiVersion": "v1",
    "kind": "ServiceAccount",
    "metadata": {"name": "web", "namespace": "shop"},
    "secrets": [{"name": "pull"}, {"name": "web-token-x1x2x"}],
}
BINDING = {
    "apiVersion": f"{RBAC}/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": "web:readers"},
    "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"},
    "subjects": [{"kind": "ServiceAccount", "namespace": "shop", "name": "web"}],
}
ROLE_BINDING = {
    **BINDING,
    "kind": "RoleBinding",
    "metadata": {"name": "web:readers", "namespace": "shop"},
}
JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "once", "namespace": "shop"},
    "spec": {
        "selector": {"matchLabels": {"controller-uid": "u-1"}},
        "template": {"metadata": {"labels": {"controller-uid": "u-1", "a": "b"}}},
    },
}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {
        "type": "NodePort",
        "clusterIP": "10.0.0.7",
        "clusterIPs": ["10.0.0.7"],
        "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}],
    },
}
TOKEN = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {
        "name": "ci",
        "namespace": "shop",
        "annotations": {
            "kubernetes.io/service-account.name": "web",
            "kubernetes.io/service-account.uid": "u-1",
        },
    },
    "type": "kubernetes.io/service-account-token",
    "data": {"token": "eA==", "ca.crt": "eA==", "namespace": "c2hvcA=="},
}
API_SERVICE = {
    "apiVersion": "apiregistration.k8s.io/v1",
    "kind": "APIService",
    "metadata": {
        "name": "v1.apps",
        "labels": {"kube-aggregator.kubernetes.io/automanaged": "onstart"},
    },
}
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {"preserveUnknownFields": True, "versions": [{"name": "v1"}]},
}
WEBHOOKS = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "MutatingWebhookConfiguration",
    "metadata": {"name": "inject"},
    "webhooks": [{"name": "a.example.com", "sideEffects": "Unknown"}],
}
VOLUME = {
    "apiVersion": "v1",
    "kind": "PersistentVolume",
    "metadata": {"name": "pv-1"},
    "spec": {"storageClassName": "fast", "capacity": {"storage": "1Gi"}},
}
STATEFUL_SET = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "metadata": {"name": "db", "namespace": "shop"},
    "spec": {
        "template": {"spec": POD["spec"]},
        "volumeClaimTemplates": [
            {"metadata": {"name": "data"}, "spec": {"storageClassName": "fast"}},
            {"metadata": {"name": "logs"}, "spec": {}},
        ],
    },
}
CRON_JOB = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": {"name": "nightly", "namespace": "shop"},
    "spec": {"jobTemplate": {"spec": {"template": {"spec": POD["spec"]}}}},
}
CRDS = "customresourcedefinitions.apiextensions.k8s.io"
GRANTS = StaticClusterReader({f"clusterrolebindings.{RBAC}": [BINDING]})

BACKUP_CASES = {
    "velero.io/crd-remap-version": [(CRDS, CRD)],
    "velero.io/pod": [("pods", POD)],
    "velero.io/pv": [("persistentvolumeclaims", CLAIM)],
    "velero.io/service-account": [("serviceaccounts", ACCOUNT)],
}
BLOCK_CASES = {
    "velero.io/pod": [("pods", POD)],
    "velero.io/pvc": [("persistentvolumeclaims", CLAIM)],
    "velero.io/service-account": [("serviceaccounts", ACCOUNT)],
}
RESTORE_CASES = {
    "kbackup.io/wait-containers": [("pods", POD), ("deployments.apps", DEPLOYMENT)],
    "velero.io/add-pvc-from-pod": [("pods", POD)],
    "velero.io/admission-webhook-configuration": [
        ("mutatingwebhookconfigurations.admissionregistration.k8s.io", WEBHOOKS)
    ],
    "velero.io/apiservice": [("apiservices.apiregistration.k8s.io", API_SERVICE)],
    "velero.io/change-image-name": [
        ("pods", POD),
        ("deployments.apps", DEPLOYMENT),
        ("cronjobs.batch", CRON_JOB),
    ],
    "velero.io/change-storage-class": [
        ("persistentvolumeclaims", CLAIM),
        ("persistentvolumes", VOLUME),
        ("statefulsets.apps", STATEFUL_SET),
    ],
    "velero.io/cluster-role-bindings": [(f"clusterrolebindings.{RBAC}", BINDING)],
    "velero.io/crd-preserve-fields": [(CRDS, CRD)],
    "velero.io/job": [("jobs.batch", JOB)],
    "velero.io/pod": [("pods", POD)],
    "velero.io/pvc": [("persistentvolumeclaims", CLAIM)],
    "velero.io/role-bindings": [(f"rolebindings.{RBAC}", ROLE_BINDING)],
    "velero.io/secret": [("secrets", TOKEN)],
    "velero.io/service": [("services", SERVICE)],
    "velero.io/service-account": [("serviceaccounts", ACCOUNT)],
}
SETTINGS = {
    "velero.io/change-image-name": {"mirror": "nginx,mirror.example.com/nginx"},
    "velero.io/change-storage-class": {"fast": "slow"},
}


def bare(item):
    """The same object with nothing but what every object has."""
    return {key: item[key] for key in ("apiVersion", "kind", "metadata")}


def null_ridden(item):
    """The same object with null for each part, as some writers leave it."""
    parts = dict.fromkeys(("spec", "status", "data", "subjects", "secrets"))
    return {**bare(item), **parts, "webhooks": None}


SHAPES = {"full": dict, "bare": bare, "nulls": null_ridden}


def cases(of):
    """Every action with every input, in every shape."""
    return [
        pytest.param((name, resource, shape(item)), id=f"{name} {resource} {word}")
        for name, inputs in of.items()
        for resource, item in inputs
        for word, shape in SHAPES.items()
    ]


class TestBuiltInBackupActions(BackupItemActionContract):
    """The built-in backup item actions keep their contract."""

    @pytest.fixture(params=cases(BACKUP_CASES))
    def case(self, request):
        """One action with one input."""
        return request.param

    @pytest.fixture
    def action(self, case):
        """The action of the case."""
        return actions.kbackup_register_backup_item_actions()[case[0]]

    @pytest.fixture
    def given(self, case):
        """The input of the case, as the engine would give it."""
        return backup_input(case[1], case[2], cluster=GRANTS)


class TestBuiltInItemBlockActions(ItemBlockActionContract):
    """The built-in item block actions keep their contract."""

    @pytest.fixture(params=cases(BLOCK_CASES))
    def case(self, request):
        """One action with one input."""
        return request.param

    @pytest.fixture
    def action(self, case):
        """The action of the case."""
        return actions.kbackup_register_item_block_actions()[case[0]]

    @pytest.fixture
    def given(self, case):
        """The input of the case, as the engine would give it."""
        types = {f"clusterrolebindings.{RBAC}": [BINDING], "pods": [POD]}
        return backup_input(case[1], case[2], cluster=StaticClusterReader(types))


class TestBuiltInRestoreActions(RestoreItemActionContract):
    """The built-in restore item actions keep their contract."""

    @pytest.fixture(params=cases(RESTORE_CASES))
    def case(self, request):
        """One action with one input."""
        return request.param

    @pytest.fixture
    def action(self, case):
        """The action of the case."""
        return actions.kbackup_register_restore_item_actions()[case[0]]

    @pytest.fixture(params=[RestoreSpec(backup_name="nightly"), MAPPED])
    def given(self, case, request):
        """The input of the case, as the engine would give it."""
        settings = SETTINGS.get(case[0], {})
        return restore_input(case[1], case[2], spec=request.param, settings=settings)


def test_no_action_is_left_out():
    """Each built-in action has inputs here, so each is held to its contract."""
    assert BACKUP_CASES.keys() == actions.kbackup_register_backup_item_actions().keys()
    assert (
        RESTORE_CASES.keys() == actions.kbackup_register_restore_item_actions().keys()
    )
