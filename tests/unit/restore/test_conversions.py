"""Conversions of bodies: what goes where, what is written out, and what has no home."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion_samples import (
    AUTOSCALED,
    BUDGETS,
    INGRESSES,
    NAMESPACE,
    SAMPLES,
    SELECTOR,
    SLICES,
    WEBHOOK,
    WEBHOOKS,
    crd,
    item,
    told,
)
from kbackup.plugins.engine import ODD
from kbackup.restore.conversions import CONVERSIONS

TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}
NO_LIMIT = 2147483647


def row(body, target=""):
    """Return the conversion of an object, to a version or to the last there is."""
    head = (body["apiVersion"], body["kind"])
    rows = [each for each in CONVERSIONS if (each.source, each.kind) == head]
    return next(x for x in rows[::-1] if target in ("", x.target))


def converted(body, target=""):
    """Return an object converted, which loses nothing."""
    body = copy.deepcopy(body)
    assert row(body, target).apply(body) == ()
    return body


def lost_of(body):
    """Return what has no home, as it is told."""
    return [str(each) for each in row(body).apply(copy.deepcopy(body))]


def test_each_conversion_stands_once():
    """No two rows of the table say different things of one version."""
    pairs = [(each.kind, each.source, each.target) for each in CONVERSIONS]

    assert len(set(pairs)) == len(pairs)
    assert all(each.source != each.target for each in CONVERSIONS)


@pytest.mark.parametrize("sample", SAMPLES, ids=told)
def test_nothing_of_the_samples_is_lost(sample):
    """What has a home in the newer version is not refused, and its name stays."""
    for each in [x for x in CONVERSIONS if x.source == sample["apiVersion"]]:
        if each.kind != sample["kind"]:
            continue
        body = copy.deepcopy(sample)
        assert each.apply(body) == ()
        assert body["apiVersion"] == each.target
        assert body["metadata"]["name"] == sample["metadata"]["name"]


# --- autoscalers ------------------------------------------------------------------------


def scaled(**parts):
    """Return an autoscaler."""
    body = item("autoscaling/v2beta1", "HorizontalPodAutoscaler", "web", AUTOSCALED)
    return {**copy.deepcopy(body), **parts}


def test_the_target_of_a_container():
    """A metric of one container keeps the container beside its target."""
    container = {"name": "cpu", "container": "main", "targetAverageUtilization": 60}
    metrics = [{"type": "ContainerResource", "containerResource": container}]
    body = scaled(spec={**AUTOSCALED, "metrics": metrics})

    (found,) = converted(body)["spec"]["metrics"]

    assert found["containerResource"] == {
        "name": "cpu",
        "container": "main",
        "target": {"type": "Utilization", "averageUtilization": 60},
    }


DESCRIBED = {"kind": "Service", "name": "web"}


@pytest.mark.parametrize(
    ("kind", "current", "expected"),
    [
        (
            "resource",
            {
                "name": "cpu",
                "currentAverageUtilization": 5,
                "currentAverageValue": "1m",
            },
            {
                "name": "cpu",
                "current": {"averageUtilization": 5, "averageValue": "1m"},
            },
        ),
        (
            "pods",
            {"metricName": "hits", "currentAverageValue": "3"},
            {"metric": {"name": "hits"}, "current": {"averageValue": "3"}},
        ),
        (
            "object",
            {"metricName": "hits", "target": DESCRIBED, "currentValue": "3"},
            {
                "metric": {"name": "hits"},
                "describedObject": DESCRIBED,
                "current": {"value": "3"},
            },
        ),
        (
            "external",
            {
                "metricName": "hits",
                "metricSelector": SELECTOR,
                "currentValue": "3",
                "currentAverageValue": "1",
            },
            {
                "metric": {"name": "hits", "selector": SELECTOR},
                "current": {"value": "3", "averageValue": "1"},
            },
        ),
    ],
)
def test_what_an_autoscaler_saw_last(kind, current, expected):
    """A status that is restored is one of the newer version."""
    status = {"currentMetrics": [{"type": kind.title(), kind: current}]}

    (found,) = converted(scaled(status=status))["status"]["currentMetrics"]

    assert found[kind] == expected


def test_a_behavior_leaves_the_other_annotations():
    """The behavior becomes a field, and what users wrote beside it stays."""
    behavior = json.dumps({"ScaleUp": {"Policies": [{"Type": "Pods"}], "Other": None}})
    key = "autoscaling.alpha.kubernetes.io/behavior"
    body = scaled()
    body["metadata"]["annotations"] = {key: behavior, "team": "a"}

    found = converted(body)

    assert found["spec"]["behavior"] == {"scaleUp": {"policies": [{"type": "Pods"}]}}
    assert found["metadata"]["annotations"] == {"team": "a"}
    body["metadata"]["annotations"] = {key: behavior}
    assert "annotations" not in converted(body)["metadata"]
    body["metadata"]["annotations"] = {key: "{"}
    assert len(lost_of(body)) == 1


def test_a_subject_of_another_group():
    """A subject that is none of Kubernetes' kinds keeps its group."""
    body = item(
        "rbac.authorization.k8s.io/v1alpha1",
        "RoleBinding",
        "web",
        subjects=[{"kind": "Robot", "name": "r", "apiVersion": "example.com/v1"}],
    )

    (found,) = converted(body)["subjects"]

    assert found == {"kind": "Robot", "name": "r", "apiGroup": "example.com"}


