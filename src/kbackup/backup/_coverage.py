"""What a backup does not cover, said in so many words.

Each function looks at one kind of gap, enters it into the books (for the manifest) and
tells the run; nothing here talks to the cluster. Called by the steps of `_storing`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs

from kbackup._kits.globs import IncludesExcludes, is_glob
from kbackup._kits.words import first_few, plural
from kbackup.backup._candidates import OF_SNAPSHOTS
from kbackup.backup._collector import ListTask
from kbackup.backup._filters import NEVER_STORED_ALONE
from kbackup.backup._ledger import Ledger, Tally
from kbackup.backup._namespaces import Namespaces
from kbackup.backup._request import BackupRequest
from kbackup.catalog import MissingReference, NotCovered, VolumeRecord
from kbackup.errors import ForbiddenError, KBackupError
from kbackup.models import (
    BackupSpec,
    GroupResource,
    ListRecord,
    ResourceIdentifier,
    VolumeActionType,
    labels,
    well_known,
)
from kbackup.plugins import Run

# They serve numbers about objects, nothing that could be stored; often out of order.
_NOTHING_STORABLE = frozenset(
    {"metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io"}
)
_LABELLED = f"is labelled {labels.EXCLUDE_FROM_BACKUP}=true: nothing of it is stored"
_DELETED = (
    "is Terminating: its Namespace object is not stored, and of what is in it only what "
    "is not being deleted yet; if it is to come back, restore a backup from before, and "
    "back it up again once it is made anew"
)
_WITH_DATA = frozenset({VolumeActionType.FS_BACKUP, VolumeActionType.SNAPSHOT})


def report_filters(request: BackupRequest, run: Run) -> None:
    """Warn of names in the specification that mean nothing here."""
    filters = request.filters
    for text in filters.unknown:
        run.warning(f"included resource {text!r}: the cluster serves no such type")
    for text in filters.unknown_excludes:
        run.warning(f"excluded resource {text!r}: the cluster serves no such type")
    for what, text in _idle_globs(request):
        run.warning(f"{what} resources {text!r}: the cluster serves none like that")
    for text in filters.misplaced:
        run.warning(f"resource {text!r} is listed under the wrong scope: ignored")
    for name in request.hooks.idle:
        run.warning(f"hooks {name!r} are for no Pods: nothing of them is run")
    for field in _without_effect(request):
        run.warning(f"{field} has no effect in this version of kbackup")
    for key in request.ordered.idle:
        run.warning(f"orderedResources: nothing is listed that is called {key!r}")


def report_hooks(request: BackupRequest, ledger: Ledger, run: Run) -> None:
    """Warn of hooks in the specification that were for no Pod: what is not quiesced."""
    for name in dict.fromkeys(request.hooks.names):
        if name not in ledger.met_hooks:
            run.warning(f"hooks {name!r}: none of the Pods is meant: nothing is run")


def _without_effect(request: BackupRequest) -> Iterator[str]:
    """Yield what was asked for in so many words, and is not done yet."""
    yield from _data_asked_for(request.backup.spec)
    policies = request.options.resource_policies
    actions = (
        {each.action.type for each in policies.volume_policies} if policies else ()
    )
    for action in sorted(_WITH_DATA.intersection(actions)):
        yield f"the action {action} of a resource policy"


def _data_asked_for(spec: BackupSpec) -> Iterator[str]:
    """Yield the fields that ask for the data of volumes."""
    if spec.snapshot_volumes:
        yield "snapshotVolumes"
    if spec.snapshot_move_data:
        yield "snapshotMoveData"
    if spec.default_volumes_to_fs_backup:
        yield "defaultVolumesToFsBackup"


def _idle_globs(request: BackupRequest) -> Iterable[tuple[str, str]]:
    """Yield the wildcards that fit no type, and whether they are to include."""
    spec = request.selection
    served = [str(each) for each in request.discovery.resources]
    included = (
        *spec.included_resources,
        *spec.included_namespace_scoped_resources,
        *spec.included_cluster_scoped_resources,
    )
    excluded = (
        *spec.excluded_resources,
        *spec.excluded_namespace_scoped_resources,
        *spec.excluded_cluster_scoped_resources,
    )
    for what, texts in (("included", included), ("excluded", excluded)):
        for text in texts:
            if is_glob(text) and not IncludesExcludes((text,)).expand(served):
                yield what, text


def report_discovery(request: BackupRequest, run: Run, ledger: Ledger) -> None:
    """Record the API groups that could not be read, if anything wanted may be there."""
    if not request.filters.wants_unnamed:
        return
    for failure in request.discovery.failures:
        group = failure.group_version.partition("/")[0]
        if group in _NOTHING_STORABLE:
            continue
        reason = f"API group {failure.group_version}: {failure.reason}"
        run.error(f"not covered: {reason}")
        ledger.not_covered.append(NotCovered(reason=reason))


def report_unread_type(group_resource: GroupResource, run: Run, ledger: Ledger) -> None:
    """Record a type that nobody asked the cluster for, though its definition is stored."""
    gap = NotCovered(
        resource=group_resource,
        reason="it was defined while the backup began, and its objects were not read",
    )
    ledger.not_covered.append(gap)
    run.error(f"not covered: {gap}")


def report_namespaces(
    request: BackupRequest, found: Namespaces, run: Run, ledger: Ledger
) -> None:
    """Record namespaces that were named and are not, or not wholly, in the backup."""
    for name in found.missing:
        run.error(f"namespace {name} does not exist", namespace=name)
        ledger.not_covered.append(
            NotCovered(
                resource=well_known.NAMESPACES, namespace=name, reason="does not exist"
            )
        )
    for name, error in found.failed.items():
        gap = NotCovered(
            resource=well_known.NAMESPACES, namespace=name, reason=str(error)
        )
        ledger.not_covered.append(gap)
        run.error(f"not covered: {gap}", namespace=name, cause=error)
    for name in request.filters.named_namespaces & found.objects.keys():
        if found.objects[name].is_excluded:
            run.warning(f"namespace {name} {_LABELLED}", namespace=name)
        elif found.objects[name].deleting:
            run.warning(f"namespace {name} {_DELETED}", namespace=name)
    for pattern in found.empty_patterns:
        if is_glob(pattern):
            run.warning(f"included namespaces {pattern!r}: there is none like that")
    for name in found.idle_excludes:
        run.warning(f"excluded namespaces {name!r}: {_among(found)} like that")


def report_unseen_namespaces(
    request: BackupRequest,
    found: Namespaces,
    lists: Iterable[ListRecord],
    run: Run,
    ledger: Ledger,
) -> None:
    """Record namespaces that may not be read and in which nothing was found.

    With few rights one that does not exist is not told from one that may not be read;
    what is in it shows that it is there.
    """
    seen = {record.namespace for record in lists if record.listed}
    for name in sorted({*found.unread} - seen - ledger.namespaces_in_use()):
        reason = "may not be read, and nothing was found in it: it may not exist"
        ledger.not_covered.append(
            NotCovered(resource=well_known.NAMESPACES, namespace=name, reason=reason)
        )
        tell = run.warning if request.options.skip_forbidden else run.error
        tell(f"namespace {name} {reason}", namespace=name)


def _among(found: Namespaces) -> str:
    """Return where an excluded namespace was looked for; only a list shows them all."""
    if found.record is not None:
        return "there is none"
    return "none of the included ones is"


class Refusals:
    """Types that the caller may not list.

    A backup of the whole cluster that lacks a type is not what it says: an error each.
    With rights in some namespaces, and those named, it is an error if the type was
    named; of all others there is one warning. With ``skip_forbidden`` all are in it.

    Attributes:
        places: What was refused: a type and a namespace, which is empty for all of them.
    """

    def __init__(self, request: BackupRequest, run: Run, ledger: Ledger) -> None:
        self._filters = request.filters
        self._lenient = request.options.skip_forbidden
        self._run = run
        self._ledger = ledger
        self._types: dict[GroupResource, set[str]] = defaultdict(set)
        self.places: set[tuple[GroupResource, str]] = set()

    def add(
        self, group_resource: GroupResource, namespace: str, error: ForbiddenError
    ) -> None:
        """Record one refusal."""
        self.places.add((group_resource, namespace))
        gap = NotCovered(
            resource=group_resource, namespace=namespace, reason=f"forbidden: {error}"
        )
        self._ledger.not_covered.append(gap)
        wanted = self._filters.names(group_resource) or (
            not self._filters.named_namespaces
            and group_resource not in NEVER_STORED_ALONE  # it was only to count them
        )
        if wanted and not self._lenient:
            self._run.error(f"not covered: {error}", namespace=namespace, cause=error)
        else:
            self._types[group_resource].add(namespace)

    def report(self) -> None:
        """Give the one warning, if there is reason for it."""
        if not self._types:
            return
        names = ", ".join(sorted(str(each) for each in self._types))
        what = plural(len(self._types), "type")
        self._run.warning(f"{what} may not be read and are not in this backup: {names}")


@attrs.frozen
class FailedList:
    """A LIST that failed or ended early, and what became of its items until then."""

    task: ListTask
    error: KBackupError
    tally: Tally


def report_failed_list(failed: FailedList, run: Run, ledger: Ledger) -> None:
    """Record a LIST that failed or ended early."""
    task, error, listed = failed.task, failed.error, failed.tally.listed
    early = f" after {plural(listed, 'item')}" if listed else ""
    reason = f"the list ended early{early}: {error}" if early else str(error)
    if task.is_of_copies:
        reason = f"in version {task.resource.version}: {reason}"
    gap = NotCovered(
        resource=task.group_resource, namespace=task.namespace, reason=reason
    )
    ledger.not_covered.append(gap)
    run.error(f"not covered: {gap}", namespace=task.namespace, cause=error)


def record_of(
    task: ListTask, record: ListRecord | None, tally: Tally, run: Run, ledger: Ledger
) -> ListRecord:
    """Return the record of one LIST with what became of its items.

    Those that failed are entered as not covered, together. Where the sums do not hold,
    that is an error: something was lost unnoticed.
    """
    base = record or ListRecord(
        resource=task.group_resource,
        version=task.resource.version,
        namespace=task.namespace,
        exact=False,
    )
    listed = record.listed if record is not None else tally.listed
    if tally.failed:  # each is an error by name already
        gap = NotCovered(
            resource=task.group_resource,
            namespace=task.namespace,
            count=tally.failed,
            reason="failed, each for the reason that the results give",
        )
        ledger.not_covered.append(gap)
    if not tally.is_whole or listed != tally.listed:
        done = tally.stored + tally.failed + tally.skipped.total()
        gap = NotCovered(
            resource=task.group_resource,
            namespace=task.namespace,
            reason=f"{listed} items were listed, {done} are accounted for",
        )
        ledger.not_covered.append(gap)
        run.error(f"not covered: {gap}", namespace=task.namespace)
    return attrs.evolve(
        base,
        listed=listed,
        stored=tally.stored,
        skipped=dict(sorted(tally.skipped.items())),
        failed=tally.failed,
    )


def report_volumes(spec: BackupSpec, ledger: Ledger, run: Run) -> None:
    """Tell the claims whose data are not in the backup; one never bound has none.

    A warning, and an error where the specification or a policy asks for the data: a
    backup that says it has them must not be Completed without. Where a policy decides
    about a claim, the specification does not; what it skips is no gap.
    """
    asked = list(_data_asked_for(spec))
    wanted: list[VolumeRecord] = []
    others: list[VolumeRecord] = []
    skipped: list[VolumeRecord] = []
    for each in ledger.volumes:
        if each.data != "none" or not each.volume:
            continue
        if each.is_skipped:
            skipped.append(each)
        elif each.policy in _WITH_DATA or (asked and not each.policy):
            wanted.append(each)
        else:
            others.append(each)
    if skipped:
        run.logger.info("skipped by a resource policy: %s", _claims(skipped))
    if wanted:
        by = asked if any(not each.policy for each in wanted) else []
        if any(each.policy for each in wanted):
            by = [*by, "a resource policy"]
        told = f"{_without_data(wanted)} (asked for with {', '.join(by)})"
        gap = NotCovered(resource=well_known.PERSISTENT_VOLUME_CLAIMS, reason=told)
        ledger.not_covered.append(gap)
        run.error(f"not covered: {gap}")
    if others:
        run.warning(_without_data(others))


def _without_data(volumes: Sequence[VolumeRecord]) -> str:
    have = "volume has" if len(volumes) == 1 else "volumes have"
    return f"{len(volumes)} {have} no data in this backup: {_claims(volumes)}"


def _claims(volumes: Sequence[VolumeRecord]) -> str:
    return first_few([each.claim for each in volumes])


def report_snapshots(lists: Iterable[ListRecord], run: Run, ledger: Ledger) -> None:
    """Tell how many snapshots the cluster has that are not in the backup."""
    counts: Counter[str] = Counter()
    for each in lists:
        if count := each.skipped.get(OF_SNAPSHOTS, 0):
            gap = NotCovered(
                resource=each.resource,
                namespace=each.namespace,
                count=count,
                reason=OF_SNAPSHOTS,
            )
            ledger.not_covered.append(gap)
            counts[gap.resource] += count
    for name, count in sorted(counts.items()):
        run.warning(f"{count} {name} are not in this backup: {OF_SNAPSHOTS}")


def report_overlong(items: Sequence[ResourceIdentifier], run: Run) -> None:
    """Warn of names that a Velero server cannot unpack."""
    for identifier in items:
        run.warning(
            "the name is so long that Velero will not be able to read this backup",
            item=identifier,
        )


def report_passed_over(counts: Mapping[str, int], run: Run) -> None:
    """Tell of items about which an action was not asked, since it once did not come back."""
    for name, count in counts.items():
        missed = plural(count, "item")
        told = f"{name} did not come back and was not asked about {missed}"
        run.error(told, plugin=name)


def report_end(missing: Iterable[MissingReference], ledger: Ledger, run: Run) -> None:
    """Tell what can be told once nothing more will be stored."""
    report_missing(missing, run)
    report_nothing(ledger, run)


def report_missing(missing: Iterable[MissingReference], run: Run) -> None:
    """Warn once for each type of what is referred to and not in the backup."""
    by_type: dict[str, list[str]] = defaultdict(list)
    for reference in missing:
        by_type[reference.kind].append(reference.refers_to.qualified_name)
    for kind, names in sorted(by_type.items()):
        run.warning(f"referred to, but not in this backup: {kind} {first_few(names)}")


def report_nothing(ledger: Ledger, run: Run) -> None:
    """Warn if nothing that was asked for is in the backup: often a slip in a filter."""
    if not ledger.holds_nothing:
        return
    held = "no item"
    if names := ledger.idle_namespaces:
        held = f"only Namespace {first_few(names)}"
    run.warning(f"nothing was selected: this backup holds {held}")
