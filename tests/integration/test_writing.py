"""Single writes that a real API server refuses, or that lose a race there."""

from datetime import timedelta

import pytest

from kbackup import BackupEngine, BackupSpec, BackupStore, Cluster
from kbackup.cluster import PatchKind
from kbackup.errors import ConflictError, InvalidItemError, ItemNotFoundError
from kbackup.models import RestoreOptions, RestoreSpec
from kbackup.restore import PlanAction, RestoreEngine
from kbackup.restore._writes.second_writes import SecondWrites

pytestmark = pytest.mark.integration

SOON = timedelta(seconds=4)
MORE_THAN_ETCD_TAKES = 1_600_000
ROLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"name": "reader"},
    "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
}
SPACE = {"apiVersion": "v1", "kind": "Namespace"}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"ports": [{"port": 80}], "selector": {"app": "web"}},
}
APPLIED = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}}


OLD_HOOKS = {  # v1 has only webhooks that take a dry run
    "apiVersion": "admissionregistration.k8s.io/v1beta1",
    "kind": "ValidatingWebhookConfiguration",
}


class KilledError(BaseException):
    """The process ends here."""


def served(cluster, kind):
    """A type."""
    return next(x for x in cluster.discover().resources if x.kind == kind)


def account(cluster, namespace):
    """The ServiceAccount that every namespace gets, or None."""
    try:
        found = cluster.get(served(cluster, "ServiceAccount"), "default", namespace)
    except ItemNotFoundError:
        return None
    return found.content


@pytest.fixture
def engine(cluster, namespace, tmp_path, wait_for):
    """An engine over a backup ``b-1``: a Role, a Service, an account, an applied ConfigMap."""
    cluster.create(
        served(cluster, "Namespace"), SPACE | {"metadata": {"name": namespace}}
    )
    cluster.create(served(cluster, "Role"), ROLE, namespace=namespace)
    cluster.create(served(cluster, "Service"), SERVICE, namespace=namespace)
    apply(cluster, namespace, {"a": "1"})
    wait_for("the account", lambda: account(cluster, namespace))
    secrets = {"imagePullSecrets": [{"name": "registry"}]}
    accounts = served(cluster, "ServiceAccount")
    cluster.patch(accounts, "default", secrets, namespace=namespace)
    with BackupStore.open(f"file://{tmp_path}/store") as store:
        spec = BackupSpec(included_namespaces=[namespace])
        BackupEngine(cluster, store).run("b-1", spec)
        yield RestoreEngine(cluster, store)
    for item in cluster.list(served(cluster, "Namespace")):
        if item.name.startswith(namespace):
            cluster.delete(served(cluster, "Namespace"), item.name)


def into(namespace, **more):
    """A specification of a copy beside the original."""
    mapping = {namespace: f"{namespace}-1"}
    return RestoreSpec(backup_name="b-1", namespace_mapping=mapping, **more)


def apply(cluster, namespace, data):
    """Let `flux` apply a ConfigMap, as it does again and again."""
    cluster.patch(
        served(cluster, "ConfigMap"),
        "applied",
        APPLIED | {"data": data},
        namespace=namespace,
        kind=PatchKind.APPLY,
        field_manager="flux",
    )


def watching(namespace):
    """A webhook with side effects for ConfigMaps; nobody answers, which it forgives."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
    hook = {
        "name": "w.example.com",
        "rules": [rule | {"operations": ["CREATE"]}],
        "namespaceSelector": {"matchLabels": {"watched": namespace}},
        "clientConfig": {"url": "https://127.0.0.1:9/"},
        "sideEffects": "Some",
        "failurePolicy": "Ignore",
        "timeoutSeconds": 1,
    }
    return {"metadata": {"name": namespace}, "webhooks": [hook]}


def refusal(cluster, resource, namespace):
    """What the server says of a dry run in a namespace."""
    probe = APPLIED | {"metadata": {"name": "probe"}}
    try:
        cluster.create(resource, probe, namespace=namespace, dry_run=True)
    except InvalidItemError as exc:
        return str(exc)
    return ""


def grown(item):
    """Make of a Role more than etcd takes."""
    if item["kind"] == "Role":
        item["rules"][0]["resourceNames"] = ["x" * MORE_THAN_ETCD_TAKES]
    return item


def test_what_is_too_large_for_etcd(engine, namespace):
    """The server answers that it failed; it would for ever, so the write is over."""
    options = RestoreOptions(deadline=SOON, transforms=(grown,))

    (error,) = engine.run("big", into(namespace), options).results.errors

    assert "too large" in error.message
    assert "not done in time" not in error.message


def test_the_account_that_a_controller_makes(
    cluster, engine, namespace, wait_for, monkeypatch
):
    """Merged with what the controllers make and change of it at the same moment."""
    copy, patch, raced = f"{namespace}-1", Cluster.patch, []
    plan = engine.plan("try", into(namespace), RestoreOptions(deadline=SOON))
    cluster.create(served(cluster, "Namespace"), SPACE | {"metadata": {"name": copy}})
    wait_for("the account", lambda: account(cluster, copy))

    def too_late(self, resource, name, body, **more):
        if resource.kind == "ServiceAccount" and not raced:
            raced.append(name)
            label = {"metadata": {"labels": {"raced": "1"}}}
            patch(self, resource, name, label, namespace=copy)
        return patch(self, resource, name, body, **more)

    monkeypatch.setattr(Cluster, "patch", too_late)
    result = engine.apply(plan)

    merged = account(cluster, copy)
    assert raced == ["default"]
    assert result.results.errors == ()
    assert [x for x in result.outcomes if x.left_alone] == []
    assert merged["imagePullSecrets"] == [{"name": "registry"}]
    assert merged["metadata"]["labels"]["raced"] == "1"


def test_a_service_that_became_headless(cluster, engine, namespace):
    """That its address cannot come back is in the plan, not in the server's answer."""
    services = served(cluster, "Service")
    cluster.delete(services, "web", namespace=namespace)
    headless = {**SERVICE, "spec": {**SERVICE["spec"], "clusterIP": "None"}}
    cluster.create(services, headless, namespace=namespace)
    spec = RestoreSpec(backup_name="b-1", existing_resource_policy="update")

    plan = engine.plan("back", spec)

    (line,) = [
        x for x in plan.entries if x.target.name == "web" and x.kind == "Service"
    ]
    assert line.action is PlanAction.CONFLICT


