"""The simulated API server answers as the real one does, request by request."""

import pytest

from definitions import definition, served_version

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def config_map(name, data=None, **metadata):
    """Return a ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, **metadata},
        "data": data or {"a": "1"},
    }


def deployment(name):
    """Return a Deployment of one container."""
    labels = {"app": name}
    container = {"name": "web", "image": "example.com/web:1"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container]},
            },
        },
    }


@pytest.fixture(name="maps")
def fixture_maps(in_namespace):
    """The path of the ConfigMaps of a fresh namespace."""
    return f"{in_namespace}/configmaps"


@pytest.fixture(name="five")
def fixture_five(api, maps):
    """Five ConfigMaps ``m-0`` to ``m-4``; returns the path of the collection.

    A selector keeps out what controllers put into every namespace.
    """
    for number in range(5):
        labels = {"set": "five", "parity": "even" if number % 2 == 0 else "odd"}
        made = config_map(f"m-{number}", labels=labels)
        assert api.request("POST", maps, made)[0] == 201
    return f"{maps}?labelSelector=set%3Dfive"


def names(body):
    """Return the names of a list's items."""
    return [item["metadata"]["name"] for item in body["items"]]


def test_create_answers_with_the_stored_object(api, maps):
    """A created object comes back with uid, resourceVersion, time and type."""
    status, made = api.request("POST", maps, config_map("a"))

    assert status == 201
    assert (made["apiVersion"], made["kind"]) == ("v1", "ConfigMap")
    assert {"uid", "resourceVersion", "creationTimestamp", "managedFields"} <= set(
        made["metadata"]
    )


def test_create_twice_is_already_exists(api, maps):
    """A name that is taken is refused with 409 AlreadyExists."""
    api.request("POST", maps, config_map("a"))

    status, body = api.request("POST", maps, config_map("a"))

    assert (status, body["reason"]) == (409, "AlreadyExists")
    assert body["message"] == 'configmaps "a" already exists'
    assert body["details"] == {"name": "a", "kind": "configmaps"}


def test_generate_name(api, maps):
    """A name is made of generateName and five characters."""
    body = config_map("x")
    body["metadata"] = {"generateName": "run-"}

    status, made = api.request("POST", maps, body)

    assert status == 201
    assert made["metadata"]["name"].startswith("run-")
    assert len(made["metadata"]["name"]) == len("run-") + 5


def test_create_needs_a_name(api, maps):
    """Neither name nor generateName: 422 Invalid with the field as cause."""
    status, body = api.request("POST", maps, {"metadata": {}})

    assert (status, body["reason"]) == (422, "Invalid")
    assert body["details"]["causes"][0]["field"] == "metadata.name"


def test_create_refuses_a_resource_version(api, maps):
    """An object that still carries a resourceVersion cannot be created."""
    status, body = api.request("POST", maps, config_map("a", resourceVersion="5"))

    assert status == 500
    assert "resourceVersion should not be set" in body["message"]


def test_create_refuses_a_bad_name(api, maps):
    """A name with capitals is 422 Invalid."""
    status, body = api.request("POST", maps, config_map("Bad_Name"))

    assert (status, body["reason"]) == (422, "Invalid")


def test_create_in_another_namespace_than_the_path(api, maps):
    """The namespace of the object must be that of the path."""
    status, body = api.request("POST", maps, config_map("a", namespace="other"))

    assert (status, body["reason"]) == (400, "BadRequest")


def test_create_in_no_namespace(api):
    """A namespace that does not exist is 404 and named."""
    path = "/api/v1/namespaces/absent-here/configmaps"

    status, body = api.request("POST", path, config_map("a"))

    assert (status, body["reason"]) == (404, "NotFound")
    assert body["details"]["kind"] == "namespaces"


def test_create_refuses_a_stale_owner_without_uid(api, maps):
    """An owner reference without uid is 422 Invalid."""
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": ""}

    status, _ = api.request("POST", maps, config_map("a", ownerReferences=[owner]))

    assert status == 422


def test_wrong_kind_is_a_bad_request(api, maps):
    """A Secret sent to the ConfigMaps is 400."""
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}

    status, _ = api.request("POST", maps, body)

    assert status == 400


def test_get_what_is_not_there(api, maps):
    """A missing object is 404 with group resource and name in the details."""
    status, body = api.request("GET", f"{maps}/nope")

    assert (status, body["reason"]) == (404, "NotFound")
    assert body["message"] == 'configmaps "nope" not found'


