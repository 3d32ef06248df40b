"""What stays is tied again to an owner that is deleted and created anew."""

import json
from datetime import timedelta

import attrs
import pytest
from plan_samples import namespace

from kbackup.cluster import Cluster
from kbackup.errors import ClusterUnreachableError, ForbiddenError, InvalidItemError
from kbackup.models import ExistingResourcePolicy, RestoreOptions, RestoreSpec
from kbackup.restore import PlanAction, RestorePlan

SPEC = RestoreSpec(backup_name="shop-1")
RECREATE = RestoreOptions(existing_policies={"cm/shop/owner": "recreate"})
OWNED = "secrets/shop/owned"
TOLD = "tied again to ConfigMap/owner, created anew; nothing else is changed"


HELD = {"metadata": {"finalizers": ["example.com/held"]}}


class KilledError(BaseException):
    """The process is gone."""


def thing(kind, name, value, *, owner="", **flags):
    """Return an object; *owner* is the UID of the one that it has."""
    metadata = {"name": name, "namespace": "shop"}
    if owner:
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner"}
        metadata["ownerReferences"] = [reference | {"uid": owner} | flags]
    data = {"data": {"a": value}}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata} | data


class Bench:
    """A target whose owner is not as in the backup, and has a Secret."""

    def __init__(self, make_shop, *, value="MQ==", **flags):
        stored = thing("Secret", "owned", "MQ==", owner="x", **flags)
        self.shop = make_shop([namespace(), thing("ConfigMap", "owner", "1"), stored])
        self.shop.simulated.load([namespace(), thing("ConfigMap", "owner", "2")])
        self.old = self.uid()
        self.shop.simulated.load(
            [thing("Secret", "owned", value, owner=self.old, **flags)]
        )

    def uid(self):
        """Return the UID of the owner that is there."""
        return self.shop.object("configmaps", "shop", "owner")["metadata"]["uid"]

    def references(self):
        """Return what ties the Secret."""
        owned = self.shop.object("secrets", "shop", "owned")
        return owned["metadata"].get("ownerReferences", [])

    def plan(self, options=RECREATE, spec=SPEC):
        """Plan, save and load the plan."""
        plan = self.shop.engine.plan("r", spec, options)
        loaded = RestorePlan.from_json(json.loads(json.dumps(plan.to_json())))
        assert loaded.entries == plan.entries
        return loaded


def line(plan, name=OWNED):
    """Return the line of an object."""
    return next(x for x in plan.entries if str(x.target) == name)


def told(plan):
    """Return of what the plan says that it is no longer tied."""
    (found,) = [x for x in plan.notices if "no longer tied" in x.what] or [None]
    return [] if found is None else [str(x) for x in found.items]


def outcome(result):
    """Return what became of the Secret."""
    return next(x for x in result.outcomes if str(x.identifier) == OWNED)


def test_it_is_tied_by_the_new_uid(make_shop):
    """The plan says so, and that nothing else is done; afterwards it is owned as before."""
    bench = Bench(make_shop, controller=True, blockOwnerDeletion=True)
    plan = bench.plan()

    result = bench.shop.engine.apply(plan)

    assert (line(plan).action, line(plan).reason) == (PlanAction.UPDATE, TOLD)
    assert line(plan).wave > line(plan, "configmaps/shop/owner").wave
    assert told(plan) == []
    assert result.results.errors == result.results.warnings == ()
    assert (outcome(result).action, outcome(result).reason) == ("updated", TOLD)
    assert bench.uid() != bench.old
    flags = {"controller": True, "blockOwnerDeletion": True}
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner"}
    assert bench.references() == [reference | {"uid": bench.uid()} | flags]
    assert bench.shop.engine.plan("r-2", SPEC, RECREATE).is_empty


@pytest.mark.parametrize("policy", ["none", "update"])
def test_what_differs_itself(make_shop, policy):
    """An update is tied as well; what is left as it is loses its owner, and is named."""
    bench = Bench(make_shop, value="Mg==")
    wanted = ExistingResourcePolicy(policy)
    plan = bench.plan(spec=attrs.evolve(SPEC, existing_resource_policy=wanted))

    result = bench.shop.engine.apply(plan)

    left = policy == "none"
    assert line(plan).action is (PlanAction.SKIP if left else PlanAction.UPDATE)
    assert line(plan).ties == (() if left else ("ConfigMap/owner",))
    assert told(plan) == ([OWNED] if left else [])
    assert result.results.errors == ()
    tied = [each["uid"] for each in bench.references()]
    assert tied == ([] if left else [bench.uid()])
    assert outcome(result).action == ("skipped" if left else "updated")


