"""CRDs, webhook configurations and APIServices of older clusters."""

import pytest

from kbackup.actions._restore_admission_webhook import AdmissionWebhookAction
from kbackup.actions._restore_apiservice import APIServiceAction
from kbackup.actions._restore_crd_preserve_fields import CRDPreserveFieldsAction
from kbackup.models import GroupResource
from kbackup.plugins.engine import ActionIndex
from kbackup.testing import StaticClusterReader, restore_input

CRDS = "customresourcedefinitions.apiextensions.k8s.io"
WEBHOOKS = "validatingwebhookconfigurations.admissionregistration.k8s.io"
API_SERVICES = GroupResource("apiregistration.k8s.io", "apiservices")
PRESERVE = "x-kubernetes-preserve-unknown-fields"


def crd(preserve, *schemas, version="v1"):
    """A CRD with one version for each schema; None is a version without one."""
    return {
        "apiVersion": f"apiextensions.k8s.io/{version}",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "preserveUnknownFields": preserve,
            "versions": [
                {"name": f"v{number}", "schema": {"openAPIV3Schema": schema}}
                if schema is not None
                else {"name": f"v{number}"}
                for number, schema in enumerate(schemas, 1)
            ],
        },
    }


def test_preserved_fields_move_into_the_schemas():
    """The switch for all versions becomes one in each version's schema."""
    item = crd(True, {"type": "object", "properties": {"a": {}}}, None)
    given = restore_input(CRDS, item)

    expected = crd(
        False,
        {"type": "object", "properties": {"a": {PRESERVE: True}}, PRESERVE: True},
        {"type": "object", PRESERVE: True},
    )
    del expected["spec"][
        "preserveUnknownFields"
    ]  # as servers show a switch that is off
    assert CRDPreserveFieldsAction().execute(given).item == expected


def opened(schema):
    """The schema of field ``spec``, once its CRD is restored."""
    schema = {"type": "object", "properties": {"spec": schema}}
    given = restore_input(CRDS, crd(True, schema))
    restored = CRDPreserveFieldsAction().execute(given).item
    (version,) = restored["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]["properties"]["spec"]


EMPTY, OPEN, TEXT = (
    {"type": "object"},
    {"type": "object", PRESERVE: True},
    {"type": "x"},
)
TWO_TYPES = [{"type": "integer"}, {"type": "string"}]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (EMPTY, OPEN),
        (TEXT, TEXT),
        ({**EMPTY, "properties": {"a": EMPTY}}, {**OPEN, "properties": {"a": OPEN}}),
        ({"type": "array", "items": EMPTY}, {"type": "array", "items": OPEN}),
        (
            {**EMPTY, "additionalProperties": EMPTY},
            {**OPEN, "additionalProperties": OPEN},
        ),
        ({"required": ["a"]}, {"required": ["a"], PRESERVE: True}),
        (
            {"anyOf": TWO_TYPES[::-1]},
            {"anyOf": TWO_TYPES, "x-kubernetes-int-or-string": True},
        ),
    ],
    ids=["object", "text", "field", "list", "map", "no type", "number or text"],
)
def test_fields_are_preserved_however_deep(schema, expected):
    """What a CRD specifies does not make the server drop what stands beside it."""
    assert opened(schema) == expected


def test_metadata_is_nobodys_to_preserve():
    """The server keeps metadata by itself, and refuses a schema that says so."""
    metadata = {"metadata": {"type": "object"}}
    schema = {**EMPTY, "properties": metadata}
    given = restore_input(CRDS, crd(True, schema))
    (version,) = CRDPreserveFieldsAction().execute(given).item["spec"]["versions"]
    embedded = {**schema, "x-kubernetes-embedded-resource": True}

    assert version["schema"]["openAPIV3Schema"]["properties"] == metadata
    assert opened(embedded)["properties"] == metadata
    assert opened(schema)["properties"] == {"metadata": OPEN}


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({**EMPTY, "properties": {"labels": EMPTY}}, EMPTY),
        ({**EMPTY, "properties": {"name": TEXT}}, None),
    ],
    ids=["labels", "name"],
)
def test_metadata_that_v1_lets_nobody_specify(metadata, expected):
    """Of metadata only names may be specified; a schema with more says just object."""
    given = restore_input(
        CRDS, crd(True, {**EMPTY, "properties": {"metadata": metadata}})
    )
    (version,) = CRDPreserveFieldsAction().execute(given).item["spec"]["versions"]

    (found,) = version["schema"]["openAPIV3Schema"]["properties"].values()
    assert found == (expected or metadata)


@pytest.mark.parametrize("live_preserves", [True, False])
def test_a_live_definition_that_preserves_is_left_so(live_preserves):
    """Where the target has the CRD of old as it is, nothing about it is to change."""
    item = crd(True, EMPTY)
    cluster = StaticClusterReader({CRDS: [crd(live_preserves, EMPTY)]})
    given = restore_input(CRDS, item, cluster=cluster)

    is_kept = CRDPreserveFieldsAction().execute(given).item == item
    assert is_kept == live_preserves


@pytest.mark.parametrize(
    "item",
    [crd(False, {"type": "object"}), crd(True, {"type": "object"}, version="v1beta1")],
    ids=["switch off", "older API"],
)
def test_other_crds_are_untouched(item):
    """A CRD that does not preserve, or is of the older API, is written as it is."""
    assert CRDPreserveFieldsAction().execute(restore_input(CRDS, item)).item == item


def configuration(*effects, version="v1"):
    """A configuration with a webhook for each word; an empty one says nothing."""
    return {
        "apiVersion": f"admissionregistration.k8s.io/{version}",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "check"},
        "webhooks": [
            {"name": "a", **({"sideEffects": e} if e else {})} for e in effects
        ],
    }


def test_side_effects_that_v1_refuses():
    """What v1 does not accept becomes None; what it accepts stays."""
    item = configuration("Some", "Unknown", "", "None", "NoneOnDryRun")
    given = restore_input(WEBHOOKS, item)

    assert AdmissionWebhookAction().execute(given).item == configuration(
        "None", "None", "None", "None", "NoneOnDryRun"
    )


def test_side_effects_of_the_older_api():
    """A configuration of the older API may say what it says."""
    item = configuration("Some", version="v1beta1")

    given = restore_input(WEBHOOKS, item)

    assert AdmissionWebhookAction().execute(given).item == item


@pytest.mark.parametrize("value", ["onstart", "true", ""])
def test_automanaged_api_services_are_skipped(value):
    """An APIService that the server keeps itself is for the action, which skips it."""
    item = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {
            "name": "v1.apps",
            "labels": {"kube-aggregator.kubernetes.io/automanaged": value},
        },
    }
    action = APIServiceAction()
    (found,) = ActionIndex((action,), lambda name: None).for_type(API_SERVICES)

    assert found.wants("", item["metadata"]["labels"])
    assert action.execute(restore_input(str(API_SERVICES), item)).skip


def test_api_services_of_users_are_not_for_the_action():
    """An APIService without the label is restored: the action is not asked."""
    index = ActionIndex((APIServiceAction(),), lambda name: None)
    (found,) = index.for_type(API_SERVICES)

    assert not found.wants("", {"app": "metrics-server"})
    assert not found.wants("", None)
