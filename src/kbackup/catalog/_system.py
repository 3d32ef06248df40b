"""What belongs to the cluster and not to its users, and is therefore not restored.

One table, printed in ``docs/reference/system-objects.md`` and checked against it by a
test. Asked by the planner for every item; it reads only the item itself.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from kbackup.models import GroupResource, ResourceIdentifier

_Test = Callable[[ResourceIdentifier, Mapping[str, Any]], bool]

SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease")
_LEADER = "control-plane.alpha.kubernetes.io/leader"
_AUTO_UPDATE = "apf.kubernetes.io/autoupdate-spec"
_MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
_SLICE_CONTROLLERS = (  # users name themselves here, as they are told to
    "endpointslice-controller.k8s.io",
    "endpointslicemirroring-controller.k8s.io",
)
_BUILT_IN_FLOWS = (
    "catch-all",
    "endpoint-controller",
    "exempt",
    "global-default",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-system-service-accounts",
    "leader-election",
    "node-high",
    "probes",
    "service-accounts",
    "system",
    "system-leader-election",
    "system-node-high",
    "system-nodes",
    "workload-high",
    "workload-leader-election",
    "workload-low",
)
_AUTOMANAGED = "kube-aggregator.kubernetes.io/automanaged"
_BOOTSTRAPPING = "kubernetes.io/bootstrapping"
_MIRROR = "kubernetes.io/config.mirror"
_PUBLISHED_CONFIG_MAPS = (
    "kube-root-ca.crt",
    "openshift-service-ca.crt",
    "istio-ca-root-cert",
)
_OLD_TOKENS_SINCE = "kube-apiserver-legacy-service-account-token-tracking"


@attrs.frozen(kw_only=True)
class SystemRow:
    """One row of the table.

    Attributes:
        what: What the row covers, as the reference page says it.
        why: Who makes it instead.
        resources: The types it applies to; empty for every type.
        test: Decides about an item of these types; None for all of them.
        by_type: The row covers whole types, so that naming a type lifts it.
        verdict: What the plan says of its items, before it says why.
    """

    what: str
    why: str
    resources: tuple[GroupResource, ...] = ()
    test: _Test | None = None
    by_type: bool = False
    verdict: str = "belongs to the cluster"

    @property
    def reason(self) -> str:
        """What the plan says of an item that is skipped."""
        return f"{self.verdict}: {self.why}"


def _types(*names: str) -> tuple[GroupResource, ...]:
    return tuple(GroupResource.parse(name) for name in names)


def _metadata(item: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    value = (item.get("metadata") or {}).get(field)
    return value if isinstance(value, Mapping) else {}


def _in_system_namespace(ref: ResourceIdentifier, _item: Mapping[str, Any]) -> bool:
    return ref.namespace in SYSTEM_NAMESPACES


def _is_system_namespace(ref: ResourceIdentifier, _item: Mapping[str, Any]) -> bool:
    return ref.name in SYSTEM_NAMESPACES


def _is_kubernetes(ref: ResourceIdentifier, item: Mapping[str, Any]) -> bool:
    if ref.namespace != "default":
        return False
    service = _metadata(item, "labels").get("kubernetes.io/service-name")
    return "kubernetes" in (ref.name, service)


def _named(*names: str) -> _Test:
    return lambda ref, _item: ref.name in names


def _with_prefix(prefix: str) -> _Test:
    return lambda ref, _item: ref.name.startswith(prefix)


def _annotated(name: str, value: str = "") -> _Test:
    def test(_ref: ResourceIdentifier, item: Mapping[str, Any]) -> bool:
        found = _metadata(item, "annotations").get(name)
        return found is not None and value in ("", found)

    return test


def _labelled(name: str) -> _Test:
    return lambda _ref, item: name in _metadata(item, "labels")


def _is_managed_slice(_ref: ResourceIdentifier, item: Mapping[str, Any]) -> bool:
    owners = (item.get("metadata") or {}).get("ownerReferences") or ()
    manager = _metadata(item, "labels").get(_MANAGED_BY)
    return manager in _SLICE_CONTROLLERS or any(
        owner.get("controller") for owner in owners if isinstance(owner, Mapping)
    )


def _is_built_in_flow(ref: ResourceIdentifier, item: Mapping[str, Any]) -> bool:
    kept_by_user = _metadata(item, "annotations").get(_AUTO_UPDATE) == "false"
    return ref.name in _BUILT_IN_FLOWS and not kept_by_user


SYSTEM_TABLE: tuple[SystemRow, ...] = (
    SystemRow(
        what="Nodes, and what tells about them",
        why="the kubelets and drivers of the target register their own",
        resources=_types(
            "nodes", "csinodes.storage.k8s.io", "volumeattachments.storage.k8s.io"
        ),
        by_type=True,
    ),
    SystemRow(
        what="Events",
        why="they tell what happened, elsewhere and earlier",
        resources=_types("events", "events.events.k8s.io"),
        by_type=True,
    ),
    SystemRow(
        what="Velero's own records",
        why="the location brings them back when Velero reads it",
        resources=_types(
            "backups.velero.io",
            "restores.velero.io",
            "resticrepositories.velero.io",
            "backuprepositories.velero.io",
            "podvolumebackups.velero.io",
        ),
        by_type=True,
    ),
    SystemRow(
        what="Requests to a Velero server",
        why="it would carry them out once more: a deletion, too",
        resources=_types(
            "deletebackuprequests.velero.io",
            "downloadrequests.velero.io",
            "serverstatusrequests.velero.io",
            "podvolumerestores.velero.io",
            "datauploads.velero.io",
            "datadownloads.velero.io",
        ),
        by_type=True,
    ),
    SystemRow(
        what="Requests to controllers of Kubernetes",
        why="they would be carried out once more: an eviction, too",
        resources=_types(
            "evictionrequests.lifecycle.k8s.io",
            "evictions.lifecycle.k8s.io",
            "podcheckpoints.checkpoint.k8s.io",
            "storageversionmigrations.storagemigration.k8s.io",
            "storageversionmigrations.migration.k8s.io",  # as a definition, OpenShift's
        ),
        by_type=True,
    ),
    SystemRow(
        what="Leases",
        why="a lease says who leads now",
        resources=_types(
            "leases.coordination.k8s.io", "leasecandidates.coordination.k8s.io"
        ),
        by_type=True,
    ),
    SystemRow(
        what="What controllers, drivers and the API server keep for themselves",
        why="the target makes its own",
        resources=_types(
            "certificatesigningrequests.certificates.k8s.io",
            "podcertificaterequests.certificates.k8s.io",
            "csistoragecapacities.storage.k8s.io",
            "resourceslices.resource.k8s.io",
            "resourcepoolstatusrequests.resource.k8s.io",
            "ipaddresses.networking.k8s.io",
            "servicecidrs.networking.k8s.io",
            "storageversions.internal.apiserver.k8s.io",
            "componentstatuses",
        ),
        by_type=True,
    ),
    SystemRow(
        what="Namespaces kube-system, kube-public and kube-node-lease",
        why="every cluster has its own",
        resources=_types("namespaces"),
        test=_is_system_namespace,
    ),
    SystemRow(
        what="Everything in these namespaces",
        why="it runs the cluster itself",
        test=_in_system_namespace,
    ),
    SystemRow(
        what=f"ConfigMaps and Endpoints that elect a leader (annotation `{_LEADER}`)",
        why="a restored lock would name a leader that is gone",
        resources=_types("configmaps", "endpoints"),
        test=_annotated(_LEADER),
    ),
    SystemRow(
        what="ConfigMaps kube-root-ca.crt, openshift-service-ca.crt and "
        "istio-ca-root-cert",
        why="the target publishes its own certificates under these names",
        resources=_types("configmaps"),
        test=_named(*_PUBLISHED_CONFIG_MAPS),
    ),
    SystemRow(
        what=f"ConfigMap {_OLD_TOKENS_SINCE}",
        why="the API server notes there since when it looks at old tokens",
        resources=_types("configmaps"),
        test=_named(_OLD_TOKENS_SINCE),
    ),
    SystemRow(
        what="ClusterTrustBundles kubernetes.io:*",
        why="the target publishes its own certificates under these names",
        resources=_types("clustertrustbundles.certificates.k8s.io"),
        test=_with_prefix("kubernetes.io:"),
    ),
    SystemRow(
        what="Service, Endpoints and EndpointSlices of default/kubernetes",
        why="the API server writes its own address there",
        resources=_types("services", "endpoints", "endpointslices.discovery.k8s.io"),
        test=_is_kubernetes,
    ),
    SystemRow(
        what="EndpointSlices managed by a controller of Kubernetes "
        f"(label `{_MANAGED_BY}`) or of others (a controlling owner)",
        why="they are made out of Services and Pods",
        resources=_types("endpointslices.discovery.k8s.io"),
        test=_is_managed_slice,
    ),
    SystemRow(
        what=f"Objects with the label `{_BOOTSTRAPPING}`",
        why="the API server makes and keeps them",
        test=_labelled(_BOOTSTRAPPING),
    ),
    SystemRow(
        what=f'Objects annotated `{_AUTO_UPDATE}: "true"`',
        why="the API server makes and keeps them",
        test=_annotated(_AUTO_UPDATE, "true"),
    ),
    SystemRow(
        what="The API server's own FlowSchemas and PriorityLevelConfigurations, by "
        f'their names, unless annotated `{_AUTO_UPDATE}: "false"`',
        why="the API server makes and keeps them",
        resources=_types(
            "flowschemas.flowcontrol.apiserver.k8s.io",
            "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
        ),
        test=_is_built_in_flow,
    ),
    SystemRow(
        what="PriorityClasses system-*",
        why="the API server makes them",
        resources=_types("priorityclasses.scheduling.k8s.io"),
        test=_with_prefix("system-"),
    ),
    SystemRow(
        what=f"APIServices with the label `{_AUTOMANAGED}`",
        why="they follow the CRDs and the built-in groups",
        resources=_types("apiservices.apiregistration.k8s.io"),
        test=_labelled(_AUTOMANAGED),
    ),
    SystemRow(
        what=f"Mirror Pods (annotation `{_MIRROR}`)",
        why="a kubelet makes them from files on its node",
        resources=_types("pods"),
        test=_annotated(_MIRROR),
    ),
)
"""Endpoints of a Service with a selector are the one entry that needs a second item:
the planner asks `is_endpoints_of_selector` about them."""

# Nor does its name lift it, nor `include`. A content names the volume of the source to
# be snapshotted again, or one that was made before, which needs its snapshot's new uid;
# a snapshot names a claim that comes back empty.
SNAPSHOTS_ROW = SystemRow(
    what="Snapshots of volumes, however they are asked for",
    why="a driver would take a new one, of the source's volume or of an empty one",
    resources=_types(
        "volumesnapshots.snapshot.storage.k8s.io",
        "volumesnapshotcontents.snapshot.storage.k8s.io",
        "volumegroupsnapshots.groupsnapshot.storage.k8s.io",
        "volumegroupsnapshotcontents.groupsnapshot.storage.k8s.io",
    ),
    verdict="snapshots are not restored by this version",
)

ENDPOINTS_ROW = SystemRow(
    what="Endpoints of a Service that has a selector",
    why="they are made out of the Service and its Pods",
    resources=_types("endpoints"),
)


_ANY = GroupResource(group="", resource="")


@attrs.frozen(kw_only=True)
class SystemObjects:
    """Answers, for one restore, whether an item belongs to the cluster.

    Attributes:
        include: Nothing belongs to the cluster: the user takes it all.
        named_types: Types that the user named one by one.
        named_namespaces: Namespaces that the user named one by one.
        snapshots: Those of volumes count like anything else: nothing is written.
    """

    include: bool = False
    named_types: frozenset[GroupResource] = frozenset()
    named_namespaces: frozenset[str] = frozenset()
    snapshots: bool = False
    _rows: Mapping[GroupResource, tuple[SystemRow, ...]] = attrs.field(
        init=False, factory=lambda: _rows_by_type(SYSTEM_TABLE), repr=False
    )

    def is_asked_for(self, resource: GroupResource) -> bool:
        """Whether the user wants a type even where it is the cluster's."""
        return self.include or resource in self.named_types

    def covers_type(self, resource: GroupResource) -> bool:
        """Whether every item of a type belongs to the cluster."""
        rows = self._rows.get(resource, ())
        return not self.include and any(
            row.by_type and resource not in self.named_types for row in rows
        )

    def row_for(
        self, ref: ResourceIdentifier, content: Mapping[str, Any]
    ) -> SystemRow | None:
        """The row that covers an item, or None when it is the user's.

        Args:
            ref: The item in the backup.
            content: The parsed item.
        """
        rows = self._rows.get(ref.group_resource)
        if _may_be_marked(ref, content["metadata"]):
            rows = (rows or ()) + self._rows[_ANY]
        if rows is None:
            return None  # most items of most clusters
        if ref.group_resource in SNAPSHOTS_ROW.resources:
            return None if self.snapshots else SNAPSHOTS_ROW
        for row in () if self.include else rows:
            if self._matches(row, ref, content):
                return row
        return None

    def _matches(
        self, row: SystemRow, ref: ResourceIdentifier, content: Mapping[str, Any]
    ) -> bool:
        if row.by_type and ref.group_resource in self.named_types:
            return False
        if row.test is None:
            return True
        if row.test is _in_system_namespace and ref.namespace in self.named_namespaces:
            return False
        if row.test is _is_system_namespace and ref.name in self.named_namespaces:
            return False
        return row.test(ref, content)