def test_unknown_paths_are_not_found(api):
    """A resource that is not served is 404."""
    assert api.status("GET", "/apis/nope.example.com/v1/things") == 404
    assert api.status("GET", "/api/v1/nothings") == 404


def test_update_conflict(api, maps):
    """A replacement with an old resourceVersion is 409 Conflict."""
    _, old = api.request("POST", maps, config_map("a"))
    api.request("PATCH", f"{maps}/a", {"data": {"b": "2"}}, content_type=MERGE)

    status, body = api.request("PUT", f"{maps}/a", old)

    assert (status, body["reason"]) == (409, "Conflict")
    assert "the object has been modified" in body["message"]


def test_update_without_resource_version_is_unconditional(api, maps):
    """A ConfigMap may be replaced without saying which version was seen."""
    api.request("POST", maps, config_map("a"))

    status, body = api.request("PUT", f"{maps}/a", config_map("a", {"z": "9"}))

    assert (status, body["data"]) == (200, {"z": "9"})


def test_update_with_another_uid(api, maps):
    """A replacement that names another uid is 409 Conflict."""
    api.request("POST", maps, config_map("a"))
    other = config_map("a", uid="00000000-0000-0000-0000-000000000000")

    status, body = api.request("PUT", f"{maps}/a", other)

    assert (status, body["reason"]) == (409, "Conflict")


def test_update_that_changes_nothing_keeps_the_version(api, maps):
    """Replacing an object by itself writes nothing."""
    _, made = api.request("POST", maps, config_map("a"))

    status, again = api.request("PUT", f"{maps}/a", made)

    assert status == 200
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_update_of_what_is_not_there(api, maps):
    """Replacing a missing object is 404."""
    assert api.request("PUT", f"{maps}/a", config_map("a"))[0] == 404


def test_dry_run_writes_nothing(api, maps):
    """A dry run answers as if, and nothing is there afterwards."""
    status, made = api.request("POST", f"{maps}?dryRun=All", config_map("a"))

    assert (status, made["metadata"]["name"]) == (201, "a")
    assert api.request("GET", f"{maps}/a")[0] == 404


