"""Safety check 5: a group that answers 503, a forbidden type, a token that expires.

A backup is what it says it covers: what could not be read is an error by name, and for
each type as many items are stored, skipped or failed as were listed.
"""

from contextlib import ExitStack

import pytest

from kbackup import (
    BackupEngine,
    BackupOptions,
    BackupSpec,
    Cluster,
    EngineSettings,
)


@pytest.fixture(name="space")
def fixture_space(source, namespace):
    """A namespace of the source cluster with 150 ConfigMaps and one Secret."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    source.create(body)
    for number in range(150):
        source.create(config_map(namespace, f"m-{number:03}"))
    secret = {**config_map(namespace, "key"), "kind": "Secret", "data": {}}
    source.create(secret)
    yield namespace
    source.delete(body)


def config_map(namespace, name):
    """Return a ConfigMap of half a kilobyte."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {"text": "x" * 500},
    }


def sums_hold(manifest):
    """Tell whether every list adds up."""
    return all(
        record.listed == record.stored + sum(record.skipped.values()) + record.failed
        for record in manifest.lists
    )


def test_group_that_answers_503(source, space, store):
    """An aggregated API without its server is an error in the manifest's notCovered."""
    service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1.broken.example.com"},
        "spec": {
            "group": "broken.example.com",
            "version": "v1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"namespace": "default", "name": "nobody"},
        },
    }
    with ExitStack() as stack:
        source.create(service)
        stack.callback(source.delete, service)
        result = source.backup(store, "broken", space)

    manifest = store.manifest("broken")
    assert str(result.backup.status.phase) == "PartiallyFailed"
    assert result.exit_code == 3
    assert any("broken.example.com" in str(each) for each in manifest.not_covered)
    assert sums_hold(manifest)
    stored = {str(r.resource): r.stored for r in manifest.lists}
    assert stored["configmaps"] >= 150


def rights_to_read(user, space):
    """The right of a user to read ConfigMaps and more in a namespace, but no Secrets."""
    rule = {
        "apiGroups": [""],
        "resources": ["configmaps", "pods", "services"],
        "verbs": ["get", "list"],
    }
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "reader", "namespace": space},
        "rules": [rule],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "reader", "namespace": space},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "Role",
            "name": "reader",
        },
        "subjects": [
            {
                "kind": "User",
                "name": user,
                "apiGroup": "rbac.authorization.k8s.io",
            }
        ],
    }
    return role, binding


def test_type_that_is_forbidden(source, real_cluster, space, store):
    """A type that RBAC does not let us list is named; everything else is stored."""
    user = f"reader-of-{space}"
    for item in rights_to_read(user, space):
        source.create(item)
    spec = BackupSpec(
        included_namespaces=[space], included_resources=["configmaps", "secrets"]
    )
    with Cluster.connect(real_cluster.kubeconfig, as_user=user) as cluster:
        result = BackupEngine(cluster, store).run("strict", spec)
        lenient = BackupEngine(cluster, store).run(
            "lenient", spec, BackupOptions(skip_forbidden=True)
        )

    manifest = store.manifest("strict")
    assert str(result.backup.status.phase) == "PartiallyFailed"
    assert any(str(x.resource) == "secrets" for x in manifest.not_covered)
    assert any("secrets" in str(x) for x in result.results.errors)
    assert not any("secrets" in str(x) for x in lenient.results.errors)
    assert any(
        str(x.resource) == "secrets" for x in store.manifest("lenient").not_covered
    )
    assert sums_hold(manifest)


@pytest.mark.parametrize("consistency", ["exact", "newest"])
def test_continue_token_expires(source, real_cluster, space, store, consistency):
    """Objects come and go and etcd forgets the past in the middle: sums hold."""
    seen = []

    def where(item):
        """Forget everything when the first ConfigMap comes by."""
        if item["kind"] == "ConfigMap" and not seen:
            source.create(config_map(space, "a-new"))
            source.create(config_map(space, "z-new"))
            source.delete(config_map(space, "m-149"))
            real_cluster.forget_history()
        seen.append(item["metadata"]["name"])
        return True

    options = BackupOptions(where=where, consistency=consistency)
    settings = EngineSettings(page_bytes=8 * 1024)
    engine = BackupEngine(source.cluster, store, settings=settings)
    spec = BackupSpec(included_namespaces=[space])
    result = engine.run(consistency, spec, options)

    manifest = store.manifest(consistency)
    assert sums_hold(manifest)
    assert store.verify(consistency).problems == ()
    (maps,) = [r for r in manifest.lists if str(r.resource) == "configmaps"]
    with store.open_archive(consistency) as archive:
        names = [
            item.identifier.name
            for item in archive
            if str(item.identifier.group_resource) == "configmaps"
        ]
    assert len(names) == len(set(names)) == maps.stored
    assert {f"m-{number:03}" for number in range(149)} <= set(names)
    assert result.results.errors == ()
    assert maps.restarts >= 1
