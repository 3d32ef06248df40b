"""Objects in versions that are gone, as people wrote them: for conversions.

Each with the version that it is to be had in. Fields set and unset, for what a version
took for granted is part of what an object means.
"""

NAMESPACE = "old"
SELECTOR = {"matchLabels": {"app": "web"}}
ROLE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
CA = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="
HOOK = {"service": {"namespace": "shop", "name": "hook"}}
POD = {
    "restartPolicy": "Never",
    "containers": [{"name": "main", "image": "example.com/any:1"}],
}


def item(api_version, kind, name, spec=None, *, scoped=False, **more):
    """Return an object; *more* are fields of the body, or annotations and labels."""
    metadata = {"name": name} if scoped else {"name": name, "namespace": NAMESPACE}
    for key in ("annotations", "labels"):
        if key in more:
            metadata[key] = more.pop(key)
    body = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}
    return body if spec is None else {**body, "spec": spec}


def backend(port=80, name="web"):
    """Return a backend as Ingresses had it."""
    return {"serviceName": name, "servicePort": port}


def paths(*found, host="a.example.com"):
    """Return a rule."""
    return {"host": host, "http": {"paths": list(found)}}


INGRESS_SPECS = {
    "default": {"backend": backend()},
    "named-port": {"backend": backend("http")},
    "paths": {
        "rules": [
            paths(
                {"path": "/", "backend": backend()},
                {"backend": backend("http")},
                {"path": "/x", "pathType": "Prefix", "backend": backend(8080)},
                {"path": "/y", "pathType": "Exact", "backend": backend(1)},
            ),
            {"host": "b.example.com"},
            paths({"path": "/", "backend": backend()}, host="*.example.com"),
        ],
        "tls": [{"hosts": ["a.example.com"], "secretName": "cert.a"}, {}],
    },
    "class": {"ingressClassName": "nginx", "backend": backend()},
    "resource": {
        "backend": {
            "resource": {"apiGroup": "k8s.example.com", "kind": "B", "name": "b"}
        }
    },
}
INGRESSES = [
    *(
        item(version, "Ingress", name, spec)
        for version in ("extensions/v1beta1", "networking.k8s.io/v1beta1")
        for name, spec in INGRESS_SPECS.items()
    ),
    item(
        "networking.k8s.io/v1beta1",
        "Ingress",
        "annotated",
        INGRESS_SPECS["default"],
        annotations={"kubernetes.io/ingress.class": "nginx"},
    ),
]


def metric(kind, **source):
    """Return a metric of an autoscaler."""
    return {"type": kind, kind[0].lower() + kind[1:]: source}


AUTOSCALED = {
    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
    "maxReplicas": 3,
}
DESCRIBED = {"apiVersion": "v1", "kind": "Service", "name": "web"}
METRICS = {
    "utilization": metric("Resource", name="cpu", targetAverageUtilization=60),
    "average": metric("Resource", name="memory", targetAverageValue="64Mi"),
    "pods": metric("Pods", metricName="hits", targetAverageValue="10"),
    "pods-selected": metric(
        "Pods", metricName="hits", targetAverageValue="1500m", selector=SELECTOR
    ),
    "object": metric("Object", metricName="hits", target=DESCRIBED, targetValue="10"),
    "object-average": metric(
        "Object",
        metricName="hits",
        target=DESCRIBED,
        targetValue="10",
        averageValue="5",
        selector=SELECTOR,
    ),
    "external": metric("External", metricName="queue", targetValue="30"),
    "external-average": metric(
        "External",
        metricName="queue",
        metricSelector=SELECTOR,
        targetAverageValue="3",
    ),
}
BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
AUTOSCALERS = [
    item("autoscaling/v2beta1", "HorizontalPodAutoscaler", "unset", AUTOSCALED),
    *(
        item(
            "autoscaling/v2beta1",
            "HorizontalPodAutoscaler",
            name,
            {**AUTOSCALED, "minReplicas": 2, "metrics": [found]},
        )
        for name, found in METRICS.items()
    ),
    item(
        "autoscaling/v2beta1",
        "HorizontalPodAutoscaler",
        "all",
        {**AUTOSCALED, "metrics": list(METRICS.values())},
    ),
    item(
        "autoscaling/v2beta1",
        "HorizontalPodAutoscaler",
        "behaves",
        AUTOSCALED,
        annotations={
            BEHAVIOR: '{"ScaleUp":{"StabilizationWindowSeconds":5,"SelectPolicy":"Max",'
            '"Policies":[{"Type":"Pods","Value":4,"PeriodSeconds":15}]},'
            '"ScaleDown":{"StabilizationWindowSeconds":300,"SelectPolicy":"Disabled",'
            '"Policies":[{"Type":"Percent","Value":10,"PeriodSeconds":60}]}}',
            "team": "shop",
        },
    ),
]

