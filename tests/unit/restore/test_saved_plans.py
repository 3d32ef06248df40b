"""A plan that was saved is carried out as the plan that was made, and no other."""

import json
from datetime import timedelta
from importlib.metadata import version

import attrs
import pytest
from msgspec.structs import replace
from plan_samples import config_map, namespace

from kbackup.errors import InvalidSpecError, PlanOutdatedError
from kbackup.models import (
    GroupResource,
    ResourceSelector,
    RestoreOptions,
    RestoreSpec,
)
from kbackup.plugins import PluginManager, RestoreOutput, hookimpl
from kbackup.restore import PlanAction, RestoreEngine, RestorePlan
from kbackup.restore._plan.digest import plan_digest
from kbackup.restore._request.request import restore_uid
from kbackup.testing import SimulatedCluster, sample_shop

SPEC = RestoreSpec(backup_name="shop-1")
UPDATE = RestoreSpec(backup_name="shop-1", existing_resource_policy="update")
DIFFERENTLY = "the item would be written differently than planned"


def _saved(plan):
    """The document as a file has it."""
    return json.loads(json.dumps(plan.to_json()))


def _sealed(document):
    """The plan of a document that was edited, and its digest with it."""
    return RestorePlan.from_json({**document, "digest": plan_digest(document)})


def _line(document, name, kind="ConfigMap"):
    """The line of an item."""
    return next(
        entry
        for entry in document["entries"]
        if entry["item"].endswith(f"/{name}") and entry["kind"] == kind
    )


def _outcome(result, name, kind="configmaps"):
    """What was done with an item."""
    (found,) = [
        outcome
        for outcome in result.outcomes
        if outcome.identifier.name == name
        and str(outcome.identifier.group_resource) == kind
    ]
    return found.action, found.reason


def _done(result):
    """Everything that was done."""
    return {str(o.identifier): (o.action, o.reason) for o in result.outcomes}


def test_a_loaded_plan_does_what_the_plan_does(shop, tmp_path):
    """Every item ends as it ends where the plan itself is applied."""
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(shop.engine.plan("try-1", SPEC).to_json()))
    with SimulatedCluster() as other, other.connect() as cluster:
        expected = RestoreEngine(cluster, shop.store).run("try-2", SPEC)

    result = shop.engine.apply(RestorePlan.from_json(file.read_bytes()))

    assert result.exit_code == 0
    assert _done(result) == _done(expected)
    assert [w.message for w in result.results.warnings] == [
        w.message for w in expected.results.warnings
    ]


def test_a_loaded_plan_is_the_plan_that_was_made(shop):
    """All of what the engine decided is in the document, and whose decision it was."""
    plan = shop.engine.plan("try-1", SPEC, RestoreOptions(redact=["configmaps"]))

    document = _saved(plan)

    assert RestorePlan.from_json(document) == plan
    assert document["writer"] == {"version": version("kbackup")}
    assert document["options"]["redact"] == ["configmaps"]


def test_a_loaded_plan_can_be_applied_again(shop):
    """What is done counts as done: nothing is there twice, nothing is an error."""
    document = _saved(shop.engine.plan("try-1", SPEC))
    shop.engine.apply(RestorePlan.from_json(document))

    result = shop.engine.apply(RestorePlan.from_json(document))

    assert result.results.errors == ()
    assert result.exit_code == 0
    assert {o.action for o in result.outcomes} == {"unchanged", "skipped"}
    assert _outcome(result, "settings") == ("unchanged", "done already")
    assert shop.engine.plan("try-1", SPEC).is_empty


def test_updates_that_are_there_are_not_done_again(shop):
    """A plan applied a second time does not claim to have updated what it left alone."""
    shop.simulated.load([namespace(), config_map(currency="USD")])
    update = attrs.evolve(SPEC, existing_resource_policy="update")
    document = _saved(shop.engine.plan("try-1", update))
    first = shop.engine.apply(RestorePlan.from_json(document))

    again = shop.engine.apply(RestorePlan.from_json(document))

    assert _outcome(first, "settings")[0] == "updated"
    assert _outcome(again, "settings") == ("unchanged", "done already")


