"""Objects that are there get the fields of the backup by server-side apply."""

import json

import attrs
import pytest

from kbackup.cluster import PatchKind
from kbackup.errors import ConflictError, InvalidSpecError
from kbackup.models import RestoreOptions, RestoreSpec, labels
from kbackup.restore import PlanAction
from kbackup.restore._comparing.applied_fields import applied_of

SPEC = RestoreSpec(backup_name="shop-1")
APPLY = RestoreOptions(existing_policies={"*": "apply"})
SETTINGS = "configmaps/shop/settings"
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}


def _settings(**data):
    """A ConfigMap of the shop."""
    metadata = {"name": "settings", "namespace": "shop"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _managed(content, manager, tree, operation="Update", **more):
    """The same object, with one manager more."""
    entry = {"manager": manager, "operation": operation, "apiVersion": "v1"}
    entry |= {"fieldsType": "FieldsV1", "fieldsV1": tree, **more}
    metadata = content["metadata"]
    fields = [*metadata.get("managedFields", []), entry]
    return {**content, "metadata": {**metadata, "managedFields": fields}}


def _deployment(replicas=2, image="web:1", **more):
    """A Deployment."""
    containers = [{"name": "web", "image": image}]
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": containers},
    }
    spec = {"replicas": replicas, "template": template, **more}
    metadata = {"name": "web", "namespace": "shop"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": spec,
    }


OF_USER = {
    "f:spec": {
        "f:template": {
            "f:spec": {
                "f:containers": {
                    'k:{"name":"web"}': {".": {}, "f:name": {}, "f:image": {}}
                }
            }
        }
    }
}
OF_SCALER = {"f:spec": {"f:replicas": {}}}


def _line(plan, name=SETTINGS):
    """The line of an item, by the text of its target."""
    return next(entry for entry in plan.entries if str(entry.target) == name)


def _write(shop, data, manager="ops"):
    """Let somebody write into the settings."""
    resource = shop.cluster.discover().by_kind("v1", "ConfigMap")
    shop.cluster.patch(
        resource, "settings", {"data": data}, namespace="shop", field_manager=manager
    )


@pytest.fixture
def bench(make_shop):
    """A backup of settings, and a target in which they were made by kbackup."""
    shop = make_shop([NAMESPACE, _settings(currency="EUR", vat="19")])
    shop.engine.run("first", SPEC)
    return shop


def _managers(shop):
    """Who manages which data of the settings."""
    fields = shop.object("configmaps", "shop", "settings")["metadata"]["managedFields"]
    return {
        (x["manager"], x["operation"]): sorted(x["fieldsV1"].get("f:data", {}))
        for x in fields
    }


def test_what_only_the_live_object_has_stays(bench):
    """What is missing is added; what others added stays; kbackup manages what it sent."""
    _write(bench, {"vat": None, "own": "1"})

    plan = bench.engine.plan("r", SPEC, APPLY)
    result = bench.engine.apply(plan)

    line = _line(plan)
    assert (line.action, line.apply) == (PlanAction.UPDATE, "apply")
    assert "[apply]" in str(plan)
    assert [(x.op, x.path) for x in line.differences] == [("add", "data.vat")]
    assert line.reason.startswith("kbackup manages data.currency, data.vat")
    assert result.results.errors == ()
    live = bench.object("configmaps", "shop", "settings")
    assert live["data"] == {"currency": "EUR", "vat": "19", "own": "1"}
    assert {"f:currency", "f:vat"} <= set(_managers(bench)["kbackup", "Apply"])
    assert _line(bench.engine.plan("again", SPEC, APPLY)).action is PlanAction.UNCHANGED


