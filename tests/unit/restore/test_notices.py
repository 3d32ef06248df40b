"""What reaches beyond the objects themselves is said above the table."""

import json

import pytest

from kbackup._kits.controlled import Owner
from kbackup._kits.differences import Difference
from kbackup.models import (
    GroupResource,
    ResourceIdentifier,
    ServerVersion,
)
from kbackup.restore import ClaimLine, ClaimVerdict, PlanAction, PlanEntry
from kbackup.restore._notices.notices import NoticeBook

X = {"kubernetes.io/metadata.name": "shop"}
IN_X = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["shop"]}


def _entry(kind, resource, namespace="shop", action=PlanAction.CREATE, **more):
    """A line of a plan that writes."""
    type_ = GroupResource.parse(resource)
    ref = ResourceIdentifier(type_, namespace, "x")
    more["api_version"] = f"{type_.group}/v1" if type_.group else "v1"
    return PlanEntry(identifier=ref, target=ref, action=action, kind=kind, **more)


GROUPS = {
    "CronJob": "batch",
    "DaemonSet": "apps",
    "Deployment": "apps",
    "Ingress": "networking.k8s.io",
    "Job": "batch",
    "NetworkPolicy": "networking.k8s.io",
    "Service": "",
    "StatefulSet": "apps",
}


def _updated(kind, group=None, **more):
    """A line of a plan that updates an object of a kind, of Kubernetes' own or another."""
    group = GROUPS.get(kind, "rbac.authorization.k8s.io") if group is None else group
    resource = f"{kind.lower()}s.{group}" if group else f"{kind.lower()}s"
    return _entry(kind, resource, action=PlanAction.UPDATE, **more)


def _pod_of(**container):
    """A workload with one container."""
    containers = [{"name": "web", **container}]
    return {"spec": {"template": {"spec": {"containers": containers}}}}


def _told(entry, content, **more):
    """What is said about one item."""
    book = NoticeBook()
    book.see(entry, {"metadata": {}, **content}, **more)
    return [notice.what for notice in book.notices()]


@pytest.mark.parametrize(
    ("kind", "resource", "content", "words"),
    [
        ("Role", "roles.rbac.authorization.k8s.io", {}, "grants rights"),
        (
            "ValidatingWebhookConfiguration",
            "validatingwebhookconfigurations.admissionregistration.k8s.io",
            {},
            "webhook",
        ),
        ("Service", "services", {"spec": {"type": "LoadBalancer"}}, "load balancer"),
        (
            "Ingress",  # which takes every host that no other one has
            "ingresses.networking.k8s.io",
            {"spec": {"defaultBackend": {"service": {"name": "web"}}}},
            "host names",
        ),
        (
            "Ingress",
            "ingresses.networking.k8s.io",
            {"spec": {"rules": [{"host": "shop.example.com"}]}},
            "host names",
        ),
        (
            "Service",
            "services",
            {
                "metadata": {
                    "annotations": {"external-dns.alpha.kubernetes.io/hostname": "shop"}
                }
            },
            "DNS names",
        ),
        ("Job", "jobs.batch", {"spec": {}}, "starts work"),
        ("CronJob", "cronjobs.batch", {"spec": {"suspend": False}}, "starts work"),
        (
            "Widget",
            "widgets.example.com",
            {"metadata": {"finalizers": ["example.com/guard"]}},
            "finalizer",
        ),
        (
            "VolumeSnapshot",
            "volumesnapshots.snapshot.storage.k8s.io",
            {"metadata": {"finalizers": ["snapshot.storage.kubernetes.io/bound"]}},
            "finalizer",
        ),
    ],
)
def test_far_reaching_items_are_told(kind, resource, content, words):
    """Each far-reaching kind has its sentence."""
    [told] = _told(_entry(kind, resource), content)

    assert words in told


