"""The engine over a simulated API server: shown before it is done, and done once."""

import gzip
import json
import re
from datetime import timedelta

import attrs
import pytest
from plan_samples import config_map, namespace

from kbackup._kits.workers import CancelToken
from kbackup.cluster import Cluster
from kbackup.errors import (
    BackupNotFoundError,
    InvalidSpecError,
    PlanOutdatedError,
    RestoreExistsError,
    RunCancelledError,
    StoreUnavailableError,
    TargetMismatchError,
)
from kbackup.models import (
    EngineSettings,
    LabelSelector,
    RestoreOptions,
    RestorePhase,
    RestoreSpec,
)
from kbackup.plugins import ItemRestored, PhaseChanged
from kbackup.restore import (
    ClaimVerdict,
    PlanAction,
    RestoreEngine,
    RestorePlan,
    quiesce,
)
from kbackup.restore._request.asked import _MANNER
from kbackup.restore._writes.gate import Gate
from kbackup.stores import RestoreFiles, layout
from kbackup.testing import sample_shop

SPEC = RestoreSpec(backup_name="shop-1")
SECRET = "bm90LWEtcmVhbC1rZXk="  # of the sample shop


def _spec(**more):
    """A restore of backup shop-1."""
    return RestoreSpec(backup_name="shop-1", **more)


def _actions(plan):
    """Kind and name to action."""
    return {f"{e.kind}/{e.target.name}": str(e.action) for e in plan.entries}


class KillToken(CancelToken):
    """Cancels the run when it is asked for the n-th time."""

    def __init__(self, asked):
        """Cancel at call *asked* of `check`."""
        super().__init__()
        self._left = asked

    def check(self):
        """Count, and cancel when it is time."""
        self._left -= 1
        if self._left <= 0:
            self.cancel("killed")
        super().check()


# --- plan -----------------------------------------------------------------------------


def test_a_plan_writes_nothing(shop):
    """After planning no object of the target has changed and no write was sent."""
    before = shop.versions()

    plan = shop.engine.plan("try-1", SPEC)

    assert shop.versions() == before
    assert shop.writes() == 0
    assert plan.counts[PlanAction.CREATE] > 5


def test_controllers_make_their_own_pods(shop):
    """Pods of a ReplicaSet are skipped by name, the ReplicaSet is created first."""
    plan = shop.engine.plan("try-1", SPEC)

    pods = [entry for entry in plan.entries if entry.kind == "Pod"]
    assert pods
    assert {entry.reason for entry in pods} == {"made by ReplicaSet/web-6d4b8c9f7"}
    waves = {entry.kind: entry.wave for entry in plan.entries}
    assert waves["ReplicaSet"] < waves["Deployment"]


def test_the_plan_shows_no_secret(shop):
    """No value of a Secret is in text, JSON or repr, also where it differs."""
    live = [x for x in sample_shop() if x["kind"] in ("Namespace", "Secret")]
    live[1] = {**live[1], "data": {"api-key": "b3RoZXI=", "more": "bW9yZQ=="}}
    shop.simulated.load(live)

    plan = shop.engine.plan("try-1", _spec(existing_resource_policy="update"))

    told = f"{plan}{plan!r}{plan.entries!r}{json.dumps(plan.to_json())}"
    assert "data.api-key" in told
    for value in (SECRET, "b3RoZXI=", "bW9yZQ=="):
        assert value not in told


def test_expected_cluster(shop):
    """Another cluster than the expected one is refused."""
    uid = shop.cluster.uid()
    shop.engine.plan("try-1", SPEC, RestoreOptions(expect_cluster=uid))
    shop.engine.plan("try-1", SPEC, RestoreOptions(expect_cluster="simulated"))

    with pytest.raises(TargetMismatchError):
        shop.engine.plan("try-1", SPEC, RestoreOptions(expect_cluster="prod"))


def test_the_head_knows_another_cluster(shop):
    """A backup of another cluster is said to be of another cluster."""
    plan = shop.engine.plan("try-1", SPEC)

    assert plan.head.same_cluster is False
    assert plan.head.cluster_uid == shop.cluster.uid()


def test_wrong_specs_name_every_rule(shop):
    """All broken rules come in one error."""
    spec = RestoreSpec(
        included_namespaces=("*", "shop"),
        included_resources=("pods",),
        excluded_resources=("pods",),
        label_selector=LabelSelector.parse("a=b"),
        or_label_selectors=(LabelSelector.parse("a=b"),),
        namespace_mapping={"shop": "Not Valid"},
    )

    with pytest.raises(InvalidSpecError) as caught:
        shop.engine.plan("Not Valid", spec)

    assert len(caught.value.violations) == 6


def test_a_backup_that_is_not_there(shop):
    """A name that no backup has is refused."""
    with pytest.raises(BackupNotFoundError):
        shop.engine.plan("try-1", RestoreSpec(backup_name="other"))


def test_labels_select_and_claims_follow_their_pods(shop):
    """What a selected Pod needs comes along, though its own labels do not match."""
    selector = LabelSelector.parse("app=web")

    plan = shop.engine.plan("try-1", _spec(label_selector=selector))

    actions = _actions(plan)
    assert actions["PersistentVolumeClaim/orders"] == "create"
    assert actions["Deployment/web"] == "create"
    assert "ConfigMap/settings" not in actions


def test_a_function_selects_and_keeps_the_ground(shop):
    """where= drops items, but never CRDs and Namespaces."""
    options = RestoreOptions(where=lambda item: item["kind"] == "Secret")

    plan = shop.engine.plan("try-1", SPEC, options)

    kinds = {entry.kind for entry in plan.entries}
    assert kinds == {"Secret", "Namespace", "CustomResourceDefinition"}
    assert any("left out by a function" in str(notice) for notice in plan.notices)


