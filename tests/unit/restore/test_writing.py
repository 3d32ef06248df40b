"""What a single write meets: names on their way out, races, an end before the answer."""

from datetime import timedelta

import pytest

from kbackup._kits.workers import CancelToken
from kbackup.cluster import Cluster
from kbackup.errors import RunCancelledError
from kbackup.models import EngineSettings, RestoreOptions, RestoreSpec
from kbackup.restore import PlanAction
from kbackup.testing import sample_shop

SPEC = RestoreSpec(backup_name="shop-1")
SOON = RestoreOptions(deadline=timedelta(seconds=1))
SPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
MAP = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings", "namespace": "shop"},
    "data": {"currency": "EUR"},
}
ACCOUNT = {
    "apiVersion": "v1",
    "kind": "ServiceAccount",
    "metadata": {"name": "default", "namespace": "shop"},
    "imagePullSecrets": [{"name": "registry"}],
}
MADE_BY_THE_TARGET = {
    **ACCOUNT,
    "imagePullSecrets": [],
    "secrets": [{"name": "default-token-x"}],
}
LEAVING = 'object is being deleted: configmaps "settings" already exists'


def outcomes(result):
    """Name to what was done."""
    return {each.identifier.name: each.action for each in result.outcomes}


# --- a name that is taken -------------------------------------------------------------


def test_a_name_that_is_leaving_and_may_not_be_read(make_shop):
    """An object that nobody may look at is waited for while it goes, and written then."""
    shop = make_shop([SPACE, MAP])
    shop.simulated.faults.forbid(verb="get", resource="configmaps")
    shop.simulated.faults.fail(
        verb="create",
        resource="configmaps",
        status=409,
        reason="AlreadyExists",
        message=LEAVING,
        times=2,
    )

    result = shop.engine.run("try-1", SPEC)

    assert result.results.errors == ()
    assert outcomes(result)["settings"] == "created"


def test_a_name_that_stays_and_may_not_be_read(make_shop):
    """The error tells both: that the name is taken, and that nobody may look at it."""
    shop = make_shop([SPACE, MAP])
    plan = shop.engine.plan("try-1", SPEC)
    shop.simulated.load([SPACE, MAP])
    shop.simulated.faults.forbid(verb="get", resource="configmaps")

    (error,) = shop.engine.apply(plan).results.errors

    assert "cannot create configmaps shop/settings" in error.message
    assert "cannot get configmaps shop/settings" in error.message


def test_a_lost_answer_whose_object_may_not_be_read(make_shop):
    """A write that never reached the server is sent again where no look can tell."""
    shop = make_shop([SPACE, MAP])
    shop.simulated.faults.forbid(verb="get", resource="configmaps")
    shop.simulated.faults.drop(verb="create", resource="configmaps")

    result = shop.engine.run("try-1", SPEC)

    assert result.results.errors == ()
    assert outcomes(result)["settings"] == "created"


def test_a_lost_answer_that_nobody_can_look_into(make_shop):
    """The error does not deny what may have been done."""
    shop = make_shop([SPACE, MAP])
    shop.simulated.faults.forbid(verb="get", resource="configmaps")
    shop.simulated.faults.drop(verb="create", resource="configmaps", after=True)

    (error,) = shop.engine.run("try-1", SPEC).results.errors

    assert "already exists" in error.message
    assert "it may have been written" in error.message


@pytest.mark.parametrize("happens", ["lost race", "lost request", "lost answer"])
def test_an_account_that_the_target_made_meanwhile(make_shop, happens):
    """An account is merged with the one that appeared, however often that one changes."""
    shop = make_shop([SPACE, ACCOUNT], as_is=True)
    plan = shop.engine.plan("try-1", SPEC)
    shop.simulated.load([SPACE, MADE_BY_THE_TARGET])
    of_accounts = {"verb": "patch", "resource": "serviceaccounts"}
    if happens == "lost race":
        shop.simulated.faults.fail(**of_accounts, status=409, reason="Conflict")
    else:
        shop.simulated.faults.drop(**of_accounts, after=happens == "lost answer")

    result = shop.engine.apply(plan)

    assert outcomes(result)["default"] == "updated"
    assert result.results.warnings == ()
    merged = shop.object("serviceaccounts", "shop", "default")
    assert merged["imagePullSecrets"] == [{"name": "registry"}]
    assert merged["secrets"] == [{"name": "default-token-x"}]