# --- workloads, which no server of today serves in old versions ------------------------


def workload(api_version, kind, **spec):
    """Return a workload with a template of labels."""
    return item(api_version, kind, "web", {"template": TEMPLATE, **spec})


LABELLED = {"selector": SELECTOR, "template": TEMPLATE}
ROLLING = {
    "type": "RollingUpdate",
    "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1},
}
ON_DELETE = {"updateStrategy": {"type": "OnDelete"}}


@pytest.mark.parametrize(
    ("body", "spec"),
    [
        (
            workload("extensions/v1beta1", "Deployment"),
            {
                **LABELLED,
                "strategy": ROLLING,
                "revisionHistoryLimit": NO_LIMIT,
                "progressDeadlineSeconds": NO_LIMIT,
            },
        ),
        (
            workload(
                "extensions/v1beta1",
                "Deployment",
                selector={"matchLabels": {"a": "b"}},
                strategy={"type": "Recreate"},
                revisionHistoryLimit=3,
                progressDeadlineSeconds=60,
            ),
            {
                "template": TEMPLATE,
                "selector": {"matchLabels": {"a": "b"}},
                "strategy": {"type": "Recreate"},
                "revisionHistoryLimit": 3,
                "progressDeadlineSeconds": 60,
            },
        ),
        (
            workload("apps/v1beta1", "Deployment"),
            {**LABELLED, "revisionHistoryLimit": 2},
        ),
        (
            workload("apps/v1beta2", "Deployment", selector=SELECTOR, replicas=0),
            {**LABELLED, "replicas": 0},
        ),
        (workload("extensions/v1beta1", "ReplicaSet", replicas=2), None),
        (workload("extensions/v1beta1", "DaemonSet"), {**LABELLED, **ON_DELETE}),
        (
            workload(
                "extensions/v1beta1",
                "DaemonSet",
                updateStrategy={"type": "RollingUpdate"},
            ),
            {**LABELLED, "updateStrategy": {"type": "RollingUpdate"}},
        ),
        (workload("apps/v1beta1", "StatefulSet"), {**LABELLED, **ON_DELETE}),
    ],
    ids=lambda x: f"{x['apiVersion']}-{x['kind']}" if "kind" in (x or ()) else "",
)
def test_workloads_go_on_as_they_did(body, spec):
    """What an old version took for granted is written out for apps/v1."""
    found = converted(body)

    assert found["apiVersion"] == "apps/v1"
    assert found["spec"] == (spec or {**LABELLED, "replicas": 2})


def test_workloads_without_labels_have_those_of_their_pods():
    """What the old version copied from the template is there in the new one."""
    body = workload("extensions/v1beta1", "ReplicaSet")

    assert converted(body)["metadata"]["labels"] == {"app": "web"}
    body["metadata"]["labels"] = {"team": "a"}
    assert converted(body)["metadata"]["labels"] == {"team": "a"}