def test_a_type_that_the_target_lacks_is_a_conflict(shop):
    """Without its CRD a custom resource is a conflict that says what would help."""
    plan = shop.engine.plan("try-1", _spec(included_namespaces=("shop",)))

    [coupon] = [entry for entry in plan.entries if entry.kind == "Coupon"]
    assert coupon.action is PlanAction.CONFLICT
    assert "does not serve" in coupon.reason
    assert "its CRD is in the backup" in coupon.reason
    assert plan.exit_code == 5


def test_types_that_may_not_be_listed_are_unknown(make_shop):
    """A type that the caller may not read is unknown, with the reason, and is tried."""
    shop = make_shop([namespace(), *(config_map(f"c{n}") for n in range(5))])
    shop.simulated.load([namespace(), config_map("c0", live="1")])
    shop.simulated.faults.forbid(verb="list", resource="configmaps")

    plan = shop.engine.plan("try-1", SPEC)
    result = shop.engine.apply(plan)

    maps = [entry for entry in plan.entries if entry.kind == "ConfigMap"]
    assert {entry.action for entry in maps} == {PlanAction.UNKNOWN}
    assert all("not readable" in entry.reason for entry in maps)
    assert shop.names("configmaps", "shop") == ["c0", "c1", "c2", "c3", "c4"]
    assert shop.object("configmaps", "shop", "c0")["data"] == {"live": "1"}
    assert [each.item.name for each in result.results.warnings] == ["c0"]


def _event(name):
    """An Event."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": "shop"},
        "involvedObject": {"kind": "Pod", "name": "x", "namespace": "shop"},
        "reason": "Started",
        "message": "started",
        "type": "Normal",
    }


def test_what_belongs_to_the_cluster_is_skipped_or_named(make_shop):
    """Events and published certificates are skipped, unless they are asked for."""
    shop = make_shop([_event("e1"), config_map("kube-root-ca.crt", a="1")])

    plan = shop.engine.plan("try-1", SPEC)
    named = shop.engine.plan("try-1", _spec(included_resources=("events",)))
    whole = shop.engine.plan("try-1", SPEC, RestoreOptions(include_system=True))

    assert _actions(plan) == {"Event/e1": "skip", "ConfigMap/kube-root-ca.crt": "skip"}
    assert all("belongs to the cluster" in e.reason for e in plan.entries)
    assert _actions(named)["Event/e1"] == "create"
    assert _actions(whole)["ConfigMap/kube-root-ca.crt"] == "create"


def test_adopt_creates_the_pods_before_their_controllers(shop):
    """With controlled="adopt" Pods are created without owner, before the ReplicaSet."""
    options = RestoreOptions(controlled="adopt")

    plan = shop.engine.plan("try-1", SPEC, options)
    result = shop.engine.apply(plan)

    waves = {entry.kind: entry.wave for entry in plan.entries}
    assert waves["Pod"] < waves["ReplicaSet"] < waves["Deployment"]
    assert result.results.errors == ()
    pods = shop.simulated.objects("pods", "shop")
    assert len(pods) == 2
    assert all("ownerReferences" not in pod["metadata"] for pod in pods)


def _applied():
    """A ConfigMap with a manager of server-side apply."""
    applied = config_map(currency="EUR")
    applied["metadata"]["managedFields"] = [
        {
            "manager": "argocd",
            "operation": "Apply",
            "apiVersion": "v1",
            "time": "2024-05-01T02:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {"f:currency": {}}},
        }
    ]
    return applied


def test_fields_that_the_target_drops_are_named(make_shop, monkeypatch):
    """A server that stores less than it was sent is a warning with the fields' names."""
    shop = make_shop([namespace(), config_map(currency="EUR", tax="19")])
    create = Cluster.create

    def forgetful(self, resource, body, **more):
        stored = create(self, resource, body, **more)
        stored.get("data", {}).pop("tax", None)
        return stored

    monkeypatch.setattr(Cluster, "create", forgetful)
    result = shop.engine.run("try-1", SPEC)

    assert [str(each) for each in result.results.warnings] == [
        "configmaps/shop/settings: the target dropped data.tax"
    ]


def test_managers_of_server_side_apply_get_their_fields_back(make_shop):
    """What was applied gets its manager back by a second, counted write, Namespaces too."""
    shop = make_shop([])
    space = namespace()
    space["metadata"]["labels"] = {"team": "shop"}
    space["metadata"]["managedFields"] = [
        {
            **_applied()["metadata"]["managedFields"][0],
            "fieldsV1": {"f:metadata": {"f:labels": {"f:team": {}}}},
        }
    ]
    shop.replace_backup([space, _applied()], as_is=True)

    plan = shop.engine.plan("try-1", SPEC)
    dropped = shop.engine.plan("try-1", SPEC, RestoreOptions(managed_fields="drop"))
    result = shop.engine.apply(plan)

    assert plan.second_writes == 2
    assert dropped.second_writes == 0
    assert result.results.warnings == ()
    for live in (
        shop.object("configmaps", "shop", "settings"),
        shop.object("namespaces", "", "shop"),
    ):
        managers = {x["manager"] for x in live["metadata"]["managedFields"]}
        assert "argocd" in managers


def test_all_managers_get_their_fields_back_when_asked_for(make_shop):
    """With "restore" the managers of ordinary writes are given back, too; else not."""
    item = _applied()
    item["metadata"]["managedFields"][0] |= {
        "manager": "kubectl",
        "operation": "Update",
    }
    shop = make_shop([namespace(), item], as_is=True)

    by_default = shop.engine.plan("try-1", SPEC)
    plan = shop.engine.plan("try-1", SPEC, RestoreOptions(managed_fields="restore"))
    shop.engine.apply(plan)

    live = shop.object("configmaps", "shop", "settings")
    assert by_default.second_writes == 0
    assert plan.second_writes == 1
    assert "kubectl" in {x["manager"] for x in live["metadata"]["managedFields"]}


