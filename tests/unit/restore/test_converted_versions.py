"""A backup of several versions of a type, of which the target serves some, or none."""

import copy
import io
import json

import attrs
import pytest

from conversion_samples import BUDGETS, NAMESPACE, SLICES, backend, item
from kbackup.archive import ArchiveWriter
from kbackup.catalog import Manifest
from kbackup.models import (
    Backup,
    BackupPhase,
    BackupStatus,
    ObjectMeta,
    RestoreOptions,
    RestoreSpec,
)
from kbackup.restore import PlanAction, RestorePlan

SPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
SPEC = RestoreSpec(backup_name="shop-1")
CHOOSE = RestoreOptions(enable_api_group_versions=True)
SCALERS = "horizontalpodautoscalers.autoscaling"
INGRESSES = "ingresses.networking.k8s.io"
OLDER_INGRESSES = "ingresses.extensions"
BUDGET_TYPE = "poddisruptionbudgets.policy"
SLICE_TYPE = "endpointslices.discovery.k8s.io"
UID = "c3a1c9f4-31c7-4c0e-9a58-54d8a0f7f9be"


@pytest.fixture(name="hold")
def fixture_hold(make_shop):
    """Makes a shop of items by type; of each name the first version is the preferred."""

    def make(**types):
        shop = make_shop([])
        out = io.BytesIO()
        items = 1
        with ArchiveWriter(out, mtime=0) as archive:
            add(archive, "namespaces", SPACE)
            for resource, bodies in types.items():
                names = set()
                preferred = bodies[0]["apiVersion"]
                for body in bodies:
                    names.add(body["metadata"]["name"])
                    is_preferred = body["apiVersion"] == preferred
                    add(archive, resource, body, preferred=is_preferred)
                items += len(names)
        shop.store.delete("shop-1", files_only=True)
        backup = Backup(
            metadata=ObjectMeta(name="shop-1", uid=UID),
            status=BackupStatus(phase=BackupPhase.COMPLETED),
        )
        manifest = Manifest(items=items, entries=archive.entries)
        with shop.store.claim("shop-1", run_uid=UID) as claim:
            content = {"shop-1.tar.gz": out.getvalue()}
            shop.store.publish(claim, backup, content, manifest)
        return shop

    return make


def add(archive, resource, body, *, preferred=True):
    """Write an item in one version."""
    archive.add(
        resource=resource,
        version=body["apiVersion"].rpartition("/")[2],
        namespace=body["metadata"].get("namespace", ""),
        name=body["metadata"]["name"],
        body=json.dumps(body).encode(),
        preferred=preferred,
    )


def autoscaler(version, name="web", **more):
    """Return an autoscaler without metrics, whose annotation says where it is from."""
    to = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"scaleTargetRef": to, "maxReplicas": 3, **more}
    notes = {"from": version}
    version = f"autoscaling/{version}"
    return item(version, "HorizontalPodAutoscaler", name, spec, annotations=notes)


def ingress(version):
    """Return an Ingress in a version."""
    spec = {"backend": backend()}
    if version == "networking.k8s.io/v1":
        spec = {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}
    return item(version, "Ingress", "web", spec)


def done(shop, options=CHOOSE):
    """Plan, save and load the plan, apply it; return it and the outcomes by target."""
    plan = shop.engine.plan("r", SPEC, options)
    result = shop.engine.apply(RestorePlan.from_json(json.dumps(plan.to_json())))
    assert result.results.errors == ()
    again = shop.engine.plan("r-2", SPEC, options)
    assert again.is_empty
    assert not again.counts[PlanAction.CONFLICT]
    names = [str(x.identifier) for x in result.outcomes if x.action == "created"]
    assert len(names) == len(set(names))
    return plan, set(names)


def line(plan, name="web"):
    """Return the one line that writes an object."""
    (found,) = [x for x in plan.entries if x.target.name == name and x.action.writes]
    return found


def notes(shop, resource, name="web"):
    """Return the annotations of a restored object."""
    return shop.object(resource, NAMESPACE, name)["metadata"].get("annotations")


def test_none_is_served(hold):
    """What the source preferred is converted, and each object is restored once."""
    both = [autoscaler("v2beta2"), autoscaler("v2beta1")]
    shop = hold(**{SCALERS: both})

    plan, made = done(shop)

    found = line(plan)
    assert (found.converted_from, found.api_version) == (
        "autoscaling/v2beta2",
        "autoscaling/v2",
    )
    assert "as the source preferred" in str(plan)
    assert made == {"namespaces/old", f"{SCALERS}/old/web"}
    assert notes(shop, SCALERS) == {"from": "v2beta2"}


