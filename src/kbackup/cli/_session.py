"""What one call of the command line opens: the cluster, the store, the cancel token."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import attrs
import click

if TYPE_CHECKING:  # heavy rooms are imported by the command that needs them
    from kbackup._kits.workers import CancelToken
    from kbackup.catalog import BackupStore
    from kbackup.cluster import Cluster
    from kbackup.models import BackupStorageLocation
    from kbackup.plugins import ObjectStore, PluginManager


@attrs.define
class Session:
    """The global options, and what is opened by them on demand.

    Attributes:
        kubeconfig: None: as kubectl finds it.
        context: Empty: the kubeconfig's current one.
        locations: Addresses or one name; empty: the environment's, then the file's.
        output: ``table``, ``json`` or ``yaml``.
    """

    kubeconfig: Path | None = None
    context: str = ""
    locations: tuple[str, ...] = ()
    output: str = "table"
    _plugins: PluginManager | None = None
    _opened: ExitStack = attrs.field(factory=ExitStack)

    @property
    def plugins(self) -> PluginManager:
        """The installed plugins, less those that the environment switches off."""
        if self._plugins is None:
            from kbackup.plugins import PluginManager  # noqa: PLC0415 - on demand

            disabled = os.environ.get("KBACKUP_DISABLE_PLUGINS", "")
            self._plugins = PluginManager(
                disable=tuple(filter(None, disabled.split(","))),
                strict=os.environ.get("KBACKUP_STRICT_PLUGINS", "") not in {"", "0"},
            )
        return self._plugins

    def cluster(self) -> Cluster:
        """Connect to the chosen cluster; closed with the session."""
        from kbackup.cluster import Cluster  # noqa: PLC0415 - on demand

        cluster = Cluster.connect(self.kubeconfig, self.context or None)
        return self._opened.enter_context(cluster)

    def store(self) -> BackupStore:
        """Open the chosen location; closed with the session."""
        from kbackup.catalog import BackupStore  # noqa: PLC0415 - on demand

        store = BackupStore.open(self._chosen(), plugins=self.plugins)
        return self._opened.enter_context(store)

    def object_store(self) -> closing[ObjectStore]:
        """Open what lies below the backups of the chosen location."""
        from kbackup.stores import (  # noqa: PLC0415 - on demand
            location_from,
            open_object_store,
        )

        location = location_from(self._chosen(), self.plugins)
        return closing(open_object_store(location, self.plugins))

    def _chosen(self) -> Sequence[str] | BackupStorageLocation:
        """Return the location by the options, the environment, or the settings."""
        from kbackup.cli._config import (  # noqa: PLC0415 - on demand
            choose_location,
            config_path,
            read_config,
        )

        given = self.locations or tuple(
            filter(None, [os.environ.get("KBACKUP_LOCATION", "")])
        )
        return choose_location(given, read_config(config_path()))

    def close(self) -> None:
        """Close what was opened."""
        self._opened.close()


@contextmanager
def cancel_on_signal() -> Iterator[CancelToken]:
    """Turn the first Ctrl-C or SIGTERM into a cancel, a second one into an abort."""
    from kbackup._kits.workers import CancelToken  # noqa: PLC0415 - on demand

    token = CancelToken()

    def handle(number: int, _frame: FrameType | None) -> None:
        if token.cancelled:
            raise KeyboardInterrupt
        name = signal.Signals(number).name
        click.echo(f"\n{name}: ending cleanly; once more to abort.", err=True)
        token.cancel(f"stopped by {name}")

    kept = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield token
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def confirm(question: str, *, yes: bool, option: str = "--yes") -> None:
    """Ask on a terminal; without one *yes* must have been given.

    Raises:
        click.UsageError: There is nobody to ask and *yes* was not given.
        click.Abort: The answer was no.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError(f"there is no terminal to ask on: give {option}")
    if not click.confirm(question, err=True):
        raise click.Abort
