"""The plugins of one host: typed access, clashes, order, and the observing hook.

A `PluginManager` belongs to whoever made it; there is no global one. Engines, stores
and the command line ask it for what they need; nobody else calls a hook.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import urlsplit

import attrs

from kbackup._kits.workers import Cancelled
from kbackup.errors import (
    KBackupError,
    PluginConflictError,
    PluginError,
    PluginLoadError,
    PluginNotFoundError,
    UnknownLocationError,
)
from kbackup.models import BackupStorageLocationSpec
from kbackup.plugins._events import Event
from kbackup.plugins._interfaces import (
    ANY_SCHEME,
    ObjectStoreFactory,
    VolumeSnapshotterFactory,
)
from kbackup.plugins._item_actions import (
    BackupItemAction,
    DeleteItemAction,
    ItemBlockAction,
    RestoreItemAction,
)
from kbackup.plugins._kinds import PluginKind
from kbackup.plugins._loader import (
    NO_HOOK,
    Loaded,
    implements_a_hook,
    load_plugins,
    module_name,
)
from kbackup.plugins._names import qualify
from kbackup.plugins._offers import Offer, Origin, PluginInfo
from kbackup.plugins._run import Run

_WORDS = {
    PluginKind.OBJECT_STORE: "object store",
    PluginKind.VOLUME_SNAPSHOTTER: "volume snapshotter",
}


@attrs.frozen
class _State:
    """What a manager knows once it has loaded; never changed afterwards."""

    loaded: Loaded
    names: Mapping[tuple[PluginKind, str], tuple[Offer, ...]]  # aliases included
    schemes: Mapping[str, tuple[Offer, ...]]


class PluginManager:
    """What is installed and usable; loads at the first question, not before.

    May be shared freely between threads and engines.
    """

    def __init__(
        self,
        plugins: Sequence[object] | None = None,
        *,
        disable: Iterable[str] = (),
        strict: bool = False,
    ) -> None:
        """Prepare to load.

        Args:
            plugins: Just these modules (or objects with hookimpls) instead of what is
                installed under the entry-point group ``kbackup``.
            disable: Entry points, distributions, modules or offered names to leave out.
            strict: A plugin that cannot be loaded is an error, not a warning.

        Raises:
            TypeError: Among *plugins* is a string, or what implements no hook, or
                *disable* is a string, whose letters are no names: all of these would
                offer nothing, or leave nothing out, in silence.
        """
        self._plugins = None if plugins is None else tuple(plugins)
        for plugin in self._plugins or ():
            if isinstance(plugin, str | bytes):
                raise TypeError(f"plugins: expected modules, got the string {plugin!r}")
            if not implements_a_hook(plugin):
                raise TypeError(f"plugins: {module_name(plugin)}: {NO_HOOK}")
        if isinstance(disable, str | bytes):
            raise TypeError(f"disable: expected names, got the string {disable!r}")
        self._disable = frozenset(disable)
        self._strict = strict
        self._loading = threading.Lock()
        self._state: _State | None = None

    # --- providers --------------------------------------------------------------------

    @property
    def object_store_factories(self) -> Mapping[str, ObjectStoreFactory]:
        """The object stores that can be opened, by provider name."""
        return self._usable(PluginKind.OBJECT_STORE)

    @property
    def volume_snapshotter_factories(self) -> Mapping[str, VolumeSnapshotterFactory]:
        """The volume snapshotters that can be opened, by provider name."""
        return self._usable(PluginKind.VOLUME_SNAPSHOTTER)

    def object_store_factory(self, provider_or_scheme: str) -> ObjectStoreFactory:
        """Return the factory that a provider's name, or an address's scheme, selects.

        A provider's name wins over a scheme; ``aws`` means ``velero.io/aws``.

        Raises:
            PluginNotFoundError: Nothing installed answers to it.
            PluginConflictError: Two plugins answer to it.
            PluginLoadError: What answers to it cannot be used as it is installed.
        """
        offers = self._named(PluginKind.OBJECT_STORE, provider_or_scheme)
        offers = offers or self._loaded.schemes.get(provider_or_scheme, ())
        factory = self._select(PluginKind.OBJECT_STORE, provider_or_scheme, offers)
        return cast("ObjectStoreFactory", factory)

    def volume_snapshotter(self, provider: str) -> VolumeSnapshotterFactory:
        """Return the factory that a provider's name selects; raises as for stores."""
        offers = self._named(PluginKind.VOLUME_SNAPSHOTTER, provider)
        factory = self._select(PluginKind.VOLUME_SNAPSHOTTER, provider, offers)
        return cast("VolumeSnapshotterFactory", factory)

    def spec_for_url(self, url: str) -> BackupStorageLocationSpec:
        """Return the location that an address such as ``s3://bucket/prefix`` means.

        Raises:
            UnknownLocationError: The address has no scheme, or one that nobody knows.
            PluginConflictError: Two plugins know it.
            PluginLoadError: The plugin that knows it cannot be used as installed.
            PluginError: That plugin failed.
        """
        scheme = _scheme(url)
        if not scheme:  # the address itself is not repeated: it may hold a password
            raise UnknownLocationError(
                "the address of the location has no scheme such as file:// or s3://"
            )
        offers = self._loaded.schemes.get(scheme, ())
        if not offers or scheme == ANY_SCHEME:
            return self._spec_for_unclaimed(url, scheme)
        factory = self._select(PluginKind.OBJECT_STORE, f"{scheme}://", offers)
        if factory.from_url is None:
            raise UnknownLocationError(
                f"{offers[0].name} cannot read an address {scheme}://",
                hint="give a BackupStorageLocation instead",
            )
        return _ask(factory.from_url, url, plugin=offers[0].name)

    def _spec_for_unclaimed(self, url: str, scheme: str) -> BackupStorageLocationSpec:
        """Ask the plugin that takes what no other claims, if there is one."""
        offers = self._loaded.schemes.get(ANY_SCHEME, ())
        factory = (
            self._select(PluginKind.OBJECT_STORE, f"{scheme}://", offers)
            if offers
            else None
        )
        others = ""
        if factory is not None and factory.from_url is not None:
            try:
                return _ask(factory.from_url, url, plugin=offers[0].name)
            except UnknownLocationError as exc:
                others = exc.hint
        claimed = sorted(self._loaded.schemes.keys() - {ANY_SCHEME})
        known = ", ".join(f"{name}://" for name in claimed)
        raise UnknownLocationError(
            f"no plugin knows addresses {scheme}://; known are: {known or 'none'}",
            hint="; ".join(filter(None, [others, self._advice()])),
        )

    # --- actions ----------------------------------------------------------------------

    def backup_item_actions(self) -> tuple[BackupItemAction, ...]:
        """Return the actions in the order in which they run.

        Raises:
            PluginConflictError: Two plugins offer one name.
        """
        return self._ordered(PluginKind.BACKUP_ITEM_ACTION)

    def restore_item_actions(self) -> tuple[RestoreItemAction, ...]:
        """As `backup_item_actions`."""
        return self._ordered(PluginKind.RESTORE_ITEM_ACTION)

    def delete_item_actions(self) -> tuple[DeleteItemAction, ...]:
        """As `backup_item_actions`."""
        return self._ordered(PluginKind.DELETE_ITEM_ACTION)

    def item_block_actions(self) -> tuple[ItemBlockAction, ...]:
        """As `backup_item_actions`."""
        return self._ordered(PluginKind.ITEM_BLOCK_ACTION)

    # --- what is there ----------------------------------------------------------------

    def list_plugins(self) -> tuple[PluginInfo, ...]:
        """Describe everything found, by kind and name; what is broken is among it."""
        state = self._loaded
        infos = [*state.loaded.unavailable]
        infos += [offer.info(self._trouble(offer)) for offer in state.loaded.offers]
        infos += [_observer_info(hook.origin) for hook in state.loaded.observers]
        return tuple(sorted(infos, key=lambda i: (i.kind, i.name, i.distribution)))

    def releases(self) -> Mapping[str, str]:
        """Return distribution and version of each action that is not kbackup's own.

        By its name, for messages; two plugins that offer one name for different kinds
        of actions are both named.
        """
        releases: dict[str, str] = {}
        for offer in self._loaded.loaded.offers:
            known = releases.get(offer.name, "")
            release = offer.origin.release
            if not offer.origin.built_in and release not in known.split(" or "):
                releases[offer.name] = f"{known} or {release}" if known else release
        return releases

    @property
    def observed(self) -> bool:
        """Whether any plugin listens to events."""
        return bool(self._loaded.loaded.observers)

    def emit(self, event: Event, run: Run) -> None:
        """Tell every observing plugin, one by one.

        What a plugin raises is logged as its fault, once a run.
        """
        for hook in self._loaded.loaded.observers:
            known = {"event": event, "run": run}
            try:
                hook.function(*(known[name] for name in hook.argument_names))
            except (KeyboardInterrupt, Cancelled):
                raise
            except BaseException as exc:  # noqa: BLE001 - foreign code
                run.blame(f"the observer of {hook.origin}", event, exc)

    # --- inside -----------------------------------------------------------------------

    @property
    def _loaded(self) -> _State:
        if (state := self._state) is not None:
            return state
        with self._loading:
            if self._state is None:
                loaded = load_plugins(
                    self._plugins, disable=self._disable, strict=self._strict
                )
                self._state = _arrange(loaded)
            return self._state

    def _named(self, kind: PluginKind, name: str) -> tuple[Offer, ...]:
        return self._loaded.names.get((kind, qualify(name)), ())

    def _select(self, kind: PluginKind, asked: str, offers: tuple[Offer, ...]) -> Any:
        """Return the one fit factory among *offers*, or say why there is none."""
        if not offers:
            raise self._not_found(kind, asked)
        if len(offers) > 1:
            raise _conflict(kind, asked, offers)
        offer = offers[0]
        if missing := offer.missing:
            raise PluginLoadError(
                f"{offer.name} ({offer.origin}) needs {_listed(missing)}",
                plugin=offer.name,
                hint=offer.installation,
            )
        return offer.value

    def _not_found(self, kind: PluginKind, asked: str) -> PluginNotFoundError:
        known = sorted({o.name for o in self._loaded.loaded.offers if o.kind is kind})
        return PluginNotFoundError(
            f"no plugin offers the {_WORDS[kind]} {asked!r}; "
            f"there are: {', '.join(known) or 'none'}",
            plugin=asked,
            hint=self._advice(),
        )

    def _advice(self) -> str:
        """Say what to do about something that nobody offers."""
        broken = [
            f"{info.name} of {info.distribution} is unavailable: {info.cause}"
            for info in self._loaded.loaded.unavailable
        ]
        return "; ".join([*broken, "install a plugin that offers it"])

    def _trouble(self, offer: Offer) -> str:
        """Say why an offer cannot be used, or nothing."""
        rivals = self._loaded.names[offer.kind, offer.name]
        if len(rivals) > 1:
            others = [str(rival.origin) for rival in rivals if rival is not offer]
            return f"also offered by {_listed(tuple(others))}"
        if missing := offer.missing:
            return f"needs {_listed(missing)}: {offer.installation}"
        return ""

    def _usable(self, kind: PluginKind) -> Mapping[str, Any]:
        return MappingProxyType(
            {
                offer.name: offer.value
                for offer in self._loaded.loaded.offers
                if offer.kind is kind and not self._trouble(offer)
            }
        )

    def _ordered(self, kind: PluginKind) -> tuple[Any, ...]:
        offers = [offer for offer in self._loaded.loaded.offers if offer.kind is kind]
        for offer in offers:
            rivals = self._loaded.names[kind, offer.name]
            if len(rivals) > 1:
                raise _conflict(kind, offer.name, rivals)
        return tuple(offer.value for offer in sorted(offers, key=_rank))


