"""The scale sub-resource of the simulated API server is the real one's."""

import pytest

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"

SELECTOR = {
    "matchLabels": {"app": "web", "a": "b"},
    "matchExpressions": [
        {"key": "tier", "operator": "In", "values": ["front", "back"]},
        {"key": "old", "operator": "DoesNotExist"},
    ],
}
LABELS = {"app": "web", "a": "b", "tier": "front"}


def workload(kind, api_version="apps/v1", selector=None):
    """Return a workload of two replicas, whose Pods no node can take."""
    spec = {
        "replicas": 2,
        "selector": SELECTOR if selector is None else selector,
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]},
        },
    }
    if kind == "StatefulSet":
        spec["serviceName"] = "web"
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "web"},
        "spec": spec,
    }


@pytest.fixture(name="path")
def fixture_path(api, namespace, in_namespace):
    """The path of a Deployment ``web`` in a fresh namespace."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    assert api.request("POST", path, workload("Deployment"))[0] == 201
    return f"{path}/web"


def scaled_down(api, path):
    """Scale to no replicas; return the Scale."""
    patch = {"spec": {"replicas": 0}}
    status, scale = api.request("PATCH", f"{path}/scale", patch, content_type=MERGE)
    assert status == 200
    return scale


@pytest.mark.parametrize(
    ("kind", "plural"),
    [
        ("Deployment", "deployments"),
        ("ReplicaSet", "replicasets"),
        ("StatefulSet", "statefulsets"),
    ],
)
def test_workloads_are_scaled_alike(api, namespace, in_namespace, kind, plural):
    """Every workload has a Scale; what is written to it becomes its replicas."""
    path = f"/apis/apps/v1/namespaces/{namespace}/{plural}"
    _, made = api.request("POST", path, workload(kind))

    status, scale = api.request("GET", f"{path}/web/scale")
    patched, after = api.request(
        "PATCH", f"{path}/web/scale", {"spec": {"replicas": 5}}, content_type=MERGE
    )
    _, now = api.request("GET", f"{path}/web")

    assert (status, scale["kind"], scale["apiVersion"]) == (
        200,
        "Scale",
        "autoscaling/v1",
    )
    assert scale["spec"] == {"replicas": 2}
    assert scale["status"]["selector"] == "a=b,app=web,!old,tier in (back,front)"
    assert isinstance(scale["status"]["replicas"], int)
    assert set(scale["metadata"]) - {"managedFields", "selfLink"} == {
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    }
    assert scale["metadata"]["uid"] == made["metadata"]["uid"]
    assert (patched, after["kind"], after["spec"]) == (200, "Scale", {"replicas": 5})
    assert now["spec"] == {**made["spec"], "replicas": 5}
    assert now["metadata"]["generation"] == 2


def test_replication_controllers_are_scaled_too(api, in_namespace):
    """A ReplicationController's selector, plain labels, reads as the others do."""
    labels = {"app": "web", "a": "b"}
    made = workload("ReplicationController", "v1", selector=labels)
    api.request("POST", f"{in_namespace}/replicationcontrollers", made)
    path = f"{in_namespace}/replicationcontrollers/web"

    scale = scaled_down(api, path)

    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["status"]["selector"] == "a=b,app=web"
    assert api.request("GET", path)[1]["spec"]["replicas"] == 0


def test_no_replicas_are_not_said(api, path):
    """Scaled to nothing the spec of a Scale is empty, as the server writes it."""
    scale = scaled_down(api, path)

    assert scale["spec"] == {}
    assert api.request("GET", f"{path}/scale")[1]["spec"] == {}
    assert api.request("GET", path)[1]["spec"]["replicas"] == 0


def test_a_scale_is_replaced(api, path):
    """A Scale may be read, changed and put back; without replicas it asks for none."""
    _, scale = api.request("GET", f"{path}/scale")
    scale["spec"]["replicas"] = 4
    # The controllers may have written the status meanwhile.
    del scale["metadata"]["resourceVersion"]

    status, after = api.request("PUT", f"{path}/scale", scale)
    four = api.request("GET", path)[1]["spec"]["replicas"]
    emptied, _ = api.request("PUT", f"{path}/scale", {**scale, "spec": {}})

    assert (status, after["spec"]) == (200, {"replicas": 4})
    assert four == 4
    assert emptied == 200
    assert api.request("GET", path)[1]["spec"]["replicas"] == 0


