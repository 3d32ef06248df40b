"""Server-side apply with something of every kind, on a real API server."""

from kbackup import RestoreSpec
from kbackup.models import RestoreOptions

APPLY = RestoreOptions(existing_policies={"*": "apply"})
MARK = "example.com/marked"


def marked(item):
    """Say something new in every object."""
    annotations = item["metadata"].get("annotations") or {}
    metadata = {**item["metadata"], "annotations": {**annotations, MARK: "yes"}}
    return {**item, "metadata": metadata}


def test_over_the_live_namespace_nothing_is_applied(source, rich, store, versions_of):
    """What lives as the backup has it is left alone, whoever manages it."""
    source.backup(store, "same", rich)
    before = versions_of(source, rich)

    plan = source.restorer(store).plan("same", RestoreSpec(backup_name="same"), APPLY)
    result = source.restorer(store).apply(plan)

    assert [str(x) for x in plan.entries if x.action.writes or x.differences] == []
    assert result.results.errors == ()
    after = versions_of(source, rich)
    moved = {key for key in before if before[key] != after.get(key)}
    assert not [
        key for key in moved if "configmaps" in str(key) or "secrets" in str(key)
    ]


def test_every_kind_can_be_applied(source, rich, store):
    """The fields that are sent are taken by the server, and no field is lost by it."""
    source.backup(store, "every", rich)
    options = RestoreOptions(existing_policies={"*": "apply"}, transforms=(marked,))
    spec = RestoreSpec(backup_name="every")

    plan = source.restorer(store).plan("every", spec, options)
    result = source.restorer(store).apply(plan)

    lines = [x for x in plan.entries if x.apply]
    kinds = {x.kind for x in lines}
    assert kinds >= {
        "ConfigMap",
        "Secret",
        "Deployment",
        "Service",
        "StatefulSet",
        "Role",
    }
    changed = {x.path for line in lines for x in line.differences}
    assert all("annotations" in path for path in changed), changed
    assert [str(x) for x in result.results.errors] == []
    for line in lines:
        assert line.apply == "apply"
        resource = source.served(line.api_version, line.kind)
        target = line.target
        live = source.cluster.get(resource, target.name, target.namespace).content
        assert live["metadata"]["annotations"][MARK] == "yes"
    again = source.restorer(store).plan("twice", spec, options)
    assert [str(x) for x in again.entries if x.action.writes] == []
