"""What a host gives to an engine: checked when it comes, and shared by all its runs."""

from __future__ import annotations

from typing import Generic, Self, TypeVar

import attrs

from kbackup._kits.arguments import given_or_new, require_able
from kbackup._kits.clock import Clock, SystemClock
from kbackup._kits.workers import CancelToken
from kbackup.models import EngineSettings
from kbackup.plugins._events import Observer
from kbackup.plugins._manager import PluginManager
from kbackup.plugins._run import Run

_Cluster = TypeVar("_Cluster")
_Store = TypeVar("_Store")


@attrs.frozen(kw_only=True)
class Equipment(Generic[_Cluster, _Store]):
    """What an engine works with; cluster and store are of rooms that this one lacks."""

    cluster: _Cluster
    store: _Store
    plugins: PluginManager
    observer: Observer | None
    settings: EngineSettings
    clock: Clock

    @classmethod
    def checked(
        cls,
        cluster: _Cluster,
        store: _Store,
        *,
        plugins: PluginManager | None,
        observer: Observer | None,
        settings: EngineSettings | None,
        clock: Clock | None,
    ) -> Self:
        """Take the arguments of an engine; None is what a host leaves to it.

        Raises:
            TypeError: One is something else than it has to be.
        """
        require_able("cluster", cluster, "Cluster", to="for_run")
        require_able("store", store, "BackupStore", to="claim")
        if observer is not None:
            require_able("observer", observer, "function", to="__call__")
        return cls(
            cluster=cluster,
            store=store,
            plugins=given_or_new("plugins", plugins, PluginManager),
            observer=observer,
            settings=given_or_new("settings", settings, EngineSettings),
            clock=clock if clock is not None else SystemClock(),
        )

    def new_run(self, kind: str, name: str, uid: str, cancel: CancelToken) -> Run:
        """Make a run, of which plugins are told where they listen."""
        return Run(
            uid=uid,
            kind=kind,
            name=name,
            settings=self.settings,
            clock=self.clock,
            cancel=cancel,
            observer=self.observer,
            broadcast=self.plugins.emit if self.plugins.observed else None,
            releases=self.plugins.releases(),
        )
