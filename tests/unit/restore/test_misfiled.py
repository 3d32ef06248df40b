"""What is written is of the type that was selected, whatever an archive files it under."""

import json

import pytest
from msgspec.structs import replace

from kbackup.errors import ArchiveCorruptError
from kbackup.models import (
    GroupResource,
    ResourceIdentifier,
    RestoreSpec,
    well_known,
)
from kbackup.plugins import Run
from kbackup.restore import PlanAction, RestorePlan
from kbackup.restore._request.redaction import Redaction
from kbackup.restore._target.types import ServedTypes

from .conftest import TYPES

RBAC = "rbac.authorization.k8s.io"
UPDATE = RestoreSpec(backup_name="shop-1", existing_resource_policy="update")
ROLE_BINDING = {
    "apiVersion": f"{RBAC}/v1",
    "kind": "RoleBinding",
    "metadata": {"name": "a-binding", "namespace": "shop"},
    "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [{"apiGroup": RBAC, "kind": "User", "name": "eve"}],
}
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}


def _object(kind, name, value):
    """A ConfigMap or a Secret."""
    metadata = {"name": name, "namespace": "shop"}
    data = {"v": value}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": data}


@pytest.fixture(name="filed")
def fixture_filed(make_shop, monkeypatch):
    """Makes a shop whose archive files objects of *kind* under *resource*."""

    def make(kind, resource, objects):
        monkeypatch.setitem(TYPES, kind, resource)
        shop = make_shop([NAMESPACE, *objects], as_is=True)
        monkeypatch.undo()
        return shop

    return make


def test_a_binding_does_not_pass_as_a_config_map(filed):
    """A restore of ConfigMaps alone grants nobody a role."""
    shop = filed("RoleBinding", "configmaps", [ROLE_BINDING])
    spec = RestoreSpec(backup_name="shop-1", included_resources=("configmaps",))

    plan = shop.engine.plan("try-1", spec)
    result = shop.engine.apply(plan)

    (entry,) = [x for x in plan.entries if x.identifier.name == "a-binding"]
    assert entry.action is PlanAction.CONFLICT
    assert entry.reason == (
        f"the archive files it under configmaps, it is a RoleBinding of {RBAC}/v1"
    )
    assert not shop.names(f"rolebindings.{RBAC}", "shop")
    assert [o.action for o in result.outcomes if o.identifier == entry.identifier] == [
        "failed"
    ]


def test_the_others_of_its_type_meet_their_live_objects(filed):
    """A misfiled item, though it is the first, does not hide what the target has."""
    settings = _object("ConfigMap", "settings", "new")
    shop = filed("RoleBinding", "configmaps", [ROLE_BINDING, settings])
    shop.simulated.load([NAMESPACE, _object("ConfigMap", "settings", "old")])

    plan = shop.engine.plan("try-1", UPDATE)

    assert [x.action for x in plan.entries if x.identifier.name == "settings"] == [
        PlanAction.UPDATE
    ]


def test_what_is_filed_under_secrets_is_hidden_and_not_written(filed):
    """A ConfigMap among the Secrets changes no ConfigMap, and is as hidden as they are."""
    shop = filed("ConfigMap", "secrets", [_object("ConfigMap", "settings", "stored-v")])
    live = [_object(kind, "settings", "bGl2ZQ==") for kind in ("ConfigMap", "Secret")]
    shop.simulated.load([NAMESPACE, *live])

    plan = shop.engine.plan("try-1", UPDATE)
    shop.engine.apply(plan)

    assert shop.object("configmaps", "shop", "settings")["data"] == {"v": "bGl2ZQ=="}
    assert "stored-v" not in json.dumps(plan.to_json())
    assert Redaction().hides(well_known.SECRETS, "ConfigMap")


def test_a_writer_finds_no_endpoint_for_it(filed):
    """Also an entry of a type that came with the restore is refused when written."""
    shop = filed("RoleBinding", "configmaps", [ROLE_BINDING])
    plan: RestorePlan = shop.engine.plan("try-1", UPDATE)
    (entry,) = [x for x in plan.entries if x.identifier.name == "a-binding"]
    run = Run(uid="r", kind="restore", name="try-1")
    types = ServedTypes(shop.cluster, shop.cluster.discover(), run)

    with pytest.raises(
        ArchiveCorruptError, match="configmaps/shop/a-binding: the arch"
    ):
        types.find(entry)

    right = ResourceIdentifier(GroupResource(RBAC, "rolebindings"), "shop", "a-binding")
    assert types.find(replace(entry, identifier=right)) is not None