def _may_be_marked(ref: ResourceIdentifier, metadata: Mapping[str, Any]) -> bool:
    """Whether any row for all types could match: the quick answer is mostly no."""
    if ref.namespace in SYSTEM_NAMESPACES:
        return True
    labels, annotations = metadata.get("labels"), metadata.get("annotations")
    return (labels is not None and _BOOTSTRAPPING in labels) or (
        annotations is not None and _AUTO_UPDATE in annotations
    )


def is_endpoints_of_selector(service: Mapping[str, Any] | None) -> bool:
    """Whether Endpoints named like *service* are made by a controller."""
    return bool(service and (service.get("spec") or {}).get("selector"))


def reference_table() -> str:
    """The table as the reference page prints it (Markdown)."""
    lines = ["| belongs to the cluster | types | because |", "|---|---|---|"]
    for row in (*SYSTEM_TABLE, ENDPOINTS_ROW, SNAPSHOTS_ROW):
        types = ", ".join(f"`{resource}`" for resource in row.resources) or "all"
        lines.append(f"| {row.what} | {types} | {row.why} |")
    return "\n".join(lines) + "\n"


def _rows_by_type(
    table: Iterable[SystemRow],
) -> dict[GroupResource, tuple[SystemRow, ...]]:
    rows: dict[GroupResource, tuple[SystemRow, ...]] = {_ANY: ()}
    rows |= dict.fromkeys(SNAPSHOTS_ROW.resources, ())  # known, so looked at
    for row in table:
        for resource in row.resources or (_ANY,):
            rows[resource] = (*rows.get(resource, ()), row)
    return rows