def test_a_field_of_another_manager_is_a_conflict(bench):
    """It is named with its manager, in the plan, and nothing is written."""
    _write(bench, {"currency": "USD"})
    before = bench.versions()

    plan = bench.engine.plan("r", SPEC, APPLY)
    result = bench.engine.apply(plan)

    line = _line(plan)
    assert line.action is PlanAction.CONFLICT
    assert line.reason.startswith("data.currency is managed by ops; --force-conflicts")
    assert "managed by ops" in result.results.errors[0].message
    assert bench.versions() == before


def test_a_field_is_taken_where_that_is_asked_for(bench):
    """The plan says from whom; afterwards kbackup manages it alone."""
    _write(bench, {"currency": "USD"})
    options = attrs.evolve(APPLY, force_conflicts=True)

    plan = bench.engine.plan("r", SPEC, options)
    bench.engine.apply(plan)

    line = _line(plan)
    assert (line.action, line.apply) == (PlanAction.UPDATE, "force")
    assert "taken from its manager: data.currency is managed by ops" in line.reason
    live = bench.object("configmaps", "shop", "settings")
    assert live["data"]["currency"] == "EUR"
    assert "f:currency" not in _managers(bench).get(("ops", "Update"), [])


def test_force_without_apply(bench):
    """To force what nothing does is a slip."""
    with pytest.raises(InvalidSpecError, match="force_conflicts"):
        bench.engine.plan("r", SPEC, RestoreOptions(force_conflicts=True))


def test_a_field_that_appeared_since_is_not_taken(bench, monkeypatch):
    """Somebody sets it right before the request is sent: it stays as that one set it."""
    _write(bench, {"vat": None})
    plan = bench.engine.plan("r", SPEC, APPLY)
    patch = type(bench.cluster).patch
    late = [{"vat": "7"}]

    def patch_late(self, resource, name, body, *, kind=PatchKind.MERGE, **how):
        if kind is PatchKind.APPLY and late:
            _write(bench, late.pop(), manager="late")
        return patch(self, resource, name, body, kind=kind, **how)

    monkeypatch.setattr(type(bench.cluster), "patch", patch_late)
    result = bench.engine.apply(plan)

    assert any("changed since the plan" in w.message for w in result.results.warnings)
    assert bench.object("configmaps", "shop", "settings")["data"]["vat"] == "7"


def test_a_conflict_that_only_the_server_sees(bench, monkeypatch):
    """What it says is told by field and manager, and nothing is written."""
    _write(bench, {"vat": None})
    plan = bench.engine.plan("r", SPEC, APPLY)
    cause = {"reason": "FieldManagerConflict", "field": ".data.vat"}
    body = {"details": {"causes": [cause | {"message": 'conflict with "x"'}]}}

    def refuse(*_, **__):
        raise ConflictError("patch", "configmaps", "shop/settings", "no", body=body)

    monkeypatch.setattr(type(bench.cluster), "patch", refuse)
    result = bench.engine.apply(plan)

    (error,) = result.results.errors
    assert 'not applied: .data.vat: conflict with "x"' in error.message


def test_an_object_that_moved_is_left_alone(bench):
    """Somebody wrote another field since the plan was made: the same is still applied."""
    _write(bench, {"vat": None})
    plan = bench.engine.plan("r", SPEC, APPLY)
    _write(bench, {"else": "1"})
    same = bench.engine.apply(plan)
    _write(bench, {"vat": None}, manager="kbackup")
    plan = bench.engine.plan("r", SPEC, APPLY)
    _write(bench, {"currency": None})
    other = bench.engine.apply(plan)

    assert same.exit_code == 0
    assert other.exit_code == 3


def test_validate_asks_the_server_about_conflicts(bench):
    """A dry run of what is applied changes nothing."""
    _write(bench, {"vat": None})
    before = bench.versions()

    plan = bench.engine.plan("r", SPEC, attrs.evolve(APPLY, validate=True))

    assert _line(plan).apply == "apply"
    assert bench.versions() == before
    assert any(call.startswith("patch configmaps") for call in bench.simulated.calls)


