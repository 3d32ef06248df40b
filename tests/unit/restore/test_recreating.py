"""Objects that are there are deleted and created anew, where that was asked for."""

from datetime import timedelta

import attrs
import pytest

from kbackup._kits.workers import CancelToken
from kbackup.errors import (
    ClusterUnreachableError,
    ForbiddenError,
    InvalidSpecError,
    RunCancelledError,
    StoreUnavailableError,
)
from kbackup.models import RestoreOptions, RestoreSpec
from kbackup.restore import PlanAction
from kbackup.restore._comparing.existing import MADE_BEFORE, why_not
from kbackup.restore._writes.recreating import propagation_of

SPEC = RestoreSpec(backup_name="shop-1")
SETTINGS = "configmaps/shop/settings"


def _object(kind, name="settings", version="v1", namespace="shop", **body):
    """An object of the shop."""
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": version, "kind": kind, "metadata": metadata} | body


def _deployment(app="web", **more):
    """A Deployment that selects Pods of *app*."""
    labels = {"app": app}
    containers = [{"name": "web", "image": "example.com/web:1"}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    spec = {"selector": {"matchLabels": labels}, "template": template, "replicas": 1}
    return _object("Deployment", "web", "apps/v1", spec=spec | more)


NAMESPACE = _object("Namespace", "shop", namespace="")
BEFORE = _object("ConfigMap", data={"currency": "EUR"})
NOW = _object("ConfigMap", data={"currency": "USD", "more": "1"})


def _recreate(*names):
    """The options that ask for it."""
    return RestoreOptions(existing_policies=dict.fromkeys(names, "recreate"))


def _line(plan, name):
    """The line of an item, by the text of its target."""
    return next(entry for entry in plan.entries if str(entry.target) == name)


@pytest.fixture
def bench(make_shop):
    """A backup of a ConfigMap, which the target has with other data."""
    shop = make_shop([NAMESPACE, BEFORE])
    shop.simulated.load([NAMESPACE, NOW])
    return shop


@pytest.mark.parametrize("name", ["configmaps", "cm", SETTINGS])
def test_an_object_is_deleted_and_created_anew(bench, name):
    """By its type or by its name: the plan shows it, afterwards it is another object."""
    uid = bench.object("configmaps", "shop", "settings")["metadata"]["uid"]
    plan = bench.engine.plan("r", SPEC, _recreate(name))

    result = bench.engine.apply(plan)

    line = _line(plan, SETTINGS)
    assert line.action is PlanAction.RECREATE
    assert [x.path for x in line.differences] == ["data.currency", "data.more"]
    assert [x.action for x in result.outcomes if str(x.identifier) == SETTINGS] == [
        "recreated"
    ]
    assert result.results.errors == ()
    live = bench.object("configmaps", "shop", "settings")
    assert live["data"] == {"currency": "EUR"}
    assert live["metadata"]["uid"] != uid


def test_nothing_else_is_deleted(make_shop):
    """What has another name, or is as in the backup, stays."""
    other, now = (
        _object("ConfigMap", "other", data={"a": "1"}),
        _object("ConfigMap", "other", data={"a": "2"}),
    )
    shop = make_shop([NAMESPACE, BEFORE, other])
    shop.simulated.load([NAMESPACE, BEFORE, now])
    before = shop.versions()

    plan = shop.engine.plan("r", SPEC, _recreate(SETTINGS))
    shop.engine.apply(plan)

    assert _line(plan, SETTINGS).action is PlanAction.UNCHANGED
    assert _line(plan, "configmaps/shop/other").action is PlanAction.SKIP
    assert shop.versions() == before


def test_the_closest_policy_counts(bench):
    """What is said of an object counts before what is said of its type, and of all."""
    named = {"*": "update", "configmaps": "recreate", SETTINGS: "none"}
    actions = {}
    for number in range(3):
        options = RestoreOptions(existing_policies=named)
        actions[number] = _line(bench.engine.plan("r", SPEC, options), SETTINGS).action
        named.popitem()

    assert list(actions.values()) == ["skip", "recreate", "update"]


@pytest.mark.parametrize(
    ("policies", "fact"),
    [
        ({"*": "recreate"}, "recreate is by type or object only"),
        ({"pvc": "recreate"}, "pvc is never deleted, for its data would go with it"),
        ({"persistentvolumes/data": "recreate"}, "never deleted, for its data"),
        ({"ns": "recreate"}, "for all that is in it would go with it"),
        ({"crds": "recreate"}, "for all objects of its type would go with it"),
        ({"widgets": "update"}, "neither target nor backup has a type widgets"),
        ({"configmaps/": "update"}, "is no TYPE, TYPE/NAME or TYPE/NAMESPACE/NAME"),
        ({"configmaps/a/b/c": "none"}, "is no TYPE, TYPE/NAME or"),
    ],
)
def test_policies_that_are_refused(bench, policies, fact):
    """What could delete more than was meant, or means nothing, is refused at once."""
    with pytest.raises(InvalidSpecError, match=fact.replace("*", r"\*")):
        bench.engine.plan("r", SPEC, RestoreOptions(existing_policies=policies))


def test_an_immutable_field_is_no_obstacle(make_shop):
    """A selector that cannot be changed comes back, and what the workload owned stays."""
    shop = make_shop([NAMESPACE, _deployment("web")])
    shop.simulated.load([NAMESPACE, _deployment("other")])
    uid = shop.object("deployments.apps", "shop", "web")["metadata"]["uid"]
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": uid}
    child = _object("ConfigMap", "child")
    child["metadata"]["ownerReferences"] = [owner]
    shop.simulated.load([child])

    plan = shop.engine.plan("r", SPEC, _recreate("deployments"))
    result = shop.engine.apply(plan)

    line = _line(plan, "deployments.apps/shop/web")
    assert line.reason == "immutable field spec.selector.matchLabels.app"
    assert result.results.errors == ()
    live = shop.object("deployments.apps", "shop", "web")
    assert live["spec"]["selector"]["matchLabels"] == {"app": "web"}
    assert shop.names("configmaps", "shop") == ["child"]


def test_what_the_server_would_not_take_is_not_deleted(bench, monkeypatch):
    """Before an object is deleted the server is asked whether it takes the new one."""

    def refuse(resource, body, *, dry_run=False, **_):
        raise ForbiddenError("create", str(resource), "settings", "denied by a policy")

    plan = bench.engine.plan("r", SPEC, _recreate("configmaps"))
    monkeypatch.setattr(
        type(bench.cluster), "create", lambda _, *a, **k: refuse(*a, **k)
    )
    result = bench.engine.apply(plan)

    (error,) = result.results.errors
    assert "not deleted, for the server would not take the new one" in error.message
    assert bench.object("configmaps", "shop", "settings")["data"]["currency"] == "USD"


def test_an_object_that_moved_is_not_deleted(bench):
    """Somebody changed it since the plan was made: it is left alone, and named."""
    plan = bench.engine.plan("r", SPEC, _recreate("configmaps"))
    resource = bench.cluster.discover().by_kind("v1", "ConfigMap")
    data = {"data": {"currency": "GBP"}}
    bench.cluster.patch(resource, "settings", data, namespace="shop")

    result = bench.engine.apply(plan)

    assert bench.object("configmaps", "shop", "settings")["data"]["currency"] == "GBP"
    assert result.exit_code == 3
    assert any("changed since the plan" in w.message for w in result.results.warnings)


def test_what_a_controller_of_the_target_keeps(make_shop):
    """It would be made anew at once by its owner: a conflict that names the owner."""
    shop = make_shop([NAMESPACE, BEFORE])
    owner = {"apiVersion": "v1", "kind": "Widget", "name": "w", "uid": "1"}
    kept = _object("ConfigMap", data={"currency": "USD"})
    kept["metadata"]["ownerReferences"] = [owner | {"controller": True}]
    shop.simulated.load([NAMESPACE, kept])

    plan = shop.engine.plan("r", SPEC, _recreate("configmaps"))

    line = _line(plan, SETTINGS)
    assert line.action is PlanAction.CONFLICT
    assert (
        line.reason == "not deleted: it is Widget/w's, which would make it anew at once"
    )


def test_what_it_does_outside_is_told(make_shop):
    """A Service that is created anew asks for a new load balancer; the head names it all."""
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
    shop = make_shop([NAMESPACE, _object("Service", "web", spec=spec)])
    now = spec | {"ports": [{"port": 81}]}
    shop.simulated.load([NAMESPACE, _object("Service", "web", spec=now)])

    plan = shop.engine.plan("r", SPEC, _recreate("services"))

    assert _line(plan, "services/shop/web").action is PlanAction.RECREATE
    told = "\n".join(str(notice) for notice in plan.notices)
    assert "asks the cloud for a load balancer: services/shop/web" in told
    assert "deleted and created anew: in between it is not there" in told
    assert "existing policies services=recreate" in str(plan)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, True),
        ({"selector": {"app": "web"}}, False),
        ({"type": "ExternalName"}, False),
    ],
    ids=["none", "selector", "alias"],
)
def test_the_endpoints_of_a_service_without_a_selector_are_told(make_shop, more, told):
    """The target's controller deletes with the Service what nobody makes again."""
    spec = {"ports": [{"port": 80}], "externalName": "x.example.com"} | more
    shop = make_shop([NAMESPACE, _object("Service", "web", spec=spec)])
    now = spec | {"ports": [{"port": 81}]}
    shop.simulated.load([NAMESPACE, _object("Service", "web", spec=now)])

    plan = shop.engine.plan("r", SPEC, _recreate("services"))
    update = RestoreSpec(backup_name="shop-1", existing_resource_policy="update")
    other = shop.engine.plan("r", update)

    sentence = "the target deletes its Endpoints"
    assert (sentence in "\n".join(map(str, plan.notices))) is told
    assert sentence not in "\n".join(map(str, other.notices))