WEBHOOK = {
    "name": "a.example.com",
    "clientConfig": HOOK,
    "sideEffects": "None",
    "rules": [
        {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": ["CREATE"],
            "resources": ["nothings"],
        }
    ],
}
SET_WEBHOOK = {
    **WEBHOOK,
    "name": "b.example.com",
    "admissionReviewVersions": ["v1", "v1beta1"],
    "failurePolicy": "Fail",
    "matchPolicy": "Equivalent",
    "timeoutSeconds": 5,
    "sideEffects": "NoneOnDryRun",
    "namespaceSelector": {"matchLabels": {"a": "b"}},
    "objectSelector": SELECTOR,
    "clientConfig": {
        "service": {
            "namespace": "shop",
            "name": "hook",
            "path": "/p",
            "port": 8443,
        }
    },
}
WEBHOOKS = [
    item(
        "admissionregistration.k8s.io/v1beta1",
        kind,
        f"old-{kind[:3].lower()}",
        scoped=True,
        webhooks=[WEBHOOK, SET_WEBHOOK],
    )
    for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
]

OPENING = {"type": "object", "properties": {"spec": {"type": "object"}}}
COLUMN = {"name": "A", "type": "string", "JSONPath": ".spec.a", "priority": 1}


def crd(plural, **spec):
    """Return a definition of ``apiextensions.k8s.io/v1beta1``."""
    group = "old.example.com"
    kind = plural[:-1].title()
    names = {"plural": plural, "kind": kind}
    spec = {"group": group, "names": names, **spec}
    name = f"{plural}.{group}"
    api_version = "apiextensions.k8s.io/v1beta1"
    return item(api_version, "CustomResourceDefinition", name, spec, scoped=True)


DEFINITIONS = [
    crd("plains", version="v1"),
    crd("globals", version="v1", scope="Cluster", preserveUnknownFields=True),
    crd(
        "shareds",
        version="v1",
        versions=[
            {"name": "v1", "served": True, "storage": True},
            {"name": "v2", "served": False, "storage": False},
        ],
        scope="Namespaced",
        preserveUnknownFields=False,
        validation={"openAPIV3Schema": OPENING},
        subresources={
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
            },
        },
        additionalPrinterColumns=[COLUMN],
    ),
    crd(
        "aparts",
        preserveUnknownFields=False,
        versions=[
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": OPENING},
                "subresources": {"status": {}},
                "additionalPrinterColumns": [COLUMN],
            },
            {
                "name": "v2",
                "served": True,
                "storage": False,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            },
        ],
    ),
    crd(
        "hookeds",
        version="v1",
        preserveUnknownFields=False,
        validation={"openAPIV3Schema": OPENING},
        conversion={"strategy": "Webhook", "webhookClientConfig": HOOK},
    ),
    crd(
        "reviewers",
        version="v1",
        preserveUnknownFields=False,
        validation={"openAPIV3Schema": OPENING},
        conversion={
            "strategy": "Webhook",
            "webhookClientConfig": HOOK,
            "conversionReviewVersions": ["v1", "v1beta1"],
        },
    ),
]

RBAC = "rbac.authorization.k8s.io"
SUBJECTS = [
    {"kind": "ServiceAccount", "name": "default", "namespace": NAMESPACE},
    {"kind": "User", "name": "alice"},
    {"kind": "Group", "name": "team", "apiGroup": RBAC},
]
OLD_SUBJECTS = [
    {"kind": "ServiceAccount", "name": "default", "namespace": NAMESPACE},
    {"kind": "User", "name": "*", "apiVersion": f"{RBAC}/v1alpha1"},
    {"kind": "Group", "name": "team", "apiVersion": f"{RBAC}/v1alpha1"},
]
ROLES = [
    made
    for version in ("v1alpha1", "v1beta1")
    for made in (
        item(f"{RBAC}/{version}", "Role", f"r-{version}", rules=RULES),
        item(
            f"{RBAC}/{version}", "ClusterRole", f"c-{version}", rules=RULES, scoped=True
        ),
        item(
            f"{RBAC}/{version}",
            "ClusterRole",
            f"a-{version}",
            scoped=True,
            rules=[],
            aggregationRule={"clusterRoleSelectors": [SELECTOR]},
        ),
        item(
            f"{RBAC}/{version}",
            "RoleBinding",
            f"rb-{version}",
            roleRef=ROLE,
            subjects=SUBJECTS if version == "v1beta1" else OLD_SUBJECTS,
        ),
        item(
            f"{RBAC}/{version}",
            "ClusterRoleBinding",
            f"crb-{version}",
            scoped=True,
            roleRef={"kind": "ClusterRole", "name": "view"},
            subjects=SUBJECTS if version == "v1beta1" else OLD_SUBJECTS,
        ),
    )
]

