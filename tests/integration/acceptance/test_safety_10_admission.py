"""Safety check 10: admission that stands in the way of its own restore.

Each restore ends, with the objects there or with an error that names what refused them,
on a real API server whose admission is at work.
"""

from datetime import timedelta

import pytest

from definitions import definition, served_version
from kbackup import CancelToken, RestoreOptions, RestoreSpec

SOON = RestoreOptions(deadline=timedelta(seconds=4))
HANG = timedelta(minutes=5)  # ends a restore that its deadline of seconds does not


@pytest.fixture(name="space")
def fixture_space(source, namespace):
    """A namespace of the source cluster, labelled with its own name.

    Copies of it have that label as well, and go with it.
    """
    body = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace, "labels": {"test": namespace}},
    }
    source.create(body)
    yield namespace
    for each in (namespace, f"{namespace}-copy"):
        source.remove_namespace(each, wait=False)


def into_a_copy(backup, namespace):
    """Return the name of a copy beside a namespace, and what restores a backup into it."""
    copy = f"{namespace}-copy"
    return copy, RestoreSpec(backup_name=backup, namespace_mapping={namespace: copy})


def config_map(namespace, name="settings"):
    """Return a ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {"a": "1"},
    }


def service_of(namespace):
    """Return the Service that a webhook names."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "hook", "namespace": namespace},
        "spec": {"selector": {"app": "hook"}, "ports": [{"port": 443}]},
    }


def webhook(namespace):
    """Return a webhook that nobody answers and that refuses ConfigMaps therefore."""
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["configmaps"],
    }
    hook = {
        "name": "hook.example.com",
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
        "namespaceSelector": {"matchLabels": {"test": namespace}},
        "clientConfig": {"service": {"namespace": namespace, "name": "hook"}},
        "rules": [rule],
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace, "labels": {"test": namespace}},
        "webhooks": [hook],
    }


@pytest.fixture(name="hooked")
def fixture_hooked(source, space, store):
    """A namespace whose webhook's backend is part of the backup ``hooked``."""
    for item in (config_map(space), service_of(space), webhook(space)):
        source.create(item)
    result = source.backup(store, "hooked", space, include_cluster_resources=True)
    assert result.results.errors == ()
    yield space
    source.delete(webhook(space))


def test_webhook_comes_after_what_it_guards(source, hooked, store):
    """The objects are written before the webhook that would refuse them."""
    source.delete(webhook(hooked))
    source.remove_namespace(hooked)

    result = source.restorer(store).run(
        "back", RestoreSpec(backup_name="hooked", include_cluster_resources=True)
    )

    assert [str(x) for x in result.results.errors if hooked in str(x)] == []
    for item in (config_map(hooked), service_of(hooked), webhook(hooked)):
        assert source.get(item) is not None


def test_webhook_that_is_there_already_is_named(source, hooked, store):
    """What a live webhook keeps refusing ends as an error that names it, in time."""
    copy, spec = into_a_copy("hooked", hooked)
    hang = CancelToken().after(HANG)

    result = source.restorer(store).run("copy", spec, SOON, cancel=hang)

    errors = [str(x) for x in result.results.errors if "settings" in str(x)]
    assert len(errors) == 1
    assert "hook.example.com" in errors[0]
    assert source.get(service_of(copy)) is not None


def conversion(namespace, *, storage):
    """Return a CRD of two versions with a conversion webhook that nobody answers."""
    group = f"{namespace}.example.com"
    versions = [served_version(name, storage=name == storage) for name in ("v2", "v1")]
    hook = {
        "clientConfig": {"service": {"namespace": namespace, "name": "hook"}},
        "conversionReviewVersions": ["v1"],
    }
    by_hook = {"strategy": "Webhook", "webhook": hook}
    return definition(group, "things", "Thing", *versions, conversion=by_hook)


def thing(namespace, version):
    """Return a custom resource of that CRD."""
    return {
        "apiVersion": f"{namespace}.example.com/{version}",
        "kind": "Thing",
        "metadata": {"name": "one", "namespace": namespace},
        "spec": {"a": 1},
    }


@pytest.fixture(name="converted")
def fixture_converted(source, target, space, store, wait_for_versions):
    """A backup ``converted`` of a thing whose type got its dead webhook afterwards.

    The server prefers v2 and stores v1.
    """
    plain = conversion(space, storage="v1")
    plain["spec"]["conversion"] = {"strategy": "None"}
    group = f"{space}.example.com"
    source.create(plain)
    wait_for_versions(source.cluster, group, "v1", "v2")
    source.create(thing(space, "v2"))
    source.backup(store, "preferred", space)  # as Velero would: in v2
    hook = conversion(space, storage="v1")["spec"]["conversion"]
    source.patch(plain, {"spec": {"conversion": hook}})
    result = source.backup(store, "converted", space)
    assert result.results.errors == ()
    yield space
    for world in (source, target):  # or nothing of the type can be listed, or go
        if world.get(plain) is not None:
            unasked = {"strategy": "None", "webhook": None}
            world.patch(plain, {"spec": {"conversion": unasked}})
    target.remove_namespace(space, wait=False)
    source.remove_namespace(f"{space}-copy", wait=False)
    for world in (source, target):
        world.delete(plain)
        wait_for_versions(world.cluster, group)