def with_secret(policy):
    """Return options that say what happens to the Secret, too."""
    policies = {"cm/shop/owner": "recreate", OWNED: policy}
    return RestoreOptions(existing_policies=policies, force_conflicts=policy == "apply")


@pytest.mark.parametrize("policy", ["update", "apply", "recreate"])
def test_a_secret_that_changes_beside_its_owner(make_shop, policy):
    """That it lost its owner is no change of it, though no plan shows what is in it."""
    bench = Bench(make_shop, value="Mg==")
    plan = bench.plan(with_secret(policy))

    result = bench.shop.engine.apply(plan)

    assert line(plan).action == ("recreate" if policy == "recreate" else "update")
    assert line(plan).apply == ("force" if policy == "apply" else "")
    assert result.results.errors == result.results.warnings == ()
    assert outcome(result).action == f"{line(plan).action}d"
    assert bench.shop.object("secrets", "shop", "owned")["data"] == {"a": "MQ=="}
    assert [each["uid"] for each in bench.references()] == [bench.uid()]


@pytest.mark.parametrize("changed", ["data", "labels"])
@pytest.mark.parametrize("policy", ["update", "apply", "recreate"])
def test_a_secret_that_somebody_changes_meanwhile(
    make_shop, monkeypatch, policy, changed
):
    """It is left as it is, in its data or beside them."""
    bench = Bench(make_shop, value="Mg==")
    plan = bench.plan(with_secret(policy))
    secrets = bench.shop.cluster.discover().resolve("secrets")
    create = Cluster.create
    patch = {"data": {"a": "Mw=="}}
    if changed == "labels":
        patch = {"metadata": {"labels": {"by": "others"}}}

    def late(self, resource, body, *, dry_run=False, **how):
        if dry_run and resource.resource == "configmaps":
            bench.shop.cluster.patch(secrets, "owned", patch, namespace="shop")
        return create(self, resource, body, dry_run=dry_run, **how)

    monkeypatch.setattr(Cluster, "create", late)
    result = bench.shop.engine.apply(plan)

    assert outcome(result).left_alone
    (warning,) = result.results.warnings
    assert "changed since the plan was made" in warning.message


def test_where_owners_are_not_wanted(make_shop):
    """A restore that ties nothing again names what loses its owner."""
    bench = Bench(make_shop)
    plan = bench.plan(attrs.evolve(RECREATE, relink_owners=False))

    bench.shop.engine.apply(plan)

    assert line(plan).action is PlanAction.UNCHANGED
    assert told(plan) == [OWNED]
    assert bench.references() == []


def test_an_owner_that_is_not_deleted_after_all(make_shop, monkeypatch):
    """Where the server would not take the new one, what it owns stays tied to the old."""
    bench = Bench(make_shop)
    plan = bench.plan()
    create = Cluster.create

    def refuse(self, resource, body, *, dry_run=False, **how):
        if dry_run and resource.resource == "configmaps":
            raise InvalidItemError("create", "configmaps", reason="no")
        return create(self, resource, body, dry_run=dry_run, **how)

    monkeypatch.setattr(Cluster, "create", refuse)
    result = bench.shop.engine.apply(plan)

    (error,) = result.results.errors
    assert "not deleted" in error.message
    assert result.results.warnings == ()
    assert outcome(result).action == "unchanged"
    assert [each["uid"] for each in bench.references()] == [bench.old]


def test_an_owner_that_takes_its_time(make_shop, monkeypatch):
    """Nothing is tied to the one that is about to go, however long that takes."""
    bench = Bench(make_shop)
    plan = bench.plan()
    create, tries = Cluster.create, []

    def late(self, resource, body, *, dry_run=False, **how):
        if dry_run and resource.resource == "configmaps":
            tries.append(bench.references())
            if len(tries) <= 5:
                raise ClusterUnreachableError("create", "configmaps", reason="later")
        return create(self, resource, body, dry_run=dry_run, **how)

    monkeypatch.setattr(Cluster, "create", late)
    result = bench.shop.engine.apply(plan)

    assert len(tries) == 6
    assert result.results.errors == ()
    assert [each["uid"] for each in bench.references()] == [bench.uid()]