def test_writes_are_no_more_than_the_host_allows(make_shop, monkeypatch):
    """The limit of the settings is the limit of the restore."""
    limits = []

    class Watched(Gate):
        def __init__(self, *given, per_second, **more):
            limits.append(per_second)
            super().__init__(*given, per_second=per_second, **more)

    monkeypatch.setattr("kbackup.restore._prepare.Gate", Watched)
    shop = make_shop(settings=EngineSettings(max_writes_per_second=400))

    shop.engine.run("try-1", SPEC)

    assert set(limits) == {400}


def test_validate_asks_the_server(shop):
    """With validate=True what the server would refuse is a conflict beforehand."""
    shop.simulated.load([namespace()])
    shop.simulated.faults.forbid(verb="create", resource="configmaps")
    before = shop.versions()

    plain = shop.engine.plan("try-1", SPEC)
    asked = shop.engine.plan("try-1", SPEC, RestoreOptions(validate=True))

    assert _actions(plain)["ConfigMap/settings"] == "create"
    assert _actions(asked)["ConfigMap/settings"] == "conflict"
    assert _actions(asked)["Secret/payment"] == "create"
    assert any("not tried" in str(notice) for notice in asked.notices)  # the Coupon
    assert shop.versions() == before


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
@pytest.mark.parametrize("exists", [False, True], ids=["create", "update"])
def test_validate_beside_a_webhook_that_takes_no_dry_run(make_shop, kind, exists):
    """What cannot be tried is written nevertheless, and its line says that it was not."""
    item = {**config_map(), "kind": kind, "data": {"currency": "RVVS"}}
    shop = make_shop([item])
    shop.simulated.load([namespace()])
    if exists:
        shop.simulated.load([{**item, "data": {"currency": "Q0hG"}}])
    refusal = 'admission webhook "w.example.com" does not support dry run'
    shop.simulated.faults.fail(
        verb="patch" if exists else "create",
        resource=f"{kind.lower()}s",
        status=400,
        reason="BadRequest",
        message=refusal,
        times=1,
    )

    plan = shop.engine.plan(
        "try-1", _spec(existing_resource_policy="update"), RestoreOptions(validate=True)
    )
    result = shop.engine.apply(plan)

    (line,) = [x for x in plan.entries if x.kind == kind]
    assert line.action is (PlanAction.UPDATE if exists else PlanAction.CREATE)
    assert line.reason == f"not tried: {refusal}"
    assert result.results.errors == ()
    live = shop.object(f"{kind.lower()}s", "shop", "settings")
    assert live["data"] == {"currency": "RVVS"}


def test_validate_writes_nothing_to_what_it_meets(make_shop):
    """What the same restore made meanwhile does not even get its managers back."""
    shop = make_shop([namespace(), _applied()], as_is=True)
    shop.simulated.load([namespace()])
    made = config_map(currency="EUR")
    made["metadata"]["labels"] = {
        "velero.io/backup-name": "shop-1",
        "velero.io/restore-name": "try-1",
    }
    asked = []

    def meanwhile(item):
        asked.append(item["kind"])
        if asked.count("ConfigMap") == 2:  # planned already, and now tried
            shop.simulated.load([made])
        return item

    options = RestoreOptions(transforms=(meanwhile,), validate=True)
    plan = shop.engine.plan("try-1", SPEC, options)

    live = shop.object("configmaps", "shop", "settings")
    assert plan.second_writes == 1
    assert "argocd" not in {x["manager"] for x in live["metadata"]["managedFields"]}


# --- restore --------------------------------------------------------------------------


def test_restore_into_an_empty_cluster(shop):
    """Everything of the plan is there, with labels, without owners, written once."""
    plan = shop.engine.plan("try-1", SPEC)

    result = shop.engine.apply(plan)

    assert result.results.errors == ()
    assert result.restore.status.phase is RestorePhase.COMPLETED
    assert result.exit_code == 0
    created = sum(1 for outcome in result.outcomes if outcome.action == "created")
    assert created == plan.counts[PlanAction.CREATE]
    assert shop.writes() == created
    replica_set = shop.object("replicasets.apps", "shop", "web-6d4b8c9f7")
    assert "ownerReferences" not in replica_set["metadata"]
    assert replica_set["metadata"]["labels"]["velero.io/restore-name"] == "try-1"
    assert shop.names("pods") == []
    assert shop.names("coupons.shop.example.com", "shop") == ["spring-sale"]


def test_the_same_restore_again_does_nothing(shop):
    """The second plan is empty, and applying it changes no resourceVersion."""
    shop.engine.run("try-1", SPEC)
    before = shop.versions()

    plan = shop.engine.plan("try-1", SPEC)
    result = shop.engine.apply(plan)

    assert plan.is_empty
    assert plan.exit_code == 0
    assert result.results.errors == ()
    assert shop.versions() == before


def test_another_restore_over_the_live_namespace_does_nothing(shop):
    """With policy none a restore over the live objects changes nothing."""
    shop.engine.run("try-1", SPEC)
    before = shop.versions()

    result = shop.engine.run("try-2", SPEC)

    assert result.exit_code == 0
    assert shop.versions() == before


def test_update_writes_nothing_where_all_is_as_in_the_backup(make_shop):
    """Not even its labels: an object says which restore made it, not which looked last."""
    workload = ("Deployment", "ReplicaSet", "Pod")  # what controllers have to scale up
    shop = make_shop([x for x in sample_shop() if x["kind"] not in workload])
    shop.engine.run("try-1", SPEC)
    before = shop.versions()

    result = shop.engine.run(
        "try-2",
        _spec(existing_resource_policy="update"),
        RestoreOptions(existing_cluster_resource_policy="update"),
    )

    assert result.exit_code == 0
    assert {outcome.action for outcome in result.outcomes} <= {"unchanged", "skipped"}
    assert shop.versions() == before


def test_restore_under_another_name(shop):
    """A mapped namespace gets everything, bindings to accounts of it included."""
    mapping = {"shop": "copy"}

    result = shop.engine.run("try-1", _spec(namespace_mapping=mapping))

    assert result.results.errors == ()
    assert shop.names("deployments.apps", "copy") == ["web"]
    assert shop.names("deployments.apps", "shop") == []
    binding = shop.object("rolebindings.rbac.authorization.k8s.io", "copy", "web")
    assert binding["subjects"][0]["namespace"] == "copy"


