"""Blocks of items: each is stored as one, between the commands of all its Pods.

Nothing here is done for an item that no hook concerns and no plugin relates to others:
the built-in item block actions are asked where Pods have hooks, or labels are selected by,
for only there it matters what belongs together. The seam is `BlockBackupper._store_quiesced`:
what it does is done while the Pods of a block are quiesced.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import as_completed

import attrs

from kbackup._kits.workers import WorkerPool
from kbackup.backup._additional import AdditionalItems
from kbackup.backup._filters import NEVER_STORED_ALONE
from kbackup.backup._item_backupper import ItemBackupper
from kbackup.backup._item_blocks import BlockBuilder, ItemBlock
from kbackup.backup._items import Member
from kbackup.backup._ledger import Ledger, Tally, Wanted, add_wanted
from kbackup.cluster import ListedItem
from kbackup.hooks import HookRules, HookRunner, PodHooks
from kbackup.models import APIResource, Item, ResourceIdentifier, well_known
from kbackup.plugins import ItemBlockAction, Run, WaitingFor
from kbackup.plugins.engine import ResolvedAction, is_built_in

_ENDED = "the run has ended"
_AT_ONCE = 512  # items whose blocks are held in memory together


@attrs.frozen(kw_only=True)
class BlockBackupper:
    """Tells items that begin a block from others, and backs the blocks up.

    Attributes:
        runner: Runs the commands; None: they are not run, as for a plan.
        everywhere: Whether the built-in actions are asked about all their items, not
            only where hooks are.
        writing: Held while something is stored.
    """

    run: Run
    ledger: Ledger
    rules: HookRules
    runner: HookRunner | None
    everywhere: bool
    builder: BlockBuilder
    backupper: ItemBackupper
    additional: AdditionalItems
    writing: threading.Lock

    def back_up_page(
        self, resource: APIResource, items: Sequence[ListedItem], tally: Tally
    ) -> Sequence[ListedItem]:
        """Back up those items of a page that begin a block; return the others.

        Without those that belong to such a block.
        """
        roots = self._roots(resource, items)
        if not roots:
            return items
        page = _Page(self, resource, items, tally)
        for start in range(0, len(roots), _AT_ONCE):
            members = page.take(roots[start : start + _AT_ONCE])
            self._back_up_all(self.builder.build(members, page.find))
        return [each for each in items if id(each) not in page.taken]

    def back_up_fetched(self, resource: APIResource, items: Sequence[Item]) -> None:
        """Back up items that were read one by one, whether they begin a block or not."""
        tally = Tally()
        self.ledger.total += len(items)
        found = (
            self.backupper.candidates.fetched(resource, item, tally) for item in items
        )
        roots: list[Member] = []
        others: list[Member] = []
        for candidate in filter(None, found):
            member = Member(resource=resource, candidate=candidate, tally=tally)
            (roots if self._begins_block(member) else others).append(member)
        self._back_up_all(self.builder.build(roots, lambda _: None))
        self.backupper.store(others)

    def _roots(
        self, resource: APIResource, items: Sequence[ListedItem]
    ) -> list[ListedItem]:
        """Return the items that begin a block; this much is done for every page."""
        group_resource = resource.group_resource
        asked = self._asked(resource)
        if group_resource == well_known.PODS:
            concerns = self.rules.may_concern
            return [
                x
                for x in items
                if concerns(x.namespace, x.labels, bytes(x.raw))
                or any(each.wants(x.namespace, x.labels) for each in asked)
            ]
        if not asked or group_resource in NEVER_STORED_ALONE:
            return []
        return [
            x for x in items if any(each.wants(x.namespace, x.labels) for each in asked)
        ]

    def _begins_block(self, member: Member) -> bool:
        """Tell of one item what `_roots` tells of a page."""
        candidate, resource = member.candidate, member.resource
        namespace, labels = candidate.identifier.namespace, candidate.labels
        if resource.group_resource == well_known.PODS and self.rules.may_concern(
            namespace, labels, candidate.body
        ):
            return True
        return any(x.wants(namespace, labels) for x in self._asked(resource))

    def _asked(
        self, resource: APIResource
    ) -> tuple[ResolvedAction[ItemBlockAction], ...]:
        """Return the actions for whose sake an item of a type begins a block."""
        found = self.builder.actions.for_type(resource.group_resource)
        if self.everywhere or not found:
            return found
        return tuple(each for each in found if not is_built_in(each.action))

    def _back_up_all(self, blocks: Sequence[ItemBlock]) -> None:
        """Store blocks without hooks at once, in their order, then those with hooks."""
        quiet: list[Member] = []
        hooked: list[tuple[ItemBlock, tuple[PodHooks, ...]]] = []
        for block in blocks:
            hooks = tuple(self._hooks_of(block))
            self.ledger.hooked_pods += len(hooks)
            if hooks and self.runner is not None:
                hooked.append((block, hooks))
            else:
                quiet += block.members
        self.backupper.store(quiet)
        if self.runner is not None and hooked:
            self._at_once(self.runner, hooked)

    def _hooks_of(self, block: ItemBlock) -> Iterator[PodHooks]:
        """Yield what is run in the Pods of a block, where that is anything."""
        for member in block.members:
            if member.resource.group_resource != well_known.PODS:
                continue
            hooks = self.rules.of(member.identifier, member.candidate.item)
            self.ledger.met_hooks.update(hooks.entries)
            for oddity in hooks.oddities:
                self.run.warning(oddity, item=member.identifier)
            if hooks:
                yield hooks

    def _at_once(
        self,
        runner: HookRunner,
        blocks: Sequence[tuple[ItemBlock, tuple[PodHooks, ...]]],
    ) -> None:
        """Back up many blocks; return when the hooks of every one have ended.

        However this ends: also a run that is to stop waits for what it still owes.
        """
        settings = self.run.settings
        workers = settings.item_block_worker_count or settings.workers
        name = f"kbackup-blocks-{self.run.uid[:8]}"
        pool = WorkerPool(min(workers, len(blocks)), name)
        try:
            done = [pool.submit(self._back_up, runner, *each) for each in blocks]
            for future in as_completed(done):
                future.result()
        except BaseException:
            runner.stop(_ENDED)
            left = HookRunner.GRACE.total_seconds()
            self.run.emit(WaitingFor(what="the post hooks of Pods", seconds_left=left))
            raise
        finally:
            pool.close(wait=True)

    def _back_up(
        self, runner: HookRunner, block: ItemBlock, hooks: tuple[PodHooks, ...]
    ) -> None:
        """Store a block, and what belongs to it, between the commands of its Pods."""
        try:
            with runner.around(hooks) as failed:
                self._store_quiesced(block, block.belonging_to(failed))
        except BaseException:
            runner.stop(_ENDED)  # before this thread takes the next block
            raise

    def _store_quiesced(
        self, block: ItemBlock, unquiesced: frozenset[ResourceIdentifier]
    ) -> None:
        """Store a block and what it needs; what acts on that heeds *unquiesced*."""
        with self.writing:
            self.ledger.unquiesced |= unquiesced
        asked: dict[bool, Wanted] = {True: {}, False: {}}
        for member in block.members:
            (outcome,) = self.backupper.outcomes([member.candidate])
            with self.writing, self.ledger.asked_apart() as asks:
                begin = self.backupper.finish(member, outcome)
            begin()
            add_wanted(asked[member.identifier not in unquiesced], asks)
        outside = block.outside
        for quiesced in (False, True):  # what both need is not to be acted on
            wanted = asked[quiesced]
            with self.writing:
                for each in outside & wanted.keys():  # no second try while they wait
                    self.ledger.want(each, unfiltered=wanted.pop(each))
            self.additional.store_with_block(wanted, quiesced=quiesced)


class _Page:
    """The items of one page, some of which are taken for blocks.

    Attributes:
        taken: By `id`: those that are counted, and stored or left out.
    """

    def __init__(
        self,
        owner: BlockBackupper,
        resource: APIResource,
        items: Sequence[ListedItem],
        tally: Tally,
    ) -> None:
        self._owner, self._resource, self._tally = owner, resource, tally
        self._by_name = {(x.namespace, x.name): x for x in reversed(items)}
        self.taken: set[int] = set()

    def take(self, items: Iterable[ListedItem]) -> list[Member]:
        """Return those of *items* that are wanted and were not taken yet."""
        fresh = []
        for item in items:
            if self._by_name.get((item.namespace, item.name)) is item:
                del self._by_name[item.namespace, item.name]
                self.taken.add(id(item))
                fresh.append(item)
        owner, resource, tally = self._owner, self._resource, self._tally
        tally.listed += len(fresh)
        owner.ledger.total += len(fresh)
        unmet = tally.settled(owner.ledger.of_type(resource), fresh)
        return [
            Member(resource=resource, candidate=candidate, tally=tally)
            for candidate in owner.backupper.candidates.chosen(resource, unmet, tally)
        ]

    def find(self, identifier: ResourceIdentifier) -> list[Member] | None:
        """Return what the page has of an item; None where it has not."""
        if identifier.group_resource != self._resource.group_resource:
            return None
        item = self._by_name.get((identifier.namespace, identifier.name))
        return None if item is None else self.take([item])
