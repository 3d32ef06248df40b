"""The built-in resource types that the simulated cluster serves: data, nothing else.

A row is: versions (first is preferred), resource, kind, short names, flags, categories.
Flags: ``n`` namespaced, ``s`` status sub-resource, ``c`` create only (reviews),
``g`` counts generations, ``u`` may be updated without resourceVersion.
"""

from __future__ import annotations

Row = tuple[str, str, str, str, str, str]

# Groups in the order in which discovery offers them.
BUILT_IN: dict[str, tuple[Row, ...]] = {
    "": (
        ("v1", "bindings", "Binding", "", "nc", ""),
        ("v1", "configmaps", "ConfigMap", "cm", "nu", ""),
        ("v1", "endpoints", "Endpoints", "ep", "nu", ""),
        ("v1", "events", "Event", "ev", "nu", ""),
        ("v1", "limitranges", "LimitRange", "limits", "nu", ""),
        ("v1", "namespaces", "Namespace", "ns", "su", ""),
        ("v1", "nodes", "Node", "no", "su", ""),
        ("v1", "persistentvolumeclaims", "PersistentVolumeClaim", "pvc", "nsu", ""),
        ("v1", "persistentvolumes", "PersistentVolume", "pv", "su", ""),
        ("v1", "pods", "Pod", "po", "nsu", "all"),
        ("v1", "podtemplates", "PodTemplate", "", "nu", ""),
        ("v1", "replicationcontrollers", "ReplicationController", "rc", "nsgu", "all"),
        ("v1", "resourcequotas", "ResourceQuota", "quota", "nsu", ""),
        ("v1", "secrets", "Secret", "", "nu", ""),
        ("v1", "serviceaccounts", "ServiceAccount", "sa", "nu", ""),
        ("v1", "services", "Service", "svc", "nsu", "all"),
    ),
    "apiregistration.k8s.io": (("v1", "apiservices", "APIService", "", "su", "api-extensions"),),
    "apps": (
        ("v1", "controllerrevisions", "ControllerRevision", "", "nu", ""),
        ("v1", "daemonsets", "DaemonSet", "ds", "nsgu", "all"),
        ("v1", "deployments", "Deployment", "deploy", "nsgu", "all"),
        ("v1", "replicasets", "ReplicaSet", "rs", "nsgu", "all"),
        ("v1", "statefulsets", "StatefulSet", "sts", "nsgu", "all"),
    ),
    "events.k8s.io": (("v1", "events", "Event", "ev", "nu", ""),),
    "authentication.k8s.io": (
        ("v1", "selfsubjectreviews", "SelfSubjectReview", "", "c", ""),
    ),
    "authorization.k8s.io": (
        ("v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", "", "c", ""),
    ),
    "autoscaling": (
        ("v2 v1", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "hpa", "nsu", "all"),
    ),
    "batch": (
        ("v1", "cronjobs", "CronJob", "cj", "nsgu", "all"),
        ("v1", "jobs", "Job", "", "nsgu", "all"),
    ),
    "networking.k8s.io": (
        ("v1", "ingressclasses", "IngressClass", "", "gu", ""),
        ("v1", "ingresses", "Ingress", "ing", "nsgu", ""),
        ("v1", "networkpolicies", "NetworkPolicy", "netpol", "ngu", ""),
    ),
    "policy": (
        ("v1", "poddisruptionbudgets", "PodDisruptionBudget", "pdb", "nsg", ""),
    ),
    "rbac.authorization.k8s.io": (
        ("v1", "clusterrolebindings", "ClusterRoleBinding", "", "u", ""),
        ("v1", "clusterroles", "ClusterRole", "", "u", ""),
        ("v1", "rolebindings", "RoleBinding", "", "nu", ""),
        ("v1", "roles", "Role", "", "nu", ""),
    ),
    "storage.k8s.io": (
        ("v1", "csidrivers", "CSIDriver", "", "u", ""),
        ("v1", "csinodes", "CSINode", "", "u", ""),
        ("v1", "csistoragecapacities", "CSIStorageCapacity", "", "nu", ""),
        ("v1", "storageclasses", "StorageClass", "sc", "u", ""),
        ("v1", "volumeattachments", "VolumeAttachment", "", "su", ""),
    ),
    "admissionregistration.k8s.io": (
        ("v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", "", "gu", "api-extensions"),
        ("v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", "", "sgu", "api-extensions"),
        ("v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", "", "gu", "api-extensions"),
        ("v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", "", "gu", "api-extensions"),
    ),
    "apiextensions.k8s.io": (
        ("v1", "customresourcedefinitions", "CustomResourceDefinition", "crd crds", "sg", "api-extensions"),
    ),
    "scheduling.k8s.io": (("v1", "priorityclasses", "PriorityClass", "pc", "gu", ""),),
    "coordination.k8s.io": (("v1", "leases", "Lease", "", "nu", ""),),
    "discovery.k8s.io": (("v1", "endpointslices", "EndpointSlice", "", "ngu", ""),),
}  # fmt: skip

_SCALE = (("scale", "autoscaling/v1 Scale", "get patch update"),)

# Sub-resources beside status, by (group, resource): name, kind, verbs. Before the kind
# stands its version where that is not its type's.
SUBRESOURCES: dict[tuple[str, str], tuple[tuple[str, str, str], ...]] = {
    ("", "namespaces"): (("finalize", "Namespace", "update"),),
    ("", "pods"): (
        ("exec", "PodExecOptions", "create get"),
        ("log", "Pod", "get"),
    ),
    ("", "replicationcontrollers"): _SCALE,
    ("apps", "deployments"): _SCALE,
    ("apps", "replicasets"): _SCALE,
    ("apps", "statefulsets"): _SCALE,
}

# What a field selector may ask for, beside the name and the namespace.
FIELD_SELECTORS: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "pods"): (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.phase",
        "status.podIP",
    ),
    ("", "events"): (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    ("", "namespaces"): ("status.phase",),
    ("", "nodes"): ("spec.unschedulable",),
    ("", "secrets"): ("type",),
    ("", "services"): ("spec.clusterIP", "spec.type"),
    ("", "replicationcontrollers"): ("status.replicas",),
    ("apps", "replicasets"): ("status.replicas",),
    ("batch", "jobs"): ("status.successful",),
}
