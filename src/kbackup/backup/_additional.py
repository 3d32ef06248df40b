"""Single items that others need: read several at a time, stored in order.

What actions ask for is stored after all lists. What a block with hooks needs is stored
with it, so that it lies between the commands of its Pods; whatever cannot be read then is
left to the end like everything else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

import attrs

from kbackup.backup._coverage import Refusals
from kbackup.backup._item_backupper import ItemBackupper
from kbackup.backup._items import Member
from kbackup.backup._ledger import Ledger, Tally, Wanted, add_wanted
from kbackup.backup._losses import fail
from kbackup.backup._namespaces import Namespaces
from kbackup.backup._reads import Reads
from kbackup.backup._request import BackupRequest
from kbackup.catalog import NotCovered
from kbackup.errors import ClusterError, ForbiddenError, ItemNotFoundError
from kbackup.models import Item, ResourceIdentifier, well_known
from kbackup.plugins import Run


@attrs.frozen(kw_only=True)
class AdditionalItems:
    """Reads and stores single items.

    Attributes:
        writing: Held while something is stored: blocks with hooks are backed up by
            several threads.
    """

    request: BackupRequest
    run: Run
    ledger: Ledger
    namespaces: Namespaces
    reads: Reads
    refusals: Refusals
    backupper: ItemBackupper
    writing: threading.Lock

    def placed(self, identifier: ResourceIdentifier) -> ResourceIdentifier:
        """Return what was asked for; what is cluster-scoped without any namespace."""
        resource = self.request.discovery.get(identifier.group_resource)
        if resource is None or resource.namespaced:
            return identifier
        return ResourceIdentifier(identifier.group_resource, "", identifier.name)

    def is_served(self, identifier: ResourceIdentifier) -> bool:
        """Tell whether the cluster knows an item's type."""
        return self.request.discovery.get(identifier.group_resource) is not None

    def admits(
        self, identifier: ResourceIdentifier, *, unfiltered: bool = False
    ) -> bool:
        """Tell whether an item of a type that is served may be in the backup.

        Args:
            identifier: As `placed` returned it.
            unfiltered: The filters do not count, only the label of its namespace.
        """
        if identifier.namespace in self.namespaces.excluded_by_label:
            return False
        resource, filters = self.reads.resource(identifier), self.request.filters
        return unfiltered or not filters.refusal(resource, identifier.namespace)

    def store_wanted(self) -> list[Item]:
        """Store what actions asked for, and what actions ask for on those, until done.

        What is stored or has failed is not looked at again, so this ends.

        Returns:
            Pods, which are not stored: they may have hooks.
        """
        ledger, pods = self.ledger, []
        while ledger.wanted:
            wanted, ledger.wanted = ledger.wanted, {}
            pods += self.fetch_and_store(self._chosen(wanted))
        return pods

    def store_with_block(self, wanted: Wanted, *, quiesced: bool) -> None:
        """Store what the items of a block need, and what that needs.

        Args:
            wanted: What their actions asked for.
            quiesced: Whether anything may act on it.
        """
        while wanted:
            chosen, wanted = self._chosen(wanted), {}
            others = [each for each in chosen if not _is_pod(each)]
            with self.writing:
                for pod in filter(_is_pod, chosen):  # with hooks of its own
                    self.ledger.want(pod, unfiltered=chosen[pod])
                if not quiesced:
                    self.ledger.unquiesced.update(others)
            for identifier, answer in self.reads.each(others):
                asked: Wanted = {}
                if isinstance(answer, Item):
                    asked = self._store_ahead(identifier, answer)
                else:  # it has another chance, from its list or at the end
                    with self.writing:
                        self.ledger.want(identifier, unfiltered=chosen[identifier])
                add_wanted(wanted, asked)

    def fetch_and_store(
        self, identifiers: Iterable[ResourceIdentifier], *, expected: bool = True
    ) -> list[Item]:
        """Read single objects, several at a time, and store them in order.

        Args:
            identifiers: Of types that the cluster serves.
            expected: Whether one that is not there is worth a warning.

        Returns:
            Pods, which are not stored: they may have hooks.
        """
        pods: list[Item] = []
        for identifier, answer in self.reads.each(identifiers):
            if isinstance(answer, Item) and _is_pod(identifier):
                pods.append(answer)
            elif isinstance(answer, Item):
                self.backupper.back_up_item(self.reads.resource(identifier), answer)
            elif isinstance(answer, ForbiddenError):
                self.refusals.add(
                    identifier.group_resource, identifier.namespace, answer
                )
            elif not isinstance(answer, ItemNotFoundError):
                self._lose(identifier, answer)
            elif expected:
                self._warn(identifier, "but it does not exist")
        return pods

    def _chosen(self, wanted: Wanted) -> Wanted:
        """Return what is not stored yet and may be, in order."""
        asked = self._placed(wanted)
        return {
            identifier: asked[identifier]
            for identifier in sorted(asked)
            if not self.ledger.was_tried(identifier)
            and self._is_served(identifier)
            and self.admits(identifier, unfiltered=asked[identifier])
        }

    def _placed(self, wanted: Wanted) -> Wanted:
        """Return what was asked for, each as `placed` has it."""
        asked: Wanted = {}
        for each, unfiltered in wanted.items():
            identifier = self.placed(each)
            add_wanted(asked, {identifier: unfiltered})
            if identifier != each and each in self.ledger.askers:
                self.ledger.note_asker(identifier, *self.ledger.askers[each])
        return asked

    def _is_served(self, identifier: ResourceIdentifier) -> bool:
        if self.is_served(identifier):
            return True
        self._warn(identifier, "but the cluster serves no such type")
        return False

    def _warn(self, identifier: ResourceIdentifier, fact: str) -> None:
        """Say of what cannot be had who asks for it."""
        item, action = self.ledger.askers.get(identifier, (None, ""))
        asker = f"action {action} for {item}" if item is not None else "an item action"
        self.run.warning(
            f"asked for by {asker}, {fact}", item=identifier, plugin=action
        )

    def _store_ahead(self, identifier: ResourceIdentifier, item: Item) -> Wanted:
        """Store an item whose type may still be listed; return what it needs."""
        resource, tally = self.reads.resource(identifier), Tally()
        with self.writing:
            self.ledger.total += 1
            candidate = self.backupper.candidates.fetched(resource, item, tally)
            if candidate is None:
                self.ledger.of_type(resource).note_ahead(identifier.qualified_name)
                return {}
        (outcome,) = self.backupper.outcomes([candidate])  # while others store
        with self.writing, self.ledger.asked_apart() as asked:
            member = Member(
                resource=resource, candidate=candidate, tally=tally, ahead=True
            )
            begin = self.backupper.finish(member, outcome)
        begin()
        return asked

    def _lose(self, identifier: ResourceIdentifier, error: ClusterError) -> None:
        page = self.ledger.of_type(self.reads.resource(identifier))
        page.failed.add(identifier.qualified_name)
        fail(self.run, identifier, error)
        self.ledger.not_covered.append(
            NotCovered(
                resource=identifier.group_resource,
                namespace=identifier.namespace,
                reason=f"{identifier.name}: {error}",
            )
        )


def _is_pod(identifier: ResourceIdentifier) -> bool:
    return identifier.group_resource == well_known.PODS
