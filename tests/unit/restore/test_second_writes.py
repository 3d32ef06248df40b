"""What follows a create: refused, killed, raced by a controller, together with managers."""

import json

import pytest
from plan_samples import namespace

from definitions import definition, served_version
from kbackup.cluster import Cluster, PatchKind
from kbackup.cluster._transport import Transport
from kbackup.models import (
    GroupResource,
    Item,
    ResourceIdentifier,
    RestoreOptions,
    RestorePhase,
    RestoreSpec,
    RestoreStatusSpec,
)
from kbackup.restore import PlanAction, RestorePlan
from kbackup.restore._request.statuses import lacks_status, status_patch
from kbackup.restore._target.field_managers import lacks_managers, ownership_patch
from kbackup.restore._writes.dropped import warn_of_dropped_status
from kbackup.restore._writes.second_writes import Part, SecondWrites

WIDGETS = GroupResource("example.com", "widgets")
TYPE = definition(
    "example.com", "widgets", "Widget", served_version(subresources={"status": {}})
)
STATUS = {"phase": "Ready", "nodes": ["a", "b"]}
SPEC = RestoreSpec(
    backup_name="shop-1",
    restore_status=RestoreStatusSpec(included_resources=[str(WIDGETS)]),
)
CREATED = "2026-01-01T00:00:00Z"


class KilledError(BaseException):
    """The process ends here."""


def managed(manager, fields, operation="Apply", *, time=CREATED, **more):
    """An entry of managedFields."""
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": "example.com/v1",
        "time": time,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        **more,
    }


FLUX = managed("flux", {"f:spec": {"f:size": {}}})
CONTROLLER = managed(
    "controller", {"f:status": {"f:phase": {}}}, subresource="status", time=CREATED
)


def widget(*managers, status=STATUS):
    """A custom resource with a status."""
    metadata = {"name": "one", "namespace": "shop"}
    if managers:
        metadata["managedFields"] = list(managers)
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": metadata,
        "spec": {"size": 3},
        "status": status,
    }


@pytest.fixture
def ready(make_shop):
    """Makes a shop whose backup has one widget, and whose target knows the type."""

    def make(*managers, **more):
        shop = make_shop([widget(*managers)], as_is=True, **more)
        shop.simulated.load([namespace(), TYPE])
        return shop

    return make


@pytest.fixture
def killed(ready, monkeypatch):
    """Makes a shop whose restore ``try-1`` was killed before it sent a second request."""

    def make(*managers, before=Part.STATUS):
        write = SecondWrites._write

        def die(self, part, *given, **more):
            if part is before:
                raise KilledError
            return write(self, part, *given, **more)

        shop = ready(*managers)
        plan = shop.engine.plan("try-1", SPEC)
        with monkeypatch.context() as patched:
            patched.setattr(SecondWrites, "_write", die)
            with pytest.raises(KilledError):
                shop.engine.apply(plan)
        return shop

    return make


def live(shop):
    """The restored widget."""
    return shop.object(str(WIDGETS), "shop", "one")


def managers_of(shop):
    """Who manages something of the restored widget."""
    return {
        (x["manager"], x["operation"], x.get("subresource", ""))
        for x in live(shop)["metadata"]["managedFields"]
    }


def line(plan):
    """The line of the widget."""
    return next(x for x in plan.entries if x.kind == "Widget")


def write_status(shop, status, field_manager="controller"):
    """Let a controller of the target write a status."""
    resource = shop.cluster.discover().by_kind("example.com/v1", "Widget")
    shop.cluster.patch(
        resource,
        "one",
        {"status": status},
        namespace="shop",
        subresource="status",
        field_manager=field_manager,
    )


def warnings_of(result):
    """The warnings as they are printed."""
    return [str(each) for each in result.results.warnings]


# --- killed ---------------------------------------------------------------------------


def test_a_restore_that_was_killed_before_the_status(killed):
    """Run again it says that the status is missing, writes it, and is done then."""
    shop = killed()
    assert "status" not in live(shop)

    plan = shop.engine.plan("try-1", SPEC)
    result = shop.engine.run("try-1", SPEC)

    assert line(plan).action is PlanAction.UPDATE
    assert line(plan).reason == "its status is restored, nothing else"
    assert plan.numbers().endswith("1 update; 1 second writes for the status")
    assert "updated" in {x.action for x in result.outcomes}
    assert warnings_of(result) == []
    assert live(shop)["status"] == STATUS
    assert shop.engine.plan("try-1", SPEC).is_empty