def test_two_namespaces_into_one_is_a_conflict_where_names_clash(make_shop):
    """Of two items that would become one object, one is a conflict."""
    shop = make_shop([config_map("a", "one"), config_map("a", "two")])
    mapping = {"one": "both", "two": "both"}

    plan = shop.engine.plan("try-1", _spec(namespace_mapping=mapping))

    assert plan.counts[PlanAction.CONFLICT] == 1
    assert plan.counts[PlanAction.CREATE] == 2  # one ConfigMap and the Namespace


def test_existing_objects_are_left_and_named(shop):
    """Without a policy what differs stays, and is a warning."""
    shop.simulated.load([namespace(), config_map(currency="USD")])

    result = shop.engine.run("try-1", SPEC)

    assert shop.object("configmaps", "shop", "settings")["data"] == {"currency": "USD"}
    assert any(
        warning.item is not None and warning.item.name == "settings"
        for warning in result.results.warnings
    )


def test_policy_update_makes_it_as_in_the_backup(shop):
    """With policy update the object becomes as in the backup, in one write."""
    shop.simulated.load([namespace(), config_map(currency="USD", live="only")])

    result = shop.engine.run("try-1", _spec(existing_resource_policy="update"))

    assert result.results.errors == ()
    assert shop.object("configmaps", "shop", "settings")["data"] == {
        "currency": "EUR",
        "motd": "Welcome to the shop",
    }


def test_cluster_scoped_objects_are_left_alone(shop):
    """Policy update changes no cluster-scoped object unless that is asked for, too."""
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "standard", "labels": {"live": "yes"}},
        "provisioner": "example.com/disk",
        "reclaimPolicy": "Delete",
    }
    shop.simulated.load([storage_class])
    update = _spec(existing_resource_policy="update")

    plan = shop.engine.plan("try-1", update)
    asked = shop.engine.plan(
        "try-1", update, RestoreOptions(existing_cluster_resource_policy="update")
    )

    assert _actions(plan)["StorageClass/standard"] == "skip"
    [line] = [entry for entry in asked.entries if entry.kind == "StorageClass"]
    assert line.action is PlanAction.UPDATE
    assert line.cluster_wide


def test_claims_are_explained(shop):
    """The claim that comes back empty is a line in the plan and a warning by name."""
    plan = shop.engine.plan("try-1", SPEC)

    result = shop.engine.apply(plan)

    [line] = plan.claims
    assert line.verdict is ClaimVerdict.NONE
    claim = shop.object("persistentvolumeclaims", "shop", "orders")
    assert "volumeName" not in claim["spec"]
    assert shop.names("persistentvolumes") == []
    assert any("new empty volume" in w.message for w in result.results.warnings)


def test_a_claim_that_an_earlier_run_made_stays_a_warning(shop):
    """Whoever completes a killed restore hears which claims came back empty."""
    saved = shop.engine.plan("try-1", SPEC).to_json()
    token = CancelToken()

    def stop(event):
        if isinstance(event, ItemRestored) and event.identifier.name == "orders":
            token.cancel("killed")

    killed = RestoreEngine(shop.cluster, shop.store, observer=stop)
    with pytest.raises(RunCancelledError):
        killed.run("try-1", SPEC, cancel=token)

    [line] = shop.engine.plan("try-1", SPEC).claims
    of_saved = shop.engine.apply(RestorePlan.from_json(saved))
    of_new = shop.engine.run("try-1", SPEC)

    assert line.verdict is ClaimVerdict.MADE_BEFORE
    assert line.loses_data
    assert "made by this restore before" in line.text
    for result in (of_saved, of_new):
        warnings = [w for w in result.results.warnings if w.item == line.target]
        assert any("new empty volume" in w.message for w in warnings)


def test_a_claim_that_a_transform_renames_is_warned_of(shop):
    """It comes back empty under its new name, and the warning has that name."""

    def renamed(item):
        if item["kind"] == "PersistentVolumeClaim":
            item["metadata"]["name"] = "moved"
        return item

    options = RestoreOptions(transforms=(renamed,))
    for _ in range(2):  # the second run finds it made
        result = shop.engine.run("try-1", SPEC, options)
        found = [w for w in result.results.warnings if "empty" in w.message]
        assert [w.item.name for w in found] == ["moved"]


def test_a_claim_that_another_restore_made_is_not_this_ones(shop):
    """A claim that is there with its data, whoever made it, comes back from nowhere."""
    shop.engine.run("try-1", SPEC)

    plan = shop.engine.plan("try-2", SPEC)
    result = shop.engine.apply(plan)

    assert [line.verdict for line in plan.claims] == [ClaimVerdict.EXISTS]
    assert not any("empty volume" in w.message for w in result.results.warnings)


def _retained():
    """A claim and its Retain volume."""
    claim = next(x for x in sample_shop() if x["kind"] == "PersistentVolumeClaim")
    volume = next(x for x in sample_shop() if x["kind"] == "PersistentVolume")
    return [namespace(), claim, volume]


def test_retained_volumes_are_reused_when_asked_for(make_shop):
    """With reuse volume and claim come back tied to each other."""
    shop = make_shop(_retained())

    result = shop.engine.run("try-1", SPEC, RestoreOptions(retained_volumes="reuse"))

    assert result.results.errors == ()
    volume = shop.object("persistentvolumes", "", "pv-orders")
    assert volume["spec"]["claimRef"]["name"] == "orders"
    assert "uid" not in volume["spec"]["claimRef"]
    claim = shop.object("persistentvolumeclaims", "shop", "orders")
    assert claim["spec"]["volumeName"] == "pv-orders"


