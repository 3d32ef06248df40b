"""Every version of a type in a backup, and the choice at restore, on real API servers."""

import gzip
import json
import tarfile

import pytest

from definitions import definition, served_version
from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.models import (
    BackupOptions,
    BackupPhase,
    BackupSpec,
    RestoreOptions,
    RestorePhase,
    RestoreSpec,
)
from kbackup.restore import PlanAction, RestoreEngine, RestorePlan
from kbackup.testing import SimulatedCluster

pytestmark = pytest.mark.integration

EVERY = BackupOptions(enable_api_group_versions=True)
CHOOSE = RestoreOptions(enable_api_group_versions=True)
REMAP = BackupOptions(enable_actions=["velero.io/crd-remap-version"])
SCALERS = "horizontalpodautoscalers.autoscaling"
ROLES = "roles.rbac.authorization.k8s.io"
RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
SCALER = {
    "minReplicas": 1,
    "maxReplicas": 3,
    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
    "metrics": [
        {
            "type": "Resource",
            "resource": {
                "name": "memory",
                "target": {"type": "AverageValue", "averageValue": "64Mi"},
            },
        }
    ],
}


def create(real, path, body):
    """Create an object through the version in its path."""
    status, answer = real.request("POST", path, body)
    assert status == 201, json.dumps(answer)


def make_namespace(real, name):
    """Create a namespace."""
    create(real, "/api/v1/namespaces", {"metadata": {"name": name}})


def fill(real, namespace):
    """Create a namespace with a Role and an autoscaler that v1 has no fields for."""
    make_namespace(real, namespace)
    for group, resource, body in (
        ("rbac.authorization.k8s.io/v1", "roles", {"rules": RULES}),
        ("autoscaling/v2beta2", "horizontalpodautoscalers", {"spec": SCALER}),
    ):
        path = f"/apis/{group}/namespaces/{namespace}/{resource}"
        create(real, path, {"metadata": {"name": "web"}, **body})


def bodies(directory, name, resource):
    """Return the items of a type in an archive, by the path below it."""
    found = {}
    archive = directory / "store" / "backups" / name / f"{name}.tar.gz"
    with tarfile.open(archive) as tar:
        for path in tar.getnames():
            _, _, below = path.partition(f"resources/{resource}/")
            if below:
                found[below] = json.load(tar.extractfile(path))
    return found


def kinds(directory, name):
    """Return the resource list of a backup."""
    file = directory / "store" / "backups" / name / f"{name}-resource-list.json.gz"
    return json.loads(gzip.decompress(file.read_bytes()))


def test_every_version_is_stored_as_the_server_shows_it(
    real_cluster, cluster, store, namespace, tmp_path
):
    """Each copy is what the API server answers in that version, in Velero's layout."""
    fill(real_cluster, namespace)
    spec = BackupSpec(included_namespaces=[namespace])

    result = BackupEngine(cluster, store).run("every", spec, EVERY)
    plain = BackupEngine(cluster, store).run("plain", spec)

    assert result.backup.status.phase is BackupPhase.COMPLETED
    assert result.backup.status.progress == plain.backup.status.progress
    assert store.verify("every").problems == ()
    found = bodies(tmp_path, "every", SCALERS)
    file = f"namespaces/{namespace}/web.json"
    assert found.keys() == {
        file,
        f"v1-preferredversion/{file}",
        f"v2beta1/{file}",
        f"v2beta2/{file}",
    }
    for version in ("v2beta1", "v2beta2"):
        path = f"/apis/autoscaling/{version}/namespaces/{namespace}"
        _, live = real_cluster.request("GET", f"{path}/horizontalpodautoscalers/web")
        copy = found[f"{version}/{file}"]
        assert copy["apiVersion"] == f"autoscaling/{version}"
        assert copy["spec"] == live["spec"]
    assert found[file] == found[f"v1-preferredversion/{file}"]
    assert f"v1beta1/{file}" in bodies(tmp_path, "every", ROLES)
    assert len(bodies(tmp_path, "plain", SCALERS)) == 2
    listed = kinds(tmp_path, "every")
    assert listed["autoscaling/v2beta2/HorizontalPodAutoscaler"] == [f"{namespace}/web"]
    assert {str(x.identifier) for x in store.open_archive("every")} == {
        str(x.identifier) for x in store.open_archive("plain")
    }


