"""The Services that answer for what a restore writes, and whether they will be there.

A webhook without its Service refuses what others write, an APIService without it keeps
deleted namespaces from going. The notices show every item that would be written, the
planner asks at the end, when it is known which Services come along.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kbackup._kits.kinds import CRD, kind_of
from kbackup._kits.nested import mapping_at
from kbackup.models import ResourceIdentifier, well_known
from kbackup.restore._owners.owners import is_usable
from kbackup.restore._plan_entry import PlanEntry
from kbackup.restore._target.reads import MemoReader

Content = Mapping[str, Any]

_ADMISSION = "admissionregistration.k8s.io"
WEBHOOK_KINDS = frozenset(
    {
        (_ADMISSION, "ValidatingWebhookConfiguration"),
        (_ADMISSION, "MutatingWebhookConfiguration"),
    }
)

_API_SERVICE = ("apiregistration.k8s.io", "APIService")
BACKED_KINDS = frozenset({*WEBHOOK_KINDS, _API_SERVICE, CRD})
"""Kinds of which one may name a Service that answers for it."""


class Backends:
    """Collects, while a plan is made, which Services its items count on."""

    def __init__(self) -> None:
        self._needed: dict[ResourceIdentifier, list[ResourceIdentifier]] = {}

    def see(self, entry: PlanEntry, content: Content) -> None:
        """Look at an item that would be written."""
        for client in _clients(content):
            service = mapping_at(client, "service")
            if name := service.get("name"):
                namespace = str(service.get("namespace", ""))
                ref = ResourceIdentifier(well_known.SERVICES, namespace, str(name))
                self._needed.setdefault(ref, []).append(entry.target)

    def unanswered(
        self, entries: Iterable[PlanEntry], reader: MemoReader
    ) -> Iterator[ResourceIdentifier]:
        """Name the items whose Service neither comes along nor lives in the target.

        Args:
            entries: The plan.
            reader: Of the target; what it may not read counts as there.
        """
        if not self._needed:
            return
        coming = {
            x.target for x in entries if x.target in self._needed and is_usable(x)
        }
        told: set[ResourceIdentifier] = set()
        for service in self._needed.keys() - coming:
            found = reader.find(service)
            if found.content is None and not found.unreadable:
                told.update(self._needed[service])
        yield from sorted(told, key=str)


def _clients(content: Content) -> Iterator[Content]:
    """Whatever names a Service that answers for an item."""
    kind, spec = kind_of(content), mapping_at(content, "spec")
    if kind in WEBHOOK_KINDS:
        for webhook in content.get("webhooks") or ():
            yield mapping_at(webhook, "clientConfig")
    elif kind == _API_SERVICE:
        yield spec
    elif kind == CRD:
        yield mapping_at(spec, "conversion", "webhook", "clientConfig")
        yield mapping_at(spec, "conversion", "webhookClientConfig")  # as v1beta1 has it