@pytest.mark.parametrize(
    "options",
    [
        RestoreOptions(),
        RestoreOptions(retained_volumes="reuse"),
        RestoreOptions(released_volumes="reattach"),
    ],
    ids=["by default", "reuse", "reattach"],
)
def test_volumes_that_are_refused(make_shop, options):
    """Where restorePVs is false no volume comes or is bound again, and none is advised."""
    shop = make_shop(_retained())
    if options.released_volumes == "reattach":
        live = _retained()[2]
        live["spec"]["claimRef"]["uid"] = "8d3c7e10"
        live["status"] = {"phase": "Released"}
        shop.simulated.load([namespace(), live])
    before = shop.names("persistentvolumes")

    plan = shop.engine.plan("try-1", attrs.evolve(SPEC, restore_pvs=False), options)
    shop.engine.apply(plan)

    [line] = plan.claims
    assert line.verdict is ClaimVerdict.NONE
    assert line.text.endswith("a new empty volume (restorePVs is false)")
    assert shop.names("persistentvolumes") == before
    claim = shop.object("persistentvolumeclaims", "shop", "orders")
    assert "volumeName" not in claim["spec"]


def test_a_disk_in_use_is_never_used_twice(make_shop):
    """A disk that a live volume has is a conflict, and nothing is written for it."""
    shop = make_shop(_retained())
    other = _retained()[2]
    other["metadata"]["name"] = "pv-live"
    shop.simulated.load([namespace(), other])

    plan = shop.engine.plan("try-1", SPEC, RestoreOptions(retained_volumes="reuse"))
    result = shop.engine.apply(plan)

    [line] = plan.claims
    assert line.verdict is ClaimVerdict.CONFLICT
    assert result.exit_code == 3
    assert shop.names("persistentvolumes") == ["pv-live"]
    assert shop.names("persistentvolumeclaims") == []


def test_a_released_volume_is_reattached_when_asked_for(make_shop):
    """With reattach the live volume is offered to the claim again."""
    shop = make_shop(_retained())
    live = _retained()[2]
    live["spec"]["claimRef"]["uid"] = "8d3c7e10"
    live["status"] = {"phase": "Released"}
    shop.simulated.load([namespace(), live])

    plan = shop.engine.plan("try-1", SPEC, RestoreOptions(released_volumes="reattach"))
    result = shop.engine.apply(plan)

    assert plan.claims[0].verdict is ClaimVerdict.REATTACH
    assert result.results.errors == ()
    volume = shop.object("persistentvolumes", "", "pv-orders")
    assert "uid" not in volume["spec"]["claimRef"]
    claim = shop.object("persistentvolumeclaims", "shop", "orders")
    assert claim["spec"]["volumeName"] == "pv-orders"


@pytest.mark.parametrize("after", [False, True], ids=["not-done", "answer-lost"])
def test_a_volume_whose_rebinding_got_no_answer(make_shop, after):
    """No answer to the rebinding is settled by looking, and tried again if need be."""
    shop = make_shop(_retained())
    live = _retained()[2]
    live["spec"]["claimRef"]["uid"] = "8d3c7e10"
    live["status"] = {"phase": "Released"}
    shop.simulated.load([namespace(), live])
    shop.simulated.faults.drop(
        verb="patch", resource="persistentvolumes", after=after, times=1
    )

    options = RestoreOptions(released_volumes="reattach")
    result = shop.engine.run("try-1", SPEC, options)

    assert result.results.errors == ()
    (outcome,) = [o for o in result.outcomes if o.identifier.name == "pv-orders"]
    assert outcome.action == "updated"
    volume = shop.object("persistentvolumes", "", "pv-orders")
    assert "uid" not in volume["spec"]["claimRef"]


# --- what moved since -----------------------------------------------------------------


def test_an_object_that_moved_is_left_alone(shop):
    """An update is not sent over an object that changed since the plan."""
    shop.simulated.load([namespace(), config_map(currency="USD")])
    plan = shop.engine.plan("try-1", _spec(existing_resource_policy="update"))
    resource = shop.cluster.discover().by_kind("v1", "ConfigMap")
    patch = {"data": {"currency": "CHF"}}
    shop.cluster.patch(resource, "settings", patch, namespace="shop")

    result = shop.engine.apply(plan)

    live = shop.object("configmaps", "shop", "settings")
    assert live["data"]["currency"] == "CHF"
    assert any("changed since the plan" in w.message for w in result.results.warnings)
    assert result.exit_code == 3


def test_an_object_made_anew_is_another_one(shop):
    """An update is not sent over an object that only looks as the one of the plan did."""
    shop.simulated.load([namespace(), config_map(currency="USD")])
    plan = shop.engine.plan("try-1", _spec(existing_resource_policy="update"))
    resource = shop.cluster.discover().by_kind("v1", "ConfigMap")
    shop.cluster.delete(resource, "settings", namespace="shop")
    shop.simulated.load([config_map(currency="USD")])

    result = shop.engine.apply(plan)

    live = shop.object("configmaps", "shop", "settings")
    assert live["data"]["currency"] == "USD"
    assert any("changed since the plan" in w.message for w in result.results.warnings)


def test_an_object_whose_status_moved_is_updated(shop):
    """What a controller wrote into the status is no reason not to do what was shown."""
    shop.engine.run("try-0", SPEC)
    resource = shop.cluster.discover().by_kind("apps/v1", "Deployment")
    where = {"namespace": "shop"}
    shop.cluster.patch(resource, "web", {"spec": {"replicas": 7}}, **where)
    plan = shop.engine.plan("try-1", _spec(existing_resource_policy="update"))
    status = {"status": {"observedGeneration": 2}}
    shop.cluster.patch(resource, "web", status, subresource="status", **where)

    result = shop.engine.apply(plan)

    assert not any("changed since" in w.message for w in result.results.warnings)
    assert shop.object("deployments.apps", "shop", "web")["spec"]["replicas"] != 7


