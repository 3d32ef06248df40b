"""Safety check 2 on a real API server: processes that die while they write to it.

`tests/acceptance/test_killed.py` dies at every write to a simulated cluster; here a
run dies at some of them, the first and the last included, while controllers react to
what is there already.
"""

from collections import Counter

from kbackup import RestoreEngine, RestoreSpec

POINTS = 10
REPLICAS = {
    "web": 3,
    "bare-set": 2,
    "old-set": 1,
    "db": 2,
    "lonely": 1,
    "agent": 1,  # of a DaemonSet: one on each node
}


def spread(writes):
    """Return the numbers of some writes, evenly spread from the first to the last."""
    return sorted({1 + (writes - 1) * n // (POINTS - 1) for n in range(POINTS)})


def test_backup_killed_while_it_reads_a_real_server(source, rich, store, killed):
    """What is listed is whole, and the next backup of the name is, wherever one died."""
    spec = {"included_namespaces": [rich]}
    assert killed("backup", "first", spec).through  # which makes directories as well
    whole = killed("backup", "whole", spec)
    items = items_of(store, "whole")

    for number in spread(whole.writes):
        name = f"killed-{number}"
        through = killed("backup", name, spec, number=number).through
        assert not through or number == whole.writes  # the last one may have been luck
        states = {each.name: str(each.state) for each in store.list()}
        if states.get(name) != "complete":  # else it died while it tidied up
            assert killed("backup", name, spec).through
        assert store.verify(name).problems == ()
        assert items_of(store, name) == items


def test_restore_killed_while_it_writes_to_a_real_server(  # noqa: PLR0917 - fixtures
    source, rich, store, killed, compared, wait_for
):
    """Run again under its name it is whole: nothing missing, twice or different."""
    assert killed("backup", "rich", {"included_namespaces": [rich]}).through
    before = source.objects(rich)

    def restore(place, number=0):
        spec = {"backup_name": "rich", "namespace_mapping": {rich: place}}
        return killed("restore", place, spec, where="cluster", number=number)

    whole = restore(f"{rich}-whole")
    assert whole.through
    places = [f"{rich}-whole"]
    for number in spread(whole.writes):
        places.append(f"{rich}-{number}")
        through = restore(places[-1], number).through
        assert not through or number == whole.writes  # the last one may have been luck
        assert restore(places[-1]).through

    for place in places:
        wait_for("the Pods", lambda place=place: pods(source, place) == REPLICAS)
        now = source.objects(place)
        assert "\n".join(compared(before, now, namespaces=(rich, place))) == "", place
        assert store.restore_results(place).errors == ()
        spec = RestoreSpec(backup_name="rich", namespace_mapping={rich: place})
        plan = RestoreEngine(source.cluster, store).plan(place, spec)
        assert [str(each) for each in plan.entries if each.action.writes] == [], place
        source.remove_namespace(place, wait=False)


def pods(world, namespace):
    """Count the living Pods of a namespace by their app."""
    apps = (each["metadata"]["labels"].get("app") for each in world.pods(namespace))
    return Counter(app for app in apps if app)


def items_of(store, name):
    """Return what a backup holds, the Events aside: they come and go."""
    with store.open_archive(name) as archive:
        names = {str(item.identifier) for item in archive}
    return {each for each in names if not each.startswith("events")}