def test_a_status_that_a_controller_has_written_since(killed):
    """It is newer than that of the backup, and stays."""
    shop = killed()
    write_status(shop, {"phase": "Pending"})

    plan = shop.engine.plan("try-1", SPEC)
    result = shop.engine.run("try-1", SPEC)

    assert line(plan).action is PlanAction.UNCHANGED
    assert warnings_of(result) == []
    assert live(shop)["status"] == {"phase": "Pending"}


def test_a_controller_that_writes_after_the_plan(killed):
    """The plan was made before: what the controller wrote stays, and that is told."""
    shop = killed()
    plan = shop.engine.plan("try-1", SPEC)
    write_status(shop, {"phase": "Pending"})

    result = shop.engine.apply(plan)

    outcome = next(x for x in result.outcomes if x.identifier.name == "one")
    assert (outcome.action, outcome.reason) == ("unchanged", "done already")
    assert live(shop)["status"] == {"phase": "Pending"}


def test_a_controller_that_writes_at_the_same_moment(killed, monkeypatch):
    """Between look and write, too, its status is not overwritten."""
    shop = killed()
    plan, patch, raced = shop.engine.plan("try-1", SPEC), Cluster.patch, []

    def too_late(self, resource, name, body, **more):
        if more.get("kind") is PatchKind.JSON and not raced:
            raced.append(name)
            write_status(shop, {"phase": "Pending"})
        return patch(self, resource, name, body, **more)

    monkeypatch.setattr(Cluster, "patch", too_late)
    result = shop.engine.apply(plan)

    assert raced
    assert warnings_of(result) == []
    assert live(shop)["status"] == {"phase": "Pending"}


def test_a_saved_plan_that_completes_a_status(killed):
    """It is carried out once, and done when it is carried out again."""
    shop = killed()
    document = json.dumps(shop.engine.plan("try-1", SPEC).to_json())

    shop.engine.apply(RestorePlan.from_json(document))
    writes = shop.writes()
    again = shop.engine.apply(RestorePlan.from_json(document))

    assert {x.action for x in again.outcomes} == {"unchanged"}
    assert shop.writes() == writes
    assert live(shop)["status"] == STATUS


def test_a_status_of_another_restore(killed):
    """What another restore made is not completed: the object exists."""
    shop = killed()

    plan = shop.engine.plan("try-2", SPEC)
    shop.engine.apply(plan)

    assert line(plan).action is PlanAction.UNCHANGED
    assert "status" not in live(shop)


def test_completing_is_tried_by_a_dry_run(killed):
    """The object is there: the server is asked about its status, which it keeps."""
    shop = killed()

    plan = shop.engine.plan("try-1", SPEC, RestoreOptions(validate=True))

    assert line(plan).action is PlanAction.UPDATE
    assert not [x for x in plan.notices if "not tried" in str(x)]
    assert "status" not in live(shop)


def test_a_server_that_is_busy_with_completing(killed):
    """What may pass is tried again, as any other write."""
    shop = killed()
    shop.simulated.faults.fail(
        verb="patch", resource="widgets", subresource="status", status=503
    )

    result = shop.engine.run("try-1", SPEC)

    assert warnings_of(result) == []
    assert live(shop)["status"] == STATUS


@pytest.mark.parametrize("before", Part)
def test_killed_between_any_two_of_three_writes(killed, before):
    """Status and managers are both there in the end, whichever of them was missing."""
    shop = killed(FLUX, CONTROLLER, before=before)

    plan = shop.engine.plan("try-1", SPEC)
    result = shop.engine.run("try-1", SPEC)

    both = "its status is restored and its field managers are given back, nothing else"
    one = "its field managers are given back, nothing else"
    assert line(plan).reason == (both if before is Part.STATUS else one)
    assert warnings_of(result) == []
    assert live(shop)["status"] == STATUS
    assert managers_of(shop) == {
        ("flux", "Apply", ""),
        ("controller", "Apply", "status"),
    }
    assert shop.engine.plan("try-1", SPEC).is_empty


# --- with the managers of fields ------------------------------------------------------


def test_status_and_managers_of_one_object(ready):
    """Both are there, and the status is managed by whom the backup names."""
    shop = ready(FLUX, CONTROLLER)

    plan = shop.engine.plan("try-1", SPEC)
    result = shop.engine.apply(plan)

    assert plan.second_writes == 2
    assert plan.numbers().endswith(
        "1 second writes for managedFields, 1 second writes for the status"
    )
    assert warnings_of(result) == []
    assert live(shop)["status"] == STATUS
    assert managers_of(shop) == {
        ("flux", "Apply", ""),
        ("controller", "Apply", "status"),
    }
    assert shop.engine.plan("try-1", SPEC).is_empty


