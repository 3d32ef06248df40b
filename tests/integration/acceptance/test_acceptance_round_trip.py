"""A namespace with something of everything comes back as it was, and stays so.

One backup of one rich namespace is restored three times at once: in its place (after it
was deleted, its volumes attached again), beside it under another name, and on a second
cluster. A minute later, with the controllers running, everything is looked at (safety
1, 2, 3, 9 and check 7). Other tests of this directory run in that minute.
"""

import threading
import time
from collections import Counter
from contextlib import ExitStack

import attrs
import pytest

from kbackup import BackupStore, RestoreOptions, RestoreSpec

SECONDS_OF_LOOKING = 60
PLACES = ("in place", "other name", "other cluster")
REPLICAS = {
    ("Deployment", "web"): 3,
    ("ReplicaSet", "bare-set"): 2,
    ("ReplicationController", "old-set"): 1,
    ("StatefulSet", "db"): 2,
    ("Job", "running"): 1,
}


@attrs.frozen
class Place:
    """Where the namespace was restored to, what was asked for, and what came of it."""

    world: object
    namespace: str
    asked: tuple
    plan: object
    result: object


@attrs.frozen
class Trip:
    """The whole experiment.

    Attributes:
        name: The source namespace.
        before: Its objects before it was deleted.
        backup: The result of its backup.
        places: The restores, by name.
        deleted: What was deleted from the beginning of the restores to its end.
        store: Where the backup is.
        minute: Ends a minute after the restores.
    """

    name: str
    before: dict
    backup: object
    places: dict
    deleted: dict
    store: object
    minute: threading.Timer


@pytest.fixture(scope="session", name="begun")
def fixture_begun(  # noqa: PLR0917 - fixtures
    source, target, nodes, make_rich, make_volumes, tmp_path_factory
):
    """The experiment, once for all tests of this module, as soon as all is restored."""
    name = f"rich-{time.time_ns() % 10**8}"
    make_rich(source, name)
    make_volumes(target, name, 2)
    before = source.objects(name)
    with (
        BackupStore.open(tmp_path_factory.mktemp("store")) as store,
        ExitStack() as watches,
    ):
        here, there = (watches.enter_context(x.watched()) for x in (source, target))
        minute = threading.Timer(SECONDS_OF_LOOKING, watches.close)
        backup = source.backup(store, "rich", name)
        source.remove_namespace(name)
        here.deleted.clear()
        spec = RestoreSpec(backup_name="rich")
        elsewhere = attrs.evolve(spec, namespace_mapping={name: f"{name}-copy"})
        reattach = RestoreOptions(released_volumes="reattach")
        places = {
            "in place": restored(source, name, store, ("back", spec, reattach)),
            "other name": restored(source, f"{name}-copy", store, ("copy", elsewhere)),
            "other cluster": restored(target, name, store, ("moved", spec)),
        }
        minute.start()
        deleted = {
            "in place": here.deleted,
            "other name": here.deleted,
            "other cluster": there.deleted,
        }
        yield Trip(name, before, backup, places, deleted, store, minute)
        minute.cancel()


@pytest.fixture(name="trip")
def fixture_trip(begun):
    """The experiment, a minute after the restores."""
    begun.minute.join()
    return begun


def restored(world, namespace, store, asked):
    """Plan and apply a restore."""
    engine = world.restorer(store)
    plan = engine.plan(*asked)
    return Place(world, namespace, asked, plan, engine.apply(plan))


@pytest.fixture(name="place", params=PLACES)
def fixture_place(request, trip):
    """One of the three restores."""
    return trip.places[request.param]


def test_backup_of_everything_is_completed(begun):
    """Nothing of the rich namespace is left out with an error."""
    assert begun.backup.results.errors == ()
    assert str(begun.backup.backup.status.phase) == "Completed"


def test_restored_namespace_equals_its_source(trip, place, compared):
    """After normalisation there is no difference, and nothing more or less."""
    names = (trip.name, place.namespace) if place.namespace != trip.name else ()
    now = place.world.objects(place.namespace)

    assert place.result.results.errors == ()
    assert "\n".join(compared(trip.before, now, namespaces=names)) == ""


def test_every_workload_has_exactly_its_replicas(place):
    """Safety check 7: after a minute as many Pods as asked for, not one more."""
    pods = place.world.pods(place.namespace)

    assert controllers_of(pods, place.world, place.namespace) == {
        **REPLICAS,
        ("DaemonSet", "agent"): len(place.world.items("v1", "Node")),
        ("", "lonely"): 1,
    }


def test_custom_resources_have_their_owners_again(place):
    """Linked by the new UID, so that the garbage collector agrees."""
    objects = place.world.objects(place.namespace)
    wishes = {name: item for (kind, name), item in objects.items() if "wishes" in kind}

    (owner,) = wishes["child"]["metadata"]["ownerReferences"]
    assert owner["uid"] == wishes["parent"]["metadata"]["uid"]


