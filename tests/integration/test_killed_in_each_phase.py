"""Runs against a real API server that die in each of their phases, as by ``kill -9``.

Also where nothing is written that a kill at a write would meet: while types are
discovered, lists are read, hooks are waited for.
"""

import json

import pytest

from kbackup.catalog import EntryState

pytestmark = pytest.mark.integration

PRE, POST = "pre.hook.backup.velero.io/", "post.hook.backup.velero.io/"
RESTORED = "post.hook.restore.velero.io/"


def said(word):
    """A command that writes a word into the Pod's diary."""
    return json.dumps(["sh", "-c", f"echo {word} >>diary"])


@pytest.fixture
def diary(kubelet):
    """A function that tells what was done in the Pod of a namespace."""

    def read(namespace):
        path = kubelet.directory / namespace / "db" / "diary"
        return path.read_text().split() if path.exists() else []

    return read


@pytest.fixture
def space(cluster, kubelet, namespace, wait_for):
    """A namespace with a Pod that has hooks of both kinds, and what it is configured by."""
    find = cluster.discover().resolve
    annotations = {
        f"{PRE}command": said("freeze"),
        f"{POST}command": said("thaw"),
        f"{RESTORED}command": said("warm"),
    }
    pod = {
        "metadata": {"name": "db", "annotations": annotations},
        "spec": {"containers": [{"name": "main", "image": "example.com/any:1"}]},
    }
    cluster.create(find("namespaces"), {"metadata": {"name": namespace}})
    for kind in ("configmaps", "secrets"):
        cluster.create(find(kind), {"metadata": {"name": "a"}}, namespace=namespace)
    cluster.create(find("pods"), pod, namespace=namespace)

    def phase():
        live = cluster.get(find("pods"), "db", namespace).content
        return (live.get("status") or {}).get("phase")

    wait_for("the Pod", lambda: phase() == "Running")
    yield namespace
    cluster.delete(find("namespaces"), namespace)


@pytest.fixture
def killed(real_cluster, tmp_path, killed_runs):
    """A function that does a run in a process which dies where its n-th phase begins."""
    with killed_runs(real_cluster.kubeconfig, tmp_path / "store") as run:
        yield lambda *what, **how: run(*what, where="phase", **how)


def items_of(store, name):
    """What a backup holds, the Events aside: they come and go."""
    with store.open_archive(name) as archive:
        names = {str(item.identifier) for item in archive}
    return {each for each in names if not each.startswith("events")}


def test_backup(store, space, killed, diary):
    """Nothing is listed that only looks whole, and the same backup again is whole."""
    spec = {"included_namespaces": [space]}
    whole = killed("backup", "whole", spec)
    items = items_of(store, "whole")
    assert whole.writes >= 5
    assert f"pods/{space}/db" in items

    for number in range(1, whole.writes + 1):
        name = f"killed-{number}"
        assert not killed("backup", name, spec, number=number).through
        states = {each.name: each.state for each in store.list()}
        assert states.get(name) is not EntryState.COMPLETE
        before = diary(space)
        assert killed("backup", name, spec).through
        assert store.verify(name).problems == ()
        assert items_of(store, name) == items
        # Whatever the dead one left undone, afterwards the Pod is thawed.
        assert diary(space)[len(before) :] == ["freeze", "thaw"]


def test_restore(cluster, store, space, killed, diary):
    """The same restore again completes it: no object and no command is made twice."""
    maps = cluster.discover().resolve("configmaps")
    spaces = cluster.discover().resolve("namespaces")
    assert killed("backup", "b", {"included_namespaces": [space]}).through

    def restore(place, number=0):
        spec = {"backup_name": "b", "namespace_mapping": {space: place}}
        return killed("restore", place, spec, number=number)

    def uid(place):
        found = cluster.list(maps, namespace=place)
        return next((item.uid for item in found if item.name == "a"), "")

    phases = restore(f"{space}-0").writes
    assert phases >= 5
    assert diary(f"{space}-0") == ["warm"]
    for number in range(1, phases + 1):
        place = f"{space}-{number}"
        assert not restore(place, number).through
        made = uid(place)
        assert restore(place).through

        assert uid(place)
        assert made in ("", uid(place))
        errors = store.restore_results(place).errors
        phase = str(store.get_restore(place).status.phase)
        assert phase == ("PartiallyFailed" if errors else "Completed")
        if (
            number == phases - 1
        ):  # while it waited for hooks; the last one is the record
            # A command that was begun when the run died is not begun again: it is told.
            assert diary(place) == ["warm"] or (diary(place) == [] and len(errors) == 1)
        else:
            assert (diary(place), errors) == (["warm"], ())
    for number in range(phases + 1):
        cluster.delete(spaces, f"{space}-{number}")
