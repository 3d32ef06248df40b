"""What lies in an archive under a type that is not its own is found by the archive alone."""

import io
import json

import pytest

from kbackup.archive import ArchiveReader, find_misfiled, misfiled
from kbackup.models import GroupResource, well_known

from .conftest import TarBuilder, body_of

RBAC = "rbac.authorization.k8s.io/v1"
CRDS = str(well_known.CRDS)


def definition(resource, kind):
    """A definition of a type, as far as it matters here."""
    return body_of(
        resource,
        api_version="apiextensions.k8s.io/v1",
        kind="CustomResourceDefinition",
        spec={"names": {"kind": kind}},
    )


@pytest.fixture(name="found")
def fixture_found(tmp_path):
    """Finds what is misfiled among items of type, name, apiVersion and kind."""

    def find(*items, definitions=()):
        archive = TarBuilder()
        for resource, name, api_version, kind in items:
            body = body_of(name, "shop", api_version=api_version, kind=kind)
            archive.item(resource, "shop", name, body)
        for resource, body in definitions:
            archive.item(CRDS, "", resource, body)
        reader = ArchiveReader(io.BytesIO(archive.bytes()))
        with reader.index(tmp_path) as contents:
            return {str(item): reason for item, reason in find_misfiled(contents)}

    return find


@pytest.mark.parametrize(
    ("resource", "api_version", "kind"),
    [
        ("secrets", "v1", "ConfigMap"),
        ("configmaps", RBAC, "RoleBinding"),
        ("roles.rbac.authorization.k8s.io", RBAC, "ClusterRole"),
        ("deployments.apps", "extensions/v1beta1", "Deployment"),
        ("secrets", "example.com/v1", "Secret"),
        ("widgets.example.com", "v1", "Secret"),
    ],
)
def test_an_item_of_another_type_is_named(found, resource, api_version, kind):
    """An object is named that a restore of the type it lies under would smuggle in."""
    assert found((resource, "x", api_version, kind)) == {
        f"{resource}/shop/x": (
            f"the archive files it under {resource}, it is a {kind} of {api_version}"
        )
    }


@pytest.mark.parametrize(
    ("resource", "api_version", "kind"),
    [
        ("secrets", "v1", "Secret"),
        ("endpoints", "v1", "Endpoints"),
        ("networkpolicies.networking.k8s.io", "networking.k8s.io/v1", "NetworkPolicy"),
        (
            "gateways.gateway.networking.k8s.io",
            "gateway.networking.k8s.io/v1",
            "Gateway",
        ),
        ("cronjobs.batch", "batch/v1beta1", "CronJob"),
        ("ingresses.extensions", "networking.k8s.io/v1", "Ingress"),
        ("oxen.example.com", "example.com/v1", "Ox"),
    ],
)
def test_an_item_of_its_own_type_is_not_named(found, resource, api_version, kind):
    """Twins, versions and plurals that a definition made up are no faults of a backup."""
    assert found((resource, "x", api_version, kind)) == {}


def test_the_one_among_others_is_named(found):
    """Among many right items the wrong one is found, whatever place it has."""
    rest = [("secrets", f"s{number}", "v1", "Secret") for number in range(3)]

    for items in ([("secrets", "a", "v1", "ConfigMap"), *rest], rest):
        named = found(*items, ("secrets", "z", "v1", "Service"))
        assert set(named) == {
            f"secrets/shop/{name}"
            for _, name, _, kind in (*items, ("", "z", "", ""))
            if kind != "Secret"
        }


def test_a_definition_says_which_kind_a_type_has(found):
    """Of a type whose definition is in the backup even a lone wrong item is found."""
    ox, cow = (
        ("oxen.example.com", "x", "example.com/v1", kind) for kind in ("Ox", "Cow")
    )
    definitions = [("oxen.example.com", definition("oxen.example.com", "Ox"))]

    assert found(ox, definitions=definitions) == {}
    assert set(found(cow, definitions=definitions)) == {"oxen.example.com/shop/x"}


def test_without_a_definition_the_odd_one_out_is_named(found):
    """Of a type that the archive does not define most items tell the kind."""
    oxen = [
        ("oxen.example.com", f"o{number}", "example.com/v1", "Ox")
        for number in range(2)
    ]

    named = found(*oxen, ("oxen.example.com", "a", "example.com/v1", "Cow"))

    assert set(named) == {"oxen.example.com/shop/a"}


@pytest.mark.parametrize(
    "spec", [None, [], {}, {"names": 5}, {"names": {"kind": ["Ox"]}}], ids=json.dumps
)
def test_an_odd_definition_says_nothing(found, spec):
    """A definition that is not as Kubernetes has them keeps nothing from being looked at."""
    odd = body_of(
        "oxen.example.com", api_version="apiextensions.k8s.io/v1", kind="X", spec=spec
    )

    named = found(
        ("oxen.example.com", "x", "example.com/v1", "Ox"),
        definitions=[("oxen.example.com", odd)],
    )

    assert set(named) == {f"{CRDS}/oxen.example.com"}  # it is an X


def test_twins_are_of_one_type():
    """One Ingress is shown under two groups: either may be in the archive."""
    head = ("networking.k8s.io/v1", "Ingress")
    stored = ["ingresses.extensions", "ingresses.serving.example.com"]

    twin, other = (
        misfiled(GroupResource.parse(each), well_known.INGRESSES, head)
        for each in stored
    )

    assert not twin
    assert other


def test_the_later_of_two_items_under_one_name_counts(found):
    """What the first of two entries of one path was says nothing of the type."""
    named = found(("secrets", "x", "v1", "Secret"), ("secrets", "x", "v1", "ConfigMap"))

    assert set(named) == {"secrets/shop/x"}
    assert "it is a ConfigMap of v1" in named["secrets/shop/x"]