def test_each_pod_has_one_controller(place):
    """Safety check 7: no Pod is owned twice, and each owner is alive."""
    living = {
        item["metadata"]["uid"]
        for item in place.world.objects(place.namespace).values()
    }
    for pod in place.world.pods(place.namespace):
        owners = pod["metadata"].get("ownerReferences") or []
        assert len(owners) == (0 if pod["metadata"]["name"] == "lonely" else 1)
        assert {owner["uid"] for owner in owners} <= living


def test_no_object_of_the_restore_was_deleted(trip, place, request):
    """Safety check 7: controllers and garbage collection take nothing away."""
    where = request.node.callspec.params["place"]
    gone = [
        f"{item['kind']}/{item['metadata']['name']}"
        for item in trip.deleted[where]
        if item["metadata"].get("namespace") == place.namespace
        and item["kind"] not in {"EndpointSlice", "Endpoints", "Lease"}
    ]
    assert gone == []


def test_running_job_has_one_pod(place):
    """Safety check 7: a Job that was running runs once; those that ended do not."""
    jobs = {
        item["metadata"]["name"]
        for item in place.world.items("batch/v1", "Job", place.namespace)
    }
    assert jobs == {"running"}
    pods = place.world.pods(place.namespace, **{"job-name": "running"})
    assert len(pods) == 1


def test_claims_are_bound_or_explained(place):
    """A claim that is not Bound is named in a warning, with why."""
    warned = {entry.item.name for entry in place.result.results.warnings if entry.item}
    claims = place.world.items("v1", "PersistentVolumeClaim", place.namespace)
    phases = {item["metadata"]["name"]: item["status"]["phase"] for item in claims}

    assert phases == {"data-db-0": "Bound", "data-db-1": "Bound", "waiting": "Pending"}
    assert "waiting" in warned
    assert {line.claim.name for line in place.plan.claims} == set(phases)


def test_reattached_claims_have_their_volumes_back(trip):
    """Asked to reattach, each claim is bound to its very volume again."""
    place = trip.places["in place"]
    claims = place.world.items("v1", "PersistentVolumeClaim", place.namespace)

    volumes = {x["metadata"]["name"]: x["spec"].get("volumeName") for x in claims}
    assert volumes["data-db-0"]
    assert volumes == {
        name: trip.before["persistentvolumeclaims", name]["spec"].get("volumeName")
        for name in ("data-db-0", "data-db-1", "waiting")
    }


def test_empty_claims_are_warned_of(begun):
    """A claim that had data and comes back empty is a warning by name."""
    for where in ("other name", "other cluster"):
        results = begun.places[where].result.results
        empty = {x.item.name for x in results.warnings if "empty volume" in x.message}
        assert empty == {"data-db-0", "data-db-1"}


def test_the_same_plan_twice_is_empty(trip, place):
    """Safety check 9: planned again under its name, the restore has nothing to do."""
    plan = place.world.restorer(trip.store).plan(*place.asked)

    assert [str(entry) for entry in plan.entries if entry.action.writes] == []
    assert plan.exit_code == 0


def test_restore_over_the_live_namespace_changes_nothing(trip, place, versions_of):
    """Safety check 9: policy none: no object is touched and no Pod started."""
    before = versions_of(place.world, place.namespace)
    _, spec, *_ = place.asked
    again = restored(place.world, place.namespace, trip.store, ("again", spec))

    assert again.result.results.errors == ()
    assert {o.action for o in again.result.outcomes} <= {"skipped", "unchanged"}
    assert versions_of(place.world, place.namespace) == before
    trip.store.delete_restore("again")


def test_two_backups_of_a_quiet_namespace_are_alike(trip, source):
    """Entry by entry they differ in nothing but times and names."""
    place = trip.places["in place"]
    results = [source.backup(trip.store, n, place.namespace) for n in ("one", "two")]

    assert [result.results.errors for result in results] == [(), ()]
    first, second = (entries_of(trip.store, name) for name in ("one", "two"))
    assert list(first) == list(second)
    assert [name for name in first if first[name] != second[name]] == []
    manifests = [trip.store.manifest(name) for name in ("one", "two")]
    assert [m.items for m in manifests] == [len(first)] * 2
    counted = [
        [(str(x.resource), x.namespace, x.listed, x.stored, x.skipped) for x in m.lists]
        for m in manifests
    ]
    assert counted[0] == counted[1]


def entries_of(store, name):
    """Return the items of a backup in their order, with their bytes."""
    with store.open_archive(name) as archive:
        return {str(item.identifier): item.raw for item in archive}


def controllers_of(pods, world, namespace):
    """Count Pods by the workload that asked for them."""
    sets = {
        item["metadata"]["name"]: item
        for item in world.items("apps/v1", "ReplicaSet", namespace)
    }
    counted = Counter()
    for pod in pods:
        owners = pod["metadata"].get("ownerReferences") or [{"kind": "", "name": ""}]
        kind, name = owners[0]["kind"], owners[0]["name"] or pod["metadata"]["name"]
        above = sets.get(name, {"metadata": {}})["metadata"].get("ownerReferences")
        if kind == "ReplicaSet" and above:
            kind, name = above[0]["kind"], above[0]["name"]
        counted[kind, name] += 1
    return counted
