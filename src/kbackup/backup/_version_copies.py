"""Copies of what is stored, in the other versions that the cluster serves.

Only where they were asked for. Velero's feature ``EnableAPIGroupVersions`` lists each
version of a type by itself and stores what it finds below that version. So it is done
here, but what is selected is decided once, in the version in which a type is stored:
an item that is not in the backup has no copies in it either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from kbackup._kits.words import qualified
from kbackup.backup._action_runner import ActionOutcome
from kbackup.backup._candidates import SELECTED_TWICE
from kbackup.backup._collector import Listing
from kbackup.backup._item_backupper import ItemBackupper
from kbackup.backup._items import Candidate, ItemSink
from kbackup.backup._ledger import Ledger, Tally, TypeLedger
from kbackup.cluster import ListedItem
from kbackup.errors import ActionError, ArchiveError
from kbackup.models import APIResource, ResourceIdentifier
from kbackup.plugins import BackupItemAction, Run
from kbackup.plugins.engine import ActionIndex

BESIDE = "stored beside the preferred version"
NOT_STORED = "not stored in the preferred version"

_BATCH = 64  # as items are handed to the actions
_NAME_OF_ITS_OWN = "an action gave it another name than in the preferred version"


class VersionCopies:
    """Stores copies and keeps the books of them; used by one thread at a time.

    Each copy goes through the actions of its type, as each version does in Velero: what
    they take out of an item is in none of them. What actions begin is begun once, for
    the item itself.

    Args:
        run: Gets warnings and errors.
        sink: Where the copies go.
        ledger: Tells what is stored.
        actions: Of the run.
        backupper: Asks them.
    """

    def __init__(
        self,
        *,
        run: Run,
        sink: ItemSink,
        ledger: Ledger,
        actions: ActionIndex[BackupItemAction],
        backupper: ItemBackupper,
    ) -> None:
        self._run = run
        self._sink = sink
        self._ledger = ledger
        self._actions = actions
        self._backupper = backupper

    def store(self, listing: Listing) -> Tally:
        """Store a list of another version; every item of it is counted.

        Raises:
            Cancelled: The run is to stop.
        """
        tally, resource = Tally(), listing.task.resource
        page = self._ledger.known(resource.group_resource)
        for items in listing.pages():
            tally.listed += len(items)
            if page is None:
                tally.skipped[NOT_STORED] += len(items)
            elif self._actions.for_type(resource.group_resource):
                self._store_asked(page, resource, items, tally)
            else:
                self._store_as_they_are(page, resource, items, tally)
        self._run.logger.info(
            "stored %d of %d %s in %s",
            tally.skipped[BESIDE],
            tally.listed,
            resource,
            resource.version,
            extra={"fields": {"namespace": listing.task.namespace}},
        )
        return tally

    def _store_as_they_are(
        self,
        page: TypeLedger,
        resource: APIResource,
        items: Sequence[ListedItem],
        tally: Tally,
    ) -> None:
        for name, item in self._due(page, resource, items, tally):
            self._run.cancel.check()
            self._add(page, resource, name, item.json(), tally)

    def _store_asked(
        self,
        page: TypeLedger,
        resource: APIResource,
        items: Sequence[ListedItem],
        tally: Tally,
    ) -> None:
        """Store what the actions make of each copy."""
        due: list[tuple[str, Candidate]] = []
        for name, item in self._due(page, resource, items, tally):
            candidate = self._candidate(resource, item, tally)
            if candidate is not None:
                due.append((name, candidate))
        for start in range(0, len(due), _BATCH):
            batch = due[start : start + _BATCH]
            outcomes = self._backupper.outcomes([candidate for _, candidate in batch])
            for (name, candidate), outcome in zip(batch, outcomes, strict=True):
                self._run.cancel.check()
                body = self._left_by(candidate, outcome, name, resource, tally)
                if body is not None:
                    self._add(page, resource, name, body, tally)
                    self._backupper.want_additional(candidate.identifier, outcome)

    def _left_by(
        self,
        candidate: Candidate,
        outcome: ActionOutcome,
        name: str,
        resource: APIResource,
        tally: Tally,
    ) -> bytes | None:
        """Return what actions left of a copy; None: it is not stored."""
        error: Exception | None = outcome.error
        if error is None and outcome.skip:
            tally.skipped[f"skipped by an action: {outcome.skip}"] += 1
            return None
        if error is None:
            try:
                stored, body = self._backupper.as_stored(candidate, outcome)
            except ActionError as exc:
                error = exc
            else:
                if stored.qualified_name == name:
                    return body
                error = ArchiveError(_NAME_OF_ITS_OWN)
        self._lose(candidate.identifier, resource, error, tally)
        return None

    def _due(
        self,
        page: TypeLedger,
        resource: APIResource,
        items: Sequence[ListedItem],
        tally: Tally,
    ) -> Iterator[tuple[str, ListedItem]]:
        """Yield what is stored and has no copy yet, with its name in the archive."""
        copied = page.copied.setdefault(resource.api_version, set())
        for item in items:
            name = page.stored_as(qualified(item.namespace, item.name))
            if not name:
                tally.skipped[NOT_STORED] += 1
            elif name in copied:
                tally.skipped[SELECTED_TWICE] += 1
            else:
                yield name, item

    def _candidate(
        self, resource: APIResource, item: ListedItem, tally: Tally
    ) -> Candidate | None:
        ref = ResourceIdentifier(resource.group_resource, item.namespace, item.name)
        body = item.json()
        try:
            content = msgspec.json.decode(body, type=dict)
        except (ValueError, RecursionError) as exc:
            self._lose(ref, resource, exc, tally)
            return None
        return Candidate(
            identifier=ref, body=body, item=content, labels=item.labels or {}
        )

    def _add(
        self,
        page: TypeLedger,
        resource: APIResource,
        name: str,
        body: bytes,
        tally: Tally,
    ) -> None:
        namespace, _, own = name.rpartition("/")
        self._sink.add(
            resource=page.full_name,
            version=resource.version,
            namespace=namespace,
            name=own,
            body=body,
            preferred=False,
        )
        page.copied[resource.api_version].add(name)
        tally.skipped[BESIDE] += 1

    def _lose(
        self,
        identifier: ResourceIdentifier,
        resource: APIResource,
        error: Exception,
        tally: Tally,
    ) -> None:
        """Record that one copy is lost; the item itself is stored."""
        tally.failed += 1
        self._run.error(
            f"not backed up in {resource.version}: {error}",
            item=identifier,
            plugin=getattr(error, "plugin", ""),
            cause=error,
        )
