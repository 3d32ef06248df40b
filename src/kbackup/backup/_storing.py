"""Everything that a request selects, into a sink: the steps between start and upload.

`store_selected` serves both a backup, whose sink is the archive, and a plan, whose sink
only counts: so a plan tells what a backup would do. A failing cluster costs what it
failed on and is recorded; a failing sink is raised.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing

import attrs

from kbackup._kits.words import qualified
from kbackup.backup import _coverage as coverage
from kbackup.backup._absent import refuse_missing_namespaces, refuse_unknown_types
from kbackup.backup._action_runner import ActionRunners
from kbackup.backup._actions import BackupActions
from kbackup.backup._additional import AdditionalItems
from kbackup.backup._argo_cd import report_argo_cd
from kbackup.backup._block_backupper import BlockBackupper
from kbackup.backup._candidates import NOT_IN_WHERE
from kbackup.backup._claims import Claims, claim_records
from kbackup.backup._collector import Listing, ListTask, collect, plan_lists
from kbackup.backup._crds import definitions_of
from kbackup.backup._filters import label_selectors
from kbackup.backup._item_backupper import ItemBackupper
from kbackup.backup._item_blocks import BlockBuilder
from kbackup.backup._items import ItemSink
from kbackup.backup._ledger import Ledger, Tally
from kbackup.backup._namespaces import (
    Namespaces,
    chosen_objects,
    resolve_namespaces,
    was_meant,
)
from kbackup.backup._ordered import Name, absent_names
from kbackup.backup._passing_types import report_new_types, report_unserved_lists
from kbackup.backup._pod_pages import whole_namespaces
from kbackup.backup._reads import Reads
from kbackup.backup._references import References
from kbackup.backup._request import BackupRequest
from kbackup.backup._version_copies import VersionCopies
from kbackup.catalog import MissingReference
from kbackup.cluster import ListedItem
from kbackup.errors import (
    ForbiddenError,
    ItemNotFoundError,
    UnsupportedByServerError,
)
from kbackup.hooks import HookRunner
from kbackup.models import (
    GroupResource,
    Item,
    ListRecord,
    ResourceIdentifier,
    well_known,
)
from kbackup.plugins import (
    ItemsListed,
    ItemsProgressed,
    Run,
)
from kbackup.plugins.engine import Operations

_TELL_EVERY = 0.25  # seconds between two events of progress


@attrs.frozen(kw_only=True)
class Stored:
    """What came of the storing.

    Attributes:
        ledger: The books.
        lists: How each type was read, with what became of its items.
        missing: What is referred to and was not stored.
    """

    ledger: Ledger
    lists: tuple[ListRecord, ...]
    missing: tuple[MissingReference, ...]

    @property
    def left_out_by_where(self) -> int:
        """How many items the caller's function did not want."""
        return sum(record.skipped.get(NOT_IN_WHERE, 0) for record in self.lists)


def store_selected(
    request: BackupRequest,
    run: Run,
    sink: ItemSink,
    actions: BackupActions,
    operations: Operations | None = None,
) -> Stored:
    """Give everything that *request* selects to *sink*.

    Without *operations* no action begins anything, and no command is run in a Pod.

    Raises:
        Cancelled: The run is to stop.
        InvalidSpecError: The cluster has nothing of what was named.
        ClusterError: What is selected could not even be found out.
    """
    runners = ActionRunners(
        run, request.backup, request.cluster.reader(), actions.items
    )
    try:
        storing = _Storing(
            request, run, sink, actions, runners=runners, operations=operations
        )
        return storing.execute()
    finally:
        runners.close()