def test_an_account_that_changes_while_it_is_merged(make_shop):
    """What a controller adds to an account, before or during the write, stays."""
    shop = make_shop([SPACE, ACCOUNT], as_is=True)
    shop.simulated.load([SPACE, {**MADE_BY_THE_TARGET, "secrets": []}])
    plan = shop.engine.plan("try-1", SPEC)
    accounts = shop.cluster.discover().by_kind("v1", "ServiceAccount")
    token = {"secrets": [{"name": "default-token-x"}]}
    shop.cluster.patch(accounts, "default", token, namespace="shop")
    shop.simulated.faults.fail(
        verb="patch", resource="serviceaccounts", status=409, reason="Conflict"
    )

    result = shop.engine.apply(plan)

    assert outcomes(result)["default"] == "updated"
    merged = shop.object("serviceaccounts", "shop", "default")
    assert merged["imagePullSecrets"] == [{"name": "registry"}]
    assert merged["secrets"] == [{"name": "default-token-x"}]


def test_an_account_that_the_target_made_and_removed(make_shop):
    """One that is gone again when it is to be merged is created."""
    shop = make_shop([SPACE, ACCOUNT], as_is=True)
    plan = shop.engine.plan("try-1", SPEC)
    shop.simulated.faults.fail(
        verb="create", resource="serviceaccounts", status=409, reason="AlreadyExists"
    )
    shop.simulated.load([SPACE])

    result = shop.engine.apply(plan)

    assert result.results.errors == ()
    assert outcomes(result)["default"] == "created"


def test_an_object_that_went_meanwhile(make_shop):
    """What is to be updated and is gone is not made again, and the result says so."""
    shop = make_shop([SPACE, MAP])
    shop.simulated.load([SPACE, {**MAP, "data": {"old": "1"}}])
    spec = RestoreSpec(backup_name="shop-1", existing_resource_policy="update")
    plan = shop.engine.plan("try-1", spec)
    resource = shop.cluster.discover().by_kind("v1", "ConfigMap")
    shop.cluster.delete(resource, "settings", namespace="shop")

    result = shop.engine.apply(plan)

    assert shop.names("configmaps", "shop") == []
    assert result.exit_code == 3
    assert "not written: the live object went since the plan was made" in [
        each.message for each in result.results.warnings
    ]


def test_what_an_update_loses(make_shop, monkeypatch):
    """An object that is updated in part only is a warning with the fields' names."""
    shop = make_shop([SPACE, MAP])
    shop.simulated.load([SPACE, {**MAP, "data": {"old": "1"}}])
    patch = Cluster.patch

    def forgetful(self, *args, **more):
        stored = patch(self, *args, **more)
        del stored["data"]["currency"]
        return stored

    monkeypatch.setattr(Cluster, "patch", forgetful)
    spec = RestoreSpec(backup_name="shop-1", existing_resource_policy="update")
    result = shop.engine.run("try-1", spec)

    assert outcomes(result)["settings"] == "updated"
    assert "configmaps/shop/settings: the target dropped data.currency" in [
        str(each) for each in result.results.warnings
    ]


# --- the volume of another claim ------------------------------------------------------


def volume(claim="shop/orders", name="pv-orders"):
    """A PersistentVolume of a claim."""
    found = next(x for x in sample_shop() if x["kind"] == "PersistentVolume")
    namespace, _, owner = claim.partition("/")
    reference = {**found["spec"]["claimRef"], "namespace": namespace, "name": owner}
    found["metadata"]["name"] = name
    found["spec"]["volumeMode"] = "Filesystem"
    found["spec"]["claimRef"] = {**reference, "uid": "8d3c7e10"}
    return found


def line_of(plan, kind):
    """The only line of a kind."""
    (entry,) = [each for each in plan.entries if each.kind == kind]
    return entry


def to_till(item):
    """Give the volume to another claim."""
    if item["kind"] == "PersistentVolume":
        item["spec"]["claimRef"]["name"] = "till"
        item["spec"]["mountOptions"] = ["ro"]
    return item


def test_a_transform_that_takes_a_volume_from_its_claim(make_shop):
    """What would be written counts: no claim loses its volume to another one."""
    shop = make_shop([SPACE, volume()], as_is=True)
    shop.simulated.load([SPACE, volume()])
    options = RestoreOptions(
        existing_cluster_resource_policy="update", transforms=(to_till,)
    )

    plan = shop.engine.plan("try-1", SPEC, options)

    entry = line_of(plan, "PersistentVolume")
    assert entry.action is PlanAction.CONFLICT
    assert "it belongs to claim shop/orders" in entry.reason


