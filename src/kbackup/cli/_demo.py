"""``kbackup demo``: the main job from end to end, on a machine that has only Python."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from kbackup.cli._options import global_options
from kbackup.cli._output import plural
from kbackup.models import BackupSpec, RestoreSpec

if TYPE_CHECKING:
    from kbackup.catalog import BackupStore
    from kbackup.cluster import Cluster

_NAMESPACE = "shop"
_SECONDS_TO_DELETE = 30


@click.command()
@global_options
def demo() -> int:
    """Back up and restore a sample shop on a simulated cluster."""
    from kbackup.catalog import BackupStore  # noqa: PLC0415 - on demand
    from kbackup.testing import SimulatedCluster  # noqa: PLC0415 - an extra

    with (
        TemporaryDirectory(prefix="kbackup-demo-") as directory,
        SimulatedCluster() as simulated,
        simulated.connect() as cluster,
        BackupStore.open(Path(directory) / "store") as store,
    ):
        return _tell(cluster, store)


def _tell(cluster: Cluster, store: BackupStore) -> int:
    """Go through the story; return the exit code."""
    from kbackup.backup import BackupEngine  # noqa: PLC0415 - on demand
    from kbackup.restore import RestoreEngine  # noqa: PLC0415 - on demand

    _step(1, "A cluster with a shop in it")
    _say(f"{plural(_load(cluster), 'object')} created on {cluster.server} (simulated)")

    _step(2, "Back up the namespace")
    engine = BackupEngine(cluster, store)
    result = engine.run("shop-1", BackupSpec(included_namespaces=[_NAMESPACE]))
    items = result.backup.status.progress.items_backed_up
    _say(f"Backup shop-1: {result.backup.status.phase}, {plural(items, 'item')}")
    for warning in result.results.warnings:
        _say(f"warning: {warning.message}")

    _step(3, "Lose the namespace")
    _delete_namespace(cluster)
    _say("Namespace shop is deleted, and everything in it is gone")

    _step(4, "See what a restore would do: nothing is written yet")
    restorer = RestoreEngine(cluster, store)
    plan = restorer.plan("shop-back", RestoreSpec(backup_name="shop-1"))
    click.echo(str(plan))

    _step(5, "Carry out exactly that plan")
    restored = restorer.apply(plan)
    _say(f"Restore shop-back: {restored.restore.status.phase}")

    _step(6, "Compare the cluster with the backup")
    difference = restorer.compare("shop-1")
    _say(str(difference))
    _closing_words()
    return max(result.exit_code, restored.exit_code)


def _load(cluster: Cluster) -> int:
    """Create the sample shop."""
    from kbackup.testing import load_sample_shop  # noqa: PLC0415 - an extra

    def create(item: Mapping[str, Any]) -> Mapping[str, Any]:
        resource = cluster.discover().by_kind(item["apiVersion"], item["kind"])
        if resource is None:  # its definition was created a moment ago
            resource = cluster.discover(refresh=True).by_kind(
                item["apiVersion"], item["kind"]
            )
        if resource is None:
            raise click.ClickException(f"the cluster does not serve {item['kind']}")
        namespace = item["metadata"].get("namespace", "")
        return cluster.create(resource, item, namespace=namespace)

    return load_sample_shop(create)


def _delete_namespace(cluster: Cluster) -> None:
    """Delete the namespace and the volume, and wait until they are gone."""
    discovery = cluster.discover()
    namespaces = discovery.resolve("namespaces")
    volumes = discovery.resolve("persistentvolumes")
    if namespaces is None or volumes is None:
        raise click.ClickException("the cluster serves no namespaces")
    cluster.delete(namespaces, _NAMESPACE)
    cluster.delete(volumes, "pv-orders")
    deadline = time.monotonic() + _SECONDS_TO_DELETE
    while any(item.name == _NAMESPACE for item in cluster.list(namespaces)):
        if time.monotonic() > deadline:
            raise click.ClickException("the namespace is still being deleted")
        time.sleep(0.1)


def _step(number: int, title: str) -> None:
    click.secho(f"\n{number}. {title}", bold=True)


def _say(text: str) -> None:
    for line in text.splitlines():
        click.echo(f"   {line}")


def _closing_words() -> None:
    """Say what to type next, with a real cluster."""
    click.secho("\nNow with a cluster of yours:", bold=True)
    for command in (
        "kbackup doctor",
        "kbackup backup create first --include-namespaces default --location ./backups",
        "kbackup backup describe first --location ./backups",
        "kbackup restore plan --from-backup first --location ./backups",
    ):
        click.echo(f"   {command}")