@pytest.mark.parametrize(
    ("kind", "resource", "content"),
    [
        ("Service", "services", {"spec": {"type": "ClusterIP"}}),
        ("CronJob", "cronjobs.batch", {"spec": {"suspend": True}}),
        (
            "PersistentVolumeClaim",
            "persistentvolumeclaims",
            {"metadata": {"finalizers": ["kubernetes.io/pvc-protection"]}},
        ),
        (
            "VolumeAttachment",
            "volumeattachments.storage.k8s.io",
            {"metadata": {"finalizers": ["external-attacher/disk"]}},
        ),
        ("Secret", "secrets", {"metadata": {"finalizers": ["example.com/x"]}}),
    ],
)
def test_ordinary_items_are_not(kind, resource, content):
    """What stays in its namespace is not mentioned."""
    assert _told(_entry(kind, resource), content) == []


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Role", {}),
        ("ValidatingWebhookConfiguration", {}),
        ("Service", {"type": "LoadBalancer"}),
        ("Ingress", {"rules": [{"host": "shop.example.com"}]}),
        ("Job", {}),
    ],
)
def test_a_kind_of_another_group(kind, spec):
    """What only has the name of a far-reaching kind is said to do nothing of the sort."""
    entry = _entry(kind, f"{kind.lower()}s.example.com")

    assert _told(entry, {"spec": spec}) == []


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
def test_a_custom_resource_that_is_called_a_secret(kind):
    """Its finalizer is told as that of any custom resource."""
    entry = _entry(kind, f"{kind.lower()}s.example.com")

    [told] = _told(entry, {"metadata": {"finalizers": ["example.com/guard"]}})

    assert "finalizer" in told


@pytest.mark.parametrize(
    ("kind", "path", "told"),
    [
        ("Role", "rules", ["changes rights (RBAC)"]),
        ("RoleBinding", "subjects[0].name", ["changes rights (RBAC)"]),
        ("ClusterRole", "metadata.labels", ["changes rights (RBAC)"]),
        ("Role", "metadata.labels[app]", []),
        ("ClusterRole", "metadata.annotations", []),
        ("NetworkPolicy", "spec.ingress[0].ports", ["changes what the network lets "]),
        ("NetworkPolicy", "spec", ["changes what the network lets "]),
        ("NetworkPolicy", "metadata.labels", []),
    ],
)
def test_updates_of_rights_and_traffic(kind, path, told):
    """An update is not said to grant what it may take, nor to do what it does not."""
    change = Difference(path=path, op="remove", left="x")
    entry = _updated(kind, differences=(change,))

    assert [what[:30] for what in _told(entry, {})] == [what[:30] for what in told]


@pytest.mark.parametrize(
    ("kind", "group", "path", "told"),
    [
        (
            "RoleBinding",
            "authorization.openshift.io",
            "subjects[0].name",
            "changes rights (RBAC)",
        ),
        (
            "NetworkPolicy",
            "crd.projectcalico.org",
            "spec.ingress",
            "changes what the network lets through",
        ),
    ],
)
def test_rights_and_policies_of_other_groups(kind, group, path, told):
    """What OpenShift or a network's own policy changes is told as Kubernetes' own is."""
    change = Difference(path=path, op="change", left="a", right="b")
    entry = _updated(kind, group, differences=(change,))

    assert _told(entry, {}) == [told]


def test_a_network_policy_that_is_new():
    """Policies that come with their namespace are no news."""
    entry = _entry("NetworkPolicy", "networkpolicies.networking.k8s.io")

    assert _told(entry, {"spec": {}}) == []


def test_cluster_wide_and_ownerless():
    """Changes to the cluster and lost owners are told of every kind."""
    entry = _entry("Secret", "secrets", cluster_wide=True)
    owner = Owner("example.com/v1", "Shop", "main")

    told = _told(entry, {}, owners=(owner,))

    assert len(told) == 2


def test_a_status_that_gets_lost_is_told():
    """A status is named where the type cannot take it afterwards."""
    entry = _entry("Widget", "widgets.example.com")

    assert _told(entry, {}, had_status=True, status_apart=False) != []
    assert _told(entry, {}, had_status=False, status_apart=False) == []
    assert _told(entry, {}, had_status=True) == []


def test_claims():
    """Empty claims and disks that the source may still use are told."""
    ref = ResourceIdentifier(GroupResource.parse("persistentvolumeclaims"), "s", "d")
    lines = [
        ClaimLine(claim=ref, target=ref, verdict=ClaimVerdict.NONE, loses_data=True),
        ClaimLine(claim=ref, target=ref, verdict=ClaimVerdict.REUSE),
        ClaimLine(claim=ref, target=ref, verdict=ClaimVerdict.REATTACH),
    ]
    book, at_home = NoticeBook(), NoticeBook()

    book.see_claims(lines, same_cluster=False)
    at_home.see_claims(lines, same_cluster=True)

    assert [len(notice.items) for notice in book.notices()] == [1, 2]
    assert len(at_home.notices()) == 1


