"""What is deleted and created anew on a real API server, with its controllers at work.

Every field that is restored here may not be changed in what is there, and runs die before
each of their writes: between a delete and its create, too.
"""

from functools import partial

import pytest

from kbackup import Cluster, RestoreEngine, RestoreSpec
from kbackup.models import ResourceModifiers, RestoreOptions
from kbackup.restore import PlanAction

TYPES = ("deployments", "jobs", "configmaps", "services")
POLICIES = dict.fromkeys(TYPES, "recreate")
OPTIONS = RestoreOptions(existing_policies=POLICIES)
KINDS = ("Deployment", "Job", "ConfigMap", "Service")


def _pods_of(app, **more):
    """A template of Pods that never end."""
    containers = [{"name": "web", "image": "example.com/web:1"}]
    return {
        "metadata": {"labels": {"app": app}},
        "spec": {"containers": containers} | more,
    }


def _objects(namespace, *, now):
    """A namespace's objects as they are in the backup, or as they are *now*."""
    app, place = ("other" if now else "web"), {"namespace": namespace}
    selector = {"matchLabels": {"app": app}}
    spec = {"replicas": 2, "selector": selector, "template": _pods_of(app)}
    job = {
        "completions": 2 if now else 1,
        "template": _pods_of("job", restartPolicy="Never"),
    }
    port = {"port": 81 if now else 80}
    headless = {"clusterIP": "None"} if now else {}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment"}
        | {"metadata": {"name": "web", **place}, "spec": spec},
        {"apiVersion": "batch/v1", "kind": "Job"}
        | {"metadata": {"name": "once", **place}, "spec": job},
        {"apiVersion": "v1", "kind": "ConfigMap", "immutable": True}
        | {"metadata": {"name": "fixed", **place}, "data": {"app": app}},
        {"apiVersion": "v1", "kind": "Service"}
        | {"metadata": {"name": "web", **place}, "spec": {"ports": [port], **headless}},
    ]


def _make(world, namespace, *, now=False):
    """Make the namespace and what is in it."""
    metadata = {"name": namespace}
    world.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    return [world.create(each) for each in _objects(namespace, now=now)]


def _is_as_stored(world, namespace):
    """Whether every object is as the backup has it, and its controllers are done."""
    found = [world.get(each) for each in _objects(namespace, now=False)]
    if not all(found) or any("deletionTimestamp" in x["metadata"] for x in found):
        return False
    deployment, job, fixed, service = found
    return (
        deployment["spec"]["selector"] == {"matchLabels": {"app": "web"}}
        and job["spec"]["completions"] == 1
        and fixed["data"] == {"app": "web"}
        and service["spec"]["ports"][0]["port"] == 80
        and service["spec"]["clusterIP"] != "None"
        and len(world.pods(namespace, app="web")) == 2
        and len(world.pods(namespace, app="job")) == 1
    )


def test_killed_between_delete_and_create(source, store, killed, namespace, wait_for):
    """Wherever a run dies, the same restore again brings back all that was deleted."""
    _make(source, namespace)
    wait_for("the Pods", lambda: len(source.pods(namespace)) == 3)
    source.backup(store, "b", namespace)

    def restore(place, number=0):
        spec = {"backup_name": "b", "namespace_mapping": {namespace: place}}
        spec["options"] = {"existing_policies": POLICIES}
        return killed("restore", place, spec, where="cluster", number=number)

    def drifted(place):
        made = _make(source, place, now=True)
        wait_for("the Pods", lambda: len(source.pods(place)) == 3)
        return place, {each["metadata"]["uid"] for each in made}

    place, _ = drifted(f"{namespace}-whole")
    whole = restore(place)
    assert whole.through
    wait_for("the whole restore", lambda: _is_as_stored(source, place))
    assert whole.writes >= 3 * len(KINDS)
    for number in range(1, whole.writes + 1):
        place, uids = drifted(f"{namespace}-{number}")
        through = restore(place, number).through
        assert not through or number == whole.writes
        assert restore(place).through

        wait_for("what was stored", partial(_is_as_stored, source, place))
        found = [source.get(each) for each in _objects(place, now=False)]
        assert uids.isdisjoint(each["metadata"]["uid"] for each in found)
        assert store.restore_results(place).errors == ()
        # What the Deployment owned stays, and what was deleted is saved.
        assert len(source.pods(place, app="other")) == 2
        saved = {
            (item.identifier.group_resource.resource, item.content["metadata"]["uid"])
            for name in store.list()
            if name.name.startswith(f"{place}-before")
            for item in store.open_archive(name.name)
        }
        assert uids <= {uid for _, uid in saved}
        source.remove_namespace(place, wait=False)
    source.remove_namespace(namespace, wait=False)