BUDGETS = [
    item("policy/v1beta1", "PodDisruptionBudget", name, spec)
    for name, spec in {
        "least": {"minAvailable": 1, "selector": SELECTOR},
        "most": {"maxUnavailable": "50%", "selector": SELECTOR},
        "empty": {"minAvailable": 1, "selector": {}},
        "none": {"minAvailable": 1},
    }.items()
]
SLICES = [
    item(
        "discovery.k8s.io/v1beta1",
        "EndpointSlice",
        "web",
        addressType="IPv4",
        ports=[{"name": "", "port": 80, "protocol": "TCP"}],
        endpoints=[
            {
                "addresses": ["10.0.0.1"],
                "conditions": {"ready": True},
                "topology": {
                    "kubernetes.io/hostname": "node-1",
                    "topology.kubernetes.io/zone": "a",
                },
            },
            {"addresses": ["10.0.0.2"]},
            {"addresses": ["10.0.0.3"], "topology": {}},
        ],
    )
]
JOB = {"spec": {"template": {"spec": POD}}}
CRON_SPECS = {
    "unset": {"schedule": "0 0 1 1 *", "jobTemplate": JOB},
    "set": {
        "schedule": "0 0 1 1 *",
        "jobTemplate": JOB,
        "suspend": True,
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": 30,
        "successfulJobsHistoryLimit": 1,
        "failedJobsHistoryLimit": 0,
    },
}
CRON_JOBS = [
    item(version, "CronJob", name, spec)
    for version in ("batch/v1beta1", "batch/v2alpha1")
    for name, spec in CRON_SPECS.items()
]
OTHERS = [
    item(
        "networking.k8s.io/v1beta1",
        "IngressClass",
        "old",
        {
            "controller": "example.com/c",
            "parameters": {"apiGroup": "example.com", "kind": "P", "name": "p"},
        },
        scoped=True,
    ),
    item(
        "apiregistration.k8s.io/v1beta1",
        "APIService",
        "v1.old-api.example.com",
        {
            "group": "old-api.example.com",
            "version": "v1",
            "groupPriorityMinimum": 1,
            "versionPriority": 1,
            "insecureSkipTLSVerify": True,
            "service": {"namespace": "shop", "name": "api"},
        },
        scoped=True,
    ),
    *(
        item(
            f"scheduling.k8s.io/{version}",
            "PriorityClass",
            f"old-{version}",
            scoped=True,
            value=10,
            description="old",
        )
        for version in ("v1alpha1", "v1beta1")
    ),
    item(
        "storage.k8s.io/v1beta1",
        "StorageClass",
        "old",
        scoped=True,
        provisioner="example.com/p",
        parameters={"a": "b"},
    ),
    item("storage.k8s.io/v1beta1", "CSIDriver", "old.example.com", {}, scoped=True),
    item(
        "storage.k8s.io/v1beta1",
        "CSIDriver",
        "set.example.com",
        {
            "attachRequired": False,
            "podInfoOnMount": True,
            "volumeLifecycleModes": ["Ephemeral"],
        },
        scoped=True,
    ),
    *(
        item(
            f"storage.k8s.io/{version}",
            "VolumeAttachment",
            f"old-{version}",
            {
                "attacher": "example.com",
                "nodeName": "node-1",
                "source": {"persistentVolumeName": "pv"},
            },
            scoped=True,
        )
        for version in ("v1alpha1", "v1beta1")
    ),
    item(
        "coordination.k8s.io/v1beta1",
        "Lease",
        "old",
        {"holderIdentity": "a", "leaseDurationSeconds": 5},
    ),
    item(
        "node.k8s.io/v1beta1",
        "RuntimeClass",
        "old",
        scoped=True,
        handler="runsc",
        overhead={"podFixed": {"cpu": "1"}},
        scheduling={"nodeSelector": {"a": "b"}},
    ),
]

SAMPLES = [
    *INGRESSES,
    *AUTOSCALERS,
    *WEBHOOKS,
    *DEFINITIONS,
    *ROLES,
    *BUDGETS,
    *SLICES,
    *CRON_JOBS,
    *OTHERS,
]


def told(body):
    """Name a sample."""
    return f"{body['apiVersion']}-{body['kind']}-{body['metadata']['name']}"


# What was made in the newer version, and backed up in the older one.
NEWER = [
    item(
        "autoscaling/v2beta2",
        "HorizontalPodAutoscaler",
        "newer",
        {
            **AUTOSCALED,
            "metrics": [
                {
                    "type": "Object",
                    "object": {
                        "describedObject": DESCRIBED,
                        "metric": {"name": "hits"},
                        "target": {"type": "AverageValue", "averageValue": "5"},
                    },
                }
            ],
            "behavior": {
                "scaleUp": {
                    "stabilizationWindowSeconds": 5,
                    "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}],
                }
            },
        },
    ),
    item(
        "networking.k8s.io/v1",
        "Ingress",
        "newer",
        {"defaultBackend": {"service": {"name": "web", "port": {"name": "http"}}}},
    ),
    crd(
        "newers",
        versions=[
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": OPENING},
                "additionalPrinterColumns": [
                    {"name": "A", "type": "string", "jsonPath": ".spec.a"}
                ],
            }
        ],
        scope="Cluster",
    )
    | {"apiVersion": "apiextensions.k8s.io/v1"},
]
