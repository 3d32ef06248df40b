"""What stored objects refer to."""

import pytest

from kbackup.backup._references import References, finder_for
from kbackup.models import GroupResource, ResourceIdentifier
from parameter_ids import told

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

IN_POD = {
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
}
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "controller": True}
CRON_JOB = {"apiVersion": "batch/v1beta1", "kind": "CronJob", "controller": True}
OTHER_KIND = {**DEPLOYMENT, "apiVersion": "example.com/v1"}

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
            IN_POD,
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
            f"rolebindings.{RBAC}",
            {
                "roleRef": {"kind": "Role", "name": "reader"},
                "subjects": [
                    {"kind": "ServiceAccount", "name": "runner"},
                    {"kind": "ServiceAccount", "name": "ci", "namespace": "build"},
                    {"kind": "ServiceAccount", "name": "default", "namespace": "x"},
                    {"kind": "User", "name": "jane"},
                ],
            },
            {
                f"roles.{RBAC}/shop/reader",
                "serviceaccounts/shop/runner",
                "serviceaccounts/build/ci",
            },
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
            "ingresses.networking.k8s.io",
            {
                "spec": {
                    "tls": [{"secretName": "cert"}, {"hosts": ["example.com"]}],
                    "defaultBackend": {"service": {"name": "web"}},
                    "rules": [
                        {"host": "example.com"},
                        {
                            "http": {
                                "paths": [{"backend": {"service": {"name": "api"}}}]
                            }
                        },
                        {"http": {"paths": [{"backend": {"resource": {"name": "b"}}}]}},
                    ],
                }
            },
            {"secrets/shop/cert", "services/shop/web", "services/shop/api"},
        ),
        (
            "ingresses.extensions",
            {
                "spec": {
                    "backend": {"serviceName": "web", "servicePort": 80},
                    "rules": [{"http": {"paths": [{"backend": {"serviceName": "a"}}]}}],
                }
            },
            {"services/shop/web", "services/shop/a"},
        ),
        (
            "statefulsets.apps",
            {
                "spec": {
                    "serviceName": "db",
                    "volumeClaimTemplates": [{"spec": {"storageClassName": "fast"}}],
                    "template": POD,
                }
            },
            {"services/shop/db", "storageclasses.storage.k8s.io/fast", *IN_POD},
        ),
        (
            "serviceaccounts",
            {"imagePullSecrets": [{"name": "registry"}], "secrets": [{"name": "t"}]},
            {"secrets/shop/registry"},
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
    ids=told,
)
def test_references_of_a_kind(kind, item, expected):
    """Each kind's references that an object cannot do without are found."""
    assert _missing(GroupResource.parse(kind), item) == expected


@pytest.mark.parametrize(
    "kind",
    [
        "deployments.apps",
        "deployments.extensions",
        "daemonsets.apps",
        "daemonsets.extensions",
        "statefulsets.apps",
        "replicasets.apps",
        "replicasets.extensions",
        "replicationcontrollers",
        "jobs.batch",
    ],
)
def test_what_is_scaled_to_nothing_has_references_too(kind):
    """What the Pods of a template will need is missed while there are no such Pods."""
    item = {"spec": {"replicas": 0, "template": POD}}

    assert _missing(GroupResource.parse(kind), item) == IN_POD


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        (
            "cronjobs.batch",
            {"spec": {"suspend": True, "jobTemplate": {"spec": {"template": POD}}}},
        ),
        ("podtemplates", {"template": POD}),
    ],
    ids=["CronJob", "PodTemplate"],
)
def test_templates_elsewhere(kind, item):
    """The template is found where the kind has it."""
    assert _missing(GroupResource.parse(kind), item) == IN_POD


@pytest.mark.parametrize(
    ("kind", "owner", "expected"),
    [
        ("replicasets.apps", DEPLOYMENT, set()),
        ("jobs.batch", CRON_JOB, set()),
        ("replicasets.apps", OTHER_KIND, IN_POD),
        ("replicasets.apps", {**DEPLOYMENT, "controller": False}, IN_POD),
    ],
    ids=["Deployment", "CronJob", "of another group", "no controller"],
)
def test_what_a_controller_made_of_its_own_template(kind, owner, expected):
    """Old revisions and past runs are not asked what they needed: their owner is."""
    item = {"metadata": {"ownerReferences": [owner]}, "spec": {"template": POD}}

    assert _missing(GroupResource.parse(kind), item) == expected


