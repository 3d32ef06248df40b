"""What actions read from the target, remembered for the length of a plan.

An action's answer must be the same when a plan is applied as when it was made, or the
digests would differ; but applying changes the very cluster that actions look at. So
each question is asked once, and the plan carries the answers along in memory.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import attrs

from kbackup.errors import (
    ClusterError,
    ClusterUnreachableError,
    ForbiddenError,
    UnauthorizedError,
)
from kbackup.models import (
    APIResource,
    GroupResource,
    ResourceIdentifier,
    ServerVersion,
)
from kbackup.plugins import ClusterReader

T = TypeVar("T")


@attrs.frozen
class Found:
    """What is known of one object of the target.

    Attributes:
        content: The object; None: there is none, or nobody may know.
        unreadable: Why that cannot be told; empty: it can.
    """

    content: Mapping[str, Any] | None = None
    unreadable: str = ""


class MemoReader:
    """A `ClusterReader` that asks each question once; may be asked from any thread."""

    def __init__(self, reader: ClusterReader) -> None:
        self._reader = reader
        self._answers: dict[Any, Any] = {}
        self._asking = threading.RLock()

    def get(
        self, identifier: ResourceIdentifier, *, version: str = ""
    ) -> Mapping[str, Any] | None:
        """Return one object, or None where there is none or no such type."""
        key = (identifier, version) if version else identifier
        found: Mapping[str, Any] | None = self._once(
            key, lambda: self._reader.get(identifier, version=version)
        )
        return found

    def find(self, identifier: ResourceIdentifier) -> Found:
        """Look for one object, as far as it may be read.

        Raises:
            ClusterUnreachableError: Nothing can be read.
            UnauthorizedError: Nothing may be read.
        """
        try:
            return Found(self.get(identifier))
        except ClusterError as exc:
            if bears_on_everything(exc):
                raise
            return Found(unreadable=str(exc))

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
        except ClusterError as exc:
            if bears_on_everything(exc):
                raise
            return None
        return frozenset(item["metadata"]["name"] for item in found)

    def rebind(self, reader: ClusterReader) -> None:
        """Ask *reader* from now on; what is known stays known."""
        self._reader = reader

    def _once(self, key: Any, ask: Callable[[], T]) -> T:
        with self._asking:
            if key not in self._answers:
                try:
                    self._answers[key] = ask()
                except ForbiddenError as exc:
                    self._answers[key] = exc  # one refusal for each thing is enough
            answer: T | ForbiddenError = self._answers[key]
            if isinstance(answer, ForbiddenError):
                raise answer.with_traceback(None)
            return answer


def bears_on_everything(exc: ClusterError) -> bool:
    """Whether an error is about the cluster as a whole, and not about one thing in it."""
    return isinstance(exc, ClusterUnreachableError | UnauthorizedError)
