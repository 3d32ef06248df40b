"""What a run ended with: warnings and errors, lists that were read, counts and times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import attrs
from attrs import validators

from kbackup._kits.times import format_time
from kbackup._kits.views import Table, html_of
from kbackup._kits.words import and_more, plural
from kbackup.models._backup import Backup, BackupPhase
from kbackup.models._meta import GroupResource, ResourceIdentifier
from kbackup.models._model import mapping, naming, sequence
from kbackup.models._restore import Restore, RestorePhase

# The keys of Velero's results; below the last one there is a key for each namespace.
VELERO_AREA = "velero"
CLUSTER_AREA = "cluster"
NAMESPACES_AREA = "namespaces"

_SHOWN = 5  # of each kind, where a result is printed
_DONE, _NOT_DONE, _WITH_FAILURES, _CANCELLED = 0, 1, 3, 130


@attrs.frozen(kw_only=True)
class ResultEntry:
    """One warning or one error of a run.

    Attributes:
        message: What happened.
        namespace: The item's, or the one that it is about (for restores that of the
            target).
        area: ``velero`` for the run itself, ``cluster`` for cluster-scoped items,
            ``namespaces`` for what has a namespace, whatever that is called.
        item: What it happened to, where it was one item.
        plugin: Whose fault it is, where it is a plugin's.
        cause: The text of the error behind it, or empty.
        release: Distribution and version of that plugin, such as ``kb-clean 1.0``; empty
            for what comes with kbackup.
    """

    message: str
    namespace: str = ""
    area: str = attrs.field(
        validator=validators.in_((VELERO_AREA, CLUSTER_AREA, NAMESPACES_AREA))
    )
    item: ResourceIdentifier | None = None
    plugin: str = ""
    cause: str = ""
    release: str = ""

    @area.default
    def _default_area(self) -> str:
        return NAMESPACES_AREA if self.namespace else VELERO_AREA

    def __str__(self) -> str:
        parts = [str(self.item)] if self.item is not None else []
        parts.append(self.message)
        if self.cause and self.cause not in self.message:
            parts.append(self.cause)
        text = ": ".join(parts)
        if not self.plugin:
            return text
        whose = f" of {self.release}" if self.release else ""
        return f"{text} (plugin {self.plugin}{whose})"


@attrs.frozen(kw_only=True, field_transformer=naming)
class Results:
    """The warnings and errors of a run, in the order of their appearance."""

    warnings: tuple[ResultEntry, ...] = attrs.field(default=(), converter=sequence)
    errors: tuple[ResultEntry, ...] = attrs.field(default=(), converter=sequence)

    def __repr__(self) -> str:
        return f"Results({_sums(self)})"

    def to_json(self) -> dict[str, Any]:
        """Return Velero's two-key shape: by area, as text; empty areas left out."""
        return {"errors": _by_area(self.errors), "warnings": _by_area(self.warnings)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> Results:
        """Read Velero's two-key shape; of each entry only area and text are known.

        Raises:
            ValueError: *data* has another shape.
        """
        if data is None:
            return cls()
        if not isinstance(data, Mapping):
            raise ValueError("results: expected an object")  # noqa: TRY004 - bad data
        return cls(
            warnings=tuple(_entries(data.get("warnings"), "warnings")),
            errors=tuple(_entries(data.get("errors"), "errors")),
        )


def _by_area(entries: Iterable[ResultEntry]) -> dict[str, Any]:
    areas: dict[str, list[str]] = {VELERO_AREA: [], CLUSTER_AREA: []}
    namespaces: dict[str, list[str]] = {}
    for entry in entries:
        if entry.area == NAMESPACES_AREA:
            namespaces.setdefault(entry.namespace, []).append(str(entry))
        else:
            areas[entry.area].append(str(entry))
    shaped: dict[str, Any] = {area: texts for area, texts in areas.items() if texts}
    if namespaces:
        shaped[NAMESPACES_AREA] = dict(sorted(namespaces.items()))
    return shaped


def _entries(data: Any, path: str) -> Iterable[ResultEntry]:
    """Yield the entries of one of the two keys."""
    areas = _object(data, path)
    for area in (VELERO_AREA, CLUSTER_AREA):
        for message in _texts(areas.get(area), f"{path}.{area}"):
            yield ResultEntry(message=message, area=area)
    below = f"{path}.{NAMESPACES_AREA}"
    for namespace, messages in _object(areas.get(NAMESPACES_AREA), below).items():
        for message in _texts(messages, f"{below}.{namespace}"):
            yield ResultEntry(
                message=message, area=NAMESPACES_AREA, namespace=namespace
            )


def _object(data: Any, path: str) -> Mapping[str, Any]:
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        raise ValueError(f"{path}: expected an object")  # noqa: TRY004 - bad data
    return data


def _texts(data: Any, path: str) -> list[str]:
    messages = [] if data is None else data
    if not isinstance(messages, list) or any(not isinstance(m, str) for m in messages):
        raise ValueError(f"{path}: expected a list of strings")
    return messages


@attrs.frozen(kw_only=True, field_transformer=naming)
class ListRecord:
    """How one type was read from the cluster.

    Attributes:
        version: The API version that was listed, such as ``v1``.
        namespace: Empty: the whole cluster.
        resource_version: Of the list.
        listed: Items that the server named; stored + skipped + failed.
        skipped: Reason to count.
        restarts: How often a list that had expired was begun again.
        exact: Whether it was read at the resourceVersion of the whole backup.
    """

    resource: GroupResource
    version: str = ""
    namespace: str = ""
    resource_version: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    listed: int = 0
    stored: int = 0
    skipped: Mapping[str, int] = attrs.field(factory=dict, converter=mapping)
    failed: int = 0
    restarts: int = 0
    exact: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return the record as the manifest and documents have it."""
        return {
            "resource": str(self.resource),
            "version": self.version,
            "namespace": self.namespace,
            "resourceVersion": self.resource_version,
            "startedAt": _time(self.started_at),
            "endedAt": _time(self.ended_at),
            "listed": self.listed,
            "stored": self.stored,
            "skipped": dict(self.skipped),
            "failed": self.failed,
            "restarts": self.restarts,
            "exact": self.exact,
        }


def _time(instant: datetime | None) -> str | None:
    return None if instant is None else format_time(instant)


@attrs.frozen(kw_only=True, field_transformer=naming)
class RunReport:
    """What a run cost.

    Attributes:
        seconds: By phase.
        calls: Requests sent to the API server, retries included, by ``<verb> <resource>``.
        plugin_seconds: By plugin.
        plugin_calls: How often each plugin was called.
        bytes_written: To the store.
        lists: Every list that was read.
    """

    seconds: Mapping[str, float] = attrs.field(factory=dict, converter=mapping)
    calls: Mapping[str, int] = attrs.field(factory=dict, converter=mapping)
    plugin_seconds: Mapping[str, float] = attrs.field(factory=dict, converter=mapping)
    plugin_calls: Mapping[str, int] = attrs.field(factory=dict, converter=mapping)
    bytes_written: int = 0
    lists: tuple[ListRecord, ...] = attrs.field(default=(), converter=sequence)

    def __repr__(self) -> str:
        seconds, calls = sum(self.seconds.values()), sum(self.calls.values())
        return f"RunReport({seconds:.1f} s, {calls} calls, {len(self.lists)} lists)"

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON; seconds to the microsecond."""
        return {
            "seconds": _rounded(self.seconds),
            "calls": dict(sorted(self.calls.items())),
            "pluginSeconds": _rounded(self.plugin_seconds),
            "pluginCalls": dict(sorted(self.plugin_calls.items())),
            "bytesWritten": self.bytes_written,
            "lists": [record.to_json() for record in self.lists],
        }


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {key: round(value, 6) for key, value in seconds.items()}


def _sums(results: Results) -> str:
    warnings = plural(len(results.warnings), "warning")
    return f"{warnings}, {plural(len(results.errors), 'error')}"


def _by_word(results: Results) -> tuple[tuple[str, tuple[ResultEntry, ...]], ...]:
    return ("error", results.errors), ("warning", results.warnings)


def _entry_table(results: Results) -> Table:
    """Return errors, then warnings, as a table."""
    return Table(
        ("", "MESSAGE"),
        ((word, str(each)) for word, entries in _by_word(results) for each in entries),
    )


def _first_entries(results: Results) -> Iterable[str]:
    """Tell of the first errors, then of the first warnings, a line for each."""
    for word, entries in _by_word(results):
        yield from (f"{word}: {entry}" for entry in entries[:_SHOWN])
        if more := and_more(entries, _SHOWN):
            yield f"{more} {word}s"


@attrs.frozen(kw_only=True, repr=False)
class BackupResult:
    """What a backup ended with.

    Attributes:
        backup: The record, as it was published where it was.
        manifest_digest: ``sha256:<hex>``, or empty where nothing was published.
        holds_nothing: Nothing that was asked for is in it, at most Namespaces that
            come along.
        cancelled: The caller ended the run.
    """

    backup: Backup
    results: Results = attrs.field(factory=Results)
    report: RunReport = attrs.field(factory=RunReport)
    manifest_digest: str = ""
    holds_nothing: bool = False
    cancelled: bool = False

    def __str__(self) -> str:
        return "\n".join([self._told(), *_first_entries(self.results)])

    def __repr__(self) -> str:
        return f"BackupResult({self._told()})"

    def _repr_html_(self) -> str:
        """The result in a notebook: numbers, the first errors and warnings."""
        return html_of(self._told(), _entry_table(self.results))

    def _told(self) -> str:
        status = self.backup.status
        items = status.progress.items_backed_up if status.progress is not None else 0
        return (
            f"{self.backup.name}: {status.phase}, {plural(items, 'item')}, "
            f"{_sums(self.results)}"
        )

    @property
    def exit_code(self) -> int:
        """0 for a whole backup, 3 if items failed or none was selected, else 1.

        It is 130 where the run was cancelled, as that of the error.
        """
        if self.cancelled:
            return _CANCELLED
        status = self.backup.status
        if status.phase is BackupPhase.PARTIALLY_FAILED:
            return _WITH_FAILURES
        if status.phase is not BackupPhase.COMPLETED:
            return _NOT_DONE
        items = status.progress.items_backed_up if status.progress is not None else 0
        return _DONE if items and not self.holds_nothing else _WITH_FAILURES


@attrs.frozen(kw_only=True)
class ItemOutcome:
    """What a restore did with one item.

    Attributes:
        identifier: In the target.
        action: Such as ``created``, ``updated``, ``unchanged``, ``skipped``, ``failed``;
            ``unknown`` where the run ended before the server answered.
        reason: Why, where it was not simply done.
        left_alone: It was to be written, and was not: the live object appeared or
            changed since the plan was made.
    """

    identifier: ResourceIdentifier
    action: str
    reason: str = ""
    left_alone: bool = False


@attrs.frozen(kw_only=True, repr=False, field_transformer=naming)
class RestoreResult:
    """What a restore ended with.

    Attributes:
        cancelled: The caller ended the run.
    """

    restore: Restore
    results: Results = attrs.field(factory=Results)
    report: RunReport = attrs.field(factory=RunReport)
    outcomes: tuple[ItemOutcome, ...] = attrs.field(default=(), converter=sequence)
    cancelled: bool = False

    def __str__(self) -> str:
        return "\n".join([self._told(), *_first_entries(self.results)])

    def __repr__(self) -> str:
        return f"RestoreResult({self._told()})"

    def _repr_html_(self) -> str:
        """The result in a notebook; of each action the first outcomes, reasons first."""
        told = sorted(self.outcomes, key=lambda each: (not each.reason, each.action))
        rows = ((each.action, str(each.identifier), each.reason) for each in told)
        outcomes = Table(("ACTION", "ITEM", "WHY"), rows)
        return html_of(self._told(), _entry_table(self.results), outcomes)

    def _told(self) -> str:
        counts = Counter(outcome.action for outcome in self.outcomes)
        done = [f"{number} {action}" for action, number in sorted(counts.items())]
        parts = [str(self.restore.status.phase), *done, _sums(self.results)]
        return f"{self.restore.name}: {', '.join(parts)}"

    @property
    def exit_code(self) -> int:
        """0 for a whole restore, 3 if not all that was to be written was, else 1.

        It is 3 if items failed, were left alone because they had moved since the plan
        was made, or if none was selected; 130 where the run was cancelled, as that of
        the error.
        """
        if self.cancelled:
            return _CANCELLED
        status = self.restore.status
        if status.phase is RestorePhase.PARTIALLY_FAILED:
            return _WITH_FAILURES
        if status.phase is not RestorePhase.COMPLETED:
            return _NOT_DONE
        items = status.progress.total_items if status.progress is not None else 0
        is_whole = items and not any(each.left_alone for each in self.outcomes)
        return _DONE if is_whole else _WITH_FAILURES
