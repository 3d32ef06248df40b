"""Load plugins one by one so that a broken one harms nobody but itself.

pluggy's own loader stops at the first broken plugin and leaves a half-registered one
behind; this one records what is wrong with whom and goes on. Only the manager calls it.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import attrs
import pluggy

from kbackup._kits.words import nearest, suggestion, text_of
from kbackup.errors import PluginLoadError
from kbackup.plugins import hookspecs
from kbackup.plugins._kinds import PluginKind
from kbackup.plugins._names import qualify
from kbackup.plugins._offers import (
    DISABLED,
    FAMILIES,
    Offer,
    Origin,
    PluginInfo,
    mapping_fault,
)
from kbackup.plugins.hookspecs import PROJECT

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

logger = logging.getLogger("kbackup.plugins")

_PREFIX = f"{PROJECT}_"
_EVENT_HOOK = "kbackup_event"
NO_HOOK = "it implements no hook: nothing in it is marked with hookimpl"


@attrs.frozen(kw_only=True)
class ObserverHook:
    """A plugin's implementation of the observing hook."""

    origin: Origin
    function: Callable[..., object]
    argument_names: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Loaded:
    """What loading came to.

    Attributes:
        offers: Everything that can be handed out, clashes not yet looked for.
        observers: In the order of their origins.
        unavailable: What was disabled or could not be loaded.
    """

    offers: tuple[Offer, ...]
    observers: tuple[ObserverHook, ...]
    unavailable: tuple[PluginInfo, ...]


@attrs.frozen(kw_only=True)
class _Candidate:
    """A plugin before anything of it was imported."""

    origin: Origin
    load: Callable[[], object]


class _PluginFaultError(Exception):
    """A plugin breaks a rule; the message says which."""


class _Registrar(pluggy.PluginManager):
    """pluggy's registration, looking at nothing but functions named for our hooks.

    pluggy would fetch every attribute of the plugin and so import what a module with
    lazy names puts off.
    """

    def __init__(self) -> None:
        super().__init__(PROJECT)
        self.add_hookspecs(hookspecs)

    def parse_hookimpl_opts(
        self, plugin: object, name: str
    ) -> pluggy.HookimplOpts | None:
        """Read the marker of a function, where its name can be a hook's."""
        if not name.startswith(_PREFIX):
            return None
        return super().parse_hookimpl_opts(plugin, name)


def implements_a_hook(plugin: object) -> bool:
    """Whether anything in it is marked as a hook's implementation, be it misspelt."""
    marks = _Registrar().parse_hookimpl_opts
    return any(marks(plugin, name) is not None for name in dir(plugin))


def load_plugins(
    plugins: Sequence[object] | None, *, disable: Iterable[str], strict: bool
) -> Loaded:
    """Load what is installed, or just *plugins*.

    Args:
        plugins: Modules (or other objects with hookimpls) instead of the entry points.
        disable: Entry points, distributions, modules or names offered to leave out.
        strict: Raise at the first plugin that cannot be loaded.

    Raises:
        PluginLoadError: *strict*, and a plugin is broken.
    """
    loader = _Loader(frozenset(disable), strict=strict)
    candidates = _installed() if plugins is None else _given(plugins)
    for candidate in candidates:
        loader.load(candidate)
    loader.warn_of_unknown_switches()
    return loader.loaded


class _Loader:
    """The state of one `load_plugins`."""

    def __init__(self, disable: frozenset[str], *, strict: bool) -> None:
        self._registrar = _Registrar()
        self._disable = disable
        self._strict = strict
        self._disabled: set[str] = set()  # the switches that met something
        self._offers: list[Offer] = []
        self._observers: list[ObserverHook] = []
        self._unavailable: list[PluginInfo] = []

    @property
    def loaded(self) -> Loaded:
        return Loaded(
            offers=tuple(self._offers),
            observers=tuple(self._observers),
            unavailable=tuple(self._unavailable),
        )

    def load(self, candidate: _Candidate) -> None:
        """Take over all that a plugin has, or nothing of it."""
        origin = candidate.origin
        if self._is_disabled(origin.entry_point, origin.distribution, origin.module):
            self._unavailable.append(_whole(origin, DISABLED))
            return
        try:
            plugin = candidate.load()
            offers, observer = self._take_in(plugin, origin)
        except KeyboardInterrupt:
            raise
        except BaseException as exc:  # noqa: BLE001 - it may raise anything
            self._give_up(origin, exc)
            return
        for offer in offers:
            if self._is_disabled(offer.name):
                self._unavailable.append(offer.info(DISABLED))
            else:
                self._offers.append(offer)
        if observer is not None:
            self._observers.append(observer)

    def _take_in(
        self, plugin: object, origin: Origin
    ) -> tuple[list[Offer], ObserverHook | None]:
        """Register a plugin and collect what it offers; roll back where that fails."""
        # pluggy wants names that differ; two objects of one class have one origin
        name = f"{origin} #{id(plugin)}"
        try:
            self._registrar.register(plugin, name=name)
            self._check_hook_names(plugin)
            offers = [
                offer
                for implementation in self._implementations(plugin)
                for offer in _collect(implementation, origin)
            ]
            return offers, self._observer(plugin, origin)
        except BaseException:
            if self._registrar.get_plugin(name) is not None:
                self._registrar.unregister(plugin, name=name)
            raise

    def _check_hook_names(self, plugin: object) -> None:
        """Refuse a plugin without hooks, and hooks that do not exist: both are dead."""
        callers = self._registrar.get_hookcallers(plugin)
        if not callers:
            raise _PluginFaultError(NO_HOOK)
        for caller in callers:
            if caller.spec is None:
                raise _PluginFaultError(_no_such_hook(caller.name))

    def _implementations(self, plugin: object) -> Iterator[pluggy.HookImpl]:
        """Yield the plugin's registration hooks, in the order of the families."""
        for family in FAMILIES:
            yield from self._of(plugin, family.hook)

    def _of(self, plugin: object, hook: str) -> Iterator[pluggy.HookImpl]:
        caller: pluggy.HookCaller = getattr(self._registrar.hook, hook)
        for implementation in caller.get_hookimpls():
            if implementation.plugin is plugin:
                if implementation.wrapper or implementation.hookwrapper:
                    raise _PluginFaultError(f"{hook} must not be a wrapper")
                yield implementation

    def _observer(self, plugin: object, origin: Origin) -> ObserverHook | None:
        for implementation in self._of(plugin, _EVENT_HOOK):
            return ObserverHook(
                origin=origin,
                function=implementation.function,
                argument_names=tuple(implementation.argnames),
            )
        return None

    def _give_up(self, origin: Origin, exc: BaseException) -> None:
        cause = _cause(exc)
        message = f"{origin} could not be loaded: {cause}"
        if self._strict:
            raise PluginLoadError(
                message,
                plugin=origin.entry_point or origin.module,
                hint="repair, remove or disable that plugin",
            ) from exc
        logger.warning("%s", message)
        logger.debug("%s", message, exc_info=exc)
        self._unavailable.append(_whole(origin, cause))

    def _is_disabled(self, *names: str) -> bool:
        met = self._disable.intersection(filter(None, names))
        if not met and any("/" in name for name in names):
            bare = {switch for switch in self._disable if qualify(switch) in names}
            met = frozenset(bare)
        self._disabled |= met
        return bool(met)

    def warn_of_unknown_switches(self) -> None:
        """Name what was to be disabled and is not there: perhaps a slip of the pen."""
        for name in sorted(self._disable - self._disabled):
            logger.warning("there is no plugin %r to disable", name)