def test_plain_sentences_are_said_once():
    """The same sentence twice is one notice, before all others."""
    book = NoticeBook()

    book.say("one thing")
    book.say("one thing")

    assert [str(notice) for notice in book.notices()] == ["one thing"]


def test_copy_that_starts_nothing_gets_no_hint():
    """What a copy beside its original does not do twice is not spoken of."""
    book = NoticeBook()
    book.see_original()
    book.see(_entry("Role", "roles.rbac.authorization.k8s.io"), {"metadata": {}})

    assert not any("--quiesce" in str(notice) for notice in book.notices())


def test_copy_that_may_be_beside_its_original_gets_a_hint():
    """Where nobody knows whether it is the backup's cluster, the hint says so."""
    book = NoticeBook()
    book.see_original(sure=False)
    book.see(_entry("Job", "jobs.batch"), {"metadata": {}, "spec": {}})

    hint = str(book.notices()[-1])

    assert "the original, which may be in this cluster, does the same" in hint
    assert "--quiesce" in hint


def test_work_elsewhere_gets_no_hint():
    """Without its original beside it, nothing is done twice."""
    book = NoticeBook()
    book.see(_entry("Job", "jobs.batch"), {"metadata": {}, "spec": {}})

    assert not any("--quiesce" in str(notice) for notice in book.notices())


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (
            "NetworkPolicy",
            {
                "spec": {
                    "ingress": [{"from": [{"namespaceSelector": {"matchLabels": X}}]}]
                }
            },
        ),
        (
            "NetworkPolicy",
            {
                "spec": {
                    "egress": [
                        {"to": [{"namespaceSelector": {"matchExpressions": [IN_X]}}]}
                    ]
                }
            },
        ),
        (
            "MutatingWebhookConfiguration",
            {"webhooks": [{"clientConfig": {"service": {"namespace": "shop"}}}]},
        ),
        ("APIService", {"spec": {"service": {"namespace": "shop", "name": "api"}}}),
        (
            "CustomResourceDefinition",
            {
                "spec": {
                    "conversion": {
                        "webhook": {"clientConfig": {"service": {"namespace": "shop"}}}
                    }
                }
            },
        ),
        ("Deployment", _pod_of(args=["--upstream=http://db.shop.svc:5432"])),
        ("Deployment", _pod_of(args=["--watch-namespaces=shop"])),
        ("CronJob", _pod_of(env=[{"name": "TARGET_NAMESPACE", "value": "shop"}])),
        ("Service", {"spec": {"externalName": "web.shop.svc.cluster.local"}}),
        ("ConfigMap", {"data": {"web.yaml": "db:\n  namespace: shop\n"}}),
        ("ConfigMap", {"data": {"rule": 'up{namespace=~"shop"} == 0'}}),
        ("Database", {"spec": {"secretRef": {"name": "x", "namespace": "shop"}}}),
        ("Operator", {"spec": {"watchedNamespaces": ["bank", "shop"]}}),
        ("RoleBinding", {"subjects": [{"name": "system:serviceaccount:shop:web"}]}),
        ("ClusterRoleBinding", {"subjects": [{"name": "system:serviceaccounts:shop"}]}),
    ],
    ids=[
        "policy",
        "policy by expression",
        "webhook",
        "APIService",
        "CRD",
        "argument",
        "watched by argument",
        "variable",
        "external name",
        "file",
        "query",
        "reference",
        "watched",
        "account by name",
        "accounts by group",
    ],
)
def test_a_copy_that_still_points_at_its_original(kind, content):
    """What names the namespace that was copied from is told; without a mapping it is not."""
    entry = _entry(kind, f"{kind.lower()}s.example.k8s.io", namespace="shop-copy")
    item = {"metadata": {"namespace": "shop-copy"}, **content}
    copy, written, at_home = NoticeBook(["shop"]), NoticeBook(["shop"]), NoticeBook()
    copy.see(entry, item)
    written.see(entry, item, body=json.dumps(item).encode())
    at_home.see(entry, item)

    for book in (copy, written):
        assert "still names the namespace" in str(book.notices()[-1])
    assert not any("still names" in str(each) for each in at_home.notices())


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("RoleBinding", {"subjects": [{"name": "web", "namespace": "shop"}]}),
        ("PersistentVolume", {"spec": {"claimRef": {"namespace": "shop"}}}),
        ("Service", {"spec": {"selector": {"app": "shop"}}}),
        ("Deployment", _pod_of(args=["--upstream=db.shop-2.svc", "shop", "my.shop"])),
        ("ConfigMap", {"data": {"namespace": "shop-2", "name": "shop"}}),
        ("Secret", {"data": {"namespace": "shop"}}),
    ],
    ids=["subject", "claim", "label", "other words", "other namespace", "Secret"],
)
def test_a_copy_that_only_sounds_like_its_original(kind, content):
    """A word that is no namespace is not told, nor one that the restore has mapped."""
    entry = _entry(kind, f"{kind.lower()}s.example.k8s.io", namespace="shop-copy")
    copy = NoticeBook(["shop"])

    copy.see(entry, {"kind": kind, "metadata": {"labels": {"app": "shop"}}, **content})

    assert not any("still names" in str(each) for each in copy.notices())