def _scheme(url: str) -> str:
    """Return the scheme of an address in lower case, or nothing."""
    try:
        return urlsplit(url).scheme
    except ValueError:  # such as a bracket that is not closed
        return ""


def _ask(
    from_url: Callable[[str], BackupStorageLocationSpec], url: str, *, plugin: str
) -> BackupStorageLocationSpec:
    """Let a plugin read an address; whatever else it raises becomes our error."""
    told = f"{plugin} failed on an address {_scheme(url)}://"
    try:
        spec = from_url(url)
    except KBackupError:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as exc:  # its text may repeat the address
        raise PluginError(f"{told}: {type(exc).__name__}", plugin=plugin) from exc
    if not isinstance(spec, BackupStorageLocationSpec):
        came = type(spec).__name__
        raise PluginError(
            f"{told}: it returned a {came}, not a BackupStorageLocationSpec",
            plugin=plugin,
        )
    return spec


def _arrange(loaded: Loaded) -> _State:
    """Index the offers by every name and scheme that selects them."""
    names: dict[tuple[PluginKind, str], list[Offer]] = {}
    schemes: dict[str, list[Offer]] = {}
    for offer in loaded.offers:
        for name in {offer.name, *getattr(offer.value, "aliases", ())}:
            names.setdefault((offer.kind, name), []).append(offer)
        for scheme in set(getattr(offer.value, "schemes", ())):
            schemes.setdefault(scheme, []).append(offer)
    return _State(
        loaded,
        {key: tuple(offers) for key, offers in names.items()},
        {scheme: tuple(offers) for scheme, offers in schemes.items()},
    )


def _rank(offer: Offer) -> tuple[object, ...]:
    """Order actions: built-in ones by version and name, then by distribution.

    Version 1 runs before version 2, as in Velero, where actions of the first version
    stand first in the list.
    """
    origin = offer.origin
    if origin.built_in:
        return (0, getattr(offer.value, "api_version", 1), offer.name, "")
    return (1, 0, origin.distribution or origin.module, offer.name)


def _conflict(
    kind: PluginKind, name: str, offers: Sequence[Offer]
) -> PluginConflictError:
    origins = _listed(tuple(str(offer.origin) for offer in offers))
    return PluginConflictError(
        f"the {kind} {name!r} is offered by {origins}",
        plugin=name,
        hint="remove one of them, or leave one out with the switch disable",
    )


def _observer_info(origin: Origin) -> PluginInfo:
    return PluginInfo(
        name=origin.entry_point or origin.module,
        kind=PluginKind.OBSERVER,
        distribution=origin.distribution or origin.module,
        version=origin.version,
        entry_point=origin.entry_point,
    )


def _listed(words: tuple[str, ...]) -> str:
    """Join words as a sentence does."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
