"""RestorePlan: what a restore would do, in which order, where to, and why not.

Values only. A plan holds no bodies: of each item the digest of what would be written,
and of each live object what was seen. Secret values are not in it to begin with.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs

from kbackup._kits.durations import format_duration
from kbackup._kits.times import format_time
from kbackup._kits.views import Table, html_of
from kbackup._kits.words import first_few, plural
from kbackup.models import (
    Difference,
    ItemPredicate,
    ItemTransform,
    ResourceIdentifier,
    ResourceModifiers,
    RestoreOptions,
    RestoreSpec,
)
from kbackup.restore._plan.claims import ClaimLine
from kbackup.restore._plan.table import claim_cells, first_texts, rows, texts
from kbackup.restore._plan_entry import (
    BY_SECOND,
    PROBLEMS,
    PlanAction,
    PlanEntry,
    is_changed,
    is_problem,
)
from kbackup.restore._request.asked import asked_lines
from kbackup.restore._request.modifier_source import PlanModifiers
from kbackup.restore._target.api_versions import PlanVersions

EXIT_NOTHING, EXIT_CHANGES, EXIT_CONFLICTS = 0, 4, 5
EXIT_UNSELECTED = 3  # as the restore would end

_OVERWRITING = (PlanAction.UPDATE, PlanAction.RECREATE)
_PROBLEMS_SHOWN = _CHANGED_SHOWN = 10
_BY_URGENCY = (
    *PROBLEMS,
    PlanAction.RECREATE,
    PlanAction.UPDATE,
    PlanAction.CREATE,
    PlanAction.SKIP,
    PlanAction.UNCHANGED,
)


def _age(age: timedelta | None) -> str:
    """How old a backup is; by a clock that was behind its writer's it has no age."""
    if age is None:
        return "of unknown age"
    seconds = timedelta(seconds=int(age.total_seconds()))
    if seconds < timedelta():
        return f"finished {format_duration(-seconds)} ahead of this clock"
    return f"{format_duration(seconds)} old"


def _is_only_hooked(entry: PlanEntry) -> bool:
    """Whether commands are run in a Pod that is told of for no other reason."""
    is_told = entry.action in _OVERWRITING or is_problem(entry)
    return bool(entry.hooks) and not is_told


@attrs.frozen(kw_only=True)
class PlanHead:
    """Where a restore would write, and what it restores.

    Attributes:
        server: The API server's address.
        context: The kubeconfig's context; empty when unknown.
        cluster_uid: The uid of namespace kube-system; empty when it may not be read.
        cluster_version: The server's version.
        same_cluster: Whether the backup is of this cluster; None: cannot be told, for
            the backup does not name its cluster, or this one's uid may not be read.
        restore_name: The restore's name.
        restore_uid: The same for the same restore run again.
        backup_name: The backup.
        backup_uid: Its uid.
        backup_phase: How it ended.
        backup_age: Since it was finished; None when it does not say.
        backup_warnings: How many it had.
        backup_errors: How many it had.
        not_covered: What the backup itself says it lacks.
        archive_digest: SHA-256 of the archive that was read.
        backup_cluster_uid: The uid of the cluster that the backup is of, as the backup
            says; empty: it does not, or a saved plan of an earlier version.
        writer_version: Of the kbackup that made the plan.
        made_at: When, to the second; None: a saved plan of an earlier version.
        modifiers: Which resource modifiers it was made with; None: without any.
        settings_from: The ConfigMaps that settings in the options are of, by action.
        versions: Which types are restored in another version than the source preferred;
            None: nobody asked for a choice.
    """

    server: str
    context: str
    cluster_uid: str
    cluster_version: str
    same_cluster: bool | None
    restore_name: str
    restore_uid: str
    backup_name: str
    backup_uid: str
    backup_phase: str
    backup_age: timedelta | None
    backup_warnings: int
    backup_errors: int
    not_covered: tuple[str, ...]
    archive_digest: str
    backup_cluster_uid: str = ""
    writer_version: str = ""
    made_at: datetime | None = None
    modifiers: PlanModifiers | None = None
    settings_from: Mapping[str, str] = attrs.field(factory=dict)
    versions: PlanVersions | None = None

    def lines(self) -> list[str]:
        """The head, for people."""
        age = _age(self.backup_age)
        made = ""
        if self.made_at is not None:  # a plan may be saved, and its backup ages
            made, age = f", planned at {format_time(self.made_at)}", f"{age} then"
        warnings = plural(self.backup_warnings, "warning")
        lines = [
            f"restore   {self.restore_name} of backup {self.backup_name}{made}",
            f"writes to {self.server}"
            + (f" (context {self.context})" if self.context else "")
            + f", {self.cluster_version or 'version unknown'}",
            f"cluster   {self.cluster_uid or 'uid not readable'}",
            f"backup    of {self._origin()}, {self.backup_phase or 'without a phase'}, {age}",
            f"          {warnings}, {plural(self.backup_errors, 'error')}",
        ]
        lines += [f"          not covered: {text}" for text in self.not_covered]
        if self.modifiers:
            lines.append(f"modifiers {self.modifiers}")
        told = self.versions.lines() if self.versions is not None else ()
        for number, text in enumerate(told):
            lines.append(f"{'' if number else 'versions':<10}{text}")
        return lines

    def _origin(self) -> str:
        if self.same_cluster is not None:
            return "this cluster" if self.same_cluster else "another cluster"
        if self.backup_cluster_uid:
            return f"cluster {self.backup_cluster_uid}, which may be this one"
        return "a cluster that it does not name"


