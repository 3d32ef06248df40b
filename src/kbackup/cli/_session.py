"""What one call of the command line opens: the cluster, the store, the cancel token."""

from __future__ import annotations

import os
import shlex
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from kbackup.cli._place import require_uuid
from kbackup.cli._repository_choice import RepositoryChoice

if TYPE_CHECKING:  # heavy rooms are imported by the command that needs them
    from kbackup.catalog import BackupStore
    from kbackup.cli._config import Chosen
    from kbackup.cluster import Cluster
    from kbackup.models import BackupStorageLocation
    from kbackup.plugins import ObjectStore, PluginManager


_WITH_CLUSTER = (
    "kbackup doctor",
    "kbackup backup create",
    "kbackup backup delete",
    "kbackup backup resume",
    "kbackup restore plan",
    "kbackup restore create",
)
_WITH_LOCATION = (
    "kbackup backup",
    "kbackup restore",
    "kbackup location",
    "kbackup doctor",
)
_WITH_REPOSITORY = "kbackup repo"


@attrs.define
class Session:
    """The global options, and what is opened by them on demand.

    Attributes:
        kubeconfig: None: as kubectl finds it.
        context: Empty: the kubeconfig's current one.
        locations: Addresses or one name; empty: the environment's, then the file's.
        output: ``table``, ``json`` or ``yaml``.
        verb: The command as it was called, such as ``kbackup backup get``.
        backup: Which backup it is about, once that is known.
        snapshot: The beginning of the ID of the snapshot that it is about, likewise.
        repository: Which repository is meant, and how it is opened.
        again: What does the same once more, where that is not the command as typed.
        connecting: Whether the way to the cluster is being looked for.
        told_next: Whether the command said what goes on from it.
        unwritten: Whether its output was lost; see `bearing_loss`.
    """

    kubeconfig: Path | None = None
    context: str = ""
    locations: tuple[str, ...] = ()
    output: str = "table"
    verb: str = "kbackup"
    backup: str = ""
    snapshot: str = ""
    repository: RepositoryChoice = attrs.field(factory=RepositoryChoice)
    again: str = ""
    connecting: bool = False
    told_next: bool = False
    unwritten: bool = False
    _plugins: PluginManager | None = None
    _cluster: Cluster | None = None
    _store: BackupStore | None = None
    _opened: ExitStack = attrs.field(factory=ExitStack)

    @property
    def is_for_programs(self) -> bool:
        """Whether its messages are JSON, too, as restic's: a repository's are then."""
        return self.output == "json" and self.verb.startswith(_WITH_REPOSITORY)

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
        """Connect to the chosen cluster, once; closed with the session."""
        if self._cluster is None:
            from kbackup.cluster import Cluster  # noqa: PLC0415 - on demand

            self.connecting = True
            cluster = Cluster.connect(self.kubeconfig, self.context or None)
            self._cluster = self._opened.enter_context(cluster)
            self.connecting = False
        return self._cluster

    @property
    def target(self) -> str:
        """The connected cluster's address and context; empty without one."""
        if self._cluster is None:
            return ""
        context = self._cluster.context
        return f"{self._cluster.server}{f' (context {context})' if context else ''}"

    def store(self) -> BackupStore:
        """Open the chosen location, once; closed with the session."""
        if self._store is None:
            from kbackup.catalog import BackupStore  # noqa: PLC0415 - on demand

            chosen = self._chosen()
            location = self._location(chosen)
            store = BackupStore.open(location, plugins=self.plugins)
            self._opened.enter_context(store)
            if chosen.uuid:
                require_uuid(store, chosen.uuid)
            self._store = store
        return self._store

    def location(self) -> BackupStorageLocation:
        """Return what the options, the environment or the settings name as location."""
        return self._location(self._chosen())

    @property
    def opened_store(self) -> BackupStore | None:
        """The chosen location, if the command has come to open it."""
        return self._store

    def object_store(self) -> closing[ObjectStore]:
        """Open what lies below the backups of the chosen location."""
        from kbackup.stores import open_object_store  # noqa: PLC0415 - on demand

        location = self.location()
        return closing(open_object_store(location, self.plugins))

    def _chosen(self) -> Chosen:
        """Return the location by the options, the environment, or the settings."""
        from kbackup.cli._config import (  # noqa: PLC0415 - on demand
            choose_location,
            config_path,
            read_config,
        )

        given = self.locations or _from_environment()
        return choose_location(given, read_config(config_path()))

    @property
    def chosen_by(self) -> str:
        """Which setting the location is from, in words; empty: it was given."""
        if self.locations:
            return ""
        from kbackup.cli._config import config_path  # noqa: PLC0415 - on demand

        if _from_environment():
            return "KBACKUP_LOCATION"
        return f"default-location in {config_path()}"

    def _location(self, chosen: Chosen) -> BackupStorageLocation:
        from kbackup.models import AccessMode  # noqa: PLC0415 - on demand
        from kbackup.stores import location_from  # noqa: PLC0415 - on demand

        location = location_from(chosen.source, self.plugins)
        if not chosen.read_only:
            return location
        spec = attrs.evolve(location.spec, access_mode=AccessMode.READ_ONLY)
        return attrs.evolve(location, spec=spec)

    def complete(self, command: str) -> str:
        """Return *command* with the global options that it needs to mean the same."""
        if command.endswith("--help"):
            return command
        given: list[str] = []
        if command.startswith(_WITH_CLUSTER):
            given += ["--kubeconfig", str(self.kubeconfig)] if self.kubeconfig else []
            given += ["--context", self.context] if self.context else []
        if command.startswith(_WITH_LOCATION):
            for location in self.locations:  # which may hold a password before an @
                given += ["--location", "URL" if "@" in location else location]
        if command.startswith(_WITH_REPOSITORY):
            given += self.repository.words()
        return " ".join([command, *map(shlex.quote, given)])

    def close(self) -> None:
        """Close what was opened."""
        self._opened.close()


def _from_environment() -> tuple[str, ...]:
    """Return the location that the environment names, if it does."""
    return tuple(filter(None, [os.environ.get("KBACKUP_LOCATION", "")]))


class NoBackupGivenError(click.UsageError):
    """A restore was asked for without saying of which backup.

    Attributes:
        hint: What was given instead, where that may be the backup's name.
        following: The command with that name where it belongs; empty: none was given.
    """

    def __init__(self, name: str, verb: str) -> None:
        super().__init__("Missing option '--from-backup'.", click.get_current_context())
        self.hint, self.following = "", ""
        if name:
            self.hint = f"{name} would be the name of the restore, not of the backup"
            self.following = f"{verb} --from-backup {shlex.quote(name)}"
