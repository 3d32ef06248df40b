"""The parts of a plan that many tests need, and little depends on."""

from datetime import timedelta

from kbackup._kits.differences import Difference
from kbackup.models import (
    GroupResource,
    ResourceIdentifier,
    RestoreOptions,
    RestoreSpec,
)
from kbackup.restore import (
    ClaimLine,
    ClaimVerdict,
    Notice,
    PlanAction,
    PlanEntry,
    PlanHead,
    Precondition,
    RestorePlan,
)

HEAD = PlanHead(
    server="https://10.0.0.1:6443",
    context="prod",
    cluster_uid="c1",
    cluster_version="v1.20.2",
    same_cluster=False,
    restore_name="try-1",
    restore_uid="r1",
    backup_name="shop-1",
    backup_uid="b1",
    backup_phase="PartiallyFailed",
    backup_age=timedelta(hours=3, seconds=1),
    backup_warnings=2,
    backup_errors=1,
    not_covered=("pods in shop: forbidden",),
    archive_digest="ab" * 32,
    writer_version="0.1",
)


def config_map(name="settings", namespace="shop", **data):
    """A ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def namespace(name="shop"):
    """A Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def ref_of(kind="secrets", name="tls", namespace="shop"):
    """An identifier, from text."""
    return ResourceIdentifier(GroupResource.parse(kind), namespace, name)


def entry_of(action, ref=None, **more):
    """A line of a plan; its item stays where it was unless a target is given."""
    ref = ref or ref_of()
    return PlanEntry(**{"identifier": ref, "target": ref, "action": action, **more})


def plan_of(*entries, **more):
    """A plan of these lines, with other parts where they are given."""
    parts = {
        "head": HEAD,
        "spec": RestoreSpec(backup_name="shop-1"),
        "options": RestoreOptions(),
    }
    return RestorePlan(entries=entries, **{**parts, **more})


def full_plan(**parts):
    """A plan that has something in every part of it: an update, a create, a claim."""
    written = {"digest": "ab" * 32, "api_version": "v1", "kind": "Secret"}
    updated = entry_of(
        PlanAction.UPDATE,
        precondition=Precondition("8d", "41"),
        differences=(Difference(path="type", op="change", left=1.0, right="Opaque"),),
        wave=2,
        **written,
    )
    created = entry_of(
        PlanAction.CREATE,
        ref_of(name="key"),
        second_write=True,
        status="second",
        reason="Größe",
        changed_by=("acme.io/images",),
        adopter="StatefulSet.apps/db",
        idle=True,
        **written,
    )
    claim = ref_of("persistentvolumeclaims", "data")
    line = ClaimLine(claim=claim, target=claim, verdict=ClaimVerdict.NONE)
    return plan_of(
        updated,
        created,
        **{
            "claims": (line,),
            "notices": (Notice(what="grants rights", items=(ref_of(),)),),
            "spec": RestoreSpec(backup_name="shop-1", included_namespaces=["shop"]),
            **parts,
        },
    )
