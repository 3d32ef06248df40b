"""What actions read from the target, remembered for the length of a plan.

An action's answer must be the same when a plan is applied as when it was made, or the
digests would differ; but applying changes the very cluster that actions look at. So
each question is asked once, and the plan carries the answers along in memory.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from kbackup.errors import ForbiddenError
from kbackup.models import (
    APIResource,
    GroupResource,
    ResourceIdentifier,
    ServerVersion,
)
from kbackup.plugins import ClusterReader

T = TypeVar("T")


class MemoReader:
    """A `ClusterReader` that asks each question once; may be asked from any thread."""

    def __init__(self, reader: ClusterReader) -> None:
        self._reader = reader
        self._answers: dict[Any, Any] = {}
        self._asking = threading.RLock()

    def get(self, identifier: ResourceIdentifier) -> Mapping[str, Any] | None:
        """Return one object, or None where there is none or no such type."""
        found: Mapping[str, Any] | None = self._once(
            identifier, lambda: self._reader.get(identifier)
        )
        return found

    def list(
        self,
        group_resource: GroupResource,
        *,
        namespace: str = "",
        label_selector: str = "",
    ) -> Iterable[Mapping[str, Any]]:
        """Return the objects of a type; without *namespace* those of all namespaces."""
        key = (group_resource, namespace, label_selector)
        return self._once(
            key,
            lambda: tuple(
                self._reader.list(
                    group_resource, namespace=namespace, label_selector=label_selector
                )
            ),
        )

    def resolve(self, text: str) -> APIResource | None:
        """Return the type that a plural, short, singular or full name means."""
        return self._reader.resolve(text)

    def server_version(self) -> ServerVersion:
        """Return what the API server reports."""
        return self._reader.server_version()

    def names(self, group_resource: GroupResource) -> frozenset[str] | None:
        """The names of all objects of a cluster-scoped type; None: not readable."""
        try:
            found = self.list(group_resource)
        except ForbiddenError:
            return None
        return frozenset(item["metadata"]["name"] for item in found)

    def rebind(self, reader: ClusterReader) -> None:
        """Ask *reader* from now on; what is known stays known."""
        self._reader = reader

    def _once(self, key: Any, ask: Callable[[], T]) -> T:
        with self._asking:
            if key not in self._answers:
                self._answers[key] = ask()
            answer: T = self._answers[key]
            return answer