def test_a_status_that_nobody_managed(ready):
    """Its manager stays kbackup: whoever looks sees that it was written."""
    shop = ready(FLUX)

    shop.engine.run("try-1", SPEC)

    assert managers_of(shop) == {
        ("flux", "Apply", ""),
        ("kbackup", "Update", "status"),
    }
    assert shop.engine.plan("try-1", SPEC).is_empty


def test_managers_of_a_status_that_is_not_restored(ready):
    """Nobody is given fields that the object does not have."""
    shop = ready(FLUX, CONTROLLER)

    shop.engine.run("try-1", RestoreSpec(backup_name="shop-1"))

    assert managers_of(shop) == {("flux", "Apply", "")}


def test_a_refused_status_keeps_nobody_from_managing(ready):
    """Each second request stands for itself; the next run sends what is missing."""
    shop = ready(FLUX, CONTROLLER)
    shop.simulated.faults.fail(
        verb="patch", resource="widgets", subresource="status", status=403
    )

    first = shop.engine.run("try-1", SPEC)
    managers = managers_of(shop)
    shop.engine.run("try-1", SPEC)

    assert len(warnings_of(first)) == 1
    assert managers == {("flux", "Apply", "")}
    assert live(shop)["status"] == STATUS


# --- refused, lost, raced -------------------------------------------------------------


def test_a_server_that_refuses_the_status(ready):
    """The object counts as created; that it lacks its status is a warning, by name."""
    shop = ready()
    shop.simulated.faults.fail(
        verb="patch",
        resource="widgets",
        subresource="status",
        status=422,
        message="phase: Invalid value",
    )

    result = shop.engine.run("try-1", SPEC)

    (warning,) = warnings_of(result)
    assert warning.startswith(f"{WIDGETS}/shop/one: restored without its status: ")
    assert "phase: Invalid value" in warning
    assert {x.action for x in result.outcomes} == {"created"}
    assert result.restore.status.phase is RestorePhase.COMPLETED


def test_what_the_server_says_of_a_hidden_status(ready):
    """Of a type whose values are hidden the server's words are as well."""
    shop = ready()
    shop.simulated.faults.fail(
        verb="patch",
        resource="widgets",
        subresource="status",
        status=422,
        message='status.token: Invalid value: "hunter2"',
    )

    options = RestoreOptions(redact=[str(WIDGETS)])
    result = shop.engine.run("try-1", SPEC, options)

    (warning,) = warnings_of(result)
    assert "restored without its status" in warning
    assert "hunter2" not in warning


@pytest.mark.parametrize("answer", [b"{}", b'{"metadata":null}', b"[]"])
def test_an_answer_that_is_no_object(ready, monkeypatch, answer):
    """The object is there whatever the second request was answered: it is no error."""
    shop, send = ready(FLUX), Transport.send

    def odd(self, call, bound):
        found = send(self, call, bound)
        if not call.path.endswith("/status"):
            return found
        return type(found)(status=200, headers={}, data=answer)

    monkeypatch.setattr(Transport, "send", odd)
    result = shop.engine.run("try-1", SPEC)

    (warning,) = warnings_of(result)
    assert "restored without its status" in warning
    assert {x.action for x in result.outcomes} == {"created"}
    assert ("flux", "Apply", "") in managers_of(shop)


def test_a_create_whose_answer_was_lost(ready):
    """The object is found to be there, and gets its status all the same."""
    shop = ready()
    shop.simulated.faults.drop(verb="create", resource="widgets", after=True)

    result = shop.engine.run("try-1", SPEC)

    assert {x.action for x in result.outcomes} == {"created"}
    assert warnings_of(result) == []
    assert live(shop)["status"] == STATUS


def test_what_a_controller_wrote_meanwhile(ready, monkeypatch):
    """Asked for, the status is that of the backup, with nothing of another one in it."""
    shop, patch, raced = ready(), Cluster.patch, []

    def too_late(self, resource, name, body, **more):
        if more.get("kind") is PatchKind.JSON and not raced:
            raced.append(name)
            write_status(shop, {"phase": "Pending", "since": "now"})
        return patch(self, resource, name, body, **more)

    monkeypatch.setattr(Cluster, "patch", too_late)
    result = shop.engine.run("try-1", SPEC)

    assert raced
    assert warnings_of(result) == []
    assert live(shop)["status"] == STATUS