def test_crd_with_a_conversion_webhook(source, target, converted, store):
    """Its objects are stored and written at the storage version: nobody converts."""
    copy, beside = into_a_copy("converted", converted)

    elsewhere = target.restorer(store).run(
        "back", RestoreSpec(backup_name="converted"), SOON
    )
    beside_it = source.restorer(store).run("copy", beside, SOON)

    assert elsewhere.results.errors == ()
    assert target.get(thing(converted, "v1"))["spec"] == {"a": 1}
    assert beside_it.results.errors == ()
    copied = thing(converted, "v1")
    copied["metadata"]["namespace"] = copy
    assert source.get(copied)["spec"] == {"a": 1}


def test_crd_whose_objects_need_the_missing_webhook(
    target, converted, store, wait_for_versions
):
    """What only the missing webhook could convert is an error by name, not a hang."""
    target.create(conversion(converted, storage="v1"))
    wait_for_versions(target.cluster, f"{converted}.example.com", "v1", "v2")
    restorer, spec = target.restorer(store), RestoreSpec(backup_name="preferred")
    hang = CancelToken().after(HANG)

    plan = restorer.plan("back", spec, SOON)
    restored = restorer.apply(plan, cancel=hang)

    webhook = f"the conversion webhook {converted}/hook of CRD things.{converted}"
    (planned,) = [x.reason for x in plan.entries if x.kind == "Thing"]
    (error,) = [str(x) for x in restored.results.errors]
    assert f"written at v2, stored at v1 through {webhook}" in planned
    assert "conversion webhook for" in error  # the server's own words
    assert webhook in error


def quota(namespace, count):
    """Return a quota of Secrets."""
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "quota", "namespace": namespace},
        "spec": {"hard": {"count/configmaps": str(count)}},
    }


def test_quota_that_the_restore_fills(source, space, store):
    """A quota that the backup's objects fill to the brim comes after them."""
    for name in ("one", "two", "three"):
        source.create(config_map(space, name))
    source.create(quota(space, 4))  # with kube-root-ca.crt
    source.backup(store, "full", space)
    copy, spec = into_a_copy("full", space)

    result = source.restorer(store).run("copy", spec)

    assert result.results.errors == ()
    for name in ("one", "two", "three"):
        assert source.get(config_map(copy, name)) is not None
    assert source.get(quota(copy, 4)) is not None


def test_quota_of_the_target_that_is_too_small(source, target, space, store, wait_for):
    """What the target's own quota refuses is an error that names the quota."""
    for name in ("one", "two", "three"):
        source.create(config_map(space, name))
    source.backup(store, "much", space)
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}}
    target.create(body)
    # Before the quota: one that comes between its first count and its first object is
    # counted minutes later only.
    theirs = config_map(space, "kube-root-ca.crt")
    wait_for("a namespace's own ConfigMap", lambda: target.get(theirs))
    target.create(quota(space, 2))
    counted = {"count/configmaps": "1"}
    wait_for(
        "the count",
        lambda: target.get(quota(space, 2)).get("status", {}).get("used") == counted,
    )
    hang = CancelToken().after(HANG)

    result = target.restorer(store).run(
        "back", RestoreSpec(backup_name="much"), SOON, cancel=hang
    )

    errors = [str(x) for x in result.results.errors]
    assert len(errors) == 2
    assert all("exceeded quota: quota" in each for each in errors)
    target.remove_namespace(space, wait=False)


def test_limit_range_that_changes_pods(source, space, store):
    """A Pod that the restored LimitRange gives defaults is there, and stays."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": space},
        "spec": {"containers": [{"name": "c", "image": "example.com/c:1"}]},
    }
    limits = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "limits", "namespace": space},
        "spec": {"limits": [{"type": "Container", "default": {"memory": "64Mi"}}]},
    }
    source.create(pod)
    source.create(limits)
    source.backup(store, "limited", space)
    copy, spec = into_a_copy("limited", space)

    result = source.restorer(store).run("copy", spec)
    again = source.restorer(store).plan("copy", spec)

    assert result.results.errors == ()
    pod["metadata"]["namespace"] = copy
    resources = source.get(pod)["spec"]["containers"][0]["resources"]
    assert resources["limits"] == {"memory": "64Mi"}
    assert [str(entry) for entry in again.entries if entry.action.writes] == []


def test_limit_range_that_refuses_pods(source, space, store):
    """A Pod that the LimitRange forbids is an error that names the LimitRange."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": space},
        "spec": {
            "containers": [
                {
                    "name": "c",
                    "image": "example.com/c:1",
                    "resources": {"limits": {"memory": "1Gi"}},
                }
            ]
        },
    }
    limits = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "limits", "namespace": space},
        "spec": {"limits": [{"type": "Container", "max": {"memory": "64Mi"}}]},
    }
    source.create(pod)
    source.create(limits)
    source.backup(store, "limited", space)
    copy, spec = into_a_copy("limited", space)

    result = source.restorer(store).run("copy", spec, SOON)

    (error,) = [str(x) for x in result.results.errors]
    assert "maximum memory usage per Container is 64Mi" in error
    limits["metadata"]["namespace"] = copy
    assert source.get(limits) is not None
