"""Restored Pods while they start: one watch for all of them, not a request for each.

What is seen is handed on; what to do about it is decided in `_waiting`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from typing import Any

import attrs

from kbackup._kits.nested import mapping_at, objects_at, text_at
from kbackup._kits.workers import Cancelled, CancelToken
from kbackup.cluster import Cluster
from kbackup.errors import ClusterError, ForbiddenError
from kbackup.models import APIResource, ResourceIdentifier, well_known
from kbackup.plugins import Run

_ENDED = ("Succeeded", "Failed")  # phases of a Pod in which nothing can be run
_PAUSE_SECONDS = 1.0  # after a server that cannot be asked
_NEEDED = "waiting for Pods needs the rights list and watch of pods"
_PODS = APIResource(  # as every API server has them
    group="", version="v1", resource="pods", kind="Pod", namespaced=True
)


@attrs.frozen(kw_only=True)
class PodState:
    """What matters of a Pod.

    Attributes:
        uid: Another one is another Pod.
        ended: Its phase, where that is the last one; else empty.
        running: Containers that run.
        ready: Containers that are ready.
    """

    uid: str = ""
    ended: str = ""
    running: frozenset[str] = frozenset()
    ready: frozenset[str] = frozenset()


GONE = PodState()
"""Of a Pod that was deleted."""


def state_of(pod: Mapping[str, Any]) -> PodState:
    """Return what matters of a Pod as the server sends it."""
    status = mapping_at(pod, "status")
    phase = text_at(status, "phase")
    containers = [
        each
        for key in ("containerStatuses", "initContainerStatuses")
        for each in objects_at(status, key)
    ]
    return PodState(
        uid=text_at(pod, "metadata", "uid"),
        ended=phase if phase in _ENDED else "",
        running=frozenset(text_at(each, "name") for each in containers if _runs(each)),
        ready=frozenset(
            text_at(each, "name") for each in containers if each.get("ready") is True
        ),
    )


def _runs(container: Mapping[str, Any]) -> bool:
    return isinstance(mapping_at(container, "state").get("running"), Mapping)


class PodWatch:
    """Watches the Pods with a label, in one namespace or in several.

    In several by one watch of the whole cluster, where that is allowed; else by one of
    each namespace.

    Args:
        run: Whose log tells of servers that cannot be asked.
        cluster: Bound to *cancel*.
        cancel: Ends it.
        selector: Of the Pods' labels.
        namespaces: Those of the Pods.
        see: Takes each Pod that came or changed, from one thread for each namespace.
        lose: Told why the Pods of a namespace cannot be watched.
    """

    def __init__(
        self,
        run: Run,
        cluster: Cluster,
        cancel: CancelToken,
        *,
        selector: str,
        namespaces: Collection[str],
        see: Callable[[ResourceIdentifier, PodState], None],
        lose: Callable[[Collection[str], str], None],
    ) -> None:
        self._run = run
        self._cluster = cluster
        self._cancel = cancel
        self._selector = selector
        self._namespaces = namespaces
        self._see = see
        self._lose = lose

    def start(self) -> None:
        """Begin; it goes on until the cancel."""
        one = len(self._namespaces) == 1
        self._start(next(iter(self._namespaces)) if one else "")

    def _start(self, namespace: str) -> None:
        name = f"kbackup-pods-{namespace}"
        threading.Thread(
            target=self._watch, args=(namespace,), name=name, daemon=True
        ).start()

    def _watch(self, namespace: str) -> None:
        """Watch a namespace, or all, over servers that cannot be asked for a while."""
        try:
            while not self._cancel.cancelled:
                try:
                    self._follow(namespace)
                except ClusterError as exc:
                    if not exc.retryable:
                        raise
                    self._run.logger.info("Pods are watched again after: %s", exc)
                self._cancel.wait(_PAUSE_SECONDS)
        except Cancelled:
            return
        except ForbiddenError as exc:
            if namespace:
                self._lose((namespace,), f"{exc} ({_NEEDED})")
                return
            for each in self._namespaces:
                self._start(each)
        except Exception as exc:  # noqa: BLE001 - whoever waits must learn of it
            self._lose((namespace,) if namespace else self._namespaces, str(exc))

    def _follow(self, namespace: str) -> None:
        events = self._cluster.watch(
            _PODS, namespace=namespace, label_selector=self._selector
        )
        for event in events:
            metadata = mapping_at(event.item, "metadata")
            pod = ResourceIdentifier(
                well_known.PODS,
                text_at(metadata, "namespace"),
                text_at(metadata, "name"),
            )
            gone = event.type == "DELETED"
            self._see(pod, GONE if gone else state_of(event.item))