def test_a_secret_that_moved_is_left_alone(shop):
    """Of a Secret the plan shows no values: any move keeps it from being written."""
    shop.engine.run("try-0", SPEC)
    (secret, *_) = shop.names("secrets")
    resource = shop.cluster.discover().by_kind("v1", "Secret")
    where = {"namespace": "shop"}
    shop.cluster.patch(resource, secret, {"data": {"x": "MQ=="}}, **where)
    plan = shop.engine.plan("try-1", _spec(existing_resource_policy="update"))
    shop.cluster.patch(resource, secret, {"data": {"x": "Mg=="}}, **where)

    result = shop.engine.apply(plan)

    assert any("changed since" in w.message for w in result.results.warnings)
    assert shop.object("secrets", "shop", secret)["data"]["x"] == "Mg=="


def test_what_a_live_controller_keeps_is_left_to_it(shop):
    """With update a live Deployment's ReplicaSet is not scaled behind its back."""
    shop.engine.run("try-0", SPEC)
    sets = shop.cluster.discover().by_kind("apps/v1", "ReplicaSet")
    deployment = shop.object("deployments.apps", "shop", "web")
    owner = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "web",
        "uid": deployment["metadata"]["uid"],
        "controller": True,
    }
    patch = {"metadata": {"ownerReferences": [owner]}, "spec": {"replicas": 0}}
    (name,) = shop.names("replicasets.apps", "shop")
    shop.cluster.patch(sets, name, patch, namespace="shop")

    plan = shop.engine.plan("try-1", _spec(existing_resource_policy="update"))

    (entry,) = [x for x in plan.entries if x.kind == "ReplicaSet"]
    assert entry.action is PlanAction.SKIP
    assert entry.reason == "exists; it is left to Deployment/web"


def test_an_object_that_appeared_is_left_alone(shop):
    """A create meets an object that was not there: it stays, and is named."""
    plan = shop.engine.plan("try-1", SPEC)
    shop.simulated.load([namespace(), config_map(currency="CHF")])

    result = shop.engine.apply(plan)

    assert shop.object("configmaps", "shop", "settings")["data"]["currency"] == "CHF"
    assert any("appeared since the plan" in w.message for w in result.results.warnings)
    assert result.restore.status.phase is RestorePhase.COMPLETED
    assert result.exit_code == 3


def test_a_plan_of_another_archive_is_refused(shop):
    """When the archive was replaced the plan is refused before any write."""
    plan = shop.engine.plan("try-1", SPEC)
    shop.replace_backup([namespace("other")])

    with pytest.raises(PlanOutdatedError):
        shop.engine.apply(plan)
    assert shop.writes() == 0


def _keep(item):
    """A transform that changes nothing."""
    return item


def _drop(item):
    """A transform that leaves everything out."""


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ({"namespace_mapping": {"shop": "copy"}}, {}),
        ({"included_resources": ("configmaps",)}, {}),
        ({}, {"include_system": True}),
        ({}, {"transforms": (_drop,)}),
        ({}, {"where": bool}),
        ({}, {"salvage": True}),
    ],
)
def test_a_name_of_another_restore_is_refused(shop, spec, options):
    """A second restore under a used name wrote to the cluster and left no record."""
    first = RestoreOptions(transforms=(_keep,))
    shop.engine.run("try-1", SPEC, first)
    before, writes = shop.store.get_restore("try-1"), shop.writes()
    other = _spec(**spec), attrs.evolve(first, **options)

    for act in (shop.engine.plan, shop.engine.run):
        with pytest.raises(RestoreExistsError, match="another specification or other"):
            act("try-1", *other)

    assert shop.writes() == writes
    assert shop.store.get_restore("try-1") == before


def test_two_restores_that_could_not_claim_their_name(shop, monkeypatch):
    """Of two that write under one name, the one without a record says so, as an error."""

    def fail(*_, **__):
        raise StoreUnavailableError("plugins/kbackup.io/restore-claims/try-1.json")

    monkeypatch.setattr(shop.store, "claim_restore", fail)
    plan = shop.engine.plan("try-1", SPEC)
    other = _spec(included_resources=("configmaps",))

    def overtake(event):
        if isinstance(event, PhaseChanged) and event.phase == "write":
            overtaken.append(shop.engine.run("try-1", other))

    overtaken = []
    slow = RestoreEngine(shop.cluster, shop.store, observer=overtake)
    result = slow.apply(plan)

    assert overtaken[0].exit_code == 0
    assert result.exit_code == 3
    assert result.restore.status.phase is RestorePhase.PARTIALLY_FAILED
    assert "this restore has no record" in str(result.results.errors[-1])
    assert shop.store.get_restore("try-1") == overtaken[0].restore


def test_a_restore_may_be_done_in_another_manner(shop):
    """Pace, patience and checks may change when a restore is run again."""
    shop.engine.run("try-1", SPEC, RestoreOptions(transforms=(_keep,)))
    manner = RestoreOptions(
        transforms=(_keep,),
        priorities=("secrets",),
        validate=True,
        redact=("configmaps",),
        expect_cluster="simulated",
        max_in_flight=1,
        deadline=timedelta(minutes=1),
    )

    spec = _spec(item_operation_timeout=timedelta(hours=1))

    assert shop.engine.plan("try-1", spec, manner).is_empty


def test_every_option_is_in_one_of_two_lists():
    """An option whose name is mistyped among those of manner would be without effect."""
    assert {field.name for field in attrs.fields(RestoreOptions)} > _MANNER


def test_another_restore_under_the_name_of_a_killed_one(make_shop):
    """To another restore, what a killed one of its name wrote are objects that exist."""
    token = CancelToken()

    def kill(event):
        """Cancel as soon as the ConfigMap is written."""
        if isinstance(event, ItemRestored) and event.identifier.name == "settings":
            token.cancel("killed")

    shop = make_shop([namespace(), config_map(a="1")], observer=kill)
    plan = shop.engine.plan("try-1", SPEC)
    with pytest.raises(RunCancelledError):
        shop.engine.apply(plan, cancel=token)
    live = shop.object("configmaps", "shop", "settings")

    result = shop.engine.run("try-1", SPEC, RestoreOptions(transforms=(_change,)))

    outcomes = {str(o.identifier): o.action for o in result.outcomes}
    assert outcomes["configmaps/shop/settings"] == "skipped"
    assert shop.object("configmaps", "shop", "settings") == live
    uid = shop.store.get_restore("try-1").metadata.uid
    assert uid == result.restore.metadata.uid != plan.head.restore_uid