def test_what_is_created_beside_it_waits_for_the_new_one(make_shop, monkeypatch):
    """A child that comes back is not tied to an owner that is about to be deleted."""
    bench = Bench(make_shop)
    secrets = bench.shop.cluster.discover().resolve("secrets")
    bench.shop.cluster.delete(secrets, "owned", namespace="shop")
    plan = bench.plan()
    create, tries = Cluster.create, []

    def late(self, resource, body, *, dry_run=False, **how):
        if dry_run and resource.resource == "configmaps":
            tries.append(1)
            if len(tries) == 1:
                raise ClusterUnreachableError("create", "configmaps", reason="later")
        return create(self, resource, body, dry_run=dry_run, **how)

    monkeypatch.setattr(Cluster, "create", late)
    result = bench.shop.engine.apply(plan)

    assert line(plan).action is PlanAction.CREATE
    assert result.results.errors == ()
    assert [each["uid"] for each in bench.references()] == [bench.uid()]


@pytest.mark.parametrize("changed", [True, False], ids=["changed", "deleted"])
def test_one_that_moved(make_shop, changed):
    """What somebody changed since the plan is left as it is, and named."""
    bench = Bench(make_shop)
    plan = bench.plan()
    secrets = bench.shop.cluster.discover().resolve("secrets")
    if changed:
        patch = {"data": {"b": "MQ=="}}
        bench.shop.cluster.patch(secrets, "owned", patch, namespace="shop")
    else:
        bench.shop.cluster.delete(secrets, "owned", namespace="shop")

    result = bench.shop.engine.apply(plan)

    assert outcome(result).left_alone
    (warning,) = result.results.warnings
    assert "since the plan was made" in warning.message


def test_whose_deletion_it_may_not_hold_up(make_shop, monkeypatch):
    """Where the server forbids blockOwnerDeletion it is tied without, which is told."""
    bench = Bench(make_shop, blockOwnerDeletion=True)
    plan = bench.plan()
    patch_of = Cluster.patch

    def refuse(self, resource, name, body, **how):
        references = body.get("metadata", {}).get("ownerReferences") or ()
        if any("blockOwnerDeletion" in each for each in references):
            reason = "cannot set blockOwnerDeletion if an ownerReference refers to ..."
            raise ForbiddenError("patch", "secrets", reason=reason)
        return patch_of(self, resource, name, body, **how)

    monkeypatch.setattr(Cluster, "patch", refuse)
    result = bench.shop.engine.apply(plan)

    (warning,) = result.results.warnings
    assert warning.message == ("tied without blockOwnerDeletion: the server forbids it")
    (reference,) = bench.references()
    assert reference["uid"] == bench.uid()
    assert "blockOwnerDeletion" not in reference


def killed(bench, monkeypatch, call, resource, **how):
    """Apply a plan; the process is gone before that call about that type."""
    plan, plain = bench.plan(**how), getattr(Cluster, call)

    def die(self, of, *args, dry_run=False, **more):
        if of.resource == resource and not dry_run:
            raise KilledError
        return plain(self, of, *args, dry_run=dry_run, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Cluster, call, die)
        with pytest.raises(KilledError):
            bench.shop.engine.apply(plan)
    return plan


def test_a_run_that_ended_in_between(make_shop, monkeypatch):
    """Its saved plan ties what was not tied."""
    bench = Bench(make_shop)
    plan = killed(bench, monkeypatch, "patch", "secrets")
    assert bench.references() == []
    assert bench.uid() != bench.old

    result = bench.shop.engine.apply(plan)

    assert result.results.errors == ()
    assert [each["uid"] for each in bench.references()] == [bench.uid()]
    again = bench.shop.engine.apply(plan)
    assert outcome(again).action == "unchanged"


@pytest.mark.parametrize("at", ["the tie", "the create", "the delete"])
def test_the_same_restore_again(make_shop, monkeypatch, at):
    """It ties what the run before it untied and came no further, and says so."""
    bench = Bench(make_shop)
    call = {"the tie": "patch", "the create": "create", "the delete": "delete"}[at]
    killed(bench, monkeypatch, call, "secrets" if at == "the tie" else "configmaps")
    assert (bench.references() == []) == (at != "the delete")

    plan = bench.plan()
    result = bench.shop.engine.run("r", SPEC, RECREATE)

    assert (line(plan).action, line(plan).reason) == (PlanAction.UPDATE, TOLD)
    assert line(plan).wave > line(plan, "configmaps/shop/owner").wave
    assert told(plan) == []
    assert result.results.errors == result.results.warnings == ()
    assert outcome(result).action == "updated"
    assert bench.uid() != bench.old
    assert [each["uid"] for each in bench.references()] == [bench.uid()]
    assert bench.shop.engine.plan("r", SPEC, RECREATE).is_empty