def test_the_plan_is_what_is_done(source, store, namespace, wait_for):
    """Each line says what may not be changed; tried by the server, nothing is deleted."""
    _make(source, namespace)
    source.backup(store, "planned", namespace)
    for each in _objects(namespace, now=False):
        source.delete(each, propagationPolicy="Background")
    wait_for(
        "their end", lambda: not any(map(source.get, _objects(namespace, now=False)))
    )
    uids = [source.create(x)["metadata"]["uid"] for x in _objects(namespace, now=True)]

    engine = RestoreEngine(source.cluster, store)
    spec = RestoreSpec(backup_name="planned")
    tried = RestoreOptions(existing_policies=POLICIES, validate=True)
    wait_for("the Pods", lambda: len(source.pods(namespace, app="other")) == 2)
    plan = engine.plan("tried", spec, tried)

    lines = {
        x.kind: x for x in plan.entries if x.target.name in ("web", "once", "fixed")
    }
    recreated = {kind for kind, x in lines.items() if x.action is PlanAction.RECREATE}
    assert recreated == set(KINDS)
    assert "spec.selector" in lines["Deployment"].reason
    assert lines["ConfigMap"].reason == "the live one is immutable"
    found = [source.get(each)["metadata"] for each in _objects(namespace, now=True)]
    assert [each["uid"] for each in found] == uids
    result = engine.apply(engine.plan("done", spec, OPTIONS))
    counts = [outcome.action for outcome in result.outcomes].count("recreated")
    assert (result.results.errors, counts) == ((), len(KINDS))
    wait_for("what was stored", lambda: _is_as_stored(source, namespace))
    source.remove_namespace(namespace, wait=False)


def test_what_the_server_refuses_is_kept(source, store, namespace, wait_for):
    """A new object that admission refuses: the old one is not deleted for it."""
    _make(source, namespace)
    source.backup(store, "refused", namespace)
    fixed = _objects(namespace, now=False)[2]
    source.delete(fixed)
    live = source.create(_objects(namespace, now=True)[2])
    quota = {"apiVersion": "v1", "kind": "ResourceQuota"}
    quota |= {"metadata": {"name": "none", "namespace": namespace}}
    source.create(quota | {"spec": {"hard": {"count/configmaps": "0"}}})
    wait_for("the quota", lambda: (source.get(quota).get("status") or {}).get("used"))

    options = RestoreOptions(
        existing_policies={"configmaps/" + namespace + "/fixed": "recreate"}
    )
    spec = RestoreSpec(backup_name="refused", excluded_resources=["resourcequotas"])
    result = RestoreEngine(source.cluster, store).run("kept", spec, options)

    (error,) = result.results.errors
    assert "not deleted, for the server would not take the new one" in error.message
    assert "exceeded quota" in error.message
    assert source.get(fixed)["metadata"]["uid"] == live["metadata"]["uid"]
    source.remove_namespace(namespace, wait=False)


def _config_map(namespace, name, data=None, owner=None):
    """A ConfigMap; *owner* is another one as the server has it."""
    metadata = {"name": name, "namespace": namespace}
    if owner is not None:
        reference = {key: owner[key] for key in ("apiVersion", "kind")}
        reference |= {key: owner["metadata"][key] for key in ("name", "uid")}
        metadata["ownerReferences"] = [reference]
    base = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    return base | {"data": data or {}}


def test_what_it_owned_is_not_collected(source, store, namespace, wait_for):
    """What is as it was is tied to the new owner; what is not in the restore stays."""
    metadata = {"name": namespace}
    source.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    owner = source.create(_config_map(namespace, "owner", {"a": "1"}))
    kept = source.create(_config_map(namespace, "kept", owner=owner))
    source.backup(store, "owned", namespace)
    new = source.create(_config_map(namespace, "new", owner=owner))
    source.patch(owner, {"data": {"a": "2"}})

    options = RestoreOptions(
        existing_policies={f"configmaps/{namespace}/owner": "recreate"}
    )
    spec = RestoreSpec(backup_name="owned")
    engine = RestoreEngine(source.cluster, store)
    plan = engine.plan("owned", spec, options)
    result = engine.apply(plan)

    assert result.results.errors == ()
    found = source.get(owner)
    assert (found["data"], found["metadata"]["uid"] != owner["metadata"]["uid"]) == (
        {"a": "1"},
        True,
    )
    (tied,) = [x for x in plan.entries if x.ties]
    assert (tied.target.name, tied.action) == ("kept", PlanAction.UPDATE)
    assert "tied again to ConfigMap/owner, created anew" in tied.reason
    # What still names the old owner is collected: the collector has seen it go.
    stale = source.create(_config_map(namespace, "stale", owner=owner))
    wait_for("the garbage collector", lambda: source.get(stale) is None)
    assert "ownerReferences" not in source.get(new)["metadata"]
    (reference,) = source.get(kept)["metadata"]["ownerReferences"]
    assert reference["uid"] == found["metadata"]["uid"]
    assert engine.plan("again", spec, options).is_empty
    # It is really owned: it goes with the new owner as it went with the old one.
    source.delete(found, propagationPolicy="Background")
    wait_for("the garbage collector", lambda: source.get(kept) is None)
    source.remove_namespace(namespace, wait=False)