@attrs.frozen(kw_only=True)
class Notice:
    """Something that reaches beyond the objects themselves.

    Attributes:
        what: The sentence.
        items: Which items; the first ones are printed.
    """

    what: str
    items: tuple[ResourceIdentifier, ...] = ()

    def __str__(self) -> str:
        return f"{self.what}: {first_few(self.items)}" if self.items else self.what


@attrs.frozen(kw_only=True, repr=False)
class RestorePlan:
    """A prediction from reading: what `RestoreEngine.apply` would do, and why not.

    Attributes:
        head: Where to, and of what.
        entries: In the order in which they are written.
        claims: One line for every claim of the restore.
        notices: What reaches beyond the namespace.
        spec: What was asked for.
        options: What only kbackup knows.
        memory: What the planner learned and apply needs again; never saved.
    """

    head: PlanHead
    entries: tuple[PlanEntry, ...]
    claims: tuple[ClaimLine, ...] = ()
    notices: tuple[Notice, ...] = ()
    spec: RestoreSpec
    options: RestoreOptions
    memory: Any = attrs.field(default=None, eq=False)

    @property
    def counts(self) -> Mapping[PlanAction, int]:
        """How many entries have each action."""
        return Counter(entry.action for entry in self.entries)

    @property
    def second_writes(self) -> int:
        """How many requests follow creates: for managedFields and for statuses."""
        return sum(self._second_writes())

    def _second_writes(self) -> tuple[int, int]:
        managers = sum(entry.second_write for entry in self.entries)
        return managers, sum(entry.status == BY_SECOND for entry in self.entries)

    @property
    def is_empty(self) -> bool:
        """Whether applying it would write nothing, and run nothing."""
        return not any(entry.action.writes or entry.hooks for entry in self.entries)

    @property
    def selects_nothing(self) -> bool:
        """Whether no item of the backup is in it, which is hardly meant."""
        return not self.entries

    @property
    def exit_code(self) -> int:
        """The detailed one: 0 nothing to do, 3 nothing selected, 4 changes, 5 conflicts."""
        if self.selects_nothing:
            return EXIT_UNSELECTED
        if any(map(is_problem, self.entries)):
            return EXIT_CONFLICTS
        return EXIT_NOTHING if self.is_empty else EXIT_CHANGES

    def summary(self) -> str:
        """What to know before agreeing, without what is merely created.

        The head, what reaches beyond the namespace, every update with its differences,
        the first items that others changed or that commands are run in, what stands in the
        way, numbers.
        """
        lines = [*self._head_lines(), *(f"! {notice}" for notice in self.notices)]
        lines += texts(rows([x for x in self.entries if x.action in _OVERWRITING]))
        problems = [x for x in self.entries if is_problem(x)]
        changed = [x for x in self.entries if is_changed(x) or _is_only_hooked(x)]
        lines += first_texts(changed, _CHANGED_SHOWN)
        lines += first_texts(problems, _PROBLEMS_SHOWN)
        return "\n".join([*lines, self.numbers()])

    def _head_lines(self) -> list[str]:
        sources = self.head.settings_from
        return [*self.head.lines(), *asked_lines(self.spec, self.options, sources)]

    def numbers(self) -> str:
        """One sentence with the numbers."""
        counts = self.counts
        parts = [
            f"{counts[action]} {action}" for action in PlanAction if counts[action]
        ]
        text = ", ".join(parts) or "nothing selected"
        numbers = zip(
            self._second_writes(), ("managedFields", "the status"), strict=True
        )
        if more := [f"{n} second writes for {what}" for n, what in numbers if n]:
            text += f"; {', '.join(more)}"
        if failing := sum(bool(entry.errors) for entry in self.entries):
            text += f"; {plural(failing, 'item')} with errors"
        return text

    def __str__(self) -> str:
        lines = [*self._head_lines(), ""]
        if self.notices:
            lines += [*(f"! {notice}" for notice in self.notices), ""]
        lines += texts(rows(self.entries))
        if self.claims:
            lines += [
                "",
                "claims:",
                *(f"  {': '.join(claim_cells(line))}" for line in self.claims),
            ]
        return "\n".join([*lines, "", self.numbers()])

    def __repr__(self) -> str:
        return f"RestorePlan({self._told()})"

    def _told(self) -> str:
        return f"{self.head.restore_name}: {self.numbers()}"

    def _repr_html_(self) -> str:
        """The plan in a notebook: what stands in the way first, and not every line."""
        ranked = sorted(self.entries, key=lambda x: _BY_URGENCY.index(x.action))
        claims = sorted(self.claims, key=lambda x: not (x.loses_data or x.problems))
        return html_of(
            self._told(),
            [*self._head_lines(), *(f"! {notice}" for notice in self.notices)],
            Table(("ACTION", "ITEM", "WHY"), (row.cells() for row in rows(ranked))),
            Table(("CLAIM", "DATA"), map(claim_cells, claims)),
        )

    def diff(self) -> Difference:
        """Tell what applying it would change, from the cluster as it is; reads nothing.

        Told by what the plan has, also one that was saved: of an object that is changed
        the fields, of one that is created its name, for a plan has no bodies
        (`BackupStore.open_archive` has what the backup has of it). Where the plan could
        not look the object is unknown. What it leaves alone is counted.
        """
        from kbackup.restore._plan.diff import (  # noqa: PLC0415 - it imports this
            diff_of,
        )

        return diff_of(self)

    def to_json(self) -> dict[str, Any]:
        """The plan as a document without bodies and without any value of a Secret.

        It holds all that `from_json` needs to make the same plan again.
        """
        from kbackup.restore._plan.document import (  # noqa: PLC0415 - it imports this
            write_plan,
        )

        return write_plan(self)

    @classmethod
    def from_json(
        cls,
        document: Mapping[str, Any] | bytes | str,
        *,
        transforms: Iterable[ItemTransform] = (),
        where: ItemPredicate | None = None,
        resource_modifiers: ResourceModifiers | None = None,
    ) -> "RestorePlan":
        """Make a plan of what `to_json` returned, parsed or as JSON text.

        A document has the names of functions only: those that it names must be given
        again, the same and in the same order. So must resource modifiers that were given
        as a value; those of a ConfigMap are read again when the plan is applied.

        Raises:
            InvalidPlanError: It is no such document, or of another major version, or
                it was changed after it was written, or other functions or resource
                modifiers were given; the message names the place.
        """
        from kbackup.restore._plan.document import (  # noqa: PLC0415 - it imports this
            read_plan,
        )

        return read_plan(
            document,
            transforms=transforms,
            where=where,
            resource_modifiers=resource_modifiers,
        )