def test_an_owner_that_is_on_its_way_out(make_shop, monkeypatch):
    """What is still tied to it will not be: it is tied to the one that follows."""
    bench = Bench(make_shop)
    killed(bench, monkeypatch, "delete", "configmaps")
    maps = bench.shop.cluster.discover().resolve("configmaps")
    cluster = bench.shop.cluster
    cluster.patch(maps, "owner", HELD, namespace="shop")
    cluster.delete(maps, "owner", namespace="shop", propagation="Orphan")
    secrets = cluster.discover().resolve("secrets")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner"}
    tie = {"metadata": {"ownerReferences": [reference | {"uid": bench.old}]}}
    cluster.patch(secrets, "owned", tie, namespace="shop")  # not untied yet

    plan = bench.plan()

    assert line(plan, "configmaps/shop/owner").action is PlanAction.CREATE
    assert (line(plan).action, line(plan).reason) == (PlanAction.UPDATE, TOLD)


def test_one_that_was_updated_before_the_end(make_shop, monkeypatch):
    """It has the labels of the restore, and is not called one that it made ownerless."""
    bench = Bench(make_shop, value="Mg==")
    spec = attrs.evolve(SPEC, existing_resource_policy=ExistingResourcePolicy.UPDATE)
    patch_of, patches = Cluster.patch, []

    def die(self, resource, *args, **how):
        patches.append(resource)
        if len(patches) == 2:
            raise KilledError
        return patch_of(self, resource, *args, **how)

    with monkeypatch.context() as patched:
        patched.setattr(Cluster, "patch", die)
        with pytest.raises(KilledError):
            bench.shop.engine.run("r", spec, RECREATE)
    assert bench.references() == []

    plan = bench.plan(spec=spec)
    result = bench.shop.engine.apply(plan)

    assert line(plan).reason == TOLD
    assert not [x for x in plan.notices if "without an owner" in x.what]
    assert result.results.errors == result.results.warnings == ()
    assert [each["uid"] for each in bench.references()] == [bench.uid()]


def test_others_do_not_tie_it(make_shop, monkeypatch):
    """Neither does a restore of another name, nor is another object of its name tied."""
    bench = Bench(make_shop)
    killed(bench, monkeypatch, "patch", "secrets")
    assert bench.shop.engine.plan("r-2", SPEC, RECREATE).is_empty
    secrets = bench.shop.cluster.discover().resolve("secrets")
    bench.shop.cluster.delete(secrets, "owned", namespace="shop")
    bench.shop.simulated.load([thing("Secret", "owned", "MQ==")])

    assert bench.plan().is_empty


def test_who_untied_it_meant_it(make_shop, monkeypatch):
    """What lost an owner that was never deleted is not tied to it."""
    bench = Bench(make_shop)
    killed(bench, monkeypatch, "delete", "configmaps")
    cluster = bench.shop.cluster
    maps, secrets = map(cluster.discover().resolve, ("configmaps", "secrets"))
    cluster.patch(maps, "owner", {"data": {"a": "1"}}, namespace="shop")
    untied = {"metadata": {"ownerReferences": None}}
    cluster.patch(secrets, "owned", untied, namespace="shop")

    plan = bench.plan()

    assert plan.is_empty
    assert told(plan) == []


@pytest.mark.parametrize("at", ["create", "patch"])
def test_an_owner_that_does_not_come(make_shop, monkeypatch, at):
    """Refused, or gone since the plan was made, it is not waited for; that is told."""
    bench = Bench(make_shop)
    killed(bench, monkeypatch, at, {"create": "configmaps", "patch": "secrets"}[at])
    options = attrs.evolve(RECREATE, deadline=timedelta(seconds=5))
    plan = bench.plan(options)
    cluster, create = bench.shop.cluster, Cluster.create
    if at == "patch":
        maps = cluster.discover().resolve("configmaps")
        cluster.delete(maps, "owner", namespace="shop")

    def refuse(self, resource, *args, **how):
        if resource.resource == "configmaps":
            raise InvalidItemError("create", "configmaps", reason="no")
        return create(self, resource, *args, **how)

    monkeypatch.setattr(Cluster, "create", refuse)
    result = bench.shop.engine.apply(plan)

    assert line(plan).ties == ("ConfigMap/owner",)
    assert outcome(result).action == "unchanged"
    (warning,) = result.results.warnings
    assert warning.message == "no longer tied to its owner ConfigMap/owner"
    assert len(result.results.errors) == (at == "create")