def test_what_is_cluster_wide_is_marked(make_shop):
    """A cluster-scoped object is deleted only where its type is named, and marked so."""
    version = "rbac.authorization.k8s.io/v1"
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": [x]} for x in ("get", "*")
    ]
    roles = [
        _object("ClusterRole", "reader", version, namespace="", rules=[rule])
        for rule in rules
    ]
    shop = make_shop([roles[0]])
    shop.simulated.load([roles[1]])
    name = "clusterroles.rbac.authorization.k8s.io/reader"

    left = shop.engine.plan(
        "r", SPEC, RestoreOptions(existing_policies={"*": "update"})
    )
    plan = shop.engine.plan("r", SPEC, _recreate("clusterroles"))
    shop.engine.apply(plan)

    assert _line(left, name).action is PlanAction.SKIP
    assert (_line(plan, name).action, _line(plan, name).cluster_wide) == (
        "recreate",
        True,
    )
    assert "[cluster-wide]" in str(_line(plan, name))
    live = shop.object("clusterroles.rbac.authorization.k8s.io", "", "reader")
    assert live["rules"] == [rules[0]]


# --- nothing is lost ------------------------------------------------------------------


def test_what_was_there_is_saved_first(bench):
    """The deleted object comes back from a backup of its own, which the plan names."""
    plan = bench.engine.plan("r", SPEC, _recreate("configmaps"))
    bench.engine.apply(plan)

    undo = RestoreSpec(backup_name="r-before")
    bench.engine.run("undo", undo, _recreate("configmaps"))

    assert any("as backup r-before" in str(notice) for notice in plan.notices)
    live = bench.object("configmaps", "shop", "settings")
    assert live["data"] == {"currency": "USD", "more": "1"}