def _change(item):
    """A transform that changes ConfigMaps."""
    return {**item, "data": {"a": "2"}} if item["kind"] == "ConfigMap" else item


# --- faults ---------------------------------------------------------------------------


def test_throttling_is_waited_out(shop):
    """429s only make it slower."""
    shop.simulated.faults.throttle(verb="create", times=6, retry_after=0)

    result = shop.engine.run("try-1", SPEC)

    assert result.results.errors == ()
    assert result.exit_code == 0


def test_server_faults_are_tried_again(shop):
    """5xx answers to writes are settled by looking, then tried again."""
    shop.simulated.faults.fail(verb="create", status=503, times=5)

    result = shop.engine.run("try-1", SPEC)

    assert result.results.errors == ()


def test_lost_answers_are_settled_by_looking(shop):
    """A write whose answer got lost is found by its label and not sent twice."""
    shop.simulated.faults.drop(verb="create", after=True, times=5)

    result = shop.engine.run("try-1", SPEC)

    assert result.results.errors == ()
    moved = [w for w in result.results.warnings if "appeared" in w.message]
    assert moved == []
    # A Namespace carries no label: that it is there and right is all one can tell.
    done = [o for o in result.outcomes if o.action in ("created", "unchanged")]
    assert shop.writes() == len(done)


def test_a_lost_answer_of_an_applied_object(make_shop):
    """An object with server-side-apply managers gets them back after a lost answer."""
    shop = make_shop([namespace()])
    shop.replace_backup([namespace(), _applied()], as_is=True)
    shop.simulated.faults.drop(
        verb="create", resource="configmaps", after=True, times=1
    )

    result = shop.engine.run("try-1", SPEC)

    assert result.results.errors == ()
    live = shop.object("configmaps", "shop", "settings")
    assert "argocd" in {x["manager"] for x in live["metadata"]["managedFields"]}


def test_a_function_that_raises_costs_its_item(shop):
    """A `where` that raises is named at the item it raised on; the plan is made."""

    def where(item):
        return item["metadata"]["name"] != "settings" or 1 / 0

    plan = shop.engine.plan("try-1", SPEC, RestoreOptions(where=where))

    (entry,) = [e for e in plan.entries if e.identifier.name == "settings"]
    assert entry.action is PlanAction.CONFLICT
    assert "ZeroDivisionError" in entry.reason
    assert _actions(plan)["Service/web"] == "create"


@pytest.mark.parametrize(
    "spec",
    [
        _spec(included_namespaces=["Shop_1"]),
        _spec(namespace_mapping={"shop": "a..b"}),
        _spec(label_selector=LabelSelector(match_labels={"app": "a b"})),
    ],
    ids=["namespace", "mapping", "selector"],
)
def test_what_could_select_nothing_is_refused(shop, spec):
    """A name or a label that no object can have is wrong use, not an empty restore."""
    with pytest.raises(InvalidSpecError):
        shop.engine.plan("try-1", spec)


def test_what_is_forbidden_is_an_error_and_the_rest_goes_on(shop):
    """One refused type costs its items; exit code 3."""
    shop.simulated.faults.forbid(verb="create", resource="configmaps")

    result = shop.engine.run("try-1", SPEC)

    assert result.exit_code == 3
    assert result.restore.status.phase is RestorePhase.PARTIALLY_FAILED
    assert {e.item.group_resource.resource for e in result.results.errors} == {
        "configmaps"
    }
    assert shop.names("deployments.apps", "shop") == ["web"]


def test_what_never_passes_ends_at_the_deadline(shop):
    """An item that is refused for ever ends as an error with the last answer."""
    shop.simulated.faults.fail(
        verb="create",
        resource="configmaps",
        status=403,
        message="status unknown for quota: q",
        times=None,
    )

    result = shop.engine.run(
        "try-1", SPEC, RestoreOptions(deadline=timedelta(seconds=1))
    )

    [error] = result.results.errors
    assert "status unknown for quota" in error.message


# --- the end of a run -----------------------------------------------------------------


def test_a_killed_restore_is_completed_by_the_next(make_shop):
    """Killed before any of its requests, the restore run again completes everything."""
    kinds = ("Namespace", "ConfigMap", "Secret", "Deployment", "ReplicaSet", "Service")
    objects = [item for item in sample_shop() if item["kind"] in kinds]
    shop = make_shop(objects, settings=EngineSettings(workers=2))
    for asked in range(1, 100):
        spec = _spec(namespace_mapping={"shop": f"copy-{asked}"})
        name = f"try-{asked}"
        plan = shop.engine.plan(name, spec)
        try:
            shop.engine.apply(plan, cancel=KillToken(asked))
        except RunCancelledError:
            pass
        else:
            break
        again = shop.engine.run(name, spec)
        assert again.results.errors == ()
        for resource in ("configmaps", "secrets", "deployments.apps", "services"):
            assert len(shop.names(resource, f"copy-{asked}")) == 1
        assert shop.engine.plan(name, spec).is_empty
    assert 10 < asked < 99


def test_a_cancelled_restore_leaves_no_record(shop):
    """A run that was cancelled raises and puts nothing on record."""
    plan = shop.engine.plan("try-1", SPEC)
    token = CancelToken()
    token.cancel("enough")

    with pytest.raises(RunCancelledError) as caught:
        shop.engine.apply(plan, cancel=token)
    assert caught.value.exit_code == 130
    assert caught.value.result.restore.status.phase is RestorePhase.FAILED

    assert shop.store.list_restores() == []


