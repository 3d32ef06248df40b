"""The types of Kubernetes that kbackup knows by name, and Velero's namespace.

Those of groups that are gone (``extensions``) stand where they are treated as twins.
Public as ``kbackup.models.well_known``.
"""

from __future__ import annotations

from kbackup.models._meta import GroupResource

CLUSTER_ROLES = GroupResource("rbac.authorization.k8s.io", "clusterroles")
CLUSTER_ROLE_BINDINGS = GroupResource(
    "rbac.authorization.k8s.io", "clusterrolebindings"
)
CONFIG_MAPS = GroupResource("", "configmaps")
CONTROLLER_REVISIONS = GroupResource("apps", "controllerrevisions")
CRDS = GroupResource("apiextensions.k8s.io", "customresourcedefinitions")
ENDPOINTS = GroupResource("", "endpoints")
INGRESSES = GroupResource("networking.k8s.io", "ingresses")
INGRESS_CLASSES = GroupResource("networking.k8s.io", "ingressclasses")
JOBS = GroupResource("batch", "jobs")
MUTATING_WEBHOOKS = GroupResource(
    "admissionregistration.k8s.io", "mutatingwebhookconfigurations"
)
NAMESPACES = GroupResource("", "namespaces")
NODES = GroupResource("", "nodes")
PERSISTENT_VOLUMES = GroupResource("", "persistentvolumes")
PERSISTENT_VOLUME_CLAIMS = GroupResource("", "persistentvolumeclaims")
PODS = GroupResource("", "pods")
PRIORITY_CLASSES = GroupResource("scheduling.k8s.io", "priorityclasses")
REPLICA_SETS = GroupResource("apps", "replicasets")
RUNTIME_CLASSES = GroupResource("node.k8s.io", "runtimeclasses")
SECRETS = GroupResource("", "secrets")
SERVICES = GroupResource("", "services")
SERVICE_ACCOUNTS = GroupResource("", "serviceaccounts")
STORAGE_CLASSES = GroupResource("storage.k8s.io", "storageclasses")
VALIDATING_WEBHOOKS = GroupResource(
    "admissionregistration.k8s.io", "validatingwebhookconfigurations"
)
VOLUME_SNAPSHOTS = GroupResource("snapshot.storage.k8s.io", "volumesnapshots")
VOLUME_SNAPSHOT_CONTENTS = GroupResource(
    "snapshot.storage.k8s.io", "volumesnapshotcontents"
)

VELERO_NAMESPACE = "velero"  # where a Velero server looks for backups and restores


def is_secret(resource: GroupResource | str, kind: str = "") -> bool:
    """Tell whether values of a type are never shown: those of Secrets.

    Args:
        resource: The type, or its full name.
        kind: Where it is known. Another group may call a kind of its own Secret: that
            holds secrets too.
    """
    if isinstance(resource, str):
        return resource == SECRETS.resource or kind == "Secret"
    return resource == SECRETS or kind == "Secret"
