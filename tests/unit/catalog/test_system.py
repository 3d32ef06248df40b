"""What belongs to the cluster is skipped, unless the user asked for it."""

from pathlib import Path

import pytest

from kbackup.catalog.engine import (
    SystemObjects,
    is_endpoints_of_selector,
    reference_table,
)
from kbackup.models import GroupResource, ResourceIdentifier

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "system-objects.md"

NOTHING = {"metadata": {}}


def _ref(kind, name, namespace=""):
    """An identifier, from text."""
    return ResourceIdentifier(GroupResource.parse(kind), namespace, name)


def _item(labels=None, annotations=None, owners=None):
    """An item with just the metadata that the table looks at."""
    return {
        "metadata": {
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": owners,
        }
    }


SYSTEM = [
    (_ref("nodes", "node-1"), {}),
    (_ref("events", "x", "shop"), {}),
    (_ref("events.events.k8s.io", "x", "shop"), {}),
    (_ref("backups.velero.io", "x", "velero"), {}),
    (_ref("restores.velero.io", "x", "velero"), {}),
    (_ref("resticrepositories.velero.io", "x", "velero"), {}),
    (_ref("backuprepositories.velero.io", "x", "velero"), {}),
    (_ref("csinodes.storage.k8s.io", "node-1"), {}),
    (_ref("volumeattachments.storage.k8s.io", "x"), {}),
    (_ref("leases.coordination.k8s.io", "x", "shop"), {}),
    (_ref("leasecandidates.coordination.k8s.io", "x", "shop"), {}),
    (_ref("certificatesigningrequests.certificates.k8s.io", "x"), {}),
    (_ref("podcertificaterequests.certificates.k8s.io", "x", "shop"), {}),
    (_ref("clustertrustbundles.certificates.k8s.io", "kubernetes.io:signer:ca"), {}),
    (_ref("resourcepoolstatusrequests.resource.k8s.io", "x"), {}),
    (_ref("csistoragecapacities.storage.k8s.io", "x", "shop"), {}),
    (_ref("resourceslices.resource.k8s.io", "x"), {}),
    (_ref("ipaddresses.networking.k8s.io", "10.0.0.1"), {}),
    (_ref("servicecidrs.networking.k8s.io", "kubernetes"), {}),
    (_ref("storageversions.internal.apiserver.k8s.io", "x"), {}),
    (_ref("componentstatuses", "etcd-0"), {}),
    (_ref("namespaces", "kube-system"), {}),
    (_ref("namespaces", "kube-public"), {}),
    (_ref("namespaces", "kube-node-lease"), {}),
    (_ref("secrets", "x", "kube-system"), {}),
    (
        _ref("configmaps", "lock", "shop"),
        _item(annotations={"control-plane.alpha.kubernetes.io/leader": "{}"}),
    ),
    (
        _ref("endpoints", "lock", "shop"),
        _item(annotations={"control-plane.alpha.kubernetes.io/leader": "{}"}),
    ),
    (_ref("configmaps", "kube-root-ca.crt", "shop"), {}),
    (_ref("configmaps", "openshift-service-ca.crt", "shop"), {}),
    (_ref("configmaps", "istio-ca-root-cert", "shop"), {}),
    (
        _ref("configmaps", "kube-apiserver-legacy-service-account-token-tracking"),
        {},
    ),
    (_ref("services", "kubernetes", "default"), {}),
    (_ref("endpoints", "kubernetes", "default"), {}),
    (_ref("endpointslices.discovery.k8s.io", "kubernetes", "default"), {}),
    (
        _ref("endpointslices.discovery.k8s.io", "kubernetes-x2x", "default"),
        _item(labels={"kubernetes.io/service-name": "kubernetes"}),
    ),
    (
        _ref("endpointslices.discovery.k8s.io", "web-x2x", "shop"),
        _item(
            labels={
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"
            }
        ),
    ),
    (
        _ref("endpointslices.discovery.k8s.io", "web-x2x", "shop"),
        _item(owners=[{"kind": "Service", "controller": True}]),
    ),
    (
        _ref("clusterroles.rbac.authorization.k8s.io", "view"),
        _item(labels={"kubernetes.io/bootstrapping": "rbac-defaults"}),
    ),
    (
        _ref("flowschemas.flowcontrol.apiserver.k8s.io", "exempt"),
        _item(annotations={"apf.kubernetes.io/autoupdate-spec": "true"}),
    ),
    (_ref("flowschemas.flowcontrol.apiserver.k8s.io", "system-nodes"), {}),
    (
        _ref(
            "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io", "workload-low"
        ),
        {},
    ),
    (_ref("deletebackuprequests.velero.io", "b-1", "velero"), {}),
    (_ref("downloadrequests.velero.io", "x", "velero"), {}),
    (_ref("serverstatusrequests.velero.io", "x", "velero"), {}),
    (_ref("podvolumebackups.velero.io", "x", "velero"), {}),
    (_ref("podvolumerestores.velero.io", "x", "velero"), {}),
    (_ref("datadownloads.velero.io", "x", "velero"), {}),
    (_ref("datauploads.velero.io", "x", "velero"), {}),
    (_ref("evictionrequests.lifecycle.k8s.io", "x", "shop"), {}),
    (_ref("evictions.lifecycle.k8s.io", "x", "shop"), {}),
    (_ref("podcheckpoints.checkpoint.k8s.io", "x", "shop"), {}),
    (_ref("storageversionmigrations.storagemigration.k8s.io", "x"), {}),
    (_ref("storageversionmigrations.migration.k8s.io", "x"), {}),
    (_ref("priorityclasses.scheduling.k8s.io", "system-node-critical"), {}),
    (
        _ref("apiservices.apiregistration.k8s.io", "v1.apps"),
        _item(labels={"kube-aggregator.kubernetes.io/automanaged": "onstart"}),
    ),
    (
        _ref("pods", "etcd-node-1", "shop"),
        _item(annotations={"kubernetes.io/config.mirror": "8d"}),
    ),
]
USERS = [
    (_ref("namespaces", "shop"), {}),
    (_ref("backupstoragelocations.velero.io", "default", "velero"), {}),
    (_ref("volumesnapshotlocations.velero.io", "default", "velero"), {}),
    (_ref("schedules.velero.io", "daily", "velero"), {}),
    (_ref("configmaps", "settings", "shop"), {}),
    (_ref("services", "kubernetes", "shop"), {}),
    (_ref("services", "web", "default"), {}),
    (_ref("endpoints", "web", "shop"), {}),
    (_ref("endpointslices.discovery.k8s.io", "by-hand", "shop"), {}),
    (
        _ref("endpointslices.discovery.k8s.io", "by-hand", "shop"),
        _item(labels={"endpointslice.kubernetes.io/managed-by": "staff"}),
    ),
    (
        _ref("flowschemas.flowcontrol.apiserver.k8s.io", "system-nodes"),
        _item(annotations={"apf.kubernetes.io/autoupdate-spec": "false"}),
    ),
    (_ref("priorityclasses.scheduling.k8s.io", "important"), {}),
    (_ref("apiservices.apiregistration.k8s.io", "v1.metrics"), {}),
    (_ref("clusterroles.rbac.authorization.k8s.io", "shop-admin"), {}),
    (
        _ref("flowschemas.flowcontrol.apiserver.k8s.io", "mine"),
        _item(annotations={"apf.kubernetes.io/autoupdate-spec": "false"}),
    ),
]