def test_a_transform_that_leaves_a_volume_its_claim(make_shop):
    """A volume that was of another claim may be written so that its claim keeps it."""
    shop = make_shop([SPACE, volume()], as_is=True)
    shop.simulated.load([SPACE, volume("shop/till")])
    options = RestoreOptions(
        existing_cluster_resource_policy="update", transforms=(to_till,)
    )

    plan = shop.engine.plan("try-1", SPEC, options)
    result = shop.engine.apply(plan)

    assert line_of(plan, "PersistentVolume").action is PlanAction.UPDATE
    assert outcomes(result)["pv-orders"] == "updated"
    live = shop.object("persistentvolumes", "", "pv-orders")
    assert live["spec"]["claimRef"]["uid"] == "8d3c7e10"


@pytest.mark.parametrize(
    ("owner", "action"),
    [("shop/orders", PlanAction.CONFLICT), ("copy/orders", PlanAction.UPDATE)],
)
def test_a_volume_under_another_namespace(make_shop, owner, action):
    """In a copy it is the claim of the copy that may have the volume, and no other."""
    shop = make_shop([SPACE, volume()], as_is=True)
    live = volume(owner)
    live["spec"]["mountOptions"] = ["ro"]
    shop.simulated.load([SPACE, live])
    spec = RestoreSpec(backup_name="shop-1", namespace_mapping={"shop": "copy"})
    options = RestoreOptions(existing_cluster_resource_policy="update")

    plan = shop.engine.plan("try-1", spec, options)

    assert line_of(plan, "PersistentVolume").action is action


def renamed(item):
    """Give the volume another name."""
    if item["kind"] == "PersistentVolume":
        item["metadata"]["name"] = "pv-copy"
    return item


@pytest.mark.parametrize("cluster_policy", ["none", "update"])
def test_a_transform_that_renames_a_volume_in_use(make_shop, cluster_policy):
    """Under a new name it would be a second writer on the disk of the live one."""
    claim = next(x for x in sample_shop() if x["kind"] == "PersistentVolumeClaim")
    shop = make_shop([SPACE, claim, volume()], as_is=True)
    shop.simulated.load([SPACE, volume()])
    options = RestoreOptions(
        existing_cluster_resource_policy=cluster_policy,
        retained_volumes="reuse",
        transforms=(renamed,),
    )

    plan = shop.engine.plan("try-1", SPEC, options)
    shop.engine.apply(plan)

    entry = line_of(plan, "PersistentVolume")
    assert entry.action is PlanAction.CONFLICT
    assert "that disk belongs to PV pv-orders" in entry.reason
    assert shop.names("persistentvolumes") == ["pv-orders"]


def onto_the_live_disk(item):
    """Point the volume at another disk."""
    if item["kind"] == "PersistentVolume":
        item["spec"]["hostPath"]["path"] = "/var/lib/live"
    return item


def test_a_transform_that_points_at_a_disk_in_use(make_shop):
    """The disk that would be written counts, not the one that the backup names."""
    shop = make_shop()
    live = volume("shop/live", "pv-live")
    live["spec"]["hostPath"]["path"] = "/var/lib/live"
    shop.simulated.load([live])
    options = RestoreOptions(retained_volumes="reuse", transforms=(onto_the_live_disk,))

    plan = shop.engine.plan("try-1", SPEC, options)

    entry = line_of(plan, "PersistentVolume")
    assert entry.action is PlanAction.CONFLICT
    assert "that disk belongs to PV pv-live" in entry.reason


@pytest.mark.parametrize(
    ("before", "after", "waits"),
    [
        ("gone", "standard", ()),
        ("standard", "gone", ("storage class gone not in target",)),
    ],
)
@pytest.mark.parametrize("volume_name", ["pv-orders", ""], ids=["bound", "never bound"])
def test_a_transform_that_chooses_another_class(
    make_shop, before, after, waits, volume_name
):
    """Whether a claim waits for its class is told of the class that is written."""

    def mapped(item):
        if item["kind"] == "PersistentVolumeClaim":
            item["spec"]["storageClassName"] = after
        return item

    shop_of = {each["kind"]: each for each in sample_shop()}
    claim = shop_of["PersistentVolumeClaim"]
    claim["spec"] |= {"storageClassName": before, "volumeName": volume_name}
    shop = make_shop([SPACE, claim], as_is=True)
    shop.simulated.load([shop_of["StorageClass"]])

    plan = shop.engine.plan("try-1", SPEC, RestoreOptions(transforms=(mapped,)))

    assert plan.claims[0].problems == waits
    named = [x.what for x in plan.notices if "storage class" in x.what]
    assert named == [*waits]  # above the table, among 30,000 lines


# --- an end before the answer ---------------------------------------------------------