@pytest.mark.parametrize("api_version", ["extensions/v1beta1", "apps/v1beta1"])
def test_a_rollback_that_was_asked_for(api_version):
    """A rollback that was not done yet is kept as the API server keeps it in v1."""
    found = converted(workload(api_version, "Deployment", rollbackTo={"revision": 4}))

    annotations = found["metadata"]["annotations"]
    assert annotations == {"deprecated.deployment.rollback.to": "4"}
    assert "rollbackTo" not in found["spec"]


def test_the_generation_of_a_daemon_set():
    """The template's generation is kept as the API server keeps it in v1."""
    found = converted(workload("extensions/v1beta1", "DaemonSet", templateGeneration=7))

    annotations = found["metadata"]["annotations"]
    assert annotations == {"deprecated.daemonset.template.generation": "7"}
    assert "templateGeneration" not in found["spec"]


# --- what 1.20 serves in old versions only ---------------------------------------------


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (SELECTOR, SELECTOR),
        (
            {},
            {
                "matchExpressions": [
                    {
                        "key": "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match",
                        "operator": "Exists",
                    }
                ]
            },
        ),
        (None, None),
        (
            {
                "matchExpressions": [
                    {
                        "key": "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match",
                        "operator": "DoesNotExist",
                    }
                ]
            },
            {},
        ),
    ],
    ids=["some", "empty", "none", "every"],
)
def test_a_budget_keeps_its_pods(selector, expected):
    """A budget that protected no Pod does not protect all of them in v1, nor none."""
    body = copy.deepcopy(BUDGETS[0])
    body["spec"]["selector"] = selector

    assert converted(body)["spec"]["selector"] == expected


def test_endpoints_say_where_they_are():
    """Node and zone come out of the topology, and nothing else is said of it."""
    first, second, third = converted(SLICES[0])["endpoints"]

    assert first == {
        "addresses": ["10.0.0.1"],
        "conditions": {"ready": True},
        "nodeName": "node-1",
        "zone": "a",
    }
    assert second == {"addresses": ["10.0.0.2"]}
    assert third == {"addresses": ["10.0.0.3"]}


def test_a_node_that_is_named_twice():
    """A topology that says no other node than the field does is not in the way."""
    endpoint = {
        "addresses": ["10.0.0.1"],
        "nodeName": "node-1",
        "topology": {"kubernetes.io/hostname": "node-1"},
    }

    (found,) = converted({**SLICES[0], "endpoints": [endpoint]})["endpoints"]

    assert found == {"addresses": ["10.0.0.1"], "nodeName": "node-1"}


# --- field managers --------------------------------------------------------------------

MANAGED = [
    {"manager": "old", "apiVersion": "batch/v1beta1", "fieldsV1": {"f:spec": {}}},
    {"manager": "new", "apiVersion": "batch/v1", "fieldsV1": {"f:spec": {}}},
]


def test_managers_keep_fields_of_the_same_name():
    """Where only the version changes its managers go on under the new one."""
    body = item("batch/v1beta1", "CronJob", "web", {})
    body["metadata"]["managedFields"] = MANAGED

    found = converted(body, "batch/v1")["metadata"]["managedFields"]

    assert [each["apiVersion"] for each in found] == ["batch/v1", "batch/v1"]


def test_managers_of_fields_that_are_called_otherwise():
    """What the server could not read of managers is not given to it."""
    old = {"manager": "old", "apiVersion": "networking.k8s.io/v1beta1"}
    new = {"manager": "new", "apiVersion": "networking.k8s.io/v1"}
    body = copy.deepcopy(INGRESSES[-1])
    body["metadata"]["managedFields"] = [old, new]

    assert converted(body)["metadata"]["managedFields"] == [new]


# --- what has no home ------------------------------------------------------------------


def changed(body, path, value):
    """Return an object with another value at a path."""
    body = copy.deepcopy(body)
    place = body
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return body