def test_an_update_whose_answer_was_lost_is_an_update(shop):
    """What this very run wrote is told as written, though no answer came."""
    shop.simulated.load([namespace(), config_map(currency="USD")])
    update = attrs.evolve(SPEC, existing_resource_policy="update")
    plan = shop.engine.plan("try-1", update)
    shop.simulated.faults.drop(verb="patch", resource="configmaps", after=True, times=1)

    result = shop.engine.apply(plan)

    assert _outcome(result, "settings")[0] == "updated"


def test_an_own_object_that_changed_since_is_named(shop):
    """What an earlier run of the plan made and somebody changed is no second success."""
    document = _saved(shop.engine.plan("try-1", SPEC))
    shop.engine.apply(RestorePlan.from_json(document))
    resource = shop.cluster.discover().by_kind("v1", "ConfigMap")
    patch = {"data": {"currency": "CHF"}}
    shop.cluster.patch(resource, "settings", patch, namespace="shop")

    result = shop.engine.apply(RestorePlan.from_json(document))

    assert _outcome(result, "settings")[0] == "skipped"
    assert [str(w.item) for w in result.results.warnings if "since" in w.message] == [
        "configmaps/shop/settings"
    ]
    assert result.exit_code == 3


class Counting:
    """An action that writes into each ConfigMap how many Secrets the target has."""

    name = "example.com/counting"
    applies_to = ResourceSelector(included_resources=("configmaps",))

    def execute(self, given):
        """Count what is there."""
        found = len(list(given.cluster.list(GroupResource.parse("secrets"))))
        return RestoreOutput(item={**given.item, "data": {"found": str(found)}})

    @hookimpl
    def kbackup_register_restore_item_actions(self):
        """Offer itself."""
        return {self.name: self}


def test_actions_see_the_target_as_it_was_before_the_first_write(make_shop):
    """What a restore itself creates does not change what actions make of the rest."""
    secret = {"apiVersion": "v1", "kind": "Secret"} | {
        "metadata": {"name": "key", "namespace": "shop"}
    }
    objects = [namespace(), secret, config_map()]
    shop = make_shop(objects, plugins=PluginManager([Counting()]))
    document = _saved(shop.engine.plan("try-1", SPEC))

    result = shop.engine.apply(RestorePlan.from_json(document))

    assert result.results.errors == ()
    assert shop.names("secrets") == ["key"]  # written before the ConfigMap
    live = shop.object("configmaps", "shop", "settings")
    assert live["data"] == {"found": "0"}


# --- what moved since -----------------------------------------------------------------


def test_an_object_that_moved_is_left_alone(shop):
    """A loaded update is not sent over an object that changed since the plan."""
    shop.simulated.load([namespace(), config_map(currency="USD")])
    document = _saved(shop.engine.plan("try-1", UPDATE))
    resource = shop.cluster.discover().by_kind("v1", "ConfigMap")
    patch = {"data": {"currency": "CHF"}}
    shop.cluster.patch(resource, "settings", patch, namespace="shop")

    result = shop.engine.apply(RestorePlan.from_json(document))

    moved = "the live object changed since the plan was made"
    assert _outcome(result, "settings") == ("skipped", moved)
    live = shop.object("configmaps", "shop", "settings")
    assert live["data"]["currency"] == "CHF"


def test_an_object_whose_status_moved_is_updated(shop):
    """The differences of a loaded plan still tell that only a status moved."""
    shop.engine.run("try-0", SPEC)
    resource = shop.cluster.discover().by_kind("apps/v1", "Deployment")
    where = {"namespace": "shop"}
    shop.cluster.patch(resource, "web", {"spec": {"replicas": 7}}, **where)
    document = _saved(shop.engine.plan("try-1", UPDATE))
    status = {"status": {"observedGeneration": 2}}
    shop.cluster.patch(resource, "web", status, subresource="status", **where)

    result = shop.engine.apply(RestorePlan.from_json(document))

    assert _outcome(result, "web", "deployments.apps")[0] == "updated"


