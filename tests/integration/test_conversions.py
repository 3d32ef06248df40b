"""Conversions held against the API server's own, which serves old and new versions."""

import copy
import io
import json
import time
from urllib.parse import quote

import pytest

from conversion_samples import NAMESPACE, NEWER, SAMPLES, WEBHOOKS, told
from kbackup.archive import ArchiveWriter
from kbackup.catalog import BackupStore, Manifest
from kbackup.cluster import Cluster
from kbackup.models import (
    Backup,
    BackupPhase,
    BackupStatus,
    ObjectMeta,
    RestoreOptions,
    RestoreSpec,
)
from kbackup.restore import RestoreEngine
from kbackup.restore.conversions import CONVERSIONS

pytestmark = pytest.mark.integration

# In these versions it serves nothing newer.
NEWEST = ("batch/v1beta1", "discovery.k8s.io/v1beta1", "policy/v1beta1")
SHOWN = [sample for sample in SAMPLES if sample["apiVersion"] not in NEWEST]
# What differs between two objects that were made one after the other.
NOT_COMPARED = (
    "creationTimestamp",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)


@pytest.fixture(scope="module")
def old_world(old_cluster):
    """The server that serves them all, with a namespace in it, and what it serves."""
    body = {"metadata": {"name": NAMESPACE}}
    assert old_cluster.request("POST", "/api/v1/namespaces", body)[0] == 201
    with Cluster.connect(old_cluster.kubeconfig) as connected:
        yield old_cluster, connected.discover()


def path(discovery, api_version, body):
    """Return where objects of a type are created, in one version."""
    served = discovery.by_kind(api_version, body["kind"])
    assert served is not None, (api_version, body["kind"])
    where = f"/namespaces/{NAMESPACE}" if served.namespaced else ""
    return f"/apis/{api_version}{where}/{served.resource}"


def conversions_of(body, discovery):
    """Return the conversions whose result this server can show."""
    head = (body["apiVersion"], body["kind"])
    found = [each for each in CONVERSIONS if (each.source, each.kind) == head]
    return [each for each in found if discovery.by_kind(each.target, each.kind)]


def plain(body):
    """Return an object without what a server sets anew each time."""
    body = copy.deepcopy(body)
    for key in NOT_COMPARED:
        body["metadata"].pop(key, None)
    return body


@pytest.fixture
def made(old_world):
    """A function that makes an object and returns where it is; gone afterwards."""
    real, discovery = old_world
    places = []

    def make(sample):
        collection = path(discovery, sample["apiVersion"], sample)
        status, answer = real.request("POST", collection, sample)
        assert status == 201, answer
        places.append(f"{collection}/{quote(sample['metadata']['name'], safe='')}")
        return places[-1]

    yield make
    for place in places:
        remove(real, place)


def remove(real, place):
    """Delete an object and wait until it is gone."""
    at_once = {"propagationPolicy": "Background"}
    while real.api().status("DELETE", place, at_once) != 404:
        time.sleep(0.05)


def same_object(real, *places):
    """Return one object in several versions, all of them of one moment."""
    while True:
        answers = [real.request("GET", place) for place in places]
        assert {status for status, _ in answers} == {200}, answers
        bodies = [body for _, body in answers]
        if len({body["metadata"]["resourceVersion"] for body in bodies}) == 1:
            return bodies


@pytest.mark.parametrize("sample", SHOWN, ids=told)
def test_converted_as_the_server_converts(old_world, made, sample):
    """A stored body becomes what the server shows of it in the newer version."""
    real, discovery = old_world
    place = made(sample)
    conversions = conversions_of(sample, discovery)
    assert conversions

    for conversion in conversions:
        newer = path(discovery, conversion.target, sample)
        name = place.rpartition("/")[2]
        stored, expected = same_object(real, place, f"{newer}/{name}")
        lost = conversion.apply(stored)

        assert lost == ()
        assert plain(stored) == plain(expected)


def keeps_fields(body):
    """Whether v1 would refuse a definition that keeps what no schema names."""
    spec = body.get("spec", {})
    return "names" in spec and spec.get("preserveUnknownFields", True)


@pytest.mark.parametrize("sample", [x for x in SHOWN if not keeps_fields(x)], ids=told)
def test_unset_fields_mean_what_they_meant(old_world, made, sample):
    """What nobody wrote has in the newer version the value that it had in the older."""
    real, discovery = old_world
    place = made(sample)
    name, shown = place.rpartition("/")[2], {}
    for conversion in conversions_of(sample, discovery):
        newer = path(discovery, conversion.target, sample)
        shown[newer] = conversion, real.request("GET", f"{newer}/{name}")[1]
    remove(real, place)

    for newer, (conversion, expected) in shown.items():
        written = copy.deepcopy(sample)
        lost = conversion.apply(written)
        status, answer = real.request("POST", f"{newer}?dryRun=All", written)

        assert lost == ()
        assert status == 201, answer
        assert content(answer) == content(expected)


def content(body):
    """Return what people say of an object."""
    told = plain(body)
    told.pop("status", None)
    return told


@pytest.mark.parametrize("sample", NEWER, ids=told)
def test_what_was_made_in_the_newer_version(old_world, made, sample):
    """What an object has from the newer version comes back to it out of the older one."""
    real, discovery = old_world
    place = made(sample)
    name = place.rpartition("/")[2]
    head = (sample["apiVersion"], sample["kind"])
    found = [each for each in CONVERSIONS if (each.target, each.kind) == head]
    assert found

    for conversion in found:
        older = path(discovery, conversion.source, sample)
        stored, expected = same_object(real, f"{older}/{name}", place)
        for target in invented(expected):
            assert target.pop("value") == "0"
        lost = conversion.apply(stored)

        assert lost == ()
        assert plain(stored) == plain(expected)


