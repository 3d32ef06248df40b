"""Types are written in an order in which nothing works against the restore."""

from kbackup.models import (
    GroupResource,
    ResourceIdentifier,
    RestoreOptions,
    RestoreSpec,
)
from kbackup.restore._request.priorities import Priorities, pull_forward, type_waves


def _ordered(names, priorities=None):
    """The types by wave, those of one wave together."""
    types = [GroupResource.parse(name) for name in names]
    waves = type_waves(types, priorities or Priorities())
    return [str(kind) for kind in sorted(types, key=lambda kind: waves[kind])]


def _refs(*names):
    """Identifiers of Pods."""
    pods = GroupResource.parse("pods")
    return [ResourceIdentifier(pods, "shop", name) for name in names]


def test_what_others_need_comes_first():
    """CRDs, namespaces and volumes come before the workloads that need them."""
    assert _ordered(
        [
            "deployments.apps",
            "pods",
            "secrets",
            "persistentvolumeclaims",
            "persistentvolumes",
            "namespaces",
            "customresourcedefinitions.apiextensions.k8s.io",
        ]
    ) == [
        "customresourcedefinitions.apiextensions.k8s.io",
        "namespaces",
        "persistentvolumes",
        "persistentvolumeclaims",
        "secrets",
        "pods",
        "deployments.apps",
    ]


VELEROS_ORDER = [
    "customresourcedefinitions.apiextensions.k8s.io",
    "namespaces",
    "storageclasses.storage.k8s.io",
    "volumesnapshotclasses.snapshot.storage.k8s.io",
    "volumesnapshotcontents.snapshot.storage.k8s.io",
    "volumesnapshots.snapshot.storage.k8s.io",
    "datauploads.velero.io",
    "persistentvolumes",
    "persistentvolumeclaims",
    "clusterroles.rbac.authorization.k8s.io",
    "roles.rbac.authorization.k8s.io",
    "serviceaccounts",
    "clusterrolebindings.rbac.authorization.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
    "secrets",
    "configmaps",
    "limitranges",
    "priorityclasses.scheduling.k8s.io",
    "pods",
    "replicasets.apps",
    "clusterclasses.cluster.x-k8s.io",
    "endpoints",
    "services",
    "deployments.apps",
    "clusterbootstraps.run.tanzu.vmware.com",
    "clusters.cluster.x-k8s.io",
    "clusterresourcesets.addons.cluster.x-k8s.io",
    "apps.kappctrl.k14s.io",
    "packageinstalls.packaging.carvel.dev",
]


def test_veleros_order_is_kept():
    """What Velero 1.18 writes before something else is written before it here, too."""
    assert _ordered(sorted(VELEROS_ORDER)) == VELEROS_ORDER


def test_what_has_no_place_is_written_at_once():
    """Types that no list names share a wave: nothing is known that one of them awaits."""
    names = ("deployments.apps", "widgets.example.com", "ingresses.networking.k8s.io")
    types = [GroupResource.parse(name) for name in names]

    assert len(set(type_waves(types, Priorities()).values())) == 1


def test_children_come_before_the_owners_that_adopt_them():
    """ReplicaSets and ControllerRevisions are there before what adopts them."""
    ordered = _ordered(
        [
            "deployments.apps",
            "statefulsets.apps",
            "daemonsets.apps",
            "replicasets.apps",
            "controllerrevisions.apps",
        ]
    )

    assert ordered[:2] == ["controllerrevisions.apps", "replicasets.apps"] or (
        ordered[:2] == ["replicasets.apps", "controllerrevisions.apps"]
    )


def test_policies_come_before_the_pods_they_guard():
    """No Pod runs before its NetworkPolicy is there."""
    ordered = _ordered(["pods", "networkpolicies.networking.k8s.io"])

    assert ordered == ["networkpolicies.networking.k8s.io", "pods"]


def test_what_may_refuse_others_comes_last():
    """Webhooks, API services and quotas come after the workloads."""
    late = [
        "apiservices.apiregistration.k8s.io",
        "resourcequotas",
        "validatingadmissionpolicybindings.admissionregistration.k8s.io",
        "validatingwebhookconfigurations.admissionregistration.k8s.io",
        "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    ]

    ordered = _ordered([*late, "deployments.apps", "widgets.example.com", "pods"])

    assert ordered[-5:] == late


def test_own_priorities():
    """The user's list decides; a lone dash stands before the last ones."""
    own = Priorities.of(("configmaps", "-", "secrets"))

    ordered = _ordered(["secrets", "pods", "configmaps", "namespaces"], own)

    assert ordered == ["namespaces", "configmaps", "pods", "secrets"]


def test_own_priorities_cannot_move_the_ground():
    """CRDs and namespaces stay first whatever the list says."""
    crds = "customresourcedefinitions.apiextensions.k8s.io"
    own = Priorities.of(("pods", "-", "namespaces", crds))

    ordered = _ordered(["pods", "secrets", "namespaces", crds], own)

    assert ordered == [crds, "namespaces", "pods", "secrets"]


def test_additional_items_come_before_who_asked():
    """What an item asked for is written in an earlier wave."""
    asks, wanted, its_own = _refs("a", "b", "c")

    moved = pull_forward(
        {asks: 20, wanted: 30, its_own: 20}, [(asks, wanted), (wanted, its_own)]
    )

    assert moved[wanted] < 20
    assert moved[its_own] < moved[wanted]


def test_items_that_ask_for_each_other_share_a_wave():
    """A circle of two does not make either wait for the other."""
    one, two = _refs("a", "b")

    assert pull_forward({one: 20, two: 20}, [(one, two), (two, one)]) == {}


def test_long_circles_end():
    """Three that ask for each other in a circle share one wave."""
    one, two, three = _refs("a", "b", "c")
    waves = dict.fromkeys((one, two, three), 20)

    assert pull_forward(waves, [(one, two), (two, three), (three, one)]) == {}


def test_what_a_circle_asks_for_comes_before_it():
    """An item outside the circle that one of them needs is still written earlier."""
    one, two, three = _refs("a", "b", "c")
    waves = dict.fromkeys((one, two, three), 20)

    moved = pull_forward(waves, [(one, two), (two, one), (two, three)])

    assert moved == {three: 19}


def test_own_priorities_by_any_name(shop):
    """A list that names types as people do is not without effect."""
    wanted = ("svc", "Deployment", "-", "secrets")

    plan = shop.engine.plan(
        "try-1",
        RestoreSpec(backup_name="shop-1"),
        RestoreOptions(priorities=wanted),
    )

    waves = {entry.kind: entry.wave for entry in plan.entries}
    middle = waves["ConfigMap"]
    assert waves["Service"] < waves["Deployment"] < middle < waves["Secret"]
