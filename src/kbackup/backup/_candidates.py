"""Which items a backup stores: what is left out and why, and what the others hold.

Asked by the item backupper for the items of a list, and by whoever fetched one by itself.
What cannot be read is lost; all else that is not stored is counted with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from kbackup._kits.words import qualified
from kbackup.backup._items import Candidate
from kbackup.backup._ledger import Ledger, Tally, TypeLedger
from kbackup.backup._losses import lose
from kbackup.cluster import ListedItem
from kbackup.errors import KBackupError
from kbackup.models import (
    APIResource,
    Item,
    ItemPredicate,
    ResourceIdentifier,
    labels,
    well_known,
)
from kbackup.plugins import Run
from kbackup.plugins.engine import fact_of

BEING_DELETED = "being deleted"
EXCLUDED_BY_LABEL = "excluded by label"
OTHER_NAMESPACE = "namespace not selected"
SELECTED_TWICE = "selected twice"
NOT_IN_WHERE = "not wanted by where"
OF_SNAPSHOTS = "snapshots are not stored by themselves"


class Candidates:
    """Chooses and parses items; used by the thread that keeps the books.

    Args:
        run: Gets the error of each item that is lost.
        ledger: What is in it already is not chosen again.
        where: The caller's function; None: it wants all.
        is_excluded: Tells of a namespace whether its items are left out of
            cluster-wide lists; None: no namespace is.
    """

    def __init__(
        self,
        *,
        run: Run,
        ledger: Ledger,
        where: ItemPredicate | None,
        is_excluded: Callable[[str], bool] | None,
    ) -> None:
        self._run = run
        self._ledger = ledger
        self._where = where
        self._is_excluded = is_excluded

    def fetched(
        self,
        resource: APIResource,
        item: Item,
        tally: Tally,
        *,
        by_where: bool = False,
    ) -> Candidate | None:
        """Return a fetched object as a candidate, unless it is left out.

        Args:
            resource: Its type.
            item: The object.
            tally: Counts why it is left out.
            by_where: Whether the caller's function decides about it.
        """
        page = self._ledger.of_type(resource)
        content = self.content(page, item.identifier, item.raw, tally)
        if content is None:
            return None
        metadata = content.get("metadata") or {}
        own = (metadata.get("namespace") or "", metadata.get("name"))
        if own != (item.identifier.namespace, item.identifier.name):
            error = KBackupError("the cluster answered with another object")
            lose(self._run, page, item.identifier, error, tally)
            return None
        found = metadata.get("labels") or {}
        if "deletionTimestamp" in metadata:
            tally.skipped[BEING_DELETED] += 1
        elif labels.is_excluded(found):
            tally.skipped[EXCLUDED_BY_LABEL] += 1
        else:
            candidate = Candidate(
                identifier=item.identifier, body=item.raw, item=content, labels=found
            )
            if not by_where or self._is_wanted(page, candidate, tally):
                return candidate
        return None

    def chosen(
        self, resource: APIResource, items: Iterable[ListedItem], tally: Tally
    ) -> Iterator[Candidate]:
        """Yield the listed objects that are wanted, parsed; count the others."""
        page = self._ledger.of_type(resource)
        for item in items:
            self._run.cancel.check()
            key = qualified(item.namespace, item.name)
            if reason := self.unwanted(item, key, page):
                tally.skipped[reason] += 1
                continue
            candidate = self._candidate(page, item, tally)
            if candidate is not None and self._is_wanted(page, candidate, tally):
                yield candidate

    def unwanted(self, item: ListedItem, key: str, page: TypeLedger) -> str:
        """Return why a listed item is left out, or nothing."""
        if item.deleting:
            return BEING_DELETED
        if item.labels and labels.is_excluded(item.labels):
            return EXCLUDED_BY_LABEL
        if self._is_excluded is not None and self._is_excluded(item.namespace):
            return OTHER_NAMESPACE
        if page.has_met(key):
            return SELECTED_TWICE
        return ""

    def content(
        self,
        page: TypeLedger,
        identifier: ResourceIdentifier,
        body: bytes,
        tally: Tally,
    ) -> Mapping[str, Any] | None:
        """Parse an object; what is none is lost, as no restore could read it."""
        try:
            content = msgspec.json.decode(body)
        except (ValueError, RecursionError) as exc:
            lose(self._run, page, identifier, exc, tally)
            return None
        if isinstance(content, dict):
            return content
        lose(self._run, page, identifier, ValueError("it is not a JSON object"), tally)
        return None

    def _candidate(
        self, page: TypeLedger, item: ListedItem, tally: Tally
    ) -> Candidate | None:
        identifier, body = identifier_on(page, item.namespace, item.name), item.json()
        content = self.content(page, identifier, body, tally)
        if content is None:
            return None
        return Candidate(
            identifier=identifier, body=body, item=content, labels=item.labels or {}
        )

    def _is_wanted(self, page: TypeLedger, candidate: Candidate, tally: Tally) -> bool:
        """Ask the caller's function; what it raises costs the item."""
        if self._where is None:
            return True
        try:  # it gets its own: what it does to that is not stored
            wanted = bool(self._where(candidate.parsed()))
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - the caller's code
            hide = well_known.is_secret(candidate.identifier.group_resource)
            error = KBackupError(f"where raised {fact_of(exc, hide=hide)}")
            error.__cause__ = exc
            lose(self._run, page, candidate.identifier, error, tally)
            return False
        if not wanted:
            tally.skipped[NOT_IN_WHERE] += 1
        return wanted


def identifier_on(page: TypeLedger, namespace: str, name: str) -> ResourceIdentifier:
    """Return the identity of an item of the type that a page is for."""
    return ResourceIdentifier(page.resource.group_resource, namespace, name)