def invented(body):
    """Yield what the server makes up where it stores autoscalers in an older version.

    It would refuse the zero in what is written.
    """
    for metric in body["spec"].get("metrics", ()):
        target = metric["object"]["target"]
        if target["type"] == "AverageValue":
            yield target


# --- restored into a server that serves the new versions only --------------------------

UID = "c3a1c9f4-31c7-4c0e-9a58-54d8a0f7f9be"
SPEC = RestoreSpec(backup_name="old")
# Which objects a restore leaves to the target, and what is the same object again.
LEFT = ("coordination.k8s.io/v1beta1", "storage.k8s.io/v1alpha1")
LEFT_KINDS = ("VolumeAttachment",)


def in_backup(discovery, bodies, store):
    """Publish a backup of *bodies*, as they were read."""
    out = io.BytesIO()
    with ArchiveWriter(out, mtime=0) as archive:
        for body in bodies:
            version, metadata = body["apiVersion"], body["metadata"]
            archive.add(
                resource=str(discovery.by_kind(version, body["kind"]).group_resource),
                version=version.rpartition("/")[2],
                namespace=metadata.get("namespace", ""),
                name=metadata["name"],
                body=json.dumps(body).encode(),
            )
    backup = Backup(
        metadata=ObjectMeta(name="old", uid=UID),
        status=BackupStatus(phase=BackupPhase.COMPLETED),
    )
    manifest = Manifest(items=archive.items, entries=archive.entries)
    with store.claim("old", run_uid=UID) as claim:
        store.publish(claim, backup, {"old.tar.gz": out.getvalue()}, manifest)


def restored_samples():
    """Return the samples whose newer versions that server has, each name once."""
    found = {}
    for sample in SHOWN:
        left = sample["apiVersion"] in LEFT or sample["kind"] in LEFT_KINDS
        if not left and not sample["apiVersion"].startswith(("batch/", "autoscaling/")):
            found[sample["kind"], sample["metadata"]["name"]] = sample
    return list(found.values())


def test_restored_where_the_old_versions_are_gone(
    old_world, made, new_cluster, tmp_path
):
    """What an old server had comes back in a new one as the old one showed it in v1."""
    real, discovery = old_world
    stored, shown = [], []
    for sample in restored_samples():
        place, found = made(sample), conversions_of(sample, discovery)
        (version,) = {x.target for x in found if x.target.endswith("/v1")}
        newer = path(discovery, version, sample)
        two = same_object(real, place, f"{newer}/{place.rpartition('/')[2]}")
        stored.append(two[0])
        shown.append((newer, two[1]))

    with (
        Cluster.connect(new_cluster.kubeconfig) as target,
        BackupStore.open(tmp_path / "store") as store,
    ):
        in_backup(discovery, stored, store)
        engine = RestoreEngine(target, store)
        plan = engine.plan("back", SPEC, RestoreOptions(validate=True))
        result = engine.apply(plan)
        again = engine.plan("again", SPEC)

    told = [(str(x.target), x.reason) for x in plan.entries if x.action != "create"]
    assert told == []
    assert result.results.errors == ()
    assert all(x.converted_from for x in plan.entries if x.kind != "Namespace")
    assert again.counts == {"unchanged": len(stored)}
    for newer, expected in shown:
        name = quote(expected["metadata"]["name"], safe="")
        _, found = new_cluster.request("GET", f"{newer}/{name}")
        if not keeps_fields(expected):
            assert said(found) == said(expected)
    assert_kept(new_cluster, {"any": {"deep": [{"a": 1}]}})


def assert_kept(real, spec):
    """Make a custom resource; what v1beta1 kept of it untold v1 keeps as well."""
    body = {"apiVersion": "old.example.com/v1", "kind": "Plain", "spec": spec}
    body["metadata"] = {"name": "one"}
    place = f"/apis/old.example.com/v1/namespaces/{NAMESPACE}/plains"
    status, found = real.request("POST", place, body)
    assert status == 201, found
    assert found["spec"] == spec


def said(body):
    """Return what people say of an object, and nothing of whoever restored it."""
    told = content(body)
    metadata = told.pop("metadata")
    return told, metadata["name"], metadata.get("annotations") or {}


def test_what_has_no_home_is_not_written(old_world, made, new_cluster, tmp_path):
    """The plan names field and reason, and the restore ends with that error alone."""
    real, discovery = old_world
    place = made(changed_effects())
    _, stored = real.request("GET", place)

    with (
        Cluster.connect(new_cluster.kubeconfig) as target,
        BackupStore.open(tmp_path / "store") as store,
    ):
        in_backup(discovery, [stored], store)
        result = RestoreEngine(target, store).run("back", SPEC)

    (error,) = result.results.errors
    assert "webhooks[0].sideEffects: v1 takes None and NoneOnDryRun only" in str(error)
    newer = place.replace("v1beta1", "v1")
    assert new_cluster.request("GET", newer)[0] == 404


def changed_effects():
    """Return a webhook configuration that does not say what its webhook does."""
    body = copy.deepcopy(WEBHOOKS[0])
    body["metadata"]["name"] = "unsaid"
    del body["webhooks"][0]["sideEffects"]
    return body