def test_another_archive_is_refused(shop):
    """When the archive was replaced nothing of a loaded plan is written."""
    document = _saved(shop.engine.plan("try-1", SPEC))
    shop.replace_backup([namespace("other")])

    with pytest.raises(PlanOutdatedError, match="is not the one planned") as caught:
        shop.engine.apply(RestorePlan.from_json(document))
    assert shop.writes() == 0
    assert caught.value.hint.startswith("plan again")


def test_another_cluster_is_refused(shop):
    """A plan for one cluster is not carried out on another."""
    document = _saved(shop.engine.plan("try-1", SPEC))
    with SimulatedCluster() as other, other.connect() as cluster:
        engine = RestoreEngine(cluster, shop.store)

        with pytest.raises(PlanOutdatedError, match="another cluster"):
            engine.check(RestorePlan.from_json(document))
        with pytest.raises(PlanOutdatedError, match="another cluster") as caught:
            engine.apply(RestorePlan.from_json(document))
        for one, uid in ((shop.cluster, shop.cluster.uid()), (cluster, cluster.uid())):
            assert f"{one.server} (uid {uid})" in str(caught.value)

        assert caught.value.hint.startswith("plan again")
        assert caught.value.result.restore.status.phase == "Failed"
        assert other.objects("configmaps") == []


def test_a_plan_that_fits_is_not_refused(shop):
    """Checking a plan beforehand writes nothing and lets what can be applied through."""
    plan = RestorePlan.from_json(_saved(shop.engine.plan("try-1", SPEC)))
    before = shop.simulated.calls["create"]

    shop.engine.check(plan)

    assert shop.simulated.calls["create"] == before
    assert shop.store.list_restores() == []
    assert shop.engine.apply(plan).exit_code == 0


def test_without_a_uid_the_address_has_to_be_the_same(shop):
    """Where no uid of the cluster is readable another address is another cluster."""
    shop.simulated.faults.forbid(verb="get", resource="namespaces")
    document = _saved(shop.engine.plan("try-1", SPEC))
    assert document["head"]["cluster"]["uid"] == ""
    document["head"]["server"] = "https://elsewhere:6443"

    with pytest.raises(PlanOutdatedError, match="another cluster"):
        shop.engine.apply(_sealed(document))


# --- functions ------------------------------------------------------------------------


def _labelled(value):
    """A transform that sets a label; all of them have one name."""

    def transform(item):
        item["metadata"].setdefault("labels", {})["team"] = value
        return item

    return transform


def test_transforms_given_again_make_the_same(shop):
    """With its functions a loaded plan writes what was planned."""
    options = RestoreOptions(transforms=[_labelled("a")])
    document = _saved(shop.engine.plan("try-1", SPEC, options))

    plan = RestorePlan.from_json(document, transforms=[_labelled("a")])
    result = shop.engine.apply(plan)

    assert result.results.errors == ()
    live = shop.object("configmaps", "shop", "settings")
    assert live["metadata"]["labels"]["team"] == "a"


def test_a_transform_of_the_same_name_that_does_otherwise_is_refused(shop):
    """A body that is not the planned one is not written, and is an error by name."""
    shop.simulated.load([namespace()])
    options = RestoreOptions(transforms=[_labelled("a")])
    document = _saved(shop.engine.plan("try-1", SPEC, options))

    plan = RestorePlan.from_json(document, transforms=[_labelled("b")])
    result = shop.engine.apply(plan)

    by = f"when planned it was changed by {__name__}._labelled.<locals>.transform"
    assert _outcome(result, "settings") == ("failed", f"{DIFFERENTLY}; {by}")
    assert shop.writes() == 0