class WhenMet(CancelToken):
    """Cancelled as soon as a request has met a fault."""

    def __init__(self, fault):
        """Wait for *fault*."""
        super().__init__()
        self._fault = fault

    @property
    def cancelled(self):
        """Whether it has happened."""
        if self._fault.happened:
            self.cancel("enough")
        return super().cancelled


@pytest.mark.parametrize(("verb", "policy"), [("create", None), ("patch", "update")])
def test_a_write_in_flight_when_the_run_is_cancelled(
    make_shop, monkeypatch, verb, policy
):
    """What was sent and not answered in time is named: it may have been written."""
    monkeypatch.setattr("kbackup.cluster._transport._GRACE_OF_WRITES", 0.3)
    shop = make_shop([SPACE, MAP], settings=EngineSettings(workers=2))
    if policy:
        live = {**MAP, "data": {"currency": "CHF"}}
        shop.simulated.load([SPACE, live])
    spec = RestoreSpec(backup_name="shop-1", existing_resource_policy=policy)
    plan = shop.engine.plan("try-1", spec)
    slow = shop.simulated.faults.delay(5, verb=verb, resource="configmaps")

    with pytest.raises(RunCancelledError) as caught:
        shop.engine.apply(plan, cancel=WhenMet(slow))

    (outcome,) = [x for x in caught.value.result.outcomes if x.action == "unknown"]
    assert outcome.identifier.name == "settings"
    assert "may have been written" in outcome.reason
    assert caught.value.result.exit_code == caught.value.exit_code == 130


@pytest.mark.parametrize("kind", ["Secret", "ServiceAccount"])
def test_parameters_of_a_policy_that_come_with_the_restore(make_shop, kind):
    """What a policy refuses for want of its parameters is written after those."""
    item = {"apiVersion": "v1", "kind": kind, "metadata": {**MAP["metadata"]}}
    shop = make_shop([SPACE, item, MAP])
    resource = f"{kind.lower()}s"
    message = (
        f'{resource} "settings" is invalid: : ValidatingAdmissionPolicy '
        "'limits' with binding 'limits' denied request: failed to configure binding: no "
        "params found for policy binding with `Deny` parameterNotFoundAction"
    )
    shop.simulated.faults.fail(
        verb="create",
        resource=resource,
        status=422,
        reason="Invalid",
        message=message,
        times=1,
    )

    result = shop.engine.run("try-1", SPEC)

    assert result.results.errors == ()
    assert "settings" in shop.names(resource, "shop")


def test_a_read_in_flight_when_the_run_is_cancelled(make_shop):
    """Where the run ends before the write was sent, nothing is said to be written."""
    shop = make_shop([SPACE, MAP])
    live = {**MAP, "data": {"currency": "CHF"}}
    shop.simulated.load([SPACE, live])
    spec = RestoreSpec(backup_name="shop-1", existing_resource_policy="update")
    plan = shop.engine.plan("try-1", spec)
    slow = shop.simulated.faults.delay(5, verb="get", resource="configmaps")

    with pytest.raises(RunCancelledError) as caught:
        shop.engine.apply(plan, cancel=WhenMet(slow))

    assert "settings" not in outcomes(caught.value.result)


def test_a_lost_answer_that_a_cancelled_run_did_not_look_into(make_shop):
    """Nor is a write forgotten whose answer was lost just before the run ended."""
    shop = make_shop([SPACE, MAP])
    plan = shop.engine.plan("try-1", SPEC)
    lost = shop.simulated.faults.drop(verb="create", resource="configmaps", after=True)

    with pytest.raises(RunCancelledError) as caught:
        shop.engine.apply(plan, cancel=WhenMet(lost))

    assert outcomes(caught.value.result)["settings"] == "unknown"
    assert shop.names("configmaps", "shop") == ["settings"]


def test_a_run_cancelled_before_the_second_write(make_shop, monkeypatch):
    """An object that is there is told of, though its managers did not get it back."""
    monkeypatch.setattr("kbackup.cluster._transport._GRACE_OF_WRITES", 0.3)
    owned = {"manager": "argocd", "operation": "Apply", "apiVersion": "v1"}
    fields = {"fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:currency": {}}}}
    metadata = {**MAP["metadata"], "managedFields": [{**owned, **fields}]}
    shop = make_shop([SPACE, {**MAP, "metadata": metadata}], as_is=True)
    plan = shop.engine.plan("try-1", SPEC)
    slow = shop.simulated.faults.delay(5, verb="patch", resource="configmaps")

    result = None
    try:
        result = shop.engine.apply(plan, cancel=WhenMet(slow))
    except RunCancelledError as exc:
        result = exc.result

    assert outcomes(result)["settings"] == "created"
    assert any(
        "without its managedFields" in x.message for x in result.results.warnings
    )
