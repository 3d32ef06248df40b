"""Conversions held against the API server's own, which serves old and new versions."""

import copy
import time
from urllib.parse import quote

import pytest

from conversion_samples import NAMESPACE, NEWER, SAMPLES, told
from kbackup.cluster import Cluster
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


@pytest.mark.parametrize(
    "sample", [x for x in SHOWN if not keeps_fields(x)], ids=told
)
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