class _Storing:
    """The state that the steps share."""

    def __init__(
        self,
        request: BackupRequest,
        run: Run,
        sink: ItemSink,
        actions: BackupActions,
        *,
        runners: ActionRunners,
        operations: Operations | None,
    ) -> None:
        self._request = request
        self._run = run
        self._ledger = Ledger()
        self._reads = Reads(request.cluster, request.discovery, run)
        self._references = References()
        self._claims = Claims(request.options.resource_policies)
        self._met: dict[GroupResource, set[Name]] = defaultdict(set)
        self._refusals = coverage.Refusals(request, run, self._ledger)
        self._runners = runners
        self._operations = operations
        self._hook_runner = None
        if operations is not None:  # a plan runs no command
            self._hook_runner = HookRunner(run, request.cluster)
        self._writing = threading.Lock()
        self._sink = sink
        self._actions = actions
        self._lists: list[ListRecord] = []
        self._unserved: list[coverage.FailedList] = []
        self._told_at = -_TELL_EVERY

    def execute(self) -> Stored:
        run, ledger, request = self._run, self._ledger, self._request
        with run.phase("namespaces"):
            coverage.report_filters(request, run)
            coverage.report_discovery(request, run, ledger)
            if not ledger.not_covered:  # an unread group may serve what is unknown
                refuse_unknown_types(request)
            namespaces = resolve_namespaces(request)
            refuse_missing_namespaces(request, namespaces)
            coverage.report_namespaces(request, namespaces, run, ledger)
            report_argo_cd(request.filters, namespaces, run)
            ledger.excluded_namespaces = namespaces.excluded_by_label
            self._backupper = self._new_backupper(namespaces)
            self._copies = VersionCopies(
                run=run,
                sink=self._sink,
                ledger=ledger,
                actions=self._actions.items,
                backupper=self._backupper,
            )
            self._additional = self._new_additional(namespaces)
            self._blocks = self._new_blocks()
        with run.phase("lists"):
            self._store_lists(namespaces)
        with run.phase("additional items"):
            self._store_additional()
            self._store_definitions()
            self._store_additional()
            self._store_namespaces(namespaces)
        with run.phase("references"):
            coverage.report_unseen_namespaces(
                request, namespaces, self._lists, run, ledger
            )
            return self._close_books()

    def _new_backupper(self, namespaces: Namespaces) -> ItemBackupper:
        return ItemBackupper(
            run=self._run,
            sink=self._sink,
            ledger=self._ledger,
            references=self._references,
            claims=self._claims,
            actions=self._actions.items,
            runners=self._runners,
            operations=self._operations,
            options=self._request.options,
            is_excluded=_exclusion(self._request, namespaces),
        )

    def _new_additional(self, namespaces: Namespaces) -> AdditionalItems:
        return AdditionalItems(
            request=self._request,
            run=self._run,
            ledger=self._ledger,
            namespaces=namespaces,
            reads=self._reads,
            refusals=self._refusals,
            backupper=self._backupper,
            writing=self._writing,
        )

    def _new_blocks(self) -> BlockBackupper:
        builder = BlockBuilder(
            run=self._run,
            ledger=self._ledger,
            actions=self._actions.blocks,
            runner=self._runners.main,
            reads=self._reads,
            additional=self._additional,
            backupper=self._backupper,
        )
        return BlockBackupper(
            run=self._run,
            ledger=self._ledger,
            rules=self._request.hooks,
            runner=self._hook_runner,
            everywhere=any(self._request.filters.selectors),
            builder=builder,
            backupper=self._backupper,
            additional=self._additional,
            writing=self._writing,
        )

    # --- lists ------------------------------------------------------------------------

    def _store_lists(self, namespaces: Namespaces) -> None:
        request = self._request
        tasks = plan_lists(
            request.types,
            namespaces,
            request.filters.selectors,
            request.ordered.names,
            request.other_versions,
        )
        anchor = namespaces.record
        listings = collect(
            request.cluster,
            tasks,
            resource_version=anchor.resource_version if anchor is not None else "",
            exact=request.options.consistency == "exact",
        )
        with closing(listings):  # or what reads ahead goes on after an error
            for listing in listings:
                if listing.task.name:
                    self._store_first(listing)
                elif listing.task.is_of_copies:
                    self._store_copies(listing)
                else:
                    self._store_listing(listing)
        for told in absent_names(request.ordered, self._met):
            self._run.warning(told)

    def _store_first(self, listing: Listing) -> None:
        """Store one object before its type is listed; that list counts it."""
        task = listing.task
        page = self._ledger.of_type(task.resource)
        for items in listing.pages():
            self._back_up_page(task, items, Tally())
            for item in items:
                if page.note_ahead(qualified(item.namespace, item.name)):
                    self._met[task.group_resource].add((item.namespace, item.name))
        if listing.error is None:
            return
        self._met[task.group_resource].add((task.namespace, task.name))
        if not isinstance(listing.error, ForbiddenError):  # told with the type's list
            told = f"orderedResources: {task.name} is not stored first"
            self._run.warning(f"{told}: {listing.error}", namespace=task.namespace)

    def _store_listing(self, listing: Listing) -> None:
        task, tally = listing.task, Tally()
        pages = listing.pages()
        if task.group_resource == well_known.PODS:
            pages = whole_namespaces(pages)
        for page in pages:
            self._back_up_page(task, page, tally)
            self._tell(task.group_resource)
        if isinstance(listing.error, ForbiddenError) and not tally.listed:
            self._refusals.add(task.group_resource, task.namespace, listing.error)
            return
        self._enter(listing, tally)
        self._log_list(task, tally)

    def _store_copies(self, listing: Listing) -> None:
        """Store what is stored in another version, too; what may not be read was told."""
        tally = self._copies.store(listing)
        task = listing.task
        if (task.group_resource, task.namespace) not in self._refusals.places:
            self._enter(listing, tally)

    def _enter(self, listing: Listing, tally: Tally) -> None:
        """Enter a list that was read, or as far as it could be."""
        task, record = listing.task, listing.record
        if listing.error is not None:
            self._note_failure(coverage.FailedList(task, listing.error, tally))
            record = None  # what it says of the end is not true
        self._lists.append(
            coverage.record_of(task, record, tally, self._run, self._ledger)
        )

    def _back_up_page(
        self, task: ListTask, items: Sequence[ListedItem], tally: Tally
    ) -> None:
        items = self._blocks.back_up_page(task.resource, items, tally)
        self._backupper.back_up_page(task.resource, items, tally)

    def _note_failure(self, failed: coverage.FailedList) -> None:
        """Record a LIST that failed; where the type may have gone, that is told last."""
        if isinstance(failed.error, UnsupportedByServerError):
            self._unserved.append(failed)
        else:
            coverage.report_failed_list(failed, self._run, self._ledger)

    def _log_list(self, task: ListTask, tally: Tally) -> None:
        """Write one line for each list: lines for each item cost more than the item."""
        if not tally.listed:
            return
        self._run.logger.info(
            "stored %d of %d %s",
            tally.stored,
            tally.listed,
            task.resource,
            extra={"fields": {"namespace": task.namespace}},
        )
        self._run.emit(
            ItemsListed(
                resource=task.group_resource,
                namespace=task.namespace,
                count=tally.listed,
            )
        )

    def _tell(self, current: GroupResource) -> None:
        if not self._run.observed:
            return
        now = self._run.clock.monotonic()
        if now - self._told_at >= _TELL_EVERY:
            self._told_at = now
            self._run.emit(ItemsProgressed(done=self._ledger.total, current=current))

    # --- single items -----------------------------------------------------------------

    def _store_additional(self) -> None:
        """Store what actions asked for, and what actions ask for on those, until done."""
        while self._ledger.wanted:
            self._store_pods(self._additional.store_wanted())

    def _store_pods(self, pods: Sequence[Item]) -> None:
        """Store Pods that were read one by one."""
        if pods:
            resource = self._reads.resource(pods[0].identifier)
            self._blocks.back_up_fetched(resource, pods)

    def _store_definitions(self) -> None:
        """Store the CRDs of the custom resources that were stored."""
        crds = self._request.discovery.get(well_known.CRDS)
        if crds is None or self._request.filters.excludes_crds(crds):
            return
        wanted = definitions_of(self._ledger.stored_types())
        self._additional.fetch_and_store(
            (each for each in wanted if not self._ledger.was_tried(each)),
            expected=False,  # the type of an aggregated API has none
        )

    def _store_namespaces(self, found: Namespaces) -> None:
        """Store the Namespace objects, now that it is known what is in them."""
        if found.resource is None or not self._request.filters.lists(found.resource):
            return
        for name in found.unread:
            if found.refused is not None:
                self._refusals.add(well_known.NAMESPACES, name, found.refused)
        if found.refused is not None and not found.unread:
            self._refusals.add(well_known.NAMESPACES, "", found.refused)
        in_use = self._ledger.namespaces_in_use()
        selectors = label_selectors(self._request.backup.spec)
        chosen, skipped = chosen_objects(
            found, self._request.filters, selectors, in_use
        )
        tally = Tally(listed=len(found.objects))
        tally.skipped.update(skipped)
        resource = found.resource
        for each in chosen:
            identifier = ResourceIdentifier(well_known.NAMESPACES, "", each.name)
            if self._ledger.has(well_known.NAMESPACES, "", each.name):
                tally.stored += 1  # an action asked for it
                continue
            item = Item(
                identifier=identifier,
                raw=each.body,
                api_version=resource.api_version,
                kind=resource.kind,
            )
            selected, stored = each.name not in in_use, tally.stored
            self._backupper.back_up_item(resource, item, by_where=selected, tally=tally)
            if selected and not was_meant(each, self._request.filters, selectors):
                self._ledger.idle_namespaces += [each.name] * (tally.stored - stored)
        if found.record is not None:
            task = ListTask(resource=resource)
            self._lists.append(
                coverage.record_of(task, found.record, tally, self._run, self._ledger)
            )

    # --- the end ----------------------------------------------------------------------

    def _close_books(self) -> Stored:
        run, ledger = self._run, self._ledger
        self._refusals.report()
        if self._hook_runner is not None and ledger.hooked_pods:
            ledger.hook_status = self._hook_runner.status
        coverage.report_hooks(self._request, ledger, run)
        report_new_types(self._request, run, ledger)
        report_unserved_lists(self._unserved, self._request, run, ledger)
        coverage.report_passed_over(self._runners.passed_over, run)
        ledger.volumes = claim_records(self._claims, self._reads, run)
        coverage.report_volumes(self._request.backup.spec, ledger, run)
        coverage.report_snapshots(self._lists, run, ledger)
        coverage.report_overlong(self._backupper.overlong, run)
        missing = self._references.missing(ledger.has)
        missing += self._missing_definitions()
        return Stored(ledger=ledger, lists=tuple(self._lists), missing=missing)

    def _missing_definitions(self) -> tuple[MissingReference, ...]:
        """Return the CRDs that were kept out although custom resources are in."""
        crds = self._request.discovery.get(well_known.CRDS)
        if crds is None or not self._request.filters.excludes_crds(crds):
            return ()
        gaps = []
        for definition in definitions_of(self._ledger.stored_types()):
            if self._ledger.was_tried(definition):
                continue
            if isinstance(self._reads.one(definition), ItemNotFoundError):
                continue  # the type of an aggregated API has none
            first = self._ledger.any_of(GroupResource.parse(definition.name))
            gaps.append(
                MissingReference(
                    item=first, refers_to=definition, kind=str(well_known.CRDS)
                )
            )
        return tuple(gaps)


def _exclusion(
    request: BackupRequest, namespaces: Namespaces
) -> Callable[[str], bool] | None:
    """Return what tells the unwanted namespaces of cluster-wide lists."""
    labelled = namespaces.excluded_by_label
    wanted = request.filters.namespaces
    if namespaces.listed is not None or (wanted.includes_everything and not labelled):
        return None
    known = {"": False}  # cluster-scoped items are in no namespace

    def is_excluded(namespace: str) -> bool:
        answer = known.get(namespace)
        if answer is None:
            answer = namespace in labelled or not wanted.wants(namespace)
            known[namespace] = answer
        return answer

    return is_excluded