def test_a_run_cancelled_while_it_writes_tells_what_was_written(make_shop):
    """Everything that the target has by then is among the outcomes of the error."""
    shop = make_shop(settings=EngineSettings(workers=2))
    plan = shop.engine.plan("try-1", SPEC)

    with pytest.raises(RunCancelledError) as caught:
        shop.engine.apply(plan, cancel=KillToken(24))

    result = caught.value.result
    made = [o for o in result.outcomes if o.action == "created"]
    assert 0 < len(made) < plan.counts[PlanAction.CREATE]
    assert len(made) == shop.writes()
    progress = result.restore.status.progress
    assert progress.items_restored == len(result.outcomes)


def test_waking_a_copy_is_announced(shop):
    """What was restored quiet and is to start work now is told before it does."""
    spec = _spec(namespace_mapping={"shop": "copy"})
    shop.engine.run("asleep", spec, RestoreOptions(transforms=(quiesce,)))

    spec = attrs.evolve(spec, existing_resource_policy="update")
    plan = shop.engine.plan("awake", spec)

    [told] = [notice for notice in plan.notices if "starts work" in notice.what]
    assert "deployments.apps/copy/web" in {str(item) for item in told.items}


def test_the_record_tells_what_was_done(shop):
    """Record, log, results and list of resources are in the store."""
    shop.engine.run("try-1", SPEC)

    record = shop.store.get_restore("try-1")
    log = "\n".join(shop.store.restore_logs("try-1"))

    assert record.status.phase is RestorePhase.COMPLETED
    assert record.spec.backup_name == "shop-1"
    assert (
        record.metadata.annotations["kbackup.io/target-server"] == shop.cluster.server
    )
    assert (
        record.metadata.annotations["kbackup.io/target-cluster"] == shop.cluster.uid()
    )
    assert "new empty volume" in log
    assert SECRET not in log


def test_files_beside_the_record_end_with_a_newline(shop, tmp_path):
    """Results and list of resources lacked the newline that closes Velero's files."""
    shop.engine.run("try-1", SPEC)

    for name in ("results.gz", "resource-list.json.gz"):
        path = tmp_path / f"store-0/restores/try-1/restore-try-1-{name}"
        content = gzip.decompress(path.read_bytes())
        assert json.loads(content)
        assert content.count(b"\n") == 1
        assert content.endswith(b"\n")


def test_the_longest_name_is_kept_on_record(shop):
    """A restore under the longest name is recorded; a longer one was not, once done."""
    most = layout.longest_name(RestoreFiles)

    result = shop.engine.run("x" * most, SPEC)

    assert not any("be stored" in w.message for w in result.results.warnings)
    assert shop.store.get_restore("x" * most).status.phase is RestorePhase.COMPLETED
    with pytest.raises(InvalidSpecError, match=f"at most {most}"):
        shop.engine.plan("x" * (most + 1), SPEC)


def test_the_log_tells_the_run(make_shop):
    """The log of a restore in which all went well used to be empty."""
    shop = make_shop([namespace(), config_map(a="1"), config_map("more", b="2")])
    shop.simulated.faults.fail(verb="create", resource="configmaps", status=422)

    shop.engine.run("try-1", SPEC)

    lines = list(shop.store.restore_logs("try-1"))
    told = [re.search('msg="(.*?)" ', line).group(1) for line in lines]
    assert told[0].startswith("restoring backup shop-1 (uid ")
    assert told[1:3] == ["phase: write", "wave 20: namespaces: 1 created"]
    assert told[3].startswith("not restored: ")
    assert re.fullmatch(r"wave \d+: configmaps: 1 created, 1 failed", told[4])
    assert told[5] == "PartiallyFailed: 2 created, 1 failed; 0 warnings, 1 error"
    assert len(told) == 6
    assert all(" restore=velero/try-1" in line for line in lines)


def test_the_log_has_no_line_for_each_item(make_shop):
    """The log of a large restore grows with its types, not with its items."""
    many = [config_map(f"c{n}") for n in range(60)]
    shop = make_shop([namespace(), *many])

    shop.engine.run("try-1", SPEC)
    shop.engine.run("try-2", SPEC)

    first, second = (list(shop.store.restore_logs(name)) for name in ("try-1", "try-2"))
    assert len(first) == 5
    assert any("configmaps: 60 created" in line for line in first)
    assert any("not to be written: configmaps: 60 unchanged" in line for line in second)


def test_a_restore_on_record_tells_that_its_record_stays(shop):
    """Who runs a restore again reads first that its record will not tell of it."""

    def told(plan):
        return [x.what for x in plan.notices if "on record already" in x.what]

    first = shop.engine.plan("try-1", SPEC)
    shop.engine.apply(first)
    again = shop.engine.plan("try-1", SPEC)
    result = shop.engine.apply(again)

    assert told(first) == []
    [notice] = told(again)
    assert notice == (
        "restore try-1 is on record already (Completed), and a record is never written "
        "again: what this run does is told at its end only. Under another name it gets a "
        "record of its own"
    )
    assert any("record of the first run" in w.message for w in result.results.warnings)
    assert told(shop.engine.plan("try-2", SPEC)) == []


def test_a_store_that_cannot_be_written_is_a_warning(shop, tmp_path):
    """From a read-only location a restore works; that it leaves no record is told first."""
    from kbackup.catalog import BackupStore  # noqa: PLC0415 - for this test only
    from kbackup.restore import RestoreEngine  # noqa: PLC0415 - for this test only

    with BackupStore.open(f"file://{tmp_path}/store-0", read_only=True) as store:
        engine = RestoreEngine(shop.cluster, store)
        plan = engine.plan("try-1", SPEC)
        result = engine.apply(plan)

    told = "the store is read-only: no record of this restore will be kept"
    assert told in [notice.what for notice in plan.notices]
    assert all(told != x.what for x in shop.engine.plan("try-2", SPEC).notices)
    assert result.exit_code == 0
    assert any("could not be stored" in w.message for w in result.results.warnings)
