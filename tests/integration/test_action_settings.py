"""Settings of item actions, given and read from the target, on a real API server."""

import json
from contextlib import suppress

import pytest

from kbackup.backup import BackupEngine
from kbackup.errors import AlreadyExistsError, PlanOutdatedError
from kbackup.models import (
    BackupSpec,
    GroupResource,
    ResourceIdentifier,
    RestoreOptions,
    RestoreSpec,
)
from kbackup.restore import PlanAction, RestoreEngine, RestorePlan

pytestmark = pytest.mark.integration

CLASSES = "velero.io/change-storage-class"
IMAGES = "velero.io/change-image-name"
TYPES = {
    "Namespace": GroupResource("", "namespaces"),
    "ConfigMap": GroupResource("", "configmaps"),
    "PersistentVolumeClaim": GroupResource("", "persistentvolumeclaims"),
    "StatefulSet": GroupResource("apps", "statefulsets"),
    "Deployment": GroupResource("apps", "deployments"),
    "StorageClass": GroupResource("storage.k8s.io", "storageclasses"),
}


def _named(kind, name, namespace="", api_version="v1", **parts):
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts}


def _claim_spec(name):
    return {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": name,
        "resources": {"requests": {"storage": "1Gi"}},
    }


def _template(image):
    containers = [{"name": "web", "image": image}]
    init = [{"name": "init", "image": image}]
    spec = {"containers": containers, "initContainers": init}
    return {"metadata": {"labels": {"app": "web"}}, "spec": spec}


def _workload(kind, name, namespace, image, **spec):
    selector = {"matchLabels": {"app": "web"}}
    spec |= {"replicas": 0, "selector": selector, "template": _template(image)}
    return _named(kind, name, namespace, "apps/v1", spec=spec)


@pytest.fixture
def new_class(cluster, namespace):
    """A storage class of the target; its name is given."""
    name = f"new-{namespace}"
    made = _named("StorageClass", name, api_version="storage.k8s.io/v1")
    cluster.writer().create({**made, "provisioner": "example.com/disk"})
    yield name
    cluster.writer().delete(ResourceIdentifier(TYPES["StorageClass"], "", name))


@pytest.fixture
def shop(cluster, store, namespace):
    """A namespace with a claim and workloads, backed up and gone; a copy is restored."""
    writer = cluster.writer()
    writer.create(_named("Namespace", namespace))
    writer.create(
        _named("PersistentVolumeClaim", "data", namespace, spec=_claim_spec("old"))
    )
    templates = [
        {"metadata": {"name": "data"}, "spec": _claim_spec("old")},
        {"metadata": {"name": "logs"}, "spec": _claim_spec("other")},
    ]
    image = "registry.example.com:5000/web:1"
    writer.create(
        _workload(
            *("StatefulSet", "db", namespace, image),
            serviceName="db",
            volumeClaimTemplates=templates,
        )
    )
    writer.create(_workload("Deployment", "web", namespace, image))
    spec = BackupSpec(included_namespaces=[namespace])
    assert BackupEngine(cluster, store).run("b", spec).exit_code == 0
    copy = f"{namespace}-copy"
    yield RestoreSpec(backup_name="b", namespace_mapping={namespace: copy})
    for name in (namespace, copy):
        with suppress(Exception):
            writer.delete(ResourceIdentifier(TYPES["Namespace"], "", name))


@pytest.fixture
def config_map(cluster, namespace, new_class):
    """Settings where Velero would look for them; the name of the ConfigMap is given."""
    writer, name = cluster.writer(), f"settings-{namespace}"
    with suppress(AlreadyExistsError):  # it stays for other tests
        writer.create(_named("Namespace", "velero"))
    made = _named("ConfigMap", name, "velero", data={"old": new_class})
    labels = {"velero.io/plugin-config": "", CLASSES: "RestoreItemAction"}
    made["metadata"]["labels"] = labels
    writer.create(made)
    yield name
    with suppress(Exception):
        writer.delete(ResourceIdentifier(TYPES["ConfigMap"], "velero", name))


def _live(cluster, kind, name, spec):
    (copy,) = spec.namespace_mapping.values()
    return cluster.reader().get(ResourceIdentifier(TYPES[kind], copy, name))["spec"]


def _line(plan, kind, name):
    """The line of an item of a plan."""
    (found,) = [
        entry
        for entry in plan.entries
        if (entry.kind, entry.identifier.name) == (kind, name)
    ]
    return found


def test_given_settings(cluster, store, shop, new_class):
    """The class of claims and templates and the images of workloads are the new ones."""
    settings = {
        CLASSES: {"old": new_class},
        IMAGES: {"mirror": "registry.example.com:5000,mirror.example.com"},
    }
    engine = RestoreEngine(cluster, store)

    plan = engine.plan(
        "r", shop, RestoreOptions(action_settings=settings, validate=True)
    )
    result = engine.apply(plan)

    assert result.exit_code == 0
    assert _line(plan, "StatefulSet", "db").changed_by == (IMAGES, CLASSES)
    claim = _live(cluster, "PersistentVolumeClaim", "data", shop)
    assert claim["storageClassName"] == new_class
    stateful_set = _live(cluster, "StatefulSet", "db", shop)
    classes = [
        template["spec"]["storageClassName"]
        for template in stateful_set["volumeClaimTemplates"]
    ]
    assert classes == [new_class, "other"]
    for workload in (stateful_set, _live(cluster, "Deployment", "web", shop)):
        pod = workload["template"]["spec"]
        images = {each["image"] for each in pod["containers"] + pod["initContainers"]}
        assert images == {"mirror.example.com/web:1"}
    options = RestoreOptions(action_settings=settings)
    assert engine.plan("r", shop, options).is_empty


def test_settings_of_a_config_map(cluster, store, shop, config_map, new_class):
    """A labelled ConfigMap of namespace velero is followed by a plan that was saved."""
    engine = RestoreEngine(cluster, store)
    plan = engine.plan("r", shop)
    assert f"old={new_class} (ConfigMap velero/{config_map})" in str(plan)

    result = engine.apply(RestorePlan.from_json(json.dumps(plan.to_json())))

    assert result.exit_code == 0
    claim = _live(cluster, "PersistentVolumeClaim", "data", shop)
    assert claim["storageClassName"] == new_class


def test_settings_that_changed(cluster, store, shop, config_map, new_class):
    """A saved plan of other settings is refused, and nothing is written."""
    engine = RestoreEngine(cluster, store)
    plan = RestorePlan.from_json(json.dumps(engine.plan("r", shop).to_json()))
    found = cluster.discover().get(TYPES["ConfigMap"])
    patch = {"data": {"other": new_class}}
    cluster.patch(found, config_map, patch, namespace="velero")

    with pytest.raises(PlanOutdatedError, match=f"the settings of {CLASSES} are not"):
        engine.apply(plan)

    (copy,) = shop.namespace_mapping.values()
    made = ResourceIdentifier(TYPES["Namespace"], "", copy)
    assert cluster.reader().get(made) is None


def test_a_class_that_is_not_there(cluster, store, shop):
    """It is a conflict of the plan, by item, before anything is written."""
    options = RestoreOptions(action_settings={CLASSES: {"old": "gone"}})

    plan = RestoreEngine(cluster, store).plan("r", shop, options)

    for kind, name in (("PersistentVolumeClaim", "data"), ("StatefulSet", "db")):
        assert _line(plan, kind, name).action is PlanAction.CONFLICT
    assert _line(plan, "Deployment", "web").action is PlanAction.CREATE