def test_the_users_list_chooses(real_cluster, cluster, store, namespace):
    """A version that is listed is the one that is written, from a saved plan as well."""
    fill(real_cluster, namespace)
    spec = BackupSpec(included_namespaces=[namespace])
    BackupEngine(cluster, store).run("every", spec, EVERY)
    engine, copy = RestoreEngine(cluster, store), f"{namespace}-copy"
    restore = RestoreSpec(backup_name="every", namespace_mapping={namespace: copy})
    options = RestoreOptions(
        enable_api_group_versions=True,
        restore_resources_version_priority=f"{SCALERS}=v2,v2beta2\n",
    )

    usual = engine.plan("r-0", restore, CHOOSE)
    plan = engine.plan("r-1", restore, options)
    result = engine.apply(RestorePlan.from_json(json.dumps(plan.to_json())))

    assert usual.head.versions.chosen == ()  # the target prefers what the source did
    (chosen,) = plan.head.versions.chosen
    assert str(chosen).startswith(f"{SCALERS} v2beta2 instead of v1: ")
    assert result.results.errors == ()
    assert result.restore.status.phase is RestorePhase.COMPLETED
    path = f"/apis/autoscaling/v2beta2/namespaces/{copy}/horizontalpodautoscalers/web"
    status, live = real_cluster.request("GET", path)
    assert status == 200
    assert live["spec"]["metrics"] == SCALER["metrics"]
    written = {x["apiVersion"] for x in live["metadata"]["managedFields"]}
    assert "autoscaling/v2beta2" in written
    assert engine.plan("r-1", restore, options).is_empty


def test_the_list_of_the_target(real_cluster, cluster, store, namespace):
    """Velero's ConfigMap in the target is read, and the plan names it."""
    fill(real_cluster, namespace)
    spec = BackupSpec(included_namespaces=[namespace])
    BackupEngine(cluster, store).run("every", spec, EVERY)
    if real_cluster.request("GET", "/api/v1/namespaces/velero")[0] != 200:
        make_namespace(real_cluster, "velero")
    path, name = "/api/v1/namespaces/velero/configmaps", "enableapigroupversions"
    data = {"restoreResourcesVersionPriority": f"{ROLES}=v1beta1"}
    create(real_cluster, path, {"metadata": {"name": name}, "data": data})
    mapping = {namespace: f"{namespace}-copy"}
    restore = RestoreSpec(backup_name="every", namespace_mapping=mapping)

    try:
        plan = RestoreEngine(cluster, store).plan("r-1", restore, CHOOSE)
    finally:
        real_cluster.request("DELETE", f"{path}/{name}")

    assert plan.head.versions.source == f"ConfigMap velero/{name}"
    (chosen,) = plan.head.versions.chosen
    assert str(chosen.resource) == ROLES
    role = next(x for x in plan.entries if x.kind == "Role")
    assert role.api_version == "rbac.authorization.k8s.io/v1beta1"


def test_a_target_that_lacks_what_the_source_preferred(
    real_cluster, target_cluster, namespace, tmp_path, wait_for_versions
):
    """What is a conflict otherwise is restored in a version that both have."""
    group = f"{namespace}.example.com"
    both = [served_version("v2", storage=False), served_version("v1")]
    newer = definition(group, "orders", "Order", *both)
    older = definition(group, "orders", "Order", served_version("v1"))
    restore = RestoreSpec(backup_name="every")
    with (
        Cluster.connect(real_cluster.kubeconfig) as source,
        Cluster.connect(target_cluster.kubeconfig) as target,
        BackupStore.open(tmp_path / "store") as store,
    ):
        for cluster, made, versions in (
            (source, newer, ("v2", "v1")),
            (target, older, ("v1",)),
        ):
            cluster.writer().create(made)
            wait_for_versions(cluster, group, *versions)
        make_namespace(real_cluster, namespace)
        path = f"/apis/{group}/v1/namespaces/{namespace}/orders"
        create(
            real_cluster,
            path,
            {
                "apiVersion": f"{group}/v1",
                "kind": "Order",
                "metadata": {"name": "first"},
                "spec": {"tea": 2},
            },
        )
        spec = BackupSpec(included_namespaces=[namespace])
        BackupEngine(source, store).run("every", spec, EVERY)
        engine = RestoreEngine(target, store)

        plain = engine.plan("r-0", restore)
        result = engine.run("r-1", restore, CHOOSE)

    (line,) = [x for x in plain.entries if x.kind == "Order"]
    assert line.action is PlanAction.CONFLICT
    assert result.results.errors == ()
    status, live = target_cluster.request("GET", f"{path}/first")
    assert status == 200
    assert live["spec"] == {"tea": 2}


# --- definitions of old ---------------------------------------------------------------


@pytest.fixture
def old_type(cluster, real_cluster, namespace, wait_for_versions):
    """A type whose definition was made through v1beta1, and an object of it."""
    group = f"{namespace}.example.com"
    create(
        real_cluster,
        "/apis/apiextensions.k8s.io/v1beta1/customresourcedefinitions",
        {
            "apiVersion": "apiextensions.k8s.io/v1beta1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"orders.{group}"},
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "version": "v1",
                "names": {"plural": "orders", "kind": "Order"},
            },
        },
    )
    wait_for_versions(cluster, group, "v1")
    make_namespace(real_cluster, namespace)
    create(
        real_cluster,
        f"/apis/{group}/v1/namespaces/{namespace}/orders",
        {
            "apiVersion": f"{group}/v1",
            "kind": "Order",
            "metadata": {"name": "first"},
            "anything": {"tea": 2},
        },
    )
    return group


def stored_definition(directory, name, group):
    """Return the bodies of a definition in an archive, by path."""
    resource = "customresourcedefinitions.apiextensions.k8s.io"
    file = f"cluster/orders.{group}.json"
    return {
        path: body
        for path, body in bodies(directory, name, resource).items()
        if path.endswith(file)
    }