def test_a_scale_of_before_is_a_conflict(api, path):
    """An old resourceVersion in a Scale is 409 Conflict of the workload."""
    _, old = api.request("GET", f"{path}/scale")
    scaled_down(api, path)
    version = {"metadata": {"resourceVersion": old["metadata"]["resourceVersion"]}}
    patch = {**version, "spec": {"replicas": 3}}

    answers = [
        api.request("PUT", f"{path}/scale", old),
        api.request("PATCH", f"{path}/scale", patch, content_type=MERGE),
    ]

    for status, body in answers:
        assert (status, body["reason"]) == (409, "Conflict")
        assert body["message"].startswith(
            'Operation cannot be fulfilled on deployments.apps "web": the object has'
        )
    assert api.request("GET", path)[1]["spec"]["replicas"] == 0


def test_a_scale_of_another_is_a_conflict(api, path):
    """A Scale that names another uid is 409 Conflict."""
    _, scale = api.request("GET", f"{path}/scale")
    scale["metadata"] = {
        "name": "web",
        "uid": "00000000-0000-0000-0000-000000000000",
    }

    status, body = api.request("PUT", f"{path}/scale", scale)

    assert (status, body["reason"]) == (409, "Conflict")


def test_patches_of_a_scale(api, path):
    """A JSON patch and a strategic one see the Scale, not the workload."""
    operations = [
        {"op": "test", "path": "/kind", "value": "Scale"},
        {"op": "replace", "path": "/spec/replicas", "value": 3},
    ]
    first, _ = api.request(
        "PATCH", f"{path}/scale", operations, content_type=JSON_PATCH
    )
    patch = {"spec": {"replicas": 4, "paused": True}}
    second, after = api.request("PATCH", f"{path}/scale", patch, content_type=STRATEGIC)

    assert (first, second, after["spec"]) == (200, 200, {"replicas": 4})
    assert "paused" not in api.request("GET", path)[1]["spec"]


def test_a_dry_run_scales_nothing(api, path):
    """A dry run answers with the Scale as it would be."""
    patch = {"spec": {"replicas": 7}}

    status, scale = api.request(
        "PATCH", f"{path}/scale?dryRun=All", patch, content_type=MERGE
    )

    assert (status, scale["spec"]) == (200, {"replicas": 7})
    assert api.request("GET", path)[1]["spec"]["replicas"] == 2


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"spec": {"replicas": -1}}, 422),
        ({"spec": {"replicas": "many"}}, 400),
        ({"metadata": {"name": "other"}}, 400),
        ({"metadata": {"name": "web", "namespace": "other"}}, 400),
        ({"metadata": {}}, 400),
        ({"kind": "Deployment", "apiVersion": "apps/v1"}, 400),
    ],
    ids=["negative", "text", "name", "namespace", "nameless", "kind"],
)
def test_what_is_no_scale_is_refused(api, path, change, expected):
    """A Scale that makes no sense changes nothing, and says why."""
    scale = {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": "web"},
        "spec": {"replicas": 1},
    }

    status, body = api.request("PUT", f"{path}/scale", {**scale, **change})

    assert (status, body["kind"]) == (expected, "Status")
    assert api.request("GET", path)[1]["spec"]["replicas"] == 2


def test_what_has_no_scale(api, path, in_namespace):
    """A workload that is not there, and a type that cannot be scaled, are 404."""
    absent = path.removesuffix("web") + "absent/scale"
    patch = {"spec": {"replicas": 1}}

    statuses = [
        api.status("GET", absent),
        api.request("PATCH", absent, patch, content_type=MERGE)[0],
        api.status("GET", f"{in_namespace}/services/web/scale"),
    ]

    assert statuses == [404, 404, 404]
    answer = api.request("GET", absent)[1]
    assert (answer["reason"], answer["details"]["name"]) == ("NotFound", "absent")


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_scale_is_neither_made_nor_deleted(api, path, method):
    """A Scale is there while its workload is: no other verbs are allowed."""
    assert api.status(method, f"{path}/scale", {}) == 405


def test_scale_in_discovery(api):
    """Discovery says which types have a Scale, and of which version it is."""
    _, apps = api.request("GET", "/apis/apps/v1")

    found = {
        each["name"]: each for each in apps["resources"] if "/scale" in each["name"]
    }
    assert set(found) == {
        "deployments/scale",
        "replicasets/scale",
        "statefulsets/scale",
    }
    assert found["deployments/scale"] == {
        "name": "deployments/scale",
        "singularName": "",
        "namespaced": True,
        "group": "autoscaling",
        "version": "v1",
        "kind": "Scale",
        "verbs": ["get", "patch", "update"],
    }