def _collect(implementation: pluggy.HookImpl, origin: Origin) -> list[Offer]:
    """Call one registration hook and check what it returns."""
    hook = implementation.function.__name__
    family = next(family for family in FAMILIES if family.hook == hook)
    offered: Any = implementation.function()
    if fault := mapping_fault(family, offered):
        raise _PluginFaultError(fault)
    return [
        Offer(name=name, kind=family.kind, value=value, origin=origin)
        for name, value in offered.items()
    ]


def _no_such_hook(name: str) -> str:
    """Say that a hook does not exist, and which one may have been meant."""
    known = [spec for spec in dir(hookspecs) if spec.startswith(_PREFIX)]
    meant = suggestion("hook", [nearest(name, known)])
    return "; ".join(filter(None, (f"there is no hook {name}", meant)))


def _installed() -> tuple[_Candidate, ...]:
    """Return the entry points of our group, by distribution and name."""
    return _found_in(tuple(map(_state_of, sys.path)))


def _state_of(directory: str) -> tuple[str, int]:
    """Return what becomes another when something is installed there, or removed."""
    try:
        return directory, os.stat(directory or ".").st_mtime_ns  # noqa: PTH116 - may be no path
    except OSError:
        return directory, 0


@lru_cache(maxsize=1)
def _found_in(_search_path: tuple[tuple[str, int], ...]) -> tuple[_Candidate, ...]:
    """Look through all that is installed, once for many managers: each takes 15 ms.

    Args:
        _search_path: What has to be the same for an earlier answer to be true.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415 - 20 ms at import

    found = [
        _Candidate(origin=_origin(point), load=point.load)
        for point in entry_points(group=PROJECT)
    ]
    found.sort(key=lambda c: (c.origin.distribution, c.origin.entry_point))
    return tuple(found)


def _origin(point: EntryPoint) -> Origin:
    distribution = point.dist
    return Origin(
        module=point.module,
        entry_point=point.name,
        distribution=distribution.name if distribution else "",
        version=distribution.version if distribution else "",
    )


def _given(plugins: Iterable[object]) -> list[_Candidate]:
    """Return candidates for objects that the host has already imported."""
    distinct = {id(plugin): plugin for plugin in plugins}.values()
    return [
        _Candidate(origin=Origin(module=module_name(plugin)), load=_constant(plugin))
        for plugin in distinct
    ]


def _constant(plugin: object) -> Callable[[], object]:
    return lambda: plugin


def module_name(plugin: object) -> str:
    """Return the dotted name of a module, or of an object's class."""
    name = getattr(plugin, "__name__", None)
    if isinstance(name, str):
        return name
    return f"{type(plugin).__module__}.{type(plugin).__qualname__}"


def _cause(exc: BaseException) -> str:
    """Say in one line what went wrong."""
    if isinstance(exc, _PluginFaultError):
        return str(exc)
    if isinstance(exc, pluggy.PluginValidationError):  # several lines, the last tells
        return str(exc).rpartition("\n")[2]
    text = text_of(exc).partition("\n")[0]
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__


def _whole(origin: Origin, cause: str) -> PluginInfo:
    """Describe a plugin of which nothing is known but where it comes from."""
    return PluginInfo(
        name=origin.entry_point or origin.module,
        kind=PluginKind.UNKNOWN,
        distribution=origin.distribution or origin.module,
        version=origin.version,
        entry_point=origin.entry_point,
        available=False,
        cause=cause,
    )