def test_dry_run_of_patch_and_delete(api, maps):
    """A dry run of a patch and of a deletion leaves the object as it was."""
    _, made = api.request("POST", maps, config_map("a"))

    status, patched = api.request(
        "PATCH", f"{maps}/a?dryRun=All", {"data": {"b": "2"}}, content_type=MERGE
    )
    assert (status, patched["data"]) == (200, {"a": "1", "b": "2"})
    assert api.request("DELETE", f"{maps}/a?dryRun=All")[0] == 200

    _, now = api.request("GET", f"{maps}/a")
    assert now["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_merge_patch(api, maps):
    """A merge patch adds, changes and, by null, removes."""
    api.request("POST", maps, config_map("a", {"a": "1", "b": "2"}))

    status, body = api.request(
        "PATCH", f"{maps}/a", {"data": {"a": None, "c": "3"}}, content_type=MERGE
    )

    assert (status, body["data"]) == (200, {"b": "2", "c": "3"})


def test_json_patch(api, maps):
    """A JSON patch is applied operation by operation."""
    api.request("POST", maps, config_map("a"))
    operations = [
        {"op": "test", "path": "/data/a", "value": "1"},
        {"op": "add", "path": "/data/b", "value": "2"},
        {"op": "remove", "path": "/data/a"},
    ]

    status, body = api.request(
        "PATCH", f"{maps}/a", operations, content_type=JSON_PATCH
    )

    assert (status, body["data"]) == (200, {"b": "2"})


def test_json_patch_whose_test_fails(api, maps):
    """A JSON patch whose test does not hold is 422."""
    api.request("POST", maps, config_map("a"))
    operations = [{"op": "test", "path": "/data/a", "value": "other"}]

    status, _ = api.request("PATCH", f"{maps}/a", operations, content_type=JSON_PATCH)

    assert status == 422


def test_patch_with_preconditions(api, maps):
    """A patch that names an old resourceVersion is 409 Conflict."""
    _, old = api.request("POST", maps, config_map("a"))
    api.request("PATCH", f"{maps}/a", {"data": {"b": "2"}}, content_type=MERGE)
    version = old["metadata"]["resourceVersion"]

    patch = {"metadata": {"resourceVersion": version}, "data": {"c": "3"}}
    status, body = api.request("PATCH", f"{maps}/a", patch, content_type=MERGE)

    assert (status, body["reason"]) == (409, "Conflict")


def test_patch_of_an_unknown_kind(api, maps):
    """A patch of another media type is 415."""
    api.request("POST", maps, config_map("a"))

    status, _ = api.request("PATCH", f"{maps}/a", {}, content_type="application/json")

    assert status == 415


def test_strategic_merge_patch(api, namespace, in_namespace):
    """Containers are merged by name, their environment too."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    assert api.request("POST", path, deployment("web"))[0] == 201
    env = [{"name": "A", "value": "1"}]
    containers = [{"name": "web", "env": env}, {"name": "side", "image": "i:1"}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}

    status, body = api.request("PATCH", f"{path}/web", patch, content_type=STRATEGIC)

    after = body["spec"]["template"]["spec"]["containers"]
    assert status == 200
    assert {each["name"]: each["image"] for each in after} == {
        "web": "example.com/web:1",
        "side": "i:1",
    }
    assert body["metadata"]["generation"] == 2


def test_generation_follows_the_spec_only(api, namespace, in_namespace):
    """A label does not change the generation, replicas do."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    api.request("POST", path, deployment("web"))

    label = {"metadata": {"labels": {"x": "y"}}}
    _, one = api.request("PATCH", f"{path}/web", label, content_type=MERGE)
    _, two = api.request(
        "PATCH",
        f"{path}/web",
        {"spec": {"revisionHistoryLimit": 3}},
        content_type=MERGE,
    )

    assert one["metadata"]["generation"] == 1
    assert two["metadata"]["generation"] == 2


def test_apply_creates_and_removes_what_it_no_longer_names(api, maps):
    """Server-side apply creates; a field left out by its only manager goes."""
    query = "fieldManager=one"

    first = api.request(
        "PATCH",
        f"{maps}/a?{query}",
        config_map("a", {"a": "1", "b": "2"}),
        content_type=APPLY,
    )
    second = api.request(
        "PATCH",
        f"{maps}/a?{query}",
        config_map("a", {"a": "1"}),
        content_type=APPLY,
    )

    assert (first[0], second[0]) == (201, 200)
    assert second[1]["data"] == {"a": "1"}
    managers = second[1]["metadata"]["managedFields"]
    assert [(m["manager"], m["operation"]) for m in managers] == [("one", "Apply")]
    assert managers[0]["fieldsV1"]["f:data"]["f:a"] == {}


def test_apply_conflict(api, maps):
    """A field that another manager applied is a conflict, unless forced."""
    first = f"{maps}/a?fieldManager=one"
    api.request("PATCH", first, config_map("a"), content_type=APPLY)
    changed = config_map("a", {"a": "2"})

    second = f"{maps}/a?fieldManager=two"
    status, body = api.request("PATCH", second, changed, content_type=APPLY)
    forced, after = api.request(
        "PATCH", f"{second}&force=true", changed, content_type=APPLY
    )

    assert (status, body["reason"]) == (409, "Conflict")
    assert body["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "one"',
            "field": ".data.a",
        }
    ]
    assert (forced, after["data"]) == (200, {"a": "2"})


def test_managed_fields_of_an_update(api, maps):
    """Who creates by POST manages what was sent, as an Update."""
    _, made = api.request(
        "POST", f"{maps}?fieldManager=me", config_map("a", labels={"l": "v"})
    )

    (entry,) = made["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"]) == ("me", "Update")
    assert entry["fieldsV1"]["f:data"]["f:a"] == {}
    assert entry["fieldsV1"]["f:metadata"]["f:labels"]["f:l"] == {}


def test_delete_answers_with_a_status(api, maps):
    """A deleted object is answered by a Status with its uid."""
    _, made = api.request("POST", maps, config_map("a"))

    status, body = api.request("DELETE", f"{maps}/a")

    assert (status, body["kind"], body["status"]) == (200, "Status", "Success")
    assert body["details"]["uid"] == made["metadata"]["uid"]
    assert api.request("DELETE", f"{maps}/a")[0] == 404


@pytest.mark.parametrize("field", ["uid", "resourceVersion"])
def test_delete_preconditions(api, maps, field):
    """A deletion of another object than was meant is 409 Conflict."""
    api.request("POST", maps, config_map("a"))
    wrong = {"uid": "00000000-0000-0000-0000-000000000000", "resourceVersion": "1"}
    options = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {field: wrong[field]},
    }

    status, body = api.request("DELETE", f"{maps}/a", options)

    assert (status, body["reason"]) == (409, "Conflict")
    assert api.request("GET", f"{maps}/a")[0] == 200