def test_what_is_changed_beside_it_is_saved_as_well(make_shop):
    """The backup before holds updated objects too, and is not meant by ``latest``.

    Without a deletion there is none.
    """
    kept = [_object("ConfigMap", "kept", data={"a": str(x)}) for x in range(2)]
    shop = make_shop([NAMESPACE, BEFORE, kept[0]])
    shop.simulated.load([NAMESPACE, NOW, kept[1]])
    update = RestoreSpec(backup_name="shop-1", existing_resource_policy="update")

    shop.engine.run("plain", RestoreSpec(backup_name="shop-1"))
    shop.engine.run("r", update, _recreate(SETTINGS))

    names = [entry.name for entry in shop.store.list()]
    assert sorted(names) == ["r-before", "shop-1"]
    assert shop.store.latest().name == "shop-1"
    with shop.store.open_archive("r-before") as archive:
        saved = {item.identifier.name: item.content["data"] for item in archive}
    assert saved == {"kept": {"a": "1"}, "settings": {"currency": "USD", "more": "1"}}


def test_a_store_that_takes_nothing(bench, monkeypatch):
    """What cannot be saved is not deleted: the restore ends before it has written."""
    plan = bench.engine.plan("r", SPEC, _recreate("configmaps"))
    before, name = bench.versions(), "backups/r-before"

    def refuse(*_, **__):
        raise StoreUnavailableError(name, "no room")

    monkeypatch.setattr(type(bench.store), "publish", refuse)
    with pytest.raises(StoreUnavailableError):
        bench.engine.apply(plan)

    assert bench.versions() == before