QUIET_POD = {"template": {"spec": {"nodeSelector": {"kbackup.io/quiesced": "true"}}}}
HOST = {"rules": [{"host": "shop.example.com"}]}


@pytest.mark.parametrize(
    ("kind", "before", "after", "words"),
    [
        ("CronJob", {"suspend": True}, {"suspend": False}, "starts work"),
        ("Job", {"suspend": True, "parallelism": 0}, {"parallelism": 1}, "starts work"),
        ("Deployment", {"replicas": 0}, {"replicas": 2}, "starts work"),
        ("StatefulSet", {"replicas": 0}, {}, "starts work"),
        ("DaemonSet", QUIET_POD, {"template": {"spec": {}}}, "starts work"),
        ("Service", {"type": "ClusterIP"}, {"type": "LoadBalancer"}, "load balancer"),
        ("Ingress", {"rules": [{}]}, HOST, "host names"),
    ],
)
def test_an_update_that_wakes_something_is_told(kind, before, after, words):
    """What was kept still and is to act again is announced like what is created."""
    entry = _updated(kind)

    [told] = _told(entry, {"spec": after}, live={"spec": before})

    assert words in told


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("CronJob", {"suspend": False}, {"schedule": "@daily"}),
        ("CronJob", {"suspend": True}, {"suspend": True, "schedule": "@daily"}),
        ("Deployment", {"replicas": 1}, {"replicas": 2}),
        ("Service", {"type": "LoadBalancer"}, {"type": "LoadBalancer", "ports": []}),
        ("Ingress", HOST, HOST),
    ],
)
def test_an_update_of_what_acts_already_is_not(kind, before, after):
    """An update that starts nothing new needs no notice."""
    entry = _updated(kind)

    assert _told(entry, {"spec": after}, live={"spec": before}) == []


@pytest.mark.parametrize(
    ("minor", "spec", "action", "is_told"),
    [
        ("20", {"suspend": True}, PlanAction.CREATE, True),
        ("20+", {"suspend": True, "parallelism": 2}, PlanAction.UNKNOWN, True),
        ("21", {"suspend": True}, PlanAction.CREATE, True),
        ("22", {"suspend": True}, PlanAction.CREATE, False),
        ("", {"suspend": True}, PlanAction.CREATE, False),
        ("20", {"suspend": False}, PlanAction.CREATE, False),
        ("20", {"suspend": True, "parallelism": 0}, PlanAction.CREATE, False),
        ("20", {"suspend": True}, PlanAction.UPDATE, False),
    ],
)
def test_suspended_job_that_would_run(minor, spec, action, is_told):
    """A suspended Job that an old server would start is told, one held otherwise is not."""
    book = NoticeBook(version=ServerVersion(major="1", minor=minor))

    book.see(_entry("Job", "jobs.batch", action=action), {"metadata": {}, "spec": spec})

    told = [notice.what for notice in book.notices()]
    assert any("drops spec.suspend" in each for each in told) is is_told


def test_suspended_cron_job_is_held_everywhere():
    """Every server knows that a CronJob is suspended."""
    book = NoticeBook(version=ServerVersion(major="1", minor="20"))

    book.see(
        _entry("CronJob", "cronjobs.batch"), {"metadata": {}, "spec": {"suspend": True}}
    )

    assert book.notices() == ()
