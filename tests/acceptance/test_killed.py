"""Safety check 2: a process that dies at any write leaves nothing that only looks whole.

``KBACKUP_KILL_STRIDE=1`` dies at every single write; the default takes every fifth.
"""

import os

import pytest

from kbackup import BackupStore, RestoreEngine, RestoreSpec

MOST_WRITES = 400
STRIDE = int(os.environ.get("KBACKUP_KILL_STRIDE", "5"))


def files_of(directory, name):
    """Return the names of a backup's files, less temporary ones."""
    below = directory / "backups" / name
    found = {path.name for path in below.rglob("*") if path.is_file()}
    return {each for each in found if not each.startswith(".kbackup-tmp-")}


def live_objects(cluster):
    """Return what is in the namespace: (type, name) to the object's uid."""
    found = {}
    for resource in cluster.discover(refresh=True).resources:
        if resource.namespaced and resource.supports("list"):
            for item in cluster.list(resource, namespace="shop"):
                found[str(resource.group_resource), item.name] = item.uid
    return found


def test_backup_killed_at_every_store_write(cluster, directory, killed):
    """What is listed is whole; the next backup of that name has nothing of the dead."""
    number, through = 1, False
    while not through:
        through = killed("backup", "shop-1", "store", number).through
        with BackupStore.open(directory) as store:
            (state,) = [str(each.state) for each in store.list()] or [""]
            assert state == "complete" or not through
            if state != "complete":
                with pytest.raises(Exception, match="shop-1"):
                    RestoreEngine(cluster, store).plan(
                        "r", RestoreSpec(backup_name="shop-1")
                    )
                again = killed("backup", "shop-1")
                assert again.through, f"not after write {number}"
            assert store.verify("shop-1").problems == ()
            manifest = store.manifest("shop-1")
            named = {each.name for each in manifest.objects}
            own = {"kbackup-manifest.json", "velero-backup.json"}
            assert files_of(directory, "shop-1") == named | own
            store.delete("shop-1")
        assert files_of(directory, "shop-1") == set()
        number += STRIDE
        assert number < MOST_WRITES

    assert number > 10  # it was killed several times before it got through


def test_restore_killed_at_every_cluster_write(
    backup, cluster, store, directory, killed
):
    """Running a dead restore again completes it: the same objects, none twice."""
    restart(cluster, store)
    assert killed("restore", "back").through
    expected = set(live_objects(cluster))
    number, through = 2, False
    while not through:
        restart(cluster, store)
        through = killed("restore", "back", "cluster", number).through
        before = live_objects(cluster)
        assert killed("restore", "back").through
        after = live_objects(cluster)
        assert set(after) == expected
        assert {key: after[key] for key in before} == before  # nothing was made again
        plan = RestoreEngine(cluster, store).plan(
            "back", RestoreSpec(backup_name="shop-1")
        )
        assert [str(e) for e in plan.entries if e.action.writes] == []
        assert claims_in(directory) == []
        number += STRIDE
        assert number < MOST_WRITES

    assert number > 10


def test_reuse_killed_at_every_cluster_write(backup, cluster, store, directory, killed):
    """Killed between a volume and its claim, too: the claim gets its old disk."""
    options = {"retained_volumes": "reuse"}
    number, through = 2, False
    while not through:
        restart(cluster, store)
        through = killed("restore", "back", "cluster", number, options=options).through
        assert killed("restore", "back", options=options).through
        claims = cluster.discover().resolve("persistentvolumeclaims")
        claim = cluster.get(claims, "orders", "shop").content
        assert claim["spec"]["volumeName"] == "pv-orders"
        assert store.restore_results("back").errors == ()
        number += 1  # one write is between the two
        assert number < MOST_WRITES

    assert number > 10


def test_restore_killed_at_every_store_write(backup, cluster, store, directory, killed):
    """One that dies while it claims its name or is put on record is completed."""
    number, through = 1, False
    while not through:
        restart(cluster, store)
        through = killed("restore", "back", "store", number).through
        assert killed("restore", "back").through
        assert [str(r.status.phase) for r in store.list_restores()] == ["Completed"]
        assert store.restore_results("back").errors == ()
        assert claims_in(directory) == []
        number += STRIDE
        assert number < MOST_WRITES

    assert number > 10


def test_restore_killed_while_it_takes_the_name_over(
    backup, cluster, store, directory, killed
):
    """One that dies while it takes the name from a dead one is completed all the same."""
    number, through = 1, False
    while not through:
        restart(cluster, store)
        assert not killed("restore", "back", "cluster", 2).through
        assert claims_in(directory) == ["back.json"]
        through = killed("restore", "back", "store", number).through
        assert killed("restore", "back").through
        assert [str(r.status.phase) for r in store.list_restores()] == ["Completed"]
        assert claims_in(directory) == []
        number += STRIDE
        assert number < MOST_WRITES

    assert number > 10


def claims_in(directory):
    """Return what is left of claims on names of restores."""
    below = (directory / "plugins/kbackup.io/restore-claims").rglob("*.json")
    return sorted(path.name for path in below)


def restart(cluster, store):
    """Delete the namespace and what was restored beside it; forget the restore."""
    discovery = cluster.discover()
    for kind, name in (("namespaces", "shop"), ("persistentvolumes", "pv-orders")):
        resource = discovery.resolve(kind)
        if any(item.name == name for item in cluster.list(resource)):
            cluster.delete(resource, name)
    namespaces = discovery.resolve("namespaces")
    for _ in range(100):
        if not any(item.name == "shop" for item in cluster.list(namespaces)):
            break
    else:
        pytest.fail("the namespace is still there")
    if any(each.name == "back" for each in store.list_restores()):
        store.delete_restore("back")