@pytest.mark.parametrize("holder", ["web", "other"])
def test_a_node_port_that_was_taken_meanwhile(cluster, engine, namespace, holder):
    """By the Service itself: it counts as existing. By another one: that is an error."""
    copy, services = f"{namespace}-1", served(cluster, "Service")
    spec = {"type": "NodePort", "ports": [{"port": 80}], "selector": {"app": "own"}}
    item = {**SERVICE, "metadata": {"name": holder}, "spec": spec}
    ports = cluster.create(services, item, namespace="default")["spec"]["ports"]

    def ported(item):
        is_web = item["kind"] == "Service"
        more = {"type": "NodePort", "ports": ports}
        return {**item, "spec": {**item["spec"], **more}} if is_web else item

    options = RestoreOptions(transforms=(ported,), deadline=SOON)
    plan = engine.plan("try", into(namespace), options)
    cluster.delete(services, holder, namespace="default")
    cluster.create(served(cluster, "Namespace"), SPACE | {"metadata": {"name": copy}})
    taken = {**item, "spec": {**spec, "ports": ports}}
    cluster.create(services, taken, namespace=copy)
    result = engine.apply(plan)

    (outcome,) = [
        x for x in result.outcomes if str(x.identifier) == f"services/{copy}/web"
    ]
    told = [x.message for x in result.results.errors if "already allocated" in str(x)]
    if holder == "web":
        assert (outcome.action, outcome.left_alone, told) == ("skipped", True, [])
    else:
        assert (outcome.action, len(told)) == ("failed", 1)
    live = cluster.get(services, holder, copy).content["spec"]
    assert live["selector"] == {"app": "own"}


def test_a_restore_that_was_killed_between_two_writes(
    cluster, engine, namespace, monkeypatch
):
    """Run again it lets who applied an object go on applying it, and is done then."""

    def die(*_, **__):
        raise KilledError

    spec, copy = into(namespace), f"{namespace}-1"
    with monkeypatch.context() as patched:
        patched.setattr(SecondWrites, "_write", die)
        with pytest.raises(KilledError):
            engine.run("try", spec)
    with pytest.raises(ConflictError):
        apply(cluster, copy, {"a": "2"})

    plan = engine.plan("try", spec)
    result = engine.run("try", spec)

    (line,) = [x for x in plan.entries if x.target.name == "applied"]
    assert (line.action, line.second_write) == (PlanAction.UPDATE, True)
    assert result.results.errors == ()
    assert engine.plan("try", spec).second_writes == 0
    apply(cluster, copy, {"a": "2"})


def test_a_webhook_that_takes_no_dry_run(cluster, engine, namespace, wait_for):
    """What it keeps from being tried is in the plan nevertheless, and is written."""
    copy = f"{namespace}-1"
    metadata = {"name": copy, "labels": {"watched": namespace}}
    cluster.create(served(cluster, "Namespace"), SPACE | {"metadata": metadata})
    wait_for("the account", lambda: account(cluster, copy))
    hooks = cluster.discover().by_kind(*OLD_HOOKS.values())
    cluster.create(hooks, OLD_HOOKS | watching(namespace))
    maps = served(cluster, "ConfigMap")
    words = "does not support dry run"
    try:
        wait_for("the webhook", lambda: words in refusal(cluster, maps, copy))
        validate = RestoreOptions(validate=True, deadline=SOON)
        plan = engine.plan("try", into(namespace), validate)
        result = engine.apply(plan)
    finally:
        cluster.delete(hooks, namespace)

    (line,) = [x for x in plan.entries if x.target.name == "applied"]
    assert line.action is PlanAction.CREATE
    assert line.reason.startswith("not tried: admission webhook")
    assert result.results.errors == ()
    assert cluster.get(maps, "applied", copy).content["data"] == {"a": "1"}