def test_finalizers_hold_an_object(api, maps):
    """A deletion waits for finalizers; the last one lets the object go."""
    api.request("POST", maps, config_map("a", finalizers=["example.com/hold"]))

    status, held = api.request("DELETE", f"{maps}/a")
    patch = {"metadata": {"finalizers": None}}
    freed, _ = api.request("PATCH", f"{maps}/a", patch, content_type=MERGE)

    assert status == 200
    assert held["metadata"]["deletionTimestamp"]
    assert freed == 200
    assert api.request("GET", f"{maps}/a")[0] == 404


def reference_to(owner):
    """Return an owner reference to a ConfigMap."""
    metadata = owner["metadata"]
    named = {"name": metadata["name"], "uid": metadata["uid"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", **named}


def test_orphaned_dependents_stay(api, maps, wait_for):
    """With orphan propagation the dependent stays and loses its owner."""
    _, owner = api.request("POST", maps, config_map("owner"))
    child = config_map("child", ownerReferences=[reference_to(owner)])
    api.request("POST", maps, child)

    api.request("DELETE", f"{maps}/owner", {"propagationPolicy": "Orphan"})

    wait_for("the end", lambda: api.request("GET", f"{maps}/owner")[0] == 404)
    status, child = api.request("GET", f"{maps}/child")
    assert status == 200
    assert not child["metadata"].get("ownerReferences")


def test_dependents_are_collected(api, maps, wait_for):
    """With background propagation the dependent goes too."""
    _, owner = api.request("POST", maps, config_map("owner"))
    child = config_map("child", ownerReferences=[reference_to(owner)])
    api.request("POST", maps, child)

    api.request("DELETE", f"{maps}/owner", {"propagationPolicy": "Background"})

    wait_for("the end", lambda: api.request("GET", f"{maps}/child")[0] == 404)


def test_delete_a_collection(api, maps, five):
    """A collection is deleted as far as the selector says."""
    status, _ = api.request("DELETE", f"{maps}?labelSelector=parity%3Dodd")

    assert status == 200
    assert names(api.request("GET", five)[1]) == ["m-0", "m-2", "m-4"]


def test_list_of_built_in_items(api, five):
    """Items of a built-in list do not say their type; the list does."""
    status, body = api.request("GET", five)

    assert status == 200
    assert (body["kind"], body["apiVersion"]) == ("ConfigMapList", "v1")
    assert names(body) == [f"m-{number}" for number in range(5)]
    assert not {"kind", "apiVersion"} & set(body["items"][0])


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("parity%3Deven", ["m-0", "m-2", "m-4"]),
        ("set,parity!%3Deven", ["m-1", "m-3"]),
        ("parity%20in%20(odd,none)", ["m-1", "m-3"]),
        ("set%3Dfive,!parity", []),
    ],
)
def test_label_selectors(api, maps, five, selector, expected):
    """Label selectors choose what a list holds."""
    _, body = api.request("GET", f"{maps}?labelSelector={selector}")

    assert names(body) == expected


def test_field_selectors(api, maps, five):
    """A field selector chooses by name; an unknown field is 400."""
    _, body = api.request("GET", f"{maps}?fieldSelector=metadata.name%3Dm-3")
    status, _ = api.request("GET", f"{maps}?fieldSelector=data.a%3D1")

    assert names(body) == ["m-3"]
    assert status == 400


def test_a_malformed_selector_is_refused(api, maps):
    """A label selector that cannot be read is 400."""
    assert api.request("GET", f"{maps}?labelSelector=a%20b%20c")[0] == 400


def test_pages_show_one_moment(api, maps, five):
    """All pages are of the resourceVersion of the first one."""
    path = maps.replace("/api/v1", "/api/v1")
    _, first = api.request("GET", f"{path}?limit=2")
    api.request("DELETE", f"{maps}/m-4")
    api.request("POST", maps, config_map("m-9"))
    found, page = names(first), first
    while token := page["metadata"].get("continue"):
        _, page = api.request("GET", f"{path}?limit=2&continue={token}")
        found += names(page)
        version = page["metadata"]["resourceVersion"]
        assert version == first["metadata"]["resourceVersion"]

    assert [name for name in found if name.startswith("m-")] == [
        f"m-{number}" for number in range(5)
    ]
    assert first["metadata"]["remainingItemCount"] >= 3