class Mirror:
    """A plugin that writes from which registry images come."""

    name = "example.com/registry-mirror"
    applies_to = ResourceSelector(included_resources=("configmaps",))

    def __init__(self, registry):
        self._registry = registry

    def execute(self, given):
        """Write the registry."""
        data = {"registry": self._registry} if self._registry else given.item["data"]
        return RestoreOutput(item={**given.item, "data": data})

    @hookimpl
    def kbackup_register_restore_item_actions(self):
        """Offer itself."""
        return {self.name: self}


def _elsewhere(shop, *plugins):
    """An engine of another process, with other plugins."""
    return RestoreEngine(shop.cluster, shop.store, plugins=PluginManager(plugins))


def test_a_plan_whose_plugin_is_not_there_is_refused(make_shop):
    """Rather than half of it, nothing is carried out: the missing plugin is named."""
    objects = [namespace(), config_map(currency="EUR")]
    shop = make_shop(objects, plugins=PluginManager([Mirror("a")]))
    plan = RestorePlan.from_json(_saved(shop.engine.plan("try-1", SPEC)))
    said = "the plan was made with example.com/registry-mirror, which is not installed"

    for refuse in (_elsewhere(shop).check, _elsewhere(shop).apply):
        with pytest.raises(PlanOutdatedError, match=said):
            refuse(plan)
    assert shop.writes() == 0


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("a", "b", f"when planned it was changed by {Mirror.name}"),
        (
            "a",
            "",
            f"when planned it was changed by {Mirror.name}; now it is changed by nobody",
        ),
        ("", "b", f"now it is changed by {Mirror.name}"),
    ],
)
def test_a_plugin_that_does_otherwise_is_named(make_shop, before, after, said):
    """Of an item that would be another one by now, it is said who changed and changes it."""
    objects = [namespace(), config_map(currency="EUR")]
    shop = make_shop(objects, plugins=PluginManager([Mirror(before)]))
    document = _saved(shop.engine.plan("try-1", SPEC))

    result = _elsewhere(shop, Mirror(after)).apply(RestorePlan.from_json(document))

    assert _outcome(result, "settings") == ("failed", f"{DIFFERENTLY}; {said}")


def test_a_plan_saved_before_plans_named_who_changed_what(make_shop):
    """It is carried out as before."""
    objects = [namespace(), config_map(currency="EUR")]
    shop = make_shop(objects, plugins=PluginManager([Mirror("a")]))
    document = _saved(shop.engine.plan("try-1", SPEC))
    del _line(document, "settings")["changedBy"]

    result = _elsewhere(shop, Mirror("a")).apply(_sealed(document))

    assert result.results.errors == ()


# --- edited by hand, and the digest with it -------------------------------------------


def test_a_skip_made_a_create_is_not_written(shop):
    """What was not planned has no digest of its own: another's does not help it."""
    document = _saved(shop.engine.plan("try-1", SPEC))
    pod = next(x for x in document["entries"] if x["kind"] == "Pod")
    pod["action"] = "create"
    pod["digest"] = _line(document, "settings")["digest"]

    result = shop.engine.apply(_sealed(document))

    assert _outcome(result, pod["item"].rpartition("/")[2], "pods") == (
        "failed",
        DIFFERENTLY,
    )
    assert shop.names("pods") == []
    assert _outcome(result, "settings")[0] == "created"


def test_a_write_without_a_digest_is_never_sent(shop):
    """Even a plan that never was a document writes nothing that it has no digest of."""
    plan = shop.engine.plan("try-1", SPEC)
    bare = [replace(entry, digest="") for entry in plan.entries]

    shop.engine.apply(attrs.evolve(plan, entries=bare))

    assert shop.writes() == 0