def test_a_definition_of_old_is_stored_and_restored_as_it_was_made(  # noqa: PLR0917 - fixtures
    real_cluster, cluster, store, namespace, old_type, tmp_path, wait_for_versions
):
    """Asked for, it is stored as v1beta1 shows it, and comes back through v1beta1."""
    spec = BackupSpec(included_namespaces=[namespace])
    crd = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/orders.{old_type}"
    _, before = real_cluster.request("GET", crd)

    result = BackupEngine(cluster, store).run("beta", spec, REMAP)
    BackupEngine(cluster, store).run("plain", spec)
    assert real_cluster.request("DELETE", crd)[0] == 200
    wait_for_versions(cluster, old_type)
    real_cluster.request("DELETE", f"/api/v1/namespaces/{namespace}")
    mapping = {namespace: f"{namespace}-copy"}
    restored = RestoreEngine(cluster, store).run(
        "r-1", RestoreSpec(backup_name="beta", namespace_mapping=mapping)
    )

    assert result.backup.status.phase is BackupPhase.COMPLETED
    assert store.verify("beta").problems == ()
    found = stored_definition(tmp_path, "beta", old_type)
    assert {path.partition("/")[0] for path in found} == {
        "cluster",
        "v1-preferredversion",
    }
    assert {body["apiVersion"] for body in found.values()} == {
        "apiextensions.k8s.io/v1beta1"
    }
    plain = stored_definition(tmp_path, "plain", old_type)
    assert {x["apiVersion"] for x in plain.values()} == {"apiextensions.k8s.io/v1"}
    assert restored.results.errors == ()
    _, after = real_cluster.request("GET", crd)
    assert after["spec"] == before["spec"]
    assert after["spec"]["preserveUnknownFields"] is True
    path = f"/apis/{old_type}/v1/namespaces/{namespace}-copy/orders/first"
    _, live = real_cluster.request("GET", path)
    assert live["anything"] == {"tea": 2}


def test_definitions_of_old_on_a_server_of_today(cluster, store, namespace, old_type):
    """What is stored in v1beta1 needs a conversion there; what stayed in v1 needs none."""
    spec = BackupSpec(included_namespaces=[namespace])
    engine = BackupEngine(cluster, store)
    engine.run("beta", spec, REMAP)
    engine.run("plain", spec)

    with SimulatedCluster() as simulated, simulated.connect() as target:
        restoring = RestoreEngine(target, store)
        plans = [
            restoring.plan(f"r-{name}", RestoreSpec(backup_name=name))
            for name in ("beta", "plain")
        ]
        result = restoring.apply(plans[1])

    beta, plain = (
        next(x for x in plan.entries if x.kind == "CustomResourceDefinition")
        for plan in plans
    )
    assert beta.converted_from == "apiextensions.k8s.io/v1beta1"
    assert plain.converted_from == ""
    assert result.results.errors == ()
    assert f"orders.{old_type}" in {x.identifier.name for x in result.outcomes}


@pytest.mark.parametrize("spoken", [[], ["ingresses.extensions"]], ids=["all", "old"])
def test_each_object_comes_once_where_versions_are_gone(  # noqa: PLR0917 - fixtures
    real_cluster, new_cluster, cluster, store, namespace, spoken
):
    """Of an Ingress of two groups and three versions, and a Role of two, one is written."""
    fill(real_cluster, namespace)
    path = f"/apis/extensions/v1beta1/namespaces/{namespace}/ingresses"
    backend = {"serviceName": "web", "servicePort": 80}
    body = {"metadata": {"name": "web"}, "spec": {"backend": backend}}
    create(real_cluster, path, body)
    spec = BackupSpec(included_namespaces=[namespace], included_resources=spoken)
    BackupEngine(cluster, store).run("every", spec, EVERY)
    restore = RestoreSpec(backup_name="every")

    with Cluster.connect(new_cluster.kubeconfig) as target:
        engine = RestoreEngine(target, store)
        plan = engine.plan("r", restore, CHOOSE)
        loaded = RestorePlan.from_json(json.loads(json.dumps(plan.to_json())))
        result = engine.apply(loaded)
        again = engine.plan("r-2", restore, CHOOSE)

    written = [x for x in plan.entries if x.action.writes and x.target.name == "web"]
    kinds = ["Ingress"] if spoken else ["HorizontalPodAutoscaler", "Ingress", "Role"]
    assert sorted(x.kind for x in written) == kinds
    (found,) = [x for x in written if x.kind == "Ingress"]
    assert found.api_version == "networking.k8s.io/v1"
    assert found.converted_from == ("extensions/v1beta1" if spoken else "")
    assert result.results.errors == ()
    assert again.is_empty
    assert not again.counts[PlanAction.CONFLICT]
    place = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses"
    _, live = new_cluster.request("GET", place)
    assert [x["metadata"]["name"] for x in live["items"]] == ["web"]
    to = {"service": {"name": "web", "port": {"number": 80}}}
    assert live["items"][0]["spec"] == {"defaultBackend": to}