def test_an_object_that_was_replaced_meanwhile(ready, monkeypatch):
    """Another object of the name does not get the status of the one that is gone."""
    shop, patch = ready(), Cluster.patch

    def too_late(self, resource, name, body, **more):
        if more.get("kind") is PatchKind.JSON:
            self.delete(resource, name, namespace="shop")
            self.create(resource, widget(status=None), namespace="shop")
        return patch(self, resource, name, body, **more)

    monkeypatch.setattr(Cluster, "patch", too_late)
    result = shop.engine.run("try-1", SPEC)

    (warning,) = warnings_of(result)
    assert "restored without its status" in warning
    assert not live(shop).get("status")


# --- what live objects tell -----------------------------------------------------------

OURS = managed("kbackup", {"f:spec": {}}, "Update")
OURS_WITH_STATUS = managed(
    "kbackup",
    {"f:spec": {}, "f:status": {"f:phase": {}}},
    "Update",
    time="2026-01-01T00:00:09Z",
)
LATER = managed("kubectl", {"f:spec": {"f:size": {}}}, "Update")
OLD_CONTROLLER = managed("kcm", {"f:status": {}, "f:metadata": {}}, "Update")


def seen(*managers, status=None):
    """A live object with these managers."""
    found = widget(*managers, status=status)
    found["metadata"] |= {
        "uid": "u1",
        "resourceVersion": "7",
        "creationTimestamp": CREATED,
    }
    return found


@pytest.mark.parametrize(
    ("managers", "status", "lacks"),
    [
        ([OURS], None, True),
        ([OURS], {"phase": "Pending"}, True),
        ([OURS], STATUS, False),
        ([OURS, LATER], None, True),
        ([OURS, CONTROLLER], {"phase": "Pending"}, False),
        ([OURS, OLD_CONTROLLER], {"phase": "Pending"}, False),
        ([OURS_WITH_STATUS], {"phase": "Rea"}, False),
        ([], None, True),
        ([], {"phase": "Pending"}, False),
    ],
    ids=[
        "created",
        "with what a server writes at creation",
        "equal",
        "changed by others",
        "written by a controller",
        "written by a controller before 1.22",
        "restored before 1.22",
        "without managers, empty",
        "without managers, nobody knows",
    ],
)
def test_whether_a_status_was_written(managers, status, lacks):
    """A status that may be anybody's is left alone, whatever the server's age."""
    assert lacks_status(STATUS, seen(*managers, status=status)) is lacks


def item_of(*managers):
    """A widget of a backup."""
    return Item(
        identifier=ResourceIdentifier(WIDGETS, "shop", "one"),
        raw=json.dumps(widget(*managers)).encode(),
        api_version="example.com/v1",
        kind="Widget",
    )


def test_managers_of_an_object_that_got_its_status_before_1_22():
    """There kbackup has status and creation in one entry, of a later time."""
    found = seen(OURS_WITH_STATUS, LATER)

    patch = ownership_patch(item_of(FLUX, CONTROLLER), found)

    assert lacks_managers(item_of(FLUX), found)
    assert patch["metadata"]["managedFields"] == [
        FLUX,
        LATER,
        {**OURS_WITH_STATUS, "fieldsV1": {"f:status": {"f:phase": {}}}},
    ]
    assert not lacks_managers(item_of(FLUX), seen(*patch["metadata"]["managedFields"]))


def test_a_status_that_an_older_server_says_who_managed():
    """Its manager of the backup has it again, and kbackup nothing any more."""
    patch = ownership_patch(item_of(FLUX, OLD_CONTROLLER), seen(OURS_WITH_STATUS))

    assert patch["metadata"]["managedFields"] == [FLUX, OLD_CONTROLLER]


def test_the_patch_of_a_status():
    """It replaces the whole status of one object, of one version where that matters."""
    uid = {"op": "test", "path": "/metadata/uid", "value": "u1"}
    version = {"op": "add", "path": "/metadata/resourceVersion", "value": "7"}
    status = {"op": "add", "path": "/status", "value": STATUS}

    assert status_patch(STATUS, seen()) == [uid, status]
    assert status_patch(STATUS, seen(), unmoved=True) == [uid, version, status]


@pytest.mark.parametrize(
    ("stored", "dropped"),
    [(STATUS, ""), ({"phase": "Ready"}, "status.nodes"), (None, "status")],
)
def test_what_the_target_does_not_take_of_a_status(ready, stored, dropped):
    """Fields that its definition does not have are named, not their values."""
    told = []

    class Told:
        def warning(self, message, **_):
            told.append(message)

    plan = ready().engine.plan("try-1", SPEC)
    warn_of_dropped_status(Told(), line(plan), STATUS, {"status": stored})

    assert told == ([f"the target dropped {dropped}"] if dropped else [])