def test_what_goes_with_a_job(source, store, namespace, wait_for):
    """The server would collect it with the Job's Pods: the Job is not deleted."""
    metadata = {"name": namespace}
    source.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    job = source.create(_objects(namespace, now=False)[1])
    kept = source.create(_config_map(namespace, "kept", owner=job))
    source.backup(store, "job", namespace)
    source.delete(job, propagationPolicy="Orphan")
    wait_for("the Job's end", lambda: source.get(job) is None)
    other = source.create(_objects(namespace, now=True)[1])
    references = _config_map(namespace, "kept", owner=other)["metadata"]
    source.patch(kept, {"metadata": {"ownerReferences": references["ownerReferences"]}})

    options = RestoreOptions(existing_policies={"jobs": "recreate"})
    engine = RestoreEngine(source.cluster, store)
    result = engine.run("job", RestoreSpec(backup_name="job"), options)

    (error,) = result.results.errors
    assert "what it owns would go with it: configmaps/" in error.message
    assert source.get(job)["metadata"]["uid"] == other["metadata"]["uid"]
    assert source.get(kept)["metadata"]["uid"] == kept["metadata"]["uid"]
    # As it would have been: the collector takes what the Job owned.
    source.delete(other, propagationPolicy="Foreground")
    wait_for("the garbage collector", lambda: source.get(kept) is None)
    source.remove_namespace(namespace, wait=False)


def _owned(item, owner):
    """The object, owned by another one as the server has it."""
    metadata = _config_map(owner["metadata"]["namespace"], "", owner=owner)["metadata"]
    references = metadata["ownerReferences"]
    return {**item, "metadata": {**item["metadata"], "ownerReferences": references}}


def _secret(namespace, name, value):
    """A Secret."""
    metadata = {"name": name, "namespace": namespace}
    base = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
    return base | {"stringData": {"a": value}}


def _make_family(world, namespace, value):
    """An owner, and what it owns: one that stays, and Secrets that differ."""
    metadata = {"name": namespace}
    world.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    owner = world.create(_config_map(namespace, "owner", {"a": value}))
    world.create(_config_map(namespace, "kept", owner=owner))
    for name in ("changed", "anew"):
        world.create(_owned(_secret(namespace, name, value), owner))
    return owner


def test_killed_before_what_stays_is_tied(source, store, killed, namespace, wait_for):
    """Wherever a run dies, the same restore again ties all of it to the new owner."""
    _make_family(source, namespace, "1")
    source.backup(store, "family", namespace)

    def restore(place, number=0):
        policies = {f"configmaps/{place}/owner": "recreate"}
        policies |= {f"secrets/{place}/anew": "recreate"}
        policies |= {f"secrets/{place}/changed": "update"}
        spec = {"backup_name": "family", "namespace_mapping": {namespace: place}}
        spec["options"] = {"existing_policies": policies}
        return killed("restore", place, spec, where="cluster", number=number)

    def check(place, old):
        owner = source.get(_config_map(place, "owner"))
        assert owner["metadata"]["uid"] != old["metadata"]["uid"]
        assert owner["data"] == {"a": "1"}
        # Whoever still names the old owner is collected: the collector has seen it go.
        stale = source.create(_config_map(place, "stale", owner=old))
        wait_for("the garbage collector", lambda: source.get(stale) is None)
        kept = source.get(_config_map(place, "kept"))
        secrets = [source.get(_secret(place, x, "")) for x in ("changed", "anew")]
        for each in (kept, *secrets):
            (reference,) = each["metadata"]["ownerReferences"]
            assert reference["uid"] == owner["metadata"]["uid"]
        assert [each["data"] for each in secrets] == [{"a": "MQ=="}] * 2
        results = store.restore_results(place)
        assert results.errors == results.warnings == ()

    place = f"{namespace}-whole"
    old = _make_family(source, place, "2")
    whole = restore(place)
    assert whole.through  # in one run, Secrets and all
    check(place, old)
    for number in range(1, whole.writes + 1):
        place = f"{namespace}-{number}"
        old = _make_family(source, place, "2")
        restore(place, number)
        assert restore(place).through

        check(place, old)
        source.remove_namespace(place, wait=False)
    source.remove_namespace(f"{namespace}-whole", wait=False)
    source.remove_namespace(namespace, wait=False)