@pytest.mark.parametrize(
    "change",
    [
        {"target": "configmaps/shop/other"},
        {"target": "configmaps/default/settings"},
        {"target": "secrets/shop/settings"},
        {"item": "configmaps/shop/other"},
        {"kind": "ServiceAccount"},
        {"apiVersion": "v2"},
        {"digest": f"sha256:{'0' * 64}"},
    ],
    ids=str,
)
def test_an_edited_line_is_not_written(make_shop, change):
    """A line that is not as it was planned is not written, here or elsewhere."""
    shop = make_shop([namespace(), config_map(a="1")])
    document = _saved(shop.engine.plan("try-1", SPEC))
    _line(document, "settings").update(change)

    options = RestoreOptions(deadline=timedelta(0))
    document["options"] = options.to_record()
    result = shop.engine.apply(_sealed(document))

    (failed,) = [o for o in result.outcomes if o.action == "failed"]
    assert failed.identifier.name in ("settings", "other")
    assert not {"settings", "other"} & {
        *shop.names("configmaps"),
        *shop.names("secrets"),
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("namespaceMapping", {"shop": "copy"}),
        ("preserveNodePorts", True),
    ],
)
def test_an_edited_specification_writes_nothing_else(shop, field, value):
    """What another specification would make is not what the digests say."""
    plan = shop.engine.plan("try-1", SPEC)
    document = _saved(plan)
    planned = {entry["target"] for entry in document["entries"]}
    document["spec"][field] = value

    with pytest.raises(PlanOutdatedError, match="not one of restore try-1") as caught:
        shop.engine.apply(_sealed(document))
    assert shop.writes() == 0
    assert caught.value.hint.startswith("plan again")
    edited = _sealed(document)
    ids = plan.head.backup_uid, "try-1", plan.head.cluster_uid
    uid = restore_uid(*ids, edited.spec, edited.options)
    document["head"]["restore"]["uid"] = uid
    shop.engine.apply(_sealed(document))

    assert shop.names("configmaps", "copy") == []
    assert {f"services/shop/{x}" for x in shop.names("services", "shop")} <= planned


def test_an_update_that_the_policy_does_not_allow_is_refused(shop):
    """A skip made an update of the live object stays undone without its policy."""
    shop.simulated.load([namespace(), config_map(currency="USD")])
    allowed = _saved(shop.engine.plan("try-1", UPDATE))
    document = _saved(shop.engine.plan("try-1", SPEC))
    _line(document, "settings").update(_line(allowed, "settings"))

    result = shop.engine.apply(_sealed(document))

    action, reason = _outcome(result, "settings")
    assert action == "failed"
    assert "which it does not allow: exists and differs" in reason
    live = shop.object("configmaps", "shop", "settings")
    assert live["data"] == {"currency": "USD"}


def test_another_uid_is_another_object(shop):
    """An update of an object that the plan did not see is not sent."""
    shop.simulated.load([namespace(), config_map(currency="USD")])
    document = _saved(shop.engine.plan("try-1", UPDATE))
    _line(document, "settings")["seen"]["uid"] = "another"

    result = shop.engine.apply(_sealed(document))

    assert _outcome(result, "settings")[0] == "skipped"
    live = shop.object("configmaps", "shop", "settings")
    assert live["data"] == {"currency": "USD"}


@pytest.mark.parametrize(
    ("part", "value", "error"),
    [
        ("restore", {"name": "../../backups/shop-1", "uid": "x"}, InvalidSpecError),
        ("restore", {"name": "try-2"}, PlanOutdatedError),
        ("restore", {"uid": "another"}, PlanOutdatedError),
        ("backup", {"uid": "another"}, PlanOutdatedError),
        ("backup", {"archive": f"sha256:{'0' * 64}"}, PlanOutdatedError),
        ("cluster", {"uid": "another"}, PlanOutdatedError),
    ],
    ids=["path", "name", "restore uid", "backup uid", "archive", "cluster"],
)
def test_an_edited_head_is_refused(shop, part, value, error):
    """A plan that is of no restore, backup or cluster any more writes nothing."""
    document = _saved(shop.engine.plan("try-1", SPEC))
    document["head"][part].update(value)

    with pytest.raises(error):
        shop.engine.apply(_sealed(document))
    assert shop.writes() == 0


