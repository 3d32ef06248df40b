"""What stored objects refer to."""

import pytest

from kbackup.backup._references import References, finder_for
from kbackup.models import GroupResource, ResourceIdentifier

RBAC = "rbac.authorization.k8s.io"
OLD_CLASS = {"volume.beta.kubernetes.io/storage-class": "fast"}
POD = {
    "spec": {
        "serviceAccountName": "web",
        "priorityClassName": "gold",
        "runtimeClassName": "gvisor",
        "imagePullSecrets": [{"name": "registry"}],
        "volumes": [
            {"name": "a", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "b", "secret": {"secretName": "tls"}},
            {"name": "c", "configMap": {"name": "web"}},
            {"name": "d", "secret": {"secretName": "maybe", "optional": True}},
            {
                "name": "e",
                "projected": {
                    "sources": [
                        {"secret": {"name": "token"}},
                        {"configMap": {"name": "kube-root-ca.crt"}},
                        {"downwardAPI": {}},
                    ]
                },
            },
            {"name": "f", "emptyDir": {}},
        ],
        "containers": [
            {
                "envFrom": [{"secretRef": {"name": "env"}}],
                "env": [
                    {"name": "x", "value": "y"},
                    {"valueFrom": {"configMapKeyRef": {"name": "keys", "key": "k"}}},
                ],
            }
        ],
        "initContainers": [{"envFrom": [{"configMapRef": {"name": "init"}}]}],
    }
}

WEBHOOKS = {
    "webhooks": [
        {"clientConfig": {"service": {"namespace": "w", "name": "hook"}}},
        {"clientConfig": {"url": "https://example.com"}},
    ]
}


def _missing(group_resource, item, namespace="shop", stored=()):
    """Return what one object refers to, as text."""
    finder, references = finder_for(group_resource), References()
    references.note(finder, item, ResourceIdentifier(group_resource, namespace, "x"))
    found = references.missing(
        lambda kind, where, name: str(ResourceIdentifier(kind, where, name)) in stored
    )
    return {str(each.refers_to) for each in found}


@pytest.mark.parametrize(
    ("kind", "item", "expected"),
    [
        (
            "pods",
            POD,
            {
                "serviceaccounts/shop/web",
                "priorityclasses.scheduling.k8s.io/gold",
                "runtimeclasses.node.k8s.io/gvisor",
                "secrets/shop/registry",
                "persistentvolumeclaims/shop/data",
                "secrets/shop/tls",
                "configmaps/shop/web",
                "secrets/shop/token",
                "secrets/shop/env",
                "configmaps/shop/keys",
                "configmaps/shop/init",
            },
        ),
        (
            "persistentvolumeclaims",
            {"spec": {"volumeName": "pv-1", "storageClassName": "fast"}},
            {"persistentvolumes/pv-1", "storageclasses.storage.k8s.io/fast"},
        ),
        ("persistentvolumeclaims", {"spec": {"storageClassName": ""}}, set()),
        (
            "persistentvolumeclaims",
            {"metadata": {"annotations": OLD_CLASS}},
            {"storageclasses.storage.k8s.io/fast"},
        ),
        (
            "persistentvolumes",
            {"metadata": {"annotations": OLD_CLASS}},
            {"storageclasses.storage.k8s.io/fast"},
        ),
        (
            "persistentvolumeclaims",
            {
                "spec": {
                    "dataSource": {
                        "apiGroup": "snapshot.storage.k8s.io",
                        "kind": "VolumeSnapshot",
                        "name": "nightly",
                    }
                }
            },
            {"volumesnapshots.snapshot.storage.k8s.io/shop/nightly"},
        ),
        (
            "persistentvolumeclaims",
            {
                "spec": {
                    "dataSourceRef": {
                        "kind": "PersistentVolumeClaim",
                        "name": "old",
                        "namespace": "far",
                    },
                    "dataSource": {"kind": "Populator", "name": "x"},
                }
            },
            {"persistentvolumeclaims/far/old"},
        ),
        (
            "persistentvolumeclaims",
            {"spec": {"dataSource": {"apiGroup": "a.b", "kind": "C", "name": "x"}}},
            set(),
        ),
        (
            f"rolebindings.{RBAC}",
            {"roleRef": {"kind": "Role", "name": "reader"}},
            {f"roles.{RBAC}/shop/reader"},
        ),
        (
            f"clusterrolebindings.{RBAC}",
            {"roleRef": {"kind": "ClusterRole", "name": "shop-admin"}},
            {f"clusterroles.{RBAC}/shop-admin"},
        ),
        (
            "ingresses.networking.k8s.io",
            {"spec": {"ingressClassName": "nginx"}},
            {"ingressclasses.networking.k8s.io/nginx"},
        ),
        (
            "ingresses.extensions",
            {"spec": {"ingressClassName": "nginx"}},
            {"ingressclasses.networking.k8s.io/nginx"},
        ),
        (
            f"rolebindings.{RBAC}",
            {"roleRef": {"kind": "ClusterRole", "name": "shop-admin"}},
            {f"clusterroles.{RBAC}/shop-admin"},
        ),
        (
            "validatingwebhookconfigurations.admissionregistration.k8s.io",
            WEBHOOKS,
            {"services/w/hook"},
        ),
        (
            "mutatingwebhookconfigurations.admissionregistration.k8s.io",
            WEBHOOKS,
            {"services/w/hook"},
        ),
        (
            "customresourcedefinitions.apiextensions.k8s.io",
            {"spec": {"conversion": {"webhook": WEBHOOKS["webhooks"][0]}}},
            {"services/w/hook"},
        ),
    ],
    ids=str,
)
def test_references_of_a_kind(kind, item, expected):
    """Each kind's references that an object cannot do without are found."""
    assert _missing(GroupResource.parse(kind), item) == expected


def test_what_was_stored_is_not_missing():
    """A reference into the backup is no gap."""
    claim = {"spec": {"volumeName": "pv-1", "storageClassName": "fast"}}
    kind = GroupResource("", "persistentvolumeclaims")

    missing = _missing(kind, claim, stored={"persistentvolumes/pv-1"})

    assert missing == {"storageclasses.storage.k8s.io/fast"}


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        ("pods", {"spec": {"serviceAccountName": "default"}}),
        ("pods", {"spec": {"priorityClassName": "system-node-critical"}}),
        (
            f"rolebindings.{RBAC}",
            {"roleRef": {"kind": "ClusterRole", "name": "view"}},
        ),
        (
            f"rolebindings.{RBAC}",
            {"roleRef": {"kind": "ClusterRole", "name": "system:node"}},
        ),
    ],
    ids=str,
)
def test_what_every_cluster_has_is_no_gap(kind, item):
    """Accounts, classes and roles that come with a cluster are not missed."""
    assert _missing(GroupResource.parse(kind), item) == set()


@pytest.mark.parametrize(
    "item", [{}, {"spec": None}, {"spec": {"volumes": "x", "containers": [1, None]}}]
)
def test_odd_objects_refer_to_nothing(item):
    """An object of an unexpected shape is no reason to fail."""
    assert _missing(GroupResource("", "pods"), item) == set()


def test_secrets_refer_to_nothing():
    """A type without references has no finder, so its objects are never parsed."""
    assert finder_for(GroupResource("", "secrets")) is None