def test_what_goes_with_a_job_and_is_in_no_backup(source, store, namespace, wait_for):
    """A claim that the Job got since, or its Pod has: the Job is not deleted either."""
    metadata = {"name": namespace}
    source.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    made = source.create(_objects(namespace, now=False)[1])
    source.backup(store, "alone", namespace)
    source.delete(made, propagationPolicy="Background")
    wait_for("the Job's end", lambda: source.get(made) is None)
    job = source.create(_objects(namespace, now=True)[1])

    def pod_of_job():
        """Return the Pod of the new Job, when it is there."""
        return [
            each
            for each in source.pods(namespace, app="job")
            if each["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]
        ]

    (pod,) = wait_for("its Pod", pod_of_job)
    pod = {"apiVersion": "v1", "kind": "Pod", **pod}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    claim |= {"metadata": {"name": "work", "namespace": namespace}}
    request = {"requests": {"storage": "1Gi"}}
    claim |= {"spec": {"accessModes": ["ReadWriteOnce"], "resources": request}}
    engine = RestoreEngine(source.cluster, store)
    options = RestoreOptions(existing_policies={"jobs": "recreate"})
    spec = RestoreSpec(backup_name="alone", excluded_resources=["pods"])

    for owner in (job, pod):
        live = source.create(_owned(claim, owner))
        name = f"alone-{owner['kind'].lower()}"
        plan = engine.plan(name, spec, options)
        (line,) = [x for x in plan.entries if x.kind == "Job"]
        assert line.action is PlanAction.CONFLICT
        assert line.reason.endswith(f"persistentvolumeclaims/{namespace}/work")
        assert not any("deleted and created anew" in x.what for x in plan.notices)
        engine.apply(plan)
        assert source.get(job)["metadata"]["uid"] == job["metadata"]["uid"]
        assert source.get(claim)["metadata"]["uid"] == live["metadata"]["uid"]
        finalizers = {"metadata": {"finalizers": None}}
        source.patch(live, finalizers)
        source.delete(live)
        wait_for("the claim's end", lambda: source.get(claim) is None)

    result = engine.run("alone", spec, options)
    assert result.results.errors == ()
    assert source.get(job)["metadata"]["uid"] != job["metadata"]["uid"]
    source.remove_namespace(namespace, wait=False)


@pytest.mark.parametrize("moves", [False, True])
def test_what_modifiers_change(source, store, namespace, monkeypatch, moves):
    """It is created as the plan said; what moved right before the delete is not deleted."""
    metadata = {"name": namespace}
    source.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    fixed = _config_map(namespace, "fixed", {"app": "web"})
    source.create(fixed)
    source.backup(store, namespace, namespace)
    live = source.patch(fixed, {"data": {"app": "other"}})
    text = f"""\
version: v1
resourceModifierRules:
- conditions: {{groupResource: configmaps, namespaces: [{namespace}]}}
  mergePatches: [{{patchData: "data: {{colour: green}}"}}]
"""
    options = RestoreOptions(
        existing_policies={f"configmaps/{namespace}/fixed": "recreate"},
        resource_modifiers=ResourceModifiers.from_yaml(text),
    )
    spec = RestoreSpec(backup_name=namespace)
    engine = RestoreEngine(source.cluster, store)
    plan = engine.plan(namespace, spec, options)
    delete = Cluster.delete

    def delete_later(self, *args, dry_run=False, **how):
        if moves and not dry_run:
            source.patch(fixed, {"data": {"more": "1"}})
        return delete(self, *args, dry_run=dry_run, **how)

    monkeypatch.setattr(Cluster, "delete", delete_later)
    result = engine.apply(plan)

    (line,) = [x for x in plan.entries if x.action is PlanAction.RECREATE]
    assert line.changed_by == ("resource modifier rule 1",)
    assert result.results.errors == ()
    (outcome,) = [x for x in result.outcomes if x.identifier.name == "fixed"]
    assert outcome.action == ("skipped" if moves else "recreated")
    found = source.get(fixed)
    assert (found["metadata"]["uid"] == live["metadata"]["uid"]) == moves
    left = {"app": "other", "more": "1"}
    assert found["data"] == (left if moves else {"app": "web", "colour": "green"})
    source.remove_namespace(namespace, wait=False)