def _released(make_shop):
    """A claim whose Retain volume is Released in the target."""
    claim = next(x for x in sample_shop() if x["kind"] == "PersistentVolumeClaim")
    volume = next(x for x in sample_shop() if x["kind"] == "PersistentVolume")
    volume["spec"]["persistentVolumeReclaimPolicy"] = "Retain"
    shop = make_shop([namespace(), claim, volume])
    volume["spec"]["claimRef"]["uid"] = "8d3c7e10"
    volume["status"] = {"phase": "Released"}
    shop.simulated.load([namespace(), volume])
    return shop


def test_a_released_volume_is_offered_as_planned(make_shop):
    """A loaded plan binds a Released volume again, and holds itself to its digest."""
    shop = _released(make_shop)
    options = RestoreOptions(released_volumes="reattach")
    document = _saved(shop.engine.plan("try-1", SPEC, options))
    edited = json.loads(json.dumps(document))
    edited["claims"][0]["claim"] = "shop/thief"

    with pytest.raises(PlanOutdatedError, match="shop/thief"):
        shop.engine.apply(_sealed(edited))
    result = shop.engine.apply(RestorePlan.from_json(document))

    assert _outcome(result, "pv-orders", "persistentvolumes")[0] == "updated"
    claim = shop.object("persistentvolumeclaims", "shop", "orders")
    assert claim["spec"]["volumeName"] == "pv-orders"


@pytest.mark.parametrize("edit", ["options", "volume"])
def test_a_volume_that_nobody_asked_for_stays(make_shop, edit):
    """A plan edited to bind a volume again, unasked or not the claim's, writes nothing."""
    shop = _released(make_shop)
    options = RestoreOptions(released_volumes="reattach")
    document = _saved(shop.engine.plan("try-1", SPEC, options))
    if edit == "options":
        document["options"]["released_volumes"] = "leave"
    else:
        document["claims"][0]["volume"] = "pv-of-others"
    before = shop.versions()

    with pytest.raises(PlanOutdatedError):
        shop.engine.apply(_sealed(document))

    assert shop.versions() == before


def test_a_claim_made_to_keep_its_volume_is_not_written(make_shop):
    """A claim line that was edited makes another claim than was planned."""
    shop = _released(make_shop)
    document = _saved(shop.engine.plan("try-1", SPEC))
    document["claims"][0].update(verdict="reuse", volume="pv-orders")

    result = shop.engine.apply(_sealed(document))

    failed = ("failed", DIFFERENTLY)
    assert _outcome(result, "orders", "persistentvolumeclaims") == failed
    assert shop.names("persistentvolumeclaims") == []


def test_what_the_server_would_refuse_keeps_no_digest(shop):
    """A write that became a conflict cannot be made one again."""
    shop.simulated.faults.fail(verb="create", resource="namespaces", status=403)
    plan = shop.engine.plan("try-1", SPEC, RestoreOptions(validate=True))

    (entry,) = [x for x in plan.entries if x.kind == "Namespace"]

    assert entry.action is PlanAction.CONFLICT
    assert entry.digest == ""


@pytest.mark.parametrize(
    "name", ["a\nb", "tab\t", "\u202e rtl", "a:b", "a b", "\\n", "\u00e9"]
)
def test_names_that_no_text_for_people_has_as_they_are(make_shop, name):
    """RBAC names may hold almost anything; the document has them as they are."""
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": name, "namespace": "shop"},
        "rules": [],
    }
    shop = make_shop([namespace("shop"), role], as_is=True)

    document = _saved(shop.engine.plan("try-1", SPEC))
    result = shop.engine.apply(RestorePlan.from_json(document))

    assert result.exit_code == 0
    assert _outcome(result, name, "roles.rbac.authorization.k8s.io")[0] == "created"