def test_one_is_served(hold):
    """That one is taken as it is, though another could be converted."""
    stored = [BUDGETS[0], {**BUDGETS[0], "apiVersion": "policy/v1"}]
    stored[1]["spec"] = {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}
    shop = hold(**{BUDGET_TYPE: stored})
    name = BUDGETS[0]["metadata"]["name"]

    plan, made = done(shop)

    found = line(plan, name)
    assert (found.converted_from, found.api_version) == ("", "policy/v1")
    assert f"{BUDGET_TYPE} v1 instead of v1beta1: the target prefers it" in str(plan)
    assert "converted from" not in str(plan)
    assert made == {"namespaces/old", f"{BUDGET_TYPE}/old/{name}"}
    live = shop.object(BUDGET_TYPE, NAMESPACE, name)
    assert live["spec"]["selector"] == {"matchLabels": {"a": "b"}}


def test_the_preferred_one_has_no_home_and_another_is_served(hold):
    """What the source converted itself is no conflict, as long as it is chosen from."""
    homeless = copy.deepcopy(SLICES[0])
    homeless["endpoints"][0]["topology"]["topology.kubernetes.io/region"] = "eu"
    served = {**SLICES[0], "apiVersion": "discovery.k8s.io/v1"}
    served["endpoints"] = [{"addresses": ["10.0.0.1"]}]
    shop = hold(**{SLICE_TYPE: [homeless, served]})

    plain = shop.engine.plan("plain", SPEC)
    plan, _ = done(shop)

    (refused,) = [x for x in plain.entries if x.kind == "EndpointSlice"]
    assert refused.action is PlanAction.CONFLICT
    assert line(plan).api_version == "discovery.k8s.io/v1"


def test_only_another_one_can_be_converted(hold):
    """Of those that the target does not serve one that it can be given is taken."""
    shop = hold(**{SCALERS: [autoscaler("v3alpha1"), autoscaler("v2beta2")]})

    plain = shop.engine.plan("plain", SPEC)
    plan, _ = done(shop)

    (refused,) = [x for x in plain.entries if x.kind == "HorizontalPodAutoscaler"]
    assert refused.action is PlanAction.CONFLICT
    assert line(plan).converted_from == "autoscaling/v2beta2"
    chosen = f"{SCALERS} v2beta2 instead of v3alpha1: the target has none of them"
    assert chosen in str(plan)
    assert notes(shop, SCALERS) == {"from": "v2beta2"}
    unconverted = attrs.evolve(CHOOSE, convert=False)
    plan = shop.engine.plan("as-it-is", SPEC, unconverted)
    assert "instead of" not in str(plan)


def test_an_item_without_a_copy_is_converted(hold):
    """What is there in one version only is converted beside others that are not."""
    stored = [autoscaler("v2beta2"), autoscaler("v1"), autoscaler("v2beta2", "alone")]
    shop = hold(**{SCALERS: stored})

    plan, made = done(shop)

    assert (line(plan).converted_from, line(plan).api_version) == ("", "autoscaling/v1")
    alone = line(plan, "alone")
    assert (alone.converted_from, alone.api_version) == (
        "autoscaling/v2beta2",
        "autoscaling/v2",
    )
    assert len(made) == 3
    assert notes(shop, SCALERS) == {"from": "v1"}


@pytest.mark.parametrize("newest", [True, False], ids=["served", "all gone"])
def test_the_same_object_under_two_groups(hold, newest):
    """One Ingress of two groups and several versions is restored once."""
    versions = ["networking.k8s.io/v1beta1", "networking.k8s.io/v1"][: 1 + newest]
    of_two = {
        OLDER_INGRESSES: [ingress("extensions/v1beta1")],
        INGRESSES: [ingress(version) for version in versions],
    }
    shop = hold(**of_two)

    plan, made = done(shop)

    assert made == {"namespaces/old", f"{INGRESSES}/old/web"}
    found = line(plan)
    assert found.api_version == "networking.k8s.io/v1"
    assert found.converted_from == ("" if newest else "networking.k8s.io/v1beta1")
    (left,) = [x for x in plan.entries if x.action is PlanAction.SKIP]
    assert left.reason == f"the same object as in {INGRESSES}"