class _Killed(BaseException):
    """The end of a process."""


def _die_before_create(shop, monkeypatch):
    """Let a run end between the delete and the create of an object."""
    create = type(shop.cluster).create

    def die(self, resource, body, *, dry_run=False, **how):
        if not dry_run:
            raise _Killed
        return create(self, resource, body, dry_run=dry_run, **how)

    monkeypatch.setattr(type(shop.cluster), "create", die)


@pytest.mark.parametrize("again", ["planned", "saved"])
def test_a_run_that_ended_in_between(bench, monkeypatch, again):
    """The same restore, planned again or by its saved plan, creates what was deleted."""
    plan = bench.engine.plan("r", SPEC, _recreate("configmaps"))
    saved = plan.to_json()
    with monkeypatch.context() as patched:
        _die_before_create(bench, patched)
        with pytest.raises(_Killed):
            bench.engine.apply(plan)
    assert bench.names("configmaps", "shop") == []

    if again == "planned":
        plan = bench.engine.plan("r", SPEC, _recreate("configmaps"))
        assert _line(plan, SETTINGS).action is PlanAction.CREATE
    else:
        plan = type(plan).from_json(saved)
    result = bench.engine.apply(plan)

    assert result.results.errors == ()
    live = bench.object("configmaps", "shop", "settings")
    assert live["data"] == {"currency": "EUR"}
    third = bench.engine.plan("r", SPEC, _recreate("configmaps"))
    assert _line(third, SETTINGS).action is PlanAction.UNCHANGED


def test_a_create_whose_answer_is_lost(bench, monkeypatch):
    """It is found to be there, and counts as what the plan says: created anew."""
    cluster = type(bench.cluster)
    create, get, lost, blind = cluster.create, cluster.get, [], []

    def lose(self, resource, body, *, dry_run=False, **how):
        stored = create(self, resource, body, dry_run=dry_run, **how)
        if not dry_run and resource.resource == "configmaps" and not lost:
            lost.append(stored)
            raise ClusterUnreachableError("create", "configmaps", reason="reset")
        return stored

    def see_later(self, *args, **how):
        if lost and not blind:
            blind.append(args)
            raise ClusterUnreachableError("get", "configmaps", reason="reset")
        return get(self, *args, **how)

    monkeypatch.setattr(cluster, "create", lose)
    monkeypatch.setattr(cluster, "get", see_later)
    result = bench.engine.run("r", SPEC, _recreate("configmaps"))

    assert blind
    assert result.results.errors == ()
    (outcome,) = (x for x in result.outcomes if str(x.identifier) == SETTINGS)
    assert outcome.action == "recreated"


def test_a_run_that_is_cancelled_in_between(bench, monkeypatch):
    """It says what is deleted and not there yet, and who makes it."""
    plan = bench.engine.plan("r", SPEC, _recreate("configmaps"))
    cancel = CancelToken()
    delete = type(bench.cluster).delete

    def cancel_after(self, *args, dry_run=False, **how):
        delete(self, *args, dry_run=dry_run, **how)
        cancel.cancel("no more")

    monkeypatch.setattr(type(bench.cluster), "delete", cancel_after)
    with pytest.raises(RunCancelledError) as caught:
        bench.engine.apply(plan, cancel=cancel)

    (outcome,) = (
        x for x in caught.value.result.outcomes if str(x.identifier) == SETTINGS
    )
    assert outcome.action == "unknown"
    assert outcome.reason.startswith("deleted, and not created anew yet")