SLICE, INGRESS = SLICES[0], INGRESSES[-1]
TOPOLOGY = {"topology.kubernetes.io/region": "eu"}
OTHER_NODE = {"nodeName": "a", "topology": {"kubernetes.io/hostname": "b"}}
HOMELESS = [
    (
        changed(INGRESS, ["spec", "ingressClassName"], "nginx"),
        "metadata.annotations[kubernetes.io/ingress.class]: a new Ingress may not have",
    ),
    (
        changed(INGRESS, ["spec", "tls"], [{}, {"secretName": "not_a name"}]),
        "spec.tls[1].secretName: v1 takes the name of a Secret only",
    ),
    (
        item(
            "autoscaling/v2beta1",
            "HorizontalPodAutoscaler",
            "web",
            AUTOSCALED,
            annotations={"autoscaling.alpha.kubernetes.io/behavior": "[]"},
        ),
        "metadata.annotations[autoscaling.alpha.kubernetes.io/behavior]: it is no",
    ),
    (
        changed(SLICE, ["endpoints", 1, "topology"], TOPOLOGY),
        "endpoints[1].topology[topology.kubernetes.io/region]: v1 drops it",
    ),
    (
        changed(SLICE, ["endpoints", 1], {"addresses": [], **OTHER_NODE}),
        "endpoints[1].topology[kubernetes.io/hostname]: v1 drops it",
    ),
    (changed(SLICE, ["addressType"], "IP"), "addressType: v1 knows IPv4, IPv6"),
    *(
        (
            changed(WEBHOOKS[0], ["webhooks", 0, "sideEffects"], value),
            "webhooks[0].sideEffects: v1 takes None and NoneOnDryRun only",
        )
        for value in (None, "Unknown", "Some")
    ),
    (
        changed(WEBHOOKS[1], ["webhooks"], [WEBHOOK, WEBHOOK]),
        "webhooks[1].name: in v1 each webhook",
    ),
    (
        item("apps/v1beta1", "Deployment", "web", {"template": {"spec": {}}}),
        "spec.selector: v1 needs one",
    ),
    (crd("nones"), "spec.versions: v1 needs one"),
    (
        crd("bares", version="v1", preserveUnknownFields=False),
        "spec.versions[0].schema: v1 needs a structural schema, this one has none",
    ),
    (
        crd(
            "untypeds",
            version="v1",
            preserveUnknownFields=False,
            validation={
                "openAPIV3Schema": {
                    "type": "object",
                    "properties": {"a": {"minimum": 1}},
                }
            },
        ),
        "spec.versions[0].schema.openAPIV3Schema.properties[a].type: v1 needs a",
    ),
    (
        crd("owns", version="v1") | {"spec": {"group": "x.k8s.io", "version": "v1"}},
        "metadata.annotations[api-approved.kubernetes.io]: v1 wants it",
    ),
]


@pytest.mark.parametrize(("body", "expected"), HOMELESS, ids=lambda x: str(x)[:30])
def test_what_has_no_home_is_named(body, expected):
    """The field and the reason are told, for that and for nothing else."""
    (found,) = lost_of(body)

    assert found.startswith(expected)


def test_every_reason_of_the_table_is_tested():
    """The documentation names no reason that no item could have, and misses none."""
    shown = {
        reason.partition(":")[0]
        for each in CONVERSIONS
        for reason in each.refuses.values()
    }
    found = {
        each.reason.partition(":")[0]
        for body, _ in HOMELESS
        for each in row(body).apply(copy.deepcopy(body))
    }

    assert found == shown


def test_what_the_servers_own_condition_says():
    """A schema that its own server called not structural is refused with its words."""
    body = crd(
        "readies",
        version="v1",
        preserveUnknownFields=False,
        validation={"openAPIV3Schema": {"type": "object"}},
    )
    condition = {"type": "NonStructuralSchema", "status": "True", "message": "it is so"}
    body["status"] = {"conditions": [condition]}

    (found,) = lost_of(body)
    assert found.endswith("v1 needs a structural schema: it is so")

    condition["status"] = "False"
    assert lost_of(body) == []


# --- anything at all -------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["spec", "metadata", "rules", "metrics", "webhooks", "versions", "http"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(st.sampled_from(CONVERSIONS), st.dictionaries(st.sampled_from("ab"), JSON), JSON)
def test_odd_bodies_are_told_as_odd(conversion, more, spec):
    """Whatever an archive holds, a conversion ends, or fails as odd bodies do."""
    body = {
        "apiVersion": conversion.source,
        "kind": conversion.kind,
        "metadata": {"name": "web", "namespace": NAMESPACE},
        "spec": spec,
        "webhooks": spec,
        "endpoints": spec,
        "subjects": spec,
        **more,
    }
    try:
        conversion.apply(body)
    except ODD:
        return

    assert body["apiVersion"] == conversion.target
