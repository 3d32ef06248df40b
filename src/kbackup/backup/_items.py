"""What the item backupper has of an item, and where it puts it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import attrs
import msgspec

from kbackup.backup._ledger import Tally
from kbackup.models import APIResource, ResourceIdentifier


class ItemSink(Protocol):
    """Where items are written: an archive, or nowhere for a plan."""

    def add(
        self,
        *,
        resource: str,
        version: str,
        namespace: str,
        name: str,
        body: bytes,
        preferred: bool = True,
    ) -> None:
        """Take one item."""
        ...


@attrs.frozen(kw_only=True)
class Candidate:
    """An item that passed the filters and is parsed."""

    identifier: ResourceIdentifier
    body: bytes
    item: Mapping[str, Any]
    labels: Mapping[str, str]

    def parsed(self) -> dict[str, Any]:
        """Return the item parsed anew, for those who might change it."""
        item: dict[str, Any] = msgspec.json.decode(self.body)
        return item


@attrs.frozen(kw_only=True)
class Member:
    """A candidate, and what is to be done with it.

    Attributes:
        tally: Counts what becomes of it.
        ahead: It was read by itself: its type's list may still name it.
    """

    resource: APIResource
    candidate: Candidate
    tally: Tally
    ahead: bool = False

    @property
    def identifier(self) -> ResourceIdentifier:
        """Which item it is."""
        return self.candidate.identifier