def test_a_saved_plan_applies(bench):
    """What is applied stands in the document of a plan."""
    _write(bench, {"vat": None})
    plan = bench.engine.plan("r", SPEC, APPLY)

    read = type(plan).from_json(plan.to_json())
    bench.engine.apply(read)

    assert _line(read) == _line(plan)
    assert bench.object("configmaps", "shop", "settings")["data"]["vat"] == "19"


def test_the_record_speaks_veleros_words(bench):
    """Velero reads its own policies in the specification; ours are an annotation."""
    _write(bench, {"vat": None})

    restore = bench.engine.run("r", SPEC, APPLY).restore

    assert restore.spec.existing_resource_policy is None
    options = json.loads(restore.metadata.annotations[labels.OPTIONS])
    assert options == {"existing_policies": {"*": "apply"}}


# --- which fields ---------------------------------------------------------------------


def test_only_fields_of_users_are_applied():
    """What a part of the cluster wrote in the backup, such as a scaler, is not sent."""
    stored = _managed(_deployment(7), "kubectl", OF_USER)
    stored = _managed(stored, "kube-controller-manager", OF_SCALER)

    applied = applied_of(_deployment(7), stored, _deployment(2, "web:2"))

    assert "replicas" not in applied.body["spec"]
    assert applied.body["spec"]["template"]["spec"] == {
        "containers": [{"name": "web", "image": "web:1"}]
    }
    assert applied.managed() == "spec.template.spec.containers"


def test_what_was_changed_on_the_way_is_applied():
    """What a transform or the restore itself changed comes along, whoever managed it."""
    stored = _managed(_deployment(7), "kubectl", OF_USER)
    desired = _deployment(0)
    desired["metadata"] = {**desired["metadata"], "labels": {"a": "1"}}

    applied = applied_of(desired, stored, _deployment(2))

    assert applied.body["spec"]["replicas"] == 0
    assert applied.body["metadata"]["labels"] == {"a": "1"}


def test_without_managers_everything_is_applied():
    """A backup of an old server has no managers: the whole object is the user's."""
    applied = applied_of(_deployment(7), _deployment(7), _deployment(2))

    assert applied.body == _deployment(7)


def test_elements_of_lists_are_merged_by_their_keys():
    """A container that something in the target injected stays, as the server has it."""
    live = _deployment(2, "web:2")
    spec = live["spec"]["template"]["spec"]
    spec["containers"] = [*spec["containers"], {"name": "proxy", "image": "proxy:1"}]
    stored = _managed(_deployment(2), "kubectl", OF_USER)
    live = _managed(live, "kubectl", OF_USER)

    applied = applied_of(_deployment(2), stored, live)

    goal = applied.goal(live)["spec"]["template"]["spec"]["containers"]
    assert goal == [
        {"name": "web", "image": "web:1"},
        {"name": "proxy", "image": "proxy:1"},
    ]
    field = "spec.template.spec.containers[web].image"
    assert [str(x) for x in applied.clashes] == [f"{field} is managed by kubectl"]


def test_what_kbackup_applied_once_and_applies_no_more_goes():
    """As the server removes it, and only where nobody else has it."""
    tree = {"f:data": {"f:a": {}, "f:old": {}, "f:shared": {}}}
    live = _managed(_settings(a="1", old="1", shared="1"), "kbackup", tree, "Apply")
    live = _managed(live, "ops", {"f:data": {"f:shared": {}}})

    applied = applied_of(_settings(a="1"), _settings(a="1"), live)

    assert applied.goal(live)["data"] == {"a": "1", "shared": "1"}


def test_own_fields_are_no_clash():
    """What kbackup wrote when it created an object it may write again."""
    live = _managed(_settings(a="2"), "kbackup", {"f:data": {"f:a": {}}})

    applied = applied_of(_settings(a="1"), _settings(a="1"), live)

    assert applied.clashes == ()
    assert applied.is_own