def test_a_finalizer_holds_it(make_shop):
    """It is waited for, up to the deadline; the error says what holds the old object."""
    shop = make_shop([NAMESPACE, BEFORE])
    held = _object("ConfigMap", data={"currency": "USD"})
    held["metadata"]["finalizers"] = ["example.com/held"]
    shop.simulated.load([NAMESPACE, held])
    options = attrs.evolve(_recreate("configmaps"), deadline=timedelta(0))

    result = shop.engine.run("r", SPEC, options)

    (error,) = result.results.errors
    assert "deleted; the live one is being deleted" in error.message
    assert "example.com/held" in error.message
    resource = shop.cluster.discover().by_kind("v1", "ConfigMap")
    free = {"metadata": {"finalizers": None}}
    shop.cluster.patch(resource, "settings", free, namespace="shop")
    again = shop.engine.run("r", SPEC, options)
    assert again.results.errors == ()
    live = shop.object("configmaps", "shop", "settings")
    assert live["data"] == {"currency": "EUR"}


def test_what_this_restore_made_is_not_deleted_again(bench):
    """What changed since in an object of this restore is left, and named."""
    options = _recreate("configmaps")
    bench.engine.run("r", SPEC, options)
    resource = bench.cluster.discover().by_kind("v1", "ConfigMap")
    data = {"data": {"currency": "GBP"}}
    bench.cluster.patch(resource, "settings", data, namespace="shop")

    line = _line(bench.engine.plan("r", SPEC, options), SETTINGS)

    assert (line.action, line.reason) == (PlanAction.SKIP, MADE_BEFORE)


def test_validate_tries_both(bench):
    """A dry run asks for the delete and the create, and leaves the object there."""
    before = bench.versions()
    options = attrs.evolve(_recreate("configmaps"), validate=True)

    plan = bench.engine.plan("r", SPEC, options)

    assert _line(plan, SETTINGS).action is PlanAction.RECREATE
    assert bench.versions() == before
    calls = bench.simulated.calls
    assert any(call.startswith("delete configmaps") for call in calls)
    assert any(call.startswith("create configmaps") for call in calls)


def test_an_owner_is_tied_again(make_shop):
    """What is created anew has its owner of the restore, by the UID of the target."""
    owner = _object("ConfigMap", "owner")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "x"}
    owned = _object("Secret", "owned", data={"a": "MQ=="})
    owned["metadata"]["ownerReferences"] = [reference]
    shop = make_shop([NAMESPACE, owner, owned])
    now = _object("Secret", "owned", data={"a": "Mg=="})
    shop.simulated.load([NAMESPACE, owner, now])

    plan = shop.engine.plan("r", SPEC, _recreate("secrets"))
    shop.engine.apply(plan)

    assert _line(plan, "secrets/shop/owned").reason == "owned by ConfigMap/owner"
    (found,) = shop.object("secrets", "shop", "owned")["metadata"]["ownerReferences"]
    live = shop.object("configmaps", "shop", "owner")
    assert found["uid"] == live["metadata"]["uid"]


@pytest.mark.parametrize(
    ("kind", "version", "spec", "how"),
    [
        ("Deployment", "apps/v1", {}, "Orphan"),
        ("StatefulSet", "apps/v1", {}, "Orphan"),
        ("Widget", "example.com/v1", {}, "Orphan"),
        ("Job", "batch/v1", {}, "Foreground"),
        ("Pod", "v1", {}, ""),
    ],
)
def test_what_becomes_of_what_it_owns(kind, version, spec, how):
    """What an object owns stays; but Pods of a Job go first, or its work is done twice."""
    assert propagation_of(_object(kind, version=version, spec=spec)) == how


def test_a_pod_with_ephemeral_volumes():
    """They would go with the Pod, and what is in them."""
    volumes = [{"name": "scratch", "ephemeral": {}}]

    assert "their data" in why_not(_object("Pod", spec={"volumes": volumes}))
    assert why_not(_object("Pod", spec={"volumes": [{"emptyDir": {}}]})) == ""
