"""Safety check 8: volumes that are Released, in use or Delete end as the plan says.

On a real API server with its volume controller: what is Bound and what stays Pending is
its verdict.
"""

import json

import pytest

from kbackup import (
    CancelToken,
    EngineSettings,
    RestoreEngine,
    RestoreOptions,
    RestoreSpec,
)
from kbackup.errors import RunCancelledError
from kbackup.plugins import ItemRestored

POLICIES = {"kept": "Retain", "used": "Retain", "gone": "Delete"}


def claim(namespace, name):
    """Return a claim that takes just one volume."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": f"{name}-{namespace[::-1]}",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


def volume(namespace, name, policy):
    """Return a volume for just one claim."""
    word = f"{name}-{namespace[::-1]}"
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": word},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": policy,
            "storageClassName": word,
            "hostPath": {"path": f"/tmp/kbackup-test-{word}"},  # noqa: S108 - never used
        },
    }


def phase_of(world, item):
    """Return the phase of an object, or that it is gone."""
    live = world.get(item)
    return live["status"].get("phase") if live else "gone"


@pytest.fixture(name="space")
def fixture_space(source, namespace, store, wait_for):
    """A namespace with three bound claims, backed up as ``volumes``.

    Then ``kept`` and ``gone`` were deleted: a Retain volume is Released, a Delete volume
    went with its claim; ``used`` is still bound.
    """
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    source.create(body)
    for name, policy in POLICIES.items():
        source.create(volume(namespace, name, policy))
    made = [source.create(claim(namespace, name)) for name in POLICIES]
    wait_for("binding", lambda: {phase_of(source, x) for x in made} == {"Bound"})
    source.backup(store, "volumes", namespace)
    for name in ("kept", "gone"):
        source.delete(claim(namespace, name))
    kept, gone = (volume(namespace, name, "") for name in ("kept", "gone"))
    wait_for("Released", lambda: phase_of(source, kept) == "Released", 30)
    wait_for("the end", lambda: phase_of(source, gone) in {"gone", "Failed"}, 30)
    yield namespace
    source.remove_namespace(namespace, wait=False)
    for name in POLICIES:
        source.delete(volume(namespace, name, ""))


def restore(world, store, name, *, mapping=None, **options):
    """Plan and apply; return the verdicts by claim, and the result."""
    spec = RestoreSpec(backup_name="volumes", namespace_mapping=mapping or {})
    engine = world.restorer(store)
    plan = engine.plan(name, spec, RestoreOptions(**options))
    verdicts = {line.claim.name: str(line.verdict) for line in plan.claims}
    return verdicts, plan, engine.apply(plan)


def disks_in_use(world):
    """Return the host paths of bound volumes, with who is bound to them."""
    return [
        (item["spec"]["hostPath"]["path"], item["spec"]["claimRef"]["name"])
        for item in world.items("v1", "PersistentVolume")
        if item["status"].get("phase") == "Bound" and "hostPath" in item["spec"]
    ]


def test_default_leaves_released_volumes_and_says_so(source, space, store, wait_for):
    """Unasked, a Released volume is not touched: the claim waits, a warning says why."""
    kept = volume(space, "kept", "")
    before = source.get(kept)["metadata"]["resourceVersion"]

    verdicts, _, result = restore(source, store, "plain")

    assert verdicts == {"kept": "none", "used": "exists", "gone": "none"}
    warned = {
        (x.item.name, part)
        for x in result.results.warnings
        for part in ("--released-volumes reattach", "new empty volume")
        if x.item and part in x.message
    }
    assert warned == {
        ("kept", "--released-volumes reattach"),
        ("kept", "new empty volume"),
        ("gone", "new empty volume"),
    }
    assert source.get(kept)["metadata"]["resourceVersion"] == before
    assert phase_of(source, kept) == "Released"
    assert phase_of(source, claim(space, "used")) == "Bound"


def test_reattach_binds_the_released_volume_again(source, space, store, wait_for):
    """Asked for, the very volume is bound to the very claim; the used one is left."""
    verdicts, _, result = restore(
        source, store, "reattach", released_volumes="reattach"
    )

    assert verdicts == {"kept": "reattach", "used": "exists", "gone": "none"}
    assert result.results.errors == ()
    made = claim(space, "kept")
    wait_for("binding", lambda: phase_of(source, made) == "Bound", 30)
    assert source.get(made)["spec"]["volumeName"] == f"kept-{space[::-1]}"


def test_reattach_under_another_name_after_a_kill(source, space, store, wait_for):
    """The volume was offered, then the restore died: the next one completes it."""
    copy = f"{space}-copy"
    volume_, made = volume(space, "kept", ""), claim(copy, "kept")
    made["spec"]["storageClassName"] = f"kept-{space[::-1]}"
    offer = {"namespace": copy, "uid": None, "resourceVersion": None}
    source.patch(volume_, {"spec": {"claimRef": offer}})

    verdicts, _, _ = restore(
        source,
        store,
        "moved",
        mapping={space: copy},
        released_volumes="reattach",
    )

    assert verdicts["kept"] == "reattach"
    assert verdicts["used"] == "none"  # it is bound to the original claim
    wait_for("binding", lambda: phase_of(source, made) == "Bound", 30)
    assert source.get(made)["spec"]["volumeName"] == f"kept-{space[::-1]}"
    source.remove_namespace(copy, wait=False)


def test_reuse_never_gives_one_disk_to_two_claims(
    source, target, space, store, wait_for
):
    """On another cluster the disk is used when asked for, and a second time refused."""
    mapping = {space: f"{space}-copy"}
    verdicts, plan, _ = restore(target, store, "reuse", retained_volumes="reuse")
    again, _, second = restore(
        target, store, "twice", mapping=mapping, retained_volumes="reuse"
    )

    assert verdicts == {"kept": "reuse", "used": "reuse", "gone": "none"}
    assert "may still be writing" in str(plan)
    for name in ("kept", "used"):
        wait_for(
            "binding", lambda n=name: phase_of(target, claim(space, n)) == "Bound", 30
        )
    assert again == {"kept": "conflict", "used": "conflict", "gone": "none"}
    assert {x.item.name for x in second.results.errors if x.item} >= {"kept", "used"}
    paths = [path for path, _ in disks_in_use(target)]
    assert len(paths) == len(set(paths))
    for name in (space, f"{space}-copy"):
        target.remove_namespace(name, wait=False)
    for name in POLICIES:
        target.delete(volume(space, name, ""))


def test_reuse_killed_between_a_volume_and_its_claim(target, space, store, wait_for):
    """Run again, it makes the claim, which is bound to the volume that was made for it."""
    token, options = CancelToken(), RestoreOptions(retained_volumes="reuse")
    volume_ = volume(space, "kept", "")["metadata"]["name"]

    def die(event):
        if isinstance(event, ItemRestored) and event.identifier.name == volume_:
            token.cancel("killed")

    dying = RestoreEngine(
        target.cluster, store, observer=die, settings=EngineSettings(workers=1)
    )
    with pytest.raises(RunCancelledError):
        dying.run("dead", RestoreSpec(backup_name="volumes"), options, cancel=token)
    assert target.get(claim(space, "kept")) is None

    verdicts, _, result = restore(target, store, "dead", retained_volumes="reuse")

    assert verdicts == {"kept": "reuse", "used": "reuse", "gone": "none"}
    assert result.results.errors == ()
    for name in ("kept", "used"):
        wait_for(
            "binding", lambda n=name: phase_of(target, claim(space, n)) == "Bound", 30
        )
    target.remove_namespace(space, wait=False)
    for name in POLICIES:
        target.delete(volume(space, name, ""))


def test_reuse_of_a_disk_in_another_spelling(target, space, store):
    """With a slash more it is the same disk: the claim is not given a second writer."""
    other = volume(space, "other", "Retain")
    path = volume(space, "kept", "")["spec"]["hostPath"]["path"]
    other["spec"]["hostPath"]["path"] = f"{path}/"
    target.create(other)

    verdicts, _, _ = restore(target, store, "slash", retained_volumes="reuse")

    assert verdicts["kept"] == "conflict"
    assert target.get(volume(space, "kept", "")) is None
    target.remove_namespace(space, wait=False)
    for name in (*POLICIES, "other"):
        target.delete(volume(space, name, ""))


def test_pod_with_an_old_wait_container_starts(source, namespace, store):
    """Init containers that waited for files of Velero are removed everywhere."""
    container = {"name": "c", "image": "example.com/c:1"}
    waits = [
        {"name": name, "image": "velero/restore-helper"}
        for name in ("restic-wait", "restore-wait", "mine")
    ]
    spec = {"initContainers": waits, "containers": [container]}
    labels = {"app": "w"}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": namespace},
        "spec": spec,
    }
    workload = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "w", "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
    for item in (space, pod, workload):
        source.create(json.loads(json.dumps(item)))
    source.backup(store, "volumes", namespace)
    copy = f"{namespace}-copy"

    _, _, result = restore(source, store, "copy", mapping={namespace: copy})

    for item in (pod, workload):
        item["metadata"]["namespace"] = copy
    assert result.results.errors == ()
    found = source.get(pod)["spec"]["initContainers"]
    assert [each["name"] for each in found] == ["mine"]
    template = source.get(workload)["spec"]["template"]["spec"]["initContainers"]
    assert [each["name"] for each in template] == ["mine"]
    for each in (namespace, copy):
        source.remove_namespace(each, wait=False)