def test_claims_that_a_stateful_set_makes_itself():
    """A volume of the template gives way to the claim of its name: it is not missed."""
    volumes = [
        {"name": name, "persistentVolumeClaim": {"claimName": name}}
        for name in ("data", "shared")
    ]
    spec = {
        "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
        "template": {"spec": {"volumes": volumes}},
    }

    missing = _missing(GroupResource("apps", "statefulsets"), {"spec": spec})

    assert missing == {"persistentvolumeclaims/shop/shared"}


@pytest.mark.parametrize(
    ("version", "kind", "expected"),
    [
        ("apps/v1", "Deployment", {"deployments.apps/shop/web"}),
        ("extensions/v1beta1", "Deployment", {"deployments.apps/shop/web"}),
        ("v1", "ReplicationController", {"replicationcontrollers/shop/web"}),
        ("apps/v1", "StatefulSet", {"statefulsets.apps/shop/web"}),
        ("argoproj.io/v1alpha1", "Rollout", set()),
        ("example.com/v1", "Deployment", set()),
    ],
)
def test_what_an_autoscaler_scales(version, kind, expected):
    """A workload that is to be scaled is missed; of a custom kind nothing is guessed."""
    target = {"apiVersion": version, "kind": kind, "name": "web"}
    scalers = GroupResource("autoscaling", "horizontalpodautoscalers")

    assert _missing(scalers, {"spec": {"scaleTargetRef": target}}) == expected


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
        (
            f"rolebindings.{RBAC}",
            {
                "metadata": {
                    "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}
                },
                "subjects": [{"kind": "ServiceAccount", "name": "bootstrap-signer"}],
            },
        ),
        ("deployments.apps", {"spec": {"template": {"spec": {}}}}),
        (
            "ingresses.networking.k8s.io",
            {
                "spec": {
                    "defaultBackend": {
                        "service": {
                            "name": "to-tls",
                            "port": {"name": "use-annotation"},
                        }
                    }
                }
            },
        ),
    ],
    ids=str,
)
def test_what_every_cluster_has_is_no_gap(kind, item):
    """Accounts, classes and roles that come with a cluster are not missed."""
    assert _missing(GroupResource.parse(kind), item) == set()


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"spec": None},
        {"spec": {"volumes": "x", "containers": [1, None]}},
        {
            "metadata": {"ownerReferences": 1},
            "spec": {
                "template": 1,
                "rules": [{"http": 1}],
                "tls": [None],
                "scaleTargetRef": {"apiVersion": 1, "kind": ["x"], "name": 1},
            },
            "subjects": {"kind": "ServiceAccount"},
            "imagePullSecrets": "x",
        },
    ],
    ids=["empty", "no spec", "no lists", "no objects"],
)
@pytest.mark.parametrize(
    "kind",
    [
        "pods",
        "deployments.apps",
        "statefulsets.apps",
        "replicasets.apps",
        "cronjobs.batch",
        "serviceaccounts",
        "ingresses.networking.k8s.io",
        "horizontalpodautoscalers.autoscaling",
        f"rolebindings.{RBAC}",
    ],
)
def test_odd_objects_refer_to_nothing(kind, item):
    """An object of an unexpected shape is no reason to fail."""
    assert _missing(GroupResource.parse(kind), item) == set()


def test_secrets_refer_to_nothing():
    """A type without references has no finder, so its objects are never parsed."""
    assert finder_for(GroupResource("", "secrets")) is None


@pytest.mark.parametrize(
    "spec",
    [
        {"serviceAccountName": ["x"], "priorityClassName": {"a": 1}},
        {"serviceAccountName": 5, "volumes": [{"secret": {"secretName": ["s"]}}]},
        {"containers": [{"envFrom": [{"secretRef": {"name": {}}}]}]},
    ],
    ids=range(3),
)
def test_names_that_are_none(spec):
    """An object as no server has it refers to nothing; the others are looked at."""
    good = {"spec": {"serviceAccountName": "web"}}
    pods, references = GroupResource("", "pods"), References()
    for name, item in (("odd", {"spec": spec}), ("good", good)):
        references.note(finder_for(pods), item, ResourceIdentifier(pods, "shop", name))

    found = references.missing(lambda *_: False)

    assert [str(each.refers_to) for each in found] == ["serviceaccounts/shop/web"]