def test_list_at_an_exact_version(api, maps, five):
    """A list at an earlier resourceVersion shows what was there then."""
    _, before = api.request("GET", five)
    version = before["metadata"]["resourceVersion"]
    api.request("DELETE", f"{maps}/m-0")
    api.request("PATCH", f"{maps}/m-1", {"data": {"a": "new"}}, content_type=MERGE)

    exact = f"{five}&resourceVersion={version}&resourceVersionMatch=Exact"
    status, body = api.request("GET", exact)

    assert status == 200
    assert body["metadata"]["resourceVersion"] == version
    assert names(body) == names(before)
    assert body["items"][1]["data"] == {"a": "1"}


def test_an_expired_version_is_gone(api, maps, five):
    """A list at a forgotten resourceVersion is 410 Expired."""
    _, before = api.request("GET", five)
    version = before["metadata"]["resourceVersion"]
    api.request("POST", maps, config_map("later"))
    api.forget_history()

    exact = f"{five}&resourceVersion={version}&resourceVersionMatch=Exact"
    status, body = api.request("GET", exact)

    assert (status, body["reason"], body["code"]) == (410, "Expired", 410)


def test_an_expired_token_offers_to_go_on(api, maps, five):
    """An expired continue token is 410 with a token that goes on inconsistently."""
    _, first = api.request("GET", f"{maps}?limit=2")
    api.request("POST", maps, config_map("zzz"))
    api.forget_history()

    token = first["metadata"]["continue"]
    status, gone = api.request("GET", f"{maps}?limit=2&continue={token}")
    another = gone["metadata"]["continue"]
    went_on, rest = api.request("GET", f"{maps}?limit=50&continue={another}")

    assert (status, gone["reason"]) == (410, "Expired")
    assert went_on == 200
    assert names(rest)[-1] == "zzz"


def test_a_version_of_the_future(api, five):
    """A resourceVersion that is not reached yet is an error: 504, or 500 of old."""
    path = f"{five}&resourceVersion=999999999999&resourceVersionMatch=Exact"

    status, body = api.request("GET", path)

    assert status in {500, 504}
    assert body["kind"] == "Status"


def test_a_broken_token_is_a_bad_request(api, maps):
    """A continue token that is none is 400."""
    assert api.request("GET", f"{maps}?limit=2&continue=nonsense")[0] == 400


@pytest.mark.parametrize(
    "query",
    [
        "resourceVersionMatch=Exact",
        "resourceVersionMatch=Exact&resourceVersion=0",
        "resourceVersionMatch=Odd&resourceVersion=5",
    ],
)
def test_bad_version_parameters(api, maps, query):
    """What cannot be asked about resourceVersions is refused, not ignored."""
    status, _ = api.request("GET", f"{maps}?{query}")

    assert status in {400, 422}


def test_watch_tells_what_happened_since(api, maps):
    """A watch from a resourceVersion tells creations, changes and deletions."""
    _, empty = api.request("GET", maps)
    version = empty["metadata"]["resourceVersion"]
    api.request("POST", maps, config_map("w"))
    api.request("PATCH", f"{maps}/w", {"data": {"b": "2"}}, content_type=MERGE)
    api.request("DELETE", f"{maps}/w")

    events = api.watch(
        f"{maps}?watch=true&resourceVersion={version}&timeoutSeconds=2"
        "&fieldSelector=metadata.name%3Dw"
    )

    told = [(event["type"], event["object"].get("data")) for event in events]
    assert told == [
        ("ADDED", {"a": "1"}),
        ("MODIFIED", {"a": "1", "b": "2"}),
        ("DELETED", {"a": "1", "b": "2"}),
    ]
    assert {event["object"]["kind"] for event in events} == {"ConfigMap"}
    versions = [int(e["object"]["metadata"]["resourceVersion"]) for e in events]
    assert versions == sorted(set(versions))


def test_watch_with_a_selector_tells_what_comes_and_goes(api, maps):
    """An object that begins to match is ADDED, one that ceases is DELETED."""
    _, empty = api.request("GET", maps)
    version = empty["metadata"]["resourceVersion"]
    api.request("POST", maps, config_map("w"))
    for label in ({"k": "v"}, {"k": None}):
        patch = {"metadata": {"labels": label}}
        api.request("PATCH", f"{maps}/w", patch, content_type=MERGE)

    events = api.watch(
        f"{maps}?watch=true&resourceVersion={version}&timeoutSeconds=2"
        "&labelSelector=k%3Dv"
    )

    assert [event["type"] for event in events] == ["ADDED", "DELETED"]


def test_watch_from_nowhere_starts_with_what_is_there(api, maps):
    """A watch without resourceVersion begins with the objects that exist."""
    api.request("POST", maps, config_map("w"))

    events = api.watch(
        f"{maps}?watch=true&timeoutSeconds=1&fieldSelector=metadata.name%3Dw"
    )

    assert [event["type"] for event in events] == ["ADDED"]