def test_an_owner_that_changed_since(make_shop, monkeypatch):
    """It is no owner any more: what is not tied to it is named."""
    bench = Bench(make_shop)
    killed(bench, monkeypatch, "patch", "secrets")
    maps = bench.shop.cluster.discover().resolve("configmaps")
    patch = {"data": {"a": "3"}}
    bench.shop.cluster.patch(maps, "owner", patch, namespace="shop")

    plan = bench.plan()

    assert line(plan, "configmaps/shop/owner").action is PlanAction.SKIP
    assert line(plan).action is PlanAction.UNCHANGED
    assert told(plan) == [OWNED]


def test_what_is_created_anew_as_well(make_shop):
    """Named beside its owner it comes after it, and has its new UID."""
    owned = thing("ConfigMap", "owned", "1", owner="x")
    shop = make_shop([namespace(), thing("ConfigMap", "owner", "1"), owned])
    shop.simulated.load([namespace(), thing("ConfigMap", "owner", "2")])
    old = shop.object("configmaps", "shop", "owner")["metadata"]["uid"]
    shop.simulated.load([thing("ConfigMap", "owned", "2", owner=old)])

    options = RestoreOptions(existing_policies={"cm": "recreate"})
    plan = shop.engine.plan("r", SPEC, options)
    result = shop.engine.apply(plan)

    assert result.results.errors == ()
    assert told(plan) == []
    new = shop.object("configmaps", "shop", "owner")["metadata"]["uid"]
    found = shop.object("configmaps", "shop", "owned")
    assert [x["uid"] for x in found["metadata"]["ownerReferences"]] == [new]


def owner_of(kind, version, app):
    """Return a Pod or a Job."""
    spec = {"containers": [{"name": "main", "image": f"{app}:1"}]}
    if kind == "Job":
        spec = {"template": {"spec": spec | {"restartPolicy": "Never"}}}
    metadata = {"name": "owner", "namespace": "shop"}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def taken(make_shop, kind, version):
    """Return a shop whose backup has a Secret that a Pod or a Job owns, and its plan."""
    reference = {"apiVersion": version, "kind": kind, "name": "owner"}
    secret = thing("Secret", "owned", "MQ==")
    secret["metadata"]["ownerReferences"] = [reference | {"uid": "x"}]
    shop = make_shop([namespace(), owner_of(kind, version, "a"), secret])
    shop.simulated.load([namespace(), owner_of(kind, version, "b")])
    resource = f"{kind.lower()}s{'.batch' if kind == 'Job' else ''}"
    uid = shop.object(resource, "shop", "owner")["metadata"]["uid"]
    secret["metadata"]["ownerReferences"] = [reference | {"uid": uid}]
    shop.simulated.load([secret])
    options = RestoreOptions(existing_policies={f"{kind.lower()}s": "recreate"})
    return shop, shop.engine.plan("r", SPEC, options)


def test_a_job_that_has_more_than_pods(make_shop):
    """With its Pods would go what it owns, and perhaps data: it is not deleted."""
    shop, plan = taken(make_shop, "Job", "batch/v1")
    before = shop.object("jobs.batch", "shop", "owner")["metadata"]["uid"]

    result = shop.engine.apply(plan)

    found = line(plan, "jobs.batch/shop/owner")
    assert found.action is PlanAction.CONFLICT
    assert found.reason == f"not deleted: what it owns would go with it: {OWNED}"
    assert line(plan).action is PlanAction.UNCHANGED
    assert len(result.results.errors) == 1
    assert shop.object("jobs.batch", "shop", "owner")["metadata"]["uid"] == before
    assert shop.names("secrets", "shop") == ["owned"]


def test_what_was_made_for_a_pod(make_shop):
    """It goes with the Pod, which the plan says."""
    _, plan = taken(make_shop, "Pod", "v1")

    assert line(plan, "pods/shop/owner").action is PlanAction.RECREATE
    (notice,) = [x for x in plan.notices if "goes with its Pod" in x.what]
    assert [str(x) for x in notice.items] == [OWNED]
