"""What belongs to one run and is handed down explicitly: never a global.

A run has its own logger, results, events, clock and cancel token, so that two engines
in one process never mix them. Both engines make a `Run`; plugins are given it.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import attrs

from kbackup._kits.clock import Clock, SystemClock
from kbackup._kits.workers import CancelToken
from kbackup.models import (
    CLUSTER_AREA,
    NAMESPACES_AREA,
    VELERO_AREA,
    EngineSettings,
    ListRecord,
    ResourceIdentifier,
    ResultEntry,
    Results,
    RunReport,
)
from kbackup.plugins._events import (
    ErrorRecorded,
    Event,
    Observer,
    PhaseChanged,
    WaitingFor,
    WarningRecorded,
)
from kbackup.plugins._temporary import temporary_directory, temporary_file


class RunLogger(logging.Logger):
    """A logger that belongs to one run and to no hierarchy.

    Its records go to the handlers added to it and on to the library's logger
    ``kbackup.<room>`` with ``kbackup_run`` set to the run's uid, where the host's own
    configuration decides about them. May be used from any thread.
    """

    def __init__(self, name: str, uid: str) -> None:
        super().__init__(name, logging.DEBUG)
        self._host = logging.getLogger(name)
        self._uid = uid
        self.propagate = False

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the base class's name
        """Tell whether a record of *level* would go anywhere."""
        return bool(self.handlers) or self._host.isEnabledFor(level)

    def callHandlers(self, record: logging.LogRecord) -> None:  # noqa: N802 - as above
        """Hand *record* to the run's handlers, then to the host's logger."""
        record.kbackup_run = self._uid
        for handler in self.handlers:
            if record.levelno >= handler.level:
                handler.handle(record)
        # Without a handler anywhere, logging would print warnings to stderr by itself.
        if self._host.isEnabledFor(record.levelno) and self._host.hasHandlers():
            self._host.handle(record)


class Run:
    """One backup, restore or deletion while it runs; shared by its threads.

    Attributes:
        uid: Of the backup or restore; a deletion has one of its own.
        kind: ``backup``, ``restore`` or ``deletion``.
        name: Of the backup or restore.
        settings: How the host wants it done.
        clock: Where the time comes from.
        cancel: Asked between items and before every request.
        logger: Writes to the run's log and to ``kbackup.<kind>``.
        stuck: Names of the actions that did not come back once: not called again.
    """

    def __init__(
        self,
        *,
        uid: str,
        kind: str,
        name: str,
        settings: EngineSettings | None = None,
        clock: Clock | None = None,
        cancel: CancelToken | None = None,
        observer: Observer | None = None,
        broadcast: Callable[[Event, Run], None] | None = None,
        releases: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.uid = uid
        self.kind = kind
        self.name = name
        self.settings = settings or EngineSettings()
        self.clock: Clock = clock or SystemClock()
        self.cancel = cancel or CancelToken()
        self.logger = RunLogger(f"kbackup.{kind}", uid)
        self.stuck: set[str] = set()
        self._observer = observer
        self._broadcast = broadcast
        self._releases = releases
        self._emitting = threading.RLock()
        self._telling = False
        self._blamed: set[tuple[str, bool]] = set()
        self._collecting = threading.Lock()
        self._warnings: list[ResultEntry] = []
        self._errors: list[ResultEntry] = []
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._calls: Counter[str] = Counter()
        self._plugin_seconds: defaultdict[str, float] = defaultdict(float)
        self._plugin_calls: Counter[str] = Counter()

    @property
    def observed(self) -> bool:
        """Whether anybody listens; where not, making an event can be spared."""
        return self._observer is not None or self._broadcast is not None

    def emit(self, event: Event) -> None:
        """Tell the observers, one at a time and in order; their errors are logged.

        What an observer records in turn is kept, but is no event: there is none inside
        an event.
        """
        if not self.observed:
            return
        with self._emitting:  # serialises observers; the run's own locks are not held
            if self._telling:  # the lock is ours already: an observer called
                return
            self._telling = True
            try:
                self._tell(event)
            finally:
                self._telling = False

    def _tell(self, event: Event) -> None:
        if self._observer is not None:
            try:
                self._observer(event)
            except Exception as exc:  # noqa: BLE001 - the host's code
                self.blame("an observer", event, exc)
        if self._broadcast is not None:
            self._broadcast(event, self)

    def blame(self, observer: str, event: Event, exc: BaseException) -> None:
        """Log what an observer raised, once: it may fail on each of many events.

        The first ones come before the run has its log, which then tells it once more.
        """
        key = observer, bool(self.logger.handlers)
        if key in self._blamed:
            return
        self._blamed.add(key)
        self.logger.error(
            "%s failed on %s: %s; it is not named each time it fails",
            observer,
            type(event).__name__,
            type(exc).__name__,
            exc_info=exc,
        )

    @contextmanager
    def phase(self, name: str, *, total: int | None = None) -> Iterator[None]:
        """Do a step of the run: asked for a cancel, logged, announced, timed."""
        self.cancel.check()
        self.logger.info("phase: %s", name, stacklevel=3)
        self.emit(PhaseChanged(phase=name, total=total))
        started = self.clock.monotonic()
        try:
            yield
        finally:
            self._seconds[name] += self.clock.monotonic() - started

    def warning(
        self,
        message: str,
        *,
        item: ResourceIdentifier | None = None,
        namespace: str = "",
        plugin: str = "",
        cause: BaseException | None = None,
    ) -> None:
        """Record something that leaves the run usable; log it and tell observers."""
        entry = _entry(message, item, namespace, plugin, cause)
        entry = self._with_release(entry)
        with self._collecting:
            self._warnings.append(entry)
        self.logger.warning(
            "%s", message, extra={"fields": _fields(entry)}, stacklevel=2
        )
        self.emit(WarningRecorded(message=message, item=item))

    def error(
        self,
        message: str,
        *,
        item: ResourceIdentifier | None = None,
        namespace: str = "",
        plugin: str = "",
        cause: BaseException | None = None,
    ) -> None:
        """Record something that was lost; log it and tell observers."""
        entry = _entry(message, item, namespace, plugin, cause)
        entry = self._with_release(entry)
        with self._collecting:
            self._errors.append(entry)
        self.logger.error("%s", message, extra={"fields": _fields(entry)}, stacklevel=2)
        self.emit(ErrorRecorded(message=message, item=item))

    def _with_release(self, entry: ResultEntry) -> ResultEntry:
        """Say of which distribution and version the plugin is whose fault it is."""
        release = self.release_of(entry.plugin)
        return attrs.evolve(entry, release=release) if release else entry

    def release_of(self, plugin: str) -> str:
        """Return distribution and version of an action; empty for kbackup's own."""
        return self._releases.get(plugin, "")

    @property
    def results(self) -> Results:
        """The warnings and errors so far."""
        with self._collecting:
            return Results(warnings=tuple(self._warnings), errors=tuple(self._errors))

    def recall(self, results: Results) -> None:
        """Take over what an earlier process of this run has recorded and told."""
        with self._collecting:
            self._warnings[:0] = results.warnings
            self._errors[:0] = results.errors

    def count(self, call: str) -> None:
        """Count a request of one kind, such as ``list secrets``."""
        with self._collecting:
            self._calls[call] += 1

    def spent(self, plugin: str, seconds: float) -> None:
        """Count a call of a plugin, and add to the time that it took."""
        with self._collecting:
            self._plugin_seconds[plugin] += seconds
            self._plugin_calls[plugin] += 1

    def report(
        self, *, bytes_written: int = 0, lists: tuple[ListRecord, ...] = ()
    ) -> RunReport:
        """Return what the run took and how often it called."""
        with self._collecting:
            return RunReport(
                seconds=dict(self._seconds),
                calls=dict(self._calls),
                plugin_seconds=dict(self._plugin_seconds),
                plugin_calls=dict(self._plugin_calls),
                bytes_written=bytes_written,
                lists=lists,
            )

    def temporary_directory(self) -> AbstractContextManager[Path]:
        """Make a directory in the settings' place, and remove it at the end.

        Only its owner may look into it. What a killed process of the same account left
        beside it is removed as well.

        Raises:
            KBackupError: There is no room for it, or, later, for what is written there.
        """
        return temporary_directory(self.settings.spool_directory)

    def temporary_file(self, path: Path) -> AbstractContextManager[BinaryIO]:
        """Write a new file there that only its owner may read.

        Raises:
            KBackupError: It cannot be written, such as for want of space.
        """
        return temporary_file(path)

    def waits(self, what: str, seconds_left: float) -> None:
        """Tell the observers that the run waits for something outside."""
        self.emit(WaitingFor(what=what, seconds_left=seconds_left))

    def deadline(self, limit: timedelta) -> float:
        """Return the monotonic instant *limit* from now."""
        return self.clock.monotonic() + limit.total_seconds()

    def __repr__(self) -> str:
        return f"Run({self.kind} {self.name}, uid={self.uid})"


def _entry(
    message: str,
    item: ResourceIdentifier | None,
    namespace: str,
    plugin: str,
    cause: BaseException | None,
) -> ResultEntry:
    """Make the entry; without *namespace* the item's own or its scope decides."""
    if item is not None:
        namespace = namespace or item.namespace
    where = VELERO_AREA if item is None else CLUSTER_AREA
    return ResultEntry(
        message=message,
        namespace=namespace,
        area=NAMESPACES_AREA if namespace else where,
        item=item,
        plugin=plugin,
        cause=str(cause) if cause is not None else "",
    )


def _fields(entry: ResultEntry) -> Mapping[str, Any]:
    """Return the log line's fields of an entry."""
    fields: dict[str, str] = {}
    if entry.item is not None:
        fields["resource"] = str(entry.item.group_resource)
        fields["namespace"] = entry.item.namespace
        fields["name"] = entry.item.name
    if entry.plugin:
        fields["pluginName"] = entry.plugin
    if entry.release:
        fields["pluginRelease"] = entry.release
    if entry.cause and entry.cause not in entry.message:
        fields["error"] = entry.cause
    return fields