def test_watch_of_a_forgotten_version(api, namespace, wait_for):
    """A watch from a forgotten resourceVersion tells one ERROR: 410 Expired."""
    # Of a new type even the server's watch cache cannot know what was before.
    group = f"{namespace}.example.com"
    api.request("POST", CRDS, definition(group, "events", "Event"))
    root = f"/apis/{group}/v1/events"
    wait_for("the type", lambda: api.status("GET", root) == 200)
    api.forget_history()

    events = api.watch(f"{root}?watch=true&resourceVersion=1&timeoutSeconds=2")
    api.request("DELETE", f"{CRDS}/events.{group}")

    assert [event["type"] for event in events] == ["ERROR"]
    status = events[0]["object"]
    assert (status["kind"], status["code"], status["reason"]) == (
        "Status",
        410,
        "Expired",
    )


def test_status_is_written_by_its_sub_resource_only(api, namespace, in_namespace):
    """A write of the object ignores the status; a write of the status the rest."""
    path = f"/apis/policy/v1beta1/namespaces/{namespace}/poddisruptionbudgets"
    if api.status("GET", path) == 404:
        path = path.replace("v1beta1", "v1")
    body = {
        "metadata": {"name": "p"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}},
        "status": {"currentHealthy": 7},
    }
    _, made = api.request("POST", path, body)
    patch = {"spec": {"minAvailable": 2}, "status": {"currentHealthy": 5}}
    _, after = api.request("PATCH", f"{path}/p/status", patch, content_type=MERGE)

    assert made["status"].get("currentHealthy", 0) == 0
    assert after["status"]["currentHealthy"] == 5
    assert after["spec"]["minAvailable"] == 1


def test_secret_string_data(api, in_namespace):
    """What is sent as stringData is stored, in base64, as data."""
    body = {"metadata": {"name": "s"}, "stringData": {"k": "v"}}

    _, made = api.request("POST", f"{in_namespace}/secrets", body)

    assert (made["data"], made["type"]) == ({"k": "dg=="}, "Opaque")
    assert "stringData" not in made


def test_service_addresses(api, in_namespace):
    """A Service gets a cluster IP, and it cannot be changed."""
    body = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
    path = f"{in_namespace}/services"
    _, made = api.request("POST", path, body)
    patch = {"spec": {"clusterIP": "10.0.99.99"}}

    status, _ = api.request("PATCH", f"{path}/s", patch, content_type=MERGE)

    assert made["spec"]["clusterIP"].startswith("10.")
    assert made["spec"]["ports"][0]["targetPort"] == 80
    assert made["spec"]["type"] == "ClusterIP"
    assert status == 422


