"""What is backed up together: an item, and all that item block actions relate to it.

`plan_blocks` decides it, purely, over what `BlockBuilder` found out: that asks the
actions and reads what they name, level by level, several items at a time. Source: Velero's
``executeItemBlockActions``: an item belongs to the first block that comes to it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import attrs

from kbackup.backup._action_runner import ActionRunner
from kbackup.backup._additional import AdditionalItems
from kbackup.backup._item_backupper import ItemBackupper
from kbackup.backup._items import Candidate, Member
from kbackup.backup._ledger import Ledger, Tally
from kbackup.backup._reads import Reads
from kbackup.errors import ActionError, ActionTimeoutError
from kbackup.models import Item, ResourceIdentifier, well_known
from kbackup.plugins import ItemBlockAction, Run
from kbackup.plugins.engine import ActionIndex, execute_item_block_action, is_built_in

Related = Mapping[ResourceIdentifier, tuple[ResourceIdentifier, ...]]


# Gives what the page in hand has of an item, which is then no more read from the page:
# nothing where the item is not wanted. None: the page does not have it.
Find = Callable[[ResourceIdentifier], Sequence[Member] | None]


@attrs.frozen(kw_only=True)
class ItemBlock:
    """Items that are backed up together.

    Attributes:
        members: In the order in which they are stored.
        related: What each was found to be related to, members or not.
    """

    members: tuple[Member, ...]
    related: Related

    @property
    def outside(self) -> frozenset[ResourceIdentifier]:
        """What is related and no member: left out, unreadable, or in another block."""
        own = {member.identifier for member in self.members}
        named = {each for name in own for each in self.related.get(name, ())}
        return frozenset(named - own)

    def belonging_to(
        self, pods: Collection[ResourceIdentifier]
    ) -> frozenset[ResourceIdentifier]:
        """Return *pods* and what is related to them, but no other Pod."""
        found, waiting = set(pods), list(pods)
        while waiting:
            for each in self.related.get(waiting.pop(), ()):
                if each not in found and each.group_resource != well_known.PODS:
                    found.add(each)
                    waiting.append(each)
        return frozenset(found)


def plan_blocks(
    roots: Iterable[ResourceIdentifier],
    members: Mapping[ResourceIdentifier, Member],
    related: Related,
) -> list[ItemBlock]:
    """Put each member into the first block that comes to it, in depth. Pure."""
    taken: set[ResourceIdentifier] = set()
    blocks = []
    for root in roots:
        block, waiting = [], [root]
        while waiting:  # no recursion: a chain may be longer than the stack
            each = waiting.pop()
            if each in taken or each not in members:
                continue
            taken.add(each)
            block.append(members[each])
            waiting.extend(reversed(related.get(each, ())))
        if block:
            blocks.append(ItemBlock(members=tuple(block), related=related))
    return blocks


@attrs.frozen(kw_only=True)
class BlockBuilder:
    """Finds out what belongs together; used by one thread, while nothing is stored.

    Attributes:
        actions: That tell which items are related.
        runner: Gives an action what it looks at, and counts whom it was not asked about.
        additional: Tells which related items may be in the backup at all.
    """

    run: Run
    ledger: Ledger
    actions: ActionIndex[ItemBlockAction]
    runner: ActionRunner
    reads: Reads
    additional: AdditionalItems
    backupper: ItemBackupper

    def build(self, roots: Sequence[Member], find: Find) -> list[ItemBlock]:
        """Return the blocks of *roots*, in their order.

        What an action fails on is an error by item and plugin, and the item stays what
        it is. What cannot be read is asked for once more after all lists.

        Raises:
            Cancelled: The run is to stop.
        """
        members = {root.identifier: root for root in roots}
        related: dict[ResourceIdentifier, tuple[ResourceIdentifier, ...]] = {}
        seen: set[ResourceIdentifier] = set()
        fresh: Iterable[Member] = roots
        while fresh:
            named: dict[ResourceIdentifier, None] = {}
            for member in fresh:
                related[member.identifier] = found = self._related(member)
                named.update(dict.fromkeys(found))
            unknown = [x for x in named if x not in members and x not in seen]
            seen.update(unknown)
            fresh = self._members(unknown, find)
            members.update((member.identifier, member) for member in fresh)
        return plan_blocks([root.identifier for root in roots], members, related)

    def _related(self, member: Member) -> tuple[ResourceIdentifier, ...]:
        """Ask the actions about an item."""
        self.run.cancel.check()
        identifier, labels = member.identifier, member.candidate.labels
        found: dict[ResourceIdentifier, None] = {}
        for resolved in self.actions.for_type(identifier.group_resource):
            if not resolved.wants(identifier.namespace, labels):
                continue
            for each in self._ask(resolved.action, member.candidate):
                placed = self.additional.placed(each)
                found[placed] = None
                self.ledger.note_asker(placed, identifier, resolved.action.name)
        return tuple(found)

    def _ask(
        self, action: ItemBlockAction, candidate: Candidate
    ) -> tuple[ResourceIdentifier, ...]:
        if action.name in self.run.stuck:
            self.runner.passed_over[action.name] += 1
            return ()
        # Others get their own: what they do to that is not stored.
        item = candidate.item if is_built_in(action) else candidate.parsed()
        given = self.runner.given(candidate.identifier, item)
        try:
            return execute_item_block_action(self.run, action, given)
        except (ActionError, ActionTimeoutError) as exc:
            self.run.error(
                f"what belongs to it is not known: {exc}",
                item=candidate.identifier,
                plugin=action.name,
                cause=exc,
            )
            return ()

    def _members(
        self, identifiers: Iterable[ResourceIdentifier], find: Find
    ) -> list[Member]:
        """Return those of *identifiers* that are there and wanted, in their order."""
        found: list[Member] = []
        unread = []
        for identifier in identifiers:
            if self.ledger.was_tried(identifier):
                continue
            if not self.additional.is_served(identifier):
                self.ledger.want(identifier, unfiltered=False)  # which is told then
            elif self.additional.admits(identifier):
                listed = find(identifier)
                found += listed or ()
                if listed is None:
                    unread.append(identifier)
        answers = self.reads.together(unread)
        for identifier in unread:
            answer = answers[identifier]
            if isinstance(answer, Item):
                found += self._fetched(identifier, answer)
            else:
                self.ledger.want(identifier, unfiltered=False)
        return found

    def _fetched(self, identifier: ResourceIdentifier, item: Item) -> list[Member]:
        resource, tally = self.reads.resource(identifier), Tally()
        self.ledger.total += 1
        candidate = self.backupper.candidates.fetched(
            resource, item, tally, by_where=True
        )
        if candidate is None:
            self.ledger.of_type(resource).note_ahead(identifier.qualified_name)
            return []
        return [Member(resource=resource, candidate=candidate, tally=tally, ahead=True)]
