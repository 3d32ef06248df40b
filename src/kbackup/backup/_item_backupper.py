"""Items to the archive: what actions make of those that are chosen, and what is written.

Called by the pipeline with the pages of a listing and with single additional items.
Most items go through `_copy`: a few comparisons, and the bytes that the server sent go
to the archive untouched. Of types that refer to others it parses them, to note that;
where an action or a `where` has a say, items go through `_inspect`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from kbackup._kits.words import qualified
from kbackup._kits.workers import CancelToken
from kbackup.archive import LONGEST_NAME_FOR_VELERO
from kbackup.backup._action_runner import ActionOutcome, ActionRunners
from kbackup.backup._candidates import (
    OF_SNAPSHOTS,
    SELECTED_TWICE,
    Candidates,
    identifier_on,
)
from kbackup.backup._changed import changed_item, is_as_given
from kbackup.backup._claims import Claims
from kbackup.backup._filters import NEVER_STORED_ALONE
from kbackup.backup._items import Candidate, ItemSink, Member
from kbackup.backup._ledger import Ledger, Tally, TypeLedger
from kbackup.backup._losses import lose
from kbackup.backup._references import References, finder_for
from kbackup.cluster import ListedItem
from kbackup.errors import ActionError, ArchiveError
from kbackup.models import (
    APIResource,
    BackupOptions,
    Item,
    ResourceIdentifier,
)
from kbackup.plugins import (
    BackupItemAction,
    Run,
)
from kbackup.plugins.engine import ActionIndex, Operations

_BATCH = 64  # items handed to the action worker at once: a hand-over costs 70 us


class ItemBackupper:
    """Stores items and keeps the books; used by one thread at a time.

    Attributes:
        candidates: Chooses the items.
        outcomes: Runs the actions of candidates, which any thread may do, also while
            others store something.
        overlong: What has a name that Velero cannot unpack.

    Args:
        run: Gets warnings, errors and progress.
        sink: Where the items go; what it raises about one item is that item's error,
            everything else is fatal.
        ledger: The books.
        references: Told of everything stored.
        claims: Alike.
        actions: Of the run.
        runners: Run them.
        operations: Lets them begin; None: they may not, as for a plan.
        options: For `where`.
        is_excluded: Tells of a namespace whether its items are left out of
            cluster-wide lists; None: no namespace is.
    """

    def __init__(
        self,
        *,
        run: Run,
        sink: ItemSink,
        ledger: Ledger,
        references: References,
        claims: Claims,
        actions: ActionIndex[BackupItemAction],
        runners: ActionRunners,
        operations: Operations | None,
        options: BackupOptions,
        is_excluded: Callable[[str], bool] | None = None,
    ) -> None:
        self._run = run
        self._cancel: CancelToken = run.cancel
        self._sink = sink
        self._ledger = ledger
        self._references = references
        self._claims = claims
        self._actions = actions
        self._runners = runners
        self.outcomes = runners.outcomes
        self._operations = operations
        self._looks_into_all = options.where is not None
        self.candidates = Candidates(
            run=run, ledger=ledger, where=options.where, is_excluded=is_excluded
        )
        self._careless: set[tuple[str, ...]] = set()
        self.overlong: list[ResourceIdentifier] = []

    def back_up_page(
        self, resource: APIResource, items: Sequence[ListedItem], tally: Tally
    ) -> None:
        """Store one page of a listing; every item is counted in *tally*.

        Raises:
            Cancelled: The run is to stop.
        """
        page = self._ledger.of_type(resource)
        tally.listed += len(items)
        if page.ahead:
            items = tally.settled(page, items)
        before = tally.stored
        group_resource = resource.group_resource
        if group_resource in NEVER_STORED_ALONE:
            self._leave(page, items, tally)
        elif not (self._looks_into_all or self._actions.for_type(group_resource)):
            self._copy(page, items, tally)
        else:
            self._inspect(page, items, tally)
        self._ledger.total += len(items)
        self._ledger.items += tally.stored - before

    def back_up_item(
        self,
        resource: APIResource,
        item: Item,
        *,
        by_where: bool = False,
        tally: Tally | None = None,
    ) -> None:
        """Store one object that was fetched by itself.

        Args:
            resource: Its type.
            item: The object.
            by_where: Whether the caller's function decides about it.
            tally: Counts what becomes of it; it counted the item as listed already.
        """
        tally = tally if tally is not None else Tally()
        self._ledger.total += 1
        candidate = self.candidates.fetched(resource, item, tally, by_where=by_where)
        if candidate is not None:
            member = Member(resource=resource, candidate=candidate, tally=tally)
            self.store([member])

    def store(self, members: Sequence[Member]) -> None:
        """Store objects that `candidates` chose, in their order."""
        for start in range(0, len(members), _BATCH):
            batch = members[start : start + _BATCH]
            outcomes = self.outcomes([member.candidate for member in batch])
            for member, outcome in zip(batch, outcomes, strict=True):
                self.finish(member, outcome)()

    def finish(self, member: Member, outcome: ActionOutcome) -> Callable[[], None]:
        """Store one object as its actions left it.

        Returns:
            Lets actions begin for it, which may take long: called when others may store
            something again.
        """
        self._cancel.check()
        page, tally = self._ledger.of_type(member.resource), member.tally
        before = tally.stored
        stored = self._finish(page, member.candidate, outcome, tally)
        self._ledger.items += tally.stored - before
        if member.ahead:
            page.note_ahead(member.identifier.qualified_name)
        return partial(self._begin, stored, outcome)

    def _copy(
        self, page: TypeLedger, items: Iterable[ListedItem], tally: Tally
    ) -> None:
        """Store items as they are; this loop is what large backups do."""
        parses = finder_for(page.resource.group_resource) is not None
        resource, version = page.full_name, page.resource.version
        preferred = page.resource.preferred
        stored, add = page.stored, self._sink.add
        check_cancel, unwanted = self._cancel.check, self.candidates.unwanted
        count = 0
        for item in items:
            check_cancel()
            namespace, name = item.namespace, item.name
            key = f"{namespace}/{name}" if namespace else name
            if reason := unwanted(item, key, page):
                tally.skipped[reason] += 1
                continue
            body = item.json()
            content: Mapping[str, Any] | None = None
            if parses:
                identifier = identifier_on(page, namespace, name)
                content = self.candidates.content(page, identifier, body, tally)
                if content is None:
                    continue
            try:
                add(
                    resource=resource,
                    version=version,
                    namespace=namespace,
                    name=name,
                    body=body,
                    preferred=preferred,
                )
            except ArchiveError as exc:
                lose(self._run, page, identifier_on(page, namespace, name), exc, tally)
                continue
            stored.add(key)
            count += 1
            if content is not None:
                self._look_into(content, identifier)
            if len(name) > LONGEST_NAME_FOR_VELERO:
                self.overlong.append(identifier_on(page, namespace, name))
        tally.stored += count

    def _leave(
        self, page: TypeLedger, items: Iterable[ListedItem], tally: Tally
    ) -> None:
        """Only count items; what they are is told at the end."""
        for item in items:
            key = qualified(item.namespace, item.name)
            tally.skipped[
                self.candidates.unwanted(item, key, page) or OF_SNAPSHOTS
            ] += 1

    def _inspect(
        self, page: TypeLedger, items: Sequence[ListedItem], tally: Tally
    ) -> None:
        """Store items of a type that something wants to look into."""
        batch: list[Candidate] = []
        for candidate in self.candidates.chosen(page.resource, items, tally):
            batch.append(candidate)
            if len(batch) >= _BATCH:
                self._store(batch, page, tally)
                batch = []
        self._store(batch, page, tally)

    def _store(
        self, batch: Sequence[Candidate], page: TypeLedger, tally: Tally
    ) -> None:
        """Run the actions of a batch, then write what they left."""
        outcomes = self.outcomes(batch)
        for candidate, outcome in zip(batch, outcomes, strict=True):
            self._cancel.check()
            stored = self._finish(page, candidate, outcome, tally)
            self._begin(stored, outcome)

    def _finish(
        self,
        page: TypeLedger,
        candidate: Candidate,
        outcome: ActionOutcome,
        tally: Tally,
    ) -> ResourceIdentifier | None:
        """Write one item as its actions left it, and note what follows from it.

        Returns:
            What was stored, if anything may act on it.
        """
        identifier, key = candidate.identifier, candidate.identifier.qualified_name
        if page.has_met(key):  # a server may list it twice in one page
            tally.skipped[SELECTED_TWICE] += 1
            return None
        if outcome.error is not None:
            lose(self._run, page, identifier, outcome.error, tally)
            return None
        if outcome.skip:
            tally.skipped[f"skipped by an action: {outcome.skip}"] += 1
            return None
        try:
            identifier, body = self.as_stored(candidate, outcome)
            page.take_name(identifier.qualified_name, key)
            self._sink.add(
                resource=page.full_name,
                version=page.resource.version,
                namespace=identifier.namespace,
                name=identifier.name,
                body=body,
                preferred=page.resource.preferred,
            )
        except (ArchiveError, ActionError) as exc:
            lose(self._run, page, candidate.identifier, exc, tally)
            return None
        page.stored.add(identifier.qualified_name)
        if body is not candidate.body:
            version = outcome.item["apiVersion"]
            page.note_version(identifier.qualified_name, version)
        tally.stored += 1
        self._note(identifier, outcome)
        return None if candidate.identifier in self._ledger.unquiesced else identifier

    def as_stored(
        self, candidate: Candidate, outcome: ActionOutcome
    ) -> tuple[ResourceIdentifier, bytes]:
        """Return name and bytes of what is written; untouched where nothing changed.

        Raises:
            ActionError: What the last action left cannot be stored.
        """
        changed_by = outcome.changed_by
        if outcome.asked and not is_as_given(candidate.item, candidate.body):
            self._warn_of_change_in_place(candidate.identifier, outcome.asked)
            changed_by = changed_by or outcome.asked[-1]
        if not changed_by:
            return candidate.identifier, candidate.body
        return changed_item(candidate.identifier, outcome.item, changed_by)

    def _warn_of_change_in_place(
        self, identifier: ResourceIdentifier, asked: tuple[str, ...]
    ) -> None:
        """Tell once who may have changed the items that it was given."""
        if asked in self._careless:
            return
        self._careless.add(asked)
        self._run.warning(
            f"changed in place by action {' or '.join(asked)}, which is to answer with "
            "a new item; stored as it was left, and so are others that it changed",
            item=identifier,
            plugin=asked[-1],
        )

    def _begin(
        self, identifier: ResourceIdentifier | None, outcome: ActionOutcome
    ) -> None:
        """Let actions act on a stored item: what is lost gets no operation."""
        if identifier is None or self._operations is None or not outcome.begins:
            return
        given = self._runners.main.given(identifier, outcome.item)
        for action, again in outcome.begins:
            self._operations.begin(
                action, given, identifier, post_operation_items=again
            )

    def _note(self, identifier: ResourceIdentifier, outcome: ActionOutcome) -> None:
        """Keep what a stored item's actions ask for, and what is in it."""
        self.want_additional(identifier, outcome)
        if len(identifier.name) > LONGEST_NAME_FOR_VELERO:
            self.overlong.append(identifier)
        self._look_into(outcome.item, identifier)

    def want_additional(
        self, identifier: ResourceIdentifier, outcome: ActionOutcome
    ) -> None:
        """Keep what an item's actions ask for."""
        for wanted, unfiltered, action in outcome.additional:
            self._ledger.want(wanted, unfiltered=unfiltered)
            self._ledger.note_asker(wanted, identifier, action)

    def _look_into(
        self, item: Mapping[str, Any], identifier: ResourceIdentifier
    ) -> None:
        """Keep what a stored item refers to, and what is told of claims and Pods."""
        finder = finder_for(identifier.group_resource)
        if finder is None:
            return
        self._references.note(finder, item, identifier)
        self._claims.note(identifier, item)