def test_deployment_defaults_and_selector(api, namespace, in_namespace):
    """A Deployment gets its strategy; its selector cannot be changed."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    _, made = api.request("POST", path, deployment("web"))
    patch = {
        "spec": {
            "selector": {"matchLabels": {"app": "x"}},
            "template": {"metadata": {"labels": {"app": "x"}}},
        }
    }

    status, _ = api.request("PATCH", f"{path}/web", patch, content_type=MERGE)

    assert made["spec"]["strategy"]["type"] == "RollingUpdate"
    assert made["spec"]["template"]["spec"]["restartPolicy"] == "Always"
    assert status == 422


def test_pod_starts_pending(api, in_namespace):
    """A new Pod is Pending, whatever status was sent with it."""
    spec = {"containers": [{"name": "c", "image": "i"}]}
    body = {"metadata": {"name": "p"}, "spec": spec, "status": {"phase": "Running"}}

    status, made = api.request("POST", f"{in_namespace}/pods", body)

    assert (status, made["status"]["phase"]) == (201, "Pending")
    assert made["spec"]["terminationGracePeriodSeconds"] == 30


def test_custom_resources(api, namespace, in_namespace, wait_for):
    """A definition becomes Established and its objects can be stored and read."""
    group = f"{namespace}.example.com"
    assert api.request("POST", CRDS, definition(group, "widgets", "Widget"))[0] == 201
    root = f"/apis/{group}/v1/namespaces/{namespace}/widgets"

    def established():
        _, found = api.request("GET", f"{CRDS}/widgets.{group}")
        conditions = found.get("status", {}).get("conditions") or []
        return (
            any(
                condition["type"] == "Established" and condition["status"] == "True"
                for condition in conditions
            )
            and api.status("GET", root) == 200
        )

    wait_for("the definition", established)
    body = {
        "apiVersion": f"{group}/v1",
        "kind": "Widget",
        "metadata": {"name": "w"},
        "spec": {"list": [{"name": "a"}], "n": 1},
    }
    wait_for("the type", lambda: api.request("POST", root, body)[0] == 201)
    _, listed = api.request("GET", root)
    strategic, _ = api.request(
        "PATCH", f"{root}/w", {"spec": {"n": 2}}, content_type=STRATEGIC
    )
    put, _ = api.request("PUT", f"{root}/w", body)
    _, patched = api.request(
        "PATCH", f"{root}/w", {"spec": {"n": 2}}, content_type=MERGE
    )

    assert listed["kind"] == "WidgetList"
    assert (listed["items"][0]["kind"], listed["items"][0]["apiVersion"]) == (
        "Widget",
        f"{group}/v1",
    )
    assert listed["items"][0]["metadata"]["generation"] == 1
    assert strategic == 415
    assert put == 422
    assert patched["metadata"]["generation"] == 2
    assert api.request("DELETE", f"{CRDS}/widgets.{group}")[0] == 200
    wait_for("the end", lambda: api.status("GET", root) == 404)


def test_status_sub_resource_of_a_custom_resource(
    api, namespace, in_namespace, wait_for
):
    """With a status sub-resource a create drops the status."""
    group = f"{namespace}.example.com"
    made = definition(
        group, "gadgets", "Gadget", served_version(subresources={"status": {}})
    )
    api.request("POST", CRDS, made)
    root = f"/apis/{group}/v1/namespaces/{namespace}/gadgets"
    body = {
        "apiVersion": f"{group}/v1",
        "kind": "Gadget",
        "metadata": {"name": "g"},
        "status": {"ready": True},
    }

    wait_for("the type", lambda: api.status("POST", root, body) == 201)
    _, bare = api.request("GET", f"{root}/g")
    patch = {"status": {"ready": True}, "spec": {"x": 1}}
    _, after = api.request("PATCH", f"{root}/g/status", patch, content_type=MERGE)

    assert "status" not in bare
    assert (after["status"], "spec" in after) == ({"ready": True}, False)
    api.request("DELETE", f"{CRDS}/gadgets.{group}")


def test_conversion_webhook_that_is_not_there(api, namespace, in_namespace, wait_for):
    """Objects are served in the storage version; another one fails by its webhook."""
    group = f"{namespace}.example.com"
    made = definition(group, "pumps", "Pump")
    (stored,) = made["spec"]["versions"]
    made["spec"]["versions"].append({**stored, "name": "v2", "storage": False})
    service = {"namespace": namespace, "name": "hook"}
    made["spec"]["conversion"] = {
        "strategy": "Webhook",
        "webhook": {
            "clientConfig": {"service": service},
            "conversionReviewVersions": ["v1"],
        },
    }
    api.request("POST", CRDS, made)
    root = f"/apis/{group}/{{}}/namespaces/{namespace}/pumps"
    v1, v2 = root.format("v1"), root.format("v2")
    body = {"apiVersion": f"{group}/v1", "kind": "Pump", "metadata": {"name": "p"}}
    wait_for("the type", lambda: api.status("POST", v1, body) == 201)
    newer = {**body, "apiVersion": f"{group}/v2", "metadata": {"name": "q"}}

    absent = api.status("GET", f"{v2}/nobody")
    refused = [
        api.request("GET", f"{v2}/p"),
        api.request("GET", v2),
        api.request("PATCH", f"{v2}/p", {"spec": {}}, content_type=MERGE),
        api.request("POST", v2, newer),
    ]

    assert api.status("GET", v1) == 200
    assert absent == 404
    assert [status for status, _ in refused] == [500] * 4
    for _, answer in refused:
        assert answer["message"].startswith(f"conversion webhook for {group}/")
        assert f"https://hook.{namespace}.svc:443/" in answer["message"]
    assert api.status("GET", f"{v1}/q") == 404
    api.request("DELETE", f"{CRDS}/pumps.{group}")


def true_conditions(api, path):
    """Type, reason and message of the conditions that hold of what is at a path."""
    found = api.request("GET", path)[1]["status"].get("conditions") or ()
    return [
        (each["type"], each["reason"], each["message"])
        for each in found
        if each["status"] == "True"
    ]


def assert_takes_nothing_new(api, namespace):
    """Hold a namespace that is Terminating to its refusals, of itself and its content."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    refused, body = api.request("POST", path, config_map("new"))
    assert (refused, body["reason"]) == (403, "Forbidden")
    assert body["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    again = {"metadata": {"name": namespace}}
    refused, body = api.request("POST", "/api/v1/namespaces", again)
    assert (refused, body["reason"]) == (409, "AlreadyExists")
    assert body["message"] == (
        f'object is being deleted: namespaces "{namespace}" already exists'
    )


def test_namespace_ends_with_its_content(api, namespace, wait_for):
    """A namespace is Terminating until nothing is left in it; it takes no more."""
    path = f"/api/v1/namespaces/{namespace}"
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    held = config_map("held", finalizers=["example.com/hold"])
    api.request("POST", f"{path}/configmaps", held)

    status, ending = api.request("DELETE", path)

    assert (status, ending["kind"]) == (200, "Namespace")
    assert ending["status"]["phase"] == "Terminating"

    def is_marked():
        _, found = api.request("GET", f"{path}/configmaps/held")
        return found["metadata"].get("deletionTimestamp")

    wait_for("the deletion of the content", is_marked)
    assert_takes_nothing_new(api, namespace)
    wait_for("the conditions", lambda: true_conditions(api, path))
    finalizers = "Some content in the namespace has finalizers remaining: "
    assert true_conditions(api, path) == [
        (
            "NamespaceContentRemaining",
            "SomeResourcesRemain",
            "Some resources are remaining: configmaps. has 1 resource instances",
        ),
        (
            "NamespaceFinalizersRemaining",
            "SomeFinalizersRemain",
            f"{finalizers}example.com/hold in 1 resource instances",
        ),
    ]
    patch = {"metadata": {"finalizers": None}}
    api.request("PATCH", f"{path}/configmaps/held", patch, content_type=MERGE)
    wait_for("the end", lambda: api.request("GET", path)[0] == 404)


def test_discovery_per_group(api):
    """Groups, versions and resources have the shape that clients read."""
    _, root = api.request("GET", "/apis")
    _, core = api.request("GET", "/api")
    _, apps = api.request("GET", "/apis/apps/v1")
    _, group = api.request("GET", "/apis/apps")

    found = {group["name"]: group for group in root["groups"]}
    assert root["kind"] == "APIGroupList"
    assert found["apps"]["preferredVersion"] == {
        "groupVersion": "apps/v1",
        "version": "v1",
    }
    assert (core["kind"], core["versions"]) == ("APIVersions", ["v1"])
    assert (group["kind"], group["name"]) == ("APIGroup", "apps")
    resources = {each["name"]: each for each in apps["resources"]}
    assert resources["deployments"]["shortNames"] == ["deploy"]
    assert set(resources["deployments"]["verbs"]) == {
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "update",
        "watch",
    }
    assert resources["deployments/status"]["kind"] == "Deployment"


def test_table(api, five):
    """The Accept header of kubectl gives a Table with a row for each object."""
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

    _, table = api.request("GET", five, accept=accept)

    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert table["columnDefinitions"][0]["name"] == "Name"
    assert [row["cells"][0] for row in table["rows"]] == [f"m-{n}" for n in range(5)]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


def test_partial_metadata(api, five):
    """A client may ask for the metadata of a list alone."""
    accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"

    _, body = api.request("GET", five, accept=accept)

    assert body["kind"] == "PartialObjectMetadataList"
    assert names(body) == [f"m-{number}" for number in range(5)]
    assert "data" not in body["items"][0]


def test_lists_are_in_the_order_of_keys(api, namespace):
    """Across namespaces a list is ordered by the bytes of namespace/name."""
    longer = f"{namespace}-x"
    for name in (namespace, longer):
        api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        made = config_map("m", labels={"order": namespace})
        api.request("POST", f"/api/v1/namespaces/{name}/configmaps", made)

    _, body = api.request("GET", f"/api/v1/configmaps?labelSelector=order={namespace}")

    found = [item["metadata"]["namespace"] for item in body["items"]]
    assert found == [longer, namespace]
    for name in found:
        api.request("DELETE", f"/api/v1/namespaces/{name}")


def test_access_review(api):
    """An access review is answered and never stored."""
    attributes = {"verb": "list", "resource": "secrets"}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }

    status, answer = api.request(
        "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body
    )

    assert (status, answer["status"]["allowed"]) == (201, True)


def test_version_and_health(api):
    """The version has its parts; the server says that it is ready."""
    _, version = api.request("GET", "/version")

    assert {"major", "minor", "gitVersion", "platform"} <= set(version)
    with api.open("GET", "/readyz") as answer:
        assert answer.read() == b"ok"
