"""The parts of a plan that many tests need, and little depends on."""

from datetime import timedelta

from kbackup.restore import PlanHead

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
