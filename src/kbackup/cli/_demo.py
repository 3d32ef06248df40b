"""``kbackup demo``: the main job from end to end, on a machine that has only Python."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from kbackup._kits.words import plural
from kbackup.cli._options import global_options
from kbackup.cli._output import document, echo, print_document
from kbackup.cli._session import Session
from kbackup.errors import PluginLoadError
from kbackup.models import BackupSpec, RestoreSpec

if TYPE_CHECKING:
    from kbackup.catalog import BackupStore
    from kbackup.cluster import Cluster
    from kbackup.models import BackupResult, Difference, RestoreResult

_NAMESPACE = "shop"
_VOLUME = "pv-orders"
_SECONDS_TO_DELETE = 30


@click.command()
@global_options
@click.pass_obj
def demo(session: Session) -> int:
    """Back up and restore a sample shop on a simulated cluster.

    Nothing outside a temporary directory and this machine's loopback is touched.
    """
    from kbackup.catalog import BackupStore  # noqa: PLC0415 - on demand

    try:
        from kbackup.testing import SimulatedCluster  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as exc:
        raise PluginLoadError(
            f"the simulated cluster needs {exc.name}, which is not installed",
            hint="pip install 'kbackup[simulator]'",
        ) from exc

    with (
        TemporaryDirectory(prefix="kbackup-demo-") as directory,
        SimulatedCluster() as simulated,
        simulated.connect() as cluster,
        BackupStore.open(Path(directory) / "store") as store,
    ):
        story = _Story(cluster, store, to_stderr=session.output != "table")
        content = story.tell()
    print_document(session, content, lambda: None)
    return int(content["exitCode"])


class _Story:
    """The demo, step by step."""

    def __init__(
        self, cluster: Cluster, store: BackupStore, *, to_stderr: bool
    ) -> None:
        from kbackup.backup import BackupEngine  # noqa: PLC0415 - on demand
        from kbackup.restore import RestoreEngine  # noqa: PLC0415 - on demand

        self._cluster = cluster
        self._backups = BackupEngine(cluster, store)
        self._restores = RestoreEngine(cluster, store)
        self._to_stderr = to_stderr

    def tell(self) -> dict[str, Any]:
        """Go through the story; return what came of it."""
        from kbackup.testing import load_sample_shop  # noqa: PLC0415 - an extra

        self._step(1, "A cluster with a web shop in it")
        number = plural(load_sample_shop(self._cluster), "object")
        self._say(
            f"{number} in a simulated cluster: a Deployment with its ReplicaSet and Pods,",
            "a Service, a Secret, a volume and its claim, a custom resource, rights...",
        )
        backup = self._back_up()
        self._step(3, "Lose the namespace")
        _delete_namespace(self._cluster)
        self._say(
            "Namespace shop is deleted, with everything in it. Its volume pv-orders has the",
            "policy Retain: it is still there, Released, with the orders on it.",
        )
        restore = self._restore()
        difference = self._compare()
        self._tell_of_the_data()
        self._closing_words()
        whole = difference.is_empty
        return document(
            "DemoReport",
            backup=str(backup.backup.status.phase),
            restore=str(restore.restore.status.phase),
            comparison=difference.to_json(),
            exitCode=max(backup.exit_code, restore.exit_code, 0 if whole else 1),
        )

    def _back_up(self) -> BackupResult:
        self._step(2, "Back up the namespace")
        spec = BackupSpec(included_namespaces=[_NAMESPACE])
        result = self._backups.run("shop-1", spec)
        status = result.backup.status
        items = status.progress.items_backed_up if status.progress else 0
        self._say(f"Backup shop-1: {status.phase}, {plural(items, 'item')}.")
        self._say(*(f"warning: {entry}" for entry in result.results.warnings))
        return result

    def _restore(self) -> RestoreResult:
        self._step(4, "See what a restore would do: nothing is written yet")
        spec = RestoreSpec(backup_name="shop-1")
        plan = self._restores.plan("shop-back", spec)
        self._say(*str(plan).splitlines())
        self._step(5, "Carry out exactly that plan, and compare cluster and backup")
        result = self._restores.apply(plan)
        counts = Counter(outcome.action for outcome in result.outcomes)
        done = ", ".join(f"{n} {action}" for action, n in sorted(counts.items()))
        self._say(f"Restore shop-back: {result.restore.status.phase}, {done}.")
        return result

    def _compare(self) -> Difference:
        difference = self._restores.compare("shop-1")
        if difference.is_empty:
            same = plural(difference.same, "object")
            self._say(f"{same} compared: every one is as it was in the backup.")
        else:
            self._say(*str(difference).splitlines())
        self._say(
            "Left out: the ReplicaSet and its Pods. Controllers make them, and here are none."
        )
        return difference

    def _tell_of_the_data(self) -> None:
        self._step(6, "And the orders?")
        self._say(
            f"They are still on {_VOLUME}. The backup has no data of a volume, so the claim gets",
            "a new, empty one, as the plan said. This would have given it the old one again:",
            "kbackup restore create --from-backup shop-1 --released-volumes reattach",
        )

    def _closing_words(self) -> None:
        self._echo("\nNow with a cluster of yours:", bold=True)
        create = "kbackup backup create first --include-namespaces default"
        settings = "KBACKUP_LOCATION=./backups"
        if shutil.which("kbackup") is None:  # in a virtual environment not activated
            settings += f' PATH="{Path(sys.executable).parent}:$PATH"'
        self._say(
            f"export {settings}",
            "kbackup doctor",
            create,
            "kbackup restore plan --from-backup first",
        )

    def _step(self, number: int, title: str) -> None:
        gap = "\n" if number > 1 else ""
        self._echo(f"{gap}{number}. {title}", bold=True)

    def _say(self, *lines: str) -> None:
        for line in lines:
            self._echo(f"   {line}".rstrip())

    def _echo(self, text: str, *, bold: bool = False) -> None:
        echo(text, bold=bold, err=self._to_stderr)


def _delete_namespace(cluster: Cluster) -> None:
    """Delete the namespace, wait until it is gone, and release its volume.

    The latter is what the volume controller of a real cluster does.
    """
    discovery = cluster.discover()
    namespaces = discovery.resolve("namespaces")
    volumes = discovery.resolve("persistentvolumes")
    if namespaces is None or volumes is None:
        raise click.ClickException("the cluster serves no namespaces")
    cluster.delete(namespaces, _NAMESPACE)
    deadline = time.monotonic() + _SECONDS_TO_DELETE
    while any(item.name == _NAMESPACE for item in cluster.list(namespaces)):
        if time.monotonic() > deadline:
            raise click.ClickException("the namespace is still being deleted")
        time.sleep(0.1)
    released = {"status": {"phase": "Released"}}
    cluster.patch(volumes, _VOLUME, released, subresource="status")