@pytest.mark.parametrize(("ref", "item"), SYSTEM, ids=lambda x: str(x)[:60])
def test_system_objects_belong_to_the_cluster(ref, item):
    """Each row of the table covers its objects, and include_system lifts it."""
    assert SystemObjects().row_for(ref, item or NOTHING) is not None
    assert SystemObjects(include=True).row_for(ref, item or NOTHING) is None


@pytest.mark.parametrize(("ref", "item"), USERS, ids=lambda x: str(x)[:60])
def test_objects_of_users_are_theirs(ref, item):
    """What merely looks like a system object is restored."""
    assert SystemObjects().row_for(ref, item or NOTHING) is None


def test_a_type_that_is_named_is_restored():
    """A type that the user named one by one is not skipped."""
    leases = GroupResource.parse("leases.coordination.k8s.io")
    system = SystemObjects(named_types=frozenset({leases}))

    assert system.row_for(_ref(str(leases), "x", "shop"), NOTHING) is None
    assert not system.covers_type(leases)
    assert SystemObjects().covers_type(leases)


def test_a_namespace_that_is_named_is_restored():
    """What is in a system namespace is restored when the namespace is named."""
    system = SystemObjects(named_namespaces=frozenset({"kube-system"}))

    assert system.row_for(_ref("secrets", "x", "kube-system"), NOTHING) is None
    assert system.row_for(_ref("secrets", "x", "kube-public"), NOTHING) is not None


def test_what_a_named_namespace_has_of_the_cluster():
    """Naming it brings back what users put there, not what each namespace is given."""
    system = SystemObjects(named_namespaces=frozenset({"kube-system"}))
    given = _ref("configmaps", "kube-root-ca.crt", "kube-system")

    assert system.row_for(given, NOTHING) is not None
    assert system.row_for(_ref("configmaps", "mine", "kube-system"), NOTHING) is None


def test_endpoints_follow_their_service():
    """Endpoints of a Service with a selector are made by a controller."""
    assert is_endpoints_of_selector({"spec": {"selector": {"app": "web"}}})
    assert not is_endpoints_of_selector({"spec": {}})
    assert not is_endpoints_of_selector(None)


def test_reference_page_is_the_table():
    """The page in the documentation holds exactly the table of the code."""
    assert reference_table() in PAGE.read_text(encoding="utf-8")
